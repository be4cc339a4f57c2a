//! ELF executables and relocatable objects around sections and symbols.

use gimli::write::RelocationTarget;

use super::DebugSection;
use crate::abi::{Abi, Endian};

/// A section to be written.
#[derive(Debug, Clone)]
pub(super) struct Section {
    name: String,
    kind: u64,
    flags: u64,
    address: u64,
    bytes: Vec<u8>,
    /// Bytes in memory; more than `bytes` only without content.
    size: u64,
    link: u64,
    info: u64,
    entry_size: u64,
}

impl Section {
    /// Content at an address. `flags`: 1 write, 2 allocated, 4 code.
    pub(super) fn bytes(name: &str, flags: u64, address: u64, bytes: Vec<u8>) -> Section {
        let size = bytes.len() as u64;
        Section {
            name: name.to_owned(),
            kind: 1,
            flags,
            address,
            bytes,
            size,
            link: 0,
            info: 0,
            entry_size: 0,
        }
    }

    /// Allocated notes.
    pub(super) fn note(name: &str, address: u64, bytes: Vec<u8>) -> Section {
        Section { kind: 7, ..Section::bytes(name, 2, address, bytes) }
    }

    /// Memory without content in the file.
    pub(super) fn empty(name: &str, flags: u64, address: u64, size: u64) -> Section {
        Section { kind: 8, size, ..Section::bytes(name, flags, address, Vec::new()) }
    }
}

/// A symbol to be written.
#[derive(Debug, Clone)]
pub(super) struct ObjectSymbol {
    name: String,
    info: u8,
    section: u64,
    value: u64,
    size: u64,
}

impl ObjectSymbol {
    pub(super) fn file(name: &str) -> ObjectSymbol {
        ObjectSymbol { name: name.to_owned(), info: 4, section: 0xfff1, value: 0, size: 0 }
    }

    pub(super) fn local(name: &str, kind: u8, value: u64, size: u64, section: usize) -> ObjectSymbol {
        ObjectSymbol { name: name.to_owned(), info: kind, section: section as u64, value, size }
    }

    pub(super) fn global(name: &str, kind: u8, value: u64, size: u64, section: usize) -> ObjectSymbol {
        ObjectSymbol { info: 0x10 | kind, ..ObjectSymbol::local(name, kind, value, size, section) }
    }

    fn is_local(&self) -> bool {
        self.info >> 4 == 0
    }
}

/// An ELF file under construction.
#[derive(Debug)]
pub(super) struct Object {
    abi: Abi,
    machine: u16,
    /// 1 = relocatable, 2 = executable.
    kind: u64,
    pub(super) entry: u64,
    sections: Vec<Section>,
    /// Local symbols first.
    pub(super) symbols: Vec<ObjectSymbol>,
    /// Sections that become loadable segments.
    pub(super) segments: Vec<usize>,
    debug: Vec<DebugRelocations>,
}

#[derive(Debug)]
struct DebugRelocations {
    section: usize,
    relocations: Vec<gimli::write::Relocation>,
}

impl Object {
    pub(super) fn new(abi: Abi, machine: u16, kind: u64) -> Object {
        let null = Section { kind: 0, ..Section::bytes("", 0, 0, Vec::new()) };
        let (symbols, segments, debug) = (Vec::new(), Vec::new(), Vec::new());
        Object { abi, machine, kind, entry: 0, sections: vec![null], symbols, segments, debug }
    }

    /// Adds a section and returns its index.
    pub(super) fn add(&mut self, section: Section) -> usize {
        self.sections.push(section);
        self.sections.len() - 1
    }

    /// Adds sections of DWARF: resolved in an executable, with relocations in an object.
    pub(super) fn add_debug(&mut self, sections: Vec<DebugSection>) {
        for mut section in sections {
            if self.kind == 2 || !self.has_addends() {
                // Machines without addends keep them in place.
                let relocations = section.relocations.clone();
                section.resolve(self.abi);
                section.relocations = if self.kind == 2 { Vec::new() } else { relocations };
            }
            let index = self.add(Section::bytes(section.name, 0, 0, section.bytes));
            self.debug.push(DebugRelocations { section: index, relocations: section.relocations });
        }
    }

    fn has_addends(&self) -> bool {
        !matches!(self.machine, 3 | 8)
    }

    fn wide(&self) -> bool {
        self.abi.word == 8
    }

    fn relocation_kind(&self, size: u8) -> u64 {
        match (self.machine, size) {
            (62, 8) | (3 | 20 | 21, 4) => 1,
            (62, _) => 10,
            (21, _) => 38,
            (183, 8) => 257,
            (183, _) => 258,
            _ => 2,
        }
    }

    /// Section symbols, then the files' own, then the globals.
    fn symbol_table(&mut self) {
        let sections = self.sections.len();
        let mut symbols = vec![ObjectSymbol::local("", 0, 0, 0, 0)];
        if self.kind == 1 {
            symbols.extend((1..sections).map(|section| ObjectSymbol::local("", 3, 0, 0, section)));
        }
        symbols.append(&mut self.symbols);
        let first_global = symbols.iter().position(|s| !s.is_local()).unwrap_or(symbols.len());
        let mut strings = vec![0_u8];
        let mut table = Vec::new();
        let abi = self.abi;
        for symbol in &symbols {
            let name = if symbol.name.is_empty() {
                0
            } else {
                let at = strings.len();
                strings.extend_from_slice(symbol.name.as_bytes());
                strings.push(0);
                at as u64
            };
            table.extend(abi.bytes(name, 4));
            if self.wide() {
                table.extend([symbol.info, 0]);
                table.extend(abi.bytes(symbol.section, 2));
                table.extend(abi.bytes(symbol.value, 8));
                table.extend(abi.bytes(symbol.size, 8));
            } else {
                table.extend(abi.bytes(symbol.value, 4));
                table.extend(abi.bytes(symbol.size, 4));
                table.extend([symbol.info, 0]);
                table.extend(abi.bytes(symbol.section, 2));
            }
        }
        self.debug.retain(|debug| !debug.relocations.is_empty());
        let symtab = (self.sections.len() + self.debug.len()) as u64;
        for debug in std::mem::take(&mut self.debug) {
            self.relocations(&debug, symtab);
        }
        let mut section = Section { kind: 2, ..Section::bytes(".symtab", 0, 0, table) };
        section.link = symtab + 1;
        section.info = first_global as u64;
        section.entry_size = if self.wide() { 24 } else { 16 };
        self.add(section);
        self.add(Section { kind: 3, ..Section::bytes(".strtab", 0, 0, strings) });
    }

    fn relocations(&mut self, debug: &DebugRelocations, symtab: u64) {
        let abi = self.abi;
        let word = abi.word as usize;
        let mut bytes = Vec::new();
        for relocation in &debug.relocations {
            let RelocationTarget::Section(id) = relocation.target else { continue };
            let section = self.sections.iter().position(|s| s.name == id.name());
            // Symbol numbers of sections equal their indices.
            let symbol = section.expect("the target was written") as u64;
            let kind = self.relocation_kind(relocation.size);
            bytes.extend(abi.bytes(relocation.offset as u64, word));
            let info = if word == 8 { symbol << 32 | kind } else { symbol << 8 | kind };
            bytes.extend(abi.bytes(info, word));
            if self.has_addends() {
                bytes.extend(abi.bytes(relocation.addend as u64, word));
            }
        }
        let (prefix, kind, words) = if self.has_addends() { (".rela", 4, 3) } else { (".rel", 9, 2) };
        let name = format!("{prefix}{}", self.sections[debug.section].name);
        let mut section = Section { kind, ..Section::bytes(&name, 0, 0, bytes) };
        section.link = symtab;
        section.info = debug.section as u64;
        section.entry_size = words * abi.word;
        self.add(section);
    }

    /// The file's bytes.
    pub(super) fn write(mut self) -> Vec<u8> {
        self.symbol_table();
        let abi = self.abi;
        let wide = self.wide();
        let word = abi.word as usize;
        let mut names = vec![0_u8];
        let mut name_offsets = Vec::new();
        self.add(Section { kind: 3, ..Section::bytes(".shstrtab", 0, 0, Vec::new()) });
        for section in &self.sections {
            name_offsets.push(names.len() as u64);
            names.extend_from_slice(section.name.as_bytes());
            names.push(0);
        }
        let last = self.sections.len() - 1;
        self.sections[last].size = names.len() as u64;
        self.sections[last].bytes = names;
        let (ehsize, phentsize, shentsize) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        let notes: Vec<usize> =
            self.sections.iter().enumerate().filter(|(_, s)| s.kind == 7).map(|(i, _)| i).collect();
        let segments: Vec<(u64, usize)> =
            self.segments.iter().map(|s| (1, *s)).chain(notes.into_iter().map(|n| (4, n))).collect();
        let mut out = vec![0; (ehsize + phentsize * segments.len() as u64) as usize];
        let mut offsets = Vec::new();
        for section in &self.sections {
            // Loadable content is congruent to its address.
            let align = if section.flags & 2 != 0 { 0x1000 } else { 8 };
            out.resize(out.len().next_multiple_of(align), 0);
            offsets.push(out.len() as u64);
            out.extend_from_slice(&section.bytes);
        }
        out.resize(out.len().next_multiple_of(8), 0);
        let table = out.len() as u64;
        for (i, section) in self.sections.iter().enumerate() {
            out.extend(abi.bytes(name_offsets[i], 4));
            out.extend(abi.bytes(section.kind, 4));
            let null = section.kind == 0;
            for value in [section.flags, section.address, if null { 0 } else { offsets[i] }, section.size] {
                out.extend(abi.bytes(value, word));
            }
            out.extend(abi.bytes(section.link, 4));
            out.extend(abi.bytes(section.info, 4));
            out.extend(abi.bytes(u64::from(!null), word));
            out.extend(abi.bytes(section.entry_size, word));
        }
        let mut headers = vec![0x7f, b'E', b'L', b'F'];
        headers.extend([if wide { 2 } else { 1 }, if abi.endian == Endian::Little { 1 } else { 2 }, 1]);
        headers.resize(16, 0);
        headers.extend(abi.bytes(self.kind, 2));
        headers.extend(abi.bytes(u64::from(self.machine), 2));
        headers.extend(abi.bytes(1, 4));
        for value in [self.entry, if segments.is_empty() { 0 } else { ehsize }, table] {
            headers.extend(abi.bytes(value, word));
        }
        headers.extend(abi.bytes(0, 4));
        let phentsize = if segments.is_empty() { 0 } else { phentsize };
        for value in
            [ehsize, phentsize, segments.len() as u64, shentsize, self.sections.len() as u64, last as u64]
        {
            headers.extend(abi.bytes(value, 2));
        }
        for (kind, index) in segments {
            let section = &self.sections[index];
            headers.extend(abi.bytes(kind, 4));
            if wide {
                headers.extend(abi.bytes(7, 4));
            }
            for value in
                [offsets[index], section.address, section.address, section.bytes.len() as u64, section.size]
            {
                headers.extend(abi.bytes(value, word));
            }
            if !wide {
                headers.extend(abi.bytes(7, 4));
            }
            headers.extend(abi.bytes(0x1000, word));
        }
        out[..headers.len()].copy_from_slice(&headers);
        out
    }
}
