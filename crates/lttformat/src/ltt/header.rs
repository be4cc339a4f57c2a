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
