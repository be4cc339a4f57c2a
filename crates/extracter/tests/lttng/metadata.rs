//! The metadata file: torn in every place, gone, longer than the core's, another one.

use std::fs;
use std::path::Path;

use analyser::lttng::Directory;
use extracter::{Join, JoinReport, Layout, Silent, Target};
use lttformat::ctf::{Metadata, TraceClass, plain_metadata};
use synth::lttng::Release;

use crate::files::{is_whole, tree};
use crate::lab::{Lab, MACHINES, PAGE};

fn text(path: &Path) -> Vec<u8> {
    Metadata::parse(&fs::read(path).unwrap()).text
}

fn repair(trace: &Path) -> JoinReport {
    let directory = Directory::open(trace).unwrap();
    Join::repair(&directory, Target::InPlace).unwrap().run(&Silent).unwrap()
}

/// Metadata of several packets: synthetic ones fit in one page.
fn long(lab: &Lab) -> Vec<u8> {
    let directory = Directory::open(&lab.disk("for its packets")).unwrap();
    let packets = directory.metadata().unwrap().packets().unwrap();
    packets.file(lab.truth().metadata.as_bytes(), 512).unwrap()
}

#[test]
fn a_file_that_ends_anywhere() {
    for (release, machine) in [(Release::V2_5, MACHINES[0]), (Release::V2_13, MACHINES[3])] {
        let lab = Lab::new(release, machine, false);
        let whole = long(&lab);
        let all = lab.truth().metadata.as_bytes();
        for len in (0..whole.len()).step_by(97).chain([1, 36, 37, 511, 512, 513, whole.len() - 1]) {
            let label = format!("{release:?} {len} of {}", whole.len());
            let trace = lab.disk("t");
            let path = trace.join("kernel/metadata");
            fs::write(&path, &whole[..len]).unwrap();

            // Alone: whole statements stay.
            repair(&trace);
            let kept = text(&path);
            assert!(all.starts_with(&kept), "{label}");
            assert!(
                kept.is_empty() || TraceClass::parse(&kept).is_ok() || kept.ends_with(b"};\n\n"),
                "{label}"
            );
            let after = tree(&trace);
            assert!(!repair(&trace).changes_anything() && tree(&trace) == after, "{label}");

            // With the core: all of it.
            for (name, bytes) in [("repaired", fs::read(&path).unwrap()), ("torn", whole[..len].to_vec())] {
                fs::write(&path, &bytes).unwrap();
                let report = lab.join(&trace, Target::InPlace, Layout::Merged);
                assert!(!report.has_losses(), "{label} {name}: {report:#?}");
                assert!(text(&path) == all, "{label} {name}");
                let start = bytes.len() / 512 * 512;
                let file = fs::read(&path).unwrap();
                // Packets that were whole are the same bytes.
                assert!(name == "repaired" || file[..start] == whole[..start], "{label}");
                is_whole(&trace, &label);
            }
            fs::remove_dir_all(&trace).unwrap();
            let _ = fs::remove_dir_all(trace.with_extension("cut"));
        }
    }
}

#[test]
fn other_forms() {
    let lab = Lab::new(Release::V2_13, MACHINES[0], false);
    let all = lab.truth().metadata.clone();
    let trace = lab.disk("t");
    let path = trace.join("kernel/metadata");

    // None at all.
    fs::remove_file(&path).unwrap();
    let report = lab.join(&trace, Target::InPlace, Layout::Merged);
    let metadata = report.metadata.unwrap();
    assert_eq!((metadata.bytes, metadata.text_added), (None, all.len() as u64));
    assert!(fs::read(&path).unwrap() == lab.metadata());

    // Garbage behind it.
    let mut bytes = lab.metadata();
    bytes.extend([0x55; 700]);
    fs::write(&path, &bytes).unwrap();
    let report = lab.join(&trace, Target::InPlace, Layout::Merged);
    assert!(!report.has_losses());
    assert_eq!(report.metadata.unwrap().cuts[0].saved_as.as_deref(), Some("kernel/metadata@4096"));
    assert!(fs::read(&path).unwrap() == lab.metadata());

    // Plain text that lacks its end goes on as plain text.
    let plain = plain_metadata(all.as_bytes());
    fs::write(&path, &plain[..plain.len() - 100]).unwrap();
    lab.join(&trace, Target::InPlace, Layout::Merged);
    assert!(fs::read(&path).unwrap() == plain);
    fs::write(&path, &plain[..plain.len() - 100]).unwrap();
    repair(&trace);
    let kept = fs::read(&path).unwrap();
    assert!(plain.starts_with(&kept) && kept.ends_with(b"};\n\n"));

    // The disk's goes on where the core's ends.
    let more = format!("{all}event {{\n\tname = \"later\";\n\tid = 77;\n\tstream_id = 0;\n}};\n\n");
    let packets = Directory::open(&lab.disk("o")).unwrap().metadata().unwrap().packets().unwrap();
    let longer = packets.file(more.as_bytes(), PAGE).unwrap();
    fs::write(&path, &longer).unwrap();
    assert!(!lab.join(&trace, Target::InPlace, Layout::Merged).metadata.unwrap().changes);

    // Another text: the tracer began anew, and the core has what it wrote then.
    let other = all.replacen("s1", "s0", 1);
    assert_ne!(other, all);
    fs::write(&path, packets.file(other.as_bytes(), PAGE).unwrap()).unwrap();
    let report = lab.join(&trace, Target::InPlace, Layout::Merged);
    let metadata = report.metadata.unwrap();
    assert_eq!((metadata.text_kept, metadata.notes.len()), (0, 1));
    assert!(fs::read(&path).unwrap() == lab.metadata());
    is_whole(&trace, "another text");
}

#[test]
fn before_the_cache_the_core_has_only_the_last_packets() {
    let lab = Lab::new(Release::V2_1, MACHINES[0], false);
    let trace = lab.disk("t");
    let report = lab.join(&trace, Target::InPlace, Layout::Merged);
    assert!(!report.has_losses(), "{report:#?}");
    assert!(text(&trace.join("kernel/metadata")) == lab.truth().metadata.as_bytes());
}
