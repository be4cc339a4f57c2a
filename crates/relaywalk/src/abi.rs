//! Byte order and word size of the crashed machine.

/// Byte order of the crashed machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Width of `long` and of pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WordSize {
    /// 32-bit kernel.
    Bits32,
    /// 64-bit kernel.
    Bits64,
}

/// How the crashed kernel stores integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abi {
    /// Byte order.
    pub endian: Endian,
    /// Width of `long` and of pointers.
    pub word: WordSize,
}

impl Abi {
    /// Bytes of a `long` or pointer.
    #[must_use]
    pub fn word_bytes(self) -> u64 {
        match self.word {
            WordSize::Bits32 => 4,
            WordSize::Bits64 => 8,
        }
    }

    /// Bits of a `long` or pointer.
    #[must_use]
    pub fn word_bits(self) -> u32 {
        match self.word {
            WordSize::Bits32 => 32,
            WordSize::Bits64 => 64,
        }
    }

    /// All ones in a `long`.
    #[must_use]
    pub fn word_mask(self) -> u64 {
        match self.word {
            WordSize::Bits32 => 0xffff_ffff,
            WordSize::Bits64 => u64::MAX,
        }
    }

    /// Unsigned integer of `size` bytes (1 to 8) at `offset` of `bytes`; `None` when it does not fit or the size is not 1 to 8.
    #[must_use]
    pub fn uint(self, bytes: &[u8], offset: u64, size: u64) -> Option<u64> {
        if size == 0 || size > 8 {
            return None;
        }
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        let field = bytes.get(start..end)?;
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(match self.endian {
            Endian::Little => field.iter().rev().fold(0, fold),
            Endian::Big => field.iter().fold(0, fold),
        })
    }

    /// Word at `offset` of `bytes`.
    #[must_use]
    pub fn word(self, bytes: &[u8], offset: u64) -> Option<u64> {
        self.uint(bytes, offset, self.word_bytes())
    }

    /// `value`, the low `size` bytes of it, read as a signed number.
    #[must_use]
    pub fn sign_extend(self, value: u64, size: u64) -> i64 {
        let bits = u32::try_from(size.min(8)).unwrap_or(8) * 8;
        let shift = 64 - bits.max(1);
        ((value << shift) as i64) >> shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_and_bounds() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let little = Abi { endian: Endian::Little, word: WordSize::Bits64 };
        let big = Abi { endian: Endian::Big, word: WordSize::Bits32 };
        assert_eq!(little.word(&bytes, 1), Some(0x0908_0706_0504_0302));
        assert_eq!(big.word(&bytes, 1), Some(0x0203_0405));
        assert_eq!(little.word(&bytes, 2), None);
        assert_eq!(little.uint(&bytes, u64::MAX, 2), None);
        assert_eq!(little.uint(&bytes, 0, 9), None);
    }

    #[test]
    fn signs() {
        let abi = Abi { endian: Endian::Little, word: WordSize::Bits32 };
        assert_eq!(abi.sign_extend(0xffff_ffff, 4), -1);
        assert_eq!(abi.sign_extend(0x7f, 1), 127);
        assert_eq!(abi.sign_extend(u64::MAX, 8), -1);
    }
}
