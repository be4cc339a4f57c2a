//! What was planted.

use crate::build::DeadKernel;

/// A kernel that died while tracing, and what was planted in it.
#[derive(Debug, Clone)]
pub struct DeadTracer {
    /// Its memory, types and symbols.
    pub kernel: DeadKernel,
    /// Its sessions, newest first.
    pub sessions: Vec<SessionTruth>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionTruth {
    /// Name; the kernel knows it since 2.11.
    pub name: String,
    /// Address of the structure (private half).
    pub address: u64,
    /// Identity of the trace.
    pub uuid: [u8; 16],
    /// Whether it was recording.
    pub active: bool,
    /// Metadata text without its first line.
    pub metadata: String,
    /// Data channels, newest first.
    pub channels: Vec<ChannelTruth>,
}

/// One data channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelTruth {
    /// The user's name; the kernel does not know it.
    pub name: String,
    /// Number.
    pub id: u32,
    /// Address of the tracer's structure.
    pub address: u64,
    /// Address of the ring buffer's structure.
    pub ring: u64,
    /// Overwrites when full.
    pub overwrite: bool,
    /// Bytes of a sub-buffer.
    pub subbuffer_size: u64,
    /// Sub-buffers of a stream.
    pub n_subbuffers: u64,
    /// One stream for each CPU.
    pub streams: Vec<StreamTruth>,
}

/// One CPU's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamTruth {
    /// CPU; `None` for all of them.
    pub cpu: Option<u32>,
    /// Address of the buffer.
    pub address: u64,
    /// Addresses of its tables: hot and cold counters, writer's slots, array of page tables.
    pub tables: [u64; 4],
    /// Addresses of the page tables.
    pub page_tables: Vec<u64>,
    /// Write position.
    pub write: u64,
    /// Consumed position.
    pub consumed: u64,
    /// Events lost, buffer full.
    pub lost_full: u64,
    /// `last_tsc` as stored.
    pub last_timestamp: u64,
    /// What extraction can give, by position.
    pub packets: Vec<PacketTruth>,
    /// Whole packets that the daemon has on disk, in order.
    pub disk: Vec<Vec<u8>>,
}

/// State of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Read, still there.
    Consumed,
    /// Complete, unread.
    Ready,
    /// The newest one.
    Open,
    /// Left with something uncommitted.
    Stalled,
}

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketTruth {
    /// Position of its first byte, in the kernel's word.
    pub position: u64,
    /// `packet_seq_num`, which never wraps.
    pub sequence: u64,
    /// State.
    pub state: State,
    /// Whether the tracer finished it.
    pub closed: bool,
    /// Whether a reader has it.
    pub held: bool,
    /// Bytes reserved.
    pub reserved: u64,
    /// Valid bytes as they lie in memory: header and whole events.
    pub valid: Vec<u8>,
    /// Events in them.
    pub events: u64,
    /// Header and whole events up to the first that was not committed: more than `valid` where the tracer's counter says less than
    /// is true (always before 2.5).
    pub decodable: Vec<u8>,
    /// Events in those.
    pub decodable_events: u64,
}

impl StreamTruth {
    /// Bytes and events of packet `nth` that can be had when the metadata are known, on a machine of `word` bytes. Packets without
    /// numbers (before 2.8), of which the counters vouch for no more than a header of `header` bytes, are walked over, if the time of
    /// their last event is bounded: by the next packet, or by the newest reservation, which 32-bit machines know too coarsely.
    pub fn recoverable(&self, nth: usize, numbered: bool, header: usize, word: u64) -> (&[u8], u64) {
        let packet = &self.packets[nth];
        let followed = self.packets[nth + 1..].iter().any(|next| !next.valid.is_empty());
        let bounded = followed || word == 8 && self.last_timestamp != 0;
        if numbered || packet.closed || packet.valid.len() != header || !bounded {
            (&packet.valid, packet.events)
        } else {
            (&packet.decodable, packet.decodable_events)
        }
    }
}
