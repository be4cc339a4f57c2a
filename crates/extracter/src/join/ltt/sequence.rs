//! A trace file and what the core holds of its stream, in one order.

use std::io;
use std::ops::Range;

use lttformat::ReadAt;
use lttformat::ltt::scan::{Cut, CutReason, Piece, Record, Scan};
use lttformat::ltt::{Channel, Header, Markers, tally};

use crate::join::file::{self, CutBytes};
use crate::join::gap::Step;
use crate::join::ltt::core::Key;
use crate::join::report::{Different, Side};
use crate::source::Reader;

/// Bytes that hold a header of any format.
const HEADER_ROOM: usize = 128;

/// One element of a stream. The core's records are named by their place among its [`Key`]s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// Records on disk only, one behind the other.
    Disk { range: Range<u64>, records: u64 },
    /// A record of the metadata channel that no tracer wrote.
    Made { range: Range<u64> },
    /// A record on disk that the core holds too; the disk's is good.
    Both { range: Range<u64>, key: usize },
    /// A record of the core that is not in this file, or not as good there.
    Core { key: usize },
    /// Bytes on disk that are in no whole record, or in one that the core holds better.
    Cut { range: Range<u64> },
    /// A record on disk that is older than the one before it.
    Stray { range: Range<u64> },
}

/// A file and the core's records, sorted by the time at which each was begun.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    pub(crate) items: Vec<Item>,
    pub(crate) cuts: Vec<CutBytes>,
    /// Whole records on disk that stay, and their bytes.
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Records that are on both sides, and the same.
    pub(crate) equal: u64,
    pub(crate) different: Vec<Different>,
    /// Length of the first whole record on disk.
    pub(crate) record_len: Option<u64>,
    /// Begin of the first whole record on disk, and end of the last.
    pub(crate) span: Option<(u64, u64)>,
}

/// What is needed to decide which of two records is better.
pub(crate) struct Judge<'a> {
    pub(crate) channel: Channel<'a>,
    pub(crate) markers: Option<&'a Markers>,
    pub(crate) keys: &'a [Key],
    pub(crate) reader: Option<Box<dyn Reader + 'a>>,
}

impl Sequence {
    /// A stream of which nothing is on disk.
    pub(crate) fn of_core(keys: &[Key]) -> Sequence {
        Sequence { items: (0..keys.len()).map(|key| Item::Core { key }).collect(), ..Sequence::default() }
    }

    /// Sorts the core's records in among those of a file. `visit` is shown each record that stays.
    ///
    /// Errors: the file cannot be read. Cost: reads the file once, decodes what the scan decodes, and keeps some numbers for each cut and
    /// each record of the core, not for each record on disk.
    pub(crate) fn new<R: ReadAt>(
        mut scan: Scan<'_, &R>,
        file: &R,
        judge: Judge<'_>,
        mut visit: impl FnMut(&Record<'_>),
    ) -> io::Result<Sequence> {
        let mut merge = Merge {
            sequence: Sequence::default(),
            next: 0,
            taken: vec![false; judge.keys.len()],
            made: None,
            judge,
        };
        while let Some(piece) = scan.next()? {
            match piece {
                Piece::Record(record) => merge.record(&record, &mut visit),
                Piece::Cut(cut) => merge.cut(&cut, file)?,
            }
        }
        merge.core_before(u64::MAX, true);
        Ok(merge.sequence)
    }

    /// Whether the file holds the core's record, as good as the core.
    pub(crate) fn holds(&self, wanted: usize) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Both { key, .. } if *key == wanted))
    }

    /// The ranges that are cut, neighbours joined.
    pub(crate) fn cut_ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for item in &self.items {
            let (Item::Cut { range } | Item::Stray { range }) = item else { continue };
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range.clone()),
            }
        }
        ranges
    }

    /// The same for [`gap`](crate::join::gap::gap).
    pub(crate) fn steps(&self, keys: &[Key]) -> Vec<Step> {
        let position = |key: &usize| keys.get(*key).map_or(0, |key| key.position);
        let step = |item: &Item| {
            Some(match item {
                Item::Disk { records, .. } => Step::Disk(*records),
                Item::Made { .. } => return None,
                Item::Both { key, .. } => Step::Both(position(key)),
                Item::Core { key } => Step::Core(position(key)),
                Item::Cut { range } => Step::Cut(range.end - range.start),
                Item::Stray { .. } => Step::Stray,
            })
        };
        self.items.iter().filter_map(step).collect()
    }
}

struct Merge<'a> {
    sequence: Sequence,
    judge: Judge<'a>,
    /// The first key whose place is not decided.
    next: usize,
    /// Keys whose place was decided before their turn.
    taken: Vec<bool>,
    /// Begin of the last record that was made up.
    made: Option<u64>,
}

impl Merge<'_> {
    /// Puts the core's records that are older than `begin` in their places.
    fn core_before(&mut self, begin: u64, and_equal: bool) {
        while let Some(key) = self.judge.keys.get(self.next) {
            if key.begin > begin || (key.begin == begin && !and_equal) {
                break;
            }
            if !self.is_taken(self.next) {
                self.sequence.items.push(Item::Core { key: self.next });
            }
            self.next += 1;
        }
    }

    fn is_taken(&self, key: usize) -> bool {
        self.taken.get(key).copied().unwrap_or(true)
    }

    fn take(&mut self, key: usize) {
        if let Some(taken) = self.taken.get_mut(key) {
            *taken = true;
        }
    }

    fn record(&mut self, record: &Record<'_>, visit: &mut impl FnMut(&Record<'_>)) {
        let begin = record.header.begin;
        self.core_before(begin, false);
        let range = record.offset..record.offset + record.bytes.len() as u64;
        let counterpart = self.counterpart(record);
        if let Some((key, Some(different))) = &counterpart {
            self.take(*key);
            self.sequence.different.push(different.clone());
            if different.kept == Side::Core {
                let reason =
                    "expected events to the end as in the core, found a record that cannot be decoded so far";
                let reason = reason.to_owned();
                self.sequence.cuts.push(CutBytes { range: range.clone(), reason, in_core: true });
                self.sequence.items.push(Item::Cut { range });
                self.sequence.items.push(Item::Core { key: *key });
                return;
            }
        }
        visit(record);
        let sequence = &mut self.sequence;
        sequence.records += 1;
        sequence.bytes += range.end - range.start;
        sequence.record_len.get_or_insert(range.end - range.start);
        let first = sequence.span.map_or(begin, |(first, _)| first);
        sequence.span = Some((first, record.header.end));
        match counterpart {
            Some((key, different)) => {
                sequence.equal += u64::from(different.is_none());
                sequence.items.push(Item::Both { range, key });
                self.take(key);
            }
            None if self.judge.channel == Channel::Metadata && is_made(record, self.made) => {
                self.made = Some(begin);
                sequence.items.push(Item::Made { range });
            }
            None => match sequence.items.last_mut() {
                Some(Item::Disk { range: last, records }) if last.end == range.start => {
                    last.end = range.end;
                    *records += 1;
                }
                _ => sequence.items.push(Item::Disk { range, records: 1 }),
            },
        }
    }

    /// The core's record that this one is, with what tells them apart if anything does.
    fn counterpart(&mut self, record: &Record<'_>) -> Option<(usize, Option<Different>)> {
        let begin = record.header.begin;
        let same_begin: Vec<usize> = (self.next..self.judge.keys.len())
            .take_while(|key| self.judge.keys.get(*key).is_some_and(|key| key.begin == begin))
            .filter(|key| !self.is_taken(*key))
            .collect();
        // With a clock that stood still several may have one begin: then their bytes decide.
        let mut first = None;
        for key in same_begin {
            match self.compare(record, key) {
                None => return Some((key, None)),
                Some(different) => first = first.or(Some((key, Some(different)))),
            }
        }
        first
    }

    /// What tells a record on disk from the core's; nothing if header and events are the same. Bytes behind them do not count.
    fn compare(&mut self, record: &Record<'_>, key: usize) -> Option<Different> {
        let Judge { channel, markers, keys, reader } = &mut self.judge;
        let slot = keys.get(key)?.slot;
        let core = reader.as_mut().map(|reader| reader.read(slot).bytes).unwrap_or_default();
        let header = Header::parse(core).ok();
        let core_used = header.as_ref().and_then(|header| header.used(core.len() as u64)).unwrap_or(0);
        let used = usize::try_from(record.used).unwrap_or(usize::MAX);
        if core_used == record.used && core.get(..used) == record.bytes.get(..used) {
            return None;
        }
        // How far events can be decoded, and whether that is to the end.
        let decoded = |bytes: &[u8], header: &Header, used: u64| {
            let tally = tally(bytes, header, used, *channel, (*markers)?);
            Some((tally.is_complete(), tally.end))
        };
        let disk = decoded(record.bytes, &record.header, record.used);
        let better = header.and_then(|header| decoded(core, &header, core_used)) > disk;
        Some(Different {
            offset: record.offset,
            begin: record.header.begin,
            kept: if better { Side::Core } else { Side::Disk },
            disk_used: record.used,
            core_used,
        })
    }

    fn cut(&mut self, cut: &Cut, file: &impl ReadAt) -> io::Result<()> {
        let range = cut.range.clone();
        let mut room = [0; HEADER_ROOM];
        let have = (range.end - range.start).min(HEADER_ROOM as u64);
        let bytes = room.get_mut(..usize::try_from(have).unwrap_or(0)).unwrap_or_default();
        file.read_exact_at(range.start, bytes)?;
        // A broken header may show any time, one of an earlier pass that of a record which is there. So it must name a record of the core
        // that has not been found on disk.
        let begin = Header::parse(bytes).ok().map(|header| header.begin);
        let mut keys = self.judge.keys.iter().enumerate();
        let in_core = keys.any(|(nth, key)| Some(key.begin) == begin && !self.is_taken(nth));
        self.sequence.cuts.push(CutBytes { range: range.clone(), reason: cut.reason.to_string(), in_core });
        self.sequence.items.push(match cut.reason {
            CutReason::Order { .. } => Item::Stray { range },
            _ => Item::Cut { range },
        });
        Ok(())
    }
}

/// Whether a metadata record was made up: its events all have the time at which it begins, while a tracer takes some time to
/// announce its markers. One event alone says nothing, unless its record continues one that was made up.
fn is_made(record: &Record<'_>, previous: Option<u64>) -> bool {
    let begin = record.header.begin;
    let continues = previous.is_some_and(|previous| previous.checked_add(1) == Some(begin));
    record.tally.as_ref().is_some_and(|tally| {
        let at_once = [tally.first_time, tally.last_time] == [Some(begin); 2];
        at_once && (tally.events >= 2 || continues)
    })
}

/// What a file consists of: of its whole records on disk those that are wanted, and of the core's records those that `core` wants.
pub(crate) fn pieces(
    sequence: &Sequence,
    disk: bool,
    mut core: impl FnMut(usize) -> Option<file::Piece>,
) -> Vec<file::Piece> {
    let mut pieces = Vec::new();
    for item in &sequence.items {
        match item {
            Item::Disk { range, .. } | Item::Made { range } | Item::Both { range, .. } if disk => {
                match pieces.last_mut() {
                    Some(file::Piece::Disk(last)) if last.end == range.start => last.end = range.end,
                    _ => pieces.push(file::Piece::Disk(range.clone())),
                }
            }
            Item::Core { key } => pieces.extend(core(*key)),
            _ => {}
        }
    }
    pieces
}

#[cfg(test)]
mod tests;
