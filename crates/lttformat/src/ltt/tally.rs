//! Counts the events of a sub-buffer.

use super::{Channel, Decoder, Event, Header, Markers, Stop};

/// What decoding a sub-buffer found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Number of events.
    pub events: u64,
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
        Tally { events: 0, end: header.len(), first_time: None, last_time: None, stop: None }
    }

    #[inline]
    pub(super) fn count(&mut self, event: &Result<Event<'_>, Stop>) {
        match event {
            Ok(event) => {
                self.events += 1;
                self.end = event.end;
                self.first_time.get_or_insert(event.tsc);
                self.last_time = Some(event.tsc);
            }
            Err(stop) => self.stop = Some(*stop),
        }
    }

    /// Whether all events could be decoded, up to the end of the bytes that were said to hold them.
    pub fn is_complete(&self) -> bool {
        self.stop.is_none()
    }
}

/// Counts the events in the first `used` bytes of a sub-buffer; nothing else of them is decoded.
///
/// Cost: that of the [`Decoder`].
pub fn tally(bytes: &[u8], header: &Header, used: u64, channel: Channel<'_>, markers: &Markers) -> Tally {
    let mut tally = Tally::new(header);
    for event in Decoder::new(bytes, header, used, channel, markers) {
        tally.count(&event);
    }
    tally
}
