//! The pages of one sub-buffer, in order, and reading across them.

use std::ops::Range;
use std::sync::Arc;

use crate::{PhysAddr, ReadError, ReadErrorKind, Target, VirtAddr};

/// Where one page of a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageRef {
    /// By physical address.
    Phys(PhysAddr),
    /// By kernel virtual address.
    Virt(VirtAddr),
    /// Nowhere: its pointer could not be read or makes no sense.
    Missing,
}

/// Pages that make up one sub-buffer. Cheap to clone.
///
/// Shape: the sub-buffer starts `start` bytes into the first page (0 except for sub-buffers smaller than a page and for
/// classic relay buffers) and covers `len` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageList {
    pages: Arc<[PageRef]>,
    page_size: u64,
    start: u64,
    len: u64,
}

/// Part of a read that has no known content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Bytes of the sub-buffer concerned. They are zero in the output.
    pub range: Range<u64>,
    /// Why; `None` when the page pointer itself is missing.
    pub error: Option<ReadError>,
    /// Whether the zeros are very likely right: the dump's filter left the page out, and the only buffer pages that it
    /// leaves out are pages of zeros.
    pub zero_filled: bool,
}

impl PageList {
    /// A list over `pages`, each of `page_size` bytes, that covers `len` bytes from `start` bytes into the first page.
    #[must_use]
    pub fn new(pages: Arc<[PageRef]>, page_size: u64, start: u64, len: u64) -> PageList {
        PageList { pages, page_size: page_size.max(1), start, len }
    }

    /// Bytes covered.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing is covered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pages themselves, in order.
    #[must_use]
    pub fn pages(&self) -> &[PageRef] {
        &self.pages
    }

    /// Fills `buf` with the bytes from `offset` of the sub-buffer on. What cannot be read becomes zeros and a [`Hole`].
    ///
    /// Units: bytes from the start of the sub-buffer. Cost: one target read per page touched; nothing else is allocated unless
    /// there are holes.
    pub fn read(&self, target: &dyn Target, offset: u64, buf: &mut [u8]) -> Vec<Hole> {
        let mut holes: Vec<Hole> = Vec::new();
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let absolute = self.start.saturating_add(at);
            let within = absolute % self.page_size;
            let room = usize::try_from(self.page_size - within).unwrap_or(usize::MAX);
            let (piece, tail) = rest.split_at_mut(room.min(rest.len()));
            let piece_len = piece.len() as u64;
            let inside = at.checked_add(piece_len).is_some_and(|end| end <= self.len);
            let page = usize::try_from(absolute / self.page_size).ok().and_then(|page| self.pages.get(page));
            let outcome = match page.filter(|_| inside) {
                Some(PageRef::Phys(addr)) => target.read_phys(addr.offset(within), piece).map_err(Some),
                Some(PageRef::Virt(addr)) => target.read_virt(addr.offset(within), piece).map_err(Some),
                Some(PageRef::Missing) | None => Err(None),
            };
            if let Err(error) = outcome {
                piece.fill(0);
                let zero_filled = error.is_some_and(|e| e.kind == ReadErrorKind::Excluded);
                let end = at.saturating_add(piece_len);
                match holes.last_mut() {
                    Some(last) if last.range.end == at && same_cause(last.error, error) => {
                        last.range.end = end
                    }
                    _ => holes.push(Hole { range: at..end, error, zero_filled }),
                }
            }
            at = at.saturating_add(piece_len);
            rest = tail;
        }
        holes
    }
}

fn same_cause(a: Option<ReadError>, b: Option<ReadError>) -> bool {
    a.map(|e| e.kind) == b.map(|e| e.kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, PAGE};
    use crate::{Endian, WordSize};

    #[test]
    fn reads_across_pages_and_reports_holes() {
        let mut fake = Fake::new(WordSize::Bits64, Endian::Little);
        let memory = fake.alloc(3 * PAGE);
        fake.write(memory.offset(PAGE - 2), &[1, 2, 3, 4]);
        let second = fake.virt_to_phys(memory.offset(PAGE)).unwrap();
        let pages = [PageRef::Virt(memory), PageRef::Phys(second), PageRef::Missing];
        let list = PageList::new(pages.into(), PAGE, 4, 3 * PAGE - 4);
        let mut bytes = [9; 4];
        assert_eq!(list.read(&fake, PAGE - 6, &mut bytes), []);
        assert_eq!(bytes, [1, 2, 3, 4]);
        let holes = list.read(&fake, 2 * PAGE - 6, &mut bytes);
        assert_eq!(bytes, [0; 4]);
        assert_eq!(holes, [Hole { range: 2 * PAGE - 4..2 * PAGE - 2, error: None, zero_filled: false }]);
        fake.remove_page(memory);
        let mut bytes = [9; 8];
        let holes = list.read(&fake, PAGE - 8, &mut bytes);
        assert_eq!(
            (holes.len(), holes[0].range.clone(), bytes),
            (1, PAGE - 8..PAGE - 4, [0, 0, 0, 0, 3, 4, 0, 0])
        );
        assert_eq!(holes[0].error.map(|error| error.kind), Some(ReadErrorKind::Absent));
    }

    #[test]
    fn nothing_lies_beyond_the_end() {
        let fake = Fake::new(WordSize::Bits64, Endian::Little);
        let list = PageList::new([PageRef::Missing].into(), PAGE, 0, 16);
        let mut bytes = [9; 32];
        assert_eq!(list.read(&fake, 0, &mut bytes).len(), 1);
        assert_eq!(list.read(&fake, u64::MAX, &mut bytes).len(), 1);
        assert_eq!(bytes, [0; 32]);
    }
}
