//! What lies in a trace's directory and is not touched.

use std::fmt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

/// An entry that is neither a directory nor a regular file, or cannot be read. It was never opened or followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    path: PathBuf,
    kind: RefusedKind,
}

/// Why an entry is not touched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusedKind {
    /// A symbolic link, wherever it points to.
    SymbolicLink,
    /// A character or block device.
    Device,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A directory that lies too deep to belong to a trace.
    TooDeep,
    /// A file or directory that cannot be read, with what the system says.
    Unreadable(String),
    /// Something that no Unix knows.
    Unknown,
}

impl Refused {
    pub(crate) fn new(path: PathBuf, kind: RefusedKind) -> Refused {
        Refused { path, kind }
    }

    /// Its path below the trace's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> &RefusedKind {
        &self.kind
    }
}

impl RefusedKind {
    pub(crate) fn of(kind: FileType) -> RefusedKind {
        match kind {
            FileType::Symlink => RefusedKind::SymbolicLink,
            FileType::CharacterDevice | FileType::BlockDevice => RefusedKind::Device,
            FileType::Fifo => RefusedKind::Fifo,
            FileType::Socket => RefusedKind::Socket,
            _ => RefusedKind::Unknown,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected a regular file or a directory, found {}", self.path.display(), self.kind)
    }
}

impl fmt::Display for RefusedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefusedKind::SymbolicLink => f.write_str("a symbolic link"),
            RefusedKind::Device => f.write_str("a device"),
            RefusedKind::Fifo => f.write_str("a named pipe"),
            RefusedKind::Socket => f.write_str("a socket"),
            RefusedKind::TooDeep => f.write_str("a directory too deep for a trace"),
            RefusedKind::Unreadable(error) => write!(f, "one that cannot be read: {error}"),
            RefusedKind::Unknown => f.write_str("something unknown"),
        }
    }
}
