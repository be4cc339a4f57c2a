//! Finds where values end, and notes the lengths and tags on the way.

use super::node::{Kind, Length, Node};
use super::slots::Slots;
use super::stop::StopReason;

/// The bytes of one packet up to the end of its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content<'a> {
    pub(super) bytes: &'a [u8],
    /// End of the content in bits; never beyond `bytes`.
    pub(super) end: u64,
}

/// The first multiple of `align`, a power of two, from `at` on. Positions lie in a packet and alignments are bounded, so the
/// sum cannot overflow.
#[inline]
pub(super) fn align_up(at: u64, align: u64) -> u64 {
    at.saturating_add(align.wrapping_sub(1)) & !align.wrapping_sub(1)
}

impl<'a> Content<'a> {
    /// The bit after `size` bits from `at`, if that is within the content.
    #[inline]
    pub(super) fn after(&self, at: u64, size: u64) -> Result<u64, StopReason> {
        match at.checked_add(size) {
            Some(end) if end <= self.end => Ok(end),
            _ => Err(StopReason::Truncated),
        }
    }

    /// The bytes between two bits on byte boundaries.
    pub(super) fn slice(&self, from: u64, to: u64) -> Option<&'a [u8]> {
        self.bytes.get(usize::try_from(from >> 3).ok()?..usize::try_from(to >> 3).ok()?)
    }

    /// The string at `at`, without its NUL, and the bit after that.
    #[inline]
    pub(super) fn string(&self, at: u64) -> Result<(&'a [u8], u64), StopReason> {
        let rest = self.slice(at, self.end).ok_or(StopReason::Unterminated)?;
        let len = memchr::memchr(0, rest).ok_or(StopReason::Unterminated)?;
        let text = rest.get(..len).unwrap_or_default();
        Ok((text, self.after(at, 8 * (len as u64 + 1))?))
    }

    /// The characters in a field of `length` bytes, up to a NUL, and the bit after the field.
    #[inline]
    pub(super) fn text(&self, at: u64, length: u64) -> Result<(&'a [u8], u64), StopReason> {
        let end = self.after(at, length.checked_mul(8).ok_or(StopReason::Truncated)?)?;
        let field = self.slice(at, end).ok_or(StopReason::Truncated)?;
        let len = memchr::memchr(0, field).unwrap_or(field.len());
        Ok((field.get(..len).unwrap_or_default(), end))
    }

    /// The bit after the value of `node` at `at` or, if that is no multiple of its alignment, at the next one.
    #[inline]
    pub(super) fn skip(&self, node: &Node, at: u64, slots: &mut Slots) -> Result<u64, StopReason> {
        let at = align_up(at, node.align);
        match node.size {
            Some(size) if !node.stores => self.after(at, size),
            _ => self.skip_slowly(node, at, slots),
        }
    }

    fn skip_slowly(&self, node: &Node, at: u64, slots: &mut Slots) -> Result<u64, StopReason> {
        match &node.kind {
            Kind::Integer(integer) | Kind::Enum(integer, _) => {
                let end = self.after(at, u64::from(integer.size))?;
                slots.set(integer.slot, integer.read(self.bytes, at).ok_or(StopReason::Truncated)?);
                Ok(end)
            }
            Kind::Float(size, _) => self.after(at, u64::from(*size)),
            Kind::String => Ok(self.string(at)?.1),
            Kind::Text(length) => {
                let bits = length.value(slots).checked_mul(8).ok_or(StopReason::Truncated)?;
                self.after(at, bits)
            }
            Kind::Array(element, length) => self.skip_elements(element, length.value(slots), at, slots),
            Kind::Struct(members) => {
                let mut end = at;
                for member in members {
                    end = self.skip(&member.node, end, slots)?;
                }
                Ok(end)
            }
            Kind::Variant { tag, signed, choice, options } => {
                let tag = tag_value(slots.get(*tag), *signed);
                let option = choice.find(tag).next().and_then(|index| options.get(index));
                self.skip(&option.ok_or(StopReason::NoOption(tag))?.node, at, slots)
            }
        }
    }

    fn skip_elements(
        &self,
        element: &Node,
        length: u64,
        at: u64,
        slots: &mut Slots,
    ) -> Result<u64, StopReason> {
        if element.size.is_some() && !element.stores {
            return self.after(at, element.total(length).ok_or(StopReason::Truncated)?);
        }
        // Ends in time: elements have bits, so the content runs out first.
        let mut end = self.after(at, 0)?;
        for _ in 0..length {
            end = self.skip(element, end, slots)?;
        }
        Ok(end)
    }
}

/// A tag as its enumeration's values are written.
pub(super) fn tag_value(raw: u64, signed: bool) -> i128 {
    if signed { i128::from(raw.cast_signed()) } else { i128::from(raw) }
}

impl Length {
    /// Number of elements; a negative length is longer than any packet.
    #[inline]
    pub(super) fn value(self, slots: &Slots) -> u64 {
        match self {
            Length::Static(length) => length,
            Length::Slot(slot) => slots.get(slot),
        }
    }
}
