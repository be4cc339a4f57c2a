//! What the core holds of one stream, as packets to be sorted in among those on disk.

use lttformat::ctf::{IndexEntry, PacketHeader};

use crate::join::gap::Ring;
use crate::report::{Totals, note};
use crate::source::{State, StreamSource};

/// One packet that the core can give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The sub-buffer it is made of.
    pub(crate) slot: usize,
    /// Position of that in the ring.
    pub(crate) position: u64,
    /// What its header says, as an index does.
    pub(crate) entry: IndexEntry,
    /// Its length.
    pub(crate) bytes: u64,
    pub(crate) events: u64,
}

/// One stream of the core.
pub(crate) struct CoreStream<'k> {
    pub(crate) source: StreamSource<'k>,
    /// Number of the channel.
    pub(crate) id: Option<u64>,
    /// The user's own name of the channel is known.
    pub(crate) is_named: bool,
    /// In order.
    pub(crate) keys: Vec<Key>,
    pub(crate) totals: Totals,
    pub(crate) notes: Vec<String>,
}

impl<'k> CoreStream<'k> {
    /// Looks at every sub-buffer that holds something.
    ///
    /// Cost: reads and decodes all of them; keeps some numbers of each.
    pub(crate) fn new(source: StreamSource<'k>, id: Option<u64>, is_named: bool) -> CoreStream<'k> {
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
            let bytes = record.bytes.len() as u64;
            // What viewers would not find the end of must not be written.
            let fits = |header: &PacketHeader| header.packet_size == bytes.saturating_mul(8);
            let header = record.header.take().filter(|header| bytes > 0 && fits(header));
            if header.is_none() && bytes > 0 {
                note(&mut notes, || {
                    format!("packet at {}: expected the size of {bytes} bytes in its header", slot.position)
                });
                (record.lost, record.valid, record.bytes) = (record.lost + record.valid, 0, &[]);
            }
            totals.add_record(slot.state, &record);
            let Some(header) = header else { continue };
            keys.push(Key {
                slot: nth,
                position: slot.position,
                entry: IndexEntry::new(0, &header),
                bytes,
                events: record.events.unwrap_or(0),
            });
        }
        drop(reader);
        keys.sort_by_key(|key| order(&key.entry));
        CoreStream { source, id, is_named, keys, totals, notes }
    }

    /// What the ring's counters say; `narrow`: positions are of 32 bits.
    pub(crate) fn ring(&self, narrow: bool) -> Ring {
        Ring {
            sub_buffer_size: self.source.slot_size,
            consumed: self.source.consumed,
            narrow,
            overwrite: self.source.overwrite,
            whole_sub_buffers: false,
            begins_late: false,
        }
    }

    /// Number of the first packet that the daemon had not consumed, if that means something.
    pub(crate) fn consumed(&self) -> Option<u64> {
        const WRAP: i128 = 1 << 32;
        let StreamSource { consumed, slot_size, overwrite, .. } = self.source;
        let consumed = consumed.filter(|_| !overwrite && slot_size != 0)?;
        let Some(key) = self.keys.first() else { return Some(consumed / slot_size) };
        let mut ahead = i128::from(consumed) - i128::from(key.position);
        // Positions of 32 bits wrap; no ring is half as large.
        if consumed.max(key.position) < 1 << 32 {
            ahead = (ahead + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
        }
        let number = i128::from(key.entry.packet_seq_num?) + ahead.div_euclid(i128::from(slot_size));
        u64::try_from(number).ok()
    }
}

/// The place of a packet in its stream: by its number where packets have one, else by the time at which it was begun, which no other of
/// its stream shares.
pub(crate) fn order(entry: &IndexEntry) -> u64 {
    entry.packet_seq_num.unwrap_or(entry.timestamp_begin)
}
