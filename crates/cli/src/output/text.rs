//! Text for people.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::exit::NothingFound;

/// Prints `error: a: b: c` on one line, and `hint: …` if somebody knows one; if asked for, what was tried before.
pub(crate) fn print_error(error: &anyhow::Error, verbose: bool) {
    let mut message = String::new();
    // Writing to a string cannot fail.
    let details = error.chain().filter_map(|cause| cause.downcast_ref::<analyser::Error>());
    for tried in details.filter(|_| verbose).flat_map(analyser::Error::details) {
        let _ = writeln!(message, "tried: {}", printable(tried));
    }
    let _ = writeln!(message, "error: {}", printable(&chain(error)));
    if let Some(hint) = hint(error) {
        let _ = writeln!(message, "hint: {}", printable(&hint));
    }
    // Nobody is left to be told that it could not be told; the exit code still says it.
    let _ = io::stderr().write_all(message.as_bytes());
}

/// The error and its causes on one line. A cause that the text before it quotes already is left out.
fn chain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if line.is_empty() {
            line = text;
        } else if !line.ends_with(&text) {
            let _ = write!(line, ": {text}"); // writing to a string cannot fail
        }
    }
    line
}

fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let nothing =
            cause.downcast_ref::<NothingFound>().and_then(|nothing| nothing.hint.map(str::to_owned));
        nothing
            .or_else(|| cause.downcast_ref::<analyser::Error>().and_then(analyser::Error::hint))
            .or_else(|| cause.downcast_ref::<extracter::Error>().and_then(extracter::Error::hint))
    })
}

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
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_joined_and_not_repeated() {
        let error = anyhow!("c").context("b: c").context("a");
        assert_eq!(chain(&error), "a: b: c");
        assert_eq!(chain(&anyhow!("x").context("y").context("z")), "z: y: x");
    }

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
