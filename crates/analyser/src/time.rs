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

    /// The clock's ns at this wall clock time; `None` if the trace's start is not known, or it is before the clock's zero.
    pub(crate) fn ns_at_wall(&self, wall_ns: i128) -> Option<u64> {
        u64::try_from(wall_ns.checked_sub(self.zero?)?).ok()
    }

    /// The first cycle that is not before `ns`; `None` if the headers declare no frequency, or when no cycle is that late.
    pub(crate) fn tsc_at(&self, ns: u64) -> Option<u64> {
        self.ns(0)?;
        // The function is monotonic: a search needs no second formula that could differ by one.
        let (mut low, mut high) = (0, u64::MAX);
        if self.ns(high)? < ns {
            return None;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.ns(middle)? < ns { low = middle + 1 } else { high = middle }
        }
        Some(low)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert_eq!(clock.ns_at_wall(1_000_000_005_000), Some(2_000_000));
        assert_eq!(clock.ns_at_wall(0), None);
    }

    #[test]
    fn no_frequency_no_time() {
        let clock = clock(0, 1000);
        assert_eq!((clock.ns(1), clock.wall_ns(1), clock.tsc_at(1)), (None, None, None));
    }

    proptest! {
        #[test]
        fn first_cycle_of_a_time(freq in 1_u64..5_000_000_000, scale in 1_u32..2000, ns: u64) {
            let clock = clock(freq, scale);
            match clock.tsc_at(ns) {
                Some(tsc) => {
                    prop_assert!(clock.ns(tsc).unwrap() >= ns);
                    prop_assert!(tsc == 0 || clock.ns(tsc - 1).unwrap() < ns);
                }
                None => prop_assert!(clock.ns(u64::MAX).unwrap() < ns),
            }
        }
    }
}
