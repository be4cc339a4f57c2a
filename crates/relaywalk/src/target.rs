//! What a walker needs from the crashed machine. Implemented by whoever opened the core and the debug information.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::{Abi, Layout, PhysAddr, Symbol, VirtAddr};

/// Memory, symbols and types of one crashed kernel.
pub trait Target: Sync {
    /// Byte order and word size.
    fn abi(&self) -> Abi;

    /// Page size in bytes.
    fn page_size(&self) -> u64;

    /// Fills `buf` from virtual memory.
    ///
    /// Errors: the first byte that cannot be had, and why; the content of `buf` is then unspecified.
    fn read_virt(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), ReadError>;

    /// Fills `buf` from physical memory; errors as [`Target::read_virt`].
    fn read_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError>;

    /// Physical address behind a virtual one. Says nothing about whether the core holds that page.
    fn virt_to_phys(&self, addr: VirtAddr) -> Result<PhysAddr, ReadError>;

    /// Every symbol of this name, at run-time addresses, best candidate first.
    fn symbols(&self, name: &str) -> Vec<Symbol>;

    /// Every distinct definition of this structure, plain or most common first.
    fn layouts(&self, name: &str) -> Vec<Arc<Layout>>;

    /// Numbers that only the platform knows: `vmemmap`, `page_offset`, `arch_pfn_offset`, `SECTION_SIZE_BITS`,
    /// `MAX_PHYSMEM_BITS`, `NR_CPUS` …, and enumerators of the debug information.
    fn constant(&self, name: &str) -> Option<u64>;

    /// Run-time addresses of a loaded module's writable data (`.data`, `.bss`), for searches where symbols are missing. None by
    /// default.
    fn module_data(&self, _module: &str) -> Vec<Range<u64>> {
        Vec::new()
    }
}

impl fmt::Debug for dyn Target + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("abi", &self.abi()).finish_non_exhaustive()
    }
}

/// Why memory could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReadErrorKind {
    /// Left out on purpose by the dump's filter.
    Excluded,
    /// The core never had this address.
    Absent,
    /// Listed by the dump but not stored: never written, or in a part of a split dump that is missing.
    Lost,
    /// The file ends before it.
    Truncated,
    /// Stored but not decodable.
    Corrupt,
    /// No translation for this virtual address.
    NotMapped,
    /// The file could not be read.
    Io,
}

/// A failed read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory at {addr:#x} is {kind}")]
pub struct ReadError {
    /// First address that could not be read.
    pub addr: u64,
    /// Why.
    pub kind: ReadErrorKind,
}

impl fmt::Display for ReadErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadErrorKind::Excluded => "excluded from the dump",
            ReadErrorKind::Absent => "not in the dump",
            ReadErrorKind::Lost => "listed by the dump but not stored in it",
            ReadErrorKind::Truncated => "beyond the end of the file",
            ReadErrorKind::Corrupt => "corrupt in the file",
            ReadErrorKind::NotMapped => "not mapped",
            ReadErrorKind::Io => "unreadable (i/o error)",
        })
    }
}
