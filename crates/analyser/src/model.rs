//! Trace → Channel → Stream → SubBuffer.

use std::borrow::Cow;

use lttformat::ltt::{Header, Markers, Version};
pub use relaywalk::{Cause, Damage, Routes, State};

/// Everything found in one kernel.
#[derive(Debug, Default)]
pub struct Traces {
    /// Traces, in the order of the kernel's list, then those found by other routes.
    pub traces: Vec<Trace>,
    /// What belongs to no stream: broken lists, objects that are not what they should be.
    pub damage: Vec<Damage>,
}

/// One trace session.
#[derive(Debug)]
pub struct Trace {
    pub(crate) raw: relaywalk::ltt::Trace,
    pub(crate) channels: Vec<Channel>,
    pub(crate) header: Option<Header>,
    pub(crate) markers: Option<Markers>,
    pub(crate) knows_marker_table: bool,
}

/// One channel of a trace: a set of streams with the same purpose and buffer geometry.
#[derive(Debug)]
pub struct Channel {
    pub(crate) name: Vec<u8>,
    pub(crate) overwrite: bool,
    pub(crate) sub_buffer_size: u64,
    pub(crate) sub_buffer_count: u64,
    pub(crate) streams: Vec<Stream>,
}

/// One CPU of one channel: one ring buffer, one trace file.
#[derive(Debug)]
pub struct Stream {
    pub(crate) raw: relaywalk::ltt::Stream,
    pub(crate) sub_buffers: Vec<SubBuffer>,
}

/// One sub-buffer of a stream: one record of its trace file.
#[derive(Debug)]
pub struct SubBuffer {
    pub(crate) raw: relaywalk::SubBuffer,
}

impl Traces {
    /// Whether nothing was found because the type information does not know the tracer: as a rule, the kernel has none.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.traces.is_empty() && crate::lttng::is_missing_type(&self.damage)
    }
}

impl Trace {
    /// Name, bytes that are no text shown as replacement characters. Not to be used as a path: it comes from the core.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw.name)
    }

    /// Name as in the core.
    #[must_use]
    pub fn name_bytes(&self) -> &[u8] {
        &self.raw.name
    }

    /// Trace format, from the header of any of its sub-buffers.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.header.as_ref().map(|header| header.version)
    }

    /// The header of one of its sub-buffers: what all of them share is in it. `None` when none can be read.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Whether it was recording when the machine died.
    #[must_use]
    pub fn active(&self) -> bool {
        self.raw.active
    }

    /// Name of the transport, lossy; empty when unknown.
    #[must_use]
    pub fn transport(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw.transport)
    }

    /// Clock parameters as in the kernel's trace structure.
    #[must_use]
    pub fn clock(&self) -> relaywalk::ltt::Clock {
        self.raw.clock
    }

    /// Ways that led to it.
    #[must_use]
    pub fn found_by(&self) -> Routes {
        self.raw.found_by
    }

    /// Channels, in the kernel's order.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// All streams, with their channels.
    pub fn streams(&self) -> impl Iterator<Item = (&Channel, &Stream)> {
        self.channels.iter().flat_map(|channel| channel.streams.iter().map(move |stream| (channel, stream)))
    }

    /// Event formats, from the metadata channel and, where that has gaps, from the kernel's marker table; `None` when no
    /// sub-buffer has a readable header.
    #[must_use]
    pub fn markers(&self) -> Option<&Markers> {
        self.markers.as_ref()
    }

    /// Whether the kernel's own marker table was read to its end: then no event has an id that [`markers`](Trace::markers)
    /// lacks.
    #[must_use]
    pub fn knows_marker_table(&self) -> bool {
        self.knows_marker_table
    }
}

impl Channel {
    /// Name, lossy, without the `flight-` prefix of its files.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// Whether it overwrites its oldest data when full.
    #[must_use]
    pub fn overwrite(&self) -> bool {
        self.overwrite
    }

    /// Bytes of one sub-buffer.
    #[must_use]
    pub fn sub_buffer_size(&self) -> u64 {
        self.sub_buffer_size
    }

    /// Sub-buffers in the ring of one stream.
    #[must_use]
    pub fn sub_buffer_count(&self) -> u64 {
        self.sub_buffer_count
    }

    /// One stream per CPU that has a buffer.
    #[must_use]
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }
}

impl Stream {
    /// CPU number.
    #[must_use]
    pub fn cpu(&self) -> u32 {
        self.raw.cpu
    }

    /// Path below the trace's directory, component by component. Raw bytes from the core, unchecked: sanitise before use.
    #[must_use]
    pub fn path(&self) -> &[Vec<u8>] {
        &self.raw.path
    }

    /// The path as text, lossy, for messages.
    #[must_use]
    pub fn label(&self) -> String {
        let parts: Vec<_> = self.raw.path.iter().map(|part| String::from_utf8_lossy(part)).collect();
        parts.join("/")
    }

    /// Whether its positions and counters are lost, so that its sub-buffers are told by their headers alone. Its positions are then
    /// 0, and its sub-buffers count as unread.
    #[must_use]
    pub fn positions_lost(&self) -> bool {
        self.raw.positions_lost
    }

    /// Free-running position of the next reservation, in bytes.
    #[must_use]
    pub fn write_position(&self) -> u64 {
        self.raw.write_position
    }

    /// Free-running position up to which the daemon had consumed, in bytes.
    #[must_use]
    pub fn consumed_position(&self) -> u64 {
        self.raw.consumed_position
    }

    /// Events that the tracer itself dropped since the buffer was made.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        self.raw.events_lost
    }

    /// Sub-buffers that the tracer itself knew to be corrupt.
    #[must_use]
    pub fn corrupted_sub_buffers(&self) -> u64 {
        self.raw.corrupted_subbuffers
    }

    /// Whether the buffer had been flushed for destruction.
    #[must_use]
    pub fn finalized(&self) -> bool {
        self.raw.finalized
    }

    /// Ways that led to it.
    #[must_use]
    pub fn found_by(&self) -> Routes {
        self.raw.found_by
    }

    /// Sub-buffers in the order of their content.
    #[must_use]
    pub fn sub_buffers(&self) -> &[SubBuffer] {
        &self.sub_buffers
    }

    /// What was lost or looked wrong.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.raw.damage
    }
}

impl SubBuffer {
    /// Free-running position of its first byte.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.raw.position
    }

    /// What the counters say about it.
    #[must_use]
    pub fn state(&self) -> State {
        self.raw.state
    }

    /// Whether the daemon would still have written it.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        matches!(self.raw.state, State::Ready | State::Open | State::Stalled)
    }

    /// Bytes reserved by writers.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.raw.reserved
    }

    /// Bytes committed by writers in this pass.
    #[must_use]
    pub fn committed(&self) -> u64 {
        self.raw.committed
    }

    /// Whether the daemon held it when the machine died.
    #[must_use]
    pub fn reader_held(&self) -> bool {
        self.raw.reader_held
    }
}

impl From<relaywalk::ltt::Stream> for Stream {
    fn from(mut raw: relaywalk::ltt::Stream) -> Stream {
        let sub_buffers =
            std::mem::take(&mut raw.subbuffers).into_iter().map(|raw| SubBuffer { raw }).collect();
        Stream { raw, sub_buffers }
    }
}

impl From<relaywalk::ltt::Channel> for Channel {
    fn from(raw: relaywalk::ltt::Channel) -> Channel {
        Channel {
            name: raw.name,
            overwrite: raw.overwrite,
            sub_buffer_size: raw.subbuffer_size,
            sub_buffer_count: raw.n_subbuffers,
            streams: raw.streams.into_iter().map(Stream::from).collect(),
        }
    }
}
