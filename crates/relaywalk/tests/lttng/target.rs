//! A synthetic kernel as a [`Target`].

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use relaywalk::{
    Abi, Bits, Endian, Kind, Layout, Member, PhysAddr, ReadError, ReadErrorKind, Symbol, Target, VirtAddr,
    WordSize,
};
use synth::lttng::DeadTracer;

/// What the debug information and the symbol tables know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Types and symbols.
    Everything,
    /// The kernel's own types only, and symbols with their modules.
    SymbolsOnly,
    /// The kernel's own types, and where modules are loaded.
    ModulesOnly,
    /// Types, but no symbol of the tracer.
    TypesOnly,
}

pub(crate) struct Dead<'a> {
    pub(crate) tracer: &'a DeadTracer,
    known: Known,
    layouts: HashMap<String, Vec<Arc<Layout>>>,
}

impl<'a> Dead<'a> {
    pub(crate) fn new(tracer: &'a DeadTracer, known: Known) -> Dead<'a> {
        let types = tracer.kernel.types();
        let mut layouts: HashMap<String, Vec<Arc<Layout>>> = HashMap::new();
        for source in &types.layouts {
            let own = source.name.contains("lttng")
                || source.name.contains("ring_buffer")
                || source.name.contains("commit_counters")
                || source.name == "packet_header"
                || source.name == "channel" && source.units.is_empty();
            if own && matches!(known, Known::SymbolsOnly | Known::ModulesOnly) {
                continue;
            }
            let mut members = BTreeMap::new();
            flatten(types, source, "", 0, &mut members);
            let units = source.units.iter().map(|unit| unit.rsplit('/').next().unwrap().replace(".c", ""));
            let layout =
                Layout { name: source.name.clone(), size: source.size, units: units.collect(), members };
            layouts.entry(source.name.clone()).or_default().push(Arc::new(layout));
        }
        Dead { tracer, known, layouts }
    }
}

fn kind(types: &synth::Types, ty: &synth::cdecl::Type) -> (Kind, u64) {
    use synth::cdecl::Type;
    let size = types.size(ty, None);
    let kind = match ty {
        Type::Base(name) => Kind::Int { signed: !name.contains("unsigned") },
        Type::Enum(_) => Kind::Int { signed: false },
        Type::Pointer(to) => Kind::Pointer {
            to: match &**to {
                Type::Named(name) => Some(name.clone()),
                _ => None,
            },
        },
        Type::Array(element, count) => {
            let (elem, stride) = kind(types, element);
            Kind::Array { count: Some(*count), stride, elem: Box::new(elem) }
        }
        Type::Named(_) | Type::Anonymous(_) => Kind::Struct,
        Type::Typedef(name) => return kind(types, &types.declarations.typedefs[name]),
        Type::Void => Kind::Other,
    };
    (kind, size)
}

fn flatten(
    types: &synth::Types,
    layout: &synth::Layout,
    prefix: &str,
    base: u64,
    members: &mut BTreeMap<String, Member>,
) {
    use synth::cdecl::Type;
    for member in &layout.members {
        let offset = base + member.offset;
        let path = match (prefix, member.name.as_str()) {
            (prefix, "") => prefix.to_string(),
            ("", name) => name.to_string(),
            (prefix, name) => format!("{prefix}.{name}"),
        };
        let mut ty = member.ty.clone();
        while let Type::Typedef(name) = &ty {
            ty = types.declarations.typedefs[name].clone();
        }
        let (kind, mut size) = kind(types, &ty);
        let inner = match (&member.inner, &ty) {
            (Some(inner), _) => Some((**inner).clone()),
            (None, Type::Named(name)) => types.find(name).cloned(),
            (None, Type::Anonymous(_)) => None,
            _ => None,
        };
        if let Some(inner) = &inner {
            size = inner.size;
            flatten(types, inner, &path, offset, members);
        }
        if member.name.is_empty() {
            continue;
        }
        let bits = member.bits.map(|(shift, width)| Bits {
            storage_offset: offset,
            storage_size: u8::try_from(size).unwrap(),
            shift,
            width,
            signed: false,
        });
        members.insert(path, Member { offset, size, bits, kind });
    }
}

impl Target for Dead<'_> {
    fn abi(&self) -> Abi {
        let abi = self.tracer.kernel.facts().abi;
        Abi {
            endian: if abi.endian == synth::Endian::Little { Endian::Little } else { Endian::Big },
            word: if abi.word == 8 { WordSize::Bits64 } else { WordSize::Bits32 },
        }
    }

    fn page_size(&self) -> u64 {
        self.tracer.kernel.facts().page_size()
    }

    fn read_virt(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        let page = self.page_size();
        let mut at = addr;
        let mut rest = buf;
        while !rest.is_empty() {
            let room = usize::try_from(page - at.0 % page).unwrap().min(rest.len());
            let (piece, tail) = rest.split_at_mut(room);
            self.read_phys(self.virt_to_phys(at)?, piece)
                .map_err(|error| ReadError { addr: at.0, ..error })?;
            at = at.offset(room as u64);
            rest = tail;
        }
        Ok(())
    }

    fn read_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        let memory = self.tracer.kernel.memory();
        let absent = ReadError { addr: addr.0, kind: ReadErrorKind::Absent };
        let page = self.page_size();
        let mut at = addr.0;
        let mut rest = buf;
        while !rest.is_empty() {
            let within = usize::try_from(at % page).unwrap();
            let bytes = memory.page(at / page).ok_or(absent)?;
            let room = rest.len().min(bytes.len() - within);
            rest[..room].copy_from_slice(&bytes[within..within + room]);
            at = at.wrapping_add(room as u64);
            rest = &mut rest[room..];
        }
        Ok(())
    }

    fn virt_to_phys(&self, addr: VirtAddr) -> Result<PhysAddr, ReadError> {
        Ok(PhysAddr(self.tracer.kernel.phys(addr.0)))
    }

    fn symbols(&self, name: &str) -> Vec<Symbol> {
        let hidden = name == "sessions" && matches!(self.known, Known::ModulesOnly | Known::TypesOnly);
        let named = self.tracer.kernel.symbols().iter().filter(|symbol| symbol.name == name && !hidden);
        let per_cpu = |symbol: &synth::Symbol| Symbol {
            addr: symbol.address,
            unit: symbol.module.clone().or(symbol.unit.clone()),
        };
        named.map(per_cpu).collect()
    }

    fn layouts(&self, name: &str) -> Vec<Arc<Layout>> {
        self.layouts.get(name).cloned().unwrap_or_default()
    }

    fn constant(&self, _name: &str) -> Option<u64> {
        None
    }

    fn module_data(&self, module: &str) -> Vec<Range<u64>> {
        let modules = self.tracer.kernel.modules().iter().filter(|loaded| loaded.name == module);
        modules.map(|loaded| loaded.data..loaded.data + 0x1800).collect()
    }
}
