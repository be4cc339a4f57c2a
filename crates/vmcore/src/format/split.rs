//! Dumps in one file or in several: `makedumpfile --split` writes parts, each with the pages of a range of frames.

use super::kdump::Kdump;
use crate::cache::PageCache;
use crate::{Error, MemoryError, PageError, PhysAddr, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The parts of a dump, sorted by page frame; one part in the usual case.
#[derive(Debug)]
pub(crate) struct KdumpSet {
    /// Never empty.
    parts: Vec<Kdump>,
    pub(crate) warnings: Vec<String>,
}

impl KdumpSet {
    /// Puts parts in order, whatever order they were given in.
    ///
    /// A missing part is a warning, since the pages of the others are as good as ever. Errors: two parts for the same
    /// frames, parts of different dumps, files which are no parts.
    pub(crate) fn new(mut given: Vec<(PathBuf, Kdump)>) -> Result<KdumpSet> {
        let error = |path: &Path, reason: String| Error::Split { path: path.to_path_buf(), reason };
        let (count, alone) = (given.len(), given.len() == 1);
        given.sort_by_key(|(_, part)| (part.frames.start, part.frames.end));
        if let Some((path, _)) = given.iter().find(|(_, part)| part.header.sub.split.is_none() && !alone) {
            return Err(error(path, format!("not a part of a split dump, but one of {count} files given")));
        }
        for pair in given.windows(2) {
            let [(one, a), (other, b)] = pair else { continue };
            if !a.header.same_dump(&b.header) {
                return Err(error(other, format!("not a part of the same dump as {}", one.display())));
            }
        }
        // Parts may be empty; those hold nothing twice.
        let filled: Vec<_> = given.iter().filter(|(_, part)| !part.frames.is_empty()).collect();
        for pair in filled.windows(2) {
            let [(one, a), (other, b)] = pair else { continue };
            if b.frames.start < a.frames.end {
                let frames = format!("{:#x} to {:#x}", b.frames.start, b.frames.end);
                return Err(error(other, format!("page frames {frames} are also in {}", one.display())));
            }
        }
        let mut set = KdumpSet { parts: given.into_iter().map(|(_, part)| part).collect(), warnings: vec![] };
        set.warnings = set
            .missing()
            .iter()
            .map(|gap| {
                format!(
                    "part of the split dump is missing: page frames {:#x} to {:#x} are lost",
                    gap.start, gap.end
                )
            })
            .collect();
        Ok(set)
    }

    /// Ranges of page frames with dumped pages that no part holds.
    fn missing(&self) -> Vec<Range<u64>> {
        let Some(first) = self.parts.first() else { return Vec::new() };
        let (mut gaps, mut end) = (Vec::new(), 0);
        for frames in self.parts.iter().map(|part| &part.frames).filter(|frames| !frames.is_empty()) {
            gaps.push(end..frames.start);
            end = frames.end;
        }
        gaps.push(end..first.header.frames());
        gaps.retain(|gap| gap.start < gap.end && first.dumps_any(gap));
        gaps
    }

    pub(crate) fn parts(&self) -> &[Kdump] {
        &self.parts
    }

    /// The part that holds a page frame, by number.
    fn part(&self, pfn: u64) -> Option<(usize, &Kdump)> {
        let after = self.parts.partition_point(|part| part.frames.start <= pfn);
        // Empty parts may stand between.
        let before = self.parts.get(..after)?.iter().enumerate();
        before.rev().find(|(_, part)| !part.frames.is_empty()).filter(|(_, part)| part.frames.contains(&pfn))
    }

    pub(crate) fn read(&self, addr: PhysAddr, buf: &mut [u8], cache: &PageCache) -> Result<(), MemoryError> {
        // A power of two, which the header was refused without.
        let page_size = self.parts.first().map_or(1, Kdump::page_size);
        let (mut addr, mut rest) = (addr.0, buf);
        while !rest.is_empty() {
            let fail = |cause| MemoryError { addr, cause };
            let (pfn, within) = (addr >> page_size.trailing_zeros(), addr & (page_size - 1));
            let len = usize::try_from(page_size - within).unwrap_or(usize::MAX).min(rest.len());
            let (piece, tail) = rest.split_at_mut(len);
            let within = usize::try_from(within).unwrap_or(usize::MAX);
            match (self.part(pfn), self.parts.first()) {
                (Some((number, part)), _) => {
                    let number = u32::try_from(number).unwrap_or(u32::MAX);
                    part.read_page(number, pfn, within, piece, cache)
                }
                (None, Some(any)) => Err(any.cause(pfn)),
                (None, None) => Err(PageError::Absent),
            }
            .map_err(fail)?;
            rest = tail;
            if !rest.is_empty() {
                addr = addr.checked_add(len as u64).ok_or(fail(PageError::Absent))?;
            }
        }
        Ok(())
    }

    /// One past the last page frame that the header counts, as an address.
    pub(crate) fn memory_end(&self) -> u64 {
        let end = |part: &Kdump| part.header.frames().saturating_mul(part.page_size());
        self.parts.first().map_or(0, end)
    }

    /// Ranges of addresses whose pages are in the dump and in a part that is there.
    pub(crate) fn ranges(&self) -> Vec<Range<u64>> {
        let runs = self.parts.iter().flat_map(|part| {
            let page_size = part.page_size();
            part.runs().into_iter().map(move |run| run.start * page_size..run.end * page_size)
        });
        crate::extents::merge(runs.collect())
    }
}
