//! `struct page` of a frame, under each of the kernel's memory models.

use crate::space::Space;

/// How the kernel finds the `struct page` of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryModel {
    /// One virtual array.
    Vmemmap,
    /// One array, `mem_map`.
    Flat,
    /// Sections, with the section number in the page's flags.
    Sparse,
    /// Nodes with an array each.
    Discontig,
}

/// log2 of a section's bytes in the sparse model.
pub(crate) const SECTION_SIZE_BITS: u32 = 26;
const SECTIONS_WIDTH: u32 = 8;

#[derive(Debug, Clone)]
pub(crate) struct PageArray {
    model: MemoryModel,
    struct_size: u64,
    first_pfn: u64,
    /// Array of the flat model, of each section or of each node: (first frame, address).
    parts: Vec<(u64, u64)>,
}

impl PageArray {
    pub(crate) fn new(space: &mut Space, model: MemoryModel) -> PageArray {
        let struct_size = space.types.get("page").size;
        let ram = space.memory.ram();
        let shift = space.facts.page_shift;
        let first_pfn = ram.start >> shift;
        let frames = (ram.end - ram.start) >> shift;
        let word = space.abi().word;
        let mut parts = Vec::new();
        match model {
            MemoryModel::Vmemmap => {
                assert!(space.facts.vmemmap != 0, "this machine has no vmemmap");
                parts.push((first_pfn, space.facts.vmemmap));
            }
            MemoryModel::Flat => {
                let array = space.contiguous(frames * struct_size);
                parts.push((first_pfn, array));
                let variable = space.data("mem_map", word, None);
                space.put_word(variable, array);
                let max = space.data("max_mapnr", word, None);
                space.put_word(max, frames);
            }
            MemoryModel::Sparse => {
                let per_section = 1 << (SECTION_SIZE_BITS - shift);
                let sections = (ram.end >> SECTION_SIZE_BITS) as usize + 1;
                let entry = space.types.get("mem_section").size;
                // The extreme form: pointers to pages of sections.
                let per_root = space.facts.page_size() / entry;
                let roots = (sections as u64).div_ceil(per_root);
                let table = space.data("mem_section", word * roots.max(64), None);
                let first = first_pfn / per_section;
                for section in first..sections as u64 {
                    let slot = table + section / per_root * word;
                    if space.read(slot, word) == 0 {
                        let page = space.kmalloc(space.facts.page_size());
                        space.put_word(slot, page);
                    }
                    if section * per_section >= first_pfn + frames {
                        break;
                    }
                    let array = space.contiguous(per_section * struct_size);
                    let descriptor = space.read(slot, word) + section % per_root * entry;
                    let biased = array.wrapping_sub(section * per_section * struct_size);
                    space.set(descriptor, "mem_section", "section_mem_map", biased | 3);
                    parts.push((section * per_section, array));
                }
            }
            MemoryModel::Discontig => {
                let table = space.data("node_data", word * 2, None);
                for node in 0..2 {
                    let first = first_pfn + node * frames / 2;
                    let span = frames / 2;
                    let array = space.contiguous(span * struct_size);
                    let pgdat = space.object("pglist_data");
                    space.set(pgdat, "pglist_data", "node_mem_map", array);
                    space.set(pgdat, "pglist_data", "node_start_pfn", first);
                    space.set(pgdat, "pglist_data", "node_spanned_pages", span);
                    space.set(pgdat, "pglist_data", "node_present_pages", span);
                    space.set(pgdat, "pglist_data", "node_id", node);
                    space.put_word(table + node * word, pgdat);
                    parts.push((first, array));
                }
            }
        }
        PageArray { model, struct_size, first_pfn, parts }
    }

    /// Address of the frame's `struct page`, which is filled in on the way; `private` as the tracer sets it.
    pub(crate) fn page(&self, space: &mut Space, pfn: u64, private: u64) -> u64 {
        let part = self.parts.iter().rev().find(|(first, _)| pfn >= *first);
        let Some((first, array)) = part else { panic!("no struct page for frame {pfn:#x}") };
        let address = array + (pfn - first) * self.struct_size;
        if self.model == MemoryModel::Vmemmap {
            let page = space.facts.page_size();
            for at in [address, address + self.struct_size - 1] {
                if !space.mapped.contains_key(&(at / page * page)) {
                    let backing = space.page();
                    space.mapped.insert(at / page * page, backing);
                }
            }
        }
        let mut flags = 0x800; // a plain kernel page
        let word_bits = space.abi().word * 8;
        if self.model == MemoryModel::Sparse {
            let section = pfn >> (SECTION_SIZE_BITS - space.facts.page_shift);
            flags |= section << (word_bits - u64::from(SECTIONS_WIDTH));
        }
        space.set(address, "page", "flags", flags);
        space.set(address, "page", "_count", 1);
        space.set(address, "page", "_mapcount", u64::from(u32::MAX));
        space.set(address, "page", "private", private);
        address
    }

    /// Number of the first frame in RAM (`ARCH_PFN_OFFSET`).
    pub(crate) fn first_pfn(&self) -> u64 {
        self.first_pfn
    }
}
