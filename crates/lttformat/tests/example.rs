//! The byte example of format 2.6: every form of event header, and the metadata that announce a marker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use lttformat::ltt::prefix::{Evidence, LastTsc, Rule, Stage, valid_prefix};
use lttformat::ltt::{Announcement, Channel, Clock, Decoder, Header, Markers, StopReason, Value};

const BEGIN: u64 = 0x5f5e_1000;

/// Hexadecimal words, most significant digit first, in the order of a machine; other text literally.
fn bytes(words: &[&str], big_endian: bool) -> Vec<u8> {
    let word = |word: &&str| {
        let Some(digits) = word.strip_prefix("0x") else { return word.as_bytes().to_vec() };
        let byte = |i: usize| u8::from_str_radix(&digits[i..i + 2], 16).unwrap();
        let mut bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        if !big_endian {
            bytes.reverse();
        }
        bytes
    };
    words.iter().flat_map(word).collect()
}

fn header(big_endian: bool, data_size: &str) -> Vec<u8> {
    let mut words =
        vec!["0x000000005f5e1000", "0x0000000077359500", "0x00d6b7ed", "0x02", "0x06", "0x08", "0x08"];
    words.extend(["0x000000004b3d3b00", "0x000000000001e240", "0x000000008f0d1800", "0x00000001"]);
    words.extend([data_size, "0x00001000", "0x00000000", "0x00000000"]);
    bytes(&words, big_endian)
}

fn events(big_endian: bool) -> Vec<u8> {
    let mut words = vec!["0x1f5e1400", "0x000004d2", "0x0078", "bash\0", "\0"];
    words.extend(["0xff5e1480", "0x0028", "\0\0\0\0\0\0", "0xffff880012345678"]);
    words.extend(["0xef359400", "0x0005", "0x0004", "0x0000000077359400", "0x00000007", "0x07359500"]);
    let bytes = [header(big_endian, "0x00000080"), bytes(&words, big_endian)].concat();
    assert_eq!(bytes.len(), 128);
    bytes
}

fn markers(header: &Header) -> Markers {
    let mut markers = Markers::new(header);
    for (id, name, format) in [
        (3, "sched", "pid %d prio #2u%u name %s"),
        (40, "fault", "addr %p"),
        (5, "v", "v %d"),
        (0, "tick", ""),
    ] {
        let announcement =
            Announcement { name: name.as_bytes(), id, format: format.as_bytes(), alignment: 8, sizes: None };
        markers.insert(b"kernel", &announcement);
    }
    markers
}

#[test]
fn every_form_of_header() {
    for big_endian in [false, true] {
        let bytes = events(big_endian);
        let header = Header::parse(&bytes).unwrap();
        let markers = markers(&header);
        let used = header.used(4096).unwrap();
        let decoder = Decoder::new(&bytes, &header, used, Channel::Data(b"kernel"), &markers);
        let events: Vec<_> = decoder.map(Result::unwrap).collect();
        let places: Vec<_> =
            events.iter().map(|event| (event.id, event.start, event.payload.clone())).collect();
        assert_eq!(places, [(3, 68, 72..83), (40, 84, 96..104), (5, 104, 120..124), (0, 124, 128..128)]);
        let times: Vec<_> = events.iter().map(|event| event.tsc).collect();
        assert_eq!(times, [0x5f5e_1400, 0x5f5e_1480, 0x7735_9400, 0x7735_9500]);

        let values = |i: usize| {
            let fields = events[i].fields();
            fields.map(|(field, value)| (field.name(), value)).collect::<Vec<_>>()
        };
        assert_eq!(
            values(0),
            [(&b"pid"[..], Value::I64(1234)), (b"prio", Value::U64(120)), (b"name", Value::Str(b"bash"))]
        );
        assert_eq!(values(1), [(&b"addr"[..], Value::U64(0xffff_8800_1234_5678))]);
        assert_eq!(values(2), [(&b"v"[..], Value::I64(7))]);
        assert_eq!(values(3), []);

        let clock = Clock::new(&header);
        assert_eq!(clock.ns(header.begin), Some(666_666_666));
        assert_eq!(clock.ns(times[3]), Some(833_333_440));
        // 2010-01-01 00:00:00.123456 UTC, and the time since.
        let since = 833_333_440 - 666_666_666;
        assert_eq!(clock.wall_ns(&header, BEGIN, times[3]), Some(1_262_304_000_123_456_000 + since));
    }
}

#[test]
fn metadata_announce_a_marker() {
    for big_endian in [false, true] {
        let mut words = vec!["0x075e0100", "kernel\0", "sched_switch\0", "0x0003"];
        words.extend(["0x04", "0x08", "0x08", "0x08", "0x08", "\0"]);
        words.extend(["0x0f5e1000", "kernel\0", "sched_switch\0", "pid %d prio #2u%u name %s\0"]);
        let bytes = [header(big_endian, "0x00000096"), bytes(&words, big_endian)].concat();
        assert_eq!(bytes.len(), 150);
        let header = Header::parse(&bytes).unwrap();

        // As far as it is committed, it counts: first the id alone, which does not make the marker usable yet.
        let mut partial = Markers::new(&header);
        assert_eq!(partial.learn(&header, &bytes, 99).events, 1);
        assert_eq!((partial.len(), partial.get(Channel::Data(b"kernel"), 3)), (1, None));

        let mut markers = Markers::new(&header);
        let tally = markers.learn(&header, &bytes, 150);
        assert_eq!((tally.events, tally.end, tally.stop), (2, 150, None));
        let marker = markers.get(Channel::Data(b"kernel"), 3).unwrap();
        assert_eq!((marker.name(), marker.alignment(), marker.fields().len()), (&b"sched_switch"[..], 8, 3));
        assert_eq!(marker.format(), Some(&b"pid %d prio #2u%u name %s"[..]));
        // Ids belong to the channel.
        assert_eq!(markers.get(Channel::Data(b"mm"), 3), None);
        assert_eq!(markers.conflicts(), []);
    }
}

#[test]
fn unknown_ids_end_decoding_unless_a_size_is_recorded() {
    let bytes = events(false);
    let header = Header::parse(&bytes).unwrap();
    let none = Markers::new(&header);
    let mut decoder = Decoder::new(&bytes, &header, 128, Channel::Data(b"kernel"), &none);
    let stop = decoder.next().unwrap().unwrap_err();
    assert_eq!((stop.offset, stop.reason), (68, StopReason::UnknownId(3)));
    assert_eq!(stop.to_string(), "byte 68 of the sub-buffer: expected a known event, found id 3");
    assert!(decoder.next().is_none());
    assert_eq!((decoder.offset(), decoder.time()), (68, BEGIN));

    // The event at 104 has its size in its header.
    let mut known = Markers::new(&header);
    for (id, format) in [(3, &b"pid %d prio #2u%u name %s"[..]), (40, b"addr %p"), (0, b"")] {
        let name = [u8::try_from(id).unwrap()];
        known.insert(b"kernel", &Announcement { name: &name, id, format, alignment: 8, sizes: None });
    }
    let events: Vec<_> = Decoder::new(&bytes, &header, 128, Channel::Data(b"kernel"), &known).collect();
    let skipped = events[2].as_ref().unwrap();
    assert_eq!((skipped.id, skipped.marker, skipped.raw()), (5, None, &[7, 0, 0, 0][..]));
    assert_eq!(skipped.fields().count(), 0);
    assert_eq!(events.len(), 4);
}

#[test]
fn a_size_that_is_not_that_of_the_fields_ends_decoding() {
    let mut bytes = events(false);
    bytes[110] = 5;
    let header = Header::parse(&bytes).unwrap();
    let markers = markers(&header);
    let last = Decoder::new(&bytes, &header, 128, Channel::Data(b"kernel"), &markers).last().unwrap();
    assert_eq!(last.unwrap_err().reason, StopReason::Size { declared: 5, computed: 4 });
}

#[test]
fn ids_0_and_1_are_unknown_outside_metadata_up_to_2_2() {
    let mut bytes = events(false);
    bytes[21] = 2;
    let header = Header::parse(&bytes).unwrap();
    let markers = markers(&header);
    let last = Decoder::new(&bytes, &header, 128, Channel::Data(b"cpu"), &markers).last().unwrap();
    assert_eq!(last.unwrap_err().reason, StopReason::UnknownId(0));
}

/// The evidence for the sub-buffer of the example with its last four bytes reserved only.
const EVIDENCE: Evidence = Evidence {
    stage: Stage::Open,
    reserved: 128,
    committed: 124,
    commit_seq: None,
    last_tsc: Some(LastTsc { value: 0x7735_9500, truncated: false }),
    not_before: None,
    not_after: None,
};

#[test]
fn the_kernels_note_of_a_commit_helps_past_unknown_formats() {
    let mut bytes = events(false);
    bytes.resize(4096, 0);
    let header = Header::parse(&bytes).unwrap();
    let all = markers(&header);
    let channel = Channel::Data(b"kernel");
    let prefix = |markers: &Markers, commit_seq| {
        let prefix = valid_prefix(&bytes, &header, channel, markers, &Evidence { commit_seq, ..EVIDENCE });
        (prefix.valid, prefix.rule, prefix.doubtful)
    };
    assert_eq!(prefix(&all, None), (124, Rule::Written, false));
    assert_eq!(prefix(&all, Some(104)), (124, Rule::Written, false));

    let mut some = Markers::new(&header);
    for (id, format) in [(5, &b"v %d"[..]), (0, b"")] {
        let name = [u8::try_from(id).unwrap()];
        some.insert(b"kernel", &Announcement { name: &name, id, format, alignment: 8, sizes: None });
    }
    assert_eq!(prefix(&some, None), (68, Rule::Decodable, true));
    assert_eq!(prefix(&some, Some(104)), (124, Rule::CommitSeq, true));
    // Nothing confirms these: not an event's start, beyond the count, within the header.
    for wrong in [99, 125, 60] {
        assert_eq!(prefix(&some, Some(wrong)), (68, Rule::Decodable, true), "{wrong}");
    }
}

#[test]
fn a_header_of_an_earlier_pass_is_not_used() {
    let mut bytes = events(false);
    bytes.resize(4096, 0);
    let header = Header::parse(&bytes).unwrap();
    let markers = markers(&header);
    let prefix = |evidence| {
        let prefix = valid_prefix(&bytes, &header, Channel::Data(b"kernel"), &markers, &evidence);
        (prefix.valid, prefix.rule)
    };
    assert_eq!(prefix(Evidence { committed: 0, ..EVIDENCE }), (0, Rule::NoHeader));
    assert_eq!(prefix(Evidence { committed: 67, ..EVIDENCE }), (0, Rule::NoHeader));
    assert_eq!(prefix(Evidence { not_before: Some(BEGIN + 1), ..EVIDENCE }), (0, Rule::NoHeader));
    assert_eq!(prefix(Evidence { not_before: Some(BEGIN), ..EVIDENCE }), (124, Rule::Written));
    // Counters of no use, and an end where an open sub-buffer has none.
    let later = Some(LastTsc { value: 0x9999_9999, truncated: false });
    let lost = Evidence { committed: u64::MAX - 20, last_tsc: later, ..EVIDENCE };
    assert_eq!(prefix(lost), (0, Rule::NoHeader));
    // Unless the events themselves prove to be the newest ones.
    assert_eq!(prefix(Evidence { committed: u64::MAX - 20, ..EVIDENCE }), (128, Rule::Written));
}

#[test]
fn what_follows_a_gap_must_meet_the_last_time() {
    // Three events without fields; the middle one was never written.
    let words = ["0x075e1400", "0x00000000", "0x075e1600"];
    let mut bytes = [header(false, "0xffffffff"), bytes(&words, false)].concat();
    bytes.resize(4096, 0);
    let header = Header::parse(&bytes).unwrap();
    let markers = markers(&header);
    let prefix = |last_tsc| {
        let last_tsc = Some(LastTsc { value: last_tsc, truncated: false });
        let evidence = Evidence { reserved: 80, committed: 76, last_tsc, ..EVIDENCE };
        let prefix = valid_prefix(&bytes, &header, Channel::Data(b"kernel"), &markers, &evidence);
        (prefix.valid, prefix.rule, prefix.doubtful)
    };
    assert_eq!(prefix(0x5f5e_1600), (72, Rule::Gap, false));
    // The lost event carried the full time; what comes after it seems older than it is.
    assert_eq!(prefix(0xff_5f5e_1600), (72, Rule::Decodable, true));
}
