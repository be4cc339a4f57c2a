//! A disk that fails when it is told to, and a user who changes his mind, for the tests of what must survive that.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rustix::fd::BorrowedFd;
use rustix::fs::Stat;
use tempfile::TempDir;

use crate::disk::{Disk, Sink, copy_through_memory};
use crate::progress::Progress;

/// A scratch folder in memory where there is one: tests that count on being stopped need no disk to be slow.
pub(crate) fn scratch() -> TempDir {
    let memory = tempfile::Builder::new().tempdir_in("/dev/shm");
    memory.unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// What goes wrong. Steps are counted from 0, calls of one kind too.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Nothing,
    /// One call of this kind fails.
    Call(&'static str, usize, ErrorKind),
    /// One step fails, whatever it is.
    Step(usize, ErrorKind),
    /// From this step on nothing more fits.
    Full(usize),
    /// The program is killed at this step: nothing happens any more. The step itself had taken effect if the flag is set; a write
    /// without it is done by half.
    Killed(usize, bool),
}

/// Another disk with a fault, and a log of what was done to it.
pub(crate) struct Faulty<'d> {
    disk: &'d dyn Disk,
    fault: Fault,
    log: Mutex<Vec<Step>>,
}

/// One thing that was asked of the disk.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) call: &'static str,
    pub(crate) path: PathBuf,
    /// Of a rename.
    pub(crate) to: PathBuf,
}

/// How a step goes.
enum Outcome {
    Done,
    /// Takes effect, but nobody will know.
    DoneThen(io::Error),
    Fails(io::Error),
}

impl<'d> Faulty<'d> {
    pub(crate) fn new(disk: &'d dyn Disk, fault: Fault) -> Faulty<'d> {
        Faulty { disk, fault, log: Mutex::new(Vec::new()) }
    }

    pub(crate) fn log(self) -> Vec<Step> {
        self.log.into_inner().unwrap()
    }

    fn outcome(&self, call: &'static str, path: &Path, to: &Path) -> Outcome {
        let mut log = self.log.lock().unwrap();
        let step = log.len();
        let earlier = log.iter().filter(|earlier| earlier.call == call).count();
        log.push(Step { call, path: path.into(), to: to.into() });
        let killed = || io::Error::other("killed");
        match self.fault {
            Fault::Call(failing, nth, kind) if failing == call && nth == earlier => {
                Outcome::Fails(kind.into())
            }
            Fault::Step(nth, kind) if nth == step => Outcome::Fails(kind.into()),
            Fault::Full(nth) if step >= nth && matches!(call, "create" | "write" | "copy" | "directory") => {
                Outcome::Fails(ErrorKind::StorageFull.into())
            }
            Fault::Killed(nth, true) if nth == step => Outcome::DoneThen(killed()),
            Fault::Killed(nth, _) if step >= nth => Outcome::Fails(killed()),
            _ => Outcome::Done,
        }
    }

    fn step<T>(
        &self,
        call: &'static str,
        path: &Path,
        to: &Path,
        action: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match self.outcome(call, path, to) {
            Outcome::Done => action(),
            Outcome::DoneThen(error) => action().and(Err(error)),
            Outcome::Fails(error) => Err(error),
        }
    }
}

struct FaultySink<'a> {
    sink: Box<dyn Sink + 'a>,
    disk: &'a Faulty<'a>,
    path: PathBuf,
}

impl FaultySink<'_> {
    /// Writes all, or half if that fails.
    fn write_bytes(&mut self, call: &'static str, bytes: &[u8]) -> io::Result<()> {
        match self.disk.outcome(call, &self.path, Path::new("")) {
            Outcome::Done => self.sink.write_all(bytes),
            Outcome::DoneThen(error) => self.sink.write_all(bytes).and(Err(error)),
            Outcome::Fails(error) => self.sink.write_all(&bytes[..bytes.len() / 2]).and(Err(error)),
        }
    }
}

impl Write for FaultySink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_bytes("write", bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

impl Sink for FaultySink<'_> {
    fn copy(&mut self, from: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
        let mut bytes = Vec::new();
        copy_through_memory(from, range, &mut bytes)?;
        self.write_bytes("copy", &bytes)
    }

    fn resemble(&mut self, other: &Stat) -> io::Result<()> {
        self.disk.step("resemble", &self.path, Path::new(""), || self.sink.resemble(other))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.step("sync", &self.path, Path::new(""), || self.sink.sync())
    }
}

impl Disk for Faulty<'_> {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink + '_>> {
        let sink = self.step("create", path, Path::new(""), || self.disk.create(path))?;
        Ok(Box::new(FaultySink { sink, disk: self, path: path.into() }))
    }

    fn create_directories(&self, path: &Path) -> io::Result<()> {
        self.step("directory", path, Path::new(""), || self.disk.create_directories(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step("sync directory", path, Path::new(""), || self.disk.sync_directory(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename", from, to, || self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step("remove", path, Path::new(""), || self.disk.remove(path))
    }

    fn open(&self, path: &Path) -> io::Result<Option<File>> {
        self.step("open", path, Path::new(""), || self.disk.open(path))
    }
}

/// Wants no more once that many pieces are done.
pub(crate) struct Stops(AtomicU64);

impl Stops {
    pub(crate) fn after(pieces: u64) -> Stops {
        Stops(AtomicU64::new(pieces))
    }
}

impl Progress for Stops {
    fn advance(&self, _bytes: u64, _file: &str) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Relaxed) == 0
    }
}
