//! A machine made of a few pages, for tests.

use crate::{Abi, Endian, Machine, MemoryError, PageError, PhysAddr, PhysMemory};
use std::collections::BTreeMap;
use std::ops::Range;

const PAGE: u64 = 4096;

/// Sparse memory: what was never written is absent.
#[derive(Clone, Debug)]
pub(crate) struct Ram {
    pages: BTreeMap<u64, Vec<u8>>,
    abi: Abi,
    machine: Machine,
    pub(crate) page_size: u64,
}

impl Ram {
    pub(crate) fn new(machine: Machine, abi: Abi) -> Ram {
        Ram { pages: BTreeMap::new(), abi, machine, page_size: PAGE }
    }

    pub(crate) fn put(&mut self, at: u64, bytes: &[u8]) {
        for (address, &byte) in (at..).zip(bytes) {
            let page = self.pages.entry(address / PAGE).or_insert_with(|| vec![0; 4096]);
            page[usize::try_from(address % PAGE).unwrap()] = byte;
        }
    }

    pub(crate) fn put_u64(&mut self, at: u64, value: u64) {
        match self.abi.endian {
            Endian::Little => self.put(at, &value.to_le_bytes()),
            Endian::Big => self.put(at, &value.to_be_bytes()),
        }
    }

    pub(crate) fn put_u32(&mut self, at: u64, value: u32) {
        match self.abi.endian {
            Endian::Little => self.put(at, &value.to_le_bytes()),
            Endian::Big => self.put(at, &value.to_be_bytes()),
        }
    }

    /// 0 where there is nothing.
    pub(crate) fn u64(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.read_phys(PhysAddr(at), &mut bytes).map_or(0, |()| self.abi.u64(&bytes, 0).unwrap())
    }

    pub(crate) fn drop_page(&mut self, at: u64) {
        self.pages.remove(&(at / PAGE));
    }
}

impl PhysMemory for Ram {
    fn read_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        let (mut at, mut rest) = (addr.0, buf);
        while !rest.is_empty() {
            let page =
                self.pages.get(&(at / PAGE)).ok_or(MemoryError { addr: at, cause: PageError::Absent })?;
            let page = &page[usize::try_from(at % PAGE).unwrap()..];
            let (piece, more) = rest.split_at_mut(page.len().min(rest.len()));
            piece.copy_from_slice(&page[..piece.len()]);
            (at, rest) = (at.wrapping_add(piece.len() as u64), more);
        }
        Ok(())
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn abi(&self) -> Abi {
        self.abi
    }

    fn machine(&self) -> Machine {
        self.machine
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for page in self.pages.keys() {
            match ranges.last_mut() {
                Some(last) if last.end == page * PAGE => last.end += PAGE,
                _ => ranges.push(page * PAGE..(page + 1) * PAGE),
            }
        }
        ranges
    }
}
