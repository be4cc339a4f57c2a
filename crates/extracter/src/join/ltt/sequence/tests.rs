#![allow(clippy::cast_possible_truncation, reason = "tests")]

use lttformat::ltt::scan::{ScanOptions, Signature};
use lttformat::ltt::{Announcement, Endian, Version};

use super::*;
use crate::source;

const LEN: usize = 4096;

fn header(begin: u64) -> Header {
    Header {
        version: Version::V2_1,
        endian: Endian::Little,
        arch_size: 8,
        alignment: 0,
        begin,
        end: begin + 50,
        lost_or_data_size: 0,
        buf_or_sb_size: LEN as u32,
        start_freq: 1_000_000,
        freq_scale: 1,
        start_tsc: None,
        start_monotonic: None,
        start_time_sec: 1,
        start_time_usec: 2,
        events_lost: None,
        subbuf_corrupt: None,
        packed: None,
    }
}

/// A record with some events without fields, at consecutive times; the last one has this id. Only 3 is known.
fn record(begin: u64, events: u32, last_id: u32) -> Vec<u8> {
    let mut bytes = vec![0xaa; LEN];
    let used = 60 + 4 * events;
    let header = Header { lost_or_data_size: LEN as u32 - used, ..header(begin) };
    header.write(&mut bytes).unwrap();
    for event in 0..events {
        let id = if event + 1 == events { last_id } else { 3 };
        let word = id << 27 | (begin as u32 + event + 1);
        let at = 60 + 4 * event as usize;
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn whole(begin: u64) -> Vec<u8> {
    record(begin, 5, 3)
}

fn markers() -> Markers {
    let mut markers = Markers::new(&header(0));
    let marker = Announcement { name: b"m", id: 3, format: b"", alignment: 0, sizes: None };
    markers.insert(b"cpu", &marker);
    markers
}

struct Records(Vec<Vec<u8>>);

impl Reader for Records {
    fn read(&mut self, slot: usize) -> source::Record<'_> {
        source::Record { bytes: &self.0[slot], ..source::Record::default() }
    }
}

fn keys(core: &[Vec<u8>]) -> Vec<Key> {
    let key = |(slot, bytes): (usize, &Vec<u8>)| {
        let Header { begin, end, .. } = Header::parse(bytes).unwrap();
        Key { slot, position: (slot * LEN) as u64, begin, end, bytes: LEN as u64, events: 5 }
    };
    core.iter().enumerate().map(key).collect()
}

/// Joins a file with the core's records, which are in order.
fn join_as(channel: Channel<'_>, file: &[u8], core: &[Vec<u8>]) -> Sequence {
    let (markers, keys) = (markers(), keys(core));
    let reader: Box<dyn Reader> = Box::new(Records(core.to_vec()));
    let judge = Judge { channel, markers: Some(&markers), keys: &keys, reader: Some(reader) };
    let options = ScanOptions { signature: Some(Signature::from(&header(0))), ..ScanOptions::default() };
    let file = file.to_vec();
    let scan = Scan::new(&file, channel, Some(&markers), &options);
    let mut seen = 0;
    let sequence = Sequence::new(scan, &file, judge, |_| seen += 1).unwrap();
    assert_eq!(sequence.records, seen);
    // Every byte of the file is in one item, every record of the core in one.
    let mut at = 0;
    let mut found = vec![0; core.len()];
    for item in &sequence.items {
        match item {
            Item::Disk { range, .. }
            | Item::Made { range }
            | Item::Both { range, .. }
            | Item::Cut { range }
            | Item::Stray { range } => {
                assert_eq!(range.start, at);
                at = range.end;
            }
            Item::Core { .. } => {}
        }
        match item {
            Item::Both { key, .. } | Item::Core { key } => found[*key] += 1,
            _ => {}
        }
    }
    assert_eq!(at, file.len() as u64);
    assert!(found.iter().all(|times| *times == 1), "{found:?}");
    sequence
}

fn join(file: &[u8], core: &[Vec<u8>]) -> Sequence {
    join_as(Channel::Data(b"cpu"), file, core)
}

fn at(records: Range<u64>) -> Range<u64> {
    records.start * LEN as u64..records.end * LEN as u64
}

fn disk(range: Range<u64>) -> Item {
    Item::Disk { records: range.end - range.start, range: at(range) }
}

fn both(record: u64, key: usize) -> Item {
    Item::Both { range: at(record..record + 1), key }
}

fn core(key: usize) -> Item {
    Item::Core { key }
}

#[test]
fn the_core_continues_the_file() {
    let file = [whole(100), whole(200), whole(300)].concat();
    let sequence = join(&file, &[whole(300), whole(400), whole(500)]);
    assert_eq!(sequence.items, [disk(0..2), both(2, 0), core(1), core(2)]);
    assert_eq!((sequence.records, sequence.equal, sequence.bytes), (3, 1, 3 * LEN as u64));
    assert_eq!(sequence.span, Some((100, 350)));
    assert!(sequence.holds(0) && !sequence.holds(1));
    assert_eq!(join(&[], &[whole(1)]).items, Sequence::of_core(&keys(&[whole(1)])).items);
}

#[test]
fn the_core_fills_in_what_was_torn() {
    let mut file = [whole(100), whole(200), whole(300), whole(400)].concat();
    file.truncate(3 * LEN + 70);
    file[LEN..2 * LEN].fill(0);
    let sequence = join(&file, &[whole(200), whole(300), whole(400)]);
    let cut = |range| Item::Cut { range };
    let tail = 3 * LEN as u64..3 * LEN as u64 + 70;
    assert_eq!(sequence.items, [disk(0..1), cut(at(1..2)), core(0), both(2, 1), cut(tail.clone()), core(2)]);
    // Zeros say nothing about what they were; a header does.
    assert_eq!(sequence.cuts.iter().map(|cut| cut.in_core).collect::<Vec<_>>(), [false, true]);
    assert_eq!(sequence.cut_ranges(), [at(1..2), tail]);
    assert!(sequence.cuts[1].reason.contains("the end of the file after 70"), "{}", sequence.cuts[1].reason);
}

#[test]
fn a_record_out_of_order_is_put_in_order_by_the_core() {
    let file = [whole(100), whole(300), whole(200), whole(400)].concat();
    let sequence = join(&file, &[whole(200), whole(300)]);
    let stray = Item::Stray { range: at(2..3) };
    assert_eq!(sequence.items, [disk(0..1), core(0), both(1, 1), stray, disk(3..4)]);
    assert!(sequence.cuts[0].in_core);
    // The header of the second pass above the events of the third: what was there is not in the core.
    let file = [whole(100), whole(200), whole(300), whole(200)].concat();
    assert!(!join(&file, &[whole(200), whole(300)]).cuts[0].in_core);
}

#[test]
fn what_lies_behind_the_events_does_not_count() {
    let (a, mut b) = (whole(100), whole(100));
    b[LEN - 1] ^= 1;
    let sequence = join(&a, &[b]);
    assert_eq!((sequence.equal, sequence.different.len()), (1, 0));
}

#[test]
fn of_two_records_the_better_one_is_kept() {
    let kept = |disk: Vec<u8>, core: Vec<u8>| {
        // Not the last one, which would be looked into by itself.
        let file = [disk, whole(900)].concat();
        let sequence = join(&file, &[core, whole(900)]);
        let different = sequence.different[0].clone();
        match different.kept {
            Side::Disk => assert_eq!(sequence.items, [both(0, 0), both(1, 1)]),
            Side::Core => {
                assert_eq!(
                    sequence.items,
                    [Item::Cut { range: at(0..1) }, Item::Core { key: 0 }, both(1, 1)]
                );
                assert!(sequence.cuts[0].in_core);
            }
        }
        (different.kept, different.disk_used, different.core_used)
    };
    // Both can be decoded: the longer one, else the one on disk.
    assert_eq!(kept(record(1, 7, 3), record(1, 5, 3)), (Side::Disk, 88, 80));
    assert_eq!(kept(record(1, 5, 3), record(1, 7, 3)), (Side::Core, 80, 88));
    let mut closed_later = whole(1);
    Header { lost_or_data_size: LEN as u32 - 80, end: 77, ..header(1) }.write(&mut closed_later).unwrap();
    assert_eq!(kept(closed_later, whole(1)), (Side::Disk, 80, 80));
    // One cannot: the other.
    assert_eq!(kept(record(1, 7, 9), record(1, 5, 3)), (Side::Core, 88, 80));
    assert_eq!(kept(record(1, 5, 3), record(1, 7, 9)), (Side::Disk, 80, 88));
    // Neither can.
    assert_eq!(kept(record(1, 5, 8), record(1, 5, 9)), (Side::Disk, 80, 80));
}

#[test]
fn with_one_begin_the_content_decides() {
    let [a, b, c] = [5, 6, 7].map(|events| record(100, events, 3));
    let sequence = join(&[b.clone(), a.clone()].concat(), &[a.clone(), b.clone(), c.clone()]);
    assert_eq!(sequence.items, [both(0, 1), both(1, 0), core(2)]);
    let sequence = join(&[a.clone(), a.clone()].concat(), &[a]);
    assert_eq!(sequence.items, [both(0, 0), disk(1..2)]);
}

#[test]
fn a_record_that_was_made_up_is_known_again() {
    // Two formats announced at the very begin; the tracer itself takes a while.
    let announcement = |begin: u64, step: u32| {
        let mut bytes = vec![0; LEN];
        let events: Vec<u8> = [0, step]
            .iter()
            .flat_map(|later| {
                let word = 1 << 27 | (begin as u32 + later);
                [&word.to_le_bytes()[..], b"m\0%d\0"].concat()
            })
            .collect();
        bytes[60..60 + events.len()].copy_from_slice(&events);
        let lost_or_data_size = (LEN - 60 - events.len()) as u32;
        Header { lost_or_data_size, ..header(begin) }.write(&mut bytes).unwrap();
        bytes
    };
    let file = [announcement(100, 0), announcement(200, 1)].concat();
    let sequence = join_as(Channel::Metadata, &file, &[announcement(200, 1)]);
    assert_eq!(sequence.items, [Item::Made { range: at(0..1) }, both(1, 0)]);
    assert_eq!(sequence.steps(&keys(&[announcement(200, 1)])), [Step::Both(0)]);
}
