//! The format strings of markers.

use super::field::{Field, Kind, TypeSizes};

/// Reads a marker's format string into the fields of its events; `None` when a conversion is none that tracers know, so
/// that the events' size cannot be told.
///
/// `%…` terminates a field and says how C code passed the value; a preceding `#…` says how it is stored. `#n…` is stored
/// in network byte order, `#b…` is the data of a compact event (1.0).
///
/// One deviation of the tracer is followed: its scanner compares the qualifier with the *number* 8 instead of the
/// character, so `#8u` is not recognised and the field is stored as the C type that follows.
///
/// Cost: one allocation a field.
pub(super) fn fields(format: &[u8], sizes: TypeSizes) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    let mut scanner = Scanner { format, at: 0 };
    let mut field_start = 0;
    let mut types_start = None;
    let mut stored = TraceType::default();
    while let Some(byte) = scanner.bump() {
        if !matches!(byte, b'#' | b'%') {
            continue;
        }
        if scanner.peek() == Some(byte) {
            scanner.bump();
            continue;
        }
        let text_end = *types_start.get_or_insert(scanner.at - 1);
        if byte == b'#' {
            stored = scanner.trace_type();
            continue;
        }
        let c_type = scanner.c_type()?;
        let conversion = match (c_type.kind(), stored.conversion) {
            (Kind::String, _) | (_, None) => c_type,
            (_, Some(stored)) => stored,
        };
        let text = format.get(field_start..text_end).unwrap_or_default();
        fields.push(Field {
            name: name(text, fields.len() + 1),
            kind: conversion.kind(),
            size: conversion.size(sizes),
            network_order: stored.network_order,
            compact: stored.compact,
            unrecognised_width: stored.eight && c_type.size(sizes) != 8,
        });
        field_start = scanner.at;
        types_start = None;
        stored = TraceType::default();
    }
    Some(fields)
}

/// A field is called by the first word before it, if a blank ends that word; otherwise by its number.
fn name(text: &[u8], number: usize) -> Box<[u8]> {
    let mut words = text.trim_ascii_start().splitn(2, |&byte| byte == b' ');
    match (words.next(), words.next()) {
        (Some(word), Some(_)) if !word.is_empty() => word.into(),
        _ => format!("field {number}").into_bytes().into(),
    }
}

/// What follows a `#`.
#[derive(Default)]
struct TraceType {
    network_order: bool,
    compact: bool,
    /// The scanner stopped at an `8`.
    eight: bool,
    conversion: Option<Conversion>,
}

/// A qualifier and a conversion character.
#[derive(Clone, Copy)]
struct Conversion {
    qualifier: Qualifier,
    character: u8,
}

#[derive(Clone, Copy)]
enum Qualifier {
    None,
    Short,
    Long,
    LongLong,
    Size,
    Pointer,
    Bytes(u8),
}

impl Conversion {
    fn kind(self) -> Kind {
        match self.character {
            b's' => Kind::String,
            b'c' => Kind::Char,
            b'p' => Kind::Pointer,
            b'd' | b'i' => Kind::Signed,
            b'o' => Kind::Octal,
            b'x' | b'X' => Kind::Hex,
            _ => Kind::Unsigned,
        }
    }

    fn size(self, sizes: TypeSizes) -> u8 {
        match (self.kind(), self.qualifier) {
            (Kind::String, _) => 0,
            (Kind::Char, _) => 1,
            (Kind::Pointer, _) | (_, Qualifier::Pointer) => sizes.pointer,
            (_, Qualifier::None) => sizes.int,
            (_, Qualifier::Short) => 2,
            (_, Qualifier::Long) => sizes.long,
            (_, Qualifier::LongLong) => 8,
            (_, Qualifier::Size) => sizes.size_t,
            (_, Qualifier::Bytes(size)) => size,
        }
    }
}

struct Scanner<'a> {
    format: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn bump(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.peek().is_some_and(wanted);
        if found {
            self.at += 1;
        }
        found
    }

    /// After a `#`. Without a conversion that the tracer recognises, the C type decides.
    fn trace_type(&mut self) -> TraceType {
        let mut found = TraceType::default();
        loop {
            if self.skip(|byte| byte == b'n') {
                found.network_order = true;
            } else if self.skip(|byte| byte == b'b') {
                found.compact = true;
            } else {
                break;
            }
        }
        found.eight = self.peek() == Some(b'8');
        let qualifier = match self.peek() {
            Some(digit @ (b'1' | b'2' | b'4')) => {
                self.at += 1;
                Qualifier::Bytes(digit - b'0')
            }
            _ => self.qualifier(),
        };
        found.conversion = self.conversion(qualifier);
        found
    }

    /// After a `%`: flags (no widths, no precisions), qualifier, conversion.
    fn c_type(&mut self) -> Option<Conversion> {
        while self.skip(|byte| matches!(byte, b'-' | b'+' | b' ' | b'#' | b'0')) {}
        let qualifier = self.qualifier();
        self.conversion(qualifier)
    }

    fn qualifier(&mut self) -> Qualifier {
        let qualifier = match self.peek() {
            Some(b'h') => Qualifier::Short,
            Some(b'l') if self.format.get(self.at + 1) == Some(&b'l') => {
                self.at += 1;
                Qualifier::LongLong
            }
            Some(b'l') => Qualifier::Long,
            Some(b'L') => Qualifier::LongLong,
            Some(b'z' | b'Z') => Qualifier::Size,
            Some(b't') => Qualifier::Pointer,
            // Accepted, but it does not change the size.
            Some(b'S') => Qualifier::None,
            _ => return Qualifier::None,
        };
        self.at += 1;
        qualifier
    }

    fn conversion(&mut self, qualifier: Qualifier) -> Option<Conversion> {
        let character = self.peek()?;
        let known = matches!(character, b'c' | b's' | b'p' | b'd' | b'i' | b'o' | b'u' | b'x' | b'X');
        known.then(|| {
            self.at += 1;
            Conversion { qualifier, character }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES_64: TypeSizes = TypeSizes { int: 4, long: 8, pointer: 8, size_t: 8 };
    const SIZES_32: TypeSizes = TypeSizes { int: 4, long: 4, pointer: 4, size_t: 4 };

    fn scan(format: &str, sizes: TypeSizes) -> Vec<(String, Kind, u8)> {
        let fields = fields(format.as_bytes(), sizes).unwrap();
        let name = |field: &Field| String::from_utf8(field.name.to_vec()).unwrap();
        fields.iter().map(|field| (name(field), field.kind, field.size)).collect()
    }

    #[test]
    fn names_and_stored_types() {
        assert_eq!(
            scan("pid %d prio #2u%u name %s", SIZES_64),
            [
                ("pid".into(), Kind::Signed, 4),
                ("prio".into(), Kind::Unsigned, 2),
                ("name".into(), Kind::String, 0)
            ]
        );
        assert_eq!(scan("ip 0x%lX", SIZES_64), [("ip".into(), Kind::Hex, 8)]);
        assert_eq!(scan("ip 0x%lX", SIZES_32), [("ip".into(), Kind::Hex, 4)]);
        assert_eq!(scan("%d", SIZES_64), [("field 1".into(), Kind::Signed, 4)]);
        assert_eq!(
            scan("a b %c x%p", SIZES_64),
            [("a".into(), Kind::Char, 1), ("field 2".into(), Kind::Pointer, 8)]
        );
        assert_eq!(scan("", SIZES_64), []);
        assert_eq!(scan(" ", SIZES_64), []);
    }

    #[test]
    fn qualifiers() {
        let sizes = TypeSizes { int: 2, long: 4, pointer: 8, size_t: 1 };
        let sizes_of = |format| scan(format, sizes).iter().map(|field| field.2).collect::<Vec<_>>();
        assert_eq!(sizes_of("%d%hd%ld%lld%Ld%zd%Zd%td%Sd"), [2, 2, 4, 8, 8, 1, 1, 8, 2]);
        assert_eq!(sizes_of("#1u%d #2x%d #4d%ld #p%lu #hu%d"), [1, 2, 4, 8, 2]);
    }

    #[test]
    fn a_c_string_is_a_string_whatever_the_trace_type() {
        assert_eq!(scan("s #4u%s", SIZES_64), [("s".into(), Kind::String, 0)]);
    }

    #[test]
    fn flags_are_skipped_and_doubled_marks_are_text() {
        assert_eq!(scan("a 100%% ##x %#-+ 0x", SIZES_64), [("a".into(), Kind::Hex, 4)]);
    }

    #[test]
    fn the_tracer_does_not_know_eight_byte_trace_types() {
        let fields = fields(b"a #8u%llu b #8u%lu", SIZES_32).unwrap();
        let of = |field: &Field| (field.size, field.unrecognised_width);
        assert_eq!(fields.iter().map(of).collect::<Vec<_>>(), [(8, false), (4, true)]);
    }

    #[test]
    fn attributes() {
        let fields = fields(b"port #n2u%u id #b2u%u plain %u", SIZES_64).unwrap();
        let of = |field: &Field| (field.size, field.network_order, field.compact);
        assert_eq!(
            fields.iter().map(of).collect::<Vec<_>>(),
            [(2, true, false), (2, false, true), (4, false, false)]
        );
    }

    #[test]
    fn unknown_conversions_make_the_format_useless() {
        assert_eq!(fields(b"a %5d", SIZES_64), None);
        assert_eq!(fields(b"a %", SIZES_64), None);
        assert_eq!(fields(b"a %f", SIZES_64), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(format: Vec<u8>) {
            if let Some(fields) = fields(&format, SIZES_64) {
                proptest::prop_assert!(fields.len() <= format.len() / 2);
            }
        }
    }
}
