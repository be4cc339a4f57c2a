//! Every kind of damage of data files and indexes, in traces of every release, word size and byte order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use analyser::lttng::Directory;
use extracter::{Gap, Join, Layout, Silent, Target};
use synth::lttng::Release;

use crate::damage::{ALL, Damage, damaged};
use crate::files::{is_whole, tree};
use crate::judge::{holds, in_core};
use crate::lab::{Lab, MACHINES};

/// Where a result goes: a new folder, or the trace itself.
fn target(lab: &Lab, trace: &Path, in_place: bool, name: &str) -> (Target, PathBuf) {
    if in_place {
        return (Target::InPlace, trace.to_path_buf());
    }
    let output = lab.scratch.path().join(name);
    (Target::New(output.clone()), output)
}

#[test]
fn what_is_whole_stays_as_it_is() {
    for release in Release::ALL {
        for machine in MACHINES {
            let lab = Lab::new(release, machine, false);
            let label = format!("{release:?} {machine:?}");
            let trace = lab.disk("t");
            is_whole(&trace, &label);
            let before = tree(&trace);
            let directory = Directory::open(&trace).unwrap();
            let join = Join::repair(&directory, Target::InPlace).unwrap();
            assert!(join.changes_nothing() && !join.report().has_losses(), "{label}: {:?}", join.report());
            join.run(&Silent).unwrap();
            assert!(tree(&trace) == before, "{label}");
        }
    }
}

#[test]
fn both_sides_of_every_release() {
    for release in Release::ALL {
        for machine in MACHINES {
            for mapped in [false, true] {
                let lab = Lab::new(release, machine, mapped);
                let label = format!("{release:?} {machine:?} mapped {mapped}");
                let trace = lab.disk("t");
                let report = lab.join(&trace, Target::InPlace, Layout::Merged);
                assert!(!report.has_losses(), "{label}: {report:#?}");
                for (stream, joined) in lab.streams().iter().zip(&report.streams) {
                    let wanted: BTreeSet<u64> =
                        (0..stream.disk.len() as u64).chain(in_core(stream)).collect();
                    assert_eq!(wanted.len() as u64, *wanted.last().unwrap() + 1, "{label}: {wanted:?}");
                    assert_eq!(joined.gap, Some(Gap::Exact), "{label}");
                    assert_eq!(joined.channel, "net", "{label}");
                    assert_eq!(joined.both.records, joined.both.equal, "{label}");
                    holds(&lab, &trace, stream, &wanted, &label);
                }
                is_whole(&trace, &label);
                let before = tree(&trace);
                let report = lab.join(&trace, Target::InPlace, Layout::Merged);
                assert!(!report.changes_anything() && report.totals.added == 0, "{label}: {report:#?}");
                assert!(tree(&trace) == before, "{label}");
            }
        }
    }
}

/// The releases that differ in packets or indexes.
const RELEASES: [Release; 4] = [Release::V2_0, Release::V2_3, Release::V2_5, Release::V2_13];

#[test]
fn damage_of_data_files() {
    for (nth, release) in RELEASES.into_iter().enumerate() {
        for (at, machine) in MACHINES.into_iter().enumerate() {
            let lab = Lab::new(release, machine, (nth + at) % 2 == 0);
            for (number, damage) in ALL.into_iter().enumerate() {
                let in_place = (nth + at + number) % 2 == 0;
                let label = format!("{release:?} {machine:?} {damage:?} in place {in_place}");
                of_data_file(&lab, damage, in_place, &label);
            }
        }
    }
}

fn of_data_file(lab: &Lab, damage: Damage, in_place: bool, label: &str) {
    let name = format!("{damage:?}");
    let trace = lab.disk(&name);
    let stream = &lab.streams()[1];
    let (file, kept) = damaged(&stream.disk, damage);
    fs::write(trace.join("kernel/net_1"), &file).unwrap();

    // Without the core.
    let repaired = lab.scratch.path().join(format!("{name}-repaired"));
    let directory = Directory::open(&trace).unwrap();
    let report = Join::repair(&directory, Target::New(repaired.clone())).unwrap().run(&Silent).unwrap();
    holds(lab, &repaired, stream, &kept, label);
    is_whole(&repaired, label);
    let cut: u64 = report.streams[1].disk.as_ref().unwrap().bytes_cut;
    let left = fs::metadata(repaired.join("kernel/net_1")).unwrap().len();
    assert_eq!(cut + left, file.len() as u64, "{label}");
    assert_eq!(tree(&trace).len(), tree(&repaired).len(), "{label}");

    // With it.
    let (target, output) = target(lab, &trace, in_place, &format!("{name}-joined"));
    let report = lab.join(&trace, target, Layout::Merged);
    let wanted: BTreeSet<u64> = kept.iter().copied().chain(in_core(stream)).collect();
    holds(lab, &output, stream, &wanted, label);
    is_whole(&output, label);
    let missing = wanted.last().unwrap() + 1 - wanted.len() as u64;
    match &report.streams[1].gap {
        Some(Gap::Exact) => assert_eq!(missing, 0, "{label}"),
        Some(Gap::Lost { records, .. }) => assert_eq!(*records, missing, "{label}"),
        gap => panic!("{label}: {gap:?}"),
    }
    if in_place {
        // What was cut is kept beside.
        let folder = lab.scratch.path().join(format!("{name}.cut"));
        let kept: u64 = report.streams[1].disk.iter().flat_map(|disk| &disk.cuts).map(|cut| cut.len).sum();
        let saved: usize = if kept == 0 {
            0
        } else {
            tree(&folder)
                .iter()
                .filter(|(name, _)| name.starts_with("kernel/net_1@"))
                .map(|(_, bytes)| bytes.len())
                .sum()
        };
        assert_eq!(saved as u64, kept, "{label}");
        let before = tree(&output);
        let again = lab.join(&output, Target::InPlace, Layout::Merged);
        assert!(!again.changes_anything(), "{label}: {again:#?}");
        assert!(tree(&output) == before, "{label}");
    }
}

#[test]
fn damage_of_indexes() {
    for release in [Release::V2_5, Release::V2_13] {
        let lab = Lab::new(release, MACHINES[0], false);
        type Change = fn(&mut Vec<u8>);
        let changes: [(&str, Change); 7] = [
            ("short", |index| index.truncate(index.len() - 20)),
            ("whole entries missing", |index| index.truncate(16)),
            ("long", |index| index.extend([7; 100])),
            ("zeroes", |index| {
                let len = index.len();
                index[len - 60..].fill(0);
            }),
            ("all zeroes", |index| index.fill(0)),
            ("empty", Vec::clear),
            ("another offset", |index| index[16 + 7] ^= 4),
        ];
        for (name, change) in changes {
            for in_place in [false, true] {
                let label = format!("{release:?} {name} in place {in_place}");
                let trace = lab.disk(&format!("{name} {in_place}"));
                let path = trace.join("kernel/index/net_0.idx");
                let mut index = fs::read(&path).unwrap();
                change(&mut index);
                fs::write(&path, &index).unwrap();
                let (target, output) = target(&lab, &trace, in_place, &format!("{name} joined"));
                let report = lab.join(&trace, target, Layout::Merged);
                assert!(!report.has_losses(), "{label}: an index says nothing of its own");
                for stream in lab.streams() {
                    let wanted = (0..stream.disk.len() as u64).chain(in_core(stream)).collect();
                    holds(&lab, &output, stream, &wanted, &label);
                }
                is_whole(&output, &label);
            }
        }
        // One that is missing is made, if there are others.
        let trace = lab.disk("missing");
        fs::remove_file(trace.join("kernel/index/net_1.idx")).unwrap();
        lab.join(&trace, Target::InPlace, Layout::Merged);
        is_whole(&trace, "missing");
        assert!(trace.join("kernel/index/net_1.idx").exists());
    }
}

#[test]
fn what_the_core_adds_apart() {
    for release in RELEASES {
        let lab = Lab::new(release, MACHINES[0], false);
        let trace = lab.disk("t");
        let before = tree(&trace);
        let beside = lab.scratch.path().join("beside");
        let report = lab.join(&trace, Target::New(beside.clone()), Layout::Beside);
        assert!(tree(&trace) == before);
        is_whole(&beside, "beside");
        assert_eq!(report.totals.records, report.totals.added);
        for stream in lab.streams() {
            holds(&lab, &beside, stream, &in_core(stream), "beside");
        }
        lab.join(&trace, Target::InPlace, Layout::CrashSubdir);
        is_whole(&trace, "crash");
        assert!(tree(&trace.join("crash")) == tree(&beside));
        let kept = |(name, _): &(String, Vec<u8>)| !name.starts_with("crash/");
        assert!(tree(&trace).into_iter().filter(kept).collect::<Vec<_>>() == before);
        let after = tree(&trace);
        let again = lab.join(&trace, Target::InPlace, Layout::CrashSubdir);
        assert!(!again.changes_anything() && again.totals.added == 0, "{again:#?}");
        assert!(tree(&trace) == after);
    }
}

#[test]
fn another_trace_is_refused() {
    let lab = Lab::new(Release::V2_13, MACHINES[0], false);
    let trace = lab.disk("t");
    for file in ["metadata", "net_0", "net_1"] {
        let path = trace.join("kernel").join(file);
        let mut bytes = fs::read(&path).unwrap();
        let uuid = lab.truth().uuid;
        let places: Vec<usize> = (0..bytes.len() - 16).filter(|at| bytes[*at..*at + 16] == uuid).collect();
        let digit = |high: u8| high ^ if high >> 4 == 0 { 0x10 } else { high & 0xf0 };
        places.into_iter().for_each(|at| bytes[at] = digit(bytes[at]));
        // The text says it, too.
        let text = lttformat::ctf::Uuid(uuid).to_string();
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) {
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        }
        fs::write(&path, bytes).unwrap();
    }
    let directory = Directory::open(&trace).unwrap();
    let error = analyser::lttng::pairing(&directory, &lab.sessions, None).unwrap_err();
    assert!(matches!(error, analyser::Error::NoPair { .. }), "{error}");
    let join = Join::with_session(&directory, &lab.kernel, lab.session(), Target::InPlace, Layout::Merged);
    assert!(matches!(join, Err(extracter::Error::OtherTrace { .. })), "{join:?}");
}

/// The daemon had made its files, and the crash came before the first packet reached the disk.
#[test]
fn files_that_are_all_empty() {
    for (release, machine) in [(Release::V2_5, MACHINES[2]), (Release::V2_13, MACHINES[0])] {
        let lab = Lab::new(release, machine, true);
        for rotated in [false, true] {
            let label = format!("{release:?} rotated {rotated}");
            let trace = lab.disk(&label);
            let kernel = trace.join("kernel");
            let names = ["net_0", "net_1"];
            for name in names {
                fs::remove_file(kernel.join(name)).unwrap();
                let _ = fs::remove_file(kernel.join(format!("index/{name}.idx")));
                // The core knows the user's name of the channel from the daemon's open files.
                let name = name.replace("net", "chan") + if rotated { "_0" } else { "" };
                fs::write(kernel.join(&name), []).unwrap();
                fs::write(kernel.join(format!("index/{name}.idx")), []).unwrap();
            }
            let report = lab.join(&trace, Target::InPlace, Layout::Merged);
            assert_eq!(report.streams.len(), 2, "{label}: {report:#?}");
            is_whole(&trace, &label);
            for (stream, joined) in lab.streams().iter().zip(&report.streams) {
                let wanted = in_core(stream);
                assert_eq!(joined.added.records, wanted.len() as u64, "{label}");
                let missing = *wanted.first().unwrap();
                match &joined.gap {
                    Some(Gap::Exact) => assert_eq!(missing, 0, "{label}"),
                    Some(Gap::Lost { records, .. }) => assert_eq!(*records, missing, "{label}"),
                    Some(Gap::Unknown { .. }) => assert!(rotated && release == Release::V2_5, "{label}"),
                    gap => panic!("{label}: {gap:?}"),
                }
                let index = fs::read(trace.join(&joined.index.as_ref().unwrap().path)).unwrap();
                let version = lttformat::ctf::Index::parse(&index).unwrap().version;
                assert_eq!(Some(version), lab.index_version(), "{label}");
            }
            let again = lab.join(&trace, Target::InPlace, Layout::Merged);
            assert!(!again.changes_anything(), "{label}: {again:#?}");
        }
    }
}

/// Files of a channel that are rotated: each keeps its packets, and what the core adds goes on in the newest.
#[test]
fn files_that_are_rotated() {
    for release in [Release::V2_5, Release::V2_13] {
        let lab = Lab::new(release, MACHINES[0], true);
        let trace = lab.disk("t");
        let kernel = trace.join("kernel");
        for stream in lab.streams() {
            let cpu = stream.cpu.unwrap();
            fs::remove_file(kernel.join(format!("net_{cpu}"))).unwrap();
            fs::remove_file(kernel.join(format!("index/net_{cpu}.idx"))).unwrap();
            // Two packets in each, and the newest one in the place of the oldest.
            for (nth, packets) in stream.disk.chunks(2).enumerate() {
                let name = format!("net_{cpu}_{}", nth % 2);
                fs::write(kernel.join(&name), packets.concat()).unwrap();
                fs::write(kernel.join(format!("index/{name}.idx")), lab.index(packets).unwrap()).unwrap();
            }
        }
        is_whole(&trace, "rotated");
        let before = tree(&trace);
        let report = lab.join(&trace, Target::InPlace, Layout::Merged);
        is_whole(&trace, "joined");
        let class = lab.class();
        for stream in lab.streams() {
            let cpu = stream.cpu.unwrap();
            let parts: Vec<_> =
                [0, 1].map(|n| fs::read(kernel.join(format!("net_{cpu}_{n}"))).unwrap()).into();
            let mut found: Vec<u64> = parts
                .iter()
                .flat_map(|part| crate::lab::packets(&class, part))
                .flat_map(|packet| crate::lab::events(&class, &packet))
                .collect();
            let of_newest = (stream.disk.len() - 1) / 2 % 2;
            let older = &parts[1 - of_newest];
            let name = format!("kernel/net_{cpu}_{}", 1 - of_newest);
            assert!(before.iter().any(|(path, bytes)| *path == name && bytes == older), "{name} changed");
            found.sort_unstable();
            assert!(found.is_sorted_by(|a, b| a < b), "events twice");
            let joined: Vec<_> =
                report.streams.iter().filter(|joined| joined.cpu == cpu && joined.gap.is_some()).collect();
            let [joined] = &joined[..] else { panic!("{report:#?}") };
            assert_eq!(joined.path, format!("kernel/net_{cpu}_{of_newest}"));
            let expected = if release == Release::V2_13 { "Exact" } else { "Unknown" };
            assert!(format!("{:?}", joined.gap.as_ref().unwrap()).starts_with(expected), "{joined:#?}");
        }
        let again = lab.join(&trace, Target::InPlace, Layout::Merged);
        assert!(!again.changes_anything(), "{again:#?}");
    }
}
