//! One file of debug information: what goes in, and what came out of it.

use crate::types::Struct;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file's bytes with its name; mapping or reading the file is up to the caller.
#[derive(Clone)]
pub struct Input {
    /// For messages, and to guess a module's name.
    pub path: PathBuf,
    /// The whole file, or a blob of BTF from memory.
    pub bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    /// Name of the module that the bytes belong to, when the caller knows it.
    pub module: Option<String>,
}

impl Input {
    /// An input whose nature is found out from its content and path.
    pub fn new(path: impl Into<PathBuf>, bytes: Arc<dyn AsRef<[u8]> + Send + Sync>) -> Self {
        Input { path: path.into(), bytes, module: None }
    }

    /// Says which module the bytes belong to: BTF found in memory has no file name to tell.
    #[must_use]
    pub fn with_module(mut self, name: impl Into<String>) -> Self {
        self.module = Some(name.into());
        self
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("path", &self.path)
            .field("bytes", &(*self.bytes).as_ref().len())
            .field("module", &self.module)
            .finish()
    }
}

/// Byte order of the machine that the file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Where the types of a source came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceKind {
    /// DWARF sections of an ELF file.
    Dwarf,
    /// A `.BTF` section or a raw BTF file.
    Btf,
    /// Volatility 3 JSON.
    Isf,
    /// An ELF file without type information.
    SymbolsOnly,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SourceKind::Dwarf => "DWARF",
            SourceKind::Btf => "BTF",
            SourceKind::Isf => "ISF",
            SourceKind::SymbolsOnly => "symbols only",
        })
    }
}

/// Summary of one loaded input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// As given.
    pub path: PathBuf,
    /// What the types were read from.
    pub kind: SourceKind,
    /// GNU build-id, if the file carries one.
    pub build_id: Option<Vec<u8>>,
    /// Name of the kernel module (with `_`, never `-`); `None` for the kernel itself.
    pub module: Option<String>,
    /// Number of wanted struct definitions that it held.
    pub structs: usize,
    /// Number of symbols that were kept.
    pub symbols: usize,
}

/// A symbol as the debug information knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// Link-time address; offset in [`section`](Self::section) if there is one.
    pub value: u64,
    /// Bytes; 0 if unknown.
    pub size: u64,
    /// File stem of the compile unit (`ltt-relay-locked`): of local symbols only, which are the ones
    /// that have homonyms.
    pub unit: Option<String>,
    /// Name of the module that it belongs to (with `_`, never `-`); `None` for the kernel itself.
    pub module: Option<String>,
    /// Name of the section that the value is relative to: in modules, which are not linked.
    pub section: Option<String>,
    /// Index in [`Types::sources`](crate::Types::sources).
    pub source: usize,
    /// A per-CPU variable: the value is that of the template from which each CPU's copy is made.
    pub percpu: bool,
    /// The value does not move when the kernel is loaded elsewhere (KASLR): it is a plain number, or
    /// belongs to per-CPU data linked at address 0, as on x86-64.
    pub absolute: bool,
}

/// Enumerators by the name of their enumeration; the empty name is of all anonymous ones.
pub(crate) type Enums = BTreeMap<String, BTreeMap<String, i128>>;

/// What one input yielded.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) kind: SourceKind,
    pub(crate) module: Option<String>,
    pub(crate) build_id: Option<Vec<u8>>,
    /// Of several modules in one file.
    pub(crate) module_build_ids: BTreeMap<String, Vec<u8>>,
    pub(crate) endian: Option<Endian>,
    pub(crate) pointer_size: Option<u64>,
    pub(crate) structs: BTreeMap<String, Vec<Arc<Struct>>>,
    pub(crate) enums: Enums,
    pub(crate) symbols: BTreeMap<String, Vec<Symbol>>,
    pub(crate) constants: BTreeMap<String, Vec<u8>>,
    /// What of it could not be read.
    pub(crate) warnings: Vec<String>,
}

impl Found {
    pub(crate) fn new(kind: SourceKind) -> Self {
        Found {
            kind,
            module: None,
            build_id: None,
            module_build_ids: BTreeMap::new(),
            endian: None,
            pointer_size: None,
            structs: BTreeMap::new(),
            enums: Enums::new(),
            symbols: BTreeMap::new(),
            constants: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }
}

impl Found {
    /// The first value of a name stays.
    pub(crate) fn add_enumerator(&mut self, of: &str, name: &str, value: i128) {
        let of = self.enums.entry(of.to_owned()).or_default();
        of.entry(name.to_owned()).or_insert(value);
    }
}

/// The name by which compile units are known: `ltt/ltt-relay-locked.c` → `ltt-relay-locked`.
pub(crate) fn unit_stem(file: &[u8]) -> String {
    let base = file.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let stem = match base.iter().rposition(|byte| *byte == b'.') {
        Some(dot) if dot > 0 => base.get(..dot).unwrap_or(base),
        _ => base,
    };
    String::from_utf8_lossy(stem).into_owned()
}

/// A module's name from its file's: `drivers/ltt-relay.ko.debug` → `ltt_relay`; `None` unless the
/// name says that it is a module.
pub(crate) fn module_from_path(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let (stem, _) = name.split_once(".ko")?;
    (!stem.is_empty()).then(|| module_name(stem))
}

/// Modules call themselves by `_` where their files say `-`.
pub(crate) fn module_name(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_units_and_modules() {
        for (file, stem) in [
            ("ltt/ltt-relay-locked.c", "ltt-relay-locked"),
            ("/build/kernel/relay.c", "relay"),
            ("head.S", "head"),
            (".hidden", ".hidden"),
            ("a.b.c", "a.b"),
            ("", ""),
        ] {
            assert_eq!(unit_stem(file.as_bytes()), stem);
        }
        for (path, module) in [
            ("/lib/ltt-relay.ko", Some("ltt_relay")),
            ("a/ltt-core.ko.debug", Some("ltt_core")),
            ("vmlinux", None),
            (".ko", None),
        ] {
            assert_eq!(module_from_path(Path::new(path)).as_deref(), module);
        }
    }
}
