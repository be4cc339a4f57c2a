//! Clock cycles to nanoseconds.

use super::{Header, Version};

const NS_PER_SEC: u128 = 1_000_000_000;

/// The trace clock: turns times of events, in cycles, into nanoseconds.
///
/// `start_freq` and `freq_scale` have been read in two ways, which agree when the scale is 1 (all recent tracers).
/// Arithmetic is exact (128 bits), rounded down, and saturates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// `start_freq`.
    pub freq: u64,
    /// `freq_scale`.
    pub scale: u32,
    /// How the scale is applied.
    pub rule: ScaleRule,
}

/// The two readings of `freq_scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleRule {
    /// Frequency = freq × scale, as with kHz and 1000 (1.0 to early 2.2).
    Multiplier,
    /// Frequency = freq ÷ scale (late 2.2 on).
    Divisor,
}

impl Clock {
    /// The clock of a trace with this header, by the rule of its format.
    ///
    /// Format 2.2 was written with both rules; without more evidence the older one holds: see
    /// [`with_uptime`](Clock::with_uptime).
    pub fn new(header: &Header) -> Clock {
        let rule = if header.version <= Version::V2_2 { ScaleRule::Multiplier } else { ScaleRule::Divisor };
        Clock { freq: header.start_freq, scale: header.freq_scale, rule }
    }

    /// The clock of a trace whose newest event, at `tsc` cycles, is about `uptime_ns` after boot. Decides for format 2.2 which
    /// rule comes closer.
    pub fn with_uptime(header: &Header, tsc: u64, uptime_ns: u64) -> Clock {
        let clock = Clock::new(header);
        if header.version != Version::V2_2 {
            return clock;
        }
        let divisor = Clock { rule: ScaleRule::Divisor, ..clock };
        let distance = |clock: Clock| clock.ns(tsc).map_or(u64::MAX, |ns| ns.abs_diff(uptime_ns));
        if distance(divisor) < distance(clock) { divisor } else { clock }
    }

    /// Nanoseconds since the clock's zero, about the time since boot; `None` if the header declares no frequency.
    pub fn ns(&self, tsc: u64) -> Option<u64> {
        let (freq, scale) = (u128::from(self.freq), u128::from(self.scale));
        // 64 + 30 + 32 bits at most.
        let scaled = u128::from(tsc) * NS_PER_SEC;
        let ns = match self.rule {
            ScaleRule::Multiplier => scaled.checked_div(scale * freq),
            ScaleRule::Divisor => (scaled * scale).checked_div(freq),
        }?;
        Some(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// Wall clock of an event: nanoseconds since 1970. `start_tsc` is the time of the trace's start in cycles: in the header
    /// (1.0, 2.0), else in the kernel's trace structure, else the begin of the first record of `metadata_0`.
    pub fn wall_ns(&self, header: &Header, start_tsc: u64, tsc: u64) -> Option<i128> {
        let start =
            u128::from(header.start_time_sec) * NS_PER_SEC + u128::from(header.start_time_usec) * 1000;
        let since_start = i128::from(self.ns(tsc)?) - i128::from(self.ns(start_tsc)?);
        Some(i128::try_from(start).ok()? + since_start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hertz_and_kilohertz() {
        let hertz = Clock { freq: 2_400_000_000, scale: 1, rule: ScaleRule::Divisor };
        assert_eq!(hertz.ns(0x5f5e_1000), Some(666_666_666));
        assert_eq!(hertz.ns(0x7735_9500), Some(833_333_440));
        assert_eq!(Clock { rule: ScaleRule::Multiplier, ..hertz }.ns(0x5f5e_1000), Some(666_666_666));

        let kilohertz = Clock { freq: 2_793_437, scale: 1000, rule: ScaleRule::Multiplier };
        assert_eq!(kilohertz.ns(2_793_437_000), Some(1_000_000_000));
        let millihertz = Clock { freq: 2_793_437_000_000, scale: 1000, rule: ScaleRule::Divisor };
        assert_eq!(millihertz.ns(2_793_437_000), Some(1_000_000_000));
    }

    #[test]
    fn extremes() {
        let none = Clock { freq: 0, scale: 1, rule: ScaleRule::Divisor };
        assert_eq!(none.ns(1), None);
        assert_eq!(Clock { scale: 0, rule: ScaleRule::Multiplier, ..none }.ns(1), None);
        let slow = Clock { freq: 1, scale: u32::MAX, rule: ScaleRule::Divisor };
        assert_eq!(slow.ns(u64::MAX), Some(u64::MAX));
    }
}
