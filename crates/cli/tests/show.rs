//! `info` and `ls` on real cores.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs in the folder of the fixtures; the exit code and standard output.
fn run(args: &str) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures"))
        .args(args.split_whitespace())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args}");
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

fn json(args: &str) -> Value {
    let (code, text) = run(&format!("{args} --json"));
    assert_eq!(code, 0, "{args}: {text}");
    serde_json::from_str(&text).unwrap()
}

const K1: &str = "K1-2cpu/core.kdump-zlib -d types-2.6.27.isf.json";

#[test]
fn info_without_types_shows_the_core() {
    let (code, text) = run("info K1-2cpu/core.kdump-zlib");
    assert_eq!(code, 0);
    assert!(text.starts_with("core        kdump-compressed v6, zlib, 279.5 KiB\n"), "{text}");
    assert!(text.contains("\nrelease     2.6.27\n"), "{text}");
    let document = json("info K1-2cpu/core.elf");
    assert_eq!(document.as_object().unwrap().keys().collect::<Vec<_>>(), ["core"]);
    assert_eq!(document["core"]["cpus"], 2);
}

#[test]
fn info_shows_the_last_words_and_every_stream() {
    let (code, text) = run(&format!("info {K1}"));
    assert_eq!(code, 0, "{text}");
    for expected in [
        "\npanic       SysRq : Trigger a crashdump\n",
        "\ntrace k1: active, format 2.1",
        "\ntrace k1flight: ",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let row = text.lines().find(|line| line.trim_start().starts_with("cpu_1 ")).unwrap();
    let cells: Vec<_> = row.split_whitespace().collect();
    // 8 sub-buffers of 8 KiB; 5 ready, 1 open, 2 consumed and intact.
    let expected =
        ["cpu_1", "normal", "1", "8", "x", "8.0", "KiB", "1644704", "1597440", "5", "1", "2", "0", "120861"];
    assert_eq!(cells, expected);
    assert!(!text.contains("translation"), "only with -v: {text}");
    assert!(run(&format!("info -v {K1}")).1.contains("\ntranslation x86_64: "));
}

#[test]
fn info_is_the_same_as_json() {
    let document = json(&format!("info {K1}"));
    let traces = document["traces"].as_array().unwrap();
    let k1 = traces.iter().find(|trace| trace["name"] == "k1").unwrap();
    assert_eq!((&k1["version"], &k1["active"]), (&"2.1".into(), &true.into()));
    let streams = k1["streams"].as_array().unwrap();
    assert_eq!(streams.len(), 12);
    let cpu_1 = streams.iter().find(|stream| stream["path"] == "cpu_1").unwrap();
    assert_eq!(cpu_1["events_lost"], 120_861);
    assert_eq!(cpu_1["write_position"], 1_644_704);
    assert_eq!(document["kernel"]["panic"], "SysRq : Trigger a crashdump");
}

#[test]
fn ls_marks_the_buffers_of_traces() {
    let (code, text) = run(&format!("ls {K1} /ltt/k1"));
    assert_eq!(code, 0, "{text}");
    let paths: Vec<_> = text.lines().map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(
        paths[..5],
        [
            "PATH",
            "/ltt/k1",
            "/ltt/k1/control",
            "/ltt/k1/control/interrupts_0",
            "/ltt/k1/control/interrupts_1"
        ]
    );
    assert_eq!(text.lines().filter(|line| line.contains(" trace ")).count(), 12, "{text}");
    assert!(!text.contains("k1flight"), "{text}");

    let everything = json(&format!("ls {K1}"));
    let entries = everything["entries"].as_array().unwrap();
    assert_eq!(entries.iter().filter(|entry| entry["buffer"] == "trace").count(), 24);
    let split = json("ls K1-2cpu/core.kdump-split1 K1-2cpu/core.kdump-split2 -d types-2.6.27.isf.json");
    assert_eq!(everything, split);
}
