//! The map of a damaged data file: every byte in one piece, no whole packet lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod ctf_writer;

use ctf_writer::{Machine, PAGE, Release, Stream, metadata};
use lttformat::ctf::scan::{CutReason, Depth, Piece, ReadAt, Scan, ScanOptions};
use lttformat::ctf::{Form, Generation, PacketLayout, TraceClass};
use lttformat::ltt::Endian;
use proptest::prelude::*;

const MACHINE: Machine =
    Machine { big: false, natural: false, word: 8, compact: true, release: Release::V2_8 };

fn class() -> TraceClass {
    TraceClass::parse(metadata(MACHINE).as_bytes()).unwrap()
}

/// Packets of several pages each.
fn packets(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut stream = Stream::new(MACHINE, seed, 1);
    (0..count).map(|packet| stream.packet(150 + 40 * (packet % 4))).collect()
}

/// Offsets of the packets, and the cuts with their reasons, after checking that the pieces have no gap.
fn map<'t>(
    form: impl Into<Form<'t>>,
    file: &[u8],
    depth: Depth,
) -> (Vec<u64>, Vec<(std::ops::Range<u64>, CutReason)>) {
    let options = ScanOptions { page_size: PAGE as u64, depth, ..ScanOptions::default() };
    let mut scan = Scan::new(form, file, options);
    let (mut found, mut cuts, mut end) = (Vec::new(), Vec::new(), 0);
    while let Some(piece) = scan.next().unwrap() {
        match piece {
            Piece::Packet(packet) => {
                assert_eq!(packet.offset, end);
                end += packet.bytes.len() as u64;
                assert_eq!(packet.bytes, &file[packet.offset as usize..end as usize]);
                assert_eq!(packet.header.packet_size / 8, packet.bytes.len() as u64);
                found.push(packet.offset);
            }
            Piece::Cut(cut) => {
                assert_eq!(cut.range.start, end);
                assert!(cut.range.end > end);
                end = cut.range.end;
                cuts.push((cut.range, cut.reason));
            }
        }
    }
    assert_eq!(end, file.len() as u64);
    (found, cuts)
}

fn offsets(packets: &[Vec<u8>]) -> Vec<u64> {
    let ends = packets.iter().scan(0, |end, packet| {
        let offset = *end;
        *end += packet.len() as u64;
        Some(offset)
    });
    ends.collect()
}

#[test]
fn a_whole_file() {
    let packets = packets(5, 6);
    let class = class();
    let file = packets.concat();
    for depth in [Depth::Suspicious, Depth::All] {
        assert_eq!(map(&class, &file, depth), (offsets(&packets), vec![]));
    }
    let mut scan = Scan::new(&class, &file[..], ScanOptions { depth: Depth::All, ..ScanOptions::default() });
    let mut events = 0;
    while let Some(Piece::Packet(packet)) = scan.next().unwrap() {
        let tally = packet.tally.unwrap();
        assert_eq!((tally.stop, tally.end, packet.missing), (None, packet.used, 0));
        assert!(tally.last_time.unwrap() <= packet.header.timestamp_end);
        events += tally.events;
    }
    assert_eq!(events, 150 + 190 + 230 + 270 + 150 + 190);
}

#[test]
fn each_kind_of_damage_costs_one_packet() {
    let packets = packets(9, 5);
    let class = class();
    let at = offsets(&packets);
    let third = at[2] as usize..at[3] as usize;
    type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);
    let header = |offset: usize, value: u64| {
        let place = third.start + offset..third.start + offset + 8;
        move |file: &mut Vec<u8>| file[place.clone()].copy_from_slice(&value.to_le_bytes())
    };
    let cases: [(Damage<'_>, &str); 9] = [
        (&|file| file[third.clone()].fill(0), "expected a packet, found zeroes"),
        (&|file| file[third.start] ^= 1, "packet header: expected magic 0xc1fc1fc1, found 0xc1fc1fc0"),
        (&|file| file[third.start + 4] ^= 1, "packet header: expected the trace's uuid, found another one"),
        (&|file| file[third.start + 20] = 7, "expected a packet of the file's stream, found one of another"),
        (&header(24, 3), "expected a packet of the file's stream, found one of another"),
        (&header(40, 5), "expected an end after the begin"),
        (&header(48, u64::MAX), "expected a closed packet, found an open one"),
        (&header(56, 1 << 40), "expected whole bytes, 84 at least, 67108864 at most"),
        (
            &|file| file[third.start + PAGE..third.start + 2 * PAGE].fill(0),
            "expected events in each page of the content, found zeroes from byte 4096 of the packet",
        ),
    ];
    for (damage, message) in cases {
        let mut file = packets.concat();
        damage(&mut file);
        let (found, cuts) = map(&class, &file, Depth::Suspicious);
        assert_eq!(found, [at[0], at[1], at[3], at[4]], "{message}");
        assert_eq!(cuts.len(), 1, "{message}");
        assert_eq!(cuts[0].0, at[2]..at[3], "{message}");
        let found = cuts[0].1.to_string();
        assert!(found.starts_with(message), "{found}");
    }
}

#[test]
fn packets_out_of_order_and_missing() {
    let packets = packets(11, 4);
    let class = class();
    let swapped = [&packets[0][..], &packets[2], &packets[1], &packets[3]].concat();
    let (found, cuts) = map(&class, &swapped, Depth::Suspicious);
    assert_eq!((found.len(), cuts.len()), (3, 1));
    assert!(matches!(cuts[0].1, CutReason::Order { .. }));
    let file = [&packets[0][..], &packets[3]].concat();
    let mut scan = Scan::new(&class, &file[..], ScanOptions::default());
    let mut missing = Vec::new();
    while let Some(Piece::Packet(packet)) = scan.next().unwrap() {
        missing.push(packet.missing);
    }
    assert_eq!(missing, [0, 2]);
}

#[test]
fn the_last_packet_is_decoded() {
    let packets = packets(13, 3);
    let class = class();
    let at = offsets(&packets);
    let mut file = packets.concat();
    // Not a whole page: only its events tell.
    let last = at[2] as usize;
    let content = u64::from_le_bytes(file[last + 48..last + 56].try_into().unwrap()) as usize / 8;
    file[last + content / PAGE * PAGE..].fill(0);
    let (found, cuts) = map(&class, &file, Depth::Suspicious);
    assert_eq!(found, at[..2]);
    assert!(matches!(cuts[..], [(_, CutReason::Events(_))]), "{cuts:?}");
}

proptest! {
    #[test]
    fn any_prefix_keeps_its_packets(
        seed in 1..1000_u64,
        cut: prop::sample::Index,
        tail in prop::collection::vec(any::<u8>(), 0..50),
        zeroes in 0..9000_usize,
    ) {
        let packets = packets(seed, 4);
        let class = class();
        let at = offsets(&packets);
        let mut file = packets.concat();
        file.truncate(cut.index(file.len() + 1));
        file.extend(tail);
        file.resize(file.len() + zeroes, 0);
        let whole = |(at, packet): &(u64, &Vec<u8>)| file[(*at as usize).min(file.len())..].starts_with(packet);
        let kept: Vec<u64> = at.into_iter().zip(&packets).filter(whole).map(|(at, _)| at).collect();
        let (found, _) = map(&class, &file, Depth::Suspicious);
        prop_assert!(found.starts_with(&kept));
        // Zeroes in the place of the last bytes of a string or number cannot be told from the truth.
        prop_assert!(found.len() <= kept.len() + usize::from(zeroes > 0));
    }

    #[test]
    fn short_writes_cost_only_themselves(
        seed in 1..1000_u64,
        victim in 0..3_usize,
        keep: prop::sample::Index,
    ) {
        let mut packets = packets(seed, 4);
        let class = class();
        let keep = 1 + keep.index(packets[victim].len() - 1);
        packets[victim].truncate(keep);
        let at = offsets(&packets);
        let file = packets.concat();
        let (found, cuts) = map(&class, &file, Depth::Suspicious);
        let others: Vec<u64> = (0..4).filter(|packet| *packet != victim).map(|packet| at[packet]).collect();
        prop_assert_eq!(found, others);
        prop_assert_eq!(cuts.len(), 1);
        prop_assert_eq!(&cuts[0].0, &(at[victim]..at[victim] + keep as u64));
    }

    #[test]
    fn any_bytes_within(
        seed in 1..1000_u64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        headers in prop::collection::vec((any::<prop::sample::Index>(), 0..84_usize), 0..10),
    ) {
        let mut file = packets(seed, 3).concat();
        let start = file[..84].to_vec();
        for (place, len) in headers {
            let place = place.index(file.len() - 84);
            file[place..place + len].copy_from_slice(&start[..len]);
        }
        for (place, byte) in damage {
            let place = place.index(file.len());
            file[place] = byte;
        }
        map(&class(), &file, Depth::All);
    }
}

/// Counts the bytes that are read.
struct Counting<'a>(&'a [u8], std::cell::Cell<u64>);

impl ReadAt for Counting<'_> {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.1.set(self.1.get() + buffer.len() as u64);
        self.0.read_exact_at(offset, buffer)
    }
}

#[test]
fn a_file_full_of_headers_costs_no_more_than_its_length() {
    // Each claims a packet of 16 MiB, and each is interrupted by the next.
    let mut header = packets(3, 1)[0][..84].to_vec();
    header[48..56].copy_from_slice(&(1_u64 << 20).to_le_bytes());
    header[56..64].copy_from_slice(&(1_u64 << 27).to_le_bytes());
    let file = header.repeat((24 << 20) / 84);
    let class = class();
    let counting = Counting(&file, 0.into());
    let mut scan = Scan::new(&class, &counting, ScanOptions::default());
    let mut pieces = 0;
    while scan.next().unwrap().is_some() {
        pieces += 1;
    }
    assert!(pieces > 90_000, "{pieces}");
    assert!(counting.1.get() < 6 * file.len() as u64, "{}", counting.1.get());
}

#[test]
fn a_packet_that_is_there_twice() {
    let packets = packets(3, 3);
    let file = [&packets[0], &packets[1], &packets[1], &packets[2]].map(|packet| &packet[..]).concat();
    let [first, second] = [&packets[0], &packets[1]].map(|packet| packet.len() as u64);
    let (found, cuts) = map(&class(), &file, Depth::Suspicious);
    assert_eq!(found, [0, first, first + 2 * second]);
    assert_eq!(cuts, [(first + second..first + 2 * second, CutReason::Duplicate)]);
}

#[test]
fn without_metadata() {
    let packets = packets(4, 5);
    let class = class();
    let layout = PacketLayout::of_generation(Generation::V2_8, 8, Endian::Little);
    let mut file = packets.concat();
    file.truncate(file.len() - 1);
    for uuid in [class.uuid(), None] {
        let form = Form::Layout { layout: &layout, uuid };
        assert_eq!(map(form, &file, Depth::All), map(&class, &file, Depth::All));
    }
}
