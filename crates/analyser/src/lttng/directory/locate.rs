//! Where below a given directory the trace itself lies.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Entry;
use crate::error::{Error, Result};

/// The file that makes a directory a trace.
pub(super) const METADATA: &str = "metadata";

/// The directory of the kernel's trace in that of a session.
const KERNEL: &str = "kernel";

/// The trace's own directory below `path`, in which `entries` are: the one with a `metadata` file. `path` itself, or else its
/// `kernel/`, or else the only one that is nearest: of a session that was rotated that of its current chunk. Where a crash has
/// taken all metadata, the first of these that has a file beginning as packets do.
///
/// Errors: none, or several of them.
pub(super) fn locate(path: &Path, entries: &[Entry]) -> Result<PathBuf> {
    let visible = || entries.iter().filter(|entry| !is_hidden(&entry.path));
    let parents: BTreeSet<&Path> = visible()
        .filter(|entry| entry.path.file_name() == Some(OsStr::new(METADATA)))
        .filter_map(|entry| entry.path.parent())
        .collect();
    let preferred = [Path::new(""), Path::new(KERNEL)];
    if let Some(found) = preferred.iter().find(|folder| parents.contains(*folder)) {
        return Ok(found.to_path_buf());
    }
    let depth = |path: &Path| path.components().count();
    let nearest = parents.iter().map(|parent| depth(parent)).min();
    let nearest: Vec<&Path> = parents.into_iter().filter(|parent| Some(depth(parent)) == nearest).collect();
    match nearest.as_slice() {
        [only] => return Ok(only.to_path_buf()),
        [] => {}
        several => {
            let found: Vec<_> = several.iter().map(|path| path.display().to_string()).collect();
            return Err(Error::SeveralDirectories { path: path.to_owned(), found: found.join(", ") });
        }
    }
    let has_packets =
        |folder: &Path| visible().any(|entry| entry.begins_as_packet && entry.path.parent() == Some(folder));
    let found = preferred.into_iter().find(|folder| has_packets(folder));
    found.map(Path::to_path_buf).ok_or_else(|| Error::NoTrace { path: path.to_owned() })
}

/// Whether it or a directory above it is hidden: viewers pass it over.
pub(super) fn is_hidden(path: &Path) -> bool {
    path.iter().any(|part| part.as_bytes().first() == Some(&b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(paths: &[&str]) -> String {
        let entries: Vec<_> = paths
            .iter()
            .map(|path| Entry {
                path: path.into(),
                len: 4096,
                links: 1,
                begins_as_packet: path.ends_with("_0"),
            })
            .collect();
        match locate(Path::new("t"), &entries) {
            Ok(path) => format!("<{}>", path.display()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_folder_with_metadata() {
        assert_eq!(located(&["metadata", "kernel/metadata"]), "<>");
        assert_eq!(located(&["kernel/metadata", "ust/metadata"]), "<kernel>");
        assert_eq!(located(&["ust/metadata", "kernel/x/metadata"]), "<ust>");
        assert_eq!(located(&["archives/a/kernel/metadata", "now-2/kernel/metadata"]), "<now-2/kernel>");
        assert_eq!(
            located(&["a/kernel/metadata", "b/kernel/metadata"]),
            "t: expected one trace, found several: a/kernel, b/kernel"
        );
        assert_eq!(located(&["a/metadata", ".b/metadata", ".tmp_old_chunk/kernel/metadata"]), "<a>");
    }

    #[test]
    fn without_metadata() {
        assert_eq!(located(&["net_0", "index/net_0.idx"]), "<>");
        assert_eq!(located(&["kernel/net_0"]), "<kernel>");
        let none = "t: expected a trace directory, found no trace file in it";
        assert_eq!(located(&[]), none);
        assert_eq!(located(&["cpu_1", "kernel/x/net_0", ".hidden_0"]), none);
    }
}
