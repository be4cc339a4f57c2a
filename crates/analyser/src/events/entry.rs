//! What a merge delivers.

use super::Event;
use super::clock::Clock;

/// One entry of the merged list: an event, or something that is in place of events. Borrows everything.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Name of the trace or session, lossy.
    pub trace: &'a str,
    /// Channel as its files are named, without `flight-` and CPU number, lossy: `kernel`, `control/processes`.
    pub channel: &'a str,
    /// CPU number; `None` for a stream of all CPUs.
    pub cpu: Option<u32>,
    /// The traced machine's name, if the trace has it: LTTng 2.x.
    pub host: Option<&'a str>,
    /// Time in clock cycles. Of what is no event: that of what is before it in the stream, or the end of its packet.
    pub tsc: u64,
    /// What it is.
    pub what: What<'a>,
    pub(super) clock: &'a Clock,
}

/// What is at a place in the list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What<'a> {
    /// An event.
    Event(Event<'a>),
    /// An event of a kind that was never announced; its size is recorded, so that those after it can be decoded. LTT only.
    Unknown {
        /// Id within its channel or trace.
        id: u64,
        /// Bytes of its payload.
        bytes: u64,
    },
    /// What cannot be decoded: the rest of a sub-buffer, or all of a stream.
    Undecoded {
        /// Bytes of events passed over.
        bytes: u64,
        /// Why, on one line, with the place.
        reason: &'a str,
    },
    /// Bytes of the file or buffer that belong to no whole record, or could not be read.
    Damaged {
        /// How many; 0 when not known.
        bytes: u64,
        /// What is wrong, on one line, with the place.
        reason: &'a str,
    },
    /// Events that the tracer dropped while it ran: the buffer was full, or the event too big. LTTng 2.x only; it counts them
    /// once a packet, so that all that is known of their times is between which packets' ends they are.
    Discarded {
        /// How many.
        events: u64,
        /// End of the packet before, in clock cycles.
        from: u64,
        /// End of the packet that this follows, in clock cycles. The same if they were dropped after that packet, which is the
        /// last one.
        to: u64,
    },
    /// Whole packets that are not in the stream, by the numbers of those around: overwritten before they were read, or part of what is
    /// damaged. LTTng from 2.8 on.
    Missing {
        /// How many.
        packets: u64,
        /// Number of the first of them.
        first: u64,
    },
}

impl Entry<'_> {
    /// Nanoseconds since the clock's zero, about the time since boot: what the viewer of LTT prints. `None` if the trace
    /// declares no frequency.
    #[must_use]
    pub fn ns(&self) -> Option<u64> {
        self.clock.ns(self.tsc)
    }

    /// Nanoseconds since 1970; `None` if the trace's start is not known.
    #[must_use]
    pub fn wall_ns(&self) -> Option<i128> {
        self.wall_ns_of(self.tsc)
    }

    /// Nanoseconds since 1970 of another time of the same trace in clock cycles; `None` if the trace's start is not known.
    #[must_use]
    pub fn wall_ns_of(&self, tsc: u64) -> Option<i128> {
        self.clock.wall_ns(tsc)
    }

    /// Whether it is an event, of a known kind or not.
    #[must_use]
    pub fn is_event(&self) -> bool {
        matches!(self.what, What::Event(_) | What::Unknown { .. })
    }

    /// Whether it stands for something that was recorded, and cannot be shown.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        matches!(self.what, What::Undecoded { .. } | What::Damaged { .. })
    }
}
