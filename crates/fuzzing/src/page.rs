//! Compressed pages, sections and files.

use crate::Input;
use codec::{Codec, Compression, PageDecoder, decode_section};

/// Decodes a page, a section and a file: codec (8 bits), decoded length (16 bits), stream.
pub fn page(data: &[u8]) {
    let mut input = Input::new(data);
    let codec = Codec::ALL.iter().cycle().nth(usize::from(input.u8())).copied().unwrap_or(Codec::Raw);
    let len = usize::from(input.u16());
    let stream = input.rest();
    let (mut decoder, mut page) = (PageDecoder::new(), vec![0; len]);
    let decoded = decoder.decode(codec, stream, &mut page);
    // A decoder that failed is used for the next page.
    let mut again = vec![0; len];
    assert_eq!(decoded.is_ok(), decoder.decode(codec, stream, &mut again).is_ok());
    assert!(decoded.is_err() || page == again);
    let section = decode_section(codec, stream, len as u64, 1 << 15);
    assert_eq!(section.is_ok(), decoded.is_ok() && len <= 1 << 15);
    for compression in [Compression::Gzip, Compression::Xz, Compression::Zstd] {
        let file = compression.decompress(stream, len);
        assert!(file.is_err() || file.is_ok_and(|content| content.len() <= len));
    }
}
