//! A packet's events, counted.

use super::{Decoder, PacketHeader, Stop, StreamClass};

/// What decoding a packet to its end found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Events that were decoded.
    pub events: u64,
    /// Time of the first of them, in clock cycles.
    pub first_time: Option<u64>,
    /// Time of the last of them, in clock cycles.
    pub last_time: Option<u64>,
    /// End of the last of them in bytes from the start of the packet, rounded up.
    pub end: u64,
    /// Why there are not more; `None` if the content is decoded to its end.
    pub stop: Option<Stop>,
}

/// Decodes all events of the packet at the start of `packet`, whose header and stream are known. Events after the packet's
/// end are taken for damage if that end is known.
pub fn tally(stream: &StreamClass, header: &PacketHeader, packet: &[u8]) -> Tally {
    let mut decoder = Decoder::begin(stream, header, packet).not_after(header.latest_event());
    let mut tally = Tally { events: 0, first_time: None, last_time: None, end: 0, stop: None };
    for event in decoder.by_ref() {
        match event {
            Ok(event) => {
                tally.events += 1;
                tally.first_time = tally.first_time.or(Some(event.timestamp));
                tally.last_time = Some(event.timestamp);
            }
            Err(stop) => tally.stop = Some(stop),
        }
    }
    tally.end = decoder.position().offset.div_ceil(8);
    tally
}
