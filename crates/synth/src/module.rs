//! The list of loaded modules, for tracers built as modules.

use crate::place::Site;
use crate::space::SymbolKind;

/// A loaded module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Name with underscores.
    pub name: String,
    /// Run-time address of its `.data`; symbols of the module lie behind it.
    pub data: u64,
    /// Bytes of `.data`.
    pub data_size: u64,
    /// Run-time address of its `.text`.
    pub text: u64,
}

/// Makes the `struct module` of every module that defines a symbol; the list is there even when empty.
pub(crate) fn place(site: &mut Site) -> Vec<Module> {
    let word = site.space.abi().word;
    let list = site.space.data("modules", 2 * word, Some("kernel/module.c"));
    site.space.list_init(list);
    let mut names: Vec<String> = site.space.symbols.iter().filter_map(|s| s.module.clone()).collect();
    names.sort();
    names.dedup();
    let mut out = Vec::new();
    for name in names {
        let of_module = |s: &&crate::space::Symbol| s.module.as_ref() == Some(&name);
        let own: Vec<_> = site.space.symbols.iter().filter(of_module).cloned().collect();
        let data = own.iter().map(|s| s.address).min().unwrap_or_default() / 16 * 16;
        let end = own.iter().map(|s| s.address + s.size).max().unwrap_or_default();
        let text = site.space.module_bytes(0x100, 16);
        let m = site.space.module_bytes(site.space.types.get("module").size, 64);
        let exported: Vec<_> =
            own.iter().filter(|s| s.unit.is_none() && s.kind == SymbolKind::Data).collect();
        let table = site.space.module_bytes(2 * word * exported.len().max(1) as u64, word);
        for (i, symbol) in exported.iter().enumerate() {
            let text = site.space.string(symbol.name.as_bytes());
            let at = table + i as u64 * 2 * word;
            site.space.put_word(at, symbol.address);
            site.space.put_word(at + word, text);
        }
        let sections = [(".text", text), (".data", data)];
        let sect = "module_sect_attrs";
        let stride = site.space.types.get("module_sect_attr").size;
        let attrs = site.space.kmalloc(site.space.types.get(sect).size + stride * sections.len() as u64);
        site.space.set(attrs, sect, "nsections", sections.len() as u64);
        let first = site.space.member(attrs, sect, "attrs");
        for (i, (section, address)) in sections.into_iter().enumerate() {
            let text = site.space.string(section.as_bytes());
            let at = first + i as u64 * stride;
            site.space.set(at, "module_sect_attr", "name", text);
            site.space.set(at, "module_sect_attr", "mattr.attr.name", text);
            site.space.set(at, "module_sect_attr", "address", address);
        }
        site.space.set_text(m, "module", "name", name.as_bytes());
        for (path, value) in [
            ("syms", table),
            ("num_syms", exported.len() as u64),
            ("module_core", data.min(text)),
            ("core_size", 0x4000),
            ("sect_attrs", attrs),
        ] {
            site.space.set(m, "module", path, value);
        }
        let node = site.space.member(m, "module", "list");
        site.space.list_add_tail(node, list);
        out.push(Module { name, data, data_size: end - data, text });
    }
    out
}
