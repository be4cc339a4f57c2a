//! Byte order, word size and processor of the dead machine, and a checked reader of its integers.

use byteorder::{BigEndian, ByteOrder, LittleEndian};
use std::fmt;

/// Byte order of the dead machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Width of a pointer, and of C's `long`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WordSize {
    /// 4 bytes.
    Bits32,
    /// 8 bytes.
    Bits64,
}

/// How integers of the dead kernel lie in memory.
///
/// The readers return `None` when the integer is not wholly inside the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abi {
    /// Byte order.
    pub endian: Endian,
    /// Width of a pointer.
    pub word: WordSize,
}

impl Abi {
    /// x86-64, arm64, riscv64 and most others: little endian, 64 bits.
    pub const LE64: Abi = Abi { endian: Endian::Little, word: WordSize::Bits64 };
    /// i386, 32-bit ARM: little endian, 32 bits.
    pub const LE32: Abi = Abi { endian: Endian::Little, word: WordSize::Bits32 };
    /// s390x: big endian, 64 bits.
    pub const BE64: Abi = Abi { endian: Endian::Big, word: WordSize::Bits64 };
    /// 32-bit PowerPC and MIPS: big endian, 32 bits.
    pub const BE32: Abi = Abi { endian: Endian::Big, word: WordSize::Bits32 };

    /// Reads 16 bits at byte `offset`.
    #[must_use]
    pub fn u16(self, bytes: &[u8], offset: usize) -> Option<u16> {
        let bytes = field(bytes, offset, 2)?;
        Some(match self.endian {
            Endian::Little => LittleEndian::read_u16(bytes),
            Endian::Big => BigEndian::read_u16(bytes),
        })
    }

    /// Reads 32 bits at byte `offset`.
    #[must_use]
    pub fn u32(self, bytes: &[u8], offset: usize) -> Option<u32> {
        let bytes = field(bytes, offset, 4)?;
        Some(match self.endian {
            Endian::Little => LittleEndian::read_u32(bytes),
            Endian::Big => BigEndian::read_u32(bytes),
        })
    }

    /// Reads 64 bits at byte `offset`.
    #[must_use]
    pub fn u64(self, bytes: &[u8], offset: usize) -> Option<u64> {
        let bytes = field(bytes, offset, 8)?;
        Some(match self.endian {
            Endian::Little => LittleEndian::read_u64(bytes),
            Endian::Big => BigEndian::read_u64(bytes),
        })
    }

    /// Reads one word (4 or 8 bytes, zero extended) at byte `offset`.
    #[must_use]
    pub fn word(self, bytes: &[u8], offset: usize) -> Option<u64> {
        match self.word {
            WordSize::Bits32 => self.u32(bytes, offset).map(u64::from),
            WordSize::Bits64 => self.u64(bytes, offset),
        }
    }

    /// Bytes of a word: 4 or 8.
    #[must_use]
    pub const fn word_bytes(self) -> usize {
        match self.word {
            WordSize::Bits32 => 4,
            WordSize::Bits64 => 8,
        }
    }

    /// All ones in the width of a word: `x & word_mask()` is arithmetic in the dead kernel's `unsigned long`.
    #[must_use]
    pub const fn word_mask(self) -> u64 {
        match self.word {
            WordSize::Bits32 => 0xffff_ffff,
            WordSize::Bits64 => u64::MAX,
        }
    }
}

fn field(bytes: &[u8], offset: usize, len: usize) -> Option<&[u8]> {
    bytes.get(offset..offset.checked_add(len)?)
}

/// The processor family of the dead machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    /// i386 to i686.
    X86,
    /// x86-64.
    X86_64,
    /// 32-bit ARM.
    Arm,
    /// arm64.
    AArch64,
    /// RISC-V, 32 or 64 bits.
    RiscV,
    /// 64-bit PowerPC.
    Ppc64,
    /// s390 and s390x.
    S390,
    /// MIPS, 32 or 64 bits.
    Mips,
    /// LoongArch.
    LoongArch,
    /// Any other, by its ELF `e_machine`; 0 when the file does not tell.
    Other(u16),
}

impl Machine {
    /// From the `e_machine` field of an ELF header (System V ABI registry).
    #[must_use]
    pub const fn from_elf(e_machine: u16) -> Machine {
        match e_machine {
            3 => Machine::X86,
            62 => Machine::X86_64,
            40 => Machine::Arm,
            183 => Machine::AArch64,
            243 => Machine::RiscV,
            21 => Machine::Ppc64,
            22 => Machine::S390,
            8 => Machine::Mips,
            258 => Machine::LoongArch,
            other => Machine::Other(other),
        }
    }

    /// The `e_machine` field of an ELF header; 0 for a machine that no file named.
    #[must_use]
    pub const fn to_elf(self) -> u16 {
        match self {
            Machine::X86 => 3,
            Machine::X86_64 => 62,
            Machine::Arm => 40,
            Machine::AArch64 => 183,
            Machine::RiscV => 243,
            Machine::Ppc64 => 21,
            Machine::S390 => 22,
            Machine::Mips => 8,
            Machine::LoongArch => 258,
            Machine::Other(other) => other,
        }
    }

    /// The `machine` member of a `struct utsname` for a word of this size; `None` for other machines.
    #[must_use]
    pub const fn to_utsname(self, word: WordSize) -> Option<&'static str> {
        let wide = matches!(word, WordSize::Bits64);
        Some(match self {
            Machine::X86 => "i686",
            Machine::X86_64 => "x86_64",
            Machine::Arm => "armv7l",
            Machine::AArch64 => "aarch64",
            Machine::Ppc64 => "ppc64",
            Machine::RiscV if wide => "riscv64",
            Machine::RiscV => "riscv32",
            Machine::S390 if wide => "s390x",
            Machine::S390 => "s390",
            Machine::Mips if wide => "mips64",
            Machine::Mips => "mips",
            Machine::LoongArch if wide => "loongarch64",
            Machine::LoongArch => "loongarch32",
            Machine::Other(_) => return None,
        })
    }

    /// From the `machine` member of a `struct utsname`, as `uname -m` prints it.
    #[must_use]
    pub fn from_utsname(machine: &[u8]) -> Machine {
        match machine {
            b"x86_64" => Machine::X86_64,
            [b'i', b'3'..=b'6', b'8', b'6'] => Machine::X86,
            b"aarch64" | b"aarch64_be" => Machine::AArch64,
            b"s390" | b"s390x" => Machine::S390,
            b"ppc64" | b"ppc64le" => Machine::Ppc64,
            _ if machine.starts_with(b"arm") => Machine::Arm,
            _ if machine.starts_with(b"riscv") => Machine::RiscV,
            _ if machine.starts_with(b"mips") => Machine::Mips,
            _ if machine.starts_with(b"loongarch") => Machine::LoongArch,
            _ => Machine::Other(0),
        }
    }
}

impl Machine {
    /// The width of a word, for the families which have one.
    ///
    /// A core's headers may be of another width: kexec writes ELF64 headers for 32-bit kernels with much memory.
    #[must_use]
    pub const fn word_size(self) -> Option<WordSize> {
        match self {
            Machine::X86 | Machine::Arm => Some(WordSize::Bits32),
            Machine::X86_64 | Machine::AArch64 | Machine::Ppc64 => Some(WordSize::Bits64),
            _ => None,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Machine::X86 => "i386",
            Machine::X86_64 => "x86_64",
            Machine::Arm => "arm",
            Machine::AArch64 => "aarch64",
            Machine::RiscV => "riscv",
            Machine::Ppc64 => "ppc64",
            Machine::S390 => "s390",
            Machine::Mips => "mips",
            Machine::LoongArch => "loongarch",
            Machine::Other(0) => "unknown machine",
            Machine::Other(other) => return write!(f, "ELF machine {other}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

    #[test]
    fn integers_follow_the_byte_order() {
        assert_eq!(Abi::LE64.u16(&BYTES, 1), Some(0x0302));
        assert_eq!(Abi::BE64.u16(&BYTES, 1), Some(0x0203));
        assert_eq!(Abi::LE64.u32(&BYTES, 0), Some(0x0403_0201));
        assert_eq!(Abi::BE64.u32(&BYTES, 5), Some(0x0607_0809));
        assert_eq!(Abi::LE64.u64(&BYTES, 1), Some(0x0908_0706_0504_0302));
        assert_eq!(Abi::BE64.word(&BYTES, 0), Some(0x0102_0304_0506_0708));
        assert_eq!(Abi::BE32.word(&BYTES, 0), Some(0x0102_0304));
        assert_eq!(Abi::LE32.word(&BYTES, 0), Some(0x0403_0201));
    }

    #[test]
    fn integers_outside_the_bytes_are_none() {
        assert_eq!(Abi::LE64.u64(&BYTES, 2), None);
        assert_eq!(Abi::LE64.u16(&BYTES, usize::MAX), None);
        assert_eq!(Abi::LE32.word(&BYTES, 6), None);
    }

    #[test]
    fn machines_have_two_names() {
        assert_eq!(Machine::from_elf(62), Machine::from_utsname(b"x86_64"));
        assert_eq!(Machine::from_utsname(b"i686"), Machine::X86);
        assert_eq!(Machine::from_utsname(b"armv7l"), Machine::Arm);
        assert_eq!(Machine::from_utsname(b""), Machine::Other(0));
        assert_eq!(Machine::from_elf(2).to_string(), "ELF machine 2");
        for machine in (0..300).map(Machine::from_elf) {
            assert_eq!(Machine::from_elf(machine.to_elf()), machine);
            for word in [WordSize::Bits32, WordSize::Bits64] {
                let Some(name) = machine.to_utsname(word) else { continue };
                assert_eq!(Machine::from_utsname(name.as_bytes()), machine);
            }
        }
    }
}
