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

/// Reads the BTF of a kernel and of a module: two parts, each without the magic number that begins it. The module also as an object
/// file that brings what it continues along, with and without the kernel that this is an excerpt of.
pub fn btf(data: &[u8]) {
    let mut input = Input::new(data);
    let magic: &[u8] = if input.u8() & 1 == 0 { b"\x9f\xeb" } else { b"\xeb\x9f" };
    let (kernel, module) = (input.part(), input.rest());
    let (kernel, module) = ([magic, kernel].concat(), [magic, module].concat());
    let object = File::new("ltt-relay.ko", Arc::new(object(&[(".BTF", &module), (".BTF.base", &kernel)])));
    let kernel = File::new("vmlinux", Arc::new(kernel));
    let module = File::new("ltt_relay", Arc::new(module)).with_module("ltt_relay");
    load(vec![kernel.clone()]);
    load(vec![kernel.clone(), module]);
    load(vec![object.clone()]);
    load(vec![kernel, object]);
}

/// A 64-bit object file of these sections.
fn object(sections: &[(&str, &[u8])]) -> Vec<u8> {
    const HEADER: usize = 64;
    let mut names = vec![0];
    let (mut data, mut headers) = (Vec::new(), vec![0; HEADER]);
    let table = (".shstrtab", &[][..]);
    for (name, bytes) in sections.iter().copied().chain([table]) {
        let place = names.len();
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        let kind = if name == table.0 { 3u32 } else { 1 };
        let bytes = if name == table.0 { names.clone() } else { bytes.to_vec() };
        // sh_name, sh_type, sh_flags, sh_addr, sh_offset, sh_size and what does not matter.
        headers.extend(u32::try_from(place).unwrap_or(0).to_le_bytes());
        headers.extend(kind.to_le_bytes());
        for word in [0, 0, HEADER + data.len(), bytes.len(), 0, 1, 0] {
            headers.extend((word as u64).to_le_bytes());
        }
        data.extend(bytes);
    }
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // e_type, e_machine, e_version, e_entry, e_phoff, e_shoff, e_flags, and sizes and numbers.
    file.extend([1, 0, 62, 0, 1, 0, 0, 0]);
    for word in [0, 0, HEADER + data.len()] {
        file.extend((word as u64).to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for half in [HEADER, 0, 0, HEADER, sections.len() + 2, sections.len() + 1] {
        file.extend(u16::try_from(half).unwrap_or(0).to_le_bytes());
    }
    [file, data, headers].concat()
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
