//! Struct layouts from DWARF 2 to 5.
//!
//! A distribution kernel has some 170 MB of `.debug_info` with 15 million entries in 2 400 compile
//! units, and the wanted structs are defined over and over in most of them. The order of reading
//! makes that cheap:
//!
//! 1. [`names`]: the wanted names are searched in the string sections once. From then on a name is an
//!    offset, and no string is compared.
//! 2. [`scan`]: all units in parallel, only the entries at top level; what is below functions and
//!    structs is jumped over by `DW_AT_sibling`, mostly without decoding anything ([`plan`]).
//! 3. [`layout`]: definitions that look different are built in full, following references of types;
//!    equal ones are merged and remember all their units.
//!
//! # Homonyms
//! Kernels have different structs of the same name in different units, so by default nothing stops
//! the pass early: it costs about a third of decoding all of `.debug_info`. Step 3 does not build a
//! definition that a header brought into a thousand units a thousand times: definitions of one name
//! that agree in tag, size, line of declaration and encoded length are taken for the same as soon as
//! there are more than [`FEW`] of them. Fewer (a struct private to one of several similar source files
//! is what must not be mixed up) are all built and compared.
//! With [`Wanted::first_definition_only`](crate::Wanted::first_definition_only) the first unit wins
//! and units after the last needed one are not read.
//!
//! # Damage
//! A unit that cannot be decoded is lost from there on, a definition that leads into one is lost too, and each is a warning.
//! It is an error only if no unit could be read to its end.

mod abbrev;
mod cursor;
mod damage;
mod expr;
mod layout;
mod names;
mod plan;
mod scan;
mod units;

use crate::error::{Error, Result};
use crate::image::Image;
use crate::source::{Found, SourceKind};
use crate::types::{Struct, merge};
use crate::wanted::WantedSets;
use damage::Damage;
use names::Names;
use rayon::prelude::*;
use scan::{Hit, Shape};
use std::collections::BTreeMap;
use std::sync::Arc;
use units::{Debug, Sections};

/// Up to this many look-alikes are compared in full.
const FEW: usize = 8;
/// Definitions of one name that are built, so that hostile files cannot have them all built.
const MAX_BUILT: usize = 1024;

/// Whether the file has DWARF, be it that it points to types elsewhere.
pub(crate) fn is_present(image: &Image<'_>) -> bool {
    image.has(".debug_info") || image.has(".debug_info.dwo")
}

/// Reads what is wanted from the DWARF sections of a file.
pub(crate) fn load(image: &Image<'_>, wanted: &WantedSets<'_>) -> Result<Found> {
    let mut found = Found::new(SourceKind::Dwarf);
    let sections = Sections::load(image)?;
    let mut damage = Damage::default();
    let debug = Debug::parse(image, &sections, &mut damage)?;
    let names = Names::find(wanted, &sections);
    let scan = scan::scan(&debug, &names, wanted, &mut damage)?;
    if scan.whole_units == 0
        && let Some(error) = damage.take_error()
    {
        return Err(error);
    }
    for (of, name, value) in scan.enumerators {
        found.add_enumerator(&of, &name, value);
    }
    for (name, hits) in by_name(scan.hits) {
        let definitions = definitions(&debug, &hits, wanted.first_definition_only, &mut damage)?;
        if !definitions.is_empty() {
            found.structs.insert(names.text(name).to_owned(), definitions);
        }
    }
    found.warnings = damage.into_warnings();
    if found.structs.is_empty() && !wanted.structs.is_empty() {
        found.warnings.extend(debug.elsewhere());
    }
    Ok(found)
}

/// Hits of each name with their units, in the order of the units.
fn by_name(hits: Vec<Vec<Hit>>) -> BTreeMap<u32, Vec<(usize, Hit)>> {
    let mut names: BTreeMap<u32, Vec<(usize, Hit)>> = BTreeMap::new();
    for (unit, hits) in hits.into_iter().enumerate() {
        for hit in hits {
            names.entry(hit.name).or_default().push((unit, hit));
        }
    }
    names
}

/// A definition to be built.
struct Task {
    /// Where it is; elsewhere, too, as far as that looks alike.
    places: Vec<(usize, usize)>,
    /// The units that it stands for.
    units: Vec<usize>,
}

impl Task {
    /// Builds it at the first place that is not damaged.
    fn build(&self, debug: &Debug<'_>) -> (Option<Struct>, Option<Error>) {
        let mut first = None;
        for (unit, offset) in &self.places {
            match layout::Builder::new(debug).definition(*unit, *offset) {
                Ok(built) => return (built, first),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        (None, first)
    }
}

/// The distinct definitions of one name: those of most units first, else in the order of units.
fn definitions(
    debug: &Debug<'_>,
    hits: &[(usize, Hit)],
    first_only: bool,
    damage: &mut Damage,
) -> Result<Vec<Arc<Struct>>> {
    let mut tasks =
        if first_only { Vec::from_iter(hits.first().map(|hit| task(&[hit]))) } else { tasks(hits) };
    tasks.sort_by(|one, other| one.places.cmp(&other.places));
    tasks.truncate(MAX_BUILT);
    let built: Vec<_> = tasks.par_iter().map(|task| task.build(debug)).collect();
    let mut definitions: Vec<Arc<Struct>> = Vec::new();
    for (task, (built, error)) in tasks.iter().zip(built) {
        if let Some(error) = error {
            damage.add(error, "a definition is lost")?;
        }
        let Some(mut built) = built else { continue };
        built.units = task.units.iter().map(|unit| debug.stem(*unit).to_owned()).collect();
        built.units.retain(|unit| !unit.is_empty());
        built.units.dedup();
        merge(&mut definitions, Arc::new(built));
    }
    definitions.sort_by_key(|definition| std::cmp::Reverse(definition.units.len()));
    Ok(definitions)
}

/// One task for look-alikes, if they are many; else one for each.
fn tasks(hits: &[(usize, Hit)]) -> Vec<Task> {
    let mut alike: BTreeMap<Shape, Vec<&(usize, Hit)>> = BTreeMap::new();
    for hit in hits {
        alike.entry(hit.1.shape).or_default().push(hit);
    }
    let split = |group: Vec<&(usize, Hit)>| match group.len() {
        0..=FEW => group.into_iter().map(|hit| task(&[hit])).collect(),
        _ => vec![task(&group)],
    };
    alike.into_values().flat_map(split).collect()
}

fn task(group: &[&(usize, Hit)]) -> Task {
    let places = group.iter().take(FEW).map(|(unit, hit)| (*unit, hit.offset)).collect();
    Task { places, units: group.iter().map(|(unit, _)| *unit).collect() }
}
