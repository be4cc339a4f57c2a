//! The pass over all units that finds where the wanted names are defined.

use super::expr::constant;
use super::layout::structure_behind;
use super::names::Names;
use super::plan::{Passed, Passer};
use super::units::{Debug, Slice, Unit};
use crate::error::Result;
use crate::wanted::WantedSets;
use gimli::{AttributeValue, EntriesRaw};
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
}

/// What one unit yields.
#[derive(Debug, Default)]
struct Yield {
    hits: Vec<Hit>,
    enumerators: Vec<(String, String, i128)>,
}

/// Reads the top level of all units in parallel. The result does not depend on the order in which
/// threads get there.
pub(crate) fn scan(debug: &Debug<'_>, names: &Names, wanted: &WantedSets<'_>) -> Result<Scan> {
    let found = FirstUnits::new(names.len());
    let yields: Vec<Yield> = (0..debug.units.len())
        .into_par_iter()
        .map(|number| {
            if wanted.first_definition_only && found.all_before(number) {
                return Ok(Yield::default());
            }
            let Some(unit) = debug.unit(number) else { return Ok(Yield::default()) };
            let mut pass = Pass { debug, unit, number, names, found: &found, out: Yield::default() };
            let mut offset = 0;
            pass.run(&mut offset).map_err(|error| debug.damaged(&unit.header, offset, error))?;
            Ok(pass.out)
        })
        .collect::<Result<_>>()?;
    let mut scan = Scan { hits: Vec::new(), enumerators: Vec::new() };
    for unit in yields {
        scan.hits.push(unit.hits);
        scan.enumerators.extend(unit.enumerators);
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
        let mut entries = unit.header.entries_raw(&unit.abbreviations, None)?;
        let Some(root) = entries.read_abbreviation()? else { return Ok(()) };
        entries.skip_attributes(root.attributes())?;
        if !root.has_children() {
            return Ok(());
        }
        let enums = self.found.enums_open(self.names, self.number);
        let mut passer = Passer::new(unit, self.names, self.debug.endian, enums)?;
        let mut next = entries.next_offset().0;
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
        let unit = self.unit;
        let mut entries = unit.entries(offset)?;
        let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(None) };
        let attributes = abbreviation.attributes();
        let wanted = matches!(
            abbreviation.tag(),
            gimli::DW_TAG_structure_type
                | gimli::DW_TAG_union_type
                | gimli::DW_TAG_typedef
                | gimli::DW_TAG_enumeration_type
        );
        if !wanted && !abbreviation.has_children() {
            entries.skip_attributes(attributes)?;
            return Ok(Some(entries.next_offset().0));
        }
        let top = self.top(&mut entries, attributes, wanted)?;
        if abbreviation.has_children() {
            if enums && abbreviation.tag() == gimli::DW_TAG_enumeration_type {
                self.enumerators(&mut entries, &top)?;
            } else {
                skip_children(unit, &mut entries, top.sibling)?;
            }
        }
        let next = entries.next_offset().0;
        if let Some(name) = top.name
            && !top.declaration
            && self.names.is_struct(name)
            && self.is_definition(abbreviation.tag(), offset)
        {
            let length = next.saturating_sub(offset);
            let shape = Shape { tag: abbreviation.tag().0, size: top.size, line: top.line, length };
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

    /// Reads an entry's attributes; only the sibling's offset if the entry is not `wanted`.
    fn top(
        &self,
        entries: &mut EntriesRaw<'_, Slice<'a>>,
        attributes: &[gimli::AttributeSpecification],
        wanted: bool,
    ) -> gimli::Result<Top<'a>> {
        let mut top = Top::default();
        for (index, specification) in attributes.iter().enumerate() {
            let attribute = entries.read_attribute_inline(*specification)?;
            match attribute.name() {
                gimli::DW_AT_sibling => {
                    if let AttributeValue::UnitRef(offset) = attribute.raw_value() {
                        top.sibling = Some(offset.0);
                    }
                    if !wanted {
                        // The jump starts from the sibling's offset: the rest need not be decoded.
                        entries.skip_attributes(attributes.get(index + 1..).unwrap_or_default())?;
                        break;
                    }
                }
                gimli::DW_AT_name if wanted => {
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
            }
        }
        Ok(top)
    }

    /// Takes the wanted enumerators of an enumeration, all of them if it is wanted by its own name.
    fn enumerators(&mut self, entries: &mut EntriesRaw<'p, Slice<'a>>, of: &Top<'a>) -> gimli::Result<()> {
        let whole = of.name.filter(|name| self.names.is_enum(*name));
        if let Some(name) = whole {
            self.found.set(name, self.number);
        }
        let text = |value: Option<&AttributeValue<Slice<'a>>>| {
            value.and_then(|value| self.debug.text(self.number, value).ok()).unwrap_or_default()
        };
        while !entries.is_empty() {
            let Some(abbreviation) = entries.read_abbreviation()? else { break };
            let (mut raw_name, mut name, mut value) = (None, None, None);
            for specification in abbreviation.attributes() {
                let attribute = entries.read_attribute(*specification)?;
                match attribute.name() {
                    gimli::DW_AT_name => {
                        let raw = self.debug.direct(self.unit, attribute.raw_value());
                        name = self.names.lookup(&raw).filter(|name| self.names.is_enum(*name));
                        raw_name = Some(raw);
                    }
                    gimli::DW_AT_const_value => value = constant(&attribute.raw_value()),
                    _ => {}
                }
            }
            if abbreviation.has_children() {
                skip_children(self.unit, entries, None)?;
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
    entries: &mut EntriesRaw<'u, Slice<'a>>,
    sibling: Option<usize>,
) -> gimli::Result<()> {
    if let Some(sibling) = sibling
        && sibling > entries.next_offset().0
    {
        // Only forwards: a loop of siblings would never end.
        *entries = unit.entries(sibling)?;
        return Ok(());
    }
    let mut depth = 1usize;
    while depth > 0 && !entries.is_empty() {
        match entries.read_abbreviation()? {
            None => depth = depth.saturating_sub(1),
            Some(abbreviation) => {
                entries.skip_attributes(abbreviation.attributes())?;
                depth = depth.saturating_add(usize::from(abbreviation.has_children()));
            }
        }
    }
    Ok(())
}
