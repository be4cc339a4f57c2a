//! The files of a trace.

use std::fs;
use std::path::Path;

use analyser::lttng::{Depth, Directory};

/// Asserts that nothing is left to be repaired.
pub(crate) fn is_whole(root: &Path, label: &str) {
    let check = Directory::open(root).unwrap().check(Depth::All);
    assert!(!check.is_damaged(), "{label}: {}", serde_json::to_string_pretty(&check).unwrap());
}

/// Every file below a folder, with its content.
pub(crate) fn tree(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
