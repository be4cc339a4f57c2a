//! Which pages go into a slice, and what is in them.

use super::{Keep, WriteError};
use crate::{MemoryError, PageError, PhysAddr, PhysMemory, Reads, Vmcore};
use std::collections::BTreeMap;
use std::ops::Range;

/// The pages of which something was read, and those that are known to be missing.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    core: &'a Vmcore,
    keep: Keep,
    reads: Reads,
    /// Numbers of the pages to store, ascending.
    frames: Vec<u64>,
    /// By number; none of them is stored.
    missing: BTreeMap<u64, PageError>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(core: &'a Vmcore, reads: Reads, keep: Keep) -> Pages<'a> {
        let size = core.page_size().max(1);
        let mut frames: Vec<u64> = Vec::new();
        for range in &reads.ranges {
            // Two ranges may lie in one page.
            let next = frames.last().map_or(0, |last| last.saturating_add(1));
            frames.extend((range.start / size).max(next)..range.end.div_ceil(size));
        }
        let mut missing: BTreeMap<u64, PageError> =
            reads.missing.iter().map(|(addr, cause)| (addr.0 / size, *cause)).collect();
        // Part of a page may be missing in an ELF core: what is there is more than that something is not.
        missing.retain(|frame, _| frames.binary_search(frame).is_err());
        Pages { core, keep, reads, frames, missing }
    }

    pub(super) fn core(&self) -> &'a Vmcore {
        self.core
    }

    pub(super) fn size(&self) -> u64 {
        self.core.page_size().max(1)
    }

    pub(super) fn frames(&self) -> &[u64] {
        &self.frames
    }

    pub(super) fn missing(&self) -> &BTreeMap<u64, PageError> {
        &self.missing
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.reads.bytes()
    }

    /// Runs of pages that are stored, as addresses.
    pub(super) fn runs(&self) -> Vec<Range<u64>> {
        let size = self.size();
        let page = |frame: &u64| frame.saturating_mul(size)..frame.saturating_add(1).saturating_mul(size);
        crate::extents::merge(self.frames.iter().map(page).collect())
    }

    /// Fills `page`, which is as long as one, with what goes into the slice.
    pub(super) fn read(&self, frame: u64, page: &mut [u8]) -> Result<(), WriteError> {
        let start = frame.saturating_mul(self.size());
        if self.keep == Keep::Pages && self.core.search_phys(PhysAddr(start), page).is_ok() {
            return Ok(());
        }
        // Of a page that is not whole in an ELF core, what was read is what is there.
        page.fill(0);
        let end = start.saturating_add(page.len() as u64);
        let first = self.reads.ranges.partition_point(|range| range.end <= start);
        for range in self.reads.ranges.iter().skip(first).take_while(|range| range.start < end) {
            let (from, to) = (range.start.max(start), range.end.min(end));
            let within = |addr: u64| usize::try_from(addr - start).unwrap_or(usize::MAX);
            let Some(piece) = page.get_mut(within(from)..within(to)) else { continue };
            self.core
                .search_phys(PhysAddr(from), piece)
                .map_err(|error: MemoryError| WriteError::Changed(error))?;
        }
        Ok(())
    }
}
