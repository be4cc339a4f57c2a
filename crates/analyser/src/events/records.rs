//! Where a stream's sub-buffers come from.

/// The sub-buffers of one stream, each as the record (packet) of a trace file, oldest first.
pub(super) trait Records {
    /// What the head of a record is read into.
    type Header;

    /// Goes back to about the last `count` ones. Returns whether that is all of them.
    fn rewind(&mut self, count: u64) -> bool;

    /// The next one, or what is in its place; `None` at the end. Replaces the content of `bytes` by a record's.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<Piece<Self::Header>>;

    /// Where the record is that [`next`](Records::next) gave last, for messages.
    fn place(&self) -> String;
}

/// One piece of a stream.
pub(super) enum Piece<H> {
    /// A record: its header.
    Record(H),
    /// Bytes that are in no record.
    Damage(Damage),
    /// What the tracer dropped.
    Dropped(Dropped),
}

/// What [`What::Damaged`](super::What::Damaged) and [`What::Undecoded`](super::What::Undecoded) tell.
pub(super) struct Damage {
    pub(super) bytes: u64,
    pub(super) reason: String,
}

/// What [`What::Discarded`](super::What::Discarded) and [`What::Missing`](super::What::Missing) tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dropped {
    Events { count: u64, from: u64, to: u64 },
    Packets { count: u64, first: u64 },
}
