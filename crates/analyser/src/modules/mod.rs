//! Kernel modules in the core: which were loaded, where, and what their symbols are.
//!
//! The list head is the static `modules`, the entries are `struct module`. What is needed of one moved about over the years; each
//! file here knows the shapes of one thing and tells them apart by the members that there are:
//!
//! | file | what | for |
//! |---|---|---|
//! | `sections.rs` | where each section was put | symbols of a `.ko`, which are relative to sections |
//! | `regions.rs` | the memory that the module occupies | searches, where symbols are missing |
//! | `symbols.rs` | the module's own symbol table | symbols where no `.ko` is at hand |
//!
//! Source: kernel/module.c (later kernel/module/), include/linux/module.h of the kernels concerned.

mod regions;
mod sections;
mod symbols;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use relaywalk::Layout;

pub(crate) use symbols::ModuleSymbol;

use crate::target::{Object, View};

/// More modules than any machine has loaded.
const MAX_MODULES: usize = 10_000;
/// `MODULE_NAME_LEN` and the longest version that is believed.
const MAX_TEXT: usize = 64;
/// Sections of all modules together: a machine has some ten thousand.
const MAX_SECTIONS: u64 = 1 << 18;
/// Symbols of the modules of tracers together: they have some ten thousand.
const MAX_SYMBOLS: u64 = 1 << 20;
/// `MODULE_STATE_UNFORMED`: memory is reserved, but nothing in it. Since 3.8.
const UNFORMED: u64 = 3;
/// Bytes of a build-id, of which the kernel keeps the first.
const BUILD_ID: usize = 20;

/// A module that was loaded when the kernel died.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Module {
    /// Name, with `_` for `-`.
    pub name: String,
    /// What it says of its version (`2.13.9`).
    pub version: Option<String>,
    /// Checksum over its source, if it says one.
    pub source_version: Option<String>,
    /// GNU build-id, if the core tells.
    pub build_id: Option<Vec<u8>>,
    /// Run-time address of each section that was loaded; those that only initialisation needed are gone by now. Per-CPU data are at the
    /// address that a CPU's offset is to be added to.
    pub sections: BTreeMap<String, u64>,
    /// Run-time addresses of its writable data.
    pub data: Vec<Range<u64>>,
    /// Address of its `struct module`.
    pub address: u64,
}

/// The modules that were loaded, as far as they can be followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Modules {
    pub(crate) modules: Vec<Module>,
    /// Where the list leads nowhere, if it does.
    pub(crate) broken: Option<u64>,
}

/// Follows the list of modules.
///
/// It is doubly linked: where it is broken, what is behind the break is found from the other end.
pub(crate) fn read(view: &View) -> Modules {
    let Some(layout) = view.layout_with("module", &["list.next", "name"]) else { return Modules::default() };
    // Others have symbols of this name, too; theirs lead to no module.
    let lists = view.symbol_addrs("modules").map(|head| follow(view, layout, head));
    lists.max_by_key(|list| (list.modules.len(), list.broken.is_none())).unwrap_or_default()
}

fn follow(view: &View, layout: &Arc<Layout>, head: u64) -> Modules {
    let mut found = Modules::default();
    let mut seen = HashSet::new();
    let mut sections = MAX_SECTIONS;
    for (index, link) in ["list.next", "list.prev"].into_iter().enumerate() {
        let (Some(first), Some(member)) = (layout.member("list.next"), layout.member(link)) else { break };
        let mut node = view.word(head.wrapping_add(member.offset.wrapping_sub(first.offset)));
        let mut behind = Vec::new();
        loop {
            match node {
                Some(at) if at == head => break,
                Some(at) if seen.len() < MAX_MODULES && seen.insert(at) => {
                    let address = at.wrapping_sub(first.offset);
                    let Some((module, object)) = module(view, layout, address, &mut sections) else {
                        found.broken.get_or_insert(at);
                        break;
                    };
                    if object.uint("state") != Some(UNFORMED) {
                        behind.push(module);
                    }
                    node = object.uint(link);
                }
                // Unreadable, or here before.
                at => {
                    found.broken.get_or_insert(at.unwrap_or(head));
                    break;
                }
            }
        }
        if index == 1 {
            behind.reverse();
        }
        found.modules.extend(behind);
        if found.broken.is_none() {
            break;
        }
    }
    found
}

fn module(view: &View, layout: &Arc<Layout>, address: u64, left: &mut u64) -> Option<(Module, Object)> {
    let object = view.object(layout, address)?;
    let name = object.text("name")?;
    // Names of modules are names of C identifiers; anything else is no module.
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+');
    if name.is_empty() || !name.iter().all(is_name) {
        return None;
    }
    let mut sections = object.uint("sect_attrs").map(|at| sections::read(view, at, left)).unwrap_or_default();
    // Per-CPU data is not among the attributes.
    if let Some(percpu) = object.uint("percpu").filter(|percpu| *percpu != 0) {
        for name in [".data.percpu", ".data..percpu"] {
            sections.entry(name.to_owned()).or_insert(percpu);
        }
    }
    let text = |path: &str| {
        let text = object.uint(path).filter(|at| *at != 0).and_then(|at| view.text(at, MAX_TEXT))?;
        (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
    };
    let module = Module {
        name: String::from_utf8_lossy(&name).replace('-', "_"),
        version: text("version"),
        source_version: text("srcversion"),
        build_id: build_id(view, &object, &sections),
        data: regions::data(view, layout, &object, address),
        sections,
        address,
    };
    Some((module, object))
}

/// Kept in the module since 5.14, on request; else the note itself, which stays in memory.
fn build_id(view: &View, object: &Object, sections: &BTreeMap<String, u64>) -> Option<Vec<u8>> {
    /// Sizes of name and content, the type, and the name.
    const HEADER: usize = 16;
    const NT_GNU_BUILD_ID: u64 = 3;
    let kept = object.bytes("build_id").filter(|id| id.iter().any(|byte| *byte != 0));
    if let Some(kept) = kept {
        return Some(kept.to_vec());
    }
    let note = view.bytes(*sections.get(".note.gnu.build-id")?, HEADER + BUILD_ID)?;
    let (header, id) = note.split_at_checked(HEADER)?;
    let number = |at| relaywalk::Target::abi(view).uint(header, at, 4);
    let len = usize::try_from(number(4)?).ok()?;
    let is_build_id = number(0)? == 4 && number(8)? == NT_GNU_BUILD_ID && header.ends_with(b"GNU\0");
    id.get(..len).filter(|id| is_build_id && !id.is_empty()).map(<[u8]>::to_vec)
}

/// Wanted symbols of the modules that `is_holder` is true for, from their symbol tables in memory, each with its module's name.
pub(crate) fn symbols(
    view: &View,
    is_holder: impl Fn(&Module) -> bool,
    wanted: &HashSet<&str>,
) -> Vec<(ModuleSymbol, String)> {
    let Some(layout) = view.layout_with("module", &["list.next", "name"]) else { return Vec::new() };
    let mut left = MAX_SYMBOLS;
    let mut found = Vec::new();
    for module in view.modules.iter().filter(|module| is_holder(module)) {
        let Some(object) = view.object(layout, module.address) else { continue };
        let symbols = symbols::read(view, &object, wanted, &mut left);
        found.extend(symbols.into_iter().map(|symbol| (symbol, module.name.clone())));
    }
    found
}

/// Members of `struct module`, a large structure, that are looked at.
pub(crate) const MEMBERS: &[&str] = &[
    "list",
    "name",
    "state",
    "version",
    "srcversion",
    "build_id",
    "sect_attrs",
    "percpu",
    "mem",
    "core_layout",
    "data_layout",
    "module_core",
    "core_size",
    "core_text_size",
    "core_ro_size",
    "kallsyms",
    "core_kallsyms",
    "symtab",
    "num_symtab",
    "strtab",
];

/// Structures and symbols that this module asks the type information for.
pub(crate) fn want(wanted: &mut kdebug::Wanted) {
    for name in ["module", "module_memory", "mod_kallsyms"].iter().chain(&sections::STRUCTS) {
        wanted.structs.push((*name).to_owned());
    }
    wanted.enums.push(regions::DATA.to_owned());
    wanted.symbols.push("modules".to_owned());
}
