//! Symbols of ELF files, and the content of constants.

use crate::image::Image;
use crate::source::{Symbol, unit_stem};
use crate::wanted::{BANNER, WantedSets};
use object::read::{Object, ObjectSection, ObjectSymbol};
use object::{SectionIndex, SectionKind, SymbolKind, SymbolSection};
use std::collections::{BTreeMap, HashMap};

/// Constants are strings and small tables.
const MAX_CONSTANT: u64 = 1 << 16;

/// Names of the per-CPU section, before and after 2.6.38.
const PERCPU_SECTIONS: [&str; 2] = [".data..percpu", ".data.percpu"];
/// Until 2.6.33 per-CPU variables were named apart.
const PERCPU_PREFIX: &str = "per_cpu__";

/// What a symbol table yielded.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    pub(crate) symbols: BTreeMap<String, Vec<Symbol>>,
    /// Content of constants.
    pub(crate) constants: BTreeMap<String, Vec<u8>>,
}

/// Collects the wanted symbols of the symbol table, else of the dynamic one.
///
/// The table has to be read in order once, because a local symbol's file is told by the last file
/// symbol before it: about 10 ms for a distribution kernel.
pub(crate) fn collect(image: &Image<'_>, wanted: &WantedSets<'_>) -> Symbols {
    let mut found = Symbols::default();
    let mut sections: HashMap<SectionIndex, Option<Section>> = HashMap::new();
    let image_start = image_start(image);
    let mut unit = None;
    let mut symbols: Box<dyn Iterator<Item = _>> = Box::new(image.file.symbols());
    if image.file.symbol_table().is_none() {
        symbols = Box::new(image.file.dynamic_symbols());
    }
    for symbol in symbols {
        let Ok(name) = symbol.name_bytes() else { continue };
        match symbol.kind() {
            SymbolKind::File => {
                unit = Some(name);
                continue;
            }
            SymbolKind::Section => continue,
            _ => {}
        }
        let Ok(name) = std::str::from_utf8(name).map(source_name) else { continue };
        if name.is_empty() || symbol.is_undefined() {
            continue;
        }
        let asked = wanted.symbols.contains(name);
        if !asked && !wanted.all_symbols {
            continue;
        }
        let section = symbol
            .section_index()
            .and_then(|index| sections.entry(index).or_insert_with(|| Section::read(image, index)).as_ref());
        let section_name = section.map(|section| section.name.as_str());
        if asked && let Some(content) = constant(image, &symbol, name, section_name) {
            found.constants.insert(name.to_owned(), content);
        }
        let linked_apart = |section: &Section| {
            section.is_percpu() && image_start.is_some_and(|start| section.address < start)
        };
        let relative = image.is_relocatable();
        let entry = Symbol {
            value: symbol.address(),
            size: symbol.size(),
            unit: if symbol.is_local() { unit.filter(|u| !u.is_empty()).map(unit_stem) } else { None },
            module: None,
            section: section_name.filter(|_| relative).map(str::to_owned),
            source: 0,
            percpu: name.starts_with(PERCPU_PREFIX) || section.is_some_and(Section::is_percpu),
            absolute: symbol.section() == SymbolSection::Absolute
                || (!relative && section.is_some_and(linked_apart)),
        };
        found.symbols.entry(name.to_owned()).or_default().push(entry);
    }
    found
}

/// The name in the source of what link-time optimisation has renamed, because it made a local symbol global.
fn source_name(name: &str) -> &str {
    let renamed = [".llvm.", ".lto_priv."].into_iter().find_map(|mark| name.split_once(mark));
    renamed.map_or(name, |(name, _)| name)
}

/// What has to be known of a symbol's section.
struct Section {
    name: String,
    address: u64,
}

impl Section {
    fn read(image: &Image<'_>, index: SectionIndex) -> Option<Self> {
        let section = image.file.section_by_index(index).ok()?;
        Some(Section { name: section.name().ok()?.to_owned(), address: section.address() })
    }

    fn is_percpu(&self) -> bool {
        is_percpu_section(&self.name)
    }
}

/// Whether a section of this name holds per-CPU variables.
pub(crate) fn is_percpu_section(name: &str) -> bool {
    PERCPU_SECTIONS.iter().any(|percpu| name.starts_with(percpu))
}

/// Lowest address of what is loaded, per-CPU data aside.
fn image_start(image: &Image<'_>) -> Option<u64> {
    let loaded = image.file.sections().filter(|section| {
        let is_percpu = || section.name().is_ok_and(is_percpu_section);
        matches!(
            section.kind(),
            SectionKind::Text
                | SectionKind::Data
                | SectionKind::ReadOnlyData
                | SectionKind::UninitializedData
        ) && section.size() > 0
            && !is_percpu()
    });
    loaded.map(|section| section.address()).min()
}

/// Content of a symbol in read-only data, if the file has it: separate debug files only reserve the
/// place of such sections.
fn constant<'a>(
    image: &Image<'a>,
    symbol: &impl ObjectSymbol<'a>,
    name: &str,
    section_name: Option<&str>,
) -> Option<Vec<u8>> {
    let read_only = section_name.is_some_and(|section| section.starts_with(".rodata"));
    if name != BANNER && !(read_only && symbol.kind() == SymbolKind::Data) {
        return None;
    }
    let section = image.file.section_by_index(symbol.section_index()?).ok()?;
    let data = section.data().ok()?;
    let start = usize::try_from(symbol.address().checked_sub(section.address())?).ok()?;
    let data = data.get(start..)?;
    let size = match symbol.size() {
        // Assembly may leave out the size; what is looked up this way is text.
        0 => memchr::memchr(0, data)?.checked_add(1)?,
        size => usize::try_from(size).ok()?,
    };
    let within = u64::try_from(size).is_ok_and(|size| size <= MAX_CONSTANT);
    data.get(..size).filter(|_| within).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_time_optimisation_renames() {
        for (name, source) in [
            ("relay_channels", "relay_channels"),
            ("relay_channels.llvm.8012345678901234567", "relay_channels"),
            ("ltt_traces.lto_priv.0", "ltt_traces"),
            ("__func__.12", "__func__.12"),
        ] {
            assert_eq!(source_name(name), source);
        }
    }
}
