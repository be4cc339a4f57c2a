//! What a join must have done, by what was planted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use analyser::{Directory, Routes};
use extracter::{Gap, Join, JoinReport, Layout, Side, Silent, Target};
use lttformat::ltt::scan::Depth;
use synth::disk::{FileOutcome, Outcome, Reason};

use crate::lab::Core;

/// Files by their path below a folder; `None` = a folder.
pub(crate) type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// Everything below a folder.
pub(crate) fn tree(root: &Path) -> Tree {
    fn walk(root: &Path, at: &Path, tree: &mut Tree) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                tree.insert(name, None);
                walk(root, &path, tree);
            } else {
                tree.insert(name, Some(fs::read(&path).unwrap()));
            }
        }
    }
    let mut found = Tree::new();
    walk(root, root, &mut found);
    found
}

/// Cuts, and adds what the core holds.
pub(crate) fn merge(root: &Path, core: &Core, target: Target, layout: Layout) -> JoinReport {
    let directory = Directory::open(root).unwrap();
    let traces = core.kernel.traces(Routes::ALL);
    let trace = analyser::pairing(&directory, &traces, None).unwrap();
    run(Join::with_core(&directory, &core.kernel, trace, target, layout).unwrap())
}

/// Cuts only.
pub(crate) fn repair(root: &Path, target: Target) -> JoinReport {
    let directory = Directory::open(root).unwrap();
    run(Join::repair(&directory, target).unwrap())
}

/// Runs a join. The dry run before it must have said the same.
fn run(join: Join<'_>) -> JoinReport {
    let foreseen = serde_json::to_value(join.report()).unwrap();
    let report = join.run(&Silent).unwrap();
    assert_eq!(serde_json::to_value(&report).unwrap(), foreseen, "the dry run said something else");
    report
}

/// What is said about the trace on disk.
pub(crate) fn judge_disk(outcome: &Outcome<'_>, report: &JoinReport, label: &str) {
    for file in &outcome.files {
        let label = format!("{label}\n  in {}", file.path);
        let stream = report.streams.iter().find(|stream| stream.path == file.path);
        let Some(disk) = stream.and_then(|stream| stream.disk.as_ref()) else {
            assert!(!file.present, "{label}: it is not in the report");
            continue;
        };
        assert!(file.present, "{label}: there is no such file");
        assert_eq!(disk.bytes, file.bytes.len() as u64, "{label}: length");
        assert_eq!(disk.records_kept, file.kept.len() as u64, "{label}: records kept");
        let cuts: Vec<_> = disk.cuts.iter().map(|cut| cut.offset..cut.offset + cut.len).collect();
        let expected: Vec<_> = file.cuts.iter().map(|cut| cut.range.clone()).collect();
        assert_eq!(cuts, expected, "{label}: cuts");
        assert!(disk.cuts.iter().all(|cut| cut.path == file.path && !cut.reason.is_empty()), "{label}");
        let cut: u64 = file.cuts.iter().map(|cut| cut.range.end - cut.range.start).sum();
        assert_eq!(disk.bytes_cut, cut, "{label}: bytes cut");
    }
}

/// What is said about both sides.
pub(crate) fn judge_report(outcome: &Outcome<'_>, report: &JoinReport, label: &str) {
    judge_disk(outcome, report, label);
    let paths: BTreeSet<&str> = report.streams.iter().map(|stream| &*stream.path).collect();
    assert_eq!(paths, outcome.files.iter().map(|file| file.path).collect(), "{label}: streams");
    for file in &outcome.files {
        let label = format!("{label}\n  in {}", file.path);
        let stream = report.streams.iter().find(|stream| stream.path == file.path).unwrap();
        assert_eq!(stream.both.records, file.both.len() as u64, "{label}: on both sides");
        assert_eq!(stream.both.equal, (file.both.len() - file.different.len()) as u64, "{label}: equal");
        let different: Vec<u64> = stream.both.different.iter().map(|different| different.begin).collect();
        assert_eq!(different, file.different, "{label}: different");
        assert!(stream.both.different.iter().all(|different| different.kept == Side::Disk), "{label}");
        assert_eq!(stream.added.records, file.added.len() as u64, "{label}: added");
        let subs = file.stream.sub_buffers.iter().filter(|sub| file.added.contains(&sub.begin_tsc));
        let events: usize = subs.map(|sub| sub.events.len()).sum();
        assert_eq!(stream.added.events, events as u64, "{label}: events added");
        let size = file.stream.sub_buffer_size;
        match (&file.lost, stream.gap.as_ref().unwrap()) {
            (None, Gap::Unknown { .. }) => {}
            // Positions that have wrapped count what is missing short by 4 GiB; with a first record they may look like a young buffer's.
            (None, Gap::Lost { .. }) if file.stream.start_position > 0 => {}
            (None, Gap::Exact) if file.stream.start_position > 0 && !file.kept.is_empty() => {}
            (Some(lost), Gap::Exact) => assert!(lost.is_empty(), "{label}: lost for good: {lost:?}"),
            (Some(lost), Gap::Lost { records, ranges }) => {
                assert_eq!(*records, lost.len() as u64, "{label}: lost for good: {ranges:?}");
                // A file does not tell where records belong that lie in the wrong place.
                let moved = file.cuts.iter().any(|cut| cut.reason == Reason::Order);
                let inside = |position| moved || ranges.iter().any(|r| (r.from..r.to).contains(&position));
                assert!(
                    lost.iter().all(|position| inside(*position)),
                    "{label}: lost {lost:?}, not {ranges:?}"
                );
                let room: u64 = ranges.iter().map(|range| (range.to - range.from) / size).sum();
                assert!(
                    ranges.iter().map(|range| range.records).sum::<u64>() == *records && room >= *records
                );
            }
            (lost, gap) => panic!("{label}: lost {lost:?}, found {gap:?}"),
        }
    }
    let nothing_lost = outcome
        .files
        .iter()
        .all(|file| file.different.is_empty() && file.lost.as_ref().is_some_and(Vec::is_empty));
    if nothing_lost {
        assert!(!report.has_losses(), "{label}: nothing is lost");
    }
}

/// The files of a merged trace.
pub(crate) fn judge_merged(outcome: &Outcome<'_>, report: &JoinReport, found: &Tree, label: &str) {
    let files: Vec<&str> =
        found.iter().filter(|(_, bytes)| bytes.is_some()).map(|(path, _)| &**path).collect();
    let mut expected: Vec<&str> = outcome.files.iter().map(|file| file.path).collect();
    expected.sort_unstable();
    assert_eq!(files, expected, "{label}: files");
    for file in &outcome.files {
        let label = format!("{label}\n  in {}", file.path);
        let stream = report.streams.iter().find(|stream| stream.path == file.path).unwrap();
        let bytes = found[file.path].as_ref().unwrap();
        assert_eq!(bytes.len() as u64, stream.result.bytes, "{label}: length in the report");
        assert_eq!(stream.made.records > 0, must_be_made(outcome, file), "{label}: {:?}", stream.made);
        // What is made up is in front of everything or behind it.
        let made = stream.made.bytes as usize;
        assert_eq!(bytes.len(), file.merged.len() + made, "{label}: length");
        let same = bytes[made..] == file.merged[..] || bytes[..file.merged.len()] == file.merged[..];
        if !same {
            let at = bytes.iter().zip(&file.merged).position(|(a, b)| a != b);
            panic!("{label}: content, first difference at {at:?}");
        }
    }
}

/// Must there be metadata in this file that no tracer wrote? CPU 0 must begin with the trace and announce everything; the others need
/// some record.
pub(crate) fn must_be_made(outcome: &Outcome<'_>, file: &FileOutcome<'_>) -> bool {
    let start = outcome.trace.clock.start_tsc;
    let begins = file.kept.iter().map(|kept| kept.begin).chain(file.added.iter().copied());
    match (file.is_metadata(), file.stream.cpu) {
        (false, _) => false,
        (true, 0) => begins.min() != Some(start) || !outcome.unannounced.is_empty(),
        (true, _) => file.merged.is_empty(),
    }
}

/// A viewer can read all of it: every record is whole, every event known and decoded. Events by path.
pub(crate) fn judge_readable(outcome: &Outcome<'_>, root: &Path, label: &str) -> BTreeMap<String, u64> {
    let directory = Directory::open(root).unwrap();
    let check = directory.check(Depth::All);
    assert!(!check.is_damaged(), "{label}: {:?} {:?}", check.problems, check.files);
    let markers = directory.markers().unwrap();
    for (channel, marker) in &outcome.trace.markers {
        let known = markers.iter().any(|(name, known)| {
            (name.is_empty() || name == channel.as_bytes())
                && known.name() == marker.name.as_bytes()
                && known.id() == marker.id
                && known.format() == Some(marker.format.as_bytes())
        });
        assert!(known, "{label}: nobody announces {channel} {marker:?}");
    }
    let files = check.files.into_iter().map(|file| {
        assert_eq!(file.undecoded_records, 0, "{label}\n  in {}", file.path);
        (file.path, file.events.unwrap())
    });
    files.collect()
}

/// The core's records that are not in the file.
pub(crate) fn added(file: &FileOutcome<'_>) -> Vec<u8> {
    let subs = file.stream.sub_buffers.iter().filter(|sub| file.added.contains(&sub.begin_tsc));
    subs.flat_map(|sub| sub.record.iter().copied()).collect()
}
