//! How far the writing is, and whether it is still wanted.

use crate::error::{Error, Result};

/// Told about each sub-buffer that is done. Called from several threads.
pub trait Progress: Sync {
    /// `bytes` more of [`Plan::total_bytes`](crate::Plan::total_bytes) are done; `file` is the path below the output.
    fn advance(&self, bytes: u64, file: &str);

    /// Whether to stop: asked after each sub-buffer. The run then takes back what is half written, and ends with
    /// [`Error::Cancelled`].
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Goes on, or not.
pub(crate) fn checkpoint(progress: &dyn Progress) -> Result<()> {
    if progress.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn advance(&self, _bytes: u64, _file: &str) {}
}
