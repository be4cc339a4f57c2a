//! Cores of a machine with lttng-modules 2.13.9, stopped with full buffers and crashed while recording.

use std::path::{Path, PathBuf};

use analyser::{Kernel, OpenOptions, Routes};
use extracter::{Report, StreamReport};
use lttformat::ctf::{Index, PacketHeader, PacketLayout};
use serde_json::Value;

use super::sha256::sha256;
use super::viewer::{self, Shown};
use super::{Files, extract, files};

const SCENARIOS: [&str; 2] = ["M0d", "M1p"];
const KERNEL: &str = "types/types-6.1.0-56-amd64.isf.json";
const MODULES: &str = "types/types-lttng-2.13.9.isf.json";

/// Types that are given, ways that are looked, and the names of the channels that this way tells.
const WAYS: [(&[&str], Routes, [&str; 2]); 6] = [
    (&[KERNEL, MODULES], Routes::ALL, ["net", "chan0"]),
    (&[KERNEL, MODULES], Routes::LIST, ["chan0", "chan0"]),
    (&[KERNEL, MODULES], Routes::OPEN_FILES, ["net", "chan0"]),
    (&[KERNEL], Routes::ALL, ["net", "chan0"]),
    (&[KERNEL], Routes::LIST, ["chan0", "chan0"]),
    (&[KERNEL], Routes::OPEN_FILES, ["net", "chan0"]),
];

/// The folder of the real data.
fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/linux-6.1-lttng-2.13")
}

fn open(data: &Path, scenario: &str, types: &[&str]) -> Kernel {
    let options = OpenOptions {
        cores: vec![data.join(scenario).join("core.zlib")],
        debuginfo: types.iter().map(|name| data.join(name)).collect(),
        ..OpenOptions::default()
    };
    Kernel::open(&options).unwrap()
}

fn expected(data: &Path, scenario: &str) -> Value {
    let text = std::fs::read(data.join(scenario).join("expected/lttng/expected.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The data channel, of which each session has one.
fn channel(session: &Value) -> &Value {
    let channels = session["channels"].as_array().unwrap();
    channels.iter().find(|channel| channel["type"] == 0).unwrap()
}

/// `disk-20261123-193849`.
fn folder(name: &str, session: &Value) -> String {
    let created = session["creation"].as_str().unwrap();
    format!("{name}-{}-{}", &created[..8], &created[9..15])
}

#[test]
fn every_file_is_the_expected_one_by_every_way() {
    let data = data();
    for scenario in SCENARIOS {
        let expected = expected(&data, scenario);
        for (types, routes, channels) in WAYS {
            let label = format!("{scenario}, {types:?}, {routes}");
            let kernel = open(&data, scenario, types);
            let scratch = tempfile::tempdir().unwrap();
            let out = scratch.path().join("out");
            let report = extract(&kernel, routes, &out);
            assert!(!report.has_losses(), "{label}: {:?}", report.damage);
            let written = files(&out);
            let mut paths = Vec::new();
            for (name, file) in [("disk", channels[0]), ("snap", channels[1])] {
                let session = &expected[name];
                let folder = folder(name, session);
                let trace = report.traces.iter().find(|trace| trace.name == name).unwrap();
                assert_eq!(trace.directory, folder, "{label}");
                let metadata = &written[&format!("{folder}/kernel/metadata")];
                assert_eq!(sha256(metadata), session["metadata_file_sha256"].as_str().unwrap(), "{label}");
                paths.push(format!("{folder}/kernel/metadata"));
                for stream in channel(session)["streams"].as_array().unwrap() {
                    let path = format!("{folder}/kernel/{file}_{}", stream["cpu"]);
                    let report = trace.streams.iter().find(|stream| stream.path == path);
                    let report = report.unwrap_or_else(|| panic!("{label}: no {path} in {written:?}"));
                    compare_stream(&written, &path, report, stream, &label);
                    paths.push(path);
                    paths.push(format!("{folder}/kernel/index/{file}_{}.idx", stream["cpu"]));
                }
            }
            paths.sort();
            assert!(paths.iter().eq(written.keys()), "{label}: {:?}", written.keys());
        }
    }
}

fn compare_stream(written: &Files, path: &str, report: &StreamReport, expected: &Value, label: &str) {
    let label = format!("{label}: {path}");
    let file = &written[path];
    assert_eq!(file.len() as u64, expected["bytes"], "{label}");
    let (folder, name) = path.rsplit_once('/').unwrap();
    let index = Index::parse(&written[&format!("{folder}/index/{name}.idx")]).unwrap();
    let layout =
        PacketLayout::of_generation(lttformat::ctf::Generation::V2_8, 8, lttformat::ltt::Endian::Little);
    let packets = expected["packets"].as_array().unwrap();
    assert_eq!((index.cut, index.entries.len()), (None, packets.len()), "{label}");
    let mut offset = 0;
    for (packet, entry) in packets.iter().zip(&index.entries) {
        let len = packet["packet_bytes"].as_u64().unwrap() as usize;
        let bytes = &file[offset..offset + len];
        assert_eq!(sha256(bytes), packet["sha256"].as_str().unwrap(), "{label} at {offset}");
        let header = PacketHeader::parse(bytes, &layout).unwrap();
        assert_eq!(*entry, lttformat::ctf::IndexEntry::new(offset as u64, &header), "{label} at {offset}");
        assert_eq!(header.packet_seq_num.unwrap(), packet["seq"], "{label}");
        assert_eq!(header.events_discarded.unwrap(), packet["events_discarded"], "{label}");
        offset += len;
    }
    assert_eq!(sha256(file), expected["sha256"].as_str().unwrap(), "{label}");

    let lost =
        ["full", "wrap", "big"].map(|kind| expected[&format!("records_lost_{kind}")].as_u64().unwrap());
    assert_eq!(report.totals.events_lost_by_tracer, lost.iter().sum::<u64>(), "{label}");
    let content = packets.iter().map(|packet| packet["content_bytes"].as_u64().unwrap()).sum::<u64>();
    assert_eq!((report.totals.bytes.written, report.totals.bytes.found), (content, content), "{label}");
    assert_eq!(report.totals.sub_buffers.open, expected["open_packets"], "{label}");
}

#[test]
fn babeltrace_shows_the_expected_events() {
    let data = data();
    for scenario in SCENARIOS {
        let kernel = open(&data, scenario, &[KERNEL]);
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("out");
        let report = extract(&kernel, Routes::ALL, &out);
        for (name, session) in expected(&data, scenario).as_object().unwrap() {
            // The text names the folder.
            let trace = out.join(folder(name, session)).join("kernel");
            let Some(shown) = viewer::show(&trace) else { return };
            compare_events(&shown, &report, name, session, scenario);
        }
    }
}

fn compare_events(shown: &Shown, report: &Report, name: &str, session: &Value, scenario: &str) {
    let of_viewer = &session["babeltrace2"];
    let label = format!("{scenario}, {name}");
    let messages = of_viewer["babeltrace2_messages"].as_array().unwrap();
    assert_eq!(shown.messages.len(), messages.len(), "{label}: {:?}", shown.messages);
    // They name the trace by its path.
    for (message, expected) in shown.messages.iter().zip(messages) {
        let start = expected.as_str().unwrap().split(" in trace ").next().unwrap();
        assert!(message.starts_with(start), "{label}: {message}");
    }
    assert_eq!(shown.events(), of_viewer["events"], "{label}");
    let trace = report.traces.iter().find(|trace| trace.name == name).unwrap();
    assert_eq!(trace.totals.events.unwrap(), of_viewer["events"], "{label}");
    for stream in of_viewer["streams"].as_array().unwrap() {
        let cpu = stream["cpu"].as_u64().unwrap() as u32;
        let lines = &shown.lines[&cpu];
        assert_eq!(lines.len() as u64, stream["events"], "{label}, {cpu}");
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        assert_eq!(sha256(text.as_bytes()), stream["text_sha256"].as_str().unwrap(), "{label}, {cpu}");
        let counted = trace.streams.iter().find(|stream| stream.cpu == Some(cpu)).unwrap();
        assert_eq!(counted.totals.events.unwrap(), stream["events"], "{label}, {cpu}");
    }
}
