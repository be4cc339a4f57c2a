//! Synthetic kernels of every release of LTTng 2.x, word size, byte order and mode, torn in every way: what comes out is what was
//! planted, as packets that are whole.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::sync::Arc;

use analyser::lttng::{NoteKind, Record, Session, Stream};
use analyser::{Kernel, OpenOptions, Routes, State};
use lttformat::ctf::{Decoder, IndexVersion, Metadata, PacketHeader, Value};
use synth::lttng::{Crash, DeadTracer, PacketTruth, Reader, Release, Tracer};
use synth::{DeadKernel, Endian};

const MACHINES: [(u32, Endian); 4] =
    [(64, Endian::Little), (32, Endian::Little), (64, Endian::Big), (32, Endian::Big)];
const CRASHES: [Crash; 8] = [
    Crash::Quiet,
    Crash::Reserved,
    Crash::Nested,
    Crash::NestedCommitted,
    Crash::LeftBehind,
    Crash::Entered,
    Crash::Delivering,
    Crash::Flushed,
];

fn open(dead: &DeadKernel) -> Kernel {
    open_core(dead, synth::core::Elf::kdump().write(dead).bytes())
}

fn open_core(dead: &DeadKernel, core: Vec<u8>) -> Kernel {
    open_with(core, synth::isf::json(dead))
}

fn open_with(core: Vec<u8>, types: String) -> Kernel {
    let core = vmcore::Vmcore::from_bytes(vec![core], &vmcore::OpenOptions::default()).unwrap();
    let types = kdebug::Input::new("types.json", Arc::new(types.into_bytes()));
    Kernel::from_parts(core, vec![types], &OpenOptions::default()).unwrap()
}

fn adds_up(record: &Record<'_>) {
    assert_eq!(record.found, record.valid + record.lost + record.unreadable);
    assert!(record.zero_filled <= record.valid && record.valid <= record.bytes.len() as u64);
    assert_eq!(record.bytes.is_empty(), record.header.is_none());
    if record.bytes.is_empty() {
        assert_eq!(record.valid, 0);
    }
}

/// Numbers that the events of a packet bear, and their times; decoding must reach the end.
fn events(session: &Session, packet: &[u8], header: &PacketHeader) -> Vec<(u64, u64)> {
    let decoder = Decoder::new(session.class().unwrap(), packet).unwrap();
    let decoded = decoder.not_after(header.timestamp_end).map(|event| {
        let event = event.unwrap();
        let mut fields = event.fields().unwrap();
        match fields.next().unwrap() {
            ("value", Value::Unsigned(number, _)) => (number, event.timestamp),
            other => panic!("{other:?}"),
        }
    });
    decoded.collect()
}

/// One packet: whole, with the planted events and nothing else.
fn compare(
    session: &Session,
    record: &Record<'_>,
    truth: &PacketTruth,
    (content, planted): (&[u8], u64),
    header_len: usize,
    page: usize,
    label: &str,
) -> u64 {
    adds_up(record);
    let valid = content.len();
    assert_eq!((record.valid, record.unreadable), (valid as u64, 0), "{label}: {:?}", record.notes);
    if valid == 0 {
        assert_eq!((record.lost, record.bytes.len()), (truth.reserved, 0), "{label}");
        return 0;
    }
    assert_eq!(record.bytes.len(), valid.next_multiple_of(page), "{label}");
    assert!(record.bytes[valid..].iter().all(|byte| *byte == 0), "{label}: stale bytes");
    assert!(record.bytes[header_len..valid] == content[header_len..], "{label}: content");
    if truth.closed {
        assert!(record.bytes[..valid] == truth.valid, "{label}: header");
        assert!(record.notes.is_empty(), "{label}: {:?}", record.notes);
    }
    let header = record.header.as_ref().unwrap();
    assert_eq!((header.content_size, header.packet_size), (8 * valid as u64, 8 * record.bytes.len() as u64));
    assert!(header.packet_seq_num.is_none_or(|number| number == truth.sequence), "{label}");
    assert_eq!(Some(u64::from(session.channels()[0].id().unwrap())), Some(header.stream_id));
    let events = events(session, record.bytes, header);
    assert_eq!((events.len() as u64, record.events), (planted, Some(planted)), "{label}");
    assert_eq!(record.first_time, events.first().map(|event| event.1), "{label}");
    assert_eq!(record.last_time, events.last().map(|event| event.1), "{label}");
    header.timestamp_end
}

fn check_stream(
    kernel: &Kernel,
    session: &Session,
    stream: &Stream,
    truth: &synth::lttng::StreamTruth,
    label: &str,
) {
    let channel = &session.channels()[0];
    assert_eq!(stream.damage(), [], "{label}");
    assert_eq!(stream.packets().len(), truth.packets.len(), "{label}");
    let header_len = channel.layout().unwrap().len();
    let page = usize::try_from(kernel.memory().page_size()).unwrap();
    let mut recorder = session.recorder(kernel, channel, stream).count_events(true);
    let mut previous: Option<PacketHeader> = None;
    let word = kernel.memory().abi().word_bytes() as u64;
    for (nth, packet) in stream.packets().iter().enumerate() {
        let recoverable = truth.recoverable(nth, packet.sequence().is_some(), header_len, word);
        let truth = &truth.packets[nth];
        let label = format!("{label}, packet {}", truth.sequence);
        assert_eq!(packet.closed(), truth.closed, "{label}");
        let record = recorder.record(packet);
        let end = compare(session, &record, truth, recoverable, header_len, page, &label);
        let Some(header) = record.header else { continue };
        if let Some(previous) = &previous {
            // Packets of a stream do not overlap, and what they say was dropped never becomes less.
            assert!(previous.timestamp_end <= header.timestamp_begin, "{label}");
            assert!(previous.events_discarded <= header.events_discarded, "{label}");
        }
        assert!(end >= header.timestamp_begin, "{label}");
        if packet.state() == State::Open {
            assert_eq!(header.events_discarded, Some(stream.events_lost()), "{label}");
        }
        previous = Some(header);
    }
}

fn check(dead: &DeadTracer, release: Release, routes: Routes, label: &str) {
    let kernel = open(&dead.kernel);
    let sessions = kernel.sessions(routes);
    assert_eq!(sessions.damage, [], "{label}");
    let [session] = sessions.sessions.as_slice() else { panic!("{label}: {}", sessions.sessions.len()) };
    let truth = &dead.sessions[0];
    assert_eq!(session.uuid().unwrap().0, truth.uuid, "{label}");
    assert_eq!(session.name(), truth.name, "{label}");
    let metadata = session.metadata().unwrap_or_else(|| panic!("{label}: no metadata"));
    assert!(metadata.text() == truth.metadata.as_bytes(), "{label}: metadata");
    assert_eq!((metadata.unfinished(), metadata.first_packet()), (0, 0), "{label}");
    let file = Metadata::parse(&metadata.file());
    assert_eq!((file.text.len(), file.cut), (truth.metadata.len(), None), "{label}");
    assert_eq!(file.packets.unwrap().uuid, session.uuid().unwrap(), "{label}");
    let index = match release {
        Release::V2_0 | Release::V2_1 | Release::V2_3 => None,
        Release::V2_5 => Some(IndexVersion::V1_0),
        _ => Some(IndexVersion::V1_1),
    };
    assert_eq!(session.index_version(), index, "{label}");
    let [channel] = session.channels() else { panic!("{label}: channels") };
    assert!(channel.is_declared(), "{label}");
    for (stream, truth) in channel.streams().iter().zip(&truth.channels[0].streams) {
        let label = format!("{label}, {}", stream.file_name());
        check_stream(&kernel, session, stream, truth, &label);
    }
}

#[test]
fn every_release_on_every_machine() {
    for release in Release::ALL {
        for (bits, endian) in MACHINES {
            for overwrite in [false, true] {
                for crash in CRASHES {
                    let label =
                        format!("{release:?}, {bits} bits {endian:?}, overwrite {overwrite}, {crash:?}");
                    let tracer = Tracer::new(release).machine(bits, endian).overwrite(overwrite).crash(crash);
                    // Every second time the ring has been filled more than once.
                    let events = if (crash as usize).is_multiple_of(2) { 60 } else { 500 };
                    check(&tracer.events(events).build(), release, Routes::ALL, &label);
                }
            }
        }
    }
}

#[test]
fn what_readers_have_or_had() {
    for release in [Release::V2_1, Release::V2_8, Release::V2_13] {
        for overwrite in [false, true] {
            for reader in [Reader::Holds, Reader::Overtaken, Reader::Keeps(0), Reader::Keeps(2)] {
                let label = format!("{release:?}, overwrite {overwrite}, {reader:?}");
                let tracer = Tracer::new(release).overwrite(overwrite).mapped(true).events(150);
                check(&tracer.reader(reader).build(), release, Routes::ALL, &label);
            }
        }
    }
}

#[test]
fn sessions_being_destroyed_and_single_routes() {
    let tracer = Tracer::new(Release::V2_13).events(150);
    for routes in [Routes::LIST, Routes::OPEN_FILES] {
        check(&tracer.build(), Release::V2_13, routes, &format!("{routes}"));
    }
    let dead = tracer.listed(false).build();
    check(&dead, Release::V2_13, Routes::OPEN_FILES, "unlisted");
}

#[test]
fn large_pages() {
    for arch in [synth::Arch::AArch64Page16K, synth::Arch::AArch64Page64K] {
        let tracer = Tracer::new(Release::V2_13).arch(arch).sub_buffers(65536, 2).overwrite(true);
        check(
            &tracer.events(3000).crash(Crash::Reserved).build(),
            Release::V2_13,
            Routes::ALL,
            "large pages",
        );
    }
}

/// Removes a page of the packet from the core: what lies before it is kept, whole events only.
#[test]
fn packets_with_holes() {
    for (release, bits, endian) in [
        (Release::V2_0, 64, Endian::Little),
        (Release::V2_5, 32, Endian::Big),
        (Release::V2_8, 64, Endian::Big),
        (Release::V2_14, 64, Endian::Little),
    ] {
        let tracer = Tracer::new(release).machine(bits, endian).sub_buffers(16384, 4).events(700);
        let dead = tracer.crash(Crash::Reserved).build();
        let truths = &dead.sessions[0].channels[0].streams[0].packets;
        let whole = with_first_stream(&dead.kernel, |session, stream, kernel| {
            let mut recorder = session.recorder(kernel, &session.channels()[0], stream);
            let packets = stream.packets().iter().map(|packet| {
                let record = recorder.record(packet);
                events(session, record.bytes, record.header.as_ref().unwrap())
            });
            packets.collect::<Vec<_>>()
        });
        let last = truths.len() - 1;
        for (nth, page) in [(0, 0), (0, 1), (0, 2), (0, 3), (last, 0), (last, 1), (last, 2), (last, 3)] {
            let truth = &truths[nth];
            let Some(bytes) = truth.valid.get(page * 4096..).filter(|rest| rest.len() > 64) else { continue };
            let mut torn = dead.kernel.clone();
            let place = find(&torn, &bytes[..bytes.len().min(4096)]);
            torn.memory_mut().remove(place).unwrap();
            with_first_stream(&torn, |session, stream, kernel| {
                let label = format!("{release:?}, packet {nth}, page {page}");
                let channel = &session.channels()[0];
                let mut recorder = session.recorder(kernel, channel, stream).count_events(true);
                let record = recorder.record(&stream.packets()[nth]);
                adds_up(&record);
                assert!(record.notes.iter().any(|note| matches!(note.kind, NoteKind::Hole(_))), "{label}");
                assert!(record.unreadable > 0, "{label}: {:?}", record.notes);
                if page == 0 {
                    assert!(record.bytes.is_empty(), "{label}");
                    return;
                }
                let valid = usize::try_from(record.valid).unwrap();
                assert!(valid <= page * 4096 && valid + 100 > page * 4096, "{label}: {valid}");
                let header_len = channel.layout().unwrap().len();
                assert!(record.bytes[header_len..valid] == truth.valid[header_len..valid], "{label}");
                let kept = events(session, record.bytes, record.header.as_ref().unwrap());
                assert_eq!(record.events, Some(kept.len() as u64), "{label}");
                assert!(!kept.is_empty() && whole[nth].starts_with(&kept), "{label}");
            });
        }
    }
}

/// Before 2.4.2 no counter tells how far an open packet is committed without a gap: its events are walked over.
#[test]
fn events_that_old_counters_do_not_vouch_for() {
    let mut recovered = 0;
    for release in [Release::V2_0, Release::V2_1, Release::V2_3] {
        for (crash, events) in
            [(Crash::Reserved, 70), (Crash::Nested, 70), (Crash::Nested, 700), (Crash::LeftBehind, 700)]
        {
            for seed in 1..9 {
                let tracer = Tracer::new(release).overwrite(true).crash(crash).events(events).seed(seed);
                let dead = tracer.build();
                check(&dead, release, Routes::ALL, &format!("{release:?}, {crash:?}, {events}, seed {seed}"));
                let streams = &dead.sessions[0].channels[0].streams;
                let packets =
                    streams.iter().flat_map(|stream| &stream.packets).filter(|packet| !packet.closed);
                recovered += packets.map(|packet| packet.decodable_events - packet.events).sum::<u64>();
            }
        }
    }
    assert!(recovered > 1000, "{recovered}");
}

/// That the tracer's types are missing is told where its modules are loaded, and nowhere else.
#[test]
fn types_are_missed_only_where_the_tracer_is() {
    let dead = Tracer::new(Release::V2_13).machine(32, Endian::Little).build().kernel;
    let types = synth::isf::json(&dead).replace("lttng_kernel_session_private", "other_session");
    // As for modules, whose symbols are known by their modules only.
    let types = types.replace("lttng-events", "other-events");
    let damage = |dead: &DeadKernel| {
        let core = synth::core::Elf::kdump().write(dead).bytes();
        let kernel = open_with(core, types.clone());
        assert!(kernel.sessions(Routes::ALL).sessions.is_empty());
        kernel.sessions(Routes::ALL).damage.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let [missing] = &damage(&dead)[..] else { panic!("{:?}", damage(&dead)) };
    assert!(missing.starts_with("types of the tracer: debug information lacks"), "{missing}");

    let mut without = dead.clone();
    let name = b"lttng_tracer";
    let places: Vec<(u64, usize)> = without
        .memory()
        .pages()
        .flat_map(|(pfn, page)| {
            let starts = page.windows(name.len()).enumerate().filter(|(_, window)| *window == name);
            starts.map(move |(at, _)| (pfn, at)).collect::<Vec<_>>()
        })
        .collect();
    for (pfn, at) in places {
        without.memory_mut().page_mut(pfn)[at..at + 5].copy_from_slice(b"other");
    }
    assert_eq!(damage(&without), [""; 0]);
}

/// A packet that was left unfinished, with others after it that were finished: its end and its count of dropped events are not those
/// of the crash.
#[test]
fn a_packet_left_long_ago() {
    let dead = Tracer::new(Release::V2_13).events(300).build();
    let truth = &dead.sessions[0].channels[0].streams[0];
    assert!(truth.packets.len() > 2 && truth.packets[1].closed && truth.packets[0].position == 0);
    let ends = with_first_stream(&dead.kernel, |session, stream, kernel| {
        let channel = &session.channels()[0];
        let mut recorder = session.recorder(kernel, channel, stream);
        let record = recorder.record(&stream.packets()[0]);
        let mut decoder = Decoder::new(session.class().unwrap(), record.bytes).unwrap();
        let mut ends = Vec::new();
        while decoder.next().is_some() {
            ends.push(decoder.position().offset / 8);
        }
        ends
    });
    let committed = ends[ends.len() / 2];
    let mut kernel = dead.kernel.clone();
    let [hot, cold, ..] = truth.tables;
    kernel.poke_bytes(hot, &[committed.to_le_bytes(), committed.to_le_bytes()].concat());
    kernel.poke_bytes(cold, &0_u64.to_le_bytes());
    kernel.poke(truth.address, "lttng_kernel_ring_buffer", "records_lost_full", 50);
    with_first_stream(&kernel, |session, stream, kernel| {
        let mut recorder = session.recorder(kernel, &session.channels()[0], stream).count_events(true);
        let packets = stream.packets();
        assert_eq!(packets[0].state(), State::Stalled);
        let record = recorder.record(&packets[0]);
        adds_up(&record);
        assert_eq!((record.valid, record.lost), (committed, 4096 - committed));
        assert_eq!(record.events, Some(ends.len() as u64 / 2 + 1));
        let left = record.header.unwrap();
        let next = recorder.record(&packets[1]).header.unwrap();
        assert_eq!((left.events_discarded, next.events_discarded), (Some(0), Some(0)));
        assert_eq!(left.timestamp_end, next.timestamp_begin);
        let newest = recorder.record(packets.last().unwrap()).header.unwrap();
        assert_eq!(newest.events_discarded, Some(50));
    });
}

/// Pages that the dump's filter left out are taken for the zeros they were, as far as events can be decoded from them.
#[test]
fn pages_that_were_filtered_out() {
    let tracer = Tracer::new(Release::V2_13).sub_buffers(16384, 4).events(700).crash(Crash::Reserved);
    let dead = tracer.build();
    let truth = &dead.sessions[0].channels[0].streams[0].packets[0];
    let place = find(&dead.kernel, &truth.valid[4096..8192]);
    let core = synth::core::Kdump::new(synth::core::Codec::Zlib).exclude([place]).write(&dead.kernel).bytes();
    let kernel = open_core(&dead.kernel, core);
    let sessions = kernel.sessions(Routes::ALL);
    let session = &sessions.sessions[0];
    let channel = &session.channels()[0];
    let mut recorder = session.recorder(&kernel, channel, &channel.streams()[0]).count_events(true);
    let record = recorder.record(&channel.streams()[0].packets()[0]);
    adds_up(&record);
    let hole = |note: &analyser::lttng::Note| matches!(&note.kind, NoteKind::Hole(hole) if hole.zero_filled && hole.range == (4096..8192));
    assert!(record.notes.iter().any(hole), "{:?}", record.notes);
    // These were no zeros: what could be decoded before them is kept.
    let valid = usize::try_from(record.valid).unwrap();
    assert!((4000..4200).contains(&valid) && record.unreadable > 8000, "{valid}");
    let kept = events(session, record.bytes, record.header.as_ref().unwrap());
    assert_eq!(record.events, Some(kept.len() as u64));
}

/// Opens a kernel and does something with the first stream in it.
fn with_first_stream<R>(dead: &DeadKernel, act: impl FnOnce(&Session, &Stream, &Kernel) -> R) -> R {
    let kernel = open(dead);
    let sessions = kernel.sessions(Routes::ALL);
    let session = &sessions.sessions[0];
    act(session, &session.channels()[0].streams()[0], &kernel)
}

/// Number of the page frame that begins with these bytes.
fn find(kernel: &DeadKernel, bytes: &[u8]) -> u64 {
    let mut found = kernel.memory().pages().filter(|(_, page)| page.starts_with(bytes)).map(|(pfn, _)| pfn);
    let pfn = found.next().unwrap();
    assert_eq!(found.next(), None, "the page is not the only one of its content");
    pfn
}
