//! Sections: few large streams, whose length is declared beside them by input that is not to be trusted.

use crate::{Codec, CodecError, PageDecoder};

/// Decodes a section, for example one that an ELF file stores with `SHF_COMPRESSED`.
///
/// Errors: as [`PageDecoder::decode`]; `declared_len` is more than `limit` (or than there is memory), before anything
/// is allocated.
pub fn decode_section(
    codec: Codec,
    src: &[u8],
    declared_len: u64,
    limit: u64,
) -> Result<Vec<u8>, CodecError> {
    let too_long = CodecError::TooLong { codec, declared: declared_len, limit };
    let len = usize::try_from(declared_len).ok().filter(|_| declared_len <= limit).ok_or(too_long)?;
    let mut section = Vec::new();
    section.try_reserve_exact(len).map_err(|_| too_long)?;
    section.resize(len, 0);
    PageDecoder::new().decode(codec, src, &mut section)?;
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::tests::encode;

    #[test]
    fn sections_are_as_long_as_declared() {
        let plain: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for codec in Codec::ALL {
            let stream = encode(codec, &plain);
            assert_eq!(decode_section(codec, &stream, 400_000, 400_000).unwrap(), plain, "{codec}");
            decode_section(codec, &stream, 399_999, 400_000).unwrap_err();
        }
    }

    #[test]
    fn the_declared_length_is_checked_before_it_is_allocated() {
        for declared in [11, u64::MAX] {
            let error = decode_section(Codec::Zstd, b"", declared, 10).unwrap_err();
            assert_eq!(error, CodecError::TooLong { codec: Codec::Zstd, declared, limit: 10 });
        }
        decode_section(Codec::Zlib, b"", u64::MAX, u64::MAX).unwrap_err();
    }
}
