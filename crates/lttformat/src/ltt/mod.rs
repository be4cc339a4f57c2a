//! Traces of LTTng 0.x, formats 1.0 and 2.0 to 2.6, of either byte order and word size.
//!
//! | Format | Header | Event ids | Event headers | Record on disk |
//! |---|---|---|---|---|
//! | 1.0 | 109 bytes, packed | of the trace | full time or heartbeat; compact channel | whole sub-buffer |
//! | 2.0 | 108 bytes, packed | of the trace | 27 bits of time, 5 of id, extensible | whole sub-buffer |
//! | 2.1 | 60 bytes | of the trace | as 2.0 | whole sub-buffer |
//! | 2.2 | 68 bytes, with loss counters | of the trace | as 2.0 | whole sub-buffer |
//! | 2.3, 2.4 | as 2.2 | of the channel | as 2.0 | whole sub-buffer |
//! | 2.5, 2.6 | as 2.2, `data_size` for `lost_size` | of the channel | as 2.0 | used bytes, rounded up to pages |
//!
//! From bytes to events: [`Header::parse`] → [`Markers::learn`] (metadata channel) → [`Decoder`], or [`Grammar`] for who owns the
//! bytes. For what a crash left: [`prefix`] (in memory), [`complete`], [`scan`] (on disk), [`announce`] (metadata that are lost).
//! [`TracefileName`] tells which stream a file holds.

mod align;
mod channel;
mod clock;
mod compact;
mod complete;
mod decoder;
mod endian;
mod event;
mod field;
mod format;
mod grammar;
mod head;
mod header;
mod layout;
mod marker;
mod markers;
mod metadata;
pub mod prefix;
pub mod scan;
mod stop;
mod stride;
mod tally;
mod tracefile;
mod version;

pub use channel::Channel;
pub use clock::{Clock, ScaleRule};
pub use complete::{Completion, complete};
pub use decoder::Decoder;
pub use endian::Endian;
pub use event::Event;
pub use field::{Field, Fields, Kind, TypeSizes, Value};
pub use grammar::{Grammar, Position};
pub use header::{Header, Packed};
pub use marker::Marker;
pub use markers::{Announcement, Conflict, ConflictKind, Markers};
pub use metadata::{Announcements, announce};
pub use stop::{Stop, StopReason};
pub use tally::{Tally, tally};
pub use tracefile::TracefileName;
pub use version::Version;
