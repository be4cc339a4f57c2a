//! LTTng 2.x sessions: the siblings of the LTT 0.x types in the crate's root, with the same names.
//!
//! ```text
//! Kernel ─► Sessions ─► Session ─► Channel ─► Stream (one CPU) ─► Packet ─► Record (bytes as the consumer daemon would have written)
//!                          └────► SessionMetadata, TraceClass (what the packets look like)
//! ```
//!
//! A session becomes one CTF trace: `<session>-<time>/kernel/` with `metadata`, a file for each stream and its index.
//! [`Directory`] is such a trace on disk.

mod check;
mod directory;
mod metadata;
mod model;
mod naming;
mod pairing;
mod record;
mod report;
mod sessions;

pub use check::{Check, FileCheck, IndexCheck, MetadataCheck, Totals, TraceFormat};
pub use directory::{Directory, IndexFile, MetadataFile, StreamName, Tracefile};
pub use lttformat::ctf::scan::Depth;
pub use metadata::SessionMetadata;
pub(crate) use model::is_missing_type;
pub use model::{Channel, Packet, Session, Sessions, Stream};
pub use pairing::pairing;
pub use record::{Note, NoteKind, Record, Recorder};
pub use relaywalk::lttng::{HeaderType, Layouts};
pub use report::{ChannelSummary, MetadataSummary, SessionStreamSummary, SessionSummary};
