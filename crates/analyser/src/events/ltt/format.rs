//! Records of LTT.

use lttformat::ltt::{Channel as Kind, Grammar, Header, Markers, Position as Place};

use crate::events::event::Kind as Family;
use crate::events::format::{Format, Position, Stop};
use crate::events::{Event, What};

/// Decodes the records of one stream.
pub(super) struct Ltt<'a> {
    kind: Kind<'a>,
    markers: &'a Markers,
    /// Of the record at hand.
    grammar: Option<Grammar<'a>>,
}

/// A record's header, and what is known of the record.
pub(super) struct Head {
    pub(super) header: Header,
    /// Bytes of header and events, at most those of the record.
    pub(super) used: u64,
}

impl<'a> Ltt<'a> {
    pub(super) fn new(kind: Kind<'a>, markers: &'a Markers) -> Ltt<'a> {
        Ltt { kind, markers, grammar: None }
    }
}

fn place(at: Position) -> Place {
    Place { offset: usize::try_from(at.offset).unwrap_or(usize::MAX), time: at.time }
}

impl Format for Ltt<'_> {
    type Header = Head;

    fn span(&self, head: &Head) -> (u64, u64) {
        (head.header.begin, head.header.end)
    }

    fn begin(&mut self, Head { header, used }: Head, bytes: &mut Vec<u8>) -> Position {
        bytes.truncate(usize::try_from(used).unwrap_or(usize::MAX));
        self.grammar = Some(Grammar::new(bytes, &header, self.kind, self.markers));
        Position { offset: header.len() as u64, time: header.begin }
    }

    #[inline]
    fn after(&self, bytes: &[u8], at: Position) -> Option<Result<Position, Stop>> {
        Some(match self.grammar.as_ref()?.event(bytes, place(at))? {
            Ok(event) => Ok(Position { offset: event.end as u64, time: event.tsc }),
            Err(stop) => {
                Err(Stop { bytes: bytes.len().saturating_sub(stop.offset) as u64, reason: stop.to_string() })
            }
        })
    }

    fn event<'s>(&'s self, bytes: &'s [u8], at: Position) -> Option<What<'s>> {
        let event = self.grammar.as_ref()?.event(bytes, place(at))?.ok()?;
        Some(match event.name() {
            Some(name) => What::Event(Event(Family::Ltt { name, id: event.id, fields: event.fields() })),
            None => What::Unknown { id: event.id.into(), bytes: event.raw().len() as u64 },
        })
    }
}
