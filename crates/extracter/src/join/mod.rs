//! Joins a trace that a crash tore on disk with what the core still holds of it.
//!
//! ```text
//!  TRACE/cpu_0   ─► Scan ──┐ whole records, cuts
//!                          ├─► Sequence ─► by layout ─► File: ranges of the old file, records of the core, made up metadata
//!  core's ring   ─► keys ──┘     │
//!                                └─► gap: what is lost for good, as far as positions prove it
//! ```
//!
//! A record is known by its stream and the time at which it was begun, or by its number where it has one. Of one that is on both sides the disk's is kept, unless only the
//! core's can be decoded to its end. What is in no whole record is cut; nothing that is whole ever is.
//!
//! [`Join::repair`] does the same without a core: it only cuts.
//!
//! `ltt` and `lttng` plan the files of a trace of their family; everything else is common to both.

mod file;
mod gap;
mod ltt;
mod lttng;
mod plan;
mod report;
mod run;

pub use gap::{Gap, LostRange};
pub use report::{
    Added, Both, CutReport, Different, DiskPart, IndexJoin, JoinReport, JoinTotals, Layout, Made,
    MetadataJoin, Outcome, Side, StreamJoin,
};
pub use run::{Folder, Join, Target};
