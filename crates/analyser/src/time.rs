//! Clock cycles of a trace as nanoseconds and as wall clock.

use lttformat::ltt::{Clock, Header};

/// The clock of one trace: when its events happened, on two scales.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceClock {
    clock: Clock,
    /// Wall clock at the clock's zero.
    zero: Option<i128>,
}

impl TraceClock {
    /// The clock of the trace that has this header somewhere. `start_tsc`: the cycles at which it was started, as the kernel's
    /// structure or the begin of the first metadata record tells; formats 1.0 and 2.0 have it in the header.
    #[must_use]
    pub fn new(header: &Header, start_tsc: Option<u64>) -> TraceClock {
        let clock = Clock::new(header);
        let start = header.start_tsc.or(start_tsc);
        // At cycle 0 the time since the start is negative.
        let zero = start.and_then(|start| clock.wall_ns(header, start, 0));
        TraceClock { clock, zero }
    }

    /// Nanoseconds since the clock's zero, about the time since boot, as the tracer's viewer prints it (which rounds down twice
    /// and may print one less). `None` if the headers declare no frequency.
    #[must_use]
    pub fn ns(&self, tsc: u64) -> Option<u64> {
        self.clock.ns(tsc)
    }

    /// Nanoseconds since 1970; `None` if the trace's start is not known.
    #[must_use]
    pub fn wall_ns(&self, tsc: u64) -> Option<i128> {
        Some(self.zero? + i128::from(self.ns(tsc)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(freq: u64, scale: u32) -> TraceClock {
        let mut bytes = [0; 60];
        bytes[16..24].copy_from_slice(&[0xed, 0xb7, 0xd6, 0, 2, 1, 8, 8]);
        bytes[24..32].copy_from_slice(&1000_u64.to_le_bytes());
        bytes[32..40].copy_from_slice(&5_u64.to_le_bytes());
        bytes[40..48].copy_from_slice(&freq.to_le_bytes());
        bytes[48..52].copy_from_slice(&scale.to_le_bytes());
        TraceClock::new(&Header::parse(&bytes).unwrap(), Some(2_000_000))
    }

    #[test]
    fn the_trace_starts_at_its_wall_clock() {
        let clock = clock(1_000_000, 1000);
        assert_eq!(clock.ns(2_000_000), Some(2_000_000));
        assert_eq!(clock.wall_ns(2_000_000), Some(1_000_000_005_000));
        assert_eq!(clock.wall_ns(0), Some(999_998_005_000));
    }

    #[test]
    fn no_frequency_no_time() {
        let clock = clock(0, 1000);
        assert_eq!((clock.ns(1), clock.wall_ns(1)), (None, None));
    }
}
