//! What a walk over classic relay channels finds.

use crate::{Damage, Routes, SubBuffer, VirtAddr};

/// Everything one walk found.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    /// Channels, in the order of the kernel's list, then those found in debugfs only.
    pub channels: Vec<Channel>,
    /// What belongs to no channel.
    pub damage: Vec<Damage>,
}

/// One relay channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Address of the `rchan`.
    pub address: VirtAddr,
    /// Base name of its files, raw; empty when it has none.
    pub name: Vec<u8>,
    /// Address of its client's callbacks: tells clients apart.
    pub callbacks: VirtAddr,
    /// The client's own object.
    pub private: VirtAddr,
    /// Whether all CPUs share one buffer.
    pub is_global: bool,
    /// Bytes of one sub-buffer; any number.
    pub subbuffer_size: u64,
    /// Sub-buffers of one stream; any number.
    pub n_subbuffers: u64,
    /// Ways that led to it.
    pub found_by: Routes,
    /// One stream per buffer.
    pub streams: Vec<Stream>,
}

/// One buffer of a relay channel.
#[derive(Clone, Debug)]
pub struct Stream {
    /// CPU number.
    pub cpu: u32,
    /// Address of the `rchan_buf`.
    pub address: VirtAddr,
    /// Path below the root of its file system, component by component, raw and unchecked; built from the channel's name when
    /// its file cannot be followed.
    pub path: Vec<Vec<u8>>,
    /// Sub-buffers closed since the channel was opened.
    pub produced: u64,
    /// Sub-buffers that readers have finished.
    pub consumed: u64,
    /// Whether writing had stopped because the buffer was full.
    pub stopped: bool,
    /// Whether unread sub-buffers had been overwritten.
    pub overwritten: bool,
    /// Bytes written to the stream since it was opened, up to the last one in memory; `None` when the kernel did not keep it.
    pub end_position: Option<u64>,
    /// Sub-buffers in output order. `position` counts sub-buffers since the open, times their size; `reserved` and `committed`
    /// are the valid bytes, of which a reader had taken the first `skip`.
    pub subbuffers: Vec<SubBuffer>,
    /// What was lost or looked wrong in this stream.
    pub damage: Vec<Damage>,
}
