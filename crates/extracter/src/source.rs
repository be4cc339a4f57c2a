//! What the extracter knows of a trace: plain data and one function that yields a record.
//!
//! Everything from the analyser passes here (sessions of LTTng 2.x: in `session.rs`), so that planning and writing can be tested with
//! traces made by hand.

use std::path::PathBuf;

use analyser::{Kernel, NoteKind, Traces};
use lttformat::ctf::{IndexVersion, PacketHeader};

pub(crate) use analyser::State;

/// One trace as it was found.
pub(crate) struct TraceSource<'k> {
    /// Any bytes.
    pub(crate) name: Vec<u8>,
    /// The same as text.
    pub(crate) shown: String,
    /// The file that describes all streams, where none of them does.
    pub(crate) metadata: Option<MetadataSource>,
    pub(crate) streams: Vec<StreamSource<'k>>,
}

/// A file that describes the streams of a trace.
pub(crate) struct MetadataSource {
    /// Components below the trace's directory.
    pub(crate) path: Vec<&'static str>,
    pub(crate) content: Vec<u8>,
    pub(crate) notes: Vec<String>,
}

impl MetadataSource {
    /// The path below the trace's directory.
    pub(crate) fn below(&self) -> PathBuf {
        self.path.iter().collect()
    }
}

/// One stream as it was found.
pub(crate) struct StreamSource<'k> {
    /// Components below the trace's directory, any bytes.
    pub(crate) path: Vec<Vec<u8>>,
    pub(crate) channel: String,
    /// None: all CPUs share it.
    pub(crate) cpu: Option<u32>,
    pub(crate) overwrite: bool,
    pub(crate) events_lost: u64,
    pub(crate) corrupted_sub_buffers: u64,
    pub(crate) damage: Vec<String>,
    /// In the order of writing.
    pub(crate) slots: Vec<Slot>,
    /// Bytes of a full sub-buffer.
    pub(crate) slot_size: u64,
    /// Position up to which the daemon had read; `None`: it is lost, and positions of the slots mean nothing.
    pub(crate) consumed: Option<u64>,
    /// Form of the index that lies beside its file, if there is one.
    pub(crate) index: Option<IndexVersion>,
    pub(crate) content: Box<dyn Content + 'k>,
}

/// One sub-buffer as it was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) state: State,
    /// Position of its first byte, which runs freely.
    pub(crate) position: u64,
    /// The daemon had not read it.
    pub(crate) unread: bool,
    /// Bytes that writers had taken.
    pub(crate) reserved: u64,
}

/// The content of a stream. Shared by threads; each opens a reader of its own.
pub(crate) trait Content: Send + Sync {
    fn open(&self, count_events: bool) -> Box<dyn Reader + '_>;
}

/// Reads sub-buffers of one stream, one at a time.
pub(crate) trait Reader {
    fn read(&mut self, slot: usize) -> Record<'_>;
}

/// The record of one sub-buffer, ready to be written.
#[derive(Debug, Default)]
pub(crate) struct Record<'a> {
    /// Empty if nothing was usable.
    pub(crate) bytes: &'a [u8],
    /// What the index says about it.
    pub(crate) header: Option<PacketHeader>,
    pub(crate) valid: u64,
    pub(crate) lost: u64,
    pub(crate) unreadable: u64,
    pub(crate) zero_filled: u64,
    /// Something in it does not add up.
    pub(crate) doubtful: bool,
    pub(crate) events: Option<u64>,
    pub(crate) notes: Vec<String>,
}

/// All traces that the analyser found.
pub(crate) fn collect<'k>(kernel: &'k Kernel, traces: &'k Traces) -> Vec<TraceSource<'k>> {
    traces
        .traces
        .iter()
        .map(|trace| TraceSource {
            name: trace.name_bytes().to_vec(),
            shown: trace.name().to_string(),
            metadata: None,
            streams: streams(kernel, trace),
        })
        .collect()
}

/// The streams of one trace, in the order found.
pub(crate) fn streams<'k>(kernel: &'k Kernel, trace: &'k analyser::Trace) -> Vec<StreamSource<'k>> {
    let slot = |sub: &analyser::SubBuffer| Slot {
        state: sub.state(),
        position: sub.position(),
        unread: sub.is_unread(),
        reserved: sub.reserved(),
    };
    trace
        .streams()
        .map(|(channel, stream)| StreamSource {
            path: stream.path().to_vec(),
            channel: channel.name().to_string(),
            cpu: Some(stream.cpu()),
            overwrite: channel.overwrite(),
            events_lost: stream.events_lost(),
            corrupted_sub_buffers: stream.corrupted_sub_buffers(),
            damage: stream.damage().iter().map(ToString::to_string).collect(),
            slots: stream.sub_buffers().iter().map(slot).collect(),
            slot_size: channel.sub_buffer_size(),
            consumed: (!stream.positions_lost()).then(|| stream.consumed_position()),
            index: None,
            content: Box::new(Found { kernel, trace, channel, stream }),
        })
        .collect()
}

struct Found<'k> {
    kernel: &'k Kernel,
    trace: &'k analyser::Trace,
    channel: &'k analyser::Channel,
    stream: &'k analyser::Stream,
}

impl Content for Found<'_> {
    fn open(&self, count_events: bool) -> Box<dyn Reader + '_> {
        let recorder = self.trace.recorder(self.kernel, self.channel, self.stream).count_events(count_events);
        Box::new(FoundReader { recorder, stream: self.stream })
    }
}

struct FoundReader<'k> {
    recorder: analyser::Recorder<'k>,
    stream: &'k analyser::Stream,
}

impl Reader for FoundReader<'_> {
    fn read(&mut self, slot: usize) -> Record<'_> {
        let Some(sub) = self.stream.sub_buffers().get(slot) else { return Record::default() };
        let record = self.recorder.record(sub);
        Record {
            bytes: record.bytes,
            header: None,
            valid: record.valid,
            lost: record.lost,
            unreadable: record.unreadable,
            zero_filled: record.zero_filled,
            doubtful: record.notes.iter().any(|note| is_doubt(&note.kind)),
            events: record.events,
            notes: record.notes.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Whether what is written may be wrong, or no viewer may be able to read it; as against notes that only explain a loss.
fn is_doubt(note: &NoteKind) -> bool {
    matches!(
        note,
        NoteKind::Undecodable(_) | NoteKind::Header(_) | NoteKind::Interrupted { doubtful: true, .. }
    )
}
