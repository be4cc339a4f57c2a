//! What a merge delivers.

use std::fmt;

use lttformat::ltt;

use crate::time::TraceClock;

/// One entry of the merged list: an event, or something that is in place of events. Borrows everything.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Name of the trace, lossy.
    pub trace: &'a str,
    /// Channel as its files are named, without `flight-` and CPU number, lossy: `kernel`, `control/processes`.
    pub channel: &'a str,
    /// CPU number.
    pub cpu: u32,
    /// Time in clock cycles. Of what is no event: that of the event before it in the stream.
    pub tsc: u64,
    /// What it is.
    pub what: What<'a>,
    pub(super) clock: &'a TraceClock,
}

/// What is at a place in the list.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What<'a> {
    /// An event.
    Event {
        /// Name as announced: bytes that should be text.
        name: &'a [u8],
        /// Id within its channel (LTT from 2.3 on) or trace.
        id: u16,
        /// Its fields.
        fields: Fields<'a>,
    },
    /// An event of a kind that was never announced; its size is recorded, so that those after it can be decoded.
    Unknown {
        /// Id within its channel or trace.
        id: u16,
        /// Bytes of its payload.
        bytes: u64,
    },
    /// What cannot be decoded: the rest of a sub-buffer.
    Undecoded {
        /// Bytes of events passed over.
        bytes: u64,
        /// Why, on one line, with the place.
        reason: &'a str,
    },
    /// Bytes of the file or buffer that belong to no whole record, or could not be read.
    Damaged {
        /// How many; 0 when not known.
        bytes: u64,
        /// What is wrong, on one line, with the place.
        reason: &'a str,
    },
}

impl Entry<'_> {
    /// Nanoseconds since the clock's zero, about the time since boot: what the tracer's viewer prints. `None` if the trace
    /// declares no frequency.
    #[must_use]
    pub fn ns(&self) -> Option<u64> {
        self.clock.ns(self.tsc)
    }

    /// Nanoseconds since 1970; `None` if the trace's start is not known.
    #[must_use]
    pub fn wall_ns(&self) -> Option<i128> {
        self.clock.wall_ns(self.tsc)
    }

    /// Whether it is an event, of a known kind or not.
    #[must_use]
    pub fn is_event(&self) -> bool {
        matches!(self.what, What::Event { .. } | What::Unknown { .. })
    }
}

/// Iterator over an event's fields in the order of its format. Decodes as it goes; no allocation.
#[derive(Clone, Debug)]
pub struct Fields<'a>(pub(super) ltt::Fields<'a>);

/// One field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Name as announced: bytes that should be text.
    pub name: &'a [u8],
    /// Value.
    pub value: Value<'a>,
}

/// Value of a field. [`Display`](fmt::Display) prints it as the tracer's viewer does: strings in quotes, addresses and hexadecimal
/// numbers with `0x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let (field, value) = self.0.next()?;
        let value = match (value, field.kind()) {
            (ltt::Value::Str(text), _) => Value::Text(text),
            (ltt::Value::I64(value), _) => Value::Signed(value),
            (ltt::Value::U64(value), ltt::Kind::Octal) => Value::Octal(value),
            (ltt::Value::U64(value), ltt::Kind::Hex | ltt::Kind::Pointer) => Value::Hex(value),
            (ltt::Value::U64(value), _) => Value::Unsigned(value),
        };
        Some(Field { name: field.name(), value })
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
        }
    }
}
