//! Where a stream's sub-buffers come from.

use lttformat::ltt::Header;

/// The sub-buffers of one stream, each as the record of a trace file, oldest first.
pub(super) trait Records {
    /// Goes back to about the last `count` ones. Returns whether that is all of them.
    fn rewind(&mut self, count: u64) -> bool;

    /// The next one, or what is in its place; `None` at the end. Replaces the content of `bytes` by a record's.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<Piece>;

    /// Where the record is that [`next`](Records::next) gave last, for messages.
    fn place(&self) -> String;
}

/// One piece of a stream.
pub(super) enum Piece {
    /// A record.
    Record {
        /// Its header.
        header: Header,
        /// Bytes of header and events, at most those of the record.
        used: u64,
    },
    /// Bytes that are in no record.
    Damage(Damage),
}

/// What [`What::Damaged`](crate::events::What::Damaged) tells.
pub(super) struct Damage {
    pub(super) bytes: u64,
    pub(super) reason: String,
}
