//! Whatever is selected is the part of the whole list that it should be: on synthetic kernels, their directories, and torn ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::sync::Arc;

use analyser::events::{Events, Selection, Since, What};
use analyser::lttng::{self, Sessions};
use analyser::{Directory, Kernel, OpenOptions, Routes, Traces};
use proptest::prelude::*;
use synth::disk::DiskTrace;
use synth::lttng::{Crash, Release, Tracer};
use synth::{DeadKernel, Endian, Era, Fill, Mode, Reader};

/// An entry, owned.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    channel: String,
    cpu: Option<u32>,
    tsc: u64,
    ns: u64,
    text: String,
    is_event: bool,
}

fn items(mut events: Events<'_>) -> Vec<Item> {
    let mut items = Vec::new();
    while let Some(entry) = events.next() {
        let text = match &entry.what {
            What::Event(event) => {
                let fields: Vec<_> = event.fields().map(|field| field.value.to_string()).collect();
                format!("{} {} {}", event.name().escape_ascii(), event.id(), fields.join(" "))
            }
            other => format!("{other:?}"),
        };
        items.push(Item {
            channel: entry.channel.to_owned(),
            cpu: entry.cpu,
            tsc: entry.tsc,
            ns: entry.ns().unwrap(),
            text,
            is_event: entry.is_event(),
        });
    }
    items
}

/// The definition of a selection, on the whole list.
fn select(all: &[Item], selection: &Selection) -> Vec<Item> {
    let end = all.iter().filter(|item| item.is_event).map(|item| item.ns).max().unwrap_or(0);
    let from = match selection.since {
        None => 0,
        Some(Since::Trace(ns)) => ns,
        Some(Since::BeforeEnd(ns)) => end.saturating_sub(ns),
        Some(Since::Wall(_)) => panic!("not in this test"),
    };
    let taken = |item: &&Item| {
        item.ns >= from
            && (selection.channels.is_empty() || selection.channels.contains(&item.channel))
            && (selection.cpus.is_empty() || item.cpu.is_some_and(|cpu| selection.cpus.contains(&cpu)))
    };
    let mut taken: Vec<Item> = all.iter().filter(taken).cloned().collect();
    if let Some(last) = selection.last {
        let events: Vec<usize> = (0..taken.len()).filter(|&at| taken[at].is_event).collect();
        let drop = events.len().saturating_sub(usize::try_from(last).unwrap());
        if drop > 0 || events.len() as u64 == last {
            let first = events.get(drop).copied().unwrap_or(taken.len());
            taken.drain(..first);
        }
    }
    taken
}

fn dead(era: Era, bits: u32, endian: Endian, mode: Mode, reader: Reader, fill: f64) -> DeadKernel {
    synth::Kernel::new(era)
        .bits(bits)
        .endian(endian)
        .mode(mode)
        .reader(reader)
        .fill(Fill::SubBuffers(fill))
        .build()
}

fn open(dead: &DeadKernel) -> Kernel {
    let core = synth::core::Elf::kdump().write(dead).bytes();
    let core = vmcore::Vmcore::from_bytes(vec![core], &vmcore::OpenOptions::default()).unwrap();
    let types = kdebug::Input::new("types.json", Arc::new(synth::isf::json(dead).into_bytes()));
    Kernel::from_parts(core, vec![types], &OpenOptions::default()).unwrap()
}

/// The directory of everything that is in memory.
fn extracted(dead: &DeadKernel) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for stream in &dead.truth().traces[0].streams {
        let path = directory.path().join(&stream.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, stream.file()).unwrap();
    }
    directory
}

fn of_core(kernel: &Kernel, traces: &Traces, selection: &Selection) -> Vec<Item> {
    let traces: Vec<_> = traces.traces.iter().collect();
    items(Events::of_core(kernel, &traces, selection).unwrap())
}

fn of_directory(directory: &Directory, selection: &Selection) -> Vec<Item> {
    items(Events::of_directory(directory, selection).unwrap())
}

fn selections(all: &[Item]) -> impl Strategy<Value = Selection> + use<> {
    let mut channels: Vec<String> = all.iter().map(|item| item.channel.clone()).collect();
    channels.sort();
    channels.dedup();
    let times: Vec<u64> = all.iter().map(|item| item.ns).collect();
    let span = times.iter().max().unwrap_or(&0) - times.iter().min().unwrap_or(&0);
    let last = prop_oneof![Just(None), (0..80_u64).prop_map(Some), (0..3000_u64).prop_map(Some)];
    let since = prop_oneof![
        2 => Just(None),
        1 => (any::<prop::sample::Index>(), 0..3_u64)
            .prop_map(move |(at, add)| Some(Since::Trace((at.get(&times) + add).saturating_sub(1)))),
        1 => (0..=span).prop_map(|ns| Some(Since::BeforeEnd(ns))),
    ];
    let channels = prop::sample::subsequence(channels.clone(), 0..=channels.len());
    let cpus = prop::sample::subsequence(vec![0, 1], 0..=2);
    (channels, cpus, last, since).prop_map(|(channels, cpus, last, since)| Selection {
        channels,
        cpus,
        last,
        since,
    })
}

fn check(all: &[Item], runs: u32, get: impl Fn(&Selection) -> Vec<Item>) {
    let config = ProptestConfig { cases: runs, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&selections(all), |selection| {
            let (found, expected) = (get(&selection), select(all, &selection));
            let same = found.iter().zip(&expected).take_while(|(a, b)| a == b).count();
            prop_assert!(
                found == expected,
                "{selection:?}: {} of {} entries, expected {} of {}, first difference: {:?}, {:?}",
                found.len(),
                all.len(),
                expected.len(),
                all.len(),
                found.get(same),
                expected.get(same)
            );
            Ok(())
        })
        .unwrap();
}

const KERNELS: [(Era, u32, Endian, Mode); 4] = [
    (Era::Z, 64, Endian::Little, Mode::Discard),
    (Era::A, 32, Endian::Big, Mode::Overwrite),
    (Era::B, 32, Endian::Little, Mode::Overwrite),
    (Era::C, 64, Endian::Big, Mode::Discard),
];

#[test]
fn of_cores_and_their_directories() {
    for (era, bits, endian, mode) in KERNELS {
        let dead = dead(era, bits, endian, mode, Reader::Absent, 3.6);
        let kernel = open(&dead);
        let traces = kernel.traces(Routes::ALL);
        let all = of_core(&kernel, &traces, &Selection::default());
        let planted: usize =
            dead.truth().traces[0].streams.iter().map(|stream| stream.events().count()).sum();
        assert_eq!(all.len(), planted, "{era:?}");
        assert!(all.is_sorted_by_key(|item| item.tsc));
        check(&all, 60, |selection| of_core(&kernel, &traces, selection));

        let folder = extracted(&dead);
        let directory = Directory::open(folder.path()).unwrap();
        assert!(of_directory(&directory, &Selection::default()) == all, "{era:?}");
        check(&all, 60, |selection| of_directory(&directory, selection));
    }
}

/// Cuts are entries with the time of what is before them.
#[test]
fn of_torn_directories() {
    let mut cuts = 0;
    for (era, bits, endian, mode) in KERNELS {
        let dead = dead(era, bits, endian, mode, Reader::Keeps(1), 9.5);
        let disk = DiskTrace::of(&dead);
        for (path, damage) in disk.damages().step_by(7) {
            let label = format!("{era:?} {path} {damage:?}");
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("trace");
            disk.clone().damage(path, damage).write(&root).unwrap();
            let directory = Directory::open(&root).unwrap();
            let all = of_directory(&directory, &Selection::default());
            cuts += all.iter().filter(|item| item.text.starts_with("Damaged")).count();
            for last in [1, 10, 100] {
                let selection = Selection { last: Some(last), ..Default::default() };
                let (found, expected) = (of_directory(&directory, &selection), select(&all, &selection));
                assert!(
                    found == expected,
                    "{label}, last {last}: {} entries, expected {}",
                    found.len(),
                    expected.len()
                );
            }
        }
    }
    assert!(cuts > 20, "{cuts}");
}

#[test]
fn wall_clock_and_unknown_channels() {
    let dead = dead(Era::C, 64, Endian::Little, Mode::Discard, Reader::Absent, 1.5);
    let folder = extracted(&dead);
    let directory = Directory::open(folder.path()).unwrap();
    let mut events = Events::of_directory(&directory, &Selection::default()).unwrap();
    let mut times = Vec::new();
    while let Some(entry) = events.next() {
        times.push(entry.wall_ns().unwrap());
    }
    let since = Selection { since: Some(Since::Wall(times[times.len() / 2])), ..Default::default() };
    let later = times.iter().filter(|&&time| time >= times[times.len() / 2]).count();
    assert_eq!(of_directory(&directory, &since).len(), later);
    let early = Selection { since: Some(Since::Wall(0)), ..Default::default() };
    assert_eq!(of_directory(&directory, &early).len(), times.len());

    let unknown = Selection { channels: vec!["kernels".into()], ..Default::default() };
    let error = Events::of_directory(&directory, &unknown).unwrap_err().to_string();
    assert!(
        error.starts_with("expected one of the channels ") && error.ends_with(", found kernels"),
        "{error}"
    );
}

fn of_sessions(kernel: &Kernel, sessions: &Sessions, selection: &Selection) -> Vec<Item> {
    let sessions: Vec<_> = sessions.sessions.iter().filter(|session| session.class().is_some()).collect();
    items(Events::of_sessions(kernel, &sessions, selection).unwrap())
}

fn of_session_directory(directory: &lttng::Directory, selection: &Selection) -> Vec<Item> {
    items(Events::of_session_directory(directory, selection).unwrap())
}

/// The trace of the only session with a stream: its files, and what each holds.
fn written(kernel: &Kernel, sessions: &Sessions) -> Vec<(String, Vec<u8>)> {
    let session = sessions.sessions.iter().find(|session| session.streams().next().is_some()).unwrap();
    let mut files = vec![("metadata".to_owned(), session.metadata().unwrap().file())];
    for (channel, stream) in session.streams() {
        let mut recorder = session.recorder(kernel, channel, stream);
        let packets = stream.packets().iter().flat_map(|packet| recorder.record(packet).bytes.to_vec());
        files.push((stream.file_name().into_owned(), packets.collect()));
    }
    files
}

fn write(files: &[(String, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// Buffers that overflow, so that the tracer drops events; and flight recorders.
fn tracers() -> [Tracer; 4] {
    use synth::lttng::Reader;
    let tracer = |release, bits, endian| Tracer::new(release).machine(bits, endian).events(700);
    [
        tracer(Release::V2_1, 32, Endian::Big).overwrite(true).crash(Crash::Nested),
        tracer(Release::V2_5, 64, Endian::Little).events(2000).reader(Reader::Keeps(3)).mapped(true),
        tracer(Release::V2_8, 64, Endian::Big).crash(Crash::LeftBehind),
        tracer(Release::V2_13, 64, Endian::Little)
            .overwrite(true)
            .sub_buffers(8192, 8)
            .crash(Crash::Reserved),
    ]
}

#[test]
fn of_sessions_and_their_directories() {
    for tracer in tracers() {
        let dead = tracer.build();
        let kernel = open(&dead.kernel);
        let sessions = kernel.sessions(Routes::ALL);
        let all = of_sessions(&kernel, &sessions, &Selection::default());
        let streams = dead.sessions[0].channels[0].streams.iter();
        let planted: u64 = streams.flat_map(|stream| &stream.packets).map(|packet| packet.events).sum();
        assert_eq!(all.iter().filter(|item| item.is_event).count() as u64, planted, "{tracer:?}");
        assert!(planted > 100 && all.is_sorted_by_key(|item| item.tsc));
        check(&all, 60, |selection| of_sessions(&kernel, &sessions, selection));

        let folder = write(&written(&kernel, &sessions));
        let directory = lttng::Directory::open(folder.path()).unwrap();
        let on_disk = of_session_directory(&directory, &Selection::default());
        // What a writer left in the ring is no damage of the file, and what was dropped at the end is in no packet.
        let events = |items: &[Item]| items.iter().filter(|item| item.is_event).cloned().collect::<Vec<_>>();
        assert!(events(&on_disk) == events(&all), "{tracer:?}");
        check(&on_disk, 60, |selection| of_session_directory(&directory, selection));
    }
}

#[test]
fn of_torn_session_directories() {
    let mut cuts = 0;
    for tracer in tracers() {
        let kernel = open(&tracer.build().kernel);
        let whole = written(&kernel, &kernel.sessions(Routes::ALL));
        for torn in 0..12_usize {
            let mut files = whole.clone();
            for (name, bytes) in files.iter_mut().filter(|(name, _)| name != "metadata") {
                let at = bytes.len() * (torn + name.len() % 2) / 12 / 512 * 512;
                match torn % 3 {
                    // Torn off; a hole in it; overwritten.
                    0 => bytes.truncate(at),
                    1 => bytes[at..].iter_mut().take(3000).for_each(|byte| *byte = 0),
                    _ => bytes[at..].iter_mut().take(3000).for_each(|byte| *byte = !*byte),
                }
            }
            let folder = write(&files);
            let directory = lttng::Directory::open(folder.path()).unwrap();
            let all = of_session_directory(&directory, &Selection::default());
            cuts += all.iter().filter(|item| item.text.starts_with("Damaged")).count();
            for last in [1, 10, 100] {
                let selection = Selection { last: Some(last), ..Default::default() };
                let (found, expected) =
                    (of_session_directory(&directory, &selection), select(&all, &selection));
                assert!(
                    found == expected,
                    "{tracer:?}, torn {torn}, last {last}: {} entries, expected {}",
                    found.len(),
                    expected.len()
                );
            }
        }
    }
    assert!(cuts > 20, "{cuts}");
}
