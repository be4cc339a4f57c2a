//! Ctrl-C and its like while something is being written: all of it is there, or nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn start(folder: &Path, args: &[&str]) -> Child {
    // What a shell runs in the background ignores SIGINT, the tests themselves for one, and hands that on.
    Command::new("env")
        .args(["--default-signal=INT,TERM", env!("CARGO_BIN_EXE_ltt-kdump")])
        .current_dir(folder)
        .args(args)
        .arg(fixture("K1-2cpu/core.kdump-zlib"))
        .arg("-d")
        .arg(fixture("types-2.6.27.isf.json"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A shell that waits to send a signal: to start one takes as long as an extraction.
struct Aimed(Child);

fn aim(child: &Child, signal: i32) -> Aimed {
    let script = format!("read go; kill -{signal} {}", child.id());
    Aimed(
        Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap(),
    )
}

impl Aimed {
    fn send(mut self) {
        drop(self.0.stdin.take());
        // The process may have ended by itself.
        let _ = self.0.wait().unwrap();
    }

    fn leave(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn send(child: &Child, signal: i32) {
    aim(child, signal).send();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Waits for the first name in the folder, or the end.
fn has_begun(child: &mut Child, folder: &Path) -> bool {
    let begun = Instant::now();
    while names(folder).is_empty() {
        if child.try_wait().unwrap().is_some() || begun.elapsed() > Duration::from_secs(60) {
            return false;
        }
    }
    true
}

/// How the process ended, and what it said.
fn end(child: Child) -> (ExitStatus, String) {
    let output = child.wait_with_output().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

/// Whether all was written before the signal came, though the process was ended by it: while it told what it had done.
fn was_done(folder: &Path, stderr: &str) -> bool {
    let done = names(folder) == ["out"] && stderr.is_empty();
    let out = folder.join("out");
    if done && out.is_dir() {
        let expected = fixture("K1-2cpu/expected-intact");
        assert!(Command::new("diff").arg("-r").args([out, expected]).status().unwrap().success());
    }
    done
}

#[test]
fn a_signal_while_writing_leaves_nothing_behind() {
    for (args, signal) in [
        (&["extract", "--threads", "1", "-o", "out"][..], SIGINT),
        (&["extract", "-o", "out"], SIGTERM),
        (&["slice", "--format", "kdump-zlib", "-o", "out"], SIGINT),
    ] {
        let mut interrupted = 0;
        // One that is faster than the signal is whole, which is as good; but not all of them are.
        for _ in 0..100 {
            let scratch = tempfile::tempdir().unwrap();
            let mut child = start(scratch.path(), args);
            let aimed = aim(&child, signal);
            if has_begun(&mut child, scratch.path()) {
                aimed.send();
            } else {
                aimed.leave();
            }
            let (status, stderr) = end(child);
            if status.success() {
                assert_eq!(names(scratch.path()), ["out"], "{args:?}");
                continue;
            }
            assert_eq!(status.signal(), Some(signal), "{args:?}: {stderr}");
            if was_done(scratch.path(), &stderr) {
                continue;
            }
            assert_eq!(names(scratch.path()), [""; 0], "{args:?}: {stderr}");
            assert_eq!(stderr, "error: interrupted\nhint: nothing was left behind\n", "{args:?}");
            interrupted += 1;
            if interrupted == 3 {
                break;
            }
        }
        assert!(interrupted > 0, "{args:?}");
    }
}

#[test]
fn before_anything_is_written_a_signal_ends_it_at_once() {
    for delay in 0..20 {
        let scratch = tempfile::tempdir().unwrap();
        let child = start(scratch.path(), &["extract", "-o", "out"]);
        std::thread::sleep(Duration::from_millis(delay));
        send(&child, SIGINT);
        let (status, stderr) = end(child);
        if status.success() {
            assert_eq!(names(scratch.path()), ["out"]);
        } else {
            assert_eq!(status.signal(), Some(SIGINT), "{stderr}");
            assert!(was_done(scratch.path(), &stderr) || names(scratch.path()).is_empty(), "{stderr}");
        }
    }
}

#[test]
fn signals_that_are_ignored_stay_so() {
    for _ in 0..5 {
        let scratch = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .current_dir(scratch.path())
            // What nohup does.
            .args(["-c", "trap '' HUP; exec \"$0\" extract \"$1\" -d \"$2\" -o out"])
            .arg(env!("CARGO_BIN_EXE_ltt-kdump"))
            .arg(fixture("K1-2cpu/core.kdump-zlib"))
            .arg(fixture("types-2.6.27.isf.json"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if has_begun(&mut child, scratch.path()) {
            send(&child, 1);
        }
        let (status, stderr) = end(child);
        assert!(status.success(), "{stderr}");
        assert_eq!(names(scratch.path()), ["out"]);
    }
}
