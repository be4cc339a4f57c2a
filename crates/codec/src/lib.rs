//! One-shot decoding of the compressed pages and sections that are found in kernel cores and debug files, and of compressed files;
//! and encoding of pages.
//!
//! It is a thin, uniform face over one library for each codec, for data whose decoded length is known beforehand; for compressed
//! files, see [`Compression`], a limit of it. It is not a streaming interface, and knows no format beyond those.
//!
//! ```
//! use codec::{Codec, CodecError, PageDecoder};
//!
//! // "lttlttlttltt" as a zlib stream.
//! let stream = [0x78, 0x9c, 0xcb, 0x29, 0x29, 0xc9, 0x81, 0x21, 0x00, 0x22, 0x74, 0x05, 0x51];
//! let mut decoder = PageDecoder::new();
//! let mut page = [0; 12];
//! decoder.decode(Codec::Zlib, &stream, &mut page)?;
//! assert_eq!(&page, b"lttlttlttltt");
//!
//! // The content must fill the page exactly.
//! let error = decoder.decode(Codec::Zlib, &stream, &mut [0; 13]);
//! assert_eq!(error, Err(CodecError::Length { codec: Codec::Zlib, expected: 13 }));
//! # Ok::<(), CodecError>(())
//! ```
//!
//! | codec | checksum inside | 4 KiB page, about |
//! |---|---|---|
//! | zlib | Adler-32 | 7 µs |
//! | LZO | none | 3 µs |
//! | snappy | none | 2 µs |
//! | zstd | when the encoder was asked for it | 5 µs |
//!
//! Damaged input is an error or, where there is no checksum, wrong bytes; never a panic.
//!
//! The default feature `native` takes the fastest libraries, of which those for zlib, zstd and xz are in C. The feature `pure-rust`
//! takes slower ones in Rust for these instead (`default-features = false` leaves out the former).
//!
//! A [`PageDecoder`] is reused by its thread and shared by none (`decode` takes `&mut self`).

#[cfg(not(any(feature = "native", feature = "pure-rust")))]
compile_error!("one of the features `native` and `pure-rust` is needed");

mod encode;
mod error;
mod file;
mod page;
mod section;
mod zlib;

pub use encode::PageEncoder;
pub use error::{Codec, CodecError};
pub use file::{Compression, FileError};
pub use page::PageDecoder;
pub use section::decode_section;
