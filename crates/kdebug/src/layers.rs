//! Several sources as one.

use crate::btf::{self, Btf};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::isf::{self, hex};
use crate::source::{Endian, Enums, Found, Input, SourceInfo, SourceKind, Symbol, module_name};
use crate::types::{Struct, merge};
use crate::wanted::{BANNER, Wanted, WantedSets};
use crate::{dwarf, symbols};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that was wanted and found, whatever it came from.
///
/// Immutable, and shared between threads by reference.
#[derive(Debug, Default)]
pub struct Types {
    structs: BTreeMap<String, Vec<Arc<Struct>>>,
    enums: Enums,
    symbols: BTreeMap<String, Vec<Symbol>>,
    constants: BTreeMap<String, Vec<u8>>,
    sources: Vec<SourceInfo>,
    build_id: Option<Vec<u8>>,
    module_build_ids: BTreeMap<String, Vec<u8>>,
    endian: Option<Endian>,
    pointer_size: Option<u64>,
    missing: Wanted,
    warnings: Vec<String>,
}

impl Types {
    /// Reads all inputs: the kernel (`vmlinux`, its separate debug file, or both), modules (`.ko`,
    /// `.ko.debug`), raw BTF and ISF, told apart by content.
    ///
    /// Definitions of the first input come first. A stripped `vmlinux` beside its debug file adds what
    /// the latter lacks: the content of constants.
    ///
    /// # Errors
    /// A file that is none of these, of which nothing can be read, or that keeps its types elsewhere; files of different
    /// machines; kernel files of different build-ids or banners. A wanted name that is not there is no error: see
    /// [`missing`](Self::missing), nor are compile units that are damaged: see [`warnings`](Self::warnings).
    ///
    /// # Cost
    /// DWARF: about a third of decoding all of `.debug_info` once, on all threads of the current rayon
    /// pool; BTF: milliseconds; ISF: parsing the JSON.
    pub fn load(inputs: Vec<Input>, wanted: &Wanted) -> Result<Types> {
        let mut types = Types::default();
        types.extend(&inputs, &[], wanted)?;
        Ok(types)
    }

    /// Reads further inputs, for those who know only now which: modules, once the kernel's types have told which were loaded.
    ///
    /// `kernel` are inputs that were read before, in case that the BTF of a module continues theirs; nothing else of them is read
    /// again. `wanted` should be what it was before.
    ///
    /// # Errors
    /// As [`Types::load`]; what was read before stays. Of several inputs, those before the one at fault are taken in.
    ///
    /// # Cost
    /// As [`Types::load`], of `inputs` alone.
    pub fn extend(&mut self, inputs: &[Input], kernel: &[Input], wanted: &Wanted) -> Result<()> {
        let sets = wanted.sets();
        let files: Vec<File<'_>> = inputs.iter().map(File::new).collect();
        let blobs: Vec<Option<Btf<'_>>> = files.iter().map(File::kernel_btf).collect();
        let before: Vec<File<'_>> = kernel.iter().map(File::new).collect();
        let earlier = before.iter().find_map(File::kernel_btf);
        let kernel_btf = blobs.iter().flatten().next().or(earlier.as_ref());
        for (file, own) in files.iter().zip(&blobs) {
            let found = file.load(own.as_ref(), kernel_btf, &sets)?;
            self.add(file, found)?;
        }
        self.missing = self.not_found(wanted);
        Ok(())
    }

    /// All distinct definitions of a struct, union or typedef'd struct: those of the first source
    /// first, and within one source those that most compile units share. Empty if it was not wanted
    /// or is nowhere.
    pub fn structs(&self, name: &str) -> &[Arc<Struct>] {
        self.structs.get(name).map_or(&[], Vec::as_slice)
    }

    /// The definition in the first of these compile units or modules that has one. Definitions of
    /// unknown unit do not count.
    pub fn struct_in(&self, name: &str, units: &[&str]) -> Option<&Arc<Struct>> {
        let definitions = self.structs(name);
        units.iter().find_map(|unit| definitions.iter().find(|definition| definition.is_in(unit)))
    }

    /// Value of an enumerator of any wanted enumeration.
    pub fn enumerator(&self, name: &str) -> Option<i128> {
        self.enums.values().find_map(|enumerators| enumerators.get(name)).copied()
    }

    /// All symbols of a name, those of the first source first.
    pub fn symbols(&self, name: &str) -> &[Symbol] {
        self.symbols.get(name).map_or(&[], Vec::as_slice)
    }

    /// Content of a constant, known from the file: of `linux_banner`, and of wanted symbols in
    /// read-only data.
    pub fn constant(&self, symbol: &str) -> Option<&[u8]> {
        self.constants.get(symbol).map(Vec::as_slice)
    }

    /// GNU build-id of the kernel, not of a module.
    pub fn build_id(&self) -> Option<&[u8]> {
        self.build_id.as_deref()
    }

    /// GNU build-ids of the modules that types or symbols were read of, by name and as far as they are known.
    pub fn module_build_ids(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.module_build_ids.iter().map(|(name, id)| (name.as_str(), id.as_slice()))
    }

    /// Byte order, as the first source that knows it says.
    pub fn endian(&self) -> Option<Endian> {
        self.endian
    }

    /// Bytes of a pointer, as the first source that knows it says.
    pub fn pointer_size(&self) -> Option<u64> {
        self.pointer_size
    }

    /// The inputs in their order.
    pub fn sources(&self) -> &[SourceInfo] {
        &self.sources
    }

    /// What was wanted and is in no source.
    pub fn missing(&self) -> &Wanted {
        &self.missing
    }

    /// What could not be read, one line for each place: damaged compile units cost their own types only.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Forgets all members of a wanted struct but those on the given paths; see [`Struct::with_members`].
    pub fn keep_members(&mut self, name: &str, paths: &[&str]) {
        let Some(definitions) = self.structs.get_mut(name) else { return };
        for definition in std::mem::take(definitions) {
            // Those that differed in what is gone are one now.
            merge(definitions, Arc::new(definition.with_members(paths)));
        }
    }

    /// Forgets the content of all constants but these.
    pub fn keep_constants(&mut self, names: &[&str]) {
        self.constants.retain(|name, _| names.contains(&name.as_str()));
    }

    pub(crate) fn all_structs(&self) -> impl Iterator<Item = (&str, &[Arc<Struct>])> {
        self.structs.iter().map(|(name, definitions)| (name.as_str(), definitions.as_slice()))
    }

    pub(crate) fn all_enums(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, i128>)> {
        self.enums.iter().map(|(name, enumerators)| (name.as_str(), enumerators))
    }

    pub(crate) fn all_symbols(&self) -> impl Iterator<Item = (&str, &[Symbol])> {
        self.symbols.iter().map(|(name, symbols)| (name.as_str(), symbols.as_slice()))
    }

    fn add(&mut self, file: &File<'_>, found: Found) -> Result<()> {
        self.check_kernel(&file.path, &found)?;
        let source = self.sources.len();
        let info = SourceInfo {
            path: file.input.path.clone(),
            kind: found.kind,
            build_id: found.build_id,
            module: found.module,
            structs: found.structs.values().map(Vec::len).sum(),
            symbols: found.symbols.values().map(Vec::len).sum(),
        };
        match (&info.module, &info.build_id) {
            (None, _) => self.check_build_id(&file.path, &info)?,
            (Some(module), Some(id)) => {
                self.module_build_ids.entry(module.clone()).or_insert_with(|| id.clone());
            }
            (Some(_), None) => {}
        }
        for (module, id) in found.module_build_ids {
            self.module_build_ids.entry(module).or_insert(id);
        }
        for (name, definitions) in found.structs {
            let known = self.structs.entry(name).or_default();
            for mut definition in definitions {
                if let Some(module) = &info.module
                    && !definition.is_in(module)
                {
                    Arc::make_mut(&mut definition).units.push(module.clone());
                }
                merge(known, definition);
            }
        }
        for (of, enumerators) in found.enums {
            let known = self.enums.entry(of).or_default();
            for (name, value) in enumerators {
                known.entry(name).or_insert(value);
            }
        }
        for (name, symbols) in found.symbols {
            let known = self.symbols.entry(name).or_default();
            for symbol in symbols {
                let module = symbol.module.or_else(|| info.module.clone());
                let symbol = Symbol { source, module, ..symbol };
                // The same symbol again from the separate debug file.
                let again = known.iter().any(|other| {
                    other.value == symbol.value
                        && other.unit == symbol.unit
                        && other.module == symbol.module
                        && other.section == symbol.section
                });
                if !again {
                    known.push(symbol);
                }
            }
        }
        for (name, content) in found.constants {
            self.constants.entry(name).or_insert(content);
        }
        self.warnings.extend(found.warnings);
        self.endian = self.endian.or(found.endian);
        self.pointer_size = self.pointer_size.or(found.pointer_size);
        self.sources.push(info);
        Ok(())
    }

    /// Types and symbols of two kernels give neither's: what the second adds is not in the memory of the first.
    fn check_kernel(&self, path: &str, found: &Found) -> Result<()> {
        let bits = |bytes: u64| format!("{} bits", bytes.saturating_mul(8));
        let order = |endian: Endian| format!("{endian:?}").to_lowercase();
        let banner = |constants: &BTreeMap<String, Vec<u8>>| {
            let line = constants.get(BANNER)?.split(|byte| matches!(byte, 0 | b'\n')).next()?;
            Some(format!("{:?}", String::from_utf8_lossy(line))).filter(|_| !line.is_empty())
        };
        let both = [
            ("word size", found.pointer_size.map(bits), self.pointer_size.map(bits)),
            ("byte order", found.endian.map(order), self.endian.map(order)),
            ("banner", banner(&found.constants), banner(&self.constants)),
        ];
        for (what, found, expected) in both {
            let (Some(found), Some(expected)) = (found, expected) else { continue };
            if found != expected {
                let other = self.sources.iter().find(|source| source.module.is_none());
                let other = other.or(self.sources.first());
                let other = other.map_or_else(String::new, |other| other.path.display().to_string());
                return Err(Error::OtherKernel { path: path.to_owned(), what, found, expected, other });
            }
        }
        Ok(())
    }

    fn check_build_id(&mut self, path: &str, info: &SourceInfo) -> Result<()> {
        let Some(id) = &info.build_id else { return Ok(()) };
        let Some(known) = &self.build_id else {
            self.build_id = Some(id.clone());
            return Ok(());
        };
        if known == id {
            return Ok(());
        }
        let of_kernel = |source: &&SourceInfo| source.module.is_none() && source.build_id.is_some();
        let other = self.sources.iter().find(of_kernel);
        Err(Error::BuildId {
            path: path.to_owned(),
            found: hex(id),
            expected: hex(known),
            other: other.map_or_else(String::new, |other| other.path.display().to_string()),
        })
    }

    fn not_found(&self, wanted: &Wanted) -> Wanted {
        let without = |names: &[String], known: &dyn Fn(&str) -> bool| {
            names.iter().filter(|name| !known(name)).cloned().collect()
        };
        Wanted {
            structs: without(&wanted.structs, &|name| self.structs.contains_key(name)),
            enums: without(&wanted.enums, &|name| {
                self.enums.contains_key(name) || self.enumerator(name).is_some()
            }),
            symbols: without(&wanted.symbols, &|name| {
                self.symbols.contains_key(name) || (name == BANNER && self.constants.contains_key(name))
            }),
            ..wanted.clone()
        }
    }
}

/// An input being read.
struct File<'i> {
    input: &'i Input,
    path: String,
    bytes: &'i [u8],
}

impl<'i> File<'i> {
    fn new(input: &'i Input) -> Self {
        File { input, path: input.path.display().to_string(), bytes: (*input.bytes).as_ref() }
    }

    /// Its BTF, if it may be what modules' BTF continues. Damage is left to be reported by those who
    /// need it.
    fn kernel_btf(&self) -> Option<Btf<'_>> {
        let blob = if btf::is_btf(self.bytes) {
            self.bytes
        } else if is_elf(self.bytes) {
            let image = Image::parse(&self.path, self.bytes).ok()?;
            match image.section(btf::SECTION).ok()? {
                Cow::Borrowed(section) if !image.is_relocatable() => section,
                _ => return None,
            }
        } else {
            return None;
        };
        Btf::parse(&self.path, blob).ok().filter(|blob| !blob.is_split)
    }

    /// `own` is what [`kernel_btf`](Self::kernel_btf) found in this file, `kernel` in any.
    fn load(
        &self,
        own: Option<&Btf<'_>>,
        kernel: Option<&Btf<'_>>,
        wanted: &WantedSets<'_>,
    ) -> Result<Found> {
        let mut found = if is_elf(self.bytes) {
            self.load_elf(own, kernel, wanted)?
        } else if btf::is_btf(self.bytes) {
            match own {
                Some(own) => btf::load(own, None, None, None, wanted)?,
                None => {
                    let blob = Btf::parse(&self.path, self.bytes)?;
                    let mut found = btf::load(&blob, kernel, None, None, wanted)?;
                    // In sysfs the file's name is the module's.
                    let name = self.input.path.file_stem().map(|name| name.to_string_lossy());
                    found.module = name.map(|name| module_name(&name));
                    found
                }
            }
        } else if isf::is_isf(self.bytes) {
            isf::load(&self.path, self.bytes, wanted)?
        } else {
            let found = appearance(self.bytes).to_owned();
            return Err(Error::Unrecognised { path: self.path.clone(), found });
        };
        if let Some(module) = &self.input.module {
            found.module = Some(module_name(module));
        }
        Ok(found)
    }

    fn load_elf(
        &self,
        own: Option<&Btf<'_>>,
        kernel: Option<&Btf<'_>>,
        wanted: &WantedSets<'_>,
    ) -> Result<Found> {
        let image = Image::parse(&self.path, self.bytes)?;
        let (found, symbols) =
            rayon::join(|| self.load_types(&image, own, kernel, wanted), || symbols::collect(&image, wanted));
        let mut found = found?;
        found.module = image.module(&self.input.path);
        found.build_id = image.build_id();
        found.endian = Some(image.endian());
        found.pointer_size = Some(image.pointer_size());
        found.symbols = symbols.symbols;
        found.constants = symbols.constants;
        Ok(found)
    }

    fn load_types(
        &self,
        image: &Image<'_>,
        own: Option<&Btf<'_>>,
        kernel: Option<&Btf<'_>>,
        wanted: &WantedSets<'_>,
    ) -> Result<Found> {
        if dwarf::is_present(image) {
            return dwarf::load(image, wanted);
        }
        let pointer_size = Some(image.pointer_size());
        if let Some(own) = own {
            return btf::load(own, None, None, pointer_size, wanted);
        }
        if !image.has(btf::SECTION) {
            return Ok(Found::new(SourceKind::SymbolsOnly));
        }
        let section = image.section(btf::SECTION)?;
        let blob = Btf::parse(&self.path, &section)?;
        // A module of an out-of-tree build may bring an excerpt of the kernel's BTF to continue.
        let excerpt = image.section(btf::BASE_SECTION)?;
        let excerpt = if excerpt.is_empty() { None } else { Some(Btf::parse(&self.path, &excerpt)?) };
        btf::load(&blob, kernel, excerpt.as_ref(), pointer_size, wanted)
    }
}

fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// What a file of no supported kind looks like.
fn appearance(bytes: &[u8]) -> &'static str {
    const MAGICS: [(&[u8], &str); 10] = [
        (b"\x1f\x8b", "gzip data; decompress it first"),
        (b"\xfd7zXZ\0", "xz data; decompress it first"),
        (b"\x28\xb5\x2f\xfd", "zstd data; decompress it first"),
        (b"BZh", "bzip2 data; decompress it first"),
        (b"\x04\x22\x4d\x18", "lz4 data; decompress it first"),
        (b"\x02\x21\x4c\x18", "lz4 data; decompress it first"),
        (b"KDUMP   ", "a kdump-compressed core file"),
        (b"makedumpfile", "a flattened core file"),
        (b"!<arch>\n", "an archive or package"),
        (b"\xed\xab\xee\xdb", "an RPM package"),
    ];
    if bytes.is_empty() {
        return "an empty file";
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return "a tar archive; unpack it first";
    }
    if bytes.get(0x202..0x206) == Some(b"HdrS") {
        return "a bootable kernel image (bzImage) without debug information";
    }
    if let Some((_, what)) = MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return what;
    }
    let head = bytes.get(..bytes.len().min(256)).unwrap_or_default();
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    if head.iter().all(is_text) { "text" } else { "data of an unknown kind" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(bytes: &'static [u8]) -> Result<Types> {
        Types::load(vec![Input::new("f", Arc::new(bytes))], &Wanted::default())
    }

    #[test]
    fn other_files_are_named() {
        for (bytes, expected) in [
            (&b""[..], "f: expected an ELF file, BTF or ISF JSON, found an empty file"),
            (
                b"\x1f\x8b\x08\0",
                "f: expected an ELF file, BTF or ISF JSON, found gzip data; decompress it first",
            ),
            (b"c0100000 T _text\n", "f: expected an ELF file, BTF or ISF JSON, found text"),
            (b"KDUMP   \x06", "f: expected an ELF file, BTF or ISF JSON, found a kdump-compressed core file"),
            (b"\x01\x02\xff", "f: expected an ELF file, BTF or ISF JSON, found data of an unknown kind"),
        ] {
            assert_eq!(load(bytes).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn what_is_nowhere_is_reported() {
        let wanted = Wanted {
            structs: vec!["page".into()],
            symbols: vec!["_text".into()],
            enums: vec!["zone_type".into()],
            ..Wanted::default()
        };
        let json: &[u8] = br#"{"user_types": {}, "symbols": {"_text": {"address": 4096}}}"#;
        let types = Types::load(vec![Input::new("f", Arc::new(json))], &wanted).unwrap();
        let missing = types.missing();
        assert_eq!((missing.structs.len(), missing.symbols.len(), missing.enums.len()), (1, 0, 1));
        assert_eq!(types.symbols("_text")[0].value, 4096);
    }
}
