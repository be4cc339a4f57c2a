//! A join, planned and then done.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use analyser::lttng::{self, Session};
use analyser::{Directory, Kernel, OpenTracefile, Trace};
use lttformat::ReadAt as _;
use rayon::prelude::*;
use rustix::fd::{AsFd as _, BorrowedFd};

use crate::beneath::Beneath;
use crate::cut::CutFolder;
use crate::destination::Destination;
use crate::disk::{Disk, Local, Sink, is_unchanged};
use crate::error::{Error, Result, while_doing};
use crate::inplace::{Edit, InPlace};
use crate::join::file::File;
use crate::join::ltt::plan::Core;
use crate::join::lttng::plan::SessionCore;
use crate::join::plan::Plan;
use crate::join::report::{JoinReport, Layout};
use crate::lock::Lock;
use crate::progress::{Progress, checkpoint};
use crate::source::Content;

/// Where the result goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To a new folder, which becomes the whole result. The trace itself is only read.
    New(PathBuf),
    /// Into the trace. What is cut is kept in a folder `<trace>.cut` beside it.
    InPlace,
}

/// A trace on disk, of either family.
#[derive(Debug, Clone, Copy)]
pub enum Folder<'a> {
    /// LTT 0.x.
    Ltt(&'a Directory),
    /// LTTng 2.x.
    Lttng(&'a lttng::Directory),
}

impl<'a> Folder<'a> {
    fn root(self) -> &'a Path {
        match self {
            Folder::Ltt(directory) => directory.root(),
            Folder::Lttng(directory) => directory.root(),
        }
    }
}

impl<'a> From<&'a Directory> for Folder<'a> {
    fn from(directory: &'a Directory) -> Folder<'a> {
        Folder::Ltt(directory)
    }
}

impl<'a> From<&'a lttng::Directory> for Folder<'a> {
    fn from(directory: &'a lttng::Directory) -> Folder<'a> {
        Folder::Lttng(directory)
    }
}

/// What a join will do. Made by [`Join::with_core`] or [`Join::repair`], which look at everything and change nothing; used up
/// by [`Join::run`].
pub struct Join<'a> {
    plan: Plan<'a>,
    place: Place,
}

enum Place {
    New(Destination),
    InPlace(Here),
}

/// A trace that is changed where it lies.
struct Here {
    /// The folder that it lies in.
    parent: PathBuf,
    /// Its own name.
    name: PathBuf,
    cuts: CutFolder,
    _lock: Lock,
}

impl<'a> Join<'a> {
    /// Plans to cut what is in no whole record, in every file; of an LTTng 2.x trace also what no index and no metadata should have.
    ///
    /// Errors: a target that is refused (see [`Destination::check`]); links and devices in the trace; another run that is changing
    /// it; a file that cannot be read.
    pub fn repair(folder: impl Into<Folder<'a>>, target: Target) -> Result<Join<'a>> {
        let folder = folder.into();
        Join::new(folder.root(), target, Layout::Merged, || match folder {
            Folder::Ltt(directory) => Plan::of_ltt(directory, None, Layout::Merged),
            Folder::Lttng(directory) => Plan::of_lttng(directory, None, Layout::Merged),
        })
    }

    /// Plans to cut, and to add what the core holds. `trace` is the directory's own, as [`pairing`](analyser::pairing) finds it.
    ///
    /// Errors: as [`Join::repair`]; also two files for one stream, a trace that is another one, and files in the way of those that the core adds.
    ///
    /// Cost: reads and decodes the trace and the core's buffers once. Files are looked at in parallel, with two records of memory
    /// each.
    pub fn with_core(
        directory: &'a Directory,
        kernel: &'a Kernel,
        trace: &'a Trace,
        target: Target,
        layout: Layout,
    ) -> Result<Join<'a>> {
        let core = Some(Core { kernel, trace });
        Join::new(directory.root(), target, layout, || Plan::of_ltt(directory, core, layout))
    }

    /// The same for a trace of LTTng 2.x. `session` is the directory's own, as [`lttng::pairing`](analyser::lttng::pairing) finds it.
    ///
    /// Errors and cost: as [`Join::with_core`].
    pub fn with_session(
        directory: &'a lttng::Directory,
        kernel: &'a Kernel,
        session: &'a Session,
        target: Target,
        layout: Layout,
    ) -> Result<Join<'a>> {
        let core = Some(SessionCore { kernel, session });
        Join::new(directory.root(), target, layout, || Plan::of_lttng(directory, core, layout))
    }

    fn new(
        root: &Path,
        target: Target,
        layout: Layout,
        plan: impl FnOnce() -> Result<Plan<'a>>,
    ) -> Result<Join<'a>> {
        let place = match target {
            Target::InPlace if layout == Layout::Beside => return Err(Error::BesideInPlace),
            Target::InPlace => Place::InPlace(Here::new(root)?),
            Target::New(output) => {
                let destination = Destination::check(&output)?;
                if destination.is_inside(root) {
                    return Err(Error::OutputInside { path: output });
                }
                Place::New(destination)
            }
        };
        let mut join = Join { plan: plan()?, place };
        match &join.place {
            Place::New(destination) => {
                join.plan.report.output = Some(destination.shown().display().to_string());
            }
            Place::InPlace(here) => here.foresee(&mut join.plan, root)?,
        }
        Ok(join)
    }

    /// What [`Join::run`] would do: a dry run.
    pub fn report(&self) -> &JoinReport {
        &self.plan.report
    }

    /// Whether every file is as it should be already. In place [`Join::run`] then does nothing; a new folder becomes a copy.
    pub fn changes_nothing(&self) -> bool {
        self.plan.files.iter().all(File::is_unchanged)
    }

    /// Bytes that [`Join::run`] will write, cuts not counted: the goal of [`Progress`].
    pub fn total_bytes(&self) -> u64 {
        let changed = |file: &&File<'_>| matches!(self.place, Place::New(_)) || !file.is_unchanged();
        self.plan.files.iter().filter(changed).map(File::bytes).sum()
    }

    /// Does it.
    ///
    /// To a new folder: all or nothing, as [`Plan::run`](crate::Plan::run). In place: what is cut is saved first, then one file after the other is replaced, metadata
    /// first; at any instant each file is the old or the new one, and a run that ended early is finished by running again.
    pub fn run(self, progress: &dyn Progress) -> Result<JoinReport> {
        match &self.place {
            Place::New(destination) => self.write_new(destination, &Local, progress)?,
            Place::InPlace(here) => {
                let disk = Beneath::open(&here.parent).map_err(while_doing("opening", &here.parent))?;
                return self.change(&disk, progress);
            }
        }
        Ok(self.plan.report)
    }

    /// Writes the result into a temporary folder and renames that.
    fn write_new(&self, destination: &Destination, disk: &dyn Disk, progress: &dyn Progress) -> Result<()> {
        let stage = destination.stage()?;
        let root = stage.path();
        let shown = |path: &Path| destination.shown().join(path);
        let is_copy = self.plan.report.layout != Layout::Beside;
        let folders = self.folders(is_copy);
        for folder in &folders {
            disk.create_directories(&root.join(folder)).map_err(while_doing("creating", shown(folder)))?;
        }
        let others = self.plan.others.iter().filter(|_| is_copy);
        let others = others.map(|other| {
            let open = other.open().map_err(while_doing("opening", self.plan.root.join(other.path())));
            copy(&open?, &root.join(other.path()), &shown(other.path()), disk)
        });
        others.collect::<Result<()>>()?;
        self.plan
            .files
            .par_iter()
            .with_max_len(1)
            .try_for_each(|file| self.write_file(file, root, &shown(&file.path), disk, progress))?;
        for folder in &folders {
            disk.sync_directory(&root.join(folder)).map_err(while_doing("syncing", shown(folder)))?;
        }
        checkpoint(progress)?;
        stage.publish(disk)
    }

    /// All folders of the result, the result itself (the empty path) too.
    fn folders(&self, is_copy: bool) -> BTreeSet<PathBuf> {
        let old = self.plan.directories.iter().filter(|_| is_copy).cloned();
        let above =
            self.plan.files.iter().flat_map(|file| file.path.ancestors().skip(1).map(Path::to_path_buf));
        old.chain(above).chain([PathBuf::new()]).collect()
    }

    fn write_file(
        &self,
        file: &File<'a>,
        root: &Path,
        shown: &Path,
        disk: &dyn Disk,
        progress: &dyn Progress,
    ) -> Result<()> {
        let failed = |action| while_doing(action, shown.to_path_buf());
        // Also what is not written as a copy takes ranges from the trace.
        let source = self.source(file)?;
        let mut sink = disk.create(&root.join(&file.path)).map_err(failed("creating"))?;
        if let Some(original) = &file.original {
            sink.resemble(&original.stat).map_err(failed("setting the permissions of"))?;
        }
        let original = source.as_ref().map(|open| open.as_fd());
        let unwritten = |error| failed("writing")(error);
        file.write(original, self.content(file), &mut *sink, &unwritten, progress)?;
        sink.sync().map_err(failed("syncing"))
    }

    /// The file that ranges are taken from, open; it must be the one that was looked at.
    fn source(&self, file: &File<'a>) -> Result<Option<OpenTracefile>> {
        let Some(source) = &file.source else { return Ok(None) };
        let shown = self.plan.root.join(source.file.path());
        let open = source.file.open().map_err(while_doing("opening", shown.clone()))?;
        if !is_unchanged(&open, &source.stat).map_err(while_doing("looking at", shown.clone()))? {
            return Err(Error::Changed { path: shown });
        }
        Ok(Some(open))
    }

    fn content(&self, file: &File<'a>) -> Option<&dyn Content> {
        self.plan.contents.get(file.stream)?.as_deref().map(|content| content as &dyn Content)
    }

    /// Changes the trace where it lies.
    fn change(mut self, disk: &dyn Disk, progress: &dyn Progress) -> Result<JoinReport> {
        let Place::InPlace(here) = &self.place else { return Ok(self.plan.report) };
        let root = self.plan.root;
        let in_place = InPlace::new(disk, &here.name, root, &here.cuts);
        for leftover in &self.plan.leftovers {
            in_place.remove_leftover(leftover.path())?;
        }
        let mut changed: Vec<&File<'a>> =
            self.plan.files.iter().filter(|file| !file.is_unchanged()).collect();
        changed.sort_by_key(|file| !file.is_metadata);
        let writes: Vec<_> = changed
            .iter()
            .map(|file| {
                |original: Option<BorrowedFd<'_>>, sink: &mut dyn Sink| {
                    let failed = |error| while_doing("writing", root.join(&file.path))(error);
                    file.write(original, self.content(file), sink, &failed, progress)
                }
            })
            .collect();
        let edits: Vec<_> = changed
            .iter()
            .zip(&writes)
            .map(|(file, write)| Edit {
                path: &file.path,
                original: file.original.as_ref().map(|original| original.stat),
                cuts: &file.cuts,
                write,
            })
            .collect();
        let saved = in_place.run(&edits)?;
        let cuts = changed.iter().zip(saved).flat_map(|(file, saved)| {
            file.cuts.iter().cloned().zip(saved).map(|(range, path)| (file.path.clone(), range, path))
        });
        let cuts: Vec<_> = cuts.collect();
        cuts.iter().for_each(|(file, range, path)| self.plan.report.save(file, range, path));
        Ok(self.plan.report)
    }
}

/// Copies a file that is no part of the trace.
fn copy(open: &OpenTracefile, to: &Path, shown: &Path, disk: &dyn Disk) -> Result<()> {
    let failed = |action| while_doing(action, shown.to_path_buf());
    let mut sink = disk.create(to).map_err(failed("creating"))?;
    let stat = rustix::fs::fstat(open).map_err(|errno| failed("looking at")(errno.into()))?;
    sink.resemble(&stat).map_err(failed("setting the permissions of"))?;
    sink.copy(open.as_fd(), 0..open.len()).map_err(failed("writing"))?;
    sink.sync().map_err(failed("syncing"))
}

impl Here {
    fn new(root: &Path) -> Result<Here> {
        let (Some(parent), Some(name)) = (root.parent(), root.file_name()) else {
            return Err(Error::OutputUnnamed { path: root.to_path_buf() });
        };
        let cuts = CutFolder::beside(parent, name);
        Ok(Here { parent: parent.to_path_buf(), name: name.into(), cuts, _lock: Lock::take(root)? })
    }

    /// Finds where the cuts will be kept, and refuses what cannot be changed.
    fn foresee(&self, plan: &mut Plan<'_>, root: &Path) -> Result<()> {
        let disk = Beneath::open(&self.parent).map_err(while_doing("opening", &self.parent))?;
        plan.report.cut_folder = Some(self.cuts.shown().display().to_string());
        for file in plan.files.iter().filter(|file| !file.is_unchanged()) {
            let Some(original) = &file.original else { continue };
            let (path, links) = (root.join(&file.path), original.file.links());
            if links > 1 {
                return Err(Error::HardLinks { path, links });
            }
            if file.cuts.is_empty() {
                continue;
            }
            let open = original.file.open().map_err(while_doing("opening", path))?;
            for range in &file.cuts {
                let place = self.cuts.place(&file.path, open.as_fd(), range, &disk)?;
                plan.report.save(&file.path, range, &place.path);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Join<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("report", &self.plan.report).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod lttng_tests;
#[cfg(test)]
mod tests;
