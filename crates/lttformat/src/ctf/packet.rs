//! The header at the beginning of every packet.

use super::layout::Place;
use super::{Error, PacketLayout, Result, Uuid};
use crate::ltt::Endian;

/// Every packet of events begins with it, in the byte order of the traced machine.
pub const PACKET_MAGIC: u32 = 0xc1fc_1fc1;

const WHAT: &str = "packet header";

/// Cycles by which an event may be later than its packet's end: about a millisecond. Zeros in place of an event are later by 2^26
/// cycles on average.
const LATE: u64 = 1 << 20;

/// Packet header and packet context, in host order. `None`: the packets of this trace have no such field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketHeader {
    /// Identity of the trace.
    pub uuid: Option<Uuid>,
    /// Id of the channel.
    pub stream_id: u64,
    /// Number of the CPU (2.8 on).
    pub stream_instance_id: Option<u64>,
    /// When the packet was begun, in clock cycles.
    pub timestamp_begin: u64,
    /// When it was closed, in clock cycles; 0 until then.
    pub timestamp_end: u64,
    /// Bits of headers and events; `u64::MAX`, whatever the field's width, until the packet is closed.
    pub content_size: u64,
    /// Bits of the packet on disk; `u64::MAX` until it is closed.
    pub packet_size: u64,
    /// Number of the packet in its stream, from 0 (2.8 on).
    pub packet_seq_num: Option<u64>,
    /// Events lost in this stream from the beginning to the end of this packet; 0 until it is closed.
    pub events_discarded: Option<u64>,
    /// The CPU.
    pub cpu_id: Option<u64>,
}

impl PacketHeader {
    /// Reads the header at the start of `bytes`.
    ///
    /// Errors: fewer bytes than the header has, no magic number. Says nothing about the values making sense.
    pub fn parse(bytes: &[u8], layout: &PacketLayout) -> Result<PacketHeader> {
        let short = || Error::Short { what: WHAT, expected: layout.len, found: bytes.len() };
        let bytes = bytes.get(..layout.len).ok_or_else(short)?;
        let get = |place: Place| load(bytes, place, layout.endian).ok_or_else(short);
        let number = |place: Option<Place>| place.map(get).transpose();
        // What is all ones is not known, in 32 bits (2.0) as in 64.
        let size = |place: Option<Place>| -> Result<u64> {
            let Some(place) = place else { return Ok(u64::MAX) };
            let value = get(place)?;
            Ok(if value == ones(place.width) { u64::MAX } else { value })
        };
        if let Some(found) = number(layout.magic)?.filter(|&found| found != u64::from(PACKET_MAGIC)) {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(Error::Magic { what: WHAT, expected: PACKET_MAGIC, found });
        }
        let uuid =
            layout.uuid.map(|at| bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or_else(short));
        Ok(PacketHeader {
            uuid: uuid.transpose()?.map(|bytes| Uuid(*bytes)),
            stream_id: number(layout.stream_id)?.unwrap_or(0),
            stream_instance_id: number(layout.stream_instance_id)?,
            timestamp_begin: number(layout.timestamp_begin)?.unwrap_or(0),
            timestamp_end: number(layout.timestamp_end)?.unwrap_or(0),
            content_size: size(layout.content_size)?,
            packet_size: size(layout.packet_size)?,
            packet_seq_num: number(layout.packet_seq_num)?,
            events_discarded: number(layout.events_discarded)?,
            cpu_id: number(layout.cpu_id)?,
        })
    }

    /// The stream's id alone, of a packet whose layout may be another one behind it.
    pub(super) fn parse_stream_id(bytes: &[u8], layout: &PacketLayout) -> Result<u64> {
        let short = || Error::Short { what: WHAT, expected: layout.len, found: bytes.len() };
        let Some(place) = layout.stream_id else { return Ok(0) };
        load(bytes, place, layout.endian).ok_or_else(short)
    }

    /// Writes the header over the start of `bytes`. Numbers are cut to the width of their field; fields that the layout lacks
    /// are left out.
    ///
    /// Errors: fewer bytes than the header has; nothing is written then.
    pub fn write(&self, bytes: &mut [u8], layout: &PacketLayout) -> Result<()> {
        let found = bytes.len();
        let short = || Error::Short { what: WHAT, expected: layout.len, found };
        let bytes = bytes.get_mut(..layout.len).ok_or_else(short)?;
        let numbers = [
            (layout.magic, Some(u64::from(PACKET_MAGIC))),
            (layout.stream_id, Some(self.stream_id)),
            (layout.stream_instance_id, self.stream_instance_id),
            (layout.timestamp_begin, Some(self.timestamp_begin)),
            (layout.timestamp_end, Some(self.timestamp_end)),
            (layout.content_size, Some(self.content_size)),
            (layout.packet_size, Some(self.packet_size)),
            (layout.packet_seq_num, self.packet_seq_num),
            (layout.events_discarded, self.events_discarded),
            (layout.cpu_id, self.cpu_id),
        ];
        for (place, value) in numbers {
            if let (Some(place), Some(value)) = (place, value) {
                store(bytes, place, layout.endian, value);
            }
        }
        let place = layout.uuid.and_then(|at| bytes.get_mut(at..)).and_then(|rest| rest.first_chunk_mut());
        if let (Some(place), Some(uuid)) = (place, self.uuid) {
            *place = uuid.0;
        }
        Ok(())
    }

    /// Time after which there is no event of this packet, in clock cycles; `u64::MAX` if its end is not known.
    ///
    /// A moment after its end: tracers before 2.9.13, 2.10.10 and 2.11 read the clock for the end, and then took the event of an interrupt
    /// in.
    #[inline]
    pub fn latest_event(&self) -> u64 {
        if self.is_open() || self.timestamp_end == 0 {
            return u64::MAX;
        }
        self.timestamp_end.saturating_add(LATE)
    }

    /// Whether the tracer has not closed the packet: sizes and end are not known.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.content_size == u64::MAX
    }
}

/// Byte order of a trace, by the magic number at the start of one of its packets.
pub fn packet_endian(bytes: &[u8]) -> Option<Endian> {
    [Endian::Little, Endian::Big].into_iter().find(|endian| endian.u32(bytes, 0) == Some(PACKET_MAGIC))
}

/// The greatest number of this many bytes, 1 to 8.
pub(super) fn ones(width: usize) -> u64 {
    let unused = 8_usize.saturating_sub(width).min(7);
    u64::MAX.to_be_bytes().iter().skip(unused).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn load(bytes: &[u8], place: Place, endian: Endian) -> Option<u64> {
    let field = bytes.get(place.offset..)?.get(..place.width)?;
    let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    Some(match endian {
        Endian::Little => field.iter().rev().fold(0, push),
        Endian::Big => field.iter().fold(0, push),
    })
}

fn store(bytes: &mut [u8], place: Place, endian: Endian, value: u64) {
    let Some(field) = bytes.get_mut(place.offset..).and_then(|rest| rest.get_mut(..place.width)) else {
        return;
    };
    let low_first = value.to_le_bytes();
    match endian {
        Endian::Little => field.iter_mut().zip(low_first).for_each(|(to, from)| *to = from),
        Endian::Big => field.iter_mut().rev().zip(low_first).for_each(|(to, from)| *to = from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctf::Generation;
    use crate::ltt::Endian::{Big, Little};
    use proptest::prelude::*;

    /// The specification's example: 2.8, 64 bits, little endian.
    #[rustfmt::skip]
    const EXAMPLE: [u8; 84] = [
        0xc1, 0x1f, 0xfc, 0xc1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 0, 0,
        3, 0, 0, 0, 0, 0, 0, 0,
        0x00, 0x00, 0xf2, 0x05, 0x2a, 0x01, 0, 0,
        0x00, 0x00, 0x00, 0x0a, 0x2a, 0x01, 0, 0,
        0xa0, 0x91, 0, 0, 0, 0, 0, 0,
        0x00, 0x00, 0x01, 0, 0, 0, 0, 0,
        11, 0, 0, 0, 0, 0, 0, 0,
        7, 0, 0, 0, 0, 0, 0, 0,
        3, 0, 0, 0,
    ];

    #[test]
    fn example() {
        let layout = PacketLayout::of_generation(Generation::V2_8, 8, Little);
        let header = PacketHeader::parse(&EXAMPLE, &layout).unwrap();
        let expected = PacketHeader {
            uuid: Some(Uuid(std::array::from_fn(|place| u8::try_from(place).unwrap()))),
            stream_id: 0,
            stream_instance_id: Some(3),
            timestamp_begin: 0x12a_05f2_0000,
            timestamp_end: 0x12a_0a00_0000,
            content_size: 0x91a0,
            packet_size: 0x10000,
            packet_seq_num: Some(11),
            events_discarded: Some(7),
            cpu_id: Some(3),
        };
        assert_eq!(header, expected);
        let mut written = [0; 84];
        header.write(&mut written, &layout).unwrap();
        assert_eq!(written, EXAMPLE);
        assert_eq!(packet_endian(&EXAMPLE), Some(Little));
    }

    #[test]
    fn what_is_no_header() {
        let layout = PacketLayout::of_generation(Generation::V2_1, 4, Big);
        let message = |bytes: &[u8]| PacketHeader::parse(bytes, &layout).unwrap_err().to_string();
        assert_eq!(message(&[0; 63]), "packet header: expected 64 bytes, found 63");
        assert_eq!(message(&EXAMPLE), "packet header: expected magic 0xc1fc1fc1, found 0xc11ffcc1");
    }

    #[test]
    fn open_packets_have_all_ones_of_either_width() {
        for (generation, at, width) in [(Generation::V2_0, 44, 4), (Generation::V2_8, 48, 8)] {
            let layout = PacketLayout::of_generation(generation, 8, Little);
            let mut bytes = EXAMPLE;
            bytes[at..at + width].fill(0xff);
            let header = PacketHeader::parse(&bytes, &layout).unwrap();
            assert!(header.is_open());
            let mut written = bytes;
            header.write(&mut written, &layout).unwrap();
            assert_eq!(written, bytes);
        }
    }

    fn layouts() -> impl Strategy<Value = PacketLayout> {
        use Generation::{V2_0, V2_1, V2_8};
        let generation = prop_oneof![Just(V2_0), Just(V2_1), Just(V2_8)];
        (generation, prop_oneof![Just(4), Just(8)], prop_oneof![Just(Little), Just(Big)])
            .prop_map(|(generation, word, endian)| PacketLayout::of_generation(generation, word, endian))
    }

    proptest! {
        #[test]
        fn read_and_written_again(layout in layouts(), mut bytes: [u8; 90]) {
            let magic = match layout.endian() {
                Little => PACKET_MAGIC.to_le_bytes(),
                Big => PACKET_MAGIC.to_be_bytes(),
            };
            bytes[..4].copy_from_slice(&magic);
            prop_assert_eq!(packet_endian(&bytes), Some(layout.endian()));
            let header = PacketHeader::parse(&bytes, &layout).unwrap();
            let mut written = [0; 90];
            header.write(&mut written, &layout).unwrap();
            prop_assert_eq!(&written[..layout.len()], &bytes[..layout.len()]);
            prop_assert_eq!(&written[layout.len()..], &[0; 90][layout.len()..]);
        }

        #[test]
        fn any_bytes(layout in layouts(), bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(PacketHeader::parse(&bytes, &layout).is_err() || bytes.len() >= layout.len());
        }
    }
}
