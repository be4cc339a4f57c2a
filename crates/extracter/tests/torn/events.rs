//! Every event that was planted is shown once, in order, with its time, name and fields: by the joined trace, and by core and torn trace
//! each for itself.

use std::collections::BTreeSet;

use analyser::events::{Events, Selection, Value, What};
use analyser::{Directory, Routes};
use extracter::{Layout, Target};
use synth::disk::{Damage, FileOutcome, Outcome};
use synth::{Endian, PlantedEvent};

use crate::judge::merge;
use crate::lab::{few_recipes, is_metadata, on_torn_traces};

/// An event as one line: time, CPU, stream, name, arguments.
type Line = (u64, u32, String, String, Vec<String>);

/// What a list shows, without metadata.
fn shown(mut events: Events<'_>) -> Vec<Line> {
    let mut lines = Vec::new();
    while let Some(entry) = events.next() {
        if is_metadata(&format!("{}_0", entry.channel)) {
            continue;
        }
        let (name, fields) = match &entry.what {
            What::Event(event) => {
                let field = |field: analyser::events::Field<'_>| {
                    let value = match field.value {
                        Value::Unsigned(value) | Value::Octal(value) | Value::Hex(value) => value.to_string(),
                        Value::Signed(value) => value.to_string(),
                        Value::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                        other => panic!("{other:?}"),
                    };
                    format!("{}={value}", str::from_utf8(field.name).unwrap())
                };
                (String::from_utf8(event.name().to_vec()).unwrap(), event.fields().map(field).collect())
            }
            other => (format!("{other:?}"), Vec::new()),
        };
        lines.push((entry.tsc, entry.cpu.unwrap(), entry.channel.to_owned(), name, fields));
    }
    lines
}

/// What was planted, in the order in which it is shown.
fn planted<'a>(
    outcome: &'a Outcome<'_>,
    endian: Endian,
    of_file: impl Fn(&'a FileOutcome<'_>) -> Vec<&'a PlantedEvent>,
) -> Vec<Line> {
    let formats: Vec<(&str, &str)> =
        outcome.trace.markers.iter().map(|(_, marker)| (&*marker.name, &*marker.format)).collect();
    let mut lines = Vec::new();
    for file in outcome.files.iter().filter(|file| !file.is_metadata()) {
        let channel = file.path.rsplit_once('_').unwrap().0.replace("flight-", "");
        for event in of_file(file) {
            let format = formats.iter().find(|(name, _)| *name == event.name).unwrap().1;
            let conversions = format.split_whitespace().skip(1).step_by(2);
            let fields =
                event.fields.iter().zip(conversions).map(|((name, value), conversion)| {
                    format!("{name}={}", argument(value, conversion, endian))
                });
            lines.push((event.tsc, file.stream.cpu, channel.clone(), event.name.clone(), fields.collect()));
        }
    }
    lines.sort();
    lines
}

/// An argument as it is read: stored in the size that the conversion says, and sign-extended if that is signed.
fn argument(value: &synth::Value, conversion: &str, endian: Endian) -> String {
    let value = match value {
        synth::Value::Text(text) => return String::from_utf8(text.clone()).unwrap(),
        synth::Value::Int(value) => *value,
    };
    // What is marked so was stored as the caller had it, and means the other byte order on a little-endian machine.
    if conversion.starts_with("#n2") && endian == Endian::Little {
        return (value as u16).swap_bytes().to_string();
    }
    match conversion {
        "%d" => (value as i32).to_string(),
        "%hd" | "#2d%ld" => (value as i16).to_string(),
        "%lld" => (value as i64).to_string(),
        // A positive one, of any size.
        _ => value.to_string(),
    }
}

fn everything() -> Selection {
    Selection::default()
}

#[test]
fn nothing_planted_is_missing_or_shown_twice() {
    on_torn_traces(few_recipes(), |case| {
        let label = &case.label;
        // What was altered is shown as it is now.
        if case.damages.values().any(|damage| matches!(damage, Damage::Altered { .. })) {
            return;
        }
        let outcome = case.disk.outcome();
        let folder = tempfile::tempdir().unwrap();
        let (root, output) = (folder.path().join("trace"), folder.path().join("merged"));
        case.disk.write(&root).unwrap();
        merge(&root, case.core, Target::New(output.clone()), Layout::Merged);

        let expected = planted(&outcome, case.endian, |file| file.events.clone());
        let directory = Directory::open(&output).unwrap();
        let mut all = shown(Events::of_directory(&directory, &everything()).unwrap());
        assert!(all.is_sorted_by_key(|line| (line.0, line.1)), "{label}: order");
        for count in [1, 50] {
            let last = Selection { last: Some(count), ..everything() };
            let last = shown(Events::of_directory(&directory, &last).unwrap());
            assert!(all.ends_with(&last), "{label}: the last {count}");
        }
        all.sort();
        let differ = all.iter().zip(&expected).find(|(found, expected)| found != expected);
        assert!(all == expected, "{label}: {} of {}, {differ:?}", all.len(), expected.len());

        let traces = case.core.kernel.traces(Routes::ALL);
        let trace = traces.traces.iter().collect::<Vec<_>>();
        let mut of_core = shown(Events::of_core(&case.core.kernel, &trace, &everything()).unwrap());
        of_core.sort();
        let in_core = |file: &FileOutcome<'_>| -> BTreeSet<u64> {
            file.both.iter().chain(&file.added).copied().collect()
        };
        let planted = planted(&outcome, case.endian, |file| {
            let begins = in_core(file);
            let subs = file.stream.sub_buffers.iter().filter(|sub| begins.contains(&sub.begin_tsc));
            subs.flat_map(|sub| &sub.events).collect()
        });
        assert!(of_core == planted, "{label}: of the core {} of {}", of_core.len(), planted.len());
    });
}
