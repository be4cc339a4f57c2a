//! What tells one trace from another.

use std::fmt;

use lttformat::ltt::{Endian, Header, Version};

/// What every sub-buffer header of a trace repeats: the format it is written in, the machine, and when and by which clock it
/// was started.
///
/// No two traces of one kernel share it: they are not started in the same microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// Trace format.
    pub version: Version,
    /// Byte order.
    pub endian: Endian,
    /// Size of a pointer: 4 or 8 bytes.
    pub arch_size: u8,
    /// Largest alignment in bytes; 0: nothing is aligned.
    pub alignment: u8,
    /// Wall clock at the start: seconds since 1970.
    pub start_time_sec: u64,
    /// Microseconds of that second.
    pub start_time_usec: u64,
    /// Clock frequency; unit: see [`Clock`](lttformat::ltt::Clock).
    pub start_freq: u64,
    /// Scale of the frequency.
    pub freq_scale: u32,
}

impl Identity {
    /// The identity that a header shows.
    #[must_use]
    pub fn of(header: &Header) -> Identity {
        Identity {
            version: header.version,
            endian: header.endian,
            arch_size: header.arch_size,
            alignment: header.alignment,
            start_time_sec: header.start_time_sec,
            start_time_usec: header.start_time_usec,
            start_freq: header.start_freq,
            freq_scale: header.freq_scale,
        }
    }
}

/// On one line: `format 2.1, 64-bit little endian, started 1795463393.123456, clock 2793437 scale 1000`.
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u16::from(self.arch_size) * 8;
        let order = match self.endian {
            Endian::Little => "little",
            Endian::Big => "big",
        };
        write!(
            f,
            "format {}, {bits}-bit {order} endian, started {}.{:06}, clock {} scale {}",
            self.version, self.start_time_sec, self.start_time_usec, self.start_freq, self.freq_scale
        )
    }
}
