//! What an ELF file says of itself in its headers and notes: enough to tell whether it is worth to be read.

use crate::error::{Error, Result};
use crate::image::Image;
use crate::source::{Endian, Input};
use crate::{btf, dwarf};
use codec::Compression;
use std::sync::Arc;

/// What a `vmlinux`, a module or the separate debug file of either is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// GNU build-id.
    pub build_id: Option<Vec<u8>>,
    /// Name of the module (with `_`, never `-`); `None` for a linked file such as the kernel.
    pub module: Option<String>,
    /// A module's checksum over its source, `srcversion` in `.modinfo`.
    pub source_version: Option<String>,
    /// Whether it has type information, be it DWARF or BTF.
    pub has_types: bool,
    /// Byte order.
    pub endian: Endian,
    /// Bytes of a pointer.
    pub pointer_size: u64,
}

impl Input {
    /// Reads the headers of an ELF file.
    ///
    /// # Errors
    /// The file is no ELF file, a damaged one, or a core.
    ///
    /// # Cost
    /// A few pages of the file.
    pub fn identity(&self) -> Result<Identity> {
        let path = self.path.display().to_string();
        let image = Image::parse(&path, (*self.bytes).as_ref())?;
        Ok(Identity {
            build_id: image.build_id(),
            module: image.module(&self.path),
            source_version: image.modinfo("srcversion"),
            has_types: dwarf::is_present(&image) || image.has(btf::SECTION),
            endian: image.endian(),
            pointer_size: image.pointer_size(),
        })
    }

    /// The same input, decompressed if it is compressed by gzip, xz or zstd as a whole, as distributions compress modules.
    ///
    /// # Errors
    /// A damaged file, or one with more than `limit` bytes of content.
    ///
    /// # Cost
    /// Nothing but a look at the first bytes if it is not compressed; else the content is kept in memory.
    pub fn decompressed(self, limit: usize) -> Result<Input> {
        let bytes = (*self.bytes).as_ref();
        let Some(compression) = Compression::of(bytes) else { return Ok(self) };
        let content = compression.decompress(bytes, limit).map_err(|error| {
            let path = self.path.display().to_string();
            Error::malformed(
                &path,
                "content",
                format!("a {compression} file of at most {limit} bytes"),
                error,
            )
        })?;
        Ok(Input { bytes: Arc::new(content), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(bytes: &'static [u8]) -> Input {
        Input::new("a/lttng-tracer.ko.gz", Arc::new(bytes))
    }

    /// `printf hi | gzip -n`.
    const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\xc8\x04\0\xac\x2a\x93\xd8\x02\0\0\0";

    #[test]
    fn compressed_files_are_recognised_by_content() {
        let content = |input: Input| (*input.bytes).as_ref().to_vec();
        assert_eq!(content(input(GZIP).decompressed(2).unwrap()), b"hi");
        assert_eq!(content(input(b"plain").decompressed(0).unwrap()), b"plain");
        assert_eq!(
            input(GZIP).decompressed(1).unwrap_err().to_string(),
            "a/lttng-tracer.ko.gz: content: expected a gzip file of at most 1 bytes, found gzip file has more than the limit of 1 bytes"
        );
        let cut = input(GZIP.get(..15).unwrap_or_default()).decompressed(100).unwrap_err();
        assert!(cut.to_string().ends_with("found not a valid gzip file"), "{cut}");
    }

    #[test]
    fn what_is_no_elf_file_has_no_identity() {
        assert!(input(b"\x7fELF").identity().is_err());
        assert!(input(b"{}").identity().is_err());
    }
}
