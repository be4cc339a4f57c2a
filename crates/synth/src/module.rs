//! The list of loaded modules, for tracers built as modules.

use crate::place::Site;
use crate::space::{Space, Symbol, SymbolKind};

/// How a kernel describes its modules: each by what was new in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModuleShape {
    /// Sections behind an array of pointers, names in place.
    Pointed,
    /// Number of sections (2.6.17).
    Counted,
    /// Memory and symbol table in structures of their own (4.5).
    Layouts,
    /// Sections are binary attributes, build-ids are kept (5.8, 5.14).
    Binary,
    /// Memory by type (6.4).
    Regions,
    /// Sections behind an array of pointers again (6.14).
    Attributes,
}

impl ModuleShape {
    /// All of them.
    pub const ALL: [ModuleShape; 6] = [
        ModuleShape::Pointed,
        ModuleShape::Counted,
        ModuleShape::Layouts,
        ModuleShape::Binary,
        ModuleShape::Regions,
        ModuleShape::Attributes,
    ];

    /// The declarations.
    pub(crate) fn header(self) -> String {
        let group = if self < ModuleShape::Binary {
            "struct attribute_group { const char *name; void *attrs; };"
        } else {
            "struct attribute_group { const char *name; void *is_visible; void *attrs; void *bin_attrs; };
            struct bin_attribute { struct attribute attr; unsigned long size; void *private; };"
        };
        let entry = match self {
            ModuleShape::Pointed => {
                "struct module_sect_attr { struct module_attribute mattr; char name[32]; unsigned long address; };"
            }
            ModuleShape::Counted | ModuleShape::Layouts => {
                "struct module_sect_attr { struct module_attribute mattr; char *name; unsigned long address; };"
            }
            ModuleShape::Binary | ModuleShape::Regions => {
                "struct module_sect_attr { struct bin_attribute battr; unsigned long address; };"
            }
            ModuleShape::Attributes => "",
        };
        let table = match self {
            ModuleShape::Pointed => {
                "struct module_sect_attrs { struct attribute_group grp; struct module_sect_attr attrs[]; };"
            }
            ModuleShape::Attributes => {
                "struct module_sect_attrs { struct attribute_group grp; struct bin_attribute attrs[]; };"
            }
            _ => {
                "struct module_sect_attrs { struct attribute_group grp; unsigned int nsections; struct module_sect_attr attrs[]; };"
            }
        };
        let own_symbols = "void *symtab; unsigned int num_symtab; char *strtab;";
        let kallsyms = format!("struct mod_kallsyms {{ {own_symbols} }};");
        let (parts, regions, symbols) = if self < ModuleShape::Layouts {
            (
                String::new(),
                "void *module_init; void *module_core; unsigned int init_size, core_size, core_text_size;",
                own_symbols,
            )
        } else if self < ModuleShape::Regions {
            (
                kallsyms
                    + "struct module_layout { void *base; unsigned int size; unsigned int text_size; unsigned int ro_size; };",
                "struct module_layout core_layout; struct module_layout init_layout;",
                "struct mod_kallsyms *kallsyms; struct mod_kallsyms core_kallsyms;",
            )
        } else {
            (
                kallsyms + "struct module_memory { void *base; unsigned int size; };",
                "struct module_memory mem[7];",
                "struct mod_kallsyms *kallsyms; struct mod_kallsyms core_kallsyms;",
            )
        };
        let build_id = if self < ModuleShape::Binary { "" } else { "unsigned char build_id[20];" };
        include_str!("headers/module.h")
            .replace("ATTRIBUTES", &format!("{group}\n{entry}\n{table}"))
            .replace("PARTS", &parts)
            .replace("REGIONS", regions)
            .replace("SYMBOLS", symbols)
            .replace("BUILD_ID", build_id)
    }
}

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
    /// GNU build-id of its file.
    pub build_id: [u8; 20],
    /// Checksum over its source.
    pub source_version: String,
    /// Address of its `struct module`.
    pub address: u64,
    /// Address of its symbol table in memory.
    pub symbols: u64,
}

/// Makes the `struct module` of every module that defines a symbol; the list is there even when empty.
pub(crate) fn place(site: &mut Site, seed: u8) -> Vec<Module> {
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
        let build_id: [u8; 20] = std::array::from_fn(|at| {
            let letter = name.as_bytes()[at % name.len()];
            letter.wrapping_mul(31).wrapping_add(at as u8).wrapping_add(seed)
        });
        let note = site.space.note(&build_id);
        let sections = [(".text", text), (".note.gnu.build-id", note), (".data", data)];
        let attrs = sect_attrs(&mut site.space, &sections);
        let (symtab, strtab, count) = symbol_table(&mut site.space, &own, text);
        let source_version = format!("{:0>23}", build_id[0]);
        let version = site.space.string(b"1.0");
        let srcversion = site.space.string(source_version.as_bytes());
        site.space.set_text(m, "module", "name", name.as_bytes());
        let page = site.space.facts.page_size();
        let base = data / page * page;
        let size = end.next_multiple_of(page) - base;
        let kept =
            if site.space.types.find_place("module", "build_id").is_some() { build_id } else { [0; 20] };
        for (at, byte) in kept.into_iter().enumerate().filter(|(_, byte)| *byte != 0) {
            let place = site.space.member(m, "module", "build_id");
            site.space.put(place + at as u64, 1, byte.into());
        }
        for (path, value) in [
            ("syms", table),
            ("num_syms", exported.len() as u64),
            ("version", version),
            ("srcversion", srcversion),
            ("sect_attrs", attrs),
            ("module_core", base),
            ("core_size", size),
            ("core_layout.base", base),
            ("core_layout.size", size),
            ("mem[0].base", text),
            ("mem[0].size", 0x100),
            ("mem[1].base", base),
            ("mem[1].size", size),
        ] {
            site.space.set_if_any(m, "module", path, value);
        }
        for prefix in ["", "core_kallsyms."] {
            for (member, value) in [("symtab", symtab), ("num_symtab", count), ("strtab", strtab)] {
                site.space.set_if_any(m, "module", &format!("{prefix}{member}"), value);
            }
        }
        let node = site.space.member(m, "module", "list");
        site.space.list_add_tail(node, list);
        let data_size = end - data;
        out.push(Module {
            name,
            data,
            data_size,
            text,
            build_id,
            source_version,
            address: m,
            symbols: symtab,
        });
    }
    out
}

/// The table of sections, in the kernel's shape.
fn sect_attrs(space: &mut Space, sections: &[(&str, u64)]) -> u64 {
    let sect = "module_sect_attrs";
    let word = space.abi().word;
    let own = space.types.find("module_sect_attr").is_some();
    let entry = if own { "module_sect_attr" } else { "bin_attribute" };
    let counted = space.types.find_place(sect, "nsections").is_some();
    let stride = space.types.get(entry).size;
    let attrs = space.kmalloc(space.types.get(sect).size + stride * sections.len() as u64);
    let pointers = space.kmalloc(word * (sections.len() as u64 + 1));
    let first = space.member(attrs, sect, "attrs");
    for (i, (section, address)) in sections.iter().enumerate() {
        let text = space.string(section.as_bytes());
        let at = first + i as u64 * stride;
        if !counted && own {
            space.set_text(at, entry, "name", section.as_bytes());
        } else {
            space.set_if_any(at, entry, "name", text);
        }
        for path in ["mattr.attr.name", "battr.attr.name", "attr.name"] {
            space.set_if_any(at, entry, path, text);
        }
        for path in ["address", "private"] {
            space.set_if_any(at, entry, path, *address);
        }
        let attribute = if own && !counted { space.member(at, entry, "mattr.attr") } else { at };
        space.put_word(pointers + i as u64 * word, attribute);
    }
    space.set_if_any(attrs, sect, "nsections", sections.len() as u64);
    for path in ["grp.attrs", "grp.bin_attrs"] {
        space.set_if_any(attrs, sect, path, pointers);
    }
    attrs
}

/// Symbol table and names as the loader leaves them in memory; address of both, and number of symbols.
fn symbol_table(space: &mut Space, own: &[Symbol], text: u64) -> (u64, u64, u64) {
    let wide = space.abi().word == 8;
    // (name, section, value): the first is always empty, the second is defined elsewhere.
    let mut symbols = vec![("", 0, 0), ("printk", 0, 0), ("init_module", 1, text)];
    symbols.extend(own.iter().map(|symbol| (symbol.name.as_str(), 3, symbol.address)));
    let mut names = vec![0];
    let size = if wide { 24 } else { 16 };
    let table = space.module_bytes(size * symbols.len() as u64, 8);
    for (i, (name, section, value)) in symbols.iter().enumerate() {
        let at = table + i as u64 * size;
        let offset = if name.is_empty() { 0 } else { names.len() as u64 };
        if !name.is_empty() {
            names.extend(name.as_bytes());
            names.push(0);
        }
        space.put(at, 4, offset);
        space.put(at + if wide { 6 } else { 14 }, 2, *section);
        space.put_word(at + if wide { 8 } else { 4 }, *value);
    }
    let strings = space.module_bytes(names.len() as u64, 1);
    space.write(strings, &names);
    (table, strings, symbols.len() as u64)
}
