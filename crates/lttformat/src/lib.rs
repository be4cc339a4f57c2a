//! The trace files of LTT on disk: headers, events, metadata, damage.

mod error;
pub mod ltt;

pub use error::{Error, Result};
