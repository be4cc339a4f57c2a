//! Whatever happens to a trace file, what is whole is found, and finding it costs no more than reading the file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod writer;

use std::cell::Cell;
use std::time::{Duration, Instant};

use lttformat::ltt::scan::{Depth, Limits, Piece, ReadAt, Scan, ScanOptions, Signature};
use lttformat::ltt::{Channel, Header, Markers};
use proptest::prelude::*;
use proptest::sample::Index;
use writer::{Machine, MarkerSpec, Writer, machine, markers, values};

const SUB_BUFFER: usize = 12288;

/// A trace of one channel.
#[derive(Clone, Debug)]
struct Trace {
    records: Vec<Vec<u8>>,
    metadata: Vec<u8>,
}

/// One of the two depths, with or without markers, with or without the trace's signature.
#[derive(Clone, Copy, Debug)]
struct How {
    depth: Depth,
    markers: bool,
    signature: bool,
}

fn how() -> impl Strategy<Value = How> {
    let depth = prop::sample::select(vec![Depth::Suspicious, Depth::All]);
    (depth, any::<[bool; 2]>()).prop_map(|(depth, [markers, signature])| How { depth, markers, signature })
}

/// Records of these numbers of events.
fn trace(counts: prop::collection::SizeRange) -> impl Strategy<Value = Trace> {
    let specs = machine().prop_flat_map(|machine| (Just(machine), markers(machine, 8..100)));
    let records = prop::collection::vec((0..600_u64, any::<u64>()), counts);
    (specs, records).prop_map(|((machine, specs), records)| write(machine, &specs, &records))
}

fn write(machine: Machine, specs: &[MarkerSpec], records: &[(u64, u64)]) -> Trace {
    let mut metadata = Writer::new(machine, 0);
    specs.iter().for_each(|spec| metadata.announce("kernel", spec, false));
    let mut now = 1 << 33;
    let records = records.iter().map(|&(events, seed)| {
        let mut writer = Writer::new(machine, now);
        for event in 0..events {
            // Enough for the largest event there is.
            if writer.bytes.len() + 400 > SUB_BUFFER {
                break;
            }
            let number = (seed ^ event.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(event as u32);
            let spec = &specs[number as usize % specs.len()];
            writer.event(spec, &values(spec, number), writer.now + number % 1_000_000, 0, false);
        }
        let end = writer.now + 5;
        now = end + 5;
        writer.record(end, SUB_BUFFER)
    });
    Trace { records: records.collect(), metadata: metadata.bytes }
}

/// Where records and cuts begin and end.
type Map = (Vec<(usize, usize)>, Vec<(usize, usize)>);

impl Trace {
    fn file(&self) -> Vec<u8> {
        self.records.concat()
    }

    /// Ranges of the whole records, and of the cuts, in this file.
    fn scan(&self, file: &[u8], how: How) -> Map {
        let header = Header::parse(&self.metadata).unwrap();
        let mut markers = Markers::new(&header);
        let learnt = markers.learn(&header, &self.metadata, self.metadata.len() as u64);
        assert!(learnt.is_complete());
        let signature = how.signature.then(|| Signature::from(&header));
        let options = ScanOptions { depth: how.depth, signature, ..ScanOptions::default() };
        let markers = how.markers.then_some(&markers);
        pieces(file, Channel::Data(b"kernel"), markers, &options)
    }

    /// Where the records lie when some bytes take the place of one of them, or of none.
    fn others(&self, at: usize, instead: usize, removed: usize) -> Vec<(usize, usize)> {
        let mut start = 0;
        let mut ranges = Vec::new();
        for (index, record) in self.records.iter().enumerate() {
            if index == at {
                start += instead;
            }
            if !(at..at + removed).contains(&index) {
                ranges.push((start, start + record.len()));
                start += record.len();
            }
        }
        ranges
    }
}

/// Maps a file, and checks what holds for all files.
fn pieces(file: &[u8], channel: Channel<'_>, markers: Option<&Markers>, options: &ScanOptions) -> Map {
    let counting = Counting { file, read: Cell::new(0) };
    let mut scan = Scan::new(&counting, channel, markers, options);
    let (mut records, mut cuts) = (Vec::new(), Vec::new());
    let mut end = 0;
    while let Some(piece) = scan.next().unwrap() {
        let start = end;
        match piece {
            Piece::Record(record) => {
                end += record.bytes.len();
                assert_eq!((record.offset as usize, record.bytes), (start, &file[start..end]));
                assert_eq!(record.header.used(record.bytes.len() as u64), Some(record.used));
                records.push((start, end));
            }
            Piece::Cut(cut) => {
                end = cut.range.end as usize;
                assert!(cut.range.start as usize == start && end > start && !cut.to_string().is_empty());
                cuts.push((start, end));
            }
        }
    }
    assert_eq!(end, file.len());
    // A record before damage is read again, when that was searched for the next one. Glances at headers are small.
    let again: usize = if cuts.is_empty() { 0 } else { file.len() };
    let glances = 1024 * (records.len() + cuts.len());
    assert!(counting.read.get() <= file.len() + again + glances, "{} of {}", counting.read.get(), file.len());
    (records, cuts)
}

/// Counts the bytes that are read.
struct Counting<'a> {
    file: &'a [u8],
    read: Cell<usize>,
}

impl ReadAt for Counting<'_> {
    fn len(&self) -> u64 {
        ReadAt::len(self.file)
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.read.set(self.read.get() + buffer.len());
        self.file.read_exact_at(offset, buffer)
    }
}

/// Bytes that are no record: zeros, anything, or the beginning of a record.
fn junk() -> impl Strategy<Value = Junk> {
    prop_oneof![
        (1..10_000_usize).prop_map(|len| Junk::Bytes(vec![0; len])),
        prop::collection::vec(any::<u8>(), 1..3000).prop_map(Junk::Bytes),
        any::<(Index, Index)>().prop_map(|(record, len)| Junk::Part(record, len)),
    ]
}

#[derive(Clone, Debug)]
enum Junk {
    Bytes(Vec<u8>),
    Part(Index, Index),
}

impl Junk {
    fn bytes(&self, trace: &Trace) -> Vec<u8> {
        match self {
            Junk::Bytes(bytes) => bytes.clone(),
            Junk::Part(record, len) => {
                let record = record.get(&trace.records);
                record[..1 + len.index(record.len() - 1)].to_vec()
            }
        }
    }
}

proptest! {
    #[test]
    fn whole_files(trace in trace((0..6).into()), how in how()) {
        let (records, cuts) = trace.scan(&trace.file(), how);
        prop_assert_eq!((records, cuts), (trace.others(0, 0, 0), vec![]));
    }

    #[test]
    fn prefixes_keep_all_complete_records(trace in trace((1..5).into()), how in how(), len: Index) {
        let file = trace.file();
        let file = &file[..len.index(file.len() + 1)];
        let complete: Vec<_> = trace.others(0, 0, 0).into_iter().take_while(|&(_, end)| end <= file.len()).collect();
        let end = complete.last().map_or(0, |&(_, end)| end);
        let torn = if end < file.len() { vec![(end, file.len())] } else { vec![] };
        prop_assert_eq!(trace.scan(file, how), (complete, torn));
    }

    #[test]
    fn junk_between_records_takes_none_away(trace in trace((2..6).into()), how in how(), junk in junk(), at: Index) {
        let at = at.index(trace.records.len() + 1);
        let junk = junk.bytes(&trace);
        let file = [trace.records[..at].concat(), junk.clone(), trace.records[at..].concat()].concat();
        let (records, cuts) = trace.scan(&file, how);
        prop_assert_eq!(records, trace.others(at, junk.len(), 0));
        prop_assert_eq!(cuts.iter().map(|(start, end)| end - start).sum::<usize>(), junk.len());
    }

    /// Also of its header, and also in the first and in the last one. Whether what is damaged is found depends on the depth.
    #[test]
    fn damage_within_a_record_takes_no_other_away(
        trace in trace((3..6).into()), how in how(), at: Index, start: Index, junk in junk(),
    ) {
        let at = at.index(trace.records.len());
        let how = How { signature: true, ..how };
        let mut damaged = trace.records[at].clone();
        let start = if start.index(2) == 0 { start.index(120) } else { start.index(damaged.len()) };
        for (to, from) in damaged[start..].iter_mut().zip(junk.bytes(&trace)) {
            *to = from;
        }
        let file = [trace.records[..at].concat(), damaged.clone(), trace.records[at + 1..].concat()].concat();
        let (records, _) = trace.scan(&file, how);
        for other in trace.others(at, damaged.len(), 1) {
            prop_assert!(records.contains(&other), "{other:?} is not in {records:?}");
        }
    }

    #[test]
    fn short_writes_take_no_other_away(trace in trace((3..6).into()), how in how(), at: Index, len: Index) {
        let at = at.index(trace.records.len() - 1);
        let part = &trace.records[at][..len.index(trace.records[at].len())];
        let file = [&trace.records[..at].concat(), part, &trace.records[at + 1..].concat()].concat();
        let (records, cuts) = trace.scan(&file, how);
        prop_assert_eq!(records, trace.others(at, part.len(), 1));
        let expected: Vec<_> = (!part.is_empty()).then(|| trace.records[..at].concat().len()).into_iter().collect();
        prop_assert_eq!(cuts.iter().map(|&(start, _)| start).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn any_pieces(
        trace in trace((1..5).into()), how in how(), page_size in 0..9000_u64, max_len in prop_oneof![Just(u64::MAX), 0..20_000_u64],
        parts in prop::collection::vec((junk(), any::<bool>(), any::<(Index, u8)>()), 0..12),
    ) {
        let mut file = Vec::new();
        for (junk, is_whole, (place, byte)) in parts {
            let start = file.len();
            match (junk, is_whole) {
                (Junk::Part(record, _), true) => file.extend(record.get(&trace.records)),
                (junk, _) => file.extend(junk.bytes(&trace)),
            }
            let place = start + place.index(file.len() - start).min(place.index(128));
            file[place] ^= byte;
        }
        let limits = if is_odd(page_size) { Limits { page_size, max_len } } else { Limits::default() };
        let options = ScanOptions { limits, depth: how.depth, ..ScanOptions::default() };
        for channel in [Channel::Metadata, Channel::Compact, Channel::Data(b"kernel")] {
            pieces(&file, channel, None, &options);
            trace.scan(&file, how);
        }
    }

    #[test]
    fn any_bytes(file in prop::collection::vec(any::<u8>(), 0..2000)) {
        let (records, cuts) = pieces(&file, Channel::Metadata, None, &ScanOptions::default());
        prop_assert!(records.is_empty() && cuts.len() <= 1);
    }
}

fn is_odd(number: u64) -> bool {
    number % 2 == 1
}

/// A hostile file: headers so close to each other that each one's record holds all that follow it.
#[test]
fn a_file_full_of_headers_costs_no_more_than_its_length() {
    let machine = Machine {
        version: (2, 6),
        big_endian: false,
        pointer: 8,
        aligned: false,
        capped: false,
        heartbeat: false,
        compact: (0, 0, 0),
    };
    let spec = MarkerSpec { id: 3, fields: Vec::new(), aligned: false, data_in_header: false };
    let mut metadata = Writer::new(machine, 0);
    metadata.announce("kernel", &spec, false);
    let metadata_header = Header::parse(&metadata.bytes).unwrap();
    let mut markers = Markers::new(&metadata_header);
    let _ = markers.learn(&metadata_header, &metadata.bytes, metadata.bytes.len() as u64);

    let total = 32 << 20;
    // What they claim, and what lies between them: nothing, or bytes that decode as events.
    let cases: [(u32, usize); 4] = [(16 << 20, 0), (4096, 0), (16 << 20, 932), (16 << 20, 1 << 19)];
    for (claimed, between) in cases {
        let mut file = Vec::with_capacity(total);
        let mut begin = 1;
        while file.len() < total {
            let mut writer = Writer::new(machine, begin);
            let mut header = Header::parse(&writer.bytes).unwrap();
            header.end = u64::MAX;
            (header.lost_or_data_size, header.buf_or_sb_size) = (claimed - 1, claimed);
            header.write(&mut writer.bytes).unwrap();
            // Id 3 without fields, over and over.
            writer.bytes.extend(3_u32.rotate_right(5).to_le_bytes().repeat(between / 4));
            file.extend(&writer.bytes);
            begin += 1;
        }
        for depth in [Depth::Suspicious, Depth::All] {
            for signature in [None, Some(Signature::from(&Header::parse(&file).unwrap()))] {
                let options = ScanOptions { depth, signature, ..ScanOptions::default() };
                let start = Instant::now();
                let (records, cuts) = pieces(&file, Channel::Data(b"kernel"), Some(&markers), &options);
                assert!(records.len() <= 2 && !cuts.is_empty(), "{} records", records.len());
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "{claimed} {between}: {:?}",
                    start.elapsed()
                );
            }
        }
    }
}
