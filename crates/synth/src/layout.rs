//! The C layouter: sizes and offsets of the declared structs under the rules of one [`Abi`].

use std::borrow::Cow;

use crate::abi::{Abi, Endian};
use crate::cdecl::{Declarations, Record, Type};

/// A struct or union with its offsets.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Tag; empty for an anonymous one.
    pub name: String,
    /// Union instead of struct.
    pub is_union: bool,
    /// Bytes, tail padding included.
    pub size: u64,
    /// Alignment.
    pub align: u64,
    /// Members in order of declaration.
    pub members: Vec<Member>,
    /// Compile units that hold this definition (`ltt/ltt-relay.c`); empty = all of them.
    pub units: Vec<String>,
}

/// One member.
#[derive(Debug, Clone)]
pub struct Member {
    /// Name; empty for an anonymous struct or union.
    pub name: String,
    /// Byte offset; for a bit-field that of its storage unit.
    pub offset: u64,
    /// Declared type.
    pub ty: Type,
    /// The layout, when the type is an anonymous struct or union.
    pub inner: Option<Box<Layout>>,
    /// Bit-field: distance of its lowest bit from the storage unit's lowest, and width.
    pub bits: Option<(u8, u8)>,
}

/// Where a dotted path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Byte offset from the start of the struct.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Bit-field position and width in the storage unit.
    pub bits: Option<(u8, u8)>,
}

/// All types of one synthetic kernel.
#[derive(Debug, Clone)]
pub struct Types {
    /// Rules used.
    pub abi: Abi,
    /// Definitions; a name occurs more than once when compile units disagree.
    pub layouts: Vec<Layout>,
    /// What the headers say.
    pub declarations: Declarations,
}

impl Types {
    /// Lays out everything declared.
    pub fn new(abi: Abi, declarations: Declarations) -> Types {
        let mut types = Types { abi, layouts: Vec::new(), declarations };
        for record in types.declarations.records.clone() {
            let layout = types.lay_out(&record);
            types.layouts.push(layout);
        }
        types
    }

    /// The definition of `name`, which may carry a file stem: `rchan_buf@relay`. Without one the first definition counts.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, name: &str) -> &Layout {
        self.find(name).unwrap_or_else(|| panic!("no struct {name}"))
    }

    /// Like [`get`](Types::get), without the panic.
    pub fn find(&self, name: &str) -> Option<&Layout> {
        let (tag, unit) = name.split_once('@').map_or((name, None), |(tag, unit)| (tag, Some(unit)));
        let candidates = || self.layouts.iter().filter(|l| l.name == tag);
        match unit {
            Some(unit) => candidates()
                .find(|l| l.units.iter().any(|u| stem(u) == unit))
                .or_else(|| candidates().find(|l| l.units.is_empty())),
            None => candidates().next(),
        }
    }

    /// Resolves the dotted path of a member; anonymous levels are transparent, `[N]` indexes an array.
    ///
    /// # Panics
    /// When there is no such member.
    pub fn place(&self, name: &str, path: &str) -> Place {
        self.find_place(name, path).unwrap_or_else(|| panic!("no member {path} in {name}"))
    }

    /// Like [`place`](Types::place), without the panic.
    pub fn find_place(&self, name: &str, path: &str) -> Option<Place> {
        let unit = name.split_once('@').map(|(_, unit)| unit);
        let mut layout = Cow::Borrowed(self.get(name));
        let mut offset = 0;
        let mut steps = path.split('.').peekable();
        while let Some(step) = steps.next() {
            let (step, index) = match step.split_once('[') {
                Some((step, index)) => (step, index.trim_end_matches(']').parse::<u64>().ok()),
                None => (step, None),
            };
            let (base, member) = self.member(&layout, step)?;
            offset += base;
            let mut ty = self.resolved(&member.ty);
            if let (Some(index), Type::Array(element, _)) = (index, ty.clone()) {
                offset += index * self.size(&element, unit);
                ty = self.resolved(&element);
            }
            if steps.peek().is_none() {
                let size =
                    if index.is_some() { self.size(&ty, unit) } else { self.member_size(&member, unit) };
                return Some(Place { offset, size, bits: member.bits });
            }
            layout = match (&member.inner, &ty) {
                (Some(inner), _) => Cow::Owned((**inner).clone()),
                (None, Type::Named(tag)) => Cow::Borrowed(self.scoped(tag, unit)),
                (None, Type::Anonymous(record)) => Cow::Owned(self.lay_out(record)),
                _ => return None,
            };
        }
        None
    }

    /// Name of definition number `index`: plain for the first of its name, with a file stem for the others.
    pub(crate) fn shown_name(&self, index: usize) -> String {
        let layout = &self.layouts[index];
        match (self.layouts[..index].iter().any(|l| l.name == layout.name), layout.units.first()) {
            (true, Some(unit)) => format!("{}@{}", layout.name, stem(unit)),
            _ => layout.name.clone(),
        }
    }

    /// Layout of an anonymous struct or union type.
    pub(crate) fn anonymous(&self, ty: &Type) -> Layout {
        match ty {
            Type::Anonymous(record) => self.lay_out(record),
            other => panic!("{other:?} is not anonymous"),
        }
    }

    fn member_size(&self, member: &Member, unit: Option<&str>) -> u64 {
        member.inner.as_ref().map_or_else(|| self.size(&member.ty, unit), |inner| inner.size)
    }

    fn member(&self, layout: &Layout, name: &str) -> Option<(u64, Member)> {
        for member in &layout.members {
            if member.name == name {
                return Some((member.offset, member.clone()));
            }
            if member.name.is_empty()
                && let Some(inner) = &member.inner
                && let Some((offset, found)) = self.member(inner, name)
            {
                return Some((member.offset + offset, found));
            }
        }
        None
    }

    /// The definition that a compile unit sees: its own, else the common one.
    pub(crate) fn scoped(&self, tag: &str, unit: Option<&str>) -> &Layout {
        match unit {
            Some(unit) => self.get(&format!("{tag}@{unit}")),
            None => self.get(tag),
        }
    }

    pub(crate) fn resolved(&self, ty: &Type) -> Type {
        match ty {
            Type::Typedef(name) => match self.declarations.typedefs.get(name) {
                Some(target) => self.resolved(target),
                None => panic!("no typedef {name}"),
            },
            other => other.clone(),
        }
    }

    /// Bytes of a type.
    pub fn size(&self, ty: &Type, unit: Option<&str>) -> u64 {
        self.size_align(ty, unit).0
    }

    fn size_align(&self, ty: &Type, unit: Option<&str>) -> (u64, u64) {
        match ty {
            Type::Void => (0, 1),
            Type::Base(name) => {
                let size = self.base_size(name);
                (size, if size == 8 { self.abi.align64 } else { size })
            }
            Type::Pointer(_) => (self.abi.word, self.abi.word),
            Type::Array(element, count) => {
                let (size, align) = self.size_align(element, unit);
                (size * count, align)
            }
            Type::Named(tag) => {
                let layout = self.scoped(tag, unit);
                (layout.size, layout.align)
            }
            Type::Anonymous(record) => {
                let layout = self.lay_out(record);
                (layout.size, layout.align)
            }
            Type::Typedef(_) => self.size_align(&self.resolved(ty), unit),
            Type::Enum(_) => (4, 4),
        }
    }

    /// Bytes of a base type.
    pub(crate) fn base_size(&self, name: &str) -> u64 {
        match name {
            "char" | "signed char" | "unsigned char" => 1,
            "short int" | "short unsigned int" => 2,
            "int" | "unsigned int" => 4,
            "long int" | "long unsigned int" => self.abi.word,
            _ => 8,
        }
    }

    fn lay_out(&self, record: &Record) -> Layout {
        let unit = record.units.first().map(|u| stem(u));
        let mut bit = 0_u64; // next free bit
        let mut size = 0_u64;
        let mut align = 1_u64;
        let mut members = Vec::new();
        for (name, ty, width) in &record.members {
            let inner = match ty {
                Type::Anonymous(record) => Some(Box::new(self.lay_out(record))),
                _ => None,
            };
            let (bytes, natural) = self.size_align(ty, unit);
            let natural = if record.packed { 1 } else { natural };
            align = align.max(natural);
            if record.is_union {
                bit = 0;
            }
            let (offset, bits) = match width {
                Some(width) => {
                    let unit_bits = bytes * 8;
                    let width64 = u64::from(*width);
                    if bit / unit_bits != (bit + width64 - 1) / unit_bits {
                        bit = bit.next_multiple_of(unit_bits);
                    }
                    let within = bit % unit_bits;
                    let shift = match self.abi.endian {
                        Endian::Little => within,
                        Endian::Big => unit_bits - within - width64,
                    };
                    let offset = bit / unit_bits * bytes;
                    bit += width64;
                    (offset, Some((shift as u8, *width)))
                }
                None => {
                    let offset = bit.div_ceil(8).next_multiple_of(natural);
                    bit = (offset + bytes) * 8;
                    (offset, None)
                }
            };
            size = size.max(bit.div_ceil(8));
            members.push(Member { name: name.clone(), offset, ty: ty.clone(), inner, bits });
        }
        align = align.max(record.align.unwrap_or(1));
        Layout {
            name: record.name.clone(),
            is_union: record.is_union,
            size: size.next_multiple_of(align),
            align,
            members,
            units: record.units.clone(),
        }
    }
}

/// File stem of a compile unit: `ltt/ltt-relay.c` → `ltt-relay`.
pub(crate) fn stem(unit: &str) -> &str {
    let name = unit.rsplit('/').next().unwrap_or(unit);
    name.split('.').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn types(abi: Abi, source: &str) -> Types {
        let mut declarations = Declarations::default();
        declarations.parse(source, &BTreeMap::new());
        Types::new(abi, declarations)
    }

    const I386: Abi = Abi { endian: Endian::Little, word: 4, align64: 4 };
    const BE64: Abi = Abi { endian: Endian::Big, word: 8, align64: 8 };

    #[test]
    fn u64_is_aligned_as_the_abi_says() {
        let source = "struct s { u8 a; u64 b; long c; u16 d; };";
        let s = types(I386, source);
        assert_eq!((s.place("s", "b").offset, s.place("s", "c").offset, s.get("s").size), (4, 12, 20));
        let s = types(BE64, source);
        assert_eq!((s.place("s", "b").offset, s.place("s", "d").offset, s.get("s").size), (8, 24, 32));
    }

    #[test]
    fn bit_fields_count_from_the_first_byte_in_memory() {
        let source = "struct s { u32 a; int o:1; int p:1; u16 b; };";
        let little = types(I386, source);
        assert_eq!(little.place("s", "p"), Place { offset: 4, size: 4, bits: Some((1, 1)) });
        assert_eq!(little.place("s", "b").offset, 6);
        assert_eq!(types(BE64, source).place("s", "p").bits, Some((30, 1)));
    }

    #[test]
    fn homonyms_and_anonymous_levels() {
        let source =
            "unit a/x.c; struct s { int a; }; unit b/y.c; struct s { u64 q; union { int b; u8 c[4]; }; };
            struct t { struct s s; int z; };";
        let t = types(I386, source);
        assert_eq!(t.get("s").size, 4);
        assert_eq!(t.place("s@y", "c[2]"), Place { offset: 10, size: 1, bits: None });
        assert_eq!(t.place("t@y", "z").offset, 12);
    }
}
