//! The DWARF sections of a file, and its units.

use super::abbrev::Abbreviations;
use super::cursor::Cursor;
use super::damage::Damage;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::source::{Endian, unit_stem};
use gimli::{
    AttributeValue, DebuggingInformationEntry, Encoding, EndianSlice, RunTimeEndian, UnitHeader, UnitType,
};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of a section in the target's byte order.
pub(crate) type Slice<'a> = EndianSlice<'a, RunTimeEndian>;
/// An entry with all its attributes.
pub(crate) type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

/// Content of the sections that describe types, and of no others: what concerns lines, locations and
/// frames is most of a debug file.
#[derive(Debug)]
pub(crate) struct Sections<'a> {
    info: Cow<'a, [u8]>,
    types: Cow<'a, [u8]>,
    abbrev: Cow<'a, [u8]>,
    str: Cow<'a, [u8]>,
    line_str: Cow<'a, [u8]>,
    str_offsets: Cow<'a, [u8]>,
}

impl<'a> Sections<'a> {
    /// Decompresses and relocates, in parallel, where that is needed.
    pub(crate) fn load(image: &Image<'a>) -> Result<Self> {
        if !image.has(".debug_info") {
            return Err(Error::Elsewhere {
                path: image.path.to_owned(),
                missing: "the file that its .dwo sections were split from (.dwo files cannot be read alone)"
                    .to_owned(),
            });
        }
        let names = [
            ".debug_info",
            ".debug_types",
            ".debug_abbrev",
            ".debug_str",
            ".debug_line_str",
            ".debug_str_offsets",
        ];
        let loaded: Vec<Cow<'a, [u8]>> =
            names.par_iter().map(|name| image.section(name)).collect::<Result<_>>()?;
        let mut loaded = loaded.into_iter();
        let mut next = || loaded.next().unwrap_or_default();
        Ok(Sections {
            info: next(),
            types: next(),
            abbrev: next(),
            str: next(),
            line_str: next(),
            str_offsets: next(),
        })
    }

    pub(crate) fn strings(&self) -> &[u8] {
        &self.str
    }

    pub(crate) fn line_strings(&self) -> &[u8] {
        &self.line_str
    }
}

/// One unit, ready to be read at any offset.
#[derive(Debug)]
pub(crate) struct Unit<'a> {
    pub(crate) header: UnitHeader<Slice<'a>>,
    pub(crate) abbreviations: Arc<Abbreviations<'a>>,
    /// File stem of the source file; empty for units that are not a source file's.
    stem: String,
    str_offsets_base: gimli::DebugStrOffsetsBase<usize>,
    /// It is damaged, and only here for others to keep their numbers.
    pub(crate) is_lost: bool,
}

/// All units of a file.
#[derive(Debug)]
pub(crate) struct Debug<'a> {
    path: &'a str,
    /// The file with what this one and others have in common.
    supplementary: Option<String>,
    pub(crate) endian: Endian,
    /// Those of `.debug_info` in their order, then those of `.debug_types`.
    pub(crate) units: Vec<Unit<'a>>,
    /// Type units by their signature: number of the unit and offset of the type.
    signatures: HashMap<u64, (usize, usize)>,
    strings: Strings<'a>,
}

#[derive(Debug)]
struct Strings<'a> {
    str: gimli::DebugStr<Slice<'a>>,
    line_str: gimli::DebugLineStr<Slice<'a>>,
    offsets: gimli::DebugStrOffsets<Slice<'a>>,
}

impl<'a> Debug<'a> {
    /// Reads the headers and root entries of all units, in parallel.
    ///
    /// Errors: types are in another file. Damaged units are added to `damage`.
    pub(crate) fn parse(image: &Image<'a>, sections: &'a Sections<'_>, damage: &mut Damage) -> Result<Self> {
        let endian = image.endian();
        let order = match endian {
            Endian::Little => RunTimeEndian::Little,
            Endian::Big => RunTimeEndian::Big,
        };
        let mut units = gimli::DebugInfo::new(&sections.info, order).units();
        let mut headers = headers(image.path, ".debug_info", || units.next(), damage)?;
        let mut units = gimli::DebugTypes::new(&sections.types, order).units();
        headers.extend(self::headers(image.path, ".debug_types", || units.next(), damage)?);
        let abbreviations = abbreviations(image.path, &sections.abbrev, &headers, damage)?;
        let strings = Strings {
            str: gimli::DebugStr::new(&sections.str, order),
            line_str: gimli::DebugLineStr::new(&sections.line_str, order),
            offsets: gimli::DebugStrOffsets::from(EndianSlice::new(&sections.str_offsets, order)),
        };
        let mut signatures = HashMap::new();
        for (number, header) in headers.iter().enumerate() {
            if let UnitType::Type { type_signature, type_offset } = header.type_() {
                signatures.insert(type_signature.0, (number, type_offset.0));
            }
        }
        let parsed: Vec<_> = headers
            .into_par_iter()
            .map(|header| {
                let unit = match abbreviations.get(&table(&header)) {
                    Some(abbreviations) => {
                        Unit::parse(image.path, header, Arc::clone(abbreviations), &strings)
                    }
                    None => Ok(Unit::lost(header)),
                };
                (header, unit)
            })
            .collect();
        let mut units = Vec::with_capacity(parsed.len());
        for (header, unit) in parsed {
            units.push(match unit {
                Ok(unit) => unit,
                Err(error) => {
                    damage.add(error, "a compile unit is lost")?;
                    Unit::lost(header)
                }
            });
        }
        let supplementary = image.supplementary();
        Ok(Debug { path: image.path, supplementary, endian, units, signatures, strings })
    }

    pub(crate) fn unit(&self, number: usize) -> Option<&Unit<'a>> {
        self.units.get(number)
    }

    pub(crate) fn stem(&self, number: usize) -> &str {
        self.unit(number).map_or("", |unit| unit.stem.as_str())
    }

    /// Where a reference leads to: number of the unit and offset in it.
    pub(crate) fn target(
        &self,
        from: usize,
        value: &AttributeValue<Slice<'a>>,
    ) -> Result<Option<(usize, usize)>> {
        Ok(match value {
            AttributeValue::UnitRef(offset) => Some((from, offset.0)),
            AttributeValue::DebugInfoRef(offset) => self.unit_of(offset.0),
            AttributeValue::DebugTypesRef(signature) => self.signatures.get(&signature.0).copied(),
            AttributeValue::DebugInfoRefSup(_) => return Err(self.supplementary()),
            _ => None,
        })
    }

    fn unit_of(&self, offset: usize) -> Option<(usize, usize)> {
        let after = self
            .units
            .partition_point(|unit| unit.header.debug_info_offset().is_some_and(|start| start.0 <= offset));
        let number = after.checked_sub(1)?;
        let start = self.unit(number)?.header.debug_info_offset()?;
        Some((number, offset.checked_sub(start.0)?))
    }

    /// Text of a string attribute, empty if it cannot be read.
    pub(crate) fn text(&self, unit: usize, value: &AttributeValue<Slice<'a>>) -> Result<String> {
        if matches!(value, AttributeValue::DebugStrRefSup(_)) {
            return Err(self.supplementary());
        }
        let text =
            self.unit(unit).and_then(|unit| self.strings.get(unit.str_offsets_base, &unit.header, value));
        Ok(text.map_or_else(String::new, |text| text.to_string_lossy().into_owned()))
    }

    /// An indexed string as the offset that it stands for; other values as they are.
    pub(crate) fn direct(
        &self,
        unit: &Unit<'a>,
        value: AttributeValue<Slice<'a>>,
    ) -> AttributeValue<Slice<'a>> {
        match value {
            AttributeValue::DebugStrOffsetsIndex(index) => self
                .strings
                .offsets
                .get_str_offset(unit.header.format(), unit.str_offsets_base, index)
                .map_or(value, AttributeValue::DebugStrRef),
            _ => value,
        }
    }

    /// The entry at an offset of a unit.
    pub(crate) fn entry(&self, unit: usize, offset: usize) -> Result<Entry<'a>> {
        let Some(unit) = self.unit(unit) else { return Ok(Entry::null()) };
        Cursor::new(unit, offset)
            .and_then(|mut cursor| cursor.entry())
            .map(Option::unwrap_or_default)
            .map_err(|error| self.damaged(&unit.header, offset, error))
    }

    /// Error for bytes of a unit that cannot be decoded.
    pub(crate) fn damaged(
        &self,
        header: &UnitHeader<Slice<'a>>,
        offset: usize,
        error: gimli::Error,
    ) -> Error {
        damaged(self.path, header, offset, error)
    }

    /// Where the types may be, if none of the wanted ones is here.
    pub(crate) fn elsewhere(&self) -> Option<String> {
        self.supplementary.is_some().then(|| self.supplementary().to_string())
    }

    fn supplementary(&self) -> Error {
        let name = self.supplementary.as_deref().unwrap_or("named in its .gnu_debugaltlink or .debug_sup");
        Error::Elsewhere {
            path: self.path.to_owned(),
            missing: format!("the supplementary file {name} (made by dwz)"),
        }
    }
}

impl<'a> Unit<'a> {
    fn parse(
        path: &str,
        header: UnitHeader<Slice<'a>>,
        abbreviations: Arc<Abbreviations<'a>>,
        strings: &Strings<'a>,
    ) -> Result<Self> {
        let read_root = || {
            let mut cursor = Cursor::of(&header, &abbreviations, header.root_offset().0)?;
            let mut root = Root::default();
            let Some(abbreviation) = cursor.abbreviation()? else { return Ok(root) };
            root.is_source = abbreviation.tag == gimli::DW_TAG_compile_unit;
            cursor.attributes(abbreviation, |attribute| match attribute.name() {
                gimli::DW_AT_name => root.name = Some(attribute.raw_value()),
                gimli::DW_AT_dwo_name | gimli::DW_AT_GNU_dwo_name => {
                    root.dwo_name = Some(attribute.raw_value());
                }
                gimli::DW_AT_str_offsets_base => root.str_offsets_base = Some(attribute.value()),
                _ => {}
            })?;
            Ok(root)
        };
        let root = read_root().map_err(|error| damaged(path, &header, 0, error))?;
        let str_offsets_base = match root.str_offsets_base {
            Some(AttributeValue::DebugStrOffsetsBase(base)) => base,
            _ => gimli::DebugStrOffsetsBase::default_for_encoding_and_file(
                header.encoding(),
                gimli::DwarfFileType::Main,
            ),
        };
        let text = |value: Option<_>| strings.get(str_offsets_base, &header, &value?);
        if let Some(file) = text(root.dwo_name) {
            return Err(Error::Elsewhere {
                path: path.to_owned(),
                missing: format!("{} (split DWARF)", file.to_string_lossy()),
            });
        }
        let stem = text(root.name.filter(|_| root.is_source)).map(|name| unit_stem(&name));
        Ok(Unit { header, abbreviations, stem: stem.unwrap_or_default(), str_offsets_base, is_lost: false })
    }

    /// One that cannot be read: without abbreviations, no entry of it can be.
    fn lost(header: UnitHeader<Slice<'a>>) -> Self {
        Unit {
            header,
            abbreviations: Arc::default(),
            stem: String::new(),
            str_offsets_base: gimli::DebugStrOffsetsBase(0),
            is_lost: true,
        }
    }
}

/// What a unit's root entry says about the unit.
#[derive(Debug, Default)]
struct Root<'a> {
    /// It stands for a source file.
    is_source: bool,
    name: Option<AttributeValue<Slice<'a>>>,
    dwo_name: Option<AttributeValue<Slice<'a>>>,
    str_offsets_base: Option<AttributeValue<Slice<'a>>>,
}

impl<'a> Strings<'a> {
    fn get(
        &self,
        base: gimli::DebugStrOffsetsBase<usize>,
        header: &UnitHeader<Slice<'a>>,
        value: &AttributeValue<Slice<'a>>,
    ) -> Option<Slice<'a>> {
        match value {
            AttributeValue::String(text) => Some(*text),
            AttributeValue::DebugStrRef(offset) => self.str.get_str(*offset).ok(),
            AttributeValue::DebugLineStrRef(offset) => self.line_str.get_str(*offset).ok(),
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let offset = self.offsets.get_str_offset(header.format(), base, *index).ok()?;
                self.str.get_str(offset).ok()
            }
            _ => None,
        }
    }
}

/// The headers of all units of a section, up to the first that does not lead to the next.
fn headers<'a>(
    path: &str,
    section: &str,
    mut next: impl FnMut() -> gimli::Result<Option<UnitHeader<Slice<'a>>>>,
    damage: &mut Damage,
) -> Result<Vec<UnitHeader<Slice<'a>>>> {
    let mut headers = Vec::new();
    let mut end = 0usize;
    loop {
        match next() {
            Ok(Some(header)) => {
                end = header.offset().0.saturating_add(header.length_including_self());
                headers.push(header);
            }
            Ok(None) => return Ok(headers),
            Err(error) => {
                let error = Error::malformed(
                    path,
                    format!("{section}+{end:#x}"),
                    "the header of a compile unit",
                    error,
                );
                damage.add(error, "all compile units from there on are lost")?;
                return Ok(headers);
            }
        }
    }
}

/// Tells tables of abbreviations apart. The encoding decides how long attributes are.
fn table(header: &UnitHeader<Slice<'_>>) -> (usize, Encoding) {
    (header.debug_abbrev_offset().0, header.encoding())
}

/// The abbreviation tables of all units, each parsed once; without those that are damaged.
fn abbreviations<'a>(
    path: &str,
    section: &'a [u8],
    headers: &[UnitHeader<Slice<'_>>],
    damage: &mut Damage,
) -> Result<HashMap<(usize, Encoding), Arc<Abbreviations<'a>>>> {
    let mut users = HashMap::new();
    let mut in_order = Vec::new();
    for header in headers {
        users.entry(table(header)).or_insert_with(|| in_order.push(header));
    }
    let parsed: Vec<_> = in_order
        .into_par_iter()
        .map(|header| {
            let offset = header.debug_abbrev_offset();
            let abbreviations = Abbreviations::parse(section, offset, header).map_err(|error| {
                let place = format!(".debug_abbrev+{:#x}", offset.0);
                Error::malformed(path, place, "a table of abbreviations", error)
            })?;
            Ok((table(header), Arc::new(abbreviations)))
        })
        .collect();
    let mut tables = HashMap::with_capacity(parsed.len());
    for outcome in parsed {
        match outcome {
            Ok((table, abbreviations)) => {
                tables.insert(table, abbreviations);
            }
            Err(error) => damage.add(error, "the compile units that use it are lost")?,
        }
    }
    Ok(tables)
}

fn damaged(path: &str, header: &UnitHeader<Slice<'_>>, offset: usize, error: gimli::Error) -> Error {
    let start = header.offset().0;
    let section = match header.debug_info_offset() {
        Some(_) => ".debug_info",
        None => ".debug_types",
    };
    let place = format!("{section}+{:#x}", start.saturating_add(offset));
    Error::malformed(path, place, "a debugging entry", error)
}
