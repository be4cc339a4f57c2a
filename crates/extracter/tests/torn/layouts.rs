//! The core's records apart from the daemon's: in a second trace, or in a folder of the first one.

use std::collections::BTreeMap;

use extracter::{Layout, Target};
use synth::disk::{FileOutcome, Outcome};

use crate::judge::{added, judge_readable, judge_report, merge, tree};
use crate::lab::{few_recipes, on_torn_traces};

fn data<'o, 'k>(outcome: &'o Outcome<'k>) -> impl Iterator<Item = &'o FileOutcome<'k>> {
    outcome.files.iter().filter(|file| !file.is_metadata())
}

/// `TRACE/cpu_0` and `TRACE/crash/cpu_0`: a viewer reads both as one trace.
#[test]
fn a_crash_folder() {
    on_torn_traces(few_recipes(), |case| {
        let label = &case.label;
        let outcome = case.disk.outcome();
        let folder = tempfile::tempdir().unwrap();
        let (root, output) = (folder.path().join("trace"), folder.path().join("joined"));
        case.disk.write(&root).unwrap();
        let report = merge(&root, case.core, Target::New(output.clone()), Layout::CrashSubdir);
        judge_report(&outcome, &report, label);
        let joined = tree(&output);
        let events = judge_readable(&outcome, &output, label);
        let mut expected = BTreeMap::new();
        for file in data(&outcome) {
            let crash = format!("crash/{}", file.path);
            let of_both = [file.path, &crash].map(|path| events.get(path).copied().unwrap_or(0));
            assert_eq!(of_both.iter().sum::<u64>(), file.events.len() as u64, "{label}\n  in {}", file.path);
            if file.present {
                expected.insert(file.path.to_owned(), file.repaired.clone());
            }
            if !file.added.is_empty() {
                expected.insert(crash, added(file));
            }
        }
        for (path, bytes) in &joined {
            let Some(bytes) = bytes else { continue };
            match outcome.files.iter().find(|file| file.path == path && file.is_metadata()) {
                // Only that of CPU 0 can have more than what both sides hold.
                Some(file) if file.stream.cpu > 0 => assert!(*bytes == file.merged, "{label}\n  in {path}"),
                Some(file) => assert!(bytes.len() >= file.merged.len(), "{label}\n  in {path}"),
                None => assert!(expected.remove(path).as_ref() == Some(bytes), "{label}\n  in {path}"),
            }
        }
        assert!(expected.is_empty(), "{label}: there are no {:?}", expected.keys());

        merge(&root, case.core, Target::InPlace, Layout::CrashSubdir);
        assert!(tree(&root) == joined, "{label}: in place it is another trace");
        let totals = merge(&root, case.core, Target::InPlace, Layout::CrashSubdir).totals;
        assert_eq!((totals.added, totals.bytes_cut, totals.streams_changed), (0, 0, 0), "{label}: again");
        assert!(tree(&root) == joined, "{label}: again");
    });
}

/// A second trace with all metadata and the core's records only.
#[test]
fn a_trace_beside() {
    on_torn_traces(few_recipes(), |case| {
        let label = &case.label;
        let outcome = case.disk.outcome();
        let folder = tempfile::tempdir().unwrap();
        let (root, output) = (folder.path().join("trace"), folder.path().join("beside"));
        case.disk.write(&root).unwrap();
        let before = tree(&root);
        let report = merge(&root, case.core, Target::New(output.clone()), Layout::Beside);
        judge_report(&outcome, &report, label);
        assert!(tree(&root) == before, "{label}: the original was written to");
        judge_readable(&outcome, &output, label);
        let mut beside = tree(&output);
        for file in &outcome.files {
            let found = beside.remove(file.path).flatten();
            let expected = if file.is_metadata() { file.merged.clone() } else { added(file) };
            assert!(found.unwrap_or_default().ends_with(&expected), "{label}\n  in {}", file.path);
        }
        assert!(beside.values().flatten().next().is_none(), "{label}: {:?}", beside.keys());
    });
}
