//! Our text of whole traces is babeltrace 2's, line by line.
//!
//! Needs the program `babeltrace2`; says so and passes if it is not installed. Further traces, directories with a `metadata`
//! file and data files, can be named in the variable `CTF_TRACES`, separated by colons.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod ctf_writer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ctf_writer::{Machine, PAGE, Stream, UUID, metadata};
use lttformat::ctf::{Decoder, Language, Metadata, MetadataPackets, PacketHeader, TraceClass, Uuid, text};
use lttformat::ltt::Endian;

/// The lines of each CPU, in the order of the trace.
type Lines = BTreeMap<String, Vec<String>>;

/// What babeltrace 2 prints about the events of a trace.
fn babeltrace(trace: &Path) -> Option<Lines> {
    let output = Command::new("babeltrace2").args(["--no-delta", "--clock-gmt"]).arg(trace).output();
    let Ok(output) = output else {
        eprintln!("skipped: babeltrace2 is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines = Lines::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (_, rest) = line.split_once("cpu_id = ").unwrap();
        let (cpu, _) = rest.split_once([' ', ',']).unwrap();
        lines.entry(cpu.into()).or_default().push(line.into());
    }
    Some(lines)
}

/// What we print.
fn ours(trace: &Path) -> Lines {
    let metadata = Metadata::parse(&fs::read(trace.join("metadata")).unwrap());
    assert_eq!(metadata.cut, None);
    let class = TraceClass::parse(&metadata.text).unwrap();
    let mut files: Vec<PathBuf> = fs::read_dir(trace)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let mut lines = Lines::new();
    for file in files.iter().filter(|file| !file.ends_with("metadata")) {
        let bytes = fs::read(file).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (header, _) = class.packet(rest).unwrap();
            let PacketHeader { packet_size, cpu_id, .. } = header;
            let (packet, after) = rest.split_at(packet_size as usize / 8);
            rest = after;
            let of_cpu = lines.entry(cpu_id.unwrap().to_string()).or_default();
            for event in Decoder::new(&class, packet).unwrap() {
                let event = event.unwrap();
                let mut line = vec![b'['];
                let ns = class.clock().unwrap().ns(event.timestamp).unwrap();
                text::write_time_of_day(&mut line, ns);
                line.extend_from_slice(b"] ");
                line.extend_from_slice(class.env_text("hostname").unwrap().as_bytes());
                line.push(b' ');
                text::write_event(&mut line, &event);
                of_cpu.push(String::from_utf8_lossy(&line).into_owned());
            }
        }
    }
    lines.retain(|_, lines| !lines.is_empty());
    lines
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

/// Compares all lines, and returns how many have a stale string in theirs.
fn compare(trace: &Path) -> usize {
    let Some(expected) = babeltrace(trace) else { return 0 };
    let found = ours(trace);
    let name = trace.display();
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "CPUs of {name}");
    let mut all_stale = 0;
    for (cpu, expected) in &expected {
        let mut stale = 0;
        for (place, (found, expected)) in found[cpu].iter().zip(expected).enumerate() {
            if found != expected {
                let equal = equal_but_for_empty_strings(found, expected);
                assert!(equal, "event {place} of CPU {cpu} of {name}:\n{found}\n{expected}");
                stale += 1;
            }
        }
        assert_eq!(found[cpu].len(), expected.len(), "events of CPU {cpu} of {name}");
        let equal = expected.len() - stale;
        println!("{name}: CPU {cpu}: {equal} equal lines, {stale} with a stale string");
        all_stale += stale;
    }
    all_stale
}

#[test]
fn stale_strings_are_the_only_difference_allowed() {
    let ours = r#"a: { x = "", y = 1 }, { z = "" }"#;
    assert!(equal_but_for_empty_strings(ours, r#"a: { x = "old\"", y = 1 }, { z = "" }"#));
    assert!(!equal_but_for_empty_strings(ours, r#"a: { x = "old", y = 2 }, { z = "" }"#));
    assert!(!equal_but_for_empty_strings(ours, r#"a: { x = "old", y = 1 }, { z = "" }, {}"#));
    assert!(!equal_but_for_empty_strings(r#"a: { x = "new" }"#, r#"a: { x = "old" }"#));
}

#[test]
fn real_traces() {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ctf_traces");
    compare(&traces.join("net"));
    compare(&traces.join("syscalls"));
    let named = std::env::var("CTF_TRACES").unwrap_or_default();
    named.split(':').filter(|trace| !trace.is_empty()).for_each(|trace| {
        compare(Path::new(trace));
    });
}

#[test]
fn written_traces_of_all_machines() {
    for (place, machine) in Machine::all().into_iter().enumerate() {
        let trace = std::env::temp_dir().join(format!("ctf-babeltrace-{}-{place}", std::process::id()));
        fs::create_dir_all(&trace).unwrap();
        let endian = if machine.big { Endian::Big } else { Endian::Little };
        let packets = MetadataPackets { endian, uuid: Uuid(UUID), language: Language::Tsdl };
        fs::write(trace.join("metadata"), packets.file(metadata(machine).as_bytes(), PAGE).unwrap()).unwrap();
        for cpu in 0..2 {
            let mut stream = Stream::new(machine, 77 + 4 * place as u64 + 2 * cpu, cpu);
            let bytes: Vec<u8> = (0..3).flat_map(|_| stream.packet(300)).collect();
            fs::write(trace.join(format!("chan_{cpu}")), bytes).unwrap();
        }
        assert_eq!(compare(&trace), 0);
        fs::remove_dir_all(&trace).unwrap();
    }
}
