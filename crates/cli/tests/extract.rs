//! From real cores to trace directories: byte for byte what the daemon would have written.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A fixture: its folder, and the type information of its kernel.
#[derive(Clone, Copy)]
struct Fixture(&'static str, &'static str);

const K1: Fixture = Fixture("K1-2cpu", "types-2.6.27.isf.json");
const X2: Fixture = Fixture("X2-i386-2cpu", "types-2.6.27-i386.isf.json");
const S0: Fixture = Fixture("S0-2cpu", "types-2.6.27.isf.json");
const S2: Fixture = Fixture("S2-2cpu", "types-2.6.27.isf.json");
const S5: Fixture = Fixture("S5-commit", "types-2.6.27.isf.json");
const X1: Fixture = Fixture("X1-2cpu", "types-2.6.27.isf.json");

impl Fixture {
    fn path(self, name: &str) -> PathBuf {
        fixtures().join(self.0).join(name)
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// One run of `extract --json`.
struct Run {
    scratch: TempDir,
    code: i32,
    report: Value,
}

impl Run {
    fn out(&self) -> PathBuf {
        self.scratch.path().join("out")
    }

    fn streams(&self) -> impl Iterator<Item = &Value> {
        self.report["traces"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|trace| trace["streams"].as_array().unwrap())
    }
}

fn run(cores: &[PathBuf], types: &str, args: &[&str], out: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
        .arg("extract")
        .args(cores)
        .arg("-d")
        .arg(fixtures().join(types))
        .arg("-o")
        .arg(out)
        .args(args)
        .output()
        .unwrap()
}

fn extract(fixture: Fixture, cores: &[&str], args: &[&str]) -> Run {
    let scratch = tempfile::tempdir().unwrap();
    let cores: Vec<_> = cores.iter().map(|core| fixture.path(core)).collect();
    let args = [args, &["--json"]].concat();
    let output = run(&cores, fixture.1, &args, &scratch.path().join("out"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{cores:?} {args:?}: {error}: {stderr}"));
    let run = Run { scratch, code: output.status.code().unwrap(), report };
    adds_up(&run);
    run
}

/// Every file below a directory, by its path.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(directory) = todo.pop() {
        for entry in
            fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
        {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

fn same_files(run: &Run, expected: &Path, what: &str) {
    let (ours, theirs) = (files(&run.out()), files(expected));
    assert!(!theirs.is_empty());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>(), "{what}");
    for (name, theirs) in &theirs {
        let ours = &ours[name];
        let first = ours.iter().zip(theirs).position(|(a, b)| a != b);
        let lengths = (ours.len(), theirs.len());
        assert!(ours == theirs, "{what}: {name}: lengths {lengths:?}, first difference at {first:?}");
    }
}

fn same_checksums(fixture: Fixture, list: &str, args: &[&str]) -> Run {
    let run = extract(fixture, &["core.kdump-zlib"], args);
    let sums = fs::read_to_string(fixture.path(list)).unwrap();
    let check = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet"])
        .arg(fixture.path(list))
        .current_dir(run.out())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&check.stdout);
    assert!(check.status.success(), "{} {list}: {text}", fixture.0);
    assert_eq!(files(&run.out()).len(), sums.lines().count(), "{} {list}", fixture.0);
    run
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

/// The numbers of the report agree with each other and with the disk.
fn adds_up(run: &Run) {
    let one = |totals: &Value| {
        let (bytes, counts) = (&totals["bytes"], &totals["sub_buffers"]);
        let sum = |of: &Value, names: &[&str]| names.iter().map(|name| number(&of[*name])).sum::<u64>();
        assert_eq!(
            number(&bytes["found"]),
            sum(bytes, &["written", "lost", "unreadable", "omitted"]),
            "{totals}"
        );
        let states = ["ready", "open", "stalled", "consumed"];
        assert_eq!(number(&bytes["written"]), sum(&bytes["written_by_state"], &states), "{totals}");
        let all = ["ready", "open", "stalled", "consumed", "unusable", "omitted", "never_used"];
        assert_eq!(number(&counts["total"]), sum(counts, &all), "{totals}");
    };
    let on_disk = files(&run.out());
    let mut file_bytes = 0;
    for stream in run.streams() {
        one(stream);
        let file = &on_disk[stream["path"].as_str().unwrap()];
        assert_eq!(number(&stream["bytes"]["file"]), u64::try_from(file.len()).unwrap());
        file_bytes += number(&stream["bytes"]["file"]);
    }
    one(&run.report["totals"]);
    assert_eq!(number(&run.report["totals"]["bytes"]["file"]), file_bytes);
    assert_eq!(run.streams().count(), on_disk.len());
}

/// The events of each stream as the tracer's own viewer counts them.
fn same_events(fixture: Fixture, run: &Run, variant: &str) {
    let viewer: Value = serde_json::from_slice(&fs::read(fixture.path("events.json")).unwrap()).unwrap();
    for trace in run.report["traces"].as_array().unwrap() {
        let name = trace["directory"].as_str().unwrap();
        let theirs = &viewer["traces"][name][variant];
        for stream in trace["streams"].as_array().unwrap() {
            let path = stream["path"].as_str().unwrap();
            let file = path.strip_prefix(&format!("{name}/")).unwrap();
            let expected = theirs["events_per_stream"].get(file).map_or(0, number);
            assert_eq!(number(&stream["events"]), expected, "{} {path}", fixture.0);
        }
        assert_eq!(trace["totals"]["events"], theirs["events"], "{} {name}", fixture.0);
    }
}

const K1_CORES: [&[&str]; 8] = [
    &["core.elf"],
    &["core.kdump-raw"],
    &["core.kdump-zlib"],
    &["core.kdump-lzo"],
    &["core.kdump-snappy"],
    &["core.kdump-zstd"],
    &["core.kdump-zlib.flat"],
    &["core.kdump-split2", "core.kdump-split1"],
];

#[test]
fn every_form_of_a_core_gives_the_same_files() {
    for cores in K1_CORES {
        let run = extract(K1, cores, &[]);
        same_files(&run, &K1.path("expected-intact"), &format!("{cores:?}"));
        assert_eq!(run.code, 0, "{cores:?}: {}", run.report);
        let run = extract(K1, cores, &["--unread-only"]);
        same_files(&run, &K1.path("expected"), &format!("{cores:?} --unread-only"));
        assert_eq!(run.code, 0, "{cores:?}: {}", run.report);
    }
}

#[test]
fn every_way_to_the_buffers_gives_the_same_files() {
    for (fixture, core) in [(K1, "core.kdump-zlib"), (X2, "core.elf"), (X2, "core.kdump-zlib")] {
        for via in ["list", "debugfs", "both"] {
            let what = format!("{} {core} {via}", fixture.0);
            same_files(&extract(fixture, &[core], &["--via", via]), &fixture.path("expected-intact"), &what);
            let unread = extract(fixture, &[core], &["--via", via, "--unread-only"]);
            same_files(&unread, &fixture.path("expected"), &what);
        }
    }
}

#[test]
fn options_that_change_the_work_do_not_change_the_files() {
    for args in [&["--no-mmap"][..], &["--threads", "1"], &["--threads", "5"], &["--no-count"]] {
        let run = extract(K1, &["core.kdump-zlib"], args);
        same_files(&run, &K1.path("expected-intact"), &format!("{args:?}"));
    }
}

#[test]
fn events_are_those_the_viewer_counts() {
    for (fixture, variant) in [
        (K1, "expected-intact (core only)"),
        (X2, "expected-intact (core only)"),
        (S0, "expected-intact (core only)"),
        (S2, "expected-intact (core only)"),
        (S5, "expected-intact (core only)"),
        (X1, "expected"),
    ] {
        same_events(fixture, &extract(fixture, &["core.kdump-zlib"], &[]), variant);
    }
}

#[test]
fn events_are_not_counted_when_not_asked_for() {
    let run = extract(K1, &["core.kdump-zlib"], &["--no-count"]);
    assert!(run.report["totals"]["events"].is_null());
}

#[test]
fn machines_stopped_at_an_odd_moment() {
    for fixture in [S0, S2, S5] {
        same_checksums(fixture, "expected-intact.sha256", &[]);
        same_checksums(fixture, "expected.sha256", &["--unread-only"]);
    }
}

#[test]
fn interrupted_writers_are_losses_and_the_rest_is_written() {
    let run = same_checksums(X1, "expected.sha256", &[]);
    assert_eq!(run.code, 3, "{}", run.report);
    let run = extract(X2, &["core.elf"], &[]);
    assert_eq!(run.code, 3, "{}", run.report);
    let lost: Vec<_> = run.streams().filter(|stream| number(&stream["bytes"]["lost"]) > 0).collect();
    assert_eq!(lost.len(), 1, "{}", run.report);
    assert_eq!(lost[0]["path"], "k1flight/control/flight-processes_1");
    assert_eq!(number(&lost[0]["bytes"]["lost"]), 20);
}

#[test]
fn one_trace_of_two() {
    let run = extract(K1, &["core.kdump-zlib"], &["--trace", "k1flight"]);
    let names: Vec<_> = fs::read_dir(run.out()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["k1flight"]);
    assert_eq!(run.report["traces"][0]["name"], "k1flight");
}

#[test]
fn a_core_cut_short_gives_what_it_has() {
    let scratch = tempfile::tempdir().unwrap();
    let core = scratch.path().join("core");
    let whole = fs::read(K1.path("core.kdump-zlib")).unwrap();
    for percent in [30, 60, 80, 95, 99] {
        fs::write(&core, &whole[..whole.len() * percent / 100]).unwrap();
        let out = scratch.path().join(format!("out-{percent}"));
        let output = run(std::slice::from_ref(&core), K1.1, &["--json"], &out);
        let code = output.status.code().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!([1, 3, 4].contains(&code), "{percent} %: {code}: {stderr}");
        assert_eq!(out.exists(), code == 3, "{percent} %");
        assert!(!stderr.contains("panicked"), "{percent} %: {stderr}");
    }
}

#[test]
fn nothing_is_written_beside_the_output() {
    let run = extract(K1, &["core.kdump-zlib"], &[]);
    assert_eq!(fs::read_dir(run.scratch.path()).unwrap().count(), 1);
}

#[test]
fn no_corruption_makes_it_panic_or_lie() {
    let scratch = tempfile::tempdir().unwrap();
    let core = scratch.path().join("core");
    // Numerical Recipes' generator: the same corruption every time.
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for (name, rounds) in [("core.elf", 24), ("core.kdump-zlib", 12)] {
        let intact = fs::read(K1.path(name)).unwrap();
        for round in 0..rounds {
            let mut bytes = intact.clone();
            for _ in 0..1 << (round % 12) {
                let at = random(bytes.len());
                bytes[at] ^= 1 << random(8);
            }
            if round % 3 == 0 {
                let page = random(bytes.len() / 4096) * 4096;
                bytes[page..page + 4096].fill(if round % 2 == 0 { 0xff } else { 0 });
            }
            fs::write(&core, &bytes).unwrap();
            let run = Run { scratch: tempfile::tempdir().unwrap(), code: 0, report: Value::Null };
            let output = self::run(std::slice::from_ref(&core), K1.1, &["--json"], &run.out());
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!stderr.contains("panicked"), "{name} {round}: {stderr}");
            match output.status.code() {
                Some(0 | 3) => {
                    adds_up(&Run { report: serde_json::from_slice(&output.stdout).unwrap(), ..run })
                }
                Some(1 | 4) => assert!(!run.out().exists(), "{name} {round}"),
                code => panic!("{name} {round}: {code:?}: {stderr}"),
            }
        }
    }
}

#[test]
fn events_that_do_not_decode_are_written_and_said() {
    let scratch = tempfile::tempdir().unwrap();
    let core = scratch.path().join("core");
    let mut bytes = fs::read(K1.path("core.elf")).unwrap();
    // The second page of a complete sub-buffer of 8 KiB, found by its content.
    let page = &fs::read(K1.path("expected/k1/cpu_0")).unwrap()[4096..8192];
    let at = bytes.windows(page.len()).position(|window| window == page).unwrap();
    bytes[at + 1000..at + 1064].fill(0xff);
    fs::write(&core, &bytes).unwrap();

    let out = scratch.path().join("out");
    let output = run(std::slice::from_ref(&core), K1.1, &["--json"], &out);
    assert_eq!(output.status.code(), Some(3));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(number(&report["totals"]["doubtful_sub_buffers"]), 1);
    assert_eq!(number(&report["totals"]["bytes"]["lost"]), 0);
    let written = fs::read(out.join("k1/cpu_0")).unwrap();
    assert!(
        written.windows(64).any(|window| window == [0xff; 64]),
        "what cannot be decoded is not thrown away"
    );

    // Nobody looks into a complete sub-buffer when its events are not counted.
    let output = run(&[core], K1.1, &["--json", "--no-count"], &scratch.path().join("out-2"));
    assert_eq!(output.status.code(), Some(0));
}
