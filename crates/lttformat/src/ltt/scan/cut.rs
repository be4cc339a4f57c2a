//! Bytes that are in no whole record, and why.

use std::fmt;
use std::ops::Range;

use super::super::Stop;
use crate::Error;

/// Bytes of a file that are in no whole record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Offsets in the file.
    pub range: Range<u64>,
    /// What is wrong with them.
    pub reason: CutReason,
}

impl Cut {
    /// Number of bytes.
    pub fn bytes(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}, {} bytes: {}", self.range.start, self.bytes(), self.reason)
    }
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutReason {
    /// Nothing but zeros: the file system had made room for data that never reached the disk.
    #[error("expected a record, found nothing but zeros")]
    Blank,
    /// It does not begin with a header.
    #[error(transparent)]
    Header(#[from] Error),
    /// It is from another trace than the file's other records.
    #[error("expected a record of this trace, found another format, byte order, alignment or start time")]
    Foreign,
    /// Its length is no record's.
    #[error("expected a record of whole pages, {limit} bytes at most, found a length of {found}")]
    Length {
        /// Upper bound: that of the file's other records up to format 2.4, the largest sub-buffer otherwise.
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
    /// It is newer than the records that follow, which are in order.
    #[error("expected a begin up to the following records' {next}, found {begin}")]
    Ahead {
        /// Its own begin in cycles.
        begin: u64,
        /// Begin of the record that follows.
        next: u64,
    },
    /// The file ends within it.
    #[error("expected {expected} bytes, found the end of the file after {found}")]
    Partial {
        /// Length of the record.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Another record begins within it: writing it failed half-way.
    #[error("expected {expected} bytes, found the next record after {found}")]
    ShortWrite {
        /// Length of the record.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// Its header is right, its events are not.
    #[error("{0}")]
    Events(Stop),
}
