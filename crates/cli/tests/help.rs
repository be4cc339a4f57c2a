//! What the program says about itself, word by word. Update with `SNAPSHOTS=overwrite`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::pipe;
use std::path::Path;
use std::process;

use snapbox::Data;
use snapbox::cmd::Command;

fn ltt_kdump() -> Command {
    // The width of the text follows the terminal.
    Command::new(env!("CARGO_BIN_EXE_ltt-kdump")).env_remove("COLUMNS")
}

/// The text of `tests/snapshots/NAME.txt`. Not with `snapbox::file!`, which looks in the wrong place when the target
/// directory lies outside the workspace.
fn snapshot(name: &str) -> Data {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name).with_extension("txt");
    Data::read_from(&path, None)
}

#[test]
fn help() {
    ltt_kdump().arg("--help").assert().success().stdout_eq(snapshot("help")).stderr_eq("");
}

#[test]
fn help_of_info() {
    ltt_kdump().args(["info", "--help"]).assert().success().stdout_eq(snapshot("help-info"));
}

#[test]
fn help_of_ls() {
    ltt_kdump().args(["ls", "--help"]).assert().success().stdout_eq(snapshot("help-ls"));
}

#[test]
fn help_of_extract() {
    ltt_kdump().args(["extract", "--help"]).assert().success().stdout_eq(snapshot("help-extract"));
}

#[test]
fn help_of_slice() {
    ltt_kdump().args(["slice", "--help"]).assert().success().stdout_eq(snapshot("help-slice"));
}

#[test]
fn help_of_the_commands_for_traces_on_disk() {
    for command in ["events", "check", "repair", "profile"] {
        let expected = snapshot(&format!("help-{command}"));
        ltt_kdump().args([command, "--help"]).assert().success().stdout_eq(expected);
    }
}

#[test]
fn no_command_is_a_usage_error_with_help() {
    ltt_kdump().assert().code(2).stdout_eq("").stderr_eq(snapshot("help-short"));
}

#[test]
fn unknown_options_are_usage_errors() {
    for args in [
        &["extract", "core", "-d", "x"][..],
        &["extract", "core", "-d", "x", "-o", "y", "--via", "magic"],
        &["info", "core", "--kaslr", "here"],
        &["extract", "core", "-d", "x", "--in-place"],
        &["extract", "core", "-d", "x", "-o", "y", "--dry-run"],
        &["extract", "core", "-d", "x", "-o", "y", "--into", "z", "--in-place"],
        &["extract", "core", "-d", "x", "-o", "y", "--into", "z", "--unread-only"],
        &["extract", "core", "-d", "x", "--into", "z", "--dry-run"],
        &["events", ".", "--trace", "k1"],
        &["repair", "trace"],
        &["repair", "trace", "--dry-run"],
        &["repair", "trace", "-o", "y", "--in-place"],
        &["events", "trace", "--since", "yesterday"],
        &["check"],
        &["profile", "vmlinux"],
        &["profile", "-o", "x"],
        &["info", "core", "--threads", "0"],
        &["info"],
        &["ls", "-d", "x"],
        &["frobnicate"],
    ] {
        ltt_kdump().args(args).assert().code(2).stdout_eq("");
    }
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = ltt_kdump().args(["completions", shell]).assert().success();
        let script = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
        assert!(script.contains("unread-only"), "{shell}: {script}");
    }
}

#[test]
fn manual_pages_and_completions_are_written() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("man");
    ltt_kdump().args(["man", "-o"]).arg(&out).assert().success().stdout_eq("").stderr_eq("");
    let mut names: Vec<_> =
        fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "_ltt-kdump",
            "ltt-kdump-check.1",
            "ltt-kdump-completions.1",
            "ltt-kdump-events.1",
            "ltt-kdump-extract.1",
            "ltt-kdump-info.1",
            "ltt-kdump-ls.1",
            "ltt-kdump-profile.1",
            "ltt-kdump-repair.1",
            "ltt-kdump-slice.1",
            "ltt-kdump.1",
            "ltt-kdump.bash",
            "ltt-kdump.fish",
        ]
    );
    let page = fs::read_to_string(out.join("ltt-kdump-extract.1")).unwrap();
    assert!(page.contains("unread\\-only") && page.contains("Exit codes"), "{page}");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let output = process::Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
        .arg("man")
        .stdout(writer)
        .stderr(process::Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}
