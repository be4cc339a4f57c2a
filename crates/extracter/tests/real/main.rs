//! Real traces that a crash tore, joined with the cores of the same machines: every file is byte for byte the expected one, and every
//! number of the report.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod sha256;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use analyser::{Directory, Kernel, OpenOptions, Routes, Traces, pairing};
use extracter::{Gap, Join, JoinReport, Layout, Silent, Target};
use serde_json::Value;
use sha256::sha256;

const X86_64: &str = "types-2.6.27.isf.json";

/// Scenarios with a trace on disk, and their types.
const SCENARIOS: [(&str, &str); 4] = [
    ("K1-2cpu", X86_64),
    ("S0-2cpu", X86_64),
    ("S5-commit", X86_64),
    ("X2-i386-2cpu", "types-2.6.27-i386.isf.json"),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

struct Scenario {
    kernel: Kernel,
    traces: Traces,
    /// Of each stream, by its path from above the trace.
    streams: BTreeMap<String, Value>,
    /// Folders on disk.
    on_disk: Vec<PathBuf>,
}

impl Scenario {
    fn open(name: &str, types: &str) -> Scenario {
        let folder = fixture(name);
        let options = OpenOptions {
            cores: vec![folder.join("core.kdump-zlib")],
            debuginfo: vec![fixture(types)],
            ..OpenOptions::default()
        };
        let kernel = Kernel::open(&options).unwrap();
        let traces = kernel.traces(Routes::ALL);
        let text = fs::read_to_string(folder.join("expected-merged.json")).unwrap();
        let expected: Value = serde_json::from_str(&text).unwrap();
        let streams = expected["streams"].as_object().unwrap();
        let streams = streams.iter().map(|(path, stream)| (path.clone(), stream.clone())).collect();
        let on_disk = fs::read_dir(folder.join("disk-trace")).unwrap();
        let on_disk = on_disk.map(|entry| entry.unwrap().path()).collect();
        Scenario { kernel, traces, streams, on_disk }
    }

    fn join(&self, root: &Path, target: Target, layout: Layout) -> JoinReport {
        let directory = Directory::open(root).unwrap();
        let trace = pairing(&directory, &self.traces, None).unwrap();
        assert_eq!(trace.name(), root.file_name().unwrap().to_str().unwrap());
        let join = Join::with_core(&directory, &self.kernel, trace, target, layout).unwrap();
        let foreseen = serde_json::to_value(join.report()).unwrap();
        let report = join.run(&Silent).unwrap();
        assert_eq!(serde_json::to_value(&report).unwrap(), foreseen, "the dry run says the same");
        report
    }

    /// What is expected of the streams of one trace.
    fn expected<'s>(&'s self, trace: &'s str) -> impl Iterator<Item = (&'s str, &'s Value)> {
        let below = move |path: &'s String| path.strip_prefix(trace)?.strip_prefix('/');
        self.streams.iter().filter_map(move |(path, stream)| Some((below(path)?, stream)))
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn compare_files(scenario: &Scenario, root: &Path, trace: &str) {
    let files = files(root);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(names, scenario.expected(trace).map(|(path, _)| path).collect::<Vec<_>>());
    for (path, stream) in scenario.expected(trace) {
        let merged = &stream["merged"];
        assert_eq!(files[path].len() as u64, merged["bytes"], "{trace}/{path}");
        assert_eq!(sha256(&files[path]), merged["sha256"].as_str().unwrap(), "{trace}/{path}");
    }
}

fn compare_report(scenario: &Scenario, report: &JoinReport, trace: &str) {
    for (path, expected) in scenario.expected(trace) {
        let stream = report.streams.iter().find(|stream| stream.path == path).unwrap();
        let disk = stream.disk.as_ref().unwrap();
        let of_disk = &expected["disk"];
        assert_eq!(disk.bytes, of_disk["bytes"], "{path}");
        assert_eq!(disk.records_kept, of_disk["complete_records_kept"], "{path}");
        assert_eq!(disk.bytes_cut, of_disk["bytes_truncated"], "{path}");
        assert_eq!(stream.both.records, expected["core_records_that_duplicate_disk"], "{path}");
        assert_eq!(stream.both.different.is_empty(), expected["duplicates_identical"], "{path}");
        assert_eq!(stream.both.equal, stream.both.records, "{path}");
        assert_eq!(stream.added.records, expected["records_added"], "{path}");
        assert_eq!(expected["positions_lost_for_good"], Value::Array(vec![]), "{path}");
        assert_eq!(stream.gap, Some(Gap::Exact), "{path}");
        assert_eq!(stream.made.records, 0, "{path}");
        assert_eq!(stream.result.records, expected["merged"]["records"], "{path}");
        assert_eq!(stream.result.bytes, expected["merged"]["bytes"], "{path}");
        if let (Some(merged), Some(disk)) =
            (expected["events"]["merged"].as_u64(), expected["events"]["disk"].as_u64())
        {
            let is_metadata = path.contains("metadata");
            assert!(is_metadata || stream.added.events == merged - disk, "{path}: {:?}", stream.added);
        }
    }
    assert_eq!(report.streams.len(), scenario.expected(trace).count());
}

#[test]
fn a_joined_trace_is_byte_for_byte_the_expected_one() {
    for (name, types) in SCENARIOS {
        let scenario = Scenario::open(name, types);
        for root in &scenario.on_disk {
            let trace = root.file_name().unwrap().to_str().unwrap();
            let before = files(root);
            let scratch = tempfile::tempdir().unwrap();
            let out = scratch.path().join("out");
            let report = scenario.join(root, Target::New(out.clone()), Layout::Merged);
            compare_files(&scenario, &out, trace);
            compare_report(&scenario, &report, trace);
            assert_eq!(files(root), before, "the trace itself was written to");
        }
    }
}

#[test]
fn in_place_it_is_the_same_and_a_second_run_changes_nothing() {
    for (name, types) in SCENARIOS {
        let scenario = Scenario::open(name, types);
        for original in &scenario.on_disk {
            let trace = original.file_name().unwrap().to_str().unwrap();
            let scratch = tempfile::tempdir().unwrap();
            let root = scratch.path().join(trace);
            copy(original, &root);
            let report = scenario.join(&root, Target::InPlace, Layout::Merged);
            compare_files(&scenario, &root, trace);
            compare_report(&scenario, &report, trace);
            // Nothing was cut.
            assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
            let again = scenario.join(&root, Target::InPlace, Layout::Merged);
            assert_eq!((again.totals.streams_changed, again.totals.added), (0, 0));
            assert_eq!(again.totals.both, report.totals.both + report.totals.added);
            compare_files(&scenario, &root, trace);
        }
    }
}

#[test]
fn apart_or_beside_nothing_is_missing_either() {
    for (name, types) in SCENARIOS {
        let scenario = Scenario::open(name, types);
        for original in &scenario.on_disk {
            let trace = original.file_name().unwrap().to_str().unwrap();
            let scratch = tempfile::tempdir().unwrap();
            let [merged, beside] = ["merged", "beside"].map(|name| scratch.path().join(name));
            scenario.join(original, Target::New(merged.clone()), Layout::Merged);
            let merged = files(&merged);

            let report = scenario.join(original, Target::New(beside.clone()), Layout::Beside);
            let (beside, disk) = (files(&beside), files(original));
            for (path, content) in &merged {
                if path.contains("metadata") {
                    assert_eq!(&beside[path], content, "{path}");
                } else {
                    let tail = beside.get(path).map(Vec::as_slice).unwrap_or_default();
                    assert_eq!(&[&disk[path], tail].concat(), content, "{path}");
                }
            }
            assert_eq!(report.totals.bytes, beside.values().map(|file| file.len() as u64).sum::<u64>());

            let root = scratch.path().join(trace);
            copy(original, &root);
            let report = scenario.join(&root, Target::InPlace, Layout::CrashSubdir);
            let apart = files(&root);
            for (path, content) in &merged {
                let tail = apart.get(&format!("crash/{path}")).map(Vec::as_slice).unwrap_or_default();
                assert_eq!(&[&apart[path], tail].concat(), content, "{path}");
                assert_eq!(path.contains("metadata"), tail.is_empty(), "{path}");
            }
            assert_eq!(report.totals.bytes, apart.values().map(|file| file.len() as u64).sum::<u64>());
            for layout in [Layout::CrashSubdir, Layout::Merged] {
                let again = scenario.join(&root, Target::InPlace, layout);
                assert_eq!((again.totals.streams_changed, again.totals.added), (0, 0), "{layout:?}");
                assert_eq!(again.totals.records_lost + again.totals.gaps_unknown, 0);
                assert_eq!(files(&root), apart);
            }
        }
    }
}

#[test]
fn a_repair_of_a_whole_trace_is_a_copy() {
    let (name, _) = SCENARIOS[0];
    let root = fixture(name).join("disk-trace/k1");
    let scratch = tempfile::tempdir().unwrap();
    let directory = Directory::open(&root).unwrap();
    let join = Join::repair(&directory, Target::New(scratch.path().join("out"))).unwrap();
    assert!(join.changes_nothing());
    let report = join.run(&Silent).unwrap();
    assert!(!report.has_losses());
    assert_eq!(files(&scratch.path().join("out")), files(&root));
}
