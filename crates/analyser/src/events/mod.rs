//! Decoded events of a core or a trace directory, in the order of time over all streams.
//!
//! ```text
//! Records (ring in memory | trace file) ─► Source (one stream, decoded) ─┐
//! Records ─► Source ─────────────────────────────────────────────────────┼─► Merge ─► Entry
//! Records ─► Source ─────────────────────────────────────────────────────┘
//! ```
//!
//! Only `ltt` knows a trace format; another kind of trace is another `Source` beside it.
//!
//! Cost: memory for a few sub-buffers per stream, however long the trace is; time by the events delivered, except for those that
//! must be decoded to reach the first of them in its sub-buffer.

mod entry;
mod list;
mod ltt;
mod merge;
mod selection;
mod source;

pub use entry::{Entry, Field, Fields, Value, What};
pub use list::Events;
pub use selection::{Selection, Since};
