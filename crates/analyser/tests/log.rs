//! The kernel log in the forms of 3.5–5.9 (records) and of 5.10 and later (lockless ring), built by hand, big endian.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on must fail"
)]

use std::sync::Arc;

use analyser::{Kernel, KernelLog, OpenOptions};

/// Where the one segment of memory lies.
const BASE: u64 = 0xc000_0000_0000_0000;
const BANNER: &[u8] = b"Linux version 4.4.0 (build@host) #1\n\0";

/// Memory of a 64-bit big-endian machine with a linear map, and the symbols in it.
struct Machine {
    memory: Vec<u8>,
    symbols: Vec<(&'static str, u64)>,
    types: serde_json::Value,
}

impl Machine {
    fn new(types: serde_json::Value) -> Machine {
        let mut machine = Machine { memory: vec![0; 0x4000], symbols: Vec::new(), types };
        machine.symbol("linux_banner", 0x100, BANNER);
        machine
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.memory[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn symbol(&mut self, name: &'static str, at: usize, bytes: &[u8]) {
        self.put(at, bytes);
        self.symbols.push((name, BASE + at as u64));
    }

    fn pointer(&mut self, name: &'static str, at: usize, to: usize) {
        self.symbol(name, at, &(BASE + to as u64).to_be_bytes());
    }

    fn log(&self) -> KernelLog {
        let symbols: serde_json::Map<String, serde_json::Value> = self
            .symbols
            .iter()
            .map(|(name, address)| ((*name).to_owned(), serde_json::json!({ "address": address })))
            .collect();
        let isf = serde_json::json!({
            "metadata": { "format": "6.2.0", "producer": { "name": "test", "version": "1" } },
            "base_types": {
                "u64": { "size": 8, "signed": false, "kind": "int", "endian": "big" },
                "u32": { "size": 4, "signed": false, "kind": "int", "endian": "big" },
                "u16": { "size": 2, "signed": false, "kind": "int", "endian": "big" },
                "pointer": { "size": 8, "signed": false, "kind": "int", "endian": "big" },
            },
            "enums": {}, "user_types": self.types, "symbols": symbols,
        });
        let core = vmcore::Vmcore::from_bytes(vec![self.elf()], &vmcore::OpenOptions::default()).unwrap();
        let types = kdebug::Input::new("types.json", Arc::new(isf.to_string().into_bytes()));
        Kernel::from_parts(core, vec![types], &OpenOptions::default()).unwrap().log().unwrap()
    }

    /// An ELF core for 64-bit PowerPC with one segment.
    fn elf(&self) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x02\x01".to_vec();
        file.resize(16, 0);
        let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_be_bytes());
        half(&mut file, 4);
        half(&mut file, 21);
        file.extend(1u32.to_be_bytes());
        for word in [0u64, 64, 0] {
            file.extend(word.to_be_bytes());
        }
        file.extend(0u32.to_be_bytes());
        for value in [64, 56, 1, 0, 0, 0] {
            half(&mut file, value);
        }
        file.extend(1u32.to_be_bytes());
        file.extend(7u32.to_be_bytes());
        let len = self.memory.len() as u64;
        for word in [0x1000, BASE, 0, len, len, 0x1000u64] {
            file.extend(word.to_be_bytes());
        }
        file.resize(0x1000, 0);
        file.extend(&self.memory);
        file
    }
}

fn field(offset: u64, name: &str) -> serde_json::Value {
    serde_json::json!({ "offset": offset, "type": { "kind": "base", "name": name } })
}

/// `{ts_nsec, len, text_len, dict_len, facility…}` and the text, padded to 8.
fn record(ts_nsec: u64, text: &str) -> Vec<u8> {
    let len = (16 + text.len()).next_multiple_of(8);
    let mut bytes = ts_nsec.to_be_bytes().to_vec();
    bytes.extend((len as u16).to_be_bytes());
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(text.as_bytes());
    bytes.resize(len, 0);
    bytes
}

#[test]
fn records_that_wrap() {
    let mut machine = Machine::new(serde_json::json!({
        "printk_log": { "kind": "struct", "size": 16, "fields": {
            "ts_nsec": field(0, "u64"), "len": field(8, "u16"), "text_len": field(10, "u16"),
        } },
    }));
    machine.pointer("log_buf", 0x200, 0x1000);
    machine.symbol("log_buf_len", 0x208, &256u32.to_be_bytes());
    // The oldest record begins in the middle; behind it a zero length sends the reader to the start.
    let old = record(1_000_001_000, "oldest");
    let new = record(2_000_000_000, "newer\nof two lines");
    let last = record(3_500_000_000, "Kernel panic - not syncing: test");
    machine.put(0x1000 + 200, &old);
    machine.put(0x1000, &new);
    machine.put(0x1000 + new.len(), &last);
    machine.symbol("log_first_idx", 0x210, &200u32.to_be_bytes());
    machine.symbol("log_next_idx", 0x214, &((new.len() + last.len()) as u32).to_be_bytes());

    let log = machine.log();
    let expected = [
        "[    1.000001] oldest",
        "[    2.000000] newer",
        "[    2.000000] of two lines",
        "[    3.500000] Kernel panic - not syncing: test",
    ];
    assert_eq!(log.lines, expected);
    assert_eq!(log.panic.as_deref(), Some("Kernel panic - not syncing: test"));
}

/// A record whose length leads back to itself for ever, and indexes beyond the ring.
#[test]
fn hostile_records_end() {
    let types = serde_json::json!({
        "printk_log": { "kind": "struct", "size": 16, "fields": {
            "ts_nsec": field(0, "u64"), "len": field(8, "u16"), "text_len": field(10, "u16"),
        } },
    });
    let mut machine = Machine::new(types);
    machine.pointer("log_buf", 0x200, 0x1000);
    machine.symbol("log_buf_len", 0x208, &256u32.to_be_bytes());
    machine.put(0x1000, &[0xff; 256]);
    machine.symbol("log_first_idx", 0x210, &8u32.to_be_bytes());
    machine.symbol("log_next_idx", 0x214, &4u32.to_be_bytes());
    assert!(machine.log().lines.len() <= 32);
}

#[test]
fn the_lockless_ring() {
    let mut machine = Machine::new(serde_json::json!({
        "printk_ringbuffer": { "kind": "struct", "size": 64, "fields": {
            "desc_ring": { "offset": 0, "type": { "kind": "struct", "name": "prb_desc_ring" } },
            "text_data_ring": { "offset": 40, "type": { "kind": "struct", "name": "prb_data_ring" } },
        } },
        "prb_desc_ring": { "kind": "struct", "size": 40, "fields": {
            "count_bits": field(0, "u32"), "descs": field(8, "u64"), "infos": field(16, "u64"),
            "head_id": field(24, "u64"), "tail_id": field(32, "u64"),
        } },
        "prb_data_ring": { "kind": "struct", "size": 24, "fields": { "size_bits": field(0, "u32"), "data": field(8, "u64") } },
        "prb_desc": { "kind": "struct", "size": 24, "fields": {
            "state_var": field(0, "u64"),
            "text_blk_lpos": { "offset": 8, "type": { "kind": "struct", "name": "prb_data_blk_lpos" } },
        } },
        "prb_data_blk_lpos": { "kind": "struct", "size": 16, "fields": { "begin": field(0, "u64"), "next": field(8, "u64") } },
        "printk_info": { "kind": "struct", "size": 16, "fields": { "ts_nsec": field(0, "u64"), "text_len": field(8, "u16") } },
    }));
    machine.pointer("prb", 0x200, 0x300);
    let word = |machine: &mut Machine, at: usize, value: u64| machine.put(at, &value.to_be_bytes());
    // 4 descriptors, 128 bytes of text; ids 6 to 8 are in the ring.
    machine.put(0x300, &2u32.to_be_bytes());
    word(&mut machine, 0x308, BASE + 0x400);
    word(&mut machine, 0x310, BASE + 0x500);
    word(&mut machine, 0x318, 8);
    word(&mut machine, 0x320, 6);
    machine.put(0x328, &7u32.to_be_bytes());
    word(&mut machine, 0x330, BASE + 0x1000);
    // (id, state, begin, next, text): finalised; one that wraps lies at the start of the ring; one is still reserved.
    for (id, state, begin, next, at, text) in [
        (6u64, 2u64, 64u64, 88u64, 64usize, "first"),
        (7, 1, 120, 152, 0, "wrapped text"),
        (8, 0, 152, 176, 24, "not yet"),
    ] {
        let slot = (id & 3) as usize;
        word(&mut machine, 0x400 + slot * 24, id | state << 62);
        word(&mut machine, 0x408 + slot * 24, begin);
        word(&mut machine, 0x410 + slot * 24, next);
        word(&mut machine, 0x500 + slot * 16, id * 1_000_000_000);
        machine.put(0x508 + slot * 16, &(text.len() as u16).to_be_bytes());
        word(&mut machine, 0x1000 + at, id);
        machine.put(0x1008 + at, text.as_bytes());
    }
    assert_eq!(machine.log().lines, ["[    6.000000] first", "[    7.000000] wrapped text"]);
}
