//! What a tracer writes is what the decoder returns, for every format, byte order, word size and alignment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod writer;

use lttformat::ltt::{Channel, Decoder, Event, Header, Markers, Tally, Value, tally};
use proptest::prelude::*;
use writer::{Datum, FieldSpec, Machine, MarkerSpec, Writer, Written, machine, markers, values};

/// One event to write: which marker, seed of its values, time since the last, form of its header.
type Step = (prop::sample::Index, u64, u64, u8);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let near = 0..1_u64 << 26;
    let delta = prop_oneof![8 => near, 1 => 0..1_u64 << 40, 2 => Just(0)];
    let form = prop::sample::select(vec![0, 0, 0, 29, 30, 31]);
    prop::collection::vec((any::<prop::sample::Index>(), any::<u64>(), delta, form), 0..60)
}

fn learnt(machine: Machine, channel: &str, specs: &[MarkerSpec], format_first: bool) -> Markers {
    let mut metadata = Writer::new(machine, 1 << 40);
    for spec in specs {
        metadata.announce(channel, spec, format_first);
    }
    let header = Header::parse(&metadata.bytes).unwrap();
    let mut markers = Markers::new(&header);
    let used = metadata.bytes.len();
    let tally = markers.learn(&header, &metadata.bytes, used as u64);
    assert_eq!((tally.stop, tally.end, tally.events), (None, used, 2 * specs.len() as u64));
    assert_eq!(markers.len(), specs.len());
    markers
}

fn returned(event: &Event<'_>, previous_end: usize) -> Written {
    let value = |value: Value<'_>| match value {
        Value::U64(value) => Datum::Int(i128::from(value)),
        Value::I64(value) => Datum::Int(i128::from(value)),
        Value::Str(text) => Datum::Text(text.to_vec()),
    };
    let values = event.fields().map(|(_, field)| value(field)).collect();
    Written { id: event.id, tsc: event.tsc, values, slot: previous_end..event.end }
}

fn assert_decodes(writer: &Writer, channel: Channel<'_>, markers: &Markers) {
    let header = Header::parse(&writer.bytes).unwrap();
    let used = writer.bytes.len();
    let mut end = header.len();
    let mut decoded = Vec::new();
    for event in Decoder::new(&writer.bytes, &header, used as u64, channel, markers) {
        let event = event.unwrap();
        decoded.push(returned(&event, end));
        assert!(end <= event.start && event.start < event.payload.start && event.payload.end == event.end);
        end = event.end;
    }
    assert_eq!(decoded, writer.written);
    let tally = tally(&writer.bytes, &header, used as u64, channel, markers);
    assert_eq!((tally.events, tally.end, tally.stop), (writer.written.len() as u64, used, None));
    assert_eq!(tally.last_time, writer.written.last().map(|event| event.tsc));
}

fn short(machine: Machine, specs: &[MarkerSpec], steps: &[Step]) -> Writer {
    let mut writer = Writer::new(machine, 0x1_2345_6789);
    for (pick, seed, delta, form) in steps {
        let spec = pick.get(specs);
        writer.event(spec, &values(spec, *seed), writer.now + delta, *form, false);
    }
    writer
}

proptest! {
    #[test]
    fn formats_2_0_to_2_6(
        (machine, specs) in machine()
            .prop_filter("2.x", |machine| machine.version.0 == 2)
            .prop_flat_map(|machine| (Just(machine), prop_oneof![markers(machine, 2..29), markers(machine, 2..1000)])),
        steps in steps(),
        format_first: bool,
    ) {
        let markers = learnt(machine, "kernel", &specs, format_first);
        let writer = short(machine, &specs, &steps);
        assert_decodes(&writer, Channel::Data(b"kernel"), &markers);
    }

    /// Which of its two rules 2.4 follows on 32 bits shows only in what decodes; a short sub-buffer may decode by both.
    #[test]
    fn the_other_rule_of_2_4(
        (machine, specs) in machine()
            .prop_map(|machine| Machine { version: (2, 4), pointer: 4, aligned: true, capped: true, ..machine })
            .prop_flat_map(|machine| (Just(machine), markers(machine, 2..29))),
        steps in steps(),
    ) {
        let markers = learnt(machine, "kernel", &specs, false);
        let writer = short(machine, &specs, &steps);
        let header = Header::parse(&writer.bytes).unwrap();
        let used = writer.bytes.len();
        let tally = tally(&writer.bytes, &header, used as u64, Channel::Data(b"kernel"), &markers);
        prop_assert_eq!((tally.end, tally.stop), (used, None));
    }

    #[test]
    fn format_1_0(
        (machine, specs) in machine()
            .prop_map(|machine| Machine { version: (1, 0), ..machine })
            .prop_flat_map(|machine| (Just(machine), markers(machine, 128..2000))),
        steps in steps(),
    ) {
        let markers = learnt(machine, "", &specs, false);
        let mut writer = Writer::new(machine, 0x1_2345_6789);
        for (pick, seed, delta, _) in &steps {
            let tsc = writer.now + delta;
            if machine.heartbeat && *delta >= 1 << 32 {
                writer.heartbeat(tsc, false);
            }
            let spec = pick.get(&specs);
            writer.event(spec, &values(spec, *seed), tsc, 0, false);
        }
        assert_decodes(&writer, Channel::Data(b"cpu"), &markers);
        // Every event says its size, so that they can be told apart without their markers.
        let header = Header::parse(&writer.bytes).unwrap();
        let used = writer.bytes.len() as u64;
        let count = |markers: &Markers| tally(&writer.bytes, &header, used, Channel::Data(b"cpu"), markers);
        let (passed, known) = (count(&Markers::new(&header)), count(&markers));
        let heartbeats = writer.written.iter().filter(|event| event.id == 3).count();
        prop_assert_eq!((passed.unknown, known.unknown), (known.events - heartbeats as u64, 0));
        prop_assert_eq!(Tally { unknown: 0, ..passed }, known);
    }

    #[test]
    fn compact_channel(
        (machine, specs) in machine()
            .prop_map(|machine| Machine { version: (1, 0), heartbeat: true, ..machine })
            .prop_flat_map(|machine| (Just(machine), markers(machine, 8..128))),
        steps in steps(),
        flagged: u8,
    ) {
        let (tscbits, shift, truncated) = machine.compact;
        let specs: Vec<_> = specs.into_iter().map(|mut spec| {
            if spec.id % 8 < u16::from(flagged % 8) {
                spec.fields.insert(0, FieldSpec { conversion: "", size: 4, signed: false, network: false });
                spec.data_in_header = true;
            }
            spec
        }).collect();
        let markers = learnt(machine, "", &specs, false);
        let mut writer = Writer::new(machine, 0x1_2345_6780 >> truncated << truncated);
        for (pick, seed, delta, _) in &steps {
            let tsc = (writer.now + delta) >> truncated << truncated;
            if tsc - writer.now >= 1 << (tscbits + truncated) {
                writer.heartbeat(tsc, true);
            }
            let spec = pick.get(&specs);
            let mut values = values(spec, *seed);
            if let Some(Datum::Int(data)) = values.first_mut().filter(|_| spec.data_in_header) {
                *data &= (1_i128 << (32 - shift)) - 1;
            }
            writer.event(spec, &values, tsc, 0, true);
        }
        assert_decodes(&writer, Channel::Compact, &markers);
    }

    #[test]
    fn a_payload_too_big_for_a_short_size(big_endian: bool, len in 65_520..65_560_usize, form in 29..31_u8) {
        let machine = Machine {
            version: (2, 6), big_endian, pointer: 8, aligned: true, capped: false, heartbeat: false, compact: (0, 0, 0),
        };
        let string = FieldSpec { conversion: "%s", size: 0, signed: false, network: false };
        let spec = MarkerSpec { id: 7, fields: vec![string], aligned: true, data_in_header: false };
        let markers = learnt(machine, "fs", std::slice::from_ref(&spec), false);
        let mut writer = Writer::new(machine, 5);
        writer.event(&spec, &[Datum::Text(vec![b'x'; len])], 6, form, false);
        assert_decodes(&writer, Channel::Data(b"fs"), &markers);
    }
}
