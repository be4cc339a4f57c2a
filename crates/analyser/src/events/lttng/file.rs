//! Streams of a trace directory.

use std::io;
use std::rc::Rc;

use lttformat::ReadAt as _;
use lttformat::ctf::scan::{Cut, CutReason, Piece as Scanned, Scan, ScanOptions};
use lttformat::ctf::{Form, Language, PacketHeader, TraceClass, tally};

use super::dropped::Accounted;
use super::format::Ctf;
use super::label;
use crate::error::{Error, Result};
use crate::events::records::{Damage, Piece, Records};
use crate::events::source::Source;
use crate::events::stream::{Label, Stream};
use crate::events::tail::{Handle, OPEN_MAX, Tail};
use crate::lttng::{Directory, Tracefile};

/// Length in bytes of a packet that is tried first where no header tells.
const USUAL_LEN: u64 = 4096;

/// The packets of a trace file.
struct File<'a> {
    class: &'a TraceClass,
    file: &'a Tracefile,
    handle: Rc<Handle<'a>>,
    start: u64,
    scan: Option<Scan<'a, Tail<'a>>>,
    /// Offset of the packet that was given last.
    offset: u64,
    /// What kept the file from being opened, until it was told.
    error: Option<io::Error>,
    /// What follows the packet that was given last.
    damage: Option<Damage>,
}

impl File<'_> {
    fn damage(&self, bytes: u64, reason: &dyn std::fmt::Display) -> Damage {
        Damage { bytes, reason: format!("{}: {reason}", self.file.path().display()) }
    }

    /// What is there of a packet that is not whole: the events up to the damage. Returns its header, for that part.
    fn part(&self, cut: &Cut, bytes: &mut Vec<u8>) -> Option<PacketHeader> {
        let end = match cut.reason {
            CutReason::BlankPage { at } => cut.range.start.saturating_add(at),
            CutReason::ShortWrite { .. } | CutReason::Events(_) => cut.range.end,
            _ => return None,
        };
        let len = end.checked_sub(cut.range.start).filter(|&len| len <= ScanOptions::default().max_len)?;
        bytes.clear();
        bytes.resize(usize::try_from(len).ok()?, 0);
        Tail::new(&self.handle, 0).read_exact_at(cut.range.start, bytes).ok()?;
        let (header, stream) = self.class.packet(bytes).ok()?;
        let found = tally(stream, &header, bytes);
        bytes.truncate(usize::try_from(found.end).ok()?);
        (found.events > 0).then_some(PacketHeader { content_size: found.end.saturating_mul(8), ..header })
    }
}

impl Records for File<'_> {
    type Header = PacketHeader;

    fn rewind(&mut self, count: u64) -> bool {
        let packet = self.file.header().filter(|header| !header.is_open());
        let unit = packet.map_or(USUAL_LEN, |header| header.packet_size / 8).clamp(USUAL_LEN, 1 << 26);
        // Packets have many lengths; the scan finds the first one behind this place.
        self.start = self.file.len().saturating_sub(count.saturating_mul(unit));
        let tail = Tail::new(&self.handle, self.start);
        self.scan = Some(Scan::new(self.class, tail, ScanOptions::default()));
        self.damage = None;
        self.start == 0
    }

    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<Piece<PacketHeader>> {
        if let Some(error) = self.error.take() {
            self.scan = None;
            return Some(Piece::Damage(self.damage(self.file.len(), &error)));
        }
        if let Some(damage) = self.damage.take() {
            return Some(Piece::Damage(damage));
        }
        match self.scan.as_mut()?.next() {
            Ok(Some(Scanned::Packet(packet))) => {
                self.offset = packet.offset.saturating_add(self.start);
                let content = usize::try_from(packet.used).ok().and_then(|used| packet.bytes.get(..used));
                bytes.clear();
                bytes.extend_from_slice(content.unwrap_or(packet.bytes));
                Some(Piece::Record(packet.header))
            }
            Ok(Some(Scanned::Cut(Cut { range, reason }))) => {
                let len = range.end.saturating_sub(range.start);
                let place = |offset: u64| offset.saturating_add(self.start);
                let cut = Cut { range: place(range.start)..place(range.end), reason };
                let Some(header) = self.part(&cut, bytes) else {
                    return Some(Piece::Damage(self.damage(len, &cut)));
                };
                self.offset = cut.range.start;
                self.damage = Some(self.damage(len.saturating_sub(bytes.len() as u64), &cut));
                Some(Piece::Record(header))
            }
            Ok(None) => None,
            Err(error) => {
                self.scan = None;
                Some(Piece::Damage(self.damage(0, &error)))
            }
        }
    }

    fn place(&self) -> String {
        format!("{}: packet at byte {}", self.file.path().display(), self.offset)
    }
}

/// One source for each trace file that is not empty.
///
/// Errors: nothing describes the events.
pub(in crate::events) fn of_directory(directory: &Directory) -> Result<Vec<(Label, Box<dyn Source + '_>)>> {
    let trace = directory.name();
    let class = match (directory.class(), directory.form()) {
        (Some(class), Form::Class(_)) => class,
        _ => return Err(Error::NotDecoded { trace, reason: why_not_decoded(directory) }),
    };
    let files: Vec<_> = directory.files().iter().filter(|file| !file.is_empty()).collect();
    let keep_open = files.len() <= OPEN_MAX;
    let streams = files.into_iter().map(|file| stream(class, file, &trace, keep_open));
    Ok(streams.collect())
}

fn stream<'a>(
    class: &'a TraceClass,
    file: &'a Tracefile,
    trace: &str,
    keep_open: bool,
) -> (Label, Box<dyn Source + 'a>) {
    let label = label(trace, &String::from_utf8_lossy(&file.channel_name()), file.cpu(), Some(class));
    let (handle, error) = Handle::new(|| file.open(), file.len(), keep_open);
    let packets = File { class, file, handle, start: 0, scan: None, offset: 0, error, damage: None };
    let source = Stream::new(label.clone(), Ctf::new(Ok(class)), Accounted::new(packets, None));
    (label, Box::new(source))
}

fn why_not_decoded(directory: &Directory) -> String {
    let Some(metadata) = directory.metadata() else {
        return "expected a file `metadata`, found none".to_owned();
    };
    match directory.class_error() {
        _ if Language::of(metadata.text()) == Language::Json => super::CTF_2.to_owned(),
        Some(error) => error.to_string(),
        None => "expected metadata that declare streams, found none".to_owned(),
    }
}
