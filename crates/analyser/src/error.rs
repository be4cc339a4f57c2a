//! What can keep a kernel from being opened.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// An operation that has no result. Damage inside a trace is never an error; see [`Damage`](crate::Damage).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No core file was named.
    #[error("expected at least one core file, found none")]
    NoCore,
    /// No source of type information was named.
    #[error("expected the kernel's type information, found none")]
    NoDebuginfo,
    /// The core file cannot be opened or understood.
    #[error("{0}")]
    Core(#[source] vmcore::Error),
    /// No slice of the core can be written.
    #[error("{0}")]
    Slice(#[source] vmcore::write::WriteError),
    /// A file that should hold type information cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that is read here and there is a pipe.
    #[error("{}: expected a file that can be read in any order, found a pipe", path.display())]
    Pipe {
        /// The file.
        path: PathBuf,
    },
    /// Something that has no content to read in any order: a device, a socket, a folder.
    #[error("{}: expected a regular file, found {found}", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The file named as VMCOREINFO is something else.
    #[error("{}: expected VMCOREINFO, lines NAME=VALUE with OSRELEASE among them, found none", path.display())]
    NotVmcoreinfo {
        /// The file.
        path: PathBuf,
    },
    /// The type information cannot be understood.
    #[error("{0}")]
    Types(#[source] kdebug::Error),
    /// A folder that should hold type information holds nothing that looks like it.
    #[error("{}: expected vmlinux, modules (.ko) or .build-id/ in this folder or below, found none", path.display())]
    NoDebugFiles {
        /// The folder.
        path: PathBuf,
    },
    /// No file in the folders that were named is the kernel's.
    #[error("{folders}: expected the kernel's vmlinux, {expected}, found {found}")]
    NoKernelFile {
        /// The folders, comma separated.
        folders: String,
        /// What the core says of its kernel.
        expected: String,
        /// What there is instead.
        found: String,
    },
    /// Several files in the folders that were named are one module's, and nothing tells which is meant.
    #[error("module {module}: expected one build of it, found {} and {}", first.display(), second.display())]
    SeveralBuilds {
        /// Its name.
        module: String,
        /// One of them.
        first: PathBuf,
        /// Another.
        second: PathBuf,
    },
    /// The type information holds nothing that finding traces takes.
    #[error("expected type information of a kernel or of a tracer's modules, found nothing of use")]
    EmptyProfile,
    /// The kernel could not be found in the core's memory.
    #[error("{source}")]
    Translation {
        /// What was tried.
        source: vmcore::Error,
        /// What is odd about the core: truncated, part of a split dump missing.
        warnings: Vec<String>,
    },
    /// Core and type information come from different kernels.
    #[error(
        "core and type information do not match: {what} is {core} in the core, {types} in the type information"
    )]
    Mismatch {
        /// What was compared: `build-id`, `release`, `linux_banner`.
        what: &'static str,
        /// Its value in the core.
        core: String,
        /// Its value in the type information.
        types: String,
    },
    /// Known objects of the kernel are not where the symbols say.
    #[error("core and type information do not match: the kernel is not where its symbols say it is")]
    Displaced,
    /// The types or symbols without which nothing can be found are missing.
    #[error("type information lacks {what}")]
    MissingTypes {
        /// Names, comma separated.
        what: String,
    },
    /// The debugfs tree cannot be found in the core.
    #[error("{0}")]
    Debugfs(String),
    /// The entry is not a file that can be read from memory.
    #[error("{path}: expected a trace buffer, found {found}")]
    NotABuffer {
        /// Path in the tree.
        path: String,
        /// What it is instead.
        found: &'static str,
    },
    /// The directory is none of a trace.
    #[error("{}: expected a trace directory, found no trace file in it", path.display())]
    NoTrace {
        /// The directory.
        path: PathBuf,
    },
    /// A file where a trace is expected.
    #[error("{}: expected the folder of a trace, found a file", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// There are several traces below the directory.
    #[error("{}: expected one trace, found several: {found}", path.display())]
    SeveralDirectories {
        /// The directory.
        path: PathBuf,
        /// Their directories below it.
        found: String,
    },
    /// No trace in the core is the one that a directory was written from.
    #[error("expected the directory's trace in the core ({directory}), found {core}")]
    NoPair {
        /// What the directory holds.
        directory: String,
        /// What the core holds.
        core: String,
    },
    /// Several traces in the core fit the directory.
    #[error("expected one trace in the core that fits the directory, found {names}")]
    SeveralTraces {
        /// Their names.
        names: String,
    },
    /// Events of a channel are wanted that there is not.
    #[error("expected one of the channels {found}, found {wanted}")]
    NoChannel {
        /// The name that was given.
        wanted: String,
        /// The names there are.
        found: String,
    },
    /// Events of a CPU are wanted that there is not.
    #[error("expected one of the CPUs {found}, found {wanted}")]
    NoCpu {
        /// The number that was given.
        wanted: u32,
        /// The numbers there are.
        found: String,
    },
    /// Nobody knows how the events of a trace look.
    #[error("trace {trace}: {reason}")]
    NotDecoded {
        /// Its name.
        trace: String,
        /// Why, on one line.
        reason: String,
    },
    /// A wall clock time was given for a trace of which it is not known when it was started.
    #[error("expected the begin of CPU 0's metadata, which tells the wall clock, found none")]
    NoWallClock,
    /// A time was given for a trace whose clock has no frequency.
    #[error("expected a clock frequency in the trace's headers, found 0")]
    NoFrequency,
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What was tried before it came to this, line by line, for those who want to know all.
    #[must_use]
    pub fn details(&self) -> &[String] {
        match self {
            Error::Translation { source: vmcore::Error::AddressSpace { tried, .. }, .. } => tried,
            _ => &[],
        }
    }

    /// A trace's folder that cannot be read.
    pub(crate) fn of_trace(path: &Path, source: io::Error) -> Error {
        match source.kind() {
            ErrorKind::NotADirectory if path.is_file() => Error::NotAFolder { path: path.to_owned() },
            _ => Error::Read { path: path.to_owned(), source },
        }
    }

    /// What the system said, if that is all there is to say.
    fn system(&self) -> Option<ErrorKind> {
        match self {
            Error::Read { source, .. }
            | Error::Core(vmcore::Error::Io { source, .. })
            | Error::Slice(vmcore::write::WriteError::Io(source)) => Some(source.kind()),
            _ => None,
        }
    }

    /// What the user can do about it, if anything is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Error::NoDebuginfo => {
                "name the crashed kernel's vmlinux with DWARF, its .debug file or an ISF JSON file with -d"
            }
            Error::NoKernelFile { .. } => "name the kernel's file itself with a further -d",
            Error::SeveralBuilds { .. } => "name the folder of one release only",
            Error::Pipe { .. } => "write it to a file first",
            Error::Slice(vmcore::write::WriteError::Format { .. }) => {
                "ELF files hold every machine's memory: try --format elf"
            }
            Error::Mismatch { .. } | Error::Displaced => {
                "use the debuginfo of the kernel that crashed, or --force to go on regardless"
            }
            // Nobody need look for wrong type information when what leads to the kernel is not in the file.
            Error::Translation { warnings, .. } if !warnings.is_empty() => {
                return Some(format!("the core is not as it should be: {}", warnings.join("; ")));
            }
            Error::Translation { .. } => {
                "check that the type information belongs to this kernel; --vmcoreinfo, --phys-base and --kaslr help when the core \
                 has no VMCOREINFO; -v tells what was tried"
            }
            Error::MissingTypes { .. } => {
                "if the tracer was built as modules, name their .ko files (with DWARF), or a folder with them, with further -d options"
            }
            Error::SeveralDirectories { .. } => "name one of these folders",
            Error::SeveralTraces { .. } => "name one of them with --trace",
            _ if self.system() == Some(ErrorKind::PermissionDenied) => {
                "it may be for root alone, as crash dumps often are: run this as root, or have it copied"
            }
            _ if self.system() == Some(ErrorKind::StorageFull) => {
                "nothing was left behind; free some space, or write to another file system"
            }
            Error::NoWallClock => "give the time since boot, or before the end of the trace",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
