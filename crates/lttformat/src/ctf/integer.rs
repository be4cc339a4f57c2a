//! How integers lie in a packet and how they are shown.

use super::bits;
use crate::ltt::Endian;

/// An integer field's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Integer {
    pub(super) size: u8,
    pub(super) signed: bool,
    pub(super) base: u8,
    pub(super) endian: Endian,
    pub(super) role: Role,
    /// Slot in which its value is kept for later fields.
    pub(super) slot: Option<u8>,
}

/// What an integer in an event's header is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing but itself.
    None,
    /// The low bits of the clock.
    Time,
    /// The event's id, or the mark that says that the id follows.
    Id,
}

impl Integer {
    /// Size in bits: 1 to 64.
    pub fn size(&self) -> u8 {
        self.size
    }

    /// Whether it is in two's complement.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// Base in which the tracer wants it shown: 2, 8, 10 or 16.
    pub fn base(&self) -> u8 {
        self.base
    }

    /// Byte order.
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// The value at bit `at`; the sign extended to 64 bits.
    #[inline]
    pub(super) fn read(&self, bytes: &[u8], at: u64) -> Option<u64> {
        let value = bits::read(bytes, at, self.size, self.endian)?;
        Some(if self.signed { bits::sign_extend(value, self.size).cast_unsigned() } else { value })
    }
}
