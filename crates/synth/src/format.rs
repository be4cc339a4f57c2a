//! Trace formats 1.0 to 2.6 as the tracer writes them: sub-buffer headers and event records.

use crate::abi::Abi;
use crate::marker::{Marker, Payload};

/// Magic number of every sub-buffer header.
pub(crate) const MAGIC: u64 = 0x00d6_b7ed;
const OPEN: u64 = 0xffff_ffff;
/// 1.0: the event that only lets the time go on.
pub(crate) const HEARTBEAT: u16 = 2;
/// 1.0: the event whose argument is the full time.
pub(crate) const HEARTBEAT_FULL: u16 = 3;

/// One trace format on one machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    pub(crate) version: (u8, u8),
    pub(crate) abi: Abi,
    /// The `alignment` byte: 0, 4 or 8.
    pub(crate) alignment: u64,
    pub(crate) page_size: u64,
    /// 1.0: event headers hold the low 32 bits of the time, and heartbeats the rest.
    pub(crate) heartbeat: bool,
    /// 1.0 with heartbeat: the channel whose event headers are one word.
    pub(crate) compact: bool,
}

/// 1.0 with heartbeat: bits of the time in a compact event's word, low bits of the time that are left out of it, and the place of
/// the first argument.
const TSC_BITS: u32 = 20;
pub(crate) const TSC_TRUNCATED: u32 = 4;
const DATA_SHIFT: u32 = TSC_BITS + 7;
/// Bits that the first argument has in it.
pub(crate) const DATA_BITS: u32 = 32 - DATA_SHIFT;

/// Clock and identity of a trace, repeated in every header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Frequency as the tracer writes it.
    pub start_freq: u64,
    /// Its scale.
    pub freq_scale: u64,
    /// TSC when the trace was created.
    pub start_tsc: u64,
    /// Monotonic time then, in nanoseconds.
    pub start_monotonic: u64,
    /// Wall clock then: seconds.
    pub start_time_sec: u64,
    /// Wall clock then: microseconds.
    pub start_time_usec: u64,
}

/// Where the fields of a sub-buffer header lie.
struct Offsets {
    begin: usize,
    end: usize,
    /// `lost_size` or `data_size`.
    used: usize,
    /// `buf_size` or `sb_size`.
    size: usize,
    len: usize,
}

/// One event record: pieces to write, relative to the end of the record before.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    pub(crate) pieces: Vec<(u64, Vec<u8>)>,
    /// Bytes from the end of the record before to the end of this one.
    pub(crate) len: u64,
    /// Position after the event header, before the payload's padding.
    pub(crate) after_header: u64,
    pub(crate) payload_len: u64,
}

/// Forms of a 2.x event header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Short,
    FullTime,
    LongId,
}

impl Format {
    fn offsets(&self) -> Offsets {
        match self.version {
            (1, _) => Offsets { begin: 0, end: 16, used: 32, size: 36, len: 109 },
            (2, 0) => Offsets { begin: 0, end: 16, used: 32, size: 36, len: 108 },
            (2, 1) => Offsets { begin: 0, end: 8, used: 52, size: 56, len: 60 },
            _ => Offsets { begin: 0, end: 8, used: 52, size: 56, len: 68 },
        }
    }

    pub(crate) fn header_len(&self) -> u64 {
        self.offsets().len as u64
    }

    /// Formats from 2.5 say how much is used instead of how much is lost.
    pub(crate) fn has_data_size(&self) -> bool {
        self.version >= (2, 5)
    }

    pub(crate) fn has_lost_counts(&self) -> bool {
        self.version >= (2, 2)
    }

    /// Markers belong to channels, files lie flat.
    pub(crate) fn per_channel_ids(&self) -> bool {
        self.version >= (2, 3)
    }

    /// What entering a sub-buffer writes.
    pub(crate) fn begin(&self, sb: &mut [u8], clock: &Clock, tsc: u64, mode: u64) {
        let at = self.offsets();
        let abi = self.abi;
        let (major, minor) = self.version;
        abi.put(sb, at.begin, 8, tsc);
        abi.put(sb, at.used, 4, OPEN);
        if self.version < (2, 5) {
            abi.put(sb, at.size, 4, sb.len() as u64);
        }
        if self.version >= (2, 1) {
            abi.put(sb, 16, 4, MAGIC);
            sb[20..24].copy_from_slice(&[major, minor, abi.word as u8, self.alignment as u8]);
            abi.put(sb, 24, 8, clock.start_time_sec);
            abi.put(sb, 32, 8, clock.start_time_usec);
            abi.put(sb, 40, 8, clock.start_freq);
            abi.put(sb, 48, 4, clock.freq_scale);
            return;
        }
        abi.put(sb, 8, 8, clock.start_freq);
        abi.put(sb, 40, 4, MAGIC);
        abi.put(sb, 44, 4, 1);
        abi.put(sb, 48, 4, 0);
        abi.put(sb, 52, 4, 0);
        sb[56..60].copy_from_slice(&[abi.word as u8, major, minor, mode as u8]);
        let tail = if major == 1 {
            let widths = if self.heartbeat { [TSC_TRUNCATED, TSC_BITS, DATA_SHIFT] } else { [0; 3] };
            let widths = widths.map(|bits| bits as u8);
            sb[60..62].copy_from_slice(&[u8::from(self.heartbeat), self.alignment as u8]);
            sb[62..65].copy_from_slice(&widths);
            65
        } else {
            sb[60..64].copy_from_slice(&[self.alignment as u8, 27, 5, 0]);
            64
        };
        abi.put(sb, tail, 4, clock.freq_scale);
        let rest = [
            clock.start_freq,
            clock.start_tsc,
            clock.start_monotonic,
            clock.start_time_sec,
            clock.start_time_usec,
        ];
        for (i, value) in rest.into_iter().enumerate() {
            abi.put(sb, tail + 4 + 8 * i, 8, value);
        }
    }

    /// What leaving a sub-buffer with `used` bytes writes.
    pub(crate) fn end(&self, sb: &mut [u8], used: u64, tsc: u64, lost: u64, corrupted: u64) {
        let at = self.offsets();
        let len = sb.len() as u64;
        self.abi.put(sb, at.end, 8, tsc);
        if self.version < (2, 1) {
            let freq = self.abi.get(sb, 8, 8);
            self.abi.put(sb, 24, 8, freq);
        }
        if self.has_data_size() {
            self.abi.put(sb, at.used, 4, used);
            self.abi.put(sb, at.size, 4, used.next_multiple_of(self.page_size));
        } else {
            self.abi.put(sb, at.used, 4, len - used);
            self.abi.put(sb, at.size, 4, len);
        }
        if self.has_lost_counts() {
            self.abi.put(sb, 60, 4, lost & OPEN);
            self.abi.put(sb, 64, 4, corrupted & OPEN);
        }
    }

    /// Bytes that the daemon writes for a finished sub-buffer.
    pub(crate) fn record_len(&self, sb: &[u8]) -> usize {
        if self.has_data_size() { self.abi.get(sb, self.offsets().size, 4) as usize } else { sb.len() }
    }

    /// Another size of the sub-buffer in a header.
    pub(crate) fn set_size(&self, sb: &mut [u8], size: u32) {
        self.abi.put(sb, self.offsets().size, 4, u64::from(size));
    }

    /// A finished header as it would look if its sub-buffer were still being written for the first time.
    pub(crate) fn reopen(&self, sb: &mut [u8]) {
        let at = self.offsets();
        self.abi.put(sb, at.used, 4, OPEN);
        self.abi.put(sb, at.end, 8, 0);
        if self.has_data_size() {
            self.abi.put(sb, at.size, 4, 0);
        }
    }

    /// A header as a trace that was started 1000 seconds later would have it.
    pub(crate) fn shift_start(&self, sb: &mut [u8]) {
        let at = match self.version {
            (1, _) => 93,
            (2, 0) => 92,
            _ => 24,
        };
        let start = self.abi.get(sb, at, 8);
        self.abi.put(sb, at, 8, start + 1000);
    }

    /// `a - off` modulo the alignment that a type of `size` bytes gets.
    pub(crate) fn pad(&self, off: u64, size: u64) -> u64 {
        let natural = matches!(self.version, (2, 4 | 5));
        let a = match self.alignment {
            0 => 1,
            _ if natural => size,
            cap => size.min(cap),
        };
        a.wrapping_sub(off) & (a - 1)
    }

    /// The record of `marker` at offset `off` of its sub-buffer.
    pub(crate) fn event(
        &self,
        off: u64,
        tsc: u64,
        marker: &Marker,
        payload: &Payload,
        form: Form,
    ) -> Encoded {
        if self.version.0 == 1 {
            return self.event_1_0(off, tsc, marker, payload);
        }
        let abi = self.abi;
        let payload = payload.encode(self);
        let mut at = off + self.pad(off, 4);
        let mut pieces = Vec::new();
        let (code, id) = match form {
            Form::Short => (u64::from(marker.id), None),
            Form::FullTime => (29, Some(marker.id)),
            Form::LongId => (31, Some(marker.id)),
        };
        let mut header = abi.bytes(code << 27 | tsc & 0x07ff_ffff, 4);
        if let Some(id) = id {
            header.extend(abi.bytes(u64::from(id), 2));
        }
        if form == Form::FullTime {
            let size = payload.bytes.len() as u64;
            header.extend(abi.bytes(size.min(0xffff), 2));
            if size >= 0xffff {
                header.extend(abi.bytes(size, 4));
            }
        }
        let len = header.len() as u64;
        pieces.push((at - off, header));
        at += len;
        if form == Form::FullTime {
            at += self.pad(at, 8);
            pieces.push((at - off, abi.bytes(tsc, 8)));
            at += 8;
        }
        let after_header = at;
        at += self.pad(at, payload.align);
        let payload_len = payload.bytes.len() as u64;
        pieces.push((at - off, payload.bytes));
        Encoded { pieces, len: at + payload_len - off, after_header, payload_len }
    }

    /// How far the time may go on before an event needs a heartbeat in front.
    pub(crate) fn heartbeat_every(&self) -> Option<u64> {
        self.heartbeat.then_some(if self.compact { 1 << (TSC_BITS + TSC_TRUNCATED) } else { 1 << 32 })
    }

    fn event_1_0(&self, off: u64, tsc: u64, marker: &Marker, payload: &Payload) -> Encoded {
        let abi = self.abi;
        let data = payload.data();
        let payload = payload.encode(self);
        let payload_len = payload.bytes.len() as u64;
        let mut at = off + self.pad(off, if self.compact { 4 } else { abi.word });
        let header = if self.compact {
            let time = tsc >> TSC_TRUNCATED & ((1 << TSC_BITS) - 1);
            abi.bytes(data << DATA_SHIFT | u64::from(marker.id) << TSC_BITS | time, 4)
        } else {
            let time = if self.heartbeat { abi.bytes(tsc & OPEN, 4) } else { abi.bytes(tsc, 8) };
            [time, abi.bytes(u64::from(marker.id), 2), abi.bytes(payload_len.min(0xffff), 2)].concat()
        };
        let header_len = header.len() as u64;
        let mut pieces = vec![(at - off, header)];
        at += header_len;
        let after_header = at;
        if self.compact && marker.id == HEARTBEAT_FULL {
            at += self.pad(at, 8);
        } else if self.alignment != 0 && !self.compact {
            at += at.wrapping_neg() & (abi.word - 1);
        }
        pieces.push((at - off, payload.bytes));
        Encoded { pieces, len: at + payload_len - off, after_header, payload_len }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Endian;
    use crate::marker::Value;

    const LE64: Abi = Abi { endian: Endian::Little, word: 8, align64: 8 };

    /// Example 6.9 of the format notes.
    #[test]
    fn writes_the_worked_example_of_2_6() {
        let format = Format {
            version: (2, 6),
            abi: LE64,
            alignment: 8,
            page_size: 4096,
            heartbeat: false,
            compact: false,
        };
        let switch = Marker::new("switch", 3, "pid %d prio #2u%u name %s");
        let addr = Marker::new("addr", 40, "addr %p");
        let v = Marker::new("v", 5, "v %d");
        let none = Marker::new("none", 0, "");
        let mut out = [0; 128];
        let mut at = 68;
        let events = [
            (0x5f5e_1400, &switch, vec![1234.into(), 120.into(), Value::Text(b"bash".to_vec())], Form::Short),
            (0x5f5e_1480, &addr, vec![0xffff_8800_1234_5678.into()], Form::LongId),
            (0x7735_9400, &v, vec![7.into()], Form::FullTime),
            (0x7735_9500, &none, vec![], Form::Short),
        ];
        for (tsc, marker, values, form) in events {
            let record = format.event(at, tsc, marker, &marker.payload(values), form);
            for (off, bytes) in record.pieces {
                out[(at + off) as usize..][..bytes.len()].copy_from_slice(&bytes);
            }
            at += record.len;
        }
        let expected = "00145e1fd20400007800626173680000 80145eff28000000000000007856341200 88ffff
            009435ef05000400009435770000000007000000 00953507";
        let hex: String = out[68..].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, expected.split_whitespace().collect::<String>());
        assert_eq!(at, 128);
    }

    /// Example 5.6: a 2.1 header of a 32-bit big-endian machine.
    #[test]
    fn writes_the_worked_example_of_2_1() {
        let abi = Abi { endian: Endian::Big, word: 4, align64: 8 };
        let format =
            Format { version: (2, 1), abi, alignment: 4, page_size: 4096, heartbeat: false, compact: false };
        let clock = Clock {
            start_freq: 1_000_000,
            freq_scale: 1000,
            start_tsc: 0,
            start_monotonic: 0,
            start_time_sec: 1_222_000_000,
            start_time_usec: 5,
        };
        let mut sb = vec![0; 65536];
        format.begin(&mut sb, &clock, 0x1000, 0);
        format.end(&mut sb, 65536 - 836, 0x9000, 0, 0);
        let hex: String = sb[..60].iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            hex,
            "0000000000001000000000000000900000d6b7ed020104040000000048d63d80\
             000000000000000500000000000f4240000003e80000034400010000"
        );
    }
}
