//! One stream, decoded.

use lttformat::ltt::{Channel as Kind, Grammar, Markers, Position};

use super::records::{Damage, Piece, Records};
use crate::events::source::Source;
use crate::events::{Entry, Fields, What};
use crate::time::TraceClock;

/// What all entries of a stream share.
#[derive(Clone, Debug)]
pub(in crate::events) struct Label {
    pub(in crate::events) trace: String,
    pub(in crate::events) channel: String,
    pub(in crate::events) cpu: u32,
    pub(in crate::events) clock: TraceClock,
}

/// Decodes the records of one stream. Holds one record, and of its events only the place of the current one.
pub(super) struct Stream<'a, R> {
    label: Label,
    kind: Kind<'a>,
    markers: &'a Markers,
    records: R,
    /// What `records` gave last and is not looked at yet.
    pending: Option<Piece>,
    bytes: Vec<u8>,
    /// While there are events left in `bytes`.
    grammar: Option<Grammar<'a>>,
    /// End of the current event.
    next: Position,
    not_before: u64,
    current: Current,
}

/// What the stream stands on.
enum Current {
    Nothing,
    /// An event of `bytes`: the end of the one before it.
    Event(Position),
    Undecoded(Damage),
    Damaged(Damage),
}

impl Label {
    pub(super) fn new(trace: &str, channel: &[u8], cpu: u32, clock: TraceClock) -> Label {
        let channel = String::from_utf8_lossy(channel).into_owned();
        Label { trace: trace.to_owned(), channel, cpu, clock }
    }
}

impl<'a, R: Records> Stream<'a, R> {
    pub(super) fn new(label: Label, kind: Kind<'a>, markers: &'a Markers, records: R) -> Stream<'a, R> {
        Stream {
            label,
            kind,
            markers,
            records,
            pending: None,
            bytes: Vec::new(),
            grammar: None,
            next: Position { offset: 0, time: 0 },
            not_before: 0,
            current: Current::Nothing,
        }
    }

    /// The next event of the record at hand, or what keeps it from being decoded; `None` when there is no more.
    fn event(&mut self) -> Option<Current> {
        let at = self.next;
        match self.grammar.as_ref()?.event(&self.bytes, at)? {
            Ok(event) => {
                self.next = Position { offset: event.end, time: event.tsc };
                Some(Current::Event(at))
            }
            Err(stop) => {
                self.grammar = None;
                let bytes = self.bytes.len().saturating_sub(stop.offset) as u64;
                let reason = format!("{}, {stop}", self.records.place());
                Some(Current::Undecoded(Damage { bytes, reason }))
            }
        }
    }

    /// Takes the next record; what is in its place is returned.
    fn record(&mut self) -> Option<Option<Current>> {
        match self.pending.take().or_else(|| self.records.next(&mut self.bytes))? {
            Piece::Record { header, .. } if header.end < self.not_before => {
                self.next.time = header.end;
                Some(None)
            }
            Piece::Record { header, used } => {
                self.bytes.truncate(usize::try_from(used).unwrap_or(usize::MAX));
                self.next = Position { offset: header.len(), time: header.begin };
                self.grammar = Some(Grammar::new(&self.bytes, &header, self.kind, self.markers));
                Some(None)
            }
            Piece::Damage(damage) => Some(Some(Current::Damaged(damage))),
        }
    }
}

impl<R: Records> Source for Stream<'_, R> {
    fn rewind(&mut self, count: u64) -> u64 {
        self.grammar = None;
        self.current = Current::Nothing;
        self.next = Position { offset: 0, time: 0 };
        if self.records.rewind(count) {
            self.pending = None;
            return 0;
        }
        // What is damaged before the first record lies before it in time, too.
        loop {
            self.pending = self.records.next(&mut self.bytes);
            match &self.pending {
                // The record before may hold events of the very instant at which this one was begun.
                Some(Piece::Record { header, .. }) => return header.begin.saturating_add(1),
                Some(Piece::Damage(_)) => {}
                None => return u64::MAX,
            }
        }
    }

    fn not_before(&mut self, time: u64) {
        self.not_before = time;
    }

    fn advance(&mut self) -> Option<u64> {
        loop {
            self.current = match self.event() {
                Some(current) => current,
                None => {
                    self.grammar = None;
                    match self.record()? {
                        Some(damage) => damage,
                        None => continue,
                    }
                }
            };
            if self.next.time >= self.not_before {
                return Some(self.next.time);
            }
        }
    }

    fn entry(&self) -> Option<Entry<'_>> {
        let mut tsc = self.next.time;
        let what = match &self.current {
            Current::Nothing => return None,
            Current::Event(at) => {
                let event = self.grammar.as_ref()?.event(&self.bytes, *at)?.ok()?;
                tsc = event.tsc;
                match event.name() {
                    Some(name) => What::Event { name, id: event.id, fields: Fields(event.fields()) },
                    None => What::Unknown { id: event.id, bytes: event.raw().len() as u64 },
                }
            }
            Current::Undecoded(Damage { bytes, reason }) => What::Undecoded { bytes: *bytes, reason },
            Current::Damaged(Damage { bytes, reason }) => What::Damaged { bytes: *bytes, reason },
        };
        let Label { trace, channel, cpu, clock } = &self.label;
        Some(Entry { trace, channel, cpu: *cpu, tsc, what, clock })
    }

    fn is_event(&self) -> bool {
        matches!(self.current, Current::Event(_))
    }
}
