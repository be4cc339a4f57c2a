//! Symbols of ELF files, and the content of constants.

use crate::image::Image;
use crate::source::{Found, Symbol, unit_stem};
use crate::wanted::{BANNER, WantedSets};
use object::read::{Object, ObjectSection, ObjectSymbol};
use object::{SectionIndex, SymbolKind, SymbolSection};
use std::collections::HashMap;

/// Constants are strings and small tables.
const MAX_CONSTANT: u64 = 1 << 16;

/// Names of the per-CPU section, before and after 2.6.38.
const PERCPU_SECTIONS: [&str; 2] = [".data..percpu", ".data.percpu"];
/// Until 2.6.33 per-CPU variables were named apart.
const PERCPU_PREFIX: &str = "per_cpu__";

/// Collects the wanted symbols of the symbol table, else of the dynamic one.
///
/// The table has to be read in order once, because a local symbol's file is told by the last file
/// symbol before it: about 10 ms for a distribution kernel.
pub(crate) fn collect(image: &Image<'_>, wanted: &WantedSets<'_>, found: &mut Found) {
    let mut sections: HashMap<SectionIndex, String> = HashMap::new();
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
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if name.is_empty() || symbol.is_undefined() {
            continue;
        }
        let asked = wanted.symbols.contains(name);
        if !asked && !wanted.all_symbols {
            continue;
        }
        let index = symbol.section_index();
        let section = index.map(|index| {
            let name = sections.entry(index).or_insert_with(|| {
                let section = image.file.section_by_index(index);
                section.ok().and_then(|s| s.name().ok().map(str::to_owned)).unwrap_or_default()
            });
            name.clone()
        });
        if asked && let Some(content) = constant(image, &symbol, name, section.as_deref()) {
            found.constants.insert(name.to_owned(), content);
        }
        let percpu = name.starts_with(PERCPU_PREFIX)
            || section.as_deref().is_some_and(|s| PERCPU_SECTIONS.iter().any(|p| s.starts_with(p)));
        let entry = Symbol {
            value: symbol.address(),
            size: symbol.size(),
            unit: if symbol.is_local() { unit.filter(|u| !u.is_empty()).map(unit_stem) } else { None },
            section,
            source: 0,
            percpu,
            absolute: symbol.section() == SymbolSection::Absolute,
        };
        found.symbols.entry(name.to_owned()).or_default().push(entry);
    }
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
