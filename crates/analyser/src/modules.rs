//! Kernel modules in the core: where each section of a module was loaded, so that symbols of a `.ko` get addresses.
//!
//! The list head is the static `modules`; a module's sections are in `sect_attrs`, in one of two shapes:
//!
//! | told by | entry | name |
//! |---|---|---|
//! | `module_sect_attr.name` | `{mattr, name, address}` | `char *name` |
//! | `module_sect_attr.battr` | `{battr, address}` | `battr.attr.name` |
//!
//! Source: kernel/module.c and include/linux/module.h of the kernels concerned.

use std::collections::{BTreeMap, HashSet};

use crate::target::View;

/// More modules than any machine has loaded.
const MAX_MODULES: usize = 10_000;
/// More sections than any module has.
const MAX_SECTIONS: u64 = 1_000;
/// Longest section name that is believed.
const MAX_NAME: usize = 256;

/// One loaded module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Module {
    /// Name, with `_` for `-`.
    pub(crate) name: String,
    /// Run-time address of each section that stayed in memory.
    pub(crate) sections: BTreeMap<String, u64>,
}

/// The modules that were loaded, as far as they can be followed.
pub(crate) fn read(view: &View) -> Vec<Module> {
    let Some(layout) = view.layout_with("module", &["list.next", "name"]) else { return Vec::new() };
    let Some(node_offset) = layout.member("list.next").map(|member| member.offset) else { return Vec::new() };
    let Some(head) = view.symbol("modules") else { return Vec::new() };

    let mut modules = Vec::new();
    let mut seen = HashSet::new();
    let mut node = view.word(head);
    while let Some(at) = node.filter(|at| *at != head) {
        if seen.len() >= MAX_MODULES || !seen.insert(at) {
            break;
        }
        let Some(module) = view.object(layout, at.wrapping_sub(node_offset)) else { break };
        let name = String::from_utf8_lossy(&module.text("name").unwrap_or_default()).replace('-', "_");
        let mut sections = module.uint("sect_attrs").map(|attrs| sections(view, attrs)).unwrap_or_default();
        // Per-CPU data is not among the attributes.
        if let Some(percpu) = module.uint("percpu").filter(|percpu| *percpu != 0) {
            for name in [".data.percpu", ".data..percpu"] {
                sections.entry(name.to_owned()).or_insert(percpu);
            }
        }
        modules.push(Module { name, sections });
        node = module.uint("list.next");
    }
    modules
}

fn sections(view: &View, attrs: u64) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let Some(table) = view.layout_with("module_sect_attrs", &["attrs"]) else { return found };
    let Some(entry) = view.layout_with("module_sect_attr", &["address"]) else { return found };
    let Some(first) = table.member("attrs").map(|member| member.offset) else { return found };
    let count = match table.member("nsections") {
        Some(_) => view.object(table, attrs).and_then(|table| table.uint("nsections")).unwrap_or(0),
        None => 0,
    };
    let name_path = if entry.has("name") { "name" } else { "battr.attr.name" };
    for index in 0..count.min(MAX_SECTIONS) {
        let at = attrs.wrapping_add(first).wrapping_add(index.wrapping_mul(entry.size));
        let Some(section) = view.object(entry, at) else { break };
        let (Some(name), Some(address)) = (section.uint(name_path), section.uint("address")) else { break };
        if let Some(name) = view.text(name, MAX_NAME) {
            found.insert(String::from_utf8_lossy(&name).into_owned(), address);
        }
    }
    found
}

/// Structures and symbols that this module asks the type information for.
pub(crate) fn want(wanted: &mut kdebug::Wanted) {
    for name in ["module", "module_sect_attrs", "module_sect_attr"] {
        wanted.structs.push(name.to_owned());
    }
    wanted.symbols.push("modules".to_owned());
}
