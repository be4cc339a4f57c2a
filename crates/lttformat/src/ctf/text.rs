//! Events as lines of text, the way babeltrace 2 prints them.
//!
//! ```text
//! sched_wakeup: { cpu_id = 0 }, { pid = 0, procname = "swapper/0" }, { comm = "kcompactd0", tid = 34 }
//! ```

use super::node::{Kind, Member, Node};
use super::slots::Slots;
use super::value::float;
use super::walk::{Content, align_up, tag_value};
use super::{Enumeration, Event, Integer};

const NS_PER_SEC: u64 = 1_000_000_000;
const NS_PER_DAY: u64 = 86_400 * NS_PER_SEC;

/// Longest text of an event. The largest real ones have some hundred KiB; but the names and labels of a hostile trace may be as long as
/// its metadata, and come again for each of the elements that a packet has room for.
const TEXT_MAX: usize = 16 << 20;

/// Appends an event without its time: name, packet context, the stream's and the event's context, fields.
///
/// What would be longer than 16 MiB ends with `...`.
///
/// Cost: one pass over the fields; allocates only when `out` grows.
pub fn write_event(out: &mut Vec<u8>, event: &Event<'_>) {
    write_parts(out, event, true);
}

/// As [`write_event`], without the packet context, which is the same for all events of a stream.
pub fn write_own_parts(out: &mut Vec<u8>, event: &Event<'_>) {
    write_parts(out, event, false);
}

fn write_parts(out: &mut Vec<u8>, event: &Event<'_>, with_packet_context: bool) {
    out.extend_from_slice(event.name().as_bytes());
    out.extend_from_slice(b": ");
    let end = out.len().saturating_add(TEXT_MAX);
    let mut line = Line { out, end, content: event.content, slots: event.slots() };
    let mut first = true;
    for (nth, (node, at)) in event.parts().enumerate() {
        if nth == 0 && !with_packet_context && event.stream.packet_context.is_some() {
            // Later parts may need its lengths and tags.
            let _ = line.content.skip(node, at, &mut line.slots);
            continue;
        }
        if !first {
            line.out.extend_from_slice(b", ");
        }
        first = false;
        // Was passed over without trouble when the event was delimited.
        let _ = line.node(node, at);
        if line.out.len() > line.end {
            line.out.extend_from_slice(b"...");
            return;
        }
    }
}

/// Text that is being written, and what it is read from. Reads as [`read`](super::value) does, but needs no views in between.
struct Line<'o, 'a> {
    out: &'o mut Vec<u8>,
    /// Where it has become too long.
    end: usize,
    content: Content<'a>,
    slots: Slots,
}

impl Line<'_, '_> {
    /// Writes the value of `node` at `at`, or at the next multiple of its alignment, and returns the bit after it.
    #[inline]
    fn node(&mut self, node: &Node, at: u64) -> Option<u64> {
        let at = align_up(at, node.align);
        match &node.kind {
            Kind::Integer(integer) => {
                let raw = integer.read(self.content.bytes, at)?;
                self.slots.set(integer.slot, raw);
                write_integer(self.out, raw, integer);
                Some(at + u64::from(integer.size))
            }
            Kind::Enum(integer, enumeration) => {
                let raw = integer.read(self.content.bytes, at)?;
                self.slots.set(integer.slot, raw);
                write_enum(self.out, raw, integer, enumeration);
                Some(at + u64::from(integer.size))
            }
            Kind::Float(size, endian) => {
                write_float(self.out, float(self.content.bytes, at, *size, *endian)?);
                Some(at + u64::from(*size))
            }
            Kind::String => {
                let (text, end) = self.content.string(at).ok()?;
                write_text(self.out, text);
                Some(end)
            }
            Kind::Text(length) => {
                let (text, end) = self.content.text(at, length.value(&self.slots)).ok()?;
                write_text(self.out, text);
                Some(end)
            }
            Kind::Array(element, length) => self.elements(element, length.value(&self.slots), at),
            Kind::Struct(members) => self.members(members, at),
            Kind::Variant { tag, signed, choice, options } => {
                let index = choice.find(tag_value(self.slots.get(*tag), *signed)).next()?;
                self.out.extend_from_slice(b"{ ");
                let end = self.node(&options.get(index)?.node, at);
                self.out.extend_from_slice(b" }");
                end
            }
        }
    }

    fn members(&mut self, members: &[Member], at: u64) -> Option<u64> {
        let mut end = at;
        // The first blank or comma is the brace's.
        let mut first = true;
        self.out.push(b'{');
        for member in members {
            if member.hidden {
                end = self.content.skip(&member.node, end, &mut self.slots).ok()?;
                continue;
            }
            // ", name = "
            let label = member.label.as_bytes();
            self.out.extend_from_slice(label.get(usize::from(first)..).unwrap_or_default());
            first = false;
            end = self.node(&member.node, end)?;
            if self.out.len() > self.end {
                return None;
            }
        }
        self.out.extend_from_slice(b" }");
        Some(end)
    }

    fn elements(&mut self, element: &Node, length: u64, at: u64) -> Option<u64> {
        let mut end = at;
        self.out.push(b'[');
        for place in 0..length {
            self.out.extend_from_slice(if place == 0 { b" [" } else { b", [" });
            write_decimal(self.out, place);
            self.out.extend_from_slice(b"] = ");
            end = self.node(element, end)?;
            if self.out.len() > self.end {
                return None;
            }
        }
        self.out.extend_from_slice(b" ]");
        Some(end)
    }
}

fn write_enum(out: &mut Vec<u8>, raw: u64, integer: &Integer, enumeration: &Enumeration) {
    out.extend_from_slice(b"( ");
    let mut labels = enumeration.labels(tag_value(raw, integer.signed));
    match labels.next() {
        None => out.extend_from_slice(b"<unknown>"),
        Some(label) => write_text(out, label.as_bytes()),
    }
    for label in labels {
        out.extend_from_slice(b", ");
        write_text(out, label.as_bytes());
    }
    out.extend_from_slice(b" : container = ");
    write_integer(out, raw, integer);
    out.extend_from_slice(b" )");
}

/// Appends the time of day in UTC of nanoseconds since 1970: `19:38:56.135699475`.
pub fn write_time_of_day(out: &mut Vec<u8>, ns: i128) {
    // Divisions of 128 bits are slow, and dates of our centuries fit 64.
    let of_day = match u64::try_from(ns) {
        Ok(ns) => ns % NS_PER_DAY,
        Err(_) => u64::try_from(ns.rem_euclid(NS_PER_DAY.into())).unwrap_or(0),
    };
    let (seconds, ns) = (of_day / NS_PER_SEC, of_day % NS_PER_SEC);
    write_padded(out, seconds / 3600, 2);
    out.push(b':');
    write_padded(out, seconds / 60 % 60, 2);
    out.push(b':');
    write_padded(out, seconds % 60, 2);
    out.push(b'.');
    write_padded(out, ns, 9);
}

/// Appends nanoseconds as seconds: `1795462736.135699475`.
pub fn write_seconds(out: &mut Vec<u8>, ns: i128) {
    if ns < 0 {
        out.push(b'-');
    }
    // Clocks of 64 bits and their offsets of 64 bits reach beyond; nobody's date does.
    let ns = u64::try_from(ns.unsigned_abs()).unwrap_or(u64::MAX);
    write_decimal(out, ns / NS_PER_SEC);
    out.push(b'.');
    write_padded(out, ns % NS_PER_SEC, 9);
}

/// A number of `width` digits at most, with zeroes in front.
fn write_padded(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 9];
    for digit in digits.iter_mut().rev().take(width) {
        *digit = b'0' + low_byte(number % 10);
        number /= 10;
    }
    out.extend_from_slice(digits.get(digits.len().saturating_sub(width)..).unwrap_or_default());
}

#[inline]
fn write_integer(out: &mut Vec<u8>, value: u64, integer: &Integer) {
    let size = u32::from(integer.size());
    let low_bits = |bits: u32| value & u64::MAX >> (64 - bits.clamp(1, 64));
    match integer.base() {
        2 => {
            out.extend_from_slice(b"0b");
            out.extend((0..size).rev().map(|bit| b'0' + low_byte(value >> bit & 1)));
        }
        8 => {
            out.push(b'0');
            // A negative number shows as many whole digits as its bits make.
            let bits = if integer.is_signed() && size < 64 { size.next_multiple_of(3) } else { 64 };
            write_radix(out, low_bits(bits), 3);
        }
        16 => {
            out.extend_from_slice(b"0x");
            write_radix(out, low_bits(size.next_multiple_of(4)), 4);
        }
        _ if integer.is_signed() => {
            let value = value.cast_signed();
            if value < 0 {
                out.push(b'-');
            }
            write_decimal(out, value.unsigned_abs());
        }
        _ => write_decimal(out, value),
    }
}

/// A number in base 2 to the power of `shift`, 3 or 4.
fn write_radix(out: &mut Vec<u8>, value: u64, shift: u32) {
    let digits = (64 - value.leading_zeros()).div_ceil(shift).max(1);
    out.extend((0..digits).rev().map(|digit| {
        let digit = low_byte(value >> (digit * shift)) & ((1 << shift) - 1);
        if digit < 10 { b'0' + digit } else { b'A' + digit - 10 }
    }));
}

#[inline]
fn write_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + low_byte(value % 10);
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(20 - used..).unwrap_or_default());
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// A string in quotes, with C's escapes.
fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut rest = text;
    while let Some(plain) = rest.iter().position(|&byte| is_special(byte)) {
        let (before, after) = rest.split_at(plain);
        out.extend_from_slice(before);
        rest = after;
        if let Some((&byte, after)) = rest.split_first() {
            rest = after;
            out.push(b'\\');
            match byte {
                b'\\' | b'\'' | b'"' | b'?' => out.push(byte),
                0x07 => out.push(b'a'),
                0x08 => out.push(b'b'),
                0x1b => out.push(b'e'),
                0x0c => out.push(b'f'),
                b'\n' => out.push(b'n'),
                b'\r' => out.push(b'r'),
                b'\t' => out.push(b't'),
                0x0b => out.push(b'v'),
                _ => out.extend_from_slice(&[b'x', hex_digit(byte >> 4), hex_digit(byte & 15)]),
            }
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// Whether a byte of a string is not shown as itself.
fn is_special(byte: u8) -> bool {
    matches!(byte, b'\\' | b'\'' | b'"' | b'?') || byte.is_ascii_control()
}

/// Six significant digits, without trailing zeroes; with an exponent if it is below -4 or above 5.
fn write_float(out: &mut Vec<u8>, value: f64) {
    const DIGITS: i32 = 6;
    if !value.is_finite() {
        let sign = if value.is_sign_negative() { "-" } else { "" };
        let name = if value.is_nan() { "nan" } else { "inf" };
        out.extend_from_slice(format!("{sign}{name}").as_bytes());
        return;
    }
    // Rounded first: the exponent is that of the rounded number.
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |number: &str| match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => number.to_owned(),
    };
    if (-4..DIGITS).contains(&exponent) {
        let decimals = usize::try_from(DIGITS - 1 - exponent).unwrap_or(0);
        out.extend_from_slice(trimmed(&format!("{value:.decimals$}")).as_bytes());
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        let exponent = exponent.unsigned_abs();
        out.extend_from_slice(format!("{}e{sign}{exponent:02}", trimmed(mantissa)).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::integer::Role;
    use super::*;
    use crate::ltt::Endian;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers() {
        let shown = |value: i64, size, signed, base| {
            let integer =
                Integer { size, signed, base, endian: Endian::Little, role: Role::None, slot: None };
            text(|out| write_integer(out, value.cast_unsigned(), &integer))
        };
        assert_eq!(shown(0, 8, false, 10), "0");
        assert_eq!(shown(-1, 64, false, 10), "18446744073709551615");
        assert_eq!(shown(i64::MIN, 64, true, 10), "-9223372036854775808");
        assert_eq!(shown(-2, 30, true, 16), "0xFFFFFFFE");
        assert_eq!(shown(0xab, 64, false, 16), "0xAB");
        assert_eq!(shown(0, 64, false, 16), "0x0");
        assert_eq!(shown(-1, 8, true, 8), "0777");
        assert_eq!(shown(0o644, 16, false, 8), "0644");
        assert_eq!(shown(-1, 64, true, 8), "01777777777777777777777");
        assert_eq!(shown(5, 5, false, 2), "0b00101");
    }

    #[test]
    fn strings() {
        let shown = |value: &[u8]| text(|out| write_text(out, value));
        assert_eq!(shown(b"/bin/ls"), r#""/bin/ls""#);
        assert_eq!(shown(b"a\"b'c\\d?\n\t\x1b\x01\x7f"), r#""a\"b\'c\\d\?\n\t\e\x01\x7f""#);
    }

    #[test]
    fn floats() {
        let shown = |value| text(|out| write_float(out, value));
        let pairs = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (2.345_678_91, "2.34568"),
            (123_456.7, "123457"),
            (999_999.5, "1e+06"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e300, "1.5e+300"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, expected) in pairs {
            assert_eq!(shown(value), expected);
        }
    }

    #[test]
    fn times() {
        let ns = 1_795_462_736_135_699_475;
        assert_eq!(text(|out| write_time_of_day(out, ns)), "19:38:56.135699475");
        assert_eq!(text(|out| write_seconds(out, ns)), "1795462736.135699475");
        assert_eq!(text(|out| write_seconds(out, -1)), "-0.000000001");
        assert_eq!(text(|out| write_time_of_day(out, -1)), "23:59:59.999999999");
    }
}
