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

    /// As [`open`](Folder::open); says what is odd about it.
    pub(super) fn open_warned(path: &Path) -> Result<Folder> {
        let folder = Folder::open(path)?;
        super::warn(match &folder {
            Folder::Ltt(directory) => directory.warnings(),
            Folder::Lttng(directory) => directory.warnings(),
        });
        Ok(folder)
    }

    /// The same for what changes it.
    pub(super) fn borrowed(&self) -> extracter::Folder<'_> {
        match self {
            Folder::Ltt(directory) => (&**directory).into(),
            Folder::Lttng(directory) => (&**directory).into(),
        }
    }
}
