//! The machines a synthetic kernel can run on: where each keeps its direct map, image, vmalloc area and page tables.

use crate::abi::{Abi, Endian};

/// Machine and memory map of the dead kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// x86-64 with four levels and the fixed map of 2.6.27 … 2.6.30.
    X86_64,
    /// x86-64 with five levels, every base randomised, and the VMCOREINFO of newer kernels.
    X86_64Kaslr,
    /// i386 without PAE.
    I386,
    /// i386 with PAE.
    I386Pae,
    /// arm64, 4 KiB pages, 48 bits.
    AArch64,
    /// arm64, 16 KiB pages, 47 bits.
    AArch64Page16K,
    /// arm64, 64 KiB pages, 48 bits.
    AArch64Page64K,
    /// 32-bit big endian with a linear map only (PowerPC).
    Ppc32,
    /// 64-bit big endian with a linear map only (PowerPC).
    Ppc64,
    /// 32-bit big endian with a linear map only (MIPS).
    Mips32,
}

/// Shape of the page tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tables {
    /// None: a linear map is all there is.
    Linear,
    /// Index widths from the root, bytes of an entry.
    X86 { widths: &'static [u32], entry: u64 },
    /// Index widths from the root; entries have 8 bytes.
    Arm64 { widths: &'static [u32] },
}

/// What the rest of the crate must know about a machine. Addresses are run-time ones unless named `link`.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Which machine.
    pub arch: Arch,
    /// Scalars.
    pub abi: Abi,
    /// log2 of the page size.
    pub page_shift: u32,
    /// `e_machine` of its ELF files.
    pub elf_machine: u16,
    /// What `uname -m` says.
    pub uts_machine: &'static str,
    /// First physical address of RAM.
    pub ram_base: u64,
    /// Virtual address of `ram_base` in the direct map.
    pub page_offset: u64,
    /// Address of the image in the vmlinux file.
    pub image_link: u64,
    /// Physical address of the image.
    pub image_phys: u64,
    /// Run-time minus link address of the image.
    pub kaslr: u64,
    /// Start of the vmalloc area.
    pub vmalloc: u64,
    /// Start of the module area.
    pub modules: u64,
    /// Virtual array of `struct page`; entry 0 is the page of `ram_base`.
    pub vmemmap: u64,
    /// Virtual address bits, where VMCOREINFO tells them.
    pub va_bits: u32,
    pub(crate) tables: Tables,
}

const LE64: Abi = Abi { endian: Endian::Little, word: 8, align64: 8 };
const LE32: Abi = Abi { endian: Endian::Little, word: 4, align64: 4 };
const BE64: Abi = Abi { endian: Endian::Big, word: 8, align64: 8 };
const BE32: Abi = Abi { endian: Endian::Big, word: 4, align64: 8 };

impl Arch {
    /// The default machine for a word size and byte order.
    pub fn of(bits: u32, endian: Endian) -> Arch {
        match (bits, endian) {
            (64, Endian::Little) => Arch::X86_64,
            (32, Endian::Little) => Arch::I386,
            (64, Endian::Big) => Arch::Ppc64,
            (32, Endian::Big) => Arch::Ppc32,
            _ => panic!("no machine of {bits} bits"),
        }
    }

    pub(crate) fn facts(self) -> Facts {
        let x86_64 = Facts {
            arch: self,
            abi: LE64,
            page_shift: 12,
            elf_machine: 62,
            uts_machine: "x86_64",
            ram_base: 0,
            page_offset: 0xffff_8800_0000_0000,
            image_link: 0xffff_ffff_8020_0000,
            image_phys: 0x20_0000,
            kaslr: 0,
            vmalloc: 0xffff_c200_0000_0000,
            modules: 0xffff_ffff_a000_0000,
            vmemmap: 0xffff_e200_0000_0000,
            va_bits: 48,
            tables: Tables::X86 { widths: &[9, 9, 9, 9], entry: 8 },
        };
        let i386 = Facts {
            abi: LE32,
            elf_machine: 3,
            uts_machine: "i686",
            page_offset: 0xc000_0000,
            image_link: 0xc010_0000,
            image_phys: 0x10_0000,
            vmalloc: 0xf880_0000,
            modules: 0xfa00_0000,
            vmemmap: 0,
            va_bits: 32,
            tables: Tables::X86 { widths: &[10, 10], entry: 4 },
            ..x86_64.clone()
        };
        let arm64 = Facts {
            elf_machine: 183,
            uts_machine: "aarch64",
            ram_base: 0x4000_0000,
            page_offset: 0xffff_0000_0000_0000,
            image_link: 0xffff_8000_0800_0000,
            image_phys: 0x4020_0000,
            vmalloc: 0xffff_8000_1000_0000,
            modules: 0xffff_8000_0000_0000,
            vmemmap: 0xffff_fc00_0000_0000,
            tables: Tables::Arm64 { widths: &[9, 9, 9, 9] },
            ..x86_64.clone()
        };
        let linear = Facts {
            elf_machine: 21,
            uts_machine: "ppc64",
            abi: BE64,
            page_offset: 0xc000_0000_0000_0000,
            image_link: 0xc000_0000_0020_0000,
            vmalloc: 0xd000_0000_0000_0000,
            modules: 0xd000_0000_4000_0000,
            vmemmap: 0,
            va_bits: 64,
            tables: Tables::Linear,
            ..x86_64.clone()
        };
        match self {
            Arch::X86_64 => x86_64,
            Arch::X86_64Kaslr => Facts {
                page_offset: 0xff2a_1b40_0000_0000,
                image_link: 0xffff_ffff_8100_0000,
                image_phys: 0x520_0000,
                kaslr: 0x1d20_0000,
                vmalloc: 0xffa1_2340_0000_0000,
                modules: 0xffff_ffff_c000_0000,
                vmemmap: 0xffd4_0a00_0000_0000,
                va_bits: 57,
                tables: Tables::X86 { widths: &[9, 9, 9, 9, 9], entry: 8 },
                ..x86_64
            },
            Arch::I386 => i386,
            Arch::I386Pae => Facts { tables: Tables::X86 { widths: &[2, 9, 9], entry: 8 }, ..i386 },
            Arch::AArch64 => arm64,
            Arch::AArch64Page16K => Facts {
                page_shift: 14,
                page_offset: 0xffff_8000_0000_0000,
                image_link: 0xffff_c000_0800_0000,
                vmalloc: 0xffff_c000_1000_0000,
                modules: 0xffff_c000_0000_0000,
                vmemmap: 0xffff_fe00_0000_0000,
                va_bits: 47,
                tables: Tables::Arm64 { widths: &[11, 11, 11] },
                ..arm64
            },
            Arch::AArch64Page64K => {
                Facts { page_shift: 16, tables: Tables::Arm64 { widths: &[6, 13, 13] }, ..arm64 }
            }
            Arch::Ppc64 => linear,
            Arch::Ppc32 => Facts {
                abi: BE32,
                elf_machine: 20,
                uts_machine: "ppc",
                page_offset: 0xc000_0000,
                image_link: 0xc020_0000,
                vmalloc: 0xf100_0000,
                modules: 0xf400_0000,
                va_bits: 32,
                ..linear
            },
            Arch::Mips32 => Facts {
                abi: BE32,
                elf_machine: 8,
                uts_machine: "mips",
                page_offset: 0x8000_0000,
                image_link: 0x8020_0000,
                vmalloc: 0xc000_0000,
                modules: 0xc400_0000,
                va_bits: 32,
                ..linear
            },
        }
    }
}

impl Facts {
    /// Bytes of a page.
    pub fn page_size(&self) -> u64 {
        1 << self.page_shift
    }

    /// Virtual address at which the image runs.
    pub fn image(&self) -> u64 {
        self.image_link.wrapping_add(self.kaslr)
    }

    /// `phys_base` of x86-64: how far the image is from where a kernel linked for physical address 0 would lie.
    pub fn phys_base(&self) -> u64 {
        self.image_phys.wrapping_sub(self.image().wrapping_sub(0xffff_ffff_8000_0000))
    }

    /// Direct-map address of a physical address.
    pub fn direct(&self, phys: u64) -> u64 {
        phys - self.ram_base + self.page_offset
    }
}
