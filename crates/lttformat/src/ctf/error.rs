//! What can be wrong with the files of a CTF trace.

/// Result of an operation on packets, metadata or index files.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why bytes cannot be taken as part of a CTF trace.
///
/// Broken *events* are not errors of this kind: decoding ends there and says so with a [`Stop`](super::Stop).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Fewer bytes than the thing has.
    #[error("{what}: expected {expected} bytes, found {found}")]
    Short {
        /// The thing.
        what: &'static str,
        /// Its length.
        expected: usize,
        /// Bytes there are.
        found: usize,
    },
    /// No magic number, in neither byte order.
    #[error("{what}: expected magic 0x{expected:08x}, found 0x{found:08x}")]
    Magic {
        /// What should begin there.
        what: &'static str,
        /// Its magic number.
        expected: u32,
        /// What is there, in the expected byte order.
        found: u32,
    },
    /// A field has a value that no tracer writes.
    #[error("{what}: expected {expected} in {field}, found {found}")]
    Field {
        /// What the field belongs to.
        what: &'static str,
        /// Name of the field.
        field: &'static str,
        /// The values that make sense.
        expected: &'static str,
        /// The value there is.
        found: u64,
    },
    /// It belongs to another trace.
    #[error("{what}: expected the trace's uuid, found another one")]
    Foreign {
        /// What was read.
        what: &'static str,
    },
    /// The metadata text declares no stream with this id.
    #[error("packet header: expected the id of a stream that the metadata declares, found {0}")]
    UnknownStream(u64),
    /// A packet was to be completed or written with lengths that contradict each other.
    #[error("completing a packet: expected {what} of at most {limit}, found {found}")]
    Completion {
        /// Which length, with its unit.
        what: &'static str,
        /// Its upper bound.
        limit: u64,
        /// What was asked for.
        found: u64,
    },
    /// The metadata text is not TSDL as tracers write it.
    #[error("metadata line {line}: expected {expected}, found {found}")]
    Tsdl {
        /// Line of the text, from 1.
        line: u32,
        /// What makes sense there.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// The metadata text is too deeply nested, or unfolds to more than its length can justify.
    #[error("metadata line {line}: expected types of reasonable size, found {what}")]
    TooBig {
        /// Line of the text, from 1.
        line: u32,
        /// What is too big.
        what: &'static str,
    },
    /// The metadata is well-formed, but describes something that cannot be read.
    #[error("metadata: {what} of {place}: expected {expected}, found {found}")]
    Class {
        /// What kind of thing.
        what: &'static str,
        /// Of which stream or event.
        place: String,
        /// What can be read.
        expected: &'static str,
        /// What is there.
        found: String,
    },
}
