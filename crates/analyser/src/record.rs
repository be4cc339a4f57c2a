//! One sub-buffer → the record that the tracer's daemon would have written.
//!
//! A complete sub-buffer is written as it is. One that was interrupted is cut to its valid prefix and its header completed, and so
//! is one with a hole: what can be decoded before the hole is kept.

use std::fmt;

use lttformat::ltt::prefix::{self, Evidence, Prefix, Rule};
use lttformat::ltt::{
    Channel as Kind, Completion, Header, Markers, Stop, StopReason, Tally, complete, tally,
};
use relaywalk::Hole;

use crate::kernel::Kernel;
use crate::model::{Channel, State, Stream, SubBuffer, Trace};
use crate::traces::{MAX_SUB_BUFFER, evidence, unended};

/// Makes records of one stream's sub-buffers. One per stream and thread; keeps one buffer of a sub-buffer's size.
#[derive(Debug)]
pub struct Recorder<'k> {
    kernel: &'k Kernel,
    trace: &'k Trace,
    channel: &'k Channel,
    stream: &'k Stream,
    count_events: bool,
    buffer: Vec<u8>,
}

/// The record of one sub-buffer, and the account of its bytes: `found = valid + lost + unreadable`.
#[derive(Debug, Default)]
pub struct Record<'a> {
    /// What belongs into the trace file; empty when nothing was usable.
    pub bytes: &'a [u8],
    /// Bytes of header and events that the sub-buffer should hold.
    pub found: u64,
    /// Bytes of header and events in the record.
    pub valid: u64,
    /// Bytes that writers had reserved but that cannot be vouched for.
    pub lost: u64,
    /// Bytes that are not in the core, or follow such bytes and cannot be decoded without them.
    pub unreadable: u64,
    /// Bytes of pages that the dump's filter left out and that are zeros for that reason.
    pub zero_filled: u64,
    /// Events in the record; `None` when they were not counted.
    pub events: Option<u64>,
    /// Time of the first event in clock cycles, when counted.
    pub first_time: Option<u64>,
    /// Time of the last event in clock cycles, when counted.
    pub last_time: Option<u64>,
    /// What is worth telling about it.
    pub notes: Vec<Note>,
}

/// Something worth telling about one sub-buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Position of the sub-buffer in its stream.
    pub position: u64,
    /// What it is.
    pub kind: NoteKind,
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteKind {
    /// Writers were interrupted.
    Interrupted {
        /// How the valid length was found.
        rule: Rule,
        /// Whether the evidence does not add up.
        doubtful: bool,
        /// Bytes reserved.
        reserved: u64,
        /// Bytes committed.
        committed: u64,
        /// Bytes kept.
        valid: u64,
    },
    /// Part of it cannot be read.
    Hole(Hole),
    /// Events end early in bytes that should be valid.
    Undecodable(Stop),
    /// No header where one should be.
    NoHeader(String),
    /// The header contradicts the counters or itself.
    Header(String),
    /// It was being written, and the buffer's positions are lost.
    Unended {
        /// Bytes of header and events that can be decoded.
        decodable: u64,
        /// Whether they are vouched for: no events of an earlier pass can be among them.
        kept: bool,
    },
    /// Larger than any sub-buffer.
    TooLarge(u64),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sub-buffer at {}: {}", self.position, self.kind)
    }
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoteKind::Interrupted { rule, doubtful, reserved, committed, valid } => {
                write!(f, "{reserved} bytes reserved, {committed} committed, {valid} kept: {rule}")?;
                if *doubtful { f.write_str(" (doubtful)") } else { Ok(()) }
            }
            NoteKind::Hole(hole) => fmt_hole(hole, f),
            NoteKind::Undecodable(stop) => write!(f, "{stop}"),
            NoteKind::NoHeader(error) | NoteKind::Header(error) => f.write_str(error),
            NoteKind::Unended { decodable, kept: true } => {
                write!(f, "positions are lost: {decodable} bytes kept, the whole events of a first pass")
            }
            NoteKind::Unended { decodable, .. } => {
                write!(
                    f,
                    "positions are lost: of {decodable} bytes that decode, some may be of an earlier pass"
                )
            }
            NoteKind::TooLarge(len) => {
                write!(f, "expected at most {MAX_SUB_BUFFER} bytes, found a sub-buffer of {len}")
            }
        }
    }
}

/// What is known about the bytes of a sub-buffer that are missing.
pub(crate) fn fmt_hole(hole: &Hole, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "bytes {} to {} ", hole.range.start, hole.range.end)?;
    match (&hole.error, hole.zero_filled) {
        (_, true) => f.write_str("were filtered out of the dump, taken as zeros"),
        (Some(error), _) => write!(f, "unreadable: {error}"),
        (None, _) => f.write_str("unreadable: no page is known for them"),
    }
}

impl Trace {
    /// A maker of records for one of this trace's streams.
    #[must_use]
    pub fn recorder<'k>(
        &'k self,
        kernel: &'k Kernel,
        channel: &'k Channel,
        stream: &'k Stream,
    ) -> Recorder<'k> {
        Recorder { kernel, trace: self, channel, stream, count_events: false, buffer: Vec::new() }
    }
}

/// The content of one sub-buffer while its record is made.
struct Content {
    header: Header,
    /// Bytes from the start before the first byte that is unknown.
    readable: u64,
}

/// What of an incomplete sub-buffer goes into its record.
struct Kept {
    valid: u64,
    events: Option<u64>,
    first_time: Option<u64>,
    last_time: Option<u64>,
}

impl From<Tally> for Kept {
    fn from(tally: Tally) -> Kept {
        Kept {
            valid: tally.end as u64,
            events: Some(tally.events),
            first_time: tally.first_time,
            last_time: tally.last_time,
        }
    }
}

impl From<Prefix> for Kept {
    fn from(prefix: Prefix) -> Kept {
        Kept {
            valid: prefix.valid,
            events: Some(prefix.events),
            first_time: prefix.first_time,
            last_time: Some(prefix.last_time),
        }
    }
}

impl<'k> Recorder<'k> {
    /// Whether to decode complete sub-buffers too, only to count their events.
    #[must_use]
    pub fn count_events(mut self, on: bool) -> Recorder<'k> {
        self.count_events = on;
        self
    }

    /// The record of `sub`, one of the stream's sub-buffers.
    ///
    /// Never fails: what cannot be had is in the account and the notes. Cost: one copy of the sub-buffer; decoding only when
    /// it was interrupted, has holes, or events are to be counted.
    pub fn record(&mut self, sub: &SubBuffer) -> Record<'_> {
        let mut record = Record::default();
        if sub.state() == State::NeverUsed {
            return record;
        }
        let keep = self.make(sub, &mut record);
        record.bytes = self.buffer.get(..keep).unwrap_or_default();
        record
    }

    /// Fills the buffer and the account; returns how many bytes of the buffer are the record.
    fn make(&mut self, sub: &SubBuffer, record: &mut Record<'_>) -> usize {
        let note = |kind| Note { position: sub.position(), kind };
        let size = sub.raw.pages.len();
        record.found = sub.reserved().min(size);
        let Some(len) = usize::try_from(size).ok().filter(|_| size <= MAX_SUB_BUFFER) else {
            record.unreadable = record.found;
            record.notes.push(note(NoteKind::TooLarge(size)));
            return 0;
        };
        self.buffer.resize(len, 0);
        let holes = sub.raw.pages.read(self.kernel.view(), 0, &mut self.buffer);
        let header = match Header::parse(&self.buffer) {
            Ok(header) => header,
            Err(error) => {
                let hole = holes.iter().any(|hole| hole.range.start == 0);
                *(if hole { &mut record.unreadable } else { &mut record.lost }) = record.found;
                record.notes.extend(holes.into_iter().map(|hole| note(NoteKind::Hole(hole))));
                record.notes.push(note(NoteKind::NoHeader(error.to_string())));
                return 0;
            }
        };
        let mut content = Content { header, readable: size };
        for hole in holes {
            if hole.range.start >= record.found {
                // Nothing was ever written there, or it is the unused tail.
                continue;
            }
            if hole.zero_filled {
                record.zero_filled += hole.range.end.min(record.found).saturating_sub(hole.range.start);
            } else {
                content.readable = content.readable.min(hole.range.start);
            }
            record.notes.push(note(NoteKind::Hole(hole)));
        }
        let closed = match sub.state() {
            State::Ready | State::Consumed => content.header.used(size),
            _ => None,
        };
        match closed {
            Some(used) if sub.raw.by_header => self.vouched(sub, used, &content, record),
            Some(used) => self.closed(sub, used, &content, record),
            None if sub.raw.by_header => self.unended(sub, &content, record),
            None => self.interrupted(sub, &content, record),
        }
    }

    /// A sub-buffer that its writers ended, but of which no counter says that all of it was committed: what decodes is.
    fn vouched(&mut self, sub: &SubBuffer, used: u64, content: &Content, record: &mut Record<'_>) -> usize {
        let tally = self.tally(content, used.min(content.readable));
        let stop = tally.stop.filter(|stop| !matches!(stop.reason, StopReason::UnknownId(_)));
        let Some(stop) = stop.filter(|_| content.readable >= used) else {
            return self.closed(sub, used, content, record);
        };
        record.found = used;
        record.zero_filled = record.zero_filled.min(used);
        record.notes.push(Note { position: sub.position(), kind: NoteKind::Undecodable(stop) });
        let kept = Kept::from(tally);
        record.lost = used.saturating_sub(kept.valid);
        self.complete(sub, content, kept, record)
    }

    /// A sub-buffer that was not ended, and of which no counter speaks.
    fn unended(&mut self, sub: &SubBuffer, content: &Content, record: &mut Record<'_>) -> usize {
        let markers = Markers::new(&content.header);
        let markers = self.trace.markers.as_ref().unwrap_or(&markers);
        let evidence = self.evidence(sub);
        let kind = Kind::named(content.header.version, &self.channel.name);
        let (prefix, kept) =
            unended(&self.buffer, content.readable, &content.header, kind, markers, &evidence);
        record.found = prefix.valid;
        record.zero_filled = record.zero_filled.min(prefix.valid);
        let note = NoteKind::Unended { decodable: prefix.valid, kept };
        record.notes.push(Note { position: sub.position(), kind: note });
        if kept && prefix.valid > 0 {
            return self.complete(sub, content, prefix.into(), record);
        }
        record.lost = record.found;
        0
    }

    fn evidence(&self, sub: &SubBuffer) -> Evidence {
        let subs = &self.stream.sub_buffers;
        let at = subs.iter().position(|other| std::ptr::eq(other, sub)).unwrap_or(usize::MAX);
        evidence(self.kernel.view(), self.channel, self.stream, at, sub)
    }

    /// A sub-buffer that its writers left in order.
    fn closed(&mut self, sub: &SubBuffer, used: u64, content: &Content, record: &mut Record<'_>) -> usize {
        record.found = used;
        record.zero_filled = record.zero_filled.min(used);
        let intact = content.readable >= used;
        if !intact || record.zero_filled > 0 {
            // Zeros are only believed where they decode.
            let tally = self.tally(content, used.min(content.readable));
            if !(intact && tally.is_complete()) {
                let kept = Kept::from(tally);
                record.unreadable = used.saturating_sub(kept.valid);
                return self.complete(sub, content, kept, record);
            }
        }
        record.valid = used;
        if self.count_events {
            let tally = self.tally(content, used);
            record.events = Some(tally.events);
            (record.first_time, record.last_time) = (tally.first_time, tally.last_time);
            if let Some(stop) = tally.stop {
                record.notes.push(Note { position: sub.position(), kind: NoteKind::Undecodable(stop) });
            }
        }
        let page = self.kernel.memory().page_size().max(1);
        let size = sub.raw.pages.len();
        let disk = content.header.record_len();
        let whole_sub_buffers = content.header.version <= lttformat::ltt::Version::V2_4;
        let sound = if whole_sub_buffers {
            disk == size
        } else {
            (used..=size).contains(&disk) && disk.is_multiple_of(page)
        };
        if sound {
            return usize::try_from(disk).unwrap_or(usize::MAX);
        }
        let text = format!(
            "expected a record length that fits {used} used bytes of {size}, found {disk}: corrected"
        );
        record.notes.push(Note { position: sub.position(), kind: NoteKind::Header(text) });
        let last_time = Some(content.header.end);
        let kept = Kept { valid: used, events: record.events, first_time: record.first_time, last_time };
        self.complete(sub, content, kept, record)
    }

    /// A sub-buffer that was being written, or left by a writer that never came back.
    fn interrupted(&mut self, sub: &SubBuffer, content: &Content, record: &mut Record<'_>) -> usize {
        let header_committed = sub.committed() >= content.header.len() as u64;
        if content.readable < record.found && header_committed {
            let kept = Kept::from(self.tally(content, content.readable.min(sub.committed())));
            record.unreadable =
                record.found.saturating_sub(content.readable).min(record.found.saturating_sub(kept.valid));
            record.lost = record.found.saturating_sub(kept.valid).saturating_sub(record.unreadable);
            return self.complete(sub, content, kept, record);
        }
        let evidence = self.evidence(sub);
        let markers = Markers::new(&content.header);
        let markers = self.trace.markers.as_ref().unwrap_or(&markers);
        let kind = Kind::named(content.header.version, &self.channel.name);
        let prefix = prefix::valid_prefix(&self.buffer, &content.header, kind, markers, &evidence);
        if prefix.rule != Rule::Committed || prefix.doubtful {
            record.notes.push(Note {
                position: sub.position(),
                kind: NoteKind::Interrupted {
                    rule: prefix.rule,
                    doubtful: prefix.doubtful,
                    reserved: sub.reserved(),
                    committed: sub.committed(),
                    valid: prefix.valid,
                },
            });
        }
        if let Some(stop) = prefix.stop {
            record.notes.push(Note { position: sub.position(), kind: NoteKind::Undecodable(stop) });
        }
        record.lost = record.found.saturating_sub(prefix.valid);
        if prefix.valid == 0 {
            return 0;
        }
        self.complete(sub, content, Kept::from(prefix), record)
    }

    /// Completes the header for the bytes that are kept, zeroes what follows, and enters the result into the account.
    fn complete(&mut self, sub: &SubBuffer, content: &Content, kept: Kept, record: &mut Record<'_>) -> usize {
        let completion = Completion {
            valid: kept.valid,
            last_time: kept.last_time.unwrap_or(content.header.begin),
            subbuffer_size: sub.raw.pages.len(),
            page_size: self.kernel.memory().page_size(),
            events_lost: self.stream.events_lost(),
            corrupted: self.stream.corrupted_sub_buffers(),
        };
        match complete(&mut self.buffer, &completion) {
            Ok(len) => {
                record.valid = kept.valid;
                record.events = kept.events.filter(|_| self.count_events);
                record.first_time = kept.first_time;
                record.last_time = kept.last_time.filter(|_| kept.events != Some(0));
                len
            }
            Err(error) => {
                record.lost = record.found.saturating_sub(record.unreadable);
                record
                    .notes
                    .push(Note { position: sub.position(), kind: NoteKind::Header(error.to_string()) });
                0
            }
        }
    }

    fn tally(&self, content: &Content, used: u64) -> Tally {
        let kind = Kind::named(content.header.version, &self.channel.name);
        match &self.trace.markers {
            Some(markers) => tally(&self.buffer, &content.header, used, kind, markers),
            None => tally(&self.buffer, &content.header, used, kind, &Markers::new(&content.header)),
        }
    }
}
