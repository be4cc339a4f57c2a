//! The events of real traces equal what the tracer's own viewer shows (`events.json` of the fixtures).
//!
//! Two defects of that viewer are not copied: an event whose real id is 29 is shown with the time of the event before it, and behind
//! `softirq_id` it appends a name that is not in the trace.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::collections::BTreeMap;

use analyser::events::{Entry, Events, Selection, What};
use analyser::{Directory, Kernel, OpenOptions, Routes};
use serde_json::Value;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

/// The id that the viewer takes for an extended form.
const MISREAD_ID: u64 = 29;

fn kernel(scenario: &str) -> Kernel {
    let bits = if scenario.contains("i386") { "-i386" } else { "" };
    let options = OpenOptions {
        cores: vec![format!("{FIXTURES}/{scenario}/core.kdump-zlib").into()],
        debuginfo: vec![format!("{FIXTURES}/types-2.6.27{bits}.isf.json").into()],
        ..Default::default()
    };
    Kernel::open(&options).unwrap()
}

fn viewers(scenario: &str) -> Value {
    let text = std::fs::read_to_string(format!("{FIXTURES}/{scenario}/events.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// An event as the viewer prints it.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    name: String,
    cpu: u32,
    channel: String,
    fields: String,
    /// As the viewer shows it.
    ns: u64,
}

impl Line {
    /// `before`: time of the event before it in the same stream.
    fn of(entry: &Entry<'_>, before: u64) -> Option<Line> {
        let What::Event(event) = &entry.what else { return None };
        let fields: Vec<_> =
            event.fields().map(|field| format!("{} = {}", field.name.escape_ascii(), field.value)).collect();
        Some(Line {
            name: event.name().escape_ascii().to_string(),
            cpu: entry.cpu.unwrap(),
            channel: entry.channel.to_owned(),
            fields: fields.join(", "),
            ns: if event.id() == MISREAD_ID { before } else { entry.ns().unwrap() },
        })
    }

    /// From `name: seconds (path), pid, …, MODE { fields }`.
    fn parse(text: &str) -> Line {
        let (name, rest) = text.split_once(": ").unwrap();
        let (time, rest) = rest.split_once(" (").unwrap();
        let (path, rest) = rest.split_once("), ").unwrap();
        let (channel, cpu) = stream(path);
        let fields = rest.split_once(" { ").map_or("", |(_, fields)| fields.strip_suffix(" }").unwrap());
        let fields = match fields.split_once(" [") {
            Some((fields, _)) if fields.starts_with("softirq_id") => fields,
            _ => fields,
        };
        Line { name: name.into(), cpu, channel, fields: fields.into(), ns: ns(time) }
    }
}

/// Channel and CPU of a file.
fn stream(path: &str) -> (String, u32) {
    let (channel, cpu) = path.rsplit_once('_').unwrap();
    (channel.replace("flight-", ""), cpu.parse().unwrap())
}

fn ns(seconds: &str) -> u64 {
    let (seconds, ns) = seconds.split_once('.').unwrap();
    assert_eq!(ns.len(), 9);
    seconds.parse::<u64>().unwrap() * 1_000_000_000 + ns.parse::<u64>().unwrap()
}

/// What the viewer rounds twice it may print one less of.
fn same_time(ours: u64, viewers: u64) -> bool {
    ours == viewers || ours == viewers + 1
}

/// Compares a whole list with what the viewer says about it.
fn compare(mut events: Events<'_>, viewer: &Value, damaged: usize, label: &str) {
    let mut streams: BTreeMap<(String, u32), (u64, u64)> = BTreeMap::new();
    let mut lines = Vec::new();
    let mut before = 0;
    let mut damages = Vec::new();
    while let Some(entry) = events.next() {
        assert!(entry.tsc >= before, "{label}: {} after {before}", entry.tsc);
        before = entry.tsc;
        match &entry.what {
            What::Event(_) => {}
            What::Damaged { reason, .. } => {
                damages.push((*reason).to_owned());
                continue;
            }
            other => panic!("{label}: {other:?}"),
        }
        let (count, time) = streams.entry((entry.channel.to_owned(), entry.cpu.unwrap())).or_default();
        *count += 1;
        lines.push(Line::of(&entry, *time).unwrap());
        *time = entry.ns().unwrap();
    }
    assert_eq!(events.end_ns(), Some(streams.values().map(|&(_, time)| time).max().unwrap()), "{label}");
    assert_eq!(damages.len(), damaged, "{label}: {damages:#?}");
    // Only the events with wrong times move.
    lines.sort_by_key(|line| line.ns);
    assert_eq!(lines.len() as u64, viewer["events"].as_u64().unwrap(), "{label}");
    let counts: BTreeMap<_, _> = streams.into_iter().map(|(stream, (count, _))| (stream, count)).collect();
    let expected = viewer["events_per_stream"].as_object().unwrap();
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(path, count)| (stream(path), count.as_u64().unwrap())).collect();
    assert_eq!(counts, expected, "{label}");

    let first = lines.first().unwrap().ns;
    assert!(same_time(first, ns(viewer["first_timestamp"].as_str().unwrap())), "{label}: first at {first}");
    let last = lines.last().unwrap().ns;
    assert!(same_time(last, ns(viewer["last_timestamp"].as_str().unwrap())), "{label}: last at {last}");

    let expected = viewer["last_20_lines"].as_array().unwrap();
    assert_eq!(expected.len(), 20);
    for (ours, viewers) in lines[lines.len() - 20..].iter().zip(expected) {
        let expected = Line::parse(viewers.as_str().unwrap());
        assert_eq!(Line { ns: expected.ns, ..ours.clone() }, expected, "{label}");
        assert!(same_time(ours.ns, expected.ns), "{label}: {ours:?}, {expected:?}");
    }
}

#[test]
fn cores() {
    for scenario in ["K1-2cpu", "S0-2cpu", "S2-2cpu", "S5-commit", "X1-2cpu", "X2-i386-2cpu"] {
        let kernel = kernel(scenario);
        let traces = kernel.traces(Routes::ALL);
        let viewers = viewers(scenario);
        let viewers = viewers["traces"].as_object().unwrap();
        assert_eq!(traces.traces.len(), viewers.len());
        for trace in &traces.traces {
            let views = viewers[&*trace.name()].as_object().unwrap();
            let view = views.get("expected-intact (core only)").or(views.get("expected")).unwrap();
            let events = Events::of_core(&kernel, &[trace], &Selection::default()).unwrap();
            // Writers that were interrupted.
            let damaged = match (scenario, &*trace.name()) {
                ("S5-commit", _) => 2,
                ("X1-2cpu", _) => 6,
                ("X2-i386-2cpu", "k1flight") => 1,
                _ => 0,
            };
            compare(events, view, damaged, &format!("{scenario} {}", trace.name()));
        }
    }
}

#[test]
fn directories() {
    for scenario in ["K1-2cpu", "X2-i386-2cpu"] {
        let viewers = viewers(scenario);
        for (name, views) in viewers["traces"].as_object().unwrap() {
            let path = format!("{FIXTURES}/{scenario}/expected-intact/{name}");
            let directory = Directory::open(path.as_ref()).unwrap();
            assert_eq!(directory.name(), *name);
            let events = Events::of_directory(&directory, &Selection::default()).unwrap();
            compare(events, &views["expected-intact (core only)"], 0, &path);
        }
    }
}
