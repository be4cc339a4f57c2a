//! What must become of a torn trace.

use std::collections::BTreeMap;
use std::ops::Range;

use super::damage::Reason;
use super::trace::{DiskFile, DiskTrace};
use crate::marker::{Marker, Value};
use crate::truth::{PlantedEvent, StreamTruth, TraceTruth};

/// The truth about a torn trace and its core.
#[derive(Debug, Clone)]
pub struct Outcome<'k> {
    /// The trace in the core.
    pub trace: &'k TraceTruth,
    /// One entry for each stream of the core, in its order, whether or not there is a file.
    pub files: Vec<FileOutcome<'k>>,
    /// Markers with their channels whose id or format is in no record of the metadata channel, neither on disk nor in the
    /// core: only the marker tables in the kernel's memory still know them.
    pub unannounced: Vec<(&'k str, &'k Marker)>,
}

/// The truth about one file and its stream.
#[derive(Debug, Clone)]
pub struct FileOutcome<'k> {
    /// The stream in the core.
    pub stream: &'k StreamTruth,
    /// Path below the trace.
    pub path: &'k str,
    /// There is a file.
    pub present: bool,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whole records in the file.
    pub kept: Vec<Kept>,
    /// Bytes that are in no whole record, in order; neighbours with the same reason are one.
    pub cuts: Vec<Cut>,
    /// Begin times of whole records that are on disk and in the core.
    pub both: Vec<u64>,
    /// Those of them that are not the same on both sides; the file's is kept.
    pub different: Vec<u64>,
    /// Begin times of the records that only the core has.
    pub added: Vec<u64>,
    /// Positions that the daemon had consumed and that are neither on disk nor in the core; `None` where positions prove
    /// nothing: flight recorders, and buffers that did not begin at position 0.
    pub lost: Option<Vec<u64>>,
    /// The file without what must be cut.
    pub repaired: Vec<u8>,
    /// The file with everything the core adds. Records that a tool makes up because of [`Outcome::unannounced`] are not in it.
    pub merged: Vec<u8>,
    /// Events of the merged file.
    pub events: Vec<&'k PlantedEvent>,
}

/// One whole record of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Where it lies.
    pub offset: u64,
    /// Begin time in its header.
    pub begin: u64,
}

/// Bytes that belong to no whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Where they lie.
    pub range: Range<u64>,
    /// Why.
    pub reason: Reason,
}

impl<'k> Outcome<'k> {
    pub(super) fn of(disk: &DiskTrace<'k>) -> Outcome<'k> {
        let files: Vec<FileOutcome<'k>> = disk.files.iter().map(FileOutcome::of).collect();
        let announcements: Vec<&PlantedEvent> =
            files.iter().filter(|f| f.is_metadata()).flat_map(|f| f.events.iter().copied()).collect();
        let announced = |channel: &str, marker: &Marker| {
            let said = |event: &PlantedEvent, field: &str, value: &Value| {
                // Old formats name no channel.
                let found = event.fields.iter().find(|(name, _)| name == field);
                found.is_none_or(|(_, v)| v == value)
            };
            let text = |text: &str| Value::Text(text.as_bytes().to_vec());
            let id = Value::Int(u64::from(marker.id));
            ["core_marker_id", "core_marker_format"].iter().all(|by| {
                announcements.iter().any(|event| {
                    event.name == *by
                        && said(event, "channel", &text(channel))
                        && said(event, "name", &text(&marker.name))
                        && said(event, "id", &id)
                        && said(event, "event_id", &id)
                })
            })
        };
        let markers = disk.trace.markers.iter().map(|(channel, marker)| (channel.as_str(), marker));
        let unannounced = markers.filter(|(channel, marker)| !announced(channel, marker)).collect();
        Outcome { trace: disk.trace, unannounced, files }
    }

    /// The file at a path below the trace.
    ///
    /// # Panics
    /// When there is none.
    pub fn file(&self, path: &str) -> &FileOutcome<'k> {
        match self.files.iter().find(|f| f.path == path) {
            Some(file) => file,
            None => panic!("no stream {path}"),
        }
    }

    /// Files of the metadata channel.
    pub fn metadata(&self) -> impl Iterator<Item = &FileOutcome<'k>> {
        self.files.iter().filter(|f| f.is_metadata())
    }
}

impl<'k> FileOutcome<'k> {
    /// Is it of the metadata channel?
    pub fn is_metadata(&self) -> bool {
        matches!(self.stream.channel.as_str(), "metadata" | "facilities")
    }

    fn of(file: &DiskFile<'k>) -> FileOutcome<'k> {
        let stream = file.stream;
        let mut kept = Vec::new();
        let mut cuts: Vec<Cut> = Vec::new();
        let mut offset = 0;
        // By begin time; what is on disk goes before what is in the core.
        let mut records: BTreeMap<u64, (&[u8], &'k [PlantedEvent])> = BTreeMap::new();
        let mut sequences = Vec::new();
        for piece in file.pieces.iter().flatten() {
            let range = offset..offset + piece.bytes.len() as u64;
            offset = range.end;
            let record = &stream.disk[piece.record];
            match (piece.cut, cuts.last_mut()) {
                (None, _) => {
                    kept.push(Kept { offset: range.start, begin: record.begin_tsc });
                    records.insert(record.begin_tsc, (&piece.bytes, &record.events));
                    sequences.push(record.sequence);
                }
                (Some(reason), Some(last)) if last.reason == reason && last.range.end == range.start => {
                    last.range.end = range.end;
                }
                (Some(reason), _) => cuts.push(Cut { range, reason }),
            }
        }
        let repaired = records.values().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
        let (mut both, mut different, mut added) = (Vec::new(), Vec::new(), Vec::new());
        for sub in stream.sub_buffers.iter().filter(|sub| !sub.record.is_empty()) {
            sequences.push(sub.sequence);
            match records.get(&sub.begin_tsc) {
                Some((bytes, _)) => {
                    both.push(sub.begin_tsc);
                    different.extend((*bytes != sub.record).then_some(sub.begin_tsc));
                }
                None => {
                    added.push(sub.begin_tsc);
                    records.insert(sub.begin_tsc, (&sub.record, &sub.events));
                }
            }
        }
        let size = stream.sub_buffer_size;
        let positions_prove = !stream.overwrite && stream.start_position == 0;
        let lost = positions_prove.then(|| {
            let consumed = 0..stream.consumed_position / size;
            consumed.filter(|s| !sequences.contains(s)).map(|s| s * size).collect()
        });
        FileOutcome {
            stream,
            path: &stream.path,
            present: file.pieces.is_some(),
            bytes: file.bytes().unwrap_or_default(),
            kept,
            cuts,
            both,
            different,
            added,
            lost,
            repaired,
            merged: records.values().flat_map(|(bytes, _)| bytes.iter().copied()).collect(),
            events: records.values().flat_map(|(_, events)| events.iter()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Endian;
    use crate::disk::Damage;
    use crate::kernel::{ChannelSpec, Era, Kernel, Mode};
    use crate::scenario::{Fill, Reader};
    use std::collections::BTreeSet;

    const FORMATS: [(Era, (u8, u8)); 8] = [
        (Era::Z, (1, 0)),
        (Era::A, (2, 0)),
        (Era::A, (2, 1)),
        (Era::A, (2, 2)),
        (Era::B, (2, 3)),
        (Era::C, (2, 4)),
        (Era::C, (2, 5)),
        (Era::C, (2, 6)),
    ];

    fn kernel(era: Era, (major, minor): (u8, u8)) -> Kernel {
        let main = if era <= Era::A { "cpu" } else { "kernel" };
        Kernel::new(era)
            .version(major, minor)
            .cpus(1)
            .channels([main])
            .sub_buffers(8192, 4)
            .fill(Fill::SubBuffers(11.5))
            .reader(Reader::Keeps(1))
    }

    /// Magic numbers lie where this says that records are, and nowhere else.
    #[test]
    fn every_damage_of_every_format_is_accounted_for() {
        for (era, version) in FORMATS {
            for (bits, endian) in [(64, Endian::Little), (32, Endian::Big)] {
                let dead = kernel(era, version).bits(bits).endian(endian).build();
                let whole = DiskTrace::of(&dead);
                let at = if version < (2, 1) { 40 } else { 16 };
                let magic = dead.facts.abi.bytes(0x00d6_b7ed, 4);
                let mut kinds = BTreeSet::new();
                for (path, damage) in whole.damages() {
                    let label = format!("{version:?} {bits} {path} {damage:?}");
                    let torn = whole.clone().damage(path, damage.clone());
                    let kind = format!("{damage:?}");
                    kinds.insert(kind.split(' ').next().map(str::to_owned));
                    let outcome = torn.outcome();
                    let file = outcome.file(path);
                    let len = file.bytes.len() as u64;
                    let mut ends: Vec<u64> = file.cuts.iter().map(|cut| cut.range.start).collect();
                    ends.extend(file.kept.iter().map(|kept| kept.offset));
                    ends.push(len);
                    ends.sort_unstable();
                    assert_eq!(ends[0], 0, "{label}: the first byte is in no piece");
                    for kept in &file.kept {
                        let header = &file.bytes[kept.offset as usize..];
                        assert_eq!(header[at..at + 4], magic, "{label}");
                        assert_eq!(dead.facts.abi.get(header, 0, 8), kept.begin, "{label}");
                    }
                    let harmless = matches!(
                        damage,
                        Damage::Altered { .. }
                            | Damage::LostTail { .. }
                            | Damage::Empty
                            | Damage::Missing
                            | Damage::ShortWrite { keep: 0, .. }
                    );
                    assert_eq!(file.cuts.is_empty(), harmless, "{label}");
                    let cut: u64 = file.cuts.iter().map(|cut| cut.range.end - cut.range.start).sum();
                    assert_eq!(file.repaired.len() as u64 + cut, len, "{label}");
                    assert!(file.merged.len() >= file.repaired.len(), "{label}");
                    let undamaged = whole.outcome();
                    if !matches!(damage, Damage::Altered { .. })
                        && file.lost.as_ref().is_some_and(Vec::is_empty)
                    {
                        assert!(file.merged == undamaged.file(path).merged, "{label}: nothing is lost");
                    }
                    for other in outcome.files.iter().filter(|f| f.path != path) {
                        assert!(other.cuts.is_empty() && other.bytes == undamaged.file(other.path).bytes);
                    }
                }
                assert_eq!(kinds.len(), 15, "{version:?} {bits}: {kinds:?}");
            }
        }
    }

    #[test]
    fn what_nothing_holds_any_more_is_lost() {
        let dead = kernel(Era::C, (2, 6)).build();
        let disk = DiskTrace::of(&dead).damage("kernel_0", Damage::LostTail { records: 5 });
        let outcome = disk.outcome();
        let file = outcome.file("kernel_0");
        // Ten records were written; the buffer of four holds two of them, one that waits, and the open one.
        let stream = dead.truth().traces[0].stream("kernel_0");
        let consumed = stream.consumed_position / 8192;
        assert_eq!((stream.disk.len() as u64, stream.sub_buffers.len()), (consumed, 4));
        assert_eq!(file.kept.len() as u64, consumed - 5);
        assert_eq!(file.lost, Some((consumed - 5..consumed - 2).map(|s| s * 8192).collect()));
        assert_eq!((file.both.len(), file.added.len()), (0, 4));
    }

    #[test]
    fn a_record_that_was_copied_and_not_yet_given_back_is_on_both_sides() {
        for reader in [Reader::Interrupted, Reader::Inside] {
            let dead = kernel(Era::A, (2, 2)).reader(reader).build();
            let outcome = DiskTrace::of(&dead).outcome();
            let file = outcome.file("cpu_0");
            let held = dead.truth().traces[0].stream("cpu_0").consumed_position / 8192;
            assert_eq!(file.kept.len() as u64, held + u64::from(reader == Reader::Interrupted), "{reader:?}");
            assert_eq!(file.both.len(), if reader == Reader::Interrupted { 3 } else { 2 }, "{reader:?}");
            assert_eq!((file.different.as_slice(), file.lost.as_deref()), (&[][..], Some(&[][..])));
        }
    }

    #[test]
    fn flight_recorders_have_files_only_when_they_were_read() {
        let dead = kernel(Era::C, (2, 6)).mode(Mode::Overwrite).reader(Reader::Absent).build();
        let outcome = DiskTrace::of(&dead).outcome();
        assert!(!outcome.file("flight-kernel_0").present && outcome.file("metadata_0").present);
        let dead = kernel(Era::C, (2, 6)).mode(Mode::Overwrite).build();
        let outcome = DiskTrace::of(&dead).outcome();
        let file = outcome.file("flight-kernel_0");
        assert_eq!((file.present, &file.lost, file.both.is_empty()), (true, &None, false));
    }

    #[test]
    fn announcements_can_be_lost_for_good() {
        let channels = ["cpu", "processes", "interrupts", "network", "modules"];
        let metadata = ChannelSpec::new("metadata").sub_buffers(4096, 2).reader(Reader::Keeps(0));
        let dead = kernel(Era::A, (2, 1)).channels(channels).marker_sets(3).metadata(metadata).build();
        let disk = DiskTrace::of(&dead);
        let written = disk.outcome().file("control/metadata_0").kept.len();
        assert!(written > 1 && disk.outcome().unannounced.is_empty());
        let outcome = disk.without_directory("control").outcome();
        assert!(!outcome.unannounced.is_empty());
        assert!(outcome.file("control/metadata_0").lost.as_ref().is_some_and(|lost| lost.contains(&0)));
        assert!(!outcome.file("control/modules_0").present && outcome.file("cpu_0").present);
    }

    #[test]
    fn the_switch_timer_makes_short_records() {
        let dead = kernel(Era::C, (2, 6)).switch_every(60).fill(Fill::SubBuffers(9.3)).build();
        let outcome = DiskTrace::of(&dead).outcome();
        let file = outcome.file("kernel_0");
        let lengths: BTreeSet<u64> = file.kept.windows(2).map(|w| w[1].offset - w[0].offset).collect();
        assert_eq!(lengths, BTreeSet::from([4096]));
    }

    #[test]
    fn it_is_written_as_it_says() {
        let dead = kernel(Era::A, (2, 1)).channels(["cpu", "modules"]).build();
        let disk = DiskTrace::of(&dead).damage("control/modules_0", Damage::Missing);
        let path = std::env::temp_dir().join(format!("synth-disk-{}", std::process::id()));
        disk.write(&path).unwrap();
        for file in &disk.outcome().files {
            let found = std::fs::read(path.join(file.path));
            assert_eq!(found.ok(), file.present.then(|| file.bytes.clone()), "{}", file.path);
        }
        std::fs::remove_dir_all(&path).unwrap();
    }
}
