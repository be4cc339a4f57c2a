//! The events of synthetic sessions of every release are those that were planted, one by one; and everything else in a list has its
//! place and its reason.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on must fail"
)]

use std::sync::Arc;

use analyser::events::{Babeltrace, Event, Events, Selection, Value, What};
use analyser::lttng::Directory;
use analyser::{Error, Kernel, OpenOptions, Routes};
use proptest::prelude::*;
use synth::lttng::{Crash, DeadTracer, Reader, Release, StreamTruth, Tracer};
use synth::{DeadKernel, Endian};

fn open(dead: &DeadKernel) -> Kernel {
    let core = synth::core::Elf::kdump().write(dead).bytes();
    let core = vmcore::Vmcore::from_bytes(vec![core], &vmcore::OpenOptions::default()).unwrap();
    let types = kdebug::Input::new("types.json", Arc::new(synth::isf::json(dead).into_bytes()));
    Kernel::from_parts(core, vec![types], &OpenOptions::default()).unwrap()
}

/// An event: time, CPU, number, bytes.
type Line = (u64, u32, u64, Vec<u8>);

/// Reads the machine's numbers.
#[derive(Clone, Copy)]
struct Reading(Endian);

impl Reading {
    fn number(self, bytes: &[u8]) -> u64 {
        let push = |value, byte: &u8| value << 8 | u64::from(*byte);
        match self.0 {
            Endian::Little => bytes.iter().rev().fold(0, push),
            Endian::Big => bytes.iter().fold(0, push),
        }
    }

    /// The events of a stream, of packets whose layout only this function and the simulation know.
    fn planted(self, release: Release, bits: u32, stream: &StreamTruth) -> Vec<Line> {
        let word = bits as usize / 8;
        let (numbered, header, begin) = match release.number() {
            (2, 0) => (false, 56, 24),
            (2, ..=7) => (false, 60 + word, 24),
            _ => (true, 76 + word, 32),
        };
        let packets = 0..stream.packets.len();
        let packets = packets.map(|nth| stream.recoverable(nth, numbered, header, word as u64));
        packets
            .flat_map(|(packet, events)| self.packet(stream.cpu.unwrap(), packet, header, begin, events))
            .collect()
    }

    fn packet(self, cpu: u32, bytes: &[u8], header: usize, begin: usize, events: u64) -> Vec<Line> {
        let Some(mut rest) = bytes.get(header..) else { return Vec::new() };
        let mut time = self.number(&bytes[begin..begin + 8]);
        let mut lines = Vec::new();
        while !rest.is_empty() {
            let head = self.number(&rest[..4]);
            let low = if matches!(self.0, Endian::Little) { head >> 5 } else { head & 0x7ff_ffff };
            time += low.wrapping_sub(time) & 0x7ff_ffff;
            let (value, len) = (self.number(&rest[4..8]), self.number(&rest[8..10]) as usize);
            lines.push((time, cpu, value, rest[10..10 + len].to_vec()));
            rest = &rest[10 + len..];
        }
        assert_eq!(lines.len() as u64, events);
        lines
    }
}

fn number(value: &Value<'_>) -> u64 {
    match value {
        Value::Unsigned(value) => *value,
        other => panic!("{other:?}"),
    }
}

fn line(tsc: u64, cpu: Option<u32>, event: &Event<'_>) -> Line {
    assert_eq!((event.name(), event.id()), (&b"synth_event"[..], 0));
    let fields: Vec<_> = event.fields().collect();
    let names: Vec<_> = fields.iter().map(|field| std::str::from_utf8(field.name).unwrap()).collect();
    assert_eq!(names, ["value", "_data_length", "data"]);
    let Value::Array(elements) = &fields[2].value else { panic!("{:?}", fields[2]) };
    let data: Vec<u8> = elements.clone().map(|element| number(&element) as u8).collect();
    assert_eq!(number(&fields[1].value), data.len() as u64);
    (tsc, cpu.unwrap(), number(&fields[0].value), data)
}

/// The events, and how many other entries there are.
fn shown(mut events: Events<'_>) -> (Vec<Line>, Vec<String>) {
    let (mut lines, mut others) = (Vec::new(), Vec::new());
    while let Some(entry) = events.next() {
        assert_eq!((entry.trace, entry.channel, entry.host), ("s1", entry.channel, Some("synth")));
        match &entry.what {
            What::Event(event) => lines.push(line(entry.tsc, entry.cpu, event)),
            other => others.push(format!("{other:?}")),
        }
    }
    (lines, others)
}

fn streams(dead: &DeadTracer) -> &[StreamTruth] {
    &dead.sessions[0].channels[0].streams
}

#[test]
fn what_was_planted_is_shown_in_order() {
    let mut others = 0;
    for (nth, release) in Release::ALL.into_iter().enumerate() {
        for (bits, endian) in [(64, Endian::Little), (32, Endian::Big)] {
            for (overwrite, reader, crash) in [
                (true, Reader::Absent, Crash::Reserved),
                (false, Reader::Keeps(1), Crash::Nested),
                (true, Reader::Overtaken, Crash::LeftBehind),
            ] {
                let tracer = Tracer::new(release).machine(bits, endian).events(400 + 30 * nth as u64);
                let dead = tracer.overwrite(overwrite).reader(reader).crash(crash).build();
                let label = format!("{release:?} {bits} {endian:?} {overwrite} {reader:?} {crash:?}");
                let kernel = open(&dead.kernel);
                let sessions = kernel.sessions(Routes::ALL);
                let sessions: Vec<_> = sessions.sessions.iter().filter(|session| session.active()).collect();
                let events = Events::of_sessions(&kernel, &sessions, &Selection::default());
                if release < Release::V2_3 && sessions.iter().all(|session| session.class().is_none()) {
                    // Only what was not yet written out of the metadata is in memory.
                    assert!(matches!(events, Err(Error::NotDecoded { .. })), "{label}");
                    continue;
                }
                let (lines, other) = shown(events.unwrap());
                let planted = |stream| Reading(endian).planted(release, bits, stream);
                let mut expected: Vec<Line> = streams(&dead).iter().flat_map(planted).collect();
                expected.sort_by_key(|(time, cpu, ..)| (*time, *cpu));
                let same = lines.iter().zip(&expected).take_while(|(a, b)| a == b).count();
                assert!(lines == expected, "{label}: {} of {} equal, {other:?}", same, expected.len());
                others += other.len();
            }
        }
    }
    assert!(others > 10, "interrupted writers are told: {others}");
}

/// A discarding channel that nobody reads.
#[test]
fn what_the_tracer_dropped_is_told_in_its_place() {
    let dead = Tracer::new(Release::V2_13).events(900).crash(Crash::Flushed).build();
    let kernel = open(&dead.kernel);
    let sessions = kernel.sessions(Routes::ALL);
    let sessions: Vec<_> = sessions.sessions.iter().filter(|session| session.active()).collect();
    let mut events = Events::of_sessions(&kernel, &sessions, &Selection::default()).unwrap();
    let mut dropped = [0; 2];
    while let Some(entry) = events.next() {
        if let What::Discarded { events, from, to } = entry.what {
            dropped[entry.cpu.unwrap() as usize] += events;
            assert!(from <= to && entry.tsc == to && !entry.is_loss() && !entry.is_event());
        }
    }
    let planted = [0, 1].map(|cpu| streams(&dead)[cpu].lost_full);
    assert!(planted.iter().all(|&lost| lost > 0));
    assert_eq!(dropped, planted);
}

/// A metadata text around one stream and the fields of one event.
fn metadata(fields: &str, context: &str) -> String {
    format!(
        "/* CTF 1.8 */\n\ntypealias integer {{ size = 32; align = 8; signed = false; }} := uint32_t;
typealias integer {{ size = 64; align = 8; signed = false; }} := uint64_t;
trace {{ major = 1; minor = 8; byte_order = le; packet.header := struct {{ uint32_t magic; uint32_t stream_id; }}; }};
clock {{ name = monotonic; freq = 1000000000; offset = 1000000000000000000; }};
stream {{ id = 0; packet.context := struct {{ uint64_t timestamp_begin; uint64_t timestamp_end; uint64_t content_size;
  uint64_t packet_size; uint64_t packet_seq_num; uint64_t events_discarded; uint32_t cpu_id; }};
  event.header := struct {{ uint32_t id; integer {{ size = 64; align = 8; map = clock.monotonic.value; }} timestamp; }};
  {context} }};
event {{ name = \"all\"; id = 70000; stream_id = 0; fields := struct {{ {fields} }}; }};\n"
    )
}

/// A packet of that stream: number, its span, events dropped so far, events.
fn packet(number: u64, span: (u64, u64), discarded: u64, events: &[u8]) -> Vec<u8> {
    let content = 60 + events.len();
    let packet = content.next_multiple_of(4096);
    let mut bytes = 0xc1fc_1fc1_u32.to_le_bytes().to_vec();
    bytes.extend(0_u32.to_le_bytes());
    for word in [span.0, span.1, 8 * content as u64, 8 * packet as u64, number, discarded] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(events);
    bytes.resize(packet, 0);
    bytes
}

fn event(id: u32, time: u64, payload: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &time.to_le_bytes(), payload].concat()
}

fn directory(metadata: &str, file: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("metadata"), metadata).unwrap();
    std::fs::write(folder.path().join("chan_3"), file).unwrap();
    folder
}

/// Every shape of field that lttng-modules can declare, and the contexts.
#[test]
fn all_types_are_shown() {
    let fields = "integer { size = 5; align = 1; signed = true; } _bits; integer { size = 11; align = 1; } _more;
        integer { size = 16; align = 8; byte_order = be; base = 16; } _port; integer { size = 8; align = 8; base = 8; } _mode;
        integer { size = 8; align = 8; signed = true; base = 16; } _byte; integer { size = 64; align = 8; signed = true; } _ret;
        string _path; integer { size = 8; align = 8; encoding = UTF8; } _comm[4];
        uint32_t _fixed[2]; integer { size = 8; align = 8; } __n_length; integer { size = 16; align = 8; } _n[ __n_length ];
        enum : integer { size = 8; align = 8; } { A = 1, B = 2 ... 4 } _state;
        struct { uint32_t _a; struct { string _b; } _inner; } _nested;
        enum : integer { size = 8; align = 8; } { _v4 = 4, _v6 = 6 } _family;
        variant <_family> { uint32_t _v4; struct { uint32_t _high; uint32_t _low; } _v6; } _address;
        struct { string _name; } _list[2];";
    let context = "event.context := struct { integer { size = 32; align = 8; signed = true; } _pid; string _procname; };";
    let mut payload = Vec::new();
    payload.extend((-2_i32).to_le_bytes());
    payload.extend(b"init\0");
    payload.extend([0b101_11101, 0b0000_0001, 0x1f, 0x90, 0o644_u16 as u8, 0xfe]);
    payload.extend((-5_i64).to_le_bytes());
    payload.extend(b"/etc\0ab\0\0");
    payload.extend([7, 0, 0, 0, 8, 0, 0, 0, 3, 1, 0, 2, 0, 3, 0, 3, 9, 0, 0, 0]);
    payload.extend(b"x\0");
    payload.extend([6, 1, 0, 0, 0, 2, 0, 0, 0]);
    payload.extend(b"one\0two\0");
    let file = packet(0, (100, 200), 0, &event(70_000, 150, &payload));
    let folder = directory(&metadata(fields, context), &file);
    let opened = Directory::open(folder.path()).unwrap();
    let mut events = Events::of_session_directory(&opened, &Selection::default()).unwrap();
    let entry = events.next().unwrap();
    assert_eq!((entry.channel, entry.cpu, entry.tsc, entry.ns()), ("chan", Some(3), 150, Some(150)));
    assert_eq!(entry.wall_ns(), Some(1_000_000_000_000_000_150));
    let What::Event(event) = &entry.what else { panic!("{entry:?}") };
    assert_eq!((event.name(), event.id()), (&b"all"[..], 70_000));
    let show = |fields: &mut dyn Iterator<Item = analyser::events::Field<'_>>| {
        let fields = fields.map(|field| format!("{}={}", field.name.escape_ascii(), field.value));
        fields.collect::<Vec<_>>().join(" ")
    };
    let [of_stream, own] = event.contexts();
    assert_eq!(show(&mut of_stream.chain(own)), "pid=-2 procname=\"init\"");
    assert_eq!(
        show(&mut event.fields()),
        "bits=-3 more=13 port=0x1f90 mode=0o244 byte=-2 ret=-5 path=\"/etc\" comm=\"ab\" fixed=[7, 8] _n_length=3 n=[1, 2, 3] \
         state=B:3 nested={ a = 9, inner = { b = \"x\" } } family=_v6:6 address=v6 = { high = 1, low = 2 } \
         list=[{ name = \"one\" }, { name = \"two\" }]"
    );
    let mut text = Vec::new();
    event.write(&mut text);
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "all: { pid = -2, procname = \"init\" }, { bits = -3, more = 13, port = 0x1F90, mode = 0244, byte = 0xFE, ret = -5, \
         path = \"/etc\", comm = \"ab\", fixed = [ [0] = 7, [1] = 8 ], _n_length = 3, n = [ [0] = 1, [1] = 2, [2] = 3 ], \
         state = ( \"B\" : container = 3 ), nested = { a = 9, inner = { b = \"x\" } }, family = ( \"_v6\" : container = 6 ), \
         address = { { high = 1, low = 2 } }, list = [ [0] = { name = \"one\" }, [1] = { name = \"two\" } ] }"
    );
    assert!(events.next().is_none());
}

/// Allocations while a trace of four packets with so many events each is printed in both ways.
fn allocations(events: u64) -> u64 {
    let one = |time: u64| event(70_000, time, b"\x02\x01\x02x\0\x02\x07");
    let fields = "integer { size = 8; align = 8; } _n; integer { size = 8; align = 8; } _list[ _n ]; string _text;
        enum : integer { size = 8; align = 8; } { A = 1, B = 2 } _state; variant <_state> { string A; integer { size = 8; align = 8; } B; } _value;";
    let packets = (0..4).map(|number| {
        let begin = 100_000 * number;
        let events: Vec<u8> = (0..events).flat_map(|nth| one(begin + nth)).collect();
        packet(number, (begin, begin + 90_000), 0, &events)
    });
    let folder = directory(&metadata(fields, ""), &packets.flatten().collect::<Vec<_>>());
    let opened = Directory::open(folder.path()).unwrap();
    let (mut line, mut babeltrace, mut count) = (Vec::with_capacity(4096), Babeltrace::default(), 0);
    let measured = allocation_counter::measure(|| {
        let mut list = Events::of_session_directory(&opened, &Selection::default()).unwrap();
        while let Some(entry) = list.next() {
            line.clear();
            assert!(babeltrace.write(&mut line, &entry));
            let What::Event(event) = &entry.what else { panic!("{entry:?}") };
            event.write(&mut line);
            count += 1;
        }
    });
    assert_eq!(count, 4 * events);
    measured.count_total
}

#[test]
fn no_allocation_for_an_event() {
    let (few, many) = (allocations(50), allocations(2000));
    // Room for a longer packet, no more.
    assert!(many < few + 20, "{few} for 200 events, {many} for 8000");
}

/// Damage, gaps and what cannot be decoded, between events.
#[test]
fn everything_has_its_place() {
    let one = |time| event(70_000, time, &[1, 0, 0, 0]);
    let unknown = event(5, 460, &[1, 0, 0, 0]);
    let file = [
        packet(0, (100, 200), 0, &[one(150), one(151)].concat()),
        vec![0; 4096],
        packet(1, (200, 300), 4, &one(250)),
        packet(4, (400, 500), 4, &[one(450), unknown].concat()),
        // Of an old tracer: an interrupt's event is later than the end of its packet.
        packet(5, (500, 600), 4, &one(605)),
        // Zeros in place of events.
        packet(6, (700, 800), 4, &[one(705), vec![0; 100]].concat()),
    ]
    .concat();
    let folder = directory(&metadata("uint32_t _value;", ""), &file);
    let opened = Directory::open(folder.path()).unwrap();
    let mut events = Events::of_session_directory(&opened, &Selection::default()).unwrap();
    let mut found = Vec::new();
    while let Some(entry) = events.next() {
        found.push(match &entry.what {
            What::Event(_) => format!("{} event", entry.tsc),
            other => format!("{} {other:?}", entry.tsc),
        });
    }
    assert_eq!(
        found,
        [
            "150 event",
            "151 event",
            "151 Damaged { bytes: 4096, reason: \"chan_3: bytes 4096 to 8192: expected a packet, found zeroes\" }",
            "250 event",
            "300 Discarded { events: 4, from: 200, to: 300 }",
            "300 Missing { packets: 2, first: 2 }",
            "450 event",
            "450 Undecoded { bytes: 16, reason: \"chan_3: packet at byte 12288, byte 76 of the packet: expected a declared event, found id 5\" }",
            "605 event",
            "705 event",
            "705 Damaged { bytes: 4020, reason: \"chan_3: bytes 20480 to 24576: byte 76 of the packet: expected an event, found zero bytes\" }",
        ]
    );
}

/// A channel whose declaration was lost, beside one that is declared.
#[test]
fn packets_of_an_unknown_stream_are_told() {
    let file = packet(0, (100, 200), 0, &event(70_000, 150, &[1, 0, 0, 0]));
    let folder = directory(&metadata("uint32_t _value;", ""), &file);
    let mut other = file;
    other[4] = 9;
    std::fs::write(folder.path().join("other_3"), other).unwrap();
    let opened = Directory::open(folder.path()).unwrap();
    let mut events = Events::of_session_directory(&opened, &Selection::default()).unwrap();
    let mut found = Vec::new();
    while let Some(entry) = events.next() {
        found.push(format!("{} {} {}", entry.channel, entry.is_event(), entry.is_loss()));
    }
    found.sort();
    assert_eq!(found, ["chan true false", "other false true"]);
}

#[test]
fn no_events_without_a_description() {
    let file = packet(0, (100, 200), 0, &event(70_000, 150, &[1, 0, 0, 0]));
    for (text, reason) in [
        ("\u{1e}{\"type\":\"preamble\",\"version\":2}\n", "found CTF 2, whose events are not decoded"),
        ("/* CTF 1.8 */\n\ntrace {", "expected"),
    ] {
        let folder = directory(text, &file);
        let opened = Directory::open(folder.path()).unwrap();
        let error = Events::of_session_directory(&opened, &Selection::default()).unwrap_err();
        assert!(matches!(&error, Error::NotDecoded { .. }) && error.to_string().contains(reason), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is on disk, the list ends, and is not longer than the bytes can justify.
    #[test]
    fn any_damage(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        of_metadata in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        last in prop_oneof![Just(None), (0..20_u64).prop_map(Some)],
    ) {
        let one = |time: u64| event(70_000, time, b"\x02\x01\x02x\0");
        let fields = "integer { size = 8; align = 8; } _n; integer { size = 8; align = 8; } _list[ _n ]; string _text;";
        let packets = (0..4_u64).map(|number| {
            let begin = 1000 * number;
            let events: Vec<u8> = (0..40).flat_map(|nth| one(begin + nth)).collect();
            packet(number, (begin, begin + 900), number, &events)
        });
        let mut file: Vec<u8> = packets.flatten().collect();
        let mut text = metadata(fields, "").into_bytes();
        for (bytes, changes) in [(&mut file, changes), (&mut text, of_metadata)] {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("metadata"), text).unwrap();
        std::fs::write(folder.path().join("chan_3"), &file).unwrap();
        let opened = Directory::open(folder.path()).unwrap();
        let selection = Selection { last, ..Default::default() };
        if let Ok(mut events) = Events::of_session_directory(&opened, &selection) {
            let mut count = 0;
            while let Some(entry) = events.next() {
                count += 1;
                if let What::Event(event) = &entry.what {
                    event.write(&mut Vec::new());
                    event.fields().for_each(|field| _ = field.value.to_string());
                }
            }
            prop_assert!(count <= file.len());
        }
    }
}
