//! The events of a packet, one after the other.

use super::event::Starts;
use super::integer::Role;
use super::node::{Kind, Node};
use super::slots::Slots;
use super::walk::{Content, align_up, tag_value};
use super::{Event, Integer, PacketHeader, Result, Stop, StopReason, StreamClass, TraceClass};

/// Iterator over the events of a packet. Ends after the last one, or with the [`Stop`] that says why it cannot go on.
///
/// Cost: some tens of nanoseconds an event; no allocation. Fields are not decoded, only passed over.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    stream: &'a StreamClass,
    content: Content<'a>,
    position: Position,
    /// No event may be later.
    latest: u64,
    slots: Slots,
    ended: bool,
}

/// A place between two events, at which decoding can go on later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Bits from the start of the packet.
    pub offset: u64,
    /// Time of the event before, or begin of the packet, in clock cycles.
    pub time: u64,
}

/// What an event's header says.
#[derive(Clone, Copy, Debug)]
struct EventHeader {
    id: u64,
    time: u64,
}

impl<'a> Decoder<'a> {
    /// Decodes the packet at the start of `packet`.
    ///
    /// The content is as long as the header says, or as the bytes there are, whichever is less; an open packet is decoded up
    /// to the last byte. Give a shorter slice when less of it is valid.
    ///
    /// Errors: no packet of this trace begins there.
    pub fn new(trace: &'a TraceClass, packet: &'a [u8]) -> Result<Decoder<'a>> {
        let (header, stream) = trace.packet(packet)?;
        Ok(Decoder::begin(stream, &header, packet))
    }

    /// Decodes a packet whose header and stream are known already.
    pub fn begin(stream: &'a StreamClass, header: &PacketHeader, packet: &'a [u8]) -> Decoder<'a> {
        let start = stream.layout().len();
        let position = Position { offset: 8 * start as u64, time: header.timestamp_begin };
        Decoder::resume(stream, header, packet, position)
    }

    /// Goes on at a position of an earlier decoder of the same packet. Who owns the bytes, and cannot borrow them meanwhile, does so
    /// for each event.
    #[inline]
    pub fn resume(
        stream: &'a StreamClass,
        header: &PacketHeader,
        packet: &'a [u8],
        position: Position,
    ) -> Decoder<'a> {
        let end = header.content_size.min((packet.len() as u64).saturating_mul(8));
        Decoder {
            stream,
            content: Content { bytes: packet, end },
            position,
            latest: u64::MAX,
            slots: Slots::new(),
            ended: false,
        }
    }

    /// Takes an event later than this time, in clock cycles, for damage.
    ///
    /// Zero bytes in the place of events look like an event whose clock has wrapped; the end of the packet exposes them.
    #[inline]
    #[must_use]
    pub fn not_after(mut self, latest: u64) -> Decoder<'a> {
        self.latest = latest;
        self
    }

    /// The place after the last event.
    #[inline]
    pub fn position(&self) -> Position {
        self.position
    }

    fn decode(&mut self) -> Result<Event<'a>, StopReason> {
        let Decoder { stream, content, position, slots, .. } = self;
        let start = position.offset;
        let mut header = EventHeader { id: 0, time: position.time };
        let mut end = start;
        let begin = |node: &Option<Node>, end| node.as_ref().map_or(end, |node| align_up(end, node.align));
        let short = stream.short_header.as_ref().and_then(|short| short.read(content, start, slots));
        if let Some(short) = short {
            header = EventHeader { id: short.id, time: later(header.time, short.time, short.time_bits) };
            end = short.end;
        } else if let Some(node) = &stream.event_header {
            end = content.header(node, start, slots, &mut header)?;
        }
        let class = stream.event(header.id).ok_or(StopReason::UnknownId(header.id))?;
        let stream_context = begin(&stream.event_context, end);
        if let Some(node) = &stream.event_context {
            end = content.skip(node, stream_context, slots)?;
        }
        let context = begin(&class.context, end);
        if let Some(node) = &class.context {
            end = content.skip(node, context, slots)?;
        }
        let fields = begin(&class.fields, end);
        if let Some(node) = &class.fields {
            end = content.skip(node, fields, slots)?;
        }
        if end == start {
            return Err(StopReason::Empty);
        }
        if header.time > self.latest {
            return Err(StopReason::TimeBeyond(header.time));
        }
        self.position = Position { offset: end, time: header.time };
        let packet_context = stream.packet_context_at;
        let starts = Starts { packet_context, header: start, stream_context, context, fields, end };
        Ok(Event { timestamp: header.time, class, stream, content: *content, starts })
    }

    /// Whether nothing but zeroes follows: pages that never reached the disk.
    fn blank(&self) -> bool {
        let rest = self.content.slice(self.position.offset.next_multiple_of(8), self.content.end);
        rest.is_some_and(|rest| rest.len() > 64 && rest.iter().all(|&byte| byte == 0))
    }
}

impl<'a> Iterator for Decoder<'a> {
    type Item = Result<Event<'a>, Stop>;

    #[inline]
    fn next(&mut self) -> Option<Result<Event<'a>, Stop>> {
        if self.ended || self.position.offset >= self.content.end {
            return None;
        }
        let event = self.decode().map_err(|reason| {
            self.ended = true;
            let reason = if self.blank() { StopReason::Blank } else { reason };
            Stop { offset: self.position.offset.div_ceil(8), reason }
        });
        Some(event)
    }
}

impl Content<'_> {
    /// Reads an event's header: as [`skip`](Content::skip), but collects id and time.
    fn header(
        &self,
        node: &Node,
        at: u64,
        slots: &mut Slots,
        header: &mut EventHeader,
    ) -> Result<u64, StopReason> {
        let at = align_up(at, node.align);
        match &node.kind {
            Kind::Integer(integer) | Kind::Enum(integer, _) => {
                let end = self.after(at, u64::from(integer.size))?;
                let value = integer.read(self.bytes, at).ok_or(StopReason::Truncated)?;
                slots.set(integer.slot, value);
                header.note(integer, value);
                Ok(end)
            }
            Kind::Struct(members) => {
                let mut end = at;
                for member in members {
                    end = self.header(&member.node, end, slots, header)?;
                }
                Ok(end)
            }
            Kind::Variant { tag, signed, choice, options } => {
                let tag = tag_value(slots.get(*tag), *signed);
                let option = choice.find(tag).next().and_then(|index| options.get(index));
                self.header(&option.ok_or(StopReason::NoOption(tag))?.node, at, slots, header)
            }
            _ => self.skip(node, at, slots),
        }
    }
}

impl EventHeader {
    fn note(&mut self, integer: &Integer, value: u64) {
        match integer.role {
            Role::None => {}
            Role::Id => self.id = value,
            Role::Time => self.time = later(self.time, value, integer.size),
        }
    }
}

/// The first time from `now` on whose low `bits` bits are `low`.
fn later(now: u64, low: u64, bits: u8) -> u64 {
    let Some(lap) = 1_u64.checked_shl(u32::from(bits)) else { return low };
    let mask = lap - 1;
    let time = now & !mask | low & mask;
    if low & mask < now & mask { time.wrapping_add(lap) } else { time }
}

#[cfg(test)]
mod tests {
    use super::later;

    #[test]
    fn clock_of_few_bits() {
        assert_eq!(later(0x123_4567_8000, 0x678_abcd, 27), 0x123_4678_abcd);
        assert_eq!(later(0x7ff_ffff, 0, 27), 0x800_0000);
        assert_eq!(later(0x7ff_ffff, 0x7ff_ffff, 27), 0x7ff_ffff);
        assert_eq!(later(5, 3, 64), 3);
        assert_eq!(later(u64::MAX, 0, 27), 0);
    }
}
