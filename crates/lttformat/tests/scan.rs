//! Trace files that a crash or a full disk damaged, example by example.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::ops::Range;
use std::path::Path;

use lttformat::ltt::scan::{CutReason, Depth, Limits, Piece, ReadAt, Scan, ScanOptions, Signature};
use lttformat::ltt::{Channel, Endian, Header, Markers, Packed, StopReason, Version};

const RECORD: usize = 8192;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/K1-2cpu/expected-intact/k1");
    std::fs::read(path.join(name)).unwrap()
}

/// A real file of format 2.1: eight records of 8192 bytes.
fn real_file() -> Vec<u8> {
    let file = fixture("cpu_0");
    assert_eq!(file.len(), 8 * RECORD);
    file
}

fn real_markers() -> Markers {
    let mut markers = None;
    for name in ["control/metadata_0", "control/metadata_1"] {
        let file = fixture(name);
        let mut scan = Scan::new(&file, Channel::Metadata, None, &ScanOptions::default());
        while let Some(Piece::Record(record)) = scan.next().unwrap() {
            let markers = markers.get_or_insert_with(|| Markers::new(&record.header));
            let _ = markers.learn(&record.header, record.bytes, record.used);
        }
    }
    markers.unwrap()
}

type Map = (Vec<u64>, Vec<(Range<u64>, CutReason)>);

/// Offsets of the whole records, and the cuts.
fn map(file: &[u8], markers: Option<&Markers>, options: &ScanOptions) -> Map {
    let mut scan = Scan::new(file, Channel::Data(b"cpu"), markers, options);
    let (mut records, mut cuts) = (Vec::new(), Vec::new());
    while let Some(piece) = scan.next().unwrap() {
        match piece {
            Piece::Record(record) => {
                let start = record.offset as usize;
                assert_eq!(record.bytes, &file[start..start + record.bytes.len()]);
                records.push(record.offset);
            }
            Piece::Cut(cut) => cuts.push((cut.range, cut.reason)),
        }
    }
    (records, cuts)
}

fn plainly(file: &[u8]) -> Map {
    map(file, None, &ScanOptions::default())
}

fn deeply(file: &[u8]) -> Map {
    let options = ScanOptions { depth: Depth::All, ..ScanOptions::default() };
    map(file, Some(&real_markers()), &options)
}

/// Offsets of the eight real records, without some of them.
fn all_but(damaged: &[u64]) -> Vec<u64> {
    (0..8).filter(|index| !damaged.contains(index)).map(|index| index * RECORD as u64).collect()
}

fn span(record: usize) -> Range<u64> {
    (record * RECORD) as u64..((record + 1) * RECORD) as u64
}

/// Rewrites the header of record number `index`.
fn edit(file: &mut [u8], index: usize, change: impl Fn(&mut Header)) {
    let record = &mut file[index * RECORD..];
    let mut header = Header::parse(record).unwrap();
    change(&mut header);
    header.write(record).unwrap();
}

#[test]
fn a_whole_file() {
    let file = real_file();
    assert_eq!(plainly(&file), (all_but(&[]), vec![]));
    assert_eq!(deeply(&file), (all_but(&[]), vec![]));
    assert_eq!(plainly(&[]), (vec![], vec![]));

    let markers = real_markers();
    for (depth, decoded) in [(Depth::Suspicious, vec![0, 7]), (Depth::All, (0..8).collect())] {
        let options = ScanOptions { depth, ..ScanOptions::default() };
        let mut scan = Scan::new(&file, Channel::Data(b""), Some(&markers), &options);
        let mut tallies = Vec::new();
        while let Some(Piece::Record(record)) = scan.next().unwrap() {
            assert_eq!(Some(record.used), record.header.used(RECORD as u64));
            if let Some(tally) = record.tally {
                assert_eq!((tally.end as u64, tally.stop), (record.used, None));
                tallies.push(record.offset / RECORD as u64);
            }
        }
        assert_eq!(tallies, decoded);
    }
}

#[test]
fn a_file_that_ends_anywhere_in_its_last_record() {
    let file = real_file();
    let last = 7 * RECORD;
    for end in (last + 1..last + 100).chain(file.len() - 3..file.len()) {
        let (records, cuts) = plainly(&file[..end]);
        assert_eq!(records, all_but(&[7]));
        let [(range, reason)] = &cuts[..] else { panic!("{cuts:?}") };
        assert_eq!(*range, last as u64..end as u64);
        match reason {
            CutReason::Header(_) => assert!(end < last + 60),
            CutReason::Partial { expected: 8192, found } => assert_eq!(*found, (end - last) as u64),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn every_reason_that_a_header_gives() {
    type Edit = fn(&mut Header);
    type Expected = fn(&CutReason) -> bool;
    let cases: [(Edit, Expected); 10] = [
        (|header| header.alignment = 0, |reason| *reason == CutReason::Foreign),
        (|header| header.arch_size = 4, |reason| *reason == CutReason::Foreign),
        (|header| header.start_time_usec += 1, |reason| *reason == CutReason::Foreign),
        (|header| header.buf_or_sb_size = 0, |reason| matches!(reason, CutReason::Length { found: 0, .. })),
        (
            |header| header.buf_or_sb_size = 4096,
            |reason| matches!(reason, CutReason::Length { limit: 8192, found: 4096 }),
        ),
        (
            |header| header.lost_or_data_size = u32::MAX,
            |reason| *reason == CutReason::Used { found: u32::MAX },
        ),
        (|header| header.lost_or_data_size = 8192, |reason| *reason == CutReason::Used { found: 8192 }),
        (|header| header.end = 0, |reason| matches!(reason, CutReason::EndBeforeBegin { end: 0, .. })),
        (|header| header.begin = 5, |reason| matches!(reason, CutReason::Order { begin: 5, .. })),
        (|header| header.buf_or_sb_size = 1 << 31, |reason| matches!(reason, CutReason::Length { .. })),
    ];
    for (i, (change, is_expected)) in cases.into_iter().enumerate() {
        for scan in [plainly, deeply] {
            for index in [3, 7] {
                let mut file = real_file();
                edit(&mut file, index, change);
                let (records, cuts) = scan(&file);
                assert_eq!(records, all_but(&[index as u64]), "case {i}");
                let [(range, reason)] = &cuts[..] else { panic!("case {i}: {cuts:?}") };
                assert!(*range == span(index) && is_expected(reason), "case {i}: {range:?}: {reason}");
            }
        }
    }
}

#[test]
fn each_damaged_header_has_a_cut_of_its_own() {
    let mut file = real_file();
    edit(&mut file, 2, |header| header.end = 0);
    edit(&mut file, 3, |header| header.lost_or_data_size = u32::MAX);
    edit(&mut file, 4, |header| header.end = 0);
    let (records, cuts) = plainly(&file);
    assert_eq!(records, all_but(&[2, 3, 4]));
    let ranges: Vec<_> = cuts.iter().map(|(range, _)| range.clone()).collect();
    assert_eq!(ranges, [span(2), span(3), span(4)]);
}

#[test]
fn zeros() {
    let mut tail = real_file();
    tail[5 * RECORD..].fill(0);
    let blank = (5 * RECORD as u64..8 * RECORD as u64, CutReason::Blank);
    assert_eq!(plainly(&tail), (all_but(&[5, 6, 7]), vec![blank]));
    let mut middle = real_file();
    middle[3 * RECORD..4 * RECORD].fill(0);
    assert_eq!(plainly(&middle), (all_but(&[3]), vec![(span(3), CutReason::Blank)]));
    assert_eq!(plainly(&[0; 100_000]), (vec![], vec![(0..100_000, CutReason::Blank)]));

    // Within a record, whose header is there.
    for (index, zeros) in [(3, 4096..8192), (0, 4096..8192), (7, 512..8192), (7, 5120..5632)] {
        let mut file = real_file();
        file[index * RECORD..][zeros.clone()].fill(0);
        for scan in [plainly, deeply] {
            let (records, cuts) = scan(&file);
            assert_eq!(records, all_but(&[index as u64]));
            let [(range, CutReason::Events(stop))] = &cuts[..] else { panic!("{cuts:?}") };
            assert_eq!((range, stop.offset, stop.reason), (&span(index), zeros.start, StopReason::Blank));
        }
    }
}

#[test]
fn a_short_write_of_any_length_leaves_what_follows() {
    let whole = real_file();
    let lens = (1..140).chain([512, 4095, 4096, 4097, 8000]).chain(8192 - 45..8192);
    for len in lens {
        for index in [0, 3] {
            let (start, rest) = whole.split_at(index * RECORD);
            let file = [start, &rest[..len], &rest[RECORD..]].concat();
            for scan in [plainly, deeply] {
                let (records, cuts) = scan(&file);
                let shifted = |offset: &u64| {
                    *offset - if *offset > start.len() as u64 { (RECORD - len) as u64 } else { 0 }
                };
                assert_eq!(
                    records,
                    all_but(&[index as u64]).iter().map(shifted).collect::<Vec<_>>(),
                    "{len}"
                );
                let [(range, reason)] = &cuts[..] else { panic!("{len}: {cuts:?}") };
                assert_eq!(*range, start.len() as u64..(start.len() + len) as u64);
                match reason {
                    CutReason::ShortWrite { expected: 8192, found } => assert_eq!(*found, len as u64),
                    CutReason::Header(_) if len < 60 => {}
                    other => panic!("{len}: {other}"),
                }
            }
        }
    }
}

/// Two short writes that add up to a whole record: the headers' chain is closed again behind them.
#[test]
fn short_writes_that_add_up() {
    let whole = real_file();
    let parts = [
        &whole[..2 * RECORD],
        &whole[2 * RECORD..][..3000],
        &whole[3 * RECORD..][..5192],
        &whole[4 * RECORD..],
    ];
    let file = parts.concat();
    assert_eq!(file.len(), 7 * RECORD);
    let (records, cuts) = deeply(&file);
    assert_eq!(
        records,
        (0..7).filter(|&index| index != 2).map(|index| index * RECORD as u64).collect::<Vec<_>>()
    );
    let ranges: Vec<_> = cuts.iter().map(|(range, _)| range.clone()).collect();
    assert_eq!(ranges, [16384..19384, 19384..24576]);
    // Within one record no whole one can hide, so that looking for whole ones alone need not look into it.
    assert_eq!(plainly(&file).0.len(), 7);
}

#[test]
fn a_record_from_the_future_does_not_cut_what_follows() {
    for index in [0, 3, 5, 6] {
        let mut file = real_file();
        edit(&mut file, index, |header| (header.begin, header.end) = (1 << 60, 1 << 60));
        for scan in [plainly, deeply] {
            let (records, cuts) = scan(&file);
            assert_eq!(records, all_but(&[index as u64]));
            let [(range, CutReason::Ahead { begin, .. })] = &cuts[..] else { panic!("{cuts:?}") };
            assert_eq!((range, *begin), (&span(index), 1 << 60));
        }
    }
}

#[test]
fn of_two_that_changed_places_the_older_is_cut() {
    let whole = real_file();
    let records: Vec<_> = whole.chunks(RECORD).collect();
    let file = [records[0], records[2], records[1], records[3]].concat();
    let (kept, cuts) = deeply(&file);
    assert_eq!(kept, [0, 8192, 24576]);
    assert!(matches!(&cuts[..], [(range, CutReason::Order { .. })] if *range == span(2)), "{cuts:?}");
}

#[test]
fn a_damaged_first_record_does_not_set_the_rules() {
    type Edit = fn(&mut Header);
    let cases: [Edit; 5] = [
        |header| header.buf_or_sb_size = 2 * 8192,
        |header| header.buf_or_sb_size = 4096,
        |header| header.start_time_sec -= 1,
        |header| header.endian = Endian::Big,
        |header| {
            (header.version, header.events_lost, header.subbuf_corrupt) = (Version::V2_2, Some(0), Some(0))
        },
    ];
    for (i, change) in cases.into_iter().enumerate() {
        let mut file = real_file();
        edit(&mut file, 0, change);
        for scan in [plainly, deeply] {
            let (records, cuts) = scan(&file);
            assert_eq!((records, cuts.len()), (all_but(&[0]), 1), "case {i}: {cuts:?}");
        }
    }
}

#[test]
fn the_expected_trace_is_told() {
    let whole = real_file();
    let signature = Some(Signature::from(&Header::parse(&whole).unwrap()));
    let options = ScanOptions { signature, ..ScanOptions::default() };
    let mut other = whole.clone();
    for index in 0..8 {
        edit(&mut other, index, |header| header.start_time_sec += 1);
    }
    assert_eq!(plainly(&other).0.len(), 8);
    let foreign = (0..other.len() as u64, CutReason::Foreign);
    assert_eq!(map(&other, None, &options), (vec![], vec![foreign]));
    // From the middle of a record on.
    let (records, cuts) = map(&whole[5000..], None, &options);
    assert_eq!(records, (1..8).map(|index| index * 8192 - 5000).collect::<Vec<u64>>());
    assert!(matches!(&cuts[..], [(range, CutReason::Header(_))] if *range == (0..3192)), "{cuts:?}");
}

/// Formats 1.0 and 2.0 have their magic number further inside, 2.5 and 2.6 records of different lengths.
#[test]
fn formats() {
    let template = Header::parse(&real_file()).unwrap();
    let packed = Packed {
        begin_freq: 1,
        end_freq: 1,
        arch_type: 1,
        arch_variant: 1,
        float_word_order: 0,
        flight_recorder: 0,
        tscbits: 27,
        eventbits: 5,
        has_heartbeat: false,
        tsc_lsb_truncate: 0,
        compact_data_shift: 0,
    };
    for (version, endian) in Version::ALL
        .into_iter()
        .flat_map(|version| [Endian::Little, Endian::Big].map(|endian| (version, endian)))
    {
        let pages = if version.has_short_records() { [1, 3, 2, 1, 1] } else { [2; 5] };
        let records = pages.into_iter().zip([10, 20, 30, 40, 50]).map(|(pages, begin)| {
            let len = pages * 4096;
            let mut record = vec![0x2a; len];
            let header = Header {
                version,
                endian,
                begin,
                end: begin + 1,
                lost_or_data_size: if version.has_short_records() { len as u32 - 1 } else { 1 },
                buf_or_sb_size: len as u32,
                packed: (version < Version::V2_1).then(|| packed.clone()),
                start_tsc: Some(0),
                start_monotonic: Some(0),
                events_lost: Some(0),
                subbuf_corrupt: Some(0),
                ..template.clone()
            };
            header.write(&mut record).unwrap();
            record
        });
        let records: Vec<_> = records.collect();
        let begins = |file: &[u8]| {
            let mut begins = Vec::new();
            let mut scan = Scan::new(file, Channel::Data(b""), None, &ScanOptions::default());
            while let Some(piece) = scan.next().unwrap() {
                if let Piece::Record(record) = piece {
                    begins.push(record.header.begin);
                }
            }
            begins
        };
        assert_eq!(begins(&records.concat()), [10, 20, 30, 40, 50], "{version}");
        // A page of the second, and a few bytes of the third are there.
        let torn = [&records[0], &records[1][..4096], &records[2][..100], &records[3], &records[4]];
        assert_eq!(begins(&torn.concat()), [10, 40, 50], "{version}");
        // 2.5 and 2.6: a length that takes in the next record, so that the one after that follows.
        let mut wrong = records.clone();
        let mut header = Header::parse(&wrong[1]).unwrap();
        header.buf_or_sb_size += records[2].len() as u32;
        header.write(&mut wrong[1]).unwrap();
        assert_eq!(begins(&wrong.concat()), [10, 30, 40, 50], "{version}");
    }
}

#[test]
fn limits() {
    let file = real_file();
    let limits = |page_size, max_len| {
        let options = ScanOptions { limits: Limits { page_size, max_len }, ..ScanOptions::default() };
        map(&file, None, &options).0.len()
    };
    assert_eq!((limits(4096, 8192), limits(8192, 8192), limits(1, u64::MAX)), (8, 8, 8));
    assert_eq!((limits(4096, 4096), limits(16384, 1 << 20), limits(0, 1 << 20)), (0, 0, 0));
}

/// An id that nobody announced is no damage, unless everything that was announced is known.
#[test]
fn unknown_ids() {
    let file = real_file();
    let markers = Markers::new(&Header::parse(&file).unwrap());
    let mut options = ScanOptions { depth: Depth::All, ..ScanOptions::default() };
    assert_eq!(map(&file, Some(&markers), &options), (all_but(&[]), vec![]));
    options.all_markers = true;
    let (records, cuts) = map(&file, Some(&markers), &options);
    assert_eq!((records.len(), cuts.len()), (0, 8));
    let unknown = |reason: &CutReason| matches!(reason, CutReason::Events(stop) if matches!(stop.reason, StopReason::UnknownId(_)));
    assert!(cuts.iter().all(|(_, reason)| unknown(reason)), "{cuts:?}");
}

#[test]
fn cuts_say_where_and_why() {
    let mut file = real_file();
    edit(&mut file, 3, |header| header.end = 0);
    let mut scan = Scan::new(&file[..], Channel::Data(b""), None, &ScanOptions::default());
    let mut lines = Vec::new();
    while let Some(piece) = scan.next().unwrap() {
        if let Piece::Cut(cut) = piece {
            lines.push(cut.to_string());
        }
    }
    let begin = Header::parse(&file[3 * RECORD..]).unwrap().begin;
    assert_eq!(lines, [format!("byte 24576, 8192 bytes: expected an end after the begin {begin}, found 0")]);
}

/// What is not there cannot be read: said each time, until it is there.
#[test]
fn reading_fails_and_is_tried_again() {
    struct Flaky<'a>(&'a [u8], std::cell::Cell<bool>);
    impl ReadAt for Flaky<'_> {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
            if self.1.replace(!self.1.get()) {
                return Err(std::io::ErrorKind::Other.into());
            }
            self.0.read_exact_at(offset, buffer)
        }
    }
    let file = real_file().repeat(10);
    let flaky = Flaky(&file, std::cell::Cell::new(true));
    let mut scan = Scan::new(&flaky, Channel::Data(b""), None, &ScanOptions::default());
    let (mut errors, mut end) = (0, 0);
    loop {
        match scan.next() {
            Ok(Some(Piece::Record(record))) => end = record.offset + record.bytes.len() as u64,
            Ok(Some(Piece::Cut(cut))) => end = cut.range.end,
            Ok(None) => break,
            Err(_) => errors += 1,
        }
        assert!(errors < 1000);
    }
    assert!(errors > 0 && end == file.len() as u64);
}
