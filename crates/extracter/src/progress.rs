//! How far the writing is.

/// Told about each sub-buffer that is done. Called from several threads.
pub trait Progress: Sync {
    /// `bytes` more of [`Plan::total_bytes`](crate::Plan::total_bytes) are done; `file` is the path below the output.
    fn advance(&self, bytes: u64, file: &str);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn advance(&self, _bytes: u64, _file: &str) {}
}
