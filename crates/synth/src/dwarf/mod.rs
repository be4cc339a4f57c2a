//! Debuginfo as compilers and linkers leave it: [`DebugInfo::vmlinux`] with DWARF and symbols, [`DebugInfo::module`] as a
//! relocatable `.ko`.

mod object;
mod unit;

use std::collections::BTreeSet;

use gimli::write::{EndianVec, RelocateWriter, Relocation, RelocationTarget, Sections};
use gimli::{RunTimeEndian, SectionId};

use crate::abi::{Abi, Endian};
use crate::build::DeadKernel;
use crate::layout::stem;
use crate::place::module_of;
use crate::space::{RODATA_END, Symbol, SymbolKind, TEXT_SIZE, build_id_note};
use object::{Object, ObjectSymbol, Section};

/// The unit that has what belongs to no other.
const COMMON: &str = "init/main.c";

/// Writer of debuginfo.
#[derive(Debug, Clone)]
pub struct DebugInfo {
    version: u16,
    types: bool,
    symbols: bool,
}

/// The vmlinux of a kernel with DWARF 4.
pub fn vmlinux(kernel: &DeadKernel) -> Vec<u8> {
    DebugInfo::new().vmlinux(kernel)
}

impl Default for DebugInfo {
    fn default() -> DebugInfo {
        DebugInfo::new()
    }
}

impl DebugInfo {
    /// DWARF 4 and symbols.
    pub fn new() -> DebugInfo {
        DebugInfo { version: 4, types: true, symbols: true }
    }

    /// DWARF version: 2 … 5.
    pub fn version(mut self, version: u16) -> DebugInfo {
        self.version = version;
        self
    }

    /// With or without DWARF.
    pub fn types(mut self, on: bool) -> DebugInfo {
        self.types = on;
        self
    }

    /// With or without a symbol table.
    pub fn symbols(mut self, on: bool) -> DebugInfo {
        self.symbols = on;
        self
    }

    /// The kernel's executable. When the tracer is modular it has no trace of the tracer.
    pub fn vmlinux(&self, kernel: &DeadKernel) -> Vec<u8> {
        let facts = kernel.facts();
        let abi = facts.abi;
        let base = facts.image_link;
        let percpu_base = kernel.symbols().iter().find(|s| s.name == "__per_cpu_start").map_or(0, |s| s.link);
        let rodata = kernel.memory().read(facts.image_phys + TEXT_SIZE, (RODATA_END - TEXT_SIZE) as usize);
        let mut object = Object::new(abi, facts.elf_machine, 2);
        object.entry = base;
        let text = object.add(Section::bytes(".text", 6, base, vec![0; TEXT_SIZE as usize]));
        let rodata = object.add(Section::bytes(".rodata", 2, base + TEXT_SIZE, rodata));
        let data = object.add(Section::empty(".data", 3, base + RODATA_END, kernel.image_size - RODATA_END));
        let percpu = object.add(Section::empty(".data.percpu", 3, percpu_base, 0x2_0000));
        let note = build_id_note(abi, kernel.build_id());
        let note_at = base + kernel.image_size;
        object.add(Section::note(".notes", note_at, note));
        object.segments = vec![text, rodata, data];
        let modular = !kernel.modules().is_empty();
        let units = units(kernel).into_iter().filter(|u| !modular || module_of(u).is_none());
        if self.types {
            let sections = self.dwarf(kernel, units.collect());
            object.add_debug(sections);
        }
        if self.symbols {
            let own: Vec<&Symbol> = kernel.symbols().iter().filter(|s| s.module.is_none()).collect();
            symbols(&mut object, &own, |symbol| {
                let section = match symbol.kind {
                    SymbolKind::Text => text,
                    SymbolKind::Rodata => rodata,
                    SymbolKind::Data => data,
                    SymbolKind::PerCpu => percpu,
                };
                (symbol.link, section)
            });
        }
        object.write()
    }

    /// The relocatable object of one module, such as `ltt_core`.
    ///
    /// # Panics
    /// When the kernel has no such module.
    pub fn module(&self, kernel: &DeadKernel, name: &str) -> Vec<u8> {
        let abi = kernel.facts().abi;
        let Some(module) = kernel.modules().iter().find(|m| m.name == name) else {
            panic!("no module {name}")
        };
        let mut object = Object::new(abi, kernel.facts().elf_machine, 1);
        object.add(Section::bytes(".text", 6, 0, vec![0; 0x100]));
        let data = object.add(Section::empty(".data", 3, 0, module.data_size));
        let info = format!("license=GPL\0srcversion={}\0name={name}\0", module.source_version);
        object.add(Section::bytes(".modinfo", 2, 0, info.into_bytes()));
        object.add(Section::note(".note.gnu.build-id", 0, build_id_note(abi, &module.build_id)));
        object.add(Section::bytes(".gnu.linkonce.this_module", 3, 0, vec![0; 0x80]));
        if self.types {
            // What is in headers, every module has, too.
            let common = name.starts_with("lttng_").then(|| COMMON.to_owned());
            let own = units(kernel).into_iter().filter(|u| module_of(u) == Some(name));
            let units = own.chain(common).collect();
            let sections = self.dwarf(kernel, units);
            object.add_debug(sections);
        }
        if self.symbols {
            let of_module = |s: &&Symbol| s.module.as_deref() == Some(name);
            let own: Vec<&Symbol> = kernel.symbols().iter().filter(of_module).collect();
            symbols(&mut object, &own, |symbol| (symbol.address - module.data, data));
        }
        object.write()
    }

    fn dwarf(&self, kernel: &DeadKernel, units: BTreeSet<String>) -> Vec<DebugSection> {
        let abi = kernel.facts().abi;
        let mut dwarf = gimli::write::Dwarf::new();
        for name in &units {
            unit::add(&mut dwarf, self.version, kernel.types(), name);
        }
        let endian = match abi.endian {
            Endian::Little => RunTimeEndian::Little,
            Endian::Big => RunTimeEndian::Big,
        };
        let mut sections = Sections::new(Recorder { bytes: EndianVec::new(endian), relocations: Vec::new() });
        dwarf.write(&mut sections).expect("the units are well formed");
        let mut out = Vec::new();
        let collect = |id: SectionId, recorder: &Recorder| -> Result<(), std::convert::Infallible> {
            if !recorder.bytes.slice().is_empty() {
                out.push(DebugSection {
                    name: id.name(),
                    bytes: recorder.bytes.slice().to_vec(),
                    relocations: recorder.relocations.clone(),
                });
            }
            Ok(())
        };
        let Ok(()) = sections.for_each(collect);
        out
    }
}

/// Compile units of the kernel: those of its types and of its static symbols, and one for what is common.
fn units(kernel: &DeadKernel) -> BTreeSet<String> {
    let of_types = kernel.types().layouts.iter().flat_map(|l| l.units.iter().cloned());
    let of_symbols = kernel.symbols().iter().filter_map(|s| s.unit.clone());
    of_types.chain(of_symbols).chain([COMMON.to_owned()]).collect()
}

/// Local symbols grouped behind their file's symbol, then the global ones.
fn symbols(object: &mut Object, own: &[&Symbol], place: impl Fn(&Symbol) -> (u64, usize)) {
    let files: BTreeSet<&str> = own.iter().filter_map(|s| s.unit.as_deref()).collect();
    let kind = |symbol: &Symbol| if symbol.kind == SymbolKind::Text { 2 } else { 1 };
    for file in files {
        let shown = file.rsplit('/').next().unwrap_or(file);
        debug_assert!(shown.starts_with(stem(file)), "a file symbol is the name without directories");
        object.symbols.push(ObjectSymbol::file(shown));
        for symbol in own.iter().filter(|s| s.unit.as_deref() == Some(file)) {
            let (value, section) = place(symbol);
            object.symbols.push(ObjectSymbol::local(&symbol.name, kind(symbol), value, symbol.size, section));
        }
    }
    for symbol in own.iter().filter(|s| s.unit.is_none()) {
        let (value, section) = place(symbol);
        object.symbols.push(ObjectSymbol::global(&symbol.name, kind(symbol), value, symbol.size, section));
    }
}

/// A section of DWARF with the offsets in it that point into other sections.
struct DebugSection {
    name: &'static str,
    bytes: Vec<u8>,
    relocations: Vec<Relocation>,
}

impl DebugSection {
    /// Fills the recorded offsets in, as a linker does.
    fn resolve(&mut self, abi: Abi) {
        for relocation in std::mem::take(&mut self.relocations) {
            abi.put(&mut self.bytes, relocation.offset, relocation.size.into(), relocation.addend as u64);
        }
    }
}

/// Collects bytes and what would have to be relocated.
#[derive(Debug, Clone)]
struct Recorder {
    bytes: EndianVec<RunTimeEndian>,
    relocations: Vec<Relocation>,
}

impl RelocateWriter for Recorder {
    type Writer = EndianVec<RunTimeEndian>;

    fn writer(&self) -> &Self::Writer {
        &self.bytes
    }

    fn writer_mut(&mut self) -> &mut Self::Writer {
        &mut self.bytes
    }

    fn relocate(&mut self, relocation: Relocation) {
        debug_assert!(matches!(relocation.target, RelocationTarget::Section(_)), "no addresses are written");
        self.relocations.push(relocation);
    }
}
