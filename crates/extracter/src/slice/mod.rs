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
    account: Account,
}

impl<'k> Slice<'k> {
    /// Looks at the output, changes nothing. Cheap, so worth asking before a core is opened.
    ///
    /// Errors: something is there already, the folder above is missing, or the path does not end in a name.
    pub fn check(output: &Path) -> Result<()> {
        NewFile::check(output).map(|_| ())
    }

    /// Reads all that any command would, from every trace and session by every route.
    ///
    /// Errors: as [`Slice::check`]. Cost: reads each sub-buffer once for each route.
    pub fn read(kernel: &'k Kernel, options: &SliceOptions) -> Result<Slice<'k>> {
        let file = NewFile::check(&options.output)?;
        Ok(Slice { kernel, file, account: Account::of(kernel, options.log), options: options.clone() })
    }

    /// Writes the slice, opens it with the same `open` options, and gives it its name if it tells the same as the core.
    ///
    /// Errors: the output cannot be written; the slice does not tell the same. Then nothing is left behind. Cost: each page is read and
    /// encoded once; type information is read again.
    pub fn write(self, open: &OpenOptions, progress: &mut dyn FnMut(u64, u64)) -> Result<SliceReport> {
        let Slice { kernel, file, options, account } = self;
        let shown = file.shown().to_path_buf();
        let failed = |source| Error::Slice { path: shown.clone(), source: Box::new(source) };
        let stage = file.stage()?;
        let written =
            kernel.write_slice(options.format, options.keep, stage.file(), progress).map_err(failed)?;
        stage.file().sync_all().map_err(while_doing("syncing", &shown))?;

        let open =
            OpenOptions { cores: vec![stage.path().to_path_buf()], record_reads: None, ..open.clone() };
        let again = Kernel::open(&open).map_err(failed)?;
        if let Some((expected, found)) = account.difference(&Account::of(&again, options.log)) {
            return Err(Error::SliceDiffers { path: shown, expected, found });
        }
        drop(again);
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
