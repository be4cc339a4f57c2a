//! What is extracted from the cores of a guest, against what its tracer wrote.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::compare::{Extent, Figures, Remains, compare, consistent, union};
use super::modules;
use super::packages::Kernel;
use super::place::{Place, fresh_folder};
use super::report::Report;
use super::scenario::{Core, Recording};
use super::tool::{Outcome, Tool, on_core, words};
use super::trace::{Trace, find};
use super::tree;
use super::viewer::{View, in_a_row, same_lines, view};
use crate::metadata::{list, text};

/// A check's result: what was seen, or everything that is wrong.
type Check<T = String> = Result<T, Vec<String>>;

/// Sessions of the guest that hold events.
const SESSIONS: [&str; 3] = ["calm", "disk", "snap"];

/// Everything one scenario's checks need.
#[derive(Debug)]
pub(crate) struct Verify<'a> {
    tool: &'a Tool,
    report: &'a mut Report,
    scenario: &'static str,
    /// The scenario, and which of its cores.
    label: String,
    recording: Recording,
    /// Where results are kept.
    work: PathBuf,
    /// Kernel and modules, with debug information.
    types: Vec<PathBuf>,
    /// Exit codes that are good: a guest that stood still has lost nothing.
    codes: &'static [i32],
}

impl<'a> Verify<'a> {
    pub(crate) fn new(
        place: &Place,
        kernel: &Kernel,
        tool: &'a Tool,
        report: &'a mut Report,
        scenario: &'static str,
        time: u32,
    ) -> Result<Verify<'a>> {
        let label = if time == 1 { scenario.to_owned() } else { format!("{scenario} {time}") };
        let work = place.path("results").join(label.replace(' ', "-"));
        fresh_folder(&work)?;
        Ok(Verify {
            tool,
            report,
            scenario,
            label,
            recording: Recording::of(place, scenario, time),
            work,
            types: vec![kernel.vmlinux(place), modules::folder(place)],
            codes: if scenario == "frozen" { &[0] } else { &[0, 3] },
        })
    }

    /// Does every check of the scenario.
    pub(crate) fn run(mut self) -> Result<()> {
        let cores = self.recording.cores()?;
        let Some(core) = cores.first() else { bail!("expected cores of {}, found none", self.scenario) };
        let reference = self.work.join("extracted");
        let result = self.info(core);
        self.add(&core.format, "info", result);
        let result = self.extract(core, &reference);
        let is_there = result.is_ok();
        self.add(&core.format, "extract", result);
        if is_there {
            self.other_cores(&cores, &reference);
            self.other_types(core, &reference);
            self.slice(core, &reference);
            self.sessions(core, &reference);
        }
        self.disk_alone();
        Ok(())
    }

    fn add(&mut self, core: &str, check: &str, result: Check) {
        self.report.add(&self.label, core, check, result);
    }

    /// `info` lists the sessions.
    fn info(&self, core: &Core) -> Check {
        let mut args = on_core("info", &core.files, &self.types);
        args.extend(words(&[&"--json"]));
        let outcome = self.expect(&args)?;
        let json: serde_json::Value =
            serde_json::from_str(&outcome.stdout).map_err(|error| vec![format!("expected JSON: {error}")])?;
        let names: Vec<&str> = list(&json, "sessions").map(|session| text(session, "name")).collect();
        let missing: Vec<String> = SESSIONS
            .iter()
            .filter(|name| !names.contains(name))
            .map(|name| format!("expected session {name}, found {names:?}"))
            .collect();
        if missing.is_empty() { Ok(format!("sessions {}", names.join(", "))) } else { Err(missing) }
    }

    /// Extracts everything to `output`.
    fn extract(&self, core: &Core, output: &Path) -> Check {
        let outcome = self.extracting(&core.files, &self.types, output, &[])?;
        let folders = folders(output)?;
        let missing: Vec<String> = SESSIONS
            .iter()
            .filter(|name| !folders.contains_key(**name))
            .map(|name| format!("expected a folder of session {name}, found {:?}", folders.keys()))
            .collect();
        if missing.is_empty() {
            Ok(format!("{} sessions in {:.1} s", folders.len(), outcome.took.as_secs_f64()))
        } else {
            Err(missing)
        }
    }

    fn extracting(
        &self,
        core: &[PathBuf],
        types: &[PathBuf],
        output: &Path,
        more: &[OsString],
    ) -> Check<Outcome> {
        let mut args = on_core("extract", core, types);
        args.extend(words(&[&"-o", &output]));
        args.extend_from_slice(more);
        self.expect(&args)
    }

    /// Every other format of the same memory gives the same files.
    fn other_cores(&mut self, cores: &[Core], reference: &Path) {
        for core in cores.iter().skip(1) {
            let result = self.same(&core.files, &self.types, &core.format, reference);
            self.add(&core.format, "extract: the same files", result);
        }
    }

    /// So do other sources of types.
    fn other_types(&mut self, core: &Core, reference: &Path) {
        let profile = self.work.join("profile.json");
        let mut args = words(&[&"profile", &"-o", &profile]);
        args.extend(self.types.iter().map(OsString::from));
        let result = self.expect(&args).map(|outcome| format!("{:.1} s", outcome.took.as_secs_f64()));
        self.add(&core.format, "profile", result);
        let kernel_alone = self.types.iter().take(1).cloned().collect();
        for (name, types) in [("profile", vec![profile]), ("kernel-alone", kernel_alone)] {
            let result = self.same(&core.files, &types, name, reference);
            self.add(&core.format, &format!("types of {}: the same files", name.replace('-', " ")), result);
        }
    }

    /// A slice of the core is enough, also with nothing but the bytes that are read.
    fn slice(&mut self, core: &Core, reference: &Path) {
        let bytes = ["--bytes", "--no-log", "--format", "elf"].as_slice();
        for (name, options) in [("slice", [].as_slice()), ("slice-bytes", bytes)] {
            let slice = self.work.join(name);
            let mut args = on_core("slice", &core.files, &self.types);
            args.extend(words(&[&"-o", &slice]));
            args.extend(options.iter().map(OsString::from));
            let result = self.expect(&args).and_then(|_| {
                let size = fs::metadata(&slice).map_or(0, |metadata| metadata.len());
                let same = self.same(&[slice], &self.types, name, reference)?;
                Ok(format!("{} KiB, {same}", size >> 10))
            });
            self.add(&core.format, &format!("{}: the same files", name.replace('-', " of ")), result);
        }
    }

    /// Extracts to a folder named after `what`, and compares it with the reference.
    fn same(&self, core: &[PathBuf], types: &[PathBuf], what: &str, reference: &Path) -> Check {
        let output = self.work.join(format!("extracted-{what}"));
        let outcome = self.extracting(core, types, &output, &[])?;
        let files = tree::same(reference, &output)?;
        Ok(format!("{files} files in {:.1} s", outcome.took.as_secs_f64()))
    }

    /// Each session that was extracted, and what it makes of the trace on disk.
    fn sessions(&mut self, core: &Core, reference: &Path) {
        let format = core.format.as_str();
        let sessions = match folders(reference) {
            Ok(sessions) => sessions,
            Err(wrong) => return self.add(format, "sessions", Err(wrong)),
        };
        for name in SESSIONS {
            let Some(folder) = sessions.get(name) else { continue };
            let result = self.extracted(name, folder);
            self.add(format, &format!("{name}: core and tracer"), result);
            let result = self.events(folder);
            self.add(format, &format!("{name}: events as in babeltrace2"), result);
            let result = self.events_of_core(core, name, folder);
            self.add(format, &format!("{name}: events of the core itself"), result);
            if name != "snap" {
                let joined = self.work.join(format!("joined-{name}"));
                let result = self.join(name, core, folder, &joined);
                let is_there = result.is_ok();
                self.add(format, &format!("{name}: joined and tracer"), result);
                if is_there {
                    let result = self.events(&joined);
                    self.add(format, &format!("{name}: events of the joined trace"), result);
                    let result =
                        self.expect_code(&words(&[&"check", &joined]), &[0]).map(|_| "whole".to_owned());
                    self.add(format, &format!("{name}: check of the joined trace"), result);
                }
            }
        }
    }

    /// The truth on a session, if the guest went on: the folder that its daemon wrote in the end.
    fn truth(&self, name: &str) -> Option<PathBuf> {
        // A flight recorder that runs on overwrites what it had.
        let is_there = name != "snap" || self.scenario == "frozen";
        self.recording.truth().filter(|_| is_there).map(|folder| folder.join(name))
    }

    /// Packets of the core alone against the tracer's.
    fn extracted(&self, name: &str, folder: &Path) -> Check {
        let core = read(folder)?;
        let Some(truth) = self.truth(name) else {
            return consistent(&core).map(|figures| told(&core, figures));
        };
        let truth = read(&truth)?;
        let figures = match (self.scenario, name) {
            ("frozen", "snap") => compare(&core, &truth, Extent::Ending)?,
            ("frozen", "calm") => compare(&core, &truth, Extent::All { begun: true })?,
            ("frozen", _) => {
                // Nothing is missing: what is on disk and what is in the core are everything.
                let disk = self.recording.at_crash().join(name);
                let disk = Trace::read_torn(&disk).map_err(one)?;
                compare(&core, &truth, Extent::Part)?;
                compare(&union(disk, core)?, &truth, Extent::All { begun: false })?
            }
            (_, "calm") => compare(&core, &truth, Extent::All { begun: true })?,
            _ => compare(&core, &truth, Extent::Part)?,
        };
        Ok(figures.to_string())
    }

    /// The trace that was on disk, continued from the core, against the tracer's.
    fn join(&self, name: &str, core: &Core, extracted: &Path, output: &Path) -> Check {
        let disk = self.recording.at_crash().join(name);
        self.extracting(&core.files, &self.types, output, &words(&[&"--into", &disk]))?;
        let joined = read(output)?;
        let truth = self.truth(name).map(|folder| read(&folder)).transpose()?;
        let disk = Trace::read_torn(&disk).map_err(one)?;
        let core = read(extracted)?;
        let remains = Remains { disk: &disk, core: &core, truth: truth.as_ref() };
        let mut seen = remains.compare(&joined)?.to_string();
        if let (Some(whole), Some(truth)) = (&truth, self.truth(name))
            && self.scenario == "frozen"
            && name == "disk"
        {
            compare(&joined, whole, Extent::All { begun: false })?;
            // The daemon writes what was in a mapped buffer before behind the last event of a packet; we write zeros.
            let is_mapped = |name: &Path| name.to_string_lossy().starts_with("sys_");
            let folders = (find(&truth).map_err(one)?, find(output).map_err(one)?);
            let (equal, all) = tree::same_but(&folders.0, &folders.1, is_mapped)?;
            seen = format!("{seen}, {equal} of {all} files byte for byte");
        }
        if name == "disk" {
            seen = format!("{seen}, {}", self.ticks(output)?);
        }
        Ok(seen)
    }

    /// The guest's ticks from the first to the last one that the guest knows of.
    fn ticks(&self, joined: &Path) -> Check {
        let ticks = viewed(joined)?.ticks;
        let (first, last) = in_a_row(&ticks)?;
        let mut wrong = Vec::new();
        if first != 1 {
            wrong.push(format!("expected tick 1 first, found {first}"));
        }
        if let Some(written) = self.recording.ticks()
            && written != last
        {
            wrong.push(format!("expected tick {written} last, found {last}"));
        }
        if wrong.is_empty() { Ok(format!("ticks {first} to {last}")) } else { Err(wrong) }
    }

    /// babeltrace2 reads the trace without a word but for events that the tracer discarded, and prints the same lines.
    fn events(&self, trace: &Path) -> Check {
        let view = viewed(trace)?;
        let ours = self.expect(&words(&[&"events", &"--format", &"babeltrace", &trace]))?;
        let events = same_lines(&view.text, &ours.stdout)?;
        Ok(match view.discarded.len() {
            0 => format!("{events} lines"),
            count => format!("{events} lines, {count} messages on discarded events"),
        })
    }

    /// The events of a session, straight from the core.
    fn events_of_core(&self, core: &Core, session: &str, extracted: &Path) -> Check {
        let mut args = on_core("events", &core.files, &self.types);
        args.extend(words(&[&"--trace", &session, &"--format", &"babeltrace"]));
        let ours = self.expect(&args)?;
        let events = same_lines(&viewed(extracted)?.text, &ours.stdout)?;
        Ok(format!("{events} lines in {:.1} s", ours.took.as_secs_f64()))
    }

    /// The trace that was on disk at the crash, without the core.
    fn disk_alone(&mut self) {
        let disk = self.recording.at_crash().join("disk");
        let result = self.expect_code(&words(&[&"check", &disk]), &[0, 3]).map(|_| "readable".to_owned());
        self.add("disk", "disk: check", result);
        let repaired = self.work.join("repaired");
        let result =
            self.expect_code(&words(&[&"repair", &disk, &"-o", &repaired]), &[0, 3]).and_then(|_| {
                let before = Trace::read_torn(&disk).map_err(one)?;
                let after = read(&repaired)?;
                let figures = compare(&after, &before, Extent::All { begun: false })?;
                let view = viewed(&repaired)?;
                Ok(format!("{figures}, {} events", view.text.lines().count()))
            });
        self.add("disk", "disk: repaired", result);
    }

    fn expect(&self, args: &[OsString]) -> Check<Outcome> {
        self.expect_code(args, self.codes)
    }

    fn expect_code(&self, args: &[OsString], codes: &[i32]) -> Check<Outcome> {
        self.tool.run(args).map_err(one)?.expect(codes)
    }
}

/// The folders of sessions below an output, by the session's name; the folder's name has the time of its creation behind it.
fn folders(output: &Path) -> Check<BTreeMap<String, PathBuf>> {
    let entries =
        fs::read_dir(output).with_context(|| format!("reading {}", output.display())).map_err(one)?;
    let mut folders = BTreeMap::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let session = name.split('-').next().unwrap_or(&name).to_owned();
        folders.insert(session, path);
    }
    Ok(folders)
}

fn read(folder: &Path) -> Check<Trace> {
    Trace::read(folder).map_err(one)
}

/// A trace as babeltrace2 sees it, which must not complain.
fn viewed(trace: &Path) -> Check<View> {
    let view = view(trace).map_err(one)?;
    if view.messages.is_empty() { Ok(view) } else { Err(view.messages) }
}

fn told(trace: &Trace, figures: Figures) -> String {
    let lost: u64 =
        trace.streams.values().filter_map(|packets| Some(packets.values().next_back()?.discarded())).sum();
    format!("{} packets in {} streams, no gap, {lost} events discarded", figures.equal, trace.streams.len())
}

fn one(error: anyhow::Error) -> Vec<String> {
    vec![format!("{error:#}")]
}
