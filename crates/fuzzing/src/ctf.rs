//! CTF traces of LTTng 2.x: metadata, packets, data files, indexes.

use crate::Input;
use lttformat::ctf::scan::{Depth, Piece, Scan, ScanOptions};
use lttformat::ctf::{
    Clock, Completion, Decoder, Fields, Form, Generation, Index, Metadata, PacketHeader, PacketLayout,
    TraceClass, Value, complete, plain_metadata, tally, text,
};
use lttformat::ltt::Endian;

const GENERATIONS: [Generation; 3] = [Generation::V2_0, Generation::V2_1, Generation::V2_8];

/// Reads a metadata file, in packets or plain, parses its text, and writes both forms again.
pub fn ctf_metadata(data: &[u8]) {
    let metadata = Metadata::parse(data);
    let (mut file, mut length) = (0, 0);
    for span in &metadata.spans {
        assert!(span.file.start == file && span.text.start == length && span.text.end <= metadata.text.len());
        assert!(span.text.len() <= span.file.len());
        (file, length) = (span.file.end, span.text.end);
    }
    assert_eq!(length, metadata.text.len());
    if let Some(cut) = &metadata.cut {
        assert!(cut.offset <= data.len() && !cut.to_string().is_empty());
    }
    let language = metadata.language();
    assert!(language.whole(&metadata.text) <= metadata.text.len());
    if let Some(packets) = metadata.packets.filter(|_| !metadata.text.is_empty()) {
        let written = packets.file(&metadata.text, 4096);
        let again = written.map(|file| Metadata::parse(&file));
        assert!(again.is_ok_and(|again| again.text == metadata.text && again.cut.is_none()));
    }
    let _ = plain_metadata(&metadata.text).len();
    ctf_tsdl(&metadata.text);
}

/// Parses a TSDL text.
pub fn ctf_tsdl(data: &[u8]) {
    match TraceClass::parse(data) {
        Ok(class) => describe(&class),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Everything that a class tells.
fn describe(class: &TraceClass) {
    let _ = (class.version(), class.uuid(), class.env().len(), class.env_text("hostname"));
    if let Some(clock) = class.clock() {
        times(clock);
    }
    for stream in class.streams() {
        assert!(class.stream(stream.id()).is_some());
        assert!(stream.layout().len() <= 1 << 20);
        for event in stream.events() {
            assert!(stream.event(event.id()).is_some());
            let _ = (event.name(), event.loglevel(), event.field_names().count());
        }
    }
}

fn times(clock: &Clock) {
    for cycles in [0, 1, u64::MAX / 2, u64::MAX] {
        let _ = clock.ns(cycles);
    }
}

/// Parses a TSDL text ([part](Input::part)), and decodes a packet with all its values and its text; then completes it. How much is used
/// (32 bits) and the page size (16 bits) come first.
pub fn ctf_events(data: &[u8]) {
    let mut input = Input::new(data);
    let (used, page_size) = (input.u32(), input.u16());
    let Ok(class) = TraceClass::parse(input.part()) else { return };
    let packet = input.rest();
    let bits = 8 * packet.len() as u64;
    let Ok((header, stream)) = class.packet(packet) else { return };
    let Ok(decoder) = Decoder::new(&class, packet) else { return };
    let (mut events, mut end, mut line) = (0, 0, Vec::new());
    for event in decoder.filter_map(Result::ok) {
        assert!(event.start() >= end && event.end() > event.start() && event.end() <= bits);
        end = event.end();
        events += 1;
        let parts = [event.packet_context(), event.stream_context(), event.context(), event.fields()];
        let values: u64 = parts.into_iter().flatten().map(walk).sum();
        assert!(values <= bits + 1000);
        line.clear();
        text::write_event(&mut line, &event);
    }
    let counted = tally(stream, &header, packet);
    // It stops where a time is later than the packet's end, which a viewer does not mind.
    assert!(counted.events <= events && counted.end <= packet.len() as u64);

    let completion = Completion {
        used: used.into(),
        page_size: page_size.into(),
        timestamp_end: header.timestamp_begin.saturating_add(9),
        events_discarded: 3,
    };
    let mut completed = packet.to_vec();
    match complete(&mut completed, stream.layout(), &completion) {
        Ok(len) => {
            assert!(completed.len() == len && len as u64 >= completion.used);
            let header = PacketHeader::parse(&completed, stream.layout());
            // A class may have no field for it.
            assert!(
                header.is_ok_and(|header| header.is_open() || header.content_size == 8 * completion.used)
            );
        }
        Err(_) => assert_eq!(completed, packet),
    }
}

/// Walks all values; returns how many there are.
fn walk(fields: Fields<'_>) -> u64 {
    fields.map(|(_, value)| 1 + walk_value(value)).sum()
}

fn walk_value(value: Value<'_>) -> u64 {
    match value {
        Value::Struct(fields) => walk(fields),
        Value::Array(elements) => elements.map(|element| 1 + walk_value(element)).sum(),
        Value::Variant(variant) => variant.value().map_or(0, walk_value),
        Value::Enum(value) => value.labels().count() as u64,
        _ => 0,
    }
}

/// Maps a data file. How (8 bits: depth, then which layout if there is no class), page size as a power of two (8 bits), TSDL text
/// ([part](Input::part)); file.
pub fn ctf_scan(data: &[u8]) {
    let mut input = Input::new(data);
    let (how, page) = (input.u8(), input.u8());
    let depth = if how & 1 == 0 { Depth::Suspicious } else { Depth::All };
    let options = ScanOptions { page_size: 1 << (page % 14), depth, ..ScanOptions::default() };
    let class = TraceClass::parse(input.part());
    let endian = if how & 2 == 0 { Endian::Little } else { Endian::Big };
    let generation = GENERATIONS.get(usize::from(how >> 2) % GENERATIONS.len()).copied();
    let layout = PacketLayout::of_generation(generation.unwrap_or(Generation::V2_8), 8, endian);
    let form = match &class {
        Ok(class) => Form::from(class),
        Err(_) => Form::Layout { layout: &layout, uuid: None },
    };
    let file = input.rest();
    let mut scan = Scan::new(form, file, options);
    let mut end = 0;
    // Memory can always be read.
    while let Ok(Some(piece)) = scan.next() {
        match piece {
            Piece::Packet(packet) => {
                assert_eq!(packet.offset, end);
                assert!(packet.used <= packet.bytes.len() as u64 && !packet.bytes.is_empty());
                end += packet.bytes.len() as u64;
            }
            Piece::Cut(cut) => {
                assert!(cut.range.start == end && cut.range.end > end && !cut.reason.to_string().is_empty());
                end = cut.range.end;
            }
        }
    }
    assert_eq!(end, file.len() as u64, "every byte is in one piece");
}

/// Reads an index file and writes it again.
pub fn ctf_index(data: &[u8]) {
    let Ok(index) = Index::parse(data) else { return };
    let file = index.file();
    assert!(data.starts_with(&file), "what is whole is written as it was");
    let again = Index::parse(&file);
    assert!(again.is_ok_and(|again| again.entries == index.entries && again.cut.is_none()));
    if let Some(cut) = index.cut {
        assert!(cut.offset == file.len() && !cut.to_string().is_empty());
    }
}
