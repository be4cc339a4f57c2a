//! The few things the extracter asks of a file system, so that tests can let each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::thread::JoinHandle;

/// A file that is being written.
pub(crate) trait Sink: Write {
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
    /// Gives a directory its final name. An empty directory of this name is replaced, anything else is an error.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
}

/// The file system of the machine.
#[derive(Debug)]
pub(crate) struct Local;

/// A file whose content goes to the disk while more of it is being made.
///
/// The final sync would otherwise wait for all of it, with the CPU idle.
#[derive(Debug)]
struct LocalFile {
    file: File,
    /// Bytes written since the last flush was begun.
    fresh: usize,
    flush: Option<JoinHandle<io::Result<()>>>,
}

/// Bytes worth a flush of their own.
const FLUSH: usize = 8 << 20;

impl LocalFile {
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
        self.fresh += written;
        if self.fresh >= FLUSH {
            self.flush_behind()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sink for LocalFile {
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
        Ok(Box::new(LocalFile { file, fresh: 0, flush: None }))
    }

    fn create_directories(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        match File::open(path)?.sync_all() {
            // Some network and FUSE file systems cannot sync directories; they also lose nothing by it.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
            result => result,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }
}
