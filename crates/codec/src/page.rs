//! Pages: thousands of small streams, each of a length known beforehand.

use crate::zlib::{Failure, Inflater};
use crate::{Codec, CodecError};
use std::fmt;

/// Decodes pages; owned by one thread and reused, because the contexts cost more than a small page.
///
/// Cost: no allocation in [`decode`](PageDecoder::decode), but for the zstd context (about 100 KiB) on the first zstd
/// page.
pub struct PageDecoder {
    zlib: Inflater,
    snappy: snap::raw::Decoder,
    zstd: Option<zstd_safe::DCtx<'static>>,
}

impl PageDecoder {
    /// A decoder of every codec.
    #[must_use]
    pub fn new() -> PageDecoder {
        PageDecoder { zlib: Inflater::new(), snappy: snap::raw::Decoder::new(), zstd: None }
    }

    /// Decodes `src` into all of `dst`.
    ///
    /// Errors: the stream is damaged, or its content is shorter or longer than `dst`; `dst` is then unspecified.
    /// LZO, snappy and raw data carry no checksum: a flipped bit in them goes unnoticed.
    pub fn decode(&mut self, codec: Codec, src: &[u8], dst: &mut [u8]) -> Result<(), CodecError> {
        let expected = dst.len();
        let decoded = match codec {
            Codec::Raw => {
                if src.len() == expected {
                    dst.copy_from_slice(src);
                }
                Ok(src.len())
            }
            Codec::Zlib => self.zlib.zlib(src, dst).map_err(|failure| match failure {
                Failure::Invalid => CodecError::Invalid(codec),
                Failure::TooLong => CodecError::Length { codec, expected },
            }),
            Codec::Lzo => lzallright::decompress(src, dst).map_err(|error| match error.kind() {
                lzallright::ErrorKind::OutputOverrun => CodecError::Length { codec, expected },
                _ => CodecError::Invalid(codec),
            }),
            Codec::Snappy => match snap::raw::decompress_len(src) {
                Ok(declared) if declared != expected => Ok(declared),
                _ => self.snappy.decompress(src, dst).map_err(|_| CodecError::Invalid(codec)),
            },
            Codec::Zstd => self
                .zstd
                .get_or_insert_with(zstd_safe::DCtx::create)
                .decompress(dst, src)
                .map_err(|_| CodecError::Invalid(codec)),
        }?;
        // A damaged LZO stream often ends early without any other sign.
        if decoded == expected { Ok(()) } else { Err(CodecError::Length { codec, expected }) }
    }
}

impl Default for PageDecoder {
    fn default() -> PageDecoder {
        PageDecoder::new()
    }
}

impl fmt::Debug for PageDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageDecoder").field("zstd", &self.zstd.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Encodes with the library of each codec; no code of ours is shared with decoding.
    pub(crate) fn encode(codec: Codec, plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plain.len() * 2 + 1024];
        let len = match codec {
            Codec::Raw => return plain.to_vec(),
            // The library's `fastest` is level 0, which does not compress at all.
            Codec::Zlib => libdeflater::Compressor::new(libdeflater::CompressionLvl::default())
                .zlib_compress(plain, &mut out)
                .unwrap(),
            Codec::Lzo => lzallright::compress(plain, &mut out, &mut lzallright::Dict::new()).unwrap(),
            Codec::Snappy => snap::raw::Encoder::new().compress(plain, &mut out).unwrap(),
            Codec::Zstd => zstd_safe::compress(&mut out[..], plain, 1).unwrap(),
        };
        out.truncate(len);
        out
    }

    fn page() -> Vec<u8> {
        b"sub-buffer header, events, events, events ".iter().copied().cycle().take(4096).collect()
    }

    #[test]
    fn every_codec_returns_the_page() {
        let (page, mut decoder) = (page(), PageDecoder::new());
        for codec in Codec::ALL {
            let mut out = vec![0xaa; 4096];
            decoder.decode(codec, &encode(codec, &page), &mut out).unwrap();
            assert_eq!(out, page, "{codec}");
        }
    }

    /// Stock zlib's stream for "ltt" four times, as Python's `zlib.compress` returns it.
    #[test]
    fn a_zlib_stream_from_another_encoder_decodes() {
        let stream = [0x78, 0x9c, 0xcb, 0x29, 0x29, 0xc9, 0x81, 0x21, 0x00, 0x22, 0x74, 0x05, 0x51];
        let mut out = [0; 12];
        PageDecoder::new().decode(Codec::Zlib, &stream, &mut out).unwrap();
        assert_eq!(&out, b"lttlttlttltt");
    }

    #[test]
    fn another_length_is_an_error() {
        let (page, mut decoder) = (page(), PageDecoder::new());
        for codec in Codec::ALL {
            let stream = encode(codec, &page);
            for len in [0, 1, 4095, 4097, 8192] {
                let error = decoder.decode(codec, &stream, &mut vec![0; len]).unwrap_err();
                // zstd does not tell a small buffer from a bad stream.
                if codec != Codec::Zstd || len > 4096 {
                    assert_eq!(error, CodecError::Length { codec, expected: len }, "{codec} {len}");
                }
            }
        }
    }

    #[test]
    fn a_decoder_works_after_an_error() {
        let (page, mut decoder, mut out) = (page(), PageDecoder::new(), vec![0; 4096]);
        for codec in Codec::ALL {
            let stream = encode(codec, &page);
            decoder.decode(codec, &stream[..stream.len() / 2], &mut out).unwrap_err();
            decoder.decode(codec, &[], &mut out).unwrap_err();
            decoder.decode(codec, &stream, &mut out).unwrap();
            assert_eq!(out, page, "{codec}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(
            src in proptest::collection::vec(any::<u8>(), 0..600), len in 0_usize..5000,
        ) {
            let (mut decoder, mut out) = (PageDecoder::new(), vec![0; len]);
            for codec in Codec::ALL {
                let _ = decoder.decode(codec, &src, &mut out);
            }
        }

        #[test]
        fn damaged_streams_end_without_panic(
            edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
            keep in any::<proptest::sample::Index>(),
        ) {
            let (mut decoder, mut out) = (PageDecoder::new(), vec![0; 4096]);
            for codec in Codec::ALL {
                let mut stream = encode(codec, &page());
                for (at, byte) in &edits {
                    let at = at.index(stream.len());
                    stream[at] = *byte;
                }
                let _ = decoder.decode(codec, &stream, &mut out);
                stream.truncate(keep.index(stream.len()));
                let _ = decoder.decode(codec, &stream, &mut out);
            }
        }

        #[test]
        fn what_is_encoded_comes_back(plain in proptest::collection::vec(0_u8..4, 0..5000)) {
            let mut decoder = PageDecoder::new();
            for codec in Codec::ALL {
                let mut out = vec![0; plain.len()];
                decoder.decode(codec, &encode(codec, &plain), &mut out).unwrap();
                prop_assert_eq!(&out, &plain, "{}", codec);
            }
        }
    }
}
