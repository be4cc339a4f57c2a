//! Tables of abbreviations, of which only what passing entries needs is kept decoded.
//!
//! A distribution kernel has 2 400 tables with 270 000 abbreviations. To have them all as gimli's, each with a list of its
//! attributes, took half as long as the pass over all units that they serve, although nearly all are used to pass entries
//! only. So an abbreviation is read once into a [`Plan`] of 14 bytes, and its attributes stay encoded until an entry of it
//! has to be decoded.

use super::plan::{Plan, Planner, Sizes};
use super::units::Slice;
use gimli::{
    AttributeSpecification, DebugAbbrevOffset, DwAt, DwForm, DwTag, EndianSlice, Error, LittleEndian, Reader,
    Result, UnitHeader,
};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// One table, as units of one encoding use it.
#[derive(Debug, Default)]
pub(crate) struct Abbreviations<'a> {
    /// Those of the codes 1, 2 and so on, as compilers number them.
    dense: Vec<Abbreviation<'a>>,
    /// Those of other codes.
    sparse: BTreeMap<u64, Abbreviation<'a>>,
}

/// What entries of one code have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abbreviation<'a> {
    pub(crate) tag: DwTag,
    pub(crate) has_children: bool,
    pub(crate) plan: Plan,
    pub(crate) attributes: Attributes<'a>,
}

/// Names and forms of an abbreviation's attributes, decoded one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a>(Encoded<'a>);

/// Bytes of the section. Byte order does not matter to what it holds.
type Encoded<'a> = EndianSlice<'a, LittleEndian>;

impl<'a> Abbreviations<'a> {
    /// Reads the table at an offset of `.debug_abbrev`, for units with headers like this one.
    pub(crate) fn parse(
        section: &'a [u8],
        offset: DebugAbbrevOffset,
        header: &UnitHeader<Slice<'_>>,
    ) -> Result<Self> {
        let mut input = Encoded::new(section, LittleEndian);
        input.skip(offset.0)?;
        let mut table = Abbreviations::default();
        let sizes = Sizes::new(header);
        // A table that ends with the section lacks its end mark only.
        while !input.is_empty() {
            let code = input.read_uleb128()?;
            if code == 0 {
                break;
            }
            table.insert(code, Abbreviation::parse(&mut input, &sizes)?)?;
        }
        Ok(table)
    }

    fn insert(&mut self, code: u64, abbreviation: Abbreviation<'a>) -> Result<()> {
        if index(code) == Some(self.dense.len()) && !self.sparse.contains_key(&code) {
            self.dense.push(abbreviation);
            return Ok(());
        }
        match self.sparse.entry(code) {
            Entry::Vacant(place) if self.dense.len() < index(code).unwrap_or(usize::MAX) => {
                place.insert(abbreviation);
                Ok(())
            }
            _ => Err(Error::DuplicateAbbreviationCode(code)),
        }
    }

    /// The abbreviation of a code.
    #[inline]
    pub(crate) fn get(&self, code: u64) -> Option<&Abbreviation<'a>> {
        match self.dense.get(index(code)?) {
            None => self.sparse.get(&code),
            dense => dense,
        }
    }
}

/// Where the abbreviation of a code is if its table has all lower codes.
#[inline]
fn index(code: u64) -> Option<usize> {
    usize::try_from(code).ok()?.checked_sub(1)
}

impl<'a> Abbreviation<'a> {
    /// Reads what follows the code.
    fn parse(input: &mut Encoded<'a>, sizes: &Sizes) -> Result<Self> {
        let tag = match input.read_uleb128_u16()? {
            0 => return Err(Error::AbbreviationTagZero),
            tag => DwTag(tag),
        };
        let has_children = match gimli::DwChildren(input.read_u8()?) {
            gimli::DW_CHILDREN_no => false,
            gimli::DW_CHILDREN_yes => true,
            other => return Err(Error::InvalidAbbreviationChildren(other)),
        };
        let attributes = Attributes(*input);
        let mut planner = Planner::new(tag, sizes);
        while let Some(attribute) = attribute(input)? {
            planner.add(attribute);
        }
        Ok(Abbreviation { tag, has_children, plan: planner.finish(), attributes })
    }
}

impl Iterator for Attributes<'_> {
    type Item = AttributeSpecification;

    #[inline]
    fn next(&mut self) -> Option<AttributeSpecification> {
        // Nothing can be wrong with what was read before.
        attribute(&mut self.0).ok()?
    }
}

/// Reads one attribute's name and form, or the end of the attributes.
#[inline]
fn attribute(input: &mut Encoded<'_>) -> Result<Option<AttributeSpecification>> {
    let (name, form) = match (input.read_uleb128_u16()?, input.read_uleb128_u16()?) {
        (0, 0) => return Ok(None),
        (0, _) => return Err(Error::AttributeNameZero),
        (_, 0) => return Err(Error::AttributeFormZero),
        (name, form) => (DwAt(name), DwForm(form)),
    };
    let value = if form == gimli::DW_FORM_implicit_const { Some(input.read_sleb128()?) } else { None };
    Ok(Some(AttributeSpecification::new(name, form, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gimli::{DebugAbbrev, Encoding, Format, RunTimeEndian, SectionId, UnitType};
    use proptest::prelude::*;

    fn parse(section: &[u8], offset: usize) -> Result<Abbreviations<'_>> {
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 5 };
        let entries = EndianSlice::new(&[], RunTimeEndian::Little);
        let (offset, unit) = (DebugAbbrevOffset(offset), gimli::UnitSectionOffset(0));
        let header =
            UnitHeader::new(encoding, 0, UnitType::Compilation, offset, SectionId::DebugInfo, unit, entries);
        Abbreviations::parse(section, offset, &header)
    }

    proptest! {
        /// The same abbreviations and the same errors.
        #[test]
        fn tables_are_read_as_gimli_reads_them(
            // Mostly small numbers: ends of lists, codes that repeat, children or none.
            section in prop::collection::vec(prop_oneof![4 => 0..3_u8, 3 => 0..0x40_u8, 1 => any::<u8>()], 0..200),
            offset in 0..8_usize,
        ) {
            let theirs = DebugAbbrev::new(&section, LittleEndian).abbreviations(DebugAbbrevOffset(offset));
            let (ours, theirs) = match (parse(&section, offset), theirs) {
                (Ok(ours), Ok(theirs)) => (ours, theirs),
                (ours, theirs) => {
                    // Addresses of where the section ends too early are not comparable.
                    let kind = |error: Option<Error>| error.map(|error| std::mem::discriminant(&error));
                    prop_assert_eq!(kind(ours.err()), kind(theirs.err()));
                    return Ok(());
                }
            };
            for code in 0..0x4000 {
                let alike = match (ours.get(code), theirs.get(code)) {
                    (None, None) => true,
                    (Some(ours), Some(theirs)) => {
                        ours.tag == theirs.tag()
                            && ours.has_children == theirs.has_children()
                            && ours.attributes.eq(theirs.attributes().iter().copied())
                    }
                    _ => false,
                };
                prop_assert!(alike, "code {}", code);
            }
        }
    }

    #[test]
    fn codes_in_any_order_and_twice() {
        let table = parse(&[2, 0x24, 0, 0, 0, 1, 0x11, 1, 3, 8, 0, 0, 0], 0).unwrap();
        assert_eq!(table.get(1).map(|a| (a.tag.0, a.has_children)), Some((0x11, true)));
        assert_eq!(table.get(2).map(|a| (a.tag.0, a.has_children)), Some((0x24, false)));
        assert!(table.get(0).is_none() && table.get(3).is_none());
        for codes in [[1, 1], [2, 2]] {
            let twice = [codes[0], 0x24, 0, 0, 0, codes[1], 0x24, 0, 0, 0];
            assert_eq!(parse(&twice, 0).unwrap_err(), Error::DuplicateAbbreviationCode(codes[1].into()));
        }
    }
}
