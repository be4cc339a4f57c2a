//! LTTng 0.x traces, formats 1.0 and 2.0 to 2.6.

mod complete;
mod endian;
mod header;
mod version;

pub use complete::{Completion, complete};
pub use endian::Endian;
pub use header::{Header, Packed};
pub use version::Version;
