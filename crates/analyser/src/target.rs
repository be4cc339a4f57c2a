//! The crashed kernel as walkers see it: `vmcore` memory joined with `kdebug` types.
//!
//! This is the one place where the leaf crates meet: addresses, layouts and symbols are translated from the vocabulary of the
//! crates that find them to that of the crate that uses them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::modules::Module;
use relaywalk::{Bits, Kind, Layout, Member, ReadError, ReadErrorKind, Target};

/// Memory, symbols, layouts and modules of one crashed kernel. Shared by all threads.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) memory: vmcore::Memory,
    layouts: HashMap<String, Vec<Arc<Layout>>>,
    symbols: HashMap<String, Vec<relaywalk::Symbol>>,
    constants: HashMap<String, u64>,
    pub(crate) modules: Vec<Module>,
}

impl View {
    /// Joins `memory` with the layouts in `types`; symbols come with [`View::add_symbol`].
    pub(crate) fn new(memory: vmcore::Memory, types: &kdebug::Types, wanted: &kdebug::Wanted) -> View {
        let mut view = View {
            memory,
            layouts: HashMap::new(),
            symbols: HashMap::new(),
            constants: HashMap::new(),
            modules: Vec::new(),
        };
        view.set_types(types, wanted);
        view
    }

    /// Replaces the layouts by those in `types`, and adds its enumerators to the constants.
    pub(crate) fn set_types(&mut self, types: &kdebug::Types, wanted: &kdebug::Wanted) {
        let layouts = |name: &String| types.structs(name).iter().map(|s| Arc::new(layout(s))).collect();
        self.layouts = wanted.structs.iter().map(|name| (name.clone(), layouts(name))).collect();
        let value = |name: &String| u64::try_from(types.enumerator(name)?).ok();
        self.constants.extend(wanted.enums.iter().filter_map(|name| Some((name.clone(), value(name)?))));
    }

    /// Adds a symbol at its run-time address.
    pub(crate) fn add_symbol(&mut self, name: &str, symbol: relaywalk::Symbol) {
        let known = self.symbols.entry(name.to_owned()).or_default();
        if !known.contains(&symbol) {
            known.push(symbol);
        }
    }

    /// Sets a number that only the platform knows.
    pub(crate) fn set_constant(&mut self, name: &str, value: u64) {
        self.constants.insert(name.to_owned(), value);
    }

    /// Run-time address of the first symbol of this name.
    pub(crate) fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name)?.first().map(|symbol| symbol.addr)
    }

    /// Run-time addresses of every symbol of this name.
    pub(crate) fn symbol_addrs(&self, name: &str) -> impl Iterator<Item = u64> {
        self.symbols.get(name).into_iter().flatten().map(|symbol| symbol.addr)
    }

    /// The first layout of this name that has all of `members`.
    pub(crate) fn layout_with(&self, name: &str, members: &[&str]) -> Option<&Arc<Layout>> {
        self.layouts.get(name)?.iter().find(|layout| members.iter().all(|member| layout.has(member)))
    }

    /// One structure, read with one memory read.
    pub(crate) fn object(&self, layout: &Arc<Layout>, addr: u64) -> Option<Object> {
        /// No kernel structure that is looked at here comes near this size.
        const LIMIT: u64 = 1 << 20;
        let len = usize::try_from(Some(layout.size).filter(|size| *size <= LIMIT)?).ok()?;
        let mut bytes = vec![0; len];
        self.read_virt(relaywalk::VirtAddr(addr), &mut bytes).ok()?;
        Some(Object { layout: Arc::clone(layout), bytes, abi: self.abi() })
    }

    /// A word of the kernel's size.
    pub(crate) fn word(&self, addr: u64) -> Option<u64> {
        self.memory.read_word(vmcore::VirtAddr(addr)).ok()
    }

    /// NUL-terminated bytes, at most `max`.
    pub(crate) fn text(&self, addr: u64, max: usize) -> Option<Vec<u8>> {
        self.memory.read_cstr(vmcore::VirtAddr(addr), max).ok()
    }

    /// Bytes of virtual memory; `None` when any of them is missing.
    pub(crate) fn bytes(&self, addr: u64, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.memory.read_virt(vmcore::VirtAddr(addr), &mut bytes).ok()?;
        Some(bytes)
    }
}

/// The bytes of one structure, with its layout.
#[derive(Debug)]
pub(crate) struct Object {
    layout: Arc<Layout>,
    bytes: Vec<u8>,
    abi: relaywalk::Abi,
}

impl Object {
    /// An integer, pointer or bit-field member.
    pub(crate) fn uint(&self, path: &str) -> Option<u64> {
        self.layout.member(path)?.uint(&self.bytes, self.abi)
    }

    /// A string, be it an array of characters in place or a pointer to them; `None` when it cannot be read.
    pub(crate) fn string(&self, view: &View, path: &str, max: usize) -> Option<Vec<u8>> {
        match self.layout.member(path)?.kind {
            Kind::Array { .. } => self.text(path),
            _ => view.text(self.uint(path)?, max),
        }
    }

    /// The bytes of a member.
    pub(crate) fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.layout.member(path)?.bytes(&self.bytes)
    }

    /// The bytes of a character array up to its first NUL.
    pub(crate) fn text(&self, path: &str) -> Option<Vec<u8>> {
        let bytes = self.layout.member(path)?.bytes(&self.bytes)?;
        Some(bytes.iter().copied().take_while(|byte| *byte != 0).collect())
    }
}

impl Target for View {
    fn abi(&self) -> relaywalk::Abi {
        let abi = self.memory.abi();
        relaywalk::Abi {
            endian: match abi.endian {
                vmcore::Endian::Little => relaywalk::Endian::Little,
                vmcore::Endian::Big => relaywalk::Endian::Big,
            },
            word: match abi.word {
                vmcore::WordSize::Bits32 => relaywalk::WordSize::Bits32,
                vmcore::WordSize::Bits64 => relaywalk::WordSize::Bits64,
            },
        }
    }

    fn page_size(&self) -> u64 {
        self.memory.page_size()
    }

    fn read_virt(&self, addr: relaywalk::VirtAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        self.memory.read_virt(vmcore::VirtAddr(addr.0), buf).map_err(read_error)
    }

    fn read_phys(&self, addr: relaywalk::PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        self.memory.read_phys(vmcore::PhysAddr(addr.0), buf).map_err(read_error)
    }

    fn virt_to_phys(&self, addr: relaywalk::VirtAddr) -> Result<relaywalk::PhysAddr, ReadError> {
        let found = self.memory.translate(vmcore::VirtAddr(addr.0)).map_err(read_error)?;
        Ok(relaywalk::PhysAddr(found.0))
    }

    fn symbols(&self, name: &str) -> Vec<relaywalk::Symbol> {
        self.symbols.get(name).cloned().unwrap_or_default()
    }

    fn layouts(&self, name: &str) -> Vec<Arc<Layout>> {
        self.layouts.get(name).cloned().unwrap_or_default()
    }

    fn constant(&self, name: &str) -> Option<u64> {
        self.constants.get(name).copied()
    }

    fn module_data(&self, module: &str) -> Vec<Range<u64>> {
        let own = self.modules.iter().filter(|loaded| relaywalk::same_unit(&loaded.name, module));
        own.flat_map(|loaded| loaded.data.iter().cloned()).collect()
    }
}

fn read_error(error: vmcore::MemoryError) -> ReadError {
    use vmcore::PageError;
    let kind = match error.cause {
        PageError::Excluded => ReadErrorKind::Excluded,
        PageError::Absent => ReadErrorKind::Absent,
        PageError::Lost => ReadErrorKind::Lost,
        PageError::Truncated => ReadErrorKind::Truncated,
        PageError::Corrupt(_) => ReadErrorKind::Corrupt,
        PageError::NotMapped { .. } | PageError::NonCanonical => ReadErrorKind::NotMapped,
        _ => ReadErrorKind::Io,
    };
    ReadError { addr: error.addr, kind }
}

/// A `kdebug` structure as offsets by dotted path.
fn layout(source: &kdebug::Struct) -> Layout {
    let members = source.flatten().into_iter().map(|(path, field)| (path, member(&field))).collect();
    Layout { name: source.name.clone(), size: source.size, units: source.units.clone(), members }
}

fn member(field: &kdebug::Field<'_>) -> Member {
    let bits = field.bits.map(|bits| Bits {
        storage_offset: bits.storage_offset,
        storage_size: bits.storage_size,
        shift: bits.shift,
        width: bits.width,
        signed: bits.signed,
    });
    Member { offset: field.offset, size: field.ty.size().unwrap_or(0), bits, kind: kind(field.ty) }
}

fn kind(ty: &kdebug::Type) -> Kind {
    match ty {
        kdebug::Type::Int { signed, .. } => Kind::Int { signed: *signed },
        kdebug::Type::Enum { .. } => Kind::Int { signed: false },
        kdebug::Type::Pointer { to, depth, .. } => Kind::Pointer { to: to.clone().filter(|_| *depth <= 1) },
        kdebug::Type::Array { elem, count } => {
            Kind::Array { count: *count, stride: elem.size().unwrap_or(0), elem: Box::new(kind(elem)) }
        }
        kdebug::Type::Struct(_) => Kind::Struct,
        _ => Kind::Other,
    }
}
