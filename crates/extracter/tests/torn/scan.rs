//! What is wrong with a torn trace is found, all of it and nothing else, with file and offset.

use std::fs;
use std::ops::Range;

use analyser::Directory;
use lttformat::ltt::scan::{CutReason, Depth, Piece};
use synth::disk::{Damage, FileOutcome, Reason};

use crate::lab::{on_torn_traces, recipes};

/// What a scan of one file gave.
#[derive(Default)]
struct Found {
    kept: Vec<(u64, u64)>,
    cuts: Vec<(Range<u64>, CutReason)>,
}

fn scan(directory: &Directory, path: &str) -> Option<Found> {
    let file = directory.files().iter().find(|file| file.path().to_str() == Some(path))?;
    let mut scan = directory.scan(file, Depth::All).unwrap();
    let mut found = Found::default();
    while let Some(piece) = scan.next().unwrap() {
        match piece {
            Piece::Record(record) => found.kept.push((record.offset, record.header.begin)),
            Piece::Cut(cut) => found.cuts.push((cut.range, cut.reason)),
        }
    }
    Some(found)
}

/// Is this what is wrong? Where a header is damaged more than one thing about it may be noticed first.
fn names(reason: Reason, found: &CutReason) -> bool {
    match reason {
        Reason::Partial => {
            matches!(found, CutReason::Partial { .. } | CutReason::Header(_) | CutReason::Blank)
        }
        Reason::Blank => matches!(found, CutReason::Blank),
        Reason::Events => matches!(found, CutReason::Events(_) | CutReason::Blank),
        Reason::ShortWrite => {
            matches!(
                found,
                CutReason::ShortWrite { .. } | CutReason::Header(_) | CutReason::Blank | CutReason::Foreign
            )
        }
        Reason::Size => matches!(
            found,
            CutReason::Length { .. }
                | CutReason::Used { .. }
                | CutReason::ShortWrite { .. }
                | CutReason::Partial { .. }
        ),
        Reason::Open => matches!(
            found,
            CutReason::Used { .. } | CutReason::EndBeforeBegin { .. } | CutReason::Length { .. }
        ),
        Reason::Order => matches!(found, CutReason::Order { .. }),
        Reason::Foreign => matches!(found, CutReason::Foreign),
    }
}

/// What is wrong with what was found, if anything is.
fn complaint(file: &FileOutcome<'_>, found: Option<&Found>) -> Option<String> {
    let Some(found) = found else { return Some("not taken for a file of the trace".to_owned()) };
    let kept: Vec<(u64, u64)> = file.kept.iter().map(|kept| (kept.offset, kept.begin)).collect();
    let same = found.cuts.len() == file.cuts.len()
        && found
            .cuts
            .iter()
            .zip(&file.cuts)
            .all(|((range, reason), cut)| *range == cut.range && names(cut.reason, reason));
    (found.kept != kept || !same).then(|| {
        format!("expected {:?} and {kept:?}, found {:?} and {:?}", file.cuts, found.cuts, found.kept)
    })
}

#[test]
fn every_damage_is_found_and_nothing_else() {
    on_torn_traces(recipes(), |case| {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("trace");
        case.disk.write(&root).unwrap();
        let directory = Directory::open(&root).unwrap();
        let outcome = case.disk.outcome();
        let check = directory.check(Depth::All);
        let mut complaints = Vec::new();
        for file in outcome.files.iter().filter(|file| file.present) {
            let damage = case.damages.get(file.path);
            let label = format!("{} {damage:?}", file.path);
            let summary = check.files.iter().find(|summary| summary.path == file.path);
            let undecoded = summary.is_some_and(|summary| summary.undecoded_records > 0);
            if matches!(damage, Some(Damage::Mixed { .. })) && undecoded {
                // An event that nobody announced is no damage as long as announcements may be missing.
                continue;
            }
            if let Some(complaint) = complaint(file, scan(&directory, file.path).as_ref()) {
                complaints.push(format!("{label}: {complaint}"));
                continue;
            }
            let summary = summary.unwrap();
            let cuts: Vec<_> = summary.cuts.iter().map(|cut| cut.offset..cut.offset + cut.bytes).collect();
            let expected: Vec<_> = file.cuts.iter().map(|cut| cut.range.clone()).collect();
            assert_eq!(cuts, expected, "{label}: check");
            assert_eq!(summary.records, file.kept.len() as u64, "{label}: check");
            assert_eq!(fs::read(root.join(file.path)).unwrap(), file.bytes, "{label}: it was written to");
        }
        assert!(complaints.is_empty(), "{}", complaints.join("\n"));
        assert_eq!(check.is_damaged(), !case.damages.is_empty(), "{}", case.label);
    });
}
