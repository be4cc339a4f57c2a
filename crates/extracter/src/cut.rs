//! Where the bytes go that are cut from a trace: a folder beside it, since viewers open every file inside.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::Stat;

use crate::disk::{Disk, make_directories, read_exact_at};
use crate::error::{Result, while_doing};
use crate::name;
use crate::partial::partial;

/// Bytes that are compared at a time.
const CHUNK: u64 = 64 << 10;

/// The folder `<trace>.cut` beside a trace.
///
/// Shape: what is cut from `control/cpu_0` at byte 8192 is kept as `control/cpu_0@8192`. If other bytes have that name already
/// they stay, and the new ones are called `control/cpu_0@8192~2`, `~3` …. The same bytes are never kept twice, so a run that is repeated
/// finds what it had saved.
#[derive(Debug)]
pub(crate) struct CutFolder {
    /// Below the folder that both lie in.
    name: PathBuf,
    shown: PathBuf,
}

/// Where some bytes are kept, below the folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// They are there already.
    pub(crate) saved: bool,
}

impl CutFolder {
    /// The folder for the trace called `trace` in the folder `parent`.
    pub(crate) fn beside(parent: &Path, trace: &OsStr) -> CutFolder {
        let name = name::affixed("", trace, ".cut");
        CutFolder { shown: parent.join(&name), name: name.into() }
    }

    /// The folder's full path.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// Looks where a range of a file is kept or will be. Changes nothing.
    ///
    /// Errors: a link or a file where a folder should be.
    pub(crate) fn place(
        &self,
        file: &Path,
        original: BorrowedFd<'_>,
        range: &Range<u64>,
        disk: &dyn Disk,
    ) -> Result<Place> {
        let offset = range.start;
        let mut suffix = format!("@{offset}");
        for nth in 2_u64.. {
            let path = file.with_file_name(name::affixed("", file.file_name().unwrap_or_default(), &suffix));
            let failed = || while_doing("looking at", self.shown.join(&path));
            match disk.open(&self.name.join(&path)).map_err(failed())? {
                None => return Ok(Place { path, saved: false }),
                Some(kept) if holds(&kept, original, range).map_err(failed())? => {
                    return Ok(Place { path, saved: true });
                }
                Some(_) => suffix = format!("@{offset}~{nth}"),
            }
        }
        Err(while_doing("finding a name in", &self.shown)(io::ErrorKind::AlreadyExists.into()))
    }

    /// Keeps a range of a file, and returns where when it is on the disk to stay.
    pub(crate) fn save(
        &self,
        file: &Path,
        original: BorrowedFd<'_>,
        resembling: &Stat,
        range: &Range<u64>,
        disk: &dyn Disk,
    ) -> Result<PathBuf> {
        let place = self.place(file, original, range, disk)?;
        let failed = |action| while_doing(action, self.shown.join(&place.path));
        let path = self.name.join(&place.path);
        let folder = path.parent().unwrap_or(&self.name);
        if !place.saved {
            make_directories(disk, folder).map_err(failed("creating the folder of"))?;
            let partial = partial(&path);
            disk.remove(&partial).map_err(failed("removing what was left of"))?;
            let kept = || -> io::Result<()> {
                let mut sink = disk.create(&partial)?;
                sink.resemble(resembling)?;
                sink.copy(original, range.clone())?;
                sink.sync()?;
                disk.rename(&partial, &path)
            };
            kept().map_err(|error| {
                let _ = disk.remove(&partial);
                failed("keeping what is cut as")(error)
            })?;
        }
        disk.sync_directory(folder).map_err(failed("syncing the folder of"))?;
        Ok(place.path)
    }
}

/// Whether a file holds exactly a range of another.
fn holds(kept: &File, original: BorrowedFd<'_>, range: &Range<u64>) -> io::Result<bool> {
    let len = range.end.saturating_sub(range.start);
    if kept.metadata()?.len() != len {
        return Ok(false);
    }
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let mut done = 0;
    while done < len {
        let step = CHUNK.min(len - done);
        let size = usize::try_from(step).unwrap_or_default();
        a.resize(size, 0);
        b.resize(size, 0);
        read_exact_at(kept.as_fd(), done, &mut a)?;
        read_exact_at(original, range.start + done, &mut b)?;
        if a != b {
            return Ok(false);
        }
        done += step;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::beneath::Beneath;

    #[test]
    fn bytes_are_kept_once_and_never_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        let disk = Beneath::open(scratch.path()).unwrap();
        let folder = CutFolder::beside(scratch.path(), OsStr::new("t"));
        let file = Path::new("control/cpu_0");
        let save = |content: &str, range: Range<u64>| {
            fs::write(at("original"), content).unwrap();
            let open = File::open(at("original")).unwrap();
            let stat = rustix::fs::fstat(&open).unwrap();
            let foreseen = folder.place(file, open.as_fd(), &range, &disk).unwrap();
            let path = folder.save(file, open.as_fd(), &stat, &range, &disk).unwrap();
            assert_eq!(foreseen.path, path);
            let kept = fs::read(at("t.cut").join(&path)).unwrap();
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            assert_eq!(kept, content.as_bytes()[start..end]);
            (path.display().to_string(), foreseen.saved)
        };
        assert_eq!(save("0123456789", 4..10), ("control/cpu_0@4".to_owned(), false));
        assert_eq!(save("0123456789", 4..10), ("control/cpu_0@4".to_owned(), true));
        assert_eq!(save("0123456789", 4..9), ("control/cpu_0@4~2".to_owned(), false));
        assert_eq!(save("012345678X", 4..10), ("control/cpu_0@4~3".to_owned(), false));
        assert_eq!(save("012345678X", 4..10), ("control/cpu_0@4~3".to_owned(), true));
        assert_eq!(save("0123456789", 0..1), ("control/cpu_0@0".to_owned(), false));
        assert_eq!(fs::read_dir(at("t.cut/control")).unwrap().count(), 4);
    }

    #[test]
    fn links_are_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        let disk = Beneath::open(scratch.path()).unwrap();
        fs::write(at("original"), "01").unwrap();
        let open = File::open(at("original")).unwrap();
        let stat = rustix::fs::fstat(&open).unwrap();
        let refused = |name: &str| {
            let folder = CutFolder::beside(scratch.path(), OsStr::new(name));
            let error = folder.save(Path::new("a/x"), open.as_fd(), &stat, &(0..1), &disk).unwrap_err();
            assert!(std::error::Error::source(&error).unwrap().to_string().contains("expected"), "{error:?}");
        };
        symlink(outside.path(), at("link.cut")).unwrap();
        refused("link");
        fs::write(at("file.cut"), "").unwrap();
        refused("file");
        fs::create_dir(at("inner.cut")).unwrap();
        symlink(outside.path(), at("inner.cut/a")).unwrap();
        refused("inner");
        fs::create_dir_all(at("last.cut/a")).unwrap();
        symlink(outside.path().join("x"), at("last.cut/a/x@0")).unwrap();
        refused("last");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
