//! Counts the events of a sub-buffer.

use super::decoder::first;
use super::stride::Strides;
use super::{Channel, Event, Grammar, Header, Markers, Position, Stop};

/// What decoding a sub-buffer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Number of events.
    pub events: u64,
    /// How many of them no marker is known for, and so were passed by their recorded size.
    pub unknown: u64,
    /// Offset of the end of the last one, or of the header.
    pub end: usize,
    /// Time of the first event in clock cycles.
    pub first_time: Option<u64>,
    /// Time of the last event in clock cycles.
    pub last_time: Option<u64>,
    /// Where and why decoding ended early.
    pub stop: Option<Stop>,
}

impl Tally {
    pub(super) fn new(header: &Header) -> Tally {
        Tally { events: 0, unknown: 0, end: header.len(), first_time: None, last_time: None, stop: None }
    }

    #[inline]
    pub(super) fn count(&mut self, event: &Result<Event<'_>, Stop>) {
        match event {
            Ok(event) => {
                self.unknown += u64::from(event.marker.is_none());
                self.first_time.get_or_insert(event.tsc);
                self.pass(1, Position::after(event));
            }
            Err(stop) => self.stop = Some(*stop),
        }
    }

    /// Counts events after the first one, the last of which ends here.
    #[inline]
    fn pass(&mut self, events: u64, end: Position) {
        if events != 0 {
            self.events += events;
            self.end = end.offset;
            self.last_time = Some(end.time);
        }
    }

    /// Whether all events could be decoded, up to the end of the bytes that were said to hold them.
    pub fn is_complete(&self) -> bool {
        self.stop.is_none()
    }
}

/// Counts the events in the first `used` bytes of a sub-buffer; nothing else of them is decoded.
///
/// The outcome is that of the [`Decoder`](super::Decoder); events of formats 2.x take a third of its time.
pub fn tally(bytes: &[u8], header: &Header, used: u64, channel: Channel<'_>, markers: &Markers) -> Tally {
    let bytes = first(bytes, used);
    let grammar = Grammar::new(bytes, header, channel, markers);
    let mut strides = Strides::new(&grammar);
    let mut tally = Tally::new(header);
    let mut at = Position::first(header);
    loop {
        if let Some(strides) = &strides {
            let run = strides.run(bytes, at);
            tally.pass(run.events, run.end);
            at = run.end;
        }
        let Some(event) = grammar.event(bytes, at) else { break };
        tally.count(&event);
        let Ok(event) = event else { break };
        at = Position::after(&event);
        if let Some(strides) = &mut strides {
            strides.learn(event.id);
        }
    }
    tally
}
