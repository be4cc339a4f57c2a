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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltt::Endian;

    const SIZE: u64 = 8192;

    /// An open sub-buffer full of stale bytes, its header of this format.
    fn open(version: Version, endian: Endian) -> Vec<u8> {
        let template = Header {
            version,
            endian,
            arch_size: 8,
            alignment: 8,
            begin: 0x5f5e_1000,
            end: 0x5000_0000,
            lost_or_data_size: u32::MAX,
            buf_or_sb_size: 77,
            start_freq: 2_400_000_000,
            freq_scale: 1,
            start_tsc: version.has_packed_header().then_some(1),
            start_monotonic: version.has_packed_header().then_some(2),
            start_time_sec: 3,
            start_time_usec: 4,
            events_lost: version.has_loss_counters().then_some(5),
            subbuf_corrupt: version.has_loss_counters().then_some(6),
            packed: version.has_packed_header().then_some(crate::ltt::Packed {
                begin_freq: 1000,
                end_freq: 999,
                arch_type: 1,
                arch_variant: 2,
                float_word_order: 0,
                flight_recorder: 0,
                tscbits: 27,
                eventbits: 0,
                has_heartbeat: false,
                tsc_lsb_truncate: 0,
                compact_data_shift: 0,
            }),
        };
        let mut bytes = vec![0xa5; usize::try_from(SIZE).unwrap()];
        template.write(&mut bytes).unwrap();
        bytes
    }

    const COMPLETION: Completion = Completion {
        valid: 128,
        last_time: 0x7735_9500,
        subbuffer_size: SIZE,
        page_size: 4096,
        events_lost: 0x7_0000_0008,
        corrupted: 0x9_0000_000a,
    };

    #[test]
    fn every_format_in_both_orders() {
        for version in Version::ALL {
            for endian in [Endian::Little, Endian::Big] {
                let before = open(version, endian);
                let mut record = before.clone();
                let len = complete(&mut record, &COMPLETION).unwrap();
                let short = version.has_short_records();
                assert_eq!(len, if short { 4096 } else { 8192 });
                assert_eq!(record.len(), len);

                let open = Header::parse(&before).unwrap();
                let expected = Header {
                    end: 0x7735_9500,
                    lost_or_data_size: if short { 128 } else { 8192 - 128 },
                    buf_or_sb_size: if short { 4096 } else { 8192 },
                    events_lost: open.events_lost.map(|_| 8),
                    subbuf_corrupt: open.subbuf_corrupt.map(|_| 10),
                    packed: open.packed.clone().map(|packed| crate::ltt::Packed { end_freq: 1000, ..packed }),
                    ..open
                };
                assert_eq!(Header::parse(&record).unwrap(), expected);
                assert_eq!(expected.used(expected.record_len()), Some(128));
                assert_eq!(record[expected.len()..128], before[expected.len()..128]);
                assert!(record[128..].iter().all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn only_these_bytes_change_in_2_6() {
        let before = open(Version::V2_6, Endian::Little);
        let mut record = before.clone();
        let completion = Completion { events_lost: 5, corrupted: 6, ..COMPLETION };
        complete(&mut record, &completion).unwrap();
        let mut expected = before;
        expected[8..16].copy_from_slice(&[0x00, 0x95, 0x35, 0x77, 0, 0, 0, 0]);
        expected[52..60].copy_from_slice(&[0x80, 0, 0, 0, 0x00, 0x10, 0, 0]);
        assert_eq!(record[..128], expected[..128]);
    }

    #[test]
    fn full_and_empty_sub_buffers() {
        for (version, header_len) in [(Version::V2_1, 60), (Version::V2_5, 68)] {
            for valid in [header_len, SIZE] {
                let mut record = open(version, Endian::Little);
                let completion = Completion { valid, last_time: 0, ..COMPLETION };
                complete(&mut record, &completion).unwrap();
                let header = Header::parse(&record).unwrap();
                assert_eq!(header.used(header.record_len()), Some(valid));
                // Never before the begin.
                assert_eq!(header.end, header.begin);
            }
        }
    }

    #[test]
    fn contradictory_lengths_are_refused_and_change_nothing() {
        let before = open(Version::V2_6, Endian::Little);
        for completion in [
            Completion { valid: 67, ..COMPLETION },
            Completion { valid: SIZE + 1, ..COMPLETION },
            Completion { valid: u64::MAX, ..COMPLETION },
            Completion { valid: SIZE, subbuffer_size: SIZE - 1, ..COMPLETION },
            Completion { subbuffer_size: 1 << 32, ..COMPLETION },
            Completion { page_size: 0, ..COMPLETION },
            Completion { page_size: u64::MAX, ..COMPLETION },
            Completion { page_size: 65536, ..COMPLETION },
        ] {
            let mut record = before.clone();
            assert!(complete(&mut record, &completion).is_err(), "{completion:?}");
            assert_eq!(record, before);
        }
        let mut short = before[..100].to_vec();
        let error = complete(&mut short, &COMPLETION).unwrap_err();
        assert_eq!(
            error.to_string(),
            "completing a record: expected valid length of at most 100 bytes, found 128"
        );
    }
}
