//! Damaged and malicious metadata and packets: nothing panics, everything ends, nothing exceeds what there is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod ctf_writer;

use ctf_writer::{Machine, Release, Stream, metadata};
use lttformat::ctf::{
    Completion, Decoder, Fields, Generation, PacketHeader, PacketLayout, TraceClass, Value, complete, text,
};
use lttformat::ltt::Endian;
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn machines() -> impl Strategy<Value = Machine> {
    select(Machine::all())
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

/// Decodes a packet with all values and all text.
fn decode(class: &TraceClass, packet: &[u8]) -> u64 {
    let Ok(decoder) = Decoder::new(class, packet) else { return 0 };
    let (mut events, mut end, mut line) = (0, 0, Vec::new());
    for event in decoder.filter_map(Result::ok) {
        assert!(
            event.start() >= end && event.end() > event.start() && event.end() <= 8 * packet.len() as u64
        );
        end = event.end();
        events += 1;
        let parts = [event.packet_context(), event.stream_context(), event.context(), event.fields()];
        let values: u64 = parts.into_iter().flatten().map(walk).sum();
        assert!(values <= 8 * packet.len() as u64 + 1000);
        line.clear();
        text::write_event(&mut line, &event);
    }
    events
}

/// Pieces of TSDL from which texts of all sorts are made.
const PIECES: [&str; 34] = [
    "struct",
    "variant",
    "enum",
    "integer",
    "{",
    "}",
    ";",
    "[",
    "]",
    "<",
    ">",
    "=",
    ":=",
    ":",
    ",",
    "...",
    ".",
    "(",
    ")",
    "align",
    "typealias",
    "typedef",
    "x",
    "y",
    "uint8_t",
    "stream",
    "event",
    "trace",
    "size = 8;",
    "7",
    "-1",
    "byte_order = le;",
    "fields",
    "\"s\"",
];

#[test]
fn texts_that_describe_too_much_are_refused() {
    let start = "trace { byte_order = le; }; typealias integer { size = 8; } := t; ";
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{start}struct s {{ {} t x; {} }};", open.repeat(depth), close.repeat(depth))
    };
    let doubled: String = (0..60)
        .map(|level| format!("struct s{} {{ struct s{level} a; struct s{level} b; }};", level + 1))
        .collect();
    let shared: String = (0..13)
        .map(|level| format!("struct s{} {{ struct s{level} a; struct s{level} b; }};", level + 1))
        .collect();
    let events: String =
        (0..3000).map(|id| format!("event{{name=\"e\";id={id};fields:=struct s13;}};")).collect();
    let texts = [
        nested("struct { ", "} y; ", 100_000),
        nested("enum : ", "", 100_000),
        format!("{start}struct s {{ t x{}; }};", "[1]".repeat(100_000)),
        format!("{start}struct s0 {{ t x; }}; {doubled}"),
        format!("{start}struct s0 {{ t x; }}; {shared} stream {{ id = 0; }}; {events}"),
        format!("{start}struct e {{ }}; struct s {{ struct e x[18446744073709551615]; }};"),
        format!("{start}struct e {{ }}; struct s {{ t n; struct e x[n]; }};"),
        format!("{start}struct s {{ t x[1099511627776]; }};"),
    ];
    for text in texts {
        let error = TraceClass::parse(text.as_bytes()).unwrap_err().to_string();
        let refused = error.contains("reasonable size") || error.contains("proportion");
        assert!(refused, "{error}: {}", &text[..200]);
    }
}

/// Texts of megabytes in which one thing comes again and again: what they cost grows with their length, not with its square.
#[test]
fn time_grows_with_the_text() {
    const COUNT: usize = 40_000;
    let start = "trace { byte_order = le; }; typealias integer { size = 8; } := t; ";
    let many = |piece: &dyn Fn(usize) -> String| -> String { (0..COUNT).map(piece).collect() };
    let event = |fields: String| {
        format!("{start} stream {{ id = 0; }}; event {{ name = \"e\"; fields := struct {{ {fields} }}; }};")
    };
    let labels = many(&|n| format!("l{n} = {n}, "));
    let texts = [
        // One variant of many options, used many times, each time with a tag of its own.
        format!(
            "{start} variant v {{ {} }}; {}",
            many(&|n| format!("t o{n}; ")),
            many(&|n| format!("struct s{n} {{ variant v <x> y; }}; "))
        ),
        // Lengths that are looked up among many fields, near and far.
        event(format!("{} {}", many(&|n| format!("t m{n}; ")), many(&|n| format!("t s{n}[m0]; ")))),
        event(many(&|n| format!("t a{n}; t b{n}[a{n}]; "))),
        // Many labels, alone, used many times, and all of them overlapping.
        format!("{start} enum e : t {{ {labels} }}; {}", many(&|n| format!("struct s{n} {{ enum e x; }}; "))),
        event(format!("enum e : t {{ {labels} }}; {}", many(&|n| format!("enum e x{n}; ")))),
        event(format!("enum e : t {{ {} }} x;", many(&|n| format!("l{n} = 0 ... {}, ", usize::MAX - n)))),
        event(format!(
            "enum e : t {{ {labels} }} x; {}",
            many(&|n| format!("variant <x> {{ t l{n}; }} v{n}; "))
        )),
        // Names that stand for names, and the same name again.
        format!("{start} typealias t := a0; {}", many(&|n| format!("typealias a{n} := a{}; ", n + 1))),
        format!("{start} {}", many(&|_| "typedef t u; ".into())),
        format!("{start} {}", many(&|n| format!("struct s {{ t x{n}; }}; "))),
        event(many(&|_| "t same; ".into())),
        // Long words, texts, paths and comments.
        format!("{start} typealias t := {};", many(&|_| "word ".into())),
        format!("{start} typealias t := {};", "w".repeat(20 * COUNT)),
        format!("{start} env {{ {} }};", many(&|n| format!("k{n} = \"\\x41\\\"{n}\"; "))),
        format!("{start} env {{ k{} = 1; }};", ".k".repeat(COUNT)),
        format!("{start} {}", many(&|n| format!("/* * / {n} */ // /*\n"))),
        // Many blocks.
        format!(
            "{start} {}",
            many(&|n| format!("stream {{ id = {n}; packet.context := struct {{ t x; }}; }}; "))
        ),
        format!(
            "{start} stream {{ id = 0; }}; {}",
            many(&|n| format!("event {{ id = {}; name = \"e\"; }}; ", n % 7))
        ),
        format!("{start} {}", many(&|n| format!("clock {{ name = c{n}; }}; callsite {{ x = 1; }}; "))),
        format!(
            "{start} stream {{ id = 0; event.header := struct {{ t n; }}; }}; {}",
            many(&|n| format!("event {{ id = {n}; fields := struct {{ t x[stream.event.header.n]; }}; }}; "))
        ),
    ];
    for text in texts {
        let begin = std::time::Instant::now();
        let outcome = TraceClass::parse(text.as_bytes()).map(|class| class.streams().len());
        let took = begin.elapsed();
        // A quadratic step would take 1.6 billion of them.
        assert!(took.as_secs() < 4, "{took:?} for {} bytes: {outcome:?}: {}", text.len(), &text[..200]);
    }
}

/// Long names and labels come again for every element of an array: the text of an event ends before it fills memory.
#[test]
fn the_text_of_an_event_is_bounded() {
    let long = "n".repeat(50_000);
    let elements = 60_000;
    let start = "trace { byte_order = le; packet.header := struct { integer { size = 32; } magic; }; }; stream { id = 0; };";
    for element in [
        format!("struct {{ integer {{ size = 8; }} {long}; }}"),
        format!("enum : integer {{ size = 8; }} {{ {long} = 0 ... 255 }}"),
        format!("enum : integer {{ size = 8; }} {{ {long} = 0 ... 255, other = 0 ... 128 }}"),
    ] {
        let fields = format!("struct {{ {element} x[{elements}]; integer {{ size = 8; }} last; }}");
        let class =
            TraceClass::parse(format!("{start} event {{ name = \"e\"; fields := {fields}; }};").as_bytes());
        let class = class.unwrap();
        let mut packet = vec![0xc1, 0x1f, 0xfc, 0xc1];
        packet.resize(4 + elements + 1, 7);
        let events: Vec<_> = Decoder::new(&class, &packet).unwrap().collect();
        let [Ok(event)] = events.as_slice() else { panic!("{events:?}") };
        let mut line = b"before ".to_vec();
        text::write_event(&mut line, event);
        assert!(line.len() > 16 << 20 && line.len() < 17 << 20, "{}", line.len());
        assert!(line.starts_with(b"before e: ") && line.ends_with(b"..."));
    }
}

/// Sizes that do not fit the fields that a class has for them are not cut to something else.
#[test]
fn sizes_that_do_not_fit_are_refused() {
    let class = |bits: u32| {
        let size = format!("integer {{ size = {bits}; align = 8; }}");
        let text = format!(
            "trace {{ byte_order = le; packet.header := struct {{ integer {{ size = 32; }} magic; }}; }}; stream {{ id = 0; \
             packet.context := struct {{ {size} content_size; {size} packet_size; }}; }};"
        );
        TraceClass::parse(text.as_bytes()).unwrap()
    };
    for (bits, used, fits) in
        [(8, 20, false), (16, 900, true), (16, 5000, true), (16, 8191, false), (32, 8191, true)]
    {
        let class = class(bits);
        let layout = class.streams()[0].layout();
        let mut packet = vec![0xc1, 0x1f, 0xfc, 0xc1];
        packet.resize(8192, 0x55);
        let before = packet.clone();
        let completion = Completion { used, page_size: 16, timestamp_end: 0, events_discarded: 0 };
        let outcome = complete(&mut packet, layout, &completion);
        assert_eq!(outcome.is_ok(), fits, "{bits} {used}: {outcome:?}");
        if fits {
            let header = PacketHeader::parse(&packet, layout).unwrap();
            assert_eq!((header.content_size, header.packet_size), (8 * used, 8 * packet.len() as u64));
        } else {
            assert_eq!(packet, before);
        }
    }
}

#[test]
fn errors_have_a_line() {
    let message = |text: &str| TraceClass::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        message("trace {\n\tmajor = 1\n};"),
        "metadata line 3: expected `;` after a setting, found `}`"
    );
    assert_eq!(
        message("\n\nfoo;"),
        "metadata line 3: expected a block or the definition of a type, found `foo`"
    );
    assert_eq!(
        message("struct s { foo_t x; };"),
        "metadata line 1: expected the name of a type, found `foo_t`"
    );
    assert_eq!(
        message("typealias integer { size = 65; } := t;"),
        "metadata line 1: expected a size of 1 to 64 bits, found `;`"
    );
    assert_eq!(message(""), "metadata: byte order of the trace: expected le or be, found none");
    let start = "trace { byte_order = le; }; stream { id = 0; }; ";
    let event = |fields: &str| {
        message(&format!("{start} event {{ name = \"e\"; fields := struct {{ {fields} }}; }};"))
    };
    assert_eq!(
        event("string s; string x[s];"),
        "metadata: length or tag of event `e`: expected the name of a field before it, found `s`"
    );
    assert_eq!(
        event("variant { string a; } v;"),
        "metadata: variant of event `e`: expected a tag, found none"
    );
    assert_eq!(
        event("integer { size = 8; } n; variant <n> { string a; } v;"),
        "metadata: tag of a variant of event `e`: expected an enumeration, found n"
    );
    assert_eq!(
        message("trace { byte_order = le; }; event { name = \"e\"; stream_id = 3; };"),
        "metadata: stream of event `e`: expected the id of a declared stream, found 3"
    );
}

#[test]
fn all_events_of_an_intact_packet() {
    for machine in Machine::all() {
        let class = TraceClass::parse(metadata(machine).as_bytes()).unwrap();
        let packet = Stream::new(machine, 3, 0).packet(400);
        assert_eq!(decode(&class, &packet), 400);
        let generation = match machine.release {
            Release::V2_0 => Generation::V2_0,
            Release::V2_1 => Generation::V2_1,
            Release::V2_8 => Generation::V2_8,
        };
        let endian = if machine.big { Endian::Big } else { Endian::Little };
        let layout = PacketLayout::of_generation(generation, machine.word as u8, endian);
        assert_eq!(*class.streams()[0].layout(), layout);
    }
}

proptest! {
    #[test]
    fn damaged_packets(
        machine in machines(),
        seed in 1..1000_u64,
        damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..20),
        len: Index,
    ) {
        let class = TraceClass::parse(metadata(machine).as_bytes()).unwrap();
        let mut packet = Stream::new(machine, seed, 0).packet(60);
        for (place, byte) in damage {
            let place = place.index(packet.len());
            packet[place] = byte;
        }
        packet.truncate(len.index(packet.len() + 1));
        decode(&class, &packet);
    }

    #[test]
    fn damaged_metadata(
        machine in machines(),
        damage in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), select(b"{};=[]<>:._09ax".to_vec())]), 1..8),
        removed in prop::option::of((any::<Index>(), 0..200_usize)),
    ) {
        let mut text = metadata(machine).into_bytes();
        for (place, byte) in damage {
            let place = place.index(text.len());
            text[place] = byte;
        }
        if let Some((place, len)) = removed {
            let place = place.index(text.len());
            text.drain(place..(place + len).min(text.len()));
        }
        if let Ok(class) = TraceClass::parse(&text) {
            decode(&class, &Stream::new(machine, 5, 0).packet(60));
        }
    }

    #[test]
    fn any_text(pieces in prop::collection::vec(select(PIECES.to_vec()), 0..60), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = TraceClass::parse(pieces.join(" ").as_bytes());
        let _ = TraceClass::parse(&bytes);
    }
}
