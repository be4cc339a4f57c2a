//! Fields of events and their values, decoded when asked for.

use std::fmt;

use lttformat::{ctf, ltt};

/// Iterator over an event's fields in the order of its format, or over those of a structure in it. Decodes as it goes; no
/// allocation.
#[derive(Clone, Debug)]
pub struct Fields<'a>(Source<'a>);

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each event")]
enum Source<'a> {
    Ltt(ltt::Fields<'a>),
    Ctf(Option<ctf::Fields<'a>>),
}

/// One field of an event.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    /// Name as announced: bytes that should be text.
    pub name: &'a [u8],
    /// Value.
    pub value: Value<'a>,
}

/// Value of a field. [`Display`](fmt::Display) prints it as the viewer of LTT does: strings in quotes, addresses and hexadecimal
/// numbers with `0x`; a CTF trace's viewer has other ways (see [`lttformat::ctf::text`]).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Unsigned integer.
    Unsigned(u64),
    /// Signed integer.
    Signed(i64),
    /// Unsigned integer, to be shown in octal.
    Octal(u64),
    /// Unsigned integer or address, to be shown in hexadecimal.
    Hex(u64),
    /// Bytes that should be text.
    Text(&'a [u8]),
    /// Floating-point number (CTF).
    Float(f64),
    /// Number that may have labels (CTF).
    Enum(ctf::Enum<'a>),
    /// Named values (CTF).
    Struct(Fields<'a>),
    /// Values of one type (CTF).
    Array(Elements<'a>),
    /// One of several named alternatives (CTF).
    Variant(ctf::Variant<'a>),
}

/// Iterator over the elements of an array or sequence (CTF).
#[derive(Clone, Debug)]
pub struct Elements<'a>(ctf::Elements<'a>);

impl<'a> Fields<'a> {
    pub(super) fn ltt(fields: ltt::Fields<'a>) -> Fields<'a> {
        Fields(Source::Ltt(fields))
    }

    /// `None`: no fields.
    pub(super) fn ctf(fields: Option<ctf::Fields<'a>>) -> Fields<'a> {
        Fields(Source::Ctf(fields))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        match &mut self.0 {
            Source::Ltt(fields) => {
                let (field, value) = fields.next()?;
                let value = match (value, field.kind()) {
                    (ltt::Value::Str(text), _) => Value::Text(text),
                    (ltt::Value::I64(value), _) => Value::Signed(value),
                    (ltt::Value::U64(value), ltt::Kind::Octal) => Value::Octal(value),
                    (ltt::Value::U64(value), ltt::Kind::Hex | ltt::Kind::Pointer) => Value::Hex(value),
                    (ltt::Value::U64(value), _) => Value::Unsigned(value),
                };
                Some(Field { name: field.name(), value })
            }
            Source::Ctf(fields) => {
                let (name, value) = fields.as_mut()?.next()?;
                Some(Field { name: name.as_bytes(), value: value.into() })
            }
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        Some(self.0.next()?.into())
    }
}

impl<'a> From<ctf::Value<'a>> for Value<'a> {
    fn from(value: ctf::Value<'a>) -> Value<'a> {
        match value {
            ctf::Value::Unsigned(value, integer) => match integer.base() {
                8 => Value::Octal(value),
                16 => Value::Hex(value),
                _ => Value::Unsigned(value),
            },
            ctf::Value::Signed(value, _) => Value::Signed(value),
            ctf::Value::Enum(value) => Value::Enum(value),
            ctf::Value::Float(value) => Value::Float(value),
            ctf::Value::Str(text) => Value::Text(text),
            ctf::Value::Struct(fields) => Value::Struct(Fields::ctf(Some(fields))),
            ctf::Value::Array(elements) => Value::Array(Elements(elements)),
            ctf::Value::Variant(variant) => Value::Variant(variant),
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Unsigned(value) => write!(f, "{value}"),
            Value::Signed(value) => write!(f, "{value}"),
            Value::Octal(value) => write!(f, "{value:#o}"),
            Value::Hex(value) => write!(f, "{value:#x}"),
            Value::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
            Value::Float(value) => write!(f, "{value}"),
            Value::Enum(value) => {
                for label in value.labels() {
                    write!(f, "{label}:")?;
                }
                Value::from(value.number()).fmt(f)
            }
            Value::Struct(fields) => {
                let mut before = "{ ";
                for field in fields.clone() {
                    write!(f, "{before}{} = {}", field.name.escape_ascii(), field.value)?;
                    before = ", ";
                }
                f.write_str(if before == ", " { " }" } else { "{}" })
            }
            Value::Array(elements) => {
                f.write_str("[")?;
                for (nth, value) in elements.clone().enumerate() {
                    write!(f, "{}{value}", if nth == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Value::Variant(variant) => match variant.value() {
                Some(value) => write!(f, "{} = {}", variant.name(), Value::from(value)),
                None => f.write_str(variant.name()),
            },
        }
    }
}
