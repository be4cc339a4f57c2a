//! Errors on standard error: one line, and what to do about it.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::exit::NothingFound;
use crate::output::text::printable;

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
}
