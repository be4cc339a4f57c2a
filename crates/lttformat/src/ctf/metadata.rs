//! The `metadata` file: text in packets, or plain text.

use std::ops::Range;

use super::{Error, Result, Uuid};
use crate::ltt::Endian;

/// Every packet of metadata begins with it, in the byte order of the traced machine.
pub const METADATA_MAGIC: u32 = 0x75d1_1d57;

/// Bytes of a packet of metadata before its text.
const HEADER: usize = 37;

/// First line of a file of plain TSDL: readers ask for it.
const SIGNATURE: &[u8] = b"/* CTF 1.8 */\n\n";

/// Begins each fragment of CTF 2 metadata.
const RECORD_SEPARATOR: u8 = 0x1e;

const WHAT: &str = "metadata packet";

/// A trace's metadata, as its file holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The text, without packet headers and without the signature of the plain form: what the tracer generated.
    pub text: Vec<u8>,
    /// How the text was wrapped; `None`: not at all.
    pub packets: Option<MetadataPackets>,
    /// Which bytes of the file hold which of the text: one for each packet, in order; of plain text one for all of it. The last
    /// one may reach behind the end of the file, if that is within its padding.
    pub spans: Vec<MetadataSpan>,
    /// Where and why reading ended before the end of the file.
    pub cut: Option<MetadataCut>,
}

/// Bytes of a metadata file and the text in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataSpan {
    /// Bytes of the file: the whole packet.
    pub file: Range<usize>,
    /// Bytes of the text.
    pub text: Range<usize>,
}

/// What all packets of a metadata file have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataPackets {
    /// Byte order of the traced machine.
    pub endian: Endian,
    /// Identity of the trace.
    pub uuid: Uuid,
    /// Language of the text.
    pub language: Language,
}

/// Language of a metadata text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// CTF 1.8: TSDL.
    Tsdl,
    /// CTF 2: a sequence of JSON texts. Passed through, never read.
    Json,
}

/// Damage of a metadata file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metadata at byte {offset}: {reason}")]
pub struct MetadataCut {
    /// Offset in the file of the first byte that is in no whole packet.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: Error,
}

impl Metadata {
    /// Reads a metadata file in either form. A packet that is damaged ends the text, and is reported; the text of the last
    /// packet counts even if the file ends within its padding.
    pub fn parse(file: &[u8]) -> Metadata {
        let Some(endian) = endian(file) else {
            if let Some(reason) = torn(file) {
                let cut = Some(MetadataCut { offset: 0, reason });
                return Metadata { text: Vec::new(), packets: None, spans: Vec::new(), cut };
            }
            let text = without_signature(file).to_vec();
            let spans = vec![MetadataSpan { file: 0..file.len(), text: 0..text.len() }];
            return Metadata { text, packets: None, spans, cut: None };
        };
        let mut text = Vec::new();
        let mut spans = Vec::new();
        let mut packets = None;
        let mut offset = 0;
        let mut cut = None;
        while let Some(rest) = file.get(offset..).filter(|rest| !rest.is_empty()) {
            match packet(rest, endian, packets.as_ref()) {
                Ok((form, content, len)) => {
                    let (start, end) = (text.len(), offset.saturating_add(len));
                    text.extend_from_slice(content);
                    spans.push(MetadataSpan { file: offset..end, text: start..text.len() });
                    packets = Some(form);
                    if len > rest.len() {
                        let reason = Error::Short { what: WHAT, expected: len, found: rest.len() };
                        cut = Some(MetadataCut { offset, reason });
                    }
                    offset = end;
                }
                Err(reason) => {
                    cut = Some(MetadataCut { offset, reason });
                    break;
                }
            }
        }
        Metadata { text, packets, spans, cut }
    }

    /// Language of the text.
    pub fn language(&self) -> Language {
        match self.packets {
            Some(packets) => packets.language,
            None => Language::of(&self.text),
        }
    }
}

impl Language {
    /// The language of a text without packet headers.
    pub fn of(text: &[u8]) -> Language {
        if text.first() == Some(&RECORD_SEPARATOR) { Language::Json } else { Language::Tsdl }
    }

    /// Length of the part of a text that consists of whole statements: the tracer may have died while it appended one.
    ///
    /// TSDL: up to the last `};` at the beginning of a line that an empty line follows. JSON: all but a last fragment
    /// without a line end.
    pub fn whole(self, text: &[u8]) -> usize {
        const END: &[u8] = b"};\n\n";
        match self {
            Language::Tsdl => memchr::memmem::rfind_iter(text, END)
                .find(|&at| at == 0 || text.get(at - 1) == Some(&b'\n'))
                .map_or(0, |at| at + END.len()),
            Language::Json if text.ends_with(b"\n") => text.len(),
            Language::Json => memchr::memrchr(RECORD_SEPARATOR, text).unwrap_or(0),
        }
    }
}

impl MetadataPackets {
    /// The file of a text, as the consumer daemon writes it: packets of one page.
    ///
    /// Errors: a page that has no room for text, or is larger than any machine's.
    pub fn file(&self, text: &[u8], page_size: usize) -> Result<Vec<u8>> {
        let room = page_size.checked_sub(HEADER).filter(|&room| room > 0 && page_size <= 1 << 20);
        let room = room.ok_or(Error::Field {
            what: WHAT,
            field: "page size",
            expected: "38 bytes to 1 MiB",
            found: page_size as u64,
        })?;
        let bits = |bytes: usize| u32::try_from(8 * bytes).unwrap_or(u32::MAX);
        let mut file = Vec::with_capacity(text.len().div_ceil(room).saturating_mul(page_size));
        for piece in text.chunks(room) {
            let mut header = [0; HEADER];
            self.endian.put_u32(&mut header, 0, METADATA_MAGIC);
            if let Some(place) = header.get_mut(4..20) {
                place.copy_from_slice(&self.uuid.0);
            }
            self.endian.put_u32(&mut header, 24, bits(HEADER + piece.len()));
            self.endian.put_u32(&mut header, 28, bits(page_size));
            let (major, minor) = self.language.version();
            if let Some(version) = header.last_chunk_mut() {
                *version = [major, minor];
            }
            file.extend_from_slice(&header);
            file.extend_from_slice(piece);
            file.resize(file.len().next_multiple_of(page_size), 0);
        }
        Ok(file)
    }
}

impl Language {
    fn version(self) -> (u8, u8) {
        match self {
            Language::Tsdl => (1, 8),
            Language::Json => (2, 0),
        }
    }
}

/// The file of a text in the plain form, which no packets wrap.
pub fn plain_metadata(text: &[u8]) -> Vec<u8> {
    let signature = match Language::of(text) {
        Language::Tsdl => SIGNATURE,
        Language::Json => &[],
    };
    [signature, text].concat()
}

/// Byte order of a file in packets; `None` for plain text.
fn endian(file: &[u8]) -> Option<Endian> {
    [Endian::Little, Endian::Big].into_iter().find(|endian| endian.u32(file, 0) == Some(METADATA_MAGIC))
}

/// Why a file without a magic number is no plain text either: its first packet was never written out, or only in part.
fn torn(file: &[u8]) -> Option<Error> {
    let first = file.first()?;
    let starts = [METADATA_MAGIC.to_le_bytes(), METADATA_MAGIC.to_be_bytes()];
    if starts.iter().any(|start| start.starts_with(file)) {
        return Some(Error::Short { what: WHAT, expected: HEADER, found: file.len() });
    }
    (*first == 0).then_some(Error::Magic { what: WHAT, expected: METADATA_MAGIC, found: 0 })
}

fn without_signature(file: &[u8]) -> &[u8] {
    let line = SIGNATURE.trim_ascii_end();
    file.strip_prefix(SIGNATURE).or_else(|| file.strip_prefix(line)).unwrap_or(file)
}

/// The packet at the start of `bytes`: what it has in common with all, its text, its length.
fn packet<'a>(
    bytes: &'a [u8],
    endian: Endian,
    first: Option<&MetadataPackets>,
) -> Result<(MetadataPackets, &'a [u8], usize)> {
    let short = |expected| Error::Short { what: WHAT, expected, found: bytes.len() };
    let header: &[u8; HEADER] = bytes.first_chunk().ok_or_else(|| short(HEADER))?;
    let field = |field, expected, found: u64| Error::Field { what: WHAT, field, expected, found };
    let u32 = |offset| endian.u32(header, offset).unwrap_or(0);
    if u32(0) != METADATA_MAGIC {
        return Err(Error::Magic { what: WHAT, expected: METADATA_MAGIC, found: u32(0) });
    }
    let [.., compression, encryption, checksum, major, minor] = header;
    for (name, value) in [
        ("compression_scheme", compression),
        ("encryption_scheme", encryption),
        ("checksum_scheme", checksum),
    ] {
        if *value != 0 {
            return Err(field(name, "0", u64::from(*value)));
        }
    }
    let language = match (major, minor) {
        (1, 8) => Language::Tsdl,
        (2, 0) => Language::Json,
        _ => return Err(field("major", "version 1.8 or 2.0", u64::from(*major))),
    };
    let uuid = Uuid(*header.get(4..).and_then(|rest| rest.first_chunk()).ok_or_else(|| short(HEADER))?);
    let form = MetadataPackets { endian, uuid, language };
    if first.is_some_and(|first| *first != form) {
        return Err(Error::Foreign { what: WHAT });
    }
    let bytes_of = |offset, name, least: usize| {
        let bits = u32(offset);
        let bytes = usize::try_from(bits / 8).ok().filter(|&bytes| bits % 8 == 0 && bytes >= least);
        bytes.ok_or_else(|| field(name, "a whole number of bytes, text after the header", u64::from(bits)))
    };
    let content = bytes_of(24, "content_size", HEADER)?;
    let len = bytes_of(28, "packet_size", content)?;
    let text = bytes.get(HEADER..content).ok_or_else(|| short(len))?;
    Ok((form, text, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID: Uuid = Uuid([9; 16]);

    fn packets(language: Language, endian: Endian) -> MetadataPackets {
        MetadataPackets { endian, uuid: UUID, language }
    }

    /// Of an empty file, which is plain text.
    fn plain() -> Vec<MetadataSpan> {
        vec![MetadataSpan { file: 0..0, text: 0..0 }]
    }

    #[test]
    fn a_packet_byte_by_byte() {
        let file = packets(Language::Tsdl, Endian::Big).file(b"env {};\n", 64).unwrap();
        let mut expected = vec![0x75, 0xd1, 0x1d, 0x57];
        expected.extend([9; 16]);
        expected.extend([0, 0, 0, 0, 0, 0, 1, 0x68, 0, 0, 2, 0, 0, 0, 0, 1, 8]);
        expected.extend(b"env {};\n");
        expected.resize(64, 0);
        assert_eq!(file, expected);
    }

    #[test]
    fn plain_form() {
        let text = b"trace {\n};\n\n";
        let file = plain_metadata(text);
        assert!(file.starts_with(b"/* CTF 1.8 */\n"));
        let metadata = Metadata::parse(&file);
        assert_eq!((&metadata.text[..], metadata.packets, metadata.cut), (&text[..], None, None));
        let fragment = b"\x1e{\"type\": \"preamble\"}\n";
        assert_eq!(plain_metadata(fragment), fragment);
        assert_eq!(Metadata::parse(fragment).language(), Language::Json);
    }

    #[test]
    fn damage_ends_the_text() {
        let text = vec![b'x'; 100];
        let file = packets(Language::Tsdl, Endian::Little).file(&text, 64).unwrap();
        assert_eq!(file.len(), 4 * 64);
        let message = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut file = file.clone();
            change(&mut file);
            let metadata = Metadata::parse(&file);
            (metadata.text.len(), metadata.cut.map(|cut| cut.to_string()).unwrap_or_default())
        };
        assert_eq!(message(&|_| ()), (100, String::new()));
        assert_eq!(
            message(&|file| file.truncate(3)),
            (0, "metadata at byte 0: metadata packet: expected 37 bytes, found 3".into())
        );
        assert_eq!(
            message(&|file| file.fill(0)),
            (0, "metadata at byte 0: metadata packet: expected magic 0x75d11d57, found 0x00000000".into())
        );
        assert_eq!(
            message(&|file| file.truncate(64 + 40)),
            (27, "metadata at byte 64: metadata packet: expected 64 bytes, found 40".into())
        );
        assert_eq!(
            message(&|file| file.truncate(3 * 64 + 60)),
            (100, "metadata at byte 192: metadata packet: expected 64 bytes, found 60".into())
        );
        assert_eq!(
            message(&|file| file[128..].fill(0)),
            (54, "metadata at byte 128: metadata packet: expected magic 0x75d11d57, found 0x00000000".into())
        );
        assert_eq!(
            message(&|file| file[64 + 4] = 0),
            (27, "metadata at byte 64: metadata packet: expected the trace's uuid, found another one".into())
        );
        assert_eq!(
            message(&|file| file[64 + 32] = 1),
            (27, "metadata at byte 64: metadata packet: expected 0 in compression_scheme, found 1".into())
        );
        assert!(message(&|file| file[64 + 29] = 0).1.contains("packet_size"));
    }

    #[test]
    fn whole_statements() {
        let text = b"trace {\n};\n\nevent {\n\tfields := struct {\n\t};\n\n";
        assert_eq!(Language::Tsdl.whole(text), 12);
        assert_eq!(Language::Tsdl.whole(&text[..12]), 12);
        assert_eq!(Language::Tsdl.whole(&text[..11]), 0);
        assert_eq!(Language::Tsdl.whole(b"};\n\n};\n"), 4);
        let fragments = b"\x1e{}\n\x1e{\"a\":";
        assert_eq!(Language::Json.whole(fragments), 4);
        assert_eq!(Language::Json.whole(&fragments[..4]), 4);
        assert_eq!(Language::Json.whole(b""), 0);
    }

    proptest! {
        #[test]
        fn round_trip(
            text in prop::collection::vec(any::<u8>(), 0..600),
            page in 38..300_usize,
            big: bool,
            json: bool,
        ) {
            let packets = packets(
                if json { Language::Json } else { Language::Tsdl },
                if big { Endian::Big } else { Endian::Little },
            );
            let file = packets.file(&text, page).unwrap();
            prop_assert_eq!(file.len() % page, 0);
            let metadata = Metadata::parse(&file);
            prop_assert_eq!(&metadata.text, &text);
            prop_assert_eq!(metadata.packets, (!text.is_empty()).then_some(packets));
            prop_assert_eq!(metadata.cut, None);
            let spans = text.chunks(page - HEADER).scan((0, 0), |(at, done), piece| {
                let span = MetadataSpan { file: *at..*at + page, text: *done..*done + piece.len() };
                (*at, *done) = (span.file.end, span.text.end);
                Some(span)
            });
            prop_assert_eq!(metadata.spans, if text.is_empty() { plain() } else { spans.collect() });
        }

        #[test]
        fn any_bytes(mut bytes in prop::collection::vec(any::<u8>(), 0..300), magic: bool) {
            if let (true, Some(start)) = (magic, bytes.first_chunk_mut()) {
                *start = METADATA_MAGIC.to_le_bytes();
            }
            let metadata = Metadata::parse(&bytes);
            prop_assert!(metadata.text.len() <= bytes.len());
            prop_assert!(Language::Tsdl.whole(&bytes) <= bytes.len());
            prop_assert!(Language::Json.whole(&bytes) <= bytes.len());
        }

        #[test]
        fn pages_without_room(page in prop_oneof![0..=37_usize, Just(usize::MAX)]) {
            prop_assert!(packets(Language::Tsdl, Endian::Little).file(b"x", page).is_err());
        }
    }
}
