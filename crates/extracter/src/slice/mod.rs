//! Slices: a core of a megabyte for one of a terabyte, for a bug report.
//!
//! ```text
//!   kernel, its reads recorded ──► Account: all that any command reads ──► temporary file ──► opened, Account again ──► its name
//! ```
//!
//! A slice holds what the commands read of a core, and in it they find the same. That is not left to reasoning: before the file gets its
//! name it is opened as a core, everything is read from it once more, and both accounts must agree.

mod account;
mod report;

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use analyser::slice::{Format, Keep};
use analyser::{Kernel, OpenOptions};

use crate::error::{Error, Result, while_doing};
use crate::newfile::NewFile;
use account::Account;
pub use report::SliceReport;

/// What to write.
#[derive(Debug, Clone)]
pub struct SliceOptions {
    /// The file to create.
    pub output: PathBuf,
    /// Its format. The core must have been opened with [`OpenOptions::record_reads`] for it.
    pub format: Format,
    /// Whole pages, or only what was read of them.
    pub keep: Keep,
    /// The kernel's log as well, whose last lines `info` shows.
    pub log: bool,
}

/// A slice before it is written: everything that goes into it was read.
#[derive(Debug)]
pub struct Slice<'k> {
    kernel: &'k Kernel,
    file: NewFile,
    options: SliceOptions,
    /// How the core was opened, and what it told.
    account: (OpenOptions, Account),
    /// The same with the kernel's own type information alone.
    bare: Option<(OpenOptions, Account)>,
    /// As it was opened for that.
    others: Vec<Kernel>,
}

impl<'k> Slice<'k> {
    /// Looks at the output, changes nothing. Cheap, so worth asking before a core is opened.
    ///
    /// Errors: something is there already, the folder above is missing, or the path does not end in a name.
    pub fn check(output: &Path) -> Result<()> {
        NewFile::check(output).map(|_| ())
    }

    /// Reads all that any command would, from every trace and session by every route. `kernel` was opened with `open`.
    ///
    /// With several files of type information all is read once more with the first alone, if that is not a module's: who gets the slice
    /// may have no more.
    ///
    /// Errors: as [`Slice::check`]. Cost: reads each sub-buffer once for each route.
    pub fn read(kernel: &'k Kernel, open: &OpenOptions, options: &SliceOptions) -> Result<Slice<'k>> {
        let file = NewFile::check(&options.output)?;
        let account = (open.clone(), Account::of(kernel, options.log));
        let first = kernel.types().sources().first().filter(|source| source.module.is_none());
        let mut alone = open.clone();
        alone.debuginfo.truncate(1);
        let is_several = open.debuginfo.len() > 1;
        let other = first.filter(|_| is_several).and_then(|_| Kernel::open(&alone).ok());
        let bare = other.as_ref().map(|other| (alone, Account::of(other, options.log)));
        let (options, others) = (options.clone(), other.into_iter().collect());
        Ok(Slice { kernel, file, options, account, bare, others })
    }

    /// Writes the slice, opens it in the same way, and gives it its name if it tells the same as the core.
    ///
    /// `progress` is told the number of pages written so far, and how many there are; with [`ControlFlow::Break`] it ends the run.
    ///
    /// Errors: the output cannot be written; the slice does not tell the same; [`Error::Cancelled`]. Then nothing is left behind. Cost:
    /// each page is read and encoded once; type information is read again.
    pub fn write(self, progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>) -> Result<SliceReport> {
        let Slice { kernel, file, options, account, bare, others } = self;
        let shown = file.shown().to_path_buf();
        let failed = |source| Error::Slice { path: shown.clone(), source: Box::new(source) };
        let stage = file.stage()?;
        let stopped = Cell::new(false);
        let mut count = |done, all| stopped.set(stopped.get() || progress(done, all).is_break());
        let out = Stoppable { file: stage.file(), stopped: &stopped };
        let written = kernel.write_slice(&others, options.format, options.keep, out, &mut count);
        if stopped.get() {
            return Err(Error::Cancelled);
        }
        let written = written.map_err(failed)?;
        stage.file().sync_all().map_err(while_doing("syncing", &shown))?;

        for (open, account) in bare.iter().chain([&account]) {
            let cores = vec![stage.path().to_path_buf()];
            let open = OpenOptions { cores, record_reads: None, ..open.clone() };
            let again = Account::of(&Kernel::open(&open).map_err(failed)?, options.log);
            if let Some((expected, found)) = account.difference(&again) {
                return Err(Error::SliceDiffers { path: shown, expected, found });
            }
        }
        let (_, account) = account;
        let report = SliceReport {
            output: shown.display().to_string(),
            format: options.format.to_string(),
            bytes_only: options.keep == Keep::Bytes,
            kernel_log: options.log && account.has_log,
            traces: account.traces,
            sessions: account.sessions,
            streams: account.streams,
            records: account.records,
            pages: written.pages,
            missing_pages: written.missing,
            bytes_read: written.bytes_read,
            file_bytes: written.file_bytes,
            core_bytes: kernel.core().size_bytes(),
        };
        stage.publish()?;
        Ok(report)
    }
}

/// A file that takes no more once it is not wanted any more: whoever writes to it ends early.
struct Stoppable<'a> {
    file: &'a File,
    stopped: &'a Cell<bool>,
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Not `Interrupted`, after which writers try again.
        if self.stopped.get() { Err(ErrorKind::Other.into()) } else { self.file.write(bytes) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Stoppable<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
