//! Session → Channel → Stream → Packet.

use std::borrow::Cow;

use lttformat::ctf::{IndexVersion, PacketLayout, TraceClass, Uuid};
use relaywalk::lttng::{Header, HeaderType, Layouts};
use relaywalk::{Cause, Damage, Routes, State};

use super::metadata::SessionMetadata;

/// Everything of LTTng 2.x found in one kernel.
#[derive(Debug, Default)]
pub struct Sessions {
    /// Sessions, in the order of the kernel's list (newest first), then those found by other routes.
    pub sessions: Vec<Session>,
    /// What belongs to no stream: broken lists, objects that are not what they should be.
    pub damage: Vec<Damage>,
    /// Where the layouts of the tracer's structures came from.
    pub layouts: Layouts,
}

/// One recording session: one CTF trace.
#[derive(Debug)]
pub struct Session {
    pub(super) raw: relaywalk::lttng::Session,
    pub(super) name: Vec<u8>,
    pub(super) folder: Vec<u8>,
    pub(super) channels: Vec<Channel>,
    pub(super) metadata: Option<SessionMetadata>,
    pub(super) class: Option<TraceClass>,
}

/// One channel of a session: a set of streams with the same purpose and buffer geometry.
#[derive(Debug)]
pub struct Channel {
    pub(super) raw: relaywalk::lttng::Channel,
    pub(super) name: Vec<u8>,
    pub(super) layout: Option<PacketLayout>,
    pub(super) declared: bool,
    pub(super) streams: Vec<Stream>,
}

/// One CPU of one channel: one ring buffer, one trace file.
#[derive(Debug)]
pub struct Stream {
    pub(super) raw: relaywalk::lttng::Stream,
    pub(super) file_name: Vec<u8>,
    pub(super) packets: Vec<Packet>,
}

/// One sub-buffer of a stream: one packet of its trace file.
#[derive(Debug)]
pub struct Packet {
    pub(super) raw: relaywalk::lttng::Packet,
}

/// Whether the only thing to tell is what the type information lacks.
pub(crate) fn is_missing_type(damage: &[Damage]) -> bool {
    matches!(damage, [Damage { cause: Cause::MissingType { .. }, .. }])
}

impl Session {
    /// Name that the user or the daemon gave it, bytes that are no text shown as replacement characters; `lttng-session-<n>` when
    /// nothing tells it. Not to be used as a path: it comes from the core.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// Name as in the core.
    #[must_use]
    pub fn name_bytes(&self) -> &[u8] {
        &self.name
    }

    /// Folder of the trace as LTTng names it, `<session>-<YYYYmmdd-HHMMSS>`: the time is that of the session's creation in the
    /// zone of the traced machine where the kernel or the metadata tell it (2.11 and later), else the folder that the daemon had
    /// open, else in UTC from the trace's clock. Raw bytes from the core, unchecked: sanitise before use.
    #[must_use]
    pub fn folder_bytes(&self) -> &[u8] {
        &self.folder
    }

    /// The folder as text, lossy, for messages.
    #[must_use]
    pub fn folder(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.folder)
    }

    /// Creation time as the tracer writes it: `20200131T142501-0500` (2.11 and later).
    #[must_use]
    pub fn creation_time(&self) -> Option<Cow<'_, str>> {
        if !self.raw.creation_time.is_empty() {
            return Some(String::from_utf8_lossy(&self.raw.creation_time));
        }
        self.class.as_ref()?.env_text("trace_creation_datetime").map(Cow::Borrowed)
    }

    /// Identity of the trace: the same in every packet and in the metadata.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        self.raw.uuid.map(Uuid).or_else(|| self.class.as_ref()?.uuid())
    }

    /// Whether it was recording when the machine died.
    #[must_use]
    pub fn active(&self) -> bool {
        self.raw.active
    }

    /// Whether it ever recorded, as far as known.
    #[must_use]
    pub fn been_active(&self) -> Option<bool> {
        self.raw.been_active
    }

    /// Directory that the daemon writes its files to, component by component from the root of its file system; known from the
    /// daemon's open files. Raw bytes from the core, unchecked.
    #[must_use]
    pub fn daemon_directory(&self) -> Option<&[Vec<u8>]> {
        self.raw.directory.as_deref()
    }

    /// Ways that led to it.
    #[must_use]
    pub fn found_by(&self) -> Routes {
        self.raw.found_by
    }

    /// The metadata text; `None` when the kernel keeps none or it cannot be read.
    #[must_use]
    pub fn metadata(&self) -> Option<&SessionMetadata> {
        self.metadata.as_ref()
    }

    /// What the metadata say of packets and events; `None` for CTF 2 and for text that cannot be understood.
    #[must_use]
    pub fn class(&self) -> Option<&TraceClass> {
        self.class.as_ref()
    }

    /// Channels of events, in the kernel's order (newest first).
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// All streams, with their channels.
    pub fn streams(&self) -> impl Iterator<Item = (&Channel, &Stream)> {
        self.channels.iter().flat_map(|channel| channel.streams.iter().map(move |stream| (channel, stream)))
    }

    /// Form of the index files that the daemon of this release writes beside its data files; `None`: it writes none (before 2.4).
    ///
    /// Packets tell whether they are numbered, which is what the newer form is for; the older needs the release, from the metadata.
    #[must_use]
    pub fn index_version(&self) -> Option<IndexVersion> {
        let numbered = |packet: &Packet| packet.raw.sequence.is_some();
        if self.streams().any(|(_, stream)| stream.packets.iter().any(numbered)) {
            return Some(IndexVersion::V1_1);
        }
        let env = self.class.as_ref()?.env();
        let number = |wanted: &str| {
            env.iter().find_map(|(name, value)| match value {
                lttformat::ctf::EnvValue::Number(number) if name == wanted => Some(*number),
                _ => None,
            })
        };
        match (number("tracer_major")?, number("tracer_minor")?) {
            (2, ..=3) => None,
            (2, 4..=7) => Some(IndexVersion::V1_0),
            _ => Some(IndexVersion::V1_1),
        }
    }
}

impl Channel {
    /// Its number, `stream_id` in its packets.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.raw.id
    }

    /// The user's name of it, lossy, where the daemon's open files tell it; else `chan<id>`.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// The name as raw bytes.
    #[must_use]
    pub fn name_bytes(&self) -> &[u8] {
        &self.name
    }

    /// Whether the name is the user's.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.raw.name.is_some()
    }

    /// Name of the transport (`relay-discard`), lossy; empty when unknown.
    #[must_use]
    pub fn transport(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.raw.transport)
    }

    /// Whether it overwrites its oldest data when full.
    #[must_use]
    pub fn overwrite(&self) -> bool {
        self.raw.overwrite
    }

    /// Whether readers map the buffer (`Some(true)`), so that what they read stays in it, or move its pages away.
    #[must_use]
    pub fn mapped_output(&self) -> Option<bool> {
        self.raw.mapped_output
    }

    /// Kind of its event headers, as far as known.
    #[must_use]
    pub fn header_type(&self) -> Option<HeaderType> {
        self.raw.header_type
    }

    /// Bytes of one sub-buffer.
    #[must_use]
    pub fn sub_buffer_size(&self) -> u64 {
        self.raw.subbuffer_size
    }

    /// Sub-buffers in the ring of one stream.
    #[must_use]
    pub fn sub_buffer_count(&self) -> u64 {
        self.raw.n_subbuffers
    }

    /// One stream per CPU that has a buffer.
    #[must_use]
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// Where its packets have their fields: as the metadata declare it, else as the tracer's release lays them out. `None` when no
    /// packet of it can be told apart from other bytes.
    #[must_use]
    pub fn layout(&self) -> Option<&PacketLayout> {
        self.layout.as_ref()
    }

    /// Whether the metadata declare it. A channel that never recorded is not, nor one whose declaration was lost; no viewer opens
    /// a trace that holds packets of it. Metadata that cannot be read say nothing against it.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.declared
    }
}

impl Stream {
    /// CPU number; `None` for a buffer that all CPUs share.
    #[must_use]
    pub fn cpu(&self) -> Option<u32> {
        self.raw.cpu
    }

    /// Name of its file, `<channel>_<cpu>`, lossy; `<channel>_0` for a buffer that all CPUs share.
    #[must_use]
    pub fn file_name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.file_name)
    }

    /// The file's name as raw bytes from the core, unchecked: sanitise before use.
    #[must_use]
    pub fn file_name_bytes(&self) -> &[u8] {
        &self.file_name
    }

    /// The file that the daemon writes it to, component by component, and the bytes it has handed over so far; known from its open
    /// files.
    #[must_use]
    pub fn daemon_file(&self) -> Option<(&[Vec<u8>], Option<u64>)> {
        self.raw.output.as_ref().map(|output| (output.path.as_slice(), output.size))
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

    /// Events that the tracer dropped because the buffer was full, since the buffer was made.
    #[must_use]
    pub fn lost_full(&self) -> u64 {
        self.raw.lost_full
    }

    /// Events dropped because writers nested too deep or lapped themselves.
    #[must_use]
    pub fn lost_wrap(&self) -> u64 {
        self.raw.lost_wrap
    }

    /// Events dropped because they are larger than a sub-buffer.
    #[must_use]
    pub fn lost_big(&self) -> u64 {
        self.raw.lost_big
    }

    /// Events that the tracer dropped, for any reason: what the next packet would have said.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        self.raw.events_lost()
    }

    /// Readers that had the stream open.
    #[must_use]
    pub fn active_readers(&self) -> u64 {
        self.raw.active_readers
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

    /// Packets in the order of their positions.
    #[must_use]
    pub fn packets(&self) -> &[Packet] {
        &self.packets
    }

    /// What was lost or looked wrong.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.raw.damage
    }
}

impl Packet {
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

    /// Whether the tracer completed its header.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.raw.closed
    }

    /// Bytes reserved by writers.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.raw.reserved
    }

    /// Bytes from its start that the counters vouch for: header and whole events.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.raw.used
    }

    /// Number of the packet in its stream, from 0 (2.8 and later).
    #[must_use]
    pub fn sequence(&self) -> Option<u64> {
        self.raw.sequence
    }

    /// Whether the daemon held it when the machine died.
    #[must_use]
    pub fn reader_held(&self) -> bool {
        self.raw.reader_held
    }

    /// Whether its memory starts as a packet of its stream does: identity, channel, and since 2.8 CPU and number.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.raw.header == Header::Intact
    }
}
