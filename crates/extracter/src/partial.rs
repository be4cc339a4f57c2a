//! Names of files that are being written.

use std::path::{Path, PathBuf};

use crate::name;

/// Ends the name of a file that is being written; it begins with a dot, since viewers skip hidden files.
const PARTIAL: &str = ".ltt-kdump-partial";

/// The name under which a file is written before it gets its own.
pub(crate) fn partial(path: &Path) -> PathBuf {
    path.with_file_name(name::affixed(".", path.file_name().unwrap_or_default(), PARTIAL))
}

/// Whether a file has such a name, so that it is what a run that was killed left behind.
pub(crate) fn is_partial(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(PARTIAL.as_bytes())
}
