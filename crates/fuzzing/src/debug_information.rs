//! Debug information: DWARF, BTF, ISF.

use crate::Input;
use kdebug::{Input as File, Type, Types, Wanted};
use std::sync::Arc;

/// Paths of one struct. A kernel's largest has some thousand.
const PATHS_MAX: usize = 1 << 16;

/// Paths that are looked at.
const LOOKS: usize = 100;

/// Reads an ELF file, as a kernel and as a module beside one.
pub fn dwarf(data: &[u8]) {
    let file = || Arc::new(data.to_vec());
    load(vec![File::new("vmlinux", file())]);
    load(vec![File::new("vmlinux", file()), File::new("ltt-relay.ko", file())]);
}

/// Reads the BTF of a kernel and of a module: two parts, each without the magic number that begins it.
pub fn btf(data: &[u8]) {
    let mut input = Input::new(data);
    let magic: &[u8] = if input.u8() & 1 == 0 { b"\x9f\xeb" } else { b"\xeb\x9f" };
    let file = |name, part: &[u8]| File::new(name, Arc::new([magic, part].concat()));
    let kernel = file("vmlinux", input.part());
    let module = file("ltt_relay", input.rest()).with_module("ltt_relay");
    load(vec![kernel.clone()]);
    load(vec![kernel, module]);
}

/// Reads ISF; what was understood can be written and read again.
pub fn isf(data: &[u8]) {
    let read = |bytes: Vec<u8>| Types::load(vec![File::new("types.json", Arc::new(bytes))], &wanted());
    load(vec![File::new("types.json", Arc::new(data.to_vec()))]);
    let Ok(types) = read(data.to_vec()) else { return };
    let written = kdebug::isf::write(&types);
    let again = read(written.clone().into_bytes());
    assert!(again.is_ok(), "{written}: {again:?}");
}

/// Loads, and walks everything that came out.
fn load(files: Vec<File>) {
    let Ok(types) = Types::load(files, &wanted()) else { return };
    for name in wanted().structs {
        for definition in types.structs(&name) {
            let paths = definition.flatten();
            assert!(paths.len() <= PATHS_MAX);
            for (path, field) in paths.iter().take(LOOKS) {
                let _ = (field.ty.size(), matches!(field.ty, Type::Array { .. }), definition.member(path));
            }
        }
    }
    for name in wanted().symbols {
        let _ = (types.symbols(&name).len(), types.constant(&name).map(<[u8]>::len));
    }
    let _ = (types.build_id(), types.endian(), types.pointer_size(), types.sources().len(), types.missing());
}

/// Names in the seeds: those of small hand-written files, and those of the tracer.
fn wanted() -> Wanted {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wanted {
        structs: names(&[
            "outer",
            "flags",
            "packed",
            "both",
            "buffer",
            "local_t",
            "list_head",
            "rchan",
            "rchan_buf",
            "ltt_trace_struct",
            "dentry",
        ]),
        enums: names(&["state", "LONE_ENUMERATOR", "trace_mode"]),
        symbols: names(&["expected", "local_symbol", "ltt_traces", "linux_banner"]),
        all_symbols: true,
        ..Wanted::default()
    }
}
