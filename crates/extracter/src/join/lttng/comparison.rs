//! Whether a file is already what would be written.

use std::io::{self, Write};
use std::ops::Range;

use analyser::OpenTracefile;
use lttformat::ReadAt as _;
use rustix::fd::BorrowedFd;
use rustix::fs::Stat;

use crate::disk::{Sink, copy_through_memory};

/// Takes what would be written, and compares it with a file.
pub(super) struct Comparison<'f> {
    pub(super) file: &'f OpenTracefile,
    /// Bytes that were compared so far.
    pub(super) at: u64,
    pub(super) is_same: bool,
}

impl Write for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.at.saturating_add(bytes.len() as u64);
        if end > self.file.len() {
            self.is_same = false;
        }
        if self.is_same {
            let mut there = vec![0; bytes.len()];
            self.file.read_exact_at(self.at, &mut there)?;
            self.is_same = there == bytes;
        }
        self.at = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Comparison<'_> {
    fn copy(&mut self, from: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
        copy_through_memory(from, range, self)
    }

    fn resemble(&mut self, _: &Stat) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
