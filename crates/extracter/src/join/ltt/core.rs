//! What the core holds of one stream, as records to be sorted in among those on disk.

use std::path::PathBuf;

use lttformat::ltt::Header;
use lttformat::ltt::scan::Signature;

use crate::join::gap::Ring;
use crate::name;
use crate::report::{Totals, note};
use crate::source::{State, StreamSource};

/// One record that the core can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// The sub-buffer it is made of.
    pub(crate) slot: usize,
    /// Position of that in the ring.
    pub(crate) position: u64,
    /// Time at which it was begun: what tells it from others of its stream.
    pub(crate) begin: u64,
    /// Time at which it was left.
    pub(crate) end: u64,
    /// Its length.
    pub(crate) bytes: u64,
    pub(crate) events: u64,
}

/// One stream of the core.
pub(crate) struct CoreStream<'k> {
    pub(crate) source: StreamSource<'k>,
    /// Where the daemon would have written it, below the trace.
    pub(crate) path: PathBuf,
    /// By begin.
    pub(crate) keys: Vec<Key>,
    pub(crate) totals: Totals,
    pub(crate) notes: Vec<String>,
}

impl<'k> CoreStream<'k> {
    /// Looks at every sub-buffer that holds something. `visit` is shown each record.
    ///
    /// Cost: reads and decodes all of them; keeps some numbers of each.
    pub(crate) fn new(
        source: StreamSource<'k>,
        signature: Option<Signature>,
        mut visit: impl FnMut(&Header, &[u8]),
    ) -> CoreStream<'k> {
        let path: PathBuf = name::components(&source.path).iter().collect();
        let mut totals = Totals {
            events: Some(0),
            events_lost_by_tracer: source.events_lost,
            corrupted_sub_buffers: source.corrupted_sub_buffers,
            ..Totals::default()
        };
        let (mut keys, mut notes) = (Vec::new(), Vec::new());
        let mut reader = source.content.open(true);
        for (nth, slot) in source.slots.iter().enumerate() {
            if slot.state == State::NeverUsed {
                totals.add_never_used();
                continue;
            }
            let mut record = reader.read(nth);
            let texts = std::mem::take(&mut record.notes);
            texts.into_iter().for_each(|text| note(&mut notes, || text));
            let header = Header::parse(record.bytes).ok();
            let ours = |header: &Header| signature.is_none_or(|ours| ours == Signature::from(header));
            if header.as_ref().is_some_and(|header| !ours(header)) {
                note(&mut notes, || {
                    format!("sub-buffer at {}: its header is of another trace", slot.position)
                });
                (record.lost, record.valid, record.bytes) = (record.lost + record.valid, 0, &[]);
            }
            totals.add_record(slot.state, &record);
            let Some(header) = header.filter(|_| !record.bytes.is_empty()) else { continue };
            visit(&header, record.bytes);
            keys.push(Key {
                slot: nth,
                position: slot.position,
                begin: header.begin,
                end: header.end,
                bytes: record.bytes.len() as u64,
                events: record.events.unwrap_or(0),
            });
        }
        drop(reader);
        keys.sort_by_key(|key| key.begin);
        CoreStream { source, path, keys, totals, notes }
    }

    /// What the ring's counters say, of a trace with such headers.
    pub(crate) fn ring(&self, header: Option<&Header>, begins_late: bool) -> Ring {
        Ring {
            sub_buffer_size: self.source.slot_size,
            consumed: self.source.consumed,
            narrow: header.is_some_and(|header| header.arch_size == 4),
            overwrite: self.source.overwrite,
            whole_sub_buffers: header.is_none_or(|header| !header.version.has_short_records()),
            begins_late,
        }
    }

    /// Whether all that the writers had put into it is in its records.
    pub(crate) fn is_intact(&self) -> bool {
        !self.totals.has_losses() && self.source.damage.is_empty()
    }
}
