//! What a walk over LTTng 0.x buffers finds.

use crate::{Damage, Routes, SubBuffer, VirtAddr};

/// Everything one walk found.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Traces, in the order of the kernel's list, then those found by other routes.
    pub traces: Vec<Trace>,
    /// What belongs to no stream: broken lists, objects that are not what they should be.
    pub damage: Vec<Damage>,
}

/// One trace session.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Address of the kernel's trace structure; null when only buffers are left of it.
    pub address: VirtAddr,
    /// Name, raw bytes from the core.
    pub name: Vec<u8>,
    /// Name of the transport (`relay`, `relay-locked`), raw; empty when unknown.
    pub transport: Vec<u8>,
    /// Whether it was recording (not paused).
    pub active: bool,
    /// 0 normal, 1 flight recorder, 2 hybrid; only the older tracers have it.
    pub mode: Option<u64>,
    /// Clock parameters.
    pub clock: Clock,
    /// Ways that led to it or to one of its buffers.
    pub found_by: Routes,
    /// Channels, in the kernel's order.
    pub channels: Vec<Channel>,
}

/// Clock of a trace, as in its trace structure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Frequency; its unit depends on `freq_scale` and era.
    pub start_freq: u64,
    /// Scale of the frequency.
    pub freq_scale: u32,
    /// Cycle counter when the trace was made.
    pub start_tsc: u64,
    /// Monotonic time when the trace was made.
    pub start_monotonic: u64,
    /// Wall clock when the trace was made, seconds.
    pub start_time_sec: u64,
    /// Wall clock when the trace was made, microseconds of the second.
    pub start_time_usec: u64,
}

/// One channel of a trace.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Address of the kernel's channel structure.
    pub address: VirtAddr,
    /// Name, raw bytes, without `flight-`.
    pub name: Vec<u8>,
    /// Whether it overwrites its oldest data when full (flight recorder).
    pub overwrite: bool,
    /// Bytes of one sub-buffer; a power of two.
    pub subbuffer_size: u64,
    /// Sub-buffers of one stream; a power of two.
    pub n_subbuffers: u64,
    /// One stream per CPU that has a buffer.
    pub streams: Vec<Stream>,
}

/// One CPU's buffer of one channel.
#[derive(Clone, Debug)]
pub struct Stream {
    /// CPU number.
    pub cpu: u32,
    /// Address of the structure that holds the pages (`rchan_buf`, `ltt_chanbuf`).
    pub address: VirtAddr,
    /// Path below the trace's directory, component by component, raw and unchecked: from the buffer's file in debugfs,
    /// or built from the channel name when that cannot be read.
    pub path: Vec<Vec<u8>>,
    /// Whether its positions and counters are lost, so that only the headers of its sub-buffers tell what is in them. The positions
    /// are then 0.
    pub positions_lost: bool,
    /// Free-running position of the next reservation.
    pub write_position: u64,
    /// Free-running position of the oldest unread byte.
    pub consumed_position: u64,
    /// Time of the last reservation; `None` when the tracer did not keep it.
    pub last_tsc: Option<u64>,
    /// Whether `last_tsc` is `tsc >> 27` cut to 32 bits (32-bit kernels).
    pub last_tsc_is_truncated: bool,
    /// Events that the tracer dropped.
    pub events_lost: u64,
    /// Sub-buffers that the tracer knew to be corrupt.
    pub corrupted_subbuffers: u64,
    /// Whether the buffer had been flushed for destruction.
    pub finalized: bool,
    /// Readers inside (older tracers: between get and put; later: file open).
    pub active_readers: u64,
    /// Events in progress on this CPU; `None` when unknown. 0 means that nothing can be half written.
    pub nesting: Option<i64>,
    /// Ways that led to it.
    pub found_by: Routes,
    /// Sub-buffers in output order; each slot at most once, plus the reader's.
    pub subbuffers: Vec<SubBuffer>,
    /// What was lost or looked wrong in this stream.
    pub damage: Vec<Damage>,
}
