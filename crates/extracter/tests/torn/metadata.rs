//! Metadata that the crash cost: without them nothing of a trace can be read.

use extracter::{Layout, Target};
use synth::disk::{Damage, DiskTrace};
use synth::{Fill, Reader};

use crate::judge::{judge_merged, judge_readable, judge_report, merge, must_be_made, tree};
use crate::lab::{few_recipes, metadata, open};

/// The usual case: the metadata channel is slow, so that none of it has reached the disk yet.
#[test]
fn only_in_the_core() {
    for recipe in few_recipes() {
        let dead = recipe.kernel.metadata(metadata().sub_buffers(8192, 8)).build();
        let core = open(&dead);
        let disk = DiskTrace::of(&dead);
        let outcome = disk.outcome();
        assert!(outcome.metadata().all(|file| file.present && file.bytes.is_empty()));
        let folder = tempfile::tempdir().unwrap();
        let (root, output) = (folder.path().join("trace"), folder.path().join("merged"));
        disk.write(&root).unwrap();
        let report = merge(&root, &core, Target::New(output.clone()), Layout::Merged);
        judge_report(&outcome, &report, &recipe.label);
        judge_merged(&outcome, &report, &tree(&output), &recipe.label);
        judge_readable(&outcome, &output, &recipe.label);
    }
}

/// Consumed, lost on disk and overwritten in memory: they are made up from what else the kernel's memory tells.
#[test]
fn nowhere_any_more() {
    for recipe in few_recipes() {
        let lossy = metadata().sub_buffers(4096, 2).reader(Reader::Keeps(0)).fill(Fill::Empty);
        let dead = recipe.kernel.marker_sets(4).metadata(lossy).build();
        let core = open(&dead);
        let whole = DiskTrace::of(&dead);
        let paths: Vec<&str> = whole.outcome().metadata().map(|file| file.path).collect();
        let all = |damage: &Damage| {
            paths.iter().fold(whole.clone(), |disk, path| disk.damage(path, damage.clone()))
        };
        let mut torn = vec![
            ("no files", all(&Damage::Missing)),
            ("empty files", all(&Damage::Empty)),
            ("one record", whole.clone().damage(paths[0], Damage::LostTail { records: 1 })),
        ];
        if paths[0].starts_with("control/") {
            torn.push(("no folder", whole.clone().without_directory("control")));
        }
        for (what, disk) in torn {
            let label = format!("{}, lost: {what}", recipe.label);
            let outcome = disk.outcome();
            for layout in [Layout::Merged, Layout::Beside, Layout::CrashSubdir] {
                let folder = tempfile::tempdir().unwrap();
                let (root, output) = (folder.path().join("trace"), folder.path().join("joined"));
                disk.write(&root).unwrap();
                let report = merge(&root, &core, Target::New(output.clone()), layout);
                let label = format!("{label} {layout:?}");
                judge_report(&outcome, &report, &label);
                judge_readable(&outcome, &output, &label);
                if layout == Layout::Merged {
                    judge_merged(&outcome, &report, &tree(&output), &label);
                    merge(&root, &core, Target::InPlace, layout);
                    assert!(tree(&root) == tree(&output), "{label}: in place it is another trace");
                    let again = merge(&root, &core, Target::InPlace, layout).totals;
                    assert_eq!((again.added, again.made, again.streams_changed), (0, 0, 0), "{label}: again");
                }
            }
            let made = outcome.metadata().any(|file| must_be_made(&outcome, file));
            assert!(made || what == "one record", "{label}: nothing had to be made up");
        }
    }
}
