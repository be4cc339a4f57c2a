//! Turns an interrupted sub-buffer into the record that the tracer's daemon would have written after a clean stop.

use super::{Header, Version};
use crate::{Error, Result};

/// What is known about a sub-buffer whose writer never left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Bytes from the start of the sub-buffer that hold header and whole events.
    pub valid: u64,
    /// Time of the last of these events in clock cycles; the header's begin when there is none.
    pub last_time: u64,
    /// Size of the sub-buffer in bytes.
    pub subbuffer_size: u64,
    /// Page size of the traced kernel: records of 2.5 and 2.6 are multiples of it.
    pub page_size: u64,
    /// Events the tracer dropped in this buffer since its creation.
    pub events_lost: u64,
    /// Sub-buffers the tracer found corrupt in this buffer since its creation.
    pub corrupted: u64,
}

/// Completes the header of the sub-buffer in `record`, zeroes what follows the valid bytes and gives the vector the length
/// that the record has on disk, which is also returned.
///
/// The header's end becomes the time of the last event (a clean stop would have written the time of the stop, which nobody
/// knows any more), so begin ≤ end holds. The zeroes keep stale bytes of earlier passes inside the core.
///
/// Shape: up to format 2.4 a record is a whole sub-buffer; from 2.5 on its valid bytes, rounded up to a page.
/// Errors: no header in `record`; lengths that contradict each other. `record` is unchanged then.
pub fn complete(record: &mut Vec<u8>, completion: &Completion) -> Result<usize> {
    let mut header = Header::parse(record)?;
    let Completion { valid, last_time, subbuffer_size, page_size, events_lost, corrupted } = *completion;
    let limit = |what, found, limit| Error::Completion { what, limit, found };

    let size = u32::try_from(subbuffer_size)
        .map_err(|_| limit("sub-buffer size", subbuffer_size, u64::from(u32::MAX)))?;
    let held = usize_to_u64(record.len());
    let used = u32::try_from(valid).ok().filter(|&used| used <= size && valid <= held).ok_or(limit(
        "valid length",
        valid,
        subbuffer_size.min(held),
    ))?;
    if valid < usize_to_u64(header.len()) {
        return Err(limit("header", usize_to_u64(header.len()), valid));
    }

    let len = if header.version.has_short_records() {
        // Never more than the sub-buffer: a page larger than a sub-buffer is a caller's mistake, not a longer record.
        valid
            .checked_next_multiple_of(page_size)
            .and_then(|len| u32::try_from(len).ok())
            .filter(|&len| len <= size)
            .ok_or(limit("page size", page_size, subbuffer_size))?
    } else {
        size
    };
    header.end = last_time.max(header.begin);
    header.buf_or_sb_size = len;
    header.lost_or_data_size = if header.version.has_short_records() { used } else { size - used };
    if header.version >= Version::V2_2 {
        header.events_lost = Some(low_half(events_lost));
        header.subbuf_corrupt = Some(low_half(corrupted));
    }
    if let Some(packed) = &mut header.packed {
        packed.end_freq = packed.begin_freq;
    }
    header.write(record)?;

    let len = u32_to_usize(len);
    record.truncate(u32_to_usize(used));
    record.resize(len, 0);
    Ok(len)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the header's counters are the low 32 bits by definition"
)]
fn low_half(counter: u64) -> u32 {
    counter as u32
}

/// Lossless: no supported host has pointers longer than 64 bits.
fn usize_to_u64(len: usize) -> u64 {
    len as u64
}

/// Lossless: the standard library's allocations need a 32-bit address space at least.
fn u32_to_usize(len: u32) -> usize {
    len as usize
}
