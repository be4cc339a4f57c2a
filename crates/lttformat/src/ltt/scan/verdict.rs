//! Whether a record's events are what its header says.

use super::super::align::AlignRule;
use super::super::grammar::{Grammar, Position};
use super::super::head::Head;
use super::super::layout::{Form, Layout};
use super::super::{Channel, Header, Markers, Stop, StopReason, Tally, tally};

/// Stretch that a file system leaves unwritten at the least, counted from the start of the file.
const SECTOR: usize = 512;

/// What looking at a record's events says about it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// All events are there.
    Whole(Tally),
    /// As many as can be told: the event ids are not known.
    Unknown(Option<Tally>),
    /// Events are missing or wrong.
    Broken(Stop),
}

impl Verdict {
    /// Looks at the `events` of the record that begins at `offset`, its header included.
    pub(super) fn of(
        events: &[u8],
        offset: u64,
        header: &Header,
        channel: Channel<'_>,
        markers: Option<&Markers>,
        all_markers: bool,
    ) -> Verdict {
        if let Some(offset) = blank_sector(events, offset, header.len()) {
            return Verdict::Broken(Stop { offset, reason: StopReason::Blank });
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
        let tally = tally(events, header, events.len() as u64, channel, markers);
        // Bytes of another record can be events, too, and so can zeros: their times and places show that they are not this one's.
        let first = tally.first_time.unwrap_or(header.begin);
        let last = tally.last_time.unwrap_or(header.begin);
        let blank_from = blank_tail(events, offset, header.len());
        let is_untimely = first < header.begin || last < first || last > header.end;
        let is_unheard_of = all_markers && tally.unknown > 0;
        if is_untimely || is_unheard_of || blank_from.is_some() {
            let grammar = Grammar::new(events, header, channel, markers);
            if let Some(stop) = impostor(events, header, &grammar, blank_from, all_markers) {
                return Verdict::Broken(stop);
            }
        }
        match tally.stop {
            None => Verdict::Whole(tally),
            Some(stop @ Stop { reason: StopReason::UnknownId(id), .. }) => {
                let at = Position { offset: stop.offset, time: last };
                match beyond(events, header, channel, at) {
                    Some(time) => Verdict::Broken(Stop { reason: StopReason::TimeBeyond(time), ..stop }),
                    None if !all_markers && may_be_announced(id, header, channel) => {
                        Verdict::Unknown(Some(tally))
                    }
                    None => Verdict::Broken(stop),
                }
            }
            Some(stop) => Verdict::Broken(stop),
        }
    }
}

/// Whether some marker may have this id, so that only its announcement is missing.
fn may_be_announced(id: u16, header: &Header, channel: Channel<'_>) -> bool {
    // Where ids are the trace's, the lowest two are those of metadata.
    channel != Channel::Metadata && (header.version.has_channel_ids() || id > 1)
}

/// The time of the event at this place, whose marker is not known, if the record ends before it: then it is no event.
fn beyond(events: &[u8], header: &Header, channel: Channel<'_>, at: Position) -> Option<u64> {
    let rule = AlignRule::candidates(header).first().copied()?;
    let layout = Layout::new(header, channel, rule);
    let head = match layout.form {
        Form::Short => Head::short(events, &layout, at.offset, at.time, false),
        _ => Head::v1(events, &layout, at.offset, at.time),
    };
    head.ok().map(|head| head.tsc).filter(|&tsc| tsc > header.end)
}

/// Where what decodes cannot be an event: time goes back, or passes the record's end, or it begins in zeros that last to the end
/// of the events, or all markers are known and it has none.
fn impostor(
    events: &[u8],
    header: &Header,
    grammar: &Grammar<'_>,
    blank_from: Option<usize>,
    all_markers: bool,
) -> Option<Stop> {
    let mut at = Position::first(header);
    while let Some(Ok(event)) = grammar.event(events, at) {
        let reason = match event.tsc {
            _ if blank_from.is_some_and(|blank| event.start >= blank) => StopReason::Blank,
            tsc if tsc < at.time => StopReason::TimeBackwards(tsc),
            tsc if tsc > header.end => StopReason::TimeBeyond(tsc),
            _ if all_markers && event.marker.is_none() => StopReason::UnknownId(event.id),
            _ => {
                at = Position::after(&event);
                continue;
            }
        };
        return Some(Stop { offset: at.offset, reason });
    }
    None
}

/// The first sector within the events that holds nothing but zeros.
///
/// A file system that lost what was to be written there leaves such sectors. Events never do: it would be a hundred fields that
/// all are zero, in one event, or a hundred events in one instant.
fn blank_sector(events: &[u8], offset: u64, header_len: usize) -> Option<usize> {
    let first = first_sector(offset, header_len)?;
    let nth = events.get(first..)?.chunks_exact(SECTOR).position(is_blank)?;
    Some(first + nth * SECTOR)
}

/// Begin of the last, incomplete sector, if its events are nothing but zeros. They may well belong to an event that begins before.
fn blank_tail(events: &[u8], offset: u64, header_len: usize) -> Option<usize> {
    let first = first_sector(offset, header_len)?;
    let tail = events.get(first..)?.chunks_exact(SECTOR).remainder();
    (!tail.is_empty() && is_blank(tail)).then(|| events.len() - tail.len())
}

/// Begin of the first sector behind the header of the record at `offset`.
fn first_sector(offset: u64, header_len: usize) -> Option<usize> {
    let before = usize::try_from(offset.wrapping_neg() % SECTOR as u64).ok()?;
    Some(if before < header_len { before + SECTOR } else { before })
}

fn is_blank(sector: &[u8]) -> bool {
    sector.first() == Some(&0) && sector.iter().fold(0, |any, &byte| any | byte) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_are_those_of_the_file() {
        let mut events = vec![1; 5000];
        events[1024..1536].fill(0);
        assert_eq!(blank_sector(&events, 0, 68), Some(1024));
        assert_eq!(blank_sector(&events, 8192, 68), Some(1024));
        for offset in [1, 511, 4095] {
            assert_eq!(blank_sector(&events, offset, 68), None);
        }
        // At byte 100 of the file the first sector begins with byte 412 of the record.
        events[412..924].fill(0);
        assert_eq!(blank_sector(&events, 100, 68), Some(412));
        // Nor does the header's own count, which may be zeros, mostly.
        assert_eq!(blank_sector(&[0; 600], 1000, 109), None);
        assert_eq!(blank_sector(&[0; 512], 0, 68), None);
        assert_eq!(blank_sector(&[], 0, 68), None);
    }

    #[test]
    fn the_last_sector_may_be_incomplete() {
        let mut events = vec![1; 1100];
        events[1020..].fill(0);
        assert_eq!(blank_tail(&events, 0, 68), Some(1024));
        assert_eq!(blank_tail(&events, 4, 68), Some(1020));
        assert_eq!(blank_tail(&events, 5, 68), None);
        assert_eq!(blank_tail(&events[..1024], 0, 68), None);
        assert_eq!(blank_tail(&[0; 300], 0, 68), None);
    }
}
