//! Decoded events of a core or a trace directory, in the order of time over all streams.
//!
//! ```text
//! Records (ring in memory | trace file) ─► Source (one stream, decoded) ─┐
//! Records ─► Source ─────────────────────────────────────────────────────┼─► Merge ─► Entry
//! Records ─► Source ─────────────────────────────────────────────────────┘
//! ```
//!
//! Only `ltt` and `lttng` know trace formats: where their records (packets) come from, and how those are decoded; everything else
//! is the same for both.
//!
//! Cost: memory for a few sub-buffers per stream, however long the trace is; time by the events delivered, except for those that
//! must be decoded to reach the first of them in its sub-buffer.

mod clock;
mod entry;
mod event;
mod format;
mod list;
mod ltt;
mod lttng;
mod merge;
mod records;
mod selection;
mod source;
mod stream;
mod tail;
mod text;
mod value;

pub use entry::{Entry, What};
pub use event::Event;
pub use list::Events;
pub use selection::{Selection, Since};
pub use text::Babeltrace;
pub use value::{Elements, Field, Fields, Value};
