//! Names of the encodings, and what can be wrong with encoded bytes.

use std::fmt;

/// How a page or a section is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// Stored as it is.
    Raw,
    /// A zlib stream (RFC 1950).
    Zlib,
    /// One raw LZO1X block, without any container.
    Lzo,
    /// One snappy block in the raw format (no frames).
    Snappy,
    /// One zstd frame.
    Zstd,
}

impl Codec {
    /// Every codec, in the order of the flags of the kdump-compressed format.
    pub const ALL: [Codec; 5] = [Codec::Raw, Codec::Zlib, Codec::Lzo, Codec::Snappy, Codec::Zstd];
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Codec::Raw => "raw",
            Codec::Zlib => "zlib",
            Codec::Lzo => "LZO",
            Codec::Snappy => "snappy",
            Codec::Zstd => "zstd",
        })
    }
}

/// Why encoded bytes have no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes are not a valid stream, or a checksum in them does not match.
    #[error("not a valid {0} stream")]
    Invalid(Codec),
    /// The stream is valid, but its content is not as long as it must be.
    #[error("{codec} stream decodes to another length than the expected {expected} bytes")]
    Length {
        /// The encoding.
        codec: Codec,
        /// The length that the caller asked for.
        expected: usize,
    },
    /// The declared length is more than the caller allows.
    #[error("{codec} stream declares {declared} bytes, more than the limit of {limit}")]
    TooLong {
        /// The encoding.
        codec: Codec,
        /// The length declared beside the stream.
        declared: u64,
        /// The caller's limit.
        limit: u64,
    },
}
