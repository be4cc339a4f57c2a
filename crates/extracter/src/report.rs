//! What was written, and what was not. The totals add up because there is one way to add to them.

use serde::Serialize;

use crate::source::{Record, State};

/// Notes kept of one stream; a broken buffer can produce one for each page.
const NOTES_MAX: usize = 100;

/// What [`Plan::run`](crate::Plan::run) did.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The output directory as the user wrote it.
    pub output: String,
    /// Only what the daemon had not read.
    pub unread_only: bool,
    /// In the order found.
    pub traces: Vec<TraceReport>,
    /// Over all traces.
    pub totals: Totals,
    /// What was broken outside any one trace.
    pub damage: Vec<String>,
}

/// One trace directory.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TraceReport {
    /// The name in the core, as text.
    pub name: String,
    /// The directory below the output.
    pub directory: String,
    /// The file that describes the streams; none where they describe themselves (LTT 0.x).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataReport>,
    /// In the order found.
    pub streams: Vec<StreamReport>,
    /// Over the streams.
    pub totals: Totals,
}

/// The metadata file of a CTF trace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MetadataReport {
    /// The file below the output.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// One file: one channel on one CPU.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct StreamReport {
    /// The file below the output.
    pub path: String,
    /// The channel.
    pub channel: String,
    /// The CPU; none for a buffer that all of them share.
    pub cpu: Option<u32>,
    /// Flight recorder: the newest events replace the oldest.
    pub overwrite: bool,
    /// What was done, in numbers.
    #[serde(flatten)]
    pub totals: Totals,
    /// What was broken: each costs bytes, or may have cost events.
    pub damage: Vec<String>,
    /// What else is worth knowing.
    pub notes: Vec<String>,
}

/// Numbers of a stream, or their sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Sub-buffers by what was done with them.
    pub sub_buffers: SubBuffers,
    /// Bytes by what was done with them.
    pub bytes: Bytes,
    /// Sub-buffers that were written although something in them does not add up: events that cannot be decoded to the end (seen
    /// only when events are counted), a header that had to be corrected, counters that contradict each other.
    pub doubtful_sub_buffers: u64,
    /// Events in what was written; none if they were not counted.
    pub events: Option<u64>,
    /// Events that the tracer itself dropped while it ran: none of them was in the core.
    pub events_lost_by_tracer: u64,
    /// Sub-buffers that the tracer itself counted as corrupted while it ran.
    pub corrupted_sub_buffers: u64,
}

/// Sub-buffers of a stream, each counted once: the first four were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SubBuffers {
    /// Complete, not read by the daemon.
    pub ready: u64,
    /// Being written at the crash.
    pub open: u64,
    /// Left by the writers, never fully committed.
    pub stalled: u64,
    /// Read by the daemon, still intact.
    pub consumed: u64,
    /// Nothing in it could be written.
    pub unusable: u64,
    /// Read by the daemon and left out, because only the unread were asked for.
    pub omitted: u64,
    /// No writer was ever there.
    pub never_used: u64,
    /// The sum of all.
    pub total: u64,
}

/// Bytes of sub-buffers, headers included: found = written + lost + unreadable + omitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Bytes {
    /// The sum of the next four.
    pub found: u64,
    /// Valid, and in the file.
    pub written: u64,
    /// Reserved by a writer that never finished, so not in the file.
    pub lost: u64,
    /// Not in the core, or not readable in it, so not in the file.
    pub unreadable: u64,
    /// Left out, because only the unread were asked for.
    pub omitted: u64,
    /// `written` by the state of the sub-buffer.
    pub written_by_state: BytesByState,
    /// Of `written`: replaced by zeros, because the page was missing.
    pub zero_filled: u64,
    /// Size of the file: `written` and the unused ends of sub-buffers.
    pub file: u64,
}

/// Bytes by the state of the sub-buffer they lie in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BytesByState {
    /// Complete, not read by the daemon.
    pub ready: u64,
    /// Being written at the crash.
    pub open: u64,
    /// Left by the writers, never fully committed.
    pub stalled: u64,
    /// Read by the daemon, still intact.
    pub consumed: u64,
}

impl Report {
    /// Whether something that was found is not in the output, or may be wrong there. What the tracer itself dropped
    /// while it ran does not count: it was never in the core.
    pub fn has_losses(&self) -> bool {
        !self.damage.is_empty()
            || self.totals.has_losses()
            || self.traces.iter().flat_map(|trace| &trace.streams).any(|stream| !stream.damage.is_empty())
    }
}

impl Totals {
    /// Bytes or sub-buffers are missing or doubtful.
    pub fn has_losses(&self) -> bool {
        let bytes = &self.bytes;
        bytes.lost > 0
            || bytes.unreadable > 0
            || bytes.zero_filled > 0
            || self.sub_buffers.unusable > 0
            || self.doubtful_sub_buffers > 0
    }

    /// A sub-buffer of which the record is now in the file, if there was anything in it.
    pub(crate) fn add_record(&mut self, state: State, record: &Record<'_>) {
        let Bytes { found, written, lost, unreadable, written_by_state, zero_filled, file, .. } =
            &mut self.bytes;
        add(written, record.valid);
        add(lost, record.lost);
        add(unreadable, record.unreadable);
        add(found, record.valid.saturating_add(record.lost).saturating_add(record.unreadable));
        add(zero_filled, record.zero_filled);
        add(file, u64::try_from(record.bytes.len()).unwrap_or(u64::MAX));
        let counts = &mut self.sub_buffers;
        let (count, bytes) = match state {
            State::Ready => (&mut counts.ready, &mut written_by_state.ready),
            State::Open => (&mut counts.open, &mut written_by_state.open),
            State::Stalled => (&mut counts.stalled, &mut written_by_state.stalled),
            State::Consumed => (&mut counts.consumed, &mut written_by_state.consumed),
            State::NeverUsed => return self.add_never_used(),
        };
        add(bytes, record.valid);
        add(if record.bytes.is_empty() { &mut counts.unusable } else { count }, 1);
        add(&mut counts.total, 1);
        add(&mut self.doubtful_sub_buffers, u64::from(record.doubtful && !record.bytes.is_empty()));
        if let Some(events) = record.events {
            add(self.events.get_or_insert_default(), events);
        }
    }

    /// A sub-buffer with this many bytes that nobody asked for.
    pub(crate) fn add_omitted(&mut self, bytes: u64) {
        add(&mut self.sub_buffers.omitted, 1);
        add(&mut self.sub_buffers.total, 1);
        add(&mut self.bytes.omitted, bytes);
        add(&mut self.bytes.found, bytes);
    }

    /// A sub-buffer without content.
    pub(crate) fn add_never_used(&mut self) {
        add(&mut self.sub_buffers.never_used, 1);
        add(&mut self.sub_buffers.total, 1);
    }

    /// The numbers of a part of the whole.
    pub(crate) fn add_part(&mut self, part: &Totals) {
        let (to, from) = (&mut self.sub_buffers, &part.sub_buffers);
        add(&mut to.ready, from.ready);
        add(&mut to.open, from.open);
        add(&mut to.stalled, from.stalled);
        add(&mut to.consumed, from.consumed);
        add(&mut to.unusable, from.unusable);
        add(&mut to.omitted, from.omitted);
        add(&mut to.never_used, from.never_used);
        add(&mut to.total, from.total);
        let (to, from) = (&mut self.bytes, &part.bytes);
        add(&mut to.found, from.found);
        add(&mut to.written, from.written);
        add(&mut to.lost, from.lost);
        add(&mut to.unreadable, from.unreadable);
        add(&mut to.omitted, from.omitted);
        add(&mut to.zero_filled, from.zero_filled);
        add(&mut to.file, from.file);
        let (to, from) = (&mut to.written_by_state, &from.written_by_state);
        add(&mut to.ready, from.ready);
        add(&mut to.open, from.open);
        add(&mut to.stalled, from.stalled);
        add(&mut to.consumed, from.consumed);
        add(&mut self.doubtful_sub_buffers, part.doubtful_sub_buffers);
        if let Some(events) = part.events {
            add(self.events.get_or_insert_default(), events);
        }
        add(&mut self.events_lost_by_tracer, part.events_lost_by_tracer);
        add(&mut self.corrupted_sub_buffers, part.corrupted_sub_buffers);
    }
}

/// Adds to a list of notes until there are too many, then says so once.
pub(crate) fn note(notes: &mut Vec<String>, text: impl FnOnce() -> String) {
    match notes.len() {
        0..NOTES_MAX => notes.push(text()),
        NOTES_MAX => notes.push("more notes of this kind were left out".to_owned()),
        _ => {}
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more); // counters from the core may be anything
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn adds_up(totals: &Totals) {
        let (bytes, counts, states) = (&totals.bytes, &totals.sub_buffers, &totals.bytes.written_by_state);
        assert_eq!(bytes.found, bytes.written + bytes.lost + bytes.unreadable + bytes.omitted);
        assert_eq!(bytes.written, states.ready + states.open + states.stalled + states.consumed);
        assert_eq!(
            counts.total,
            counts.ready
                + counts.open
                + counts.stalled
                + counts.consumed
                + counts.unusable
                + counts.omitted
                + counts.never_used
        );
    }

    fn state() -> impl Strategy<Value = State> {
        prop::sample::select(vec![
            State::Ready,
            State::Open,
            State::Stalled,
            State::Consumed,
            State::NeverUsed,
        ])
    }

    proptest! {
        #[test]
        fn totals_add_up(
            records in prop::collection::vec((state(), 0u64..100, 0u64..100, 0u64..100, any::<bool>()), 0..50),
            omitted in prop::collection::vec(0u64..100, 0..10),
        ) {
            let mut whole = Totals::default();
            let mut sum = Totals::default();
            for (state, valid, lost, unreadable, empty) in records {
                let bytes: &[u8] = if empty { &[] } else { &[0; 128] };
                let valid = if empty { 0 } else { valid };
                let record = Record { bytes, valid, lost, unreadable, doubtful: lost == 0, events: Some(1), ..Record::default() };
                let mut part = Totals { events_lost_by_tracer: 2, ..Totals::default() };
                if state == State::NeverUsed {
                    part.add_never_used();
                } else {
                    part.add_record(state, &record);
                }
                adds_up(&part);
                sum.add_part(&part);
                if state == State::NeverUsed {
                    whole.add_never_used();
                } else {
                    whole.add_record(state, &record);
                }
                whole.events_lost_by_tracer += 2;
            }
            for bytes in omitted {
                whole.add_omitted(bytes);
                sum.add_omitted(bytes);
            }
            adds_up(&whole);
            prop_assert_eq!(whole, sum);
        }
    }

    #[test]
    fn only_our_own_losses_are_losses() {
        let mut totals = Totals { events_lost_by_tracer: 9, corrupted_sub_buffers: 1, ..Totals::default() };
        totals.add_omitted(4096);
        totals.add_never_used();
        totals.add_record(State::Open, &Record { bytes: &[0; 64], valid: 40, ..Record::default() });
        assert!(!totals.has_losses());
        for record in [
            Record { bytes: &[0; 64], valid: 40, lost: 1, ..Record::default() },
            Record { bytes: &[0; 64], valid: 40, unreadable: 1, ..Record::default() },
            Record { bytes: &[0; 64], valid: 40, zero_filled: 1, ..Record::default() },
            Record { bytes: &[0; 64], valid: 40, doubtful: true, ..Record::default() },
            Record::default(),
        ] {
            let mut totals = totals.clone();
            totals.add_record(State::Ready, &record);
            assert!(totals.has_losses(), "{record:?}");
        }
    }

    #[test]
    fn notes_are_bounded() {
        let mut notes = Vec::new();
        for n in 0..10_000 {
            note(&mut notes, || n.to_string());
        }
        assert_eq!(notes.len(), NOTES_MAX + 1);
        assert_eq!(notes.last().unwrap(), "more notes of this kind were left out");
    }

    #[test]
    fn the_json_of_a_stream_is_flat() {
        let stream = StreamReport {
            path: "k1/cpu_0".into(),
            channel: "cpu".into(),
            cpu: Some(0),
            overwrite: false,
            totals: Totals::default(),
            damage: vec![],
            notes: vec![],
        };
        let json = serde_json::to_value(&stream).unwrap();
        assert_eq!(json["bytes"]["written_by_state"]["open"], 0);
        assert_eq!(json["events"], serde_json::Value::Null);
        assert_eq!(json["sub_buffers"]["never_used"], 0);
    }
}
