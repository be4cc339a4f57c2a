//! What can go wrong: small and copyable for a page, with words and places for a file.

use crate::bytes::Fault;
use codec::Codec;
use std::io;
use std::path::{Path, PathBuf};

/// Result of opening a core.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a page of the dead machine has no content here.
///
/// The kinds are kept apart because callers act on them differently: an excluded page existed and was left out on
/// purpose, an absent one never was memory, the others are damage of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// Filtered out when the dump was made. In an ELF core also a page of zeros that was left out.
    #[error("excluded from the dump")]
    Excluded,
    /// Not memory of the machine, as far as the file knows.
    #[error("not in the dump")]
    Absent,
    /// The dump lists the page, but never got to write it, or the part which holds it was not given.
    #[error("lost: the dump was not written completely")]
    Lost,
    /// The file ends before the page.
    #[error("beyond the end of the truncated file")]
    Truncated,
    /// The page is stored, but cannot be decoded.
    #[error("corrupt: stored {0} data cannot be decoded")]
    Corrupt(Codec),
    /// The operating system could not read the file.
    #[error("file cannot be read")]
    Io,
    /// No translation of the virtual address.
    #[error("not mapped: page-table entry of level {level} is not present")]
    NotMapped {
        /// Level of the table whose entry is not present: 1 is the table of pages, larger is nearer to the root.
        level: u8,
    },
    /// The virtual address is not in the form that the processor requires.
    #[error("not a canonical address")]
    NonCanonical,
}

/// A failed read of the dead machine's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{addr:#x}: {cause}")]
pub struct MemoryError {
    /// The first byte that could not be read: physical or virtual, as the read was.
    pub addr: u64,
    /// Why.
    pub cause: PageError,
}

/// Why a core cannot be opened, or its memory not be addressed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened, mapped or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is something known, but nothing that can be read here.
    #[error("{}: {what}; {hint}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What the file is.
        what: &'static str,
        /// What to do with it.
        hint: &'static str,
    },
    /// The file is none of the known formats.
    #[error("{}: not a core file: expected an ELF or a kdump-compressed signature, found {found}", path.display())]
    Unrecognised {
        /// The file.
        path: PathBuf,
        /// Its first bytes, printed.
        found: String,
    },
    /// A header says something impossible.
    #[error("{}: {what}: expected {expected}, found {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The header field.
        what: &'static str,
        /// What would be right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Several files were given which do not belong together.
    #[error("{}: {reason}", path.display())]
    Split {
        /// The file which does not fit.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No file was given.
    #[error("expected at least one core file, found none")]
    NoFile,
    /// The kernel's address space was not found in the core.
    #[error("kernel address space not found: {reason}")]
    AddressSpace {
        /// What was expected, and found instead.
        reason: String,
        /// Evidence that led to nothing, and each place where the kernel is not: for those who want to know all.
        tried: Vec<String>,
    },
}

/// What is wrong with a file, before it is known which file that is.
#[derive(Debug)]
pub(crate) enum Defect {
    /// See [`Error::Malformed`].
    Malformed { what: &'static str, expected: String, found: String },
    /// See [`Error::Unsupported`].
    Unsupported { what: &'static str, hint: &'static str },
    /// See [`Error::Unrecognised`].
    Unrecognised { found: String },
    /// See [`Error::Io`].
    Io(io::ErrorKind),
}

impl Defect {
    /// A header which says something impossible.
    pub(crate) fn new(what: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Defect {
        Defect::Malformed { what, expected: expected.into(), found: found.into() }
    }

    /// A header which cannot be read.
    pub(crate) fn unreadable(what: &'static str, offset: u64, fault: Fault) -> Defect {
        match fault {
            Fault::End => Defect::new(what, format!("bytes at {offset:#x}"), "the end of the file"),
            Fault::Io(kind) => Defect::Io(kind),
        }
    }

    /// The error, now that the file is known.
    pub(crate) fn at(self, path: &Path) -> Error {
        let path = path.to_path_buf();
        match self {
            Defect::Malformed { what, expected, found } => Error::Malformed { path, what, expected, found },
            Defect::Unsupported { what, hint } => Error::Unsupported { path, what, hint },
            Defect::Unrecognised { found } => Error::Unrecognised { path, found },
            Defect::Io(kind) => Error::Io { path, source: kind.into() },
        }
    }
}
