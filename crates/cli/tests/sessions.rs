//! Sessions of LTTng 2.x on real cores, shown and extracted.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use snapbox::Data;
use snapbox::cmd::Command;

const KERNEL: &str = "types/types-6.1.0-56-amd64.isf.json";
const MODULES: &str = "types/types-lttng-2.13.9.isf.json";

/// The program, in the folder of the fixtures of LTTng 2.13.
fn ltt_kdump(args: &[&str]) -> Command {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/linux-6.1-lttng-2.13");
    Command::new(env!("CARGO_BIN_EXE_ltt-kdump")).current_dir(fixtures).args(args)
}

fn snapshot(name: &str) -> Data {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name).with_extension("txt");
    Data::read_from(&path, None)
}

/// Of `info`, what is about traces: it begins after the kernel's last words.
fn sessions(args: &[&str]) -> String {
    let output = ltt_kdump(args).assert().success().stderr_eq("").get_output().stdout.clone();
    let text = String::from_utf8(output).unwrap();
    let start = text.find("\nsession ").unwrap();
    text[start + 1..].to_owned()
}

#[test]
fn info_shows_sessions_channels_and_losses() {
    for (core, name) in [("M0d/core.zlib", "info-frozen"), ("M1p/core.zlib", "info-panic")] {
        let text = sessions(&["info", core, "-d", KERNEL, "-d", MODULES]);
        snapbox::assert_data_eq!(&text, snapshot(name));
        let stripped = sessions(&["info", core, "-d", KERNEL]);
        let said = "\nno type information of the tracer: read as LTTng 2.13 lays it out\n";
        assert_eq!(stripped.strip_suffix(said).unwrap(), text);
    }
}

#[test]
fn info_is_the_same_as_json() {
    let args = ["--json", "info", "M0d/core.zlib", "-d", KERNEL, "-d", MODULES];
    let document: Value =
        serde_json::from_slice(&ltt_kdump(&args).assert().success().get_output().stdout).unwrap();
    assert_eq!(document["traces"], Value::Array(vec![]));
    assert_eq!(document["damage"], Value::Array(vec![]), "types of another tracer are not missed");
    assert_eq!(document["fixed_layouts"], Value::Null);
    let sessions = document["sessions"].as_array().unwrap();
    let disk = sessions.iter().find(|session| session["name"] == "disk").unwrap();
    assert_eq!(disk["folder"], "disk-20261123-193849");
    assert_eq!((&disk["tracer"], &disk["active"]), (&"2.13.9".into(), &false.into()));
    let channel = &disk["channels"][0];
    assert_eq!(
        (&channel["name"], &channel["named"], &channel["id"]),
        (&"net".into(), &true.into(), &0.into())
    );
    assert_eq!(channel["streams"][0]["lost_full"], 18413);
    assert_eq!(channel["streams"][1]["daemon_file"], "lttng-disk/kernel/net_1");
}

/// Runs `extract` into a new folder; what it printed.
fn extract(args: &[&str], out: &Path) -> (String, i32) {
    let out = out.to_str().unwrap();
    let args = [&["extract", "M1p/core.zlib", "-d", KERNEL, "-o", out], args].concat();
    let output = ltt_kdump(&args).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    // The folder has another name each time.
    let text = String::from_utf8(output.stdout).unwrap().replace(out, "OUT");
    (text, output.status.code().unwrap())
}

fn traces(out: &Path) -> Vec<String> {
    let entries =
        std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn extract_writes_a_trace_for_each_session() {
    let scratch = tempfile::tempdir().unwrap();
    let out = |name: &str| -> PathBuf { scratch.path().join(name) };
    let (text, code) = extract(&[], &out("all"));
    snapbox::assert_data_eq!(&text, snapshot("extract-panic"));
    assert_eq!(code, 0);
    assert_eq!(traces(&out("all")), ["disk-20261123-194013", "snap-20261123-194012"]);

    for (nth, name) in ["snap", "snap-20261123-194012"].into_iter().enumerate() {
        let out = out(&nth.to_string());
        assert_eq!(extract(&["--trace", name], &out).1, 0);
        assert_eq!(traces(&out), ["snap-20261123-194012"]);
    }
    // Without the daemon's open files there is nobody to tell the channel's name.
    assert_eq!(extract(&["--via", "list"], &out("list")).1, 0);
    assert!(out("list/disk-20261123-194013/kernel/chan0_0").is_file());
    assert_eq!(extract(&["--via", "open-files"], &out("files")).1, 0);
    assert!(out("files/disk-20261123-194013/kernel/net_0").is_file());
}

#[test]
fn a_name_that_is_not_there() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let args = ["extract", "M1p/core.zlib", "-d", KERNEL, "-o", out.to_str().unwrap(), "--trace", "other"];
    let expected = "error: trace \"other\": expected one of disk-20261123-194013, snap-20261123-194012\n\
                    hint: the command info lists the traces of a core\n";
    ltt_kdump(&args).assert().code(1).stdout_eq("").stderr_eq(expected);
    assert!(!out.exists());
}
