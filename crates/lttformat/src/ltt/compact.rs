//! Event headers of format 1.0: full, shortened by a heartbeat, and compact.

use super::StopReason;
use super::align::to_boundary;
use super::head::{BIG, Head, roll};
use super::layout::{Compact, Form, Layout};

/// Id of the event whose payload is the full time.
const HEARTBEAT_FULL: u16 = 3;

impl Head {
    /// The header of the event that follows the end of another at `offset`, `now` (1.0).
    pub(super) fn v1(bytes: &[u8], layout: &Layout, offset: usize, now: u64) -> Result<Head, StopReason> {
        let endian = layout.endian;
        let cut = StopReason::Truncated;
        let (start, time_len, tsc) = match layout.form {
            Form::Compact(compact) => {
                let start = offset + layout.pad(offset, 4);
                let word = endian.u32(bytes, start).ok_or(cut)?;
                return Ok(compact_head(word, compact, start, now));
            }
            Form::Heartbeat => {
                let start = offset + to_boundary(offset, layout.alignment.max(1));
                let low = endian.u32(bytes, start).ok_or(cut)?;
                (start, 4, roll(now, u64::from(low), u64::from(u32::MAX)))
            }
            Form::Full | Form::Short => {
                let start = offset + to_boundary(offset, layout.alignment.max(1));
                (start, 8, endian.u64(bytes, start).ok_or(cut)?)
            }
        };
        let id = endian.u16(bytes, start + time_len).ok_or(cut)?;
        let size = endian.u16(bytes, start + time_len + 2).ok_or(cut)?;
        let size = (size != BIG).then_some(usize::from(size));
        Ok(Head { id, tsc, size, start, end: start + time_len + 4, data: None })
    }

    /// Bytes between the header and its payload.
    pub(super) fn v1_payload_pad(&self, layout: &Layout) -> usize {
        match layout.form {
            Form::Compact(_) if self.id == HEARTBEAT_FULL => layout.pad(self.end, 8),
            Form::Compact(_) => 0,
            _ => to_boundary(self.end, layout.alignment.max(1)),
        }
    }

    /// The event's time: the full heartbeat's payload goes before the few bits in its header.
    pub(super) fn v1_time(&self, bytes: &[u8], layout: &Layout, payload: usize) -> Result<u64, StopReason> {
        match layout.form {
            Form::Compact(_) | Form::Heartbeat if self.id == HEARTBEAT_FULL => {
                layout.endian.u64(bytes, payload).ok_or(StopReason::Truncated)
            }
            _ => Ok(self.tsc),
        }
    }
}

/// Widths come from the sub-buffer's header, unchecked: what does not fit a word is as wide as a word.
fn compact_head(word: u32, compact: Compact, start: usize, now: u64) -> Head {
    let Compact { tscbits, data_shift, truncated } = compact;
    let ones = |bits: u8| 1_u32.checked_shl(u32::from(bits)).map_or(u32::MAX, |bit| bit.wrapping_sub(1));
    let shifted = |bits: u8| word.checked_shr(u32::from(bits)).unwrap_or(0);
    let time = |bits: u32| u64::from(bits).checked_shl(u32::from(truncated)).unwrap_or(0);
    let id = shifted(tscbits) & ones(data_shift.saturating_sub(tscbits));
    Head {
        // A wider id than events can have is none that was announced.
        id: u16::try_from(id).unwrap_or(u16::MAX),
        tsc: roll(now, time(word & ones(tscbits)), time(ones(tscbits))),
        size: None,
        start,
        end: start + 4,
        data: Some(shifted(data_shift)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_word_is_data_id_and_time() {
        let compact = Compact { tscbits: 10, data_shift: 17, truncated: 5 };
        let word = 0x1234 << 17 | 9 << 10 | 0x155;
        let head = compact_head(word, compact, 112, 0x8000);
        assert_eq!((head.id, head.data, head.start, head.end), (9, Some(0x1234), 112, 116));
        assert_eq!(head.tsc, 0x8000 + (0x155 << 5));
    }

    #[test]
    fn impossible_widths_do_no_harm() {
        for (tscbits, data_shift, truncated) in [(0, 0, 0), (32, 32, 32), (255, 255, 255), (40, 3, 70)] {
            let head = compact_head(0xdead_beef, Compact { tscbits, data_shift, truncated }, 0, 77);
            assert!(head.end > head.start);
        }
    }
}
