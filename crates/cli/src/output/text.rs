//! Text for people.

use std::borrow::Cow;

/// Text from a core without anything that a terminal would obey.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_bad = |c: char| c.is_control() && c != '\t';
    if !text.contains(is_bad) {
        return text.into();
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => clean.push(' '),
            c if is_bad(c) => clean.extend(c.escape_unicode()),
            c => clean.push(c),
        }
    }
    clean.into()
}

/// A size as people say it, exact below a KiB.
pub(crate) fn size(bytes: u64) -> String {
    let mut unit = "B";
    let mut scaled = bytes;
    let mut tenths = 0;
    for larger in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if scaled < 1024 {
            break;
        }
        tenths = scaled % 1024 * 10 / 1024;
        scaled /= 1024;
        unit = larger;
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{scaled}.{tenths} {unit}") }
}

/// `1 trace`, `2 traces`.
pub(crate) fn count(n: impl TryInto<u64>, what: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_obey_nothing_from_a_core() {
        assert_eq!(printable("plain ü\tx"), "plain ü\tx");
        assert_eq!(printable("a\x1b[31m\nb\u{9b}"), "a\\u{1b}[31m b\\u{9b}");
    }

    #[test]
    fn sizes_are_rounded_down() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (3 << 30, "3.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
