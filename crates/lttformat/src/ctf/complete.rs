//! Turns a packet that was never closed into the one that the consumer daemon would have written.

use super::layout::Place;
use super::packet::ones;
use super::{Error, PacketHeader, PacketLayout, Result};

/// What is known about a packet that the tracer did not close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Bytes from its start that hold header and whole events.
    pub used: u64,
    /// Page size of the traced machine: packets are multiples of it.
    pub page_size: u64,
    /// Its end: see [`timestamp_end`].
    pub timestamp_end: u64,
    /// Events that the tracer dropped in this buffer since its creation.
    pub events_discarded: u64,
}

/// Completes the header of the packet in `bytes`, zeroes what follows the used bytes and gives the vector the length that
/// the packet has on disk, which is also returned.
///
/// The zeroes keep stale bytes of earlier laps inside the core.
///
/// Errors: no header in `bytes`; lengths that contradict each other. `bytes` is unchanged then.
pub fn complete(bytes: &mut Vec<u8>, layout: &PacketLayout, completion: &Completion) -> Result<usize> {
    let mut header = PacketHeader::parse(bytes, layout)?;
    let Completion { used, page_size, timestamp_end, events_discarded } = *completion;
    let held = bytes.len();
    let contradiction =
        |what, limit: usize, found| Err(Error::Completion { what, limit: limit as u64, found });
    let Some(content) = usize::try_from(used).ok().filter(|&used| used <= held) else {
        return contradiction("used bytes", held, used);
    };
    if content < layout.len() {
        return contradiction("header bytes", content, layout.len() as u64);
    }
    // Neither can exceed what its field holds: in 2.0, the bits of a sub-buffer in 32 bits. All ones would mean an open packet.
    let bits = |bytes: u64, place: Option<Place>| {
        bytes.checked_mul(8).filter(|&bits| place.is_none_or(|place| bits < ones(place.width)))
    };
    let len = used.checked_next_multiple_of(page_size);
    let sizes = len.and_then(|len| {
        let (packet, content) = (bits(len, layout.packet_size)?, bits(used, layout.content_size)?);
        Some((usize::try_from(len).ok()?, packet, content))
    });
    let Some((len, packet_size, content_size)) = sizes.filter(|_| page_size <= 1 << 20) else {
        return contradiction("page size", 1 << 20, page_size);
    };
    header.content_size = content_size;
    header.packet_size = packet_size;
    header.timestamp_end = timestamp_end.max(header.timestamp_begin);
    header.events_discarded = Some(events_discarded);
    header.write(bytes, layout)?;
    bytes.truncate(content);
    bytes.resize(len, 0);
    Ok(len)
}

/// What is known about the end of a packet that was not closed; what is not known is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndEvidence {
    /// The sub-buffer's closing time, for one that was closed but not yet delivered (tracers that keep `ts_end`).
    pub closed: Option<u64>,
    /// The buffer's time of the newest reservation.
    pub last_tsc: Option<LastTsc>,
    /// Begin of the stream's next packet.
    pub next_begin: Option<u64>,
    /// Newest time that was read on the CPU, by any session.
    pub cpu_clock: Option<u64>,
    /// Time of the packet's last event.
    pub last_event: Option<u64>,
}

/// A buffer's time of its newest reservation, as the kernel keeps it in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastTsc {
    /// The time itself: 64-bit kernels.
    Full(u64),
    /// The time without its low 27 bits: 32-bit kernels.
    Truncated(u32),
}

impl LastTsc {
    /// The latest time that it can mean in a packet that began at `begin`.
    fn upper_bound(self, begin: u64) -> u64 {
        const LOW: u32 = 27;
        match self {
            LastTsc::Full(time) => time,
            LastTsc::Truncated(high) => {
                begin & !(u64::MAX >> (32 - LOW)) | u64::from(high) << LOW | ((1 << LOW) - 1)
            }
        }
    }
}

/// The end of a packet that was not closed: the first of the evidence that does not contradict the begin, else the begin.
///
/// It may be later than the last event, never earlier: readers refuse events after the end of their packet.
pub fn timestamp_end(begin: u64, evidence: &EndEvidence) -> u64 {
    let EndEvidence { closed, last_tsc, next_begin, cpu_clock, last_event } = *evidence;
    let last_tsc = last_tsc.map(|last| last.upper_bound(begin));
    let known = [closed, last_tsc, next_begin, cpu_clock, last_event];
    let floor = last_event.unwrap_or(begin).max(begin);
    known.into_iter().flatten().find(|&time| time >= floor).unwrap_or(floor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctf::Generation::{V2_0, V2_1, V2_8};
    use crate::ltt::Endian;

    const BEGIN: u64 = 0x12a_05f2_0000;

    fn open(layout: &PacketLayout) -> Vec<u8> {
        let header = PacketHeader {
            uuid: Some(super::super::Uuid([7; 16])),
            stream_id: 1,
            stream_instance_id: Some(3),
            timestamp_begin: BEGIN,
            timestamp_end: 0,
            content_size: u64::MAX,
            packet_size: u64::MAX,
            packet_seq_num: Some(11),
            events_discarded: Some(0),
            cpu_id: Some(3),
        };
        let mut bytes = vec![0xaa; 0x4000];
        header.write(&mut bytes, layout).unwrap();
        bytes
    }

    #[test]
    fn all_generations() {
        for generation in [V2_0, V2_1, V2_8] {
            for (word, endian) in [(8, Endian::Little), (4, Endian::Big)] {
                let layout = PacketLayout::of_generation(generation, word, endian);
                let mut bytes = open(&layout);
                let completion = Completion {
                    used: 0x1234,
                    page_size: 4096,
                    timestamp_end: BEGIN + 5,
                    events_discarded: 7,
                };
                assert_eq!(complete(&mut bytes, &layout, &completion), Ok(0x2000));
                let header = PacketHeader::parse(&bytes, &layout).unwrap();
                assert_eq!((header.content_size, header.packet_size), (0x91a0, 0x10000));
                assert_eq!((header.timestamp_begin, header.timestamp_end), (BEGIN, BEGIN + 5));
                assert_eq!((header.events_discarded, header.cpu_id), (Some(7), Some(3)));
                assert!(bytes[layout.len()..0x1234].iter().all(|&byte| byte == 0xaa));
                assert!(bytes.len() == 0x2000 && bytes[0x1234..].iter().all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn contradictions_change_nothing() {
        let layout = PacketLayout::of_generation(V2_8, 8, Endian::Little);
        let good = Completion { used: 100, page_size: 4096, timestamp_end: 0, events_discarded: 0 };
        for (bad, message) in [
            (Completion { used: 83, ..good }, "header bytes of at most 83, found 84"),
            (Completion { used: 0x4001, ..good }, "used bytes of at most 16384, found 16385"),
            (
                Completion { used: u64::MAX, ..good },
                "used bytes of at most 16384, found 18446744073709551615",
            ),
            (Completion { page_size: 0, ..good }, "page size of at most 1048576, found 0"),
            (Completion { page_size: 1 << 40, ..good }, "page size of at most 1048576, found 1099511627776"),
        ] {
            let mut bytes = open(&layout);
            let error = complete(&mut bytes, &layout, &bad).unwrap_err();
            assert_eq!(error.to_string(), format!("completing a packet: expected {message}"));
            assert_eq!(bytes, open(&layout));
        }
        let mut bytes = open(&layout);
        complete(&mut bytes, &layout, &good).unwrap();
        assert_eq!(PacketHeader::parse(&bytes, &layout).unwrap().timestamp_end, BEGIN);
    }

    #[test]
    fn ends() {
        let none = EndEvidence::default();
        assert_eq!(timestamp_end(BEGIN, &none), BEGIN);
        let last_event = EndEvidence { last_event: Some(BEGIN + 1), ..none };
        assert_eq!(timestamp_end(BEGIN, &last_event), BEGIN + 1);
        let next = EndEvidence { next_begin: Some(BEGIN + 9), cpu_clock: Some(BEGIN + 2), ..last_event };
        assert_eq!(timestamp_end(BEGIN, &next), BEGIN + 9);
        // A lost event resets the time of the newest reservation.
        let reset = EndEvidence { last_tsc: Some(LastTsc::Full(0)), ..next };
        assert_eq!(timestamp_end(BEGIN, &reset), BEGIN + 9);
        let stale = EndEvidence { closed: Some(BEGIN - 1), last_tsc: Some(LastTsc::Full(BEGIN + 4)), ..next };
        assert_eq!(timestamp_end(BEGIN, &stale), BEGIN + 4);
        let closed = EndEvidence { closed: Some(BEGIN + 3), ..stale };
        assert_eq!(timestamp_end(BEGIN, &closed), BEGIN + 3);
        let high = u32::try_from(BEGIN >> 27).unwrap();
        let truncated = EndEvidence { last_tsc: Some(LastTsc::Truncated(high)), ..none };
        assert_eq!(timestamp_end(BEGIN, &truncated), BEGIN | 0x7ff_ffff);
        let begin = 0xf << 60 | BEGIN;
        assert_eq!(timestamp_end(begin, &truncated), begin | 0x7ff_ffff);
    }
}
