//! The model: structs, members and their types.

use std::sync::Arc;

/// More dotted paths than any kernel struct has; bounds [`Struct::flatten`] on hostile input.
const MAX_PATHS: usize = 1 << 16;

/// Different definitions kept of one name; kernels have up to three.
const MAX_DEFINITIONS: usize = 256;

/// Struct or union.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StructKind {
    /// Members one after the other.
    Struct,
    /// Members on top of each other.
    Union,
}

/// The layout of one definition of a struct or union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struct {
    /// Tag, or the typedef's name of an anonymous struct, or empty.
    pub name: String,
    /// Struct or union.
    pub kind: StructKind,
    /// Size in bytes, padding included: the stride of arrays of it.
    pub size: u64,
    /// Where this definition was seen: file stems of compile units (`ltt-relay-locked`) and names of
    /// modules. Empty = unknown, and always empty for structs nested in others.
    pub units: Vec<String>,
    /// In the order of the declaration.
    pub members: Vec<Member>,
}

/// One member of a [`Struct`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Empty for an anonymous struct or union, whose members belong to the outer one.
    pub name: String,
    /// Bytes from the start of the struct; of a bit-field: of its storage unit.
    pub offset: u64,
    /// Declared type, qualifiers and typedefs of scalars removed.
    pub ty: Type,
    /// Present when it is a bit-field.
    pub bits: Option<Bits>,
}

/// Where the bits of a bit-field are, the same way for every source, byte order and DWARF version:
/// load `storage_size` bytes at `storage_offset` in the target's byte order, shift right by `shift`,
/// keep `width` bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bits {
    /// Bytes from the start of the struct.
    pub storage_offset: u64,
    /// 1, 2, 4 or 8 bytes; never reaches beyond the struct.
    pub storage_size: u8,
    /// Bits right of the field in the loaded unit.
    pub shift: u8,
    /// Number of bits, 1 to 64.
    pub width: u8,
    /// Sign-extend the value: `int x:1` reads as 0 or -1.
    pub signed: bool,
}

/// Type of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `void`.
    Void,
    /// Integer, character or boolean.
    Int {
        /// Bytes.
        size: u64,
        /// Two's complement.
        signed: bool,
    },
    /// Floating point.
    Float {
        /// Bytes.
        size: u64,
    },
    /// Pointer to anything.
    Pointer {
        /// Bytes.
        size: u64,
        /// Name of the struct, union or typedef'd struct at the end of the pointers, if it is one.
        to: Option<String>,
        /// Number of pointers in a row: 1 for `T *`, 2 for `T **`.
        depth: u8,
    },
    /// Array; of several dimensions: arrays of arrays, the outermost first.
    Array {
        /// Element.
        elem: Box<Type>,
        /// Elements; `None` for a flexible array.
        count: Option<u64>,
    },
    /// A struct or union by value, complete.
    Struct(Arc<Struct>),
    /// Enumeration; its enumerators are in [`Types::enumerator`](crate::Types::enumerator).
    Enum {
        /// `None` when anonymous.
        name: Option<String>,
        /// Bytes.
        size: u64,
    },
    /// Function; only behind pointers.
    Function,
    /// Declared only, or nested beyond this crate's limits.
    Opaque {
        /// Name, possibly empty.
        name: String,
    },
}

/// A member found by its path, as seen from the outermost struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Bytes from the start of the outermost struct.
    pub offset: u64,
    /// Present for a bit-field, `storage_offset` counted from the outermost struct.
    pub bits: Option<Bits>,
    /// Type of the member.
    pub ty: &'a Type,
}

impl Type {
    /// Size in bytes; `None` for functions, opaque types and arrays of unknown length.
    pub fn size(&self) -> Option<u64> {
        match self {
            Type::Void => Some(0),
            Type::Int { size, .. }
            | Type::Float { size }
            | Type::Pointer { size, .. }
            | Type::Enum { size, .. } => Some(*size),
            Type::Array { elem, count } => elem.size()?.checked_mul((*count)?),
            Type::Struct(layout) => Some(layout.size),
            Type::Function | Type::Opaque { .. } => None,
        }
    }

    /// Whether a value of this type may be negative.
    pub(crate) fn is_signed(&self) -> bool {
        matches!(self, Type::Int { signed: true, .. })
    }
}

impl<'a> Field<'a> {
    fn of(member: &'a Member, base: u64) -> Self {
        Field {
            offset: base.wrapping_add(member.offset),
            bits: member
                .bits
                .map(|bits| Bits { storage_offset: base.wrapping_add(bits.storage_offset), ..bits }),
            ty: &member.ty,
        }
    }
}

impl Struct {
    /// Finds a member by its dotted path, `"a.buf_wsb"`. Members of anonymous structs and unions are
    /// found as if they were the outer struct's own. Does not step into arrays.
    pub fn member(&self, path: &str) -> Option<Field<'_>> {
        let mut components = path.split('.');
        let mut field = self.named(components.next()?, 0)?;
        for component in components {
            let Type::Struct(inner) = field.ty else { return None };
            field = inner.named(component, field.offset)?;
        }
        Some(field)
    }

    fn named(&self, name: &str, base: u64) -> Option<Field<'_>> {
        if name.is_empty() {
            return None;
        }
        // Own members first: cheaper, and C forbids a clash anyway.
        if let Some(member) = self.members.iter().find(|m| m.name == name) {
            return Some(Field::of(member, base));
        }
        self.members.iter().find_map(|member| match &member.ty {
            Type::Struct(inner) if member.name.is_empty() => {
                inner.named(name, base.wrapping_add(member.offset))
            }
            _ => None,
        })
    }

    /// Every path that [`member`](Self::member) would find, depth first in declaration order:
    /// a nested struct itself, then its members. At most 65 536 paths.
    pub fn flatten(&self) -> Vec<(String, Field<'_>)> {
        let mut paths = Vec::new();
        self.flatten_into("", 0, &mut paths);
        paths
    }

    fn flatten_into<'a>(&'a self, prefix: &str, base: u64, paths: &mut Vec<(String, Field<'a>)>) {
        for member in &self.members {
            if paths.len() >= MAX_PATHS {
                return;
            }
            let field = Field::of(member, base);
            let path = match (prefix, member.name.as_str()) {
                (outer, "") => outer.to_owned(),
                ("", name) => name.to_owned(),
                (outer, name) => format!("{outer}.{name}"),
            };
            if !member.name.is_empty() {
                paths.push((path.clone(), field));
            }
            if let Type::Struct(inner) = field.ty {
                inner.flatten_into(&path, field.offset, paths);
            }
        }
    }

    /// The same struct with fewer members: those that one of the dotted paths leads to or through, and all that the former
    /// contain. What is left of a struct inside is nameless, because it is not what its name stands for any more.
    #[must_use]
    pub fn with_members(&self, paths: &[&str]) -> Struct {
        self.pruned("", paths)
    }

    fn pruned(&self, prefix: &str, paths: &[&str]) -> Struct {
        let mut members = Vec::new();
        for member in &self.members {
            let path = match (prefix, member.name.as_str()) {
                (outer, "") => outer.to_owned(),
                ("", name) => name.to_owned(),
                (outer, name) => format!("{outer}.{name}"),
            };
            let is_named = !member.name.is_empty();
            if is_named && paths.contains(&path.as_str()) {
                members.push(member.clone());
                continue;
            }
            let Type::Struct(inner) = &member.ty else { continue };
            let is_on_the_way =
                |wanted: &&str| wanted.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.'));
            if is_named && !paths.iter().any(is_on_the_way) {
                continue;
            }
            let left = inner.pruned(&path, paths);
            if left.members.is_empty() {
                continue;
            }
            let whole = left.members == inner.members;
            let left =
                if whole { Arc::clone(inner) } else { Arc::new(Struct { name: String::new(), ..left }) };
            members.push(Member { ty: Type::Struct(left), ..member.clone() });
        }
        Struct { members, ..self.clone() }
    }

    /// Whether both describe the same bytes, wherever they were seen.
    pub fn same_layout(&self, other: &Struct) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.size == other.size
            && self.members == other.members
    }

    /// Whether this definition was seen in the compile unit or module `unit`; `-` and `_` compare
    /// equal because module names are written both ways.
    pub fn is_in(&self, unit: &str) -> bool {
        self.units.iter().any(|own| {
            own.len() == unit.len()
                && own
                    .bytes()
                    .zip(unit.bytes())
                    .all(|(a, b)| a == b || matches!((a, b), (b'-', b'_') | (b'_', b'-')))
        })
    }
}

/// Adds a definition to those known of its name: to the equal one, or as a new one.
pub(crate) fn merge(definitions: &mut Vec<Arc<Struct>>, new: Arc<Struct>) {
    let is_room = definitions.len() < MAX_DEFINITIONS;
    match definitions.iter_mut().find(|known| known.same_layout(&new)) {
        Some(known) => {
            let fresh: Vec<String> =
                new.units.iter().filter(|unit| !known.units.contains(unit)).cloned().collect();
            if !fresh.is_empty() {
                Arc::make_mut(known).units.extend(fresh);
            }
        }
        None if is_room => definitions.push(new),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, offset: u64, ty: Type) -> Member {
        Member { name: name.into(), offset, ty, bits: None }
    }

    fn structure(name: &str, size: u64, members: Vec<Member>) -> Struct {
        Struct { name: name.into(), kind: StructKind::Struct, size, units: Vec::new(), members }
    }

    const WORD: Type = Type::Int { size: 8, signed: false };

    fn nested() -> Struct {
        let bits = Bits { storage_offset: 0, storage_size: 4, shift: 3, width: 1, signed: true };
        let flag = Member {
            name: "flag".into(),
            offset: 0,
            ty: Type::Int { size: 4, signed: true },
            bits: Some(bits),
        };
        let deep = structure("", 16, vec![flag, member("deep", 8, WORD)]);
        let anonymous = structure("", 24, vec![member("", 8, Type::Struct(Arc::new(deep)))]);
        let named = structure("inner", 8, vec![member("x", 0, WORD)]);
        structure(
            "outer",
            40,
            vec![
                member("", 8, Type::Struct(Arc::new(anonymous))),
                member("a", 32, Type::Struct(Arc::new(named))),
            ],
        )
    }

    #[test]
    fn paths_cross_anonymous_levels_and_add_offsets() {
        let outer = nested();
        assert_eq!(outer.member("deep").unwrap().offset, 24);
        assert_eq!(outer.member("a.x").unwrap().offset, 32);
        let flag = outer.member("flag").unwrap();
        assert_eq!((flag.offset, flag.bits.unwrap().storage_offset), (16, 16));
        for absent in ["", "x", "a.", "a.y", "deep.x", ".a"] {
            assert!(outer.member(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn flatten_finds_what_member_finds() {
        let outer = nested();
        let paths = outer.flatten();
        let names: Vec<&str> = paths.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["flag", "deep", "a", "a.x"]);
        for (path, field) in &paths {
            assert_eq!(outer.member(path).as_ref(), Some(field), "{path}");
        }
    }

    #[test]
    fn fewer_members_are_where_they_were() {
        let outer = nested();
        let deep = outer.with_members(&["deep", "b", "a.y"]);
        let names: Vec<String> = deep.flatten().into_iter().map(|(path, _)| path).collect();
        assert_eq!(names, ["deep"], "no member a.y, so nothing of a");
        assert_eq!((deep.member("deep").unwrap().offset, deep.size, deep.name.as_str()), (24, 40, "outer"));
        assert_eq!(outer.with_members(&["a", "flag", "deep"]), outer);
        assert_eq!(outer.with_members(&["a.x", "flag", "deep"]), outer, "all of a");
        assert!(outer.with_members(&[]).members.is_empty());
    }

    #[test]
    fn sizes_multiply_and_never_overflow() {
        let array = |elem: Type, count| Type::Array { elem: Box::new(elem), count };
        assert_eq!(array(array(WORD, Some(3)), Some(2)).size(), Some(48));
        assert_eq!(array(WORD, None).size(), None);
        assert_eq!(array(WORD, Some(u64::MAX)).size(), None);
        assert_eq!(Type::Opaque { name: "x".into() }.size(), None);
    }

    #[test]
    fn equal_definitions_share_their_units() {
        let in_unit = |size, unit: &str| {
            Arc::new(Struct { units: vec![unit.into()], ..structure("s", size, Vec::new()) })
        };
        let mut known = Vec::new();
        for definition in [in_unit(8, "a"), in_unit(16, "b"), in_unit(8, "c-d"), in_unit(8, "a")] {
            merge(&mut known, definition);
        }
        assert_eq!(known.len(), 2);
        assert_eq!(known[0].units, ["a", "c-d"]);
        assert!(known[0].is_in("c_d") && !known[0].is_in("b") && known[1].is_in("b"));
    }
}
