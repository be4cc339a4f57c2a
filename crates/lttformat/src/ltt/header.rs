//! The header at the beginning of every sub-buffer.

use super::{Endian, Version};
use crate::{Error, Result};

/// Every header carries it, in the byte order of the traced machine.
const MAGIC: u32 = 0x00d6_b7ed;

/// Written into `lost_size` or `data_size` when a sub-buffer is begun; replaced when it is ended.
const NEVER_CLOSED: u32 = u32::MAX;

/// One sub-buffer's header, of any format, with its fields in host order.
///
/// Shape: packed, 109 or 108 bytes (1.0, 2.0); naturally aligned, 60 or 68 bytes (2.1; 2.2 to 2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Trace format.
    pub version: Version,
    /// Byte order of everything in the record.
    pub endian: Endian,
    /// Size of a pointer on the traced machine: 4 or 8 bytes.
    pub arch_size: u8,
    /// Largest alignment of events and fields in bytes; 0: nothing is aligned.
    pub alignment: u8,
    /// Time at which the sub-buffer was entered, in clock cycles.
    pub begin: u64,
    /// Time at which it was left, in clock cycles; stale (0 or of an earlier pass) until then.
    pub end: u64,
    /// `lost_size` up to 2.4: unused bytes at the end; `data_size` from 2.5 on: used bytes from the start.
    /// `0xffff_ffff` until the sub-buffer is left: see [`used`](Header::used).
    pub lost_or_data_size: u32,
    /// `buf_size` up to 2.4: size of the sub-buffer; `sb_size` from 2.5 on: length of the record on disk, stale until the
    /// sub-buffer is left.
    pub buf_or_sb_size: u32,
    /// Clock frequency at the start of the trace; unit: see [`Clock`](super::Clock).
    pub start_freq: u64,
    /// Factor between `start_freq` and Hz.
    pub freq_scale: u32,
    /// Clock cycles at the start of the trace (1.0 and 2.0 only).
    pub start_tsc: Option<u64>,
    /// Monotonic time at the start of the trace (1.0 and 2.0 only).
    pub start_monotonic: Option<u64>,
    /// Wall clock at the start of the trace: seconds since 1970.
    pub start_time_sec: u64,
    /// Wall clock at the start of the trace: microseconds within the second.
    pub start_time_usec: u64,
    /// Events the tracer itself dropped in this buffer so far, low 32 bits (2.2 on); stale until the sub-buffer is left.
    pub events_lost: Option<u32>,
    /// Sub-buffers the tracer itself found corrupt in this buffer so far, low 32 bits (2.2 on); stale until the sub-buffer is
    /// left.
    pub subbuf_corrupt: Option<u32>,
    /// What only the long headers of 1.0 and 2.0 have.
    pub packed: Option<Packed>,
}

/// Fields of the long, packed headers of formats 1.0 and 2.0 that later ones dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Clock frequency when the sub-buffer was entered (kHz on x86).
    pub begin_freq: u64,
    /// Clock frequency when it was left.
    pub end_freq: u64,
    /// Architecture number of the tracer.
    pub arch_type: u32,
    /// Variant within the architecture.
    pub arch_variant: u32,
    /// 0 in kernel traces.
    pub float_word_order: u32,
    /// 0 normal, 1 flight recorder, 2 hybrid.
    pub flight_recorder: u8,
    /// Bits of the clock in an event's header.
    pub tscbits: u8,
    /// Bits of the id in an event's header (2.0 only).
    pub eventbits: u8,
    /// Whether event headers hold 32 bits of the clock only, with a heartbeat event when they roll over (1.0 only).
    pub has_heartbeat: bool,
    /// Low bits of the clock that a compact event leaves out (1.0 only).
    pub tsc_lsb_truncate: u8,
    /// Position of the data in a compact event's word (1.0 only).
    pub compact_data_shift: u8,
}

/// Where a header has the fields that all formats share.
struct Offsets {
    end: usize,
    magic: usize,
    version: usize,
    arch_size: usize,
    alignment: usize,
    lost_or_data_size: usize,
    buf_or_sb_size: usize,
    start_freq: usize,
    freq_scale: usize,
    /// `start_tsc`; `start_monotonic` follows it.
    start_tsc: Option<usize>,
    /// Seconds; microseconds follow.
    start_time: usize,
    /// Lost events; corrupted sub-buffers follow.
    losses: Option<usize>,
}

impl Offsets {
    fn of(version: Version) -> Offsets {
        if version.has_packed_header() {
            // One byte more before freq_scale in 1.0.
            let shift = usize::from(version == Version::V1_0);
            return Offsets {
                end: 16,
                magic: 40,
                version: 57,
                arch_size: 56,
                alignment: 60 + shift,
                lost_or_data_size: 32,
                buf_or_sb_size: 36,
                start_freq: 68 + shift,
                freq_scale: 64 + shift,
                start_tsc: Some(76 + shift),
                start_time: 92 + shift,
                losses: None,
            };
        }
        Offsets {
            end: 8,
            magic: 16,
            version: 20,
            arch_size: 22,
            alignment: 23,
            lost_or_data_size: 52,
            buf_or_sb_size: 56,
            start_freq: 40,
            freq_scale: 48,
            start_tsc: None,
            start_time: 24,
            losses: version.has_loss_counters().then_some(60),
        }
    }
}

impl Header {
    /// Reads the header at the start of `bytes`; format and byte order come from the magic number's place and form.
    ///
    /// Says nothing about the sub-buffer being complete, nor about the header being *current*: memory that was reserved but
    /// not yet written shows the header of an earlier pass.
    ///
    /// Errors: no magic, unknown version, fewer bytes than the header has, impossible pointer size or alignment.
    pub fn parse(bytes: &[u8]) -> Result<Header> {
        let (endian, version) = identify(bytes)?;
        let at = Offsets::of(version);
        let len = version.header_len();
        let short = || Error::Short { expected: len, found: bytes.len() };
        let bytes = bytes.get(..len).ok_or_else(short)?;
        let u8 = |offset: usize| bytes.get(offset).copied().ok_or_else(short);
        let u32 = |offset| endian.u32(bytes, offset).ok_or_else(short);
        let u64 = |offset| endian.u64(bytes, offset).ok_or_else(short);

        let arch_size = u8(at.arch_size)?;
        if !matches!(arch_size, 4 | 8) {
            return Err(field("arch_size", at.arch_size, "4 or 8", arch_size));
        }
        let alignment = u8(at.alignment)?;
        if !matches!(alignment, 0 | 1 | 2 | 4 | 8) {
            return Err(field("alignment", at.alignment, "0 or a power of two up to 8", alignment));
        }
        let packed = if version.has_packed_header() {
            let v1 = version == Version::V1_0;
            Some(Packed {
                begin_freq: u64(8)?,
                end_freq: u64(24)?,
                arch_type: u32(44)?,
                arch_variant: u32(48)?,
                float_word_order: u32(52)?,
                flight_recorder: u8(59)?,
                tscbits: u8(if v1 { 63 } else { 61 })?,
                eventbits: if v1 { 0 } else { u8(62)? },
                has_heartbeat: v1 && u8(60)? != 0,
                tsc_lsb_truncate: if v1 { u8(62)? } else { 0 },
                compact_data_shift: if v1 { u8(64)? } else { 0 },
            })
        } else {
            None
        };
        Ok(Header {
            version,
            endian,
            arch_size,
            alignment,
            begin: u64(0)?,
            end: u64(at.end)?,
            lost_or_data_size: u32(at.lost_or_data_size)?,
            buf_or_sb_size: u32(at.buf_or_sb_size)?,
            start_freq: u64(at.start_freq)?,
            freq_scale: u32(at.freq_scale)?,
            start_tsc: at.start_tsc.map(u64).transpose()?,
            start_monotonic: at.start_tsc.map(|offset| u64(offset + 8)).transpose()?,
            start_time_sec: u64(at.start_time)?,
            start_time_usec: u64(at.start_time + 8)?,
            events_lost: at.losses.map(u32).transpose()?,
            subbuf_corrupt: at.losses.map(|offset| u32(offset + 4)).transpose()?,
            packed,
        })
    }

    /// Length of the header: events start here, plus the first one's padding.
    #[expect(clippy::len_without_is_empty, reason = "a header is never empty")]
    pub fn len(&self) -> usize {
        self.version.header_len()
    }

    /// Whether the end of the header was written: the writer has left the sub-buffer.
    pub fn is_closed(&self) -> bool {
        self.lost_or_data_size != NEVER_CLOSED
    }

    /// Bytes of the sub-buffer that hold header and events, in a sub-buffer of `subbuffer_size` bytes.
    ///
    /// `None`: never closed, or the length makes no sense (inside the header or beyond the sub-buffer).
    pub fn used(&self, subbuffer_size: u64) -> Option<u64> {
        if !self.is_closed() {
            return None;
        }
        let field = u64::from(self.lost_or_data_size);
        let used =
            if self.version.has_short_records() { field } else { subbuffer_size.checked_sub(field)? };
        let header = u64::try_from(self.len()).ok()?;
        (header..=subbuffer_size).contains(&used).then_some(used)
    }

    /// Bytes of this record in a file: `buf_size` up to 2.4, `sb_size` from 2.5 on. Unchecked; stale in an open sub-buffer of
    /// format 2.5 or 2.6.
    pub fn record_len(&self) -> u64 {
        u64::from(self.buf_or_sb_size)
    }

    /// Writes the header over the first [`len`](Header::len) bytes of `out`; bytes that belong to no field are left alone.
    ///
    /// Errors: `out` is shorter than the header.
    pub fn write(&self, out: &mut [u8]) -> Result<()> {
        let (expected, found) = (self.len(), out.len());
        let out = out.get_mut(..expected).ok_or(Error::Short { expected, found })?;
        let at = Offsets::of(self.version);
        let put_u8 = |out: &mut [u8], offset: usize, value| {
            if let Some(place) = out.get_mut(offset) {
                *place = value;
            }
        };
        let endian = self.endian;
        endian.put_u64(out, 0, self.begin);
        endian.put_u64(out, at.end, self.end);
        endian.put_u32(out, at.magic, MAGIC);
        put_u8(out, at.version, self.version.major);
        put_u8(out, at.version + 1, self.version.minor);
        put_u8(out, at.arch_size, self.arch_size);
        put_u8(out, at.alignment, self.alignment);
        endian.put_u32(out, at.lost_or_data_size, self.lost_or_data_size);
        endian.put_u32(out, at.buf_or_sb_size, self.buf_or_sb_size);
        endian.put_u64(out, at.start_freq, self.start_freq);
        endian.put_u32(out, at.freq_scale, self.freq_scale);
        endian.put_u64(out, at.start_time, self.start_time_sec);
        endian.put_u64(out, at.start_time + 8, self.start_time_usec);
        if let Some(offset) = at.start_tsc {
            endian.put_u64(out, offset, self.start_tsc.unwrap_or(0));
            endian.put_u64(out, offset + 8, self.start_monotonic.unwrap_or(0));
        }
        if let Some(offset) = at.losses {
            endian.put_u32(out, offset, self.events_lost.unwrap_or(0));
            endian.put_u32(out, offset + 4, self.subbuf_corrupt.unwrap_or(0));
        }
        if let Some(packed) = &self.packed {
            endian.put_u64(out, 8, packed.begin_freq);
            endian.put_u64(out, 24, packed.end_freq);
            endian.put_u32(out, 44, packed.arch_type);
            endian.put_u32(out, 48, packed.arch_variant);
            endian.put_u32(out, 52, packed.float_word_order);
            put_u8(out, 59, packed.flight_recorder);
            if self.version == Version::V1_0 {
                put_u8(out, 60, u8::from(packed.has_heartbeat));
                put_u8(out, 62, packed.tsc_lsb_truncate);
                put_u8(out, 63, packed.tscbits);
                put_u8(out, 64, packed.compact_data_shift);
            } else {
                put_u8(out, 61, packed.tscbits);
                put_u8(out, 62, packed.eventbits);
            }
        }
        Ok(())
    }
}

/// Byte order and version of the header at the start of `bytes`.
fn identify(bytes: &[u8]) -> Result<(Endian, Version)> {
    let word = |offset| Endian::Little.u32(bytes, offset).unwrap_or(0);
    let mut unknown = None;
    for (magic_at, version_at) in [(16, 20), (40, 57)] {
        let endian = match word(magic_at) {
            MAGIC => Endian::Little,
            found if found.swap_bytes() == MAGIC => Endian::Big,
            _ => continue,
        };
        let Some(&[major, minor]) = bytes.get(version_at..).and_then(|rest| rest.first_chunk()) else {
            return Err(Error::Short { expected: version_at + 2, found: bytes.len() });
        };
        let version = Version::new(major, minor);
        if version.is_known() && version.has_packed_header() == (magic_at == 40) {
            return Ok((endian, version));
        }
        unknown.get_or_insert(Error::Version { found: version, magic_at });
    }
    match unknown {
        Some(error) => Err(error),
        None if bytes.len() < 44 => {
            Err(Error::Short { expected: Version::V2_1.header_len(), found: bytes.len() })
        }
        None => Err(Error::Magic { at_16: word(16), at_40: word(40) }),
    }
}

fn field(field: &'static str, offset: usize, expected: &'static str, found: u8) -> Error {
    Error::Field { field, offset, expected, found: u64::from(found) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Format 2.6, 64-bit little endian, alignment 8; open, first pass.
    const OPEN_2_6: [u8; 68] = [
        0x00, 0x10, 0x5e, 0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // begin, end
        0xed, 0xb7, 0xd6, 0x00, 2, 6, 8, 8, 0x00, 0x3b, 0x3d, 0x4b, 0, 0, 0, 0, // magic …, seconds
        0x40, 0xe2, 0x01, 0x00, 0, 0, 0, 0, 0x00, 0x18, 0x0d, 0x8f, 0, 0, 0,
        0, // microseconds, frequency
        1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, // scale, data_size, sb_size, lost
        0, 0, 0, 0, // corrupt
    ];

    /// Format 2.1, 32-bit big endian, alignment 4; complete.
    const COMPLETE_2_1: [u8; 60] = [
        0, 0, 0, 0, 0, 0, 0x10, 0x00, 0, 0, 0, 0, 0, 0, 0x90, 0x00, // begin, end
        0x00, 0xd6, 0xb7, 0xed, 2, 1, 4, 4, 0, 0, 0, 0, 0x48, 0xd6, 0x3d, 0x80, // magic …, seconds
        0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40, // microseconds, frequency
        0, 0, 0x03, 0xe8, 0, 0, 0x03, 0x44, 0, 1, 0, 0, // scale, lost_size, buf_size
    ];

    /// The same header from a machine of the other byte order; `words` are the lengths of the fields.
    fn other_order<const N: usize>(mut bytes: [u8; N], words: &[usize]) -> [u8; N] {
        let mut rest = &mut bytes[..];
        for &len in words {
            let (word, after) = std::mem::take(&mut rest).split_at_mut(len);
            word.reverse();
            rest = after;
        }
        assert!(rest.is_empty());
        bytes
    }

    const WORDS_2_1: [usize; 14] = [8, 8, 4, 1, 1, 1, 1, 8, 8, 8, 4, 4, 4, 0];
    const WORDS_2_6: [usize; 15] = [8, 8, 4, 1, 1, 1, 1, 8, 8, 8, 4, 4, 4, 4, 4];

    fn assert_written_back(header: &Header, bytes: &[u8]) {
        let mut out = bytes.to_vec();
        out[..header.len()].fill(0xa5);
        out.push(0x77);
        header.write(&mut out).unwrap();
        assert_eq!(out, [bytes, &[0x77]].concat());
    }

    #[test]
    fn open_2_6_in_both_orders() {
        for (endian, bytes) in [(Endian::Little, OPEN_2_6), (Endian::Big, other_order(OPEN_2_6, &WORDS_2_6))]
        {
            let header = Header::parse(&bytes).unwrap();
            let expected = Header {
                version: Version::V2_6,
                endian,
                arch_size: 8,
                alignment: 8,
                begin: 0x5f5e_1000,
                end: 0,
                lost_or_data_size: u32::MAX,
                buf_or_sb_size: 0,
                start_freq: 2_400_000_000,
                freq_scale: 1,
                start_tsc: None,
                start_monotonic: None,
                start_time_sec: 1_262_304_000,
                start_time_usec: 123_456,
                events_lost: Some(0),
                subbuf_corrupt: Some(0),
                packed: None,
            };
            assert_eq!(header, expected);
            assert_eq!((header.len(), header.used(4096), header.is_closed()), (68, None, false));
            assert_written_back(&header, &bytes);
        }
    }

    #[test]
    fn complete_2_1_in_both_orders() {
        for (endian, bytes) in
            [(Endian::Big, COMPLETE_2_1), (Endian::Little, other_order(COMPLETE_2_1, &WORDS_2_1))]
        {
            let header = Header::parse(&bytes).unwrap();
            assert_eq!((header.version, header.endian, header.len()), (Version::V2_1, endian, 60));
            assert_eq!((header.arch_size, header.alignment), (4, 4));
            assert_eq!((header.begin, header.end), (0x1000, 0x9000));
            assert_eq!((header.start_time_sec, header.start_time_usec), (1_222_000_000, 5));
            assert_eq!((header.start_freq, header.freq_scale), (1_000_000, 1000));
            assert_eq!((header.record_len(), header.used(65536)), (65536, Some(65536 - 836)));
            assert_eq!((header.events_lost, header.subbuf_corrupt), (None, None));
            assert_written_back(&header, &bytes);
        }
    }

    /// The fields of the long headers, in their order; every one has a value of its own.
    fn packed_header(version: (u8, u8), endian: Endian) -> Vec<u8> {
        let word = |value: u64, len: usize| {
            let mut bytes = value.to_le_bytes()[..len].to_vec();
            if endian == Endian::Big {
                bytes.reverse();
            }
            bytes
        };
        let mut fields = vec![word(0x1001, 8), word(0x1002, 8), word(0x1003, 8), word(0x1004, 8)];
        fields.extend([
            word(100, 4),
            word(8192, 4),
            word(0x00d6_b7ed, 4),
            word(11, 4),
            word(12, 4),
            word(13, 4),
        ]);
        fields.push(vec![8, version.0, version.1, 2]);
        // 1.0: has_heartbeat, alignment, tsc_lsb_truncate, tscbits, compact_data_shift.
        // 2.0: alignment, tscbits, eventbits, unused.
        fields.push(if version == (1, 0) { vec![1, 8, 5, 10, 17] } else { vec![8, 27, 5, 0xa5] });
        fields.extend([word(1, 4), word(0x1005, 8), word(0x1006, 8), word(0x1007, 8)]);
        fields.extend([word(0x1008, 8), word(0x1009, 8)]);
        fields.concat()
    }

    #[test]
    fn packed_headers_in_both_orders() {
        for (version, endian) in [
            (Version::V1_0, Endian::Little),
            (Version::V1_0, Endian::Big),
            (Version::V2_0, Endian::Little),
            (Version::V2_0, Endian::Big),
        ] {
            let bytes = packed_header((version.major, version.minor), endian);
            let header = Header::parse(&bytes).unwrap();
            let v1 = version == Version::V1_0;
            assert_eq!(bytes.len(), header.len());
            assert_eq!(
                (header.version, header.endian, header.arch_size, header.alignment),
                (version, endian, 8, 8)
            );
            assert_eq!((header.begin, header.end), (0x1001, 0x1003));
            assert_eq!((header.used(8192), header.record_len()), (Some(8092), 8192));
            assert_eq!((header.freq_scale, header.start_freq), (1, 0x1005));
            assert_eq!((header.start_tsc, header.start_monotonic), (Some(0x1006), Some(0x1007)));
            assert_eq!((header.start_time_sec, header.start_time_usec), (0x1008, 0x1009));
            let expected = Packed {
                begin_freq: 0x1002,
                end_freq: 0x1004,
                arch_type: 11,
                arch_variant: 12,
                float_word_order: 13,
                flight_recorder: 2,
                tscbits: if v1 { 10 } else { 27 },
                eventbits: if v1 { 0 } else { 5 },
                has_heartbeat: v1,
                tsc_lsb_truncate: if v1 { 5 } else { 0 },
                compact_data_shift: if v1 { 17 } else { 0 },
            };
            assert_eq!(header.packed.as_ref(), Some(&expected));
            assert_written_back(&header, &bytes);
        }
    }

    #[test]
    fn used_lengths() {
        let with =
            |header: &[u8], field| Header { lost_or_data_size: field, ..Header::parse(header).unwrap() };
        let lost = |field| with(&COMPLETE_2_1, field).used(65536);
        assert_eq!([lost(0), lost(65536 - 60)], [Some(65536), Some(60)]);
        assert_eq!([lost(65536 - 59), lost(65537), lost(u32::MAX)], [None; 3]);
        let data = |field| with(&OPEN_2_6, field).used(4096);
        assert_eq!([data(68), data(4096)], [Some(68), Some(4096)]);
        assert_eq!([data(67), data(4097), data(u32::MAX)], [None; 3]);
    }

    #[test]
    fn what_is_no_header() {
        let message = |bytes: &[u8]| Header::parse(bytes).unwrap_err().to_string();
        let patched = |offset: usize, value: u8| {
            let mut bytes = OPEN_2_6;
            bytes[offset] = value;
            message(&bytes)
        };
        assert_eq!(message(&[]), "sub-buffer header: expected 60 bytes, found 0");
        assert_eq!(message(&OPEN_2_6[..67]), "sub-buffer header: expected 68 bytes, found 67");
        assert_eq!(
            message(&[0; 68]),
            "sub-buffer header: expected magic 0xd6b7ed at byte 16 or 40, found 0x00000000 and 0x00000000"
        );
        assert_eq!(
            patched(21, 7),
            "sub-buffer header: expected trace format 1.0 or 2.0 to 2.6, found 2.7 (magic at byte 16)"
        );
        // The right version at the wrong place.
        assert!(patched(21, 0).contains("found 2.0"));
        assert_eq!(patched(22, 3), "sub-buffer header: expected 4 or 8 in arch_size (byte 22), found 3");
        assert!(patched(23, 3).contains("alignment (byte 23), found 3"));
    }

    proptest! {
        #[test]
        fn any_bytes_do_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 0..160), at_40: bool, version in 0..8_usize) {
            let _ = Header::parse(&bytes);
            // And with a magic.
            let (magic, place) = if at_40 { (40, 57) } else { (16, 20) };
            if let Some(bytes) = bytes.get_mut(magic..magic + 4) {
                bytes.copy_from_slice(&MAGIC.to_be_bytes());
            }
            let version = Version::ALL[version];
            if let Some(bytes) = bytes.get_mut(place..place + 2) {
                bytes.copy_from_slice(&[version.major, version.minor]);
            }
            if let Ok(header) = Header::parse(&bytes) {
                let _ = header.used(u64::from(header.buf_or_sb_size));
                let mut out = bytes.clone();
                header.write(&mut out).unwrap();
                prop_assert_eq!(Header::parse(&out).unwrap(), header);
            }
        }
    }
}
