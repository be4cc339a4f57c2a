//! Clock cycles to nanoseconds since 1970.

const NS_PER_SEC: i128 = 1_000_000_000;

/// A clock that the metadata declares: turns times of events, in cycles, into wall-clock time.
///
/// Arithmetic is exact (128 bits), rounded down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Its name: `monotonic` unless a clock plug-in was used.
    pub name: String,
    /// Identifies the clock; the boot of the machine for LTTng. As in the text.
    pub uuid: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Cycles in a second.
    pub freq: u64,
    /// Seconds from the Epoch to cycle 0; `offset` comes on top.
    pub offset_s: i64,
    /// Cycles from the Epoch to cycle 0.
    pub offset: i64,
}

impl Clock {
    /// Nanoseconds since 1970 of a time in cycles; `None` if the clock does not move.
    pub fn ns(&self, cycles: u64) -> Option<i128> {
        let since = i128::from(self.offset) + i128::from(cycles);
        let freq = i128::from(self.freq);
        // 65 + 30 bits, and 64 + 30 bits: no sum can overflow. Tracers count nanoseconds nearly always: no division then.
        let part = if freq == NS_PER_SEC { since } else { (since * NS_PER_SEC).checked_div_euclid(freq)? };
        Some(i128::from(self.offset_s) * NS_PER_SEC + part)
    }
}

impl Default for Clock {
    /// A clock of nanoseconds since the Epoch, without a name: what CTF says about attributes that are left out.
    fn default() -> Clock {
        Clock {
            name: String::new(),
            uuid: None,
            description: None,
            freq: 1_000_000_000,
            offset_s: 0,
            offset: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds() {
        let clock = Clock { offset: 1_795_462_719_883_337_125, ..Clock::default() };
        assert_eq!(clock.ns(16_252_367_935), Some(1_795_462_736_135_705_060));
    }

    #[test]
    fn other_frequencies_are_exact_and_round_down() {
        let clock = Clock { freq: 3, offset_s: 10, offset: -1, ..Clock::default() };
        assert_eq!(clock.ns(0), Some(10_000_000_000 - 333_333_334));
        assert_eq!(clock.ns(1), Some(10_000_000_000));
        assert_eq!(clock.ns(2), Some(10_333_333_333));
        let clock = Clock { freq: 2_400_000_000, ..Clock::default() };
        assert_eq!(clock.ns(u64::MAX), Some(i128::from(u64::MAX) * 10 / 24));
    }

    #[test]
    fn extremes() {
        assert_eq!(Clock { freq: 0, ..Clock::default() }.ns(1), None);
        let far = Clock { freq: 1, offset_s: i64::MAX, offset: i64::MAX, ..Clock::default() };
        assert!(far.ns(u64::MAX).is_some());
        let early = Clock { freq: u64::MAX, offset_s: i64::MIN, offset: i64::MIN, ..Clock::default() };
        assert!(early.ns(0).is_some());
    }
}
