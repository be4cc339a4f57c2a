//! What a crash does to the file of a stream.

use std::collections::BTreeSet;

/// Damage of a data file whose packets are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The last packet ends within its header.
    TornHeader,
    /// The last packet ends within its content.
    TornContent,
    /// The last packet's second page was never written back.
    BlankPage,
    /// The last packet was never written back at all.
    Blank,
    /// The file was extended, and nothing written.
    Zeroes,
    /// Bytes of something else follow.
    Garbage,
    /// The last packet is there twice.
    Duplicate,
    /// A packet in the middle was written in part.
    Middle,
    /// The first packet has lost its beginning.
    Beginning,
    /// The last packet lies before the one before it.
    OutOfOrder,
    /// A packet of another trace follows.
    Foreign,
    /// The file is empty.
    Empty,
}

pub(crate) const ALL: [Damage; 12] = [
    Damage::TornHeader,
    Damage::TornContent,
    Damage::BlankPage,
    Damage::Blank,
    Damage::Zeroes,
    Damage::Garbage,
    Damage::Duplicate,
    Damage::Middle,
    Damage::Beginning,
    Damage::OutOfOrder,
    Damage::Foreign,
    Damage::Empty,
];

/// The damaged file, and which of the packets it still holds.
pub(crate) fn damaged(packets: &[Vec<u8>], damage: Damage) -> (Vec<u8>, BTreeSet<u64>) {
    let last = packets.len() - 1;
    assert!(last >= 3 && packets[last].len() == 8192, "{}", packets[last].len());
    let whole = packets.concat();
    let start = whole.len() - packets[last].len();
    let mut kept: BTreeSet<u64> = (0..packets.len() as u64).collect();
    let mut file = whole.clone();
    let mut lose = |packet: usize| {
        kept.remove(&(packet as u64));
    };
    match damage {
        Damage::TornHeader => file.truncate(start + 30),
        Damage::TornContent => file.truncate(start + 5000),
        Damage::BlankPage => file[start + 4096..].fill(0),
        Damage::Blank => file[start..].fill(0),
        Damage::Zeroes => file.resize(whole.len() + 10_000, 0),
        Damage::Garbage => file.extend((0..5000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)),
        Damage::Duplicate => file.extend(&packets[last]),
        Damage::Middle => {
            let at: usize = packets[..2].iter().map(Vec::len).sum();
            file.drain(at + 700..at + packets[1 + 1].len());
            lose(2);
        }
        Damage::Beginning => {
            file[..50].fill(0x55);
            lose(0);
        }
        Damage::OutOfOrder => {
            let before = start - packets[last - 1].len();
            file[before..].rotate_left(packets[last - 1].len());
            lose(last - 1);
        }
        Damage::Foreign => {
            file.extend(&packets[last]);
            file[whole.len() + 6] ^= 0x10;
        }
        Damage::Empty => {
            file.clear();
            (0..packets.len()).for_each(&mut lose);
        }
    }
    if matches!(damage, Damage::TornHeader | Damage::TornContent | Damage::BlankPage | Damage::Blank) {
        lose(last);
    }
    (file, kept)
}
