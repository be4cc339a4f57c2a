//! What the C compiler of the dead kernel's machine does with scalars: byte order, word size, alignment of 64-bit integers.

/// Byte order of the dead kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Byte order, word size and the one alignment rule in which the ABIs differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abi {
    /// Byte order.
    pub endian: Endian,
    /// Bytes of a `long` and of a pointer: 4 or 8.
    pub word: u64,
    /// Alignment of a 64-bit integer inside a struct: 4 on i386, else 8.
    pub align64: u64,
}

impl Abi {
    /// `value` as `size` bytes (its low ones) in the kernel's byte order.
    pub fn bytes(&self, value: u64, size: usize) -> Vec<u8> {
        match self.endian {
            Endian::Little => value.to_le_bytes()[..size].to_vec(),
            Endian::Big => value.to_be_bytes()[8 - size..].to_vec(),
        }
    }

    /// Writes `value` as `size` bytes at `off`.
    pub fn put(&self, buf: &mut [u8], off: usize, size: usize, value: u64) {
        buf[off..off + size].copy_from_slice(&self.bytes(value, size));
    }

    /// Reads `size` bytes at `off` as an unsigned integer.
    pub fn get(&self, buf: &[u8], off: usize, size: usize) -> u64 {
        let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        match self.endian {
            Endian::Little => buf[off..off + size].iter().rev().fold(0, fold),
            Endian::Big => buf[off..off + size].iter().fold(0, fold),
        }
    }

    /// All ones in a machine word.
    pub fn word_mask(&self) -> u64 {
        if self.word == 8 { u64::MAX } else { u64::from(u32::MAX) }
    }
}
