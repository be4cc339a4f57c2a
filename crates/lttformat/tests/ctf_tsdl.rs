//! The language of the metadata, construct by construct: a declaration, bytes, and the text of the event they hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use lttformat::ctf::{Decoder, Fields, TraceClass, text};

/// Aliases that all cases may use; bytes are packed.
const TYPES: &str = "
    typealias integer { size = 8; align = 8; signed = 0; } := u8;
    typealias integer { size = 16; align = 8; } := unsigned short int;
    typealias integer { size = 8; align = 8; signed = true; } := s8;
    typealias integer { size = 8; encoding = UTF8; } := char;
    typealias integer { size = 32; signed = 1; } := int;";

/// Text of the events in packets that have no header, so that a packet is one event after the other.
fn events(order: &str, declarations: &str, fields: &str, bytes: &[u8]) -> String {
    let text = format!(
        "trace {{ byte_order = {order}; }}; {TYPES} {declarations} stream {{ }};
         event {{ name = e; fields := struct {{ {fields} }}; }};"
    );
    let class = TraceClass::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {fields}"));
    let mut out = Vec::new();
    for event in Decoder::new(&class, bytes).unwrap() {
        if !out.is_empty() {
            out.extend_from_slice(b"; ");
        }
        match event {
            Ok(event) => text::write_event(&mut out, &event),
            Err(stop) => out.extend_from_slice(stop.to_string().as_bytes()),
        }
    }
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn check(declarations: &str, fields: &str, bytes: &[u8], expected: &str) {
    assert_eq!(events("le", declarations, fields, bytes), format!("e: {{ {expected} }}"));
}

#[test]
fn names_of_types() {
    check("", "u8 a, b; unsigned short int c;", &[1, 2, 3, 4], "a = 1, b = 2, c = 1027");
    check("typedef u8 byte, pair[2];", "byte a; pair b;", &[1, 2, 3], "a = 1, b = [ [0] = 2, [1] = 3 ]");
    check("typealias struct { u8 x; } := point;", "point p;", &[7], "p = { x = 7 }");
    check(
        "struct point { u8 x; u8 y; };",
        "struct point p[2];",
        &[1, 2, 3, 4],
        "p = [ [0] = { x = 1, y = 2 }, [1] = { x = 3, y = 4 } ]",
    );
    check("", "struct inner { u8 x; } a; struct inner b;", &[1, 2], "a = { x = 1 }, b = { x = 2 }");
    check(
        "enum e : u8 { A, B };",
        "enum e a; enum e b;",
        &[1, 5],
        "a = ( \"B\" : container = 1 ), b = ( <unknown> : container = 5 )",
    );
    check("", "const u8 a; u8 const b;", &[1, 2], "a = 1, b = 2");
}

#[test]
fn names_are_visible_in_their_block_only() {
    let fields = "struct { typealias integer { size = 16; } := u8; u8 wide; } a; u8 narrow;";
    check("", fields, &[1, 1, 2], "a = { wide = 257 }, narrow = 2");
}

#[test]
fn underscores() {
    check("", "u8 _a; u8 __b; u8 c_;", &[1, 2, 3], "a = 1, _b = 2, c_ = 3");
    check(
        "",
        "u8 _x; u8 x; u8 _s[ _x ]; u8 s[ x ];",
        &[1, 2, 7, 8, 9],
        "x = 1, x = 2, s = [ [0] = 7 ], s = [ [0] = 8, [1] = 9 ]",
    );
}

#[test]
fn numbers() {
    check("", "integer { size = 0x10; base = hex; } a;", &[0x34, 0x12], "a = 0x1234");
    check("", "integer { size = 010; base = oct; signed = TRUE; } a;", &[0xff], "a = 0777");
    check("", "integer { size = 8; base = b; } a;", &[5], "a = 0b00000101");
    check(
        "",
        "integer { size = 16; byte_order = be; } a; integer { size = 16; byte_order = native; } b;",
        &[1, 2, 1, 2],
        "a = 258, b = 513",
    );
    check("", "floating_point { exp_dig = 8; mant_dig = 24; } a;", &[0, 0, 0x20, 0x40], "a = 2.5");
    check(
        "",
        "floating_point { exp_dig = 11; mant_dig = 53; byte_order = be; } a;",
        &[0xc0, 4, 0, 0, 0, 0, 0, 0],
        "a = -2.5",
    );
}

#[test]
fn bit_fields_in_both_byte_orders() {
    let fields = "integer { size = 3; } a; integer { size = 10; signed = 1; } b; integer { size = 3; } c;";
    let bytes = [0b1010_0101, 0b1100_0011];
    assert_eq!(events("le", "", fields, &bytes), "e: { a = 5, b = 116, c = 6 }");
    assert_eq!(events("be", "", fields, &bytes), "e: { a = 5, b = 184, c = 3 }");
}

#[test]
fn alignment_counts_from_the_start_of_the_packet() {
    let fields = "u8 a; integer { size = 32; align = 32; } b;";
    assert_eq!(events("le", "", fields, &[1, 9, 9, 9, 2, 0, 0, 0]), "e: { a = 1, b = 2 }");
    check("", "u8 a; struct { u8 x; } align(32) b;", &[1, 9, 9, 9, 2], "a = 1, b = { x = 2 }");
    let text = events("le", "", "struct { u8 x; } align(16) b;", &[1, 9, 2, 9, 3]);
    assert_eq!(text, "e: { b = { x = 1 } }; e: { b = { x = 2 } }; e: { b = { x = 3 } }");
}

#[test]
fn strings_and_characters() {
    check("", "string a; string { encoding = ASCII; } b;", b"x\0\"y\"\0", r#"a = "x", b = "\"y\"""#);
    check("", "u8 n; char a[4]; char b[n];", b"\x02xy\0zvw", r#"n = 2, a = "xy", b = "vw""#);
    check("", "string a[2];", b"x\0y\0", r#"a = [ [0] = "x", [1] = "y" ]"#);
    assert_eq!(
        events("le", "", "string a;", b"x"),
        "byte 0 of the packet: expected a string, found no end of it"
    );
}

#[test]
fn arrays_and_sequences() {
    check(
        "",
        "u8 a[2][3];",
        &[1, 2, 3, 4, 5, 6],
        "a = [ [0] = [ [0] = 1, [1] = 2, [2] = 3 ], [1] = [ [0] = 4, [1] = 5, [2] = 6 ] ]",
    );
    check(
        "",
        "u8 n; struct { u8 n; u8 x[n]; } a[n];",
        &[2, 1, 7, 0],
        "n = 2, a = [ [0] = { n = 1, x = [ [0] = 7 ] }, [1] = { n = 0, x = [ ] } ]",
    );
    check(
        "",
        "struct { struct { u8 n; } b; } a; u8 x[a.b.n];",
        &[1, 7],
        "a = { b = { n = 1 } }, x = [ [0] = 7 ]",
    );
    check(
        "",
        "u8 n; struct { u8 n; u8 x[event.fields.n]; } a;",
        &[2, 1, 7, 8],
        "n = 2, a = { n = 1, x = [ [0] = 7, [1] = 8 ] }",
    );
    let negative = events("le", "", "s8 n; u8 x[n];", &[0xff, 1, 2]);
    assert_eq!(
        negative,
        "byte 0 of the packet: expected a whole event, found one that ends beyond the content"
    );
}

#[test]
fn enumerations() {
    let fields =
        "enum : u8 { A = 1, \"b c\" = 3 ... 5, D, E = 200, } a; enum : s8 { N = -2 ... -1, M = -1 } b;";
    check("", fields, &[1, 0xff], r#"a = ( "A" : container = 1 ), b = ( "N", "M" : container = -1 )"#);
    check("", fields, &[6, 0xfe], r#"a = ( "D" : container = 6 ), b = ( "N" : container = -2 )"#);
    check("", "enum { A = 7 } a;", &[7, 0, 0, 0], r#"a = ( "A" : container = 7 )"#);
}

#[test]
fn variants() {
    let tag = "enum : u8 { a, b = 1 ... 9 } t;";
    let fields = format!("{tag} variant <t> {{ u8 a; struct {{ u8 x; }} b; }} v; u8 after;");
    check("", &fields, &[0, 5, 6], r#"t = ( "a" : container = 0 ), v = { 5 }, after = 6"#);
    check("", &fields, &[4, 5, 6], r#"t = ( "b" : container = 4 ), v = { { x = 5 } }, after = 6"#);
    let stop = "byte 0 of the packet: expected a tag that selects an option, found 10";
    assert_eq!(events("le", "", &fields, &[10, 5, 6]), stop);
    let named = format!("{tag} variant choice <t> v; struct {{ variant choice <t> w; }} s;");
    let choice = "variant choice { u8 a; string b; };";
    check(choice, &named, b"\x01x\0y\0", r#"t = ( "b" : container = 1 ), v = { "x" }, s = { w = { "y" } }"#);
}

#[test]
fn lengths_from_the_parts_before() {
    let text = format!(
        "trace {{ byte_order = le; }}; {TYPES}
         stream {{ event.header := struct {{ u8 id; u8 n; }}; event.context := struct {{ u8 m; u8 x[n]; }}; }};
         event {{ id = 3; name = e; context := struct {{ u8 k; u8 y[m]; }}; fields := struct {{ u8 z[k]; u8 w[stream.event.header.n]; }}; }};"
    );
    let class = TraceClass::parse(text.as_bytes()).unwrap();
    let bytes = [3, 1, 2, 10, 1, 11, 12, 13, 14];
    let event = Decoder::new(&class, &bytes).unwrap().next().unwrap().unwrap();
    let mut line = Vec::new();
    text::write_event(&mut line, &event);
    let expected = "e: { m = 2, x = [ [0] = 10 ] }, { k = 1, y = [ [0] = 11, [1] = 12 ] }, { z = [ [0] = 13 ], w = [ [0] = 14 ] }";
    assert_eq!(String::from_utf8(line).unwrap(), expected);
    // The same by values, each part on its own.
    assert_eq!(names(event.fields()), ["z", "w"]);
    assert_eq!(names(event.context()), ["k", "y"]);
    assert_eq!(names(event.stream_context()), ["m", "x"]);
}

fn names(fields: Option<Fields<'_>>) -> Vec<&str> {
    fields.unwrap().map(|(name, _)| name).collect()
}
