//! Core files of a dead kernel: [`Elf`], [`Kdump`], and what transport does to them ([`flatten`], truncation).
//!
//! Every writer yields a [`CoreFile`], which is a sparse list of chunks: into memory or into a sparse file.

mod elf;
mod flattened;
mod kdump;

pub use elf::{Elf, HeadersAt};
pub use flattened::flatten;
pub use kdump::{Codec, Kdump};

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

/// A file as chunks at ascending, non-overlapping offsets; what is between them is zero.
#[derive(Debug, Clone)]
pub struct CoreFile {
    len: u64,
    chunks: Vec<(u64, Vec<u8>)>,
}

impl CoreFile {
    fn new() -> CoreFile {
        CoreFile { len: 0, chunks: Vec::new() }
    }

    fn put(&mut self, offset: u64, bytes: Vec<u8>) {
        self.len = self.len.max(offset + bytes.len() as u64);
        self.chunks.push((offset, bytes));
    }

    /// Bytes of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True for a file without bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks, in the order they were written.
    pub fn chunks(&self) -> &[(u64, Vec<u8>)] {
        &self.chunks
    }

    /// The whole file in memory.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0; self.len as usize];
        for (offset, bytes) in &self.chunks {
            out[*offset as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        out
    }

    /// The first `len` bytes: a copy that ran out of space.
    pub fn truncated(&self, len: u64) -> Vec<u8> {
        let mut out = self.bytes();
        out.truncate(len as usize);
        out
    }

    /// Writes the file, leaving holes where nothing is.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::fs::File::create(path)?;
        file.set_len(self.len)?;
        for (offset, bytes) in &self.chunks {
            file.seek(SeekFrom::Start(*offset))?;
            file.write_all(bytes)?;
        }
        file.flush()
    }
}
