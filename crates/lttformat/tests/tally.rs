//! Counting finds exactly what decoding finds, whatever the bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod writer;

use lttformat::ltt::{Channel, Decoder, Header, Markers, Tally, tally};
use proptest::prelude::*;
use proptest::sample::Index;
use writer::{Machine, MarkerSpec, Writer, machine, markers, values};

const CHANNELS: [Channel<'static>; 3] = [Channel::Data(b"kernel"), Channel::Compact, Channel::Metadata];

/// Which marker, seed of the values, time since the last event, form of the header.
type Step = (Index, u64, u64, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let delta = prop_oneof![8 => 0..1_u64 << 26, 1 => 0..1_u64 << 40, 2 => Just(0)];
    let form = prop::sample::select(vec![0, 0, 0, 0, 29, 30, 31]);
    prop::collection::vec((any::<Index>(), any::<u64>(), delta, form), 0..80)
}

/// A tracer's sub-buffers: metadata, and data written by its markers.
fn written() -> impl Strategy<Value = (Machine, Vec<MarkerSpec>, Vec<Step>)> {
    // Ids of few bits and of many, known to the tables of ids and not.
    let specs = machine().prop_flat_map(|machine| {
        let ids = prop_oneof![3 => Just(2..29), 2 => Just(2..300), 1 => Just(200..2000)];
        (Just(machine), ids.prop_flat_map(move |ids| markers(machine, ids)))
    });
    (specs, any::<bool>(), steps()).prop_map(|((machine, specs), capped, steps)| {
        (Machine { capped: capped && machine.version == (2, 4), ..machine }, specs, steps)
    })
}

fn write(machine: Machine, specs: &[MarkerSpec], steps: &[Step]) -> [Vec<u8>; 2] {
    let mut metadata = Writer::new(machine, 0);
    specs.iter().for_each(|spec| metadata.announce("kernel", spec, false));
    let mut data = Writer::new(machine, 0x1_2345_6789);
    for (pick, seed, delta, form) in steps {
        let spec = pick.get(specs);
        data.event(spec, &values(spec, *seed), data.now + delta, *form, false);
    }
    [data.bytes, metadata.bytes]
}

fn decoded(bytes: &[u8], header: &Header, used: u64, channel: Channel<'_>, markers: &Markers) -> Tally {
    let mut tally =
        Tally { events: 0, unknown: 0, end: header.len(), first_time: None, last_time: None, stop: None };
    for event in Decoder::new(bytes, header, used, channel, markers) {
        match event {
            Ok(event) => {
                tally.events += 1;
                tally.unknown += u64::from(event.marker.is_none());
                tally.end = event.end;
                tally.first_time = tally.first_time.or(Some(event.tsc));
                tally.last_time = Some(event.tsc);
            }
            Err(stop) => tally.stop = Some(stop),
        }
    }
    tally
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn sub_buffers_as_written((machine, specs, steps) in written(), used: Index) {
        let [data, metadata] = write(machine, &specs, &steps);
        let header = Header::parse(&data).unwrap();
        let mut markers = Markers::new(&header);
        let _ = markers.learn(&Header::parse(&metadata).unwrap(), &metadata, metadata.len() as u64);
        for used in [data.len(), used.index(data.len() + 1)].map(|used| used as u64) {
            for channel in CHANNELS {
                let ours = tally(&data, &header, used, channel, &markers);
                prop_assert_eq!(ours, decoded(&data, &header, used, channel, &markers));
            }
        }
        // 1.0 needs heartbeats where time jumps; by which of its two rules 2.4 was written may not show.
        if machine.version != (1, 0) && !machine.capped {
            let whole = tally(&data, &header, data.len() as u64, CHANNELS[0], &markers);
            prop_assert_eq!(whole.events, steps.len() as u64);
        }
    }

    #[test]
    fn damaged_sub_buffers(
        (machine, specs, steps) in written(),
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 1..12),
        metadata_damage in prop::option::weighted(0.3, (any::<Index>(), any::<u8>())),
        tail in prop::collection::vec(any::<u8>(), 0..64),
        used in prop_oneof![any::<u64>(), Just(u64::MAX)],
    ) {
        let [mut data, mut metadata] = write(machine, &specs, &steps);
        data.extend(tail);
        for (bytes, damage) in [(&mut data, damage), (&mut metadata, metadata_damage.into_iter().collect())] {
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        let (Ok(header), Ok(metadata_header)) = (Header::parse(&data), Header::parse(&metadata)) else {
            return Ok(());
        };
        let mut markers = Markers::new(&metadata_header);
        let _ = markers.learn(&metadata_header, &metadata, metadata.len() as u64);
        for channel in CHANNELS {
            let ours = tally(&data, &header, used, channel, &markers);
            prop_assert_eq!(ours, decoded(&data, &header, used, channel, &markers));
        }
    }

    /// Any bytes behind a header.
    #[test]
    fn noise((machine, specs, _) in written(), noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let [mut data, metadata] = write(machine, &specs, &[]);
        data.extend(noise);
        let header = Header::parse(&data).unwrap();
        let mut markers = Markers::new(&header);
        let _ = markers.learn(&header, &metadata, metadata.len() as u64);
        for channel in CHANNELS {
            let ours = tally(&data, &header, u64::MAX, channel, &markers);
            prop_assert_eq!(ours, decoded(&data, &header, u64::MAX, channel, &markers));
        }
    }
}
