//! Opening core files.

use crate::{
    Abi, CoreHeader, Error, Machine, MemoryError, Note, PageError, PhysAddr, PhysMemory, Result, VirtAddr,
    Vmcoreinfo,
};
use std::ops::Range;
use std::path::Path;

/// How to open a core.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// Read with `pread` instead of mapping the file.
    pub no_mmap: bool,
    /// Pages kept decoded.
    pub cache_pages: usize,
}

/// A core.
#[derive(Debug)]
pub struct Vmcore {
    header: CoreHeader,
    vmcoreinfo: Option<Vmcoreinfo>,
    notes: Vec<Note>,
    warnings: Vec<String>,
}

impl Vmcore {
    /// Opens a core by content.
    pub fn open<P: AsRef<Path>>(paths: &[P], _options: &OpenOptions) -> Result<Vmcore> {
        match paths.first() {
            None => Err(Error::NoFile),
            Some(path) => Err(Error::Unrecognised { path: path.as_ref().into(), found: String::new() }),
        }
    }

    /// Opens a core that is in memory (several: a split set).
    pub fn from_bytes(parts: Vec<Vec<u8>>, _options: &OpenOptions) -> Result<Vmcore> {
        match parts.first() {
            None => Err(Error::NoFile),
            Some(_) => Err(Error::Unrecognised { path: "".into(), found: String::new() }),
        }
    }

    /// Facts from the headers.
    #[must_use]
    pub fn header(&self) -> &CoreHeader {
        &self.header
    }

    /// VMCOREINFO of the headers.
    #[must_use]
    pub fn vmcoreinfo(&self) -> Option<&Vmcoreinfo> {
        self.vmcoreinfo.as_ref()
    }

    /// ELF notes.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Warnings.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Reads from the ELF segments by their own virtual addresses (`/proc/kcore`), without any translation.
    pub fn read_segment(&self, addr: VirtAddr, _buf: &mut [u8]) -> Result<(), MemoryError> {
        Err(MemoryError { addr: addr.0, cause: PageError::Absent })
    }
}

impl PhysMemory for Vmcore {
    fn read_phys(&self, addr: PhysAddr, _buf: &mut [u8]) -> Result<(), MemoryError> {
        Err(MemoryError { addr: addr.0, cause: PageError::Absent })
    }
    fn page_size(&self) -> u64 {
        4096
    }
    fn abi(&self) -> Abi {
        Abi::LE64
    }
    fn machine(&self) -> Machine {
        Machine::Other(0)
    }
    fn ranges(&self) -> Vec<Range<u64>> {
        Vec::new()
    }
}
