//! Files that are read front to back, a stretch at a time.

use std::io;

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

impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        ReadAt::len(&**self)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        ReadAt::read_exact_at(&**self, offset, buffer)
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

/// Bytes of a file read at a time: few system calls, and all of it stays in a second-level cache.
const AHEAD: usize = 256 << 10;

/// A stretch of a file in memory, and the file behind it.
///
/// Cost: front to back, each byte is read once, except the start of a piece that runs over the end of the stretch.
#[derive(Clone, Debug)]
pub(crate) struct Window<R> {
    file: R,
    /// Asked once: a file that grows meanwhile is read up to where it ended.
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<R: ReadAt> Window<R> {
    pub(crate) fn new(file: R) -> Window<R> {
        let len = file.len();
        Window { file, len, start: 0, bytes: Vec::new() }
    }

    /// Bytes of the file.
    pub(crate) fn file_len(&self) -> u64 {
        self.len
    }

    /// The `len` bytes from `offset` on, fewer at the end of the file.
    ///
    /// Errors: what reading failed with.
    pub(crate) fn get(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let rest = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = len.min(rest);
        if len == 0 {
            return Ok(&[]);
        }
        if self.place(offset, len).is_none() {
            let ahead = len.max(AHEAD).min(rest);
            self.bytes.resize(ahead, 0);
            self.start = offset;
            if let Err(error) = self.file.read_exact_at(offset, &mut self.bytes) {
                self.bytes.clear();
                return Err(error);
            }
        }
        let place = self.place(offset, len).unwrap_or_default();
        Ok(self.bytes.get(place..place + len).unwrap_or_default())
    }

    /// All bytes from `offset` on that one read brought, `least` of them unless the file ends before.
    pub(crate) fn stretch(&mut self, offset: u64, least: usize) -> io::Result<&[u8]> {
        if self.get(offset, least)?.is_empty() {
            return Ok(&[]);
        }
        let place = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        Ok(self.bytes.get(place..).unwrap_or_default())
    }

    fn place(&self, offset: u64, len: usize) -> Option<usize> {
        let place = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        (place.checked_add(len)? <= self.bytes.len()).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_ranges(gets in prop::collection::vec((0..1_100_000_usize, 0..300_000_usize), 1..20)) {
            let file: Vec<u8> = (0..1_000_000_u32).map(|place| place.to_le_bytes()[place as usize % 3]).collect();
            let mut window = Window::new(&file);
            for (offset, len) in gets {
                let expected = file.get(offset..file.len().min(offset + len)).unwrap_or_default();
                prop_assert_eq!(window.get(offset as u64, len).unwrap(), expected);
                let stretch = window.stretch(offset as u64, len).unwrap();
                prop_assert!(stretch.starts_with(expected) && file.get(offset..).unwrap_or_default().starts_with(stretch));
            }
        }
    }
}
