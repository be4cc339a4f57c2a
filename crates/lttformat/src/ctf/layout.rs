//! Where the header and context of a packet have their fields.

use super::node::{Kind, Member, Node};
use super::{Error, Result};
use crate::ltt::Endian;

/// What the packets of lttng-modules looked like, by release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Generation {
    /// 2.0: sizes of 32 bits.
    V2_0,
    /// 2.1 to 2.7.
    V2_1,
    /// 2.8 and later: packets are numbered.
    V2_8,
}

/// Longest header and context in bytes that is believed.
const MAX_LEN: usize = 4096;

/// Place of an integer: whole bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: usize,
    /// 1, 2, 4 or 8 bytes.
    pub(super) width: usize,
}

/// Where a packet has its fields: the packet header and, right after it, the packet context.
///
/// From the metadata text ([`StreamClass::layout`](super::StreamClass::layout)), or from the tracer's generation when only the
/// kernel's memory is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketLayout {
    pub(super) endian: Endian,
    pub(super) len: usize,
    pub(super) magic: Option<Place>,
    /// Offset of the uuid's 16 bytes.
    pub(super) uuid: Option<usize>,
    pub(super) stream_id: Option<Place>,
    pub(super) stream_instance_id: Option<Place>,
    pub(super) timestamp_begin: Option<Place>,
    pub(super) timestamp_end: Option<Place>,
    pub(super) content_size: Option<Place>,
    pub(super) packet_size: Option<Place>,
    pub(super) packet_seq_num: Option<Place>,
    pub(super) events_discarded: Option<Place>,
    pub(super) cpu_id: Option<Place>,
}

impl PacketLayout {
    /// The layout of a kernel's packets. `word_size` is that of its pointers in bytes: 4 or 8.
    pub fn of_generation(generation: Generation, word_size: u8, endian: Endian) -> PacketLayout {
        let word = if word_size == 4 { 4 } else { 8 };
        let mut layout = PacketLayout::empty(endian);
        let mut next = |width| {
            let place = Place { offset: layout.len, width };
            layout.len += width;
            Some(place)
        };
        layout.magic = next(4);
        layout.uuid = next(16).map(|place| place.offset);
        layout.stream_id = next(4);
        if generation == Generation::V2_8 {
            layout.stream_instance_id = next(8);
        }
        layout.timestamp_begin = next(8);
        layout.timestamp_end = next(8);
        if generation == Generation::V2_0 {
            layout.events_discarded = next(4);
            layout.content_size = next(4);
            layout.packet_size = next(4);
        } else {
            layout.content_size = next(8);
            layout.packet_size = next(8);
            if generation == Generation::V2_8 {
                layout.packet_seq_num = next(8);
            }
            layout.events_discarded = next(word);
        }
        layout.cpu_id = next(4);
        layout
    }

    fn empty(endian: Endian) -> PacketLayout {
        PacketLayout {
            endian,
            len: 0,
            magic: None,
            uuid: None,
            stream_id: None,
            stream_instance_id: None,
            timestamp_begin: None,
            timestamp_end: None,
            content_size: None,
            packet_size: None,
            packet_seq_num: None,
            events_discarded: None,
            cpu_id: None,
        }
    }

    /// The layout that a metadata text declares for the packets of one stream. `place` names the stream in messages.
    pub(super) fn of_nodes(
        header: Option<&Node>,
        context: Option<&Node>,
        endian: Endian,
        place: &str,
    ) -> Result<PacketLayout> {
        let mut layout = PacketLayout::empty(endian);
        let mut bits = 0_u64;
        for node in [header, context].into_iter().flatten() {
            let error = |expected, found: &str| Error::Class {
                what: "packet header and context",
                place: place.into(),
                expected,
                found: found.into(),
            };
            let (Some(size), Kind::Struct(members)) = (node.size, &node.kind) else {
                return Err(error("a structure of fixed size", "another type"));
            };
            let start = bits.next_multiple_of(node.align);
            for member in members {
                layout.assign(member, start).ok_or_else(|| {
                    error("integers of whole bytes in the byte order of the trace", &member.name)
                })?;
            }
            // Sizes of types are bounded.
            bits = start.saturating_add(size);
        }
        layout.len = usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX);
        if layout.len > MAX_LEN {
            return Err(Error::Class {
                what: "packet header and context",
                place: place.into(),
                expected: "4096 bytes at most",
                found: layout.len.to_string(),
            });
        }
        Ok(layout)
    }

    /// `None` if a field that matters is no integer that can be read and written as whole bytes.
    fn assign(&mut self, member: &Member, start: u64) -> Option<()> {
        let bit = start.checked_add(member.at?)?;
        let offset = usize::try_from(bit / 8).ok()?;
        if *member.name == *"uuid" {
            let bytes = matches!(member.node.kind, Kind::Array(..)) && member.node.size == Some(128);
            self.uuid = Some((bytes && bit % 8 == 0).then_some(offset)?);
            return Some(());
        }
        let field = match &*member.name {
            "magic" => &mut self.magic,
            "stream_id" => &mut self.stream_id,
            "stream_instance_id" => &mut self.stream_instance_id,
            "timestamp_begin" => &mut self.timestamp_begin,
            "timestamp_end" => &mut self.timestamp_end,
            "content_size" => &mut self.content_size,
            "packet_size" => &mut self.packet_size,
            "packet_seq_num" => &mut self.packet_seq_num,
            "events_discarded" => &mut self.events_discarded,
            "cpu_id" => &mut self.cpu_id,
            _ => return Some(()),
        };
        let Kind::Integer(integer) = &member.node.kind else { return None };
        let whole = bit % 8 == 0 && matches!(integer.size, 8 | 16 | 32 | 64) && integer.endian == self.endian;
        *field = Some(whole.then_some(Place { offset, width: usize::from(integer.size / 8) })?);
        Some(())
    }

    /// Byte order of the trace.
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// Bytes of header and context; the first event comes after them.
    #[expect(clippy::len_without_is_empty, reason = "no packet is without a header")]
    pub fn len(&self) -> usize {
        self.len
    }
}

/// Names of the fields of a packet's context that serve to read it; the others are shown with each event.
pub(super) fn serves_reading(name: &str) -> bool {
    matches!(
        name,
        "timestamp_begin"
            | "timestamp_end"
            | "content_size"
            | "packet_size"
            | "packet_seq_num"
            | "events_discarded"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations() {
        let offsets = |generation, word| {
            let layout = PacketLayout::of_generation(generation, word, Endian::Little);
            let offset = |place: Option<Place>| place.map_or(0, |place| place.offset);
            let places = [
                layout.stream_instance_id,
                layout.timestamp_begin,
                layout.timestamp_end,
                layout.content_size,
                layout.packet_size,
                layout.packet_seq_num,
                layout.events_discarded,
                layout.cpu_id,
            ];
            assert_eq!((offset(layout.magic), layout.uuid, offset(layout.stream_id)), (0, Some(4), 20));
            (places.map(offset), layout.len())
        };
        assert_eq!(offsets(Generation::V2_0, 8), ([0, 24, 32, 44, 48, 0, 40, 52], 56));
        assert_eq!(offsets(Generation::V2_1, 8), ([0, 24, 32, 40, 48, 0, 56, 64], 68));
        assert_eq!(offsets(Generation::V2_1, 4), ([0, 24, 32, 40, 48, 0, 56, 60], 64));
        assert_eq!(offsets(Generation::V2_8, 8), ([24, 32, 40, 48, 56, 64, 72, 80], 84));
        assert_eq!(offsets(Generation::V2_8, 4), ([24, 32, 40, 48, 56, 64, 72, 76], 80));
    }
}
