//! One decoded event.

use super::node::Node;
use super::slots::Slots;
use super::value::Fields;
use super::walk::Content;
use super::{EventClass, StreamClass};

/// One event. Borrows the packet and the classes; its fields are decoded when asked for.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Its full time in clock cycles: [`Clock::ns`](super::Clock::ns) makes it a date.
    pub timestamp: u64,
    pub(super) class: &'a EventClass,
    pub(super) stream: &'a StreamClass,
    pub(super) content: Content<'a>,
    pub(super) starts: Starts,
}

/// Where the parts of an event begin, in bits from the start of the packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starts {
    pub(super) packet_context: u64,
    pub(super) header: u64,
    pub(super) stream_context: u64,
    pub(super) context: u64,
    pub(super) fields: u64,
    pub(super) end: u64,
}

impl<'a> Event<'a> {
    /// Its description in the metadata.
    pub fn class(&self) -> &'a EventClass {
        self.class
    }

    /// The stream that it was recorded in.
    pub fn stream(&self) -> &'a StreamClass {
        self.stream
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.class.name()
    }

    /// First bit of its header's padding, counted from the start of the packet.
    pub fn start(&self) -> u64 {
        self.starts.header
    }

    /// The bit after it, counted from the start of the packet.
    pub fn end(&self) -> u64 {
        self.starts.end
    }

    /// The fields of the packet's context that are not about the packet itself: `cpu_id`. `None` if packets have no context.
    pub fn packet_context(&self) -> Option<Fields<'a>> {
        self.part(0)
    }

    /// The context that is recorded with every event of the channel: `pid`, `procname` and the like. `None` if the channel has
    /// none.
    pub fn stream_context(&self) -> Option<Fields<'a>> {
        self.part(1)
    }

    /// The context that is recorded with this kind of event only. `None` if it has none.
    pub fn context(&self) -> Option<Fields<'a>> {
        self.part(2)
    }

    /// Its own fields with their values, in the order of the metadata. `None` if the metadata declares no structure for them.
    ///
    /// Cost: no allocation; strings are searched for their NUL again.
    pub fn fields(&self) -> Option<Fields<'a>> {
        self.part(3)
    }

    /// The four parts with the places where they begin.
    #[inline]
    fn all_parts(&self) -> [Option<(&'a Node, u64)>; 4] {
        let EventClass { context, fields, .. } = self.class;
        let StreamClass { packet_context, event_context, .. } = self.stream;
        let Starts {
            packet_context: packet_start, stream_context, context: start, fields: fields_start, ..
        } = self.starts;
        [
            packet_context.as_ref().map(|node| (node, packet_start)),
            event_context.as_ref().map(|node| (node, stream_context)),
            context.as_ref().map(|node| (node, start)),
            fields.as_ref().map(|node| (node, fields_start)),
        ]
    }

    /// The parts that there are, in order.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&'a Node, u64)> {
        self.all_parts().into_iter().flatten()
    }

    fn part(&self, number: usize) -> Option<Fields<'a>> {
        let parts = self.all_parts();
        let (node, at) = (*parts.get(number)?)?;
        let mut slots = self.slots();
        if self.class.reaches_out {
            for (node, at) in parts.into_iter().take(number).flatten() {
                // Was passed over without trouble when the event was delimited.
                self.content.skip(node, at, &mut slots).ok()?;
            }
        }
        Fields::of(node, self.content, at, slots)
    }

    /// The lengths and tags from the event's header, if later parts may need them.
    #[inline]
    pub(super) fn slots(&self) -> Slots {
        let mut slots = Slots::new();
        let header = self.stream.event_header.as_ref();
        if let Some(header) = header.filter(|_| self.stream.reaches_out || self.class.reaches_out) {
            // Was passed over without trouble, too.
            let _ = self.content.skip(header, self.starts.header, &mut slots);
        }
        slots
    }
}
