//! One clear line for everything that can go wrong, and the exit code that belongs to it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use snapbox::cmd::{Command, OutputAssert};
use tempfile::TempDir;

const TYPES: &str = "types-2.6.27.isf.json";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// A folder that the program runs in, so that messages hold no path of this machine.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::copy(fixture("K1-2cpu/core.kdump-zlib"), place.path("core")).unwrap();
        fs::copy(fixture("K1-2cpu/core.kdump-split1"), place.path("part1")).unwrap();
        fs::copy(fixture("K1-2cpu/core.kdump-split2"), place.path("part2")).unwrap();
        fs::copy(fixture(TYPES), place.path("types")).unwrap();
        fs::copy(fixture("types-2.6.27-i386.isf.json"), place.path("types-i386")).unwrap();
        fs::write(place.path("text"), "this is neither a core nor debuginfo\n".repeat(100)).unwrap();
        fs::write(place.path("empty"), "").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &str) -> OutputAssert {
        Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
            .current_dir(self.0.path())
            .args(args.split_whitespace())
            .assert()
    }

    /// Runs, and expects a code and the whole of standard error; standard output is empty, and no output appears.
    #[track_caller]
    fn fails(&self, args: &str, code: i32, stderr: &str) {
        let output = self.run(args).code(code).stdout_eq("");
        let text = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert_eq!(text, stderr, "{args}");
        assert!(!self.path("out").exists(), "{args}");
    }
}

#[test]
fn the_output_is_refused_before_anything_is_opened() {
    let place = Place::new();
    fs::create_dir_all(place.path("full/x")).unwrap();
    let hint = "hint: nothing is ever overwritten; choose a new name\n";
    place.fails(
        "extract no-such-core -d types -o full",
        4,
        &format!("error: output full: expected a new name or an empty folder, found a folder that is not empty\n{hint}"),
    );
    place.fails(
        "extract no-such-core -d types -o text",
        4,
        &format!("error: output text: expected a new name or an empty folder, found a file\n{hint}"),
    );
    place.fails(
        "extract core -d types -o missing/out",
        4,
        "error: looking for the folder above the output: missing: No such file or directory (os error 2)\n\
         hint: create the folder above the output first\n",
    );
    place.fails(
        "extract core -d types -o text/out",
        4,
        "error: looking at text/out: Not a directory (os error 20)\n",
    );
    fs::create_dir(place.path("here")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
        .current_dir(place.path("here"))
        .args(["extract", "../core", "-d", "../types", "-o", "."])
        .assert()
        .code(4)
        .stderr_eq(
            "error: output .: the current folder cannot be replaced\nhint: choose a name for a new folder\n",
        );
    assert!(place.path("here").is_dir() && place.path("full/x").is_dir());
}

#[test]
fn type_information_is_asked_for() {
    let place = Place::new();
    let message = "error: expected the kernel's type information, found none\n\
                   hint: name the crashed kernel's vmlinux with DWARF, its .debug file or an ISF JSON file with -d\n";
    place.fails("extract core -o out", 2, message);
    place.fails("ls core", 2, message);
}

#[test]
fn traces_that_are_not_there() {
    let place = Place::new();
    place.fails(
        "extract core -d types -o out --trace k1 --trace k3",
        1,
        "error: trace \"k3\": expected one of k1flight, k1\nhint: the command info lists the traces of a core\n",
    );
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let place = Place::new();
    fs::create_dir(place.path("folder")).unwrap();
    for (args, begins) in [
        ("info no-core", "error: no-core: No such file or directory"),
        ("info text", "error: text: not a core file"),
        ("extract no-core -d types -o out", "error: no-core: No such file or directory"),
        ("extract text -d types -o out", "error: text: not a core file"),
        ("extract empty -d types -o out", "error: empty: not a core file"),
        ("extract types -d types -o out", "error: types: not a core file"),
        ("extract folder -d types -o out", "error: folder: "),
        ("extract core -d no-types -o out", "error: reading no-types: No such file or directory"),
        ("extract core -d text -o out", "error: text: expected "),
        ("extract core -d empty -o out", "error: empty: expected "),
        ("extract core -d core -o out", "error: core: expected "),
        (
            "extract core -d types -o out --vmcoreinfo no-file",
            "error: reading no-file: No such file or directory",
        ),
        ("extract core -d types -o out --vmcoreinfo types", "error: types: expected VMCOREINFO, "),
        ("extract core -d types -o out --vmcoreinfo empty", "error: empty: expected VMCOREINFO, "),
        ("ls /ltt core -d types", "error: /ltt: No such file or directory"),
        ("info /dev/zero", "error: /dev/zero: expected a regular file, found a device"),
        ("info core -d /dev/null", "error: /dev/null: expected a regular file, found a device"),
        ("info folder", "error: folder: expected a regular file, found a folder"),
        ("check core", "error: core: expected the folder of a trace, found a file"),
        (
            "extract core -d types --into core -o out",
            "error: core: expected the folder of a trace, found a file",
        ),
        (
            "extract core -d types -d types-i386 -o out",
            "error: types-i386: word size 32 bits differs from 64 bits of types",
        ),
        ("extract part1 part1 -d types -o out", "error: part1: "),
        ("extract part1 core -d types -o out", "error: core: not a part of a split dump"),
        ("extract core core -d types -o out", "error: core: not a part of a split dump"),
    ] {
        let output = place.run(args).code(4).stdout_eq("");
        let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(stderr.starts_with(begins), "{args}: {stderr}");
        let lines = stderr.lines().filter(|line| !line.starts_with("hint: ")).count();
        assert_eq!(lines, 1, "{args}: {stderr}");
        assert!(!place.path("out").exists(), "{args}");
    }
}

#[test]
fn half_a_split_dump_is_said_to_be_half() {
    let place = Place::new();
    // The first half has buffers whose positions are in the second, which has no way to any.
    for (part, code) in [("part1", 3), ("part2", 1)] {
        let output = place.run(&format!("extract {part} -d types -o out")).code(code);
        let stderr = String::from_utf8_lossy(&output.get_output().stderr);
        assert!(stderr.contains("warning: part of the split dump is missing"), "{stderr}");
        let out = place.path("out");
        assert_eq!(out.exists(), code == 3, "{part}: {stderr}");
        let _ = fs::remove_dir_all(out);
    }
}

#[test]
fn paths_that_are_not_in_debugfs() {
    let place = Place::new();
    let message = "error: /no: no such entry in the core's debugfs, and no such file\n";
    place.fails("ls core /no -d types", 1, message);
}

#[test]
fn a_disk_that_takes_no_more_leaves_nothing_behind() {
    let place = Place::new();
    // A limit on the size of files is the nearest to a full disk that needs no privileges.
    let output = Command::new("sh")
        .current_dir(place.0.path())
        .args(["-c", "trap '' XFSZ; ulimit -f 16; exec \"$0\" extract core -d types -o out"])
        .arg(env!("CARGO_BIN_EXE_ltt-kdump"))
        .assert()
        .code(4)
        .stdout_eq("");
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(stderr.starts_with("error: writing out/k1"), "{stderr}");
    assert!(stderr.ends_with(": File too large (os error 27)\n"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    let hidden = fs::read_dir(place.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!hidden.into_iter().any(|name| name.to_string_lossy().contains("partial")));
    assert!(!place.path("out").exists());
}

/// What `<(zcat core.gz)` gives.
#[test]
fn pipes_are_no_files() {
    let place = Place::new();
    for (shell, file) in [
        ("cat core | \"$0\" info /dev/stdin", "/dev/stdin"),
        ("cat types | \"$0\" extract core -d /dev/stdin -o out", "/dev/stdin"),
    ] {
        let output = Command::new("sh")
            .current_dir(place.0.path())
            .args(["-c", shell])
            .arg(env!("CARGO_BIN_EXE_ltt-kdump"))
            .assert()
            .code(4)
            .stdout_eq("");
        let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        let expected =
            "expected a file that can be read in any order, found a pipe\nhint: write it to a file first\n";
        assert_eq!(stderr, format!("error: {file}: {expected}"), "{shell}");
    }
}

#[test]
fn types_without_the_tracer_are_said_to_be() {
    let place = Place::new();
    let types = fs::read_to_string(place.path("types")).unwrap();
    fs::write(place.path("untraced"), types.replace("ltt_trace_struct", "some_other_struct")).unwrap();
    place.fails(
        "extract core -d untraced -o out",
        1,
        "error: no trace in this core: debug information lacks struct ltt_trace|ltt_trace_struct\n\
         hint: if LTTng 0.x was built as modules, name their .ko files (with DWARF) with further -d options\n",
    );
}

#[test]
fn what_a_core_lacks_is_said_once() {
    let place = Place::new();
    let whole = fs::read(fixture("K1-2cpu/core.elf")).unwrap();
    fs::write(place.path("cut"), &whole[..8000]).unwrap();
    let warning = "truncated: the segments end at 0x12e000, the file at ";
    let output = place.run("extract cut -d types -o out").code(4).stdout_eq("");
    let stderr = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(
        stderr.ends_with(&format!("\nhint: the core is not as it should be: {warning}0x1f40\n")),
        "{stderr}"
    );

    fs::write(place.path("cut"), &whole[..200_000]).unwrap();
    let output = place.run("info cut -d types");
    let stdout = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert_eq!(stdout.matches(warning).count(), 1, "{stdout}");
}

/// Exit code 4 means that nothing was written, and losses stay losses whoever listens.
#[test]
fn traces_that_are_written_are_not_denied_for_want_of_a_report() {
    let place = Place::new();
    let run = |shell: &str| {
        let output = Command::new("sh")
            .current_dir(place.0.path())
            .args(["-c", shell])
            .arg(env!("CARGO_BIN_EXE_ltt-kdump"))
            .assert();
        String::from_utf8_lossy(&output.get_output().stderr).into_owned()
    };
    for (out, json) in [("out", ""), ("out-json", "--json")] {
        let stderr = run(&format!("\"$0\" extract core -d types -o {out} {json} >/dev/full; echo $? >&2"));
        let expected = format!(
            "warning: {out} is complete, but the report is lost: No space left on device (os error 28)\n3\n"
        );
        assert_eq!(stderr, expected);
        assert!(place.path(out).join("k1/cpu_0").is_file());
    }

    for (out, command) in [
        (
            "joined",
            format!("extract core -d types --into {} -o joined", fixture("K1-2cpu/disk-trace/k1").display()),
        ),
        ("repaired", format!("repair {} -o repaired", fixture("K1-2cpu/disk-trace/k1").display())),
        ("small", "slice core -d types -o small".to_owned()),
        ("profile", "profile types -o profile".to_owned()),
    ] {
        let stderr = run(&format!("\"$0\" {command} >/dev/full; echo $? >&2"));
        assert!(
            stderr.contains(&format!("warning: {out} is complete, but the report is lost: No space")),
            "{stderr}"
        );
        assert!(stderr.ends_with("\n3\n"), "{stderr}");
        assert!(place.path(out).exists());
    }

    fs::copy(fixture("X1-2cpu/core.kdump-zlib"), place.path("torn")).unwrap();
    // The reader is gone before the first line.
    let stderr = run("(sleep 0.2; \"$0\" extract torn -d types -o out-torn; echo $? >&2) | true");
    assert_eq!(stderr, "3\n");
    let stderr = run("(sleep 0.2; \"$0\" info torn -d types-i386 --force; echo $? >&2) | true");
    assert!(stderr.ends_with("\n4\n"), "{stderr}");
    let trace = fixture("K1-2cpu/disk-trace/k1");
    let stderr = run(&format!("(sleep 0.2; \"$0\" check {}; echo $? >&2) | true", trace.display()));
    assert_eq!(stderr, "3\n");
    let stderr = run("\"$0\" ls core -d types >/dev/full; echo $? >&2");
    assert_eq!(stderr, "error: writing to standard output: No space left on device (os error 28)\n4\n");
}

/// `2>&1 | head -1` closes standard error, too.
#[test]
fn messages_that_nobody_takes_do_no_harm() {
    let place = Place::new();
    let whole = fs::read(fixture("K1-2cpu/core.elf")).unwrap();
    fs::write(place.path("cut"), &whole[..200_000]).unwrap();
    for (command, code) in [("info no-core", 4), ("extract cut -d types -o out", 1)] {
        for shell in
            ["\"$0\" {} 2>/dev/full; echo $?", "((sleep 0.2; \"$0\" {}; echo $? >&3) 2>&1 | true) 3>&1"]
        {
            let _ = fs::remove_dir_all(place.path("out"));
            let output = Command::new("sh")
                .current_dir(place.0.path())
                .args(["-c", &shell.replace("{}", command)])
                .arg(env!("CARGO_BIN_EXE_ltt-kdump"))
                .assert()
                .success();
            let stdout = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
            assert!(stdout.ends_with(&format!("{code}\n")), "{shell} {command}: {stdout}");
        }
    }
}

#[test]
fn paths_inside_the_core_may_begin_at_its_root_or_not() {
    let place = Place::new();
    let absolute = place.run("ls core -d types /ltt/k1").success();
    let relative = place.run("ls core -d types ltt/k1").success();
    assert_eq!(absolute.get_output().stdout, relative.get_output().stdout);
    assert!(absolute.get_output().stdout.ends_with(b"/ltt/k1/cpu_1\n"));
    place.fails(
        "ls core -d types ltt/k3",
        1,
        "error: ltt/k3: no such entry in the core's debugfs, and no such file\n",
    );
}

#[test]
fn a_slip_of_the_finger_starts_no_army_of_threads() {
    let place = Place::new();
    let stderr = place.run("extract core -d types -o out --threads 65535").code(2).stdout_eq("");
    let stderr = String::from_utf8_lossy(&stderr.get_output().stderr).into_owned();
    assert!(stderr.contains("65535 is not in 1..=1024"), "{stderr}");
}
