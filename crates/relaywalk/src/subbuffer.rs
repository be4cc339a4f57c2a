//! One sub-buffer of a ring, as found in memory.

use std::fmt;

use crate::pages::PageList;

/// One sub-buffer: where it stands in the free-running order of its ring, what state it is in, and where its bytes lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubBuffer {
    /// Free-running position of its first byte, in the kernel's word size. For a consumed sub-buffer found by content only
    /// (reader exchange) this is the position it must have had, counted backwards from the consumed position.
    pub position: u64,
    /// Slot in the ring; for a sub-buffer that a reader holds, the slot it was taken from.
    pub index: u64,
    /// What the counters say about it.
    pub state: State,
    /// Bytes that writers have reserved in it, from its start (the whole sub-buffer unless it is open).
    pub reserved: u64,
    /// Bytes that writers have committed in this pass. Equal to `reserved` when nothing is missing; larger than the
    /// sub-buffer when the counter contradicts the position.
    pub committed: u64,
    /// Bytes from the start that the kernel's crash helper vouches for (a lagging lower bound), if the kernel has one.
    pub commit_seq: Option<u64>,
    /// Whether a reader had taken this sub-buffer out of the ring.
    pub reader_held: bool,
    /// Whether no counter speaks of it, only its own header: then `position` is its place in the ring, whether a reader had taken
    /// it is not known, and neither is what of it was committed.
    pub by_header: bool,
    /// Where its bytes lie, first page first.
    pub pages: PageList,
    /// Bytes at the start that a reader had already taken (classic relay only; otherwise 0).
    pub skip: u64,
}

/// State of one sub-buffer at the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Complete and not yet read.
    Ready,
    /// The newest one; being filled.
    Open,
    /// Left by its writer, but some reservation in it was never committed.
    Stalled,
    /// Read by the consumer, yet still intact in memory.
    Consumed,
    /// Never written.
    NeverUsed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Ready => "ready",
            State::Open => "open",
            State::Stalled => "stalled",
            State::Consumed => "consumed",
            State::NeverUsed => "never used",
        })
    }
}
