//! Damaged and malicious input: nothing panics, everything ends, nothing exceeds what there is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod writer;

use lttformat::ltt::prefix::{Evidence, LastTsc, Stage, valid_prefix};
use lttformat::ltt::scan::{Piece, Scan, ScanOptions};
use lttformat::ltt::{Channel, Completion, Decoder, Header, Markers, complete, tally};
use proptest::prelude::*;
use writer::{Writer, machine, markers, values};

const CHANNELS: [Channel<'static>; 3] = [Channel::Metadata, Channel::Compact, Channel::Data(b"kernel")];

/// A sub-buffer with good events, some bytes of which are then overwritten; and metadata treated alike.
fn damaged() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let specs = machine().prop_flat_map(|machine| (Just(machine), markers(machine, 8..100)));
    let seeds = prop::collection::vec((any::<usize>(), any::<u64>(), 0..1_u64 << 27), 0..40);
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (specs, seeds, [damage.clone(), damage], 0..200_usize).prop_map(
        |((machine, specs), seeds, damage, tail)| {
            let mut metadata = Writer::new(machine, 0);
            specs.iter().for_each(|spec| metadata.announce("kernel", spec, false));
            let mut data = Writer::new(machine, 1 << 30);
            for (pick, seed, delta) in seeds {
                let spec = &specs[pick % specs.len()];
                data.event(spec, &values(spec, seed), data.now + delta, 0, false);
            }
            data.bytes.resize(data.bytes.len() + tail, 0);
            let mut both = [data.bytes, metadata.bytes];
            for (bytes, damage) in both.iter_mut().zip(damage) {
                for (place, byte) in damage {
                    let place = place.index(bytes.len());
                    bytes[place] = byte;
                }
            }
            let [data, metadata] = both;
            (data, metadata)
        },
    )
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let offset = || prop_oneof![4 => 0..2000_u64, 1 => any::<u64>()];
    let numbers = (offset(), offset(), prop::option::of(offset()));
    let times = (prop::option::of((any::<u64>(), any::<bool>())), prop::option::of(any::<u64>()));
    (any::<bool>(), numbers, times).prop_map(
        |(stalled, (reserved, committed, commit_seq), (last, not_after))| Evidence {
            stage: if stalled { Stage::Stalled } else { Stage::Open },
            reserved,
            committed,
            commit_seq,
            last_tsc: last.map(|(value, truncated)| LastTsc { value, truncated }),
            not_before: None,
            not_after,
        },
    )
}

proptest! {
    #[test]
    fn damaged_sub_buffers((data, metadata) in damaged(), evidence in evidence(), used: u64) {
        let (Ok(header), Ok(metadata_header)) = (Header::parse(&data), Header::parse(&metadata)) else {
            return Ok(());
        };
        let mut markers = Markers::new(&metadata_header);
        let learnt = markers.learn(&metadata_header, &metadata, metadata.len() as u64);
        prop_assert!(learnt.end <= metadata.len());
        for channel in CHANNELS {
            for used in [used, data.len() as u64] {
                let mut end = header.len();
                for event in Decoder::new(&data, &header, used, channel, &markers).filter_map(Result::ok) {
                    prop_assert!(end < event.end && event.end <= data.len());
                    prop_assert!(end <= event.start && event.start < event.payload.start);
                    prop_assert!(event.fields().count() <= event.marker.map_or(0, |marker| marker.fields().len()));
                    end = event.end;
                }
                let tally = tally(&data, &header, used, channel, &markers);
                prop_assert_eq!(tally.end, end);
            }
            let prefix = valid_prefix(&data, &header, channel, &markers, &evidence);
            prop_assert!(prefix.valid <= data.len() as u64);
            prop_assert!(prefix.valid == 0 || prefix.valid >= header.len() as u64);
            let bound = match evidence.stage {
                Stage::Open => evidence.reserved,
                Stage::Stalled => u64::MAX,
            };
            prop_assert!(prefix.valid <= evidence.committed.min(bound).max(header.used(data.len() as u64).unwrap_or(0)));
        }
    }

    #[test]
    fn completed_records_are_whole((data, metadata) in damaged(), evidence in evidence(), last_time: u64) {
        let (Ok(header), Ok(metadata_header)) = (Header::parse(&data), Header::parse(&metadata)) else {
            return Ok(());
        };
        let mut markers = Markers::new(&metadata_header);
        let _ = markers.learn(&metadata_header, &metadata, metadata.len() as u64);
        let size = 8192;
        let mut record = data;
        record.resize(size, 0x55);
        let prefix = valid_prefix(&record, &header, Channel::Data(b"kernel"), &markers, &evidence);
        let completion = Completion {
            valid: prefix.valid,
            last_time,
            subbuffer_size: size as u64,
            page_size: 4096,
            events_lost: 0,
            corrupted: 0,
        };
        if prefix.valid == 0 {
            prop_assert!(complete(&mut record, &completion).is_err());
            return Ok(());
        }
        let len = complete(&mut record, &completion).unwrap();
        prop_assert_eq!(record.len(), len);
        let file = record.repeat(3);
        let mut scan = Scan::new(&file, Channel::Data(b"other"), None, &ScanOptions::default());
        while let Some(piece) = scan.next().unwrap() {
            let Piece::Record(record) = piece else { panic!("{piece:?}") };
            prop_assert_eq!(record.used, prefix.valid);
        }
    }
}

/// The search for a gap may try every place, but does not decode the same events from each of them again.
#[test]
fn a_large_sub_buffer_that_fits_no_hypothesis_ends_soon() {
    let machine = writer::Machine {
        version: (2, 6),
        big_endian: false,
        pointer: 8,
        aligned: false,
        capped: false,
        heartbeat: false,
        compact: (0, 0, 0),
    };
    let spec = writer::MarkerSpec { id: 3, fields: Vec::new(), aligned: false, data_in_header: false };
    let mut metadata = Writer::new(machine, 0);
    metadata.announce("kernel", &spec, false);
    let header = Header::parse(&metadata.bytes).unwrap();
    let mut markers = Markers::new(&header);
    let _ = markers.learn(&header, &metadata.bytes, metadata.bytes.len() as u64);
    let mut data = Writer::new(machine, 0);
    while data.bytes.len() < 1 << 20 {
        data.event(&spec, &[], data.now + 1, 0, false);
    }
    // The last event is no event, and the missing bytes are those of one event.
    let reserved = data.bytes.len();
    data.bytes[reserved - 4..].fill(0);
    let evidence = Evidence {
        stage: Stage::Open,
        reserved: reserved as u64,
        committed: reserved as u64 - 40,
        commit_seq: None,
        last_tsc: Some(LastTsc { value: data.now, truncated: false }),
        not_before: None,
        not_after: None,
    };
    let start = std::time::Instant::now();
    let header = Header::parse(&data.bytes).unwrap();
    let prefix = valid_prefix(&data.bytes, &header, Channel::Data(b"kernel"), &markers, &evidence);
    assert_eq!(prefix.valid, reserved as u64 - 40);
    // Without the memory of places it would be 30 thousand million events.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
