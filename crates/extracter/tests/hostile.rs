//! Damaged and malicious cores, from file to trace directory: the extraction ends, within bounds of memory; nothing is written
//! outside of the output; the accounts add up; and damage to one buffer costs that buffer and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod lab;

use lab::{Edit, JUNK, Lab, StreamPlaces, extract, fixture, memory_is_bounded};
use proptest::prelude::*;
use proptest::sample::Index;
use std::fs;
use std::sync::LazyLock;
use synth::corrupt::Damage;
use synth::{Era, core::Elf};

static K1: LazyLock<Lab> = LazyLock::new(|| Lab::open("K1-2cpu", "types-2.6.27.isf.json"));
static X2: LazyLock<Lab> = LazyLock::new(|| Lab::open("X2-i386-2cpu", "types-2.6.27-i386.isf.json"));

/// A 64-bit and a 32-bit kernel.
fn labs() -> [&'static Lab; 2] {
    [&K1, &X2]
}

/// The stream that is damaged, and its path.
fn victim(lab: &Lab) -> (StreamPlaces, &'static str) {
    (lab.stream("k1", "cpu", 0), "k1/cpu_0")
}

/// Numbers that overflow, divide badly or are much too large where a size, a count or a position is expected.
const ABSURD: [u64; 7] = [0, 1, 0xfff, 1 << 31, u32::MAX as u64, 1 << 63, u64::MAX];

#[test]
fn intact_cores_give_what_is_expected() {
    for lab in labs() {
        let outcome = lab.spoils_only("intact", &[], &[]);
        assert_eq!(outcome.files, lab.expected);
        assert!(outcome.report.unwrap().totals.bytes.unreadable == 0);
    }
    memory_is_bounded();
}

#[test]
fn a_page_list_that_runs_in_circles() {
    for lab in labs() {
        let (places, path) = victim(lab);
        let head = lab.member(places.buffer, "rchan_buf", "pages");
        let first = lab.word(head);
        let second = lab.word(first);
        let nowhere = lab.get(places.dentry, "dentry", "d_inode");
        for (case, at, next) in [
            ("the head to itself", head, head),
            ("a node to itself", second, second),
            ("a node to an earlier one", lab.word(lab.word(second)), first),
            ("a node to null", second, 0),
            ("a node to something else", second, nowhere),
            ("a node to nowhere", second, !7),
        ] {
            let outcome = lab.spoils_only(case, &[lab.put_word(at, next)], &[path]);
            assert!(outcome.report.unwrap().has_losses(), "{case}");
        }
    }
    memory_is_bounded();
}

#[test]
fn pages_that_are_not_those_of_the_buffer() {
    for lab in labs() {
        let (places, path) = victim(lab);
        let other = lab.stream("k1flight", "cpu", 1);
        let node = |places: &StreamPlaces| {
            let link = lab.member(0, "buf_page", "list");
            lab.word(lab.member(places.buffer, "rchan_buf", "pages")) - link
        };
        let (mine, theirs) = (node(&places), node(&other));
        let page = lab.get(theirs, "buf_page", "page");
        let at = |path| lab.member(mine, "buf_page", path);
        for (case, edit) in [
            ("a page of another buffer", lab.put_word(at("page"), page)),
            ("no page", lab.put_word(at("page"), 0)),
            ("a page far away", lab.put_word(at("page"), u64::MAX - 63)),
            ("a node of another buffer", lab.put_word(at("buf"), other.buffer)),
            ("an offset beyond the buffer", lab.put_word(at("offset"), 1 << 30)),
            ("an offset within a page", lab.put_word(at("offset"), 8)),
            ("the first node zeroed", lab.put_page(mine, 0)),
        ] {
            // Nodes of several buffers may share a page.
            let spoilt = if case == "the first node zeroed" { "k1" } else { path };
            let outcome = lab.spoils_only(case, &[edit], &[spoilt]);
            assert!(outcome.report.unwrap().has_losses(), "{case}");
        }
        for value in ABSURD {
            let at = lab.member(places.buffer, "rchan_buf", "page_count");
            lab.spoils_only("page count", &[lab.put_u32(at, value as u32)], &[path]);
        }
    }
    memory_is_bounded();
}

#[test]
fn absurd_geometry() {
    for lab in labs() {
        let (places, _) = victim(lab);
        for value in ABSURD {
            for path in ["subbuf_size", "n_subbufs", "alloc_size"] {
                let case = format!("{path} {value:#x}");
                let edit = lab.put_word(lab.member(places.rchan, "rchan", path), value);
                let outcome = lab.spoils_only(&case, &[edit], &["k1/cpu_"]);
                assert!(path != "subbuf_size" || outcome.files != lab.expected, "{case}");
            }
            let order = lab.member(places.channel, "ltt_channel_struct", "n_subbufs_order");
            lab.spoils_only("order", &[lab.put_u32(order, value as u32)], &["k1/cpu_"]);
        }
        // Sizes that agree with each other, and would be gigabytes.
        let at = |path| lab.member(places.rchan, "rchan", path);
        let edits = [
            lab.put_word(at("subbuf_size"), 1 << 30),
            lab.put_word(at("n_subbufs"), 1 << 20),
            lab.put_word(at("alloc_size"), 1 << 50),
        ];
        lab.spoils_only("gigabytes", &edits, &["k1/cpu_"]);
    }
    memory_is_bounded();
}

#[test]
fn absurd_positions_and_counters() {
    for lab in labs() {
        let (places, path) = victim(lab);
        let at = |path| lab.member(places.positions, "ltt_channel_buf_struct", path);
        let counters = lab.get(places.positions, "ltt_channel_buf_struct", "commit_count");
        for value in ABSURD {
            for member in ["offset", "consumed", "last_tsc", "active_readers", "events_lost", "commit_count"]
            {
                let case = format!("{member} {value:#x}");
                let outcome = lab.spoils_only(&case, &[lab.put_word(at(member), value)], &[path]);
                assert!(member != "offset" || outcome.files != lab.expected, "{case}");
            }
            for slot in [0, 1] {
                let edit = lab.put_word(counters + slot * lab.word_len(), value);
                lab.spoils_only(&format!("counter {slot} {value:#x}"), &[edit], &[path]);
            }
            let cpu = lab.member(places.buffer, "rchan_buf", "cpu");
            lab.spoils_only("cpu", &[lab.put_u32(cpu, value as u32)], &[path]);
            let finalized = lab.member(places.buffer, "rchan_buf", "finalized");
            lab.spoils_only("finalized", &[lab.put_u32(finalized, value as u32)], &[path]);
        }
    }
    memory_is_bounded();
}

#[test]
fn a_trace_list_that_runs_in_circles_loses_no_trace() {
    for lab in labs() {
        let head = lab.member(lab.symbol("ltt_traces"), "ltt_traces", "head");
        let first = lab.word(head);
        let last = lab.word(first);
        for (case, at, next) in [
            ("the head to itself", head, head),
            ("the first to itself", first, first),
            ("the last to the first", last, first),
            ("the first to null", first, 0),
            ("the first to nowhere", first, !7),
        ] {
            // Other ways lead to the buffers too.
            lab.spoils_only(case, &[lab.put_word(at, next)], &[]);
        }
    }
    memory_is_bounded();
}

#[test]
fn page_tables_that_point_to_themselves() {
    for lab in labs() {
        let (name, len) = if lab.is_64_bit() { ("init_level4_pgt", 8) } else { ("swapper_pg_dir", 4) };
        let table = lab.symbol(name);
        let phys = lab.kernel.memory().translate(vmcore::VirtAddr(table)).unwrap().0;
        for flags in [0x67_u64, 0xe7] {
            let entry = (phys | flags).to_le_bytes();
            let edit = lab.put(table, &entry[..len].repeat(4096 / len));
            let outcome = lab.extract(&[edit]);
            assert!(outcome.report.is_some() || outcome.error.is_some());
        }
    }
    memory_is_bounded();
}

/// Names that want to be paths, or no names.
fn evil_names() -> Vec<Vec<u8>> {
    let absolute = std::env::temp_dir().join("ltt-kdump-hostile-escape");
    let mut names: Vec<Vec<u8>> = [
        &b".."[..],
        b".",
        b"",
        b"/",
        b"a/b",
        b"../../escape",
        b"..\0..",
        b"new\nline\x1b[31m",
        b"\xff\xfe",
        b"%2e",
    ]
    .map(<[u8]>::to_vec)
    .to_vec();
    names.push(absolute.to_str().unwrap().into());
    names
}

#[test]
fn names_that_are_paths() {
    for lab in labs() {
        let (places, path) = victim(lab);
        for name in evil_names() {
            let case = format!("{:?}", String::from_utf8_lossy(&name));
            let terminated = [&name[..], b"\0"].concat();
            let rename = |dentry: u64| {
                let own = lab.member(dentry, "dentry", "d_iname");
                [
                    lab.put(own, &terminated),
                    lab.put_word(lab.member(dentry, "dentry", "d_name.name"), own),
                    lab.put_u32(lab.member(dentry, "dentry", "d_name.len"), name.len() as u32),
                ]
            };
            let at = lab.member(places.trace, "ltt_trace_struct", "trace_name");
            let structure = lab.put(at, &terminated);
            // The folder in debugfs has the name, too.
            let outcome = lab.spoils_only(&case, std::slice::from_ref(&structure), &[]);
            assert_eq!(outcome.files.len(), lab.expected.len(), "{case}");
            let directory = lab.get(places.trace, "ltt_trace_struct", "dentry.trace_root");
            let edits = [&[structure][..], &rename(directory)].concat();
            let outcome = lab.renames_only(&case, &edits, &["k1/"]);
            let text = name.split(|byte| *byte == 0).next().unwrap();
            let file = format!("{}/cpu_0", extracter::file_name(text));
            assert!(outcome.files.contains_key(&file), "{case}: no {file} in {:?}", outcome.files.keys());
            let at = lab.member(places.channel, "ltt_channel_struct", "channel_name");
            lab.renames_only(&case, &[lab.put(at, &terminated)], &["k1/"]);
            for (dentry, spoilt) in
                [(places.dentry, path), (lab.get(places.dentry, "dentry", "d_parent"), "k1/")]
            {
                lab.renames_only(&case, &rename(dentry), &[spoilt]);
            }
        }
    }
    assert!(!std::env::temp_dir().join("ltt-kdump-hostile-escape").exists());
    memory_is_bounded();
}

#[test]
fn names_without_end() {
    for lab in labs() {
        let (places, path) = victim(lab);
        // The buffer's own page of events, and those behind it, are the longest junk at hand.
        let link = lab.member(0, "buf_page", "list");
        let node = lab.word(lab.member(places.buffer, "rchan_buf", "pages")) - link;
        let junk = vec![b'x'; JUNK];
        let at = lab.member(places.trace, "ltt_trace_struct", "trace_name");
        lab.renames_only("trace name", &[lab.put(at, &junk[..256])], &["k1/"]);
        let at = lab.member(places.channel, "ltt_channel_struct", "channel_name");
        lab.renames_only("channel name", &[lab.put(at, &junk[..4096 - (at & 0xfff) as usize])], &["k1/"]);
        for (len, start) in [(4096, node), (u32::MAX, node), (300, u64::MAX - 100), (255, 0)] {
            let edits: [Edit; 2] = [
                lab.put_word(lab.member(places.dentry, "dentry", "d_name.name"), start),
                lab.put_u32(lab.member(places.dentry, "dentry", "d_name.len"), len),
            ];
            lab.renames_only(&format!("file name of {len}"), &edits, &[path]);
        }
    }
    memory_is_bounded();
}

#[test]
fn directories_that_contain_themselves() {
    for lab in labs() {
        let (places, path) = victim(lab);
        let directory = lab.get(places.dentry, "dentry", "d_parent");
        let list = lab.member(directory, "dentry", "d_subdirs");
        let link = lab.member(directory, "dentry", "d_u.d_child");
        let own = lab.member(places.dentry, "dentry", "d_u.d_child");
        for (case, at, to) in [
            ("its own child", list, link),
            ("an endless child", own, own),
            ("children nowhere", list, !7),
            ("children at null", list, 0),
        ] {
            // The list of traces leads to the buffers too.
            lab.spoils_only(case, &[lab.put_word(at, to)], &[]);
        }
        let parent = lab.member(places.dentry, "dentry", "d_parent");
        lab.spoils_only("its own parent", &[lab.put_word(parent, places.dentry)], &[path]);
        lab.spoils_only("no parent", &[lab.put_word(parent, 0)], &[path]);
        let parent = lab.member(directory, "dentry", "d_parent");
        lab.spoils_only("a circle of two", &[lab.put_word(parent, places.dentry)], &["k1/"]);
    }
    memory_is_bounded();
}

#[test]
fn overwritten_pages() {
    for lab in labs() {
        let (places, path) = victim(lab);
        for byte in [0, 0xff, 0x41] {
            // What shares a page with these is spoilt too, be it the name of the trace; a third of the streams is not.
            for at in
                [places.trace, places.channel, places.rchan, places.buffer, places.positions, places.dentry]
            {
                let outcome = lab.extract(&[lab.put_page(at, byte)]);
                let is_there = |bytes: &&Vec<u8>| outcome.files.values().any(|found| found == *bytes);
                let rescued = lab.expected.values().filter(is_there).count();
                assert!(rescued >= 8, "{at:#x} {byte}: {rescued} files, {:?}", outcome.error);
            }
            // Whole pages of events belong to one buffer alone.
            let file = &lab.expected[path];
            let page = lab.core.windows(4096).position(|window| *window == file[4096..8192]).unwrap();
            let outcome = lab.spoils_only("events", &[(page, vec![byte; 4096])], &[path]);
            assert!(outcome.report.unwrap().has_losses());
        }
    }
    memory_is_bounded();
}

#[test]
fn damage_of_every_kind_in_kernels_of_every_era() {
    let folder = tempfile::tempdir().unwrap();
    let types = folder.path().join("types");
    for era in [Era::Z, Era::A1, Era::A2Pages, Era::B, Era::C] {
        let whole = synth::Kernel::new(era).cpus(1).build();
        fs::write(&types, synth::isf::json(&whole)).unwrap();
        for damage in Damage::all() {
            let mut dead = whole.clone();
            damage.apply(&mut dead);
            let outcome = extract(&Elf::kdump().write(&dead).bytes(), &types);
            let nothing = outcome.files.is_empty();
            let page =
                matches!(damage, Damage::ZeroedTracePage | Damage::JunkTracePage | Damage::MissingTracePage);
            let random = matches!(damage, Damage::MissingPages { .. } | Damage::FlippedBits { .. });
            assert!(!nothing || page || random, "{era:?} {damage:?}: {:?}", outcome.error);
        }
    }
    memory_is_bounded();
}

/// A core file of each format, and its types.
static FILES: LazyLock<Vec<(Vec<u8>, &'static str)>> = LazyLock::new(|| {
    let read = |name: &str| fs::read(fixture(name)).unwrap();
    vec![
        (read("K1-2cpu/core.elf"), "types-2.6.27.isf.json"),
        (read("K1-2cpu/core.kdump-zlib"), "types-2.6.27.isf.json"),
        (read("X2-i386-2cpu/core.elf"), "types-2.6.27-i386.isf.json"),
        (read("X1-2cpu/core.kdump-zlib"), "types-2.6.27.isf.json"),
    ]
});

/// Record by record of a trace file of format 2.1: time of begin, used bytes, and the bytes themselves.
fn records(file: &[u8]) -> Vec<(u64, usize, &[u8])> {
    let size = |file: &[u8]| u32::from_le_bytes(file[56..60].try_into().unwrap()) as usize;
    let of = |record: &[u8]| {
        let lost = u32::from_le_bytes(record[52..56].try_into().unwrap()) as usize;
        (u64::from_le_bytes(record[..8].try_into().unwrap()), size(record) - lost)
    };
    if file.is_empty() {
        return Vec::new();
    }
    file.chunks(size(file)).map(|record| (of(record).0, of(record).1, record)).collect()
}

/// Positions lie behind the buffers in these cores. Where the file ends in between, what is ended, or in its first pass, is written
/// all the same; and of no record more than the whole core gives.
#[test]
fn cores_that_end_before_the_positions() {
    for lab in labs() {
        let mut written = Vec::new();
        for twentieth in 0..=20 {
            let outcome = extract(&lab.core[..lab.core.len() * twentieth / 20], &lab.types);
            for (path, file) in &outcome.files {
                let whole = records(&lab.expected[path]);
                for (begin, used, record) in records(file) {
                    let (_, expected, bytes) = whole.iter().find(|(other, ..)| *other == begin).unwrap();
                    // The end of one whose last events nobody can decode any more is earlier.
                    let same = |range: std::ops::Range<usize>| record[range.clone()] == bytes[range];
                    let same = same(16..52) && same(60..used) && (used < *expected || same(52..bytes.len()));
                    assert!(used <= *expected && same, "{path} at {twentieth}");
                }
            }
            written.push(outcome.report.map_or(0, |report| report.totals.bytes.written));
        }
        // Only one of them has them all in its last pages.
        assert!(!lab.is_64_bit() || written[19] > written[20] * 3 / 4, "{written:?}");
    }
    memory_is_bounded();
}

#[test]
fn truncated_files() {
    for (core, types) in &*FILES {
        let mut written = Vec::new();
        for eighth in 0..=8 {
            let outcome = extract(&core[..core.len() * eighth / 8], &fixture(types));
            written.push(outcome.report.map_or(0, |report| report.totals.bytes.written));
        }
        assert_eq!(written[0], 0);
        assert!(written[8] > 0 && written.iter().all(|bytes| *bytes <= written[8]), "{written:?}");
    }
    memory_is_bounded();
}

/// Random places, as few words or as a run.
#[derive(Debug, Clone)]
enum Strike {
    Bit(Index, u8),
    Word(Index, u64),
    Run(Index, u8, usize),
    Copy(Index, Index, usize),
}

fn strike() -> impl Strategy<Value = Strike> {
    let word = prop_oneof![any::<u64>(), prop::sample::select(ABSURD.to_vec())];
    prop_oneof![
        4 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Strike::Bit(at, bit)),
        2 => (any::<Index>(), word).prop_map(|(at, word)| Strike::Word(at, word)),
        1 => (any::<Index>(), any::<u8>(), 1..5000_usize).prop_map(|(at, byte, len)| Strike::Run(at, byte, len)),
        1 => (any::<Index>(), any::<Index>(), 1..5000_usize).prop_map(|(from, to, len)| Strike::Copy(from, to, len)),
    ]
}

fn apply(core: &mut [u8], strike: &Strike) {
    let len_of = |core: &[u8], at: usize, len: usize| len.min(core.len() - at);
    match strike {
        Strike::Bit(at, bit) => core[at.index(core.len())] ^= 1 << bit,
        Strike::Word(at, word) => {
            let at = at.index(core.len() / 8) * 8;
            core[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
        Strike::Run(at, byte, len) => {
            let at = at.index(core.len());
            let len = len_of(core, at, *len);
            core[at..at + len].fill(*byte);
        }
        Strike::Copy(from, to, len) => {
            let (from, to) = (from.index(core.len()), to.index(core.len()));
            let len = len_of(core, from.max(to), *len);
            core.copy_within(from..from + len, to);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn random_damage(
        which in any::<Index>(),
        strikes in prop::collection::vec(strike(), 1..200),
        cut in prop::option::weighted(0.1, any::<Index>()),
    ) {
        let (core, types) = which.get(&FILES);
        let mut core = core.clone();
        for strike in &strikes {
            apply(&mut core, strike);
        }
        if let Some(cut) = cut {
            core.truncate(cut.index(core.len()));
        }
        let _ = extract(&core, &fixture(types));
        memory_is_bounded();
    }
}
