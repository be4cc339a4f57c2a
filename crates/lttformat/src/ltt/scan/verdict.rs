//! Whether a record's events are what its header says.

use super::super::grammar::{Grammar, Position};
use super::super::{Channel, Header, Markers, Stop, StopReason, Tally};
use super::CutReason;

/// What decoding a record says about it.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// All events are there.
    Whole(Tally),
    /// Ids are unknown, so nothing can be said.
    Unknown(Option<Tally>),
    /// Events are missing or wrong.
    Broken(CutReason),
}

impl Verdict {
    pub(super) fn of(
        bytes: &[u8],
        header: &Header,
        used: u64,
        channel: Channel<'_>,
        markers: Option<&Markers>,
        page: usize,
    ) -> Verdict {
        let used = usize::try_from(used).unwrap_or(usize::MAX).min(bytes.len());
        let events = bytes.get(..used).unwrap_or_default();
        if let Some(at) = blank_page(events, page) {
            return Verdict::Broken(CutReason::BlankPage { at });
        }
        let own;
        let markers = match (markers, channel) {
            (Some(markers), _) => markers,
            (None, Channel::Metadata) => {
                own = Markers::new(header);
                &own
            }
            (None, _) => return Verdict::Unknown(None),
        };
        let tally = decode(events, header, channel, markers);
        match tally.stop {
            None => Verdict::Whole(tally),
            Some(Stop { reason: StopReason::UnknownId(_), .. }) => Verdict::Unknown(Some(tally)),
            Some(stop) => Verdict::Broken(CutReason::Events(stop)),
        }
    }

    /// What was counted.
    pub(super) fn tally(self) -> Option<Tally> {
        match self {
            Verdict::Whole(tally) => Some(tally),
            Verdict::Unknown(tally) => tally,
            Verdict::Broken(_) => None,
        }
    }
}

/// Decodes the events, and checks what a decoder need not: that times neither go back nor pass the record's end.
///
/// Zeros can be a plausible event (id 0 at time 0) over and over; times show that they are not.
fn decode(events: &[u8], header: &Header, channel: Channel<'_>, markers: &Markers) -> Tally {
    let grammar = Grammar::new(events, header, channel, markers);
    let mut tally = Tally::new(header);
    let mut at = Position::first(header);
    while let Some(event) = grammar.event(events, at) {
        let wrong = event.as_ref().ok().and_then(|event| match event.tsc {
            tsc if tsc < at.time => Some(StopReason::TimeBackwards(tsc)),
            tsc if tsc > header.end => Some(StopReason::TimeBeyond(tsc)),
            _ => None,
        });
        let event = match wrong {
            Some(reason) => Err(Stop { offset: at.offset, reason }),
            None => event,
        };
        tally.count(&event);
        match event {
            Ok(event) => at = Position::after(&event),
            Err(_) => break,
        }
    }
    tally
}

/// The first whole page of zeros. No event is so large and so empty.
fn blank_page(events: &[u8], page: usize) -> Option<u64> {
    let blank = |bytes: &[u8]| bytes.first_chunk() == Some(&[0; 16]) && bytes.iter().all(|&byte| byte == 0);
    let nth = events.chunks_exact(page.max(16)).position(blank)?;
    u64::try_from(nth * page).ok()
}
