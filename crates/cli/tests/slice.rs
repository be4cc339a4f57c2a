//! `slice` as people call it: every format, then `info`, `ls`, `events` and `extract` on the result.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn run(args: &[&str], core: &Path) -> Output {
    let (command, rest) = args.split_first().unwrap();
    Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
        .arg(command)
        .arg(core)
        .arg("-d")
        .arg(fixture("types-2.6.27.isf.json"))
        .args(rest)
        .output()
        .unwrap()
}

fn slice(args: &[&str], core: &Path, output: &Path) -> Output {
    let args = [&["slice", "-o", output.to_str().unwrap()], args].concat();
    run(&args, core)
}

#[test]
fn every_format_shows_the_same_to_every_command() {
    let core = fixture("K1-2cpu/core.elf");
    let scratch = tempfile::tempdir().unwrap();
    let look = |core: &Path| {
        let ls = run(&["ls"], core);
        let events = run(&["events", "-n", "40"], core);
        let mut info: Value = serde_json::from_slice(&run(&["info", "--json"], core).stdout).unwrap();
        let traces = info["traces"].take();
        (ls.status.code(), ls.stdout, events.status.code(), events.stdout, traces)
    };
    let expected = look(&core);
    assert!(expected.1.len() > 1000 && expected.3.len() > 1000);
    for format in ["elf", "kdump-raw", "kdump-zlib", "kdump-lzo", "kdump-snappy", "kdump-zstd"] {
        for bytes in [&[][..], &["--bytes"]] {
            let path = scratch.path().join(format!("{format}{}", bytes.len()));
            let args = [&["--json", "--format", format], bytes].concat();
            let done = slice(&args, &core, &path);
            assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
            let report: Value = serde_json::from_slice(&done.stdout).unwrap();
            assert_eq!(report["output"], path.to_str().unwrap());
            assert_eq!(report["file_bytes"], fs::metadata(&path).unwrap().len());
            assert_eq!(report["core_bytes"], fs::metadata(&core).unwrap().len());
            assert_eq!(report["bytes_only"], !bytes.is_empty());
            assert_eq!(
                (&report["traces"], &report["sessions"], &report["streams"]),
                (&2.into(), &0.into(), &24.into())
            );
            assert_eq!(report["kernel_log"], true);
            assert!(look(&path) == expected, "{format} {bytes:?}");
        }
    }
}

#[test]
fn text_says_what_is_in_the_file() {
    let core = fixture("K1-2cpu/core.kdump-zlib");
    let scratch = tempfile::tempdir().unwrap();
    let text = |args: &[&str], name: &str| {
        let done = slice(args, &core, &scratch.path().join(name));
        assert_eq!(done.status.code(), Some(0));
        String::from_utf8(done.stdout).unwrap()
    };
    let pages = text(&[], "pages");
    assert!(pages.contains("it opens as the core does") && pages.contains("2 traces, 24 streams"), "{pages}");
    assert!(pages.contains("--bytes zeroes") && pages.contains("--no-log leaves it out"), "{pages}");
    let bytes = text(&["--bytes", "--no-log"], "bytes");
    assert!(bytes.contains("all else is zeros") && !bytes.contains("log"), "{bytes}");
}

#[test]
fn a_name_that_is_taken_is_refused_before_anything_is_opened() {
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("small");
    fs::write(&output, "precious").unwrap();
    let done = slice(&[], Path::new("/no/such/core"), &output);
    assert_eq!(done.status.code(), Some(4));
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(said.contains("expected a new name, found a file"), "{said}");
    assert!(said.contains("hint: nothing is ever overwritten"), "{said}");
    assert_eq!(fs::read(&output).unwrap(), b"precious");
    let done = slice(&["--format", "rar"], Path::new("/no/such/core"), &output);
    assert_eq!(done.status.code(), Some(2));
}
