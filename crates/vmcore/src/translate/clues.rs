//! What there is to find the address space by.

use crate::translate::registers::Registers;
use crate::{PhysAddr, PhysMemory, Segment, Vmcoreinfo};
use std::fmt;

/// What only debug information or the user can tell about the kernel.
#[derive(Clone)]
pub struct Hints<'a> {
    /// The **link-time** address of a symbol. Asked for those of [`Hints::SYMBOLS`] alone.
    pub symbol: &'a dyn Fn(&str) -> Option<u64>,
    /// Content of the kernel's `linux_banner`; what follows a NUL or the line's end is ignored.
    pub banner: Option<&'a [u8]>,
    /// Given by the user: run-time minus link-time address of the kernel image.
    pub kaslr: Option<u64>,
    /// Given by the user: on x86-64 the kernel's `phys_base`, elsewhere the physical address at which the direct map
    /// begins.
    pub phys_base: Option<u64>,
    /// Given by the user: used in place of what the core has.
    pub vmcoreinfo: Option<Vmcoreinfo>,
}

impl Default for Hints<'_> {
    fn default() -> Self {
        Hints { symbol: &|_| None, banner: None, kaslr: None, phys_base: None, vmcoreinfo: None }
    }
}

impl fmt::Debug for Hints<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hints")
            .field("banner", &self.banner.map(String::from_utf8_lossy))
            .field("kaslr", &self.kaslr)
            .field("phys_base", &self.phys_base)
            .field("vmcoreinfo", &self.vmcoreinfo.is_some())
            .finish_non_exhaustive()
    }
}

impl Hints<'_> {
    /// The symbols that a search starts from and is verified with: what to look up in debug information beforehand.
    ///
    /// No kernel has all of them: page tables and the map of all memory are called differently by age and machine.
    pub const SYMBOLS: [&'static str; 12] = [
        "linux_banner",
        "init_uts_ns",
        "_stext",
        "_text",
        "_end",
        "high_memory",
        "init_level4_pgt",
        "init_top_pgt",
        "swapper_pg_dir",
        "page_offset_base",
        "vmcoreinfo_data",
        "vmcoreinfo_note",
    ];
}

impl<'a> Hints<'a> {
    /// The first of these symbols that is known, at its link-time address.
    pub(crate) fn first(&self, names: &[&str]) -> Option<u64> {
        names.iter().find_map(|name| (self.symbol)(name))
    }

    /// The line of `linux_banner`.
    pub(crate) fn banner_line(&self) -> Option<&'a [u8]> {
        let banner = self.banner?;
        let line = banner.split(|byte| matches!(byte, 0 | b'\n')).next()?;
        (!line.is_empty()).then_some(line)
    }
}

/// Everything known at one point of the search.
pub(crate) struct Clues<'a> {
    pub(crate) mem: &'a dyn PhysMemory,
    pub(crate) hints: &'a Hints<'a>,
    /// The text to believe at this point: from the file, from the user or from a search.
    pub(crate) vmcoreinfo: Option<&'a Vmcoreinfo>,
    pub(crate) segments: &'a [Segment],
    pub(crate) registers: &'a [Registers],
    /// `phys_base` of the kdump sub-header.
    pub(crate) header_phys_base: Option<u64>,
    /// Where a search found what may be `linux_banner`.
    pub(crate) banner_at: Option<PhysAddr>,
}

impl Clues<'_> {
    /// How far the image was moved, as far as somebody says so.
    ///
    /// In this order: the user, `KERNELOFFSET`, a symbol here and in the debug information.
    pub(crate) fn kaslr(&self) -> Option<u64> {
        let stated = || self.vmcoreinfo?.kernel_offset();
        let compared = || {
            let (_, stated, linked) = self.known_twice()?;
            let moved = stated.wrapping_sub(linked);
            // Kernels move by large pages; anything else compares two different kernels.
            (moved & 0xffff == 0).then_some(moved & self.mem.abi().word_mask())
        };
        self.hints.kaslr.or_else(stated).or_else(compared)
    }

    /// A symbol of the image with its address by VMCOREINFO and by the debug information.
    pub(crate) fn known_twice(&self) -> Option<(&'static str, u64, u64)> {
        let info = self.vmcoreinfo?;
        let both = |name| Some((name, info.symbol(name)?, (self.hints.symbol)(name)?));
        ["_stext", "init_uts_ns"].into_iter().find_map(both)
    }

    /// The run-time address of the first of these symbols that is known.
    pub(crate) fn symbol(&self, names: &[&str], kaslr: u64) -> Option<u64> {
        let stated = self.vmcoreinfo.and_then(|info| names.iter().find_map(|name| info.symbol(name)));
        stated.or_else(|| Some(self.hints.first(names)?.wrapping_add(kaslr) & self.mem.abi().word_mask()))
    }

    /// `NUMBER(name)` as the kernel's `unsigned long`.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.vmcoreinfo?.number(name).map(i64::cast_unsigned)
    }

    /// First and last run-time address of what is known to be inside the kernel image.
    ///
    /// Only this is sure to be mapped linearly: modules and, on arm64, vmalloc begin right behind the image.
    pub(crate) fn image(&self, kaslr: u64) -> Option<(u64, u64)> {
        const INSIDE: [&str; 7] = [
            "_text",
            "_stext",
            "linux_banner",
            "init_uts_ns",
            "init_top_pgt",
            "init_level4_pgt",
            "swapper_pg_dir",
        ];
        let page = self.mem.page_size().clamp(1, 1 << 32).next_power_of_two() - 1;
        let known = INSIDE.iter().filter_map(|name| self.symbol(&[name], kaslr));
        let (first, last) = known.fold((u64::MAX, 0), |(first, last), at| (first.min(at), last.max(at)));
        let end = self.symbol(&["_end"], kaslr).map_or(0, |end| end.wrapping_sub(1));
        (first <= last).then_some((first & !page, last.max(end) | page))
    }

    /// Virtual minus physical address of the program header which holds a virtual address.
    pub(crate) fn segment_delta(&self, va: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| {
            let (phys, virt) = (segment.phys?.0, segment.virt?.0);
            (virt != phys && va.wrapping_sub(virt) < segment.len).then(|| virt.wrapping_sub(phys))
        })
    }

    /// One past the last physical address of the machine's memory.
    pub(crate) fn memory_end(&self) -> u64 {
        self.mem.memory_end()
    }
}
