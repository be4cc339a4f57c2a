//! A module's own symbol table, which the kernel keeps for its back traces; with `CONFIG_KALLSYMS_ALL` variables are in it, too.
//!
//! | told by | where |
//! |---|---|
//! | `module.core_kallsyms` | a `mod_kallsyms` in place; while the module is being loaded, what `module.kallsyms` points to (since 4.5) |
//! | `module.symtab` | members of the module itself (to 4.4) |
//!
//! The entries are those of the ELF file; their values were replaced by run-time addresses, those of per-CPU variables by what a
//! CPU's offset is to be added to.

use std::collections::HashSet;

use crate::target::{Object, View};

/// More than any module has; a large one has ten thousand.
const MAX_SYMBOLS: u64 = 1 << 18;
/// Longest name that is looked at. The names that are asked for are shorter.
const MAX_NAME: usize = 128;
/// Symbols read at once.
const CHUNK: u64 = 128;

/// A symbol at its run-time address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModuleSymbol {
    pub(crate) name: String,
    pub(crate) addr: u64,
}

/// Where the table lies.
struct Table {
    symbols: u64,
    count: u64,
    names: u64,
}

/// The symbols of the names in `wanted`. Entries that cannot be read are left out. `left` is how many may still be read of all modules
/// together.
pub(super) fn read(
    view: &View,
    module: &Object,
    wanted: &HashSet<&str>,
    left: &mut u64,
) -> Vec<ModuleSymbol> {
    let Some(table) = table(view, module) else { return Vec::new() };
    let abi = relaywalk::Target::abi(view);
    let size = if abi.word_bytes() == 8 { 24 } else { 16 };
    let mut found = Vec::new();
    let count = table.count.min(MAX_SYMBOLS).min(*left);
    *left -= count;
    let mut index = 0;
    while index < count {
        let here = CHUNK.min(count - index);
        let at = table.symbols.wrapping_add(index.wrapping_mul(size));
        let bytes = |at: u64, len: u64| view.bytes(at, usize::try_from(len).ok()?);
        // One by one where not all of them are there.
        let single = |number: u64| bytes(at.wrapping_add(number * size), size);
        let entries =
            bytes(at, here * size).unwrap_or_else(|| (0..here).filter_map(single).flatten().collect());
        for entry in entries.chunks_exact(usize::try_from(size).unwrap_or(usize::MAX)) {
            found.extend(symbol(view, abi, entry, table.names, wanted));
        }
        index += here;
    }
    found
}

fn symbol(
    view: &View,
    abi: relaywalk::Abi,
    entry: &[u8],
    names: u64,
    wanted: &HashSet<&str>,
) -> Option<ModuleSymbol> {
    /// `SHN_UNDEF`: defined elsewhere.
    const UNDEFINED: u64 = 0;
    // The layout of Elf64_Sym and Elf32_Sym is that of the file format, which no kernel changes.
    let (section, value) = if abi.word_bytes() == 8 { (6, 8) } else { (14, 4) };
    let name = abi.uint(entry, 0, 4).filter(|name| *name != 0)?;
    if abi.uint(entry, section, 2)? == UNDEFINED {
        return None;
    }
    let name = view.text(names.wrapping_add(name), MAX_NAME)?;
    let name = std::str::from_utf8(&name).ok().filter(|name| wanted.contains(name))?;
    Some(ModuleSymbol { name: name.to_owned(), addr: abi.uint(entry, value, abi.word_bytes())? })
}

fn table(view: &View, module: &Object) -> Option<Table> {
    let of = |object: &Object, prefix: &str| {
        let uint = |name: &str| object.uint(&format!("{prefix}{name}"));
        let table = Table { symbols: uint("symtab")?, count: uint("num_symtab")?, names: uint("strtab")? };
        (table.symbols != 0 && table.names != 0).then_some(table)
    };
    let loading = || {
        let layout = view.layout_with("mod_kallsyms", &["symtab", "num_symtab", "strtab"])?;
        let at = module.uint("kallsyms").filter(|at| *at != 0)?;
        of(&view.object(layout, at)?, "")
    };
    of(module, "core_kallsyms.").or_else(loading).or_else(|| of(module, ""))
}
