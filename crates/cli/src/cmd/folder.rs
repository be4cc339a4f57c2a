//! A trace folder, of whichever family.

use std::path::Path;

use analyser::{Directory, Error, lttng};
use anyhow::Result;

/// An open trace folder.
pub(super) enum Folder {
    /// LTT 0.x: files of sub-buffers, metadata among them.
    Ltt(Box<Directory>),
    /// LTTng 2.x: CTF, told by its file `metadata`.
    Lttng(Box<lttng::Directory>),
}

impl Folder {
    /// Opens a trace folder, and finds out of which family it is.
    pub(super) fn open(path: &Path) -> Result<Folder> {
        match lttng::Directory::open(path) {
            Err(Error::NoTrace { .. }) => Ok(Folder::Ltt(Box::new(Directory::open(path)?))),
            directory => Ok(Folder::Lttng(Box::new(directory?))),
        }
    }
}
