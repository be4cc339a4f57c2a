//! Traces of LTTng 2.x that are changed in place, on a disk that fails.

use std::collections::BTreeMap;
use std::fs;

use analyser::lttng::{Sessions, pairing};
use analyser::{OpenOptions, Routes};
use lttformat::ctf::{Language, MetadataPackets, Uuid};
use synth::lttng::{DeadTracer, Reader, Release, Tracer};
use tempfile::TempDir;

use super::*;
use crate::faulty::{Fault, Faulty, Step, scratch};
use crate::progress::Silent;

struct Lab {
    dead: DeadTracer,
    kernel: Kernel,
    sessions: Sessions,
    _folder: TempDir,
}

type Files = BTreeMap<String, Vec<u8>>;

fn files(root: &Path) -> Files {
    let mut files = Files::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

impl Lab {
    fn new() -> Lab {
        let tracer = Tracer::new(Release::V2_13).mapped(true).events(400).reader(Reader::Keeps(1));
        let dead = tracer.build();
        let folder = tempfile::tempdir().unwrap();
        let (core, types) = (folder.path().join("core"), folder.path().join("types.json"));
        fs::write(&core, synth::core::Elf::kdump().write(&dead.kernel).bytes()).unwrap();
        fs::write(&types, synth::isf::json(&dead.kernel)).unwrap();
        let options = OpenOptions { cores: vec![core], debuginfo: vec![types], ..OpenOptions::default() };
        let kernel = Kernel::open(&options).unwrap();
        let sessions = kernel.sessions(Routes::ALL);
        Lab { dead, kernel, sessions, _folder: folder }
    }

    /// Its trace: metadata and one file are torn, another has zeros behind it, and no index is what it should be.
    fn torn(&self) -> Files {
        let session = &self.dead.sessions[0];
        let packets = MetadataPackets {
            endian: lttformat::ltt::Endian::Little,
            uuid: Uuid(session.uuid),
            language: Language::Tsdl,
        };
        let mut metadata = packets.file(session.metadata.as_bytes(), 512).unwrap();
        metadata.truncate(1200);
        let mut files = Files::from([("t/kernel/metadata".to_owned(), metadata)]);
        for stream in &session.channels[0].streams {
            let cpu = stream.cpu.unwrap();
            let mut bytes = stream.disk.concat();
            if cpu == 0 {
                bytes.truncate(bytes.len() - 700);
            } else {
                bytes.extend([0; 5000]);
            }
            files.insert(format!("t/kernel/net_{cpu}"), bytes);
            files.insert(format!("t/kernel/index/net_{cpu}.idx"), vec![0; 16 + 72 * 3]);
        }
        files
    }

    fn write(&self) -> TempDir {
        let folder = scratch();
        for (name, bytes) in self.torn() {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn in_place(&self, folder: &Path, layout: Layout, fault: Fault) -> (Result<JoinReport>, Vec<Step>) {
        let directory = lttng::Directory::open(&folder.join("t")).unwrap();
        let session = pairing(&directory, &self.sessions, None).unwrap();
        let join = Join::with_session(&directory, &self.kernel, session, Target::InPlace, layout).unwrap();
        let beneath = Beneath::open(folder).unwrap();
        let disk = Faulty::new(&beneath, fault);
        let result = join.change(&disk, &Silent);
        (result, disk.log())
    }

    /// Every packet and every other byte that was on disk is still there, in the trace or beside it.
    fn nothing_is_missing(&self, now: &Files, why: &str) {
        for (name, bytes) in self.torn() {
            let kept = format!("t.cut/{}@", name.strip_prefix("t/").unwrap());
            let ours: Vec<_> =
                now.iter().filter(|(path, _)| **path == name || path.starts_with(&kept)).collect();
            let step = if name.ends_with("metadata") { 512 } else { 4096 };
            for piece in bytes.chunks(step) {
                let is_there = ours.iter().any(|(_, bytes)| bytes.windows(piece.len()).any(|at| at == piece));
                assert!(is_there, "{why}: {name} has lost bytes");
            }
        }
    }
}

#[test]
fn killed_at_every_step_nothing_is_lost_and_a_rerun_finishes() {
    let lab = Lab::new();
    for layout in [Layout::Merged, Layout::CrashSubdir] {
        let undisturbed = lab.write();
        let (report, log) = lab.in_place(undisturbed.path(), layout, Fault::Nothing);
        assert!(report.unwrap().totals.added > 0);
        let after = files(undisturbed.path());
        lab.nothing_is_missing(&after, "undisturbed");
        let (again, log_again) = lab.in_place(undisturbed.path(), layout, Fault::Nothing);
        assert!(!again.unwrap().changes_anything() && log_again.is_empty(), "{layout:?}");
        assert!(log.len() > 40, "{}", log.len());
        for (nth, step) in log.iter().enumerate() {
            let done = nth % 2 == 0;
            let why = format!("{layout:?} killed at step {nth}, {done}, {step:?}");
            let folder = lab.write();
            lab.in_place(folder.path(), layout, Fault::Killed(nth, done)).0.unwrap_err();
            lab.nothing_is_missing(&files(folder.path()), &why);
            let _ = lab.in_place(folder.path(), layout, Fault::Killed(nth / 2, !done));
            lab.nothing_is_missing(&files(folder.path()), &why);
            lab.in_place(folder.path(), layout, Fault::Nothing).0.unwrap();
            let found = files(folder.path());
            assert_eq!(found.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>(), "{why}");
            assert!(found == after, "{why}");
        }
    }
}

#[test]
fn metadata_come_first_and_an_index_after_its_file() {
    let lab = Lab::new();
    let (_, log) = lab.in_place(lab.write().path(), Layout::Merged, Fault::Nothing);
    let renamed = log.iter().filter(|step| step.call == "rename").map(|step| step.to.display().to_string());
    let in_trace: Vec<_> = renamed.filter(|to| to.starts_with("t/")).collect();
    let expected = ["metadata", "net_0", "index/net_0.idx", "net_1", "index/net_1.idx"];
    assert_eq!(in_trace, expected.map(|name| format!("t/kernel/{name}")));
}

#[test]
fn links_and_second_names_are_refused() {
    let lab = Lab::new();
    let refusal = |spoil: &dyn Fn(&Path)| {
        let folder = lab.write();
        spoil(&folder.path().join("t/kernel"));
        let before = files(folder.path());
        let directory = lttng::Directory::open(&folder.path().join("t")).unwrap();
        let session = &lab.sessions.sessions[0];
        let join = Join::with_session(&directory, &lab.kernel, session, Target::InPlace, Layout::Merged);
        assert!(files(folder.path()) == before);
        join.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let link = |kernel: &Path| std::os::unix::fs::symlink("/etc/passwd", kernel.join("net_7")).unwrap();
    assert!(refusal(&link).contains("net_7: expected files and folders in a trace"));
    for name in ["net_0", "metadata", "index/net_1.idx"] {
        let second =
            |kernel: &Path| fs::hard_link(kernel.join(name), kernel.join("../../elsewhere")).unwrap();
        let text = refusal(&second);
        assert!(text.contains(&format!("{name}: expected a file with one name, found one with 2")), "{text}");
    }
    let in_the_way = |kernel: &Path| {
        fs::remove_file(kernel.join("index/net_0.idx")).unwrap();
        fs::create_dir(kernel.join("index/net_0.idx")).unwrap();
    };
    assert!(refusal(&in_the_way).contains("net_0.idx: expected no file or folder there, found a folder"));
}
