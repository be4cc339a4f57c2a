//! How records are decoded.

use super::What;

/// Decodes the events of single records. One implementation for each family of tracers.
pub(super) trait Format {
    /// What the head of a record is read into.
    type Header;

    /// First and last possible time of a record's events, in clock cycles.
    fn span(&self, header: &Self::Header) -> (u64, u64);

    /// Takes up a record, whose bytes may be cut to those that are valid. Returns the place before its first event.
    fn begin(&mut self, header: Self::Header, bytes: &mut Vec<u8>) -> Position;

    /// The place after the event at `at`; `None` if there is none. Must be of the record taken up last.
    fn after(&self, bytes: &[u8], at: Position) -> Option<Result<Position, Stop>>;

    /// The event at `at`.
    fn event<'s>(&'s self, bytes: &'s [u8], at: Position) -> Option<What<'s>>;
}

/// A place between two events of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// In the format's own unit.
    pub(super) offset: u64,
    /// Time of the event before, or of the begin of the record.
    pub(super) time: u64,
}

/// Why an event cannot be decoded.
pub(super) struct Stop {
    /// Bytes of events from there on.
    pub(super) bytes: u64,
    /// On one line, with the place in the record.
    pub(super) reason: String,
}
