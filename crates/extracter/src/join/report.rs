//! What a join did, or would do.

use std::ops::Range;
use std::path::Path;

use serde::Serialize;

use crate::join::gap::Gap;
use crate::report::Totals;

/// How a trace on disk and the core's sub-buffers are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// One trace: the core's records continue the daemon's files.
    Merged,
    /// The core's records in a complete second trace, with metadata of its own.
    Beside,
    /// The core's records in files of their own, in a folder `crash`: of LTT 0.x as part of the one trace, of LTTng 2.x as a second trace, which
    /// viewers find when they are given the session's folder, the one above `kernel`.
    CrashSubdir,
}

/// What [`Join::run`](crate::Join::run) did, or would do: the numbers are the same.
///
/// As JSON: every field under its name, numbers as unsigned integers, sizes, offsets and positions in bytes, times in clock cycles.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct JoinReport {
    /// The trace's folder.
    pub trace: String,
    /// Its name in the core; none when it is only repaired.
    pub core_trace: Option<String>,
    /// How both were put together.
    pub layout: Layout,
    /// The output folder; none when the trace is changed in place.
    pub output: Option<String>,
    /// The folder that keeps what is cut, when the trace is changed in place; it is made when something is.
    pub cut_folder: Option<String>,
    /// The metadata file of an LTTng 2.x trace; of LTT 0.x metadata are streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataJoin>,
    /// One for each stream, by path; one for each file where files are rotated.
    pub streams: Vec<StreamJoin>,
    /// Files that belong to no stream: copied to a complete output, left alone in place.
    pub others: Vec<String>,
    /// What of the core was left out, one line each.
    pub damage: Vec<String>,
    /// What else is worth knowing, one line each.
    pub notes: Vec<String>,
    /// Over all streams.
    pub totals: JoinTotals,
}

/// The metadata file of an LTTng 2.x trace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MetadataJoin {
    /// The file, below the trace.
    pub path: String,
    /// Its length on disk; none if it is not there.
    pub bytes: Option<u64>,
    /// Bytes of text on disk that stay.
    pub text_kept: u64,
    /// Bytes of text that the core adds.
    pub text_added: u64,
    /// Bytes of the file that do not stay, in order.
    pub cuts: Vec<CutReport>,
    /// Whether the file differs from what is on disk.
    pub changes: bool,
    /// What of the text is missing for good, one line each.
    pub damage: Vec<String>,
    /// What else is worth knowing, one line each.
    pub notes: Vec<String>,
}

/// The index of a data file of an LTTng 2.x trace. It says nothing that the data file does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexJoin {
    /// The file, below the trace.
    pub path: String,
    /// Entries in the end: one for each packet.
    pub entries: u64,
    /// Of these, how many are on disk.
    pub entries_kept: u64,
    /// Bytes on disk that do not stay.
    pub bytes_cut: u64,
    /// The file that keeps them, below the folder of cuts; none when the trace is not changed in place.
    pub saved_as: Option<String>,
    /// Whether the file differs from what is on disk.
    pub changes: bool,
}

/// One stream: one channel on one CPU.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StreamJoin {
    /// Its file, below the trace.
    pub path: String,
    /// Its file for records of the core, in the layout `crash-subdir` and where an earlier run made one.
    pub crash_path: Option<String>,
    /// The channel, as in the file's name.
    pub channel: String,
    /// The CPU.
    pub cpu: u32,
    /// What is on disk; none if no file is.
    pub disk: Option<DiskPart>,
    /// What the core holds; none if it has no such stream.
    pub core: Option<Totals>,
    /// What is on both sides.
    pub both: Both,
    /// What the core adds.
    pub added: Added,
    /// Metadata that were made up, since neither side holds them.
    pub made: Made,
    /// Whether records are lost for good; none when the trace is only repaired.
    pub gap: Option<Gap>,
    /// What the files of the stream hold in the end.
    pub result: Outcome,
    /// The index of its file, of an LTTng 2.x trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexJoin>,
    /// Whether any of its files differs from what is on disk.
    pub changes: bool,
    /// What was broken in the core, one line each.
    pub damage: Vec<String>,
    /// What else is worth knowing, one line each.
    pub notes: Vec<String>,
}

/// The files of one stream on disk.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct DiskPart {
    /// Their length.
    pub bytes: u64,
    /// Whole records that stay.
    pub records_kept: u64,
    /// Bytes that do not.
    pub bytes_cut: u64,
    /// These, in order.
    pub cuts: Vec<CutReport>,
}

/// Bytes that are cut from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CutReport {
    /// The file, below the trace.
    pub path: String,
    /// Where they begin.
    pub offset: u64,
    /// How many they are.
    pub len: u64,
    /// What is wrong with them, on one line.
    pub reason: String,
    /// Their record is in the core, so nothing is lost with them.
    pub in_core: bool,
    /// The file that keeps them, below the folder of cuts; none when the trace is not changed in place.
    pub saved_as: Option<String>,
}

/// Records that are on disk and in the core.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Both {
    /// How many.
    pub records: u64,
    /// Of these, how many have the same header and events.
    pub equal: u64,
    /// The others.
    pub different: Vec<Different>,
}

/// A record that is on disk and in the core, and not the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Different {
    /// Where it is in the file.
    pub offset: u64,
    /// When it was begun.
    pub begin: u64,
    /// The better one: whose events can all be decoded, or more of them; the disk's if neither is.
    pub kept: Side,
    /// Bytes of header and events on disk.
    pub disk_used: u64,
    /// Bytes of header and events in the core.
    pub core_used: u64,
}

/// Disk or core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The trace's folder.
    Disk,
    /// The core.
    Core,
}

/// Records that only the core holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Added {
    /// How many.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their events.
    pub events: u64,
}

/// Records of metadata that were made up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Made {
    /// How many.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Event formats that they announce.
    pub markers: u64,
}

/// The files of one stream in the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Records.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Sums over all streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct JoinTotals {
    /// Whole records on disk that stay.
    pub records_kept: u64,
    /// Bytes that do not.
    pub bytes_cut: u64,
    /// Of these, bytes whose records are not in the core.
    pub bytes_cut_lost: u64,
    /// Records on both sides.
    pub both: u64,
    /// Of these, how many are not the same.
    pub different: u64,
    /// Records that the core adds.
    pub added: u64,
    /// Their events.
    pub events_added: u64,
    /// Records of metadata that were made up.
    pub made: u64,
    /// Records that are lost for good, as far as the positions prove it.
    pub records_lost: u64,
    /// Streams of which nobody can say whether records are missing.
    pub gaps_unknown: u64,
    /// Records in the end.
    pub records: u64,
    /// Bytes in the end.
    pub bytes: u64,
    /// Streams whose files change.
    pub streams_changed: u64,
}

impl JoinReport {
    /// Whether something is lost for good, or may be wrong: records are missing, bytes were cut that the core does not hold, both sides differ, or
    /// the core is damaged.
    pub fn has_losses(&self) -> bool {
        let totals = &self.totals;
        totals.bytes_cut_lost > 0
            || totals.records_lost > 0
            || totals.different > 0
            || !self.damage.is_empty()
            || self.metadata.as_ref().is_some_and(|metadata| !metadata.damage.is_empty())
            || self.streams.iter().any(|stream| {
                !stream.damage.is_empty() || stream.core.as_ref().is_some_and(Totals::has_losses)
            })
    }

    /// Says where a range of a file is kept; the cuts in it may be several.
    pub(crate) fn save(&mut self, file: &Path, range: &Range<u64>, kept: &Path) {
        let file = file.to_string_lossy();
        let saved_as = || Some(kept.display().to_string());
        for index in self.streams.iter_mut().flat_map(|stream| &mut stream.index) {
            if index.path == file {
                index.saved_as = saved_as();
            }
        }
        let cuts =
            self.streams.iter_mut().flat_map(|stream| &mut stream.disk).flat_map(|disk| &mut disk.cuts);
        let cuts = cuts.chain(self.metadata.iter_mut().flat_map(|metadata| &mut metadata.cuts));
        for cut in cuts.filter(|cut| cut.path == file && range.contains(&cut.offset)) {
            cut.saved_as = saved_as();
        }
    }

    /// Whether any file of the trace differs from what is on disk.
    pub fn changes_anything(&self) -> bool {
        self.totals.streams_changed > 0 || self.metadata.as_ref().is_some_and(|metadata| metadata.changes)
    }

    pub(crate) fn add_up(&mut self) {
        let mut totals = JoinTotals::default();
        for cut in self.metadata.iter().flat_map(|metadata| &metadata.cuts) {
            totals.bytes_cut += cut.len;
            totals.bytes_cut_lost += if cut.in_core { 0 } else { cut.len };
        }
        for stream in &self.streams {
            if let Some(disk) = &stream.disk {
                totals.records_kept += disk.records_kept;
                totals.bytes_cut += disk.bytes_cut;
                let lost = disk.cuts.iter().filter(|cut| !cut.in_core);
                totals.bytes_cut_lost += lost.map(|cut| cut.len).sum::<u64>();
            }
            totals.both += stream.both.records;
            totals.different += stream.both.different.len() as u64;
            totals.added += stream.added.records;
            totals.events_added += stream.added.events;
            totals.made += stream.made.records;
            match &stream.gap {
                Some(Gap::Lost { records, .. }) => {
                    totals.records_lost = totals.records_lost.saturating_add(*records)
                }
                Some(Gap::Unknown { .. }) => totals.gaps_unknown += 1,
                Some(Gap::Exact) | None => {}
            }
            totals.records += stream.result.records;
            totals.bytes += stream.result.bytes;
            totals.streams_changed += u64::from(stream.changes);
        }
        self.totals = totals;
    }
}
