//! What a slice holds.

use serde::Serialize;

/// What [`Slice::write`](super::Slice::write) did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SliceReport {
    /// The file as the user wrote it.
    pub output: String,
    /// Its format, in words.
    pub format: String,
    /// All bytes that were not read are zeros.
    pub bytes_only: bool,
    /// The kernel's log is in it.
    pub kernel_log: bool,
    /// Traces of LTTng 0.x in it.
    pub traces: usize,
    /// Sessions of LTTng 2.x in it.
    pub sessions: usize,
    /// Streams of both.
    pub streams: usize,
    /// Sub-buffers of these with anything in them.
    pub records: u64,
    /// Pages of memory in it.
    pub pages: u64,
    /// Pages that are marked as missing, because they were looked for and are not in the core.
    pub missing_pages: u64,
    /// Bytes of memory that were read.
    pub bytes_read: u64,
    /// Length of the file.
    pub file_bytes: u64,
    /// Length of the core's files.
    pub core_bytes: u64,
}
