//! `check`, `repair`, `extract --into` and `events` on a real trace that its daemon was writing when the kernel died.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// Exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ltt-kdump")).current_dir(fixtures()).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const CORE: [&str; 3] = ["K1-2cpu/core.kdump-zlib", "-d", "types-2.6.27.isf.json"];
const TRACE: &str = "K1-2cpu/disk-trace/k1";

/// A copy of the trace on disk, to be changed.
fn copy(to: &Path) -> String {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
            if from.is_dir() { copy(&from, &to) } else { fs::write(to, fs::read(from).unwrap()).unwrap() }
        }
    }
    let trace = to.join("k1");
    copy(&fixtures().join(TRACE), &trace);
    trace.to_str().unwrap().to_owned()
}

fn truth() -> Value {
    let events = fs::read(fixtures().join("K1-2cpu/events.json")).unwrap();
    serde_json::from_slice::<Value>(&events).unwrap()["traces"]["k1"]["merged"].clone()
}

#[test]
fn the_whole_story() {
    let (code, text, _) = run(&["check", TRACE]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("problem: expected a record in the metadata of CPU 1, found none\n"), "{text}");
    assert!(
        text.ends_with("421 records in 12 files, 3.2 MiB: every record whole, but not the trace\n"),
        "{text}"
    );

    let scratch = tempfile::tempdir().unwrap();
    let joined = scratch.path().join("joined");
    let joined = joined.to_str().unwrap();
    let (code, text, error) = run(&[&["extract"][..], &CORE, &["--into", TRACE, "-o", joined]].concat());
    assert_eq!((code, &*error), (0, ""), "{text}");
    assert!(text.contains(&format!("421 records kept + 23 added = 444 in {joined}\n")), "{text}");

    let (code, text, _) = run(&["check", joined, "--deep", "--json"]);
    assert_eq!(code, 0, "{text}");
    let (check, truth) = (serde_json::from_str::<Value>(&text).unwrap(), truth());
    assert_eq!(check["totals"]["events"], truth["events"]);
    for file in check["files"].as_array().unwrap() {
        let expected = truth["events_per_stream"].get(file["path"].as_str().unwrap());
        assert_eq!(file["events"], expected.cloned().unwrap_or_else(|| 0.into()), "{file}");
    }

    let (code, text, _) = run(&["events", joined, "-n", "20"]);
    assert_eq!(code, 0, "{text}");
    let viewer: Vec<_> =
        truth["last_20_lines"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(text.lines().count(), viewer.len());
    for (ours, theirs) in text.lines().zip(viewer) {
        // The viewer puts what it knows of the process between the two: `NAME: TIME (FILE), …, STATE { FIELDS }`.
        let (name, fields) = (theirs.split(':').next().unwrap(), &theirs[theirs.rfind(" { ").unwrap()..]);
        assert!(ours.ends_with(&format!(": {name}:{fields}")), "{ours}\n{theirs}");
    }
    assert!(
        text.lines().last().unwrap().contains("] (-0.000000000) cpu 1 cpu: kernel_arch_trap_entry: "),
        "{text}"
    );
}

#[test]
fn in_place_the_cut_bytes_are_kept_and_a_second_run_changes_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let trace = copy(scratch.path());
    let torn = Path::new(&trace).join("cpu_0");
    let whole = fs::read(&torn).unwrap();
    fs::write(&torn, &whole[..whole.len() - 5000]).unwrap();

    let into = |more: &[&str]| run(&[&["extract"][..], &CORE, &["--into", &trace], more].concat());
    let (code, text, error) = into(&["--in-place", "--dry-run"]);
    assert_eq!((code, &*error), (0, ""), "{text}");
    assert!(text.contains("cut: cpu_0 at 1736704: 3192 bytes, which the core holds, kept as "), "{text}");
    assert_eq!(fs::read(&torn).unwrap().len(), whole.len() - 5000, "a dry run changes nothing");

    let (code, text, error) = into(&["--in-place"]);
    assert_eq!((code, &*error), (0, ""), "{text}");
    let cut = scratch.path().join("k1.cut");
    let saved: Vec<_> =
        fs::read_dir(&cut).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(saved, [&whole[1_736_704..whole.len() - 5000]]);
    assert!(fs::read(&torn).unwrap().starts_with(&whole), "the core had the record that was torn");

    let (code, text, _) = into(&["--in-place"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("nothing to change: 444 records kept + 0 added = 444 in "), "{text}");
    assert_eq!(run(&["check", &trace]).0, 0);
}

#[test]
fn repair_needs_no_core() {
    let scratch = tempfile::tempdir().unwrap();
    let trace = copy(scratch.path());
    let torn = Path::new(&trace).join("cpu_1");
    let whole = fs::read(&torn).unwrap();
    fs::write(&torn, [&whole[..], &[0; 8192]].concat()).unwrap();
    let (code, text, _) = run(&["check", &trace]);
    assert_eq!(code, 3);
    assert!(
        text.contains("damage: cpu_1 at 1597440: 8192 bytes: expected a record, found nothing but zeros\n"),
        "{text}"
    );
    let out = scratch.path().join("repaired");
    let (code, text, error) = run(&["repair", &trace, "-o", out.to_str().unwrap()]);
    assert_eq!((code, &*error), (3, ""), "{text}");
    assert_eq!(fs::read(out.join("cpu_1")).unwrap(), whole);
    assert_eq!(fs::read(&torn).unwrap().len(), whole.len() + 8192, "the trace itself is not touched");
}

#[test]
fn events_can_be_chosen() {
    let core = |more: &[&str]| run(&[&["events"][..], &CORE, more].concat());
    let (code, all, error) = core(&["--trace", "k1"]);
    assert_eq!((code, &*error), (0, ""));
    assert_eq!(all.lines().count(), 8829);
    assert_eq!(core(&["--trace", "k1", "--cpu", "1", "--channel", "processes"]).1.lines().count(), 1025);
    let recent = core(&["--trace", "k1", "--since", "-2ms"]).1;
    assert!(recent.lines().count() < 20 && all.ends_with(&recent), "{recent}");
    assert_eq!(core(&[]).1.lines().count(), 8829 + 8113, "of all traces");
    let (code, text, _) = core(&["-n", "1", "--json"]);
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (code, &event["name"], &event["fields"]["trap_id"]),
        (0, &"kernel_arch_trap_entry".into(), &2.into())
    );
    assert_eq!(event["before_end_ns"], 0);
}

#[test]
fn refusals_are_one_line_each() {
    let scratch = tempfile::tempdir().unwrap();
    let nowhere = scratch.path().join("out");
    let nowhere = nowhere.to_str().unwrap();
    let beside = ["--into", TRACE, "--in-place", "--layout", "beside"];
    let other = ["--into", "K1-2cpu/expected/k1flight", "--trace", "k1", "-o", nowhere];
    for (code, args) in [
        (4, &["check", "K1-2cpu/README.md"][..]),
        (4, &["check", scratch.path().to_str().unwrap()]),
        (1, &["events", TRACE, "--cpu", "7"]),
        (1, &["events", CORE[0], CORE[1], CORE[2], "--trace", "k7"]),
        (1, &["events", TRACE, "--channel", "nothing"]),
        (2, &[&["extract"][..], &CORE, &beside].concat()),
        (1, &[&["extract"][..], &CORE, &other].concat()),
    ] {
        let (found, out, error) = run(args);
        assert_eq!((found, &*out), (code, ""), "{args:?}: {error}");
        let lines: Vec<_> = error.lines().collect();
        assert!(lines[0].starts_with("error: "), "{error}");
        assert!(lines[1..].iter().all(|line| line.starts_with("hint: ")) && lines.len() <= 2, "{error}");
    }
    assert!(!Path::new(nowhere).exists());
}
