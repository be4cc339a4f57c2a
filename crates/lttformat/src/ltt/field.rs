//! The fields of an event: their types and their values.

use super::align::AlignRule;
use super::{Endian, StopReason};

/// Sizes of C's integer types on the traced machine, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeSizes {
    /// `int`.
    pub int: u8,
    /// `long`.
    pub long: u8,
    /// Any pointer.
    pub pointer: u8,
    /// `size_t`.
    pub size_t: u8,
}

impl TypeSizes {
    /// What Linux has where a pointer has `arch_size` bytes.
    pub fn of_arch(arch_size: u8) -> TypeSizes {
        TypeSizes { int: 4, long: arch_size, pointer: arch_size, size_t: arch_size }
    }

    /// Whether all are sizes that integers have.
    pub(super) fn are_sane(self) -> bool {
        [self.int, self.long, self.pointer, self.size_t].iter().all(|size| matches!(size, 1 | 2 | 4 | 8))
    }
}

/// What a field holds, and so how to print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Unsigned integer, in decimal.
    Unsigned,
    /// Signed integer, in decimal.
    Signed,
    /// Unsigned integer, in octal.
    Octal,
    /// Unsigned integer, in hexadecimal.
    Hex,
    /// One byte, a character.
    Char,
    /// An address, in hexadecimal.
    Pointer,
    /// Bytes up to a NUL.
    String,
}

/// One field of a marker's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub(super) name: Box<[u8]>,
    pub(super) kind: Kind,
    /// Bytes in the trace; 0: a string.
    pub(super) size: u8,
    pub(super) network_order: bool,
    pub(super) compact: bool,
    pub(super) unrecognised_width: bool,
}

impl Field {
    /// The name in the format string, or `field N`.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What the field holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes the field takes in the trace; `None` for a string.
    pub fn size(&self) -> Option<u8> {
        (self.size != 0).then_some(self.size)
    }

    /// Whether the value was handed over, and so is stored, in network byte order.
    pub fn is_network_order(&self) -> bool {
        self.network_order
    }

    /// Whether the format asks for eight bytes but the tracer, which does not recognise that, stored another size. Viewers
    /// may expect eight bytes here.
    pub fn has_unrecognised_width(&self) -> bool {
        self.unrecognised_width
    }
}

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Unsigned integers, pointers and characters.
    U64(u64),
    /// Signed integers, sign-extended.
    I64(i64),
    /// A string without its NUL.
    Str(&'a [u8]),
}

/// Where the fields of a payload lie: everything that their positions depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) endian: Endian,
    pub(super) rule: AlignRule,
    /// The marker's own alignment.
    pub(super) alignment: u8,
}

impl Place {
    /// End of a payload that starts at `payload`, from its fields; everything must lie within `bytes`.
    pub(super) fn payload_end(
        self,
        fields: &[Field],
        bytes: &[u8],
        payload: usize,
    ) -> Result<usize, StopReason> {
        self.fields_end(fields, bytes, payload, payload)
    }

    /// End of a payload, from those of its fields that are at `at` and behind.
    pub(super) fn fields_end(
        self,
        fields: &[Field],
        bytes: &[u8],
        payload: usize,
        mut at: usize,
    ) -> Result<usize, StopReason> {
        for field in fields {
            at = match field.size {
                0 => {
                    let rest = bytes.get(at..).ok_or(StopReason::Truncated)?;
                    at + nul(rest).ok_or(StopReason::Unterminated)? + 1
                }
                size => at + self.rule.pad(at - payload, size, self.alignment) + usize::from(size),
            };
        }
        if at > bytes.len() { Err(StopReason::Truncated) } else { Ok(at) }
    }
}

/// Place of the first NUL.
///
/// Most strings in traces are short, and to call what is fast for long ones takes longer than to search one.
#[inline]
pub(super) fn nul(bytes: &[u8]) -> Option<usize> {
    const LOW: u128 = u128::MAX / 0xff;
    if let Some(first) = bytes.first_chunk() {
        let word = u128::from_le_bytes(*first);
        // The highest bit of each zero byte; those above the lowest zero byte may be wrong.
        let zeros = word.wrapping_sub(LOW) & !word & (LOW << 7);
        if zeros != 0 {
            return usize::try_from(zeros.trailing_zeros() / 8).ok();
        }
    }
    memchr::memchr(0, bytes)
}

/// Iterator over an event's fields and their values, in the order of the format. Decodes as it goes; no allocation.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    pub(super) fields: std::slice::Iter<'a, Field>,
    /// The payload alone: its start is where in-payload alignment counts from.
    pub(super) payload: &'a [u8],
    pub(super) at: usize,
    pub(super) place: Place,
    /// Value of the first field when it is not in the payload (compact events).
    pub(super) data: Option<u32>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a Field, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.fields.next()?;
        if let Some(data) = self.data.take() {
            return Some((field, Value::U64(u64::from(data))));
        }
        let endian = if field.network_order { Endian::Big } else { self.place.endian };
        let start = match field.size {
            0 => self.at,
            size => self.at + self.place.rule.pad(self.at, size, self.place.alignment),
        };
        let (value, len) = match field.size {
            0 => {
                let rest = self.payload.get(start..)?;
                let text = rest.split(|&byte| byte == 0).next()?;
                (Value::Str(text), text.len() + 1)
            }
            1 => (integer(field, u64::from(*self.payload.get(start)?)), 1),
            2 => (integer(field, u64::from(endian.u16(self.payload, start)?)), 2),
            4 => (integer(field, u64::from(endian.u32(self.payload, start)?)), 4),
            _ => (integer(field, endian.u64(self.payload, start)?), 8),
        };
        self.at = start + len;
        Some((field, value))
    }
}

fn integer(field: &Field, value: u64) -> Value<'static> {
    if field.kind != Kind::Signed {
        return Value::U64(value);
    }
    let unused = 64 - 8 * u32::from(field.size);
    Value::I64((value << unused).cast_signed() >> unused)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::nul;

    proptest! {
        #[test]
        fn the_first_nul_is_found(bytes in prop::collection::vec(prop_oneof![0..3_u8, 0x7f..0x82_u8, any::<u8>()], 0..40)) {
            prop_assert_eq!(nul(&bytes), bytes.iter().position(|&byte| byte == 0));
            let text: Vec<u8> = bytes.iter().map(|&byte| byte.max(1)).chain([0]).collect();
            prop_assert_eq!(nul(&text), Some(bytes.len()));
        }
    }
}
