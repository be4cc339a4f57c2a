//! Times as people read them.

use std::io::Write as _;

use jiff::Timestamp;

/// Seconds of a trace's clock, as its viewer prints them: `17.212221556`.
pub(crate) fn seconds(ns: u64) -> String {
    format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000)
}

/// Wall clock in UTC to the nanosecond: `2026-01-31 12:00:00.123456789`.
pub(crate) fn wall(ns: i128) -> String {
    match Timestamp::from_nanosecond(ns) {
        Ok(time) => time.strftime("%F %T.%9f").to_string(),
        Err(_) => format!("{ns} ns since 1970"),
    }
}

/// Writes [`wall`] for times that mostly lie within the same second: what a second has in common is made once.
#[derive(Debug, Default)]
pub(crate) struct Wall {
    second: i128,
    text: String,
}

impl Wall {
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, ns: i128) {
        let (second, rest) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
        if self.text.is_empty() || self.second != second {
            self.second = second;
            self.text = wall(second * 1_000_000_000);
        }
        match self.text.split_once('.') {
            // Writing to memory cannot fail.
            Some((second, _)) => _ = write!(out, "{second}.{rest:09}"),
            None => _ = write!(out, "{}", wall(ns)),
        }
    }
}

/// A point in time as the user gives it: `-5ms` before the last event, `17.2125` seconds of the trace's clock, or a timestamp.
pub(crate) fn parse(text: &str) -> Result<analyser::events::Since, String> {
    use analyser::events::Since;
    if let Some(before) = text.strip_prefix('-') {
        return Ok(Since::BeforeEnd(duration(before)?));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(Since::Wall(time.as_nanosecond()));
    }
    decimal(text, 1_000_000_000).map(Since::Trace).ok_or_else(|| {
        "expected -5ms, 17.2125 (seconds of the trace's clock) or 2026-01-31T12:00:00Z".to_owned()
    })
}

/// `5ms`, `1.5s`, `200us`, `2m`; without a unit: seconds.
fn duration(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "ns" => Some(1),
        "us" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" | "" => Some(1_000_000_000),
        "m" | "min" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    };
    unit.and_then(|unit| decimal(digits, unit))
        .ok_or_else(|| "expected a number and one of ns, us, ms, s, m, h after the minus sign".to_owned())
}

/// A decimal number of units of `scale`, exactly; digits beyond it are dropped.
fn decimal(text: &str, scale: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    // More digits than any unit has are worth nothing.
    let digits = fraction.get(..fraction.len().min(18))?;
    let numerator = if digits.is_empty() { 0 } else { digits.parse::<u128>().ok()? };
    let denominator = 10_u128.pow(u32::try_from(digits.len()).ok()?);
    let part = u64::try_from(numerator * u128::from(scale) / denominator).ok()?;
    whole.parse::<u64>().ok()?.checked_mul(scale)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use analyser::events::Since;

    use super::*;

    #[test]
    fn times_are_printed_to_the_nanosecond() {
        assert_eq!(seconds(17_000_000_001), "17.000000001");
        assert_eq!(wall(1_000_000_005_000), "1970-01-01 00:16:40.000005000");
        assert_eq!(wall(i128::MAX), format!("{} ns since 1970", i128::MAX));
        let (mut cached, mut out) = (Wall::default(), Vec::new());
        for ns in [1_000_000_005_000, 1_000_999_999_999, 1_001_000_000_000, -1] {
            out.clear();
            cached.write(&mut out, ns);
            assert_eq!(out, wall(ns).into_bytes());
        }
    }

    #[test]
    fn points_in_time() {
        assert_eq!(parse("-5ms"), Ok(Since::BeforeEnd(5_000_000)));
        assert_eq!(parse("-1.5s"), Ok(Since::BeforeEnd(1_500_000_000)));
        assert_eq!(parse("-2"), Ok(Since::BeforeEnd(2_000_000_000)));
        assert_eq!(parse("-1.5us"), Ok(Since::BeforeEnd(1_500)));
        assert_eq!(parse("17.212221556"), Ok(Since::Trace(17_212_221_556)));
        assert_eq!(parse("17"), Ok(Since::Trace(17_000_000_000)));
        assert_eq!(parse("0.0000000019"), Ok(Since::Trace(1)));
        assert_eq!(parse("1970-01-01T00:00:01Z"), Ok(Since::Wall(1_000_000_000)));
        for wrong in ["", "-", "-x", "-5 ms", "5ms", "1.2.3", ".5", "-99999999999h"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
