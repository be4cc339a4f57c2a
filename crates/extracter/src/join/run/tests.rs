#![allow(clippy::cast_possible_truncation, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};

use analyser::{Kernel, OpenOptions, Routes, Traces, pairing};
use rustix::fs::{CWD, FileType, Mode};
use synth::disk::{Damage, DiskTrace};
use synth::{ChannelSpec, DeadKernel, Era, Fill, Reader};
use tempfile::TempDir;

use super::*;
use crate::faulty::{Fault, Faulty, Step, Stops, scratch};
use crate::partial::is_partial;
use crate::progress::Silent;

/// A kernel that died while the daemon was writing, and its core.
struct Lab {
    dead: DeadKernel,
    kernel: Kernel,
    traces: Traces,
    /// Ways to join.
    layouts: &'static [Layout],
    _folder: TempDir,
}

impl Lab {
    /// Format 2.6: ids belong to channels, records have any length. The first metadata are gone from memory.
    fn new_format() -> Lab {
        let metadata = ChannelSpec::new("metadata")
            .sub_buffers(4096, 4)
            .reader(Reader::Keeps(1))
            .fill(Fill::SubBuffers(5.5));
        let kernel = synth::Kernel::new(Era::C).version(2, 6).channels(["kernel", "fs"]).metadata(metadata);
        Lab::of(kernel, &[Layout::Merged, Layout::CrashSubdir])
    }

    /// Format 2.1: folders, ids of the whole trace.
    fn old_format() -> Lab {
        let kernel = synth::Kernel::new(Era::A).version(2, 1).channels(["cpu", "processes"]);
        Lab::of(kernel, &[Layout::Merged])
    }

    fn of(kernel: synth::Kernel, layouts: &'static [Layout]) -> Lab {
        let dead =
            kernel.cpus(1).sub_buffers(4096, 4).fill(Fill::SubBuffers(6.5)).reader(Reader::Keeps(1)).build();
        let folder = tempfile::tempdir().unwrap();
        let (core, types) = (folder.path().join("core"), folder.path().join("types.json"));
        fs::write(&core, synth::core::Elf::kdump().write(&dead).bytes()).unwrap();
        fs::write(&types, synth::isf::json(&dead)).unwrap();
        let options = OpenOptions { cores: vec![core], debuginfo: vec![types], ..OpenOptions::default() };
        let kernel = Kernel::open(&options).unwrap();
        let traces = kernel.traces(Routes::ALL);
        Lab { dead, kernel, traces, layouts, _folder: folder }
    }

    /// Its trace, torn: metadata never reached the disk; one file lost its end, one a record in its middle.
    fn torn(&self) -> DiskTrace<'_> {
        let disk = DiskTrace::of(&self.dead);
        let files: Vec<&str> = self.dead.truth().traces[0].streams.iter().map(|s| s.path.as_str()).collect();
        let (metadata, data): (Vec<&str>, Vec<&str>) =
            files.into_iter().partition(|path| path.contains("metadata"));
        disk.damage(metadata[0], Damage::Empty)
            .damage(data[0], Damage::ShortTail { keep: 700 })
            .damage(data[1], Damage::OpenHeader { record: 1 })
            .damage(data[1], Damage::ShortTail { keep: 3 })
    }

    fn write(&self) -> TempDir {
        let folder = scratch();
        self.torn().write(&folder.path().join("t")).unwrap();
        fs::write(folder.path().join("t/notes.txt"), "mine").unwrap();
        fs::create_dir(folder.path().join("t/empty")).unwrap();
        folder
    }

    fn join<'l>(&'l self, directory: &'l Directory, target: Target, layout: Layout) -> Result<Join<'l>> {
        let trace = pairing(directory, &self.traces, None).unwrap();
        Join::with_core(directory, &self.kernel, trace, target, layout)
    }

    fn in_place(&self, folder: &Path, layout: Layout, fault: Fault) -> (Result<JoinReport>, Vec<Step>) {
        let directory = Directory::open(&folder.join("t")).unwrap();
        let join = self.join(&directory, Target::InPlace, layout).unwrap();
        let beneath = Beneath::open(folder).unwrap();
        let disk = Faulty::new(&beneath, fault);
        let result = join.change(&disk, &Silent);
        (result, disk.log())
    }

    /// Every record and every other byte that was on disk is still there, in the trace or beside it.
    fn nothing_is_missing(&self, now: &Files, why: &str) {
        for file in &self.torn().outcome().files {
            let ours: Vec<_> = now
                .iter()
                .filter(|(name, _)| {
                    **name == format!("t/{}", file.path) || name.starts_with(&format!("t.cut/{}@", file.path))
                })
                .map(|(_, content)| content)
                .collect();
            let is_there = |wanted: &[u8]| {
                ours.iter().any(|content| content.windows(wanted.len().max(1)).any(|bytes| bytes == wanted))
            };
            let ends = file.kept.iter().skip(1).map(|kept| kept.offset).chain([file.bytes.len() as u64]);
            let records = file.kept.iter().zip(ends).map(|(kept, end)| kept.offset..end);
            for range in records.chain(file.cuts.iter().map(|cut| cut.range.clone())) {
                // A record ends where the next piece begins.
                let cut = file
                    .cuts
                    .iter()
                    .map(|cut| cut.range.start)
                    .find(|start| range.start < *start && *start < range.end);
                let range = range.start as usize..cut.unwrap_or(range.end) as usize;
                assert!(is_there(&file.bytes[range.clone()]), "{why}: {} has lost {range:?}", file.path);
            }
        }
        assert_eq!(now["t/notes.txt"], b"mine", "{why}");
    }
}

type Files = BTreeMap<String, Vec<u8>>;

fn files(root: &Path) -> Files {
    let mut files = Files::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap();
            if kind.is_dir() {
                todo.push(path);
            } else if kind.is_file() {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn message(error: &Error) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}

fn each(mut test: impl FnMut(&Lab, Layout)) {
    for lab in [Lab::new_format(), Lab::old_format()] {
        lab.layouts.iter().for_each(|layout| test(&lab, *layout));
    }
}

#[test]
fn killed_at_every_step_nothing_is_lost_and_a_rerun_finishes() {
    each(|lab, layout| {
        let undisturbed = lab.write();
        let (report, log) = lab.in_place(undisturbed.path(), layout, Fault::Nothing);
        assert!(report.unwrap().totals.added > 0);
        let after = files(undisturbed.path());
        lab.nothing_is_missing(&after, "undisturbed");
        let (again, log_again) = lab.in_place(undisturbed.path(), layout, Fault::Nothing);
        assert_eq!((again.unwrap().totals.streams_changed, log_again.len()), (0, 0), "{layout:?}");
        assert!(log.len() > 60, "{}", log.len());
        for (nth, step) in log.iter().enumerate() {
            let done = nth % 2 == 0;
            let why = format!("{layout:?} killed at step {nth}, {done}, {step:?}");
            let folder = lab.write();
            lab.in_place(folder.path(), layout, Fault::Killed(nth, done)).0.unwrap_err();
            lab.nothing_is_missing(&files(folder.path()), &why);
            let _ = lab.in_place(folder.path(), layout, Fault::Killed(nth / 2, !done));
            lab.nothing_is_missing(&files(folder.path()), &why);
            lab.in_place(folder.path(), layout, Fault::Nothing).0.unwrap();
            assert_eq!(
                files(folder.path()).keys().collect::<Vec<_>>(),
                after.keys().collect::<Vec<_>>(),
                "{why}"
            );
            assert_eq!(files(folder.path()), after, "{why}");
        }
    });
}

#[test]
fn whatever_fails_in_place_nothing_is_left_behind() {
    each(|lab, layout| {
        let undisturbed = lab.write();
        let (_, log) = lab.in_place(undisturbed.path(), layout, Fault::Nothing);
        let after = files(undisturbed.path());
        for (nth, step) in log.iter().enumerate().step_by(3) {
            for fault in [Fault::Step(nth, ErrorKind::ReadOnlyFilesystem), Fault::Full(nth)] {
                let why = format!("{layout:?} {fault:?} {step:?}");
                let folder = lab.write();
                let result = lab.in_place(folder.path(), layout, fault).0;
                let now = files(folder.path());
                lab.nothing_is_missing(&now, &why);
                assert!(!now.keys().any(|name| is_partial(Path::new(name))), "{why}");
                assert!(result.is_err() || now == after, "{why}");
                lab.in_place(folder.path(), layout, Fault::Nothing).0.unwrap();
                assert_eq!(files(folder.path()), after, "{why}");
            }
        }
    });
}

#[test]
fn a_join_that_is_not_wanted_any_more_leaves_what_can_be_joined() {
    each(|lab, layout| {
        let undisturbed = lab.write();
        lab.in_place(undisturbed.path(), layout, Fault::Nothing).0.unwrap();
        let after = files(undisturbed.path());
        let mut pieces = 1;
        loop {
            let why = format!("{layout:?} after {pieces} pieces");
            let folder = lab.write();
            let directory = Directory::open(&folder.path().join("t")).unwrap();
            let before = files(folder.path());
            let new = lab.join(&directory, Target::New(folder.path().join("out")), layout).unwrap();
            if let Err(error) = new.run(&Stops::after(pieces)) {
                assert!(matches!(error, Error::Cancelled), "{why}: {error}");
                assert_eq!(files(folder.path()), before, "{why}");
            } else {
                fs::remove_dir_all(folder.path().join("out")).unwrap();
            }
            let join = lab.join(&directory, Target::InPlace, layout).unwrap();
            let Err(error) = join.run(&Stops::after(pieces)) else { break };
            assert!(message(&error).ends_with(" files done: interrupted"), "{why}: {error}");
            let now = files(folder.path());
            lab.nothing_is_missing(&now, &why);
            assert!(!now.keys().any(|name| is_partial(Path::new(name))), "{why}");
            lab.in_place(folder.path(), layout, Fault::Nothing).0.unwrap();
            assert_eq!(files(folder.path()), after, "{why}");
            pieces += 1;
        }
        assert!(pieces > 5, "{pieces}");
    });
}

#[test]
fn metadata_come_first_so_that_a_run_that_is_killed_leaves_a_trace_that_opens() {
    each(|lab, layout| {
        let (_, log) = lab.in_place(lab.write().path(), layout, Fault::Nothing);
        let renamed: Vec<_> = log.iter().filter(|step| step.call == "rename").map(|step| &step.to).collect();
        let in_trace: Vec<_> = renamed.iter().skip_while(|to| to.starts_with("t.cut")).collect();
        let is_metadata = |to: &&&&PathBuf| to.to_string_lossy().contains("metadata");
        let metadata = in_trace.iter().filter(is_metadata).count();
        assert!(metadata > 0 && in_trace.iter().take(metadata).all(|to| is_metadata(&to)), "{renamed:?}");
    });
}

#[test]
fn a_new_folder_is_the_same_as_the_trace_changed_in_place() {
    each(|lab, layout| {
        let folder = lab.write();
        fs::set_permissions(folder.path().join("t/notes.txt"), fs::Permissions::from_mode(0o640)).unwrap();
        let before = files(folder.path());
        let directory = Directory::open(&folder.path().join("t")).unwrap();
        let out = folder.path().join("out");
        let join = lab.join(&directory, Target::New(out.clone()), layout).unwrap();
        let copied = join.run(&Silent).unwrap();
        let result = files(&out);
        assert!(out.join("empty").is_dir());
        assert_eq!(fs::metadata(out.join("notes.txt")).unwrap().permissions().mode() & 0o777, 0o640);
        fs::remove_dir_all(&out).unwrap();
        assert_eq!(files(folder.path()), before, "the trace itself is only read");

        let (report, _) = lab.in_place(folder.path(), layout, Fault::Nothing);
        assert_eq!(files(&folder.path().join("t")), result);
        let report = report.unwrap();
        assert_eq!(report.totals, copied.totals);
        // Every cut is kept, and nothing else is.
        let mut kept = files(&folder.path().join("t.cut"));
        for cut in report.streams.iter().flat_map(|stream| &stream.disk).flat_map(|disk| &disk.cuts) {
            let kept = kept.remove(cut.saved_as.as_ref().unwrap()).unwrap();
            let start = cut.offset as usize;
            assert_eq!(kept, before[&format!("t/{}", cut.path)][start..start + cut.len as usize]);
        }
        assert!(kept.is_empty(), "{:?}", kept.keys());
        assert!(
            copied.streams.iter().flat_map(|s| &s.disk).flat_map(|d| &d.cuts).all(|c| c.saved_as.is_none())
        );
    });
}

#[test]
fn whatever_fails_no_new_folder_is_left_behind() {
    let lab = Lab::old_format();
    let folder = lab.write();
    let directory = Directory::open(&folder.path().join("t")).unwrap();
    let run = |fault| {
        let join = lab.join(&directory, Target::New(folder.path().join("out")), Layout::Merged).unwrap();
        let Place::New(destination) = &join.place else { panic!("another place") };
        let disk = Faulty::new(&Local, fault);
        let result = join.write_new(destination, &disk, &Silent);
        (result, disk.log())
    };
    let (result, log) = run(Fault::Nothing);
    result.unwrap();
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    // The last step syncs the folder above, when the output is complete.
    for nth in 0..log.len() - 1 {
        let (result, _) = run(Fault::Step(nth, ErrorKind::Other));
        assert!(!message(&result.unwrap_err()).contains(".partial"), "{nth}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{nth}");
    }
}

#[test]
fn metadata_that_are_gone_are_made_up() {
    let lab = Lab::new_format();
    let folder = lab.write();
    let (report, _) = lab.in_place(folder.path(), Layout::Merged, Fault::Nothing);
    let report = report.unwrap();
    let made = |report: &JoinReport| {
        let stream = report.streams.iter().find(|stream| stream.path == "metadata_0").unwrap();
        (stream.made.records, stream.made.markers)
    };
    let (records, markers) = made(&report);
    assert!(records > 0 && markers > 0, "{report:?}");
    // A second look learns everything from the disk.
    let directory = Directory::open(&folder.path().join("t")).unwrap();
    let known = directory.markers().unwrap();
    for (channel, marker) in &lab.dead.truth().traces[0].markers {
        let channel = lttformat::ltt::Channel::Data(channel.as_bytes());
        assert!(known.get(channel, marker.id).is_some(), "{channel:?} {marker:?}");
    }
    assert_eq!(directory.start_tsc(), Some(lab.traces.traces[0].clock().start_tsc));
    let join = lab.join(&directory, Target::InPlace, Layout::Merged).unwrap();
    assert!(join.changes_nothing());
    assert_eq!(made(join.report()), (0, 0));
}

#[test]
fn files_of_the_core_are_readable_in_a_folder_of_their_own() {
    let lab = Lab::new_format();
    let folder = lab.write();
    lab.in_place(folder.path(), Layout::CrashSubdir, Fault::Nothing).0.unwrap();
    let directory = Directory::open(&folder.path().join("t")).unwrap();
    let crash: Vec<_> = directory.files().iter().filter(|file| file.name().is_crash()).collect();
    assert_eq!(crash.len(), 2);
    for file in crash {
        // As a viewer reads it: by the formats that metadata announce for this very group.
        let mut scan = directory.scan(file, lttformat::ltt::scan::Depth::All).unwrap();
        while let Some(piece) = scan.next().unwrap() {
            let lttformat::ltt::scan::Piece::Record(record) = piece else { panic!("{piece:?}") };
            assert!(record.tally.unwrap().is_complete(), "{file:?}");
        }
    }
}

#[test]
fn links_devices_and_second_names_are_refused() {
    let lab = Lab::old_format();
    let outside = tempfile::tempdir().unwrap();
    let refusal = |spoil: &dyn Fn(&Path), target: Option<&str>| {
        let folder = lab.write();
        spoil(&folder.path().join("t"));
        let before = files(folder.path());
        let directory = Directory::open(&folder.path().join("t")).unwrap();
        let target = target.map_or(Target::InPlace, |out| Target::New(folder.path().join(out)));
        let error = lab.join(&directory, target, Layout::Merged).err().map(|error| message(&error));
        assert_eq!(files(folder.path()), before);
        error.unwrap_or_default()
    };
    let link = |t: &Path| symlink(outside.path(), t.join("link")).unwrap();
    let pipe = |t: &Path| {
        rustix::fs::mknodat(CWD, t.join("control/pipe_0"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    };
    for target in [None, Some("out")] {
        assert!(refusal(&link, target).contains("link: expected files and folders in a trace"));
        assert!(refusal(&pipe, target).contains("pipe_0: expected files and folders in a trace"));
    }
    let second_name = |t: &Path| fs::hard_link(t.join("cpu_0"), t.join("../elsewhere")).unwrap();
    assert!(refusal(&second_name, None).contains("cpu_0: expected a file with one name, found one with 2"));
    assert_eq!(refusal(&second_name, Some("out")), "");
    assert!(refusal(&|_| {}, Some("t/out")).contains("expected a folder outside the trace"));
    let no_folder = |t: &Path| fs::write(t.join("../t.cut"), "mine").unwrap();
    assert!(refusal(&no_folder, None).contains("t.cut to be a directory"), "{}", refusal(&no_folder, None));
    let cut_elsewhere = |t: &Path| symlink(outside.path(), t.join("../t.cut")).unwrap();
    assert!(refusal(&cut_elsewhere, None).contains("found a link or a file"));
    let double = |t: &Path| fs::copy(t.join("cpu_0"), t.join("cpu_0.partial")).map(drop).unwrap();
    assert!(refusal(&double, None).contains("expected one file for each stream"));
    let in_the_way = |t: &Path| {
        fs::remove_file(t.join("cpu_0")).unwrap();
        fs::create_dir(t.join("cpu_0")).unwrap();
    };
    assert!(refusal(&in_the_way, None).contains("cpu_0: expected no file or folder there, found a folder"));
}

#[test]
fn two_runs_do_not_change_a_trace_at_the_same_time() {
    let lab = Lab::old_format();
    let folder = lab.write();
    let directory = Directory::open(&folder.path().join("t")).unwrap();
    let first = lab.join(&directory, Target::InPlace, Layout::Merged).unwrap();
    let second = lab.join(&directory, Target::InPlace, Layout::Merged).unwrap_err();
    assert!(matches!(second, Error::Busy { .. }));
    lab.join(&directory, Target::New(folder.path().join("out")), Layout::Merged).unwrap();
    assert!(matches!(
        lab.join(&directory, Target::InPlace, Layout::Beside).unwrap_err(),
        Error::BesideInPlace
    ));
    drop(first);
    lab.join(&directory, Target::InPlace, Layout::Merged).unwrap();
}

#[test]
fn what_a_killed_run_left_behind_is_not_copied_and_goes() {
    let lab = Lab::old_format();
    let folder = lab.write();
    let leftover = folder.path().join("t/.gone_0.ltt-kdump-partial");
    fs::write(&leftover, "half").unwrap();
    let directory = Directory::open(&folder.path().join("t")).unwrap();
    let out = folder.path().join("out");
    lab.join(&directory, Target::New(out.clone()), Layout::Merged).unwrap().run(&Silent).unwrap();
    assert!(leftover.exists() && !out.join(".gone_0.ltt-kdump-partial").exists());
    lab.in_place(folder.path(), Layout::Merged, Fault::Nothing).0.unwrap();
    assert!(!leftover.exists());
}
