//! What guests do, and what is kept of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::disk;
use super::guest::{Images, key};
use super::machine::{Hardware, Machine, make_disk};
use super::packages::Kernel;
use super::place::{Place, fresh_folder, make_folder, remove};

/// One guest; what it does while it runs is told in `guest.sh`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    hardware: Hardware,
    end: End,
}

/// How the core comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The hypervisor stops the guest and dumps it. Then the guest goes on and writes the truth.
    Stopped {
        /// How often, each time with a core of its own.
        times: u32,
        /// How long after the guest said that it is ready, or went on, so that it is stopped anywhere.
        after: Duration,
        /// Also an ELF file with virtual addresses.
        paging: bool,
    },
    /// The guest's kernel panics, and a second one writes the core.
    Panic,
}

/// Every scenario. The first has four levels of page tables, as most machines; the second five.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "frozen",
        hardware: Hardware { megabytes: 512, cpu: "max,la57=off", append: "" },
        end: End::Stopped { times: 1, after: Duration::ZERO, paging: true },
    },
    Scenario {
        name: "stopped",
        hardware: Hardware { megabytes: 512, cpu: "max", append: "" },
        end: End::Stopped { times: 4, after: Duration::from_millis(1370), paging: false },
    },
    Scenario {
        name: "panic",
        hardware: Hardware { megabytes: 1024, cpu: "max,la57=off", append: "crashkernel=256M" },
        end: End::Panic,
    },
];

/// The files that the second kernel writes.
const KDUMP_FILES: &[&str] =
    &["elf", "elf-filtered", "flattened", "kdump-lzo", "kdump-raw", "kdump-zlib", "split.1", "split.2"];

/// A core in one format.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub(crate) format: String,
    /// More than one of a split dump.
    pub(crate) files: Vec<PathBuf>,
}

/// What is kept of a guest.
#[derive(Debug)]
pub(crate) struct Recording {
    folder: PathBuf,
    /// Which of its cores, from 1.
    time: u32,
}

impl Recording {
    pub(crate) fn of(place: &Place, name: &str, time: u32) -> Recording {
        Recording { folder: place.path("recordings").join(name), time }
    }

    /// A file or folder that is there once for each core.
    fn each(&self, name: &str) -> PathBuf {
        self.folder.join(if self.time == 1 { name.to_owned() } else { format!("{name}-{}", self.time) })
    }

    /// The cores of the same memory, ELF first. Files that are named alike up to a dot are parts of one core.
    pub(crate) fn cores(&self) -> Result<Vec<Core>> {
        let folder = self.each("cores");
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            files.push(entry.with_context(|| format!("reading {}", folder.display()))?.path());
        }
        files.sort();
        let mut cores: Vec<Core> = Vec::new();
        for file in files {
            let format = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match cores.last_mut() {
                Some(core) if core.format == format => core.files.push(file),
                _ => cores.push(Core { format, files: vec![file] }),
            }
        }
        cores.sort_by_key(|core| core.format != "elf");
        Ok(cores)
    }

    /// What was on the disk at the instant of the dump: one folder a session.
    pub(crate) fn at_crash(&self) -> PathBuf {
        self.each("at-crash")
    }

    /// What the tracer had written in the end, if the guest went on after the dump.
    pub(crate) fn truth(&self) -> Option<PathBuf> {
        let folder = self.folder.join("truth");
        folder.is_dir().then_some(folder)
    }

    /// The number of the last tick, as the guest itself told it before the panic.
    pub(crate) fn ticks(&self) -> Option<u64> {
        fs::read_to_string(self.folder.join("ticks")).ok()?.trim().parse().ok()
    }
}

/// The name of the step that runs a guest.
pub(crate) fn step(scenario: &Scenario) -> String {
    format!("guest {}", scenario.name)
}

impl Scenario {
    /// How many cores of different memory a guest leaves.
    pub(crate) fn times(&self) -> u32 {
        match self.end {
            End::Stopped { times, .. } => times,
            End::Panic => 1,
        }
    }
}

/// Runs the guest of a scenario, unless an earlier run did.
pub(crate) fn record(place: &mut Place, kernel: &Kernel, scenario: &Scenario) -> Result<()> {
    let key = format!("{}\n{scenario:?}", key(kernel));
    place.step(&step(scenario), &key, |place| {
        let recording = Recording::of(place, scenario.name, 1);
        let folder = &recording.folder;
        fresh_folder(folder)?;
        let (data, dump) = (folder.join("data.img"), folder.join("dump.img"));
        make_disk(&data, 1024)?;
        let megabytes = u64::from(scenario.hardware.megabytes);
        make_disk(&dump, if scenario.end == End::Panic { 3 * megabytes } else { 8 })?;
        let images = Images::of(place);
        let mut machine = Machine::boot(scenario.name, scenario.hardware, &images, [&data, &dump], folder)?;
        match scenario.end {
            End::Stopped { times, after, paging } => {
                machine.wait_for("READY")?;
                for time in 1..=times {
                    sleep(after);
                    let recording = Recording::of(place, scenario.name, time);
                    dump_all(&mut machine, paging, &recording, &data)?;
                }
                machine.answer()?;
                machine.wait_for("DONE")?;
                machine.wait_for_end()?;
                disk::take_folders(&data, &folder.join("truth"))?;
            }
            End::Panic => {
                let ticks = machine.wait_for("TICKS")?;
                fs::write(folder.join("ticks"), ticks).context("writing the number of ticks")?;
                machine.answer()?;
                machine.wait_for("DONE")?;
                machine.wait_for_end()?;
                disk::take_folders(&data, &recording.at_crash())?;
                let cores = recording.each("cores");
                make_folder(&cores)?;
                for name in KDUMP_FILES {
                    disk::take_file(&dump, name, &cores.join(name))?;
                }
            }
        }
        remove(&data)?;
        remove(&dump)
    })
}

/// Stops the guest, dumps it in every format that this QEMU knows, copies its disk, and lets it go on.
fn dump_all(machine: &mut Machine, paging: bool, recording: &Recording, data: &Path) -> Result<()> {
    let cores = recording.each("cores");
    make_folder(&cores)?;
    machine.stop()?;
    for format in machine.dump_formats()? {
        machine.dump(&format, false, &cores.join(&format))?;
    }
    if paging {
        machine.dump("elf", true, &cores.join("elf-paging"))?;
    }
    let copy = recording.folder.join("data-at-crash.img");
    disk::copy(data, &copy)?;
    machine.resume()?;
    disk::take_folders(&copy, &recording.at_crash())?;
    remove(&copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_core() {
        let folder = std::env::temp_dir().join(format!("ltt-kdump-cores-{}", std::process::id()));
        make_folder(&folder.join("cores")).unwrap();
        for name in ["split.2", "a-first", "split.1", "elf"] {
            fs::write(folder.join("cores").join(name), "").unwrap();
        }
        let cores = Recording { folder: folder.clone(), time: 1 }.cores().unwrap();
        let seen: Vec<(&str, usize)> =
            cores.iter().map(|core| (core.format.as_str(), core.files.len())).collect();
        assert_eq!(seen, [("elf", 1), ("a-first", 1), ("split", 2)]);
        remove(&folder).unwrap();
    }
}
