//! Reading ahead: stored pages that lie side by side in a file are fetched together.
//!
//! A page of a dump is stored in one or two KiB, and a call of the operating system for each costs as much as decoding it
//! with a fast codec. Buffers are usually made of pages that follow each other, upwards or downwards. So a read near the
//! last one is lent from the mapping, where one fault serves many pages, or without a mapping fetches what lies beyond as
//! well. Any other read fetches what was asked for and nothing else.

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
            let near = next.and_then(|_| content.lend_near(offset, len));
            if let Some(lent) = near.or_else(|| content.lend(offset, len)) {
                (self.file, self.start) = (Some(file), offset);
                self.bytes.clear();
                return Ok(lent);
            }
            let filled = next.is_some_and(|(start, end)| self.fill(file, content, start, end).is_ok());
            if !filled {
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
    use crate::bytes::Source;
    use proptest::prelude::*;
    use std::io::Write;

    fn byte(at: u64) -> u8 {
        u8::try_from(at * 7 % 251).unwrap()
    }

    /// A file that is mapped, and the same without a mapping.
    fn contents(bytes: &[u8]) -> [Content; 2] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        [false, true].map(|no_mmap| Content::new(Source::open(file.path(), no_mmap).unwrap()).unwrap())
    }

    #[test]
    fn continuing_reads_widen_the_window_and_others_do_not() {
        let bytes: Vec<u8> = (0..1 << 20).map(byte).collect();
        let [mapped, plain] = contents(&bytes);
        let mut ahead = Ahead::default();
        let mut window = |content: &Content, file: FileId, offset: u64| {
            let expected = [byte(offset), byte(offset + 1)];
            assert_eq!(ahead.fetch(file, content, offset, 2).unwrap(), expected);
            ahead.bytes.len() as u64
        };
        let file = FileId::new();
        for (offset, len) in [
            (500_000, 2),
            (500_010, WINDOW),
            (560_000, WINDOW),
            (499_000, WINDOW),
            (440_000, WINDOW),
            (900_000, 2),
            (0, 2),
            ((1 << 20) - 2, 2),
        ] {
            assert_eq!(window(&plain, file, offset), len, "{offset}");
        }
        let file = FileId::new();
        for offset in [500_000, 500_010, 499_000, 0] {
            assert_eq!(window(&mapped, file, offset), 0, "lent");
        }
        for content in [&plain, &mapped] {
            assert_eq!(ahead.fetch(FileId::new(), content, (1 << 20) - 1, 2), Err(Fault::End));
        }
    }

    #[test]
    fn files_are_told_apart() {
        for (one, two) in contents(&[1; 9999]).iter().zip(&contents(&[2; 9999])) {
            let (mut ahead, first, second) = (Ahead::default(), FileId::new(), FileId::new());
            for offset in [10, 20, 30, 10] {
                assert_eq!(ahead.fetch(first, one, offset, 4), Ok(&[1; 4][..]));
                assert_eq!(ahead.fetch(first, one, offset, 4), Ok(&[1; 4][..]));
                assert_eq!(ahead.fetch(second, two, offset, 4), Ok(&[2; 4][..]));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_bytes_are_those_of_the_file(
            len in 1_u64..300_000, reads in proptest::collection::vec((0_u64..300_000, 0_usize..9000), 1..40),
        ) {
            let bytes: Vec<u8> = (0..len).map(byte).collect();
            for content in contents(&bytes) {
                let (mut ahead, file) = (Ahead::default(), FileId::new());
                for (offset, size) in &reads {
                    let start = usize::try_from(*offset).unwrap();
                    let expected = bytes.get(start..start + size);
                    prop_assert_eq!(ahead.fetch(file, &content, *offset, *size).ok(), expected);
                    prop_assert!(ahead.bytes.len() as u64 <= WINDOW);
                }
            }
        }
    }
}
