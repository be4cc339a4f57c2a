//! Opens a kernel core with its type information and yields the traces inside.
//!
//! This is the crate to embed. It joins memory (`vmcore`), types (`kdebug`), ring buffers (`relaywalk`) and trace formats
//! (`lttformat`) behind one model:
//!
//! ```text
//! Kernel ─► Traces ─► Trace ─► Channel ─► Stream (one CPU) ─► SubBuffer ─► Record (bytes as the daemon would have written)
//!    ├────► lttng::Sessions ─► Session ─► Channel ─► Stream ─► Packet ─► Record (LTTng 2.x: see lttng)
//!    └────► Debugfs ─► Entry ─► RelayFile
//! Directory (a trace on disk) ─► Tracefile ─► whole records and cuts ─► Check
//! ```
//!
//! [`pairing`] finds the trace in the core that a directory belongs to; [`events`] are decoded from either, in the order of time.
//!
//! It is not a writer of files (see `extracter`) and prints nothing.
//!
//! # Example
//!
//! ```
//! use analyser::{Kernel, OpenOptions, Routes};
//!
//! # fn main() -> analyser::Result<()> {
//! # let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
//! let options = OpenOptions {
//!     cores: vec![format!("{fixtures}/K1-2cpu/core.kdump-zlib").into()],
//!     debuginfo: vec![format!("{fixtures}/types-2.6.27.isf.json").into()],
//!     ..Default::default()
//! };
//! let kernel = Kernel::open(&options)?;
//! let traces = kernel.traces(Routes::ALL);
//! let mut events = 0;
//! for trace in &traces.traces {
//!     for (channel, stream) in trace.streams() {
//!         let mut recorder = trace.recorder(&kernel, channel, stream).count_events(true);
//!         for sub_buffer in stream.sub_buffers() {
//!             events += recorder.record(sub_buffer).events.unwrap_or(0);
//!         }
//!     }
//! }
//! assert_eq!(events, 8829 + 8113);
//! # Ok(())
//! # }
//! ```
//!
//! The same kernel's debugfs is a tree of entries; those that are trace buffers can be opened and read, as the daemon would have read
//! them:
//!
//! ```
//! use std::io::Read as _;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
//! # let kernel = analyser::Kernel::open(&analyser::OpenOptions {
//! #     cores: vec![format!("{fixtures}/K1-2cpu/core.kdump-zlib").into()],
//! #     debuginfo: vec![format!("{fixtures}/types-2.6.27.isf.json").into()],
//! #     ..Default::default()
//! # })?;
//! let debugfs = kernel.debugfs()?;
//! let mut files = 0;
//! for entry in debugfs.entries().filter(|entry| entry.what.is_buffer()) {
//!     let mut bytes = Vec::new();
//!     debugfs.open(&entry)?.read_to_end(&mut bytes)?;
//!     // `/ltt/k1/cpu_0` is what becomes `k1/cpu_0` on disk.
//!     let path = entry.path.strip_prefix("/ltt/").unwrap_or(&entry.path);
//!     assert_eq!(bytes, std::fs::read(format!("{fixtures}/K1-2cpu/expected-intact/{path}"))?);
//!     files += 1;
//! }
//! assert_eq!(files, 24);
//! # Ok(())
//! # }
//! ```
//!
//! # Damage
//!
//! An `Err` means that an operation has no result. Whatever is found damaged on the way loses that piece and nothing else: it is
//! reported as [`Damage`] with its place, or as a [`Note`] of a record, and the account of each record adds up:
//! found = valid + lost + unreadable.
//!
//! # Cost
//!
//! Opening reads the core's headers and makes one pass over the type information. Finding traces follows pointers. A record costs
//! one copy of its sub-buffer; nothing grows with the size of the core.
//!
//! # Threads
//!
//! A [`Kernel`] and its [`Traces`] are shared by reference; each thread makes its own [`Recorder`].

mod check;
mod debugfs;
mod debuginfo;
mod directory;
mod error;
pub mod events;
mod folder;
mod input;
mod kernel;
mod log;
pub mod lttng;
mod matching;
mod model;
mod modules;
mod notes;
mod open;
mod pairing;
mod profile;
mod record;
mod report;
pub mod slice;
mod target;
mod time;
mod traces;
mod wanted;

pub use check::{Aside, Check, CutSummary, FileCheck, Moment, Totals, TraceFormat};
pub use debugfs::{Debugfs, Entries, Entry, EntryKind, RelayFile, What};
pub use directory::{Directory, Identity, Tracefile};
pub use error::{Error, Result};
pub use folder::{OpenTracefile, Other, OtherKind, Refused, RefusedKind};
pub use kernel::{CoreSummary, Kernel, KernelSummary};
pub use log::KernelLog;
pub use lttformat::ltt::scan::Depth;
pub use model::{Cause, Channel, Damage, Routes, State, Stream, SubBuffer, Trace, Traces};
pub use modules::Module;
pub use open::OpenOptions;
pub use pairing::pairing;
pub use profile::{Profile, ProfileSummary};
pub use record::{Note, NoteKind, Record, Recorder};
pub use relaywalk::ltt::Clock;
pub use report::{Info, StreamSummary, TraceSummary};
pub use time::TraceClock;
