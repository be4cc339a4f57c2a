#![allow(clippy::single_range_in_vec_init, reason = "ranges are what it is about")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::beneath::Beneath;
use crate::faulty::{Fault, Faulty, Step, scratch};
use crate::partial::is_partial;

/// What each file becomes: ranges that stay, bytes that follow, ranges that are cut.
struct Plan {
    path: &'static str,
    kept: &'static [Range<u64>],
    added: &'static str,
    cuts: &'static [Range<u64>],
}

/// Two files that change, one that is new in a new folder; what is kept and what is cut make up the whole file.
const PLANS: [Plan; 3] = [
    Plan { path: "control/m_0", kept: &[0..4], added: "-more", cuts: &[4..10] },
    Plan { path: "cpu_0", kept: &[0..2, 4..8], added: "-tail", cuts: &[2..4, 8..10] },
    Plan { path: "crash/cpu_0", kept: &[], added: "new", cuts: &[] },
];

fn trace() -> tempfile::TempDir {
    let scratch = scratch();
    fs::create_dir_all(scratch.path().join("t/control")).unwrap();
    for name in ["t/control/m_0", "t/cpu_0", "t/other"] {
        fs::write(scratch.path().join(name), "0123456789").unwrap();
    }
    scratch
}

type Files = BTreeMap<String, String>;

fn files(root: &Path) -> Files {
    let mut files = Files::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

/// Plans what is left to do and does it, as a run from the command line would.
fn run(scratch: &Path, disk: &dyn Disk) -> Result<Vec<Vec<PathBuf>>> {
    let shown = scratch.join("t");
    let cuts = CutFolder::beside(scratch, OsStr::new("t"));
    let todo: Vec<_> = PLANS
        .iter()
        .filter(|plan| {
            fs::read_to_string(shown.join(plan.path)).is_ok_and(|t| t == "0123456789") || {
                plan.kept.is_empty() && !shown.join(plan.path).exists()
            }
        })
        .map(|plan| (plan, File::open(shown.join(plan.path)).ok()))
        .collect();
    let writes: Vec<_> = todo
        .iter()
        .map(|(plan, _)| {
            move |original: Option<BorrowedFd<'_>>, sink: &mut dyn Sink| {
                let failed = while_doing("writing", plan.path);
                let copied =
                    plan.kept.iter().try_for_each(|range| sink.copy(original.unwrap(), range.clone()));
                copied.and_then(|()| sink.write_all(plan.added.as_bytes())).map_err(failed)
            }
        })
        .collect();
    let edits: Vec<_> = todo
        .iter()
        .zip(&writes)
        .map(|((plan, file), write)| Edit {
            path: Path::new(plan.path),
            original: file.as_ref().map(|file| rustix::fs::fstat(file).unwrap()),
            cuts: plan.cuts,
            write,
        })
        .collect();
    InPlace::new(disk, Path::new("t"), &shown, &cuts).run(&edits)
}

fn undisturbed() -> (Files, Vec<Step>) {
    let scratch = trace();
    let beneath = Beneath::open(scratch.path()).unwrap();
    let disk = Faulty::new(&beneath, Fault::Nothing);
    run(scratch.path(), &disk).unwrap();
    let result = files(scratch.path());
    let expected = [
        ("t.cut/control/m_0@4", "456789"),
        ("t.cut/cpu_0@2", "23"),
        ("t.cut/cpu_0@8", "89"),
        ("t/control/m_0", "0123-more"),
        ("t/cpu_0", "014567-tail"),
        ("t/crash/cpu_0", "new"),
        ("t/other", "0123456789"),
    ];
    assert_eq!(result, expected.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
    (result, disk.log())
}

/// Every two bytes of the old files are still in a file of the trace or of its cuts.
fn nothing_is_missing(now: &Files, why: &str) {
    for plan in PLANS.iter().filter(|plan| !plan.kept.is_empty()) {
        for pair in ["01", "23", "45", "67", "89"] {
            let found = now.iter().any(|(name, text)| {
                let ours =
                    name == &format!("t/{}", plan.path) || name.starts_with(&format!("t.cut/{}@", plan.path));
                ours && text.contains(pair)
            });
            assert!(found, "{why}: {} has lost {pair}: {now:?}", plan.path);
        }
    }
    assert_eq!(now["t/other"], "0123456789");
}

/// Every file is the old one or the new one; nothing else is there but what has a temporary name.
fn nothing_is_half_done(now: &Files, after: &Files, why: &str) {
    for (name, text) in now.iter().filter(|(name, _)| !is_partial(Path::new(name))) {
        let old = !name.starts_with("t.cut/") && name != "t/crash/cpu_0" && text == "0123456789";
        assert!(old || after.get(name) == Some(text), "{why}: {name} is {text:?}");
    }
}

#[test]
fn killed_at_every_step_nothing_is_lost_and_a_rerun_finishes() {
    let (after, log) = undisturbed();
    assert!(log.len() > 40, "{}", log.len());
    for (nth, step) in log.iter().enumerate() {
        for done in [false, true] {
            let why = format!("killed at step {nth}, {done}, {step:?}");
            let scratch = trace();
            let beneath = Beneath::open(scratch.path()).unwrap();
            run(scratch.path(), &Faulty::new(&beneath, Fault::Killed(nth, done))).unwrap_err();
            let now = files(scratch.path());
            nothing_is_missing(&now, &why);
            nothing_is_half_done(&now, &after, &why);
            // Killed once more on the way, then left alone.
            let again = run(scratch.path(), &Faulty::new(&beneath, Fault::Killed(nth / 2, done)));
            nothing_is_missing(&files(scratch.path()), &why);
            let _ = again;
            run(scratch.path(), &beneath).unwrap();
            assert_eq!(files(scratch.path()), after, "{why}");
            run(scratch.path(), &beneath).unwrap();
            assert_eq!(files(scratch.path()), after, "{why}: the second time");
        }
    }
}

#[test]
fn whatever_fails_nothing_is_left_behind_and_a_rerun_finishes() {
    let (after, log) = undisturbed();
    for (nth, step) in log.iter().enumerate() {
        for fault in [
            Fault::Step(nth, ErrorKind::Other),
            Fault::Step(nth, ErrorKind::ReadOnlyFilesystem),
            Fault::Full(nth),
        ] {
            let why = format!("{fault:?}, {step:?}");
            let scratch = trace();
            let beneath = Beneath::open(scratch.path()).unwrap();
            let result = run(scratch.path(), &Faulty::new(&beneath, fault));
            let now = files(scratch.path());
            nothing_is_missing(&now, &why);
            nothing_is_half_done(&now, &after, &why);
            assert!(!now.keys().any(|name| is_partial(Path::new(name))), "{why}: {now:?}");
            match result {
                // The last steps of a full disk need no space.
                Ok(_) => assert_eq!(now, after, "{why}"),
                Err(error) => {
                    assert!(matches!(error, Error::Unfinished { .. }), "{why}: {error}");
                    assert!(error.hint().unwrap().contains("run the same command again"), "{why}");
                }
            }
            run(scratch.path(), &beneath).unwrap();
            assert_eq!(files(scratch.path()), after, "{why}");
        }
    }
}

/// What a power cut may take is what was not synced. So every name that is given must be of a file that was synced before, be
/// synced itself before the next file is touched, and all cuts must be safe before the first file of the trace changes.
#[test]
fn a_power_cut_finds_everything_synced_in_order() {
    let (_, log) = undisturbed();
    let renames: Vec<_> = log.iter().enumerate().filter(|(_, step)| step.call == "rename").collect();
    assert_eq!(renames.len(), 6);
    for (at, rename) in &renames {
        let before = &log[..*at];
        let last = |call: &str| before.iter().rposition(|step| step.call == call && step.path == rename.path);
        assert!(last("sync") > last("write") && last("sync") > last("copy"), "{rename:?}");
        let next = &log[at + 1];
        assert_eq!((next.call, Some(&*next.path)), ("sync directory", rename.to.parent()), "{rename:?}");
    }
    // New folders are synced, with all above them, before anything in them gets its name.
    for (at, made) in log.iter().enumerate().filter(|(_, step)| step.call == "directory") {
        let synced: Vec<_> = log[at + 1..].iter().take_while(|step| step.call == "sync directory").collect();
        assert_eq!(synced.len(), made.path.ancestors().count(), "{made:?}");
    }
    let in_cut = |step: &Step| step.to.starts_with("t.cut");
    assert!(renames[..3].iter().all(|(_, step)| in_cut(step)), "{renames:?}");
    assert!(!renames[3..].iter().any(|(_, step)| in_cut(step)), "{renames:?}");
    assert!(renames[3].1.to.ends_with("control/m_0"), "in the order given");
}

#[test]
fn permissions_stay() {
    let scratch = trace();
    let mode = |name: &str| fs::metadata(scratch.path().join(name)).unwrap().permissions().mode() & 0o777;
    fs::set_permissions(scratch.path().join("t/cpu_0"), fs::Permissions::from_mode(0o610)).unwrap();
    run(scratch.path(), &Beneath::open(scratch.path()).unwrap()).unwrap();
    assert_eq!((mode("t/cpu_0"), mode("t.cut/cpu_0@2")), (0o610, 0o610));
}

#[test]
fn what_others_change_meanwhile_is_left_alone() {
    /// Does something just before the first rename in the trace.
    struct Meddled<'a>(Beneath, &'a (dyn Fn() + Sync));
    impl Disk for Meddled<'_> {
        fn create(&self, path: &Path) -> io::Result<Box<dyn Sink + '_>> {
            if path == Path::new("t/.cpu_0.ltt-kdump-partial") {
                self.1();
            }
            self.0.create(path)
        }
        fn create_directories(&self, path: &Path) -> io::Result<()> {
            self.0.create_directories(path)
        }
        fn sync_directory(&self, path: &Path) -> io::Result<()> {
            self.0.sync_directory(path)
        }
        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            self.0.rename(from, to)
        }
        fn remove(&self, path: &Path) -> io::Result<()> {
            self.0.remove(path)
        }
        fn open(&self, path: &Path) -> io::Result<Option<File>> {
            self.0.open(path)
        }
    }
    let meddle = |change: &(dyn Fn(&Path) + Sync), expected: &str| {
        let scratch = trace();
        let act = || change(&scratch.path().join("t/cpu_0"));
        let disk = Meddled(Beneath::open(scratch.path()).unwrap(), &act);
        let error = run(scratch.path(), &disk).unwrap_err();
        let Error::Unfinished { done: 1, files: 3, source } = error else { panic!("{error}") };
        assert!(source.to_string().contains(expected), "{source}");
        assert!(!scratch.path().join("t/.cpu_0.ltt-kdump-partial").exists());
        scratch
    };
    let scratch = meddle(&|path| fs::write(path, "0123456789 and more").unwrap(), "changed by somebody else");
    assert_eq!(files(scratch.path())["t/cpu_0"], "0123456789 and more");
    meddle(&|path| fs::remove_file(path).unwrap(), "changed by somebody else");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x"), "0123456789").unwrap();
    meddle(
        &|path| {
            fs::remove_file(path).unwrap();
            symlink(outside.path().join("x"), path).unwrap();
        },
        "opening",
    );
    assert_eq!(fs::read_to_string(outside.path().join("x")).unwrap(), "0123456789");
}

#[test]
fn a_new_file_does_not_replace_one_that_came_meanwhile() {
    let scratch = trace();
    let beneath = Beneath::open(scratch.path()).unwrap();
    let (shown, cuts) = (scratch.path().join("t"), CutFolder::beside(scratch.path(), OsStr::new("t")));
    let edit = Edit { path: Path::new("cpu_0"), original: None, cuts: &[], write: &|_, _| Ok(()) };
    let error = InPlace::new(&beneath, Path::new("t"), &shown, &cuts).run(&[edit]).unwrap_err();
    assert!(matches!(error, Error::Unfinished { source, .. } if matches!(*source, Error::Changed { .. })));
    assert_eq!(files(scratch.path())["t/cpu_0"], "0123456789");
}
