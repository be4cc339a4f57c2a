//! From the sources' ways to number bits to the one of [`Bits`].

use crate::source::Endian;
use crate::types::Bits;

/// A bit-field by its distance in bits from the start of the struct in memory order: on a
/// little-endian machine bit 0 is the least significant bit of byte 0, on a big-endian one the most
/// significant. This is the numbering of `DW_AT_data_bit_offset` and of BTF.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BitRange {
    pub(crate) start: u64,
    pub(crate) width: u64,
}

impl BitRange {
    /// From DWARF 2 and 3: `DW_AT_bit_offset` counts from the most significant bit of a storage unit
    /// of `size` bytes at byte `location`, on every machine. Negative when a packed field crosses the
    /// unit's end.
    pub(crate) fn from_storage(
        location: u64,
        size: u64,
        bit_offset: i64,
        width: u64,
        endian: Endian,
    ) -> Option<BitRange> {
        let base = i128::from(location).checked_mul(8)?;
        let start = match endian {
            Endian::Big => base.checked_add(i128::from(bit_offset))?,
            Endian::Little => base
                .checked_add(i128::from(size).checked_mul(8)?)?
                .checked_sub(i128::from(bit_offset))?
                .checked_sub(i128::from(width))?,
        };
        Some(BitRange { start: u64::try_from(start).ok()?, width })
    }

    /// Chooses the storage unit: the declared type's, aligned to its size, as compilers do; if that
    /// does not hold all bits or reaches out of the struct (packed fields, 8-byte types on i386), the
    /// smallest unit that does. `None` for widths and places that no compiler emits.
    pub(crate) fn storage(
        self,
        type_size: u64,
        struct_size: u64,
        signed: bool,
        endian: Endian,
    ) -> Option<Bits> {
        if self.width == 0 || self.width > 64 {
            return None;
        }
        let end = self.start.checked_add(self.width)?;
        let first_byte = self.start / 8;
        let holds = |offset: u64, size: u64| {
            let last = offset.checked_add(size)?;
            (last <= struct_size && offset <= first_byte && end <= last.checked_mul(8)?)
                .then_some((offset, size))
        };
        let declared = matches!(type_size, 1 | 2 | 4 | 8)
            .then(|| holds(first_byte / type_size * type_size, type_size))
            .flatten();
        let (offset, size) = declared.or_else(|| {
            [1, 2, 4, 8].into_iter().find_map(|size| {
                holds(first_byte, size)
                    .or_else(|| holds(struct_size.checked_sub(size)?.min(first_byte), size))
            })
        })?;
        let from_start = self.start.checked_sub(offset.checked_mul(8)?)?;
        let shift = match endian {
            Endian::Little => from_start,
            Endian::Big => (size * 8).checked_sub(from_start)?.checked_sub(self.width)?,
        };
        Some(Bits {
            storage_offset: offset,
            storage_size: u8::try_from(size).ok()?,
            shift: u8::try_from(shift).ok()?,
            width: u8::try_from(self.width).ok()?,
            signed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(start: u64, width: u64, size: u64, total: u64, endian: Endian) -> (u64, u8, u8) {
        let bits = BitRange { start, width }.storage(size, total, false, endian).unwrap();
        (bits.storage_offset, bits.storage_size, bits.shift)
    }

    #[test]
    fn the_declared_unit_is_kept() {
        // struct { int a; unsigned b:1, c:3; }
        assert_eq!(placed(32, 1, 4, 8, Endian::Little), (4, 4, 0));
        assert_eq!(placed(33, 3, 4, 8, Endian::Little), (4, 4, 1));
        assert_eq!(placed(32, 1, 4, 8, Endian::Big), (4, 4, 31));
        assert_eq!(placed(33, 3, 4, 8, Endian::Big), (4, 4, 28));
    }

    #[test]
    fn packed_fields_get_a_unit_that_holds_them() {
        // struct { char a; unsigned b:30, c:4; } packed: c crosses a 4-byte boundary of its type.
        assert_eq!(placed(38, 4, 4, 6, Endian::Little), (4, 2, 6));
        assert_eq!(placed(38, 4, 4, 6, Endian::Big), (4, 2, 6));
        // u64 x:1 in the last word of a 12-byte struct on i386
        assert_eq!(placed(64, 1, 8, 12, Endian::Little), (8, 1, 0));
        // three bytes: the smallest unit is moved down so as to stay inside
        assert_eq!(placed(40, 17, 1, 8, Endian::Little), (4, 4, 8));
    }

    #[test]
    fn both_numberings_agree() {
        // DWARF 2 of `unsigned b:1` first in a 4-byte unit at 4.
        let little = BitRange::from_storage(4, 4, 31, 1, Endian::Little).unwrap();
        let big = BitRange::from_storage(4, 4, 0, 1, Endian::Big).unwrap();
        assert_eq!((little.start, big.start), (32, 32));
        // GCC's negative offset of a packed field: bits 30..34 of a unit at 1.
        assert_eq!(BitRange::from_storage(1, 4, -2, 4, Endian::Little).unwrap().start, 38);
    }

    #[test]
    fn nonsense_is_refused() {
        for (start, width, total) in [(0, 0, 8), (0, 65, 16), (u64::MAX, 1, 8), (60, 8, 8), (4, 64, 16)] {
            let range = BitRange { start, width };
            assert!(range.storage(8, total, false, Endian::Little).is_none(), "{range:?}");
        }
        assert!(BitRange::from_storage(u64::MAX, u64::MAX, i64::MIN, 1, Endian::Little).is_none());
        assert!(BitRange::from_storage(0, 1, 9, 1, Endian::Little).is_none());
    }
}
