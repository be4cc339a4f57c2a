//! Values of fields, decoded when asked for.

use super::node::{Kind, Member, Node};
use super::slots::Slots;
use super::walk::{Content, align_up, tag_value};
use super::{Enumeration, Integer, bits};
use crate::ltt::Endian;

/// The value of a field. Borrows the packet and the metadata.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// An integer without sign, and how to show it.
    Unsigned(u64, &'a Integer),
    /// An integer with a sign, and how to show it.
    Signed(i64, &'a Integer),
    /// A number that may have labels.
    Enum(Enum<'a>),
    /// A floating-point number; one of 32 bits is widened.
    Float(f64),
    /// Characters up to a NUL: of a string, or of an array of characters.
    Str(&'a [u8]),
    /// Named values.
    Struct(Fields<'a>),
    /// Values of one type.
    Array(Elements<'a>),
    /// One of several named alternatives.
    Variant(Variant<'a>),
}

/// The value of an enumeration.
#[derive(Clone, Copy, Debug)]
pub struct Enum<'a> {
    raw: u64,
    integer: &'a Integer,
    enumeration: &'a Enumeration,
}

/// Iterator over the fields of a structure: names and values.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    members: std::slice::Iter<'a, Member>,
    content: Content<'a>,
    at: u64,
    slots: Slots,
}

/// Iterator over the elements of an array or sequence.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    element: &'a Node,
    left: u64,
    content: Content<'a>,
    at: u64,
    slots: Slots,
}

/// The value of a variant: the option that its tag selects.
#[derive(Clone, Debug)]
pub struct Variant<'a> {
    option: &'a Member,
    content: Content<'a>,
    at: u64,
    slots: Slots,
}

impl<'a> Fields<'a> {
    /// `None` if `node` is no structure.
    pub(super) fn of(node: &'a Node, content: Content<'a>, at: u64, slots: Slots) -> Option<Fields<'a>> {
        let Kind::Struct(members) = &node.kind else { return None };
        Some(Fields { members: members.iter(), content, at: align_up(at, node.align), slots })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<(&'a str, Value<'a>)> {
        loop {
            let member = self.members.next()?;
            let (value, end) = read(&member.node, self.content, self.at, &mut self.slots)?;
            self.at = end;
            if !member.hidden {
                return Some((member.shown(), value));
            }
        }
    }
}

impl Elements<'_> {
    /// Elements that are still to come.
    pub fn len(&self) -> u64 {
        self.left
    }

    /// Whether none is to come.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (value, end) = read(self.element, self.content, self.at, &mut self.slots)?;
        self.at = end;
        Some(value)
    }
}

impl<'a> Variant<'a> {
    /// Name of the option.
    pub fn name(&self) -> &'a str {
        self.option.shown()
    }

    /// Its value; `None` only if the packet is damaged.
    pub fn value(&self) -> Option<Value<'a>> {
        read(&self.option.node, self.content, self.at, &mut self.slots.clone()).map(|(value, _)| value)
    }
}

impl<'a> Enum<'a> {
    /// Its labels: none, one, or several where ranges overlap.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.enumeration.labels(tag_value(self.raw, self.integer.signed))
    }

    /// The number itself: [`Unsigned`](Value::Unsigned) or [`Signed`](Value::Signed).
    pub fn number(&self) -> Value<'a> {
        number(self.raw, self.integer)
    }
}

#[inline]
fn number(raw: u64, integer: &Integer) -> Value<'_> {
    if integer.signed { Value::Signed(raw.cast_signed(), integer) } else { Value::Unsigned(raw, integer) }
}

/// The value of `node` at `at`, or at the next multiple of its alignment, and the bit after it. `None` if the packet does not
/// hold it, which cannot be in an event that has been delimited.
#[inline]
fn read<'a>(node: &'a Node, content: Content<'a>, at: u64, slots: &mut Slots) -> Option<(Value<'a>, u64)> {
    let at = align_up(at, node.align);
    match &node.kind {
        Kind::Integer(integer) => {
            let raw = integer.read(content.bytes, at)?;
            slots.set(integer.slot, raw);
            Some((number(raw, integer), at + u64::from(integer.size)))
        }
        Kind::Enum(integer, enumeration) => {
            let raw = integer.read(content.bytes, at)?;
            slots.set(integer.slot, raw);
            Some((Value::Enum(Enum { raw, integer, enumeration }), at + u64::from(integer.size)))
        }
        Kind::String => {
            let (text, end) = content.string(at).ok()?;
            Some((Value::Str(text), end))
        }
        Kind::Text(length) => {
            let (text, end) = content.text(at, length.value(slots)).ok()?;
            Some((Value::Str(text), end))
        }
        _ => read_rest(node, content, at, slots),
    }
}

/// The kinds that are rarer, or whose value is a view that decodes itself.
fn read_rest<'a>(
    node: &'a Node,
    content: Content<'a>,
    at: u64,
    slots: &mut Slots,
) -> Option<(Value<'a>, u64)> {
    let value = match &node.kind {
        Kind::Float(size, endian) => Value::Float(float(content.bytes, at, *size, *endian)?),
        Kind::Struct(members) => {
            Value::Struct(Fields { members: members.iter(), content, at, slots: slots.clone() })
        }
        Kind::Array(element, length) => {
            Value::Array(Elements { element, left: length.value(slots), content, at, slots: slots.clone() })
        }
        Kind::Variant { tag, signed, choice, options } => {
            let index = choice.find(tag_value(slots.get(*tag), *signed)).next()?;
            Value::Variant(Variant { option: options.get(index)?, content, at, slots: slots.clone() })
        }
        Kind::Integer(_) | Kind::Enum(..) | Kind::String | Kind::Text(_) => return None,
    };
    Some((value, content.skip(node, at, slots).ok()?))
}

/// The floating-point number of 32 or 64 bits at `at`.
pub(super) fn float(bytes: &[u8], at: u64, size: u8, endian: Endian) -> Option<f64> {
    let raw = bits::read(bytes, at, size, endian)?;
    Some(match u32::try_from(raw) {
        Ok(raw) if size == 32 => f64::from(f32::from_bits(raw)),
        _ => f64::from_bits(raw),
    })
}
