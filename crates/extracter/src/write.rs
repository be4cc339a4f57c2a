//! One stream into one file.

use std::path::{Path, PathBuf};

use lttformat::ctf::{Index, IndexEntry};

use crate::disk::Disk;
use crate::error::{Result, while_doing};
use crate::progress::{Progress, checkpoint};
use crate::report::{StreamReport, Totals, note};
use crate::source::{State, StreamSource};

/// One file that will be written.
#[derive(Debug, Clone)]
pub struct PlannedFile {
    /// Below the output.
    pub path: PathBuf,
    /// As messages name it: the output as the user wrote it, and `path`.
    pub shown: PathBuf,
    /// Another stream had this path first, so the file lies in a directory `<trace>~2`.
    pub doubles: bool,
    /// Bytes of sub-buffers that will be looked at; the file may be smaller.
    pub bytes: u64,
    /// Below the output: the file that says where its packets are, if its format has one.
    pub index: Option<PathBuf>,
}

/// What is written of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Selection {
    pub(crate) unread_only: bool,
    pub(crate) count_events: bool,
}

impl Selection {
    /// Bytes of sub-buffers that will be looked at.
    pub(crate) fn bytes(self, stream: &StreamSource<'_>) -> u64 {
        let taken =
            stream.slots.iter().filter(|slot| slot.state != State::NeverUsed && self.takes(slot.unread));
        u64::try_from(taken.count()).unwrap_or(u64::MAX).saturating_mul(stream.slot_size)
    }

    fn takes(self, unread: bool) -> bool {
        unread || !self.unread_only
    }
}

/// Writes the file of a stream below `root`, and syncs it. A stream without any usable sub-buffer becomes an empty
/// file: the daemon creates one file for each buffer that is allocated, and readers accept empty ones.
pub(crate) fn write(
    stream: &StreamSource<'_>,
    file: &PlannedFile,
    root: &Path,
    selection: Selection,
    disk: &dyn Disk,
    progress: &dyn Progress,
) -> Result<StreamReport> {
    let failed = |action| while_doing(action, file.shown.clone());
    let mut sink = disk.create(&root.join(&file.path)).map_err(failed("creating"))?;
    let mut reader = stream.content.open(selection.count_events);
    let mut totals = Totals {
        events: selection.count_events.then_some(0),
        events_lost_by_tracer: stream.events_lost,
        corrupted_sub_buffers: stream.corrupted_sub_buffers,
        ..Totals::default()
    };
    let mut index = stream.index.map(Index::new);
    let mut notes = Vec::new();
    let name = file.path.to_string_lossy();
    if file.doubles {
        notes.push("another stream has the same path, so this one got a directory of its own".to_owned());
    }
    let mut decoded = true;
    for (nth, slot) in stream.slots.iter().enumerate() {
        if slot.state == State::NeverUsed {
            totals.add_never_used();
            continue;
        }
        if !selection.takes(slot.unread) {
            totals.add_omitted(slot.reserved);
            continue;
        }
        let record = reader.read(nth);
        if let (Some(index), Some(header)) = (&mut index, &record.header) {
            index.entries.push(IndexEntry::new(totals.bytes.file, header));
        }
        sink.write_all(record.bytes).map_err(failed("writing"))?;
        totals.add_record(slot.state, &record);
        decoded &= record.events.is_some() || record.bytes.is_empty();
        for text in record.notes {
            note(&mut notes, || text);
        }
        progress.advance(stream.slot_size, &name);
        checkpoint(progress)?;
    }
    // A number that leaves out packets whose events nobody can decode would pass for the whole.
    totals.events = totals.events.filter(|_| decoded);
    if totals.bytes.file == 0 {
        notes.push("no usable sub-buffer: the file is empty".to_owned());
    }
    sink.sync().map_err(failed("syncing"))?;
    if let (Some(index), Some(path)) = (&index, &file.index) {
        let shown = file.shown.with_file_name("index").join(path.file_name().unwrap_or_default());
        write_whole(&index.file(), &root.join(path), &shown, disk)?;
    }
    Ok(StreamReport {
        path: name.into_owned(),
        channel: stream.channel.clone(),
        cpu: stream.cpu,
        overwrite: stream.overwrite,
        totals,
        damage: stream.damage.clone(),
        notes,
    })
}

/// Writes a file whose content is known, and syncs it. `shown` is its name in messages.
pub(crate) fn write_whole(content: &[u8], path: &Path, shown: &Path, disk: &dyn Disk) -> Result<()> {
    let mut sink = disk.create(path).map_err(while_doing("creating", shown))?;
    sink.write_all(content).map_err(while_doing("writing", shown))?;
    sink.sync().map_err(while_doing("syncing", shown))
}
