//! LTTng 0.x (`ltt-relay`) buffers, all eras.
//!
//! ```text
//! trace list ──► trace ──► channels ──► buffer of each CPU ──► positions, counters ──► sub-buffers in order
//! debugfs, relay channels, open files ─────►┘                  page container ───────┘
//! ```
//!
//! | era | kernels' tracer | page container |
//! |---|---|---|
//! | Z | 0.10 – 0.26 | the kernel's own relay, mapped contiguously |
//! | A | 0.27 – 0.109 | list of pages |
//! | unknown | 0.110 – 0.145 | an array that only the debug information describes |
//! | B | 0.146 – 0.164 | page table for each sub-buffer, relay channel |
//! | C | 0.165 – lttng-modules 0.19 | the same without relay channel |
//!
//! Eras are told apart by the types that exist, transports by their names, homonymous structures by the compile unit and by
//! whether the numbers read through them make sense.

mod by_header;
mod channel;
mod era_a;
mod era_b;
mod era_unknown;
mod era_z;
mod header;
mod kernel;
mod model;
mod path;
mod reader;
mod roots;
#[cfg(test)]
mod simulation;
mod stream;
#[cfg(test)]
mod synthetic;
#[cfg(test)]
mod synthetic_types;
mod tables;
mod trace;
mod types;
mod walk;
#[cfg(test)]
mod walk_tests;
mod witness;

use kernel::Kernel;

pub(crate) use channel::RELAY_VERSION;
pub(crate) use header::STRUCTS as HEADER_STRUCTS;
pub(crate) use kernel::SYMBOLS;
pub use model::{Channel, Clock, Stream, Trace, Walk};
pub(crate) use roots::Recogniser;
pub(crate) use types::STRUCTS;
pub use walk::walk;

/// What the names of the tracer's modules begin with.
pub(crate) const MODULES: &[&str] = &["ltt_"];
