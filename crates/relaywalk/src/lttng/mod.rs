//! LTTng 2.x (`lttng-modules` 2.0 to 2.16) buffers.
//!
//! ```text
//! sessions ──► session ──► channels ──► ring channel ──► buffer of each CPU ──► positions, counters ──► packets in order
//! open files ─────────────────┴──────────────┴─────────────────┘                tables of pages ───────┘
//!                  └─► metadata cache
//! ```
//!
//! | since | what changed in the structures |
//! |---|---|
//! | 2.0 | metadata goes through a ring buffer of its own |
//! | 2.3 | metadata are kept whole in a cache |
//! | 2.8 | pages by frame number, packets are numbered |
//! | 2.9.13, 2.10.10, 2.11 | time of the end of each sub-buffer |
//! | 2.11 | name and creation time of the session |
//! | 2.13 | everything renamed, sessions and channels in a public and a private half |
//! | 2.14 | counters among the channels, end of discarded events of each sub-buffer |
//!
//! Nothing looks at a version: each member is the first of its names that the debug information knows. Without debug information
//! of the tracer's modules, [fixed layouts](Layouts::Fixed) are tried and kept only if every pointer and number read through them
//! agrees with the others.

mod buffer;
mod channel;
mod fixed;
mod header;
mod identity;
mod lap;
mod metadata;
mod model;
mod names;
mod ring_channel;
mod roots;
mod tables;
mod types;
mod walk;

pub use model::{
    Channel, ChannelKind, Header, HeaderType, Layouts, Metadata, Output, Packet, Session, Stream, Walk,
};
pub(crate) use types::{STRUCTS, SYMBOLS};
pub use walk::walk;

/// What the names of the modules begin with that hold the tracer's structures and variables. The many modules of probes hold none.
pub(crate) const MODULES: &[&str] =
    &["lttng_tracer", "lttng_lib_ring_buffer", "lttng_ring_buffer_", "lttng_wrapper", "lttng_clock"];
