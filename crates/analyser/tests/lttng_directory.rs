//! CTF trace directories: as the consumer daemon left them, damaged, and prepared by an enemy.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use analyser::lttng::{Check, Directory, StreamName};
use analyser::{Error, OtherKind, RefusedKind};
use lttformat::ctf::scan::{Depth, Piece, ScanOptions};
use lttformat::ctf::{Form, Metadata};

/// A trace that a real machine left; `None`, said on standard error, where the data are not there.
fn real(scenario: &str) -> Option<PathBuf> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/linux-6.1-lttng-2.13");
    let path = Path::new(data).join(scenario).join("disk-trace/lttng-disk");
    let found = path.is_dir().then_some(path);
    if found.is_none() {
        eprintln!("skipped: no {scenario} in {data}");
    }
    found
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::write(target, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// A copy of a real trace that may be damaged.
fn damaged(scenario: &str) -> Option<tempfile::TempDir> {
    let copied = tempfile::tempdir().unwrap();
    copy(&real(scenario)?, copied.path());
    Some(copied)
}

/// Of each file: path, whole packets, events in them, cuts.
fn scanned(directory: &Directory) -> Vec<(String, usize, u64, usize)> {
    let scan = |file| {
        let options = ScanOptions { depth: Depth::All, ..ScanOptions::default() };
        let mut scan = directory.scan(file, options).unwrap();
        let (mut packets, mut events, mut cuts) = (0, 0, 0);
        while let Some(piece) = scan.next().unwrap() {
            match piece {
                Piece::Packet(packet) => {
                    packets += 1;
                    events += packet.tally.map_or(0, |tally| tally.events);
                }
                Piece::Cut(_) => cuts += 1,
            }
        }
        (file.path().display().to_string(), packets, events, cuts)
    };
    directory.files().iter().map(scan).collect()
}

#[test]
fn what_a_real_machine_left() {
    for (scenario, uuid, expected, events) in [
        ("M0d", "6750054d-776b-9046-a5ff-fd0def2bb2e3", [2, 3], 13260),
        ("M1p", "4bdf552e-d238-2d48-8c3c-0eccc7169e66", [20, 19], 96029),
    ] {
        let Some(path) = real(scenario) else { return };
        for (given, folder) in [(path.clone(), "kernel"), (path.join("kernel"), "")] {
            let directory = Directory::open(&given).unwrap();
            assert_eq!(directory.folder(), Path::new(folder));
            assert_eq!(directory.uuid().unwrap().to_string(), uuid);
            assert_eq!(directory.name(), "disk");
            assert!(directory.warnings().is_empty() && directory.others().is_empty());
            let metadata = directory.metadata().unwrap();
            assert_eq!((metadata.len(), metadata.text().len(), metadata.torn_text()), (8192, 4819, 0));
            for (nth, file) in directory.files().iter().enumerate() {
                let cpu = u32::try_from(nth).unwrap();
                let name = StreamName { channel: b"net".to_vec(), cpu, number: None };
                assert_eq!((file.name(), file.cpu(), file.stream_id()), (Some(&name), Some(cpu), Some(0)));
                assert!(file.index().unwrap().path().ends_with(format!("index/net_{cpu}.idx")));
            }
            let found = scanned(&directory);
            assert_eq!(found.iter().map(|(_, packets, ..)| *packets).collect::<Vec<_>>(), expected);
            assert_eq!(
                found.iter().map(|(.., events, cuts)| (*events, *cuts)).unzip::<_, _, Vec<_>, Vec<_>>().1,
                [0, 0]
            );
            assert_eq!(found.iter().map(|(_, _, events, _)| events).sum::<u64>(), events);
        }
    }
}

#[test]
fn without_metadata_packets_are_found_all_the_same() {
    for (name, bytes) in [("gone", None), ("empty", Some(&[][..])), ("zeros", Some(&[0; 8192][..]))] {
        let Some(copy) = damaged("M1p") else { return };
        let metadata = copy.path().join("kernel/metadata");
        fs::remove_file(&metadata).unwrap();
        if let Some(bytes) = bytes {
            fs::write(&metadata, bytes).unwrap();
        }
        let directory = Directory::open(copy.path()).unwrap();
        assert!(matches!(directory.form(), Form::Layout { .. }), "{name}");
        assert_eq!(directory.uuid().unwrap().to_string(), "4bdf552e-d238-2d48-8c3c-0eccc7169e66");
        assert_eq!(directory.warnings().len(), 1, "{:?}", directory.warnings());
        let found: Vec<_> =
            scanned(&directory).into_iter().map(|(_, packets, _, cuts)| (packets, cuts)).collect();
        assert_eq!(found, [(20, 0), (19, 0)], "{name}");
    }
}

#[test]
fn metadata_that_are_torn() {
    let Some(copy) = damaged("M1p") else { return };
    let path = copy.path().join("kernel/metadata");
    let whole = fs::read(&path).unwrap();
    let text = Metadata::parse(&whole).text;
    for len in [whole.len() - 1, 4096 + 800, 4096, 4095, 100, 37, 36, 1] {
        fs::write(&path, &whole[..len]).unwrap();
        let directory = Directory::open(copy.path()).unwrap();
        let metadata = directory.metadata().unwrap();
        assert!(text.starts_with(&metadata.content().text));
        assert!(metadata.content().text.starts_with(metadata.text()));
        let found: Vec<_> =
            scanned(&directory).into_iter().map(|(_, packets, _, cuts)| (packets, cuts)).collect();
        assert_eq!(found, [(20, 0), (19, 0)], "{len}");
    }
}

#[test]
fn damage_at_the_beginning_of_a_file() {
    let Some(copy) = damaged("M1p") else { return };
    let kernel = copy.path().join("kernel");
    let mut bytes = fs::read(kernel.join("net_1")).unwrap();
    bytes[..60].fill(0x55);
    fs::write(kernel.join("net_1"), &bytes).unwrap();
    fs::write(kernel.join("net_2"), []).unwrap();
    fs::write(kernel.join("net_3"), [0; 5000]).unwrap();
    fs::write(kernel.join("notes_1"), b"a text that is longer than the longest header of any packet that there ever was, about LTTng and its traces").unwrap();
    fs::write(kernel.join("notes"), []).unwrap();
    fs::write(kernel.join("index/gone_7.idx"), []).unwrap();
    fs::write(copy.path().join("readme"), []).unwrap();
    let mut foreign = fs::read(kernel.join("net_0")).unwrap();
    foreign.truncate(131_072);
    foreign[4] ^= 1;
    fs::write(kernel.join("net_5"), &foreign).unwrap();
    let directory = Directory::open(copy.path()).unwrap();
    let found: Vec<_> =
        scanned(&directory).into_iter().map(|(_, packets, _, cuts)| (packets, cuts)).collect();
    assert_eq!(found, [(20, 0), (18, 1), (0, 0), (0, 1)]);
    assert_eq!(directory.files()[1].header().unwrap().packet_seq_num, Some(1));
    let others: Vec<_> = directory.others().iter().map(ToString::to_string).collect();
    let [gone, foreign, notes, notes_1, readme] = &others[..] else { panic!("{others:?}") };
    assert_eq!(gone, "kernel/index/gone_7.idx: an index without its data file");
    assert!(foreign.starts_with("kernel/net_5: of another trace"), "{foreign}");
    assert!(notes.starts_with("kernel/notes: no trace file: its name"), "{notes}");
    assert!(notes_1.starts_with("kernel/notes_1: no trace file: packet header: expected magic"), "{notes_1}");
    assert_eq!(readme, "readme: outside the trace's own folder");
    assert_eq!(*directory.others()[4].kind(), OtherKind::Elsewhere);
    // Viewers open every file that is not empty.
    let warned: Vec<_> = directory.warnings().iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(warned, ["kernel/net_5", "kernel/notes_1"]);
    // Garbage in the place of a stream of a known channel is that stream's.
    fs::write(kernel.join("net_6"), [0x55; 500]).unwrap();
    let directory = Directory::open(copy.path()).unwrap();
    assert_eq!(scanned(&directory).last().unwrap(), &("kernel/net_6".to_owned(), 0, 0, 1));
}

#[test]
fn files_that_were_rotated() {
    let Some(copy) = damaged("M1p") else { return };
    let kernel = copy.path().join("kernel");
    for cpu in 0..2 {
        let bytes = fs::read(kernel.join(format!("net_{cpu}"))).unwrap();
        fs::remove_file(kernel.join(format!("net_{cpu}"))).unwrap();
        for (nth, packets) in bytes.chunks(7 * 131_072).enumerate() {
            // The newest file has taken the place of the oldest.
            fs::write(kernel.join(format!("net_{cpu}_{}", (nth + 1) % 3)), packets).unwrap();
        }
    }
    let directory = Directory::open(copy.path()).unwrap();
    let names: Vec<_> = directory.files().iter().map(|file| file.name().unwrap().clone()).collect();
    let expected: Vec<_> = (0..2_u32)
        .flat_map(|cpu| (0..3).map(move |n| StreamName { channel: b"net".to_vec(), cpu, number: Some(n) }))
        .collect();
    assert_eq!(names, expected);
    let found: Vec<_> =
        scanned(&directory).into_iter().map(|(_, packets, _, cuts)| (packets, cuts)).collect();
    assert_eq!(found, [(6, 0), (7, 0), (7, 0), (5, 0), (7, 0), (7, 0)]);
}

#[test]
fn what_is_no_file_is_not_opened() {
    let Some(copy) = damaged("M0d") else { return };
    let kernel = copy.path().join("kernel");
    let outside = tempfile::tempdir().unwrap();
    fs::rename(kernel.join("net_0"), outside.path().join("net_0")).unwrap();
    symlink(outside.path().join("net_0"), kernel.join("net_0")).unwrap();
    symlink("/dev/zero", kernel.join("index/net_9.idx")).unwrap();
    let directory = Directory::open(copy.path()).unwrap();
    let refused: Vec<_> = directory
        .refused()
        .iter()
        .map(|refused| (refused.path().display().to_string(), refused.kind()))
        .collect();
    let link = &RefusedKind::SymbolicLink;
    assert_eq!(refused, [("kernel/index/net_9.idx".to_owned(), link), ("kernel/net_0".to_owned(), link)]);
    assert_eq!(directory.files().len(), 1);
}

#[test]
fn a_trace_of_another_kind_is_none() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/K1-2cpu/expected-intact/k1");
    assert!(matches!(Directory::open(Path::new(fixture)), Err(Error::NoTrace { .. })));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Directory::open(empty.path()), Err(Error::NoTrace { .. })));
}

fn checked(path: &Path) -> Check {
    Directory::open(path).unwrap().check(Depth::All)
}

fn index_problems(check: &Check) -> Vec<Option<&str>> {
    let problem =
        |file: &analyser::lttng::FileCheck| Some(file.index.as_ref()?.problem.clone()?.leak() as &str);
    check.files.iter().map(problem).collect()
}

#[test]
fn checks_of_what_a_real_machine_left() {
    let Some(path) = real("M0d") else { return };
    let check = checked(&path);
    assert!(!check.is_damaged());
    let format = check.format.as_ref().unwrap();
    assert_eq!((format.version, format.tracer.as_deref()), (Some("1.8"), Some("lttng-modules 2.13.9")));
    assert_eq!(check.totals.events, Some(13260));
    let first = check.files[0].first.unwrap();
    assert_eq!((first.tsc, first.ns), (9_253_159_725, Some(9_253_159_725)));
    assert!(first.wall_ns.unwrap() > 1_790_000_000_000_000_000);

    let Some(path) = real("M1p") else { return };
    let check = checked(&path);
    assert!(check.is_damaged());
    assert_eq!((check.totals.cuts, check.totals.indexes_damaged), (0, 2));
    let zeroes = Some("index file at byte 1240: expected an entry, found zeroes");
    assert_eq!(index_problems(&check), [zeroes, zeroes]);
    assert_eq!(
        check.files.iter().map(|file| file.index.as_ref().unwrap().entries).collect::<Vec<_>>(),
        [17, 17]
    );
}

#[test]
fn checks_tell_what_is_missing() {
    let Some(copy) = damaged("M0d") else { return };
    let kernel = copy.path().join("kernel");
    let bytes = fs::read(kernel.join("net_1")).unwrap();
    // Packet 1 of 0, 1, 2.
    fs::write(kernel.join("net_1"), [&bytes[..131_072], &bytes[262_144..]].concat()).unwrap();
    fs::remove_file(kernel.join("index/net_0.idx")).unwrap();
    let check = checked(copy.path());
    assert_eq!((check.totals.cuts, check.totals.packets, check.totals.packets_missing), (0, 4, 1));
    assert_eq!(
        index_problems(&check),
        [
            Some("expected an index as other files have, found none"),
            Some("expected in entry 1 what is in the packet, found something else")
        ]
    );
    assert!(check.is_damaged());
    fs::remove_dir_all(kernel.join("index")).unwrap();
    let check = checked(copy.path());
    assert!(!check.is_damaged() && index_problems(&check) == [None, None]);
    let metadata = fs::read(kernel.join("metadata")).unwrap();
    fs::write(kernel.join("metadata"), &metadata[..4100]).unwrap();
    let check = checked(copy.path());
    let metadata = check.metadata.as_ref().unwrap();
    assert_eq!(metadata.cut.as_ref().unwrap().offset, 4096);
    assert!(check.is_damaged() && metadata.torn_text_bytes > 0);
}
