//! The file system below one directory, never followed out of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::disk::{Disk, LocalFile, Sink, no_file, sync_directory};

/// A [`Disk`] whose paths are relative to one directory.
///
/// Whoever can write to a trace can put links into it, also while it is being changed. So every component is opened from the
/// descriptor of the one above it, and a link among them is an error.
#[derive(Debug)]
pub(crate) struct Beneath {
    root: OwnedFd,
}

/// What is opened of a directory that is only passed through: needs no permission to list it.
const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Beneath {
    /// Opens the root. Links on the way to it are followed.
    pub(crate) fn open(root: &Path) -> io::Result<Beneath> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Beneath { root: rustix::fs::open(root, flags, Mode::empty())? })
    }

    /// The directory at a path; the empty path is the root.
    fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut at = self.root.try_clone()?;
        for component in path.components() {
            at = pass(&at, normal(component)?)?;
        }
        Ok(at)
    }

    /// The directory in which the last component of a path lies, and that component.
    fn parent<'p>(&self, path: &'p Path) -> io::Result<(OwnedFd, &'p OsStr)> {
        let mut components = path.components();
        let name = normal(components.next_back().unwrap_or(Component::CurDir))?;
        Ok((self.directory(components.as_path())?, name))
    }
}

fn normal(component: Component<'_>) -> io::Result<&OsStr> {
    match component {
        Component::Normal(name) => Ok(name),
        _ => Err(io::Error::new(ErrorKind::InvalidInput, "expected a path below the directory")),
    }
}

fn pass(at: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    match rustix::fs::openat(at, name, PASS, Mode::empty()) {
        // The system reports both for a link.
        Err(Errno::NOTDIR | Errno::LOOP) => Err(io::Error::new(
            ErrorKind::NotADirectory,
            format!("expected {} to be a directory, found a link or a file", name.display()),
        )),
        result => Ok(result?),
    }
}

impl Disk for Beneath {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink + '_>> {
        let (at, name) = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(at, name, flags, Mode::from_raw_mode(0o666))?;
        Ok(Box::new(LocalFile::new(file.into())))
    }

    fn create_directories(&self, path: &Path) -> io::Result<()> {
        let mut at = self.root.try_clone()?;
        for component in path.components() {
            let name = normal(component)?;
            match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => at = pass(&at, name)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let at = self.directory(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        sync_directory(&File::from(rustix::fs::openat(at, ".", flags, Mode::empty())?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from, old), (to, new)) = (self.parent(from)?, self.parent(to)?);
        Ok(rustix::fs::renameat(from, old, to, new)?)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let (at, name) = self.parent(path)?;
        match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn open(&self, path: &Path) -> io::Result<Option<File>> {
        // Neither file nor folder there: not there.
        let (at, name) = match self.parent(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            result => result?,
        };
        // A pipe would block, a link be followed.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(at.as_fd(), name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(no_file()),
            result => File::from(result?),
        };
        if file.metadata()?.is_file() { Ok(Some(file)) } else { Err(no_file()) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn scratch() -> (tempfile::TempDir, Beneath) {
        let scratch = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(scratch.path()).unwrap();
        (scratch, beneath)
    }

    #[test]
    fn it_does_what_its_names_say() {
        let (scratch, beneath) = scratch();
        let p = Path::new;
        beneath.create_directories(p("a/b")).unwrap();
        beneath.create_directories(p("a/b")).unwrap();
        let mut sink = beneath.create(p("a/b/x")).unwrap();
        sink.write_all(b"content").unwrap();
        let original = scratch.path().join("original");
        fs::write(&original, "0123456789").unwrap();
        fs::set_permissions(&original, fs::Permissions::from_mode(0o640)).unwrap();
        let original = File::open(original).unwrap();
        sink.copy(original.as_fd(), 3..6).unwrap();
        sink.resemble(&rustix::fs::fstat(&original).unwrap()).unwrap();
        sink.sync().unwrap();
        assert_eq!(sink.copy(original.as_fd(), 9..11).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        drop(sink);
        assert_eq!(beneath.create(p("a/b/x")).err().unwrap().kind(), ErrorKind::AlreadyExists);
        beneath.rename(p("a/b/x"), p("a/y")).unwrap();
        for directory in ["a/b", "a", ""] {
            beneath.sync_directory(p(directory)).unwrap();
        }
        let mut text = String::new();
        beneath.open(p("a/y")).unwrap().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content3459");
        assert_eq!(fs::metadata(scratch.path().join("a/y")).unwrap().permissions().mode() & 0o777, 0o640);
        beneath.remove(p("a/y")).unwrap();
        beneath.remove(p("a/y")).unwrap();
        assert!(beneath.open(p("a/y")).unwrap().is_none());
        assert!(beneath.open(p("nowhere/y")).unwrap().is_none());
    }

    #[test]
    fn nothing_is_followed_and_nothing_left() {
        let (scratch, beneath) = scratch();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("x"), "theirs").unwrap();
        symlink(outside.path(), scratch.path().join("link")).unwrap();
        symlink(outside.path().join("x"), scratch.path().join("file")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            scratch.path().join("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let up = format!("../{}/x", outside.path().file_name().unwrap().display());
        for path in ["link/x", "link/../x", &up, "/etc/hosts", "."] {
            let path = Path::new(path);
            assert!(beneath.create(path).is_err(), "{path:?}");
            assert!(beneath.open(path).is_err(), "{path:?}");
            assert!(beneath.remove(path).is_err(), "{path:?}");
            assert!(beneath.rename(path, Path::new("z")).is_err(), "{path:?}");
            assert!(beneath.rename(Path::new("file"), path).is_err(), "{path:?}");
        }
        for path in ["link", "link/new", "file", "../new"] {
            assert!(beneath.create_directories(Path::new(path)).is_err(), "{path}");
        }
        assert!(beneath.sync_directory(Path::new("link")).is_err());
        for path in ["file", "pipe", "link"] {
            assert!(beneath.open(Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        assert_eq!(fs::read(outside.path().join("x")).unwrap(), b"theirs");
    }
}
