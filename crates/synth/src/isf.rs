//! Debuginfo as Volatility 3 ISF JSON. A name that several compile units define differently is written `NAME@unit`
//! for all but the first definition.

use base64::Engine as _;
use serde_json::{Map, Value as Json, json};

use crate::abi::Endian;
use crate::build::DeadKernel;
use crate::cdecl::Type;
use crate::layout::{Layout, Member, Types, stem};

const BASE_TYPES: [&str; 13] = [
    "char",
    "signed char",
    "unsigned char",
    "short int",
    "short unsigned int",
    "int",
    "unsigned int",
    "long int",
    "long unsigned int",
    "long long int",
    "long long unsigned int",
    "void",
    "pointer",
];

/// The types and symbols of the kernel, symbols at link-time addresses; those of modules relative to their sections.
pub fn json(kernel: &DeadKernel) -> String {
    let types = kernel.types();
    let mut writer = Writer { types, users: Map::new(), anonymous: 0 };
    for (i, layout) in types.layouts.iter().enumerate() {
        let name = types.shown_name(i);
        let user = writer.user(layout);
        writer.users.insert(name, user);
    }
    let mut base = Map::new();
    let endian = if types.abi.endian == Endian::Little { "little" } else { "big" };
    for name in BASE_TYPES {
        let size = match name {
            "void" => 0,
            "pointer" => types.abi.word,
            name => types.base_size(name),
        };
        let signed = !name.contains("unsigned") && name != "void" && name != "pointer";
        let kind = match name {
            "void" => "void",
            name if name.contains("char") => "char",
            _ => "int",
        };
        base.insert(name.to_owned(), json!({"size": size, "signed": signed, "kind": kind, "endian": endian}));
    }
    let mut enums = Map::new();
    for (name, values) in &types.declarations.enums {
        let constants: Map<String, Json> = values.iter().map(|(n, v)| (n.clone(), json!(v))).collect();
        enums.insert(name.clone(), json!({"size": 4, "base": "unsigned int", "constants": constants}));
    }
    json!({
        "metadata": {"format": "6.2.0", "producer": {"name": "synth", "version": "1.0"}},
        "base_types": base,
        "user_types": writer.users,
        "enums": enums,
        "symbols": symbols(kernel),
    })
    .to_string()
}

fn symbols(kernel: &DeadKernel) -> Map<String, Json> {
    let mut out = Map::new();
    for symbol in kernel.symbols() {
        let mut entry = json!({"address": symbol.link});
        let module = kernel.modules().iter().find(|module| Some(&module.name) == symbol.module.as_ref());
        if symbol.name == "linux_banner" {
            let banner = format!("{}\0", kernel.banner());
            entry["constant_data"] = json!(base64::engine::general_purpose::STANDARD.encode(&banner));
            entry["type"] =
                json!({"kind": "array", "count": banner.len(), "subtype": {"kind": "base", "name": "char"}});
        }
        let mut name = symbol.name.clone();
        if out.contains_key(&name) {
            let unit = symbol.unit.as_deref().map_or("global", stem);
            name = format!("{name}@{unit}");
            entry["linkage_name"] = json!(symbol.name);
        }
        if let Some(module) = module {
            entry["address"] = json!(symbol.address - module.data);
            entry["linkage_name"] = json!(format!("{}:.data", module.name));
        }
        out.insert(name, entry);
    }
    out
}

struct Writer<'a> {
    types: &'a Types,
    users: Map<String, Json>,
    anonymous: u64,
}

impl Writer<'_> {
    fn user(&mut self, layout: &Layout) -> Json {
        let unit = layout.units.first().map(|u| stem(u).to_owned());
        let mut fields = Map::new();
        for (i, member) in layout.members.iter().enumerate() {
            let ty = self.member(member, unit.as_deref());
            let mut field = json!({"offset": member.offset, "type": ty});
            let name = if member.name.is_empty() {
                field["anonymous"] = json!(true);
                format!("unnamed_field_{i}")
            } else {
                member.name.clone()
            };
            fields.insert(name, field);
        }
        let kind = if layout.is_union { "union" } else { "struct" };
        json!({"kind": kind, "size": layout.size, "fields": fields})
    }

    fn member(&mut self, member: &Member, unit: Option<&str>) -> Json {
        if let Some(inner) = &member.inner {
            return self.anonymous(inner);
        }
        let ty = self.ty(&member.ty, unit);
        match member.bits {
            None => ty,
            Some((shift, width)) => {
                json!({"kind": "bitfield", "bit_position": shift, "bit_length": width, "type": ty})
            }
        }
    }

    fn anonymous(&mut self, layout: &Layout) -> Json {
        self.anonymous += 1;
        let name = format!("unnamed_{:016x}", self.anonymous);
        let user = self.user(layout);
        self.users.insert(name.clone(), user);
        json!({"kind": if layout.is_union { "union" } else { "struct" }, "name": name})
    }

    fn ty(&mut self, ty: &Type, unit: Option<&str>) -> Json {
        match ty {
            Type::Void => json!({"kind": "base", "name": "void"}),
            Type::Base(name) => json!({"kind": "base", "name": name}),
            Type::Pointer(to) => {
                let known = match &**to {
                    Type::Named(tag) => self.types.find(tag).is_some(),
                    _ => true,
                };
                let target = if known { self.ty(to, unit) } else { self.ty(&Type::Void, unit) };
                json!({"kind": "pointer", "subtype": target})
            }
            Type::Array(element, count) => {
                json!({"kind": "array", "count": count, "subtype": self.ty(element, unit)})
            }
            Type::Named(tag) => {
                let layout = match unit {
                    Some(unit) => self.types.find(&format!("{tag}@{unit}")).or_else(|| self.types.find(tag)),
                    None => self.types.find(tag),
                };
                let Some(layout) = layout else { panic!("struct {tag} is not declared") };
                let index =
                    self.types.layouts.iter().position(|l| std::ptr::eq(l, layout)).unwrap_or_default();
                let kind = if layout.is_union { "union" } else { "struct" };
                json!({"kind": kind, "name": self.types.shown_name(index)})
            }
            Type::Anonymous(_) => {
                let layout = self.types.anonymous(ty);
                self.anonymous(&layout)
            }
            Type::Typedef(_) => {
                let target = self.types.resolved(ty);
                self.ty(&target, unit)
            }
            Type::Enum(name) => json!({"kind": "enum", "name": name}),
        }
    }
}
