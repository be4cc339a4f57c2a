//! Writes the traces of a kernel core as trace directories, the way the tracer's daemon lays them out, and joins a trace that a
//! crash tore on disk with what the core still holds of it.
//!
//! *Is:* a [`Plan`], which checks everything that can be checked before a byte is written, and its [`Plan::run`], which
//! writes all files into a temporary directory beside the output and renames it once. A directory under its final
//! name is complete; whatever stood there before is never touched. And a [`Join`] of the same shape, for a trace on disk.
//!
//! *Is not:* a reader of cores or of buffers (`analyser`), nor a command line.
//!
//! ```text
//!   Traces,
//!   Sessions ─► Plan: names, places ──► temporary directory ──► fsync ──► rename ──► OUTPUT/<trace>/…
//!                                      one file a stream,
//!                                      in parallel          └► Report: found = written + lost + unreadable + omitted
//! ```
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use analyser::{Kernel, OpenOptions, Routes};
//! use extracter::{Options, Plan, Silent};
//!
//! let kernel = Kernel::open(&OpenOptions {
//!     cores: vec!["vmcore".into()],
//!     debuginfo: vec!["vmlinux".into()],
//!     ..OpenOptions::default()
//! })?;
//! let (traces, sessions) = (kernel.traces(Routes::ALL), kernel.sessions(Routes::ALL));
//! let report = Plan::new(&kernel, (&traces, &sessions), &Options::new("rescued"))?.run(&Silent)?;
//! println!("{} bytes of events, complete: {}", report.totals.bytes.written, !report.has_losses());
//! # Ok(())
//! # }
//! ```
//!
//! # Joining
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use analyser::{Directory, Kernel, OpenOptions, Routes, pairing};
//! # let kernel = Kernel::open(&OpenOptions::default())?;
//! # let traces = kernel.traces(Routes::ALL);
//! use extracter::{Join, Layout, Silent, Target};
//!
//! let directory = Directory::open("/traces/k1".as_ref())?;
//! let trace = pairing(&directory, &traces, None)?;
//! let target = Target::New("/traces/k1-joined".into());
//! let join = Join::with_core(&directory, &kernel, trace, target, Layout::Merged)?;
//! println!("{} records to add, {} bytes to cut", join.report().totals.added, join.report().totals.bytes_cut);
//! join.run(&Silent)?;
//! # Ok(())
//! # }
//! ```
//!
//! Of LTTng 2.x it is `lttng::Directory::open`, `lttng::pairing` and [`Join::with_session`]; everything else is the same. Both sides are
//! told apart by the numbers of their packets; the metadata are continued from the kernel's cache, and each index is made again where it
//! is not that of its file.
//!
//! With [`Target::InPlace`] the trace itself is changed. What is cut from it is first kept in a folder `<trace>.cut` beside it; then every
//! file that changes is written anew beside the old one and renamed over it. Whenever that stops, by a kill or a power cut, each file is the
//! old or the new one, and running it again does the rest; running it once more changes nothing.
//!
//! # Slices
//!
//! A [`Slice`] is a core of what the commands read of another, for a bug report: see its module's picture. The one file that is written
//! gets its name when it was opened and told the same.
//!
//! # Names
//!
//! Trace and file names come from the dead kernel and may hold anything. Each becomes one path component, the same one
//! every time; see [`file_name`] for the escaping. Two streams with the same path, or two traces with the same name,
//! do not share a file: the second goes to the directory `<trace>~2`, where a viewer takes it for a trace of its own.
//!
//! # Cost
//!
//! Memory: one sub-buffer per thread, two for a join. Time: one read of each sub-buffer, and with [`Options::count_events`] one
//! decode; a join reads and decodes both sides once to plan, and copies what it writes.

mod arrange;
mod beneath;
mod cut;
mod destination;
mod disk;
mod error;
#[cfg(test)]
mod faulty;
mod inplace;
mod join;
mod lock;
mod name;
mod newfile;
mod partial;
mod plan;
mod progress;
mod report;
mod session;
mod slice;
mod source;
mod write;

pub use destination::Destination;
pub use error::{Error, Result};
pub use join::{
    Added, Both, CutReport, Different, DiskPart, Folder, Gap, IndexJoin, Join, JoinReport, JoinTotals,
    Layout, LostRange, Made, MetadataJoin, Outcome, Side, StreamJoin, Target,
};
pub use name::file_name;
pub use newfile::NewFile;
pub use plan::{Found, Options, Plan};
pub use progress::{Progress, Silent};
pub use report::{
    Bytes, BytesByState, MetadataReport, Report, StreamReport, SubBuffers, Totals, TraceReport,
};
pub use slice::{Slice, SliceOptions, SliceReport};
pub use write::PlannedFile;
