//! One marker: what the tracer announced about a kind of event.

use super::align::AlignRule;
use super::field::{Field, TypeSizes};
use super::format;

/// A kind of event: name, id, format, and how its payload is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    id: u16,
    name: Box<[u8]>,
    format: Option<Box<[u8]>>,
    alignment: u8,
    sizes: TypeSizes,
    /// `None` while the format is not known, or when it has an unknown conversion.
    fields: Option<Vec<Field>>,
    /// By [`AlignRule`].
    plans: [Plan; 2],
}

/// What positions of a marker's events can be computed beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Boundary on which the payload starts.
    pub(super) boundary: u8,
    /// Size of the payload, if no string is in it.
    pub(super) fixed: Option<usize>,
}

impl Marker {
    pub(super) fn new(
        id: u16,
        name: &[u8],
        format: Option<Box<[u8]>>,
        alignment: u8,
        sizes: TypeSizes,
    ) -> Marker {
        let nothing = Plan { boundary: 1, fixed: None };
        let mut marker = Marker {
            id,
            name: name.into(),
            format: None,
            alignment,
            sizes,
            fields: None,
            plans: [nothing; 2],
        };
        if let Some(format) = format {
            marker.set_format(format);
        }
        marker
    }

    pub(super) fn set_format(&mut self, format: Box<[u8]>) {
        self.fields = format::fields(&format, self.sizes);
        self.format = Some(format);
        let fields = self.fields.as_deref().unwrap_or_default();
        self.plans = [AlignRule::Capped, AlignRule::Natural].map(|rule| plan(fields, self.alignment, rule));
    }

    /// Id that its events carry.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Name of the marker.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its format string; `None` if only the id was announced.
    pub fn format(&self) -> Option<&[u8]> {
        self.format.as_deref()
    }

    /// Largest alignment of its fields in bytes; 0: none.
    pub fn alignment(&self) -> u8 {
        self.alignment
    }

    /// Sizes of C's types that its format was read with.
    pub fn sizes(&self) -> TypeSizes {
        self.sizes
    }

    /// Its fields in order; empty also when they are not known.
    pub fn fields(&self) -> &[Field] {
        self.fields.as_deref().unwrap_or_default()
    }

    /// Whether the size of its events can be told.
    pub fn is_decodable(&self) -> bool {
        self.fields.is_some()
    }

    #[inline]
    pub(super) fn plan(&self, rule: AlignRule) -> Plan {
        let [capped, natural] = self.plans;
        match rule {
            AlignRule::Capped => capped,
            AlignRule::Natural => natural,
        }
    }
}

fn plan(fields: &[Field], alignment: u8, rule: AlignRule) -> Plan {
    let largest = fields.iter().map(|field| field.size.max(1)).max().unwrap_or(1);
    let mut end = Some(0_usize);
    for field in fields {
        end = end
            .filter(|_| field.size != 0)
            .map(|end| end + rule.pad(end, field.size, alignment) + usize::from(field.size));
    }
    Plan { boundary: rule.boundary(largest, alignment), fixed: end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans() {
        let sizes = TypeSizes::of_arch(4);
        let marker = |format: &[u8], alignment| Marker::new(3, b"m", Some(format.into()), alignment, sizes);
        let plan = |format: &[u8], alignment, rule| {
            let Plan { boundary, fixed } = marker(format, alignment).plan(rule);
            (boundary, fixed)
        };
        assert_eq!(plan(b"a #2u%u b %llu", 4, AlignRule::Capped), (4, Some(12)));
        assert_eq!(plan(b"a #2u%u b %llu", 4, AlignRule::Natural), (8, Some(16)));
        assert_eq!(plan(b"a #2u%u b %llu", 0, AlignRule::Natural), (1, Some(10)));
        assert_eq!(plan(b"a %s", 4, AlignRule::Capped), (1, None));
        assert_eq!(plan(b"a %s b #2u%u", 4, AlignRule::Capped), (2, None));
        assert_eq!(plan(b"", 4, AlignRule::Capped), (1, Some(0)));
        assert!(!marker(b"%5d", 4).is_decodable());
    }
}
