//! What extraction must give, known from how it was planted.

use crate::format::Clock;
use crate::marker::{Marker, Value};

/// State of a sub-buffer at the crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Complete and read by the daemon, still intact in memory.
    Consumed,
    /// Complete and unread, or being read by the daemon at the crash.
    Ready,
    /// An older one that the writer left, but some slot was never committed.
    Stalled,
    /// The newest one, incomplete; even when the write position rests on its end.
    Open,
}

/// One event put into a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlantedEvent {
    /// Full time stamp counter.
    pub tsc: u64,
    /// Marker id.
    pub id: u16,
    /// Marker name.
    pub name: String,
    /// Arguments by name.
    pub fields: Vec<(String, Value)>,
    /// Payload bytes as stored.
    pub payload: Vec<u8>,
    /// First byte of its slot in the sub-buffer, padding before the header included.
    pub start: u64,
    /// Byte after the record.
    pub end: u64,
    /// Its bytes had been stored at the crash.
    pub written: bool,
    /// Its slot had been committed.
    pub committed: bool,
}

/// One sub-buffer with content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubBufferTruth {
    /// Number of the sub-buffer since the buffer was made, unwrapped.
    pub sequence: u64,
    /// Its position as a machine word of the kernel.
    pub position: u64,
    /// State at the crash.
    pub state: State,
    /// Begin time in its header; 0 when the header was never begun.
    pub begin_tsc: u64,
    /// Bytes that a careful reader can vouch for, header included; 0 = nothing usable. That is all before the first
    /// uncommitted slot; or, when every reserved slot had been stored, all events within the number of committed bytes.
    pub valid: u64,
    /// Bytes reserved.
    pub reserved: u64,
    /// Bytes committed in this pass.
    pub committed: u64,
    /// Slots were committed behind an uncommitted one: a reader may find more or less than `valid`.
    pub doubtful: bool,
    /// The content lies in the reader's sub-buffer.
    pub in_reader_table: bool,
    /// Events of the valid part.
    pub events: Vec<PlantedEvent>,
    /// Reserved events behind the valid part.
    pub rest: Vec<PlantedEvent>,
    /// The completed record as the daemon would write it; empty when nothing is usable.
    pub record: Vec<u8>,
}

/// One buffer: a CPU of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTruth {
    /// Path below the trace's directory, such as `control/metadata_0`.
    pub path: String,
    /// Channel name without prefix.
    pub channel: String,
    /// CPU number.
    pub cpu: u32,
    /// Flight recorder.
    pub overwrite: bool,
    /// Bytes of a sub-buffer.
    pub sub_buffer_size: u64,
    /// Sub-buffers of the buffer.
    pub sub_buffer_count: u64,
    /// Write position as a machine word.
    pub write_position: u64,
    /// Consumed position as a machine word.
    pub consumed_position: u64,
    /// Events lost, as counted by the tracer.
    pub events_lost: u64,
    /// Corrupted sub-buffers, as counted by the tracer.
    pub corrupted_sub_buffers: u64,
    /// The trace was being destroyed.
    pub finalized: bool,
    /// Time of the last reservation as the kernel's memory shows it.
    pub last_tsc: u64,
    /// Sub-buffers in memory, oldest first; never used ones are left out.
    pub sub_buffers: Vec<SubBufferTruth>,
    /// Records that the daemon had written before the crash.
    pub disk: Vec<DiskRecord>,
    /// Position at which the buffer began: 0, unless it was moved close to a wrap.
    pub start_position: u64,
}

/// One record that the daemon had written before the crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskRecord {
    /// Number of the sub-buffer since the buffer was made.
    pub sequence: u64,
    /// Begin time in its header.
    pub begin_tsc: u64,
    /// Bytes of header and events.
    pub used: u64,
    /// All its bytes.
    pub bytes: Vec<u8>,
    /// Its events.
    pub events: Vec<PlantedEvent>,
}

impl StreamTruth {
    /// The file that a default extraction writes: everything intact, consumed or not.
    pub fn file(&self) -> Vec<u8> {
        self.sub_buffers.iter().flat_map(|s| s.record.iter().copied()).collect()
    }

    /// The file with unread sub-buffers only.
    pub fn unread_file(&self) -> Vec<u8> {
        let unread = self.sub_buffers.iter().filter(|s| s.state != State::Consumed);
        unread.flat_map(|s| s.record.iter().copied()).collect()
    }

    /// All events of the valid parts.
    pub fn events(&self) -> impl Iterator<Item = &PlantedEvent> {
        self.sub_buffers.iter().flat_map(|s| s.events.iter())
    }
}

/// One trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceTruth {
    /// Name.
    pub name: String,
    /// Address of the trace struct.
    pub address: u64,
    /// Trace format.
    pub version: (u8, u8),
    /// Still running.
    pub active: bool,
    /// Clock values.
    pub clock: Clock,
    /// Markers by channel; the metadata channel's own ones are left out.
    pub markers: Vec<(String, Marker)>,
    /// Buffers in order of channel, then CPU.
    pub streams: Vec<StreamTruth>,
}

impl TraceTruth {
    /// The stream with a path below the trace's directory.
    ///
    /// # Panics
    /// When there is none.
    pub fn stream(&self, path: &str) -> &StreamTruth {
        match self.streams.iter().find(|s| s.path == path) {
            Some(stream) => stream,
            None => panic!("no stream {path}"),
        }
    }
}

/// One CPU of the classic relay channel planted beside the traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayTruth {
    /// Path below the debugfs root.
    pub path: String,
    /// CPU number.
    pub cpu: u32,
    /// Bytes not yet read, oldest first.
    pub unread: Vec<u8>,
    /// Bytes already read but still in memory, oldest first.
    pub consumed: Vec<u8>,
}

/// Everything planted in one kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Truth {
    /// Traces in list order.
    pub traces: Vec<TraceTruth>,
    /// Classic relay buffers.
    pub relay: Vec<RelayTruth>,
    /// Every debugfs path with its kind: true = directory.
    pub debugfs: Vec<(String, bool)>,
}
