//! Which pages make up each sub-buffer of one buffer, and how many of their bytes the tracer says are used.

use std::sync::Arc;

use super::ring_channel::RingChannel;
use super::walk::Kernel;
use crate::memory;
use crate::mirror::Mirror;
use crate::{Cause, PageList, PageRef, PhysAddr, VirtAddr};

/// Highest page frame number taken seriously: 2^52 bytes of 4 KiB pages.
const MAX_PFN: u64 = 1 << 40;

/// Tables of pages of one buffer.
#[derive(Debug)]
pub(crate) struct Tables<'a> {
    kernel: &'a Kernel<'a>,
    channel: &'a RingChannel,
    /// Address of each table.
    tables: Vec<u64>,
}

/// The pages of one sub-buffer.
#[derive(Clone, Debug)]
pub(crate) struct SubBufferPages {
    /// Bytes used, set by the tracer when it left the sub-buffer.
    pub(crate) used: u64,
    pub(crate) pages: PageList,
    /// What contradicts itself among them.
    pub(crate) doubt: Option<Cause>,
}

impl<'a> Tables<'a> {
    /// Reads the array of tables at `array`.
    pub(crate) fn read(
        kernel: &'a Kernel<'a>,
        channel: &'a RingChannel,
        array: VirtAddr,
    ) -> Result<Tables<'a>, Cause> {
        let tables = memory::words(kernel.target, array, channel.n_tables())?;
        Ok(Tables { kernel, channel, tables })
    }

    /// Pages of table number `index`.
    pub(crate) fn pages(&self, index: u64) -> Result<SubBufferPages, Cause> {
        let (kernel, target) = (self.kernel, self.kernel.target);
        let table = usize::try_from(index).ok().and_then(|i| self.tables.get(i)).copied();
        let odd = || format!("table of pages number {index:#x} of {}", self.tables.len());
        let addr = VirtAddr(table.ok_or_else(|| Cause::Implausible(odd()))?);
        let shape = &kernel.types.pages;
        let image = shape.read(target, addr)?;
        let used = image.uint(&shape.used)?;
        let count = self.channel.pages_per_subbuffer(kernel);
        let entry = &kernel.types.page;
        let stride = entry.layout().size;
        let bytes = memory::array(target, addr.offset(shape.table.offset), count, stride)?;
        let abi = target.abi();
        let page_size = target.page_size();
        let mut doubt = None;
        let pages: Arc<[PageRef]> = (0..count)
            .map(|i| {
                let start = i.wrapping_mul(stride);
                let virt = abi.word(&bytes, start.wrapping_add(entry.virt.offset)).map(VirtAddr);
                let virt = virt.filter(|virt| memory::is_kernel(abi, *virt));
                let Some(pfn) = &entry.pfn else { return virt.map_or(PageRef::Missing, PageRef::Virt) };
                let pfn = abi.word(&bytes, start.wrapping_add(pfn.offset));
                let Some(phys) = pfn.filter(|&pfn| pfn < MAX_PFN).and_then(|pfn| pfn.checked_mul(page_size))
                else {
                    return virt.map_or(PageRef::Missing, PageRef::Virt);
                };
                // Both are there; one translation for each table is enough to see that they agree.
                if let Some(Ok(other)) = virt.filter(|_| i == 0).map(|virt| target.virt_to_phys(virt))
                    && other.0 != phys
                {
                    let text = format!("page is at {phys:#x} by its number and at {other:#x} by its address");
                    doubt = Some(Cause::Implausible(text));
                }
                PageRef::Phys(PhysAddr(phys))
            })
            .collect();
        let pages = PageList::new(pages, page_size, 0, self.channel.laps.ring.subbuffer_size());
        Ok(SubBufferPages { used, pages, doubt })
    }
}
