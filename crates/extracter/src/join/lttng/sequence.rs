//! A data file and what the core holds of its stream, in one order.

use std::io;
use std::ops::Range;

use lttformat::ReadAt;
use lttformat::ctf::scan::{Cut, CutReason, Packet, Piece, Scan};
use lttformat::ctf::{Form, IndexEntry, PacketHeader, StreamClass, tally};

use super::core::{Key, order};
use crate::join::file::{self, CutBytes};
use crate::join::gap::Step;
use crate::join::report::{Different, Side};
use crate::source::Reader;

/// One element of a stream. The core's packets are named by their place among its [`Key`]s.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A packet on disk only; its entry says where.
    Disk { entry: IndexEntry },
    /// A packet on disk that the core holds too; the disk's is good.
    Both { entry: IndexEntry, key: usize },
    /// A packet of the core that is not in this file, or not as good there.
    Core { key: usize },
    /// Bytes on disk that are in no whole packet, or in one that the core holds better.
    Cut { range: Range<u64> },
    /// A packet on disk that is older than the one before it, or the same.
    Stray { range: Range<u64> },
}

/// A file and the core's packets, in the order of the stream.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    pub(crate) items: Vec<Item>,
    pub(crate) cuts: Vec<CutBytes>,
    /// Packets that are on both sides, and the same.
    pub(crate) equal: u64,
    pub(crate) different: Vec<Different>,
}

/// What is needed to decide which of two packets is better.
pub(crate) struct Judge<'a> {
    pub(crate) form: Form<'a>,
    /// What the longer metadata say of the stream.
    pub(crate) class: Option<&'a StreamClass>,
    pub(crate) keys: &'a [Key],
    /// Those of the keys that belong to this file, in order.
    pub(crate) own: Range<usize>,
    pub(crate) reader: Option<Box<dyn Reader + 'a>>,
}

impl Sequence {
    /// A file that is not on disk.
    pub(crate) fn of_core(own: Range<usize>) -> Sequence {
        Sequence { items: own.map(|key| Item::Core { key }).collect(), ..Sequence::default() }
    }

    /// Sorts the core's packets in among those of a file.
    ///
    /// Errors: the file cannot be read. Cost: reads the file once, decodes what the scan decodes, and keeps some numbers for each packet
    /// and each cut.
    pub(crate) fn new<R: ReadAt>(mut scan: Scan<'_, &R>, file: &R, judge: Judge<'_>) -> io::Result<Sequence> {
        let next = judge.own.start;
        let mut merge =
            Merge { sequence: Sequence::default(), next, taken: vec![false; judge.keys.len()], judge };
        while let Some(piece) = scan.next()? {
            match piece {
                Piece::Packet(packet) => merge.packet(&packet),
                Piece::Cut(cut) => merge.cut(&cut, file)?,
            }
        }
        merge.core_before(None);
        Ok(merge.sequence)
    }

    /// Packets on disk that stay.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &IndexEntry> {
        self.items.iter().filter_map(|item| match item {
            Item::Disk { entry } | Item::Both { entry, .. } => Some(entry),
            _ => None,
        })
    }

    /// The core's packets that the file lacks, by their place among the keys.
    pub(crate) fn added(&self) -> impl Iterator<Item = usize> {
        self.items.iter().filter_map(|item| match item {
            Item::Core { key } => Some(*key),
            _ => None,
        })
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
        let step = |item: &Item| match item {
            Item::Disk { .. } => Step::Disk(1),
            Item::Both { key, .. } => Step::Both(position(key)),
            Item::Core { key } => Step::Core(position(key)),
            Item::Cut { range } => Step::Cut(range.end - range.start),
            Item::Stray { .. } => Step::Stray,
        };
        self.items.iter().map(step).collect()
    }

    /// What the file consists of in the end: of its packets on disk those that stay, if they are wanted, and of the core's those that it
    /// lacks, if these are; with an index entry for each.
    pub(crate) fn pieces(&self, keys: &[Key], disk: bool, core: bool) -> (Vec<file::Piece>, Vec<IndexEntry>) {
        let (mut pieces, mut entries): (Vec<file::Piece>, Vec<IndexEntry>) = (Vec::new(), Vec::new());
        let mut at = 0;
        let mut enter = |entry: &IndexEntry, len: u64| {
            entries.push(IndexEntry { offset: at, ..*entry });
            at += len;
        };
        for item in &self.items {
            match item {
                Item::Disk { entry } | Item::Both { entry, .. } if disk => {
                    let range = range(entry);
                    enter(entry, range.end - range.start);
                    match pieces.last_mut() {
                        Some(file::Piece::Disk(last)) if last.end == range.start => last.end = range.end,
                        _ => pieces.push(file::Piece::Disk(range)),
                    }
                }
                Item::Core { key } if core => {
                    let Some(Key { slot, bytes, entry, .. }) = keys.get(*key) else { continue };
                    enter(entry, *bytes);
                    pieces.push(file::Piece::Core { slot: *slot, bytes: *bytes });
                }
                _ => {}
            }
        }
        (pieces, entries)
    }
}

/// Where a packet lies in its file.
fn range(entry: &IndexEntry) -> Range<u64> {
    entry.offset..entry.offset.saturating_add(entry.packet_size / 8)
}

struct Merge<'a> {
    sequence: Sequence,
    judge: Judge<'a>,
    /// The first key whose place is not decided.
    next: usize,
    /// Keys whose place was decided before their turn.
    taken: Vec<bool>,
}

impl Merge<'_> {
    /// Puts the core's packets that come before one in their places; all that are left, if there is none.
    fn core_before(&mut self, place: Option<u64>) {
        while self.next < self.judge.own.end
            && let Some(key) = self.judge.keys.get(self.next)
            && place.is_none_or(|place| order(&key.entry) < place)
        {
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

    fn packet(&mut self, packet: &Packet<'_>) {
        let entry = IndexEntry::new(packet.offset, &packet.header);
        let place = order(&entry);
        self.core_before(Some(place));
        let keys = self.judge.keys.get(self.next..self.judge.own.end).unwrap_or_default();
        let same = keys.first().is_some_and(|key| order(&key.entry) == place) && !self.is_taken(self.next);
        if !same {
            self.sequence.items.push(Item::Disk { entry });
            return;
        }
        let key = self.next;
        self.take(key);
        match self.compare(packet, key) {
            None => self.sequence.equal += 1,
            Some(different) => {
                let kept = different.kept;
                self.sequence.different.push(different);
                if kept == Side::Core {
                    let reason = "expected events to the end as in the core, found a packet that cannot be decoded so far";
                    let (range, reason) = (range(&entry), reason.to_owned());
                    self.sequence.cuts.push(CutBytes { range: range.clone(), reason, in_core: true });
                    self.sequence.items.push(Item::Cut { range });
                    self.sequence.items.push(Item::Core { key });
                    return;
                }
            }
        }
        self.sequence.items.push(Item::Both { entry, key });
    }

    /// What tells a packet on disk from the core's; nothing if header and events are the same. Bytes behind them do not count.
    fn compare(&mut self, packet: &Packet<'_>, key: usize) -> Option<Different> {
        let Judge { form, class, keys, reader, .. } = &mut self.judge;
        let slot = keys.get(key)?.slot;
        let core = reader.as_mut().map(|reader| reader.read(slot).bytes).unwrap_or_default();
        let header = form.header(core).ok();
        let core_used = header.as_ref().map_or(0, |header| header.content_size / 8);
        let used = usize::try_from(packet.used).unwrap_or(usize::MAX);
        if core_used == packet.used && core.get(..used) == packet.bytes.get(..used) {
            return None;
        }
        // Whether events can be decoded to the end, and how far.
        let decoded = |bytes: &[u8], header: &PacketHeader| {
            let tally = tally((*class)?, header, bytes);
            Some((tally.stop.is_none(), tally.end))
        };
        let disk = decoded(packet.bytes, &packet.header);
        let better = header.and_then(|header| decoded(core, &header)) > disk;
        Some(Different {
            offset: packet.offset,
            begin: packet.header.timestamp_begin,
            kept: if better { Side::Core } else { Side::Disk },
            disk_used: packet.used,
            core_used,
        })
    }

    fn cut(&mut self, cut: &Cut, file: &impl ReadAt) -> io::Result<()> {
        let range = cut.range.clone();
        let room = self.judge.form.longest_header();
        let have = usize::try_from(range.end - range.start).unwrap_or(room).min(room);
        let mut bytes = vec![0; have];
        file.read_exact_at(range.start, &mut bytes)?;
        // A broken header may show any number and time, one of an earlier pass those of a packet which is there. So it must name a packet
        // of the core that has not been found on disk.
        let entry = self.judge.form.header(&bytes).ok().map(|header| IndexEntry::new(0, &header));
        let names = |key: &Key| {
            entry.is_some_and(|entry| {
                (entry.packet_seq_num, entry.timestamp_begin)
                    == (key.entry.packet_seq_num, key.entry.timestamp_begin)
            })
        };
        let mut keys = self.judge.keys.iter().enumerate();
        let in_core = keys.any(|(nth, key)| names(key) && !self.is_taken(nth));
        self.sequence.cuts.push(CutBytes { range: range.clone(), reason: cut.reason.to_string(), in_core });
        self.sequence.items.push(match cut.reason {
            CutReason::Order { .. } | CutReason::Duplicate => Item::Stray { range },
            _ => Item::Cut { range },
        });
        Ok(())
    }
}
