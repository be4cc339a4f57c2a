//! One decoded event.

use super::node::Node;
use super::slots::Slots;
use super::value::Fields;
use super::walk::{Content, align_up};
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
        let node = self.stream.packet_context.as_ref()?;
        let header = self.stream.packet_header.as_ref().and_then(|header| header.size).unwrap_or(0);
        Fields::of(node, self.content, align_up(header, node.align), Slots::new())
    }

    /// The context that is recorded with every event of the channel: `pid`, `procname` and the like. `None` if the channel has
    /// none.
    pub fn stream_context(&self) -> Option<Fields<'a>> {
        self.part(self.stream.event_context.as_ref(), self.starts.stream_context)
    }

    /// The context that is recorded with this kind of event only. `None` if it has none.
    pub fn context(&self) -> Option<Fields<'a>> {
        self.part(self.class.context.as_ref(), self.starts.context)
    }

    /// Its own fields with their values, in the order of the metadata. `None` if the metadata declares no structure for them.
    ///
    /// Cost: no allocation; strings are searched for their NUL again.
    pub fn fields(&self) -> Option<Fields<'a>> {
        self.part(self.class.fields.as_ref(), self.starts.fields)
    }

    fn part(&self, node: Option<&'a Node>, at: u64) -> Option<Fields<'a>> {
        let node = node?;
        Fields::of(node, self.content, at, self.slots_before(at))
    }

    /// The lengths and tags from the parts that begin before `at`, if any part of such an event needs some.
    fn slots_before(&self, at: u64) -> Slots {
        let mut slots = Slots::new();
        if !self.stream.reaches_out && !self.class.reaches_out {
            return slots;
        }
        let parts = [
            (&self.stream.event_header, self.starts.header),
            (&self.stream.event_context, self.starts.stream_context),
            (&self.class.context, self.starts.context),
        ];
        for (node, start) in parts {
            let Some(node) = node.as_ref().filter(|_| start < at) else { continue };
            // Was passed over without trouble when the event was delimited.
            if self.content.skip(node, start, &mut slots).is_err() {
                break;
            }
        }
        slots
    }
}
