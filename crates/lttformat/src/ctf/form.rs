//! What the packets of a trace look like, from whatever is known of it.

use super::{Error, PacketHeader, PacketLayout, Result, StreamClass, TraceClass, Uuid};
use crate::ltt::Endian;

/// How the packets of a trace are known.
#[derive(Clone, Copy, Debug)]
pub enum Form<'t> {
    /// From its metadata.
    Class(&'t TraceClass),
    /// From its headers alone, when the metadata cannot be read (CTF 2, or lost): events are not decoded.
    Layout {
        /// Where the fields of a packet's header are, in all streams.
        layout: &'t PacketLayout,
        /// Identity of the trace, if it is known.
        uuid: Option<Uuid>,
    },
}

impl<'t> From<&'t TraceClass> for Form<'t> {
    fn from(class: &'t TraceClass) -> Form<'t> {
        Form::Class(class)
    }
}

impl<'t> Form<'t> {
    /// Byte order of the trace.
    pub fn endian(self) -> Endian {
        match self {
            Form::Class(class) => class.endian(),
            Form::Layout { layout, .. } => layout.endian(),
        }
    }

    /// Identity of the trace.
    pub fn uuid(self) -> Option<Uuid> {
        match self {
            Form::Class(class) => class.uuid(),
            Form::Layout { uuid, .. } => uuid,
        }
    }

    /// The header of the packet at the start of `bytes`.
    ///
    /// Errors: no header, another trace's uuid. A stream that the metadata do not describe is none: they may have been lost.
    pub fn header(self, bytes: &[u8]) -> Result<PacketHeader> {
        self.packet(bytes).map(|(header, _)| header)
    }

    /// Bytes of the longest header of its streams.
    pub fn longest_header(self) -> usize {
        match self {
            Form::Class(class) => {
                class.streams().iter().map(|stream| stream.layout().len()).max().unwrap_or(0)
            }
            Form::Layout { layout, .. } => layout.len(),
        }
    }

    /// The header of the packet at the start of `bytes`, with what is known of its stream.
    pub(super) fn packet(self, bytes: &[u8]) -> Result<(PacketHeader, Known<'t>)> {
        match self {
            Form::Class(class) => match (class.packet(bytes), class.streams().first()) {
                // All streams of a kernel have the same headers. Which of them are described is no property of a packet.
                (Err(Error::UnknownStream(_)), Some(other)) => {
                    let form = Form::Layout { layout: other.layout(), uuid: class.uuid() };
                    form.packet(bytes)
                }
                (result, _) => result
                    .map(|(header, stream)| (header, Known { layout: stream.layout(), class: Some(stream) })),
            },
            Form::Layout { layout, uuid } => {
                let header = PacketHeader::parse(bytes, layout)?;
                match (uuid, header.uuid) {
                    (Some(own), Some(uuid)) if own != uuid => Err(Error::Foreign { what: "packet header" }),
                    _ => Ok((header, Known { layout, class: None })),
                }
            }
        }
    }
}

/// What is known of a packet's stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'t> {
    /// Where the fields of its header are.
    pub(super) layout: &'t PacketLayout,
    /// Its class, from the metadata.
    pub(super) class: Option<&'t StreamClass>,
}
