//! The dead machine's memory by physical address, whatever holds it.

use crate::{Abi, Machine, MemoryError, PhysAddr};
use std::ops::Range;

/// Physical memory of a dead machine.
///
/// Implemented by [`Vmcore`](crate::Vmcore), and by fakes in tests of everything above it.
pub trait PhysMemory: Send + Sync {
    /// Fills `buf` from consecutive physical addresses, across pages.
    ///
    /// Errors: the first byte that cannot be read; what `buf` holds then is not specified.
    fn read_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), MemoryError>;

    /// The same for searches: what is only looked through is not [recorded](crate::Vmcore::record_reads) as read.
    ///
    /// Errors: as [`read_phys`](PhysMemory::read_phys).
    fn search_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        self.read_phys(addr, buf)
    }

    /// Bytes of a page.
    fn page_size(&self) -> u64;

    /// How integers lie in this memory.
    fn abi(&self) -> Abi;

    /// The processor family.
    fn machine(&self) -> Machine;

    /// The physical ranges that are held, in bytes: sorted, disjoint, merged.
    ///
    /// For scans: where memory is very fragmented, ranges may be merged over small holes, which read as errors.
    fn ranges(&self) -> Vec<Range<u64>>;

    /// One past the last physical address of the machine's memory, held or not, as far as is known.
    fn memory_end(&self) -> u64 {
        self.ranges().last().map_or(0, |range| range.end)
    }
}
