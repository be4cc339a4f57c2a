//! Integers in the byte order and the width of the dead machine.

use crate::{Abi, Endian, WordSize};

/// Bytes that grow by fields.
#[derive(Debug)]
pub(super) struct Fields {
    abi: Abi,
    bytes: Vec<u8>,
}

impl Fields {
    pub(super) fn new(abi: Abi) -> Fields {
        Fields { abi, bytes: Vec::new() }
    }

    /// Zeros up to an offset. Fields never go beyond one that is named.
    pub(super) fn at(&mut self, offset: usize) -> &mut Fields {
        if self.bytes.len() < offset {
            self.bytes.resize(offset, 0);
        }
        self
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Fields {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn u16(&mut self, value: u16) -> &mut Fields {
        match self.abi.endian {
            Endian::Little => self.bytes(&value.to_le_bytes()),
            Endian::Big => self.bytes(&value.to_be_bytes()),
        }
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Fields {
        match self.abi.endian {
            Endian::Little => self.bytes(&value.to_le_bytes()),
            Endian::Big => self.bytes(&value.to_be_bytes()),
        }
    }

    pub(super) fn u64(&mut self, value: u64) -> &mut Fields {
        match self.abi.endian {
            Endian::Little => self.bytes(&value.to_le_bytes()),
            Endian::Big => self.bytes(&value.to_be_bytes()),
        }
    }

    /// A word; what does not fit is cut to it, as arithmetic in the dead kernel does.
    pub(super) fn word(&mut self, value: u64) -> &mut Fields {
        match self.abi.word {
            WordSize::Bits32 => self.u32(u32::try_from(value & 0xffff_ffff).unwrap_or(u32::MAX)),
            WordSize::Bits64 => self.u64(value),
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for abi in [Abi::LE64, Abi::LE32, Abi::BE64, Abi::BE32] {
            let mut fields = Fields::new(abi);
            fields.u16(0x1234).at(4).u32(0x89ab_cdef).u64(0x1122_3344_5566_7788).word(0x0102_0304_0506_0708);
            let bytes = fields.finish();
            assert_eq!(abi.u16(&bytes, 0), Some(0x1234));
            assert_eq!(abi.u32(&bytes, 4), Some(0x89ab_cdef));
            assert_eq!(abi.u64(&bytes, 8), Some(0x1122_3344_5566_7788));
            assert_eq!(abi.word(&bytes, 16), Some(0x0102_0304_0506_0708 & abi.word_mask()));
            assert_eq!(bytes.len(), 16 + abi.word_bytes());
        }
    }
}
