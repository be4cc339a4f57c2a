//! One trace file of a directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lttformat::ltt::{Header, TracefileName};

use crate::folder::{OpenTracefile, Tree};

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
