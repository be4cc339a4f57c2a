//! What GCC wrote against what GCC computed: the objects in `data/` hold a table of the compiler's own
//! offsets and sizes beside its debug information.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "tests"
)]

use kdebug::{Bits, Endian, Error, Input, SourceKind, Struct, Type, Types, Wanted};
use std::path::Path;
use std::sync::Arc;

/// The same source compiled in several ways.
const OBJECTS: [&str; 10] = [
    "dwarf5.o",
    "dwarf5-zlib.o",
    "dwarf5-zstd.o",
    "dwarf5-zdebug.o",
    "dwarf4-types",
    "dwarf4-types.o",
    "dwarf5-types.o",
    "dwarf3.o",
    "dwarf2.o",
    "dwarf4-i386.o",
];

/// Paths in `struct outer`, in the order of the table `expected`, which begins with its size.
const PATHS: [&str; 17] = [
    "name",
    "channel.metadata",
    "list",
    "inner_a",
    "inner_b.high",
    "counters",
    "opaque",
    "callback",
    "buffers",
    "state",
    "ratio",
    "flag",
    "negative",
    "anything",
    "typedefd",
    "empty",
    "tail",
];

fn input(name: &str) -> Input {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    Input::new(name, Arc::new(std::fs::read(path).unwrap()))
}

fn wanted() -> Wanted {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wanted {
        structs: names(&["outer", "flags", "packed", "both", "buffer", "local_t", "list_head", "nowhere"]),
        enums: names(&["state", "LONE_ENUMERATOR"]),
        symbols: names(&[
            "expected",
            "flags_sample",
            "packed_sample",
            "both_sample",
            "local_symbol",
            "percpu_symbol",
            "outer",
            "absolute_number",
        ]),
        ..Wanted::default()
    }
}

fn load(names: &[&str]) -> Types {
    Types::load(names.iter().map(|name| input(name)).collect(), &wanted()).unwrap()
}

fn only<'t>(types: &'t Types, name: &str) -> &'t Struct {
    let [only] = types.structs(name) else { panic!("{name}: {:?}", types.structs(name)) };
    only
}

fn read(bytes: &[u8], bits: Bits) -> i64 {
    let mut unit = [0; 8];
    let start = bits.storage_offset as usize;
    let size = usize::from(bits.storage_size);
    unit[..size].copy_from_slice(&bytes[start..start + size]);
    let value = u64::from_le_bytes(unit) >> bits.shift << (64 - bits.width);
    if bits.signed { value as i64 >> (64 - bits.width) } else { (value >> (64 - bits.width)) as i64 }
}

fn expected(types: &Types) -> Vec<u64> {
    let table = types.constant("expected").unwrap();
    table.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect()
}

#[test]
fn offsets_are_the_compilers() {
    for object in OBJECTS {
        let types = load(&[object]);
        let outer = only(&types, "outer");
        let table = expected(&types);
        assert_eq!(outer.size, table[0], "{object}");
        for (path, offset) in PATHS.iter().zip(&table[1..]) {
            let field = outer.member(path).unwrap_or_else(|| panic!("{object}: {path}"));
            assert_eq!(field.offset, *offset, "{object}: {path}");
        }
        let rest = &table[PATHS.len() + 1..];
        assert_eq!(only(&types, "flags").size, rest[0], "{object}");
        assert_eq!(only(&types, "packed").size, rest[1], "{object}");
        assert_eq!(only(&types, "packed").member("last").unwrap().offset, rest[2], "{object}");
    }
}

#[test]
fn bit_fields_read_as_the_compiler_wrote_them() {
    for object in OBJECTS {
        let types = load(&[object]);
        for (name, field, value) in [
            ("flags", "active", -1),
            ("flags", "overwrite", 1),
            ("flags", "mode", 21),
            ("flags", "wide", 0xab_cdef_0123),
            ("flags", "state", 7),
            ("flags", "small", 5),
            ("packed", "low", 0x2bcd_ef01),
            ("packed", "across", 0x55),
            ("both", "bit", 1),
        ] {
            let layout = only(&types, name);
            let sample = types.constant(&format!("{name}_sample")).unwrap();
            assert_eq!(sample.len() as u64, layout.size);
            let bits = layout.member(field).unwrap().bits.unwrap();
            assert!(bits.storage_offset + u64::from(bits.storage_size) <= layout.size);
            assert_eq!(read(sample, bits), value, "{object}: {name}.{field} {bits:?}");
        }
    }
}

#[test]
fn types_of_members() {
    for object in OBJECTS {
        let types = load(&[object]);
        let word = types.pointer_size().unwrap();
        assert_eq!(word, if object.contains("i386") { 4 } else { 8 });
        assert_eq!(types.endian(), Some(Endian::Little));
        let outer = only(&types, "outer");
        let ty = |path: &str| outer.member(path).unwrap().ty.clone();
        let pointer =
            |to: Option<&str>, depth| Type::Pointer { size: word, to: to.map(str::to_owned), depth };
        assert_eq!(ty("channel.cpu"), pointer(Some("list_head"), 1), "{object}");
        assert_eq!(ty("opaque"), pointer(Some("declared_only"), 2), "{object}");
        assert_eq!(ty("callback"), pointer(None, 1), "{object}");
        assert_eq!(ty("buffers"), pointer(Some("buffer"), 2), "{object}");
        assert_eq!(ty("anything"), pointer(None, 1), "{object}");
        assert_eq!(ty("typedefd"), pointer(Some("local_t"), 1), "{object}");
        assert_eq!(ty("flag"), Type::Int { size: 1, signed: false }, "{object}");
        assert_eq!(ty("negative"), Type::Int { size: 1, signed: true }, "{object}");
        assert_eq!(ty("ratio"), Type::Float { size: 8 }, "{object}");
        assert_eq!(ty("state"), Type::Enum { name: Some("state".into()), size: 4 }, "{object}");
        assert_eq!(ty("counters").size(), Some(6 * word), "{object}");
        let Type::Array { elem, count: Some(2) } = ty("counters") else { panic!("{object}") };
        let Type::Array { elem, count: Some(3) } = *elem else { panic!("{object}") };
        let Type::Struct(local) = *elem else { panic!("{object}") };
        assert_eq!(local.name, "local_t", "{object}: named by its typedef");
        assert_eq!(local.member("a.counter").unwrap().ty.size(), Some(word), "{object}");
        assert!(matches!(ty("empty"), Type::Array { count: Some(0), .. }), "{object}: {:?}", ty("empty"));
        assert!(matches!(ty("tail"), Type::Array { count: None, .. }), "{object}");
        assert!(only(&types, "local_t").same_layout(&local), "{object}");
        assert_eq!(types.missing().structs, ["nowhere"], "{object}");
    }
}

#[test]
fn enumerators_by_type_and_alone() {
    for object in OBJECTS {
        let types = load(&[object]);
        assert_eq!(types.enumerator("STATE_FIRST"), Some(-1), "{object}");
        assert_eq!(types.enumerator("STATE_DONE"), Some(7), "{object}");
        assert_eq!(types.enumerator("LONE_ENUMERATOR"), Some(42), "{object}");
        assert!(types.missing().enums.is_empty(), "{object}");
    }
}

#[test]
fn symbols_of_objects_are_relative_to_their_section() {
    let types = load(&["dwarf5.o"]);
    let [percpu] = types.symbols("percpu_symbol") else { panic!() };
    assert_eq!(percpu.section.as_deref(), Some(".data..percpu"));
    assert!(percpu.percpu && !percpu.absolute);
    assert_eq!((percpu.value, percpu.size, percpu.unit.as_deref()), (0, 4, None));
    let [local] = types.symbols("local_symbol") else { panic!() };
    assert_eq!(local.unit.as_deref(), Some("layouts"));
    assert!(!local.percpu);
}

#[test]
fn symbols_of_kernels_are_addresses() {
    let types = load(&["kernel"]);
    let [outer] = types.symbols("outer") else { panic!() };
    assert!(outer.value > 0x8100_0000 && outer.section.is_none() && !outer.absolute && !outer.percpu);
    let [percpu] = types.symbols("percpu_symbol") else { panic!() };
    assert_eq!((percpu.value, percpu.percpu, percpu.absolute), (0, true, true), "linked at 0");
    let [number] = types.symbols("absolute_number") else { panic!() };
    assert_eq!((number.value, number.percpu, number.absolute), (0x1234, false, true));
}

#[test]
fn linked_relocations_are_not_applied_again() {
    let types = load(&["kernel"]);
    assert_eq!(only(&types, "outer").member("tail").unwrap().offset, *expected(&types).get(17).unwrap());
    assert_eq!(types.sources()[0].kind, SourceKind::Dwarf);
    assert_eq!(types.constant("linux_banner").unwrap(), b"Linux version 2.6.27 (test)\n\0");
}

#[test]
fn homonyms_are_kept_apart_by_unit() {
    let types = load(&["kernel"]);
    assert_eq!(types.structs("buffer").len(), 2);
    let pointee = |unit: &str| {
        let buffer = types.struct_in("buffer", &["absent", unit]).unwrap();
        assert_eq!(buffer.units, [unit]);
        buffer.member("commit_count").unwrap().ty.clone()
    };
    assert_eq!(pointee("layouts"), Type::Pointer { size: 8, to: Some("local_t".into()), depth: 1 });
    assert_eq!(pointee("other"), Type::Pointer { size: 8, to: None, depth: 1 });
    let list = only(&types, "list_head");
    assert_eq!(list.units, ["layouts", "other"], "one definition from a header");
    let units: Vec<_> = types.symbols("local_symbol").iter().map(|s| s.unit.clone().unwrap()).collect();
    assert_eq!(units, ["layouts", "other"]);
}

#[test]
fn the_first_definition_only_if_asked() {
    let wanted = Wanted {
        structs: vec!["buffer".into(), "list_head".into()],
        first_definition_only: true,
        ..Wanted::default()
    };
    let types = Types::load(vec![input("kernel")], &wanted).unwrap();
    assert_eq!(only(&types, "buffer").units, ["layouts"]);
    assert_eq!(only(&types, "list_head").units, ["layouts"]);
}

#[test]
fn a_stripped_kernel_completes_its_debug_file() {
    let debug = load(&["kernel.debug"]);
    assert_eq!(debug.constant("linux_banner"), None, "the debug file has no contents");
    let types = load(&["kernel.stripped", "kernel.debug"]);
    assert_eq!(types.sources()[0].kind, SourceKind::SymbolsOnly);
    assert_eq!(types.structs("buffer").len(), 2);
    assert_eq!(types.symbols("local_symbol").len(), 2);
    assert_eq!(types.build_id(), debug.build_id());
    assert_eq!(types.build_id().unwrap().len(), 20);
    let twice = load(&["kernel", "kernel.debug"]);
    assert_eq!(twice.symbols("local_symbol").len(), 2, "seen in both, listed once");
    assert_eq!(twice.structs("buffer").len(), 2);
    assert!(twice.constant("linux_banner").is_some());
}

#[test]
fn another_kernels_debug_file_is_refused() {
    let kernel = input("kernel");
    let mut bytes = (*kernel.bytes).as_ref().to_vec();
    let id = load(&["kernel"]).build_id().unwrap().to_vec();
    let at = bytes.windows(id.len()).position(|window| window == id).unwrap();
    bytes[at] ^= 0xff;
    let other = Input::new("other", Arc::new(bytes));
    let error = Types::load(vec![kernel, other], &wanted()).unwrap_err();
    assert!(matches!(error, Error::BuildId { .. }), "{error}");
    assert!(error.to_string().starts_with("other: build-id "), "{error}");
}

#[test]
fn a_module_names_the_units_of_what_it_defines() {
    let mut module = input("dwarf5.o");
    module.path = "ltt/ltt-relay.ko".into();
    let types = Types::load(vec![input("kernel"), module], &wanted()).unwrap();
    assert_eq!(types.sources()[1].module.as_deref(), Some("ltt_relay"));
    assert!(types.struct_in("buffer", &["ltt-relay"]).unwrap().is_in("layouts"));
    assert_eq!(types.structs("buffer").len(), 2, "the module's is one of the kernel's");
    let sources: Vec<_> = types.symbols("local_symbol").iter().map(|s| s.source).collect();
    assert_eq!(sources, [0, 0, 1]);
}

#[test]
fn split_dwarf_names_the_missing_file() {
    let error = Types::load(vec![input("split.o")], &wanted()).unwrap_err();
    let expected = "split.o: the types are in split.dwo (split DWARF), which was not given";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn everything_survives_isf() {
    let types = load(&["kernel"]);
    let json = kdebug::isf::write(&types);
    let again = Types::load(vec![Input::new("isf", Arc::new(json.clone()))], &wanted()).unwrap();
    for name in wanted().structs {
        let (before, after) = (types.structs(&name), again.structs(&name));
        assert_eq!(before.len(), after.len(), "{name}\n{json}");
        for (before, after) in before.iter().zip(after) {
            assert_eq!(before.flatten().len(), after.flatten().len());
            for (path, field) in before.flatten() {
                let other = after.member(&path).unwrap();
                assert_eq!((field.offset, field.bits), (other.offset, other.bits), "{name}.{path}");
            }
            if before.name == "buffer" {
                assert_eq!(before, after);
            }
        }
    }
    assert_eq!(types.struct_in("buffer", &["other"]), again.struct_in("buffer", &["other"]));
    assert_eq!(again.enumerator("STATE_FIRST"), Some(-1));
    assert_eq!(again.enumerator("LONE_ENUMERATOR"), Some(42));
    assert_eq!(again.constant("linux_banner"), types.constant("linux_banner"));
    assert_eq!(again.build_id(), types.build_id());
    for name in ["local_symbol", "outer"] {
        let view =
            |types: &Types| -> Vec<_> { types.symbols(name).iter().map(|s| (s.value, s.size)).collect() };
        assert_eq!(view(&again), view(&types), "{name}");
    }
    assert_eq!(again.missing().structs, types.missing().structs);
    assert_eq!(json, kdebug::isf::write(&again), "writing is idempotent");
}
