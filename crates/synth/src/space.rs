//! The kernel's address space under construction: allocators, symbols and writes by virtual address and member name.

use std::collections::BTreeMap;

use crate::abi::Abi;
use crate::arch::{Facts, Tables};
use crate::layout::Types;
use crate::memory::Memory;
use crate::paging::Paging;

const MIB: u64 = 1 << 20;
/// Image: text symbols, then read-only data, then everything else.
pub(crate) const TEXT_SIZE: u64 = 0x8000;
pub(crate) const RODATA_END: u64 = 0x1_0000;
const IMAGE_MAX: u64 = 4 * MIB;

/// The content of `.note.gnu.build-id`.
pub(crate) fn build_id_note(abi: Abi, id: &[u8]) -> Vec<u8> {
    let mut note = Vec::new();
    for value in [4, id.len() as u64, 3] {
        note.extend(abi.bytes(value, 4));
    }
    note.extend_from_slice(b"GNU\0");
    note.extend_from_slice(id);
    note
}

/// What a symbol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolKind {
    /// A function.
    Text,
    /// Constant data.
    Rodata,
    /// Variable.
    Data,
    /// Offset into the per-CPU areas: not moved by KASLR.
    PerCpu,
}

/// One symbol of the kernel image or of a module.
#[derive(Debug, Clone)]
pub struct Symbol {
    /// Name.
    pub name: String,
    /// Run-time address (per-CPU: the offset).
    pub address: u64,
    /// Address in the vmlinux file.
    pub link: u64,
    /// Bytes.
    pub size: u64,
    /// Source file of a local symbol; `None` = global.
    pub unit: Option<String>,
    /// What it is.
    pub kind: SymbolKind,
    /// Module that defines it; `None` = vmlinux.
    pub module: Option<String>,
}

/// Memory, symbols and types of a kernel being built.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    pub(crate) facts: Facts,
    pub(crate) memory: Memory,
    pub(crate) types: Types,
    pub(crate) symbols: Vec<Symbol>,
    /// Pages mapped one by one outside the direct map and the image: virtual page address → page frame.
    pub(crate) mapped: BTreeMap<u64, u64>,
    /// Module that new symbols and data belong to.
    pub(crate) module: Option<String>,
    module_next: u64,
    linear_modules: Option<u64>,
    text_next: u64,
    rodata_next: u64,
    data_next: u64,
    percpu_next: u64,
    contiguous_next: u64,
    vmalloc_next: u64,
    pool_taken: u64,
    /// How many successive pages stand side by side.
    pub(crate) page_run: u64,
    slab: std::ops::Range<u64>,
}

impl Space {
    pub(crate) fn new(facts: Facts, types: Types, ram_size: u64) -> Space {
        let ram = facts.ram_base..facts.ram_base + ram_size;
        Space {
            memory: Memory::new(facts.page_shift, ram),
            types,
            symbols: Vec::new(),
            mapped: BTreeMap::new(),
            module: None,
            module_next: facts.modules,
            linear_modules: None,
            text_next: 0x1000,
            rodata_next: TEXT_SIZE,
            data_next: RODATA_END,
            percpu_next: 0x40,
            contiguous_next: facts.ram_base + 16 * MIB,
            vmalloc_next: facts.vmalloc,
            pool_taken: 0,
            page_run: 1,
            slab: 0..0,
            facts,
        }
    }

    pub(crate) fn abi(&self) -> Abi {
        self.facts.abi
    }

    /// A free page frame. Successive calls give frames that are far apart and out of order, after each run.
    pub(crate) fn page(&mut self) -> u64 {
        let first = (self.facts.ram_base + 64 * MIB) >> self.facts.page_shift;
        let end = self.memory.ram().end >> self.facts.page_shift;
        // An odd count has no factor in common with the stride, so the sequence visits every run once.
        let count = ((end - first) / self.page_run - 1) | 1;
        let count = if count.is_multiple_of(0x9e5) { count - 2 } else { count };
        assert!(
            self.pool_taken / self.page_run + 1 < count,
            "the kernel needs more RAM: ask for it with Kernel::ram"
        );
        let (run, within) = (self.pool_taken / self.page_run + 1, self.pool_taken % self.page_run);
        self.pool_taken += 1;
        let pfn = first + run * 0x9e5 % count * self.page_run + within;
        self.memory.page_mut(pfn);
        pfn
    }

    /// Physically contiguous memory of whole pages, untouched, as direct-map address.
    pub(crate) fn contiguous(&mut self, size: u64) -> u64 {
        let phys = self.contiguous_next;
        self.contiguous_next += size.next_multiple_of(self.facts.page_size());
        assert!(self.contiguous_next <= self.facts.ram_base + 64 * MIB, "contiguous area exhausted");
        self.facts.direct(phys)
    }

    /// A zeroed object in the direct map, 64-byte aligned.
    pub(crate) fn kmalloc(&mut self, size: u64) -> u64 {
        let size = size.max(1).next_multiple_of(64);
        if size > self.facts.page_size() {
            let va = self.contiguous(size);
            self.write(va, &vec![0; size as usize]);
            return va;
        }
        if self.slab.end - self.slab.start < size {
            let phys = self.page() << self.facts.page_shift;
            self.slab = phys..phys + self.facts.page_size();
        }
        let phys = self.slab.start;
        self.slab.start += size;
        self.facts.direct(phys)
    }

    /// A zeroed object of a declared type.
    pub(crate) fn object(&mut self, name: &str) -> u64 {
        let size = self.types.get(name).size;
        self.kmalloc(size)
    }

    /// A NUL-terminated string in the direct map.
    pub(crate) fn string(&mut self, text: &[u8]) -> u64 {
        let va = self.kmalloc(text.len() as u64 + 1);
        self.write(va, text);
        va
    }

    /// Maps the frames in a row in the vmalloc area.
    pub(crate) fn vmap(&mut self, frames: &[u64]) -> u64 {
        let start = self.vmalloc_next;
        for (i, pfn) in frames.iter().enumerate() {
            self.mapped.insert(start + i as u64 * self.facts.page_size(), *pfn);
        }
        // A guard page follows each area.
        self.vmalloc_next += (frames.len() as u64 + 1) * self.facts.page_size();
        start
    }

    fn symbol(&mut self, name: &str, address: u64, size: u64, unit: Option<&str>, kind: SymbolKind) {
        let shift = if kind == SymbolKind::PerCpu || self.module.is_some() { 0 } else { self.facts.kaslr };
        self.symbols.push(Symbol {
            name: name.to_owned(),
            address,
            link: address.wrapping_sub(shift),
            size,
            unit: unit.map(str::to_owned),
            kind,
            module: self.module.clone(),
        });
    }

    /// A variable of the image, or of the module being built. `unit` = source file of a static one.
    pub(crate) fn data(&mut self, name: &str, size: u64, unit: Option<&str>) -> u64 {
        if self.module.is_some() {
            let va = self.module_bytes(size, 16);
            self.symbol(name, va, size, unit, SymbolKind::Data);
            return va;
        }
        self.image_data(name, size, 32, unit)
    }

    /// Like [`data`](Space::data), always in the image, with a given alignment.
    pub(crate) fn image_data(&mut self, name: &str, size: u64, align: u64, unit: Option<&str>) -> u64 {
        let offset = self.data_next.next_multiple_of(align);
        self.data_next = offset + size.max(1);
        assert!(self.data_next <= IMAGE_MAX, "image exhausted");
        let va = self.facts.image() + offset;
        self.write(va, &vec![0; size as usize]);
        self.symbol(name, va, size, unit, SymbolKind::Data);
        va
    }

    /// Zeroed bytes in the module area.
    pub(crate) fn module_bytes(&mut self, size: u64, align: u64) -> u64 {
        if self.facts.tables == Tables::Linear {
            // Without page tables nobody could find them anywhere else.
            let start = *self.linear_modules.get_or_insert_with(|| {
                let phys = self.contiguous_next;
                self.contiguous_next += MIB;
                self.facts.direct(phys)
            });
            let va = start.next_multiple_of(align);
            self.linear_modules = Some(va + size);
            self.write(va, &vec![0; size as usize]);
            return va;
        }
        let va = self.module_next.next_multiple_of(align);
        self.module_next = va + size;
        let page = self.facts.page_size();
        let mut at = va / page * page;
        while at < va + size.max(1) {
            if !self.mapped.contains_key(&at) {
                let pfn = self.page();
                self.mapped.insert(at, pfn);
            }
            at += page;
        }
        va
    }

    /// Constant data of the image.
    pub(crate) fn rodata(&mut self, name: &str, bytes: &[u8], unit: Option<&str>) -> u64 {
        let va = self.facts.image() + self.rodata_next;
        self.rodata_next = (self.rodata_next + bytes.len() as u64).next_multiple_of(32);
        assert!(self.rodata_next <= RODATA_END, "read-only data exhausted");
        self.write(va, bytes);
        self.symbol(name, va, bytes.len() as u64, unit, SymbolKind::Rodata);
        va
    }

    /// A function of the image: an address only.
    pub(crate) fn text(&mut self, name: &str, unit: Option<&str>) -> u64 {
        let va = self.facts.image() + self.text_next;
        self.text_next += 0x40;
        assert!(self.text_next <= TEXT_SIZE, "text exhausted");
        self.symbol(name, va, 0x40, unit, SymbolKind::Text);
        va
    }

    /// A symbol at a given address.
    pub(crate) fn label(&mut self, name: &str, va: u64) {
        self.symbol(name, va, 0, None, SymbolKind::Data);
    }

    /// A static per-CPU variable; returns its link-time value.
    pub(crate) fn percpu_symbol(&mut self, name: &str, base: u64, size: u64) -> u64 {
        let offset = base + self.percpu_next;
        self.percpu_next += size.next_multiple_of(64);
        self.symbol(name, offset, size, None, SymbolKind::PerCpu);
        offset
    }

    /// A per-CPU allocation of the dynamic area: an offset beyond the static variables.
    pub(crate) fn percpu_offset(&mut self, base: u64, size: u64) -> u64 {
        let offset = base + self.percpu_next;
        self.percpu_next += size.next_multiple_of(64);
        offset
    }

    /// Bytes of the image in use.
    pub(crate) fn image_size(&self) -> u64 {
        self.data_next.next_multiple_of(self.facts.page_size())
    }

    /// Physical address behind a virtual one.
    ///
    /// # Panics
    /// When nothing is mapped there.
    pub(crate) fn phys(&self, va: u64) -> u64 {
        let page = self.facts.page_size();
        if let Some(pfn) = self.mapped.get(&(va / page * page)) {
            return (pfn << self.facts.page_shift) + va % page;
        }
        let image = self.facts.image();
        if (image..image + IMAGE_MAX).contains(&va) {
            return va - image + self.facts.image_phys;
        }
        let ram = self.memory.ram();
        let size = ram.end - ram.start;
        let offset = va.wrapping_sub(self.facts.page_offset);
        assert!(offset < size, "{va:#x} is not mapped");
        ram.start + offset
    }

    pub(crate) fn write(&mut self, mut va: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let page = self.facts.page_size();
            let len = bytes.len().min((page - va % page) as usize);
            let phys = self.phys(va);
            self.memory.write(phys, &bytes[..len]);
            bytes = &bytes[len..];
            va += len as u64;
        }
    }

    pub(crate) fn read(&self, va: u64, size: u64) -> u64 {
        let bytes = self.memory.read(self.phys(va), size as usize);
        self.abi().get(&bytes, 0, size as usize)
    }

    /// Writes an integer of `size` bytes.
    pub(crate) fn put(&mut self, va: u64, size: u64, value: u64) {
        let bytes = self.abi().bytes(value, size as usize);
        self.write(va, &bytes);
    }

    /// Writes a machine word.
    pub(crate) fn put_word(&mut self, va: u64, value: u64) {
        self.put(va, self.abi().word, value);
    }

    /// Address of a member.
    pub(crate) fn member(&self, va: u64, name: &str, path: &str) -> u64 {
        va + self.types.place(name, path).offset
    }

    /// Sets one integer member of the `name` at `va`, bit-fields included.
    pub(crate) fn set(&mut self, va: u64, name: &str, path: &str, value: u64) {
        let place = self.types.place(name, path);
        let at = va + place.offset;
        let value = match place.bits {
            None => value,
            Some((shift, width)) => {
                let mask = ((1_u64 << width) - 1) << shift;
                self.read(at, place.size) & !mask | (value << shift) & mask
            }
        };
        self.put(at, place.size, value);
    }

    /// As [`set`](Space::set), where the struct has such a member.
    pub(crate) fn set_if_any(&mut self, va: u64, name: &str, path: &str, value: u64) {
        if self.types.find_place(name, path).is_some() {
            self.set(va, name, path, value);
        }
    }

    /// An ELF note with a build-id, in the module area.
    pub(crate) fn note(&mut self, build_id: &[u8]) -> u64 {
        let note = build_id_note(self.abi(), build_id);
        let va = self.module_bytes(note.len() as u64, 4);
        self.write(va, &note);
        va
    }

    /// Copies text into an array member.
    pub(crate) fn set_text(&mut self, va: u64, name: &str, path: &str, text: &[u8]) {
        let place = self.types.place(name, path);
        assert!(text.len() as u64 <= place.size || place.size == 0, "text too long for {path}");
        self.write(va + place.offset, text);
    }

    /// Makes an empty list.
    pub(crate) fn list_init(&mut self, head: u64) {
        let word = self.abi().word;
        self.put_word(head, head);
        self.put_word(head + word, head);
    }

    /// Appends a node to a list.
    pub(crate) fn list_add_tail(&mut self, node: u64, head: u64) {
        let word = self.abi().word;
        let last = self.read(head + word, word);
        self.put_word(node, head);
        self.put_word(node + word, last);
        self.put_word(last, node);
        self.put_word(head + word, node);
    }

    /// Puts a node in front of an hlist.
    pub(crate) fn hlist_add(&mut self, node: u64, head: u64) {
        let word = self.abi().word;
        let first = self.read(head, word);
        self.put_word(node, first);
        self.put_word(node + word, head);
        if first != 0 {
            self.put_word(first + word, node);
        }
        self.put_word(head, node);
    }

    /// Writes the page tables below `root` (a virtual address in the image).
    pub(crate) fn build_page_tables(&mut self, root: u64) {
        if self.facts.tables == Tables::Linear {
            return;
        }
        let facts = self.facts.clone();
        let paging = Paging { facts: &facts, root: self.phys(root) };
        let mut fresh: Vec<u64> = Vec::new();
        let ram = self.memory.ram();
        let block = paging.block();
        let mut jobs: Vec<(u64, u64, bool)> = Vec::new();
        let mut phys = ram.start / block * block;
        while phys < ram.end {
            jobs.push((facts.page_offset.wrapping_add(phys.wrapping_sub(ram.start)), phys, true));
            phys += block;
        }
        if facts.image() < facts.page_offset || facts.image() >= facts.page_offset + (ram.end - ram.start) {
            let blocks = facts.image().is_multiple_of(block) && facts.image_phys.is_multiple_of(block);
            let step = if blocks { block } else { facts.page_size() };
            let mut offset = 0;
            while offset < self.image_size() {
                jobs.push((facts.image() + offset, facts.image_phys + offset, blocks));
                offset += step;
            }
        }
        jobs.extend(self.mapped.iter().map(|(va, pfn)| (*va, pfn << facts.page_shift, false)));
        for (va, phys, block) in jobs {
            // At most one table a level is made by one mapping.
            while fresh.len() < 5 {
                let page = self.page() << facts.page_shift;
                fresh.push(page);
            }
            paging.map(&mut self.memory, va, phys, block, &mut || fresh.pop().unwrap_or_default());
        }
    }
}
