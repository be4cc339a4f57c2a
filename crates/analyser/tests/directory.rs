//! Trace directories that were prepared by an enemy, and those that a crash left.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use analyser::{Depth, Directory, Error, Kernel, OpenOptions, OtherKind, RefusedKind, Routes, pairing};
use rustix::fs::{CWD, FileType, Mode, mknodat};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// A copy of a small trace.
fn trace() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let from = format!("{FIXTURES}/K1-2cpu/expected-intact/k1");
    fs::create_dir(copy.path().join("control")).unwrap();
    for folder in ["", "control"] {
        for entry in fs::read_dir(Path::new(&from).join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), copy.path().join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    copy
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

fn refused(directory: &Directory) -> Vec<(String, RefusedKind)> {
    directory
        .refused()
        .iter()
        .map(|refused| (refused.path().display().to_string(), refused.kind().clone()))
        .collect()
}

#[test]
fn what_is_no_file_is_not_opened() {
    let (copy, outside) = (trace(), tempfile::tempdir().unwrap());
    let root = copy.path();
    fs::copy(root.join("cpu_0"), outside.path().join("cpu_7")).unwrap();
    symlink(outside.path().join("cpu_7"), root.join("cpu_7")).unwrap();
    symlink(outside.path(), root.join("more")).unwrap();
    symlink(".", root.join("control/loop")).unwrap();
    symlink("nowhere", root.join("cpu_8")).unwrap();
    symlink("/dev/zero", root.join("cpu_9")).unwrap();
    // Opening a pipe that nobody writes to would block.
    fifo(&root.join("control/metadata_7"));
    let _socket = UnixListener::bind(root.join("cpu_6")).unwrap();

    let directory = Directory::open(root).unwrap();
    let link = |path: &str| (path.to_owned(), RefusedKind::SymbolicLink);
    assert_eq!(
        refused(&directory),
        [
            link("control/loop"),
            ("control/metadata_7".to_owned(), RefusedKind::Fifo),
            ("cpu_6".to_owned(), RefusedKind::Socket),
            link("cpu_7"),
            link("cpu_8"),
            link("cpu_9"),
            link("more"),
        ]
    );
    assert_eq!(
        directory.refused()[0].to_string(),
        "control/loop: expected a regular file or a directory, found a symbolic link"
    );
    assert_eq!(directory.files().len(), Directory::open(trace().path()).unwrap().files().len());
    assert_eq!(directory.directories(), [PathBuf::from("control")]);
}

/// The user may name the directory by a link.
#[test]
fn the_directory_itself_may_be_a_link() {
    let (copy, outside) = (trace(), tempfile::tempdir().unwrap());
    let link = outside.path().join("link");
    symlink(copy.path(), &link).unwrap();
    assert_eq!(Directory::open(&link).unwrap().root(), copy.path().canonicalize().unwrap());
}

#[test]
fn what_takes_a_files_place_is_not_followed() {
    let (copy, outside) = (trace(), tempfile::tempdir().unwrap());
    let root = copy.path();
    let directory = Directory::open(root).unwrap();
    let file = |path: &str| directory.files().iter().find(|file| file.path() == Path::new(path)).unwrap();

    fs::rename(root.join("cpu_0"), outside.path().join("cpu_0")).unwrap();
    assert!(file("cpu_0").open().is_err());
    symlink(outside.path().join("cpu_0"), root.join("cpu_0")).unwrap();
    assert!(file("cpu_0").open().is_err());
    fs::remove_file(root.join("cpu_1")).unwrap();
    fifo(&root.join("cpu_1"));
    assert!(file("cpu_1").open().unwrap_err().to_string().contains("expected a regular file"));
    // The same one level up.
    fs::rename(root.join("control"), outside.path().join("control")).unwrap();
    symlink(outside.path().join("control"), root.join("control")).unwrap();
    assert!(file("control/metadata_0").open().is_err());

    let check = directory.check(Depth::All);
    let errors: Vec<_> = check.files.iter().filter(|file| file.error.is_some()).collect();
    assert_eq!(errors.len(), check.files.iter().filter(|file| file.bytes > 0).count());
    assert!(check.is_damaged());
    // The directory itself stays the one that was opened, wherever its name goes.
    fs::remove_file(root.join("control")).unwrap();
    fs::rename(outside.path().join("control"), root.join("control")).unwrap();
    let moved = outside.path().join("moved");
    fs::rename(root, &moved).unwrap();
    symlink("/", root).unwrap();
    assert!(file("control/metadata_0").open().is_ok());
    fs::remove_file(root).unwrap();
    fs::rename(&moved, root).unwrap();
}

#[test]
fn deep_trees_and_odd_names() {
    let copy = trace();
    let root = copy.path();
    let deep: PathBuf = std::iter::repeat_n("d", 100).collect();
    fs::create_dir_all(root.join(&deep)).unwrap();
    let long = format!("{}_1", "n".repeat(253));
    for name in [&long, "a\nb_0", "no number_", "_0", "cpu_99999999999999999999", ".cpu_0.partial", "notes"] {
        fs::write(
            root.join(name),
            "nothing of a trace, and long enough to hold a header of any format there ever was",
        )
        .unwrap();
    }
    fs::create_dir(root.join(".hidden")).unwrap();
    fs::copy(root.join("cpu_0"), root.join(".hidden/cpu_5")).unwrap();

    let directory = Directory::open(root).unwrap();
    assert_eq!(refused(&directory).len(), 1);
    assert_eq!(refused(&directory)[0].1, RefusedKind::TooDeep);
    let kinds: Vec<_> =
        directory.others().iter().map(|other| (other.path().to_str().unwrap(), other.kind())).collect();
    assert_eq!(kinds[0], (".cpu_0.partial", &OtherKind::Hidden));
    assert_eq!(kinds[1], (".hidden/cpu_5", &OtherKind::Hidden));
    for (path, kind) in &kinds[2..] {
        let named = *path == long || *path == "a\nb_0";
        assert!(
            matches!(kind, OtherKind::NoHeader(_) if named) || matches!(kind, OtherKind::Name if !named),
            "{path:?}: {kind:?}"
        );
    }
    assert_eq!(kinds.len(), 8);
}

#[test]
fn doubles_hard_links_and_another_trace() {
    let copy = trace();
    let root = copy.path();
    fs::copy(root.join("cpu_1"), root.join("cpu_1.partial")).unwrap();
    fs::hard_link(root.join("cpu_0"), root.join("cpu_4")).unwrap();
    let other = format!("{FIXTURES}/K1-2cpu/expected-intact/k1flight/flight-cpu_0");
    fs::copy(other, root.join("flight-cpu_0")).unwrap();

    let directory = Directory::open(root).unwrap();
    let doubles = directory.doubles();
    let paths =
        |files: &[&analyser::Tracefile]| files.iter().map(|file| file.path().to_owned()).collect::<Vec<_>>();
    assert_eq!(doubles.len(), 1);
    assert_eq!(paths(&doubles[0]), [PathBuf::from("cpu_1"), PathBuf::from("cpu_1.partial")]);
    assert_eq!(
        paths(&directory.hard_links().collect::<Vec<_>>()),
        [PathBuf::from("cpu_0"), PathBuf::from("cpu_4")]
    );
    assert!(matches!(directory.others(), [other] if matches!(other.kind(), OtherKind::OtherTrace(_))));
    let problems = directory.check(Depth::Suspicious).problems;
    assert_eq!(
        problems,
        [
            "expected a metadata file of CPU 4, found none",
            "expected one file for a stream, found cpu_1 and cpu_1.partial: viewers show one of them",
        ]
    );
}

#[test]
fn no_trace() {
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Directory::open(empty.path()), Err(Error::NoTrace { .. })));
    assert!(matches!(Directory::open(&empty.path().join("none")), Err(Error::Read { .. })));
    let file = empty.path().join("cpu_0");
    fs::write(&file, "").unwrap();
    assert!(matches!(Directory::open(&file), Err(Error::NotAFolder { .. })));
    let directory = Directory::open(empty.path()).unwrap();
    assert_eq!((directory.files().len(), directory.identity()), (1, None));
}

/// What the daemon had written when the machine died, from the README of the fixture.
#[test]
fn the_torn_directory_of_a_real_crash() {
    let directory = Directory::open(format!("{FIXTURES}/K1-2cpu/disk-trace/k1").as_ref()).unwrap();
    let check = directory.check(Depth::All);
    let records = |path: &str| {
        let file = check.files.iter().find(|file| file.path == path).unwrap();
        (file.records, file.undecoded_records, file.bytes_cut)
    };
    // The metadata that announce most kinds of events were not written yet.
    assert_eq!(records("cpu_0"), (213, 213, 0));
    assert_eq!(records("cpu_1"), (195, 195, 0));
    assert_eq!(records("control/processes_0").0, 4);
    assert_eq!(records("control/processes_1").0, 4);
    assert_eq!(records("control/interrupts_0").0, 3);
    assert_eq!(records("control/metadata_0"), (2, 0, 0));
    assert_eq!(records("control/network_1"), (0, 0, 0));
    let metadata = check.files.iter().find(|file| file.path == "control/metadata_0").unwrap();
    assert_eq!(metadata.events, Some(143));
    assert_eq!((check.totals.files, check.totals.records), (12, 421));
    assert_eq!(check.problems, ["expected a record in the metadata of CPU 1, found none"]);
    assert!(check.is_damaged());
    let json = serde_json::to_value(&check).unwrap();
    assert_eq!(json["format"]["version"], "2.1");
    assert_eq!(json["files"][10]["path"], "cpu_0");
    assert!(json["files"][10]["first"]["wall_ns"].as_i64().unwrap() > 1_700_000_000_000_000_000);
    assert!(json["files"][1]["first"].is_null());
}

#[test]
fn pairs() {
    let open = |scenario: &str| {
        let options = OpenOptions {
            cores: vec![format!("{FIXTURES}/{scenario}/core.kdump-zlib").into()],
            debuginfo: vec![format!("{FIXTURES}/types-2.6.27.isf.json").into()],
            ..Default::default()
        };
        Kernel::open(&options).unwrap()
    };
    let kernel = open("K1-2cpu");
    let traces = kernel.traces(Routes::ALL);
    let directory = |path: &str| Directory::open(format!("{FIXTURES}/{path}").as_ref()).unwrap();
    let disk = directory("K1-2cpu/disk-trace/k1");
    assert_eq!(pairing(&disk, &traces, None).unwrap().name(), "k1");
    assert_eq!(pairing(&disk, &traces, Some("k1")).unwrap().name(), "k1");
    let flight = directory("K1-2cpu/expected-intact/k1flight");
    assert_eq!(pairing(&flight, &traces, None).unwrap().name(), "k1flight");

    let error = pairing(&disk, &traces, Some("k1flight")).unwrap_err().to_string();
    assert!(error.contains("found k1flight (format 2.1, 64-bit little endian, started "), "{error}");
    let error = pairing(&disk, &traces, Some("k2")).unwrap_err().to_string();
    assert!(error.ends_with("found no trace k2 among k1flight, k1"), "{error}");
    let other = open("S2-2cpu");
    let error = pairing(&disk, &other.traces(Routes::ALL), None).unwrap_err().to_string();
    assert!(error.starts_with("expected the directory's trace in the core (format 2.1, "), "{error}");

    // Nothing of a trace was written out yet: the names of the files decide.
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("cpu_0"), "").unwrap();
    let unwritten = Directory::open(empty.path()).unwrap();
    assert_eq!(pairing(&unwritten, &traces, None).unwrap().name(), "k1");
}
