//! Reading kernel virtual memory.

use crate::translate::AddressSpace;
use crate::{Abi, MemoryError, PhysAddr, PhysMemory, VirtAddr, Vmcore};
use std::sync::Arc;

/// The kernel's virtual memory: a core and the address space in it.
///
/// Shared by reference between threads.
#[derive(Debug)]
pub struct Memory {
    core: Arc<Vmcore>,
    space: AddressSpace,
}

impl Memory {
    /// Joins a core and the address space that was located in it.
    #[must_use]
    pub fn new(core: Arc<Vmcore>, space: AddressSpace) -> Memory {
        Memory { core, space }
    }

    /// The core.
    #[must_use]
    pub fn core(&self) -> &Arc<Vmcore> {
        &self.core
    }

    /// The address space.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// How integers lie in this memory.
    #[must_use]
    pub fn abi(&self) -> Abi {
        self.core.abi()
    }

    /// Bytes of a page.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        self.space.page_size().unwrap_or_else(|| self.core.page_size())
    }

    /// Fills `buf` from consecutive virtual addresses, across pages.
    ///
    /// Errors: the first virtual address that cannot be read; what `buf` holds then is not specified.
    ///
    /// Cost: one physical read for all that is physically consecutive.
    pub fn read_virt(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        self.space.read_virt(&*self.core, addr, buf)
    }

    /// Fills `buf` from consecutive physical addresses. Errors: as [`PhysMemory::read_phys`].
    pub fn read_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        self.core.read_phys(addr, buf)
    }

    /// Where a virtual address is. Errors: as [`AddressSpace::translate`].
    pub fn translate(&self, addr: VirtAddr) -> Result<PhysAddr, MemoryError> {
        self.space.translate(&*self.core, addr)
    }

    /// Reads one byte.
    pub fn read_u8(&self, addr: VirtAddr) -> Result<u8, MemoryError> {
        self.bytes::<1>(addr).map(|[byte]| byte)
    }

    /// Reads 16 bits.
    pub fn read_u16(&self, addr: VirtAddr) -> Result<u16, MemoryError> {
        let bytes = self.bytes::<2>(addr)?;
        Ok(self.abi().u16(&bytes, 0).unwrap_or_default())
    }

    /// Reads 32 bits.
    pub fn read_u32(&self, addr: VirtAddr) -> Result<u32, MemoryError> {
        let bytes = self.bytes::<4>(addr)?;
        Ok(self.abi().u32(&bytes, 0).unwrap_or_default())
    }

    /// Reads 64 bits.
    pub fn read_u64(&self, addr: VirtAddr) -> Result<u64, MemoryError> {
        let bytes = self.bytes::<8>(addr)?;
        Ok(self.abi().u64(&bytes, 0).unwrap_or_default())
    }

    /// Reads one word: a pointer or a `long`, zero extended.
    pub fn read_word(&self, addr: VirtAddr) -> Result<u64, MemoryError> {
        match self.abi().word_bytes() {
            4 => self.read_u32(addr).map(u64::from),
            _ => self.read_u64(addr),
        }
    }

    /// Reads up to a NUL, which is not part of the result, or `max` bytes.
    ///
    /// Errors: the first address that cannot be read, if no NUL comes before it.
    pub fn read_cstr(&self, addr: VirtAddr, max: usize) -> Result<Vec<u8>, MemoryError> {
        let page = self.page_size().max(1);
        let mut text = Vec::new();
        while text.len() < max {
            let at = addr.wrapping_add(text.len() as u64);
            let rest = usize::try_from(page - at.0 % page).unwrap_or(max).min(max - text.len());
            // In short pieces at first: most strings are.
            let rest = rest.min(64.max(text.len()));
            let start = text.len();
            text.resize(start + rest, 0);
            let piece = text.get_mut(start..).unwrap_or_default();
            self.read_virt(at, piece)?;
            if let Some(end) = piece.iter().position(|&byte| byte == 0) {
                text.truncate(start + end);
                break;
            }
        }
        Ok(text)
    }

    fn bytes<const LEN: usize>(&self, addr: VirtAddr) -> Result<[u8; LEN], MemoryError> {
        let mut bytes = [0; LEN];
        self.read_virt(addr, &mut bytes)?;
        Ok(bytes)
    }
}
