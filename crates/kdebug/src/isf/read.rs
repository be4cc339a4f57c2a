//! From the document to the model.

use super::json::{Document, FieldEntry, Reference, SymbolEntry, UserType};
use crate::assembly::{Assembly, Begin};
use crate::error::{Error, Result};
use crate::source::{Endian, Found, SourceKind, Symbol, module_name};
use crate::symbols::is_percpu_section;
use crate::types::{Bits, Member, Struct, StructKind, Type, merge};
use crate::wanted::WantedSets;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::sync::Arc;

/// Names of anonymous structs begin like this.
const UNNAMED: &str = "unnamed_";
/// Arrays and pointers that may follow each other; JSON's own nesting is limited too.
const MAX_HOPS: u8 = 4;

/// Whether the file is JSON, as far as its first character tells.
pub(crate) fn is_isf(bytes: &[u8]) -> bool {
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
}

/// Reads what is wanted; the whole document is parsed all the same.
pub(crate) fn load(path: &str, bytes: &[u8], wanted: &WantedSets<'_>) -> Result<Found> {
    let document: Document<'_> = serde_json::from_slice(bytes)
        .map_err(|error| Error::malformed(path, "ISF", "types and symbols as JSON", error))?;
    let mut found = Found::new(SourceKind::Isf);
    found.build_id = document.metadata.build_id.as_deref().and_then(from_hex);
    for (name, id) in &document.metadata.modules.0 {
        if let Some(id) = from_hex(id).filter(|id| !id.is_empty()) {
            found.module_build_ids.insert(module_name(name), id);
        }
    }
    let mut builder = Builder::new(&document);
    found.pointer_size = builder.base.get("pointer").map(|(size, _, _)| *size);
    found.endian = document.base_types.0.iter().find_map(|(_, base)| match &*base.endian {
        "little" => Some(Endian::Little),
        "big" => Some(Endian::Big),
        _ => None,
    });
    for (index, (key, _)) in document.user_types.0.iter().enumerate() {
        let (name, units) = split_units(key);
        if !wanted.structs.contains(name) || is_mark(units) {
            continue;
        }
        let Type::Struct(built) = builder.structure(index) else { continue };
        let mut built = Struct::clone(&built);
        built.units = each_unit(units).map(str::to_owned).collect();
        merge(found.structs.entry(name.to_owned()).or_default(), Arc::new(built));
    }
    for (key, enumeration) in &document.enums.0 {
        let name = if key.starts_with(UNNAMED) { "" } else { key };
        let whole = wanted.enums.contains(name);
        for (enumerator, value) in &enumeration.constants.0 {
            if whole || wanted.enums.contains(&**enumerator) {
                found.add_enumerator(name, enumerator, *value);
            }
        }
    }
    symbols(path, &document, &mut builder, wanted, &mut found)?;
    Ok(found)
}

fn symbols<'d>(
    path: &str,
    document: &'d Document<'d>,
    builder: &mut Builder<'d>,
    wanted: &WantedSets<'_>,
    found: &mut Found,
) -> Result<()> {
    let symbols = &document.symbols.0;
    let image_start = symbols
        .iter()
        .filter(|(_, symbol)| place(symbol).is_none())
        .filter(|(key, _)| matches!(&**key, "_text" | "_stext"))
        .map(|(_, symbol)| symbol.address)
        .min();
    for (key, entry) in symbols {
        let (plain, units) = split_units(key);
        let place = place(entry);
        let name = entry.linkage_name.as_deref().filter(|_| place.is_none()).unwrap_or(plain);
        let asked = wanted.symbols.contains(name);
        if !asked && !wanted.all_symbols {
            continue;
        }
        if let Some(data) = &entry.constant_data {
            let data = STANDARD.decode(data.as_bytes()).map_err(|error| {
                Error::malformed(path, format!("symbols.{key}.constant_data"), "base64", error)
            })?;
            found.constants.insert(name.to_owned(), data);
        }
        let below_image = place.is_none() && image_start.is_some_and(|start| entry.address < start);
        let in_percpu = place.is_some_and(|(_, section)| is_percpu_section(section));
        let symbol = Symbol {
            value: entry.address,
            size: builder.symbol_size(entry),
            unit: each_unit(units).next().map(str::to_owned),
            module: place.map(|(module, _)| module_name(module)),
            section: place.map(|(_, section)| section.to_owned()),
            source: 0,
            percpu: name.starts_with("per_cpu__") || below_image || in_percpu,
            absolute: below_image,
        };
        found.symbols.entry(name.to_owned()).or_default().push(symbol);
    }
    Ok(())
}

/// Module and section of a module's symbol, `ltt_relay:.data`. Names of symbols have no colon, names of sections begin with a point.
fn place<'e>(entry: &'e SymbolEntry<'_>) -> Option<(&'e str, &'e str)> {
    let (module, section) = entry.linkage_name.as_deref()?.split_once(':')?;
    (!module.is_empty() && section.starts_with('.')).then_some((module, section))
}

/// `NAME@unit,unit` → (`NAME`, `unit,unit`).
fn split_units(key: &str) -> (&str, &str) {
    match key.split_once('@') {
        Some((name, units)) if !name.is_empty() && !units.is_empty() => (name, units),
        _ => (key, ""),
    }
}

/// What only looks like a unit tells keys apart.
fn each_unit(units: &str) -> impl Iterator<Item = &str> {
    units.split(',').filter(|unit| !unit.is_empty() && !unit.starts_with('?'))
}

/// A definition that is there for others to refer to, and that nobody finds by its name.
fn is_mark(units: &str) -> bool {
    units.len() == 16 && units.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?, 16).ok())
        .collect()
}

/// Builds structs out of the document's entries.
struct Builder<'d> {
    user: &'d [(std::borrow::Cow<'d, str>, UserType<'d>)],
    by_name: HashMap<&'d str, usize>,
    /// Size, signedness and kind.
    base: HashMap<&'d str, (u64, bool, &'d str)>,
    enums: HashMap<&'d str, u64>,
    is_big: bool,
    assembly: Assembly<usize>,
}

impl<'d> Builder<'d> {
    fn new(document: &'d Document<'d>) -> Self {
        let base = document.base_types.0.iter();
        Builder {
            user: &document.user_types.0,
            by_name: (0..).zip(&document.user_types.0).map(|(i, (name, _))| (&**name, i)).collect(),
            base: base.map(|(name, t)| (&**name, (t.size, t.signed, &*t.kind))).collect(),
            enums: document.enums.0.iter().map(|(name, e)| (&**name, e.size)).collect(),
            is_big: document.base_types.0.iter().any(|(_, base)| base.endian == "big"),
            assembly: Assembly::new(),
        }
    }

    fn structure(&mut self, index: usize) -> Type {
        let Some((key, user)) = self.user.get(index) else {
            return Type::Opaque { name: String::new() };
        };
        let name = if key.starts_with(UNNAMED) { "" } else { split_units(key).0 };
        let opaque = Type::Opaque { name: name.to_owned() };
        match self.assembly.begin(index) {
            Begin::Done(built) => return Type::Struct(built),
            Begin::Refused => return opaque,
            Begin::Build => {}
        }
        let mut members = Vec::new();
        for (name, field) in &user.fields.0 {
            members.push(self.member(name, field));
        }
        // Other writers sort by name; those that keep the declaration's order are not disturbed.
        let is_big = self.is_big;
        let first_bit = |bits: Bits| {
            // Big-endian machines allot bits from the top.
            let above =
                (bits.storage_size.saturating_mul(8)).saturating_sub(bits.shift).saturating_sub(bits.width);
            if is_big { above } else { bits.shift }
        };
        members.sort_by_key(|member| (member.offset, member.bits.map_or(0, first_bit)));
        let built = Struct {
            name: name.to_owned(),
            kind: if user.kind == "union" { StructKind::Union } else { StructKind::Struct },
            size: user.size,
            units: Vec::new(),
            members,
        };
        self.assembly.finish(built).map_or(opaque, Type::Struct)
    }

    fn member(&mut self, name: &str, field: &FieldEntry<'d>) -> Member {
        let name = if field.anonymous { "" } else { name }.to_owned();
        let declared = match (&*field.ty.kind, &field.ty.ty) {
            ("bitfield", Some(declared)) => declared,
            _ => &field.ty,
        };
        let ty = self.ty(declared, 0);
        let bits = bits(field, &ty);
        Member { name, offset: field.offset, ty, bits }
    }

    fn ty(&mut self, reference: &Reference<'d>, hops: u8) -> Type {
        let name = reference.name.as_deref().unwrap_or("");
        let opaque = Type::Opaque { name: split_units(name).0.to_owned() };
        match &*reference.kind {
            "base" => match self.base.get(name) {
                Some((_, _, "void")) => Type::Void,
                Some((size, _, "float")) => Type::Float { size: *size },
                Some((size, signed, _)) => Type::Int { size: *size, signed: *signed },
                None => opaque,
            },
            "struct" | "union" | "class" => match self.by_name.get(name) {
                Some(index) => self.structure(*index),
                None => opaque,
            },
            "enum" => Type::Enum {
                name: Some(name).filter(|name| !name.starts_with(UNNAMED)).map(str::to_owned),
                size: self.enums.get(name).copied().unwrap_or(0),
            },
            "pointer" => self.pointer(reference),
            "array" => match &reference.subtype {
                Some(elem) if hops < MAX_HOPS => {
                    let elem = Box::new(self.ty(elem, hops + 1));
                    Type::Array { elem, count: reference.count.filter(|count| *count > 0) }
                }
                _ => opaque,
            },
            "function" => Type::Function,
            _ => opaque,
        }
    }

    fn pointer(&self, reference: &Reference<'d>) -> Type {
        let size = self.base.get("pointer").map_or(0, |(size, _, _)| *size);
        let (mut depth, mut end) = (0u8, Some(reference));
        while let Some(reference) = end.filter(|reference| reference.kind == "pointer") {
            depth = depth.saturating_add(1);
            end = reference.subtype.as_deref();
        }
        let to = end.filter(|end| matches!(&*end.kind, "struct" | "union" | "class"));
        let to = to.and_then(|to| to.name.as_deref()).filter(|name| !name.starts_with(UNNAMED));
        Type::Pointer { size, to: to.map(|name| split_units(name).0.to_owned()), depth }
    }

    fn symbol_size(&mut self, entry: &SymbolEntry<'d>) -> u64 {
        let Some(reference) = &entry.ty else { return 0 };
        if let ("struct" | "union", Some(name)) = (&*reference.kind, &reference.name) {
            // Its size is enough: it may be big, and nobody asked for its members.
            let user = self.by_name.get(&**name).and_then(|index| self.user.get(*index));
            return user.map_or(0, |(_, user)| user.size);
        }
        self.ty(reference, 0).size().unwrap_or(0)
    }
}

/// The bits of a bit-field, already in this crate's numbering; `None` also for nonsense.
fn bits(field: &FieldEntry<'_>, ty: &Type) -> Option<Bits> {
    let size = ty.size().filter(|size| matches!(size, 1 | 2 | 4 | 8))?;
    let (shift, width) = (field.ty.bit_position?, field.ty.bit_length?);
    let fits = width > 0 && shift.checked_add(width)? <= size * 8;
    Some(Bits {
        storage_offset: field.offset,
        storage_size: u8::try_from(size).ok()?,
        shift: u8::try_from(shift).ok()?,
        width: u8::try_from(width).ok()?,
        signed: ty.is_signed(),
    })
    .filter(|_| fits)
}
