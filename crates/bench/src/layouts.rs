//! Looking up the layouts that the walkers declare, against one bare pass over all of `.debug_info`.

use std::path::Path;
use std::sync::Arc;

use criterion::Criterion;
use gimli::{DebugAbbrev, DebugInfo, EndianSlice, LittleEndian, UnitHeader};
use kdebug::{Input, Types, Wanted};
use object::{Object as _, ObjectSection as _};
use rayon::ThreadPool;
use rayon::prelude::*;
use vmcore::bytes::Mapping;

use crate::share::thread_counts;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// Ids: `layouts/pass/THREADS`, `layouts/lookup/THREADS`, `layouts/first/THREADS` (first definitions only, no homonyms),
/// `layouts/profile/1`.
pub fn bench(criterion: &mut Criterion, vmlinux: &Path) {
    let mapping = Arc::new(Mapping::open(vmlinux).unwrap());
    let wanted = wanted();
    let types = load(vmlinux, Arc::clone(&mapping), &wanted);
    eprintln!(
        "{}: {} of {} structures, {} of {} symbols",
        vmlinux.display(),
        wanted.structs.len() - types.missing().structs.len(),
        wanted.structs.len(),
        wanted.symbols.len() - types.missing().symbols.len(),
        wanted.symbols.len(),
    );
    let profile = kdebug::isf::write(&types);
    let read_back = load_bytes(Path::new("profile.json"), profile.clone().into_bytes(), &wanted);
    assert_eq!(read_back.missing(), types.missing(), "the profile lacks something");
    for threads in thread_counts() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        criterion.bench_function(&format!("layouts/pass/{threads}"), |bencher| {
            bencher.iter(|| pass(&mapping, &pool));
        });
        criterion.bench_function(&format!("layouts/lookup/{threads}"), |bencher| {
            bencher.iter(|| pool.install(|| load(vmlinux, Arc::clone(&mapping), &wanted)));
        });
        let first = Wanted { first_definition_only: true, ..wanted.clone() };
        criterion.bench_function(&format!("layouts/first/{threads}"), |bencher| {
            bencher.iter(|| pool.install(|| load(vmlinux, Arc::clone(&mapping), &first)));
        });
    }
    criterion.bench_function("layouts/profile/1", |bencher| {
        bencher.iter(|| load_bytes(Path::new("profile.json"), profile.clone().into_bytes(), &wanted));
    });
}

/// All layouts and symbols that the walkers declare.
#[must_use]
pub fn wanted() -> Wanted {
    let declared = relaywalk::wanted();
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wanted {
        structs: owned(&declared.structs),
        enums: owned(&declared.enums),
        symbols: owned(&declared.symbols),
        ..Wanted::default()
    }
}

fn load(path: &Path, mapping: Arc<Mapping>, wanted: &Wanted) -> Types {
    Types::load(vec![Input::new(path, mapping)], wanted).unwrap()
}

fn load_bytes(path: &Path, bytes: Vec<u8>, wanted: &Wanted) -> Types {
    Types::load(vec![Input::new(path, Arc::new(bytes))], wanted).unwrap()
}

/// Visits every entry of every unit and passes over its attributes undecoded: the least that a reader of all of
/// `.debug_info` has to do. Returns the number of entries.
pub fn pass(vmlinux: &[u8], pool: &ThreadPool) -> usize {
    let file = object::File::parse(vmlinux).unwrap();
    let section = |name| EndianSlice::new(file.section_by_name(name).unwrap().data().unwrap(), LittleEndian);
    let info = DebugInfo::from(section(".debug_info"));
    let abbreviations = DebugAbbrev::from(section(".debug_abbrev"));
    let mut units = Vec::new();
    let mut headers = info.units();
    while let Some(header) = headers.next().unwrap() {
        units.push(header);
    }
    pool.install(|| units.par_iter().map(|unit| pass_unit(unit, &abbreviations)).sum())
}

fn pass_unit(unit: &UnitHeader<Slice<'_>>, abbreviations: &DebugAbbrev<Slice<'_>>) -> usize {
    let abbreviations = unit.abbreviations(abbreviations).unwrap();
    let mut entries = unit.entries_raw(&abbreviations, None).unwrap();
    let mut count = 0;
    while !entries.is_empty() {
        if let Some(abbreviation) = entries.read_abbreviation().unwrap() {
            entries.skip_attributes(abbreviation.attributes()).unwrap();
            count += 1;
        }
    }
    count
}
