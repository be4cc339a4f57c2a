//! Finds the records of a trace file that are whole, and the place where damage begins.
//!
//! After a crash a file may end in the middle of a record, in zeros that were never written back, or hold a short record in
//! its middle.

use super::{Endian, Header, Version};
use crate::Error;

/// What records of a file may look like at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Page size of the traced machine: records are multiples of it.
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

/// One whole record: a sub-buffer as it is on disk.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Offset in the file.
    pub offset: usize,
    /// Its header.
    pub header: Header,
    /// Bytes from its start that hold header and events.
    pub used: u64,
    /// All its bytes.
    pub bytes: &'a [u8],
}

/// Where the whole records end, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record at byte {offset}: {reason}")]
pub struct Cut {
    /// Offset in the file of the first byte that is in no whole record.
    pub offset: usize,
    /// What is wrong with what follows.
    pub reason: CutReason,
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutReason {
    /// It does not begin with a header.
    #[error(transparent)]
    Header(#[from] Error),
    /// It is from another trace than the file's first record.
    #[error("expected the first record's format, byte order, pointer size and alignment, found others")]
    Foreign,
    /// Its length is no record's.
    #[error("expected a record of whole pages, {limit} bytes at most, found a length of {found}")]
    Length {
        /// Upper bound: the first record's up to format 2.4, the largest sub-buffer otherwise.
        limit: u64,
        /// What the header says.
        found: u64,
    },
    /// Its writer never left it, or the used length makes no sense.
    #[error("expected a used length within the record, found 0x{found:08x} in the header")]
    Used {
        /// The header's `lost_size` or `data_size`.
        found: u32,
    },
    /// It ends before it begins.
    #[error("expected an end after the begin {begin}, found {end}")]
    EndBeforeBegin {
        /// Cycles.
        begin: u64,
        /// Cycles.
        end: u64,
    },
    /// It is older than the record before.
    #[error("expected a begin after the previous record's {previous}, found {begin}")]
    Order {
        /// Begin of the record before in cycles.
        previous: u64,
        /// Its own.
        begin: u64,
    },
    /// The file ends within it.
    #[error("expected {expected} bytes, found the end of the file after {found}")]
    Partial {
        /// Length of the record.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
}

/// Iterator over the whole records of a trace file, from its start to the first one that is not whole.
///
/// Headers alone are checked. Whether the events of a record are whole (pages in its middle may be zeros) only decoding
/// tells: [`tally`](super::tally) must be complete; the last record of a file that a crash interrupted always deserves it.
/// Cost: touches one header a record.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    file: &'a [u8],
    limits: Limits,
    offset: usize,
    first: Option<Header>,
    previous_begin: u64,
    cut: Option<Cut>,
}

impl<'a> Records<'a> {
    /// Scans a file's content.
    pub fn new(file: &'a [u8], limits: Limits) -> Records<'a> {
        Records { file, limits, offset: 0, first: None, previous_begin: 0, cut: None }
    }

    /// Where and why the iterator ended before the end of the file; `None` while it has not, or when the file is whole.
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// Goes on at the first page after `damaged` that begins with a whole record, and returns its offset; the bytes between are
    /// in no whole record. `None` if nothing usable follows.
    ///
    /// `damaged` is the offset of a [`cut`](Records::cut), or of a record whose events turned out to be broken: after a short
    /// write the next record lies within what its header claims.
    pub fn resume(&mut self, damaged: usize) -> Option<usize> {
        let step = usize::try_from(self.limits.page_size).ok().filter(|&step| step > 0)?;
        let mut offset = damaged.checked_add(1)?.checked_next_multiple_of(step)?;
        while offset < self.file.len() {
            if self.record(offset).is_ok() {
                self.offset = offset;
                self.cut = None;
                return Some(offset);
            }
            offset = offset.checked_add(step)?;
        }
        None
    }

    fn record(&self, offset: usize) -> Result<Record<'a>, CutReason> {
        let rest = self.file.get(offset..).unwrap_or_default();
        let header = Header::parse(rest)?;
        let first = self.first.as_ref().unwrap_or(&header);
        if signature(first) != signature(&header) {
            return Err(CutReason::Foreign);
        }
        let len = header.record_len();
        let fixed = (!header.version.has_short_records()).then(|| first.record_len());
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
        let bytes = usize::try_from(len).ok().and_then(|len| rest.get(..len));
        let bytes = bytes.ok_or(CutReason::Partial { expected: len, found: rest.len() as u64 })?;
        Ok(Record { offset, header, used, bytes })
    }
}

/// What all records of one file share.
fn signature(header: &Header) -> (Version, Endian, u8, u8) {
    (header.version, header.endian, header.arch_size, header.alignment)
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.cut.is_some() || self.offset >= self.file.len() {
            return None;
        }
        match self.record(self.offset) {
            Ok(record) => {
                self.previous_begin = record.header.begin;
                self.offset += record.bytes.len();
                self.first.get_or_insert_with(|| record.header.clone());
                Some(record)
            }
            Err(reason) => {
                self.cut = Some(Cut { offset: self.offset, reason });
                None
            }
        }
    }
}
