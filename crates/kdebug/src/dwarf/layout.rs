//! From entries to layouts: members, types and what they refer to.

use super::cursor::Cursor;
use super::expr::{constant, dimension, member_location};
use super::units::{Debug, Entry};
use crate::assembly::{Assembly, Begin};
use crate::bits::BitRange;
use crate::error::Result;
use crate::types::{Bits, Member, Struct, StructKind, Type};
use gimli::{AttributeValue, DwAt, DwTag};

/// Qualifiers, typedefs and pointers that may follow each other; ends loops of references.
const MAX_HOPS: u8 = 64;
/// Arrays of typedefs of arrays.
const MAX_ARRAYS: u8 = 4;
/// Dimensions of an array. They are read for each use of the array, so their number is limited, while
/// structs are read once.
const MAX_DIMENSIONS: usize = 16;

/// Unit and offset of an entry.
type Place = (usize, usize);

/// Builds definitions out of their entries.
#[derive(Debug)]
pub(crate) struct Builder<'d, 'a> {
    debug: &'d Debug<'a>,
    assembly: Assembly<Place>,
}

/// The struct that a definition or a chain of typedefs and qualifiers leads to, with the last
/// typedef's name on the way, which names it if it has no tag. `None` if it is no struct or not
/// defined in this file.
pub(crate) fn structure_behind(debug: &Debug<'_>, from: Place) -> Result<Option<(Place, String)>> {
    let mut place = from;
    let mut alias = String::new();
    for _ in 0..MAX_HOPS {
        let entry = debug.entry(place.0, place.1)?;
        match entry.tag() {
            gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                return Ok(complete(debug, place, &entry)?.map(|place| (place, alias)));
            }
            gimli::DW_TAG_typedef => alias = name(debug, place.0, &entry)?,
            tag if is_qualifier(tag) => {}
            _ => return Ok(None),
        }
        match reference(debug, place.0, &entry, gimli::DW_AT_type)? {
            Some(next) => place = next,
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// The entry itself if it is a definition; if it stands for one in a type unit, that one.
fn complete<'a>(debug: &Debug<'a>, place: Place, entry: &Entry<'a>) -> Result<Option<Place>> {
    if let Some(signature) = entry.attr_value_raw(gimli::DW_AT_signature) {
        return debug.target(place.0, &signature);
    }
    let declared = matches!(entry.attr_value_raw(gimli::DW_AT_declaration), Some(AttributeValue::Flag(true)));
    Ok((!declared).then_some(place))
}

fn is_qualifier(tag: DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_const_type
            | gimli::DW_TAG_volatile_type
            | gimli::DW_TAG_restrict_type
            | gimli::DW_TAG_atomic_type
            | gimli::DW_TAG_packed_type
            | gimli::DW_TAG_shared_type
    )
}

fn name<'a>(debug: &Debug<'a>, unit: usize, entry: &Entry<'a>) -> Result<String> {
    match entry.attr_value_raw(gimli::DW_AT_name) {
        Some(value) => debug.text(unit, &value),
        None => Ok(String::new()),
    }
}

fn reference<'a>(debug: &Debug<'a>, unit: usize, entry: &Entry<'a>, at: DwAt) -> Result<Option<Place>> {
    match entry.attr_value_raw(at) {
        Some(value) => debug.target(unit, &value),
        None => Ok(None),
    }
}

fn number(entry: &Entry<'_>, at: DwAt) -> Option<i128> {
    constant(&entry.attr_value_raw(at)?)
}

fn unsigned(entry: &Entry<'_>, at: DwAt) -> Option<u64> {
    u64::try_from(number(entry, at)?).ok()
}

impl<'d, 'a> Builder<'d, 'a> {
    pub(crate) fn new(debug: &'d Debug<'a>) -> Self {
        Builder { debug, assembly: Assembly::new() }
    }

    /// The struct that an entry of the top level defines or is a typedef of.
    pub(crate) fn definition(mut self, unit: usize, offset: usize) -> Result<Option<Struct>> {
        let Some((place, alias)) = structure_behind(self.debug, (unit, offset))? else {
            return Ok(None);
        };
        Ok(match self.structure(place, &alias)? {
            Type::Struct(built) => Some(Struct::clone(&built)),
            _ => None,
        })
    }

    fn structure(&mut self, place: Place, alias: &str) -> Result<Type> {
        let entry = self.debug.entry(place.0, place.1)?;
        let mut own = name(self.debug, place.0, &entry)?;
        if own.is_empty() {
            alias.clone_into(&mut own);
        }
        match self.assembly.begin(place) {
            Begin::Done(built) => return Ok(Type::Struct(built)),
            Begin::Refused => return Ok(Type::Opaque { name: own }),
            Begin::Build => {}
        }
        let kind = match entry.tag() {
            gimli::DW_TAG_union_type => StructKind::Union,
            _ => StructKind::Struct,
        };
        let size = unsigned(&entry, gimli::DW_AT_byte_size).unwrap_or(0);
        let mut members = Vec::new();
        for child in self.children(place, gimli::DW_TAG_member, usize::MAX)? {
            members.extend(self.member(place.0, &child, size)?);
        }
        let built = Struct { name: own, kind, size, units: Vec::new(), members };
        let opaque = Type::Opaque { name: built.name.clone() };
        Ok(self.assembly.finish(built).map_or(opaque, Type::Struct))
    }

    /// The children of an entry that have a certain tag, among the first `limit` entries below it.
    fn children(&self, place: Place, tag: DwTag, limit: usize) -> Result<Vec<Entry<'a>>> {
        let mut children = Vec::new();
        let Some(unit) = self.debug.unit(place.0) else { return Ok(children) };
        let mut offset = place.1;
        let mut read = || {
            let mut cursor = Cursor::new(unit, place.1)?;
            let Some(own) = cursor.abbreviation()? else { return Ok(()) };
            cursor.skip_attributes(own)?;
            if !own.has_children {
                return Ok(());
            }
            // Depth of the next entry: 1 for the children themselves.
            let mut depth = 1usize;
            for _ in 0..limit {
                if depth == 0 || cursor.is_empty() {
                    break;
                }
                offset = cursor.offset();
                let Some(entry) = cursor.entry()? else {
                    depth = depth.saturating_sub(1);
                    continue;
                };
                let deeper = entry.has_children();
                if depth == 1 && entry.tag() == tag {
                    children.push(entry);
                }
                depth = depth.saturating_add(usize::from(deeper));
            }
            Ok(())
        };
        read().map_err(|error| self.debug.damaged(&unit.header, offset, error))?;
        Ok(children)
    }

    /// A member; `None` for one without a place in the struct (static members, or an expression that
    /// depends on the object).
    fn member(&mut self, unit: usize, entry: &Entry<'a>, struct_size: u64) -> Result<Option<Member>> {
        let Some(encoding) = self.debug.unit(unit).map(|unit| unit.header.encoding()) else {
            return Ok(None);
        };
        let location = entry.attr_value_raw(gimli::DW_AT_data_member_location);
        let Some(offset) = member_location(location.as_ref(), encoding) else { return Ok(None) };
        let ty = self.referred(unit, entry, 0)?;
        let name = name(self.debug, unit, entry)?;
        if unsigned(entry, gimli::DW_AT_bit_size).is_none() {
            return Ok(Some(Member { name, offset, ty, bits: None }));
        }
        let bits = self.bits(entry, offset, &ty, struct_size);
        Ok(bits.map(|bits| Member { name, offset: bits.storage_offset, ty, bits: Some(bits) }))
    }

    /// The three ways to place a bit-field: from the start of the struct (DWARF 4 and 5), from the
    /// top of a storage unit (DWARF 2 and 3), or not at all, in unions.
    fn bits(&self, entry: &Entry<'a>, location: u64, ty: &Type, struct_size: u64) -> Option<Bits> {
        let width = unsigned(entry, gimli::DW_AT_bit_size)?;
        let size = unsigned(entry, gimli::DW_AT_byte_size).or_else(|| ty.size())?;
        let endian = self.debug.endian;
        let range = if let Some(start) = unsigned(entry, gimli::DW_AT_data_bit_offset) {
            BitRange { start: location.checked_mul(8)?.checked_add(start)?, width }
        } else if let Some(from_top) = number(entry, gimli::DW_AT_bit_offset) {
            BitRange::from_storage(location, size, i64::try_from(from_top).ok()?, width, endian)?
        } else {
            BitRange { start: location.checked_mul(8)?, width }
        };
        range.storage(size, struct_size, ty.is_signed(), endian)
    }

    /// The type that an entry's `DW_AT_type` refers to, none being `void`; `arrays` counts those
    /// around it.
    fn referred(&mut self, unit: usize, entry: &Entry<'a>, arrays: u8) -> Result<Type> {
        match reference(self.debug, unit, entry, gimli::DW_AT_type)? {
            Some(place) => self.ty(place, arrays),
            None if entry.has_attr(gimli::DW_AT_type) => Ok(Type::Opaque { name: String::new() }),
            None => Ok(Type::Void),
        }
    }

    fn ty(&mut self, from: Place, arrays: u8) -> Result<Type> {
        let mut place = from;
        let mut alias = String::new();
        for _ in 0..MAX_HOPS {
            let entry = self.debug.entry(place.0, place.1)?;
            let size = unsigned(&entry, gimli::DW_AT_byte_size);
            match entry.tag() {
                tag if is_qualifier(tag) => {}
                gimli::DW_TAG_typedef => alias = name(self.debug, place.0, &entry)?,
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                    return match complete(self.debug, place, &entry)? {
                        Some(place) => self.structure(place, &alias),
                        None => Ok(Type::Opaque { name: name(self.debug, place.0, &entry)? }),
                    };
                }
                gimli::DW_TAG_base_type => return Ok(base(&entry, size.unwrap_or(0))),
                gimli::DW_TAG_enumeration_type => {
                    let own = name(self.debug, place.0, &entry)?;
                    let name = [own, alias].into_iter().find(|name| !name.is_empty());
                    return Ok(Type::Enum { name, size: size.unwrap_or(0) });
                }
                gimli::DW_TAG_pointer_type => return self.pointer(place, &entry),
                gimli::DW_TAG_array_type if arrays < MAX_ARRAYS => {
                    let elem = self.referred(place.0, &entry, arrays + 1)?;
                    return self.array(place, elem);
                }
                gimli::DW_TAG_subroutine_type => return Ok(Type::Function),
                gimli::DW_TAG_unspecified_type => return Ok(Type::Void),
                _ => return Ok(Type::Opaque { name: name(self.debug, place.0, &entry)? }),
            }
            match reference(self.debug, place.0, &entry, gimli::DW_AT_type)? {
                Some(next) => place = next,
                None if entry.has_attr(gimli::DW_AT_type) => break,
                None => return Ok(Type::Void),
            }
        }
        Ok(Type::Opaque { name: alias })
    }

    /// Follows pointers to the struct at their end only as far as its name.
    fn pointer(&self, from: Place, first: &Entry<'a>) -> Result<Type> {
        let address_size = self.debug.unit(from.0).map_or(0, |unit| unit.header.address_size());
        let size = unsigned(first, gimli::DW_AT_byte_size).unwrap_or_else(|| u64::from(address_size));
        let mut depth = 0u8;
        let mut alias = String::new();
        let mut place = from;
        for _ in 0..MAX_HOPS {
            let entry = self.debug.entry(place.0, place.1)?;
            match entry.tag() {
                gimli::DW_TAG_pointer_type => {
                    depth = depth.saturating_add(1);
                    alias.clear();
                }
                gimli::DW_TAG_typedef => alias = name(self.debug, place.0, &entry)?,
                gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => {
                    let tag = name(self.debug, place.0, &entry)?;
                    let to = [tag, alias].into_iter().find(|name| !name.is_empty());
                    return Ok(Type::Pointer { size, to, depth });
                }
                tag if is_qualifier(tag) => {}
                _ => break,
            }
            match reference(self.debug, place.0, &entry, gimli::DW_AT_type)? {
                Some(next) => place = next,
                None => break,
            }
        }
        Ok(Type::Pointer { size, to: None, depth: depth.max(1) })
    }

    fn array(&self, place: Place, elem: Type) -> Result<Type> {
        let dimensions = self.children(place, gimli::DW_TAG_subrange_type, MAX_DIMENSIONS + 1)?;
        if dimensions.len() > MAX_DIMENSIONS {
            return Ok(Type::Opaque { name: String::new() });
        }
        if dimensions.is_empty() {
            return Ok(Type::Array { elem: Box::new(elem), count: None });
        }
        Ok(dimensions.iter().rev().fold(elem, |elem, entry| {
            let count = entry.attr_value_raw(gimli::DW_AT_count);
            let upper_bound = entry.attr_value_raw(gimli::DW_AT_upper_bound);
            let count = dimension(count.as_ref(), upper_bound.as_ref());
            Type::Array { elem: Box::new(elem), count }
        }))
    }
}

fn base(entry: &Entry<'_>, size: u64) -> Type {
    let encoding = match entry.attr_value(gimli::DW_AT_encoding) {
        Some(AttributeValue::Encoding(encoding)) => encoding,
        _ => gimli::DW_ATE_unsigned,
    };
    match encoding {
        gimli::DW_ATE_float | gimli::DW_ATE_complex_float => Type::Float { size },
        gimli::DW_ATE_signed | gimli::DW_ATE_signed_char => Type::Int { size, signed: true },
        _ => Type::Int { size, signed: false },
    }
}
