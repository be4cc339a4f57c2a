//! The metadata text of a session: from the kernel's cache, or before 2.3 from the packets of its metadata channel.

use std::ops::Range;

use lttformat::ctf::{Language, MetadataPackets, TraceClass, Uuid, plain_metadata};
use lttformat::ltt::Endian;
use relaywalk::lttng::ChannelKind;
use relaywalk::{Cause, Damage, Hole, Target as _};

use crate::target::View;
use crate::traces::MAX_SUB_BUFFER;

/// The metadata of one session, as far as they are in the core: whole statements only.
#[derive(Clone, Debug)]
pub struct SessionMetadata {
    text: Vec<u8>,
    language: Language,
    packets: Option<MetadataPackets>,
    page_size: usize,
    version: Option<u64>,
    unfinished: u64,
    /// Of each packet of the metadata channel: its number and its text.
    pieces: Vec<(u64, Range<usize>)>,
    damage: Vec<Damage>,
}

/// Bytes of a metadata packet before its text.
const HEADER: usize = 37;

/// Ends a statement of TSDL, and begins the line after it.
const STATEMENT_END: &[u8] = b"\n};\n\n";

/// Begins a fragment of JSON.
const RECORD_SEPARATOR: u8 = 0x1e;

impl SessionMetadata {
    /// The text: TSDL without its first line (`/* CTF 1.8 */`), or JSON fragments; without packet headers.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Its language.
    #[must_use]
    pub fn language(&self) -> Language {
        self.language
    }

    /// How often the text was started afresh (`lttng regenerate metadata`); 2.8 and later.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// Bytes of a statement that the tracer was adding when the machine died; they are not in the text.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.unfinished
    }

    /// Parts of the text that could not be read. The statements that they cut are not in the text.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Number of the packet of metadata that the text begins with. Not 0 only before 2.3, when the kernel keeps no more than the
    /// packets that were not yet written: then what comes before is on disk only.
    #[must_use]
    pub fn first_packet(&self) -> u64 {
        self.pieces.first().map_or(0, |(number, _)| *number)
    }

    /// The text from packet `number` of the metadata channel on; `None` if the core has no such packet, or keeps the text whole.
    #[must_use]
    pub fn from_packet(&self, number: u64) -> Option<&[u8]> {
        let (_, range) = self.pieces.iter().find(|(own, _)| *own == number)?;
        self.text.get(range.start..)
    }

    /// The `metadata` file as the consumer daemon writes it: packets of one page. Plain text if the session's identity is not
    /// known.
    #[must_use]
    pub fn file(&self) -> Vec<u8> {
        self.wrap(&self.text)
    }

    /// The `metadata` file of another text of this session.
    #[must_use]
    pub fn wrap(&self, text: &[u8]) -> Vec<u8> {
        let packets = self.packets.and_then(|packets| packets.file(text, self.page_size).ok());
        packets.unwrap_or_else(|| plain_metadata(text))
    }

    /// The metadata of a session; `None` if there are none.
    pub(super) fn of(view: &View, raw: &relaywalk::lttng::Session, place: &str) -> Option<SessionMetadata> {
        let mut metadata = match &raw.metadata {
            Some(cache) => SessionMetadata::of_cache(cache, raw.output_format == 2, place),
            None => SessionMetadata::of_ring(view, raw)?,
        };
        let uuid = raw.uuid.map(Uuid).or_else(|| {
            let class = TraceClass::parse(&metadata.text).ok();
            class.and_then(|class| class.uuid())
        });
        let endian = match view.abi().endian {
            relaywalk::Endian::Little => Endian::Little,
            relaywalk::Endian::Big => Endian::Big,
        };
        let language = metadata.language;
        metadata.packets = uuid.map(|uuid| MetadataPackets { endian, uuid, language });
        metadata.page_size = usize::try_from(view.page_size()).unwrap_or(0);
        Some(metadata)
    }

    fn new(text: Vec<u8>, language: Language) -> SessionMetadata {
        SessionMetadata {
            text,
            language,
            packets: None,
            page_size: 0,
            version: None,
            unfinished: 0,
            pieces: Vec::new(),
            damage: Vec::new(),
        }
    }

    fn of_cache(cache: &relaywalk::lttng::Metadata, json: bool, place: &str) -> SessionMetadata {
        let language = if json { Language::Json } else { Language::of(&cache.text) };
        let whole = cache.complete_len();
        let text = match cache.holes.as_slice() {
            [] => cache.text.get(..whole).unwrap_or_default().to_vec(),
            holes => around(&cache.text, holes, language),
        };
        let damage = merged(&cache.holes).into_iter().map(|hole| {
            let place = format!("{place}, metadata, bytes {} to {}", hole.range.start, hole.range.end);
            let missing = || Cause::Implausible("no page is known for them".to_owned());
            let cause = hole.error.map_or_else(missing, Cause::Unreadable);
            Damage::new(place, cache.address, cause)
        });
        let unfinished =
            if cache.holes.is_empty() { cache.text.len() - whole.min(cache.text.len()) } else { 0 };
        SessionMetadata {
            version: cache.version,
            unfinished: unfinished as u64,
            damage: damage.collect(),
            ..SessionMetadata::new(text, language)
        }
    }

    /// From the only buffer of the metadata channel. What was consumed is gone, but for readers that map the buffer.
    fn of_ring(view: &View, raw: &relaywalk::lttng::Session) -> Option<SessionMetadata> {
        let channel = raw.channels.iter().find(|channel| channel.kind == ChannelKind::Metadata)?;
        let mut text = Vec::new();
        let mut pieces: Vec<(u64, Range<usize>)> = Vec::new();
        for packet in channel.streams.iter().flat_map(|stream| &stream.packets) {
            let number = packet.position / channel.subbuffer_size.max(1);
            let piece = piece(view, packet);
            let follows = pieces.last().is_none_or(|(last, _)| last.checked_add(1) == Some(number));
            if piece.is_none() || !follows {
                // From its beginning a text is of use by itself, otherwise only to continue the one on disk.
                if pieces.first().is_some_and(|(first, _)| *first == 0) {
                    break;
                }
                pieces.clear();
                text.clear();
            }
            if let Some(piece) = piece {
                pieces.push((number, text.len()..text.len() + piece.len()));
                text.extend(piece);
            }
        }
        if pieces.is_empty() {
            return None;
        }
        let whole = Language::Tsdl.whole(&text);
        let unfinished = (text.len() - whole.min(text.len())) as u64;
        text.truncate(whole);
        pieces.retain(|(_, range)| range.start < whole);
        Some(SessionMetadata { unfinished, pieces, ..SessionMetadata::new(text, Language::Tsdl) })
    }
}

/// Holes are told page by page: those side by side, of one cause, as one.
fn merged(holes: &[Hole]) -> Vec<Hole> {
    let mut merged: Vec<Hole> = Vec::new();
    let kind = |hole: &Hole| hole.error.map(|error| error.kind);
    for hole in holes {
        match merged.last_mut() {
            Some(last) if last.range.end == hole.range.start && kind(last) == kind(hole) => {
                last.range.end = hole.range.end;
            }
            _ => merged.push(hole.clone()),
        }
    }
    merged
}

/// The text of one packet of the metadata channel; `None` if a part of it cannot be read.
fn piece(view: &View, packet: &relaywalk::lttng::Packet) -> Option<Vec<u8>> {
    let used = usize::try_from(packet.used.min(MAX_SUB_BUFFER)).ok()?;
    let mut bytes = vec![0; used];
    if packet.header != relaywalk::lttng::Header::Intact || !packet.pages.read(view, 0, &mut bytes).is_empty()
    {
        return None;
    }
    bytes.get(HEADER..).map(<[u8]>::to_vec)
}

/// The whole statements around holes; those before the first hole only, if what is left makes no sense without the others.
fn around(text: &[u8], holes: &[Hole], language: Language) -> Vec<u8> {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
    let mut kept = Vec::new();
    let mut before_holes = 0;
    let mut start = 0;
    for (at, end) in
        holes.iter().map(|hole| (place(hole.range.start), place(hole.range.end))).chain([(text.len(), 0)])
    {
        let part = text.get(start..at).unwrap_or_default();
        let part = part.get(if start == 0 { 0 } else { statement(part, language) }..).unwrap_or_default();
        kept.extend(part.get(..language.whole(part)).unwrap_or_default());
        if start == 0 {
            before_holes = kept.len();
        }
        start = end.max(start).max(1);
    }
    if language == Language::Tsdl && TraceClass::parse(&kept).is_err() {
        kept.truncate(before_holes);
    }
    kept
}

/// Offset at which the first statement begins that is not cut at its start.
fn statement(part: &[u8], language: Language) -> usize {
    let found = match language {
        Language::Tsdl => {
            let end = part.windows(STATEMENT_END.len()).position(|window| window == STATEMENT_END);
            end.map(|at| at + STATEMENT_END.len())
        }
        Language::Json => part.iter().position(|&byte| byte == RECORD_SEPARATOR),
    };
    found.unwrap_or(part.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: &str = "trace {\n\tmajor = 1;\n\tminor = 8;\n\tbyte_order = le;\n};\n\n";
    const STREAM: &str =
        "stream {\n\tid = 0;\n\tevent.header := struct { integer { size = 8; } id; };\n};\n\n";

    fn event(id: usize) -> String {
        format!("event {{\n\tname = \"e{id}\";\n\tid = {id};\n\tstream_id = 0;\n}};\n\n")
    }

    fn hole(range: Range<usize>) -> Hole {
        Hole { range: range.start as u64..range.end as u64, error: None, zero_filled: false }
    }

    fn cache(text: &str, holes: Vec<Hole>) -> relaywalk::lttng::Metadata {
        relaywalk::lttng::Metadata {
            address: relaywalk::VirtAddr::NULL,
            text: text.as_bytes().to_vec(),
            holes,
            version: Some(0),
            producing: false,
        }
    }

    #[test]
    fn statements_around_holes_are_kept() {
        let text = [START, STREAM, &event(0), &event(1), &event(2)].concat();
        let second = text.find("event {\n\tname = \"e1\"").unwrap();
        let third = text.find("event {\n\tname = \"e2\"").unwrap();
        let found = SessionMetadata::of_cache(&cache(&text, vec![hole(second + 3..second + 9)]), false, "s");
        assert_eq!(found.text, [&text[..second], &text[third..]].concat().as_bytes());
        assert_eq!(found.damage.len(), 1);
        let apart = vec![hole(second + 3..second + 5), hole(second + 5..second + 9)];
        let same = SessionMetadata::of_cache(&cache(&text, apart), false, "s");
        assert_eq!((&same.text, &same.damage), (&found.text, &found.damage));
        assert!(found.damage[0].to_string().starts_with("s, metadata, bytes"));
        // Events without their stream make no sense.
        let stream = text.find("stream {").unwrap();
        let found = SessionMetadata::of_cache(&cache(&text, vec![hole(stream..stream + 9)]), false, "s");
        assert_eq!(found.text, START.as_bytes());
    }

    #[test]
    fn an_unfinished_statement_is_left_out_and_told() {
        let text = [START, STREAM, "event {\n\tna"].concat();
        let found = SessionMetadata::of_cache(&cache(&text, Vec::new()), false, "s");
        assert_eq!(found.text, [START, STREAM].concat().as_bytes());
        assert_eq!((found.unfinished, found.damage.len()), (11, 0));
        assert_eq!(found.file(), plain_metadata(found.text()));
    }

    #[test]
    fn fragments_around_holes_are_kept() {
        let text = "\u{1e}{\"a\":1}\n\u{1e}{\"b\":2}\n\u{1e}{\"c\":3}\n";
        let found = SessionMetadata::of_cache(&cache(text, vec![hole(12..14)]), true, "s");
        assert_eq!(found.text, "\u{1e}{\"a\":1}\n\u{1e}{\"c\":3}\n".as_bytes());
        assert_eq!(found.language(), Language::Json);
    }

    proptest! {
        #[test]
        fn any_holes(
            events in 0..20_usize,
            holes in prop::collection::vec((0..3000_usize, 0..100_usize), 0..6),
            json: bool,
        ) {
            let text = [START.to_owned(), STREAM.to_owned()].into_iter().chain((0..events).map(event)).collect::<String>();
            let holes = holes.into_iter().map(|(at, len)| hole(at..at + len)).collect();
            let found = SessionMetadata::of_cache(&cache(&text, holes), json, "s");
            prop_assert!(found.text.len() <= text.len());
        }
    }
}
