//! One writer at a time.

use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result, while_doing};

/// Held while a trace is changed in place. The system releases it when the process ends, however it ends.
///
/// It is advisory: it keeps two runs apart, not other programs away. It leaves no file behind: the folder itself is locked.
#[derive(Debug)]
pub(crate) struct Lock {
    _folder: OwnedFd,
}

impl Lock {
    /// Errors: another run has it. File systems that know no locks are taken as they are.
    pub(crate) fn take(folder: &Path) -> Result<Lock> {
        let failed = || while_doing("opening", folder);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor =
            rustix::fs::open(folder, flags, Mode::empty()).map_err(|errno| failed()(errno.into()))?;
        match rustix::fs::flock(&descriptor, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(Error::Busy { path: folder.to_path_buf() }),
            Ok(()) | Err(_) => Ok(Lock { _folder: descriptor }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let lock = Lock::take(scratch.path()).unwrap();
        let error = Lock::take(scratch.path()).unwrap_err();
        assert!(error.to_string().ends_with("another run is changing it"), "{error}");
        drop(lock);
        Lock::take(scratch.path()).unwrap();
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
