//! Streams of a kernel in a core.

use lttformat::ctf::{Language, PacketHeader, TraceClass};
use relaywalk::State;

use super::dropped::Accounted;
use super::format::Ctf;
use super::label;
use crate::events::records::{Damage, Piece, Records};
use crate::events::source::Source;
use crate::events::stream::{Label, Stream};
use crate::kernel::Kernel;
use crate::lttng::{Channel, Packet, Recorder, Session};

/// The packets that are still in a ring.
struct Ring<'a> {
    recorder: Recorder<'a>,
    packets: &'a [Packet],
    next: usize,
    /// Name of its file, for messages.
    name: String,
    /// Of the packet before the next one.
    damage: Option<Damage>,
}

impl Records for Ring<'_> {
    type Header = PacketHeader;

    fn rewind(&mut self, count: u64) -> bool {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.next = self.packets.len().saturating_sub(count);
        self.damage = None;
        self.next == 0
    }

    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<Piece<PacketHeader>> {
        loop {
            if let Some(damage) = self.damage.take() {
                return Some(Piece::Damage(damage));
            }
            let packet = self.packets.get(self.next)?;
            self.next += 1;
            if packet.state() == State::NeverUsed {
                continue;
            }
            let record = self.recorder.record(packet);
            let lost = record.lost.saturating_add(record.unreadable);
            if lost > 0 {
                let notes: Vec<_> = record.notes.iter().map(ToString::to_string).collect();
                let reason = format!("{}: {}", self.name, notes.join("; "));
                self.damage = Some(Damage { bytes: lost, reason });
            }
            bytes.clear();
            bytes.extend_from_slice(record.bytes);
            if let Some(header) = record.header.filter(|_| !record.bytes.is_empty()) {
                return Some(Piece::Record(header));
            }
        }
    }

    fn place(&self) -> String {
        let last = self.next.checked_sub(1).and_then(|last| self.packets.get(last));
        format!("{}: packet at {}", self.name, last.map_or(0, Packet::position))
    }
}

/// One source for each stream of a session in a core.
pub(in crate::events) fn of_session<'a>(
    kernel: &'a Kernel,
    session: &'a Session,
) -> Vec<(Label, Box<dyn Source + 'a>)> {
    let streams = session.streams().map(|(channel, stream)| {
        let label = label(&session.name(), &channel.name(), stream.cpu(), session.class());
        let ring = Ring {
            recorder: session.recorder(kernel, channel, stream),
            packets: stream.packets(),
            next: 0,
            name: stream.file_name().into_owned(),
            damage: None,
        };
        let format = Ctf::new(class(session, channel));
        let packets = Accounted::new(ring, Some(stream.events_lost()));
        let source: Box<dyn Source + 'a> = Box::new(Stream::new(label.clone(), format, packets));
        (label, source)
    });
    streams.collect()
}

/// What describes a channel's events, or why nothing does.
fn class<'a>(session: &'a Session, channel: &Channel) -> Result<&'a TraceClass, String> {
    let class = session.class().ok_or_else(|| why_not_decoded(session))?;
    let declared = channel.id().and_then(|id| class.stream(u64::from(id)));
    match (declared, channel.layout()) {
        (Some(stream), Some(layout)) if stream.layout() != layout => {
            Err("expected metadata that fit the tracer's packets, found others".to_owned())
        }
        _ => Ok(class),
    }
}

/// Why a session without a class has none.
pub(in crate::events) fn why_not_decoded(session: &Session) -> String {
    let Some(metadata) = session.metadata() else {
        return "expected metadata in the core, found none".to_owned();
    };
    match (metadata.language(), TraceClass::parse(metadata.text())) {
        (Language::Json, _) => super::CTF_2.to_owned(),
        (Language::Tsdl, Err(error)) => error.to_string(),
        (Language::Tsdl, Ok(_)) => "expected all metadata in the core, found their end only".to_owned(),
    }
}
