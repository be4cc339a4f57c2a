//! An open file below a trace's directory.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use lttformat::ReadAt;

use super::tree::Tree;

/// A file of a trace's directory that is open for reading.
#[derive(Debug)]
pub struct OpenTracefile {
    file: File,
    len: u64,
}

impl OpenTracefile {
    pub(crate) fn new(tree: &Tree, path: &Path) -> io::Result<OpenTracefile> {
        let (file, len) = tree.file(path)?;
        Ok(OpenTracefile { file, len })
    }

    /// What the system says about the open file, whatever its name stands for by now.
    pub fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }
}

impl AsFd for OpenTracefile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl ReadAt for OpenTracefile {
    /// Length when it was opened.
    fn len(&self) -> u64 {
        self.len
    }

    fn read_exact_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, offset)
    }
}
