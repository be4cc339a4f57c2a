//! Any bytes: a value or an error, in bounded time, memory and stack.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "tests"
)]

use kdebug::{Input, Types, Wanted};
use proptest::prelude::*;
use proptest::sample::Index;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// More than any intact seed has.
const MAX_PATHS: usize = 1 << 16;

fn wanted() -> Wanted {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wanted {
        structs: names(&["outer", "flags", "packed", "both", "buffer", "local_t", "list_head", "rchan_buf"]),
        enums: names(&["state", "LONE_ENUMERATOR", "trace_mode"]),
        symbols: names(&["expected", "local_symbol", "ltt_traces"]),
        all_symbols: true,
        ..Wanted::default()
    }
}

/// Loads, and walks everything that came out.
fn exercise(inputs: Vec<Vec<u8>>) {
    let inputs = inputs.into_iter().map(|bytes| Input::new("hostile.ko", Arc::new(bytes))).collect();
    let Ok(types) = Types::load(inputs, &wanted()) else { return };
    for name in wanted().structs {
        for layout in types.structs(&name) {
            let paths = layout.flatten();
            assert!(paths.len() <= MAX_PATHS);
            for (_, field) in paths.iter().take(100) {
                let _ = field.ty.size();
            }
        }
    }
    let _ = kdebug::isf::write(&types);
}

fn data(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
}

/// Intact files of every kind.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let names = [
        "dwarf5.o",
        "dwarf5-zlib.o",
        "dwarf5-zstd.o",
        "dwarf5-zdebug.o",
        "dwarf2.o",
        "dwarf4-types",
        "kernel",
    ];
    let mut seeds: Vec<Vec<u8>> = names.iter().map(|name| data(name)).collect();
    seeds.push(nested_btf(6, 2));
    let types = Types::load(vec![Input::new("kernel", Arc::new(data("kernel")))], &wanted()).unwrap();
    seeds.push(kdebug::isf::write(&types).into_bytes());
    seeds
});

/// BTF of `levels` structs, each an array of `width` of the one below twice over, the last in "outer".
fn nested_btf(levels: u32, width: u32) -> Vec<u8> {
    let mut types: Vec<u32> = vec![1, 1 << 24, 4, 32];
    let mut id = 1;
    for level in 0..levels {
        // Four arrays around the last struct.
        for _ in 0..4 {
            types.extend([0, 3 << 24, 0, id, 1, width]);
            id = types_id(&types);
        }
        let name = if level + 1 == levels { 5 } else { 0 };
        types.extend([name, 4 << 24 | 2, 8, 1, id, 0, 3, id, 0]);
        id = types_id(&types);
    }
    let strings = b"\0a\0b\0outer\0";
    let length = types.len() as u32 * 4;
    let mut blob = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, length, length, strings.len() as u32].iter().chain(&types) {
        blob.extend_from_slice(&word.to_le_bytes());
    }
    blob.extend_from_slice(strings);
    blob
}

/// Id of the last record.
fn types_id(types: &[u32]) -> u32 {
    let (mut offset, mut id) = (0, 0);
    while offset < types.len() {
        offset += match types[offset + 1] >> 24 {
            1 => 4,
            3 => 6,
            _ => 3 + 3 * (types[offset + 1] & 0xffff) as usize,
        };
        id += 1;
    }
    id
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        exercise(vec![bytes]);
    }

    #[test]
    fn any_bytes_after_a_magic(
        magic in prop::sample::select(vec![&b"\x7fELF\x02\x01\x01"[..], b"\x7fELF\x01\x02\x01", b"\x9f\xeb\x01\0", b"\xeb\x9f\x01\0", b"{\"user_types\":"]),
        bytes in prop::collection::vec(any::<u8>(), 0..512),
    ) {
        exercise(vec![[magic, &bytes].concat()]);
    }

    #[test]
    fn damaged_files(
        seed in any::<Index>(),
        edits in prop::collection::vec((any::<Index>(), any::<u8>()), 1..24),
        cut in prop::option::weighted(0.2, any::<Index>()),
    ) {
        let mut bytes = seed.get(&SEEDS).clone();
        for (place, value) in edits {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        exercise(vec![bytes]);
    }

    #[test]
    fn damaged_beside_intact(first in any::<Index>(), second in any::<Index>(), place in any::<Index>(), value: u8) {
        let mut bytes = second.get(&SEEDS).clone();
        let place = place.index(bytes.len());
        bytes[place] = value;
        exercise(vec![first.get(&SEEDS).clone(), bytes]);
    }
}

#[test]
fn deep_nesting_needs_little_stack_and_doubling_little_memory() {
    let load = || {
        let bytes = nested_btf(200, 1);
        Types::load(vec![Input::new("btf", Arc::new(bytes))], &wanted()).unwrap()
    };
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let types = small.spawn(load).unwrap().join().unwrap();
    assert!(types.structs("outer")[0].flatten().len() <= MAX_PATHS);
}
