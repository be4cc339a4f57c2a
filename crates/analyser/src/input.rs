//! Files that the user names.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use crate::error::{Error, Result};

/// Refuses what is no file: the system's own words, as `Illegal seek` for `<(zcat core.gz)`, tell nobody what to do about it.
pub(crate) fn readable(path: &Path) -> Result<()> {
    // What else keeps it from being opened, opening tells.
    let Ok(metadata) = path.metadata() else { return Ok(()) };
    let kind = metadata.file_type();
    if kind.is_fifo() {
        return Err(Error::Pipe { path: path.to_path_buf() });
    }
    let found = match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_char_device() => "a device",
        kind if kind.is_socket() => "a socket",
        _ => return Ok(()),
    };
    Err(Error::NotAFile { path: path.to_path_buf(), found })
}
