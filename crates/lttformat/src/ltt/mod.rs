//! LTTng 0.x traces, formats 1.0 and 2.0 to 2.6.

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
mod head;
mod header;
mod layout;
mod marker;
mod markers;
pub mod prefix;
pub mod scan;
mod stop;
mod tally;
mod version;

pub use channel::Channel;
pub use clock::{Clock, ScaleRule};
pub use complete::{Completion, complete};
pub use decoder::Decoder;
pub use endian::Endian;
pub use event::Event;
pub use field::{Field, Fields, Kind, TypeSizes, Value};
pub use header::{Header, Packed};
pub use marker::Marker;
pub use markers::{Announcement, Conflict, ConflictKind, Markers};
pub use stop::{Stop, StopReason};
pub use tally::{Tally, tally};
pub use version::Version;
