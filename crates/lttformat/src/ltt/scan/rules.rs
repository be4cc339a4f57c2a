//! What a header must be like to begin a record.

use super::super::{Endian, Header, Version};
use super::CutReason;

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

/// The rules for the next record: they become stricter with each whole one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) limits: Limits,
    /// What all records share, once it is known.
    pub(super) signature: Option<Signature>,
    /// Length of all records up to format 2.4, once it is known.
    pub(super) fixed_len: Option<u64>,
    /// Begin and end of the last whole record.
    pub(super) previous: (u64, u64),
}

/// What the header at some place of a file claims to begin: a record that fits the rules.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) offset: u64,
    pub(super) header: Header,
    pub(super) len: usize,
    pub(super) used: usize,
}

impl Candidate {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.len as u64
    }

    pub(super) fn times(&self) -> (u64, u64) {
        (self.header.begin, self.header.end)
    }
}

impl Rules {
    /// Whether nothing of the file is known yet that is known of others.
    pub(super) fn are_open(&self) -> bool {
        self.signature.is_none_or(|known| !known.version.has_short_records() && self.fixed_len.is_none())
    }

    /// The rules for what follows a record.
    pub(super) fn after(&self, record: &Candidate) -> Rules {
        let fixed_len = (!record.header.version.has_short_records()).then_some(record.len as u64);
        Rules {
            limits: self.limits,
            signature: self.signature.or(Some(Signature::from(&record.header))),
            fixed_len: self.fixed_len.or(fixed_len),
            previous: record.times(),
        }
    }

    /// Checks the header at the start of `bytes`, which lie at `offset`, `rest` bytes before the end of the file.
    pub(super) fn check(&self, bytes: &[u8], offset: u64, rest: u64) -> Result<Candidate, CutReason> {
        let header = Header::parse(bytes)?;
        if !self.knows(&header) {
            return Err(CutReason::Foreign);
        }
        let found = header.record_len();
        let fixed = self.fixed_len.filter(|_| !header.version.has_short_records());
        let limit = fixed.unwrap_or(self.limits.max_len).min(self.limits.max_len);
        let is_possible = found != 0
            && found <= limit
            && fixed.is_none_or(|fixed| found == fixed)
            && found.checked_rem(self.limits.page_size) == Some(0);
        let len =
            usize::try_from(found).ok().filter(|_| is_possible).ok_or(CutReason::Length { limit, found })?;
        let used = header.used(found).and_then(|used| usize::try_from(used).ok());
        let used = used.ok_or(CutReason::Used { found: header.lost_or_data_size })?;
        let (begin, end, (previous, _)) = (header.begin, header.end, self.previous);
        if end < begin {
            return Err(CutReason::EndBeforeBegin { begin, end });
        }
        if begin < previous {
            return Err(CutReason::Order { previous, begin });
        }
        if rest < found {
            return Err(CutReason::Partial { expected: found, found: rest });
        }
        Ok(Candidate { offset, header, len, used })
    }

    /// Whether a header is one of this trace, as far as it is known.
    pub(super) fn knows(&self, header: &Header) -> bool {
        self.signature.is_none_or(|known| known == Signature::from(header))
    }
}
