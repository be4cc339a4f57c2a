//! Streams of a kernel in a core.

use lttformat::ltt::{Channel as Kind, Header, TracefileName};

use super::format::{Head, Ltt};
use super::label;
use crate::directory::channel_name;
use crate::events::records::{Damage, Piece, Records};
use crate::events::source::Source;
use crate::events::stream::{Label, Stream};
use crate::kernel::Kernel;
use crate::model::{State, SubBuffer, Trace};
use crate::record::Recorder;
use crate::time::TraceClock;

/// The sub-buffers that are still in a ring.
struct Ring<'a> {
    recorder: Recorder<'a>,
    sub_buffers: &'a [SubBuffer],
    next: usize,
    /// Path of its file, for messages.
    path: String,
    /// Of the sub-buffer before the next one.
    damage: Option<Damage>,
}

impl Records for Ring<'_> {
    type Header = Head;

    fn rewind(&mut self, count: u64) -> bool {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.next = self.sub_buffers.len().saturating_sub(count);
        self.damage = None;
        self.next == 0
    }

    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<Piece<Head>> {
        if let Some(damage) = self.damage.take() {
            return Some(Piece::Damage(damage));
        }
        loop {
            let sub_buffer = self.sub_buffers.get(self.next)?;
            self.next += 1;
            if sub_buffer.state() == State::NeverUsed {
                continue;
            }
            let record = self.recorder.record(sub_buffer);
            let lost = record.lost.saturating_add(record.unreadable);
            if lost > 0 {
                let notes: Vec<_> = record.notes.iter().map(ToString::to_string).collect();
                let reason = format!("{}: {}", self.path, notes.join("; "));
                self.damage = Some(Damage { bytes: lost, reason });
            }
            bytes.clear();
            bytes.extend_from_slice(record.bytes);
            match Header::parse(bytes)
                .ok()
                .and_then(|header| Some((header.used(header.record_len())?, header)))
            {
                Some((used, header)) => return Some(Piece::Record(Head { header, used })),
                None => {
                    if let Some(damage) = self.damage.take() {
                        return Some(Piece::Damage(damage));
                    }
                }
            }
        }
    }

    fn place(&self) -> String {
        let last = self.next.checked_sub(1).and_then(|last| self.sub_buffers.get(last));
        format!("{}: sub-buffer at {}", self.path, last.map_or(0, SubBuffer::position))
    }
}

/// One source for each stream of a trace in a core; none if no sub-buffer of it has a readable header.
pub(in crate::events) fn of_trace<'a>(
    kernel: &'a Kernel,
    trace: &'a Trace,
) -> Vec<(Label, Box<dyn Source + 'a>)> {
    let (Some(header), Some(markers)) = (trace.header(), trace.markers()) else { return Vec::new() };
    let clock = TraceClock::new(header, Some(trace.clock().start_tsc));
    let streams = trace.streams().map(|(channel, stream)| {
        // As in the directory that is extracted.
        let path = TracefileName::parse(&stream.path().join(&b'/'));
        let name = path.map_or_else(|| channel.name.clone(), |path| channel_name(&path));
        let label = label(&trace.name(), &name, stream.cpu(), clock);
        let records = Ring {
            recorder: trace.recorder(kernel, channel, stream),
            sub_buffers: stream.sub_buffers(),
            next: 0,
            path: stream.label(),
            damage: None,
        };
        let kind = Kind::named(header.version, &channel.name);
        let source: Box<dyn Source + 'a> =
            Box::new(Stream::new(label.clone(), Ltt::new(kind, markers), records));
        (label, source)
    });
    streams.collect()
}
