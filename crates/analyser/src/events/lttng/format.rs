//! Packets of CTF.

use lttformat::ctf::{Decoder, PacketHeader, Position as Place, StreamClass, TraceClass};

use crate::events::event::Kind as Family;
use crate::events::format::{Format, Position, Stop};
use crate::events::{Event, What};

/// Decodes the packets of one stream.
pub(super) struct Ctf<'a> {
    class: Result<&'a TraceClass, String>,
    packet: Option<Packet<'a>>,
}

/// The packet at hand.
struct Packet<'a> {
    header: PacketHeader,
    /// `None`: its events cannot be decoded.
    stream: Option<&'a StreamClass>,
}

impl<'a> Ctf<'a> {
    /// `class`: what the metadata say, or why events cannot be decoded.
    pub(super) fn new(class: Result<&'a TraceClass, String>) -> Ctf<'a> {
        Ctf { class, packet: None }
    }

    /// A decoder of the packet at hand at a position. Inlined: made anew for each event.
    #[inline]
    fn decoder<'s>(&'s self, bytes: &'s [u8], at: Position) -> Option<Decoder<'s>> {
        let Packet { header, stream } = self.packet.as_ref()?;
        let place = Place { offset: at.offset, time: at.time };
        Some(Decoder::resume((*stream)?, header, bytes, place).not_after(header.latest_event()))
    }
}

impl Format for Ctf<'_> {
    type Header = PacketHeader;

    fn span(&self, header: &PacketHeader) -> (u64, u64) {
        (header.timestamp_begin, header.latest_event())
    }

    fn begin(&mut self, header: PacketHeader, bytes: &mut Vec<u8>) -> Position {
        let stream = self.class.as_ref().ok().and_then(|class| class.stream(header.stream_id));
        let time = header.timestamp_begin;
        let offset = match stream {
            Some(stream) => 8 * stream.layout().len() as u64,
            None => 0,
        };
        let content = usize::try_from(header.content_size.div_ceil(8)).unwrap_or(usize::MAX);
        bytes.truncate(content);
        self.packet = Some(Packet { header, stream });
        Position { offset, time }
    }

    #[inline]
    fn after(&self, bytes: &[u8], at: Position) -> Option<Result<Position, Stop>> {
        let Some(mut decoder) = self.decoder(bytes, at) else { return self.undecodable(bytes) };
        Some(match decoder.next()? {
            Ok(_) => {
                let Place { offset, time } = decoder.position();
                Ok(Position { offset, time })
            }
            Err(stop) => Err(Stop {
                bytes: (bytes.len() as u64).saturating_sub(stop.offset),
                reason: stop.to_string(),
            }),
        })
    }

    fn event<'s>(&'s self, bytes: &'s [u8], at: Position) -> Option<What<'s>> {
        let event = self.decoder(bytes, at)?.next()?.ok()?;
        Some(What::Event(Event(Family::Ctf(event))))
    }
}

impl Ctf<'_> {
    /// Of a packet without a class.
    fn undecodable(&self, bytes: &[u8]) -> Option<Result<Position, Stop>> {
        let Packet { header, .. } = self.packet.as_ref()?;
        let reason = match &self.class {
            Err(reason) => reason.clone(),
            Ok(_) => {
                format!("expected the id of a stream that the metadata declare, found {}", header.stream_id)
            }
        };
        Some(Err(Stop { bytes: bytes.len() as u64, reason }))
    }
}
