//! Declared types to nodes: the names of lengths and tags are looked up as TSDL says.
//!
//! A name means the nearest field before it: in the same structure, in the structures around it, then in the parts of the
//! event before. A path may also name a part from its root: `stream.event.context.len`.

use std::collections::HashMap;
use std::sync::Arc;

use super::enumeration::Ranges;
use super::integer::Role;
use super::node::{Kind, Length, Member, Node, member_offset};
use super::tsdl::Type;
use super::tsdl::types::{FloatType, IntegerType, LengthType, Mapping, MemberType, TypeKind};
use super::{Enumeration, Error, Integer, Result, slots};
use crate::ltt::Endian;

/// The parts of an event whose fields can be referred to, in the order in which they lie in a packet.
pub(super) const SCOPES: [&[&str]; 4] = [
    &["stream", "event", "header"],
    &["stream", "event", "context"],
    &["event", "context"],
    &["event", "fields"],
];
/// Of these, the ones that all events of a stream share.
pub(super) const SHARED_SCOPES: usize = 2;

/// Child by child from the root of a scope.
type Steps = Vec<usize>;

/// What all types of one text are compiled with.
#[derive(Debug)]
pub(super) struct Compiler {
    endian: Endian,
    /// Nodes that may still be made. Types that are declared once and used again and again would otherwise unfold to any
    /// size; tracers spell out nearly all of them, with dozens of bytes for each.
    nodes: u64,
    /// Comparisons that may still be made in looking up names.
    comparisons: u64,
    /// Enumerations are declared once and used often; compiled ones by the address of their mappings.
    enumerations: HashMap<*const Mapping, Arc<Enumeration>>,
}

/// Slots that are taken, by scope and place.
#[derive(Debug, Default)]
pub(super) struct SlotTable {
    taken: HashMap<(usize, Steps), u8>,
    next: usize,
}

impl SlotTable {
    /// For the scopes of a single event.
    pub(super) fn of_event() -> SlotTable {
        SlotTable { taken: HashMap::new(), next: slots::SHARED }
    }
}

/// Where the fields of one event are looked up, and where the slots for them are noted.
pub(super) struct Context<'c> {
    /// For messages.
    pub(super) place: &'c str,
    /// The parts before: `None` where the stream or event has none.
    pub(super) before: Vec<Option<&'c mut Node>>,
    pub(super) shared: &'c mut SlotTable,
    pub(super) own: &'c mut SlotTable,
    /// Set when a part refers to one before.
    pub(super) reaches_out: bool,
}

/// A structure that is being put together: fields so far, and the way to it.
struct Frame {
    members: Vec<Member>,
    steps: Steps,
}

/// State while one part is compiled.
struct Part<'p, 'c> {
    compiler: &'p mut Compiler,
    context: &'p mut Context<'c>,
    frames: Vec<Frame>,
    /// Way to the node that is being compiled.
    steps: Steps,
    /// Slots that nodes of this very part have to fill.
    fills: Vec<(Steps, u8)>,
}

impl Compiler {
    pub(super) fn new(endian: Endian, text_len: usize) -> Compiler {
        let text_len = text_len as u64;
        Compiler {
            endian,
            nodes: (text_len / 4).saturating_add(1 << 14),
            comparisons: text_len.saturating_mul(4).saturating_add(1 << 20),
            enumerations: HashMap::new(),
        }
    }

    /// Compiles the part that follows the ones in `context`.
    pub(super) fn compile(&mut self, kind: &Type, context: &mut Context<'_>) -> Result<Node> {
        spend(&mut self.nodes, kind.nodes(), context.place)?;
        let mut part =
            Part { compiler: self, context, frames: Vec::new(), steps: Vec::new(), fills: Vec::new() };
        let mut node = part.node(kind)?;
        for (steps, slot) in part.fills {
            fill(&mut node, &steps, slot);
        }
        Ok(node)
    }

    fn integer(&self, integer: &IntegerType) -> Integer {
        Integer {
            size: integer.size,
            signed: integer.signed,
            base: integer.base,
            endian: integer.byte_order.unwrap_or(self.endian),
            role: if integer.clock { Role::Time } else { Role::None },
            slot: None,
        }
    }

    fn enumeration(&mut self, mappings: &Arc<[Mapping]>) -> Option<Arc<Enumeration>> {
        let compiled =
            || Enumeration::new(mappings.iter().map(|mapping| (&*mapping.label, mapping.from, mapping.to)));
        if mappings.is_empty() {
            return compiled().map(Arc::new);
        }
        if let Some(known) = self.enumerations.get(&mappings.as_ptr()) {
            return Some(known.clone());
        }
        let compiled = Arc::new(compiled()?);
        self.enumerations.insert(mappings.as_ptr(), compiled.clone());
        Some(compiled)
    }
}

impl Part<'_, '_> {
    fn error(&self, what: &'static str, expected: &'static str, found: impl Into<String>) -> Error {
        Error::Class { what, place: self.context.place.into(), expected, found: found.into() }
    }

    fn node(&mut self, kind: &Type) -> Result<Node> {
        match &kind.kind {
            TypeKind::Integer(integer) => {
                Ok(Node::new(Kind::Integer(self.compiler.integer(integer)), integer.align))
            }
            TypeKind::Float(FloatType { size, align, byte_order }) => {
                let endian = byte_order.unwrap_or(self.compiler.endian);
                Ok(Node::new(Kind::Float(*size, endian), *align))
            }
            TypeKind::String => Ok(Node::new(Kind::String, 8)),
            TypeKind::Enumeration { container, mappings } => {
                let enumeration = self.compiler.enumeration(mappings).ok_or_else(|| {
                    self.error("enumeration", "few overlapping ranges", "more than are ever used")
                })?;
                let integer = self.compiler.integer(container);
                Ok(Node::new(Kind::Enum(integer, enumeration), container.align))
            }
            TypeKind::Struct { members, align } => self.structure(members, *align),
            TypeKind::Variant { tag, options } => self.variant(tag.as_deref(), options),
            TypeKind::Array { element, length } => self.array(element, length),
        }
    }

    fn structure(&mut self, members: &[MemberType], align: u64) -> Result<Node> {
        let frame = Frame { members: Vec::with_capacity(members.len()), steps: self.steps.clone() };
        self.frames.push(frame);
        let mut widest = align;
        for (step, member) in members.iter().enumerate() {
            let node = self.child(step, &member.kind)?;
            widest = widest.max(node.align);
            if let Some(Frame { members, .. }) = self.frames.last_mut() {
                let at = member_offset(members, node.align);
                members.push(Member::new(member, at, node));
            }
        }
        let members = self.frames.pop().map(|frame| frame.members).unwrap_or_default();
        Ok(Node::new(Kind::Struct(members.into()), widest))
    }

    fn child(&mut self, step: usize, kind: &Type) -> Result<Node> {
        self.steps.push(step);
        let node = self.node(kind)?;
        self.steps.pop();
        Ok(node)
    }

    fn variant(&mut self, tag: Option<&[Box<str>]>, options: &[MemberType]) -> Result<Node> {
        let tag = tag.ok_or_else(|| self.error("variant", "a tag", "none"))?;
        let (slot, Kind::Enum(integer, enumeration)) = self.refer(tag)? else {
            return Err(self.error("tag of a variant", "an enumeration", tag.join(".")));
        };
        let places: HashMap<&str, usize> =
            options.iter().enumerate().map(|(place, option)| (&*option.name, place)).collect();
        let labels = enumeration.ranges().count() as u64;
        spend(&mut self.compiler.comparisons, labels, self.context.place)?;
        let ranges = enumeration
            .ranges()
            .filter_map(|(from, to, label)| places.get(label).map(|place| (from, to, *place)));
        let choice = Ranges::new(ranges.collect());
        let choice = choice.ok_or_else(|| self.error("variant", "few overlapping tags", "too many"))?;
        let mut compiled = Vec::with_capacity(options.len());
        for (step, option) in options.iter().enumerate() {
            let node = self.child(step, &option.kind)?;
            compiled.push(Member::new(option, None, node));
        }
        let options = compiled.into();
        Ok(Node::new(Kind::Variant { tag: slot, signed: integer.signed, choice, options }, 1))
    }

    fn array(&mut self, element: &Type, length: &LengthType) -> Result<Node> {
        let length = match length {
            LengthType::Static(length) => Length::Static(*length),
            LengthType::Field(path) => match self.refer(path)? {
                (slot, Kind::Integer(_) | Kind::Enum(..)) => Length::Slot(slot),
                _ => return Err(self.error("length of a sequence", "an integer", path.join("."))),
            },
        };
        let characters = match &element.kind {
            TypeKind::Integer(integer) | TypeKind::Enumeration { container: integer, .. } => {
                integer.text && integer.size == 8 && integer.align == 8
            }
            _ => false,
        };
        if characters {
            return Ok(Node::new(Kind::Text(length), 8));
        }
        let element = self.child(0, element)?;
        let align = element.align;
        Ok(Node::new(Kind::Array(element.into(), length), align))
    }

    /// Slot and kind of the field that a path means; the slot is noted to be filled.
    fn refer(&mut self, path: &[Box<str>]) -> Result<(u8, Kind)> {
        let current = self.context.before.len();
        let own = self.frames.iter().map(|frame| frame.members.len());
        let before = self.context.before.iter().flatten().map(|node| match &node.kind {
            Kind::Struct(members) => members.len(),
            _ => 0,
        });
        let comparisons = own.chain(before).map(|len| len as u64 + 1).sum();
        spend(&mut self.compiler.comparisons, comparisons, self.context.place)?;
        let rooted = SCOPES.iter().enumerate().find_map(|(scope, root)| {
            let (start, rest) = path.split_at_checked(root.len())?;
            (!rest.is_empty() && start.iter().zip(*root).all(|(name, part)| **name == **part))
                .then_some((scope, rest))
        });
        let found = match rooted {
            Some((scope, rest)) => self.in_scope(scope, rest),
            None => self
                .in_frames(self.frames.len(), path)
                .or_else(|| (0..current).rev().find_map(|scope| self.in_scope(scope, path))),
        };
        let (scope, steps, kind) = found.ok_or_else(|| {
            self.error("length or tag", "the name of a field before it", format!("`{}`", path.join(".")))
        })?;
        let slot = self.slot(scope, &steps)?;
        if scope == current {
            self.fills.push((steps, slot));
        } else {
            self.context.reaches_out = true;
            if let Some(Some(root)) = self.context.before.get_mut(scope) {
                fill(root, &steps, slot);
            }
        }
        Ok((slot, kind))
    }

    /// Looks the path up in the innermost `depth` structures that are being put together.
    fn in_frames(&self, depth: usize, path: &[Box<str>]) -> Option<(usize, Steps, Kind)> {
        self.frames.iter().take(depth).rev().find_map(|frame| {
            let (steps, kind) = descend(&frame.members, path, frame.steps.clone())?;
            Some((self.context.before.len(), steps, kind))
        })
    }

    /// Looks the path up from the root of a scope, which may be the one that is being compiled.
    fn in_scope(&self, scope: usize, path: &[Box<str>]) -> Option<(usize, Steps, Kind)> {
        if scope == self.context.before.len() {
            return self.in_frames(1, path);
        }
        let Kind::Struct(members) = &self.context.before.get(scope)?.as_ref()?.kind else { return None };
        let (steps, kind) = descend(members, path, Steps::new())?;
        Some((scope, steps, kind))
    }

    fn slot(&mut self, scope: usize, steps: &Steps) -> Result<u8> {
        let (table, limit) = if scope < SHARED_SCOPES {
            (&mut *self.context.shared, slots::SHARED)
        } else {
            (&mut *self.context.own, slots::COUNT)
        };
        if let Some(slot) = table.taken.get(&(scope, steps.clone())) {
            return Ok(*slot);
        }
        match u8::try_from(table.next) {
            Ok(slot) if table.next < limit => {
                table.next += 1;
                table.taken.insert((scope, steps.clone()), slot);
                Ok(slot)
            }
            _ => Err(self.error("lengths and tags", "fewer different ones", "more than any tracer uses")),
        }
    }
}

fn spend(budget: &mut u64, cost: u64, place: &str) -> Result<()> {
    *budget = budget.checked_sub(cost).ok_or_else(|| Error::Class {
        what: "size",
        place: place.into(),
        expected: "types in proportion to their text",
        found: "far more fields than text".into(),
    })?;
    Ok(())
}

/// Follows names through nested structures.
fn descend(members: &[Member], path: &[Box<str>], mut steps: Steps) -> Option<(Steps, Kind)> {
    let (name, rest) = path.split_first()?;
    let step = members.iter().rposition(|member| *member.name == **name)?;
    let node = &members.get(step)?.node;
    steps.push(step);
    match &node.kind {
        Kind::Struct(members) if !rest.is_empty() => descend(members, rest, steps),
        Kind::Integer(integer) if rest.is_empty() => Some((steps, Kind::Integer(*integer))),
        Kind::Enum(integer, labels) if rest.is_empty() => Some((steps, Kind::Enum(*integer, labels.clone()))),
        _ => None,
    }
}

/// Makes the integer at the end of `steps` fill a slot.
fn fill(root: &mut Node, steps: &[usize], slot: u8) {
    let mut node = root;
    for step in steps {
        node.stores = true;
        let Some(child) = node.child(*step) else { return };
        node = child;
    }
    node.stores = true;
    if let Kind::Integer(integer) | Kind::Enum(integer, _) = &mut node.kind {
        integer.slot = Some(slot);
    }
}
