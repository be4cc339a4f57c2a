//! Pages on their way into a file.

use crate::Codec;
use crate::zlib::Deflater;
use std::fmt;

/// Pages are few and written once: some more effort for each is not noticed.
const ZSTD_LEVEL: i32 = 9;

/// Encodes pages; owned by one thread and reused, because the contexts cost more than a small page.
///
/// The same page gives the same bytes every time.
pub struct PageEncoder {
    codec: Codec,
    zlib: Deflater,
    lzo: lzallright::Dict,
    snappy: snap::raw::Encoder,
    zstd: Option<zstd_safe::CCtx<'static>>,
    encoded: Vec<u8>,
}

impl PageEncoder {
    /// An encoder for one codec.
    #[must_use]
    pub fn new(codec: Codec) -> PageEncoder {
        PageEncoder {
            codec,
            zlib: Deflater::new(),
            lzo: lzallright::Dict::new(),
            snappy: snap::raw::Encoder::new(),
            zstd: None,
            encoded: Vec::new(),
        }
    }

    /// The encoded page, and how it is encoded: raw if it would not become shorter.
    ///
    /// Cost: no allocation but for the first page.
    pub fn encode<'a>(&'a mut self, page: &'a [u8]) -> (Codec, &'a [u8]) {
        // Every codec's bound is below that; were it not, the page would be stored raw.
        self.encoded.resize(page.len().saturating_mul(2).saturating_add(1024), 0);
        let out = self.encoded.as_mut_slice();
        let len = match self.codec {
            Codec::Raw => None,
            Codec::Zlib => self.zlib.zlib(page, out),
            Codec::Lzo => lzallright::compress(page, out, &mut self.lzo).ok(),
            Codec::Snappy => self.snappy.compress(page, out).ok(),
            Codec::Zstd => {
                self.zstd.get_or_insert_with(zstd_safe::CCtx::create).compress(out, page, ZSTD_LEVEL).ok()
            }
        };
        match len.filter(|len| *len < page.len()).and_then(|len| self.encoded.get(..len)) {
            Some(encoded) => (self.codec, encoded),
            None => (Codec::Raw, page),
        }
    }
}

impl fmt::Debug for PageEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageEncoder").field("codec", &self.codec).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageDecoder;
    use proptest::prelude::*;

    /// Bytes that nothing compresses.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn what_does_not_shrink_is_stored_as_it_is() {
        let page = noise(4096);
        for codec in Codec::ALL {
            assert_eq!(PageEncoder::new(codec).encode(&page), (Codec::Raw, &page[..]), "{codec}");
            assert_eq!(PageEncoder::new(codec).encode(&[]), (Codec::Raw, &[][..]), "{codec}");
        }
    }

    #[test]
    fn an_encoder_that_was_used_before_writes_the_same() {
        let page: Vec<u8> = b"sub-buffer header, events, ".iter().copied().cycle().take(4096).collect();
        for codec in Codec::ALL {
            let mut used = PageEncoder::new(codec);
            used.encode(&noise(4096));
            used.encode(&[7; 9000]);
            let (stored, bytes) = used.encode(&page);
            assert_eq!(stored, codec);
            assert_eq!((stored, bytes), PageEncoder::new(codec).encode(&page), "{codec}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(page in proptest::collection::vec(0_u8..6, 0..5000)) {
            let mut decoder = PageDecoder::new();
            for codec in Codec::ALL {
                let mut encoder = PageEncoder::new(codec);
                let (stored, bytes) = encoder.encode(&page);
                let mut out = vec![0xaa; page.len()];
                decoder.decode(stored, bytes, &mut out).unwrap();
                prop_assert_eq!(&out, &page, "{}", codec);
            }
        }
    }
}
