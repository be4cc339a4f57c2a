//! Kernels of every kind, and their traces torn in every way.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use analyser::{Kernel, OpenOptions};
use synth::disk::{Damage, DiskTrace};
use synth::{ChannelSpec, DeadKernel, Endian, Era, Fill, Reader};
use tempfile::TempDir;

/// Every format, by the eras that wrote it.
const FORMATS: [(Era, (u8, u8)); 11] = [
    (Era::Z, (1, 0)),
    (Era::A, (1, 0)),
    (Era::A, (2, 0)),
    (Era::A, (2, 1)),
    (Era::A, (2, 2)),
    (Era::A1, (2, 3)),
    (Era::B, (2, 3)),
    (Era::C, (2, 3)),
    (Era::C, (2, 4)),
    (Era::C, (2, 5)),
    (Era::C, (2, 6)),
];

const MACHINES: [(u32, Endian); 4] =
    [(64, Endian::Little), (32, Endian::Little), (64, Endian::Big), (32, Endian::Big)];

/// A kernel to be built, and what it is.
pub(crate) struct Recipe {
    pub(crate) label: String,
    pub(crate) kernel: synth::Kernel,
    pub(crate) bits: u32,
    pub(crate) endian: Endian,
}

impl Recipe {
    /// The same but for something.
    pub(crate) fn with(self, change: impl FnOnce(synth::Kernel) -> synth::Kernel) -> Recipe {
        Recipe { kernel: change(self.kernel), ..self }
    }
}

/// One kernel for every format, era, word size and byte order. About seven records of each stream are on disk; of those the last two are
/// in memory still, with one that waits for the daemon and the open one. Some are from metadata, too.
///
/// They differ in whether events are aligned, what the daemon was about, and whether sub-buffers are ended by a timer.
pub(crate) fn recipes() -> impl Iterator<Item = Recipe> {
    FORMATS.into_iter().enumerate().flat_map(|(row, (era, version))| {
        MACHINES
            .into_iter()
            .enumerate()
            .map(move |(column, machine)| recipe(row + column, era, version, machine))
    })
}

/// One kernel for every format and era: what all machines have in common.
pub(crate) fn few_recipes() -> impl Iterator<Item = Recipe> {
    FORMATS.into_iter().enumerate().map(|(row, (era, version))| recipe(row, era, version, MACHINES[row % 4]))
}

fn recipe(turn: usize, era: Era, (major, minor): (u8, u8), (bits, endian): (u32, Endian)) -> Recipe {
    let alignment = if turn.is_multiple_of(2) { 0 } else { u64::from(bits / 8) };
    let reader = [Reader::Keeps(1), Reader::Inside, Reader::Interrupted][turn % 3];
    let kernel = synth::Kernel::new(era)
        .version(major, minor)
        .bits(bits)
        .endian(endian)
        .alignment(alignment)
        .channels(channels(era))
        .sub_buffers(8192, 4)
        .fill(Fill::SubBuffers(8.5))
        .reader(reader)
        .metadata(metadata().reader(Reader::Keeps(1)).fill(Fill::SubBuffers(6.5)));
    let kernel = if turn % 4 == 1 { kernel.switch_every(400) } else { kernel };
    Recipe {
        label: format!("{era:?} {major}.{minor} {bits} {endian:?} {alignment} {reader:?}"),
        kernel,
        bits,
        endian,
    }
}

/// A torn trace, and the core that belongs to it.
pub(crate) struct Case<'a> {
    /// What it is, with its damages.
    pub(crate) label: String,
    pub(crate) core: &'a Core,
    pub(crate) disk: DiskTrace<'a>,
    pub(crate) damages: Damages<'a>,
    pub(crate) endian: Endian,
}

/// Tries kernels with their traces whole and torn in every way, and tells of all that fail.
pub(crate) fn on_torn_traces(recipes: impl Iterator<Item = Recipe>, test: impl Fn(&Case<'_>)) {
    let (mut cases, mut failures) = (0, Vec::new());
    for (turn, recipe) in recipes.enumerate() {
        let dead = recipe.kernel.build();
        let core = open(&dead);
        let whole = DiskTrace::of(&dead);
        for (disk, damages) in [(whole.clone(), Damages::new())].into_iter().chain(torn(&whole, turn)) {
            let list: String =
                damages.iter().map(|(path, damage)| format!("\n  {path} {damage:?}")).collect();
            let case = Case {
                label: format!("{}{list}", recipe.label),
                core: &core,
                disk,
                damages,
                endian: recipe.endian,
            };
            cases += 1;
            // The message of the panic is in the output.
            if catch_unwind(AssertUnwindSafe(|| test(&case))).is_err() {
                failures.push(case.label);
            }
        }
    }
    assert!(failures.is_empty(), "{} of {cases} failed:\n{}", failures.len(), failures.join("\n"));
}

/// A small metadata channel.
pub(crate) fn metadata() -> ChannelSpec {
    ChannelSpec::new("metadata").sub_buffers(4096, 4)
}

/// The data channels: old tracers know no others.
pub(crate) fn channels(era: Era) -> [&'static str; 5] {
    if era <= Era::A {
        ["cpu", "processes", "interrupts", "network", "modules"]
    } else {
        ["kernel", "fs", "mm", "net", "ipc"]
    }
}

/// A core in a file, opened.
pub(crate) struct Core {
    pub(crate) kernel: Kernel,
    _folder: TempDir,
}

/// Writes the core of a kernel and opens it.
pub(crate) fn open(dead: &DeadKernel) -> Core {
    let folder = tempfile::tempdir().unwrap();
    let (core, types) = (folder.path().join("core"), folder.path().join("types.json"));
    std::fs::write(&core, synth::core::Elf::kdump().write(dead).bytes()).unwrap();
    std::fs::write(&types, synth::isf::json(dead)).unwrap();
    let options = OpenOptions { cores: vec![core], debuginfo: vec![types], ..OpenOptions::default() };
    Core { kernel: Kernel::open(&options).unwrap(), _folder: folder }
}

/// Damage by file.
pub(crate) type Damages<'k> = BTreeMap<&'k str, Damage>;

/// All damages that the files of a trace can have, spread over as few torn traces as possible: each has one damage in every file.
/// Data files all have the same ones. Those of the metadata files are too many for that: `turn` says which are due.
fn torn<'k>(disk: &DiskTrace<'k>, turn: usize) -> Vec<(DiskTrace<'k>, Damages<'k>)> {
    let mut by_file: Vec<(&str, Vec<Damage>)> = Vec::new();
    for (path, damage) in disk.damages() {
        match by_file.last_mut() {
            Some((last, damages)) if *last == path => damages.push(damage),
            _ => by_file.push((path, vec![damage])),
        }
    }
    let (metadata, data): (Vec<_>, Vec<_>) = by_file.into_iter().partition(|(path, _)| is_metadata(path));
    let longest = data.iter().map(|(_, damages)| damages.len()).max().unwrap();
    let rounds = longest.div_ceil(data.len());
    let torn = (0..rounds).map(|round| {
        let due = |files: &[(&'k str, Vec<Damage>)], round: usize| {
            let due = files.iter().enumerate().map(|(number, (path, damages))| {
                (*path, damages[(round * files.len() + number) % damages.len()].clone())
            });
            due.collect::<Vec<_>>()
        };
        let mut damages = due(&data, round);
        // What a mixed record is told by, an event that nobody announced, proves nothing where announcements are missing.
        if !damages.iter().any(|(_, damage)| matches!(damage, Damage::Mixed { .. })) {
            damages.extend(due(&metadata, turn * rounds + round));
        }
        let torn = damages.iter().cloned();
        let torn = torn.fold(disk.clone(), |disk, (path, damage)| disk.damage(path, damage));
        (torn, damages.into_iter().collect())
    });
    torn.collect()
}

/// Is it a file of the metadata channel?
pub(crate) fn is_metadata(path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap();
    file.starts_with("metadata_") || file.starts_with("facilities_")
}
