//! What a join will do, whichever family the trace is of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use analyser::Other;

use crate::error::{Error, Result};
use crate::join::file::File;
use crate::join::report::{JoinReport, Layout};
use crate::source::Content;

/// The files of the result and the report about them. Made by `ltt` and `lttng`.
pub(crate) struct Plan<'a> {
    /// The trace's folder.
    pub(crate) root: &'a Path,
    /// All folders below it.
    pub(crate) directories: &'a [PathBuf],
    /// Files that belong to no stream.
    pub(crate) others: Vec<&'a Other>,
    /// What a run that was killed left behind.
    pub(crate) leftovers: Vec<&'a Other>,
    /// The core's part of each stream.
    pub(crate) contents: Vec<Option<Box<dyn Content + 'a>>>,
    /// Also those that stay as they are; one that says something about another comes after it.
    pub(crate) files: Vec<File<'a>>,
    pub(crate) report: JoinReport,
}

impl Plan<'_> {
    /// New files must not need the place of others, nor of folders.
    pub(crate) fn check_places(&self) -> Result<()> {
        let folders: BTreeSet<&Path> = self.directories.iter().map(|path| &**path).collect();
        let others = self.others.iter().map(|other| other.path());
        let files: BTreeSet<&Path> = self.files.iter().map(|file| &*file.path).chain(others).collect();
        let occupied = |path: &Path, found: &str| {
            Err(Error::Occupied { path: self.root.join(path), found: found.to_owned() })
        };
        for file in self.files.iter().filter(|file| file.original.is_none()) {
            if folders.contains(&*file.path) && self.report.layout != Layout::Beside {
                return occupied(&file.path, "a folder");
            }
            if let Some(above) = file.path.ancestors().skip(1).find(|above| files.contains(above)) {
                return occupied(above, "a file");
            }
        }
        Ok(())
    }
}
