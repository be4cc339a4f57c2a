//! One compile unit: the structs that its source file sees, and what they refer to.

use std::collections::BTreeMap;

use gimli::write::{AttributeValue, Dwarf, Expression, LineProgram, Unit, UnitEntryId};
use gimli::{Encoding, Format, constants as dw};

use crate::abi::Endian;
use crate::cdecl::Type;
use crate::layout::{Layout, Member, Types, stem};

/// Adds the unit `name` (`ltt/ltt-relay.c`) to `dwarf`.
pub(super) fn add(dwarf: &mut Dwarf, version: u16, types: &Types, name: &str) {
    let encoding = Encoding { format: Format::Dwarf32, version, address_size: types.abi.word as u8 };
    let unit = Unit::new(encoding, LineProgram::none());
    let mut writer = UnitWriter { dwarf, unit, types, stem: stem(name), made: BTreeMap::new() };
    let root = writer.unit.root();
    writer.name(root, name);
    let directory = writer.dwarf.strings.add("/usr/src/linux");
    let producer = writer.dwarf.strings.add("GNU C 4.3.2");
    let entry = writer.unit.get_mut(root);
    entry.set(dw::DW_AT_comp_dir, AttributeValue::StringRef(directory));
    entry.set(dw::DW_AT_producer, AttributeValue::StringRef(producer));
    entry.set(dw::DW_AT_language, AttributeValue::Language(dw::DW_LANG_C89));
    let common = name == "init/main.c";
    for layout in &types.layouts {
        let here = layout.units.iter().any(|u| u == name) || (common && layout.units.is_empty());
        if here {
            writer.ty(&Type::Named(layout.name.clone()));
        }
    }
    for name in types.declarations.enums.keys() {
        writer.ty(&Type::Enum(name.clone()));
    }
    let unit = writer.unit;
    dwarf.units.add(unit);
}

struct UnitWriter<'a> {
    dwarf: &'a mut Dwarf,
    unit: Unit,
    types: &'a Types,
    stem: &'a str,
    made: BTreeMap<String, UnitEntryId>,
}

impl UnitWriter<'_> {
    fn add(&mut self, tag: gimli::DwTag) -> UnitEntryId {
        let root = self.unit.root();
        self.unit.add(root, tag)
    }

    fn set(&mut self, entry: UnitEntryId, attribute: gimli::DwAt, value: u64) {
        self.unit.get_mut(entry).set(attribute, AttributeValue::Udata(value));
    }

    /// Short names inline, long ones in the string section, as compilers do.
    fn name(&mut self, entry: UnitEntryId, name: &str) {
        let value = if name.len() < 4 {
            AttributeValue::String(name.as_bytes().to_vec())
        } else {
            AttributeValue::StringRef(self.dwarf.strings.add(name))
        };
        self.unit.get_mut(entry).set(dw::DW_AT_name, value);
    }

    fn set_type(&mut self, entry: UnitEntryId, ty: &Type) {
        if let Some(target) = self.ty(ty) {
            self.unit.get_mut(entry).set(dw::DW_AT_type, AttributeValue::UnitRef(target));
        }
    }

    /// The entry of a type; `None` = void.
    fn ty(&mut self, ty: &Type) -> Option<UnitEntryId> {
        let key = format!("{ty:?}");
        if let Some(entry) = self.made.get(&key) {
            return Some(*entry);
        }
        let entry = match ty {
            Type::Void => return None,
            Type::Base(name) => {
                let entry = self.add(dw::DW_TAG_base_type);
                self.name(entry, name);
                self.set(entry, dw::DW_AT_byte_size, self.types.base_size(name));
                let encoding = match (name.contains("char"), name.contains("unsigned")) {
                    (true, true) => dw::DW_ATE_unsigned_char,
                    (true, false) => dw::DW_ATE_signed_char,
                    (false, true) => dw::DW_ATE_unsigned,
                    (false, false) => dw::DW_ATE_signed,
                };
                self.unit.get_mut(entry).set(dw::DW_AT_encoding, AttributeValue::Encoding(encoding));
                entry
            }
            Type::Pointer(to) => {
                let entry = self.add(dw::DW_TAG_pointer_type);
                self.made.insert(key.clone(), entry);
                self.set(entry, dw::DW_AT_byte_size, self.types.abi.word);
                self.set_type(entry, to);
                entry
            }
            Type::Array(element, count) => {
                let entry = self.add(dw::DW_TAG_array_type);
                self.set_type(entry, element);
                let range = self.unit.add(entry, dw::DW_TAG_subrange_type);
                if let Some(last) = count.checked_sub(1) {
                    self.set(range, dw::DW_AT_upper_bound, last);
                }
                entry
            }
            Type::Typedef(name) => {
                let entry = self.add(dw::DW_TAG_typedef);
                self.made.insert(key.clone(), entry);
                self.name(entry, name);
                if let Some(target) = self.types.declarations.typedefs.get(name) {
                    self.set_type(entry, target);
                }
                entry
            }
            Type::Enum(name) => {
                let entry = self.add(dw::DW_TAG_enumeration_type);
                self.name(entry, name);
                self.set(entry, dw::DW_AT_byte_size, 4);
                for (enumerator, value) in
                    self.types.declarations.enums.get(name).into_iter().flatten().cloned().collect::<Vec<_>>()
                {
                    let child = self.unit.add(entry, dw::DW_TAG_enumerator);
                    self.name(child, &enumerator);
                    self.unit.get_mut(child).set(dw::DW_AT_const_value, AttributeValue::Sdata(value));
                }
                entry
            }
            Type::Anonymous(_) => {
                let layout = self.types.anonymous(ty);
                self.record(&layout, None)
            }
            Type::Named(tag) => match self.visible(tag) {
                Some(layout) => self.record(&layout, Some(&key)),
                None => {
                    let entry = self.add(dw::DW_TAG_structure_type);
                    self.name(entry, tag);
                    self.unit.get_mut(entry).set(dw::DW_AT_declaration, AttributeValue::Flag(true));
                    entry
                }
            },
        };
        self.made.insert(key, entry);
        Some(entry)
    }

    /// The definition that this source file sees.
    fn visible(&self, tag: &str) -> Option<Layout> {
        self.types.find(&format!("{tag}@{}", self.stem)).cloned()
    }

    fn record(&mut self, layout: &Layout, key: Option<&str>) -> UnitEntryId {
        let tag = if layout.is_union { dw::DW_TAG_union_type } else { dw::DW_TAG_structure_type };
        let entry = self.add(tag);
        if let Some(key) = key {
            self.made.insert(key.to_owned(), entry);
        }
        if !layout.name.is_empty() {
            self.name(entry, &layout.name);
        }
        self.set(entry, dw::DW_AT_byte_size, layout.size);
        for member in &layout.members {
            self.member(entry, layout, member);
        }
        entry
    }

    fn member(&mut self, parent: UnitEntryId, layout: &Layout, member: &Member) {
        let ty = match &member.inner {
            Some(inner) => Some(self.record(inner, None)),
            None => self.ty(&member.ty),
        };
        let entry = self.unit.add(parent, dw::DW_TAG_member);
        if !member.name.is_empty() {
            self.name(entry, &member.name);
        }
        if let Some(ty) = ty {
            self.unit.get_mut(entry).set(dw::DW_AT_type, AttributeValue::UnitRef(ty));
        }
        let version = self.unit.version();
        if let Some((shift, width)) = member.bits {
            let storage = self.types.size(&member.ty, Some(self.stem)) * 8;
            let from_top = storage - u64::from(shift) - u64::from(width);
            self.set(entry, dw::DW_AT_bit_size, width.into());
            if version >= 5 {
                let from_start = match self.types.abi.endian {
                    Endian::Little => u64::from(shift),
                    Endian::Big => from_top,
                };
                self.set(entry, dw::DW_AT_data_bit_offset, member.offset * 8 + from_start);
                return;
            }
            self.set(entry, dw::DW_AT_byte_size, storage / 8);
            self.set(entry, dw::DW_AT_bit_offset, from_top);
        }
        if layout.is_union {
            return;
        }
        if version < 4 {
            let mut expression = Expression::new();
            expression.op_plus_uconst(member.offset);
            let value = AttributeValue::Exprloc(expression);
            self.unit.get_mut(entry).set(dw::DW_AT_data_member_location, value);
        } else {
            self.set(entry, dw::DW_AT_data_member_location, member.offset);
        }
    }
}
