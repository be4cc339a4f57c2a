//! One file of the result, as ranges of what is on disk, records of the core, and bytes that are made.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use analyser::lttng::{IndexFile, MetadataFile};
use analyser::{OpenTracefile, Other, Tracefile, lttng};
use lttformat::ReadAt as _;
use rustix::fd::BorrowedFd;
use rustix::fs::Stat;

use crate::disk::Sink;
use crate::error::{Error, Result, while_doing};
use crate::join::report::CutReport;
use crate::progress::{Progress, checkpoint};
use crate::source::Content;

/// Bytes between two calls of [`Progress::advance`] while much is copied.
const STEP: u64 = 64 << 20;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Of the file on disk.
    Disk(Range<u64>),
    /// The record of a sub-buffer of the core, and its length.
    Core { slot: usize, bytes: u64 },
    /// Bytes that neither has as such: a record that was made up, entries of an index.
    Made(Vec<u8>),
}

/// Bytes on disk that the joined file lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CutBytes {
    pub(crate) range: Range<u64>,
    pub(crate) reason: String,
    /// The record that these bytes are of is in the core.
    pub(crate) in_core: bool,
}

impl CutBytes {
    pub(crate) fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }

    /// As it is told of the file at `path`. `in_core`: the core has its record, which an exact join proves also of one that was not recognised.
    pub(crate) fn report(&self, path: &str, in_core: bool) -> CutReport {
        CutReport {
            path: path.to_owned(),
            offset: self.range.start,
            len: self.len(),
            reason: self.reason.clone(),
            in_core,
            saved_as: None,
        }
    }
}

/// A file on disk that belongs to a trace.
#[derive(Debug, Clone, Copy)]
pub(crate) enum OnDisk<'a> {
    /// A stream of LTT 0.x.
    Tracefile(&'a Tracefile),
    /// It has the name of a stream, and nothing of it can be read.
    Other(&'a Other),
    /// A stream of LTTng 2.x.
    Data(&'a lttng::Tracefile),
    /// The index of one.
    Index(&'a IndexFile),
    /// What describes all of them.
    Metadata(&'a MetadataFile),
}

impl<'a> OnDisk<'a> {
    pub(crate) fn path(&self) -> &'a Path {
        match self {
            OnDisk::Tracefile(file) => file.path(),
            OnDisk::Other(file) => file.path(),
            OnDisk::Data(file) => file.path(),
            OnDisk::Index(file) => file.path(),
            OnDisk::Metadata(file) => file.path(),
        }
    }

    pub(crate) fn links(&self) -> u64 {
        match self {
            OnDisk::Tracefile(file) => file.links(),
            OnDisk::Other(file) => file.links(),
            OnDisk::Data(file) => file.links(),
            OnDisk::Index(file) => file.links(),
            OnDisk::Metadata(file) => file.links(),
        }
    }

    pub(crate) fn open(&self) -> io::Result<OpenTracefile> {
        match self {
            OnDisk::Tracefile(file) => file.open(),
            OnDisk::Other(file) => file.open(),
            OnDisk::Data(file) => file.open(),
            OnDisk::Index(file) => file.open(),
            OnDisk::Metadata(file) => file.open(),
        }
    }
}

/// A file as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) file: OnDisk<'a>,
    pub(crate) stat: Stat,
    pub(crate) len: u64,
}

/// A file of the result.
pub(crate) struct File<'a> {
    /// Below the trace.
    pub(crate) path: PathBuf,
    /// The file that it replaces or is a copy of; none: it is new.
    pub(crate) original: Option<Found<'a>>,
    /// The file that ranges are taken from: the original, or that of the trace beside.
    pub(crate) source: Option<Found<'a>>,
    pub(crate) pieces: Vec<Piece>,
    /// What it lacks of the original, neighbours joined.
    pub(crate) cuts: Vec<Range<u64>>,
    /// Place of the core's part of its stream in the plan; anything else if it needs none.
    pub(crate) stream: usize,
    /// Viewers need it to read any other.
    pub(crate) is_metadata: bool,
}

impl<'a> Found<'a> {
    /// Looks at a file, and hands it over open.
    ///
    /// Errors: it cannot be opened. `root` is the trace's, for messages.
    pub(crate) fn look(file: OnDisk<'a>, root: &Path) -> Result<(Found<'a>, OpenTracefile)> {
        let shown = root.join(file.path());
        let open = file.open().map_err(while_doing("opening", shown.clone()))?;
        let stat =
            rustix::fs::fstat(&open).map_err(|errno| while_doing("looking at", shown)(errno.into()))?;
        Ok((Found { file, stat, len: open.len() }, open))
    }
}

impl File<'_> {
    pub(crate) fn bytes(&self) -> u64 {
        self.pieces.iter().map(Piece::bytes).sum()
    }

    /// Whether it is what is on disk already.
    pub(crate) fn is_unchanged(&self) -> bool {
        let Some(original) = &self.original else { return false };
        match self.pieces.as_slice() {
            [] => original.len == 0,
            [Piece::Disk(range)] => *range == (0..original.len),
            _ => false,
        }
    }

    /// Writes it: piece by piece, one record in memory at a time. `failed` makes errors of what the system says.
    pub(crate) fn write(
        &self,
        original: Option<BorrowedFd<'_>>,
        core: Option<&dyn Content>,
        sink: &mut dyn Sink,
        failed: &dyn Fn(io::Error) -> Error,
        progress: &dyn Progress,
    ) -> Result<()> {
        let name = self.path.to_string_lossy();
        let mut reader = core.map(|core| core.open(false));
        for piece in &self.pieces {
            match piece {
                Piece::Disk(range) => {
                    let Some(original) = original else { return Err(failed(gone("file"))) };
                    let mut at = range.start;
                    while at < range.end {
                        let end = range.end.min(at.saturating_add(STEP));
                        sink.copy(original, at..end).map_err(failed)?;
                        progress.advance(end - at, &name);
                        checkpoint(progress)?;
                        at = end;
                    }
                }
                Piece::Core { slot, bytes } => {
                    let record = reader.as_mut().map(|reader| reader.read(*slot).bytes).unwrap_or_default();
                    if record.len() as u64 != *bytes {
                        return Err(failed(gone("core")));
                    }
                    sink.write_all(record).map_err(failed)?;
                    progress.advance(*bytes, &name);
                    checkpoint(progress)?;
                }
                Piece::Made(bytes) => {
                    sink.write_all(bytes).map_err(failed)?;
                    progress.advance(bytes.len() as u64, &name);
                }
            }
        }
        Ok(())
    }
}

/// The same was read a moment ago.
fn gone(what: &str) -> io::Error {
    io::Error::other(format!("the {what} has changed since the plan was made"))
}

impl Piece {
    fn bytes(&self) -> u64 {
        match self {
            Piece::Disk(range) => range.end.saturating_sub(range.start),
            Piece::Core { bytes, .. } => *bytes,
            Piece::Made(bytes) => bytes.len() as u64,
        }
    }
}
