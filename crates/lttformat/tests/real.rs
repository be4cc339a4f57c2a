//! Traces of real kernels: what is decoded equals what a viewer printed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lttformat::ltt::prefix::{Evidence, LastTsc, Rule, Stage, valid_prefix};
use lttformat::ltt::scan::{Piece, Record, Scan, ScanOptions};
use lttformat::ltt::{Channel, Clock, Decoder, Event, Header, Kind, Markers, TypeSizes, Value, tally};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// Trace files by their path below the trace's directory, without directories, CPU numbers last.
fn read_trace(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (prefix, directory) in [("", directory.to_owned()), ("control/", directory.join("control"))] {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                let name = entry.file_name().into_string().unwrap();
                files.insert(format!("{prefix}{name}"), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    files
}

/// The records of a file, of which there is nothing else.
fn for_each_record(file: &[u8], mut each: impl FnMut(Record<'_>)) {
    let mut scan = Scan::new(file, Channel::Data(b""), None, &ScanOptions::default());
    while let Some(piece) = scan.next().unwrap() {
        match piece {
            Piece::Record(record) => each(record),
            Piece::Cut(cut) => panic!("{cut}"),
        }
    }
}

fn learn(files: &BTreeMap<String, Vec<u8>>) -> Markers {
    let is_metadata = |name: &str| name.starts_with("control/metadata_");
    let mut markers = None;
    for (_, file) in files.iter().filter(|(name, _)| is_metadata(name)) {
        for_each_record(file, |record| {
            let markers = markers.get_or_insert_with(|| Markers::new(&record.header));
            let tally = markers.learn(&record.header, record.bytes, record.used);
            assert!(tally.is_complete(), "{tally:?}");
            assert_eq!(tally.end as u64, record.used);
        });
    }
    let markers = markers.expect("a trace has metadata");
    assert_eq!(markers.conflicts(), []);
    markers
}

/// The viewer's count of events, by file.
fn printed(events: &serde_json::Value, trace: &str, what: &str) -> BTreeMap<String, u64> {
    let counts = events["traces"][trace][what]["events_per_stream"].as_object().unwrap();
    counts.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap())).collect()
}

fn decodes_like_the_viewer(slice: &str, traces: &[&str]) {
    let slice = fixture(slice);
    let events: serde_json::Value =
        serde_json::from_slice(&std::fs::read(slice.join("events.json")).unwrap()).unwrap();
    for trace in traces {
        let files = read_trace(&slice.join("expected-intact").join(trace));
        let markers = learn(&files);
        let mut counts = BTreeMap::new();
        for (name, file) in &files {
            let channel = Channel::named(
                Header::parse(file).unwrap().version,
                name.rsplit_once('_').unwrap().0.as_bytes(),
            );
            for_each_record(file, |record| {
                let tally = tally(record.bytes, &record.header, record.used, channel, &markers);
                assert_eq!(tally.stop, None, "{trace}/{name} at {}", record.offset);
                assert_eq!(tally.end as u64, record.used, "{trace}/{name} at {}", record.offset);
                assert!(tally.last_time.is_none_or(|time| time <= record.header.end));
                if tally.events > 0 {
                    *counts.entry(name.clone()).or_insert(0) += tally.events;
                }
            });
        }
        assert_eq!(counts, printed(&events, trace, "expected-intact (core only)"), "{trace}");
    }
}

#[test]
fn two_traces_from_64_bits() {
    decodes_like_the_viewer("K1-2cpu", &["k1", "k1flight"]);
}

#[test]
fn two_traces_from_32_bits() {
    decodes_like_the_viewer("X2-i386-2cpu", &["k1", "k1flight"]);
}

#[test]
fn metadata_tell_names_formats_and_sizes() {
    let files = read_trace(&fixture("K1-2cpu/expected-intact/k1"));
    let markers = learn(&files);
    assert_eq!(markers.type_sizes(), TypeSizes { int: 4, long: 8, pointer: 8, size_t: 8 });
    assert!(markers.iter().all(|(channel, marker)| channel.is_empty() && marker.is_decodable()));

    // The viewer's names of everything that happened.
    let events: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("K1-2cpu/events.json")).unwrap()).unwrap();
    let printed = events["traces"]["k1"]["merged"]["events_per_marker"].as_object().unwrap();
    for name in printed.keys() {
        assert!(markers.iter().any(|(_, marker)| marker.name() == name.as_bytes()), "{name}");
    }
}

/// As the viewer prints the fields.
fn render(event: &Event<'_>) -> String {
    let fields = event.fields().map(|(field, value)| {
        let value = match value {
            Value::Str(text) => format!("\"{}\"", String::from_utf8_lossy(text)),
            Value::U64(value) if matches!(field.kind(), Kind::Hex | Kind::Pointer) => format!("0x{value:x}"),
            Value::U64(value) => value.to_string(),
            Value::I64(value) => value.to_string(),
        };
        format!("{} = {value}", String::from_utf8_lossy(field.name()))
    });
    fields.collect::<Vec<_>>().join(", ")
}

#[test]
fn values_and_times_of_the_last_printed_events() {
    for (slice, trace) in [("K1-2cpu", "k1"), ("K1-2cpu", "k1flight"), ("X2-i386-2cpu", "k1")] {
        let slice = fixture(slice);
        let printed: serde_json::Value =
            serde_json::from_slice(&std::fs::read(slice.join("events.json")).unwrap()).unwrap();
        let lines = printed["traces"][trace]["merged"]["last_20_lines"].as_array().unwrap();
        let files = read_trace(&slice.join("expected-intact").join(trace));
        let markers = learn(&files);
        // "name: seconds.nanoseconds (stream), …, { field = value, … }"
        let mut decoded = Vec::new();
        for (name, file) in files.iter().filter(|(name, _)| !name.contains("metadata")) {
            for_each_record(file, |record| {
                let clock = Clock::new(&record.header);
                let channel = Channel::Data(b"");
                for event in Decoder::new(record.bytes, &record.header, record.used, channel, &markers) {
                    let event = event.unwrap();
                    let marker = String::from_utf8_lossy(event.marker.unwrap().name()).into_owned();
                    decoded.push((clock.ns(event.tsc).unwrap(), marker, name.clone(), render(&event)));
                }
            });
        }
        let mut compared = 0;
        for line in lines.iter().map(|line| line.as_str().unwrap()) {
            let (marker, rest) = line.split_once(": ").unwrap();
            let (time, rest) = rest.split_once(" (").unwrap();
            let (stream, rest) = rest.split_once("),").unwrap();
            let fields = rest.split_once("{ ").map_or("", |(_, fields)| fields.trim_end_matches(" }"));
            let time: u64 = time.replace('.', "").parse().unwrap();
            // The viewer shows id 29 at the time of the event before, and adds names to softirq numbers.
            if marker == "kernel_timer_update_time" || marker.contains("softirq") {
                continue;
            }
            let found = decoded.iter().any(|(ns, name, file, values)| {
                ns.abs_diff(time) <= 1 && name == marker && file.ends_with(stream) && values == fields
            });
            assert!(found, "{trace}: {line}");
            compared += 1;
        }
        assert!(compared >= 10, "{compared} lines of {trace}");
    }
}

/// The newest sub-buffer of one stream, as it is in a core file: 280 of 300 reserved bytes are committed, the last event was
/// written.
#[test]
fn an_event_written_but_not_committed() {
    let slice = fixture("X2-i386-2cpu");
    let files = read_trace(&slice.join("expected/k1flight"));
    let markers = learn(&files);
    let mut expected = Vec::new();
    for_each_record(&files["control/flight-processes_1"], |record| expected = record.bytes.to_vec());
    let closed = Header::parse(&expected).unwrap();
    assert_eq!(closed.used(closed.record_len()), Some(280));

    // Its begin finds the header in the core file.
    let core = std::fs::read(slice.join("core.elf")).unwrap();
    let headers = core.windows(4096).filter(|bytes| bytes[..8] == expected[..8]);
    let (memory, header) =
        headers.filter_map(|bytes| Some((bytes, Header::parse(bytes).ok()?))).next().unwrap();
    assert_eq!(header.used(4096), None);

    let channel = Channel::Data(b"control/flight-processes");
    let last = tally(memory, &header, 300, channel, &markers).last_time.unwrap();
    let evidence = Evidence {
        stage: Stage::Open,
        reserved: 300,
        committed: 280,
        commit_seq: None,
        last_tsc: Some(LastTsc { value: last >> 27, truncated: true }),
        not_before: None,
        not_after: None,
    };
    let prefix = valid_prefix(memory, &header, channel, &markers, &evidence);
    assert_eq!((prefix.valid, prefix.events, prefix.rule, prefix.doubtful), (280, 13, Rule::Written, false));
    assert_eq!(prefix.last_time, closed.end);
    assert_eq!(memory[header.len()..280], expected[header.len()..280]);
}
