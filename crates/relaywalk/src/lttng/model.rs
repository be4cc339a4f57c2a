//! What a walk over LTTng 2.x buffers finds.

use crate::{Damage, Hole, PageList, Routes, State, VirtAddr};

/// Everything one walk found.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Sessions, in the order of the kernel's list (newest first), then those found by other routes.
    pub sessions: Vec<Session>,
    /// Where the layouts of the tracer's structures came from.
    pub layouts: Layouts,
    /// What belongs to no stream: broken lists, objects that are not what they should be.
    pub damage: Vec<Damage>,
}

/// Where layouts came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layouts {
    /// Debug information.
    #[default]
    DebugInformation,
    /// Known offsets of these releases, every invariant checked. Members that lie behind configuration-dependent ones are not known:
    /// session names, who reads, modes of output.
    Fixed(&'static str),
}

/// One recording session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Address of the kernel's session structure (the private half since 2.13); null when only buffers are left of it.
    pub address: VirtAddr,
    /// Name, raw bytes; empty before 2.11 and when unknown. The metadata text has it too (`trace_name`).
    pub name: Vec<u8>,
    /// Creation time as text (`20200131T142501-0500`), raw bytes; empty as `name` is.
    pub creation_time: Vec<u8>,
    /// Identity of the trace, repeated in every packet.
    pub uuid: Option<[u8; 16]>,
    /// Whether it was recording (not stopped).
    pub active: bool,
    /// Whether it ever recorded.
    pub been_active: Option<bool>,
    /// Format of metadata: 1 = CTF 1.8 (also when the tracer knows no other), 2 = CTF 2.
    pub output_format: u64,
    /// The metadata text that the kernel keeps, since 2.3; before, metadata are packets of a [`ChannelKind::Metadata`] channel.
    pub metadata: Option<Metadata>,
    /// Directory that the daemon writes its files to, component by component from the root of its file system, raw and
    /// unchecked; known from the daemon's open files.
    pub directory: Option<Vec<Vec<u8>>>,
    /// Ways that led to it or to one of its buffers.
    pub found_by: Routes,
    /// Channels, in the kernel's order (newest first).
    pub channels: Vec<Channel>,
}

/// Metadata of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Address of the cache.
    pub address: VirtAddr,
    /// The whole text: TSDL without its first line (`/* CTF 1.8 */`) and without packet headers, or JSON fragments.
    pub text: Vec<u8>,
    /// Parts of the text that could not be read; they are zero.
    pub holes: Vec<Hole>,
    /// How often the text was started afresh (`lttng regenerate metadata`); 2.8 and later.
    pub version: Option<u64>,
    /// Whether a statement was being added: the text may end within it. See [`Metadata::complete_len`].
    pub producing: bool,
}

/// One channel of a session.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Address of the tracer's channel structure; null when only the ring is left of it.
    pub address: VirtAddr,
    /// Address of the ring buffer's channel structure.
    pub ring: VirtAddr,
    /// Number of the channel, `stream_id` in its packets.
    pub id: Option<u32>,
    /// What it carries.
    pub kind: ChannelKind,
    /// Name that the user gave it, raw bytes: known only from the daemon's open files.
    pub name: Option<Vec<u8>>,
    /// Name of the transport (`relay-discard`), raw bytes; empty when unknown.
    pub transport: Vec<u8>,
    /// Whether it overwrites its oldest data when full (flight recorder).
    pub overwrite: bool,
    /// Whether readers map the buffer (`Some(true)`), or move its pages away (`Some(false)`), so that what they read is gone.
    pub mapped_output: Option<bool>,
    /// Kind of its event headers.
    pub header_type: Option<HeaderType>,
    /// Bytes of the packet header with its context, in memory and on disk. `None` before 2.8 without debug information: the
    /// metadata text declares it.
    pub packet_header_size: Option<u64>,
    /// Bytes of one sub-buffer; a power of two.
    pub subbuffer_size: u64,
    /// Sub-buffers of one stream; a power of two.
    pub n_subbuffers: u64,
    /// Trace clock when the channel was made.
    pub start_timestamp: Option<u64>,
    /// One stream per CPU that has a buffer.
    pub streams: Vec<Stream>,
}

/// What a channel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelKind {
    /// Events.
    Data,
    /// Metadata in packets of their own form.
    Metadata,
}

/// Kind of event headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderType {
    /// The channel never recorded: metadata do not declare it.
    Undecided,
    /// 5 bits of event number, 27 bits of time.
    Compact,
    /// 16 bits of event number, 32 bits of time.
    Large,
    /// Anything else, as found.
    Unknown(u64),
}

/// One CPU's buffer of one channel.
#[derive(Clone, Debug)]
pub struct Stream {
    /// CPU number; `None` for a buffer that all CPUs share.
    pub cpu: Option<u32>,
    /// Address of the ring buffer.
    pub address: VirtAddr,
    /// Free-running position of the next reservation.
    pub write_position: u64,
    /// Free-running position of the oldest unread byte.
    pub consumed_position: u64,
    /// Time of the newest reservation; 0 after a discarded event.
    pub last_timestamp: Option<u64>,
    /// Whether `last_timestamp` is the time shifted right by 27 bits (32-bit kernels).
    pub last_timestamp_is_truncated: bool,
    /// Time of the last reading of the trace clock on this CPU, by any session.
    pub cpu_timestamp: Option<u64>,
    /// Events lost because the buffer was full.
    pub lost_full: u64,
    /// Events lost because the writer nested too deep or lapped itself.
    pub lost_wrap: u64,
    /// Events lost because they are larger than a sub-buffer.
    pub lost_big: u64,
    /// Position of the sub-buffer that a reader held (between get and put).
    pub held_position: Option<u64>,
    /// Readers that have the stream open.
    pub active_readers: u64,
    /// Whether the buffer had been flushed for destruction.
    pub finalized: bool,
    /// The file that the daemon writes it to.
    pub output: Option<Output>,
    /// Ways that led to it.
    pub found_by: Routes,
    /// Packets in the order of their positions.
    pub packets: Vec<Packet>,
    /// What was lost or looked wrong in this stream.
    pub damage: Vec<Damage>,
}

/// A file that the daemon writes a stream to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Path, component by component from the root of its file system, raw and unchecked.
    pub path: Vec<Vec<u8>>,
    /// Bytes written so far (not necessarily on the disk).
    pub size: Option<u64>,
}

/// One sub-buffer of a ring, which is one packet of a trace file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Free-running position of its first byte, in the kernel's word size.
    pub position: u64,
    /// Slot in the ring; for a sub-buffer that a reader holds, the slot it was taken from.
    pub index: u64,
    /// What the counters say about it. [`State::Ready`] and not `closed`: everything is committed, but the crash came before the
    /// delivery was finished. [`State::NeverUsed`] does not occur.
    pub state: State,
    /// Bytes from its start that are valid: header and whole events. 0 when not even the header was committed.
    pub used: u64,
    /// Bytes that writers had reserved in it.
    pub reserved: u64,
    /// Bytes that writers had committed in it, in any order.
    pub committed: u64,
    /// Whether the tracer itself completed the packet header. Otherwise end time, sizes and discarded events are to be filled in.
    pub closed: bool,
    /// `packet_seq_num`; 2.8 and later.
    pub sequence: Option<u64>,
    /// Time at which this slot was last closed. It belongs to an earlier lap if it is before the packet's begin.
    pub end_timestamp: Option<u64>,
    /// Events discarded until this slot was last closed; 2.14 and later, same reservation.
    pub end_discarded: Option<u64>,
    /// Whether a reader had it.
    pub reader_held: bool,
    /// Whether its memory starts as a packet of this stream does.
    pub header: Header,
    /// Where its bytes lie, first page first.
    pub pages: PageList,
}

/// What the start of a packet's memory looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Magic number, identity of trace, stream and packet are right.
    Intact,
    /// They are not: the pages were moved away by a reader, or something else is in their place.
    Foreign,
    /// The page cannot be read.
    Unreadable,
    /// No header has been committed yet.
    None,
}

impl Stream {
    /// Events that the tracer dropped, for any reason, since the buffer was made.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        self.lost_full.wrapping_add(self.lost_wrap).wrapping_add(self.lost_big)
    }
}

impl Metadata {
    /// Bytes of the text up to the end of its last whole statement or fragment. The whole text, unless the crash came while a
    /// statement was being added.
    #[must_use]
    pub fn complete_len(&self) -> usize {
        const STATEMENT_END: &[u8] = b"\n};\n\n";
        let json = self.text.first() == Some(&0x1e);
        let ends = if json { self.text.ends_with(b"}\n") } else { self.text.ends_with(b"};\n\n") };
        if ends && !self.producing {
            return self.text.len();
        }
        let end = if json {
            self.text.iter().rposition(|&byte| byte == b'\n').map(|at| at + 1)
        } else {
            let start = self.text.windows(STATEMENT_END.len()).rposition(|window| window == STATEMENT_END);
            start.map(|at| at + STATEMENT_END.len())
        };
        end.unwrap_or(0)
    }
}

impl HeaderType {
    pub(crate) fn from_raw(value: u64) -> HeaderType {
        match value {
            0 => HeaderType::Undecided,
            1 => HeaderType::Compact,
            2 => HeaderType::Large,
            other => HeaderType::Unknown(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(text: &str, producing: bool) -> Metadata {
        let text = text.as_bytes().to_vec();
        Metadata { address: VirtAddr::NULL, text, holes: Vec::new(), version: None, producing }
    }

    #[test]
    fn metadata_end_with_a_whole_statement() {
        let whole = "trace {\n\tmajor = 1;\n};\n\nevent {\n\tfields := struct {\n\t};\n};\n\n";
        assert_eq!(metadata(whole, false).complete_len(), whole.len());
        assert_eq!(metadata(whole, true).complete_len(), whole.len());
        let torn = format!("{whole}event {{\n\tname = \"x");
        assert_eq!(metadata(&torn, true).complete_len(), whole.len());
        assert_eq!(metadata(&torn, false).complete_len(), whole.len());
        assert_eq!(metadata("trace {", true).complete_len(), 0);
    }

    #[test]
    fn json_ends_with_a_whole_fragment() {
        let whole = "\u{1e}{\"type\":\"preamble\"}\n\u{1e}{\n}\n";
        assert_eq!(metadata(whole, false).complete_len(), whole.len());
        let torn = format!("{whole}\u{1e}{{\"type\"");
        assert_eq!(metadata(&torn, true).complete_len(), whole.len());
    }
}
