//! A directory tree that is walked and read without ever leaving it.
//!
//! Who can write to the tree may replace anything in it at any instant. So nothing is opened by a path that the system resolves:
//! every component is opened from the descriptor of the one above it, refusing symbolic links, and what was opened is looked at
//! before it is used.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use super::refused::{Refused, RefusedKind};

/// Directories below each other. A trace has two at most.
const DEPTH_MAX: usize = 32;

/// Entries of the whole tree. The largest trace that makes sense has thousands of CPUs and some dozens of channels.
const ENTRIES_MAX: usize = 1 << 18;

/// An open directory with everything below it.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
}

/// What a walk found besides regular files; paths are relative to the root, in order.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) directories: Vec<PathBuf>,
    pub(crate) refused: Vec<Refused>,
}

/// A regular file that can be read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) len: u64,
    pub(crate) links: u64,
}

impl Tree {
    /// Opens the root. Here, and only here, links are followed: the user named it.
    pub(crate) fn open(path: &Path) -> io::Result<Tree> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Tree { root: rustix::fs::open(path, flags, Mode::empty())? })
    }

    /// Visits everything below the root, and hands each regular file to `visit` while it is open.
    ///
    /// Errors: the root cannot be read, or the tree is too large to be a trace. What cannot be entered or read below the root is
    /// in the result.
    pub(crate) fn walk(&self, mut visit: impl FnMut(Found)) -> io::Result<Walk> {
        let mut walk = Walk::default();
        let mut pending = vec![PathBuf::new()];
        let mut entries = 0_usize;
        while let Some(directory) = pending.pop() {
            let opened = self.directory(&directory).and_then(|fd| {
                let names = names(&fd, ENTRIES_MAX.saturating_sub(entries))?;
                Ok((fd, names))
            });
            let (fd, names) = match opened {
                Ok(opened) => opened,
                Err(error) if directory.as_os_str().is_empty() || error.kind() == TOO_LARGE => {
                    return Err(error);
                }
                Err(error) => {
                    walk.refuse(directory, RefusedKind::Unreadable(error.to_string()));
                    continue;
                }
            };
            entries = entries.saturating_add(names.len());
            for name in names {
                let name = OsStr::from_bytes(&name);
                let path = directory.join(name);
                match kind(&fd, name) {
                    Ok(FileType::Directory) if path.components().count() > DEPTH_MAX => {
                        walk.refuse(path, RefusedKind::TooDeep);
                    }
                    Ok(FileType::Directory) => {
                        walk.directories.push(path.clone());
                        pending.push(path);
                    }
                    Ok(FileType::RegularFile) => match regular(&fd, name) {
                        Ok((file, len, links)) => visit(Found { path, file, len, links }),
                        Err(error) => walk.refuse(path, RefusedKind::Unreadable(error.to_string())),
                    },
                    Ok(kind) => walk.refuse(path, RefusedKind::of(kind)),
                    Err(error) => walk.refuse(path, RefusedKind::Unreadable(error.to_string())),
                }
            }
        }
        walk.directories.sort_unstable();
        walk.refused.sort_unstable_by(|a, b| a.path().cmp(b.path()));
        Ok(walk)
    }

    /// Opens a regular file below the root for reading.
    pub(crate) fn file(&self, path: &Path) -> io::Result<(File, u64)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = self.directory(path.parent().unwrap_or(Path::new("")))?;
        let (file, len, _) = regular(&parent, name)?;
        Ok((file, len))
    }

    /// Opens a directory below the root, component by component.
    fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // A descriptor of its own: reading a directory moves its position.
        let mut fd = rustix::fs::openat(&self.root, ".", flags, Mode::empty())?;
        for component in path.components() {
            let Component::Normal(name) = component else { return Err(io::ErrorKind::InvalidInput.into()) };
            fd = rustix::fs::openat(&fd, name, flags, Mode::empty())?;
        }
        Ok(fd)
    }
}

impl Walk {
    fn refuse(&mut self, path: PathBuf, kind: RefusedKind) {
        self.refused.push(Refused::new(path, kind));
    }
}

/// What the error is made of when the tree has too many entries.
const TOO_LARGE: io::ErrorKind = io::ErrorKind::FileTooLarge;

/// Names in a directory, in order.
fn names(directory: &OwnedFd, limit: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory.as_fd())? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() >= limit {
            let text = format!("expected at most {ENTRIES_MAX} files below a trace's directory, found more");
            return Err(io::Error::new(TOO_LARGE, text));
        }
        names.push(name.to_vec());
    }
    names.sort_unstable();
    Ok(names)
}

/// What the entry is, itself and not what it points to.
fn kind(directory: &OwnedFd, name: &OsStr) -> io::Result<FileType> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

/// Opens an entry that is a regular file: what took its place since it was looked at is refused, and does not block.
fn regular(directory: &OwnedFd, name: &OsStr) -> io::Result<(File, u64, u64)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        let text = "expected a regular file, found something else in its place";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok((file, metadata.len(), metadata.nlink()))
}
