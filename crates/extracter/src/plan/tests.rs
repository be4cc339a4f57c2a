use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use lttformat::ctf::{Index, IndexEntry, IndexVersion, PacketHeader};
use proptest::prelude::*;

use super::*;
use crate::faulty::{Fault, Faulty, Stops};
use crate::progress::Silent;
use crate::source::{Content, Reader, Record, Slot, State};

/// What one made-up sub-buffer gives.
#[derive(Debug, Clone)]
enum Piece {
    Whole(Vec<u8>),
    /// With a header that has this begin.
    Packet(Vec<u8>, u64),
    /// Bytes, of which this many were lost and unreadable.
    Damaged(Vec<u8>, u64, u64),
    Unusable(u64),
    Panics,
}

struct Pieces(Vec<Piece>);

impl Content for Pieces {
    fn open(&self, count_events: bool) -> Box<dyn Reader + '_> {
        Box::new(PieceReader { pieces: &self.0, count_events })
    }
}

struct PieceReader<'a> {
    pieces: &'a [Piece],
    count_events: bool,
}

impl Reader for PieceReader<'_> {
    fn read(&mut self, slot: usize) -> Record<'_> {
        let events = self.count_events.then_some(2);
        let len = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap();
        match &self.pieces[slot] {
            Piece::Whole(bytes) => Record { bytes, valid: len(bytes), events, ..Record::default() },
            Piece::Damaged(bytes, lost, unreadable) => Record {
                bytes,
                valid: len(bytes) - lost - unreadable,
                lost: *lost,
                unreadable: *unreadable,
                events,
                notes: vec!["a hole".to_owned()],
                ..Record::default()
            },
            Piece::Packet(bytes, begin) => {
                let header = Some(header(*begin, len(bytes)));
                Record { bytes, header, valid: len(bytes), events: None, ..Record::default() }
            }
            Piece::Unusable(unreadable) => Record { unreadable: *unreadable, ..Record::default() },
            Piece::Panics => panic!("reader"),
        }
    }
}

fn header(begin: u64, len: u64) -> PacketHeader {
    PacketHeader {
        uuid: None,
        stream_id: 0,
        stream_instance_id: Some(0),
        timestamp_begin: begin,
        timestamp_end: begin + 1,
        content_size: 8 * len,
        packet_size: 8 * len,
        packet_seq_num: Some(begin),
        events_discarded: Some(0),
        cpu_id: Some(0),
    }
}

fn stream(path: &[&[u8]], slots: &[(State, Piece)]) -> StreamSource<'static> {
    StreamSource {
        path: path.iter().map(|component| component.to_vec()).collect(),
        channel: "cpu".to_owned(),
        cpu: Some(0),
        overwrite: false,
        events_lost: 7,
        corrupted_sub_buffers: 0,
        damage: vec![],
        slots: slots
            .iter()
            .map(|(state, _)| Slot {
                state: *state,
                position: 0,
                unread: *state != State::Consumed,
                reserved: 4096,
            })
            .collect(),
        slot_size: 4096,
        consumed: Some(0),
        index: None,
        content: Box::new(Pieces(slots.iter().map(|(_, piece)| piece.clone()).collect())),
    }
}

fn trace(name: &[u8], streams: Vec<StreamSource<'static>>) -> TraceSource<'static> {
    TraceSource {
        name: name.to_vec(),
        shown: String::from_utf8_lossy(name).into_owned(),
        metadata: None,
        streams,
    }
}

fn whole(byte: u8) -> Piece {
    Piece::Whole(vec![byte; 4096])
}

/// Two traces with three streams.
fn sample() -> Vec<TraceSource<'static>> {
    vec![
        trace(
            b"k1",
            vec![
                stream(
                    &[b"cpu_0"],
                    &[
                        (State::Consumed, whole(1)),
                        (State::Ready, whole(2)),
                        (State::Open, Piece::Damaged(vec![3; 4096], 100, 20)),
                        (State::NeverUsed, Piece::Panics),
                    ],
                ),
                stream(&[b"control", b"metadata_0"], &[(State::NeverUsed, Piece::Panics)]),
            ],
        ),
        trace(
            b"k2",
            vec![stream(
                &[b"flight-cpu_0"],
                &[(State::Stalled, Piece::Unusable(4096)), (State::Ready, whole(4))],
            )],
        ),
    ]
}

/// A session with two streams of one name.
fn session() -> TraceSource<'static> {
    let metadata = MetadataSource {
        path: vec!["kernel", "metadata"],
        content: b"text".to_vec(),
        notes: vec!["cut".to_owned()],
    };
    let stream = |begin| {
        let packet = |begin| (State::Ready, Piece::Packet(vec![9; 4096], begin));
        let slots = [packet(begin), (State::Stalled, Piece::Unusable(96)), packet(begin + 1)];
        StreamSource { index: Some(IndexVersion::V1_1), ..stream(&[b"kernel", b"chan_0"], &slots) }
    };
    TraceSource { metadata: Some(metadata), ..trace(b"s-20200131-142501", vec![stream(10), stream(20)]) }
}

fn plan(traces: Vec<TraceSource<'static>>, options: &Options) -> Plan<'static> {
    Plan::of(traces, vec![], options).unwrap()
}

/// Every path below a directory, directories with a slash, and the bytes of the files.
fn tree(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut entries = Vec::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                entries.push((format!("{name}/"), vec![]));
                todo.push(path);
            } else {
                entries.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    entries.sort();
    entries
}

fn names(root: &Path) -> Vec<String> {
    tree(root).into_iter().map(|(name, _)| name).collect()
}

#[derive(Default)]
struct Counter(AtomicU64);

impl Progress for Counter {
    fn advance(&self, bytes: u64, _file: &str) {
        self.0.fetch_add(bytes, Relaxed);
    }
}

#[test]
fn everything_in_memory_is_written() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let plan = plan(sample(), &Options::new(&out));
    let (goal, done) = (plan.total_bytes(), Counter::default());
    let report = plan.run(&done).unwrap();
    assert_eq!(done.0.into_inner(), goal);

    let files = tree(&out);
    let cpu = [vec![1; 4096], vec![2; 4096], vec![3; 4096]].concat();
    let expected: [(&str, &[u8]); 6] = [
        ("k1/", b""),
        ("k1/control/", b""),
        ("k1/control/metadata_0", b""),
        ("k1/cpu_0", &cpu),
        ("k2/", b""),
        ("k2/flight-cpu_0", &[4; 4096]),
    ];
    assert_eq!(files, expected.map(|(name, bytes)| (name.to_owned(), bytes.to_vec())));
    assert_eq!(names(scratch.path()).len(), files.len() + 1, "the temporary directory is gone");

    let cpu = &report.traces[0].streams[0];
    assert_eq!(cpu.path, "k1/cpu_0");
    let bytes = cpu.totals.bytes;
    assert_eq!(
        (bytes.found, bytes.written, bytes.lost, bytes.unreadable, bytes.file),
        (12288, 12168, 100, 20, 12288)
    );
    assert_eq!(bytes.written_by_state.open, 4096 - 120);
    assert_eq!((cpu.totals.events, cpu.totals.events_lost_by_tracer), (Some(6), 7));
    assert_eq!(cpu.notes, ["a hole"]);
    let metadata = &report.traces[0].streams[1];
    assert_eq!(metadata.notes, ["no usable sub-buffer: the file is empty"]);
    assert_eq!(metadata.totals.sub_buffers.never_used, 1);
    let flight = &report.traces[1].streams[0].totals.sub_buffers;
    assert_eq!((flight.unusable, flight.ready, flight.stalled, flight.total), (1, 1, 0, 2));
    assert_eq!(report.totals.bytes.written, 12168 + 4096);
    assert!(report.has_losses());
}

#[test]
fn traces_and_sessions_are_written_together() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let mut traces = sample();
    traces.push(session());
    let report = plan(traces, &Options::new(&out)).run(&Silent).unwrap();
    let index = |begin| {
        let entries = [(0, begin), (4096, begin + 1)];
        let entries = entries.map(|(offset, begin)| IndexEntry::new(offset, &header(begin, 4096)));
        Index { version: IndexVersion::V1_1, entries: entries.to_vec(), cut: None }.file()
    };
    let mut expected: Vec<(String, Vec<u8>)> = Vec::new();
    // The second stream is only a trace with metadata of its own.
    for (root, begin) in [("s-20200131-142501", 10), ("s-20200131-142501~2", 20)] {
        expected.push((format!("{root}/"), vec![]));
        expected.push((format!("{root}/kernel/"), vec![]));
        expected.push((format!("{root}/kernel/chan_0"), vec![9; 8192]));
        expected.push((format!("{root}/kernel/index/"), vec![]));
        expected.push((format!("{root}/kernel/index/chan_0.idx"), index(begin)));
        expected.push((format!("{root}/kernel/metadata"), b"text".to_vec()));
    }
    let written = tree(&out);
    assert!(written[6..] == expected, "{:?}", names(&out));
    let [.., session] = report.traces.as_slice() else { panic!("no traces") };
    let metadata = session.metadata.as_ref().unwrap();
    assert_eq!((metadata.path.as_str(), metadata.bytes), ("s-20200131-142501/kernel/metadata", 4));
    assert_eq!(metadata.notes, ["cut"]);
    assert_eq!(session.totals.events, None, "nobody decoded them");
    assert_eq!(report.traces[0].metadata, None);
    assert_eq!(serde_json::to_value(&report.traces[0]).unwrap().get("metadata"), None);
}

#[test]
fn whatever_fails_of_a_session_nothing_is_left_behind() {
    // Two data files, two indexes, two metadata files.
    for (call, times) in [("create", 6), ("write", 8), ("sync", 6), ("directory", 7), ("sync directory", 7)] {
        for nth in 0..times {
            let scratch = tempfile::tempdir().unwrap();
            let disk = Faulty::new(&Local, Fault::Call(call, nth, ErrorKind::StorageFull));
            let plan = plan(vec![session()], &Options::new(scratch.path().join("out")));
            let error = plan.run_on(&disk, &Silent).unwrap_err();
            assert!(matches!(error, Error::Io { .. }), "{call} {nth}: {error}");
            assert!(!error.to_string().contains("partial"), "{call} {nth}: {error}");
            assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "{call} {nth}");
        }
    }
}

#[test]
fn a_run_that_is_not_wanted_any_more_leaves_nothing_behind() {
    // Five sub-buffers are looked at.
    for after in 1..=5 {
        let scratch = tempfile::tempdir().unwrap();
        let plan = plan(sample(), &Options::new(scratch.path().join("out")));
        let error = plan.run(&Stops::after(after)).unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{after}: {error}");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "{after}");
    }
    let scratch = tempfile::tempdir().unwrap();
    let plan = plan(sample(), &Options::new(scratch.path().join("out")));
    assert!(plan.run(&Stops::after(6)).is_ok());
}

#[test]
fn unread_only_leaves_out_what_the_daemon_had() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let options =
        Options { unread_only: true, count_events: false, traces: vec!["k1".into()], ..Options::new(&out) };
    let report = plan(sample(), &options).run(&Silent).unwrap();
    assert_eq!(tree(&out)[3], ("k1/cpu_0".to_owned(), [vec![2; 4096], vec![3; 4096]].concat()));
    assert_eq!(names(&out), ["k1/", "k1/control/", "k1/control/metadata_0", "k1/cpu_0"]);
    let totals = &report.totals;
    assert_eq!((totals.sub_buffers.consumed, totals.sub_buffers.omitted, totals.bytes.omitted), (0, 1, 4096));
    assert_eq!(totals.events, None);
    assert_eq!(totals.bytes.found, 3 * 4096);
}

#[test]
fn hostile_names_stay_inside() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let one = |path: &[&[u8]]| stream(path, &[(State::Ready, whole(1))]);
    let traces = vec![
        trace(b"../x", vec![one(&[b"..", b"..", b"etc"]), one(&[b"/abs"]), one(&[])]),
        trace(b"", vec![one(&[b"nul\0", b"\xff"]), one(&[&[b'n'; 300]])]),
        trace(b"..", vec![one(&[b"."]), one(&[b"."])]),
    ];
    let report = plan(traces, &Options::new(&out)).run(&Silent).unwrap();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    let files: Vec<_> = names(&out).into_iter().filter(|name| !name.ends_with('/')).collect();
    let long = format!("%/{}%~", "n".repeat(237));
    assert!(files[0].starts_with(&long), "{files:?}");
    assert_eq!(
        files[1..],
        [
            "%/nul%00/%ff",
            "%2e%2e/%2e",
            "%2e%2e~2/%2e",
            "..%2fx/%",
            "..%2fx/%2e%2e/%2e%2e/etc",
            "..%2fx/%2fabs"
        ]
    );
    assert!(report.traces[2].streams[1].notes[0].contains("same path"), "{report:?}");
}

#[test]
fn unknown_traces_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let options = Options { traces: vec!["k3".into()], ..Options::new(scratch.path().join("out")) };
    let error = Plan::of(sample(), vec![], &options).unwrap_err();
    assert_eq!(error.to_string(), "trace \"k3\": expected one of k1, k2");
}

#[test]
fn an_occupied_output_is_refused_by_the_plan() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("x"), "mine").unwrap();
    let error = Plan::of(sample(), vec![], &Options::new(scratch.path())).unwrap_err();
    assert!(matches!(error, Error::OutputExists { .. }));
    assert_eq!(tree(scratch.path()), [("x".to_owned(), b"mine".to_vec())]);
}

#[test]
fn an_empty_directory_keeps_its_mode() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o700)).unwrap();
    plan(sample(), &Options::new(&out)).run(&Silent).unwrap();
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(out.join("k1/cpu_0")).unwrap().permissions().mode() & 0o111, 0);
}

#[test]
fn one_thread_and_many_write_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let trees = [1, 7].map(|threads| {
        let out = scratch.path().join(threads.to_string());
        plan(sample(), &Options { threads: Some(threads), ..Options::new(&out) }).run(&Silent).unwrap();
        tree(&out)
    });
    assert_eq!(trees[0], trees[1]);
}

#[test]
fn a_panic_leaves_nothing_behind() {
    let scratch = tempfile::tempdir().unwrap();
    let mut traces = sample();
    traces[1].streams.push(stream(&[b"bad_0"], &[(State::Ready, Piece::Panics)]));
    let plan = plan(traces, &Options::new(scratch.path().join("out")));
    assert!(catch_unwind(AssertUnwindSafe(|| plan.run(&Silent))).is_err());
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

fn failure(call: &'static str, nth: usize, kind: ErrorKind) -> Error {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let disk = Faulty::new(&Local, Fault::Call(call, nth, kind));
    let options = Options { threads: Some(2), ..Options::new(&out) };
    let error = plan(sample(), &options).run_on(&disk, &Silent).unwrap_err();
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "{call} {nth}: something was left behind");
    error
}

#[test]
fn whatever_fails_nothing_is_left_behind() {
    for (call, times) in
        [("create", 3), ("write", 4), ("sync", 3), ("directory", 4), ("sync directory", 4), ("rename", 1)]
    {
        for nth in 0..times {
            let error = failure(call, nth, ErrorKind::Other);
            assert!(matches!(error, Error::Io { .. }), "{call} {nth}: {error}");
            assert!(
                !error.to_string().contains("partial"),
                "the temporary name says nothing to a user: {error}"
            );
        }
    }
}

#[test]
fn a_full_disk_is_said_in_one_line() {
    let error = failure("write", 0, ErrorKind::StorageFull);
    assert!(error.to_string().starts_with("writing /"), "{error}");
    assert!(error.hint().unwrap().contains("nothing was left behind"));
    assert!(failure("rename", 0, ErrorKind::PermissionDenied).hint().is_some());
}

#[test]
fn a_failed_last_sync_keeps_the_complete_output() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let disk = Faulty::new(&Local, Fault::Call("sync directory", 4, ErrorKind::Other));
    let error = plan(sample(), &Options::new(&out)).run_on(&disk, &Silent).unwrap_err();
    assert!(error.to_string().starts_with("the output is complete"), "{error}");
    assert_eq!(tree(&out).len(), 6);
}

#[test]
fn a_folder_that_cannot_be_written_is_said_before_reading() {
    let scratch = tempfile::tempdir().unwrap();
    let parent = scratch.path().join("gone");
    fs::create_dir(&parent).unwrap();
    let plan = plan(
        vec![trace(b"k", vec![stream(&[b"a"], &[(State::Ready, Piece::Panics)])])],
        &Options::new(parent.join("out")),
    );
    fs::remove_dir(&parent).unwrap();
    let error = plan.run(&Silent).unwrap_err();
    assert!(error.to_string().starts_with("creating a folder in "), "{error}");
    assert!(!error.to_string().contains(".partial"));
}

fn piece() -> impl Strategy<Value = (State, Piece)> {
    let states = vec![State::Ready, State::Open, State::Stalled, State::Consumed, State::NeverUsed];
    let pieces = prop_oneof![
        (0usize..200).prop_map(|len| Piece::Whole(vec![5; len + 1])),
        (0u64..50, 0u64..50).prop_map(|(lost, unreadable)| Piece::Damaged(vec![6; 100], lost, unreadable)),
        (0u64..50).prop_map(Piece::Unusable),
    ];
    (prop::sample::select(states), pieces)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_names_and_any_content_add_up_inside_the_output(
        traces in prop::collection::vec(
            (any::<Vec<u8>>(), prop::collection::vec((any::<Vec<Vec<u8>>>(), prop::collection::vec(piece(), 0..5)), 0..4)),
            0..4,
        ),
        unread_only: bool,
    ) {
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("out");
        let sources: Vec<_> = traces
            .iter()
            .map(|(name, streams)| {
                let streams = streams
                    .iter()
                    .map(|(path, slots)| stream(&path.iter().map(Vec::as_slice).collect::<Vec<_>>(), slots))
                    .collect();
                trace(name, streams)
            })
            .collect();
        let streams: usize = traces.iter().map(|(_, streams)| streams.len()).sum();
        let report = plan(sources, &Options { unread_only, ..Options::new(&out) }).run(&Silent).unwrap();

        let written = tree(&out);
        prop_assert_eq!(written.iter().filter(|(name, _)| !name.ends_with('/')).count(), streams);
        prop_assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
        let mut file_bytes = 0;
        for stream in report.traces.iter().flat_map(|trace| &trace.streams) {
            let (_, content) = written.iter().find(|(name, _)| *name == stream.path).unwrap();
            prop_assert_eq!(u64::try_from(content.len()).unwrap(), stream.totals.bytes.file);
            file_bytes += stream.totals.bytes.file;
        }
        let bytes = report.totals.bytes;
        prop_assert_eq!(bytes.file, file_bytes);
        prop_assert_eq!(bytes.found, bytes.written + bytes.lost + bytes.unreadable + bytes.omitted);
        prop_assert_eq!(bytes.omitted > 0 && !unread_only, false);
    }
}
