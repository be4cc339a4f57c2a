//! Radix page tables: a walk of a fixed number of levels, whatever the processor.

use crate::{MemoryError, PageError, PhysAddr, PhysMemory};
use std::fmt;
use std::ops::ControlFlow;

/// Most levels that any processor has.
const LEVELS_MAX: usize = 5;

/// What an entry of a page table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Not present, or reserved bits are set.
    Absent,
    /// Physical address of the next table.
    Table(u64),
    /// Physical address of the memory; bits below the size of the mapping are ignored.
    Leaf(u64),
}

/// The form of the page tables of a processor in one of its modes. Levels count from 1, the table of pages.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// For people: `4 levels, 4 KiB pages`.
    pub(crate) name: &'static str,
    /// Log2 of the smallest page.
    pub(crate) page_shift: u32,
    /// Bytes of an entry: 4 or 8.
    pub(crate) entry_bytes: u64,
    /// Address bits that index the table of each level, level 1 first; 0 above the root.
    pub(crate) index_bits: [u32; LEVELS_MAX],
    /// Bits which an entry may hold besides flags; the encryption bit of AMD processors is none of them.
    pub(crate) entry_mask: u64,
    /// Interprets an entry of a level.
    pub(crate) decode: fn(form: &Form, entry: u64, level: u8) -> Entry,
    /// The address without what the processor ignores, or `None` when it faults on it.
    pub(crate) canonical: fn(form: &Form, va: u64) -> Option<u64>,
}

impl Form {
    /// The level of the root table.
    pub(crate) fn levels(&self) -> u8 {
        (1..)
            .zip(self.index_bits)
            .take_while(|&(_, bits)| bits != 0)
            .map(|(level, _)| level)
            .last()
            .unwrap_or(1)
    }

    /// Log2 of what one entry of a level maps.
    fn shift(&self, level: u8) -> u32 {
        let below = self.index_bits.iter().take(usize::from(level).saturating_sub(1));
        (self.page_shift + below.sum::<u32>()).min(63)
    }

    /// Address bits that the tables translate.
    pub(crate) fn va_bits(&self) -> u32 {
        (self.page_shift + self.index_bits.iter().sum::<u32>()).min(64)
    }

    fn entries(&self, level: u8) -> u64 {
        let bits = self.index_bits.get(usize::from(level).saturating_sub(1)).copied().unwrap_or(0);
        1 << bits.min(20)
    }
}

/// `bits` low bits set.
pub(crate) const fn low_bits(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// The highest of `bits` address bits repeated to the top, which is how x86-64 wants them.
pub(crate) fn sign_extended(form: &Form, va: u64) -> Option<u64> {
    let high = va | low_bits(form.va_bits() - 1);
    (high == u64::MAX || va <= low_bits(form.va_bits() - 1)).then_some(va)
}

/// Page tables at a place: a form and a root.
#[derive(Clone, Copy)]
pub(crate) struct Paging {
    pub(crate) form: Form,
    /// Physical address of the root table.
    pub(crate) root: u64,
}

impl fmt::Debug for Paging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Paging({} from {:#x})", self.form.name, self.root)
    }
}

/// A range that the tables map in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) va: u64,
    pub(crate) pa: u64,
    /// Bytes from there to the end of the page or block.
    pub(crate) len: u64,
}

impl Paging {
    /// Where `va` is: at most one read per level, so that tables which point to themselves end too.
    ///
    /// Errors: `NonCanonical`; `NotMapped` with the level of the missing entry; whatever the page of a table has.
    pub(crate) fn walk(&self, mem: &dyn PhysMemory, va: u64) -> Result<Mapping, PageError> {
        let form = &self.form;
        let low = (form.canonical)(form, va).ok_or(PageError::NonCanonical)? & low_bits(form.va_bits());
        let mut table = self.root;
        for level in (1..=form.levels()).rev() {
            let shift = form.shift(level);
            let index = (low >> shift) & (form.entries(level) - 1);
            let entry = self.entry(mem, table.wrapping_add(index * form.entry_bytes))?;
            match (form.decode)(form, entry & form.entry_mask, level) {
                Entry::Table(next) if level > 1 => table = next,
                Entry::Leaf(pa) => {
                    let offset = low & low_bits(shift);
                    return Ok(Mapping {
                        va,
                        pa: (pa & !low_bits(shift)) | offset,
                        len: (1 << shift) - offset,
                    });
                }
                Entry::Absent | Entry::Table(_) => return Err(PageError::NotMapped { level }),
            }
        }
        Err(PageError::NotMapped { level: 1 })
    }

    fn entry(&self, mem: &dyn PhysMemory, at: u64) -> Result<u64, PageError> {
        let mut bytes = [0; 8];
        let len = if self.form.entry_bytes == 4 { 4 } else { 8 };
        let bytes = bytes.get_mut(..len).unwrap_or_default();
        mem.read_phys(PhysAddr(at), bytes).map_err(|MemoryError { cause, .. }| cause)?;
        Ok(self.decode_bytes(mem, bytes))
    }

    fn decode_bytes(&self, mem: &dyn PhysMemory, bytes: &[u8]) -> u64 {
        let abi = mem.abi();
        if self.form.entry_bytes == 4 { abi.u32(bytes, 0).map(u64::from) } else { abi.u64(bytes, 0) }
            .unwrap_or(0)
    }

    /// Calls `visit` for what is mapped from `first` to `last`, in the order of addresses, until it breaks.
    ///
    /// Both must lie in the same half of the address space. Tables that cannot be read count as empty. `entries` limits
    /// how many are looked at, since tables of a hostile core can make 2^45 mappings out of one page.
    pub(crate) fn visit(
        &self,
        mem: &dyn PhysMemory,
        first: u64,
        last: u64,
        mut entries: u64,
        visit: &mut dyn FnMut(Mapping) -> ControlFlow<()>,
    ) {
        let mask = low_bits(self.form.va_bits());
        let mut visitor =
            Visitor { paging: self, mem, first: first & mask, last: last & mask, high: first & !mask, visit };
        let _ = visitor.table(self.root, self.form.levels(), 0, &mut entries);
    }
}

struct Visitor<'a> {
    paging: &'a Paging,
    mem: &'a dyn PhysMemory,
    first: u64,
    last: u64,
    /// The bits above those translated.
    high: u64,
    visit: &'a mut dyn FnMut(Mapping) -> ControlFlow<()>,
}

impl Visitor<'_> {
    /// Recursion is as deep as there are levels.
    fn table(&mut self, table: u64, level: u8, base: u64, entries: &mut u64) -> ControlFlow<()> {
        let form = self.paging.form;
        let shift = form.shift(level);
        let last_index = form.entries(level) - 1;
        let from = (self.first.saturating_sub(base) >> shift).min(last_index);
        let to = (self.last.saturating_sub(base) >> shift).min(last_index);
        let count = to.saturating_sub(from) + 1;
        *entries = match entries.checked_sub(count) {
            Some(left) => left,
            None => return ControlFlow::Break(()),
        };
        let bytes = count * form.entry_bytes;
        // At most 2^20 entries by `entries`, 8192 in real tables.
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(0)];
        let start = PhysAddr(table.wrapping_add(from * form.entry_bytes));
        if self.mem.read_phys(start, &mut buffer).is_err() {
            return ControlFlow::Continue(());
        }
        let width = if form.entry_bytes == 4 { 4 } else { 8 };
        for (index, bytes) in (from..=to).zip(buffer.chunks_exact(width)) {
            let entry = self.paging.decode_bytes(self.mem, bytes) & form.entry_mask;
            let va = base + (index << shift);
            match (form.decode)(&form, entry, level) {
                Entry::Table(next) if level > 1 => self.table(next, level - 1, va, entries)?,
                Entry::Leaf(pa) => {
                    let pa = pa & !low_bits(shift);
                    (self.visit)(Mapping { va: self.high | va, pa, len: 1 << shift })?;
                }
                Entry::Absent | Entry::Table(_) => {}
            }
        }
        ControlFlow::Continue(())
    }
}
