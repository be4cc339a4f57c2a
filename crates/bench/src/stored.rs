//! The compressed pages of a kdump file, as a loop over a bare codec library wants them.
//!
//! Reads the one form that [`cores`](crate::cores) writes (version 6, 64 bits, little endian, one file), without any code
//! of the readers.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use codec::Codec;

/// Bytes of a page.
pub const PAGE: usize = 4096;

/// One compressed page.
#[derive(Debug, Clone)]
pub struct StoredPage {
    /// Physical address.
    pub address: u64,
    /// Its stream in [`Stored::bytes`].
    pub range: Range<usize>,
}

/// A file in memory with its compressed pages.
#[derive(Debug)]
pub struct Stored {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// Pages whose streams are of the file's codec, in the order of the file; no raw ones.
    pub pages: Vec<StoredPage>,
}

impl Stored {
    /// Reads a file; at most `limit` of its pages, taken in runs from all over it.
    ///
    /// Errors: the file cannot be read, or is not of the expected form.
    pub fn read(path: &Path, codec: Codec, limit: usize) -> Result<Stored> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        ensure!(bytes.starts_with(b"KDUMP   \x06"), "{}: expected kdump version 6", path.display());
        let int = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let long = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let (block, sub_header, bitmaps) = (int(428), int(432), int(436));
        ensure!(block == PAGE, "{}: expected pages of {PAGE} bytes, found {block}", path.display());
        let bitmap = block * (1 + sub_header);
        let dumped = bitmap + block * bitmaps / 2;
        let mut descriptor = bitmap + block * bitmaps;
        let mut pages = Vec::new();
        for (index, byte) in bytes[dumped..dumped + block * bitmaps / 2].iter().enumerate() {
            for bit in (0..8).filter(|bit| byte >> bit & 1 != 0) {
                let (offset, size, flags) = (long(descriptor), int(descriptor + 8), int(descriptor + 12));
                descriptor += 24;
                // The page of zeros is stored once, and decoding it a million times is no measure of anything.
                let last = pages.last().map_or(0, |last: &StoredPage| last.range.end);
                if flags == flag(codec) && offset >= last {
                    let address = (index * 8 + bit) as u64 * PAGE as u64;
                    pages.push(StoredPage { address, range: offset..offset + size });
                }
            }
        }
        ensure!(!pages.is_empty(), "{}: no page is compressed", path.display());
        Ok(Stored { bytes, pages: spread(pages, limit) })
    }

    /// The stream of a page.
    #[must_use]
    pub fn stream(&self, page: &StoredPage) -> &[u8] {
        &self.bytes[page.range.clone()]
    }

    /// Bytes of the streams divided by those of their pages.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        let streams: usize = self.pages.iter().map(|page| page.range.len()).sum();
        streams as f64 / (self.pages.len() * PAGE) as f64
    }
}

/// At most `limit` items, in sixteen runs at equal distances.
#[must_use]
pub fn spread<T>(items: Vec<T>, limit: usize) -> Vec<T> {
    const RUNS: usize = 16;
    if items.len() <= limit {
        return items;
    }
    let (part, run) = (items.len() / RUNS, limit / RUNS);
    items
        .into_iter()
        .enumerate()
        .filter(|(at, _)| at % part < run && at / part < RUNS)
        .map(|(_, item)| item)
        .collect()
}

fn flag(codec: Codec) -> usize {
    match codec {
        Codec::Raw => 0,
        Codec::Zlib => 1,
        Codec::Lzo => 2,
        Codec::Snappy => 4,
        Codec::Zstd => 0x20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_spread_evenly() {
        assert_eq!(spread((0..10).collect(), 10), (0..10).collect::<Vec<_>>());
        let taken = spread((0..1600).collect(), 160);
        assert_eq!(taken.len(), 160);
        assert_eq!(taken[..11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 100]);
    }
}
