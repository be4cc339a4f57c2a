//! Whole walks over synthetic kernels of every release of LTTng 2.x, against what the simulated tracer says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod target;

use proptest::prelude::*;
use relaywalk::lttng::{ChannelKind, Header, Layouts, Packet, Session, Walk, walk};
use relaywalk::{Options, Routes, State, Target};
use synth::lttng::{Crash, DeadTracer, PacketTruth, Reader, Release, StreamTruth, Tracer};
use synth::{Arch, Endian};
use target::{Dead, Known};

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

fn by(routes: Routes) -> Options {
    Options { routes }
}

fn read(target: &Dead<'_>, packet: &Packet) -> Vec<u8> {
    let mut bytes = vec![0; packet.used as usize];
    assert_eq!(packet.pages.read(target, 0, &mut bytes), []);
    bytes
}

fn state(state: synth::lttng::State) -> State {
    match state {
        synth::lttng::State::Consumed => State::Consumed,
        synth::lttng::State::Ready => State::Ready,
        synth::lttng::State::Open => State::Open,
        synth::lttng::State::Stalled => State::Stalled,
    }
}

fn check_packet(target: &Dead<'_>, found: &Packet, truth: &PacketTruth, numbered: bool) {
    let at = format!("position {:#x}", truth.position);
    assert_eq!(found.position, truth.position, "{at}");
    assert_eq!(found.state, state(truth.state), "{at}");
    assert_eq!(found.closed, truth.closed, "{at}");
    assert_eq!(found.reader_held, truth.held, "{at}");
    assert_eq!(found.reserved, truth.reserved, "{at}");
    assert_eq!(found.used, truth.valid.len() as u64, "{at}");
    assert_eq!(found.header, if truth.valid.is_empty() { Header::None } else { Header::Intact }, "{at}");
    assert_eq!(found.sequence, numbered.then_some(truth.sequence), "{at}");
    assert_eq!(read(target, found), truth.valid, "{at}");
}

fn check_session<'w>(target: &Dead<'_>, walk: &'w Walk, named: bool) -> &'w Session {
    let truth = &target.tracer.sessions[0];
    assert_eq!(walk.sessions.len(), 1, "{:?}", walk.damage);
    let session = &walk.sessions[0];
    assert_eq!(session.uuid, Some(truth.uuid));
    if let Some(metadata) = &session.metadata {
        assert_eq!(metadata.text, truth.metadata.as_bytes());
        assert_eq!(metadata.complete_len(), truth.metadata.len());
    }
    if named {
        assert_eq!(session.name, truth.name.as_bytes());
    }
    let channel = session.channels.iter().find(|channel| channel.kind == ChannelKind::Data).unwrap();
    let expected = &truth.channels[0];
    assert_eq!(
        (channel.ring.0, channel.overwrite, channel.subbuffer_size, channel.n_subbuffers),
        (expected.ring, expected.overwrite, expected.subbuffer_size, expected.n_subbuffers)
    );
    assert_eq!(channel.id, Some(expected.id));
    assert_eq!(channel.streams.len(), expected.streams.len());
    for (stream, truth) in channel.streams.iter().zip(&expected.streams) {
        let StreamTruth { cpu, address, write, consumed, lost_full, .. } = *truth;
        assert_eq!((stream.cpu, stream.address.0), (cpu, address));
        assert_eq!((stream.write_position, stream.consumed_position), (write, consumed));
        assert_eq!((stream.lost_full, stream.last_timestamp), (lost_full, Some(truth.last_timestamp)));
        let positions = |packets: &[Packet]| packets.iter().map(|packet| packet.position).collect::<Vec<_>>();
        let planted: Vec<u64> = truth.packets.iter().map(|packet| packet.position).collect();
        assert_eq!(positions(&stream.packets), planted, "{:?}", stream.damage);
        let numbered = stream.packets.iter().any(|packet| packet.sequence.is_some());
        for (packet, truth) in stream.packets.iter().zip(&truth.packets) {
            check_packet(target, packet, truth, numbered);
        }
        assert_eq!(stream.damage, []);
    }
    session
}

/// The walk must list exactly what was planted.
fn check(dead: &DeadTracer, release: Release) {
    let target = Dead::new(dead, Known::Everything);
    let walk = walk(&target, &Options::default());
    assert_eq!(walk.damage, []);
    assert_eq!(walk.layouts, Layouts::DebugInformation);
    let session = check_session(&target, &walk, release >= Release::V2_11);
    assert!(session.active && session.found_by.contains(Routes::LIST | Routes::OPEN_FILES));
    assert_eq!(session.address.0, dead.sessions[0].address);
    assert_eq!(session.metadata.is_some(), release >= Release::V2_3);
    let channel = session.channels.iter().find(|channel| channel.kind == ChannelKind::Data).unwrap();
    assert!(channel.streams.iter().all(|stream| stream.found_by.contains(Routes::OPEN_FILES)));
    let numbered = channel.streams[0].packets.iter().all(|packet| packet.sequence.is_some());
    assert_eq!(numbered, release >= Release::V2_8);
    if channel.streams[0].cpu.is_some() {
        assert_eq!(channel.name.as_deref(), Some(&b"chan"[..]));
        assert_eq!(session.directory, Some(vec![b"lttng-s1".to_vec(), b"kernel".to_vec()]));
        let output = channel.streams[1].output.as_ref().unwrap();
        assert_eq!(output.path, [&b"lttng-s1"[..], b"kernel", b"chan_1"]);
    }
    let metadata = session.channels.iter().find(|channel| channel.kind == ChannelKind::Metadata).unwrap();
    let stream = &metadata.streams[0];
    assert_eq!((metadata.streams.len(), stream.cpu, metadata.id), (1, None, Some(1)));
    if release < Release::V2_3 {
        let packets = stream.packets.iter().flat_map(|packet| read(&target, packet)[37..].to_vec());
        assert_eq!(packets.collect::<Vec<u8>>(), dead.sessions[0].metadata.as_bytes());
    }
}

#[test]
fn every_release_on_every_machine() {
    for release in Release::ALL {
        for (bits, endian) in
            [(64, Endian::Little), (64, Endian::Big), (32, Endian::Little), (32, Endian::Big)]
        {
            for overwrite in [false, true] {
                for crash in CRASHES {
                    let tracer = Tracer::new(release).machine(bits, endian).overwrite(overwrite);
                    check(&tracer.events(60).crash(crash).build(), release);
                }
                let wrapped = Tracer::new(release).machine(bits, endian).overwrite(overwrite).events(500);
                check(&wrapped.clone().build(), release);
                check(&wrapped.reader(Reader::Keeps(1)).mapped(true).build(), release);
            }
        }
    }
}

#[test]
fn readers_of_every_kind() {
    for release in [Release::V2_3, Release::V2_8, Release::V2_13] {
        for overwrite in [false, true] {
            for mapped in [false, true] {
                for reader in [Reader::Holds, Reader::Overtaken, Reader::Keeps(0), Reader::Keeps(2)] {
                    let tracer = Tracer::new(release).overwrite(overwrite).mapped(mapped).events(150);
                    let dead = tracer.reader(reader).build();
                    check(&dead, release);
                    let packets = &dead.sessions[0].channels[0].streams[0].packets;
                    let holds = matches!(reader, Reader::Holds | Reader::Overtaken);
                    assert_eq!(packets.iter().any(|packet| packet.held), holds);
                }
            }
        }
    }
}

#[test]
fn positions_wrap_at_two_to_the_32() {
    for release in [Release::V2_5, Release::V2_8, Release::V2_14] {
        for overwrite in [false, true] {
            let mut wrapped = [false; 2];
            for before in 0..10 {
                let tracer = Tracer::new(release).machine(32, Endian::Little).overwrite(overwrite);
                let tracer = tracer.start((1 << 32) - 0x8000).events(600 + 40 * before).mapped(true);
                let dead = tracer.reader(Reader::Keeps(1)).crash(Crash::Reserved).build();
                check(&dead, release);
                for packet in &dead.sessions[0].channels[0].streams[0].packets {
                    wrapped[usize::from(packet.sequence >= 1 << 20)] = true;
                }
            }
            assert_eq!(wrapped, [true; 2]);
        }
    }
}

#[test]
fn one_buffer_for_all_cpus_and_masks_in_place() {
    for release in [Release::V2_0, Release::V2_11, Release::V2_14] {
        check(&Tracer::new(release).global(true).overwrite(true).build(), release);
        check(&Tracer::new(release).offstack(false).build(), release);
    }
}

#[test]
fn large_pages_and_large_sub_buffers() {
    for arch in [Arch::AArch64Page16K, Arch::AArch64Page64K, Arch::X86_64Kaslr] {
        for release in [Release::V2_3, Release::V2_13] {
            let tracer = Tracer::new(release).arch(arch).sub_buffers(65536, 2).overwrite(true).events(3000);
            check(&tracer.build(), release);
        }
    }
}

#[test]
fn without_the_trace_list_the_open_files_lead_to_everything() {
    for release in Release::ALL {
        let dead = Tracer::new(release).overwrite(true).events(300).build();
        let target = Dead::new(&dead, Known::Everything);
        let walk = walk(&target, &by(Routes::OPEN_FILES));
        assert_eq!(walk.damage, []);
        let session = check_session(&target, &walk, release >= Release::V2_11);
        assert_eq!(session.found_by, Routes::OPEN_FILES);
    }
}

#[test]
fn sessions_being_destroyed_survive_in_the_daemons_files() {
    for release in Release::ALL {
        let dead = Tracer::new(release).events(100).listed(false).build();
        let target = Dead::new(&dead, Known::Everything);
        let walk = walk(&target, &Options::default());
        let session = check_session(&target, &walk, false);
        assert!(session.address.is_null() && session.channels[0].address.is_null());
        assert_eq!(session.metadata.is_some(), release >= Release::V2_3);
    }
}

#[test]
fn without_symbols_the_list_is_searched_for() {
    for release in Release::ALL {
        let dead = Tracer::new(release).build();
        let target = Dead::new(&dead, Known::TypesOnly);
        let walk = walk(&target, &by(Routes::LIST));
        assert_eq!(walk.damage, []);
        check_session(&target, &walk, release >= Release::V2_11);
    }
}

#[test]
fn stripped_modules_are_read_by_known_layouts() {
    for (release, name) in [
        (Release::V2_0, "2.0 to 2.2"),
        (Release::V2_1, "2.0 to 2.2"),
        (Release::V2_3, "2.3 to 2.7"),
        (Release::V2_5, "2.3 to 2.7"),
        (Release::V2_8, "2.8 to 2.10"),
        (Release::V2_11, "2.9.13 to 2.12"),
        (Release::V2_13, "2.13"),
        (Release::V2_14, "2.14 to 2.16"),
    ] {
        for endian in [Endian::Little, Endian::Big] {
            for (overwrite, reader) in
                [(false, Reader::Absent), (true, Reader::Absent), (true, Reader::Holds)]
            {
                let tracer = Tracer::new(release).machine(64, endian).overwrite(overwrite).events(300);
                let dead = tracer.reader(reader).crash(Crash::Reserved).build();
                for known in [Known::SymbolsOnly, Known::ModulesOnly] {
                    let target = Dead::new(&dead, known);
                    let walk = walk(&target, &by(Routes::LIST));
                    assert_eq!(walk.layouts, Layouts::Fixed(name), "{:?}", walk.damage);
                    assert_eq!(walk.damage, []);
                    check_session(&target, &walk, false);
                }
            }
        }
    }
}

#[test]
fn layouts_of_no_release_are_not_forced_on_a_kernel() {
    // Nothing of the session and its channel is as it should be.
    let mut dead = Tracer::new(Release::V2_13).build();
    let (session, ring) = (dead.sessions[0].address, dead.sessions[0].channels[0].ring);
    for at in [session, ring] {
        dead.kernel.poke_bytes(at, &[0x41; 200]);
    }
    let walk = walk(&Dead::new(&dead, Known::SymbolsOnly), &Options::default());
    let channels = walk.sessions.iter().flat_map(|session| &session.channels);
    assert_eq!(channels.filter(|channel| channel.kind == ChannelKind::Data).count(), 0);
    assert!(!walk.damage.is_empty());
}

#[test]
fn lost_pages_lose_what_was_on_them() {
    let mut dead = Tracer::new(Release::V2_13).overwrite(true).events(300).build();
    let stream = dead.sessions[0].channels[0].streams[0].clone();
    // The table of pages of one sub-buffer, and the first page of another.
    let shift = dead.kernel.facts().page_shift;
    let gone = dead.kernel.phys(stream.page_tables[1]) >> shift;
    dead.kernel.memory_mut().remove(gone);
    let target = Dead::new(&dead, Known::Everything);
    let found = walk(&target, &by(Routes::LIST));
    let streams = &found.sessions[0].channels.iter().find(|c| c.kind == ChannelKind::Data).unwrap().streams;
    assert_eq!(streams[0].packets.len() + 1, stream.packets.len());
    assert_eq!(streams[0].damage.len(), 1, "{:?}", streams[0].damage);
    assert_eq!(streams[1].packets.len(), dead.sessions[0].channels[0].streams[1].packets.len());

    let mut dead = Tracer::new(Release::V2_13).events(60).build();
    let target = Dead::new(&dead, Known::Everything);
    let found = walk(&target, &by(Routes::LIST));
    let channel = found.sessions[0].channels.iter().find(|c| c.kind == ChannelKind::Data).unwrap();
    let relaywalk::PageRef::Phys(page) = channel.streams[0].packets[0].pages.pages()[0] else { panic!() };
    dead.kernel.memory_mut().remove(page.0 >> shift);
    let target = Dead::new(&dead, Known::Everything);
    let found = walk(&target, &by(Routes::LIST));
    let channel = found.sessions[0].channels.iter().find(|c| c.kind == ChannelKind::Data).unwrap();
    assert_eq!(channel.streams[0].packets[0].header, Header::Unreadable);
}

#[test]
fn overwritten_headers_are_told() {
    let mut dead = Tracer::new(Release::V2_13).events(60).build();
    let address = {
        let target = Dead::new(&dead, Known::Everything);
        let found = walk(&target, &by(Routes::LIST));
        let channel = found.sessions[0].channels.iter().find(|c| c.kind == ChannelKind::Data).unwrap();
        let relaywalk::PageRef::Phys(page) = channel.streams[0].packets[0].pages.pages()[0] else { panic!() };
        page.0
    };
    // Another packet's number.
    dead.kernel.memory_mut().write(address + 64, &[9]);
    let target = Dead::new(&dead, Known::Everything);
    let found = walk(&target, &by(Routes::LIST));
    let stream = &found.sessions[0].channels.iter().find(|c| c.kind == ChannelKind::Data).unwrap().streams[0];
    assert_eq!(stream.packets[0].header, Header::Foreign);
    assert_eq!(stream.damage.len(), 1);
    assert!(
        stream.damage[0].to_string().contains("session \"s1\", channel 0, cpu 0, sub-buffer at position")
    );
}

#[test]
fn moved_consumed_position_does_not_hide_packets() {
    let mut dead = Tracer::new(Release::V2_13).events(150).build();
    let stream = dead.sessions[0].channels[0].streams[0].clone();
    dead.kernel.poke(stream.address, "lttng_kernel_ring_buffer", "consumed", 0x7777_0000);
    let target = Dead::new(&dead, Known::Everything);
    let found = walk(&target, &by(Routes::LIST));
    let channel = found.sessions[0].channels.iter().find(|c| c.kind == ChannelKind::Data).unwrap();
    assert_eq!(channel.streams[0].packets.len(), stream.packets.len());
    assert_eq!(channel.streams[0].damage.len(), 1);
}

/// A whole kernel of each kind, made once: mutations are undone by cloning.
fn kernels() -> &'static [DeadTracer] {
    static KERNELS: std::sync::OnceLock<Vec<DeadTracer>> = std::sync::OnceLock::new();
    KERNELS.get_or_init(|| {
        let tracer = |release| Tracer::new(release).events(200).overwrite(true).reader(Reader::Holds);
        [Release::V2_0, Release::V2_3, Release::V2_8, Release::V2_13, Release::V2_14]
            .map(|release| tracer(release).crash(Crash::LeftBehind).build())
            .to_vec()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Random words written over the objects: the walk ends, whatever it finds, and what it calls intact can be read.
    #[test]
    fn survives_scribbling(
        kernel in 0usize..5,
        stripped: bool,
        scribbles in prop::collection::vec((0usize..12, 0u64..48, any::<u64>(), 0u8..6), 1..10),
    ) {
        let mut dead = kernels()[kernel].clone();
        let session = &dead.sessions[0];
        let channel = &session.channels[0];
        let stream = &channel.streams[0];
        let mut objects = vec![session.address, channel.address, channel.ring, stream.address];
        objects.extend(stream.tables);
        objects.extend(&stream.page_tables);
        objects.push(dead.kernel.symbol("init_task"));
        for (object, word, value, kind) in scribbles {
            let object = objects[object % objects.len()];
            let at = object + word * 8;
            let value = match kind {
                0 => value,
                1 => objects[(value % objects.len() as u64) as usize],
                2 => value % 9000,
                3 => at,
                4 => 1 << (value % 64),
                _ => u64::MAX,
            };
            let phys = dead.kernel.phys(at);
            if dead.kernel.memory().page(phys >> 12).is_some() && phys % 4096 <= 4088 {
                dead.kernel.memory_mut().write(phys, &value.to_le_bytes());
            }
        }
        let known = if stripped { Known::ModulesOnly } else { Known::Everything };
        let target = Dead::new(&dead, known);
        let walk = walk(&target, &Options::default());
        for stream in walk.sessions.iter().flat_map(|s| &s.channels).flat_map(|c| &c.streams) {
            for packet in &stream.packets {
                prop_assert!(packet.used <= packet.pages.len());
                prop_assert_eq!(packet.pages.len() % target.page_size(), 0);
            }
            prop_assert!(stream.damage.len() <= 101);
        }
    }

    /// Any start, any mixture: exactly what was planted is found.
    #[test]
    fn finds_what_was_planted(
        release in 0usize..8, overwrite: bool, mapped: bool, wide: bool, big: bool,
        events in 0u64..700, crash in 0usize..8, reader in 0u64..6, seed: u64, order in 1u32..4,
    ) {
        let release = Release::ALL[release];
        let endian = if big { Endian::Big } else { Endian::Little };
        let reader = match reader {
            0 => Reader::Absent,
            1 => Reader::Holds,
            2 => Reader::Overtaken,
            keep => Reader::Keeps(keep - 3),
        };
        let tracer = Tracer::new(release).machine(if wide { 64 } else { 32 }, endian);
        let tracer = tracer.overwrite(overwrite).mapped(mapped).sub_buffers(4096, 1 << order);
        check(&tracer.events(events).crash(CRASHES[crash]).reader(reader).seed(seed >> 16).build(), release);
    }
}
