//! Trace formats of LTTng 0.x: headers, metadata, events, valid prefixes, files.

use crate::Input;
use lttformat::ltt::prefix::{Evidence, LastTsc, Stage, valid_prefix};
use lttformat::ltt::scan::{Depth, Limits, Piece, Scan, ScanOptions};
use lttformat::ltt::{Announcement, Channel, Clock, Completion, Decoder, Header, Markers, complete, tally};

const CHANNELS: [Channel<'static>; 3] = [Channel::Metadata, Channel::Compact, Channel::Data(b"kernel")];

/// Parses a header, writes it back, completes the sub-buffer. Valid length (32 bits), last time (64), size (32), page size
/// (16), sub-buffer.
pub fn ltt_header(data: &[u8]) {
    let mut input = Input::new(data);
    let completion = Completion {
        valid: u64::from(input.u32()),
        last_time: input.u64(),
        subbuffer_size: u64::from(input.u32() % (1 << 20)),
        page_size: u64::from(input.u16()),
        events_lost: 1 << 33,
        corrupted: 3,
    };
    let mut record = input.rest().to_vec();
    let Ok(header) = Header::parse(&record) else {
        assert!(complete(&mut record, &completion).is_err());
        return;
    };
    let mut copy = record.clone();
    assert!(header.write(&mut copy).is_ok());
    assert_eq!(Header::parse(&copy).as_ref(), Ok(&header));
    assert!(header.used(completion.subbuffer_size).is_none_or(|used| used <= completion.subbuffer_size));
    let clock = Clock::new(&header);
    let _ = (clock.ns(header.begin), clock.wall_ns(&header, header.begin, header.end), header.record_len());
    let before = record.clone();
    match complete(&mut record, &completion) {
        Ok(len) => {
            assert_eq!(record.len(), len);
            let header = Header::parse(&record);
            assert_eq!(header.ok().and_then(|header| header.used(len as u64)), Some(completion.valid));
        }
        Err(_) => assert_eq!(record, before),
    }
}

/// Learns metadata, decodes a sub-buffer and finds its valid prefix. Evidence: flags (8 bits: stalled, which of the optional
/// ones), reserved, committed, vouched for (32 bits each), last and latest time (64); metadata ([part](Input::part)); sub-buffer.
pub fn ltt_events(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.u8();
    let flag = |bit: u8| flags & (1 << bit) != 0;
    let (reserved, committed, vouched) = (input.u32(), input.u32(), input.u32());
    let (last, latest) = (input.u64(), input.u64());
    let evidence = Evidence {
        stage: if flag(0) { Stage::Stalled } else { Stage::Open },
        reserved: u64::from(reserved),
        committed: u64::from(committed),
        commit_seq: flag(1).then_some(u64::from(vouched)),
        last_tsc: flag(2).then_some(LastTsc { value: last, truncated: flag(3) }),
        not_before: flag(4).then_some(latest >> 1),
        not_after: flag(5).then_some(latest),
    };
    let metadata = input.part();
    let data = input.rest();
    let Ok(header) = Header::parse(data) else { return };
    let mut markers = Markers::new(&header);
    if let Ok(header) = Header::parse(metadata) {
        let learnt = markers.learn(&header, metadata, metadata.len() as u64);
        assert!(learnt.end <= metadata.len());
    }
    for channel in CHANNELS {
        decode(data, &header, channel, &markers);
        let prefix = valid_prefix(data, &header, channel, &markers, &evidence);
        assert!(prefix.valid <= data.len() as u64);
        assert!(prefix.valid == 0 || prefix.valid >= header.len() as u64);
    }
}

/// Uses three markers, of which each is an alignment (8 bits), a name and a format ([parts](Input::part)), and decodes the rest
/// with them.
pub fn ltt_format(data: &[u8]) {
    let mut input = Input::new(data);
    let specs = [5, 6, 7].map(|id| (id, input.u8(), input.part(), input.part()));
    let data = input.rest();
    let Ok(header) = Header::parse(data) else { return };
    let mut markers = Markers::new(&header);
    for (id, alignment, name, format) in specs {
        let announcement = Announcement { name, id, format, alignment, sizes: None };
        markers.insert(b"kernel", &announcement);
        markers.insert(b"kernel", &announcement);
    }
    for (_, marker) in markers.iter() {
        let _ = (marker.name(), marker.format(), marker.is_decodable());
        for field in marker.fields() {
            let _ = (field.name(), field.kind(), field.size(), field.is_network_order());
        }
    }
    for channel in CHANNELS {
        decode(data, &header, channel, &markers);
    }
    let _ = (markers.conflicts().len(), markers.type_sizes());
}

/// Maps a trace file. Page size as a power of two (8 bits), depth and channel (8 bits); file.
pub fn ltt_scan(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = Limits { page_size: 1 << (input.u8() % 14), ..Limits::default() };
    let how = input.u8();
    let depth = if how & 1 == 0 { Depth::Suspicious } else { Depth::All };
    let [first, ..] = CHANNELS;
    let channel = CHANNELS.get(usize::from(how >> 1) % CHANNELS.len()).copied().unwrap_or(first);
    let file = input.rest();
    let options = ScanOptions { limits, depth, ..ScanOptions::default() };
    let mut scan = Scan::new(file, channel, None, &options);
    let mut end = 0;
    // Memory can always be read.
    while let Ok(Some(piece)) = scan.next() {
        match piece {
            Piece::Record(record) => {
                assert_eq!(record.offset, end);
                assert!(record.used <= record.bytes.len() as u64 && !record.bytes.is_empty());
                end += record.bytes.len() as u64;
            }
            Piece::Cut(cut) => {
                assert!(cut.range.start == end && cut.range.end > end && !cut.to_string().is_empty());
                end = cut.range.end;
            }
        }
    }
    assert_eq!(end, file.len() as u64, "every byte is in one piece");
}

fn decode(data: &[u8], header: &Header, channel: Channel<'_>, markers: &Markers) {
    let used = data.len() as u64;
    let mut end = header.len();
    for event in Decoder::new(data, header, used, channel, markers).filter_map(Result::ok) {
        assert!(end <= event.start && event.start < event.payload.start && event.payload.start <= event.end);
        assert!(event.end <= data.len());
        assert!(event.fields().count() <= event.marker.map_or(0, |marker| marker.fields().len()));
        let _ = (event.name(), event.raw().len());
        end = event.end;
    }
    assert_eq!(tally(data, header, used, channel, markers).end, end);
}
