//! ELF files: sections ready to be parsed, whatever way they are stored.

use crate::error::{Error, Result};
use crate::source::{Endian, module_from_path, module_name};
use codec::Codec;
use object::read::{Object, ObjectSection, ObjectSymbol};
use object::{
    CompressionFormat, ObjectKind, RelocationEncoding, RelocationKind, RelocationTarget, SectionIndex,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// A deflate stream cannot grow more than 1032-fold.
const MAX_ZLIB_RATIO: u64 = 1032;
/// A zstd block of one repeated byte takes 4 bytes for 128 KiB.
const MAX_ZSTD_RATIO: u64 = 1 << 15;
/// Old GNU compression: `ZLIB`, then the size as a big-endian 64-bit number.
const ZDEBUG_HEADER: usize = 12;

/// A parsed ELF file.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    pub(crate) path: &'a str,
    pub(crate) file: object::File<'a>,
}

impl<'a> Image<'a> {
    /// Parses the headers. A core file is refused: it is a plausible mix-up of arguments.
    pub(crate) fn parse(path: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let file = object::File::parse(bytes)
            .map_err(|error| Error::malformed(path, "ELF header", "a valid ELF file", error))?;
        if file.kind() == ObjectKind::Core {
            return Err(Error::Unrecognised { path: path.to_owned(), found: "an ELF core file".to_owned() });
        }
        Ok(Image { path, file })
    }

    pub(crate) fn endian(&self) -> Endian {
        if self.file.is_little_endian() { Endian::Little } else { Endian::Big }
    }

    pub(crate) fn pointer_size(&self) -> u64 {
        if self.file.is_64() { 8 } else { 4 }
    }

    /// Whether it is an object yet to be linked, as modules are.
    pub(crate) fn is_relocatable(&self) -> bool {
        self.file.kind() == ObjectKind::Relocatable
    }

    /// The GNU build-id, if there is one that can be read.
    pub(crate) fn build_id(&self) -> Option<Vec<u8>> {
        self.file.build_id().ok().flatten().map(<[u8]>::to_vec)
    }

    /// The kernel module that this file is, if it is one: by its own word, else by its file's name.
    pub(crate) fn module(&self, path: &Path) -> Option<String> {
        if !self.is_relocatable() {
            return None;
        }
        let own = self.modinfo("name").map(|name| module_name(&name));
        own.or_else(|| module_from_path(path))
    }

    /// A field of a module's own description, `key=value`.
    pub(crate) fn modinfo(&self, key: &str) -> Option<String> {
        let info = self.file.section_by_name(".modinfo")?.data().ok()?;
        let value = |field: &'a [u8]| field.strip_prefix(key.as_bytes())?.strip_prefix(b"=");
        let value = info.split(|byte| *byte == 0).find_map(value)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// The file that `dwz` has moved to what several files have in common.
    pub(crate) fn supplementary(&self) -> Option<String> {
        let link = self.file.section_by_name(".gnu_debugaltlink")?.data().ok()?;
        let name = link.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// Whether a section of this name, or of its old compressed name, has content.
    pub(crate) fn has(&self, name: &str) -> bool {
        let mut names = vec![name.to_owned()];
        names.extend(zdebug(name));
        names.iter().any(|name| {
            self.file
                .section_by_name(name)
                .is_some_and(|section| section.file_range().is_some_and(|(_, size)| size > 0))
        })
    }

    /// Content of a section: decompressed, and relocated if the file is an object. Empty if there is
    /// no such section or the file only reserves its place (`SHT_NOBITS`). Of several in an object, as each type unit has its own
    /// there, one after the other.
    ///
    /// Linked files keep relocation sections too at times (`--emit-relocs`, relocatable kernels), but
    /// already applied: applying them again would do harm and cost seconds.
    pub(crate) fn section(&self, name: &str) -> Result<Cow<'a, [u8]>> {
        let malformed = |expected: &str, found: &dyn std::fmt::Display| {
            Error::malformed(self.path, name, expected, found)
        };
        let mut parts = self.parts(name);
        if let Some(section) = parts.next() {
            let mut data = self.content(name, &section)?;
            for part in parts {
                data.to_mut().extend_from_slice(&self.content(name, &part)?);
            }
            return Ok(data);
        }
        let Some(section) = zdebug(name).and_then(|name| self.file.section_by_name(&name)) else {
            return Ok(Cow::Borrowed(&[]));
        };
        let data = section.data().map_err(|error| malformed("section data within the file", &error))?;
        let (Some((b"ZLIB", rest)), Some(stream)) = (data.split_at_checked(4), data.get(ZDEBUG_HEADER..))
        else {
            return Err(malformed("a ZLIB header", &"another or none"));
        };
        let size = rest.first_chunk().map_or(0, |size| u64::from_be_bytes(*size));
        let data = self.inflate(name, Codec::Zlib, stream, size)?;
        Ok(self.relocated(&section, data))
    }

    /// The sections of a name: all of an object, else the first.
    fn parts(&self, name: &str) -> impl Iterator<Item = object::Section<'a, '_>> {
        let most = if self.is_relocatable() { usize::MAX } else { 1 };
        self.file.sections().filter(move |section| section.name() == Ok(name)).take(most)
    }

    fn content(&self, name: &str, section: &object::Section<'a, '_>) -> Result<Cow<'a, [u8]>> {
        let malformed = |expected: &str, found: &dyn std::fmt::Display| {
            Error::malformed(self.path, name, expected, found)
        };
        let stored =
            section.compressed_data().map_err(|error| malformed("section data within the file", &error))?;
        let data = match stored.format {
            CompressionFormat::None => Cow::Borrowed(stored.data),
            CompressionFormat::Zlib => {
                self.inflate(name, Codec::Zlib, stored.data, stored.uncompressed_size)?
            }
            CompressionFormat::Zstandard => {
                self.inflate(name, Codec::Zstd, stored.data, stored.uncompressed_size)?
            }
            _ => return Err(malformed("zlib or zstd compression", &"an unknown one")),
        };
        Ok(self.relocated(section, data))
    }

    /// Where each debug section begins among those of its name, as [`section`](Self::section) puts them together.
    fn starts(&self) -> HashMap<SectionIndex, u64> {
        let mut ends: HashMap<&str, u64> = HashMap::new();
        let mut starts = HashMap::new();
        for section in self.file.sections() {
            let Some(name) = section.name().ok().filter(|name| name.starts_with(".debug_")) else { continue };
            let end = ends.entry(name).or_default();
            starts.insert(section.index(), *end);
            let size = section.compressed_data().map_or(0, |stored| stored.uncompressed_size);
            *end = end.saturating_add(size);
        }
        starts
    }

    fn inflate(&self, name: &str, codec: Codec, data: &[u8], size: u64) -> Result<Cow<'a, [u8]>> {
        let ratio = if codec == Codec::Zstd { MAX_ZSTD_RATIO } else { MAX_ZLIB_RATIO };
        // What the format can yield at most bounds the allocation by the size of the file.
        let limit = u64::try_from(data.len()).unwrap_or(u64::MAX).saturating_mul(ratio);
        codec::decode_section(codec, data, size, limit)
            .map(Cow::Owned)
            .map_err(|error| Error::malformed(self.path, name, format!("{size} bytes"), error))
    }

    /// Patches a copy of the data, so that readers need not know of relocations. Only absolute ones
    /// can occur where types are described; others (in line tables of RISC-V) are left alone.
    fn relocated(&self, section: &object::Section<'a, '_>, data: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        if !self.is_relocatable() {
            return data;
        }
        let mut relocations = section.relocations().peekable();
        if relocations.peek().is_none() {
            return data;
        }
        let mut data = data.into_owned();
        let endian = self.endian();
        let starts = self.starts();
        for (offset, relocation) in relocations {
            if relocation.kind() != RelocationKind::Absolute
                || relocation.encoding() != RelocationEncoding::Generic
            {
                continue;
            }
            let target = match relocation.target() {
                RelocationTarget::Symbol(index) => self.file.symbol_by_index(index).map_or(0, |symbol| {
                    let start = symbol.section_index().and_then(|section| starts.get(&section));
                    symbol.address().wrapping_add(start.copied().unwrap_or(0))
                }),
                RelocationTarget::Section(index) => {
                    self.file.section_by_index(index).map_or(0, |section| section.address())
                }
                _ => 0,
            };
            let value = target.wrapping_add_signed(relocation.addend());
            let place = usize::try_from(offset).ok().and_then(|offset| data.get_mut(offset..));
            let Some(place) = place else { continue };
            patch(place, relocation.size(), relocation.has_implicit_addend(), value, endian);
        }
        Cow::Owned(data)
    }
}

/// Writes `value` in `size` bits at the start of `place`, added to what is there if the relocation
/// has no addend of its own (`.rel` sections). Wraps and truncates, as linkers do.
fn patch(place: &mut [u8], size: u8, implicit: bool, value: u64, endian: Endian) {
    let length = match size {
        32 => 4,
        64 => 8,
        _ => return,
    };
    let Some(bytes) = place.get_mut(..length) else { return };
    if endian == Endian::Big {
        bytes.reverse();
    }
    let mut old = [0; 8];
    if implicit {
        old.iter_mut().zip(bytes.iter()).for_each(|(old, byte)| *old = *byte);
    }
    let new = value.wrapping_add(u64::from_le_bytes(old)).to_le_bytes();
    bytes.iter_mut().zip(new).for_each(|(byte, new)| *byte = new);
    if endian == Endian::Big {
        bytes.reverse();
    }
}

/// The name of a section when compressed by tools of before 2015.
fn zdebug(name: &str) -> Option<String> {
    name.strip_prefix(".debug_").map(|rest| format!(".zdebug_{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relocations_wrap_and_respect_the_byte_order() {
        let mut place = [0xff, 0xff, 0xff, 0xff, 7, 7, 7, 7, 9];
        patch(&mut place, 32, true, 2, Endian::Little);
        assert_eq!(place, [1, 0, 0, 0, 7, 7, 7, 7, 9]);
        patch(&mut place, 64, false, 0x0102_0304_0506_0708, Endian::Big);
        assert_eq!(place, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        patch(&mut place[6..], 32, false, 1, Endian::Big);
        assert_eq!(place[6..], [7, 8, 9], "no room: untouched");
    }

    #[test]
    fn only_debug_sections_had_old_compressed_names() {
        assert_eq!(zdebug(".debug_info").as_deref(), Some(".zdebug_info"));
        assert_eq!(zdebug(".BTF"), None);
    }
}
