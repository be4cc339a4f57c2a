//! Whole files, as distributions compress kernel modules and debug files. How long their content is, only their end tells, if
//! anything does: the caller says how long it may be.

use std::fmt;

use crate::zlib::{Failure, Inflater};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// gzip (RFC 1952), one member.
    Gzip,
    /// xz.
    Xz,
    /// zstd frames.
    Zstd,
}

/// Why a compressed file has no content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The bytes are not valid, are cut, or a checksum in them does not match.
    #[error("not a valid {0} file")]
    Invalid(Compression),
    /// The content is longer than the caller allows, or than there is memory.
    #[error("{compression} file has more than the limit of {limit} bytes")]
    TooLong {
        /// The compression.
        compression: Compression,
        /// The caller's limit.
        limit: usize,
    },
}

/// Memory that a decoder may take for what it refers back to: what `xz -9` and the default of `zstd -d` need.
const MAX_WINDOW: u64 = 128 << 20;
/// No stream of deflate is shorter than this part of its content.
const MAX_DEFLATE_RATIO: usize = 1032;
/// What is decoded at once, where the length is not known.
const PIECE: usize = 1 << 20;

impl Compression {
    /// Which it is, by the first bytes of a file.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Compression> {
        const MAGICS: [(&[u8], Compression); 3] = [
            (b"\x1f\x8b\x08", Compression::Gzip),
            (b"\xfd7zXZ\0", Compression::Xz),
            (b"\x28\xb5\x2f\xfd", Compression::Zstd),
        ];
        MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, compression)| *compression)
    }

    /// Content of a whole file.
    ///
    /// Errors: a damaged file; more than `limit` bytes of content, which is found out before they are allocated.
    pub fn decompress(self, src: &[u8], limit: usize) -> Result<Vec<u8>, FileError> {
        match self {
            Compression::Gzip => gzip(src, limit),
            Compression::Xz => xz(src, limit),
            Compression::Zstd => zstd(src, limit),
        }
    }

    fn too_long(self, limit: usize) -> FileError {
        FileError::TooLong { compression: self, limit }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Compression::Gzip => "gzip",
            Compression::Xz => "xz",
            Compression::Zstd => "zstd",
        })
    }
}

/// Makes room for as much again, but for no more than one byte beyond the limit: that byte proves that there are too many.
fn grow(out: &mut Vec<u8>, of: Compression, limit: usize) -> Result<(), FileError> {
    let most = limit.saturating_add(1).saturating_sub(out.len());
    let more = PIECE.max(out.len()).min(most);
    if more == 0 || out.try_reserve_exact(more).is_err() {
        return Err(of.too_long(limit));
    }
    Ok(())
}

fn gzip(src: &[u8], limit: usize) -> Result<Vec<u8>, FileError> {
    let of = Compression::Gzip;
    // The last four bytes tell the length, unless the file is longer than they can say or something follows it.
    let declared = src.last_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    let most = src.len().saturating_mul(MAX_DEFLATE_RATIO).min(limit);
    let mut len = usize::try_from(declared).unwrap_or(usize::MAX).clamp(1, most.max(1));
    let mut decoder = Inflater::new();
    loop {
        let mut out = Vec::new();
        out.try_reserve_exact(len).map_err(|_| of.too_long(limit))?;
        out.resize(len, 0);
        match decoder.gzip(src, &mut out) {
            Ok(len) => {
                out.truncate(len);
                return Ok(out);
            }
            Err(Failure::TooLong) if len < most => {
                len = len.saturating_mul(2).max(PIECE).min(most);
            }
            Err(Failure::TooLong) if most == limit => {
                return Err(of.too_long(limit));
            }
            Err(_) => return Err(FileError::Invalid(of)),
        }
    }
}

#[cfg(feature = "pure-rust")]
fn xz(src: &[u8], limit: usize) -> Result<Vec<u8>, FileError> {
    use std::io::Read as _;
    let of = Compression::Xz;
    let most = u32::try_from(MAX_WINDOW >> 10).unwrap_or(u32::MAX);
    let mut reader = lzma_rust2::XzReader::new_mem_limit(src, true, most);
    let mut out = Vec::new();
    loop {
        if out.len() == out.capacity() {
            grow(&mut out, of, limit)?;
        }
        let start = out.len();
        out.resize(out.capacity(), 0);
        let room = out.get_mut(start..).unwrap_or_default();
        let read = reader.read(room).map_err(|_| FileError::Invalid(of))?;
        out.truncate(start.saturating_add(read));
        if out.len() > limit {
            return Err(of.too_long(limit));
        }
        if read == 0 {
            return Ok(out);
        }
    }
}

#[cfg(not(feature = "pure-rust"))]
fn xz(src: &[u8], limit: usize) -> Result<Vec<u8>, FileError> {
    use liblzma::stream::{Action, CONCATENATED, Status, Stream};
    let of = Compression::Xz;
    let mut stream =
        Stream::new_stream_decoder(MAX_WINDOW, CONCATENATED).map_err(|_| FileError::Invalid(of))?;
    let mut out = Vec::new();
    loop {
        if out.len() == out.capacity() {
            grow(&mut out, of, limit)?;
        }
        let taken = usize::try_from(stream.total_in()).unwrap_or(usize::MAX);
        let rest = src.get(taken..).unwrap_or_default();
        let before = (stream.total_in(), out.len());
        let status =
            stream.process_vec(rest, &mut out, Action::Finish).map_err(|_| FileError::Invalid(of))?;
        if out.len() > limit {
            return Err(of.too_long(limit));
        }
        match status {
            Status::StreamEnd => return Ok(out),
            // There is room and nothing is left to read: the file is cut.
            _ if before == (stream.total_in(), out.len()) && out.len() < out.capacity() => {
                return Err(FileError::Invalid(of));
            }
            _ => {}
        }
    }
}

fn zstd(src: &[u8], limit: usize) -> Result<Vec<u8>, FileError> {
    let of = Compression::Zstd;
    let mut context = zstd_safe::DCtx::create();
    let mut input = zstd_safe::InBuffer::around(src);
    let mut out = Vec::new();
    loop {
        if out.len() == out.capacity() {
            grow(&mut out, of, limit)?;
        }
        let (position, length) = (input.pos(), out.len());
        let mut output = zstd_safe::OutBuffer::around_pos(&mut out, length);
        let left = context.decompress_stream(&mut output, &mut input).map_err(|_| FileError::Invalid(of))?;
        if out.len() > limit {
            return Err(of.too_long(limit));
        }
        // At the end of a frame, and of the file.
        if left == 0 && input.pos() == src.len() {
            return Ok(out);
        }
        if (position, length) == (input.pos(), out.len()) && out.len() < out.capacity() {
            return Err(FileError::Invalid(of));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    const ALL: [Compression; 3] = [Compression::Gzip, Compression::Xz, Compression::Zstd];

    fn compress(compression: Compression, plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plain.len() * 2 + 1024];
        let len = match compression {
            Compression::Gzip => libdeflater::Compressor::new(libdeflater::CompressionLvl::default())
                .gzip_compress(plain, &mut out)
                .unwrap(),
            Compression::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
                encoder.write_all(plain).unwrap();
                return encoder.finish().unwrap();
            }
            Compression::Zstd => zstd_safe::compress(&mut out[..], plain, 3).unwrap(),
        };
        out.truncate(len);
        out
    }

    #[test]
    fn content_of_every_length_up_to_the_limit() {
        for plain in [
            vec![],
            b"module".to_vec(),
            vec![7; 5 << 20],
            (0..2_000_000u32).flat_map(u32::to_le_bytes).collect(),
        ] {
            for compression in ALL {
                let file = compress(compression, &plain);
                assert_eq!(Compression::of(&file), Some(compression));
                let limit = plain.len().max(1);
                assert_eq!(compression.decompress(&file, limit).as_ref(), Ok(&plain), "{compression}");
                if plain.len() > 1 {
                    let error = compression.decompress(&file, plain.len() - 1).unwrap_err();
                    assert_eq!(error, compression.too_long(plain.len() - 1), "{compression} {}", plain.len());
                }
            }
        }
    }

    #[test]
    fn what_is_cut_is_no_file() {
        for compression in ALL {
            let file = compress(compression, &vec![7; 3 << 20]);
            for len in [0, 1, 5, 20, file.len() - 1] {
                let error = compression.decompress(&file[..len.min(file.len() - 1)], 4 << 20).unwrap_err();
                assert_eq!(error, FileError::Invalid(compression), "{len}");
            }
        }
        assert_eq!(Compression::of(b"\x7fELF"), None);
    }

    /// Twice the same file: `cat a.zst b.zst` is one, too. Of gzip, the first member is taken.
    #[test]
    fn files_in_a_row() {
        for (compression, times) in [(Compression::Xz, 2), (Compression::Zstd, 2), (Compression::Gzip, 1)] {
            let file = compress(compression, b"module");
            let content = compression.decompress(&[&file[..], &file].concat(), 100).unwrap();
            assert_eq!(content, b"module".repeat(times));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..100, byte: u8) {
            for compression in ALL {
                let _ = compression.decompress(&bytes, 1 << 20);
                let mut file = compress(compression, &bytes);
                let at = at % file.len();
                file[at] = byte;
                let _ = compression.decompress(&file, 1 << 20);
            }
        }
    }
}
