//! What can be wrong with the bytes of a trace.

use crate::ltt::Version;

/// Result of an operation that needs a usable header.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why bytes cannot be taken as a record of a trace.
///
/// Broken *events* are not errors of this kind: decoding ends there and says so with a [`Stop`](crate::ltt::Stop).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than a header of this format has.
    #[error("sub-buffer header: expected {expected} bytes, found {found}")]
    Short {
        /// Length of the header.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// No magic number in either byte order, neither where formats 2.1 to 2.6 have it nor where 1.0 and 2.0 have it.
    #[error(
        "sub-buffer header: expected magic 0xd6b7ed at byte 16 or 40, found 0x{at_16:08x} and 0x{at_40:08x}"
    )]
    Magic {
        /// The little-endian word at byte 16.
        at_16: u32,
        /// The little-endian word at byte 40, 0 if there is none.
        at_40: u32,
    },
    /// The magic is right, but nobody knows this version at this place.
    #[error(
        "sub-buffer header: expected trace format 1.0 or 2.0 to 2.6, found {found} (magic at byte {magic_at})"
    )]
    Version {
        /// What the header says.
        found: Version,
        /// Where its magic was found.
        magic_at: usize,
    },
    /// A header field has a value that no tracer writes.
    #[error("sub-buffer header: expected {expected} in {field} (byte {offset}), found {found}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// Offset of the field in the header.
        offset: usize,
        /// The values that make sense.
        expected: &'static str,
        /// The value there is.
        found: u64,
    },
    /// A record was to be completed with lengths that contradict each other.
    #[error("completing a record: expected {what} of at most {limit} bytes, found {found}")]
    Completion {
        /// Which length.
        what: &'static str,
        /// Its upper bound.
        limit: u64,
        /// What was asked for.
        found: u64,
    },
}
