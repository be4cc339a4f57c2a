//! Cores that say anything.

use std::fs;
use std::sync::LazyLock;

use analyser::{Kernel, OpenOptions, Routes};
use extracter::{Options, Plan, Report, Silent};
use proptest::prelude::*;
use proptest::sample::Index;
use synth::DeadKernel;
use synth::lttng::{Crash, DeadTracer, Release, Tracer};

use super::{check, files, planted};

/// Replaces text in memory by another of the same length.
fn replace(kernel: &mut DeadKernel, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let mut places = Vec::new();
    for (pfn, page) in kernel.memory().pages() {
        let starts = page.windows(from.len()).enumerate().filter(|(_, window)| *window == from);
        places.extend(starts.map(|(at, _)| (pfn, at)));
    }
    assert!(!places.is_empty());
    for (pfn, at) in places {
        kernel.memory_mut().page_mut(pfn)[at..at + to.len()].copy_from_slice(to);
    }
}

/// Extracts below a folder, and looks for anything beside the output.
fn contained(kernel: &Kernel) -> Report {
    let scratch = tempfile::tempdir().unwrap();
    let case = scratch.path().join("a/b/c");
    fs::create_dir_all(&case).unwrap();
    let out = case.join("out");
    let (traces, sessions) = (kernel.traces(Routes::ALL), kernel.sessions(Routes::ALL));
    let _ = kernel.info(&traces, &sessions);
    let plan = Plan::new(kernel, (&traces, &sessions), &Options::new(&out)).unwrap();
    let report = plan.run(&Silent).unwrap();
    check(&report, &files(&out));
    fs::remove_dir_all(&out).unwrap();
    assert!(files(scratch.path()).is_empty(), "{:?}", files(scratch.path()).keys());
    report
}

/// Paths of the streams.
fn paths(report: &Report) -> Vec<&str> {
    report.traces.iter().flat_map(|trace| &trace.streams).map(|stream| stream.path.as_str()).collect()
}

#[test]
fn names_lead_nowhere() {
    let mut dead = Tracer::new(Release::V2_13).build().kernel;
    replace(&mut dead, b"chan_0\0", b"../x_0\0");
    replace(&mut dead, b"chan_1\0", b"../x_1\0");
    replace(&mut dead, b"s1\0\0\0\0\0\0", b"../../x\0");
    let report = contained(&planted::open(&dead));
    let folder = &report.traces[0].directory;
    assert!(folder.starts_with("..%2f..%2fx-"), "{folder}");
    assert_eq!(paths(&report), ["..%2fx_0", "..%2fx_1"].map(|name| format!("{folder}/kernel/{name}")));
}

/// Core and types of a small kernel.
struct Small {
    core: Vec<u8>,
    types: String,
}

static SMALL: LazyLock<[Small; 3]> = LazyLock::new(|| {
    [(Release::V2_1, true), (Release::V2_8, false), (Release::V2_13, true)].map(|(release, overwrite)| {
        let dead = Tracer::new(release).overwrite(overwrite).events(150).crash(Crash::Nested).build().kernel;
        Small { core: synth::core::Elf::kdump().write(&dead).bytes(), types: synth::isf::json(&dead) }
    })
});

fn open(core: Vec<u8>, types: &str) -> Option<Kernel> {
    let core = vmcore::Vmcore::from_bytes(vec![core], &vmcore::OpenOptions::default()).ok()?;
    let types = kdebug::Input::new("types.json", std::sync::Arc::new(types.as_bytes().to_vec()));
    let options = OpenOptions { force: true, ..OpenOptions::default() };
    Kernel::from_parts(core, vec![types], &options).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Words overwritten with what is likely to lead astray: other words of the core, small and absurd numbers.
    #[test]
    fn any_words(
        which in 0..3_usize,
        edits in prop::collection::vec((any::<Index>(), any::<Index>(), 0..6_u8), 1..200),
    ) {
        let Small { core, types } = &SMALL[which];
        let mut torn = core.clone();
        // Behind the headers, which are another test's.
        let words = (torn.len() - 0x2000) / 8;
        for (to, from, kind) in edits {
            let at = 0x2000 + 8 * to.index(words);
            let from = 0x2000 + 8 * from.index(words);
            let value = match kind {
                0 | 1 => u64::from_le_bytes(core[from..from + 8].try_into().unwrap()),
                2 => from as u64 % 64,
                3 => u64::MAX,
                4 => 1 << (from % 64),
                _ => u64::from_le_bytes(core[at..at + 8].try_into().unwrap()) ^ 1 << (from % 64),
            };
            torn[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        if let Some(kernel) = open(torn, types) {
            contained(&kernel);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Metadata that declare anything: other sizes, other names, nothing at all.
    #[test]
    fn any_metadata(edits in prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>()), 1..30)) {
        let dead = &*DECLARED;
        let mut text = dead.sessions[0].metadata.clone().into_bytes();
        for (to, from, kind) in edits {
            let (to, from) = (to.index(text.len() - 16), from.index(text.len() - 16));
            match kind {
                0..100 => text[to] = kind,
                100..200 => text.copy_within(from..from + 16, to),
                // The next number after this place.
                _ => {
                    if let Some(digit) = text[to..].iter().position(u8::is_ascii_digit) {
                        text[to + digit] = b'0' + kind % 10;
                    }
                }
            }
        }
        let mut torn = dead.clone();
        planted::retell(&mut torn, &text);
        contained(&planted::open(&torn.kernel));
    }
}

static DECLARED: LazyLock<DeadTracer> =
    LazyLock::new(|| Tracer::new(Release::V2_13).events(150).crash(Crash::Nested).build());

/// Single words of all that the walk reads of a buffer, each made absurd: the other buffers are not harmed.
#[test]
fn counters_and_pointers_of_a_buffer() {
    for (release, value) in [
        (Release::V2_1, u64::MAX),
        (Release::V2_8, 0),
        (Release::V2_13, u64::MAX),
        (Release::V2_13, 0xffff_8880_0000_0000),
    ] {
        let dead = Tracer::new(release).overwrite(true).events(150).crash(Crash::Reserved).build();
        let types = synth::isf::json(&dead.kernel);
        let core = |kernel: &DeadKernel| synth::core::Elf::kdump().write(kernel).bytes();
        let truth = &dead.sessions[0].channels[0].streams[0];
        let untouched = others(&contained(&open(core(&dead.kernel), &types).unwrap()), truth.cpu);
        let mut places: Vec<u64> = (0..20).map(|nth| truth.address + 8 * nth).collect();
        places.extend(truth.tables.iter().flat_map(|table| (0..4).map(move |nth| table + 8 * nth)));
        places.extend(truth.page_tables.iter().flat_map(|table| (1..6).map(move |nth| table + 8 * nth)));
        for at in places {
            let mut torn = dead.kernel.clone();
            torn.poke_bytes(at, &u64::to_le_bytes(value));
            let report = contained(&open(core(&torn), &types).unwrap());
            assert_eq!(others(&report, truth.cpu), untouched, "{release:?}: {value:#x} at {at:#x}");
        }
    }
}

/// Lengths of the files of the other CPUs.
fn others(report: &Report, but: Option<u32>) -> Vec<u64> {
    let streams = report.traces.iter().flat_map(|trace| &trace.streams);
    streams.filter(|stream| stream.cpu != but).map(|stream| stream.totals.bytes.file).collect()
}
