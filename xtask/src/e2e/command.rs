//! Running other programs: quiet when they succeed, their last words in the error when they do not.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// A program with its arguments, nothing on its standard input.
pub(crate) fn command<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
) -> Command {
    let mut command = Command::new(program);
    // Messages are read, so they must not depend on the user's language.
    command.args(args).stdin(Stdio::null()).env("LC_ALL", "C");
    command
}

/// Runs `command` to its end and returns what it printed on standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("starting {shown}"))?;
    if !output.status.success() {
        let said = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
        bail!("{shown}: {}: {}", output.status, last_lines(&String::from_utf8_lossy(said), 5));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` to its end, both its outputs into the file `log`; returns whether it succeeded.
pub(crate) fn logged(command: &mut Command, log: &Path) -> Result<bool> {
    let file = File::create(log).with_context(|| format!("making {}", log.display()))?;
    let copy = file.try_clone().with_context(|| format!("sharing {}", log.display()))?;
    let shown = shown(command);
    let status = command.stdout(file).stderr(copy).status().with_context(|| format!("starting {shown}"))?;
    Ok(status.success())
}

/// The command as a user would type it.
fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let mut text = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    if text.len() > 200 {
        let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= 200).last().unwrap_or(0);
        text.truncate(end);
        text.push_str(" …");
    }
    text
}

/// The last `count` lines that are not empty, in one line.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(count)).copied().collect::<Vec<_>>().join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_carries_the_last_words() {
        let error = output(&mut command("sh", ["-c", "echo one >&2; echo two >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().contains("one / two"), "{error}");
        assert_eq!(output(&mut command("echo", ["fine"])).unwrap(), "fine\n");
    }

    #[test]
    fn last_lines_skip_empty_ones() {
        assert_eq!(last_lines("a\n\nb\n  c \n\n", 2), "b / c");
        assert_eq!(last_lines("", 2), "");
    }
}
