//! What is in a trace directory and what is wrong with it, as plain data for programs; the names are those of the JSON output.

use std::collections::{BTreeMap, BTreeSet};

use lttformat::ltt::scan::{Cut, Depth, Piece, Record};
use lttformat::ltt::{Channel, Endian};
use rayon::prelude::*;
use serde::Serialize;

use crate::directory::{Directory, Tracefile};
use crate::time::TraceClock;

/// Cuts listed of one file; a hostile one can have one in every few bytes.
pub(crate) const CUTS_MAX: usize = 100;

/// Everything `check` tells about a directory.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// The directory.
    pub path: String,
    /// What all records share; `None` if no file has a readable header.
    pub format: Option<TraceFormat>,
    /// Event formats known from the metadata.
    pub markers: usize,
    /// The trace files, by path.
    pub files: Vec<FileCheck>,
    /// Regular files that do not belong to the trace, by path.
    pub others: Vec<Aside>,
    /// What is no regular file, or cannot be read, by path. It was not touched.
    pub refused: Vec<Aside>,
    /// What is wrong with the directory as a whole: why a viewer cannot open it, or shows less than there is. One line each.
    pub problems: Vec<String>,
    /// Over all files.
    pub totals: Totals,
}

/// What all records of a trace share.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TraceFormat {
    /// Trace format, `2.1`.
    pub version: String,
    /// `little` or `big`.
    pub byte_order: &'static str,
    /// Size of a pointer in bits.
    pub bits: u16,
    /// Largest alignment in bytes; 0: none.
    pub alignment: u8,
    /// Clock frequency; unit by `freq_scale`.
    pub start_freq: u64,
    /// Scale of the frequency.
    pub freq_scale: u32,
    /// Clock cycles at the trace's start, if known.
    pub start_tsc: Option<u64>,
    /// Wall clock at the trace's start, seconds since 1970.
    pub start_time_sec: u64,
    /// Microseconds of that second.
    pub start_time_usec: u64,
}

/// One trace file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FileCheck {
    /// Path below the directory, lossy.
    pub path: String,
    /// Its channel, lossy, without `flight-`.
    pub channel: String,
    /// CPU number.
    pub cpu: u32,
    /// Length in bytes.
    pub bytes: u64,
    /// Whole records.
    pub records: u64,
    /// Events in them; `None` if they were not counted.
    pub events: Option<u64>,
    /// Whole records in which not all events could be counted, for want of their formats.
    pub undecoded_records: u64,
    /// Begin of the first record.
    pub first: Option<Moment>,
    /// End of the last record.
    pub last: Option<Moment>,
    /// Bytes in no whole record.
    pub bytes_cut: u64,
    /// Where they are, and why, by offset; the first hundred.
    pub cuts: Vec<CutSummary>,
    /// Number of cuts that are not listed.
    pub more_cuts: u64,
    /// What kept the file from being read to its end.
    pub error: Option<String>,
}

/// A point in time, on the scales there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Moment {
    /// Clock cycles.
    pub tsc: u64,
    /// Nanoseconds since the clock's zero, about the time since boot, if the trace declares a frequency.
    pub ns: Option<u64>,
    /// Nanoseconds since 1970, if the trace's start is known.
    pub wall_ns: Option<i64>,
}

/// Bytes of a file that are in no whole record.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct CutSummary {
    /// Offset of the first one.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// What is wrong with them.
    pub reason: String,
}

/// What lies in the directory and is no trace file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Aside {
    /// Path below the directory, lossy.
    pub path: String,
    /// Length in bytes; `None` for what is no regular file.
    pub bytes: Option<u64>,
    /// Why it is none.
    pub reason: String,
}

/// Sums over all trace files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Trace files, empty ones included.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Whole records.
    pub records: u64,
    /// Events, if they were counted.
    pub events: Option<u64>,
    /// Cuts.
    pub cuts: u64,
    /// Bytes in no whole record.
    pub bytes_cut: u64,
}

impl Check {
    /// Whether anything is to be repaired: bytes in no whole record, files that cannot be read, or something wrong with the directory
    /// as a whole.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.totals.cuts > 0
            || !self.problems.is_empty()
            || self.files.iter().any(|file| file.error.is_some())
    }
}

impl Directory {
    /// Reads all trace files and says what is whole and what is not. [`Depth::All`] counts the events, too.
    ///
    /// Cost: reads every file once, as many at the same time as the current rayon pool has threads; memory for a few records each.
    #[must_use]
    pub fn check(&self, depth: Depth) -> Check {
        let clock = self.header().map(|header| TraceClock::new(header, self.start_tsc()));
        let files: Vec<_> = self.files().par_iter().map(|file| self.check_file(file, depth, clock)).collect();
        let others = self.others().iter().map(|other| Aside {
            path: other.path().display().to_string(),
            bytes: Some(other.len()),
            reason: other.kind().to_string(),
        });
        let refused = self.refused().iter().map(|refused| Aside {
            path: refused.path().display().to_string(),
            bytes: None,
            reason: refused.kind().to_string(),
        });
        Check {
            path: self.shown().display().to_string(),
            format: self.format(),
            markers: self.markers().map_or(0, lttformat::ltt::Markers::len),
            others: others.collect(),
            refused: refused.collect(),
            problems: self.problems(&files),
            totals: Totals::of(&files, depth),
            files,
        }
    }

    fn format(&self) -> Option<TraceFormat> {
        let identity = self.identity()?;
        Some(TraceFormat {
            version: identity.version.to_string(),
            byte_order: match identity.endian {
                Endian::Little => "little",
                Endian::Big => "big",
            },
            bits: u16::from(identity.arch_size) * 8,
            alignment: identity.alignment,
            start_freq: identity.start_freq,
            freq_scale: identity.freq_scale,
            start_tsc: self.start_tsc(),
            start_time_sec: identity.start_time_sec,
            start_time_usec: identity.start_time_usec,
        })
    }

    fn check_file(&self, file: &Tracefile, depth: Depth, clock: Option<TraceClock>) -> FileCheck {
        let mut check = FileCheck {
            path: file.path().display().to_string(),
            channel: String::from_utf8_lossy(&file.channel_name()).into_owned(),
            cpu: file.name().cpu,
            bytes: file.len(),
            records: 0,
            events: (depth == Depth::All).then_some(0),
            undecoded_records: 0,
            first: None,
            last: None,
            bytes_cut: 0,
            cuts: Vec::new(),
            more_cuts: 0,
            error: None,
        };
        if file.is_empty() {
            return check;
        }
        let mut scan = match self.scan(file, depth) {
            Ok(scan) => scan,
            Err(error) => return FileCheck { error: Some(error.to_string()), ..check },
        };
        loop {
            match scan.next() {
                Ok(None) => break,
                Ok(Some(Piece::Record(record))) => check.add(&record, clock),
                Ok(Some(Piece::Cut(cut))) => check.cut(&cut),
                Err(error) => {
                    check.error = Some(error.to_string());
                    break;
                }
            }
        }
        check
    }

    /// What is wrong with the directory as a whole.
    fn problems(&self, files: &[FileCheck]) -> Vec<String> {
        let mut problems: Vec<String> = self.warnings().to_vec();
        let Some(header) = self.header() else {
            problems.push("expected a trace file with a header, found none".to_owned());
            return problems;
        };
        let names: BTreeMap<_, _> = self
            .files()
            .iter()
            .zip(files)
            .map(|(file, check)| (check.path.as_str(), (file, check)))
            .collect();
        let mut metadata: BTreeMap<u32, bool> = BTreeMap::new();
        let mut cpus = BTreeSet::new();
        for (file, check) in names.values() {
            if file.name().is_crash() {
                continue;
            }
            cpus.insert(file.name().cpu);
            if file.name().channel(header.version) == Channel::Metadata {
                *metadata.entry(file.name().cpu).or_default() |= check.records > 0;
            }
        }
        for cpu in cpus {
            // Viewers crash without.
            match metadata.get(&cpu) {
                Some(true) => {}
                Some(false) => {
                    problems.push(format!("expected a record in the metadata of CPU {cpu}, found none"))
                }
                None => problems.push(format!("expected a metadata file of CPU {cpu}, found none")),
            }
        }
        for files in self.doubles() {
            let paths: Vec<_> = files.iter().map(|file| file.path().display().to_string()).collect();
            problems.push(format!(
                "expected one file for a stream, found {}: viewers show one of them",
                paths.join(" and ")
            ));
        }
        problems
    }
}

impl FileCheck {
    fn add(&mut self, record: &Record<'_>, clock: Option<TraceClock>) {
        self.records += 1;
        if let (Some(events), Some(tally)) = (&mut self.events, &record.tally) {
            *events += tally.events;
            self.undecoded_records += u64::from(!tally.is_complete());
        }
        let moment = |tsc| Moment {
            tsc,
            ns: clock.and_then(|clock| clock.ns(tsc)),
            wall_ns: clock.and_then(|clock| clock.wall_ns(tsc)).and_then(|ns| i64::try_from(ns).ok()),
        };
        self.first.get_or_insert_with(|| moment(record.header.begin));
        self.last = Some(moment(record.header.end));
    }

    fn cut(&mut self, cut: &Cut) {
        let bytes = cut.range.end.saturating_sub(cut.range.start);
        self.bytes_cut += bytes;
        if self.cuts.len() == CUTS_MAX {
            self.more_cuts += 1;
        } else {
            self.cuts.push(CutSummary { offset: cut.range.start, bytes, reason: cut.reason.to_string() });
        }
    }
}

impl Totals {
    fn of(files: &[FileCheck], depth: Depth) -> Totals {
        let sum = |part: fn(&FileCheck) -> u64| files.iter().map(part).sum();
        Totals {
            files: files.len() as u64,
            bytes: sum(|file| file.bytes),
            records: sum(|file| file.records),
            events: (depth == Depth::All).then(|| sum(|file| file.events.unwrap_or(0))),
            cuts: sum(|file| file.cuts.len() as u64 + file.more_cuts),
            bytes_cut: sum(|file| file.bytes_cut),
        }
    }
}
