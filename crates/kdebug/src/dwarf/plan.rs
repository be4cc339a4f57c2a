//! Passing entries of the top level without decoding them.
//!
//! Nearly all entries at top level are of no interest, and where the next one begins follows from the
//! abbreviation: after a fixed number of bytes, or at the sibling whose offset is at a fixed place. So
//! an abbreviation is looked at once, and its entries cost two loads each.

use super::names::Names;
use super::units::Unit;
use crate::source::Endian;
use gimli::{Abbreviation, Format, UnitHeader};

/// Abbreviations are numbered from 1 on; units of a kernel have some hundreds.
const MAX_PLANS: usize = 1 << 12;

/// How to pass the entries of one abbreviation. Places count from the end of the entry's code.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Where the name is that has to be looked at, as an offset into the string section.
    name: Option<usize>,
    next: Next,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    /// Begins this far on.
    After(usize),
    /// Its offset is here.
    SiblingAt(usize),
}

/// What [`Passer::pass`] says about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// Of no interest; the next entry is here.
    To(usize),
    /// It has to be decoded.
    Decode,
}

/// The plans of one unit, made when first needed.
#[derive(Debug)]
pub(crate) struct Passer<'u, 'a> {
    unit: &'u Unit<'a>,
    names: &'u Names,
    endian: Endian,
    /// Enumerations have to be decoded for their enumerators.
    enums: bool,
    /// By number of the abbreviation: not made yet, none possible, or made.
    plans: Vec<Option<Option<Plan>>>,
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
        Ok(Passer { unit, names, endian, enums, plans: Vec::new(), bytes, base: base.0 })
    }

    /// Whether a unit's entries end before this offset.
    pub(crate) fn is_end(&self, offset: usize) -> bool {
        offset.saturating_sub(self.base) >= self.bytes.len()
    }

    /// Passes the entry at an offset of the unit, if it can be told without decoding that nobody
    /// asked for it.
    #[inline]
    pub(crate) fn pass(&mut self, offset: usize) -> Passed {
        self.try_pass(offset).map_or(Passed::Decode, Passed::To)
    }

    #[inline]
    fn try_pass(&mut self, offset: usize) -> Option<usize> {
        let entry = self.bytes.get(offset.checked_sub(self.base)?..)?;
        let (code, length) = match entry {
            [low @ 1..0x80, ..] => (usize::from(*low), 1),
            [low, high @ ..0x80, ..] => (usize::from(*low & 0x7f) | usize::from(*high) << 7, 2),
            _ => return None,
        };
        let plan = match self.plans.get(code) {
            Some(Some(plan)) => *plan,
            _ => self.make(code),
        }?;
        let attributes = entry.get(length..)?;
        if let Some(name) = plan.name
            && self.names.may_be_wanted(self.number(attributes, name)?)
        {
            return None;
        }
        let start = offset.checked_add(length)?;
        let next = match plan.next {
            Next::After(length) => start.checked_add(length)?,
            Next::SiblingAt(place) => self.number(attributes, place)?,
        };
        // Siblings that lead backwards or out of the unit are left to those who report damage.
        let within = next.checked_sub(self.base)? <= self.bytes.len();
        (next >= start && within).then_some(next)
    }

    fn number(&self, bytes: &[u8], place: usize) -> Option<usize> {
        let word = *bytes.get(place..)?.first_chunk()?;
        usize::try_from(match self.endian {
            Endian::Little => u32::from_le_bytes(word),
            Endian::Big => u32::from_be_bytes(word),
        })
        .ok()
    }

    #[cold]
    fn make(&mut self, code: usize) -> Option<Plan> {
        if code >= MAX_PLANS {
            return None;
        }
        let abbreviation = self.unit.abbreviations.get(u64::try_from(code).ok()?)?;
        let plan = plan(abbreviation, &self.unit.header, self.enums);
        if self.plans.len() <= code {
            self.plans.resize(code + 1, None);
        }
        if let Some(slot) = self.plans.get_mut(code) {
            *slot = Some(plan);
        }
        plan
    }
}

/// `None` if entries of the abbreviation have to be decoded always.
fn plan(
    abbreviation: &Abbreviation,
    header: &UnitHeader<super::units::Slice<'_>>,
    enums: bool,
) -> Option<Plan> {
    let has_name = match abbreviation.tag() {
        gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type | gimli::DW_TAG_typedef => true,
        gimli::DW_TAG_enumeration_type if enums => return None,
        _ => false,
    };
    let has_children = abbreviation.has_children();
    let (mut name, mut sibling) = (None, None);
    let mut place = 0usize;
    for attribute in abbreviation.attributes() {
        match (attribute.name(), attribute.form()) {
            (gimli::DW_AT_name, gimli::DW_FORM_strp) if has_name && header.format() == Format::Dwarf32 => {
                name = Some(place);
            }
            (gimli::DW_AT_name, _) if has_name => return None,
            (gimli::DW_AT_sibling, gimli::DW_FORM_ref4) => sibling = Some(place),
            _ => {}
        }
        place = place.checked_add(attribute.size(header)?)?;
    }
    let next = if has_children { Next::SiblingAt(sibling?) } else { Next::After(place) };
    Some(Plan { name, next })
}
