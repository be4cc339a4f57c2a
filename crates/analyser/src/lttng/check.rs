//! What is in a CTF trace directory and what is wrong with it, as plain data for programs; the names are those of the JSON output.

use lttformat::ctf::scan::{Cut, Depth, Packet, Piece, ScanOptions};
use lttformat::ctf::{Clock, EnvValue, Index, IndexEntry, Language};
use lttformat::ltt::Endian;
use rayon::prelude::*;
use serde::Serialize;

use super::directory::{Directory, MetadataFile, Tracefile};
use crate::check::{Aside, CUTS_MAX, CutSummary, Moment};

/// Everything `check` tells about a directory.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// The directory.
    pub path: String,
    /// Where below it the trace lies: `kernel`, or empty.
    pub folder: String,
    /// What all packets share; `None` if nothing tells.
    pub format: Option<TraceFormat>,
    /// The metadata; `None` if there is no such file.
    pub metadata: Option<MetadataCheck>,
    /// The data files, by path.
    pub files: Vec<FileCheck>,
    /// Regular files that do not belong to the trace, by path.
    pub others: Vec<Aside>,
    /// What is no regular file, or cannot be read, by path. It was not touched.
    pub refused: Vec<Aside>,
    /// What is wrong with the directory as a whole: why a viewer cannot open it. One line each.
    pub problems: Vec<String>,
    /// Over all files.
    pub totals: Totals,
}

/// What all packets of a trace share.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TraceFormat {
    /// Version of CTF: `1.8` or `2.0`; `None` without metadata.
    pub version: Option<&'static str>,
    /// `little` or `big`.
    pub byte_order: &'static str,
    /// Identity of the trace.
    pub uuid: Option<String>,
    /// Name of the session.
    pub session: Option<String>,
    /// When it was created, as the tracer writes it.
    pub created: Option<String>,
    /// Host name of the traced machine.
    pub hostname: Option<String>,
    /// The tracer and its version: `lttng-modules 2.13.9`.
    pub tracer: Option<String>,
    /// Cycles of the clock in a second.
    pub clock_freq: Option<u64>,
}

/// The metadata file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct MetadataCheck {
    /// Path below the directory, lossy.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Its packets; 0: it is plain text.
    pub packets: usize,
    /// Bytes of text, whole statements only.
    pub text_bytes: usize,
    /// Streams (channels) that it describes.
    pub streams: usize,
    /// Events that it describes.
    pub events: usize,
    /// Where and why the text ends before the file does.
    pub cut: Option<CutSummary>,
    /// Bytes at the end of the text that are no whole statement.
    pub torn_text_bytes: usize,
}

/// One data file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FileCheck {
    /// Path below the directory, lossy.
    pub path: String,
    /// Its channel, lossy.
    pub channel: String,
    /// CPU number.
    pub cpu: Option<u32>,
    /// Number of the channel, if a packet tells.
    pub stream_id: Option<u64>,
    /// Length in bytes.
    pub bytes: u64,
    /// Whole packets.
    pub packets: u64,
    /// Events in them; `None` if they were not counted.
    pub events: Option<u64>,
    /// Whole packets in which not all events could be counted, for want of their formats.
    pub undecoded_packets: u64,
    /// Begin of the first packet.
    pub first: Option<Moment>,
    /// End of the last packet.
    pub last: Option<Moment>,
    /// Packets that are missing between those that are there, by their numbers (2.8 and later).
    pub packets_missing: u64,
    /// Events that the tracer dropped while it ran, as the last packet says.
    pub events_discarded: u64,
    /// Bytes in no whole packet.
    pub bytes_cut: u64,
    /// Where they are, and why, by offset; the first hundred.
    pub cuts: Vec<CutSummary>,
    /// Number of cuts that are not listed.
    pub more_cuts: u64,
    /// Its index; `None` if it has none.
    pub index: Option<IndexCheck>,
    /// What kept the file from being read to its end.
    pub error: Option<String>,
}

/// The index of a data file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct IndexCheck {
    /// Path below the directory, lossy.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// Entries that can be used.
    pub entries: usize,
    /// In what it is not the index of the data file; `None`: it is.
    pub problem: Option<String>,
}

/// Sums over all data files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Data files, empty ones included.
    pub files: u64,
    /// Their length in bytes.
    pub bytes: u64,
    /// Whole packets.
    pub packets: u64,
    /// Events, if they were counted.
    pub events: Option<u64>,
    /// Packets that are missing between those that are there.
    pub packets_missing: u64,
    /// Events that the tracer dropped while it ran.
    pub events_discarded: u64,
    /// Cuts.
    pub cuts: u64,
    /// Bytes in no whole packet.
    pub bytes_cut: u64,
    /// Index files that are not as they should be.
    pub indexes_damaged: u64,
}

impl Check {
    /// Whether anything is to be repaired: bytes in no whole packet, torn metadata, an index that is not that of its file, files that
    /// cannot be read, or something wrong with the directory as a whole. Packets that are missing and events that the tracer dropped are
    /// gone, but no damage.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.totals.cuts > 0
            || self.totals.indexes_damaged > 0
            || !self.problems.is_empty()
            || self.metadata.as_ref().is_none_or(|file| file.cut.is_some() || file.torn_text_bytes > 0)
            || self.files.iter().any(|file| file.error.is_some())
    }
}

impl Directory {
    /// Reads all data files and says what is whole and what is not. [`Depth::All`] counts the events, too.
    ///
    /// Cost: reads every file once, as many at the same time as the current rayon pool has threads; memory for a packet each, and
    /// some numbers for each packet that has an index entry.
    #[must_use]
    pub fn check(&self, depth: Depth) -> Check {
        let files: Vec<_> = self.files().par_iter().map(|file| self.check_file(file, depth)).collect();
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
            folder: self.folder().display().to_string(),
            format: self.format(),
            metadata: self.metadata().map(|file| self.check_metadata(file)),
            others: others.collect(),
            refused: refused.collect(),
            problems: self.warnings().to_vec(),
            totals: Totals::of(&files, depth),
            files,
        }
    }

    fn format(&self) -> Option<TraceFormat> {
        self.uuid()?;
        let env = |name| self.class()?.env_text(name).map(str::to_owned);
        let number = |name: &str| {
            self.class()?.env().iter().find_map(|(known, value)| match value {
                EnvValue::Number(number) if known == name => Some(*number),
                _ => None,
            })
        };
        let version = number("tracer_major").zip(number("tracer_minor")).map(|(major, minor)| {
            let patch = number("tracer_patchlevel").map_or_else(String::new, |patch| format!(".{patch}"));
            format!("{major}.{minor}{patch}")
        });
        let tracer = env("tracer_name").map(|name| match version {
            Some(version) => format!("{name} {version}"),
            None => name,
        });
        let language = self.metadata().filter(|file| !file.text().is_empty()).map(MetadataFile::language);
        Some(TraceFormat {
            version: language.map(|language| match language {
                Language::Tsdl => "1.8",
                Language::Json => "2.0",
            }),
            byte_order: match self.form().endian() {
                Endian::Little => "little",
                Endian::Big => "big",
            },
            uuid: self.uuid().map(|uuid| uuid.to_string()),
            session: env("trace_name"),
            created: self.creation_time().map(str::to_owned),
            hostname: env("hostname"),
            tracer,
            clock_freq: self.clock().map(|clock| clock.freq),
        })
    }

    fn check_metadata(&self, file: &MetadataFile) -> MetadataCheck {
        let content = file.content();
        let streams = self.class().map(|class| class.streams()).unwrap_or_default();
        MetadataCheck {
            path: file.path().display().to_string(),
            bytes: file.len(),
            packets: content.packets.map_or(0, |_| content.spans.len()),
            text_bytes: file.text().len(),
            streams: streams.len(),
            events: streams.iter().map(|stream| stream.events().len()).sum(),
            cut: content.cut.as_ref().map(|cut| CutSummary {
                offset: cut.offset as u64,
                bytes: file.len().saturating_sub(cut.offset as u64),
                reason: cut.reason.to_string(),
            }),
            torn_text_bytes: file.torn_text(),
        }
    }

    fn check_file(&self, file: &Tracefile, depth: Depth) -> FileCheck {
        let mut check = FileCheck {
            path: file.path().display().to_string(),
            channel: String::from_utf8_lossy(&file.channel_name()).into_owned(),
            cpu: file.cpu(),
            stream_id: file.stream_id(),
            bytes: file.len(),
            packets: 0,
            events: (depth == Depth::All).then_some(0),
            undecoded_packets: 0,
            first: None,
            last: None,
            packets_missing: 0,
            events_discarded: 0,
            bytes_cut: 0,
            cuts: Vec::new(),
            more_cuts: 0,
            index: None,
            error: None,
        };
        let mut entries = Vec::new();
        let mut scan = match self.scan(file, ScanOptions { depth, ..ScanOptions::default() }) {
            Ok(scan) => scan,
            Err(error) => return FileCheck { error: Some(error.to_string()), ..check },
        };
        loop {
            match scan.next() {
                Ok(None) => break,
                Ok(Some(Piece::Packet(packet))) => {
                    check.add(&packet, self.clock());
                    entries.push(IndexEntry::new(packet.offset, &packet.header));
                }
                Ok(Some(Piece::Cut(cut))) => check.cut(&cut),
                Err(error) => {
                    check.error = Some(error.to_string());
                    break;
                }
            }
        }
        check.index = self.check_index(file, &entries);
        check
    }

    /// Compares the index of a file with its packets. Where other files have an index, one that is missing is a problem.
    fn check_index(&self, file: &Tracefile, packets: &[IndexEntry]) -> Option<IndexCheck> {
        let expected = self.index_version();
        let Some(index) = file.index() else {
            expected.filter(|_| !packets.is_empty())?;
            let path = self.index_path(file).display().to_string();
            let problem = Some("expected an index as other files have, found none".to_owned());
            return Some(IndexCheck { path, bytes: 0, entries: 0, problem });
        };
        let (mut entries, mut problem) = (0, None);
        let read = index.read().map_err(|error| error.to_string());
        match read.and_then(|bytes| Index::parse(&bytes).map_err(|error| error.to_string())) {
            Err(error) => problem = Some(error),
            Ok(index) => {
                entries = index.entries.len();
                let same =
                    |(entry, packet): (&IndexEntry, &IndexEntry)| *entry == index.version.known(packet);
                let differs = index.entries.iter().zip(packets).position(|pair| !same(pair));
                if let Some(at) = differs {
                    problem =
                        Some(format!("expected in entry {at} what is in the packet, found something else"));
                } else if let Some(cut) = index.cut {
                    problem = Some(cut.to_string());
                } else if entries != packets.len() {
                    problem = Some(format!("expected {} entries, found {entries}", packets.len()));
                }
            }
        }
        Some(IndexCheck { path: index.path().display().to_string(), bytes: index.len(), entries, problem })
    }
}

impl FileCheck {
    fn add(&mut self, packet: &Packet<'_>, clock: Option<&Clock>) {
        self.packets += 1;
        self.packets_missing = self.packets_missing.saturating_add(packet.missing);
        if let Some(events) = &mut self.events {
            *events += packet.tally.map_or(0, |tally| tally.events);
            self.undecoded_packets += u64::from(packet.tally.is_none_or(|tally| tally.stop.is_some()));
        }
        let moment = |tsc| moment(clock, tsc);
        let header = &packet.header;
        self.first.get_or_insert_with(|| moment(header.timestamp_begin));
        self.last = Some(moment(header.timestamp_end.max(header.timestamp_begin)));
        self.events_discarded = self.events_discarded.max(header.events_discarded.unwrap_or(0));
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

/// A time on the scales of a trace's clock. Its zero is about the boot of the machine.
fn moment(clock: Option<&Clock>, tsc: u64) -> Moment {
    let freq = clock.map(|clock| u128::from(clock.freq)).filter(|freq| *freq != 0);
    let ns = freq.and_then(|freq| u64::try_from(u128::from(tsc) * 1_000_000_000 / freq).ok());
    let wall_ns = clock.and_then(|clock| clock.ns(tsc)).and_then(|ns| i64::try_from(ns).ok());
    Moment { tsc, ns, wall_ns }
}

impl Totals {
    fn of(files: &[FileCheck], depth: Depth) -> Totals {
        let sum = |part: fn(&FileCheck) -> u64| files.iter().map(part).fold(0, u64::saturating_add);
        let is_damaged = |file: &FileCheck| file.index.as_ref().is_some_and(|index| index.problem.is_some());
        Totals {
            files: files.len() as u64,
            bytes: sum(|file| file.bytes),
            packets: sum(|file| file.packets),
            events: (depth == Depth::All).then(|| sum(|file| file.events.unwrap_or(0))),
            packets_missing: sum(|file| file.packets_missing),
            events_discarded: sum(|file| file.events_discarded),
            cuts: sum(|file| file.cuts.len() as u64 + file.more_cuts),
            bytes_cut: sum(|file| file.bytes_cut),
            indexes_damaged: files.iter().filter(|file| is_damaged(file)).count() as u64,
        }
    }
}
