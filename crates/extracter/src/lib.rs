//! Writes the traces of a kernel core as trace directories, the way the tracer's daemon lays them out.
//!
//! *Is:* a [`Plan`], which checks everything that can be checked before a byte is written, and its [`Plan::run`], which
//! writes all files into a temporary directory beside the output and renames it once. A directory under its final
//! name is complete; whatever stood there before is never touched.
//!
//! *Is not:* a reader of cores or of buffers (`analyser`), nor a command line.
//!
//! ```text
//!   Traces ──► Plan: names, places ──► temporary directory ──► fsync ──► rename ──► OUTPUT/<trace>/…
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
//! let traces = kernel.traces(Routes::ALL);
//! let report = Plan::new(&kernel, &traces, &Options::new("rescued"))?.run(&Silent)?;
//! println!("{} bytes of events, complete: {}", report.totals.bytes.written, !report.has_losses());
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! Trace and file names come from the dead kernel and may hold anything. Each becomes one path component, the same one
//! every time; see [`file_name`] for the escaping. Two streams with the same path, or two traces with the same name,
//! do not share a file: the second goes to the directory `<trace>~2`, where a viewer takes it for a trace of its own.
//!
//! # Cost
//!
//! Memory: one sub-buffer per thread. Time: one read of each sub-buffer, and with [`Options::count_events`] one decode.

mod arrange;
mod destination;
mod disk;
mod error;
mod name;
mod plan;
mod progress;
mod report;
mod source;
mod write;

pub use destination::Destination;
pub use error::{Error, Result};
pub use name::file_name;
pub use plan::{Options, Plan, PlannedFile};
pub use progress::{Progress, Silent};
pub use report::{Bytes, BytesByState, Report, StreamReport, SubBuffers, Totals, TraceReport};
