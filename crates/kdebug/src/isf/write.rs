//! From the model to the document.

use super::json::{
    BaseType, Document, Enumeration, FieldEntry, Metadata, Ordered, Producer, Reference, SymbolEntry,
    UserType,
};
use crate::layers::Types;
use crate::source::Endian;
use crate::types::{Struct, StructKind, Type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Arc;

/// The only definition of its name that more units share comes from a header, and nobody asks for it by unit.
const MAX_UNITS: usize = 16;
/// Of homonyms, units are all that tells them apart.
const MAX_UNITS_OF_HOMONYM: usize = 256;

/// Writes everything that `types` holds, ready to be loaded again in its place.
///
/// What the format has no word for is lost: units of the only definition of a name if more than 16 of them share it, of the first one
/// of several if more than 256 do, and the files that all of it came from.
pub fn write(types: &Types) -> String {
    let mut writer = Writer { endian: endian(types), ..Writer::default() };
    // All keys first: structs refer to each other.
    let mut planned = Vec::new();
    for (name, definitions) in types.all_structs() {
        let most = if definitions.len() == 1 { MAX_UNITS } else { MAX_UNITS_OF_HOMONYM };
        for (index, definition) in definitions.iter().enumerate() {
            planned.push((writer.plan(name, definition, most, index == 0), definition));
        }
    }
    for (key, definition) in planned {
        writer.entry(key, definition);
    }
    let document = Document {
        metadata: Metadata {
            format: "6.2.0".into(),
            producer: Producer { name: "kdebug".into(), version: env!("CARGO_PKG_VERSION").into() },
            build_id: types.build_id().map(|id| hex(id).into()),
            modules: Ordered(
                types.module_build_ids().map(|(name, id)| (name.to_owned().into(), hex(id).into())).collect(),
            ),
        },
        symbols: symbols(types, &mut writer),
        enums: writer.enums(types),
        base_types: writer.base_types(types.pointer_size().unwrap_or(8)),
        user_types: Ordered(writer.user_types),
    };
    // Writing to memory cannot fail, and no key is anything but a string.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

fn endian(types: &Types) -> &'static str {
    match types.endian() {
        Some(Endian::Big) => "big",
        _ => "little",
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[derive(Default)]
struct Writer {
    endian: &'static str,
    user_types: Vec<(super::json::Text<'static>, UserType<'static>)>,
    /// Layouts with the keys that they have or will have, by their names.
    known: BTreeMap<String, Vec<(Arc<Struct>, String)>>,
    keys: BTreeSet<String>,
    /// Names by which definitions are to be found.
    names: BTreeSet<String>,
    base: BTreeMap<String, (u64, bool, &'static str)>,
    /// Enumerations that members refer to, with their sizes.
    enums: BTreeMap<String, u64>,
}

impl Writer {
    /// The key of a definition that is to be found by `name`, and by up to `most` units.
    fn plan(&mut self, name: &str, definition: &Arc<Struct>, most: usize, is_first: bool) -> String {
        let units = definition.units.get(..most).unwrap_or(&definition.units);
        // The plain name is the definition of all units that are not listed.
        let units = if is_first && definition.units.len() > most { &[] } else { units };
        let key = free_key(name, units, &mut self.keys);
        self.names.insert(name.to_owned());
        // A typedef's struct may have a tag of its own, by which others refer to it.
        if definition.name == name {
            self.known.entry(name.to_owned()).or_default().push((Arc::clone(definition), key.clone()));
        }
        key
    }

    /// The key of a struct inside another, which is written now unless it has one.
    fn key(&mut self, layout: &Arc<Struct>) -> String {
        let known = self.known.get(&layout.name).into_iter().flatten();
        if let Some((_, key)) = known.into_iter().find(|(known, _)| known.same_layout(layout)) {
            return key.clone();
        }
        let mark = fingerprint(layout);
        let key = if layout.name.is_empty() {
            format!("unnamed_{mark:016x}")
        } else if self.names.contains(&layout.name) || self.keys.contains(&layout.name) {
            // The plain name is for what is to be found by it.
            format!("{}@{mark:016x}", layout.name)
        } else {
            layout.name.clone()
        };
        if self.keys.insert(key.clone()) {
            self.known.entry(layout.name.clone()).or_default().push((Arc::clone(layout), key.clone()));
            self.entry(key.clone(), layout);
        }
        key
    }

    fn entry(&mut self, key: String, layout: &Arc<Struct>) {
        let mut fields = Vec::new();
        let mut names = BTreeSet::new();
        for (index, member) in layout.members.iter().enumerate() {
            let anonymous = member.name.is_empty();
            let mut name = if anonymous { format!("unnamed_field_{index}") } else { member.name.clone() };
            if !names.insert(name.clone()) {
                name = format!("{name}_{index}");
            }
            let declared = self.reference(&member.ty);
            let ty = match member.bits {
                None => declared,
                Some(bits) => Reference {
                    kind: "bitfield".into(),
                    bit_position: Some(u64::from(bits.shift)),
                    bit_length: Some(u64::from(bits.width)),
                    ty: Some(Box::new(self.base(u64::from(bits.storage_size), bits.signed))),
                    ..Reference::default()
                },
            };
            fields.push((name.into(), FieldEntry { ty, offset: member.offset, anonymous }));
        }
        let kind = if layout.kind == StructKind::Union { "union" } else { "struct" };
        let user = UserType { size: layout.size, kind: kind.into(), fields: Ordered(fields) };
        self.user_types.push((key.into(), user));
    }

    fn base(&mut self, size: u64, signed: bool) -> Reference<'static> {
        let name = format!("{}{}", if signed { 's' } else { 'u' }, size.saturating_mul(8));
        self.base.insert(name.clone(), (size, signed, "int"));
        named("base", name)
    }

    fn reference(&mut self, ty: &Type) -> Reference<'static> {
        match ty {
            Type::Void => named("base", "void".to_owned()),
            Type::Int { size, signed } => self.base(*size, *signed),
            Type::Float { size } => {
                let name = format!("f{}", size.saturating_mul(8));
                self.base.insert(name.clone(), (*size, true, "float"));
                named("base", name)
            }
            Type::Pointer { to, depth, .. } => {
                let end = match to {
                    Some(name) => named("struct", name.clone()),
                    None => named("base", "void".to_owned()),
                };
                (0..*depth).fold(end, |to, _| wrapped("pointer", to, None))
            }
            Type::Array { elem, count } => {
                let elem = self.reference(elem);
                wrapped("array", elem, Some(count.unwrap_or(0)))
            }
            Type::Struct(layout) => {
                let kind = if layout.kind == StructKind::Union { "union" } else { "struct" };
                let key = self.key(layout);
                named(kind, key)
            }
            Type::Enum { name, size } => {
                let name = name.clone().unwrap_or_else(|| format!("unnamed_enum_{size}"));
                self.enums.insert(name.clone(), *size);
                named("enum", name)
            }
            Type::Function => Reference { kind: "function".into(), ..Reference::default() },
            Type::Opaque { name } => named("struct", name.clone()),
        }
    }

    fn base_types(&self, pointer: u64) -> Ordered<'static, BaseType<'static>> {
        let fixed = [("void", (0, false, "void")), ("pointer", (pointer, false, "int"))];
        let own = self.base.iter().map(|(name, base)| (name.clone(), *base));
        let all = fixed.into_iter().map(|(name, base)| (name.to_owned(), base)).chain(own);
        Ordered(
            all.map(|(name, (size, signed, kind))| {
                let base = BaseType { size, signed, kind: kind.into(), endian: self.endian.into() };
                (name.into(), base)
            })
            .collect(),
        )
    }

    fn enums(&mut self, types: &Types) -> Ordered<'static, Enumeration<'static>> {
        let mut all: BTreeMap<String, (u64, Vec<(String, i128)>)> = BTreeMap::new();
        for (name, size) in &self.enums {
            all.insert(name.clone(), (*size, Vec::new()));
        }
        for (name, enumerators) in types.all_enums() {
            let name = if name.is_empty() { "unnamed_enum" } else { name };
            let (_, own) = all.entry(name.to_owned()).or_insert((4, Vec::new()));
            own.extend(enumerators.iter().map(|(name, value)| (name.clone(), *value)));
        }
        Ordered(
            all.into_iter()
                .map(|(name, (size, mut own))| {
                    // By value, as in the source.
                    own.sort_by_key(|(_, value)| *value);
                    let signed = own.iter().any(|(_, value)| *value < 0);
                    let base = self.base(size, signed).name.unwrap_or_default();
                    let constants = own.into_iter().map(|(name, value)| (name.into(), value));
                    (name.into(), Enumeration { size, base, constants: Ordered(constants.collect()) })
                })
                .collect(),
        )
    }
}

fn symbols(types: &Types, writer: &mut Writer) -> Ordered<'static, SymbolEntry<'static>> {
    let mut entries = Vec::new();
    let mut keys = BTreeSet::new();
    for (name, symbols) in types.all_symbols() {
        for symbol in symbols {
            let place = match (&symbol.module, &symbol.section) {
                (None, None) => None,
                (Some(module), Some(section)) => Some(format!("{module}:{section}")),
                // Nobody can tell where it is.
                _ => continue,
            };
            let key = free_key(name, symbol.unit.as_slice(), &mut keys);
            let linkage_name = place.or_else(|| (key != name).then(|| name.to_owned())).map(Into::into);
            let ty = (symbol.size > 0).then(|| {
                let byte = writer.base(1, false);
                wrapped("array", byte, Some(symbol.size))
            });
            let constant_data = types.constant(name).filter(|_| symbol.module.is_none());
            let constant_data = constant_data.map(|data| STANDARD.encode(data).into());
            let entry = SymbolEntry { address: symbol.value, ty, linkage_name, constant_data };
            entries.push((key.into(), entry));
        }
    }
    Ordered(entries)
}

/// `name`, or `name@unit,unit`; where that is taken, with a number that is no unit.
fn free_key(name: &str, units: &[String], keys: &mut BTreeSet<String>) -> String {
    let usable = |unit: &&String| !unit.is_empty() && !unit.starts_with('?') && !unit.contains([',', '@']);
    let units: Vec<&str> = units.iter().filter(usable).map(String::as_str).collect();
    let plain = if units.is_empty() { name.to_owned() } else { format!("{name}@{}", units.join(",")) };
    if keys.insert(plain.clone()) {
        return plain;
    }
    let joint = if units.is_empty() { '@' } else { ',' };
    let mut numbered = (2u64..).map(|number| format!("{plain}{joint}?{number}"));
    numbered.find(|key| keys.insert(key.clone())).unwrap_or(plain)
}

fn named(kind: &'static str, name: String) -> Reference<'static> {
    Reference { kind: kind.into(), name: Some(name.into()), ..Reference::default() }
}

fn wrapped(kind: &'static str, subtype: Reference<'static>, count: Option<u64>) -> Reference<'static> {
    Reference { kind: kind.into(), subtype: Some(Box::new(subtype)), count, ..Reference::default() }
}

/// FNV-1a over the model's text: names that stay the same from run to run.
fn fingerprint(layout: &Struct) -> u64 {
    format!("{layout:?}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
