//! `events` shows what babeltrace 2 shows: every line of whole traces, from folders and from cores.
//!
//! Needs the program `babeltrace2`; says so and passes if it is not installed, unless the variable `READERS_REQUIRED` is set.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A line without the time since the one before it, and that time.
#[derive(Debug, PartialEq)]
struct Line {
    time: String,
    delta: String,
    event: String,
}

impl Line {
    fn parse(text: &str) -> Line {
        let (time, rest) = text.split_once("] (").unwrap();
        let (delta, event) = rest.split_once(") ").unwrap();
        Line { time: time.to_owned(), delta: delta.to_owned(), event: event.to_owned() }
    }
}

fn lines(text: &[u8]) -> Vec<Line> {
    String::from_utf8(text.to_vec()).unwrap().lines().map(Line::parse).collect()
}

fn babeltrace(trace: &Path) -> Option<Vec<Line>> {
    let Ok(output) = Command::new("babeltrace2").arg("--clock-gmt").arg(trace).output() else {
        assert!(std::env::var_os("READERS_REQUIRED").is_none(), "babeltrace2 is not installed");
        eprintln!("skipped: babeltrace2 is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(lines(&output.stdout))
}

fn ours(args: &[&str], expected_code: i32) -> Vec<Line> {
    let output = Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
        .args(["events", "--format", "babeltrace"])
        .args(args)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(expected_code), "{args:?}: {error}");
    lines(&output.stdout)
}

/// Whether the lines are equal, but for strings that are empty in ours.
///
/// Up to 2.0.4, babeltrace 2 prints the string of an earlier event in the place of an empty one: see the comment of
/// 2021-07-07 in efficios/babeltrace pull request 116.
fn equal_but_for_empty_strings(ours: &str, theirs: &str) -> bool {
    let mut pieces = ours.split("\"\"");
    let Some(mut rest) = pieces.next().and_then(|first| theirs.strip_prefix(first)) else { return false };
    for piece in pieces {
        let Some(string) = rest.strip_prefix('"') else { return false };
        let mut escaped = false;
        let end = string.find(|char| {
            let ends = char == '"' && !escaped;
            escaped = char == '\\' && !escaped;
            ends
        });
        let Some(after) = end.and_then(|end| string[end + 1..].strip_prefix(piece)) else { return false };
        rest = after;
    }
    rest.is_empty()
}

/// All lines, in order; events of the very same time may be in any.
fn compare(ours: &[Line], theirs: &[Line], label: &str) {
    assert_eq!(ours.len(), theirs.len(), "{label}: number of lines");
    let mut start = 0;
    for same in theirs.chunk_by(|a, b| a.time == b.time) {
        let found = &ours[start..start + same.len()];
        let mut left: Vec<&Line> = same.iter().collect();
        for (nth, line) in found.iter().enumerate() {
            let place = start + nth;
            assert_eq!(
                (&line.time, &line.delta),
                (&same[nth].time, &same[nth].delta),
                "{label}: line {place}"
            );
            let equal = |exact: bool| {
                left.iter().position(|other| match exact {
                    true => line.event == other.event,
                    false => equal_but_for_empty_strings(&line.event, &other.event),
                })
            };
            let Some(at) = equal(true).or_else(|| equal(false)) else {
                panic!("{label}: line {place}: expected {same:#?}, found {line:#?}");
            };
            left.swap_remove(at);
        }
        start += same.len();
    }
}

/// The cores and traces of two crashes: slices in the repository, and where they are the larger ones that those were cut from.
fn crashes() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let larger = root.join("../../../shared/data/linux-6.1-lttng-2.13");
    let all = [root.join("../../fixtures/linux-6.1-lttng-2.13"), larger];
    all.into_iter().filter(|path| path.is_dir()).collect()
}

#[test]
fn differences_are_seen() {
    let line = |text: &str| vec![Line::parse(text)];
    let compared = |ours: &str, theirs: &str| {
        let (ours, theirs) = (line(ours), line(theirs));
        std::panic::catch_unwind(move || compare(&ours, &theirs, "")).is_ok()
    };
    let one = "[19:38:56.135699475] (+?.?????????) box a: { x = \"\", y = 1 }";
    assert!(compared(one, one));
    assert!(compared(one, &one.replace("\"\"", "\"stale \\\" one\"")));
    assert!(!compared(one, &one.replace("y = 1", "y = 2")));
    assert!(!compared(one, &one.replace("475]", "476]")));
    assert!(!compared(one, &one.replace("(+?.?????????)", "(+0.000000001)")));
    assert!(!compared(&one.replace("\"\"", "\"new\""), one));
}

#[test]
fn small_traces() {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lttformat/tests/ctf_traces");
    for name in ["net", "syscalls"] {
        let trace = traces.join(name);
        let Some(theirs) = babeltrace(&trace) else { return };
        assert!(!theirs.is_empty());
        compare(&ours(&[trace.to_str().unwrap()], 0), &theirs, name);
    }
}

/// What was on disk when the machines died, and what other tools took from their memory.
#[test]
fn real_folders() {
    let mut count = 0;
    for crash in crashes().iter().flat_map(|crashes| ["M0d", "M1p"].map(|scenario| crashes.join(scenario))) {
        for trace in ["disk-trace/lttng-disk", "expected/lttng/disk", "expected/lttng/snap"] {
            let trace = crash.join(trace);
            if !trace.is_dir() {
                continue;
            }
            let Some(theirs) = babeltrace(&trace) else { return };
            compare(&ours(&[trace.to_str().unwrap()], 0), &theirs, trace.to_str().unwrap());
            count += theirs.len();
        }
    }
    assert!(count > 13_260, "{count}");
}

/// The cores themselves, and the traces that are extracted from them.
#[test]
fn real_cores() {
    let scratch = tempfile::tempdir().unwrap();
    for (place, crashes) in crashes().iter().enumerate() {
        let types = ["types-6.1.0-56-amd64.isf.json", "types-lttng-2.13.9.isf.json"];
        let types = types.map(|name| crashes.join("types").join(name));
        for (scenario, sessions) in
            [("M0d", [("disk", 22_645), ("snap", 16_302)]), ("M1p", [("disk", 3_085), ("snap", 16_177)])]
        {
            let core = crashes.join(scenario).join("core.zlib");
            let args = [&core, Path::new("-d"), &types[0], Path::new("-d"), &types[1]];
            let args = args.map(|arg| arg.to_str().unwrap());
            let output = scratch.path().join(format!("{scenario}-{place}"));
            let mut extract = Command::new(env!("CARGO_BIN_EXE_ltt-kdump"));
            let extracted = extract.arg("extract").args(args).arg("-o").arg(&output).output().unwrap();
            assert!(output.is_dir(), "{}", String::from_utf8_lossy(&extracted.stderr));
            for (session, count) in sessions {
                let folders = std::fs::read_dir(&output).unwrap().map(|entry| entry.unwrap());
                let mut folders =
                    folders.filter(|entry| entry.file_name().to_str().unwrap().starts_with(session));
                let trace = folders.next().unwrap().path();
                let Some(theirs) = babeltrace(&trace) else { return };
                let label = format!("{} {session}", core.display());
                assert_eq!(theirs.len(), count, "{label}");
                compare(&ours(&[&args[..], &["--trace", session]].concat(), 0), &theirs, &label);
                compare(&ours(&[trace.to_str().unwrap()], 0), &theirs, &label);
            }
        }
    }
}
