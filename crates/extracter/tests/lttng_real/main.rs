//! Two real machines that died with a trace half on disk: what is joined is what the guest itself had in the end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

#[path = "../lttng/files.rs"]
mod files;
#[path = "../real/sha256.rs"]
mod sha256;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use analyser::lttng::{Directory, Sessions, pairing};
use analyser::{Kernel, OpenOptions, Routes};
use extracter::{Gap, Join, JoinReport, Layout, Silent, Target};
use lttformat::ctf::Index;
use serde_json::Value;

use files::{is_whole, tree};
use sha256::sha256;

/// Small slices of the two, and larger ones that may not be there.
const DATA: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/linux-6.1-lttng-2.13"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/linux-6.1-lttng-2.13"),
];

/// A process that is being started holds the files that are open here for a moment, and so the lock of a trace that is changed in place.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

struct Machine {
    kernel: Kernel,
    sessions: Sessions,
    path: PathBuf,
    truth: Value,
}

/// The machines of a kind, wherever they are.
fn machines(scenario: &str) -> Vec<Machine> {
    DATA.iter().filter_map(|data| machine(Path::new(data), scenario)).collect()
}

/// A machine; `None`, said on standard error, where the data are not there.
fn machine(data: &Path, scenario: &str) -> Option<Machine> {
    let path = data.join(scenario);
    if !path.is_dir() {
        assert!(!data.ends_with("fixtures/linux-6.1-lttng-2.13"), "{} is missing", path.display());
        eprintln!("skipped: no {scenario} in {}", data.display());
        return None;
    }
    let types = ["types-6.1.0-56-amd64.isf.json", "types-lttng-2.13.9.isf.json"];
    let options = OpenOptions {
        cores: vec![path.join("core.zlib")],
        debuginfo: types.iter().map(|name| data.join("types").join(name)).collect(),
        ..OpenOptions::default()
    };
    let kernel = Kernel::open(&options).unwrap();
    let sessions = kernel.sessions(Routes::ALL);
    let truth = fs::read(path.join("expected/lttng/disk.merge.json")).unwrap();
    Some(Machine { kernel, sessions, path, truth: serde_json::from_slice(&truth).unwrap() })
}

impl Machine {
    fn trace(&self) -> PathBuf {
        self.path.join("disk-trace/lttng-disk")
    }

    /// A copy that can be changed.
    fn copy(&self, to: &Path) -> PathBuf {
        let trace = to.join("trace");
        for (name, bytes) in tree(&self.trace()) {
            let path = trace.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        trace
    }

    fn join(&self, trace: &Path, target: Target, layout: Layout) -> JoinReport {
        let directory = Directory::open(trace).unwrap();
        let session = pairing(&directory, &self.sessions, None).unwrap();
        assert_eq!(session.name(), "disk");
        let join = Join::with_session(&directory, &self.kernel, session, target, layout).unwrap();
        join.run(&Silent).unwrap()
    }

    /// Asserts that a trace is the joined one.
    fn is_joined(&self, root: &Path) {
        is_whole(root, "joined");
        for stream in self.truth["streams"].as_array().unwrap() {
            let name = stream["disk_file"].as_str().unwrap();
            let bytes = fs::read(root.join("kernel").join(name)).unwrap();
            assert_eq!(bytes.len() as u64, stream["joined_bytes"].as_u64().unwrap());
            assert_eq!(sha256(&bytes), stream["joined_sha256"].as_str().unwrap(), "{name}");
            let index = fs::read(root.join(format!("kernel/index/{name}.idx"))).unwrap();
            let entries = Index::parse(&index).unwrap().entries;
            assert_eq!(entries.len() as u64, stream["joined_packets"].as_u64().unwrap());
            let discarded = entries.last().unwrap().events_discarded;
            let expected = if self.path.ends_with("M0d") && name == "net_0" { 18413 } else { 0 };
            assert_eq!(discarded, expected, "{name}");
        }
        self.viewer(&[root]);
    }

    /// Asserts that babeltrace 2 shows the joined trace, and has no more to say than of the whole one.
    fn viewer(&self, roots: &[&Path]) {
        let Ok(output) =
            Command::new("babeltrace2").args(["--clock-cycles", "--no-delta"]).args(roots).output()
        else {
            eprintln!("skipped: babeltrace2 is not installed");
            return;
        };
        let truth = &self.truth["babeltrace2_joined"];
        let (text, errors) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        let mut events: BTreeMap<u64, u64> = BTreeMap::new();
        for line in text.lines() {
            let cpu = line.split("{ cpu_id = ").nth(1).unwrap().split([' ', ',']).next().unwrap();
            *events.entry(cpu.parse().unwrap()).or_default() += 1;
        }
        assert_eq!(text.lines().count() as u64, truth["events"].as_u64().unwrap());
        for stream in truth["streams"].as_array().unwrap() {
            assert_eq!(events[&stream["cpu"].as_u64().unwrap()], stream["events"].as_u64().unwrap());
        }
        let expected = truth["babeltrace2_messages"].as_array().unwrap();
        assert_eq!(errors.lines().count(), expected.len(), "{errors}");
        for (line, expected) in errors.lines().zip(expected) {
            let message = expected.as_str().unwrap().split(" in trace").next().unwrap();
            assert!(line.starts_with(message), "{line}\n{message}");
        }
    }
}

#[test]
fn joined_in_a_new_folder_and_in_place() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for machine in ["M0d", "M1p"].into_iter().flat_map(machines) {
        let scratch = tempfile::tempdir().unwrap();
        let output = scratch.path().join("joined");
        let before = tree(&machine.trace());
        let report = machine.join(&machine.trace(), Target::New(output.clone()), Layout::Merged);
        assert!(!report.has_losses(), "{report:#?}");
        assert!(tree(&machine.trace()) == before);
        let truth = machine.truth["streams"].as_array().unwrap();
        for (joined, truth) in report.streams.iter().zip(truth) {
            let number = |name: &str| truth[name].as_u64().unwrap();
            assert_eq!(joined.gap, Some(Gap::Exact));
            assert_eq!(joined.disk.as_ref().unwrap().records_kept, number("disk_packets"));
            assert_eq!(
                (joined.both.records, joined.added.records),
                (number("duplicates_in_core"), number("packets_taken_from_core"))
            );
            assert_eq!(joined.result.bytes, number("joined_bytes"));
            let index = joined.index.as_ref().unwrap();
            assert_eq!(index.entries_kept, number("index_entries") - number("index_zero_entries"));
        }
        assert_eq!(report.totals.events_added, machine.truth["events_in_core"].as_u64().unwrap());
        machine.is_joined(&output);

        let trace = machine.copy(scratch.path());
        machine.join(&trace, Target::InPlace, Layout::Merged);
        assert!(tree(&trace) == tree(&output));
        let again = machine.join(&trace, Target::InPlace, Layout::Merged);
        assert!(!again.changes_anything() && !again.has_losses(), "{again:#?}");
        assert!(tree(&trace) == tree(&output));
        assert_eq!(again.totals.both, report.totals.added);
    }
}

#[test]
fn what_the_core_holds_apart() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for machine in machines("M0d") {
        let scratch = tempfile::tempdir().unwrap();
        let beside = scratch.path().join("beside");
        machine.join(&machine.trace(), Target::New(beside.clone()), Layout::Beside);
        let truth = fs::read(machine.path.join("expected/lttng/expected.json")).unwrap();
        let truth: Value = serde_json::from_slice(&truth).unwrap();
        let channels = truth["disk"]["channels"].as_array().unwrap();
        let streams = channels.iter().flat_map(|channel| channel["streams"].as_array().unwrap());
        for stream in streams.filter(|stream| stream["file"].is_string()) {
            let file = beside.join(format!("kernel/net_{}", stream["cpu"]));
            assert_eq!(sha256(&fs::read(file).unwrap()), stream["sha256"].as_str().unwrap());
        }
        let metadata = fs::read(beside.join("kernel/metadata")).unwrap();
        assert_eq!(sha256(&metadata), truth["disk"]["metadata_file_sha256"].as_str().unwrap());
        machine.viewer(&[&machine.trace(), &beside]);
        let crash = scratch.path().join("crash");
        machine.join(&machine.trace(), Target::New(crash.clone()), Layout::CrashSubdir);
        assert!(tree(&crash.join("crash")) == tree(&beside));
        machine.viewer(&[&crash]);
    }
}

#[test]
fn torn_and_healed() {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    for machine in machines("M1p") {
        healed(&machine);
    }
}

fn healed(machine: &Machine) {
    let scratch = tempfile::tempdir().unwrap();
    let trace = machine.copy(scratch.path());
    let kernel = trace.join("kernel");
    // A packet that only the disk had is lost; the core's names its number.
    let mut file = fs::read(kernel.join("net_1")).unwrap();
    let at = file.len() - 131_072;
    file[at + 65_536..].fill(0);
    fs::write(kernel.join("net_1"), &file).unwrap();
    fs::write(kernel.join("metadata"), &fs::read(kernel.join("metadata")).unwrap()[..4096 + 300]).unwrap();
    let report = machine.join(&trace, Target::InPlace, Layout::Merged);
    assert!(report.has_losses());
    let Some(Gap::Lost { records: 1, ranges }) = &report.streams[1].gap else { panic!("{report:#?}") };
    assert_eq!((ranges[0].from, ranges[0].to), (18 * 131_072, 19 * 131_072));
    assert_eq!(
        report.streams[1].disk.as_ref().unwrap().cuts[0].saved_as.as_deref(),
        Some(&*format!("kernel/net_1@{at}"))
    );
    let packets = |stream: usize| machine.truth["streams"][stream]["joined_packets"].as_u64().unwrap();
    assert_eq!(report.totals.records, packets(0) + packets(1) - 1);
    is_whole(&trace, "healed");
    assert!(
        fs::read(kernel.join("metadata")).unwrap()
            == fs::read(machine.trace().join("kernel/metadata")).unwrap()
    );
}
