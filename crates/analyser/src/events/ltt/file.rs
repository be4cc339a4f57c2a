//! Streams of a trace directory.

use std::io;
use std::sync::Arc;

use lttformat::ReadAt;
use lttformat::ltt::scan::{Cut, Depth, Piece as Scanned, Scan};

use super::records::{Damage, Piece, Records};
use super::stream::{Label, Stream};
use crate::directory::{Directory, Tracefile};
use crate::events::source::Source;
use crate::folder::OpenTracefile;
use crate::time::TraceClock;

/// Files that are kept open. A directory with more is read all the same, but each read opens its file.
const OPEN_MAX: usize = 256;

/// Length in bytes of a record that is tried first where its header does not tell.
const USUAL_LEN: u64 = 4096;

/// A trace file from some offset on.
struct Tail<'a> {
    handle: Arc<Handle<'a>>,
    start: u64,
}

/// A trace file, open or not.
enum Handle<'a> {
    Open(OpenTracefile),
    Closed(&'a Tracefile),
}

impl ReadAt for Tail<'_> {
    fn len(&self) -> u64 {
        let len = match &*self.handle {
            Handle::Open(file) => file.len(),
            Handle::Closed(file) => file.len(),
        };
        len.saturating_sub(self.start)
    }

    fn read_exact_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let offset = offset.saturating_add(self.start);
        match &*self.handle {
            Handle::Open(file) => file.read_exact_at(offset, bytes),
            Handle::Closed(file) => file.open()?.read_exact_at(offset, bytes),
        }
    }
}

/// The records of a trace file.
struct File<'a> {
    directory: &'a Directory,
    file: &'a Tracefile,
    handle: Arc<Handle<'a>>,
    start: u64,
    scan: Option<Scan<'a, Tail<'a>>>,
    /// Offset of the record that was given last.
    offset: u64,
    /// What kept the file from being opened, until it was told.
    error: Option<io::Error>,
}

impl File<'_> {
    fn damage(&self, bytes: u64, reason: &dyn std::fmt::Display) -> Piece {
        Piece::Damage(Damage { bytes, reason: format!("{}: {reason}", self.file.path().display()) })
    }
}

impl Records for File<'_> {
    fn rewind(&mut self, count: u64) -> bool {
        let len = self.file.len();
        let unit =
            self.file.header().map_or(USUAL_LEN, |header| header.record_len()).clamp(USUAL_LEN, 1 << 26);
        // Where all records have the same length and none is damaged this is the start of one; elsewhere the scan finds it.
        self.start = len.saturating_sub(count.saturating_mul(unit)) / unit * unit;
        let tail = Tail { handle: Arc::clone(&self.handle), start: self.start };
        self.scan = Some(self.directory.scan_of(self.file, tail, Depth::Suspicious));
        self.start == 0
    }

    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<Piece> {
        if let Some(error) = self.error.take() {
            return Some(self.damage(self.file.len(), &error));
        }
        match self.scan.as_mut()?.next() {
            Ok(Some(Scanned::Record(record))) => {
                self.offset = record.offset.saturating_add(self.start);
                bytes.clear();
                bytes.extend_from_slice(record.bytes);
                Some(Piece::Record { header: record.header, used: record.used })
            }
            Ok(Some(Scanned::Cut(Cut { range, reason }))) => {
                let bytes = range.end.saturating_sub(range.start);
                let place = |offset: u64| offset.saturating_add(self.start);
                let cut = Cut { range: place(range.start)..place(range.end), reason };
                Some(self.damage(bytes, &cut))
            }
            Ok(None) => None,
            Err(error) => {
                self.scan = None;
                Some(self.damage(0, &error))
            }
        }
    }

    fn place(&self) -> String {
        format!("{}: record at byte {}", self.file.path().display(), self.offset)
    }
}

/// One source for each trace file that is not empty; none if no file has a readable header.
pub(in crate::events) fn of_directory(directory: &Directory) -> Vec<(Label, Box<dyn Source + '_>)> {
    let (Some(header), Some(markers)) = (directory.header(), directory.markers()) else { return Vec::new() };
    let clock = TraceClock::new(header, directory.start_tsc());
    let trace = directory.name();
    let files: Vec<_> = directory.files().iter().filter(|file| !file.is_empty()).collect();
    let keep_open = files.len() <= OPEN_MAX;
    let streams = files.into_iter().map(|file| {
        let label = Label::new(&trace, &file.channel_name(), file.name().cpu, clock);
        let (handle, error) = match file.open() {
            Ok(open) if keep_open => (Handle::Open(open), None),
            Ok(_) => (Handle::Closed(file), None),
            Err(error) => (Handle::Closed(file), Some(error)),
        };
        let records =
            File { directory, file, handle: Arc::new(handle), start: 0, scan: None, offset: 0, error };
        let kind = file.name().channel(header.version);
        let source: Box<dyn Source + '_> = Box::new(Stream::new(label.clone(), kind, markers, records));
        (label, source)
    });
    streams.collect()
}
