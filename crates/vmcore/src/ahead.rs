//! Reading ahead: stored pages that lie side by side in a file are fetched together.
//!
//! A page of a dump is stored in one or two KiB, and a call of the operating system for each costs as much as decoding it
//! with a fast codec. Buffers are usually made of pages that follow each other, upwards or downwards. So a read near the
//! last one fetches what lies beyond as well; any other read fetches what was asked for and nothing else.

use crate::bytes::Fault;
use crate::content::Content;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes fetched at once.
const WINDOW: u64 = 64 << 10;
/// How far from the last window a read may be to count as its continuation. A quarter of the window bounds what is
/// fetched in vain by pages that are skipped.
const NEAR: u64 = WINDOW / 4;

/// Tells files apart, for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u64);

impl FileId {
    pub(crate) fn new() -> FileId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        FileId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A thread's window to the file that it reads.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    file: Option<FileId>,
    start: u64,
    bytes: Vec<u8>,
}

impl Ahead {
    /// The bytes at `offset`. `len` is at most some pages.
    pub(crate) fn fetch<'a>(
        &'a mut self,
        file: FileId,
        content: &'a Content,
        offset: u64,
        len: usize,
    ) -> Result<&'a [u8], Fault> {
        let end = offset.checked_add(len as u64).ok_or(Fault::End)?;
        if !self.holds(file, offset, end) {
            let next = self.continuation(file, offset, end, content.len());
            let filled = next.is_some_and(|(start, end)| self.fill(file, content, start, end).is_ok());
            if !filled {
                if let Some(lent) = content.lend(offset, len) {
                    (self.file, self.start) = (Some(file), offset);
                    self.bytes.clear();
                    return Ok(lent);
                }
                self.fill(file, content, offset, end)?;
            }
        }
        let within = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.bytes.get(within..).and_then(|rest| rest.get(..len)).ok_or(Fault::End)
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.bytes.len() as u64)
    }

    fn holds(&self, file: FileId, offset: u64, end: u64) -> bool {
        self.file == Some(file) && offset >= self.start && end <= self.end()
    }

    /// The next window, if the read continues the last one.
    fn continuation(&self, file: FileId, offset: u64, end: u64, len: u64) -> Option<(u64, u64)> {
        if self.file != Some(file) || end > len {
            return None;
        }
        if offset >= self.start && offset <= self.end().saturating_add(NEAR) {
            return Some((offset, offset.saturating_add(WINDOW).max(end).min(len)));
        }
        let is_before = offset < self.start && end.saturating_add(NEAR) >= self.start;
        is_before.then(|| (end.saturating_sub(WINDOW).min(offset), end))
    }

    fn fill(&mut self, file: FileId, content: &Content, start: u64, end: u64) -> Result<(), Fault> {
        // What is there is lost if the read fails half way.
        self.file = None;
        let len = usize::try_from(end.saturating_sub(start)).map_err(|_| Fault::End)?;
        self.bytes.resize(len, 0);
        content.read(start, &mut self.bytes)?;
        (self.file, self.start) = (Some(file), start);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn byte(at: u64) -> u8 {
        u8::try_from(at * 7 % 251).unwrap()
    }

    #[test]
    fn continuing_reads_widen_the_window_and_others_do_not() {
        let content = Content::from_bytes((0..1 << 20).map(byte).collect());
        let (mut ahead, file) = (Ahead::default(), FileId::new());
        let mut window = |offset: u64| {
            assert_eq!(ahead.fetch(file, &content, offset, 2).unwrap(), [byte(offset), byte(offset + 1)]);
            ahead.bytes.len() as u64
        };
        assert_eq!(window(500_000), 0, "lent");
        assert_eq!(window(500_010), WINDOW, "upwards");
        assert_eq!(window(499_000), WINDOW, "downwards");
        assert_eq!(window(440_000), WINDOW, "inside");
        assert_eq!(window(900_000), 0, "elsewhere");
        assert_eq!(window(0), 0);
        assert_eq!(window((1 << 20) - 2), 0);
        assert_eq!(ahead.fetch(file, &content, (1 << 20) - 1, 2), Err(Fault::End));
    }

    #[test]
    fn files_are_told_apart() {
        let (one, two) = (Content::from_bytes(vec![1; 9999]), Content::from_bytes(vec![2; 9999]));
        let (mut ahead, first, second) = (Ahead::default(), FileId::new(), FileId::new());
        for _ in 0..3 {
            for offset in [10, 20, 30] {
                assert_eq!(ahead.fetch(first, &one, offset, 4), Ok(&[1; 4][..]));
                assert_eq!(ahead.fetch(second, &two, offset, 4), Ok(&[2; 4][..]));
            }
        }
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_the_file(
            len in 0_u64..300_000, reads in proptest::collection::vec((0_u64..300_000, 0_usize..9000), 1..40),
        ) {
            let content = Content::from_bytes((0..len).map(byte).collect());
            let (mut ahead, file) = (Ahead::default(), FileId::new());
            for (offset, size) in reads {
                let expected: Option<Vec<u8>> =
                    (offset + size as u64 <= len).then(|| (offset..offset + size as u64).map(byte).collect());
                prop_assert_eq!(ahead.fetch(file, &content, offset, size).ok().map(<[u8]>::to_vec), expected);
                prop_assert!(ahead.bytes.len() as u64 <= WINDOW.max(9000));
            }
        }
    }
}
