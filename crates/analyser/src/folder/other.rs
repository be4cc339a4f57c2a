//! Regular files in a trace's directory that are no trace files of it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::OpenTracefile;
use super::tree::Tree;

/// A regular file that is no stream of this trace. Nothing but its beginning was read.
#[derive(Debug)]
pub struct Other {
    pub(crate) tree: Arc<Tree>,
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    pub(crate) links: u64,
    pub(crate) kind: OtherKind,
}

/// Why a file is no stream of this trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherKind {
    /// It or a directory above it is hidden; viewers pass it over.
    Hidden,
    /// Its name does not end in a CPU number.
    Name,
    /// It is named as a trace file and holds no sub-buffer; with what it begins with instead.
    NoHeader(String),
    /// It belongs to another trace; with what its header says.
    OtherTrace(String),
    /// It lies outside the folder of the trace itself: that of another domain, an archived chunk.
    Elsewhere,
    /// An index whose data file is not there.
    NoData,
}

impl Other {
    /// Path below the trace's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Names of the file, here or elsewhere.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.links
    }

    /// Opens it for reading. Errors: as [`Tracefile::open`](crate::Tracefile::open).
    pub fn open(&self) -> io::Result<OpenTracefile> {
        OpenTracefile::new(&self.tree, &self.path)
    }

    /// Why it is none.
    #[must_use]
    pub fn kind(&self) -> &OtherKind {
        &self.kind
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.kind)
    }
}

impl fmt::Display for OtherKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OtherKind::Hidden => f.write_str("hidden, no part of the trace"),
            OtherKind::Name => f.write_str("no trace file: its name does not end in a CPU number"),
            OtherKind::NoHeader(error) => write!(f, "no trace file: {error}"),
            OtherKind::Elsewhere => f.write_str("outside the trace's own folder"),
            OtherKind::NoData => f.write_str("an index without its data file"),
            OtherKind::OtherTrace(identity) => write!(f, "of another trace: {identity}"),
        }
    }
}
