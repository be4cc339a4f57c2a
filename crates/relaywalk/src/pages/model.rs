//! From `struct page *` to a page frame number, under each memory model that kernels were built with.
//!
//! Which model a kernel has is not written anywhere. Every model whose symbols and types exist is tried on pointers whose
//! pages can be recognised, and the one that leads to them is kept.

use std::sync::OnceLock;

use crate::memory;
use crate::mirror::{self, Mirror, mirrors};
use crate::{PhysAddr, Target, VirtAddr};

mirrors! {
    /// `struct page`: only its size and the member that owners set are of use.
    PageStruct = "page" { needs {} may { private: "private" } }
    /// One section of classic sparse memory.
    MemSection = "mem_section" { needs { map: "section_mem_map" } may {} }
    /// One node of discontiguous memory.
    Node = "pglist_data" {
        needs { map: "node_mem_map", start: "node_start_pfn", spanned: "node_spanned_pages" }
        may {}
    }
}

/// Symbols read by this module.
pub(crate) const SYMBOLS: &[&str] =
    &["mem_map", "mem_section", "node_data", "contig_page_data", "vmemmap_base"];

/// Bases of the virtual memory map on x86-64, by age.
const VMEMMAP_BASES: [u64; 2] = [0xffff_e200_0000_0000, 0xffff_ea00_0000_0000];
const MAX_SECTIONS: u64 = 1 << 17;
const MAX_NODES: u64 = 64;
/// Highest page frame number taken seriously: 2^52 bytes of 4 KiB pages.
const MAX_PFN: u64 = 1 << 40;

/// Runs of `struct page` that describe consecutive page frames.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    map: u64,
    pages: u64,
    first_pfn: u64,
}

/// One memory model.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Model {
    name: &'static str,
    /// Sorted by `map`.
    runs: Vec<Run>,
}

/// A page pointer whose page can be recognised.
pub(crate) trait Witness {
    /// Whether the page at `addr` is what the pointer should lead to; `None` when that page cannot be read.
    fn recognises(&self, addr: PhysAddr) -> Option<bool>;
}

/// Translates page pointers of one kernel.
pub(crate) struct PageMap<'t> {
    target: &'t dyn Target,
    page: Option<PageStruct>,
    models: Vec<Model>,
    proven: OnceLock<usize>,
}

impl<'t> PageMap<'t> {
    /// Collects the models that the kernel may have.
    pub(crate) fn new(target: &'t dyn Target) -> PageMap<'t> {
        let page = mirror::find::<PageStruct>(target, &[]).ok().filter(|page| page.layout().size != 0);
        let size = page.as_ref().map_or(0, |page| page.layout().size);
        let models = if size == 0 { Vec::new() } else { Models { target, size }.all() };
        PageMap { target, page, models, proven: OnceLock::new() }
    }

    /// `page->private` at `pointer`: the owner of the page, set by buffers of the older tracers and by classic relay.
    pub(crate) fn owner(&self, pointer: VirtAddr) -> Option<VirtAddr> {
        let private = self.page.as_ref()?.private.as_ref()?;
        memory::word(self.target, pointer.offset(private.offset)).ok().map(VirtAddr)
    }

    /// Settles the model with pointers whose pages can be recognised; once settled it stays. Whether it is settled.
    pub(crate) fn prove(&self, witnesses: &[(VirtAddr, &dyn Witness)]) -> bool {
        if self.proven.get().is_some() {
            return true;
        }
        let score = |model: &Model| {
            let hits = witnesses.iter().filter(|(pointer, witness)| {
                self.translate(model, *pointer).is_some_and(|addr| witness.recognises(addr) == Some(true))
            });
            hits.count()
        };
        let scores = self.models.iter().map(score).enumerate();
        // The first of equals: models are in order of likelihood.
        match scores.rev().max_by_key(|(_, score)| *score) {
            Some((best, score)) if score > 0 => self.proven.set(best).is_ok() || self.proven.get().is_some(),
            _ => false,
        }
    }

    /// Physical address of the page behind `pointer`. An unsettled model is the likeliest that gives an answer.
    pub(crate) fn resolve(&self, pointer: VirtAddr) -> Option<PhysAddr> {
        match self.proven.get().and_then(|&i| self.models.get(i)) {
            Some(model) => self.translate(model, pointer),
            None => self.models.iter().find_map(|model| self.translate(model, pointer)),
        }
    }

    fn translate(&self, model: &Model, pointer: VirtAddr) -> Option<PhysAddr> {
        let size = self.page.as_ref()?.layout().size;
        let after = model.runs.partition_point(|run| run.map <= pointer.0);
        let run = model.runs.get(after.checked_sub(1)?)?;
        let skip = pointer.0 - run.map;
        let inside = skip.is_multiple_of(size) && skip / size < run.pages;
        let pfn = run.first_pfn.checked_add(skip / size).filter(|&pfn| inside && pfn < MAX_PFN)?;
        pfn.checked_mul(self.target.page_size()).map(PhysAddr)
    }
}

impl std::fmt::Debug for PageMap<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.models.iter().map(|model| model.name).collect();
        f.debug_struct("PageMap")
            .field("models", &names)
            .field("proven", &self.proven)
            .finish_non_exhaustive()
    }
}

/// Finds the models of one kernel.
struct Models<'t> {
    target: &'t dyn Target,
    /// Size of `struct page`.
    size: u64,
}

impl Models<'_> {
    fn all(&self) -> Vec<Model> {
        let mut models = self.virtual_map();
        models.extend(self.flat());
        models.extend(self.sparse());
        models.extend(self.nodes());
        models
    }

    fn symbol(&self, name: &str) -> Option<VirtAddr> {
        self.target.symbols(name).first().map(|symbol| VirtAddr(symbol.addr))
    }

    /// One array over all frames at a fixed address. It begins with frame 0, or (arm64 since 5.4) with the first frame of memory.
    fn virtual_map(&self) -> Vec<Model> {
        let variable = self.symbol("vmemmap_base").and_then(|addr| memory::word(self.target, addr).ok());
        let mut bases: Vec<u64> = variable.into_iter().chain(self.target.constant("vmemmap")).collect();
        if self.target.abi().word_bytes() == 8 && self.symbol("mem_map").is_none() {
            bases.extend(VMEMMAP_BASES);
        }
        let mut firsts = vec![self.target.constant("arch_pfn_offset").unwrap_or(0), 0];
        firsts.dedup();
        let model =
            |map, first_pfn| Model { name: "vmemmap", runs: vec![Run { map, pages: MAX_PFN, first_pfn }] };
        let bases = bases.into_iter().filter(|&base| base != 0);
        bases.flat_map(|map| firsts.iter().map(move |&first| model(map, first))).collect()
    }

    /// One array over all frames, allocated.
    fn flat(&self) -> Option<Model> {
        let map = memory::word(self.target, self.symbol("mem_map")?).ok().filter(|&map| map != 0)?;
        let first_pfn = self.target.constant("arch_pfn_offset").unwrap_or(0);
        Some(Model { name: "flatmem", runs: vec![Run { map, pages: MAX_PFN, first_pfn }] })
    }

    /// One array for each section of memory, found through a table of one or two levels.
    ///
    /// The kernel goes from a page to its section by bits in its flags, whose place depends on the configuration. All sections are
    /// listed instead, which needs the size of a section only, and which checks itself: an entry is biased by its first frame.
    fn sparse(&self) -> Vec<Model> {
        let (Some(table), Ok(section)) =
            (self.symbol("mem_section"), mirror::find::<MemSection>(self.target, &[]))
        else {
            return Vec::new();
        };
        let page_shift = self.target.page_size().max(1).trailing_zeros();
        let widths: Vec<u64> = match self.target.constant("SECTION_SIZE_BITS") {
            Some(bits) => vec![bits],
            None if self.target.abi().word_bytes() == 8 => vec![27, 24, 28, 30],
            None => vec![26, 29, 30, 28],
        };
        let mut models = Vec::new();
        for bits in widths.into_iter().filter(|&bits| bits > u64::from(page_shift) && bits < 48) {
            let physical = if self.target.abi().word_bytes() == 8 { 44 } else { 36 };
            let physical = self.target.constant("MAX_PHYSMEM_BITS").unwrap_or(physical).min(63);
            let sections = (1u64 << physical.saturating_sub(bits)).min(MAX_SECTIONS);
            let pages = 1u64 << (bits - u64::from(page_shift));
            for entries in
                [self.two_level(table, &section, sections), self.one_level(table, &section, sections)]
            {
                let mut runs: Vec<Run> =
                    entries.into_iter().filter_map(|entry| self.run(entry, pages)).collect();
                runs.sort_by_key(|run| run.map);
                if !runs.is_empty() {
                    models.push(Model { name: "sparsemem", runs });
                }
            }
        }
        models
    }

    fn run(&self, (number, coded): (u64, u64), pages: u64) -> Option<Run> {
        const PRESENT_WITH_MAP: u64 = 3;
        if coded & PRESENT_WITH_MAP != PRESENT_WITH_MAP {
            return None;
        }
        let first_pfn = number.checked_mul(pages)?;
        let bias = first_pfn.checked_mul(self.size)?;
        let map = (coded & !PRESENT_WITH_MAP).wrapping_add(bias) & self.target.abi().word_mask();
        memory::is_kernel(self.target.abi(), VirtAddr(map)).then_some(Run { map, pages, first_pfn })
    }

    /// `(number, section_mem_map)` of a table that holds the sections themselves.
    fn one_level(&self, table: VirtAddr, section: &MemSection, count: u64) -> Vec<(u64, u64)> {
        let stride = section.layout().size;
        let abi = self.target.abi();
        // The symbol's length is unknown: take what can be read, a page of sections at a time.
        let chunk = (self.target.page_size() / stride.max(1)).max(1);
        let mut found = Vec::new();
        for first in (0..count).step_by(usize::try_from(chunk).unwrap_or(1)) {
            let Some(skip) = first.checked_mul(stride) else { break };
            let here = chunk.min(count - first);
            let Ok(bytes) = memory::array(self.target, table.offset(skip), here, stride) else { break };
            let coded = |i: u64| Some((first + i, abi.word(&bytes, i * stride + section.map.offset)?));
            found.extend((0..here).filter_map(coded).filter(|(_, coded)| *coded != 0));
        }
        found
    }

    /// The same of a table of pointers to pages of sections.
    fn two_level(&self, table: VirtAddr, section: &MemSection, count: u64) -> Vec<(u64, u64)> {
        let stride = section.layout().size.max(1);
        let per_root = (self.target.page_size() / stride).max(1);
        let roots = memory::words(self.target, table, count.div_ceil(per_root)).unwrap_or_default();
        let mut found = Vec::new();
        for (root, &addr) in (0u64..).zip(&roots) {
            if memory::is_kernel(self.target.abi(), VirtAddr(addr)) {
                let sections = self.one_level(VirtAddr(addr), section, per_root);
                found.extend(sections.into_iter().map(|(number, coded)| (root * per_root + number, coded)));
            }
        }
        found
    }

    /// One array for each node of memory.
    fn nodes(&self) -> Option<Model> {
        let node = mirror::find::<Node>(self.target, &[]).ok()?;
        let addrs = match (self.symbol("node_data"), self.symbol("contig_page_data")) {
            (Some(table), _) => (0..MAX_NODES)
                .map_while(|i| {
                    memory::word(self.target, table.offset(i * self.target.abi().word_bytes())).ok()
                })
                .collect(),
            (None, Some(only)) => vec![only.0],
            (None, None) => return None,
        };
        let mut runs: Vec<Run> = Vec::new();
        for addr in addrs.into_iter().filter(|&addr| memory::is_kernel(self.target.abi(), VirtAddr(addr))) {
            let Ok(image) = node.read(self.target, VirtAddr(addr)) else { continue };
            let numbers = (image.uint(&node.map), image.uint(&node.spanned), image.uint(&node.start));
            if let (Ok(map), Ok(pages), Ok(first_pfn)) = numbers
                && map != 0
            {
                runs.push(Run { map, pages, first_pfn });
            }
        }
        runs.sort_by_key(|run| run.map);
        (!runs.is_empty()).then_some(Model { name: "discontigmem", runs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::{Fake, PAGE};
    use crate::{Endian, WordSize};

    const SIZE: u64 = 56;

    struct Known(u64);

    impl Witness for Known {
        fn recognises(&self, addr: PhysAddr) -> Option<bool> {
            Some(addr.0 == self.0 * PAGE)
        }
    }

    fn kernel() -> Fake {
        let mut fake = Fake::new(WordSize::Bits64, Endian::Little);
        fake.define_at("page", SIZE, &[("private", 16, 8)]);
        fake
    }

    fn proven(fake: &Fake, pointer: u64, pfn: u64) -> bool {
        let pages = PageMap::new(fake);
        let settled = pages.prove(&[(VirtAddr(pointer), &Known(pfn))]);
        settled && pages.resolve(VirtAddr(pointer)) == Some(PhysAddr(pfn * PAGE))
    }

    #[test]
    fn virtual_map_of_any_age() {
        for base in VMEMMAP_BASES {
            let fake = kernel();
            assert!(proven(&fake, base + 1234 * SIZE, 1234), "{base:#x}");
            let pages = PageMap::new(&fake);
            assert_eq!(pages.resolve(VirtAddr(base + 1234 * SIZE + 1)), None);
            assert!(!pages.prove(&[(VirtAddr(base), &Known(7))]));
        }
        let mut fake = kernel();
        fake.constants.insert("vmemmap".into(), 0xffff_d480_0000_0000);
        assert!(proven(&fake, 0xffff_d480_0000_0000 + 99 * SIZE, 99));
    }

    #[test]
    fn one_array() {
        let mut fake = kernel();
        let (variable, map) = (fake.alloc(8), fake.alloc(SIZE * 64));
        fake.put_word(variable, map.0);
        fake.symbol("mem_map", variable);
        fake.constants.insert("arch_pfn_offset".into(), 0x800);
        assert!(proven(&fake, map.0 + 5 * SIZE, 0x805));
        let private = VirtAddr(map.0 + 5 * SIZE);
        fake.put_word(private.offset(16), 0x77);
        assert_eq!(PageMap::new(&fake).owner(private), Some(VirtAddr(0x77)));
    }

    #[test]
    fn sections_in_one_or_two_levels() {
        for two_levels in [false, true] {
            let mut fake = kernel();
            fake.define_at("mem_section", 16, &[("section_mem_map", 0, 8)]);
            let (table, map) = (fake.alloc(PAGE), fake.alloc(SIZE * 64));
            fake.symbol("mem_section", table);
            let sections = if two_levels { fake.alloc(PAGE) } else { table };
            if two_levels {
                fake.put_word(table, sections.0);
            }
            let first_pfn = 3 << (27 - 12);
            fake.put_word(sections.offset(3 * 16), (map.0 - first_pfn * SIZE) | 3);
            // A section that is not present.
            fake.put_word(sections.offset(4 * 16), map.0);
            assert!(proven(&fake, map.0 + 9 * SIZE, first_pfn + 9), "{two_levels}");
        }
    }

    #[test]
    fn nodes_of_memory() {
        let mut fake = kernel();
        fake.define_at(
            "pglist_data",
            64,
            &[("node_mem_map", 8, 8), ("node_start_pfn", 16, 8), ("node_spanned_pages", 24, 8)],
        );
        let (table, map) = (fake.alloc(512), fake.alloc(SIZE * 128));
        fake.symbol("node_data", table);
        for (i, start) in [(0, 0x100), (1, 0x9000)] {
            let node = fake.alloc(64);
            fake.put_word(table.offset(i * 8), node.0);
            fake.set(node, "pglist_data", "node_mem_map", map.0 + i * 64 * SIZE);
            fake.set(node, "pglist_data", "node_start_pfn", start);
            fake.set(node, "pglist_data", "node_spanned_pages", 64);
        }
        assert!(proven(&fake, map.0 + 70 * SIZE, 0x9006));
        assert!(proven(&fake, map.0 + 6 * SIZE, 0x106));
        assert!(!proven(&fake, map.0 + 128 * SIZE, 0x9040));
    }
}
