//! Real traces: all that is read from them is written again as it was, and decoded as babeltrace 2 does.
//!
//! Further traces, directories with a `metadata` file and data files, can be named in the variable `CTF_TRACES`, separated by
//! colons.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::fs;
use std::path::{Path, PathBuf};

use lttformat::ctf::scan::{Depth, Piece, Scan, ScanOptions};
use lttformat::ctf::{
    Decoder, Generation, Index, IndexEntry, Language, Metadata, PacketHeader, PacketLayout, TraceClass,
    Value, text,
};
use lttformat::ltt::Endian;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ctf_traces").join(name)
}

fn class(trace: &Path) -> TraceClass {
    let file = fs::read(trace.join("metadata")).unwrap();
    TraceClass::parse(&Metadata::parse(&file).text).unwrap()
}

fn data_files(trace: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(trace).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.is_file() && !path.ends_with("metadata")).collect();
    files.sort();
    files
}

/// Reads all of a trace and writes it again; returns the number of events.
fn round_trip(trace: &Path) -> u64 {
    let file = fs::read(trace.join("metadata")).unwrap();
    let metadata = Metadata::parse(&file);
    assert_eq!((metadata.language(), &metadata.cut), (Language::Tsdl, &None));
    assert_eq!(Language::Tsdl.whole(&metadata.text), metadata.text.len());
    assert!(metadata.packets.unwrap().file(&metadata.text, 4096).unwrap() == file);
    let class = TraceClass::parse(&metadata.text).unwrap();
    assert_eq!(class.uuid(), Some(metadata.packets.unwrap().uuid));

    let mut events = 0;
    for path in data_files(trace) {
        let bytes = fs::read(&path).unwrap();
        let options = ScanOptions { depth: Depth::All, ..ScanOptions::default() };
        let mut scan = Scan::new(&class, &bytes[..], options);
        let mut index = Vec::new();
        while let Some(piece) = scan.next().unwrap() {
            let Piece::Packet(packet) = piece else { panic!("{}: {piece:?}", path.display()) };
            let layout = class.stream(packet.header.stream_id).unwrap().layout();
            let mut written = packet.bytes.to_vec();
            written[..layout.len()].fill(0);
            packet.header.write(&mut written, layout).unwrap();
            assert!(written == packet.bytes);
            let tally = packet.tally.unwrap();
            assert_eq!((tally.stop, tally.end), (None, packet.used));
            events += tally.events;
            index.push(IndexEntry::new(packet.offset, &packet.header));
        }
        let name = Path::new(path.file_name().unwrap()).with_extension("idx");
        if let Ok(file) = fs::read(trace.join("index").join(name)) {
            let found = Index::parse(&file).unwrap();
            assert_eq!(found.entries, index[..found.entries.len()]);
            assert!(file.starts_with(&found.file()));
            assert_eq!(found.cut.is_none(), found.entries.len() == index.len());
        }
    }
    events
}

#[test]
fn all_is_written_as_it_was() {
    assert_eq!(round_trip(&fixture("net")), 664);
    assert_eq!(round_trip(&fixture("syscalls")), 2287);
    let named = std::env::var("CTF_TRACES").unwrap_or_default();
    for trace in named.split(':').filter(|trace| !trace.is_empty()) {
        println!("{trace}: {} events", round_trip(Path::new(trace)));
    }
}

#[test]
fn lines_of_text() {
    for name in ["net", "syscalls"] {
        let class = class(&fixture(name));
        let mut lines = Vec::new();
        for path in data_files(&fixture(name)) {
            let bytes = fs::read(path).unwrap();
            let mut rest = &bytes[..];
            let mut place = 0;
            while !rest.is_empty() {
                let (PacketHeader { packet_size, .. }, _) = class.packet(rest).unwrap();
                let (packet, after) = rest.split_at(packet_size as usize / 8);
                rest = after;
                for event in Decoder::new(&class, packet).unwrap() {
                    if place % 25 == 0 {
                        let event = event.unwrap();
                        let mut line = b"[".to_vec();
                        text::write_time_of_day(
                            &mut line,
                            class.clock().unwrap().ns(event.timestamp).unwrap(),
                        );
                        line.extend_from_slice(b"] (none) ");
                        text::write_event(&mut line, &event);
                        lines.push(String::from_utf8(line).unwrap());
                    }
                    place += 1;
                }
            }
        }
        let expected = fs::read_to_string(fixture(&format!("{name}.txt"))).unwrap();
        let expected: Vec<&str> = expected.lines().collect();
        assert_eq!(lines, expected);
    }
}

#[test]
fn metadata_of_a_kernel() {
    let net = class(&fixture("net"));
    assert_eq!(net.version(), (1, 8));
    assert_eq!(net.env_text("trace_name"), Some("disk"));
    assert_eq!(net.env_text("tracer_name"), Some("lttng-modules"));
    assert_eq!(net.clock().unwrap().name, "monotonic");
    let stream = net.stream(0).unwrap();
    assert_eq!(*stream.layout(), PacketLayout::of_generation(Generation::V2_8, 8, Endian::Little));
    let names: Vec<&str> = stream.events().iter().map(|event| event.name()).collect();
    let expected = [
        "irq_softirq_exit",
        "irq_softirq_entry",
        "irq_handler_exit",
        "irq_handler_entry",
        "sched_wakeup",
        "sched_switch",
    ];
    assert_eq!(names[..6], expected);

    let syscalls = class(&fixture("syscalls"));
    let stream = syscalls.stream(0).unwrap();
    let event = |name: &str| stream.events().iter().find(|event| event.name() == name).unwrap();
    assert_eq!(stream.events().len(), 103);
    let fields: Vec<&str> = event("compat_syscall_entry_epoll_ctl").field_names().collect();
    assert_eq!(fields, ["epfd", "op_enum", "fd", "event"]);
    assert!(stream.event(event("compat_syscall_entry_epoll_ctl").id()).is_some());
}

#[test]
fn values_of_an_event() {
    let class = class(&fixture("net"));
    let bytes = fs::read(data_files(&fixture("net")).remove(0)).unwrap();
    let event = Decoder::new(&class, &bytes)
        .unwrap()
        .map(Result::unwrap)
        .find(|event| event.name() == "sched_switch");
    let event = event.unwrap();
    let context: Vec<_> = event.stream_context().unwrap().map(|(name, _)| name).collect();
    assert_eq!(context, ["pid", "procname", "vpid"]);
    assert!(event.context().is_none());
    let mut fields = event.fields().unwrap();
    let (name, value) = fields.next().unwrap();
    assert!(name == "prev_comm" && matches!(value, Value::Str(comm) if !comm.is_empty()));
    let (name, value) = fields.next().unwrap();
    let Value::Signed(tid, kind) = value else { panic!("{value:?}") };
    assert!(name == "prev_tid" && tid >= 0 && (kind.size(), kind.base()) == (32, 10));
    assert_eq!(fields.count(), 5);
}
