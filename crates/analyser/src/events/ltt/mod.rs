//! LTT: records of sub-buffers, from the ring of a kernel or from a trace file, to entries.

mod core;
mod file;
mod records;
mod stream;

pub(super) use self::core::of_trace;
pub(super) use file::of_directory;
pub(super) use stream::Label;
