//! Types ready to be read: byte orders known, names of lengths and tags resolved, offsets precomputed.
//!
//! A declared type is unfolded into a tree of nodes, one tree for each of the five parts of an event. A length or tag
//! that a later field needs goes into a *slot*, numbered at build time; so reading follows no names.

use std::sync::Arc;

use super::enumeration::Ranges;
use super::tsdl::types::MemberType;
use super::{Enumeration, Integer};
use crate::ltt::Endian;

/// A type at one place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Alignment in bits from the start of the packet: a power of two.
    pub(super) align: u64,
    /// Bits of every value, if they all have as many.
    pub(super) size: Option<u64>,
    /// Whether a slot is filled somewhere within.
    pub(super) stores: bool,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Integer(Integer),
    Enum(Integer, Arc<Enumeration>),
    /// 32 or 64 bits.
    Float(u8, Endian),
    String,
    /// Characters up to a NUL in a field of this many bytes.
    Text(Length),
    Array(Box<Node>, Length),
    Struct(Box<[Member]>),
    Variant {
        /// Slot of the tag.
        tag: u8,
        /// Whether the tag is to be compared as a signed number.
        signed: bool,
        /// Tag to index of the option.
        choice: Ranges,
        options: Box<[Member]>,
    },
}

/// A field of a structure or an option of a variant.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// As in the text.
    pub(super) name: Arc<str>,
    /// `, name = `: how a line of text goes on with it.
    pub(super) label: Arc<str>,
    /// Bits from the start of the structure, if always the same.
    pub(super) at: Option<u64>,
    /// Whether it serves to read the packet, and is no content.
    pub(super) hidden: bool,
    pub(super) node: Node,
}

impl Member {
    pub(super) fn new(declared: &MemberType, at: Option<u64>, node: Node) -> Member {
        let MemberType { name, label, .. } = declared;
        Member { name: name.clone(), label: label.clone(), at, hidden: false, node }
    }

    /// The name as readers of traces show it: tracers put an underscore before each name, so that it is no keyword.
    #[inline]
    pub(super) fn shown(&self) -> &str {
        self.name.strip_prefix('_').unwrap_or(&self.name)
    }
}

/// Number of elements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Static(u64),
    Slot(u8),
}

impl Node {
    /// A node without slots; its size is filled in by what it is made of.
    pub(super) fn new(kind: Kind, align: u64) -> Node {
        let size = match &kind {
            Kind::Integer(integer) | Kind::Enum(integer, _) => Some(u64::from(integer.size)),
            Kind::Float(size, _) => Some(u64::from(*size)),
            Kind::Text(Length::Static(bytes)) => bytes.checked_mul(8),
            Kind::Array(element, Length::Static(length)) => element.total(*length),
            Kind::Struct(members) => struct_size(members),
            Kind::String | Kind::Text(_) | Kind::Array(..) | Kind::Variant { .. } => None,
        };
        Node { align, size, stores: false, kind }
    }

    /// Bits from one element of an array to the next.
    pub(super) fn stride(&self) -> Option<u64> {
        self.size?.checked_next_multiple_of(self.align)
    }

    /// Bits of this many elements.
    pub(super) fn total(&self, length: u64) -> Option<u64> {
        match length.checked_sub(1) {
            None => Some(0),
            Some(before_last) => before_last.checked_mul(self.stride()?)?.checked_add(self.size?),
        }
    }

    /// The nodes directly below.
    pub(super) fn child(&mut self, step: usize) -> Option<&mut Node> {
        match &mut self.kind {
            Kind::Array(element, _) => Some(element),
            Kind::Struct(members) => members.get_mut(step).map(|member| &mut member.node),
            Kind::Variant { options, .. } => options.get_mut(step).map(|option| &mut option.node),
            _ => None,
        }
    }
}

fn struct_size(members: &[Member]) -> Option<u64> {
    match members.last() {
        None => Some(0),
        Some(last) => last.at?.checked_add(last.node.size?),
    }
}

/// Offset in its structure of a member that follows `before`.
pub(super) fn member_offset(before: &[Member], align: u64) -> Option<u64> {
    struct_size(before)?.checked_next_multiple_of(align)
}
