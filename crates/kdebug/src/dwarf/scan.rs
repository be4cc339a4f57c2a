//! The pass over all units that finds where the wanted names are defined.

use super::abbrev::Abbreviation;
use super::cursor::Cursor;
use super::damage::Damage;
use super::expr::constant;
use super::layout::structure_behind;
use super::names::Names;
use super::plan::{Passed, Passer};
use super::units::{Debug, Slice, Unit};
use crate::error::Result;
use crate::wanted::WantedSets;
use gimli::AttributeValue;
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is cheaply seen of a definition; equal for copies of one header's definition as long as the
/// compiler encodes them alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    tag: u16,
    size: u64,
    line: u64,
    /// Bytes of the entry with all its children.
    length: usize,
}

/// A definition of a wanted struct, union or typedef.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) name: u32,
    /// In its unit.
    pub(crate) offset: usize,
    pub(crate) shape: Shape,
}

/// What the pass found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Of each unit.
    pub(crate) hits: Vec<Vec<Hit>>,
    /// Name of the enumeration, name and value.
    pub(crate) enumerators: Vec<(String, String, i128)>,
    /// Units that were read to their end, or did not have to be.
    pub(crate) whole_units: usize,
}

/// What one unit yields.
#[derive(Debug, Default)]
struct Yield {
    hits: Vec<Hit>,
    enumerators: Vec<(String, String, i128)>,
}

/// Reads the top level of all units in parallel. The result does not depend on the order in which
/// threads get there.
///
/// Of a damaged unit comes what is before the damage.
pub(crate) fn scan(
    debug: &Debug<'_>,
    names: &Names,
    wanted: &WantedSets<'_>,
    damage: &mut Damage,
) -> Result<Scan> {
    let found = FirstUnits::new(names.len());
    let yields: Vec<_> = (0..debug.units.len())
        .into_par_iter()
        .map(|number| {
            if wanted.first_definition_only && found.all_before(number) {
                return (Yield::default(), Ok(true));
            }
            let Some(unit) = debug.unit(number).filter(|unit| !unit.is_lost) else {
                return (Yield::default(), Ok(false));
            };
            let mut pass = Pass { debug, unit, number, names, found: &found, out: Yield::default() };
            let mut offset = 0;
            let outcome = pass.run(&mut offset).map_err(|error| debug.damaged(&unit.header, offset, error));
            (pass.out, outcome.map(|()| true))
        })
        .collect();
    let mut scan = Scan { hits: Vec::new(), enumerators: Vec::new(), whole_units: 0 };
    for (unit, outcome) in yields {
        scan.hits.push(unit.hits);
        scan.enumerators.extend(unit.enumerators);
        match outcome {
            Ok(is_whole) => scan.whole_units = scan.whole_units.saturating_add(is_whole.into()),
            Err(error) => damage.add(error, "the rest of a compile unit is lost")?,
        }
    }
    Ok(scan)
}

/// The first unit in which each name was found, so that later ones need not be read. Only units
/// before are let decide about a unit, which makes the outcome deterministic.
#[derive(Debug)]
struct FirstUnits(Vec<AtomicUsize>);

impl FirstUnits {
    fn new(names: usize) -> Self {
        FirstUnits((0..names).map(|_| AtomicUsize::new(usize::MAX)).collect())
    }

    fn all_before(&self, unit: usize) -> bool {
        self.0.iter().all(|first| first.load(Ordering::Relaxed) < unit)
    }

    /// Whether some wanted enumeration or enumerator was not yet found before `unit`.
    fn enums_open(&self, names: &Names, unit: usize) -> bool {
        (0u32..)
            .zip(&self.0)
            .any(|(name, first)| names.is_enum(name) && first.load(Ordering::Relaxed) >= unit)
    }

    fn set(&self, name: u32, unit: usize) {
        if let Some(first) = usize::try_from(name).ok().and_then(|name| self.0.get(name)) {
            first.fetch_min(unit, Ordering::Relaxed);
        }
    }
}

/// The attributes that matter at top level.
#[derive(Debug, Default)]
struct Top<'a> {
    name: Option<u32>,
    /// Text of the name of an enumeration, which may be one that nobody asked for.
    text: Option<AttributeValue<Slice<'a>>>,
    declaration: bool,
    size: u64,
    line: u64,
    sibling: Option<usize>,
}

struct Pass<'p, 'a> {
    debug: &'p Debug<'a>,
    unit: &'p Unit<'a>,
    number: usize,
    names: &'p Names,
    found: &'p FirstUnits,
    out: Yield,
}

impl<'p, 'a> Pass<'p, 'a> {
    /// `offset` is the entry being read, for error messages.
    fn run(&mut self, offset: &mut usize) -> gimli::Result<()> {
        let unit = self.unit;
        let mut cursor = Cursor::new(unit, unit.header.root_offset().0)?;
        let Some(root) = cursor.abbreviation()? else { return Ok(()) };
        cursor.skip_attributes(root)?;
        if !root.has_children {
            return Ok(());
        }
        let enums = self.found.enums_open(self.names, self.number);
        let passer = Passer::new(unit, self.names, self.debug.endian, enums)?;
        let mut next = cursor.offset();
        while !passer.is_end(next) {
            *offset = next;
            next = match passer.pass(next) {
                Passed::To(next) => next,
                Passed::Decode => match self.entry(next, enums)? {
                    Some(next) => next,
                    None => break,
                },
            };
        }
        Ok(())
    }

    /// Decodes an entry of the top level; the offset of the next one, or `None` at the end.
    fn entry(&mut self, offset: usize, enums: bool) -> gimli::Result<Option<usize>> {
        let mut cursor = Cursor::new(self.unit, offset)?;
        let Some(abbreviation) = cursor.abbreviation()? else { return Ok(None) };
        let tag = abbreviation.tag;
        let wanted = matches!(
            tag,
            gimli::DW_TAG_structure_type
                | gimli::DW_TAG_union_type
                | gimli::DW_TAG_typedef
                | gimli::DW_TAG_enumeration_type
        );
        if !wanted && !abbreviation.has_children {
            cursor.skip_attributes(abbreviation)?;
            return Ok(Some(cursor.offset()));
        }
        let top = self.top(&mut cursor, abbreviation)?;
        if abbreviation.has_children {
            if enums && tag == gimli::DW_TAG_enumeration_type {
                self.enumerators(&mut cursor, &top)?;
            } else {
                skip_children(self.unit, &mut cursor, top.sibling)?;
            }
        }
        let next = cursor.offset();
        if let Some(name) = top.name
            && !top.declaration
            && self.names.is_struct(name)
            && self.is_definition(tag, offset)
        {
            let length = next.saturating_sub(offset);
            let shape = Shape { tag: tag.0, size: top.size, line: top.line, length };
            self.out.hits.push(Hit { name, offset, shape });
            self.found.set(name, self.number);
        }
        Ok(Some(next))
    }

    /// Whether an entry defines a struct, directly or as a typedef of one defined in this file.
    fn is_definition(&self, tag: gimli::DwTag, offset: usize) -> bool {
        match tag {
            gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type => true,
            // References that cannot be followed are reported when they are needed.
            gimli::DW_TAG_typedef => structure_behind(self.debug, (self.number, offset))
                .map_or(true, |structure| structure.is_some()),
            _ => false,
        }
    }

    /// Reads an entry's attributes.
    fn top(&self, cursor: &mut Cursor<'p, 'a>, abbreviation: &Abbreviation<'a>) -> gimli::Result<Top<'a>> {
        let mut top = Top::default();
        cursor.attributes(abbreviation, |attribute| match attribute.name() {
            gimli::DW_AT_sibling => {
                if let AttributeValue::UnitRef(offset) = attribute.raw_value() {
                    top.sibling = Some(offset.0);
                }
            }
            gimli::DW_AT_name => {
                let value = self.debug.direct(self.unit, attribute.raw_value());
                top.name = self.names.lookup(&value);
                top.text = Some(value);
            }
            gimli::DW_AT_declaration => {
                top.declaration = matches!(attribute.raw_value(), AttributeValue::Flag(true));
            }
            gimli::DW_AT_byte_size => top.size = attribute.udata_value().unwrap_or(0),
            gimli::DW_AT_decl_line => top.line = attribute.udata_value().unwrap_or(0),
            _ => {}
        })?;
        Ok(top)
    }

    /// Takes the wanted enumerators of an enumeration, all of them if it is wanted by its own name.
    fn enumerators(&mut self, cursor: &mut Cursor<'p, 'a>, of: &Top<'a>) -> gimli::Result<()> {
        let whole = of.name.filter(|name| self.names.is_enum(*name));
        if let Some(name) = whole {
            self.found.set(name, self.number);
        }
        let text = |value: Option<&AttributeValue<Slice<'a>>>| {
            value.and_then(|value| self.debug.text(self.number, value).ok()).unwrap_or_default()
        };
        while !cursor.is_empty() {
            let Some(abbreviation) = cursor.abbreviation()? else { break };
            let (mut raw_name, mut name, mut value) = (None, None, None);
            cursor.attributes(abbreviation, |attribute| match attribute.name() {
                gimli::DW_AT_name => {
                    let raw = self.debug.direct(self.unit, attribute.raw_value());
                    name = self.names.lookup(&raw).filter(|name| self.names.is_enum(*name));
                    raw_name = Some(raw);
                }
                gimli::DW_AT_const_value => value = constant(&attribute.raw_value()),
                _ => {}
            })?;
            if abbreviation.has_children {
                cursor.skip_children()?;
            }
            if let Some(name) = name {
                self.found.set(name, self.number);
            }
            if let Some(value) = value.filter(|_| name.is_some() || whole.is_some()) {
                self.out.enumerators.push((text(of.text.as_ref()), text(raw_name.as_ref()), value));
            }
        }
        Ok(())
    }
}

/// Moves on to the next entry of the same level: by one jump if the entry named its sibling, else
/// through all its children.
fn skip_children<'u, 'a>(
    unit: &'u Unit<'a>,
    cursor: &mut Cursor<'u, 'a>,
    sibling: Option<usize>,
) -> gimli::Result<()> {
    match sibling {
        // Only forwards: a loop of siblings would never end.
        Some(sibling) if sibling > cursor.offset() => *cursor = Cursor::new(unit, sibling)?,
        _ => cursor.skip_children()?,
    }
    Ok(())
}
