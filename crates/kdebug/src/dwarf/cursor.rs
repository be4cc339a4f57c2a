//! Decoding entries one after the other.

use super::abbrev::{Abbreviation, Abbreviations};
use super::units::{Entry, Slice, Unit};
use gimli::{Attribute, EntriesRaw, Error, Reader, Result, UnitOffset};
use std::sync::LazyLock;

/// Abbreviations are looked up in tables of our own; gimli reads the attributes.
static NONE: LazyLock<gimli::Abbreviations> = LazyLock::new(gimli::Abbreviations::default);

/// A place among the entries of a unit: at a code, or behind it at the attributes.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'u, 'a> {
    abbreviations: &'u Abbreviations<'a>,
    encoding: gimli::Encoding,
    rest: Slice<'a>,
    /// Offset in the unit of the end of `rest`.
    end: usize,
}

impl<'u, 'a> Cursor<'u, 'a> {
    /// At an offset of the unit, which must be within its entries.
    pub(crate) fn new(unit: &'u Unit<'a>, offset: usize) -> Result<Self> {
        Cursor::of(&unit.header, &unit.abbreviations, offset)
    }

    /// As [`new`](Self::new), from the parts of a unit.
    pub(crate) fn of(
        header: &gimli::UnitHeader<Slice<'a>>,
        abbreviations: &'u Abbreviations<'a>,
        offset: usize,
    ) -> Result<Self> {
        let rest = header.range_from(UnitOffset(offset)..)?;
        let end = offset.saturating_add(rest.len());
        Ok(Cursor { abbreviations, encoding: header.encoding(), rest, end })
    }

    /// Whether the unit ends here.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Where in the unit this is.
    pub(crate) fn offset(&self) -> usize {
        self.end.saturating_sub(self.rest.len())
    }

    /// Reads an entry's code; `None` is the end of a list of siblings. Next are the attributes.
    #[inline]
    pub(crate) fn abbreviation(&mut self) -> Result<Option<&'u Abbreviation<'a>>> {
        let code = self.rest.read_uleb128()?;
        if code == 0 {
            return Ok(None);
        }
        self.abbreviations.get(code).map(Some).ok_or(Error::InvalidAbbreviationCode(code))
    }

    /// Decodes the attributes of an entry.
    #[inline]
    pub(crate) fn attributes(
        &mut self,
        abbreviation: &Abbreviation<'a>,
        mut each: impl FnMut(Attribute<Slice<'a>>),
    ) -> Result<()> {
        let mut entry = EntriesRaw::new(self.rest, self.encoding, &NONE, UnitOffset(0));
        for specification in abbreviation.attributes {
            each(entry.read_attribute(specification)?);
        }
        self.rest.skip(entry.next_offset().0)
    }

    /// Moves behind the attributes of an entry.
    pub(crate) fn skip_attributes(&mut self, abbreviation: &Abbreviation<'a>) -> Result<()> {
        if let Some(length) = abbreviation.plan.length() {
            return self.rest.skip(length);
        }
        let mut entry = EntriesRaw::new(self.rest, self.encoding, &NONE, UnitOffset(0));
        for specification in abbreviation.attributes {
            entry.skip_attributes(&[specification])?;
        }
        self.rest.skip(entry.next_offset().0)
    }

    /// Moves behind the descendants of an entry, and behind the end of their list.
    pub(crate) fn skip_children(&mut self) -> Result<()> {
        let mut depth = 1usize;
        while depth > 0 && !self.is_empty() {
            match self.abbreviation()? {
                None => depth = depth.saturating_sub(1),
                Some(abbreviation) => {
                    self.skip_attributes(abbreviation)?;
                    depth = depth.saturating_add(usize::from(abbreviation.has_children));
                }
            }
        }
        Ok(())
    }

    /// Decodes a whole entry; `None` is the end of a list of siblings.
    pub(crate) fn entry(&mut self) -> Result<Option<Entry<'a>>> {
        let offset = UnitOffset(self.offset());
        let Some(abbreviation) = self.abbreviation()? else { return Ok(None) };
        let mut attributes = Vec::new();
        self.attributes(abbreviation, |attribute| attributes.push(attribute))?;
        Ok(Some(Entry::new(abbreviation.tag, abbreviation.has_children, attributes, offset)))
    }
}
