//! Streams of a trace directory.

use std::io;
use std::rc::Rc;

use lttformat::ltt::scan::{Cut, Depth, Piece as Scanned, Scan};

use super::format::{Head, Ltt};
use super::label;
use crate::directory::{Directory, Tracefile};
use crate::events::records::{Damage, Piece, Records};
use crate::events::source::Source;
use crate::events::stream::{Label, Stream};
use crate::events::tail::{Handle, OPEN_MAX, Tail};
use crate::time::TraceClock;

/// Length in bytes of a record that is tried first where its header does not tell.
const USUAL_LEN: u64 = 4096;

/// The records of a trace file.
struct File<'a> {
    directory: &'a Directory,
    file: &'a Tracefile,
    handle: Rc<Handle<'a>>,
    start: u64,
    scan: Option<Scan<'a, Tail<'a>>>,
    /// Offset of the record that was given last.
    offset: u64,
    /// What kept the file from being opened, until it was told.
    error: Option<io::Error>,
}

impl File<'_> {
    fn damage(&self, bytes: u64, reason: &dyn std::fmt::Display) -> Piece<Head> {
        Piece::Damage(Damage { bytes, reason: format!("{}: {reason}", self.file.path().display()) })
    }
}

impl Records for File<'_> {
    type Header = Head;

    fn rewind(&mut self, count: u64) -> bool {
        let len = self.file.len();
        let unit =
            self.file.header().map_or(USUAL_LEN, |header| header.record_len()).clamp(USUAL_LEN, 1 << 26);
        // Where all records have the same length and none is damaged this is the start of one; elsewhere the scan finds it.
        self.start = len.saturating_sub(count.saturating_mul(unit)) / unit * unit;
        let tail = Tail::new(&self.handle, self.start);
        self.scan = Some(self.directory.scan_of(self.file, tail, Depth::Suspicious));
        self.start == 0
    }

    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<Piece<Head>> {
        if let Some(error) = self.error.take() {
            return Some(self.damage(self.file.len(), &error));
        }
        match self.scan.as_mut()?.next() {
            Ok(Some(Scanned::Record(record))) => {
                self.offset = record.offset.saturating_add(self.start);
                bytes.clear();
                bytes.extend_from_slice(record.bytes);
                Some(Piece::Record(Head { header: record.header, used: record.used }))
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
        let label = label(&trace, &file.channel_name(), file.name().cpu, clock);
        let (handle, error) = Handle::new(|| file.open(), file.len(), keep_open);
        let records = File { directory, file, handle, start: 0, scan: None, offset: 0, error };
        let kind = file.name().channel(header.version);
        let source: Box<dyn Source + '_> =
            Box::new(Stream::new(label.clone(), Ltt::new(kind, markers), records));
        (label, source)
    });
    streams.collect()
}
