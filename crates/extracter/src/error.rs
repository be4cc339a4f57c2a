//! Why nothing was written.

use std::io;
use std::path::PathBuf;

/// Nothing was written, and nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is something under the name of the output.
    #[error("output {}: expected a new name or an empty folder, found {found}", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The output would replace the folder the program runs in.
    #[error("output {}: the current folder cannot be replaced", path.display())]
    OutputIsCurrent {
        /// The output.
        path: PathBuf,
    },
    /// The output's path does not end in a name, or is empty.
    #[error("output {:?}: expected the name of a folder to create", path.display().to_string())]
    OutputUnnamed {
        /// The output.
        path: PathBuf,
    },
    /// A trace that was asked for is not in the core.
    #[error("trace {name:?}: expected one of {known}")]
    NoSuchTrace {
        /// What was asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// The machine gives no threads.
    #[error("starting {threads} threads")]
    Threads {
        /// How many were wanted.
        threads: usize,
        /// What the pool says.
        #[source]
        source: rayon::ThreadPoolBuildError,
    },
    /// The file system refused something.
    #[error("{action} {}", path.display())]
    Io {
        /// What was being done, as a participle.
        action: &'static str,
        /// To what; files are named as they would be once complete.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// The result of most functions here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::OutputExists { .. } => "nothing is ever overwritten; choose a new name".to_owned(),
            Error::OutputIsCurrent { .. } | Error::OutputUnnamed { .. } => {
                "choose a name for a new folder".to_owned()
            }
            Error::NoSuchTrace { .. } => "the command info lists the traces of a core".to_owned(),
            Error::Threads { .. } => "try --threads 1".to_owned(),
            Error::Io { source, action, .. } => match source.kind() {
                io::ErrorKind::NotFound if *action == LOOKING => {
                    "create the folder above the output first".to_owned()
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "nothing was left behind; free some space, or write to another file system".to_owned()
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "name a new folder inside one that you may write to".to_owned()
                }
                io::ErrorKind::ResourceBusy => {
                    "the output is a mount point: name a new folder inside".to_owned()
                }
                _ => return None,
            },
        })
    }
}

/// The action while the folder above the output is looked for.
pub(crate) const LOOKING: &str = "looking for the folder above the output:";

/// Turns an error of the system into one that says what was being done to which file.
pub(crate) fn while_doing(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { action, path, source }
}
