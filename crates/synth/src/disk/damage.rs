//! How a crash tears a trace file.

use super::trace::{DiskFile, Piece};
use crate::format::Format;
use crate::marker::Value;
use crate::truth::StreamTruth;

/// Something wrong with one file. Records are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// The crash came inside the copy of the last record, or before the file's size was updated.
    ShortTail {
        /// Bytes of the record that are there.
        keep: usize,
    },
    /// The size was updated, the data was not: the last records are zeros from their first byte.
    ZeroTail {
        /// How many.
        records: usize,
    },
    /// The same within the last record: its header is there.
    ZeroRest {
        /// First byte that is zero.
        from: usize,
    },
    /// One page of a record is zeros; what comes before and after it is there.
    ZeroPage {
        /// Which record.
        record: usize,
        /// Which of its pages.
        page: usize,
    },
    /// The last records never reached the disk, though the daemon had given them back.
    LostTail {
        /// How many.
        records: usize,
    },
    /// The disk was full for a while: a short record, behind which the next one follows unaligned.
    ShortWrite {
        /// Which record, not the last one.
        record: usize,
        /// Bytes of it that are there, possibly none.
        keep: usize,
    },
    /// The size in the header is not the record's.
    WrongSize {
        /// Which record.
        record: usize,
        /// What the header says.
        size: u32,
    },
    /// The header of a sub-buffer that is still being written: used size all ones, no end.
    OpenHeader {
        /// Which record.
        record: usize,
    },
    /// The header of an earlier pass, complete and plausible, above the events of this one.
    StaleHeader {
        /// Which record, the third one or a later one.
        record: usize,
    },
    /// A record and its successor have changed places.
    Swapped {
        /// The older one.
        record: usize,
    },
    /// The writer overtook the daemon while it was copying: the first half is of this record, the rest of a later one.
    Mixed {
        /// Which record, not the last one.
        record: usize,
    },
    /// The header belongs to a trace that was started at another time.
    Foreign {
        /// Which record.
        record: usize,
    },
    /// One bit of an argument is not what it was: still a whole record, but not the one that the core holds.
    Altered {
        /// Which record.
        record: usize,
    },
    /// The file is empty.
    Empty,
    /// There is no file.
    Missing,
}

/// Why bytes are in no whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The file ends within the record.
    Partial,
    /// Zeros and nothing else.
    Blank,
    /// The header is right, the events are not.
    Events,
    /// The next record begins before this one ends.
    ShortWrite,
    /// The size in the header is impossible, or contradicts what follows.
    Size,
    /// The header was never completed.
    Open,
    /// It began before the record in front of it.
    Order,
    /// It is of another trace.
    Foreign,
}

impl Damage {
    /// One or more of each kind that a stream has records for.
    pub(super) fn all(stream: &StreamTruth, format: &Format) -> Vec<Damage> {
        let mut all = vec![Damage::Missing, Damage::Empty];
        let Some(last) = stream.disk.len().checked_sub(1) else { return all };
        let header = format.header_len() as usize;
        let tail = &stream.disk[last];
        let len = tail.bytes.len();
        all.extend([1, header / 2, header, 512, len - 1].map(|keep| Damage::ShortTail { keep }));
        all.extend([Damage::ZeroTail { records: 1 }, Damage::LostTail { records: 1 }]);
        all.extend([Damage::OpenHeader { record: last }]);
        // Nothing would tell what trace the file is of.
        all.extend((last > 0).then_some(Damage::Foreign { record: last }));
        all.extend([512, len / 2].map(|from| Damage::ZeroRest { from }));
        if last < 3 {
            return all.into_iter().filter(|damage| damage.fits(stream, format)).collect();
        }
        let mid = last / 2;
        let size = stream.disk[mid].bytes.len();
        all.extend([3, last + 1].map(|records| Damage::ZeroTail { records }));
        all.extend([3, last].map(|records| Damage::LostTail { records }));
        all.extend([0, mid, last].map(|record| Damage::ZeroPage { record, page: 1 }));
        all.extend([0, 20, header, 513, 4096, size - 4].map(|keep| Damage::ShortWrite { record: mid, keep }));
        all.extend([100, 3001].map(|keep| Damage::ShortWrite { record: 0, keep }));
        for size in [0, 1000, 2 * size as u32, 0x7fff_f000] {
            all.extend([0, mid, last].map(|record| Damage::WrongSize { record, size }));
        }
        all.extend([Damage::OpenHeader { record: mid }, Damage::Foreign { record: mid }]);
        all.extend([mid.max(2), last].map(|record| Damage::StaleHeader { record }));
        all.extend([Damage::Swapped { record: mid }, Damage::Mixed { record: mid }]);
        all.extend([mid, last].map(|record| Damage::Altered { record }));
        all.into_iter().filter(|damage| damage.fits(stream, format)).collect()
    }

    /// Would it damage this stream's file?
    fn fits(&self, stream: &StreamTruth, format: &Format) -> bool {
        let len = |record: usize| stream.disk.get(record).map_or(0, |r| r.bytes.len());
        let last = stream.disk.len() - 1;
        match *self {
            Damage::ShortTail { keep } => keep < len(last),
            Damage::ZeroRest { from } => loses_an_event(stream, last, from..len(last)),
            Damage::ZeroPage { record, page } => {
                let page_size = format.page_size as usize;
                let page = page * page_size..(page + 1) * page_size;
                page.end <= len(record) && loses_an_event(stream, record, page)
            }
            Damage::ShortWrite { record, keep } => record < last && keep < len(record),
            Damage::WrongSize { record, size } => size as usize != len(record),
            Damage::Mixed { record } => {
                record < last && loses_an_event(stream, record, len(record) / 2..len(record))
            }
            Damage::Altered { record } => first_integer(stream, record).is_some(),
            _ => true,
        }
    }

    /// Does it.
    pub(super) fn apply(&self, file: &mut DiskFile<'_>, format: &Format) {
        let stream = file.stream;
        if *self == Damage::Missing {
            file.pieces = None;
            return;
        }
        let Some(pieces) = &mut file.pieces else { panic!("{} has no file", stream.path) };
        if *self == Damage::Empty {
            pieces.clear();
            return;
        }
        assert!(self.fits(stream, format), "{self:?} is no damage to {}", stream.path);
        let last = pieces.len() - 1;
        match *self {
            Damage::Missing | Damage::Empty => {}
            Damage::ShortTail { keep } => {
                assert!(keep > 0, "a record of which nothing is there is a lost one");
                let piece = pieces[last].spoil(Reason::Partial);
                piece.truncate(keep);
            }
            Damage::ZeroTail { records } => {
                for piece in &mut pieces[last + 1 - records..] {
                    piece.spoil(Reason::Blank).fill(0);
                }
            }
            Damage::ZeroRest { from } => pieces[last].spoil(Reason::Events)[from..].fill(0),
            Damage::ZeroPage { record, page } => {
                let size = format.page_size as usize;
                whole(pieces, record).spoil(Reason::Events)[page * size..(page + 1) * size].fill(0);
            }
            Damage::LostTail { records } => pieces.truncate(last + 1 - records),
            Damage::ShortWrite { record, keep: 0 } => pieces.retain(|piece| piece.record != record),
            Damage::ShortWrite { record, keep } => {
                whole(pieces, record).spoil(Reason::ShortWrite).truncate(keep);
            }
            Damage::WrongSize { record, size } => {
                format.set_size(whole(pieces, record).spoil(Reason::Size), size);
            }
            Damage::OpenHeader { record } => format.reopen(whole(pieces, record).spoil(Reason::Open)),
            Damage::StaleHeader { record } => {
                let header = format.header_len() as usize;
                let earlier = &stream.disk[record - 2].bytes[..header];
                whole(pieces, record).spoil(Reason::Order)[..header].copy_from_slice(earlier);
            }
            Damage::Swapped { record } => {
                whole(pieces, record).spoil(Reason::Order);
                let at = pieces.iter().position(|piece| piece.record == record + 1);
                pieces.swap(at.expect("the successor is there") - 1, at.expect("the successor is there"));
            }
            Damage::Mixed { record } => {
                let later = &stream.disk[record + 1].bytes;
                let bytes = whole(pieces, record).spoil(Reason::Events);
                let half = bytes.len() / 2;
                let end = bytes.len().min(later.len());
                bytes[half..end].copy_from_slice(&later[half..end]);
            }
            Damage::Foreign { record } => {
                format.shift_start(whole(pieces, record).spoil(Reason::Foreign));
            }
            Damage::Altered { record } => {
                let at = first_integer(stream, record).expect("it fits");
                whole(pieces, record).bytes[at] ^= 1;
            }
        }
    }
}

impl Piece {
    /// Its bytes, to make them unusable.
    fn spoil(&mut self, reason: Reason) -> &mut Vec<u8> {
        assert_eq!(self.cut, None, "record {} is damaged already", self.record);
        self.cut = Some(reason);
        &mut self.bytes
    }
}

/// The piece of a record that is there and whole.
fn whole(pieces: &mut [Piece], record: usize) -> &mut Piece {
    match pieces.iter_mut().find(|piece| piece.record == record && piece.cut.is_none()) {
        Some(piece) => piece,
        None => panic!("record {record} is not there, or damaged already"),
    }
}

/// Does the record lose at least one whole event when these bytes become zeros?
fn loses_an_event(stream: &StreamTruth, record: usize, zeros: std::ops::Range<usize>) -> bool {
    let inside = |start: u64, end: u64| zeros.start as u64 <= start && end <= zeros.end as u64;
    stream.disk.get(record).is_some_and(|r| r.events.iter().any(|e| inside(e.start, e.end)))
}

/// Where the first argument that is an integer lies in a record. Metadata has none that would not change its meaning.
fn first_integer(stream: &StreamTruth, record: usize) -> Option<usize> {
    let events = &stream.disk.get(record)?.events;
    let event = events.iter().find(|e| matches!(e.fields.first(), Some((_, Value::Int(_)))))?;
    Some(event.end as usize - event.payload.len())
}
