//! The few things the extracter asks of a file system, so that tests can let each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::path::Path;
use std::thread::JoinHandle;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Gid, Mode, Stat, Uid};
use rustix::io::Errno;

/// A file that is being written.
pub(crate) trait Sink: Write {
    /// Appends a range of another file. Errors: also if that file ends within the range.
    ///
    /// Cost: no copy through the program where the system can do without.
    fn copy(&mut self, from: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()>;
    /// Takes the permissions of another file, and its owner where the system lets us.
    fn resemble(&mut self, other: &Stat) -> io::Result<()>;
    /// Returns when the content is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file system.
pub(crate) trait Disk: Sync {
    /// A new file, mode 0666 without the umask's bits.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink + '_>>;
    /// A directory and those above it, mode 0777 without the umask's bits.
    fn create_directories(&self, path: &Path) -> io::Result<()>;
    /// Returns when the entries of a directory are on the disk.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Gives a file or directory its final name, in one step. A file replaces a file, a directory an empty directory; anything
    /// else in the way is an error.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file, if it is there.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Opens a file for reading; none if it is not there. Errors: also if it is no regular file.
    fn open(&self, path: &Path) -> io::Result<Option<File>>;
}

/// The file system of the machine.
#[derive(Debug)]
pub(crate) struct Local;

/// A file whose content goes to the disk while more of it is being made.
///
/// The final sync would otherwise wait for all of it, with the CPU idle.
#[derive(Debug)]
pub(crate) struct LocalFile {
    file: File,
    /// Bytes written since the last flush was begun.
    fresh: usize,
    flush: Option<JoinHandle<io::Result<()>>>,
}

/// Bytes worth a flush of their own.
const FLUSH: usize = 8 << 20;

/// Bytes that pass through memory at a time, where they must.
const CHUNK: usize = 256 << 10;

impl LocalFile {
    pub(crate) fn new(file: File) -> LocalFile {
        LocalFile { file, fresh: 0, flush: None }
    }

    /// That many bytes more are written.
    fn count(&mut self, written: usize) -> io::Result<()> {
        self.fresh += written;
        if self.fresh >= FLUSH { self.flush_behind() } else { Ok(()) }
    }

    /// Begins a flush in the background, unless one is still running.
    fn flush_behind(&mut self) -> io::Result<()> {
        if self.flush.as_ref().is_some_and(|running| !running.is_finished()) {
            return Ok(());
        }
        self.settle()?;
        self.fresh = 0;
        let file = self.file.try_clone()?;
        // Without a thread to spare everything is left to the final sync.
        self.flush = std::thread::Builder::new().spawn(move || file.sync_data()).ok();
        Ok(())
    }

    /// Waits for the flush that is running, if any. Its error is the file's: the system reports it once only.
    fn settle(&mut self) -> io::Result<()> {
        match self.flush.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the thread that flushed the file panicked")),
            None => Ok(()),
        }
    }
}

impl Write for LocalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.count(written)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for LocalFile {
    fn copy(&mut self, from: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
        let mut offset = range.start;
        while offset < range.end {
            let len = usize::try_from(range.end - offset).unwrap_or(FLUSH).min(FLUSH);
            match rustix::fs::copy_file_range(from, Some(&mut offset), &self.file, None, len) {
                // Between some file systems it does not work, on some it copies nothing without a word.
                Ok(0) | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                    copy_through_memory(from, offset..range.end, self)?;
                    break;
                }
                Ok(copied) => self.count(copied)?,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn resemble(&mut self, other: &Stat) -> io::Result<()> {
        // Giving a file away clears bits of its mode, so the mode comes last.
        match rustix::fs::fchown(
            &self.file,
            Some(Uid::from_raw(other.st_uid)),
            Some(Gid::from_raw(other.st_gid)),
        ) {
            Ok(()) | Err(Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(rustix::fs::fchmod(&self.file, Mode::from_raw_mode(other.st_mode & 0o777))?)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.settle()?;
        self.file.sync_all()
    }
}

impl Drop for LocalFile {
    /// The temporary directory is about to be removed, or the error was reported already.
    fn drop(&mut self) {
        let _ = self.settle();
    }
}

impl Disk for Local {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Sink>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Box::new(LocalFile::new(file)))
    }

    fn create_directories(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        sync_directory(&File::open(path)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn open(&self, path: &Path) -> io::Result<Option<File>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => File::open(path).map(Some),
            Ok(_) => Err(no_file()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Waits until the entries of an open directory are on the disk.
pub(crate) fn sync_directory(directory: &File) -> io::Result<()> {
    match directory.sync_all() {
        // Some network and FUSE file systems cannot sync directories; they also lose nothing by it.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

/// What is said of links, directories and devices where a file is wanted.
pub(crate) fn no_file() -> io::Error {
    io::Error::other("expected a regular file, found something else")
}

/// [`Sink::copy`] by reading and writing.
pub(crate) fn copy_through_memory(
    from: BorrowedFd<'_>,
    range: Range<u64>,
    to: &mut dyn Write,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = range.start;
    while offset < range.end {
        let wanted = usize::try_from(range.end - offset).unwrap_or(CHUNK).min(CHUNK);
        let wanted = buffer.get_mut(..wanted).unwrap_or_default();
        read_exact_at(from, offset, wanted)?;
        to.write_all(wanted)?;
        offset += wanted.len() as u64;
    }
    Ok(())
}

/// Fills a buffer from a place in a file. Errors: also if the file ends before.
pub(crate) fn read_exact_at(file: BorrowedFd<'_>, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match rustix::io::pread(file, &mut *buffer, offset) {
            Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the file has become shorter")),
            Ok(read) => {
                buffer = buffer.get_mut(read..).unwrap_or_default();
                offset += read as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Makes a directory and those above it, to stay: whatever of them is new is on the disk when it returns.
pub(crate) fn make_directories(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    disk.create_directories(path)?;
    path.ancestors().try_for_each(|directory| disk.sync_directory(directory))
}

/// Whether a file is the same as another was, as far as looking at it without reading it can tell.
pub(crate) fn is_unchanged(file: impl AsFd, before: &Stat) -> io::Result<bool> {
    let now = rustix::fs::fstat(file)?;
    let key = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    Ok(key(&now) == key(before))
}
