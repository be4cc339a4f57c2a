//! `events` of sessions of LTTng 2.x: from a core and from a folder, as text and as JSON.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs in the folder of the fixtures; exit code, standard output and standard error.
fn run(args: &str) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ltt-kdump"))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures"))
        .arg("events")
        .args(args.split_whitespace())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn shown(args: &str) -> Vec<String> {
    let (code, text, error) = run(args);
    assert_eq!((code, &*error), (0, ""), "{args}");
    text.lines().map(str::to_owned).collect()
}

fn json(args: &str) -> Vec<Value> {
    shown(&format!("{args} --json")).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const CORE: &str =
    "linux-6.1-lttng-2.13/M0d/core.zlib -d linux-6.1-lttng-2.13/types/types-6.1.0-56-amd64.isf.json";
const FOLDER: &str = "linux-6.1-lttng-2.13/M0d/disk-trace/lttng-disk";

#[test]
fn the_last_events_of_all_sessions() {
    let last = shown(&format!("{CORE} -n 3"));
    assert_eq!(
        last,
        [
            "[2026-11-23 19:39:05.745523910] (-0.000012090) cpu 1 snap/chan0: syscall_entry_write: { fd = 2, buf = 140016202220912, count = 112 }",
            "[2026-11-23 19:39:05.745529730] (-0.000006270) cpu 1 snap/chan0: syscall_exit_write: { ret = 112 }",
            "[2026-11-23 19:39:05.745536000] (-0.000000000) cpu 1 snap/chan0: syscall_entry_ioctl: { fd = 68, cmd = 63063, arg = 0 }",
        ]
    );
    let since = shown(&format!("{CORE} --since 2026-11-23T19:39:05.745529730Z"));
    assert_eq!(since, last[1..]);
    assert_eq!(shown(&format!("{CORE} --since -6270ns")), last[1..]);
    assert_eq!(shown(&format!("{CORE} --trace snap --cpu 1 -n 1"))[0], last[2].replace("snap/", ""));
    assert!(shown(&format!("{CORE} --trace disk --cpu 1 -n 1"))[0].contains(" cpu 1 net: "));
}

#[test]
fn what_the_tracer_dropped_is_no_loss() {
    let lines = shown(&format!("{CORE} --trace disk --channel net"));
    let others: Vec<_> = lines.iter().filter(|line| line.contains(": <")).collect();
    let expected = "[2026-11-23 19:39:05.724413715] (+0.003019450) cpu 0 net: <18413 events discarded by the tracer \
                    between 2026-11-23 19:39:02.635582075 and 2026-11-23 19:39:05.724413715>";
    assert_eq!((lines.len(), others), (22_645 + 1, vec![&expected.to_owned()]));
}

#[test]
fn objects_have_contexts_and_fields() {
    let objects = json(&format!("{CORE} --trace disk"));
    let of_kind = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).collect::<Vec<_>>();
    assert_eq!(of_kind("event").len(), 22_645);
    let discarded = of_kind("discarded");
    assert_eq!(discarded[0]["events"], 18_413);
    assert_eq!(objects.len(), 22_645 + discarded.len());
    let first = serde_json::json!({
        "trace": "disk", "channel": "net", "cpu": 0, "kind": "event", "name": "irq_softirq_exit",
        "wall_ns": 1_795_462_736_135_699_475_u64, "context": { "pid": 0, "procname": "swapper/0", "vpid": 0 }, "fields": { "vec": 7 },
    });
    for (name, value) in first.as_object().unwrap() {
        assert_eq!(&objects[0][name], value, "{name}");
    }
    // Without contexts there is no such member.
    assert!(json(&format!("{CORE} --trace snap -n 1"))[0].get("context").is_none());
    let path = objects.iter().find(|object| object["name"] == "sched_wakeup").unwrap();
    assert_eq!(path["fields"]["comm"], "kcompactd0");
}

#[test]
fn a_folder_shows_the_same_events() {
    let (of_core, of_folder) = (json(&format!("{CORE} --trace disk -n 4000")), json(FOLDER));
    assert_eq!(of_folder.len(), 13_260);
    assert_eq!((&of_folder[0]["trace"], &of_folder[0]["channel"]), (&"disk".into(), &"net".into()));
    // The daemon took the pages of what it had written: the core goes on where the folder ends.
    let last_on_disk = of_folder.iter().map(|object| object["tsc"].as_u64().unwrap()).max().unwrap();
    assert!(of_core[0]["tsc"].as_u64().unwrap() > last_on_disk);
}

#[test]
fn what_cannot_be_shown_says_why() {
    let (code, text, error) = run("K1-2cpu/expected-intact/k1 --format babeltrace");
    assert_eq!((code, &*text), (2, ""));
    assert!(error.contains("expected a trace of LTTng 2.x, found one of LTT 0.x"), "{error}");
    assert_eq!(run(&format!("{FOLDER} --format babeltrace --json")).0, 2);
    assert_eq!(run(&format!("{CORE} --trace nothing")).0, 1);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("metadata"), "\u{1e}{\"type\":\"preamble\",\"version\":2}\n").unwrap();
    fs::write(folder.path().join("chan_0"), b"").unwrap();
    let (code, text, error) = run(folder.path().to_str().unwrap());
    assert_eq!((code, &*text), (4, ""));
    assert!(error.contains("found CTF 2, whose events are not decoded"), "{error}");
}
