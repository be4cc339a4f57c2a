//! Page tables in the dead kernel's memory.

use crate::arch::{Facts, Tables};
use crate::memory::Memory;

/// Writes entries below one root table.
pub(crate) struct Paging<'a> {
    pub(crate) facts: &'a Facts,
    /// Physical address of the root table.
    pub(crate) root: u64,
}

impl Paging<'_> {
    /// Bytes that the largest block mapping used here covers: one level above a page.
    pub(crate) fn block(&self) -> u64 {
        match self.facts.tables {
            Tables::Linear => 0,
            Tables::X86 { widths, .. } | Tables::Arm64 { widths } => {
                self.facts.page_size() << widths[widths.len() - 1]
            }
        }
    }

    /// Maps one page, or one block, at `va`; `new_page` gives the physical address of a fresh zero page.
    pub(crate) fn map(
        &self,
        memory: &mut Memory,
        va: u64,
        phys: u64,
        block: bool,
        new_page: &mut dyn FnMut() -> u64,
    ) {
        let (widths, entry) = match self.facts.tables {
            Tables::Linear => return,
            Tables::X86 { widths, entry } => (widths, entry),
            Tables::Arm64 { widths } => (widths, 8),
        };
        let leaf = widths.len() - 1 - usize::from(block);
        let mut table = self.root;
        for level in 0..=leaf {
            let shift = self.facts.page_shift + widths[level + 1..].iter().sum::<u32>();
            let index = (va >> shift) & ((1 << widths[level]) - 1);
            let slot = table + index * entry;
            if level == leaf {
                self.put(memory, slot, entry, self.leaf(phys, block));
                return;
            }
            let present = self.facts.abi.get(&memory.read(slot, entry as usize), 0, entry as usize);
            table = if present == 0 {
                let next = new_page();
                self.put(memory, slot, entry, self.table(next, widths.len() == 3 && level == 0));
                next
            } else {
                present & 0x000f_ffff_ffff_ffff & !(self.facts.page_size() - 1)
            };
        }
    }

    fn put(&self, memory: &mut Memory, slot: u64, size: u64, value: u64) {
        memory.write(slot, &self.facts.abi.bytes(value, size as usize));
    }

    fn table(&self, phys: u64, pae_root: bool) -> u64 {
        match self.facts.tables {
            Tables::Arm64 { .. } => phys | 3,
            // The four root entries of PAE have no writable and accessed bits.
            _ if pae_root => phys | 1,
            _ => phys | 0x63,
        }
    }

    fn leaf(&self, phys: u64, block: bool) -> u64 {
        match self.facts.tables {
            Tables::Arm64 { .. } => phys | 0x0060_0000_0000_0700 | if block { 1 } else { 3 },
            Tables::X86 { widths, .. } => {
                // Execute-disable exists in 64-bit entries only.
                let nx = if widths.len() > 3 { 1 << 63 } else { 0 };
                phys | nx | if block { 0x1e3 } else { 0x163 }
            }
            Tables::Linear => phys,
        }
    }
}
