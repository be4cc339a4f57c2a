//! The header of one event.

use super::StopReason;
use super::layout::Layout;

/// Bits of the time in an event's first word (2.x); the id is above them.
const TSC_BITS: u32 = 27;
const TSC_MASK: u64 = (1 << TSC_BITS) - 1;

/// Where the id of an event is (2.x), by the five bits above the time in its first word.
///
/// They only tell the layout: some tracers use an extended form without need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShortId {
    /// It is these bits.
    Here(u16),
    /// 16 bits after the word.
    Next,
    /// As `Next`, with the size of the payload behind it.
    NextWithSize,
    /// As `NextWithSize`, with the whole time behind both.
    NextWithSizeAndTsc,
}

impl ShortId {
    #[inline]
    pub(super) fn of(word: u32) -> ShortId {
        match word >> TSC_BITS {
            29 => ShortId::NextWithSizeAndTsc,
            30 => ShortId::NextWithSize,
            31 => ShortId::Next,
            // Five bits always fit.
            id => ShortId::Here(u16::try_from(id).unwrap_or_default()),
        }
    }

    /// The time of an event with this first word that follows one at `now`.
    #[inline]
    pub(super) fn tsc(word: u32, now: u64) -> u64 {
        roll(now, u64::from(word) & TSC_MASK, TSC_MASK)
    }
}

/// In place of a size that does not fit 16 bits.
pub(super) const BIG: u16 = u16::MAX;

/// An event's header, decoded.
pub(super) struct Head {
    pub(super) id: u16,
    pub(super) tsc: u64,
    /// Size of the payload, if recorded.
    pub(super) size: Option<usize>,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Of a compact event.
    pub(super) data: Option<u32>,
}

impl Head {
    /// The header of the event that follows the end of another at `offset`, `now` (2.x).
    #[inline]
    pub(super) fn short(
        bytes: &[u8],
        layout: &Layout,
        offset: usize,
        now: u64,
        strict: bool,
    ) -> Result<Head, StopReason> {
        let endian = layout.endian;
        let u16 = |at| endian.u16(bytes, at).ok_or(StopReason::Truncated);
        let start = offset + layout.pad(offset, 4);
        let word = endian.u32(bytes, start).ok_or(StopReason::Truncated)?;
        if strict && word == 0 {
            return Err(StopReason::Blank);
        }
        let tsc = ShortId::tsc(word, now);
        let mut head = Head { id: 0, tsc, size: None, start, end: start + 4, data: None };
        match ShortId::of(word) {
            form @ (ShortId::NextWithSize | ShortId::NextWithSizeAndTsc) => {
                head.id = u16(head.end)?;
                let size = u16(head.end + 2)?;
                head.end += 4;
                head.size = Some(usize::from(size));
                if size == BIG {
                    let size = endian.u32(bytes, head.end).ok_or(StopReason::Truncated)?;
                    head.size = Some(usize::try_from(size).map_err(|_| StopReason::Truncated)?);
                    head.end += 4;
                }
                if form == ShortId::NextWithSizeAndTsc {
                    head.end += layout.pad(head.end, 8);
                    head.tsc = endian.u64(bytes, head.end).ok_or(StopReason::Truncated)?;
                    head.end += 8;
                    if strict && (head.tsc ^ u64::from(word)) & TSC_MASK != 0 {
                        return Err(StopReason::TimeMismatch);
                    }
                }
            }
            ShortId::Next => {
                head.id = u16(head.end)?;
                head.end += 2;
            }
            ShortId::Here(id) => head.id = id,
        }
        Ok(head)
    }
}

/// The first time from `now` on that has `bits` under `mask`, a run of ones; bits below the mask stay.
#[inline]
pub(super) fn roll(now: u64, bits: u64, mask: u64) -> u64 {
    // The bit above the highest of the mask; 0 if there is none.
    let step = if mask == 0 { 0 } else { 1_u64.checked_shl(64 - mask.leading_zeros()).unwrap_or(0) };
    let reached = if bits < now & mask { now.wrapping_add(step) } else { now };
    reached & !mask | bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_roll_over_the_bits_that_are_recorded() {
        assert_eq!(roll(0x5f5e_1000, 0x75e_1400, TSC_MASK), 0x5f5e_1400);
        assert_eq!(roll(0x5f5e_1400, 0x75e_1400, TSC_MASK), 0x5f5e_1400);
        assert_eq!(roll(0x5f5e_1400, 0x75e_13ff, TSC_MASK), 0x675e_13ff);
        assert_eq!(roll(u64::MAX, 1, TSC_MASK), 1);
        // Two recorded bits above three that are not.
        assert_eq!(roll(0b01_1101, 0b1000, 0b01_1000), 0b10_1101);
        assert_eq!(roll(7, 0, 0), 7);
        assert_eq!(roll(7, 6, u64::MAX), 6);
    }
}
