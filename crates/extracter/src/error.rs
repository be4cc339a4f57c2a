//! Why nothing was written.

use std::io;
use std::path::PathBuf;

/// Nothing was written, and nothing is left behind; except [`Error::Unfinished`].
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
    /// There is something under the name of the file to create.
    #[error("output {}: expected a new name, found {found}", path.display())]
    FileExists {
        /// The output.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The file's path does not end in a name, or is empty.
    #[error("output {:?}: expected the name of a file to create", path.display().to_string())]
    FileUnnamed {
        /// The output.
        path: PathBuf,
    },
    /// A slice cannot be written, or not be opened.
    #[error("slice {}", path.display())]
    Slice {
        /// The output.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<analyser::Error>,
    },
    /// A slice does not tell what the core does.
    #[error("slice {}: expected what the core tells, {expected:?}, found {found:?}", path.display())]
    SliceDiffers {
        /// The output.
        path: PathBuf,
        /// What the core tells.
        expected: String,
        /// What the slice tells.
        found: String,
    },
    /// The output would replace the folder the program runs in.
    #[error("output {}: the current folder cannot be replaced", path.display())]
    OutputIsCurrent {
        /// The output.
        path: PathBuf,
    },
    /// The output is where a file system is mounted.
    #[error("output {}: expected a new name or an empty folder, found a mount point", path.display())]
    OutputIsMount {
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
    /// A trace holds something that is not touched, and that no copy of it can hold.
    #[error("{}: expected files and folders in a trace, found {found}", path.display())]
    Refused {
        /// The entry.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// A file that would be changed has another name, which would go on to stand for the old content.
    #[error("{}: expected a file with one name, found one with {links}", path.display())]
    HardLinks {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// Several files of a trace stand for one stream, of which viewers show one.
    #[error("{} and {}: expected one file for each stream", first.display(), second.display())]
    Doubles {
        /// One of them.
        first: PathBuf,
        /// Another.
        second: PathBuf,
    },
    /// The output lies in the trace, which is not to be written to.
    #[error("output {}: expected a folder outside the trace", path.display())]
    OutputInside {
        /// The output.
        path: PathBuf,
    },
    /// A complete second trace cannot be made inside the first.
    #[error("layout beside: expected an output folder for the second trace, found a change in place")]
    BesideInPlace,
    /// The trace in the core is not the one on disk.
    #[error("trace {}: it is {disk}; the one in the core is {core}", path.display())]
    OtherTrace {
        /// The trace's folder.
        path: PathBuf,
        /// What it holds.
        disk: String,
        /// What the core has.
        core: String,
    },
    /// A file has records of another size than the core's sub-buffers.
    #[error("{}: expected records of {expected} bytes as in the core, found {found}", path.display())]
    RecordSize {
        /// The file.
        path: PathBuf,
        /// The size of the core's sub-buffers.
        expected: u64,
        /// The length of the file's records.
        found: u64,
    },
    /// Something is in the way of a file that the core would add.
    #[error("{}: expected no file or folder there, found {found}", path.display())]
    Occupied {
        /// The file that would be added, or one above it.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// Metadata could not be made up.
    #[error("making up metadata for {}", path.display())]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: lttformat::Error,
    },
    /// Another run changes the same trace.
    #[error("trace {}: another run is changing it", path.display())]
    Busy {
        /// The trace's folder.
        path: PathBuf,
    },
    /// A file is not what it was when the change was planned.
    #[error("{}: changed by somebody else meanwhile", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A trace could not be changed to the end. Every file in it is either as before or as planned.
    #[error("{done} of {files} files done")]
    Unfinished {
        /// Files that are as planned.
        done: usize,
        /// Files that were to change.
        files: usize,
        /// Why the rest is not.
        #[source]
        source: Box<Error>,
    },
    /// [`Progress::is_cancelled`](crate::Progress::is_cancelled) said so.
    #[error("interrupted")]
    Cancelled,
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
            Error::OutputExists { .. } | Error::FileExists { .. } => {
                "nothing is ever overwritten; choose a new name".to_owned()
            }
            Error::FileUnnamed { .. } => "choose a name for a new file".to_owned(),
            Error::Slice { source, .. } => return source.hint(),
            Error::SliceDiffers { .. } => {
                "an ELF file tells more than the other formats: try --format elf; it is a defect if that fails too".to_owned()
            }
            Error::OutputIsMount { .. } => "name a new folder inside it".to_owned(),
            Error::OutputIsCurrent { .. } | Error::OutputUnnamed { .. } => {
                "choose a name for a new folder".to_owned()
            }
            Error::NoSuchTrace { .. } => "the command info lists the traces of a core".to_owned(),
            Error::Refused { .. } => "remove it from the trace; nothing was read through it".to_owned(),
            Error::HardLinks { .. } => "write to a new folder instead, with -o".to_owned(),
            Error::Doubles { .. } => {
                "viewers show only one of them; move the other out of the trace".to_owned()
            }
            Error::OutputInside { .. } => {
                "choose a folder outside; viewers open everything inside".to_owned()
            }
            Error::BesideInPlace => "name a new folder for it with -o".to_owned(),
            Error::OtherTrace { .. } => "the command info lists the traces of a core".to_owned(),
            Error::Occupied { .. } => "move it out of the trace".to_owned(),
            Error::RecordSize { .. } | Error::Metadata { .. } => return None,
            Error::Busy { .. } => "wait until it has ended".to_owned(),
            Error::Changed { .. } => {
                "stop whatever writes to the trace, then run the command again".to_owned()
            }
            Error::Unfinished { source, .. } => match &**source {
                Error::Changed { .. } => return source.hint(),
                Error::Cancelled => "nothing is lost; the same command does the rest".to_owned(),
                _ => "nothing is lost; remove the cause and run the same command again".to_owned(),
            },
            Error::Cancelled => "nothing was left behind".to_owned(),
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
