//! Folders of files, byte for byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The files below a folder, by their paths in it.
fn files(root: &Path) -> Result<BTreeMap<PathBuf, PathBuf>> {
    let mut folders = vec![root.to_owned()];
    let mut files = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let inside = path.strip_prefix(root).unwrap_or(&path).to_owned();
                files.insert(inside, path);
            }
        }
    }
    Ok(files)
}

/// Compares two folders; returns how many files each has, or every difference.
pub(crate) fn same(expected: &Path, found: &Path) -> Result<usize, Vec<String>> {
    same_but(expected, found, |_| false).map(|(equal, _)| equal)
}

/// Compares two folders; the contents of files that `may_differ` by their paths in the folder may do so. Returns how many files
/// are equal and how many there are, or every difference.
pub(crate) fn same_but(
    expected: &Path,
    found: &Path,
    may_differ: impl Fn(&Path) -> bool,
) -> Result<(usize, usize), Vec<String>> {
    let (expected, found) = (files(expected).map_err(one)?, files(found).map_err(one)?);
    let mut equal = 0;
    let mut wrong = Vec::new();
    for (name, path) in &expected {
        let Some(other) = found.get(name) else {
            wrong.push(format!("{} is missing", name.display()));
            continue;
        };
        match different(path, other).map_err(one)? {
            None => equal += 1,
            Some(_) if may_differ(name) => {}
            Some(why) => wrong.push(format!("{}: {why}", name.display())),
        }
    }
    wrong.extend(
        found
            .keys()
            .filter(|name| !expected.contains_key(*name))
            .map(|name| format!("{} is new", name.display())),
    );
    if wrong.is_empty() { Ok((equal, expected.len())) } else { Err(wrong) }
}

/// Where two files differ.
fn different(expected: &Path, found: &Path) -> Result<Option<String>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    let (expected, found) = (read(expected)?, read(found)?);
    if expected == found {
        return Ok(None);
    }
    let at = expected.iter().zip(&found).position(|(a, b)| a != b).unwrap_or(expected.len().min(found.len()));
    Ok(Some(format!(
        "expected {} bytes, found {}, the first difference is at {at}",
        expected.len(),
        found.len()
    )))
}

fn one(error: anyhow::Error) -> Vec<String> {
    vec![format!("{error:#}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_difference() {
        let root = std::env::temp_dir().join(format!("ltt-kdump-tree-{}", std::process::id()));
        let (a, b) = (root.join("a"), root.join("b"));
        for (path, text) in [
            ("a/same", "1"),
            ("b/same", "1"),
            ("a/in/other", "12"),
            ("b/in/other", "13"),
            ("a/gone", ""),
            ("b/new", ""),
        ] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(same(&a, &a), Ok(3));
        let wrong = same(&a, &b).unwrap_err();
        let expected = [
            "gone is missing",
            "in/other: expected 2 bytes, found 2, the first difference is at 1",
            "new is new",
        ];
        assert_eq!(wrong, expected);
        fs::remove_file(a.join("gone")).unwrap();
        fs::remove_file(b.join("new")).unwrap();
        assert_eq!(same_but(&a, &b, |name| name.starts_with("in")), Ok((1, 2)));
        assert!(same_but(&a, &b, |name| name.starts_with("same")).is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
