//! `check`, `repair` and `extract --into` on real CTF traces that LTTng 2.13 was writing when the kernel died.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/linux-6.1-lttng-2.13")
}

/// Exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_ltt-kdump")).current_dir(fixtures()).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const TYPES: [&str; 4] =
    ["-d", "types/types-6.1.0-56-amd64.isf.json", "-d", "types/types-lttng-2.13.9.isf.json"];
const TRACE: &str = "M1p/disk-trace/lttng-disk";

fn into<'a>(core: &'a str, trace: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["extract", core][..], &TYPES, &["--into", trace], more].concat()
}

fn copy(to: &Path) -> String {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
            if from.is_dir() { copy(&from, &to) } else { fs::write(to, fs::read(from).unwrap()).unwrap() }
        }
    }
    let trace = to.join("session");
    copy(&fixtures().join(TRACE), &trace);
    trace.to_str().unwrap().to_owned()
}

#[test]
fn the_whole_story() {
    let (code, text, error) = run(&["check", TRACE]);
    assert_eq!((code, &*error), (3, ""), "{text}");
    assert!(
        text.contains(
            "session disk of 20261123T194013+0000 on (none), lttng-modules 2.13.9, 1 channel, 6 event formats"
        ),
        "{text}"
    );
    assert!(
        text.contains("damage: kernel/index/net_0.idx: index file at byte 88: expected an entry"),
        "{text}"
    );
    assert!(
        text.ends_with("7 packets in 2 files, 896.0 KiB: every packet whole, but not the trace\n"),
        "{text}"
    );

    let scratch = tempfile::tempdir().unwrap();
    let joined = scratch.path().join("joined");
    let joined = joined.to_str().unwrap();
    let (code, text, error) = run(&into("M1p/core.zlib", TRACE, &["-o", joined]));
    assert_eq!((code, &*error), (0, ""), "{text}");
    assert!(text.contains(&format!("7 records kept + 2 added = 9 in {joined}\n")), "{text}");
    assert!(text.contains("index: kernel/index/net_1.idx: 4 packets, 3 of them new\n"), "{text}");

    let (code, text, _) = run(&["check", joined, "--deep", "--json"]);
    assert_eq!(code, 0, "{text}");
    let check: Value = serde_json::from_str(&text).unwrap();
    let truth = fs::read(fixtures().join("M1p/expected/lttng/disk.merge.json")).unwrap();
    let truth = &serde_json::from_slice::<Value>(&truth).unwrap()["babeltrace2_joined"];
    assert_eq!(check["totals"]["events"], truth["events"]);
    for (file, truth) in check["files"].as_array().unwrap().iter().zip(truth["streams"].as_array().unwrap()) {
        assert_eq!((&file["cpu"], &file["events"]), (&truth["cpu"], &truth["events"]));
    }
}

#[test]
fn in_place_with_a_dry_run_first() {
    let scratch = tempfile::tempdir().unwrap();
    let trace = copy(scratch.path());
    let file = Path::new(&trace).join("kernel/net_0");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [&whole[..], &[0; 1000]].concat()).unwrap();
    let (code, text, _) = run(&into("M1p/core.zlib", &trace, &["--in-place", "--dry-run", "--json"]));
    let plan: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &plan["totals"]["bytes_cut"], &plan["totals"]["added"]), (0, &1000.into(), &2.into()));
    assert_eq!(plan["metadata"]["changes"], false);
    assert_eq!(fs::read(&file).unwrap().len(), whole.len() + 1000, "a dry run changes nothing");
    let (code, text, error) = run(&into("M1p/core.zlib", &trace, &["--in-place"]));
    assert_eq!((code, &*error), (0, ""), "{text}");
    assert!(text.contains(", kept as kernel/net_0@524288: expected a packet, found zeroes\n"), "{text}");
    let kept = scratch.path().join("session.cut/kernel");
    assert_eq!(fs::read(kept.join("net_0@524288")).unwrap(), [0; 1000]);
    assert!(kept.join("index/net_0.idx@88").exists());
    let (code, text, _) = run(&into("M1p/core.zlib", &trace, &["--in-place"]));
    assert_eq!(code, 0);
    assert!(text.contains("nothing to change: 9 records kept + 0 added = 9 in "), "{text}");
    assert_eq!(run(&["check", &trace]).0, 0);
}

#[test]
fn repair_needs_no_core() {
    let scratch = tempfile::tempdir().unwrap();
    let trace = copy(scratch.path());
    let metadata = Path::new(&trace).join("kernel/metadata");
    fs::write(&metadata, &fs::read(&metadata).unwrap()[..4096 + 500]).unwrap();
    let (code, text, _) = run(&["check", &trace]);
    assert_eq!(code, 3);
    assert!(text.contains("damage: kernel/metadata at 4096: 500 bytes: "), "{text}");
    let out = scratch.path().join("repaired");
    let (code, text, error) = run(&["repair", &trace, "-o", out.to_str().unwrap()]);
    assert_eq!((code, &*error), (3, ""), "{text}");
    assert!(text.contains("cut: kernel/metadata at "), "{text}");
    assert_eq!(run(&["check", out.to_str().unwrap()]).0, 0);
    assert_eq!(fs::read(&metadata).unwrap().len(), 4596, "the trace itself is not touched");
}

#[test]
fn another_machines_trace_is_not_joined() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let (code, text, error) = run(&into("M0d/core.zlib", TRACE, &["-o", out.to_str().unwrap()]));
    assert_eq!((code, &*text), (1, ""));
    assert!(
        error.starts_with("error: expected the directory's trace in the core (session disk, uuid 4bdf552e-"),
        "{error}"
    );
    assert!(!out.exists());
    let wrong =
        [&into("M1p/core.zlib", TRACE, &["-o", out.to_str().unwrap()])[..], &["--trace", "snap"]].concat();
    assert_eq!(run(&wrong).0, 1);
}
