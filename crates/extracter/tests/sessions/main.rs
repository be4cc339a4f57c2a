//! Sessions of LTTng 2.x, from a core to trace folders: those of real cores are byte for byte the expected ones, those of synthetic
//! kernels hold what was planted, and whatever a core says, nothing is written outside of the output.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod hostile;
mod planted;
mod real;
#[path = "../real/sha256.rs"]
mod sha256;
mod viewer;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use analyser::{Kernel, Routes};
use extracter::{Options, Plan, Report, Silent, Totals};

/// Files by their path below a folder.
type Files = BTreeMap<String, Vec<u8>>;

/// Writes all sessions of a kernel to a new folder, and checks what must hold for any of them.
fn extract(kernel: &Kernel, routes: Routes, out: &Path) -> Report {
    let (traces, sessions) = (kernel.traces(routes), kernel.sessions(routes));
    let plan = Plan::new(kernel, (&traces, &sessions), &Options::new(out)).unwrap();
    let report = plan.run(&Silent).unwrap();
    check(&report, &files(out));
    report
}

/// The report accounts for every file and every byte.
fn check(report: &Report, files: &Files) {
    let mut reported = BTreeMap::new();
    let mut indexes = 0;
    for trace in &report.traces {
        adds_up(&trace.totals);
        for stream in &trace.streams {
            adds_up(&stream.totals);
            reported.insert(stream.path.clone(), stream.totals.bytes.file);
            let (folder, name) = stream.path.rsplit_once('/').unwrap();
            indexes += usize::from(files.contains_key(&format!("{folder}/index/{name}.idx")));
        }
        if let Some(metadata) = &trace.metadata {
            reported.insert(metadata.path.clone(), metadata.bytes);
        }
    }
    for (path, len) in &reported {
        assert_eq!(files.get(path).map(|file| file.len() as u64), Some(*len), "{path}");
    }
    let others = files.keys().filter(|path| !reported.contains_key(*path));
    // Copies of metadata lie in the folders of streams that were put apart.
    let others = others.filter(|path| !path.ends_with("/kernel/metadata"));
    assert_eq!(others.count(), indexes);
}

fn adds_up(totals: &Totals) {
    let (bytes, packets) = (&totals.bytes, &totals.sub_buffers);
    assert_eq!(bytes.found, bytes.written + bytes.lost + bytes.unreadable + bytes.omitted, "{bytes:?}");
    let written = packets.ready + packets.open + packets.stalled + packets.consumed;
    assert_eq!(packets.total, written + packets.unusable + packets.omitted + packets.never_used);
}

/// Every file below a folder.
fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            assert!(kind.is_file(), "{} is no file", path.display());
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}
