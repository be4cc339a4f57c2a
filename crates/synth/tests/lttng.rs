//! Kernels with LTTng 2.x sessions can be built, twice the same, for every release, and written as core and type files.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use synth::lttng::{Crash, Reader, Release, State, Tracer};
use synth::{Endian, core, isf};

#[test]
fn every_release_can_be_built_and_written() {
    for release in Release::ALL {
        for (bits, endian) in [(64, Endian::Little), (32, Endian::Big)] {
            let tracer = Tracer::new(release).machine(bits, endian).overwrite(true).events(200);
            let (one, two) = (tracer.build(), tracer.build());
            assert_eq!(one.sessions, two.sessions);
            let file = core::Elf::kdump().write(&one.kernel);
            assert_eq!(file.len(), core::Elf::kdump().write(&two.kernel).len());
            let types = isf::json(&one.kernel);
            assert!(types.contains("commit_counters_hot") && types.contains("\"sessions"));
            assert!(one.kernel.modules().iter().any(|module| module.name == "lttng_tracer"));
        }
    }
}

#[test]
fn readers_and_crashes_leave_what_their_names_say() {
    let tracer = |crash| Tracer::new(Release::V2_13).events(150).crash(crash);
    let states = |tracer: &Tracer| -> Vec<State> {
        let dead = tracer.build();
        dead.sessions[0].channels[0].streams[0].packets.iter().map(|packet| packet.state).collect()
    };
    assert!(states(&tracer(Crash::Quiet)).ends_with(&[State::Ready, State::Open]));
    assert!(states(&tracer(Crash::LeftBehind)).ends_with(&[State::Stalled, State::Open]));
    assert!(states(&tracer(Crash::Flushed)).ends_with(&[State::Ready]));
    let kept = tracer(Crash::Quiet).reader(Reader::Keeps(0));
    assert_eq!(states(&kept), [State::Open]);
    assert_eq!(states(&kept.mapped(true)).first(), Some(&State::Consumed));
    let dead = tracer(Crash::Delivering).build();
    let last = dead.sessions[0].channels[0].streams[0].packets.last().unwrap().clone();
    assert!(!last.closed && last.state == State::Ready);
    let held = Tracer::new(Release::V2_13).overwrite(true).events(150).reader(Reader::Overtaken).build();
    let stream = &held.sessions[0].channels[0].streams[0];
    assert!(stream.packets[0].held && stream.packets[0].position < stream.consumed);
}
