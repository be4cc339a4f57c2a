//! Address ranges and where their bytes lie in a file.

use crate::bytes::Fault;
use crate::content::Content;
use crate::{MemoryError, PageError};
use std::ops::Range;

/// One range of addresses as a program header gives it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    /// First address.
    pub(crate) start: u64,
    /// Bytes of memory.
    pub(crate) len: u64,
    /// Offset of the stored bytes in the file.
    pub(crate) offset: u64,
    /// How many bytes are stored, from the start.
    pub(crate) stored: u64,
    /// How many of these the file really has.
    pub(crate) present: u64,
}

/// Ranges of addresses, searchable.
///
/// Where pieces overlap, stored bytes win over missing ones; of several stored copies any is right.
#[derive(Debug, Default)]
pub(crate) struct Extents {
    /// Sorted and disjoint.
    present: Vec<Extent>,
    /// Stored beyond the end of the file. Sorted and disjoint, as the next.
    truncated: Vec<Range<u64>>,
    /// Memory without stored bytes.
    excluded: Vec<Range<u64>>,
}

#[derive(Clone, Copy, Debug)]
struct Extent {
    start: u64,
    end: u64,
    offset: u64,
}

impl Extents {
    /// Sorts the pieces.
    pub(crate) fn new(pieces: &[Piece]) -> Extents {
        let mut present: Vec<Extent> = Vec::with_capacity(pieces.len());
        let (mut truncated, mut excluded) = (Vec::new(), Vec::new());
        let mut sorted = pieces.to_vec();
        sorted.sort_by_key(|piece| piece.start);
        for piece in sorted {
            let at = |len: u64| piece.start.saturating_add(len);
            let (stored, memory) = (at(piece.stored), at(piece.len));
            let (mut start, end) = (piece.start, at(piece.present.min(piece.stored)));
            if let Some(last) = present.last() {
                start = start.max(last.end);
            }
            if start < end {
                present.push(Extent { start, end, offset: piece.offset.saturating_add(start - piece.start) });
            }
            truncated.push(at(piece.present)..stored);
            excluded.push(stored..memory);
        }
        Extents { present, truncated: merge(truncated), excluded: merge(excluded) }
    }

    /// The ranges whose bytes the file has: sorted, disjoint, merged.
    pub(crate) fn ranges(&self) -> Vec<Range<u64>> {
        merge(self.present.iter().map(|extent| extent.start..extent.end).collect())
    }

    /// One past the last address of any piece, stored or not.
    pub(crate) fn end(&self) -> u64 {
        let present = self.present.last().map_or(0, |extent| extent.end);
        let last = |ranges: &[Range<u64>]| ranges.last().map_or(0, |range| range.end);
        present.max(last(&self.truncated)).max(last(&self.excluded))
    }

    /// Whether a program header covers the address.
    #[cfg(test)]
    fn cause(&self, addr: u64) -> Option<PageError> {
        self.locate(addr).err()
    }

    /// Where the bytes at `addr` lie, and how many follow each other from there.
    fn locate(&self, addr: u64) -> Result<(u64, u64), PageError> {
        let next = self.present.partition_point(|extent| extent.start <= addr);
        if let Some(extent) = next.checked_sub(1).and_then(|before| self.present.get(before))
            && addr < extent.end
        {
            return Ok((extent.offset.saturating_add(addr - extent.start), extent.end - addr));
        }
        Err(if contains(&self.truncated, addr) {
            PageError::Truncated
        } else if contains(&self.excluded, addr) {
            PageError::Excluded
        } else {
            PageError::Absent
        })
    }

    /// Fills `buf`; one copy for each run of addresses that the file stores together.
    pub(crate) fn read(&self, content: &Content, addr: u64, buf: &mut [u8]) -> Result<(), MemoryError> {
        let (mut addr, mut rest) = (addr, buf);
        while !rest.is_empty() {
            let fail = |cause| MemoryError { addr, cause };
            let (offset, run) = self.locate(addr).map_err(fail)?;
            let len = usize::try_from(run).unwrap_or(usize::MAX).min(rest.len());
            let (piece, tail) = rest.split_at_mut(len);
            content.read(offset, piece).map_err(|fault: Fault| fail(fault.into()))?;
            // Cannot wrap: the end of an extent is an address.
            addr = addr.saturating_add(len as u64);
            rest = tail;
        }
        Ok(())
    }
}

/// Sorts ranges, drops empty ones and joins those that touch.
pub(crate) fn merge(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    ranges
}

fn contains(ranges: &[Range<u64>], addr: u64) -> bool {
    let next = ranges.partition_point(|range| range.start <= addr);
    next.checked_sub(1).and_then(|before| ranges.get(before)).is_some_and(|range| addr < range.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(start: u64, len: u64, offset: u64, stored: u64) -> Piece {
        Piece { start, len, offset, stored, present: stored }
    }

    #[test]
    fn reads_cross_pieces_that_touch() {
        let content = Content::from_bytes(b"0123456789".to_vec());
        let extents = Extents::new(&[piece(104, 4, 0, 4), piece(100, 4, 6, 4)]);
        let mut buf = [0; 6];
        extents.read(&content, 101, &mut buf).unwrap();
        assert_eq!(&buf, b"789012");
        assert_eq!(extents.ranges().first(), Some(&(100..108)));
        let error = extents.read(&content, 104, &mut buf).unwrap_err();
        assert_eq!(error, MemoryError { addr: 108, cause: PageError::Absent });
    }

    #[test]
    fn stored_bytes_win_over_missing_ones() {
        let content = Content::from_bytes(b"0123456789".to_vec());
        // Memory 100..120 of which nothing is stored, and a copy of 105..110.
        let extents = Extents::new(&[piece(100, 20, 0, 0), piece(105, 5, 5, 5)]);
        let mut buf = [0; 5];
        extents.read(&content, 105, &mut buf).unwrap();
        assert_eq!(&buf, b"56789");
        assert_eq!(extents.cause(104), Some(PageError::Excluded));
        assert_eq!(extents.cause(110), Some(PageError::Excluded));
        assert_eq!(extents.cause(120), Some(PageError::Absent));
    }

    #[test]
    fn what_overlaps_is_stored_once() {
        let content = Content::from_bytes(b"abcdABCDEF".to_vec());
        let extents = Extents::new(&[piece(0, 4, 0, 4), piece(2, 6, 4, 6), piece(3, 1, 0, 1)]);
        let mut buf = [0; 8];
        extents.read(&content, 0, &mut buf).unwrap();
        assert_eq!(&buf, b"abcdCDEF");
    }

    #[test]
    fn a_cut_piece_is_truncated_before_it_is_excluded() {
        let extents = Extents::new(&[Piece { start: 0, len: 10, offset: 0, stored: 6, present: 2 }]);
        let causes: Vec<_> = [1, 2, 5, 6, 9, 10].map(|addr| extents.cause(addr)).to_vec();
        use PageError::{Absent, Excluded, Truncated};
        assert_eq!(
            causes,
            [None, Some(Truncated), Some(Truncated), Some(Excluded), Some(Excluded), Some(Absent)]
        );
    }

    #[test]
    fn pieces_at_the_end_of_the_address_space_do_not_wrap() {
        let content = Content::from_bytes(vec![1; 16]);
        let extents = Extents::new(&[piece(u64::MAX - 3, 16, 0, 16)]);
        let mut buf = [0; 4];
        let error = extents.read(&content, u64::MAX - 3, &mut buf).unwrap_err();
        assert_eq!(error.cause, PageError::Absent);
        extents.read(&content, u64::MAX - 3, &mut buf[..3]).unwrap();
    }
}
