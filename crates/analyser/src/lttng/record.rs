//! One packet in memory → the packet that the consumer daemon would have written.
//!
//! A packet that the tracer closed is written as it is. One that it did not close is cut to its whole events, and its header
//! completed; of one with a hole what can be decoded before the hole is kept. Behind the content there are zeros, up to a whole
//! page: what lay there in memory belongs to earlier laps.

use std::fmt;

use lttformat::ctf::{
    Completion, Decoder, EndEvidence, LastTsc, PacketHeader, PacketLayout, Stop, StopReason, StreamClass,
    Tally, complete, tally, timestamp_end,
};
use relaywalk::lttng::Header;
use relaywalk::{Hole, State};

use super::model::{Channel, Packet, Session, Stream};
use super::sessions::peek;
use crate::kernel::Kernel;
use crate::traces::MAX_SUB_BUFFER;

/// Makes records of one stream's packets. One per stream and thread; keeps one buffer of a sub-buffer's size.
#[derive(Debug)]
pub struct Recorder<'k> {
    kernel: &'k Kernel,
    channel: &'k Channel,
    stream: &'k Stream,
    /// What the metadata say of its events; `None`: they cannot be decoded.
    class: Option<&'k StreamClass>,
    count_events: bool,
    buffer: Vec<u8>,
    /// Place of the latest packet in the stream: they are asked for in order, as a rule.
    at: usize,
}

/// One packet as it belongs on disk, and the account of its bytes: `found = valid + lost + unreadable`.
#[derive(Debug, Default)]
pub struct Record<'a> {
    /// The packet: header, events, and zeros up to a whole page; empty when nothing was usable.
    pub bytes: &'a [u8],
    /// Its header; `None` when nothing was usable.
    pub header: Option<PacketHeader>,
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
    /// Events in the record; `None` when they were not counted, or cannot be decoded.
    pub events: Option<u64>,
    /// Time of the first event in clock cycles, when counted.
    pub first_time: Option<u64>,
    /// Time of the last event in clock cycles, when counted.
    pub last_time: Option<u64>,
    /// What is worth telling about it.
    pub notes: Vec<Note>,
}

/// Something worth telling about one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Position of its sub-buffer in the stream.
    pub position: u64,
    /// What it is.
    pub kind: NoteKind,
}

/// What is worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoteKind {
    /// Writers were interrupted: not everything that they had reserved is valid.
    Interrupted {
        /// Bytes reserved.
        reserved: u64,
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
    /// Larger than any sub-buffer.
    TooLarge(u64),
}

impl NoteKind {
    /// Whether what is written may be wrong, or no viewer may be able to read it; as against notes that only explain a loss.
    #[must_use]
    pub fn is_doubt(&self) -> bool {
        matches!(self, NoteKind::Undecodable(_) | NoteKind::Header(_))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packet at {}: {}", self.position, self.kind)
    }
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoteKind::Interrupted { reserved, valid } => write!(f, "{reserved} bytes reserved, {valid} kept"),
            NoteKind::Hole(hole) => crate::record::fmt_hole(hole, f),
            NoteKind::Undecodable(stop) => write!(f, "{stop}"),
            NoteKind::NoHeader(error) | NoteKind::Header(error) => f.write_str(error),
            NoteKind::TooLarge(len) => {
                write!(f, "expected at most {MAX_SUB_BUFFER} bytes, found a sub-buffer of {len}")
            }
        }
    }
}

impl Session {
    /// A maker of records for one of this session's streams.
    #[must_use]
    pub fn recorder<'k>(
        &'k self,
        kernel: &'k Kernel,
        channel: &'k Channel,
        stream: &'k Stream,
    ) -> Recorder<'k> {
        let declared = channel.raw.id.and_then(|id| self.class.as_ref()?.stream(u64::from(id)));
        // Where the debug information says that packets look otherwise, the metadata are not this channel's.
        let class = declared.filter(|class| channel.layout.as_ref() == Some(class.layout()));
        Recorder { kernel, channel, stream, class, count_events: false, buffer: Vec::new(), at: 0 }
    }
}

/// The content of one packet while its record is made.
struct Content<'k> {
    layout: &'k PacketLayout,
    header: PacketHeader,
    /// Bytes from the start before the first byte that is unknown.
    readable: u64,
}

/// What of a packet goes into its record.
struct Kept {
    valid: u64,
    tally: Option<Tally>,
}

impl<'k> Recorder<'k> {
    /// Whether to decode complete packets too, only to count their events.
    #[must_use]
    pub fn count_events(mut self, on: bool) -> Recorder<'k> {
        self.count_events = on;
        self
    }

    /// The record of `packet`, one of the stream's packets.
    ///
    /// Never fails: what cannot be had is in the account and the notes. Cost: one copy of the packet; decoding only when it was
    /// not closed, has holes, or events are to be counted.
    pub fn record(&mut self, packet: &Packet) -> Record<'_> {
        let mut record = Record::default();
        self.at = self.place(packet);
        let len = self.make(packet, &mut record);
        record.bytes = self.buffer.get(..len).unwrap_or_default();
        record
    }

    /// Fills the buffer and the account; returns how many bytes of the buffer are the record.
    fn make(&mut self, packet: &Packet, record: &mut Record<'_>) -> usize {
        let note = |kind| Note { position: packet.position(), kind };
        let raw = &packet.raw;
        let size = raw.pages.len();
        let used = raw.used.min(size);
        record.found = if raw.closed { used } else { raw.reserved.min(size).max(used) };
        let Some(len) = usize::try_from(used).ok().filter(|_| size <= MAX_SUB_BUFFER) else {
            record.unreadable = record.found;
            record.notes.push(note(NoteKind::TooLarge(size)));
            return 0;
        };
        self.buffer.clear();
        self.buffer.resize(len, 0);
        let holes = raw.pages.read(self.kernel.view(), 0, &mut self.buffer);
        let (layout, header) = match self.header(packet) {
            Ok(found) => found,
            Err(problem) => {
                let hole = holes.iter().any(|hole| hole.range.start == 0 && !hole.zero_filled);
                *(if hole { &mut record.unreadable } else { &mut record.lost }) = record.found;
                record.notes.extend(holes.into_iter().map(|hole| note(NoteKind::Hole(hole))));
                if record.found > 0 {
                    record.notes.push(note(NoteKind::NoHeader(problem)));
                }
                return 0;
            }
        };
        let mut content = Content { layout, header, readable: used };
        for hole in holes {
            if hole.zero_filled {
                record.zero_filled += hole.range.end.min(used).saturating_sub(hole.range.start);
            } else {
                content.readable = content.readable.min(hole.range.start);
            }
            record.notes.push(note(NoteKind::Hole(hole)));
        }
        if raw.closed {
            self.closed(packet, content, record)
        } else {
            self.interrupted(packet, content, record)
        }
    }

    /// The header at the start of the buffer, and where its fields are; or why there is none.
    fn header(&self, packet: &Packet) -> Result<(&'k PacketLayout, PacketHeader), String> {
        let missing = || "expected a packet of this stream, found none".to_owned();
        let layout = self.channel.layout.as_ref().ok_or_else(missing)?;
        match packet.raw.header {
            Header::Intact => {}
            Header::None => {
                return Err("expected a packet header, found one that was not committed".to_owned());
            }
            _ => return Err(missing()),
        }
        PacketHeader::parse(&self.buffer, layout).map(|header| (layout, header)).map_err(|e| e.to_string())
    }

    /// A packet that the tracer closed.
    fn closed(&mut self, packet: &Packet, content: Content<'_>, record: &mut Record<'_>) -> usize {
        let used = record.found;
        let intact = content.readable >= used;
        let Some(class) = self.class else {
            // Nobody can tell where an event ends.
            if !intact {
                record.unreadable = used;
                return 0;
            }
            return self.keep(packet, content, Kept { valid: used, tally: None }, record);
        };
        if intact && record.zero_filled == 0 && !self.count_events {
            return self.keep(packet, content, Kept { valid: used, tally: None }, record);
        }
        let found = tally(class, &content.header, self.bytes(used.min(content.readable)));
        if !intact || record.zero_filled > 0 && found.stop.is_some() {
            // Zeros are only believed where they decode.
            let valid = found.end.min(content.readable);
            record.unreadable = used.saturating_sub(valid);
            record.zero_filled = record.zero_filled.min(valid);
            return self.keep(packet, content, Kept { valid, tally: Some(found) }, record);
        }
        if let Some(stop) = found.stop {
            let kind = NoteKind::Undecodable(stop);
            record.notes.push(Note { position: packet.position(), kind });
        }
        self.keep(packet, content, Kept { valid: used, tally: Some(found) }, record)
    }

    /// Enters a closed packet, or the part of it that is left, into the account. Its own end and number of discarded events stand.
    fn keep(&mut self, packet: &Packet, content: Content<'_>, kept: Kept, record: &mut Record<'_>) -> usize {
        let Content { layout, header, .. } = content;
        let page_size = self.kernel.memory().page_size().max(1);
        let (begin, end) = (header.timestamp_begin, header.timestamp_end);
        let bits = |bytes: u64| bytes.saturating_mul(8);
        let whole = kept.valid == record.found;
        let sound = header.content_size == bits(record.found)
            && header.packet_size == bits(record.found.next_multiple_of(page_size))
            && end >= begin;
        if !sound {
            let text = format!(
                "expected a header that fits {} used bytes, found {} bits of {} from {begin} to {end}: corrected",
                record.found, header.content_size, header.packet_size,
            );
            record.notes.push(Note { position: packet.position(), kind: NoteKind::Header(text) });
        }
        if sound && whole {
            self.buffer.resize(self.buffer.len().next_multiple_of(len_of(page_size)), 0);
            enter(record, header, &kept, self.count_events);
            return self.buffer.len();
        }
        let last_event = kept.tally.and_then(|tally| tally.last_time);
        let completion = Completion {
            used: kept.valid,
            page_size,
            timestamp_end: if end >= begin { end } else { last_event.unwrap_or(begin) },
            events_discarded: header.events_discarded.unwrap_or(0),
        };
        self.complete(packet, layout, &completion, &kept, record)
    }

    /// A packet that was being written, that a writer left and never came back to, or that was not delivered to the end.
    fn interrupted(&mut self, packet: &Packet, content: Content<'_>, record: &mut Record<'_>) -> usize {
        let used = self.buffer.len() as u64;
        let found = self.class.map(|class| {
            // Sizes and end are not to be believed, whatever they are.
            let open = PacketHeader { content_size: u64::MAX, ..content.header.clone() };
            tally(class, &open, self.bytes(used.min(content.readable)))
        });
        if let Some(walked) = self.walk(packet, &content) {
            record.lost = record.found.saturating_sub(walked.end);
            let kind = NoteKind::Interrupted { reserved: record.found, valid: walked.end };
            record.notes.push(Note { position: packet.position(), kind });
            let kept = Kept { valid: walked.end, tally: Some(walked) };
            return self.complete_open(packet, &content, &kept, record);
        }
        let valid = match found {
            Some(Tally { stop: None, .. }) if content.readable >= used => used,
            // The counters delimit whole events, also those that the metadata do not know.
            Some(Tally { stop: Some(Stop { reason: StopReason::UnknownId(_), .. }), .. })
                if content.readable >= used =>
            {
                used
            }
            Some(found) => found.end.min(content.readable),
            None if content.readable >= used => used,
            None => 0,
        };
        if content.readable < used {
            record.unreadable = used.saturating_sub(valid);
        }
        record.lost = record.found.saturating_sub(valid).saturating_sub(record.unreadable);
        record.zero_filled = record.zero_filled.min(valid);
        let note = |kind| Note { position: packet.position(), kind };
        if record.lost > 0 {
            record.notes.push(note(NoteKind::Interrupted { reserved: record.found, valid }));
        }
        if let Some(stop) = found.and_then(|found| found.stop).filter(|_| content.readable >= used) {
            record.notes.push(note(NoteKind::Undecodable(stop)));
        }
        if valid == 0 {
            return 0;
        }
        self.complete_open(packet, &content, &Kept { valid, tally: found }, record)
    }

    /// The events of a packet of which the counters vouch for no more than its header: before 2.4.2 they never do until the
    /// packet is delivered. No event lies beyond the bytes that were committed, nor later than the newest reservation or the next
    /// packet; what does is old content in the place of an event that was not committed. `None` if nothing is gained.
    fn walk(&mut self, packet: &Packet, content: &Content<'_>) -> Option<Tally> {
        let raw = &packet.raw;
        let (used, committed) = (content.layout.len() as u64, raw.committed.min(raw.pages.len()));
        if raw.sequence.is_some() || raw.used != used || committed <= used {
            return None;
        }
        let evidence = self.end_evidence(packet, None);
        let newest = match evidence.last_tsc {
            Some(LastTsc::Full(time)) => Some(time),
            _ => None,
        };
        let latest = evidence.next_begin.or(newest)?;
        let mut bytes = vec![0; len_of(committed)];
        if !raw.pages.read(self.kernel.view(), 0, &mut bytes).is_empty() {
            return None;
        }
        let open = PacketHeader { content_size: u64::MAX, ..content.header.clone() };
        let mut decoder = Decoder::begin(self.class?, &open, &bytes).not_after(latest);
        let mut tally = Tally { events: 0, first_time: None, last_time: None, end: used, stop: None };
        while let Some(Ok(event)) = decoder.next() {
            let time = event.timestamp;
            if tally.last_time.is_some_and(|last| time < last) {
                break;
            }
            tally.events += 1;
            tally.first_time = tally.first_time.or(Some(time));
            tally.last_time = Some(time);
            tally.end = decoder.position().offset.div_ceil(8);
        }
        if tally.events == 0 {
            return None;
        }
        self.buffer = bytes;
        Some(tally)
    }

    /// Completes a packet that the tracer did not close.
    fn complete_open(
        &mut self,
        packet: &Packet,
        content: &Content<'_>,
        kept: &Kept,
        record: &mut Record<'_>,
    ) -> usize {
        let evidence = self.end_evidence(packet, kept.tally.and_then(|tally| tally.last_time));
        let completion = Completion {
            used: kept.valid,
            page_size: self.kernel.memory().page_size(),
            timestamp_end: timestamp_end(content.header.timestamp_begin, &evidence),
            events_discarded: self.events_discarded(packet),
        };
        self.complete(packet, content.layout, &completion, kept, record)
    }

    /// Completes the header for the bytes that are kept, zeroes what follows, and enters the result into the account.
    fn complete(
        &mut self,
        packet: &Packet,
        layout: &PacketLayout,
        completion: &Completion,
        kept: &Kept,
        record: &mut Record<'_>,
    ) -> usize {
        let made = complete(&mut self.buffer, layout, completion);
        match made.and_then(|len| Ok((len, PacketHeader::parse(&self.buffer, layout)?))) {
            Ok((len, header)) => {
                enter(record, header, kept, self.count_events);
                len
            }
            Err(error) => {
                record.lost = record.found.saturating_sub(record.unreadable);
                record.zero_filled = 0;
                let kind = NoteKind::Header(error.to_string());
                record.notes.push(Note { position: packet.position(), kind });
                0
            }
        }
    }

    fn bytes(&self, len: u64) -> &[u8] {
        self.buffer.get(..len_of(len)).unwrap_or(&self.buffer)
    }

    fn place(&self, packet: &Packet) -> usize {
        let packets = self.stream.packets.as_slice();
        let find = |from: usize| {
            let found = packets.get(from..)?.iter().position(|other| std::ptr::eq(other, packet))?;
            Some(from + found)
        };
        find(self.at).or_else(|| find(0)).unwrap_or(packets.len())
    }

    /// Packets after the latest one: as many as can be of use.
    fn later(&self) -> &'k [Packet] {
        /// In a buffer that is not broken the next one will do.
        const MOST: usize = 64;
        let later = self.stream.packets.get(self.at.saturating_add(1)..).unwrap_or_default();
        later.get(..MOST).unwrap_or(later)
    }

    fn end_evidence(&self, packet: &Packet, last_event: Option<u64>) -> EndEvidence {
        let stream = &self.stream.raw;
        let next_begin = self.later().iter().find_map(|next| self.peek(next));
        let next_begin = next_begin.map(|header| header.timestamp_begin);
        let last = stream.last_timestamp.filter(|&last| last != 0);
        let last_tsc = last.and_then(|last| {
            if stream.last_timestamp_is_truncated {
                u32::try_from(last).ok().map(LastTsc::Truncated)
            } else {
                Some(LastTsc::Full(last))
            }
        });
        EndEvidence {
            closed: packet.raw.end_timestamp.filter(|_| packet.state() == State::Ready),
            // The newest reservation was not in this packet if there is a later one.
            last_tsc: last_tsc.filter(|_| next_begin.is_none()),
            next_begin,
            cpu_clock: stream.cpu_timestamp,
            last_event,
        }
    }

    /// Events dropped until the packet's end: the buffer's counters, but not more than a later packet says.
    fn events_discarded(&self, packet: &Packet) -> u64 {
        let delivering = packet.state() == State::Ready;
        let own = packet.raw.end_discarded.filter(|_| delivering).unwrap_or(u64::MAX);
        let mut later = self.later().iter().filter(|next| next.closed());
        let later = later.find_map(|next| self.peek(next)?.events_discarded).unwrap_or(u64::MAX);
        self.stream.events_lost().min(own).min(later)
    }

    fn peek(&self, packet: &Packet) -> Option<PacketHeader> {
        peek(self.kernel.view(), &packet.raw, self.channel.layout.as_ref()?)
    }
}

/// Enters what is kept into the account.
fn enter(record: &mut Record<'_>, header: PacketHeader, kept: &Kept, count_events: bool) {
    record.valid = kept.valid;
    record.header = Some(header);
    if let Some(tally) = kept.tally.filter(|_| count_events) {
        record.events = Some(tally.events);
        (record.first_time, record.last_time) = (tally.first_time, tally.last_time);
    }
}

fn len_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
