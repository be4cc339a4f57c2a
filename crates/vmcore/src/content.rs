//! The bytes of a dump as its format lays them out: a whole file, or what a flattened stream in a file describes.

use crate::bytes::{Fault, Source};
use crate::error::Defect;
use crate::format::flattened::{Flattened, Spot};

/// One file of a core, seen through the flattened format if it is in that.
#[derive(Debug)]
pub(crate) struct Content {
    source: Source,
    flattened: Option<Flattened>,
}

impl Content {
    /// Looks at the first bytes for a flattened stream, and indexes it.
    ///
    /// Cost: for a flattened stream one pass over its record headers; else nothing.
    pub(crate) fn new(source: Source) -> Result<Content, Defect> {
        let mut content = Content { source, flattened: None };
        if content.head(Flattened::SIGNATURE.len()) == Flattened::SIGNATURE {
            content.flattened = Some(Flattened::index(&content.source)?);
        }
        Ok(content)
    }

    /// Up to `len` bytes from the start.
    pub(crate) fn head(&self, len: usize) -> Vec<u8> {
        let len = usize::try_from(self.len()).unwrap_or(usize::MAX).min(len);
        let mut head = vec![0; len];
        if self.read(0, &mut head).is_err() {
            head.clear();
        }
        head
    }

    /// The flattened stream, if it is one.
    pub(crate) fn flattened(&self) -> Option<&Flattened> {
        self.flattened.as_ref()
    }

    /// Bytes of the dump: where its last byte ends.
    pub(crate) fn len(&self) -> u64 {
        self.flattened.as_ref().map_or(self.source.len(), Flattened::len)
    }

    /// Bytes of the file itself.
    pub(crate) fn file_len(&self) -> u64 {
        self.source.len()
    }

    /// Fills `buf` from the dump.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<(), Fault> {
        let Some(flattened) = &self.flattened else { return self.source.read(offset, buf) };
        let (mut offset, mut rest) = (offset, buf);
        while !rest.is_empty() {
            let spot = flattened.locate(offset).ok_or(Fault::End)?;
            let available = usize::try_from(spot.len()).unwrap_or(usize::MAX).min(rest.len());
            let (piece, tail) = rest.split_at_mut(available);
            match spot {
                Spot::Stored { at, .. } => self.source.read(at, piece)?,
                Spot::Hole { .. } => piece.fill(0),
            }
            offset = offset.checked_add(available as u64).ok_or(Fault::End)?;
            rest = tail;
        }
        Ok(())
    }

    /// The bytes in place where that is possible and the fastest way to them.
    pub(crate) fn lend(&self, offset: u64, len: usize) -> Option<&[u8]> {
        self.source.lend(self.place(offset, len)?, len)
    }

    /// The bytes in place where that is possible; for bytes near those of the last call.
    pub(crate) fn lend_near(&self, offset: u64, len: usize) -> Option<&[u8]> {
        self.source.lend_near(self.place(offset, len)?, len)
    }

    /// Where bytes are in the file, if they are together there.
    fn place(&self, offset: u64, len: usize) -> Option<u64> {
        let Some(flattened) = &self.flattened else { return Some(offset) };
        match flattened.locate(offset)? {
            Spot::Stored { at, len: run } if run >= len as u64 => Some(at),
            _ => None,
        }
    }

    /// The bytes in place where that is possible, else copied into `scratch`. `len` is at most some pages.
    pub(crate) fn fetch<'a>(
        &'a self,
        offset: u64,
        len: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], Fault> {
        if let Some(lent) = self.lend(offset, len) {
            return Ok(lent);
        }
        scratch.resize(len, 0);
        self.read(offset, scratch)?;
        Ok(scratch)
    }

    /// The first `N` bytes at an offset.
    pub(crate) fn array<const N: usize>(&self, offset: u64) -> Result<[u8; N], Fault> {
        // Almost always; copying a known number of bytes is a few instructions.
        if let Some(lent) = self.lend(offset, N).and_then(|lent| lent.first_chunk()) {
            return Ok(*lent);
        }
        let mut bytes = [0; N];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
impl Content {
    /// A dump in memory.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Content {
        Content::new(Source::Memory(bytes)).unwrap()
    }
}
