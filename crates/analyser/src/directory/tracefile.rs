//! One trace file of a directory.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lttformat::ReadAt;
use lttformat::ltt::{Header, TracefileName};

use super::tree::Tree;

/// One stream of a trace on disk: a regular file that is named as one, and is empty or holds sub-buffers of this trace.
#[derive(Debug)]
pub struct Tracefile {
    pub(super) tree: Arc<Tree>,
    pub(super) path: PathBuf,
    pub(super) name: TracefileName,
    pub(super) len: u64,
    pub(super) links: u64,
    pub(super) header: Option<Header>,
}

impl Tracefile {
    /// Path below the trace's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the path says about the stream.
    #[must_use]
    pub fn name(&self) -> &TracefileName {
        &self.name
    }

    /// The channel as events show it: the path without CPU number and `flight-`.
    #[must_use]
    pub fn channel_name(&self) -> Vec<u8> {
        channel_name(&self.name)
    }

    /// Length in bytes when the directory was opened.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it was empty when the directory was opened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Names of the file, here or elsewhere; more than one: writing to it changes the others too.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.links
    }

    /// The header at its very beginning, unless that is damaged.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Opens it for reading.
    ///
    /// Errors: it is gone, or something that is no regular file took its place or that of a directory above it.
    pub fn open(&self) -> io::Result<OpenTracefile> {
        OpenTracefile::new(&self.tree, &self.path)
    }
}

/// The path without CPU number and `flight-`.
pub(crate) fn channel_name(name: &TracefileName) -> Vec<u8> {
    let file = name.group.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (folder, file) = name.group.split_at(file);
    [folder, file.strip_prefix(b"flight-").unwrap_or(file)].concat()
}

/// A file of a trace's directory that is open for reading.
#[derive(Debug)]
pub struct OpenTracefile {
    file: File,
    len: u64,
}

impl OpenTracefile {
    pub(super) fn new(tree: &Tree, path: &Path) -> io::Result<OpenTracefile> {
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
