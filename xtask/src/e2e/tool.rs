//! The program under test, as a user runs it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::command::{command, last_lines};
use super::place::target;
use crate::run::cargo;

/// `ltt-kdump`, built with optimisation.
#[derive(Debug)]
pub(crate) struct Tool {
    program: PathBuf,
}

/// How a run of it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Outcome {
    /// Refuses every exit code but those that are good here.
    pub(crate) fn expect(self, codes: &[i32]) -> Result<Outcome, Vec<String>> {
        if codes.contains(&self.code) {
            return Ok(self);
        }
        let said = if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr };
        Err(vec![format!("expected exit code {codes:?}, found {}: {}", self.code, last_lines(said, 3))])
    }
}

impl Tool {
    pub(crate) fn build() -> Result<Tool> {
        cargo(&["build", "--release", "--locked", "--package", "ltt-kdump"], &[])?;
        Ok(Tool { program: target().join("release/ltt-kdump") })
    }

    /// Runs it to its end, however that is.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Outcome> {
        let start = Instant::now();
        let output = command(&self.program, args)
            .output()
            .with_context(|| format!("starting {}", self.program.display()))?;
        Ok(Outcome {
            // None: killed by a signal.
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: start.elapsed(),
        })
    }
}

/// Arguments of mixed kinds.
pub(crate) fn words(words: &[&dyn AsRef<OsStr>]) -> Vec<OsString> {
    words.iter().map(|word| word.as_ref().to_owned()).collect()
}

/// `COMMAND FILES… -d TYPES…`.
pub(crate) fn on_core(name: &str, core: &[PathBuf], types: &[PathBuf]) -> Vec<OsString> {
    let mut args = words(&[&name]);
    args.extend(core.iter().map(OsString::from));
    args.extend(types.iter().flat_map(|source| words(&[&"-d", source])));
    args
}
