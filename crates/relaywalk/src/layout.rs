//! Layouts of kernel structures, as debug information tells them, and typed reads of their members.

use std::collections::BTreeMap;

use crate::{Abi, VirtAddr};

/// One symbol of the crashed kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Run-time address (relocation and module base applied).
    pub addr: u64,
    /// File stem of the compile unit or module that defines it, if known (`ltt-relay-locked`).
    pub unit: Option<String>,
}

/// One definition of a structure. Several compile units may define different ones under the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Name of the structure or union.
    pub name: String,
    /// Size in bytes; also the stride of arrays of it.
    pub size: u64,
    /// File stems of compile units and module names that hold this very definition; empty = unknown. `-` and `_` are the same.
    pub units: Vec<String>,
    /// Members by dotted path (`a.buf_size`), through structures held by value; anonymous levels are skipped.
    pub members: BTreeMap<String, Member>,
}

/// One member of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the start of the layout (not of the enclosing inner structure).
    pub offset: u64,
    /// Size in bytes; 0 for a flexible array.
    pub size: u64,
    /// Set for a bit-field.
    pub bits: Option<Bits>,
    /// What it is.
    pub kind: Kind,
}

/// Where a bit-field lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Bytes from the start of the layout to the storage unit.
    pub storage_offset: u64,
    /// Size of the storage unit in bytes, 1 to 8.
    pub storage_size: u8,
    /// Distance from the least significant bit of the storage unit, loaded in the target's byte order.
    pub shift: u8,
    /// Number of bits, 1 to 64.
    pub width: u8,
    /// Whether the topmost bit is a sign (a one-bit signed flag reads -1 when set).
    pub signed: bool,
}

/// What a member is, as far as walkers care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Integer or enumeration.
    Int {
        /// Whether it is signed.
        signed: bool,
    },
    /// Pointer.
    Pointer {
        /// Name of the structure pointed to; `None` for anything else.
        to: Option<String>,
    },
    /// Array.
    Array {
        /// Number of elements; `None` or 0 for a flexible array.
        count: Option<u64>,
        /// Bytes from one element to the next.
        stride: u64,
        /// What an element is.
        elem: Box<Kind>,
    },
    /// Structure or union held by value; its members are in the layout under `path.member`.
    Struct,
    /// Anything else.
    Other,
}

impl Layout {
    /// Member by dotted path.
    #[must_use]
    pub fn member(&self, path: &str) -> Option<&Member> {
        self.members.get(path)
    }

    /// Whether a member of this path exists.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.members.contains_key(path)
    }

    /// Whether `unit` (a file stem or module name) holds this definition.
    #[must_use]
    pub fn in_unit(&self, unit: &str) -> bool {
        self.units.iter().any(|have| same_unit(have, unit))
    }
}

/// Whether two unit names are the same, `-` and `_` taken as equal (module names have the latter, file names often the former).
#[must_use]
pub fn same_unit(a: &str, b: &str) -> bool {
    let plain = |byte: u8| if byte == b'-' { b'_' } else { byte };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}

impl Member {
    /// The member as an unsigned number: an integer, a pointer, a bit-field, or a structure of 1, 2, 4 or 8 bytes such as
    /// `local_t` and `atomic_long_t`, which are one integer in wrapping.
    #[must_use]
    pub fn uint(&self, bytes: &[u8], abi: Abi) -> Option<u64> {
        if let Some(bits) = self.bits {
            return bits.uint(bytes, abi);
        }
        match self.size {
            1 | 2 | 4 | 8 => abi.uint(bytes, self.offset, self.size),
            _ => None,
        }
    }

    /// The member as a signed number; same shapes as [`Member::uint`].
    #[must_use]
    pub fn int(&self, bytes: &[u8], abi: Abi) -> Option<i64> {
        let value = self.uint(bytes, abi)?;
        match self.bits {
            Some(bits) if bits.signed => {
                let shift = 64u32.saturating_sub(u32::from(bits.width.clamp(1, 64)));
                Some(((value << shift) as i64) >> shift)
            }
            Some(_) => i64::try_from(value).ok(),
            None => Some(abi.sign_extend(value, self.size)),
        }
    }

    /// The pointer at the member's place, whatever its declared type.
    #[must_use]
    pub fn pointer(&self, bytes: &[u8], abi: Abi) -> Option<VirtAddr> {
        abi.word(bytes, self.offset).map(VirtAddr)
    }

    /// The member's own bytes; empty for a flexible array.
    #[must_use]
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let start = usize::try_from(self.offset).ok()?;
        let end = start.checked_add(usize::try_from(self.size).ok()?)?;
        bytes.get(start..end)
    }

    /// Number of elements when this is an array of known length.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        match &self.kind {
            Kind::Array { count, .. } => *count,
            _ => None,
        }
    }
}

impl Bits {
    fn uint(self, bytes: &[u8], abi: Abi) -> Option<u64> {
        let unit = abi.uint(bytes, self.storage_offset, u64::from(self.storage_size))?;
        let value = unit.checked_shr(u32::from(self.shift))?;
        Some(match self.width {
            0 => return None,
            64.. => value,
            width => value & ((1u64 << width) - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endian, WordSize};

    const LITTLE: Abi = Abi { endian: Endian::Little, word: WordSize::Bits64 };

    fn int(offset: u64, size: u64) -> Member {
        Member { offset, size, bits: None, kind: Kind::Int { signed: true } }
    }

    #[test]
    fn integers_and_pointers() {
        let bytes = [0xff, 0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(int(0, 4).uint(&bytes, LITTLE), Some(0xffff_ffff));
        assert_eq!(int(0, 4).int(&bytes, LITTLE), Some(-1));
        assert_eq!(int(4, 8).pointer(&bytes, LITTLE), Some(VirtAddr(1)));
        assert_eq!(int(8, 8).uint(&bytes, LITTLE), None);
        assert_eq!(int(0, 3).uint(&bytes, LITTLE), None);
    }

    #[test]
    fn signed_one_bit_flag_reads_minus_one() {
        let bits = Bits { storage_offset: 2, storage_size: 2, shift: 1, width: 1, signed: true };
        let flag = Member { bits: Some(bits), ..int(0, 4) };
        let bytes = [0, 0, 0b10, 0];
        assert_eq!(flag.uint(&bytes, LITTLE), Some(1));
        assert_eq!(flag.int(&bytes, LITTLE), Some(-1));
        let bad = Member { bits: Some(Bits { shift: 200, width: 255, ..bits }), ..int(0, 4) };
        assert_eq!(bad.uint(&bytes, LITTLE), None);
    }

    #[test]
    fn unit_names_ignore_dashes() {
        assert!(same_unit("ltt-relay-locked", "ltt_relay_locked"));
        assert!(!same_unit("ltt-relay", "ltt-relay-locked"));
    }
}
