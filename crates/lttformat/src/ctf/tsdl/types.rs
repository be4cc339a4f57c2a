//! Types as the text declares them: names not yet resolved, shared where the text shares them.

use std::sync::Arc;

use super::weight::Weight;
use crate::ltt::Endian;

/// A declared type. Cheap to clone: aliases share it.
pub(in super::super) type TypeRef = Arc<Type>;

/// A declared type and what it costs to use it.
#[derive(Clone, Debug)]
pub(in super::super) struct Type {
    pub(in super::super) kind: TypeKind,
    pub(super) weight: Weight,
}

#[derive(Clone, Debug)]
pub(in super::super) enum TypeKind {
    Integer(IntegerType),
    Float(FloatType),
    String,
    Enumeration { container: IntegerType, mappings: Arc<[Mapping]> },
    Struct { members: Vec<MemberType>, align: u64 },
    Variant { tag: Option<Path>, options: Arc<[MemberType]> },
    Array { element: TypeRef, length: LengthType },
}

/// `integer { … }`; a byte order of `None` is the trace's.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct IntegerType {
    pub(in super::super) size: u8,
    pub(in super::super) align: u64,
    pub(in super::super) signed: bool,
    pub(in super::super) base: u8,
    pub(in super::super) text: bool,
    pub(in super::super) byte_order: Option<Endian>,
    pub(in super::super) clock: bool,
}

/// `floating_point { … }` of 32 or 64 bits.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct FloatType {
    pub(in super::super) size: u8,
    pub(in super::super) align: u64,
    pub(in super::super) byte_order: Option<Endian>,
}

/// One label of an enumeration with its values, both ends included.
#[derive(Clone, Debug)]
pub(in super::super) struct Mapping {
    pub(in super::super) label: Box<str>,
    pub(in super::super) from: i128,
    pub(in super::super) to: i128,
}

/// A field of a structure or an option of a variant. Names are shared by all uses of the type.
#[derive(Clone, Debug)]
pub(in super::super) struct MemberType {
    /// As in the text.
    pub(in super::super) name: Arc<str>,
    /// `, name = `: how a line of text goes on with it.
    pub(in super::super) label: Arc<str>,
    pub(in super::super) kind: TypeRef,
}

impl MemberType {
    pub(super) fn new(name: &str, kind: TypeRef) -> MemberType {
        // Tracers put an underscore before each name, so that it is no keyword; readers do not show it.
        let label = format!(", {} = ", name.strip_prefix('_').unwrap_or(name));
        MemberType { name: name.into(), label: label.into(), kind }
    }
}

/// Names from a scope down to a field.
pub(in super::super) type Path = Vec<Box<str>>;

#[derive(Clone, Debug)]
pub(in super::super) enum LengthType {
    Static(u64),
    Field(Path),
}

impl Type {
    /// Nodes of its tree, shared ones counted as often as they are used.
    pub(in super::super) fn nodes(&self) -> u64 {
        self.weight.nodes()
    }

    pub(super) fn integer(integer: IntegerType) -> Type {
        Type { weight: Weight::leaf(u64::from(integer.size)), kind: TypeKind::Integer(integer) }
    }

    pub(super) fn float(float: FloatType) -> Type {
        Type { weight: Weight::leaf(u64::from(float.size)), kind: TypeKind::Float(float) }
    }

    pub(super) fn string() -> Type {
        Type { weight: Weight::leaf(8), kind: TypeKind::String }
    }

    pub(super) fn enumeration(container: IntegerType, mappings: Vec<Mapping>) -> Type {
        let weight = Weight::leaf(u64::from(container.size));
        Type { weight, kind: TypeKind::Enumeration { container, mappings: mappings.into() } }
    }

    pub(super) fn structure(members: Vec<MemberType>, align: u64) -> Type {
        let weight = Weight::structure(members.iter().map(|member| member.kind.weight));
        Type { weight, kind: TypeKind::Struct { members, align } }
    }

    pub(super) fn variant(tag: Option<Path>, options: Arc<[MemberType]>) -> Type {
        let weight = Weight::variant(options.iter().map(|option| option.kind.weight));
        Type { weight, kind: TypeKind::Variant { tag, options } }
    }

    /// A variant that was declared before, with a tag of its own. Cost: none, however many options it has, as it may be used often.
    pub(super) fn tagged(&self, tag: Path) -> Option<Type> {
        let TypeKind::Variant { options, .. } = &self.kind else { return None };
        Some(Type {
            kind: TypeKind::Variant { tag: Some(tag), options: options.clone() },
            weight: self.weight,
        })
    }

    pub(super) fn array(element: TypeRef, length: LengthType) -> Type {
        let weight = match length {
            LengthType::Static(length) => Weight::array(element.weight, length),
            LengthType::Field(_) => Weight::sequence(element.weight),
        };
        Type { weight, kind: TypeKind::Array { element, length } }
    }
}
