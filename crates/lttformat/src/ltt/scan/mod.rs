//! The map of a trace file: which bytes are whole records, and which are not.
//!
//! After a crash a file may end in the middle of a record, in zeros that were never written back, or hold a short record in
//! its middle, after which the others do not lie at multiples of their length. [`Scan`] finds all of that: every byte of
//! the file is in exactly one [`Piece`].
//!
//! # What makes a record whole
//!
//! Its header must be one of this trace, closed, not older than the one before, with a possible length. Headers do not show
//! pages that were lost within a record. So events are decoded where there is reason to ([`Depth`]): they must be known, in
//! order, not later than the record's end, and the last one must end where the header says. A record with events whose ids
//! nobody announced cannot be judged by them; it is whole unless another record begins within it.
//!
//! Nothing that is whole is ever given up for what surrounds it.

mod cut;
mod verdict;

use std::io;

use memchr::memmem;

pub use cut::{Cut, CutReason};
use verdict::Verdict;

use super::{Channel, Endian, Header, Markers, Tally, Version};
pub use crate::ReadAt;
use crate::window::Window;

/// What records of a file may look like at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Page size of the traced machine, or a divisor of it: records are multiples of it.
    pub page_size: u64,
    /// Largest sub-buffer of the traced kernel.
    pub max_len: u64,
}

impl Default for Limits {
    /// 4 KiB pages, records of 64 MiB at most.
    fn default() -> Limits {
        Limits { page_size: 4096, max_len: 64 << 20 }
    }
}

/// Which records' events are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Depth {
    /// Of the first and the last record, of those before damage, and of those with a page that begins with zeros.
    #[default]
    Suspicious,
    /// Of all.
    All,
}

/// How to scan.
#[derive(Clone, Debug, Default)]
pub struct ScanOptions {
    /// What records may look like.
    pub limits: Limits,
    /// Which are decoded.
    pub depth: Depth,
    /// The trace that records must be of; that of the file's first whole record if `None`.
    pub signature: Option<Signature>,
}

/// What all records of one trace share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Trace format.
    pub version: Version,
    /// Byte order.
    pub endian: Endian,
    /// Size of a pointer in bytes.
    pub arch_size: u8,
    /// Largest alignment.
    pub alignment: u8,
    /// Wall clock at the start of the trace: seconds since 1970, and microseconds.
    pub start_time: (u64, u64),
    /// `start_freq` and `freq_scale`.
    pub clock: (u64, u32),
}

impl From<&Header> for Signature {
    fn from(header: &Header) -> Signature {
        Signature {
            version: header.version,
            endian: header.endian,
            arch_size: header.arch_size,
            alignment: header.alignment,
            start_time: (header.start_time_sec, header.start_time_usec),
            clock: (header.start_freq, header.freq_scale),
        }
    }
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

/// Bytes of candidates that a search may decode, as a multiple of the file: a file full of headers must not cost its square.
const EFFORT: u64 = 4;

/// Yields the [`Piece`]s of a file, in order.
///
/// Cost: reads each byte about once, in large pieces; memory: one record and 256 KiB. Decodes what [`Depth`] says. Searching for
/// the next record after damage is linear, too: after decoding four times the file's bytes in vain it trusts headers.
#[derive(Clone, Debug)]
pub struct Scan<'m, R> {
    window: Window<R>,
    channel: Channel<'m>,
    markers: Option<&'m Markers>,
    limits: Limits,
    depth: Depth,
    signature: Option<Signature>,
    /// Length of all records up to format 2.4, once one is known to be whole.
    fixed_len: Option<u64>,
    previous_begin: u64,
    offset: u64,
    /// Where the next record begins, found by the search that ended the cut before.
    found: Option<Candidate>,
    effort: u64,
}

/// A record with a right header.
#[derive(Clone, Debug)]
struct Candidate {
    offset: u64,
    header: Header,
    len: usize,
    used: u64,
    /// Set once its events were looked at.
    verdict: Option<Verdict>,
}

impl Candidate {
    fn end(&self) -> u64 {
        self.offset + self.len as u64
    }

    /// Whether it is longer than its data need, in a format whose records are not.
    ///
    /// That is so on a machine with pages larger than the file's limits say, or if the length is wrong.
    fn is_oddly_long(&self, page: u64) -> bool {
        self.header.version.has_short_records() && self.len as u64 - self.used >= page
    }
}

impl<'m, R: ReadAt> Scan<'m, R> {
    /// Scans `file`, whose records are of `channel`.
    ///
    /// Without markers no events are decoded, except those of the metadata channel.
    pub fn new(
        file: R,
        channel: Channel<'m>,
        markers: Option<&'m Markers>,
        options: &ScanOptions,
    ) -> Scan<'m, R> {
        let window = Window::new(file);
        let effort = window.file_len().saturating_mul(EFFORT);
        Scan {
            window,
            channel,
            markers,
            limits: options.limits,
            depth: options.depth,
            signature: options.signature,
            fixed_len: None,
            previous_begin: 0,
            offset: 0,
            found: None,
            effort,
        }
    }

    /// The next piece; `None` at the end of the file.
    ///
    /// Errors: what reading the file failed with.
    #[expect(clippy::should_implement_trait, reason = "a record is lent from the scan's own memory")]
    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        if self.offset >= self.window.file_len() {
            return Ok(None);
        }
        let candidate = match self.found.take() {
            Some(candidate) => Ok(candidate),
            None => self.candidate(self.offset)?,
        };
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(reason) => return self.cut(reason, None).map(Some),
        };
        match self.judge(candidate)? {
            Ok(candidate) => self.whole(candidate).map(Some),
            Err((candidate, reason)) => self.cut(reason, Some(&candidate)).map(Some),
        }
    }

    /// Accepts a record.
    fn whole(&mut self, candidate: Candidate) -> io::Result<Piece<'_>> {
        self.offset = candidate.end();
        self.previous_begin = candidate.header.begin;
        self.signature.get_or_insert_with(|| Signature::from(&candidate.header));
        if !candidate.header.version.has_short_records() {
            self.fixed_len.get_or_insert(candidate.len as u64);
        }
        let Candidate { offset, header, len, used, verdict } = candidate;
        let tally = verdict.and_then(Verdict::tally);
        let bytes = self.window.get(offset, len)?;
        Ok(Piece::Record(Record { offset, header, used, bytes, tally }))
    }

    /// Gives up the bytes from here to the next record.
    fn cut(&mut self, reason: CutReason, claimed: Option<&Candidate>) -> io::Result<Piece<'_>> {
        let start = self.offset;
        self.found = self.search(start + 1, self.window.file_len())?;
        let end = self.found.as_ref().map_or(self.window.file_len(), |next| next.offset);
        self.offset = end;
        let reason = match claimed {
            Some(claimed) if end < claimed.end() => {
                CutReason::ShortWrite { expected: claimed.len as u64, found: end - start }
            }
            None if self.is_blank(start, end)? => CutReason::Blank,
            _ => reason,
        };
        Ok(Piece::Cut(Cut { range: start..end, reason }))
    }

    fn is_blank(&mut self, start: u64, end: u64) -> io::Result<bool> {
        let mut at = start;
        while at < end {
            let bytes = self.window.stretch(at, 1)?;
            let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(bytes.len());
            if bytes.iter().take(len).any(|&byte| byte != 0) {
                return Ok(false);
            }
            at += len.max(1) as u64;
        }
        Ok(true)
    }

    /// What lies at `offset`, judged by its header.
    fn candidate(&mut self, offset: u64) -> io::Result<Result<Candidate, CutReason>> {
        let rest = self.window.file_len().saturating_sub(offset);
        let rules = self.rules();
        Ok(rules.check(self.window.get(offset, HEADER)?, offset, rest))
    }

    /// The rules for headers as of now.
    fn rules(&self) -> Rules {
        Rules {
            limits: self.limits,
            signature: self.signature,
            fixed_len: self.fixed_len,
            previous_begin: self.previous_begin,
        }
    }

    /// Looks into a candidate, if there is reason to.
    fn judge(&mut self, mut candidate: Candidate) -> io::Result<Result<Candidate, (Candidate, CutReason)>> {
        if candidate.verdict.is_none() && self.is_suspicious(&candidate)? {
            candidate.verdict = self.verdict(&candidate)?;
        }
        let may_hold_another = match &candidate.verdict {
            Some(Verdict::Broken(reason)) => {
                let reason = reason.clone();
                return Ok(Err((candidate, reason)));
            }
            Some(Verdict::Unknown(_)) => true,
            Some(Verdict::Whole(_)) => candidate.is_oddly_long(self.limits.page_size),
            None => false,
        };
        if may_hold_another && let Some(found) = self.embedded(&candidate)? {
            let found = found - candidate.offset;
            let reason = CutReason::ShortWrite { expected: candidate.len as u64, found };
            return Ok(Err((candidate, reason)));
        }
        Ok(Ok(candidate))
    }

    /// Decodes a candidate; `None` once too much was decoded in vain.
    fn verdict(&mut self, candidate: &Candidate) -> io::Result<Option<Verdict>> {
        if self.effort == 0 {
            return Ok(None);
        }
        let bytes = self.window.get(candidate.offset, candidate.len)?;
        let page = usize::try_from(self.limits.page_size).unwrap_or(usize::MAX).max(1);
        let verdict = Verdict::of(bytes, &candidate.header, candidate.used, self.channel, self.markers, page);
        if matches!(verdict, Verdict::Broken(_)) {
            self.effort = self.effort.saturating_sub(candidate.len as u64);
        }
        Ok(Some(verdict))
    }

    /// Whether a record's header is not enough.
    fn is_suspicious(&mut self, candidate: &Candidate) -> io::Result<bool> {
        let first = self.signature.is_none()
            || (self.fixed_len.is_none() && !candidate.header.version.has_short_records());
        if self.depth == Depth::All || first || candidate.end() >= self.window.file_len() {
            return Ok(true);
        }
        let rest = self.window.file_len() - candidate.end();
        let after = Rules { previous_begin: candidate.header.begin, ..self.rules() };
        let page = usize::try_from(self.limits.page_size).unwrap_or(usize::MAX).max(1);
        // In one piece, so that the record need not be read again for a glance at what follows it.
        let bytes = self.window.get(candidate.offset, candidate.len + HEADER)?;
        let (record, next) = bytes.split_at_checked(candidate.len).unwrap_or((bytes, &[]));
        if candidate.is_oddly_long(page as u64) || after.check(next, candidate.end(), rest).is_err() {
            return Ok(true);
        }
        let used = usize::try_from(candidate.used).unwrap_or(usize::MAX);
        let mut pages = record.get(..used).unwrap_or(record).chunks(page);
        Ok(pages.any(|page| page.first_chunk::<16>().is_none_or(|start| *start == [0; 16])))
    }

    /// Where another record begins within a candidate: one that is followed by a third, or by the end of the file.
    fn embedded(&mut self, candidate: &Candidate) -> io::Result<Option<u64>> {
        let mut rules = Rules { previous_begin: candidate.header.begin, ..self.rules() };
        let mut at = candidate.offset + 1;
        while let Some(found) = self.header_after(at, candidate.end(), &rules)? {
            let rest = self.window.file_len().saturating_sub(found.end());
            rules.previous_begin = found.header.begin;
            let next = self.window.get(found.end(), HEADER)?;
            if rest == 0 || rules.check(next, found.end(), rest).is_ok() {
                return Ok(Some(found.offset));
            }
            rules.previous_begin = candidate.header.begin;
            at = found.offset + 1;
            self.effort = self.effort.saturating_sub(found.len as u64);
            if self.effort == 0 {
                break;
            }
        }
        Ok(None)
    }

    /// The first record that begins in this range and is whole as far as can be told.
    fn search(&mut self, start: u64, end: u64) -> io::Result<Option<Candidate>> {
        let rules = self.rules();
        let mut at = start;
        while let Some(mut found) = self.header_after(at, end, &rules)? {
            at = found.offset + 1;
            found.verdict = self.verdict(&found)?;
            if !matches!(found.verdict, Some(Verdict::Broken(_))) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first right header that begins in this range.
    fn header_after(&mut self, start: u64, end: u64, rules: &Rules) -> io::Result<Option<Candidate>> {
        let file_len = self.window.file_len();
        let mut at = start;
        while at < end {
            let bytes = self.window.stretch(at, HEADER)?;
            // Headers that begin in the last bytes of a stretch are found in the next one.
            let last = at + bytes.len() as u64 >= file_len;
            let usable = if last { bytes.len() } else { (bytes.len() + 1).saturating_sub(HEADER) };
            let limit = usize::try_from(end - at).unwrap_or(usize::MAX).min(usable);
            for start in
                Magics::new(bytes).take_while(|&start| start < limit + HEADER).filter(|&start| start < limit)
            {
                let offset = at + start as u64;
                let header = bytes.get(start..).unwrap_or_default();
                if let Ok(candidate) = rules.check(header, offset, file_len - offset) {
                    return Ok(Some(candidate));
                }
            }
            if usable == 0 {
                break;
            }
            at += usable as u64;
        }
        Ok(None)
    }
}

/// Where headers may begin: before each magic number of either byte order.
struct Magics<'a> {
    bytes: &'a [u8],
    /// The next magic number of each byte order.
    next: [Option<usize>; 2],
    /// What the last one found means for the long headers.
    long: Option<usize>,
}

/// The magic number as a file has it, little-endian and big-endian.
const MAGICS: [[u8; 4]; 2] = [[0xed, 0xb7, 0xd6, 0x00], [0x00, 0xd6, 0xb7, 0xed]];

impl<'a> Magics<'a> {
    fn new(bytes: &'a [u8]) -> Magics<'a> {
        Magics { bytes, next: MAGICS.map(|magic| memmem::find(bytes, &magic)), long: None }
    }
}

impl Iterator for Magics<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if let Some(start) = self.long.take() {
            return Some(start);
        }
        loop {
            let place = self.next.iter().flatten().min().copied()?;
            for (next, magic) in self.next.iter_mut().zip(MAGICS) {
                if *next == Some(place) {
                    let rest = self.bytes.get(place + 1..).unwrap_or_default();
                    *next = memmem::find(rest, &magic).map(|found| place + 1 + found);
                }
            }
            self.long = place.checked_sub(40);
            if let Some(start) = place.checked_sub(16) {
                return Some(start);
            }
        }
    }
}

/// What a header must be like.
struct Rules {
    limits: Limits,
    signature: Option<Signature>,
    fixed_len: Option<u64>,
    previous_begin: u64,
}

impl Rules {
    /// Checks the header at the start of `bytes`, which are `rest` bytes before the end of the file.
    fn check(&self, bytes: &[u8], offset: u64, rest: u64) -> Result<Candidate, CutReason> {
        let header = Header::parse(bytes)?;
        if self.signature.is_some_and(|expected| expected != Signature::from(&header)) {
            return Err(CutReason::Foreign);
        }
        let len = header.record_len();
        let fixed = self.fixed_len.filter(|_| !header.version.has_short_records());
        let limit = fixed.unwrap_or(self.limits.max_len).min(self.limits.max_len);
        let whole_pages = len.checked_rem(self.limits.page_size) == Some(0);
        if len == 0 || len > limit || !whole_pages || fixed.is_some_and(|fixed| len != fixed) {
            return Err(CutReason::Length { limit, found: len });
        }
        let used = header.used(len).ok_or(CutReason::Used { found: header.lost_or_data_size })?;
        let (begin, end, previous) = (header.begin, header.end, self.previous_begin);
        if end < begin {
            return Err(CutReason::EndBeforeBegin { begin, end });
        }
        if begin < previous {
            return Err(CutReason::Order { previous, begin });
        }
        match usize::try_from(len) {
            Ok(len) if rest >= len as u64 => Ok(Candidate { offset, header, len, used, verdict: None }),
            _ => Err(CutReason::Partial { expected: len, found: rest }),
        }
    }
}
