//! One stream, decoded.

use super::clock::Clock;
use super::format::{Format, Position};
use super::records::{Damage, Dropped, Piece, Records};
use super::source::Source;
use super::{Entry, What};

/// What all entries of a stream share.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub(super) trace: String,
    pub(super) channel: String,
    pub(super) cpu: Option<u32>,
    pub(super) host: Option<String>,
    pub(super) clock: Clock,
}

/// Decodes the records of one stream. Holds one record, and of its events only the place of the current one.
pub(super) struct Stream<R: Records, F> {
    label: Label,
    format: F,
    records: R,
    /// What `records` gave last and is not looked at yet.
    pending: Option<Piece<R::Header>>,
    bytes: Vec<u8>,
    /// Whether there may be events left in `bytes`.
    inside: bool,
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
    Dropped(Dropped),
}

impl<R: Records, F: Format<Header = R::Header>> Stream<R, F> {
    pub(super) fn new(label: Label, format: F, records: R) -> Stream<R, F> {
        Stream {
            label,
            format,
            records,
            pending: None,
            bytes: Vec::new(),
            inside: false,
            next: Position { offset: 0, time: 0 },
            not_before: 0,
            current: Current::Nothing,
        }
    }

    /// The next event of the record at hand, or what keeps it from being decoded; `None` when there is no more.
    #[inline]
    fn event(&mut self) -> Option<Current> {
        if !self.inside {
            return None;
        }
        let at = self.next;
        match self.format.after(&self.bytes, at) {
            Some(Ok(next)) => {
                self.next = next;
                Some(Current::Event(at))
            }
            Some(Err(stop)) => {
                self.inside = false;
                let reason = format!("{}, {}", self.records.place(), stop.reason);
                Some(Current::Undecoded(Damage { bytes: stop.bytes, reason }))
            }
            None => {
                self.inside = false;
                None
            }
        }
    }

    /// Takes the next piece; what is in place of a record is returned.
    fn piece(&mut self) -> Option<Option<Current>> {
        Some(match self.pending.take().or_else(|| self.records.next(&mut self.bytes))? {
            Piece::Record(header) => {
                let (_, end) = self.format.span(&header);
                if end < self.not_before {
                    self.next.time = end;
                } else {
                    self.next = self.format.begin(header, &mut self.bytes);
                    self.inside = true;
                }
                None
            }
            Piece::Damage(damage) => Some(Current::Damaged(damage)),
            Piece::Dropped(dropped) => {
                if let Dropped::Events { to, .. } = dropped {
                    self.next.time = self.next.time.max(to);
                }
                Some(Current::Dropped(dropped))
            }
        })
    }
}

impl<R: Records, F: Format<Header = R::Header>> Source for Stream<R, F> {
    fn rewind(&mut self, count: u64) -> u64 {
        self.inside = false;
        self.current = Current::Nothing;
        self.next = Position { offset: 0, time: 0 };
        if self.records.rewind(count) {
            self.pending = None;
            return 0;
        }
        // What is in place of records before the first one lies before it in time, too.
        loop {
            self.pending = self.records.next(&mut self.bytes);
            match &self.pending {
                // The record before may hold events of the very instant at which this one was begun.
                Some(Piece::Record(header)) => return self.format.span(header).0.saturating_add(1),
                Some(_) => {}
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
                None => match self.piece()? {
                    Some(current) => current,
                    None => continue,
                },
            };
            if self.next.time >= self.not_before {
                return Some(self.next.time);
            }
        }
    }

    fn entry(&self) -> Option<Entry<'_>> {
        let what = match &self.current {
            Current::Nothing => return None,
            Current::Event(at) => self.format.event(&self.bytes, *at)?,
            Current::Undecoded(Damage { bytes, reason }) => What::Undecoded { bytes: *bytes, reason },
            Current::Damaged(Damage { bytes, reason }) => What::Damaged { bytes: *bytes, reason },
            &Current::Dropped(Dropped::Events { count, from, to }) => {
                What::Discarded { events: count, from, to }
            }
            &Current::Dropped(Dropped::Packets { count, first }) => What::Missing { packets: count, first },
        };
        let Label { trace, channel, cpu, host, clock } = &self.label;
        let (cpu, host, tsc) = (*cpu, host.as_deref(), self.next.time);
        Some(Entry { trace, channel, cpu, host, tsc, what, clock })
    }

    fn is_event(&self) -> bool {
        matches!(self.current, Current::Event(_))
    }
}
