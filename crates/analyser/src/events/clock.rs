//! Clock cycles of any trace as nanoseconds and as wall clock.

use lttformat::ctf;

use crate::error::{Error, Result};
use crate::time::TraceClock;

const NS_PER_SEC: u128 = 1_000_000_000;

/// The clock of one trace.
#[derive(Clone, Debug)]
pub(super) enum Clock {
    /// LTT 0.x.
    Ltt(TraceClock),
    /// LTTng 2.x, as the metadata declare it.
    Ctf(ctf::Clock),
}

impl Clock {
    /// Nanoseconds since the clock's zero; `None` if it has no frequency.
    pub(super) fn ns(&self, cycles: u64) -> Option<u64> {
        match self {
            Clock::Ltt(clock) => clock.ns(cycles),
            Clock::Ctf(clock) if u128::from(clock.freq) == NS_PER_SEC => Some(cycles),
            Clock::Ctf(clock) => {
                let ns = (u128::from(cycles) * NS_PER_SEC).checked_div(clock.freq.into())?;
                // Of a clock slower than ours the last centuries are all the same time.
                Some(u64::try_from(ns).unwrap_or(u64::MAX))
            }
        }
    }

    /// Nanoseconds since 1970; `None` if that is not known.
    pub(super) fn wall_ns(&self, cycles: u64) -> Option<i128> {
        match self {
            Clock::Ltt(clock) => clock.wall_ns(cycles),
            Clock::Ctf(clock) => clock.ns(cycles),
        }
    }

    /// The first cycle that is not before `ns` since the clock's zero; the last one if none is that late.
    ///
    /// Errors: the clock has no frequency.
    pub(super) fn cycles_at(&self, ns: u64) -> Result<u64> {
        first(|cycles| Some(self.ns(cycles)? >= ns)).ok_or(Error::NoFrequency)
    }

    /// The first cycle that is not before `ns` since 1970; the last one if none is that late.
    ///
    /// Errors: the trace's start is not known.
    pub(super) fn cycles_at_wall(&self, ns: i128) -> Result<u64> {
        first(|cycles| Some(self.wall_ns(cycles)? >= ns)).ok_or(Error::NoWallClock)
    }
}

/// The first cycle for which `reached` is true; it stays so from there on. `None` if it cannot be told.
fn first(reached: impl Fn(u64) -> Option<bool>) -> Option<u64> {
    // A search needs no second formula that could differ by one.
    let (mut low, mut high) = (0, u64::MAX);
    reached(low)?;
    while low < high {
        let middle = low + (high - low) / 2;
        if reached(middle)? { high = middle } else { low = middle + 1 }
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clock(freq: u64, offset: i64) -> Clock {
        Clock::Ctf(ctf::Clock { freq, offset_s: 1000, offset, ..Default::default() })
    }

    #[test]
    fn since_boot_and_since_1970() {
        let clock = clock(2_000_000_000, 2_000);
        assert_eq!((clock.ns(10), clock.wall_ns(10)), (Some(5), Some(1_000_000_001_005)));
        assert_eq!(clock.cycles_at(5).unwrap(), 9 + 1);
        assert_eq!(clock.cycles_at_wall(1_000_000_001_005).unwrap(), 10);
        assert_eq!(
            (clock.cycles_at_wall(0).unwrap(), clock.cycles_at_wall(i128::MAX).unwrap()),
            (0, u64::MAX)
        );
    }

    #[test]
    fn no_frequency_no_time() {
        let clock = clock(0, 0);
        assert_eq!((clock.ns(1), clock.wall_ns(1)), (None, None));
        assert!(clock.cycles_at(1).is_err() && clock.cycles_at_wall(1).is_err());
    }

    proptest! {
        #[test]
        fn first_cycle_of_a_time(freq in 1_u64..5_000_000_000, offset: i64, ns: u64, wall: i64) {
            let clock = clock(freq, offset);
            let cycles = clock.cycles_at(ns).unwrap();
            prop_assert!(cycles == u64::MAX || clock.ns(cycles).unwrap() >= ns);
            prop_assert!(cycles == 0 || clock.ns(cycles - 1).unwrap() < ns);
            let (wall, cycles) = (i128::from(wall), clock.cycles_at_wall(wall.into()).unwrap());
            prop_assert!(cycles == u64::MAX || clock.wall_ns(cycles).unwrap() >= wall);
            prop_assert!(cycles == 0 || clock.wall_ns(cycles - 1).unwrap() < wall);
        }
    }
}
