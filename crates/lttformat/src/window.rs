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

/// The window begins and ends on multiples of this, in the file and in memory: on some processors the kernel copies four times
/// as fast where the two have the same alignment.
const PAGE: usize = 4096;

/// A stretch of a file in memory, and the file behind it.
///
/// Cost: front to back, each byte is read once, and moved once at most. Memory: twice what is asked for at a time, and 256 KiB.
#[derive(Clone, Debug)]
pub(crate) struct Window<R> {
    file: R,
    /// Asked once: a file that grows meanwhile is read up to where it ended.
    len: u64,
    /// Offset in the file of the first byte held, a multiple of [`PAGE`].
    start: u64,
    /// Bytes held.
    held: usize,
    room: Room,
}

impl<R: ReadAt> Window<R> {
    pub(crate) fn new(file: R) -> Window<R> {
        let len = file.len();
        Window { file, len, start: 0, held: 0, room: Room::default() }
    }

    /// Bytes of the file.
    pub(crate) fn file_len(&self) -> u64 {
        self.len
    }

    /// The `len` bytes from `offset` on, fewer at the end of the file.
    ///
    /// Errors: what reading failed with.
    pub(crate) fn get(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let stretch = self.stretch(offset, len)?;
        Ok(stretch.get(..len).unwrap_or(stretch))
    }

    /// All bytes from `offset` on that are in memory after at least `least` of them are; fewer at the end of the file.
    ///
    /// Errors: what reading failed with.
    pub(crate) fn stretch(&mut self, offset: u64, least: usize) -> io::Result<&[u8]> {
        let rest = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let least = least.min(rest);
        if least == 0 {
            return Ok(&[]);
        }
        if self.held(offset).len() < least {
            self.read(offset, least)?;
        }
        Ok(self.held(offset))
    }

    /// Copies as many bytes from `offset` on as the buffer and the file have, and returns their number. What is in memory stays.
    ///
    /// Errors: what reading failed with.
    pub(crate) fn glance(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = buffer.len().min(rest);
        let Some(buffer) = buffer.get_mut(..len) else { return Ok(0) };
        match self.held(offset).get(..len) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => self.file.read_exact_at(offset, buffer)?,
        }
        Ok(len)
    }

    /// The bytes in memory from `offset` on.
    fn held(&self, offset: u64) -> &[u8] {
        let place = offset.checked_sub(self.start).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.room.bytes().get(place..self.held)).unwrap_or_default()
    }

    /// Reads on until `len` bytes from `offset` on are in memory, at least one of which is not yet; the file has them.
    fn read(&mut self, offset: u64, len: usize) -> io::Result<()> {
        let page = offset - offset % PAGE as u64;
        let kept = self.held(page).len();
        let dropped = if kept == 0 { self.held } else { self.held - kept };
        // Moving what is kept pays when as much is dropped.
        if dropped >= kept {
            self.room.shift(dropped, kept);
            (self.start, self.held) = (page, kept);
        }
        let place = |offset: u64| usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        // A little more than what fits records, so that the header behind them is in it.
        let ahead = if kept == 0 { AHEAD + PAGE } else { self.held.saturating_add(AHEAD) };
        let end = place(offset).saturating_add(len).max(ahead).checked_next_multiple_of(PAGE);
        let end = end.unwrap_or(usize::MAX).min(place(self.len));
        self.room.grow(end);
        let missing = self.room.bytes_mut().get_mut(self.held..end).unwrap_or_default();
        self.file.read_exact_at(self.start + self.held as u64, missing)?;
        self.held = end;
        Ok(())
    }
}

/// Memory that begins on a page.
#[derive(Debug, Default)]
struct Room {
    bytes: Vec<u8>,
    start: usize,
}

impl Room {
    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..).unwrap_or_default()
    }

    /// Makes it at least `len` bytes large. It doubles, so that growing in steps copies each byte a few times only.
    fn grow(&mut self, len: usize) {
        if self.bytes().len() >= len {
            return;
        }
        let len = len.max(self.bytes().len().saturating_mul(2));
        let mut bytes = vec![0; len.saturating_add(PAGE)];
        // Not aligned where the pointer's alignment cannot be known: that is slower, no more.
        let start = Some(bytes.as_ptr().align_offset(PAGE)).filter(|&start| start < PAGE).unwrap_or(0);
        let old = self.bytes();
        if let Some(new) = bytes.get_mut(start..).and_then(|new| new.get_mut(..old.len())) {
            new.copy_from_slice(old);
        }
        *self = Room { bytes, start };
    }

    /// Drops some bytes at the front, behind which `kept` bytes are to be kept.
    fn shift(&mut self, dropped: usize, kept: usize) {
        let bytes = self.bytes_mut();
        if dropped > 0 && dropped.checked_add(kept).is_some_and(|end| end <= bytes.len()) {
            bytes.copy_within(dropped..dropped + kept, 0);
        }
    }
}

impl Clone for Room {
    /// The copy's memory need not begin where the original's does.
    fn clone(&self) -> Room {
        let mut room = Room::default();
        let old = self.bytes();
        room.grow(old.len());
        if let Some(new) = room.bytes_mut().get_mut(..old.len()) {
            new.copy_from_slice(old);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Ask {
        Get,
        Stretch,
        Glance,
    }

    proptest! {
        #[test]
        fn any_ranges(
            asks in prop::collection::vec((prop::sample::select(vec![Ask::Get, Ask::Stretch, Ask::Glance]),
                prop_oneof![0..1_100_000_usize, 0..300_000_usize], prop_oneof![0..300_000_usize, 0..200_usize]), 1..30)
        ) {
            let file: Vec<u8> = (0..1_000_000_u32).map(|place| place.to_le_bytes()[place as usize % 3]).collect();
            let mut window = Window::new(&file);
            for (ask, offset, len) in asks {
                let rest = file.get(offset..).unwrap_or_default();
                let expected = rest.get(..len).unwrap_or(rest);
                match ask {
                    Ask::Get => prop_assert_eq!(window.get(offset as u64, len).unwrap(), expected),
                    Ask::Stretch => {
                        let stretch = window.stretch(offset as u64, len).unwrap();
                        prop_assert!(stretch.starts_with(expected) && rest.starts_with(stretch));
                    }
                    Ask::Glance => {
                        let mut buffer = vec![0; len];
                        let glanced = window.glance(offset as u64, &mut buffer).unwrap();
                        prop_assert_eq!(&buffer[..glanced], expected);
                    }
                }
                window = window.clone();
            }
        }
    }

    /// Counts what is read.
    struct Counting<'a>(&'a [u8], std::cell::Cell<usize>);

    impl ReadAt for Counting<'_> {
        fn len(&self) -> u64 {
            ReadAt::len(self.0)
        }

        fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.1.set(self.1.get() + buffer.len());
            self.0.read_exact_at(offset, buffer)
        }
    }

    #[test]
    fn front_to_back_each_byte_is_read_once() {
        let file = vec![1; 5_000_001];
        for step in [60, 4096, 65536, 100_000, 131_072, 1 << 20, 3_000_000] {
            let counting = Counting(&file, Default::default());
            let mut window = Window::new(&counting);
            for offset in (0..file.len()).step_by(step) {
                assert_eq!(
                    window.get(offset as u64, step + 128).unwrap().len(),
                    (step + 128).min(file.len() - offset)
                );
            }
            assert_eq!(counting.1.get(), file.len(), "{step}");
            assert!(window.room.bytes.len() <= 2 * step + 3 * AHEAD, "{step}: {}", window.room.bytes.len());
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_each_time() {
        struct Torn;
        impl ReadAt for Torn {
            fn len(&self) -> u64 {
                1000
            }
            fn read_exact_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
                Err(io::ErrorKind::Other.into())
            }
        }
        let mut window = Window::new(Torn);
        assert!(window.get(0, 10).is_err() && window.get(0, 10).is_err());
        assert!(window.glance(990, &mut [0; 20]).is_err());
        assert_eq!(window.get(1000, 10).unwrap(), []);
    }
}
