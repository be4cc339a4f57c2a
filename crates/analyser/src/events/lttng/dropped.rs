//! What the tracer dropped, from the counters in its packets.

use lttformat::ctf::PacketHeader;

use crate::events::records::{Dropped, Piece, Records};

/// Adds to the packets of a stream what is missing between them.
///
/// Events that were dropped are told behind the packet that counts them: a full buffer is what closes packets late. Packets
/// that are missing are told before the next one. What was dropped after the last packet only a core tells.
pub(super) struct Accounted<R> {
    packets: R,
    before: Option<Counters>,
    /// To be told next.
    due: Option<Dropped>,
    /// Events that were dropped in the stream's whole life, if that is known.
    total: Option<u64>,
    /// Whether the end was told.
    ended: bool,
    /// A packet that is in the caller's buffer already.
    held: Option<PacketHeader>,
    scratch: Vec<u8>,
}

/// What a packet says about what was before its end.
struct Counters {
    end: u64,
    discarded: Option<u64>,
    number: Option<u64>,
}

impl Counters {
    fn of(header: &PacketHeader) -> Counters {
        let PacketHeader { timestamp_begin, timestamp_end, events_discarded, packet_seq_num, .. } = *header;
        let end = timestamp_end.max(timestamp_begin);
        Counters { end, discarded: events_discarded, number: packet_seq_num }
    }
}

impl<R> Accounted<R> {
    /// `total`: events that were dropped in the stream's whole life, if that is known.
    pub(super) fn new(packets: R, total: Option<u64>) -> Accounted<R> {
        Accounted { packets, before: None, due: None, total, ended: false, held: None, scratch: Vec::new() }
    }

    /// What no packet counts: the buffer was still full at the end.
    fn last(&mut self) -> Option<Dropped> {
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        let Counters { end, discarded, .. } = self.before.as_ref()?;
        let count = self.total?.checked_sub((*discarded)?).filter(|&count| count > 0)?;
        Some(Dropped::Events { count, from: *end, to: *end })
    }

    /// Enters a packet into the account.
    fn enter(&mut self, header: &PacketHeader) -> Option<Dropped> {
        let now = Counters::of(header);
        // Nothing was dropped before the first packet of all; what was before another one is not known.
        let first = now.number == Some(0);
        let (from, discarded) = match &self.before {
            Some(before) => (before.end, before.discarded),
            None => (header.timestamp_begin, first.then_some(0)),
        };
        // A counter that goes back is damaged.
        let count =
            now.discarded.zip(discarded).and_then(|(now, before)| now.checked_sub(before)).unwrap_or(0);
        self.due = (count > 0).then_some(Dropped::Events { count, from, to: now.end });
        let number = self.before.as_ref().and_then(|before| before.number?.checked_add(1));
        let missing = number.zip(now.number).and_then(|(first, now)| {
            Some(Dropped::Packets { count: now.checked_sub(first).filter(|&count| count > 0)?, first })
        });
        self.before = Some(now);
        missing
    }
}

impl<R: Records<Header = PacketHeader>> Records for Accounted<R> {
    type Header = PacketHeader;

    fn rewind(&mut self, count: u64) -> bool {
        (self.before, self.due, self.held, self.ended) = (None, None, None, false);
        // One more, for its counters.
        if self.packets.rewind(count.saturating_add(1)) {
            return true;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        while let Some(piece) = self.packets.next(&mut scratch) {
            if let Piece::Record(header) = piece {
                self.before = Some(Counters::of(&header));
                break;
            }
        }
        self.scratch = scratch;
        false
    }

    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<Piece<PacketHeader>> {
        if let Some(header) = self.held.take() {
            return Some(Piece::Record(header));
        }
        if let Some(due) = self.due.take() {
            return Some(Piece::Dropped(due));
        }
        let header = match self.packets.next(bytes) {
            Some(Piece::Record(header)) => header,
            Some(piece) => return Some(piece),
            None => return self.last().map(Piece::Dropped),
        };
        match self.enter(&header) {
            Some(missing) => {
                self.held = Some(header);
                Some(Piece::Dropped(missing))
            }
            None => Some(Piece::Record(header)),
        }
    }

    fn place(&self) -> String {
        self.packets.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets by number, counter and end.
    struct Packets(Vec<(u64, u64, u64)>, usize);

    impl Records for Packets {
        type Header = PacketHeader;

        fn rewind(&mut self, count: u64) -> bool {
            self.1 = self.0.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
            self.1 == 0
        }

        fn next(&mut self, _: &mut Vec<u8>) -> Option<Piece<PacketHeader>> {
            let &(number, discarded, end) = self.0.get(self.1)?;
            self.1 += 1;
            Some(Piece::Record(PacketHeader {
                uuid: None,
                stream_id: 0,
                stream_instance_id: None,
                timestamp_begin: end - 5,
                timestamp_end: end,
                content_size: 0,
                packet_size: 0,
                packet_seq_num: Some(number),
                events_discarded: Some(discarded),
                cpu_id: None,
            }))
        }

        fn place(&self) -> String {
            String::new()
        }
    }

    fn told(packets: &[(u64, u64, u64)], count: u64) -> Vec<Result<u64, Dropped>> {
        let mut accounted = Accounted::new(Packets(packets.to_vec(), 0), Some(5));
        accounted.rewind(count);
        let next = || accounted.next(&mut Vec::new());
        std::iter::from_fn(next)
            .filter_map(|piece| match piece {
                Piece::Record(header) => header.packet_seq_num.map(Ok),
                Piece::Dropped(dropped) => Some(Err(dropped)),
                Piece::Damage(_) => None,
            })
            .collect()
    }

    #[test]
    fn events_behind_their_packet_and_packets_before_the_next() {
        let packets = [(0, 2, 10), (1, 2, 20), (4, 9, 30), (5, 1, 40), (6, 4, 50)];
        let events = |count, from, to| Err(Dropped::Events { count, from, to });
        let missing = Err(Dropped::Packets { count: 2, first: 2 });
        let all = [
            Ok(0),
            events(2, 5, 10),
            Ok(1),
            missing,
            Ok(4),
            events(7, 20, 30),
            Ok(5),
            Ok(6),
            events(3, 40, 50),
            events(1, 50, 50),
        ];
        assert_eq!(told(&packets, u64::MAX), all);
        // The end of the list is the same, however much of it is read.
        assert_eq!(told(&packets, 4), all);
        assert_eq!(told(&packets, 3), all[3..]);
        assert_eq!(told(&packets, 2), all[6..]);
        assert_eq!(told(&packets, 0), all[9..]);
        // What was dropped before a first packet that is not the first of all is not known.
        assert_eq!(told(&packets[2..], u64::MAX)[0], Ok(4));
        assert_eq!(told(&packets[2..], u64::MAX)[1], Ok(5));
    }
}
