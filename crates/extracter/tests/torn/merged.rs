//! Torn traces joined with their cores, in one trace.

use std::fs;

use analyser::Directory;
use extracter::{Join, Layout, Target};
use synth::disk::Damage;
use synth::{Kernel, Mode};

use crate::judge::{judge_disk, judge_merged, judge_readable, judge_report, merge, repair, tree};
use crate::lab::{Case, few_recipes, on_torn_traces, recipes};

/// To a new folder, and in place: the same trace comes out. The second time nothing changes.
fn join(case: &Case<'_>) {
    let label = &case.label;
    let outcome = case.disk.outcome();
    let folder = tempfile::tempdir().unwrap();
    let (root, output) = (folder.path().join("trace"), folder.path().join("merged"));
    case.disk.write(&root).unwrap();
    let before = tree(&root);

    let report = merge(&root, case.core, Target::New(output.clone()), Layout::Merged);
    let merged = tree(&output);
    judge_report(&outcome, &report, label);
    judge_merged(&outcome, &report, &merged, label);
    let events = judge_readable(&outcome, &output, label);
    for file in outcome.files.iter().filter(|file| !file.is_metadata()) {
        assert_eq!(events[file.path], file.events.len() as u64, "{label}\n  in {}: events", file.path);
    }
    assert!(tree(&root) == before, "{label}: the original was written to");

    let report = merge(&root, case.core, Target::InPlace, Layout::Merged);
    judge_report(&outcome, &report, label);
    assert!(tree(&root) == merged, "{label}: in place it is another trace");
    let cuts = folder.path().join("trace.cut");
    for cut in report.streams.iter().flat_map(|stream| &stream.disk).flat_map(|disk| &disk.cuts) {
        let range = cut.offset as usize..(cut.offset + cut.len) as usize;
        let saved = fs::read(cuts.join(cut.saved_as.as_ref().unwrap())).unwrap();
        let original = before[&cut.path].as_ref().unwrap();
        assert!(saved == original[range], "{label}\n  what was cut of {} was not kept", cut.path);
    }
    let kept = cuts.exists().then(|| tree(&cuts));

    let report = merge(&root, case.core, Target::InPlace, Layout::Merged);
    let totals = &report.totals;
    assert_eq!((totals.added, totals.bytes_cut, totals.streams_changed), (0, 0, 0), "{label}: again");
    assert!(tree(&root) == merged && cuts.exists().then(|| tree(&cuts)) == kept, "{label}: again");
}

#[test]
fn every_damage_with_its_core() {
    on_torn_traces(recipes(), join);
}

/// Flight recorders that the daemon read meanwhile: positions do not tell what it left out.
#[test]
fn every_damage_of_flight_recorders() {
    on_torn_traces(few_recipes().map(|recipe| recipe.with(|kernel| kernel.mode(Mode::Overwrite))), join);
}

/// Old buffers of 32-bit machines, whose positions have wrapped.
#[test]
fn every_damage_of_old_buffers() {
    let old = |kernel: Kernel| kernel.start_position((1 << 32) - 4 * 8192);
    let narrow = few_recipes().filter(|recipe| recipe.bits == 32);
    on_torn_traces(narrow.map(|recipe| recipe.with(old)), join);
}

/// Without a core: cut, and nothing else. What the core holds can still be added later.
#[test]
fn every_damage_without_a_core() {
    on_torn_traces(few_recipes(), |case| {
        // Mixed records can be told by events that nobody announced only where no announcement is missing.
        if case.damages.values().any(|damage| matches!(damage, Damage::Mixed { .. })) {
            return;
        }
        let label = &case.label;
        let outcome = case.disk.outcome();
        let folder = tempfile::tempdir().unwrap();
        let (root, output) = (folder.path().join("trace"), folder.path().join("repaired"));
        case.disk.write(&root).unwrap();

        let report = repair(&root, Target::New(output.clone()));
        judge_disk(&outcome, &report, label);
        let repaired = tree(&output);
        for file in &outcome.files {
            let found = repaired.get(file.path).and_then(Option::as_ref);
            let expected = file.present.then_some(&file.repaired);
            assert!(found == expected, "{label}\n  in {}: content", file.path);
        }
        judge_disk(&outcome, &repair(&root, Target::InPlace), label);
        assert!(tree(&root) == repaired, "{label}: in place it is another trace");
        let directory = Directory::open(&root).unwrap();
        assert!(Join::repair(&directory, Target::InPlace).unwrap().changes_nothing(), "{label}");

        let report = merge(&root, case.core, Target::InPlace, Layout::Merged);
        judge_merged(&outcome, &report, &tree(&root), label);
    });
}
