//! The physical memory that a synthetic kernel touched; everything else in RAM is zero.

use std::collections::BTreeMap;

/// Sparse physical memory by page frame number.
#[derive(Debug, Clone)]
pub struct Memory {
    page_shift: u32,
    ram: std::ops::Range<u64>,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Memory {
    pub(crate) fn new(page_shift: u32, ram: std::ops::Range<u64>) -> Memory {
        Memory { page_shift, ram, pages: BTreeMap::new() }
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> u64 {
        1 << self.page_shift
    }

    /// Physical addresses of RAM.
    pub fn ram(&self) -> std::ops::Range<u64> {
        self.ram.clone()
    }

    /// Pages with content, by ascending page frame number.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages.iter().map(|(pfn, bytes)| (*pfn, bytes.as_slice()))
    }

    /// Pages with content in a range of page frame numbers.
    pub fn pages_in(&self, range: std::ops::Range<u64>) -> impl Iterator<Item = (u64, &[u8])> {
        self.pages.range(range).map(|(pfn, bytes)| (*pfn, bytes.as_slice()))
    }

    /// One page's bytes, if it was ever touched.
    pub fn page(&self, pfn: u64) -> Option<&[u8]> {
        self.pages.get(&pfn).map(Vec::as_slice)
    }

    /// One page to write to; an untouched one becomes a page of zeros.
    pub fn page_mut(&mut self, pfn: u64) -> &mut [u8] {
        let size = self.page_size() as usize;
        self.pages.entry(pfn).or_insert_with(|| vec![0; size])
    }

    /// Forgets a page, as if the dump had left it out.
    pub fn remove(&mut self, pfn: u64) -> Option<Vec<u8>> {
        self.pages.remove(&pfn)
    }

    /// Writes across pages.
    pub fn write(&mut self, mut phys: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = (phys % self.page_size()) as usize;
            let len = bytes.len().min(self.page_size() as usize - within);
            self.page_mut(phys >> self.page_shift)[within..within + len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            phys += len as u64;
        }
    }

    /// Reads across pages; untouched ones read as zeros.
    pub fn read(&self, mut phys: u64, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len);
        while out.len() < len {
            let within = (phys % self.page_size()) as usize;
            let step = (len - out.len()).min(self.page_size() as usize - within);
            match self.page(phys >> self.page_shift) {
                Some(page) => out.extend_from_slice(&page[within..within + step]),
                None => out.resize(out.len() + step, 0),
            }
            phys += step as u64;
        }
        out
    }
}
