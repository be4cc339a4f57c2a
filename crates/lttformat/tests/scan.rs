//! Trace files that a crash interrupted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::path::Path;

use lttformat::ltt::Header;
use lttformat::ltt::scan::{Cut, CutReason, Limits, Records};

/// A real file of format 2.1: eight records of 8192 bytes.
fn real_file() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/K1-2cpu/expected-intact/k1/cpu_0");
    let file = std::fs::read(path).unwrap();
    assert_eq!(file.len(), 8 * 8192);
    file
}

const RECORD: usize = 8192;

/// Offsets of the whole records, and the cut.
fn scan(file: &[u8]) -> (Vec<usize>, Option<Cut>) {
    let mut records = Records::new(file, Limits::default());
    let offsets = records.by_ref().map(|record| record.offset).collect();
    (offsets, records.cut().cloned())
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
    let mut records = Records::new(&file, Limits::default());
    for (i, record) in records.by_ref().enumerate() {
        assert_eq!((record.offset, record.bytes.len()), (i * RECORD, RECORD));
        assert_eq!(Some(record.used), record.header.used(8192));
    }
    assert_eq!(records.cut(), None);
    assert_eq!(scan(&[]), (Vec::new(), None));
}

#[test]
fn a_file_that_ends_anywhere_in_its_last_record() {
    let file = real_file();
    let last = 7 * RECORD;
    for end in (last + 1..last + 100).chain(file.len() - 3..file.len()) {
        let (records, cut) = scan(&file[..end]);
        assert_eq!(records.len(), 7);
        let cut = cut.unwrap();
        assert_eq!(cut.offset, last);
        match cut.reason {
            CutReason::Header(_) => assert!(end < last + 60),
            CutReason::Partial { expected, found } => {
                assert_eq!((expected, found), (8192, (end - last) as u64))
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn every_reason_to_cut() {
    type Edit = fn(&mut Header);
    type Expected = fn(&CutReason) -> bool;
    let cases: [(Edit, Expected); 9] = [
        (|header| header.alignment = 0, |reason| *reason == CutReason::Foreign),
        (|header| header.arch_size = 4, |reason| *reason == CutReason::Foreign),
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
        let mut file = real_file();
        edit(&mut file, 3, change);
        let (records, cut) = scan(&file);
        let cut = cut.unwrap();
        assert_eq!((records.len(), cut.offset), (3, 3 * RECORD), "case {i}");
        assert!(is_expected(&cut.reason), "case {i}: {cut}");
    }
    let mut file = real_file();
    file[3 * RECORD..4 * RECORD].fill(0);
    assert_eq!(
        scan(&file).1.unwrap().to_string(),
        "record at byte 24576: sub-buffer header: expected magic 0xd6b7ed at byte 16 or 40, found 0x00000000 and 0x00000000"
    );
}

#[test]
fn a_short_write_in_the_middle_does_not_hide_what_follows() {
    // A failed write left one page of record 3; the following records are no longer at multiples of their length.
    let whole = real_file();
    let file = [&whole[..3 * RECORD + 4096], &whole[4 * RECORD..]].concat();
    let mut records = Records::new(&file, Limits::default());
    // Record 3 has its header; only its events would show that the second half is not its own.
    assert_eq!(records.by_ref().last().unwrap().offset, 3 * RECORD);
    assert_eq!(records.cut().unwrap().offset, 4 * RECORD);

    assert_eq!(records.clone().resume(4 * RECORD), Some(4 * RECORD + 4096));
    assert_eq!(records.resume(3 * RECORD), Some(3 * RECORD + 4096));
    assert_eq!(records.by_ref().count(), 4);
    assert_eq!(records.cut(), None);
}

#[test]
fn nothing_usable_follows() {
    let mut file = real_file();
    file[5 * RECORD..].fill(0);
    let mut records = Records::new(&file, Limits::default());
    assert_eq!(records.by_ref().count(), 5);
    let cut = records.cut().unwrap().offset;
    assert_eq!(records.resume(cut), None);
    assert!(records.next().is_none());
}

#[test]
fn records_of_2_5_on_have_lengths_of_their_own() {
    let template = Header::parse(&real_file()).unwrap();
    let mut file = Vec::new();
    for (begin, pages) in [(10, 1), (20, 3), (30, 2)] {
        let mut record = vec![0; pages * 4096];
        let header = Header {
            version: lttformat::ltt::Version::V2_6,
            begin,
            end: begin,
            lost_or_data_size: (pages * 4096 - 1) as u32,
            buf_or_sb_size: (pages * 4096) as u32,
            events_lost: Some(0),
            subbuf_corrupt: Some(0),
            ..template.clone()
        };
        header.write(&mut record).unwrap();
        file.extend(record);
    }
    assert_eq!(scan(&file), (vec![0, 4096, 4 * 4096], None));
    let small = Limits { max_len: 8192, ..Limits::default() };
    assert_eq!(Records::new(&file, small).count(), 1);
}
