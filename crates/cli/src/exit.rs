//! Exit codes: part of the interface.

use std::fmt;
use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::output::text::printable;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything that was found was written (or shown).
    Complete = 0,
    /// The core holds nothing of what was asked for.
    NothingFound = 1,
    /// The command line makes no sense. clap uses the same number.
    Usage = 2,
    /// Written (or shown), but something of what was found is lost, unreadable or damaged.
    Losses = 3,
    /// No result, and nothing written.
    Failed = 4,
}

/// For the help text and the manual page.
pub(crate) const HELP: &str = "\
Exit codes:
  0  everything found was written, or shown
  1  nothing found: no trace, or none of the name asked for
  2  usage error
  3  written (or shown), with losses: some of what was found is lost, unreadable or damaged
     (events that the tracer itself dropped while it ran are shown, but are no loss)
  4  failed: no result, nothing written";

/// The core holds nothing of what was asked for.
#[derive(Debug)]
pub(crate) struct NothingFound {
    pub(crate) what: String,
    pub(crate) hint: Option<&'static str>,
}

impl fmt::Display for NothingFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for NothingFound {}

/// Options that make no sense together, beyond what clap can tell.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) &'static str);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Usage {}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

impl From<&anyhow::Error> for Exit {
    fn from(error: &anyhow::Error) -> Exit {
        for cause in error.chain() {
            if cause.is::<NothingFound>() {
                return Exit::NothingFound;
            }
            if cause.is::<Usage>() {
                return Exit::Usage;
            }
            use analyser::Error::{NoChannel, NoCpu, NoPair};
            if let Some(NoPair { .. } | NoChannel { .. } | NoCpu { .. }) = cause.downcast_ref() {
                return Exit::NothingFound;
            }
            if let Some(extracter::Error::NoSuchTrace { .. }) = cause.downcast_ref() {
                return Exit::NothingFound;
            }
            if let Some(analyser::Error::NoCore | analyser::Error::NoDebuginfo) = cause.downcast_ref() {
                return Exit::Usage;
            }
        }
        Exit::Failed
    }
}

/// The end of a command that only shows something. A reader who has seen enough, `head` say, changes nothing about what was found.
pub(crate) fn shown(printed: Result<()>, exit: Exit) -> Result<Exit> {
    match printed {
        Err(error) if !is_broken_pipe(&error) => Err(error).context("writing to standard output"),
        _ => Ok(exit),
    }
}

/// The end of a command that has written `output`, and was then to tell how it is. That nobody could be told must not look as if
/// nothing were there.
pub(crate) fn written(printed: Result<()>, exit: Exit, output: &str) -> Exit {
    match printed {
        Err(error) if !is_broken_pipe(&error) => {
            tracing::warn!("{} is complete, but the report is lost: {error}", printable(output));
            Exit::Losses
        }
        _ => exit,
    }
}

/// Whether the reader of standard output is gone.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(broken)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|error| error.io_error_kind() == Some(io::ErrorKind::BrokenPipe))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_choose_their_code_through_any_context() {
        let with = |error: anyhow::Error| Exit::from(&error.context("a").context("b"));
        assert_eq!(with(NothingFound { what: "no trace".into(), hint: None }.into()), Exit::NothingFound);
        assert_eq!(with(analyser::Error::NoDebuginfo.into()), Exit::Usage);
        assert_eq!(with(io::Error::other("x").into()), Exit::Failed);
    }

    #[test]
    fn a_broken_pipe_is_seen_through_any_context() {
        let error = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe)).context("printing").unwrap_err();
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&io::Error::other("x").into()));
    }
}
