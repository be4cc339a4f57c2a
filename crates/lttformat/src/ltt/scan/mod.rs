//! The map of a trace file: which bytes are whole records, and which are not.
//!
//! After a crash a file may end in the middle of a record, in zeros that were never written back, or hold a short record in
//! its middle, after which the others do not lie at multiples of their length. [`Scan`] finds all of that: every byte of
//! the file is in exactly one [`Piece`].
//!
//! # What makes a record whole
//!
//! * Its header is one of this trace, closed, not older than the record before, with a possible length.
//! * No other header of this trace begins within its length: a short write is followed by the next record at any byte. A
//!   header repeats the trace's start time and clock, which no event holds by chance.
//! * No sector of its events is blank.
//! * Its events decode, in order, none later than the record's end, and the last one ends where the header says. Events whose
//!   ids nobody announced cannot be judged, and so are no damage unless [all markers](ScanOptions::all_markers) are known.
//!
//! The first of these is looked at in every record, the others where there is reason to: [`Depth`].
//!
//! What is damaged ends where the next header of this trace begins, and that record is judged by itself: nothing that is whole is
//! given up for what surrounds it. Should two neighbours contradict each other, the one after them decides.

mod cut;
mod magic;
mod rules;
mod verdict;

use std::io;

pub use cut::{Cut, CutReason};
use magic::Magic;
use rules::{Candidate, Rules};
pub use rules::{Limits, Signature};
use verdict::Verdict;

use super::{Channel, Header, Markers, Tally};
use crate::Error;
pub use crate::ReadAt;
use crate::window::Window;

/// Which records are looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Depth {
    /// The first and the last one, those before and after damage, and those with a page that begins with zeros or as a record
    /// does. What a crash or a full disk leaves is found by that.
    #[default]
    Suspicious,
    /// All. Finds records, too, that were overwritten while they were copied.
    All,
}

/// How to scan.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanOptions {
    /// What records may look like.
    pub limits: Limits,
    /// Which are looked into.
    pub depth: Depth,
    /// The trace that records must be of; that of the file's first whole record if `None`.
    pub signature: Option<Signature>,
    /// The markers are all there ever were, so that an event with another id is damage.
    pub all_markers: bool,
}

/// A stretch of a file.
#[derive(Clone, Debug)]
pub enum Piece<'a> {
    /// A whole record.
    Record(Record<'a>),
    /// Bytes in no whole record.
    Cut(Cut),
}

/// One whole record: a sub-buffer as it is on disk.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Offset in the file.
    pub offset: u64,
    /// Its header.
    pub header: Header,
    /// Bytes from its start that hold header and events.
    pub used: u64,
    /// All its bytes.
    pub bytes: &'a [u8],
    /// Its events, if they were decoded; not complete if their ids are unknown.
    pub tally: Option<Tally>,
}

/// Bytes that a header may need; more than any has.
const HEADER: usize = 128;

/// Yields the [`Piece`]s of a file, in order.
///
/// Cost: linear in the file, whatever is in it. Each byte is read once, in large pieces, and searched for headers once at most:
/// within a record that is looked into, or behind a damaged one; twice between a whole record and the next if there is something
/// else between them. Records that are decoded do not overlap, because what holds another header is not decoded. Memory: twice the
/// longest record, and half a MiB.
#[derive(Clone, Debug)]
pub struct Scan<'m, R> {
    window: Window<R>,
    channel: Channel<'m>,
    markers: Option<&'m Markers>,
    depth: Depth,
    all_markers: bool,
    rules: Rules,
    offset: u64,
    /// The piece before was a cut.
    after_cut: bool,
}

/// What is to become of a candidate.
enum Judgement {
    Whole {
        tally: Option<Tally>,
        is_certain: bool,
    },
    /// Another header begins at this offset of the file.
    Short(u64),
    Broken(CutReason),
}

impl<'m, R: ReadAt> Scan<'m, R> {
    /// Scans `file`, whose records are of `channel`, from its beginning; that need not be the beginning of a record.
    ///
    /// Without markers no events are decoded, except those of the metadata channel.
    pub fn new(
        file: R,
        channel: Channel<'m>,
        markers: Option<&'m Markers>,
        options: &ScanOptions,
    ) -> Scan<'m, R> {
        let ScanOptions { limits, depth, signature, all_markers } = *options;
        let rules = Rules { limits, signature, fixed_len: None, previous: (0, 0) };
        let window = Window::new(file);
        Scan { window, channel, markers, depth, all_markers, rules, offset: 0, after_cut: false }
    }

    /// The next piece; `None` at the end of the file.
    ///
    /// Errors: what reading the file failed with; calling again tries again.
    #[expect(clippy::should_implement_trait, reason = "a record is lent from the scan's own memory")]
    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        let offset = self.offset;
        if offset >= self.window.file_len() {
            return Ok(None);
        }
        let rest = self.window.file_len() - offset;
        let candidate = match self.rules.check(self.window.get(offset, HEADER)?, offset, rest) {
            Ok(candidate) => candidate,
            Err(reason) => return self.cut_from_header(reason).map(Some),
        };
        let cut = match self.judge(&candidate)? {
            Judgement::Whole { tally, is_certain } => {
                return self.accept(candidate, tally, is_certain).map(Some);
            }
            Judgement::Short(next) => {
                let reason = CutReason::ShortWrite { expected: candidate.len as u64, found: next - offset };
                self.cut(next, reason)
            }
            Judgement::Broken(reason) => {
                let end = self.next_header(candidate.end())?;
                self.cut(end, reason)
            }
        };
        Ok(Some(cut))
    }

    fn accept(
        &mut self,
        candidate: Candidate,
        tally: Option<Tally>,
        is_certain: bool,
    ) -> io::Result<Piece<'_>> {
        let bytes = self.window.get(candidate.offset, candidate.len)?;
        // One that may be wrong itself must not be what the others are measured by.
        self.rules = if is_certain {
            self.rules.after(&candidate)
        } else {
            Rules { previous: candidate.times(), ..self.rules }
        };
        self.offset = candidate.end();
        self.after_cut = false;
        let Candidate { offset, header, used, .. } = candidate;
        Ok(Piece::Record(Record { offset, header, used: used as u64, bytes, tally }))
    }

    fn cut<'a>(&mut self, end: u64, reason: CutReason) -> Piece<'a> {
        let range = self.offset..end;
        self.offset = end;
        self.after_cut = true;
        Piece::Cut(Cut { range, reason })
    }

    /// Cuts what does not begin with the header of a record.
    fn cut_from_header<'a>(&mut self, reason: CutReason) -> io::Result<Piece<'a>> {
        let offset = self.offset;
        let zeros = self.zeros(offset)?;
        // The first bytes of a header may be zeros, but not those of the magic number.
        let end = self.next_header(zeros.saturating_sub(HEADER as u64).max(offset + 1))?;
        let (found, is_followed) = (end - offset, end < self.window.file_len());
        let next = Header::parse(self.window.get(end, HEADER)?);
        let header_len = next.map_or(0, |next| next.len());
        let reason = match reason {
            _ if end <= zeros => CutReason::Blank,
            _ if is_followed && found < header_len as u64 => {
                // Part of the next header was taken for the rest of this one.
                let found = usize::try_from(found).unwrap_or(header_len);
                CutReason::Header(Error::Short { expected: header_len, found })
            }
            CutReason::Partial { expected, .. } if is_followed => CutReason::ShortWrite { expected, found },
            reason => reason,
        };
        Ok(self.cut(end, reason))
    }

    /// Looks into a candidate, if there is reason to.
    fn judge(&mut self, candidate: &Candidate) -> io::Result<Judgement> {
        let end = candidate.end();
        let after = self.rules.after(candidate);
        let next = self.glance(end, &after)?;
        let is_doubtful = self.depth == Depth::All
            || self.after_cut
            || self.rules.are_open()
            || next.is_err()
            || self.has_odd_page(candidate)?;
        if !is_doubtful {
            return Ok(Judgement::Whole { tally: None, is_certain: true });
        }
        if let Some(inner) = self.search(Some(candidate.offset), candidate.offset + 1, end)? {
            return Ok(Judgement::Short(inner));
        }
        if next.is_err()
            && end < self.window.file_len()
            && let Some(reason) = self.contradicted(candidate, &after)?
        {
            return Ok(Judgement::Broken(reason));
        }
        let bytes = self.window.get(candidate.offset, candidate.len)?;
        let events = bytes.get(..candidate.used).unwrap_or(bytes);
        let (header, markers) = (&candidate.header, self.markers);
        let verdict = Verdict::of(events, candidate.offset, header, self.channel, markers, self.all_markers);
        Ok(match verdict {
            Verdict::Broken(stop) => Judgement::Broken(CutReason::Events(stop)),
            Verdict::Whole(tally) => Judgement::Whole { tally: Some(tally), is_certain: true },
            Verdict::Unknown(tally) => Judgement::Whole { tally, is_certain: next.is_ok() },
        })
    }

    /// Whether a page of a candidate begins with zeros, or as a record does.
    fn has_odd_page(&mut self, candidate: &Candidate) -> io::Result<bool> {
        let magic = self.magic();
        let page = usize::try_from(self.rules.limits.page_size).unwrap_or(usize::MAX).max(1);
        let bytes = self.window.get(candidate.offset, candidate.len)?;
        let used = bytes.get(..candidate.used).unwrap_or(bytes);
        let is_blank = |page: &[u8]| page.first_chunk() == Some(&[0; 16]);
        Ok(used.chunks(page).any(is_blank) || bytes.chunks(page).skip(1).any(|page| magic.is_at_start(page)))
    }

    /// Why a candidate is wrong rather than the next record, which fits what was before them but not the candidate.
    ///
    /// The third one decides: if it goes with the second only, the first is wrong. Without a third the first is right, unless
    /// it is their times that contradict each other and the second's is none that an earlier pass may have left.
    fn contradicted(&mut self, first: &Candidate, after_first: &Rules) -> io::Result<Option<CutReason>> {
        let start = self.next_header(first.end())?;
        let Err(reason) = self.glance(start, after_first)? else { return Ok(None) };
        let Ok(second) = self.glance(start, &self.rules)? else { return Ok(None) };
        let with_first = self.glance(second.end(), after_first)?;
        let with_second = self.glance(second.end(), &self.rules.after(&second))?;
        let is_first_wrong = match (with_first, with_second) {
            (Ok(third), Ok(_)) => third.header.begin < first.header.end,
            (Err(_), Ok(_)) => true,
            (_, Err(_)) => {
                let (_, previous_end) = self.rules.previous;
                matches!(reason, CutReason::Order { .. }) && second.header.begin >= previous_end
            }
        };
        Ok(is_first_wrong.then_some(match reason {
            CutReason::Order { previous, begin } => CutReason::Ahead { begin: previous, next: begin },
            CutReason::Length { found, .. } => CutReason::Length { limit: found, found: first.len as u64 },
            reason => reason,
        }))
    }

    /// What the header at `offset` begins, by these rules. What is in memory stays.
    fn glance(&self, offset: u64, rules: &Rules) -> io::Result<Result<Candidate, CutReason>> {
        let mut header = [0; HEADER];
        let len = self.window.glance(offset, &mut header)?;
        let bytes = header.get(..len).unwrap_or_default();
        Ok(rules.check(bytes, offset, self.window.file_len().saturating_sub(offset)))
    }

    /// Where the first header of this trace begins from `from` on; the end of the file if there is none.
    fn next_header(&mut self, from: u64) -> io::Result<u64> {
        let file_len = self.window.file_len();
        Ok(self.search(None, from, file_len)?.unwrap_or(file_len))
    }

    /// Where the first header of this trace begins from `from` on before `until`. What follows `anchor` stays in memory.
    fn search(&mut self, anchor: Option<u64>, from: u64, until: u64) -> io::Result<Option<u64>> {
        let (magic, file_len) = (self.magic(), self.window.file_len());
        let mut at = from;
        while at < until {
            let anchor = anchor.unwrap_or(at);
            let before = usize::try_from(at - anchor).unwrap_or(usize::MAX);
            let stretch = self.window.stretch(anchor, before.saturating_add(HEADER))?;
            let bytes = stretch.get(before..).unwrap_or_default();
            // A header that begins in the last bytes of a stretch is found in the next one.
            let is_last = at + bytes.len() as u64 >= file_len;
            let usable = if is_last { bytes.len() } else { (bytes.len() + 1).saturating_sub(HEADER) };
            if usable == 0 {
                break;
            }
            let limit = usize::try_from(until - at).unwrap_or(usize::MAX).min(usable);
            let is_header = |&start: &usize| {
                let header = bytes.get(start..).filter(|_| start < limit).map(Header::parse);
                header.is_some_and(|header| header.is_ok_and(|header| self.rules.knows(&header)))
            };
            let searched = bytes.get(..limit.saturating_add(HEADER)).unwrap_or(bytes);
            if let Some(start) = magic.starts(searched, 0).find(is_header) {
                return Ok(Some(at + start as u64));
            }
            at += usable as u64;
        }
        Ok(None)
    }

    fn magic(&self) -> Magic {
        Magic::new(self.rules.signature.map(|known| (known.endian, known.version)))
    }

    /// Offset of the first byte from `from` on that is not zero, or of the end of the file.
    fn zeros(&mut self, from: u64) -> io::Result<u64> {
        const WORDS: usize = 64;
        let mut at = from;
        loop {
            let bytes = self.window.stretch(at, 1)?;
            let blank =
                bytes.chunks(WORDS).take_while(|words| words.iter().fold(0, |any, &byte| any | byte) == 0);
            let words = blank.count() * WORDS;
            let rest = bytes.get(words..).unwrap_or_default();
            let zeros = rest.iter().position(|&byte| byte != 0);
            match zeros {
                Some(zeros) => return Ok(at + (words + zeros) as u64),
                None if bytes.is_empty() => return Ok(at),
                None => at += bytes.len() as u64,
            }
        }
    }
}
