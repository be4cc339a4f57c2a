//! Struct layouts from BTF, the compact type information of kernels since 4.18.
//!
//! One pass over the records makes a table of their offsets (id → record) and picks out the wanted
//! names; nothing else is decoded. That takes 2 ms for a whole kernel.
//!
//! A module's BTF is *split*: its ids and string offsets continue those of the kernel's BTF, which
//! has to be among the inputs; or those of an excerpt that the module brings along ([`excerpt`]).

use crate::assembly::{Assembly, Begin};
use crate::bits::BitRange;
use crate::error::{Error, Result};
use crate::source::{Endian, Found, SourceKind};
use crate::types::{Bits, Member, Struct, StructKind, Type, merge};
use crate::wanted::WantedSets;
use excerpt::Excerpt;
use std::sync::Arc;

mod excerpt;

/// Section of ELF files.
pub(crate) const SECTION: &str = ".BTF";
/// Section of modules with the part of the kernel's BTF that theirs continues.
pub(crate) const BASE_SECTION: &str = ".BTF.base";
/// First two bytes of BTF in the byte order of its machine.
const MAGIC: u16 = 0xeb9f;
/// Header up to and with `str_len`.
const MIN_HEADER: usize = 24;
/// Typedefs, qualifiers and pointers that may follow each other.
const MAX_HOPS: u8 = 64;
/// Arrays of arrays.
const MAX_ARRAYS: u8 = 4;

const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const FLOAT: u32 = 16;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// Whether the bytes start like raw BTF.
pub(crate) fn is_btf(bytes: &[u8]) -> bool {
    order(bytes).is_some()
}

fn order(bytes: &[u8]) -> Option<Endian> {
    match bytes.first_chunk()? {
        magic if *magic == MAGIC.to_le_bytes() => Some(Endian::Little),
        magic if *magic == MAGIC.to_be_bytes() => Some(Endian::Big),
        _ => None,
    }
}

/// A checked blob of BTF with the offsets of its records.
#[derive(Debug)]
pub(crate) struct Btf<'a> {
    path: &'a str,
    endian: Endian,
    types: &'a [u8],
    strings: &'a [u8],
    /// Offset of each record in `types`.
    offsets: Vec<u32>,
    /// Whether its ids and strings continue those of another blob.
    pub(crate) is_split: bool,
}

/// Which blob a record is from: its names and references are offsets and ids of that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Own,
    Base,
    Excerpt,
}

/// The fixed part of a record.
#[derive(Debug, Clone, Copy)]
struct Record<'a> {
    origin: Origin,
    name: u32,
    kind: u32,
    /// Number of members, enumerators or parameters.
    vlen: usize,
    /// Bit-fields in members, signedness of enumerators.
    kind_flag: bool,
    /// Size in bytes, or the id of a type, depending on the kind.
    size_or_type: u32,
    extra: &'a [u8],
}

impl<'a> Btf<'a> {
    /// Checks the header and walks all records once.
    pub(crate) fn parse(path: &'a str, bytes: &'a [u8]) -> Result<Self> {
        let malformed = |place: &str, expected: &str, found: &dyn std::fmt::Display| {
            Error::malformed(path, format!("BTF {place}"), expected, found)
        };
        let endian = order(bytes).ok_or_else(|| malformed("header", "magic 0xeb9f", &"another"))?;
        let word = |offset| u32_at(bytes, offset, endian).unwrap_or(0);
        let header = size(word(4));
        if header < MIN_HEADER || bytes.len() < header {
            return Err(malformed("header", "at least 24 bytes, all in the file", &header));
        }
        if bytes.get(2) != Some(&1) {
            let version = bytes.get(2).map_or(0, |version| u32::from(*version));
            return Err(malformed("header", "version 1", &version));
        }
        let section = |name: &str, offset: u32, length: u32| {
            let start = header.checked_add(size(offset));
            start.and_then(|start| bytes.get(start..start.checked_add(size(length))?)).ok_or_else(|| {
                malformed(name, "a section within the file", &format!("{offset:#x}+{length:#x}"))
            })
        };
        let types = section("types", word(8), word(12))?;
        let strings = section("strings", word(16), word(20))?;
        let mut btf = Btf { path, endian, types, strings, offsets: Vec::new(), is_split: false };
        // The kernel's string section starts with the empty string, a module's has the kernel's.
        let mut continues = strings.first() != Some(&0);
        let mut offset = 0u32;
        while size(offset) < types.len() {
            let record = btf.record_at(offset).ok_or_else(|| btf.truncated(offset))?;
            let length = record
                .extra_len()
                .ok_or_else(|| malformed(&format!("types+{offset:#x}"), "kind 1 to 19", &record.kind))?;
            continues |= size(record.name) >= strings.len() && record.name != 0;
            btf.offsets.push(offset);
            offset = u32::try_from(length)
                .ok()
                .and_then(|length| offset.checked_add(12)?.checked_add(length))
                .filter(|end| size(*end) <= types.len())
                .ok_or_else(|| btf.truncated(offset))?;
        }
        btf.is_split = continues;
        Ok(btf)
    }

    fn truncated(&self, offset: u32) -> Error {
        let place = format!("BTF types+{offset:#x}");
        let found = format!("{} bytes of types", self.types.len());
        Error::malformed(self.path, place, "a whole record", found)
    }

    /// The record at an offset of the type section; its extra data reach to the section's end.
    fn record_at(&self, offset: u32) -> Option<Record<'a>> {
        let bytes = self.types.get(size(offset)..)?;
        let info = u32_at(bytes, 4, self.endian)?;
        Some(Record {
            origin: Origin::Own,
            name: u32_at(bytes, 0, self.endian)?,
            kind: info >> 24 & 0x1f,
            vlen: size(info & 0xffff),
            kind_flag: info >> 31 != 0,
            size_or_type: u32_at(bytes, 8, self.endian)?,
            extra: bytes.get(12..)?,
        })
    }

    fn string(&self, offset: usize) -> Option<&'a str> {
        let bytes = self.strings.get(offset..)?;
        let end = memchr::memchr(0, bytes)?;
        std::str::from_utf8(bytes.get(..end)?).ok()
    }
}

impl Record<'_> {
    fn extra_len(&self) -> Option<usize> {
        Some(match self.kind {
            PTR | FWD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNC | FLOAT | TYPE_TAG => 0,
            INT | VAR | DECL_TAG => 4,
            ARRAY => 12,
            ENUM | FUNC_PROTO => self.vlen * 8,
            STRUCT | UNION | DATASEC | ENUM64 => self.vlen * 12,
            _ => return None,
        })
    }

    fn word(&self, index: usize, endian: Endian) -> Option<u32> {
        u32_at(self.extra, index.checked_mul(4)?, endian)
    }
}

/// Reads what is wanted. `base` is the kernel's BTF if this one is split, `excerpt` what the module has of it, and `pointer_size`
/// what the file around it says: BTF itself leaves it open.
pub(crate) fn load(
    btf: &Btf<'_>,
    base: Option<&Btf<'_>>,
    excerpt: Option<&Btf<'_>>,
    pointer_size: Option<u64>,
    wanted: &WantedSets<'_>,
) -> Result<Found> {
    let (base, excerpt) = (base.filter(|_| btf.is_split), excerpt.filter(|_| btf.is_split));
    if btf.is_split && base.is_none() && excerpt.is_none() {
        return Err(Error::Elsewhere {
            path: btf.path.to_owned(),
            missing: "the BTF of the kernel, which this module's BTF continues".to_owned(),
        });
    }
    let mut found = Found::new(SourceKind::Btf);
    found.endian = Some(btf.endian);
    let excerpt = excerpt.map(|excerpt| Excerpt::new(excerpt, base));
    let view = View { own: btf, base, excerpt: excerpt.as_ref() };
    let pointer_size = pointer_size.or_else(|| view.long_size());
    found.pointer_size = pointer_size;
    let mut builder = Builder { view, assembly: Assembly::new(), pointer_size: pointer_size.unwrap_or(8) };
    for id in view.own_ids() {
        let Some(record) = view.record(id) else { continue };
        match record.kind {
            STRUCT | UNION | TYPEDEF => {
                let name = view.name(&record);
                if !wanted.structs.contains(name) {
                    continue;
                }
                if let Some(definition) = builder.definition(id) {
                    merge(found.structs.entry(name.to_owned()).or_default(), definition);
                }
            }
            ENUM | ENUM64 => {
                let name = view.name(&record);
                let whole = !name.is_empty() && wanted.enums.contains(name);
                if wanted.enums.is_empty() {
                    continue;
                }
                for (enumerator, value) in view.enumerators(&record) {
                    if whole || wanted.enums.contains(enumerator) {
                        found.add_enumerator(name, enumerator, value);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// A blob together with those that it continues. Ids are the base's, then its own, then the excerpt's.
#[derive(Debug, Clone, Copy)]
struct View<'b, 'a> {
    own: &'b Btf<'a>,
    base: Option<&'b Btf<'a>>,
    excerpt: Option<&'b Excerpt<'b, 'a>>,
}

impl<'b, 'a> View<'b, 'a> {
    /// Ids start at 1, 0 is `void`; a split blob's continue after its base's last.
    fn own_ids(&self) -> std::ops::Range<u32> {
        let first = self.base.map_or(0, |base| base.offsets.len()).saturating_add(1);
        let end = first.saturating_add(self.own.offsets.len());
        u32::try_from(first).unwrap_or(u32::MAX)..u32::try_from(end).unwrap_or(u32::MAX)
    }

    fn record(&self, id: u32) -> Option<Record<'a>> {
        let mut index = size(id).checked_sub(1)?;
        let blobs = [
            (Origin::Base, self.base),
            (Origin::Own, Some(self.own)),
            (Origin::Excerpt, self.excerpt.map(|excerpt| excerpt.blob)),
        ];
        for (origin, blob) in blobs {
            let Some(blob) = blob else { continue };
            match blob.offsets.get(index) {
                Some(offset) => return Some(Record { origin, ..blob.record_at(*offset)? }),
                None => index = index.checked_sub(blob.offsets.len())?,
            }
        }
        None
    }

    /// An id that a record refers to, as one of this view.
    fn target(&self, record: &Record<'_>, id: u32) -> u32 {
        let Some(excerpt) = self.excerpt.filter(|_| record.origin != Origin::Base && id != 0) else {
            return id;
        };
        let behind = self.own_ids().end;
        match excerpt.resolve(id) {
            excerpt::Target::Base(id) => id,
            excerpt::Target::Excerpt(index) => behind.saturating_add(index),
            excerpt::Target::Beyond(index) if record.origin == Origin::Own => {
                self.own_ids().start.saturating_add(index)
            }
            // To nowhere: an excerpt refers to itself only.
            excerpt::Target::Beyond(_) => u32::MAX,
        }
    }

    /// What a record without a size refers to.
    fn next(&self, record: &Record<'_>) -> u32 {
        self.target(record, record.size_or_type)
    }

    /// The type in the word at `index` of a record's extra data.
    fn referred(&self, record: &Record<'_>, index: usize) -> Option<u32> {
        Some(self.target(record, self.word(record, index)?))
    }

    fn text(&self, record: &Record<'_>, offset: u32) -> &'a str {
        let offset = size(offset);
        let before = match record.origin {
            Origin::Own => self.excerpt.map(|excerpt| excerpt.blob).or(self.base),
            _ => None,
        };
        let blob = match record.origin {
            Origin::Own => Some(self.own),
            Origin::Base => self.base,
            Origin::Excerpt => self.excerpt.map(|excerpt| excerpt.blob),
        };
        let text = match before {
            Some(before) if offset < before.strings.len() => before.string(offset),
            before => {
                let start = before.map_or(0, |before| before.strings.len());
                blob.and_then(|blob| blob.string(offset.checked_sub(start)?))
            }
        };
        text.unwrap_or("")
    }

    fn name(&self, record: &Record<'_>) -> &'a str {
        self.text(record, record.name)
    }

    fn word(&self, record: &Record<'_>, index: usize) -> Option<u32> {
        record.word(index, self.own.endian)
    }

    fn enumerators(&self, record: &Record<'a>) -> impl Iterator<Item = (&'a str, i128)> {
        let (view, record) = (*self, *record);
        (0..record.vlen).map_while(move |index| {
            let words = if record.kind == ENUM64 { 3 } else { 2 };
            let at = index * words;
            let name = view.text(&record, view.word(&record, at)?);
            let low = view.word(&record, at + 1)?;
            let value = match (record.kind, record.kind_flag) {
                // The flag means signed, and is clear on what older compilers wrote: those are
                // signed all the same, as negative errors in enumerations show.
                (ENUM, _) => i128::from(low.cast_signed()),
                (_, signed) => {
                    let wide = u64::from(view.word(&record, at + 2)?) << 32 | u64::from(low);
                    if signed { i128::from(wide.cast_signed()) } else { i128::from(wide) }
                }
            };
            Some((name, value))
        })
    }

    /// Size of `long`, which is that of a pointer on Linux.
    fn long_size(&self) -> Option<u64> {
        let ids = 1..self.own_ids().end;
        ids.filter_map(|id| self.record(id))
            .filter(|record| record.kind == INT)
            .find(|record| {
                matches!(self.name(record), "long unsigned int" | "unsigned long" | "long int" | "long")
            })
            .map(|record| u64::from(record.size_or_type))
    }

    fn is_qualifier(kind: u32) -> bool {
        matches!(kind, VOLATILE | CONST | RESTRICT | TYPE_TAG)
    }
}

struct Builder<'b, 'a> {
    view: View<'b, 'a>,
    assembly: Assembly<u32>,
    pointer_size: u64,
}

impl<'a> Builder<'_, 'a> {
    /// The struct behind a typedef, or the struct itself.
    fn definition(&mut self, id: u32) -> Option<Arc<Struct>> {
        let mut alias = "";
        let mut id = id;
        for _ in 0..MAX_HOPS {
            let record = self.view.record(id)?;
            match record.kind {
                STRUCT | UNION => {
                    return match self.structure(id, &record, alias) {
                        Type::Struct(built) => Some(built),
                        _ => None,
                    };
                }
                TYPEDEF => alias = self.view.name(&record),
                kind if View::is_qualifier(kind) => {}
                _ => return None,
            }
            id = self.view.next(&record);
        }
        None
    }

    fn structure(&mut self, id: u32, record: &Record<'a>, alias: &str) -> Type {
        let own = self.view.name(record);
        let name = if own.is_empty() { alias } else { own }.to_owned();
        match self.assembly.begin(id) {
            Begin::Done(built) => return Type::Struct(built),
            Begin::Refused => return Type::Opaque { name },
            Begin::Build => {}
        }
        let kind = if record.kind == UNION { StructKind::Union } else { StructKind::Struct };
        let struct_size = u64::from(record.size_or_type);
        let members = (0..record.vlen).map_while(|index| self.member(record, index, struct_size));
        let members = members.flatten().collect();
        let built = Struct { name: name.clone(), kind, size: struct_size, units: Vec::new(), members };
        self.assembly.finish(built).map_or(Type::Opaque { name }, Type::Struct)
    }

    /// `None` at the end of the data, `Some(None)` for a member at no byte.
    fn member(&mut self, record: &Record<'a>, index: usize, struct_size: u64) -> Option<Option<Member>> {
        let at = index * 3;
        let name = self.view.text(record, self.view.word(record, at)?).to_owned();
        let id = self.view.referred(record, at + 1)?;
        let place = self.view.word(record, at + 2)?;
        let (start, width) = if record.kind_flag { (place & 0x00ff_ffff, place >> 24) } else { (place, 0) };
        let ty = self.ty(id, 0);
        let (start, width) = match width {
            0 => {
                let (inner, width) = self.int_bits(id).unwrap_or((0, 0));
                (u64::from(start).saturating_add(inner), width)
            }
            width => (u64::from(start), u64::from(width)),
        };
        if width == 0 {
            let whole = start.is_multiple_of(8);
            return Some(whole.then_some(Member { name, offset: start / 8, ty, bits: None }));
        }
        let bits = self.bits(start, width, &ty, struct_size);
        Some(bits.map(|bits| Member { name, offset: bits.storage_offset, ty, bits: Some(bits) }))
    }

    fn bits(&self, start: u64, width: u64, ty: &Type, struct_size: u64) -> Option<Bits> {
        let range = BitRange { start, width };
        range.storage(ty.size()?, struct_size, ty.is_signed(), self.view.own.endian)
    }

    /// First bit and width of an integer that is narrower than its bytes: how bit-fields were written
    /// before structs had the kind flag.
    fn int_bits(&self, id: u32) -> Option<(u64, u64)> {
        let mut id = id;
        for _ in 0..MAX_HOPS {
            let record = self.view.record(id)?;
            match record.kind {
                INT => {
                    let encoding = self.view.word(&record, 0)?;
                    let (offset, bits) = (encoding >> 16 & 0xff, encoding & 0xff);
                    let narrow = offset != 0 || u64::from(bits) != u64::from(record.size_or_type) * 8;
                    return narrow.then_some((u64::from(offset), u64::from(bits)));
                }
                TYPEDEF => {}
                kind if View::is_qualifier(kind) => {}
                _ => return None,
            }
            id = self.view.next(&record);
        }
        None
    }

    /// `arrays` counts those around it.
    fn ty(&mut self, id: u32, arrays: u8) -> Type {
        let mut alias = "";
        let mut id = id;
        for _ in 0..MAX_HOPS {
            if id == 0 {
                return Type::Void;
            }
            let Some(record) = self.view.record(id) else { break };
            let size = u64::from(record.size_or_type);
            match record.kind {
                INT => {
                    let signed = self.view.word(&record, 0).is_some_and(|word| word >> 24 & 1 != 0);
                    return Type::Int { size, signed };
                }
                FLOAT => return Type::Float { size },
                ENUM | ENUM64 => {
                    let own = self.view.name(&record);
                    let name = [own, alias].into_iter().find(|name| !name.is_empty());
                    return Type::Enum { name: name.map(str::to_owned), size };
                }
                PTR => return self.pointer(id),
                ARRAY => {
                    let (Some(elem), Some(count)) =
                        (self.view.referred(&record, 0), self.view.word(&record, 2))
                    else {
                        break;
                    };
                    if arrays >= MAX_ARRAYS {
                        break;
                    }
                    let elem = Box::new(self.ty(elem, arrays + 1));
                    // Flexible arrays are written like those of no elements.
                    let count = (count > 0).then_some(u64::from(count));
                    return Type::Array { elem, count };
                }
                STRUCT | UNION => return self.structure(id, &record, alias),
                FUNC | FUNC_PROTO => return Type::Function,
                TYPEDEF => alias = self.view.name(&record),
                kind if View::is_qualifier(kind) => {}
                _ => return Type::Opaque { name: self.view.name(&record).to_owned() },
            }
            id = self.view.next(&record);
        }
        Type::Opaque { name: alias.to_owned() }
    }

    fn pointer(&self, from: u32) -> Type {
        let size = self.pointer_size;
        let (mut id, mut depth, mut alias) = (from, 0u8, "");
        for _ in 0..MAX_HOPS {
            let Some(record) = self.view.record(id) else { break };
            match record.kind {
                PTR => {
                    depth = depth.saturating_add(1);
                    alias = "";
                }
                TYPEDEF => alias = self.view.name(&record),
                STRUCT | UNION | FWD => {
                    let tag = self.view.name(&record);
                    let to = [tag, alias].into_iter().find(|name| !name.is_empty());
                    return Type::Pointer { size, to: to.map(str::to_owned), depth };
                }
                kind if View::is_qualifier(kind) => {}
                _ => break,
            }
            id = self.view.next(&record);
        }
        Type::Pointer { size, to: None, depth: depth.max(1) }
    }
}

fn u32_at(bytes: &[u8], offset: usize, endian: Endian) -> Option<u32> {
    let word = *bytes.get(offset..)?.first_chunk()?;
    Some(match endian {
        Endian::Little => u32::from_le_bytes(word),
        Endian::Big => u32::from_be_bytes(word),
    })
}

/// 32-bit numbers fit everywhere that a kernel dump can be read.
fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
