//! The form of an event's header that nearly all events have, read at once.
//!
//! LTTng's headers are an id, and a variant by that: low bits of the clock alone for low ids, id and clock whole for the
//! others. To walk the types of the first form again for each event took half of the time of counting events.

use super::Integer;
use super::integer::Role;
use super::node::{Kind, Member, Node};
use super::slots::Slots;
use super::walk::{Content, align_up};

/// An id and low bits of the clock, always at the same places.
#[derive(Clone, Copy, Debug)]
pub(super) struct ShortHeader {
    /// Alignment of the header in bits.
    align: u64,
    id: Integer,
    /// The greatest id with this form.
    last_id: u64,
    /// Bits from the header's start to the time.
    time_at: u64,
    time: Integer,
}

/// What a short header says.
pub(super) struct Short {
    pub(super) id: u64,
    /// The low bits of the clock, and how many they are.
    pub(super) time: u64,
    pub(super) time_bits: u8,
    /// The bit after it.
    pub(super) end: u64,
}

impl ShortHeader {
    /// `None` if events have no header of that kind, or one that later fields need more of than the id.
    pub(super) fn of(header: &Node) -> Option<ShortHeader> {
        let Kind::Struct(members) = &header.kind else { return None };
        let [first, second] = &**members else { return None };
        let (Kind::Integer(id) | Kind::Enum(id, _)) = &first.node.kind else { return None };
        let Kind::Variant { tag, signed: false, choice, options } = &second.node.kind else { return None };
        let (last_id, option) = choice.starting_at_zero()?;
        let option = &options.get(option)?.node;
        let Kind::Struct(fields) = &option.kind else { return None };
        let [Member { node: Node { kind: Kind::Integer(time), .. }, at: Some(at), .. }] = &**fields else {
            return None;
        };
        let roles = [id.role, time.role] == [Role::Id, Role::Time];
        // Places are the same from event to event only if the header begins on the boundaries of all that is in it.
        let aligned = second.node.align.max(option.align) <= header.align && first.at == Some(0);
        let fits = roles && aligned && !id.signed && id.slot == Some(*tag) && time.slot.is_none();
        let option_at = align_up(align_up(u64::from(id.size), second.node.align), option.align);
        let header =
            ShortHeader { align: header.align, id: *id, last_id, time_at: option_at + at, time: *time };
        fits.then_some(header)
    }

    /// The header at `at` or at the next multiple of its alignment; `None` if it has another form or is cut.
    #[inline]
    pub(super) fn read(&self, content: &Content<'_>, at: u64, slots: &mut Slots) -> Option<Short> {
        let at = align_up(at, self.align);
        let id = self.id.read(content.bytes, at).filter(|&id| id <= self.last_id)?;
        let time_at = at + self.time_at;
        let end = content.after(time_at, u64::from(self.time.size)).ok()?;
        let time = self.time.read(content.bytes, time_at)?;
        slots.set(self.id.slot, id);
        Some(Short { id, time, time_bits: self.time.size, end })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::ctf::{Decoder, TraceClass};

    /// As LTTng declares them: for up to 30 events, and for more.
    const COMPACT: &str = "enum : integer { size = 5; align = 1; } { compact = 0 ... 30, extended = 31 } id;
        variant <id> {
            struct { integer { size = 27; align = 1; map = clock.c.value; } timestamp; } compact;
            struct { uint32_t id; uint64_t timestamp; } extended;
        } v;";
    const LARGE: &str = "enum : uint16_t { compact = 0 ... 65534, extended = 65535 } id;
        variant <id> {
            struct { integer { size = 32; align = 8; map = clock.c.value; } timestamp; } compact;
            struct { uint32_t id; uint64_t timestamp; } extended;
        } v;";

    fn trace(header: &str, order: &str) -> TraceClass {
        let text = format!(
            "typealias integer {{ size = 16; align = 8; }} := uint16_t;
            typealias integer {{ size = 32; align = 8; }} := uint32_t;
            typealias integer {{ size = 64; align = 8; map = clock.c.value; }} := uint64_t;
            trace {{ major = 1; minor = 8; byte_order = {order}; packet.header := struct {{ uint32_t magic; }}; }};
            clock {{ name = c; }};
            stream {{ id = 0; event.header := struct {{ {header} }} align(8); }};
            event {{ name = a; id = 1; stream_id = 0; fields := struct {{ uint16_t x; string s; }}; }};
            event {{ name = b; id = 2; stream_id = 0; fields := struct {{ }}; }};
            event {{ name = c; id = 0; stream_id = 0; fields := struct {{ uint32_t y; }}; }};"
        );
        TraceClass::parse(text.as_bytes()).unwrap()
    }

    proptest! {
        #[test]
        fn reads_what_the_types_say(
            bytes in prop::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..200),
            large: bool,
            big: bool,
        ) {
            let trace = trace(if large { LARGE } else { COMPACT }, if big { "be" } else { "le" });
            let magic = 0xc1fc_1fc1_u32;
            let mut packet = if big { magic.to_be_bytes() } else { magic.to_le_bytes() }.to_vec();
            packet.extend(bytes);
            let (header, stream) = trace.packet(&packet).unwrap();
            prop_assert!(stream.short_header.is_some());
            let mut walking = stream.clone();
            walking.short_header = None;
            let events = |stream| {
                let mut decoder = Decoder::begin(stream, &header, &packet);
                let events: Vec<_> = decoder
                    .by_ref()
                    .map(|event| event.map(|event| (event.timestamp, event.class().id(), event.start(), event.end())))
                    .collect();
                (events, decoder.position())
            };
            prop_assert_eq!(events(stream), events(&walking));
        }
    }
}
