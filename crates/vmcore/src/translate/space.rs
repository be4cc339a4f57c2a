//! The address space of the dead kernel.

use crate::translate::clues::Hints;
use crate::translate::locate::{self, Source};
use crate::translate::paging::Paging;
use crate::translate::regions::Regions;
use crate::translate::tlb::Tlb;
use crate::{MemoryError, PageError, PhysAddr, PhysMemory, Result, VirtAddr, Vmcore, Vmcoreinfo};

/// Where kernel virtual addresses are in physical memory.
///
/// ```text
/// virtual address ──► linear ranges ──► TLB ──► page tables ──► physical address
///                     (verified)
/// ```
///
/// Shared by reference between threads.
#[derive(Debug)]
pub struct AddressSpace {
    pub(crate) kaslr: u64,
    pub(crate) regions: Regions,
    pub(crate) paging: Option<Paging>,
    pub(crate) tlb: Tlb,
    /// First virtual address of the direct map and what is there.
    pub(crate) direct_map: Option<(VirtAddr, PhysAddr)>,
    pub(crate) vmcoreinfo: Option<Vmcoreinfo>,
    pub(crate) verified: bool,
    pub(crate) symbols_fit: bool,
    pub(crate) story: Vec<String>,
}

impl AddressSpace {
    /// Finds the kernel's address space in a core.
    ///
    /// Evidence is taken in this order; what it leads to is used only after `init_uts_ns` or `linux_banner` was read
    /// there and the page tables agreed, as far as these are in the core:
    ///
    /// 1. VMCOREINFO, from the user or from the core;
    /// 2. with symbols: the registers in QEMU's notes, program headers, the layout of a kernel that was not moved;
    /// 3. a search of all memory for VMCOREINFO;
    /// 4. with symbols: a search for the kernel's banner;
    /// 5. the virtual addresses of program headers alone.
    ///
    /// Errors: [`Error::AddressSpace`](crate::Error::AddressSpace) says what was tried.
    ///
    /// Cost: some pages for 1 and 2; 3 and 4 read the whole core.
    pub fn locate(core: &Vmcore, hints: &Hints<'_>) -> Result<AddressSpace> {
        let header = core.header();
        let source = Source {
            mem: core,
            notes: core.notes(),
            vmcoreinfo: core.vmcoreinfo(),
            segments: &header.segments,
            header_phys_base: header.phys_base,
        };
        locate::locate(&source, hints)
    }

    /// Where a virtual address is.
    ///
    /// Errors, always with the virtual address: `NonCanonical`; `NotMapped` with the level of the missing entry, 0 where
    /// no page tables are known; what the page of a table has, when it cannot be read.
    ///
    /// Cost: a search in a few ranges; outside them a locked look-up, and a walk on a miss. No allocation.
    pub fn translate(&self, mem: &dyn PhysMemory, va: VirtAddr) -> Result<PhysAddr, MemoryError> {
        self.translate_run(mem, va).map(|(pa, _)| pa)
    }

    /// Where a virtual address is, and how many bytes follow it there without a new translation.
    pub fn translate_run(&self, mem: &dyn PhysMemory, va: VirtAddr) -> Result<(PhysAddr, u64), MemoryError> {
        let va = va.0;
        if let Some(region) = self.regions.find(va) {
            return Ok((PhysAddr(region.physical(va)), (region.last - va).saturating_add(1)));
        }
        let error = |cause| MemoryError { addr: va, cause };
        let paging = self.paging.as_ref().ok_or(error(PageError::NotMapped { level: 0 }))?;
        let shift = paging.form.page_shift;
        let (page, offset) = (va >> shift, va & ((1 << shift) - 1));
        if let Some(frame) = self.tlb.get(page) {
            return Ok((PhysAddr((frame << shift) | offset), (1 << shift) - offset));
        }
        let mapping = paging.walk(mem, va).map_err(error)?;
        self.tlb.put(page, mapping.pa >> shift);
        Ok((PhysAddr(mapping.pa), mapping.len))
    }

    /// Fills `buf` from consecutive virtual addresses, with one physical read for all that is physically consecutive.
    ///
    /// Errors: the first virtual address that cannot be read; what `buf` holds then is not specified.
    ///
    /// Cost: allocates nothing itself.
    pub fn read_virt(&self, mem: &dyn PhysMemory, va: VirtAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        let mut at = va;
        let mut rest = buf;
        while !rest.is_empty() {
            let wanted = rest.len() as u64;
            let (pa, mut len) = self.translate_run(mem, at)?;
            // A failure further on is met again, and reported, after what comes before it was read.
            while len < wanted
                && let Some(next) = at.checked_add(len)
                && let Ok((next_pa, next_len)) = self.translate_run(mem, next)
                && pa.checked_add(len) == Some(next_pa)
            {
                len = len.saturating_add(next_len);
            }
            let len = len.min(wanted);
            let (piece, more) = rest.split_at_mut(usize::try_from(len).unwrap_or(0));
            mem.read_phys(pa, piece).map_err(|MemoryError { addr, cause }| MemoryError {
                addr: at.wrapping_add(addr.wrapping_sub(pa.0).min(len.saturating_sub(1))).0,
                cause,
            })?;
            // Wraps at the top like the machine.
            at = at.wrapping_add(len);
            rest = more;
        }
        Ok(())
    }

    /// Run-time minus link-time address of the kernel image.
    #[must_use]
    pub fn kaslr_offset(&self) -> u64 {
        self.kaslr
    }

    /// The kernel's own description: from the user, the core or its memory.
    #[must_use]
    pub fn vmcoreinfo(&self) -> Option<&Vmcoreinfo> {
        self.vmcoreinfo.as_ref()
    }

    /// Bytes of a page of this kernel, which need not be those of a page of the dump: QEMU writes pages of 64 KiB of every
    /// arm64 guest. `None` if neither page tables nor VMCOREINFO tell.
    #[must_use]
    pub fn page_size(&self) -> Option<u64> {
        let smallest = self.paging.map(|paging| 1 << paging.form.page_shift);
        smallest.or_else(|| self.vmcoreinfo.as_ref()?.page_size())
    }

    /// First virtual address of the direct map of all memory: `PAGE_OFFSET`.
    #[must_use]
    pub fn direct_map_base(&self) -> Option<u64> {
        self.direct_map.map(|(va, _)| va.0)
    }

    /// The physical address at [`direct_map_base`](AddressSpace::direct_map_base): 0 on x86, where memory begins on
    /// arm64.
    #[must_use]
    pub fn direct_map_phys(&self) -> Option<PhysAddr> {
        self.direct_map.map(|(_, pa)| pa)
    }

    /// Something known was read through this address space, or its page tables agreed with what the core states.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.verified
    }

    /// No symbol of the debug information was seen to be elsewhere in this kernel.
    ///
    /// If not, it is of another kernel, or the offset that the user gave is wrong; the address space may still be right.
    #[must_use]
    pub fn symbols_fit(&self) -> bool {
        self.symbols_fit
    }

    /// How the address space was found and verified, line by line.
    #[must_use]
    pub fn explain(&self) -> String {
        self.story.join("\n")
    }
}
