//! A stretch of a file in memory.

use std::io;
use std::ops::Range;

/// A file that is read at any place, without a cursor.
pub trait ReadAt {
    /// Bytes of the file.
    fn len(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// Errors: what reading failed with; the file ends before the buffer is full.
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ReadAt for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let bytes = rest.and_then(|rest| rest.get(..buffer.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn len(&self) -> u64 {
        T::len(self)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        T::read_exact_at(self, offset, buffer)
    }
}

/// A part of a file, read so far as it was asked for, and kept until it is forgotten.
#[derive(Debug)]
pub(super) struct Window<R> {
    file: R,
    start: u64,
    bytes: Vec<u8>,
}

impl<R: ReadAt> Window<R> {
    pub(super) fn new(file: R) -> Window<R> {
        Window { file, start: 0, bytes: Vec::new() }
    }

    pub(super) fn file_len(&self) -> u64 {
        self.file.len()
    }

    /// The bytes before `offset` are not needed any more.
    ///
    /// They go when they are as many as the others, so that each is moved once at most.
    pub(super) fn forget(&mut self, offset: u64) {
        let old = offset.saturating_sub(self.start);
        let old = usize::try_from(old).unwrap_or(usize::MAX).min(self.bytes.len());
        if old >= self.bytes.len() - old {
            self.bytes.drain(..old);
            self.start += old as u64;
        }
    }

    /// The bytes of a range; what is not kept yet is read.
    ///
    /// Errors: what reading failed with; the range does not lie in the file.
    pub(super) fn get(&mut self, range: Range<u64>) -> io::Result<&[u8]> {
        let outside = || io::Error::from(io::ErrorKind::UnexpectedEof);
        if range.end > self.file.len() || range.start > range.end {
            return Err(outside());
        }
        let kept = self.start..=self.start + self.bytes.len() as u64;
        if !kept.contains(&range.start) {
            self.bytes.clear();
            self.start = range.start;
        }
        let place = |offset: u64| usize::try_from(offset - self.start).map_err(|_| outside());
        let (start, end) = (place(range.start)?, place(range.end)?);
        let held = self.bytes.len();
        if end > held {
            self.bytes.resize(end, 0);
            let missing = self.bytes.get_mut(held..).unwrap_or_default();
            if let Err(error) = self.file.read_exact_at(self.start + held as u64, missing) {
                self.bytes.truncate(held);
                return Err(error);
            }
        }
        self.bytes.get(start..end).ok_or_else(outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_ranges(ranges in prop::collection::vec((0..1000_u16, 0..1100_u16, 0..1100_u16), 1..20)) {
            let file: Vec<u8> = (0..1000_u16).map(|place| place.to_le_bytes()[0]).collect();
            let mut window = Window::new(&file[..]);
            for (start, end, old) in ranges {
                let expected = file.get(usize::from(start)..usize::from(end));
                prop_assert_eq!(window.get(start.into()..end.into()).ok(), expected);
                window.forget(old.into());
            }
        }
    }
}
