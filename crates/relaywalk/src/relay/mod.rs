//! Classic relay channels (`kernel/relay.c`): blktrace, SystemTap, driver logs.
//!
//! ```text
//! list of channels ─► channel ─► buffer of each CPU ─► produced, consumed, padding ─► sub-buffers in order
//! debugfs ──────────────────────►┘
//! ```

mod buffer;
mod model;
mod sequence;
mod types;
mod walk;
#[cfg(test)]
mod walk_tests;

pub use model::{Channel, Stream, Walk};
pub use sequence::{Counts, Plan, Span, plan};
pub(crate) use types::{Recogniser, STRUCTS, SYMBOLS};
pub use walk::walk;
