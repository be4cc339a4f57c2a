//! Changes files of a trace so that at any instant each is either the old one or the new one, and nothing is lost.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::Stat;

use crate::cut::CutFolder;
use crate::disk::{Disk, Sink, is_unchanged, make_directories};
use crate::error::{Error, Result, while_doing};
use crate::partial::partial;

/// Writes the new content of a file, some of it copied from the original, which is handed over open.
pub(crate) type Write<'a> = dyn Fn(Option<BorrowedFd<'_>>, &mut dyn Sink) -> Result<()> + 'a;

/// What happens to one file.
pub(crate) struct Edit<'a> {
    /// Below the trace.
    pub(crate) path: &'a Path,
    /// The file as it was when the change was planned; none: it is new.
    pub(crate) original: Option<Stat>,
    /// Ranges of the original that the new file lacks.
    pub(crate) cuts: &'a [Range<u64>],
    pub(crate) write: &'a Write<'a>,
}

/// A trace that is changed where it lies.
///
/// Order: what is cut is saved first, all of it; then, one file after the other in the order given, the new content is written
/// beside the old, synced, renamed over it, and the folder synced. So a run that stops anywhere, also by a power cut, has lost nothing, and
/// when it is repeated it finds what is left to do.
pub(crate) struct InPlace<'d> {
    disk: &'d dyn Disk,
    /// Below the disk's root.
    trace: &'d Path,
    /// For messages.
    shown: &'d Path,
    cuts: &'d CutFolder,
}

impl<'d> InPlace<'d> {
    pub(crate) fn new(
        disk: &'d dyn Disk,
        trace: &'d Path,
        shown: &'d Path,
        cuts: &'d CutFolder,
    ) -> InPlace<'d> {
        InPlace { disk, trace, shown, cuts }
    }

    /// Makes all changes. Returns where the cuts of each file are kept, below the folder of cuts.
    ///
    /// Errors: the first that occurs; every file is then as it was or as planned.
    pub(crate) fn run(&self, edits: &[Edit<'_>]) -> Result<Vec<Vec<PathBuf>>> {
        let unfinished =
            |done| move |source| Error::Unfinished { done, files: edits.len(), source: Box::new(source) };
        let saved = edits.iter().map(|edit| self.save(edit)).collect::<Result<_>>().map_err(unfinished(0))?;
        for (done, edit) in edits.iter().enumerate() {
            self.replace(edit).map_err(unfinished(done))?;
        }
        Ok(saved)
    }

    /// Removes what a run that was killed left behind.
    pub(crate) fn remove_leftover(&self, path: &Path) -> Result<()> {
        self.disk.remove(&self.trace.join(path)).map_err(while_doing("removing", self.shown.join(path)))
    }

    /// Keeps what an edit cuts.
    fn save(&self, edit: &Edit<'_>) -> Result<Vec<PathBuf>> {
        let Some(original) = &edit.original else { return Ok(Vec::new()) };
        if edit.cuts.is_empty() {
            return Ok(Vec::new());
        }
        let file = self.unchanged(edit)?;
        let file = file.as_ref().map(File::as_fd).ok_or_else(|| self.changed(edit))?;
        let save = |range| self.cuts.save(edit.path, file, original, range, self.disk);
        edit.cuts.iter().map(save).collect()
    }

    fn replace(&self, edit: &Edit<'_>) -> Result<()> {
        let failed = |action| while_doing(action, self.shown.join(edit.path));
        let path = self.trace.join(edit.path);
        let folder = path.parent().unwrap_or(self.trace);
        let partial = partial(&path);
        if edit.original.is_none() {
            make_directories(self.disk, folder).map_err(failed("creating the folder of"))?;
        }
        self.disk.remove(&partial).map_err(failed("removing what was left of"))?;
        let replaced = self.write(edit, &partial).and_then(|()| {
            self.unchanged(edit)?;
            self.disk.rename(&partial, &path).map_err(failed("replacing"))
        });
        if replaced.is_err() {
            let _ = self.disk.remove(&partial); // the first error is the one to tell
        }
        replaced?;
        self.disk.sync_directory(folder).map_err(failed("syncing the folder of"))
    }

    fn write(&self, edit: &Edit<'_>, partial: &Path) -> Result<()> {
        let failed = |action| while_doing(action, self.shown.join(edit.path));
        let original = self.unchanged(edit)?;
        let mut sink = self.disk.create(partial).map_err(failed("creating"))?;
        if let Some(original) = &edit.original {
            sink.resemble(original).map_err(failed("setting the permissions of"))?;
        }
        (edit.write)(original.as_ref().map(File::as_fd), &mut *sink)?;
        sink.sync().map_err(failed("syncing"))
    }

    /// The original, open, if its place is as it was: nobody has written to it, and nobody has taken it.
    fn unchanged(&self, edit: &Edit<'_>) -> Result<Option<File>> {
        let failed = || while_doing("opening", self.shown.join(edit.path));
        let found = self.disk.open(&self.trace.join(edit.path)).map_err(failed())?;
        let unchanged = match (&found, &edit.original) {
            (Some(file), Some(original)) => is_unchanged(file, original).map_err(failed())?,
            (found, original) => found.is_none() && original.is_none(),
        };
        if unchanged { Ok(found) } else { Err(self.changed(edit)) }
    }

    fn changed(&self, edit: &Edit<'_>) -> Error {
        Error::Changed { path: self.shown.join(edit.path) }
    }
}

#[cfg(test)]
mod tests;
