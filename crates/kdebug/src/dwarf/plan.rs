//! Passing entries of the top level without decoding them.
//!
//! Nearly all entries at top level are of no interest, and where the next one begins follows from the
//! abbreviation: after a fixed number of bytes, or at the sibling whose offset is at a fixed place. So
//! an abbreviation is looked at once, when its table is read, and its entries cost two loads each.

use super::names::Names;
use super::units::{Slice, Unit};
use crate::source::Endian;
use gimli::{AttributeSpecification, DwForm, DwTag, Format, UnitHeader};

/// How to pass the entries of one abbreviation. Places count from the end of the entry's code, and as if the content of
/// the block were empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    interest: Interest,
    /// Where the length of a block is: the location of a variable, or the frame of a function. Name and sibling do not
    /// come before it. Entries with more than one are decoded.
    block: Option<u16>,
    /// Where the sibling's offset is.
    sibling: Option<u16>,
    /// Bytes of the attributes, if they can be told.
    length: Option<u16>,
}

impl Plan {
    /// Bytes of the attributes, if all entries have the same number.
    #[inline]
    pub(crate) fn length(&self) -> Option<usize> {
        self.length.filter(|_| self.block.is_none()).map(usize::from)
    }

    /// Where attributes like these end, if it can be told from the plan.
    #[inline]
    fn end(&self, attributes: &[u8]) -> Option<usize> {
        Some(self.block_length(attributes)? + usize::from(self.length?))
    }

    /// Where in attributes like these the sibling's offset is, if it can be told from the plan.
    #[inline]
    fn sibling(&self, attributes: &[u8]) -> Option<usize> {
        Some(self.block_length(attributes)? + usize::from(self.sibling?))
    }

    #[inline]
    fn block_length(&self, attributes: &[u8]) -> Option<usize> {
        match self.block {
            None => Some(0),
            Some(place) => match attributes.get(usize::from(place))? {
                length @ ..0x80 => Some(usize::from(*length)),
                _ => None,
            },
        }
    }
}

/// Which entries have to be decoded.
#[derive(Debug, Clone, Copy)]
enum Interest {
    None,
    /// Those with a wanted name. Here it is, as an offset into the string section.
    Named(u16),
    /// All while enumerators are looked for, as these may be wanted by their own names.
    Enumeration,
    All,
}

/// Forms below this are those of DWARF 2 to 5.
const FORMS: u16 = 0x30;

/// Bytes that attributes take by their form, where the form alone decides. A table, because to find one out takes a jump that
/// no processor predicts.
#[derive(Debug)]
pub(crate) struct Sizes {
    by_form: [Option<u8>; FORMS as usize],
    /// Offsets into sections have four bytes.
    is_dwarf32: bool,
}

impl Sizes {
    /// Those in units with headers like this one.
    pub(crate) fn new(header: &UnitHeader<Slice<'_>>) -> Self {
        let mut forms = 0..FORMS;
        let by_form = std::array::from_fn(|_| {
            let form = gimli::DwForm(forms.next()?);
            let value = (form == gimli::DW_FORM_implicit_const).then_some(0);
            let size = AttributeSpecification::new(gimli::DW_AT_null, form, value).size(header)?;
            u8::try_from(size).ok()
        });
        Sizes { by_form, is_dwarf32: header.format() == Format::Dwarf32 }
    }

    #[inline]
    fn of(&self, form: DwForm) -> Option<u16> {
        self.by_form.get(usize::from(form.0)).copied().flatten().map(u16::from)
    }
}

/// Makes the plan of an abbreviation from its attributes in their order.
#[derive(Debug)]
pub(crate) struct Planner<'s> {
    sizes: &'s Sizes,
    /// The name decides whether anybody wants an entry; one without a name is nobody's.
    by_name: bool,
    plan: Plan,
}

impl<'s> Planner<'s> {
    pub(crate) fn new(tag: DwTag, sizes: &'s Sizes) -> Self {
        let (interest, by_name) = match tag {
            gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type | gimli::DW_TAG_typedef => {
                (Interest::None, true)
            }
            gimli::DW_TAG_enumeration_type => (Interest::Enumeration, false),
            _ => (Interest::None, false),
        };
        Planner { sizes, by_name, plan: Plan { interest, block: None, sibling: None, length: Some(0) } }
    }

    /// Adds the next attribute.
    #[inline]
    pub(crate) fn add(&mut self, attribute: AttributeSpecification) {
        let plan = &mut self.plan;
        let place = plan.length;
        match (attribute.name(), attribute.form()) {
            (gimli::DW_AT_name, form) if self.by_name => {
                let is_offset = form == gimli::DW_FORM_strp && self.sizes.is_dwarf32;
                let place = place.filter(|_| is_offset && plan.block.is_none());
                plan.interest = place.map_or(Interest::All, Interest::Named);
            }
            (gimli::DW_AT_sibling, gimli::DW_FORM_ref4) => plan.sibling = place,
            (_, gimli::DW_FORM_exprloc | gimli::DW_FORM_block1 | gimli::DW_FORM_block)
                if plan.block.is_none() && plan.sibling.is_none() =>
            {
                plan.block = place;
                plan.length = place.and_then(|place| place.checked_add(1));
                return;
            }
            _ => {}
        }
        plan.length =
            place.zip(self.sizes.of(attribute.form())).and_then(|(place, size)| place.checked_add(size));
    }

    pub(crate) fn finish(self) -> Plan {
        self.plan
    }
}

/// What [`Passer::pass`] says about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Of no interest; the next entry is here.
    To(usize),
    /// It has to be decoded.
    Decode,
}

/// Passes the entries of one unit.
#[derive(Debug)]
pub(crate) struct Passer<'u, 'a> {
    unit: &'u Unit<'a>,
    names: &'u Names,
    endian: Endian,
    /// Enumerations have to be decoded for their enumerators.
    enums: bool,
    bytes: &'a [u8],
    /// Offset of the first of `bytes` in the unit.
    base: usize,
}

impl<'u, 'a> Passer<'u, 'a> {
    pub(crate) fn new(
        unit: &'u Unit<'a>,
        names: &'u Names,
        endian: Endian,
        enums: bool,
    ) -> gimli::Result<Self> {
        let base = unit.header.root_offset();
        let bytes = unit.header.range_from(base..)?.slice();
        Ok(Passer { unit, names, endian, enums, bytes, base: base.0 })
    }

    /// Whether a unit's entries end before this offset.
    pub(crate) fn is_end(&self, offset: usize) -> bool {
        offset.saturating_sub(self.base) >= self.bytes.len()
    }

    /// Passes the entry at an offset of the unit, if it can be told without decoding that nobody
    /// asked for it.
    #[inline]
    pub(crate) fn pass(&self, offset: usize) -> Passed {
        self.try_pass(offset).map_or(Passed::Decode, Passed::To)
    }

    #[inline]
    fn try_pass(&self, offset: usize) -> Option<usize> {
        let entry = self.bytes.get(offset.checked_sub(self.base)?..)?;
        let (code, length) = match entry {
            [low @ 1..0x80, ..] => (u64::from(*low), 1),
            [low, high @ ..0x80, ..] => (u64::from(*low & 0x7f) | u64::from(*high) << 7, 2),
            _ => return None,
        };
        let abbreviation = self.unit.abbreviations.get(code)?;
        let plan = &abbreviation.plan;
        let attributes = entry.get(length..)?;
        match plan.interest {
            Interest::None => {}
            Interest::Named(name) => {
                if self.names.may_be_wanted(self.number(attributes, usize::from(name))?) {
                    return None;
                }
            }
            Interest::Enumeration if !self.enums => {}
            Interest::Enumeration | Interest::All => return None,
        }
        let start = offset.checked_add(length)?;
        let next = if abbreviation.has_children {
            self.number(attributes, plan.sibling(attributes)?)?
        } else {
            start.checked_add(plan.end(attributes)?)?
        };
        // Siblings that lead backwards or out of the unit are left to those who report damage.
        let within = next.checked_sub(self.base)? <= self.bytes.len();
        (next >= start && within).then_some(next)
    }

    #[inline]
    fn number(&self, bytes: &[u8], place: usize) -> Option<usize> {
        let word = *bytes.get(place..)?.first_chunk()?;
        usize::try_from(match self.endian {
            Endian::Little => u32::from_le_bytes(word),
            Endian::Big => u32::from_be_bytes(word),
        })
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::abbrev::Abbreviations;
    use gimli::{
        Attribute, AttributeValue, DebugAbbrev, DebugAbbrevOffset, EndianSlice, EntriesRaw, RunTimeEndian,
        SectionId, UnitHeader, UnitOffset, UnitSectionOffset, UnitType,
    };
    use proptest::prelude::*;

    /// Forms of all kinds: fixed, blocks, and others of varying length.
    const FORMS: [u8; 14] =
        [0x01, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0e, 0x0f, 0x13, 0x18, 0x19, 0x21];

    fn attributes() -> impl Strategy<Value = Vec<(u8, u8)>> {
        // Sibling, name, and whatever.
        let name = prop_oneof![Just(0x01), Just(0x03), 0x02..0x60_u8];
        prop::collection::vec((name, prop::sample::select(&FORMS[..])), 0..6)
    }

    proptest! {
        /// Where gimli, attribute by attribute, ends up.
        #[test]
        fn plans_agree_with_decoding(
            tag in prop_oneof![Just(0x13_u8), 1..0x50_u8],
            attributes in attributes(),
            mut bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..64),
            dwarf64: bool,
            version in 2..6_u16,
        ) {
            let mut table = vec![1, tag, 0];
            for (name, form) in &attributes {
                table.extend([*name, *form]);
                // The value of a constant.
                table.extend((*form == 0x21).then_some(5));
            }
            table.extend([0; 3]);
            let format = if dwarf64 { gimli::Format::Dwarf64 } else { gimli::Format::Dwarf32 };
            let encoding = gimli::Encoding { address_size: 8, format, version };
            bytes.extend([0; 8]);
            let entries = EndianSlice::new(&bytes, RunTimeEndian::Little);
            let offset = DebugAbbrevOffset(0);
            let unit = UnitSectionOffset(0);
            let header =
                UnitHeader::new(encoding, 0, UnitType::Compilation, offset, SectionId::DebugInfo, unit, entries);
            let ours = Abbreviations::parse(&table, offset, &header).unwrap();
            let theirs = DebugAbbrev::new(&table, RunTimeEndian::Little).abbreviations(offset).unwrap();
            let plan = ours.get(1).unwrap().plan;
            let mut raw = EntriesRaw::new(entries, encoding, &theirs, UnitOffset(0));
            let decoded: Result<Vec<(usize, Attribute<_>)>, _> = theirs
                .get(1)
                .unwrap()
                .attributes()
                .iter()
                .map(|specification| {
                    let attribute = raw.read_attribute(*specification)?;
                    Ok::<_, gimli::Error>((raw.next_offset().0, attribute))
                })
                .collect();
            let Ok(decoded) = decoded else { return Ok(()) };
            let end = raw.next_offset().0;
            prop_assert!(plan.end(&bytes).is_none_or(|planned| planned == end));
            prop_assert!(plan.length().is_none_or(|planned| planned == end));
            if let Some(place) = plan.sibling(&bytes) {
                let is_it = |(end, attribute): &(usize, Attribute<_>)| {
                    *end == place + 4 && matches!(attribute.raw_value(), AttributeValue::UnitRef(_))
                };
                prop_assert!(decoded.iter().any(is_it));
            }
            if let super::Interest::Named(place) = plan.interest {
                let is_it = |(end, attribute): &(usize, Attribute<_>)| {
                    *end == usize::from(place) + 4 && attribute.name() == gimli::DW_AT_name
                };
                prop_assert!(decoded.iter().any(is_it));
            }
            // What compilers write needs no decoding.
            let fixed = |(_, form): &(u8, u8)| matches!(form, 0x01 | 0x05..=0x07 | 0x0b | 0x0e | 0x13 | 0x19 | 0x21);
            prop_assert!(!attributes.iter().all(fixed) || plan.length() == Some(end));
        }
    }
}
