//! What a metadata text describes: the trace, its streams (channels) and their events.

use super::compile::{Compiler, Context, SlotTable};
use super::integer::Role;
use super::layout::serves_reading;
use super::node::{Kind, Node};
use super::short_header::ShortHeader;
use super::tsdl::{Declarations, EventDeclaration, StreamDeclaration, Type};
use super::{Clock, Error, PacketHeader, PacketLayout, Result, Uuid};
use crate::ltt::Endian;

/// A value of the trace's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// `tracer_major = 2`
    Number(i64),
    /// `hostname = "box"`
    Text(String),
}

/// All that is needed to read the packets of a trace, from its metadata text.
///
/// Cost: building is linear in the text, some milliseconds for the thousand events of a kernel with all system calls.
#[derive(Clone, Debug)]
pub struct TraceClass {
    version: (u64, u64),
    uuid: Option<Uuid>,
    endian: Endian,
    env: Vec<(String, EnvValue)>,
    clocks: Vec<Clock>,
    /// Sorted by id.
    streams: Vec<StreamClass>,
}

/// One stream of the metadata: a channel, with all its CPUs.
#[derive(Clone, Debug)]
pub struct StreamClass {
    id: u64,
    layout: PacketLayout,
    pub(super) packet_context: Option<Node>,
    /// Bit at which the packet context begins.
    pub(super) packet_context_at: u64,
    pub(super) event_header: Option<Node>,
    /// The form of it that nearly all events have.
    pub(super) short_header: Option<ShortHeader>,
    pub(super) event_context: Option<Node>,
    /// Whether the event context needs lengths or tags from the event header.
    pub(super) reaches_out: bool,
    /// Sorted by id.
    events: Vec<EventClass>,
}

/// One event of the metadata.
#[derive(Clone, Debug)]
pub struct EventClass {
    id: u64,
    name: Box<str>,
    loglevel: Option<i64>,
    pub(super) context: Option<Node>,
    pub(super) fields: Option<Node>,
    /// Whether context or fields need lengths or tags from parts before them.
    pub(super) reaches_out: bool,
}

impl TraceClass {
    /// Reads a metadata text, without packet headers: see [`Metadata`](super::Metadata).
    ///
    /// Errors: the text is no TSDL of a known kind, or describes packets that cannot be read.
    pub fn parse(text: &[u8]) -> Result<TraceClass> {
        let declared = Declarations::parse(text)?;
        let endian = declared.byte_order.ok_or_else(|| Error::Class {
            what: "byte order",
            place: "the trace".into(),
            expected: "le or be",
            found: "none".into(),
        })?;
        let mut compiler = Compiler::new(endian, text.len());
        let mut streams = Vec::new();
        for stream in &declared.streams {
            let mut shared = SlotTable::default();
            let header = declared.packet_header.as_deref();
            let class = StreamClass::new(&mut compiler, header, stream, endian, &mut shared)?;
            streams.push((class, shared));
        }
        // The first of equal ids stands, for streams as for events.
        streams.sort_by_key(|(stream, _)| stream.id);
        streams.dedup_by_key(|(stream, _)| stream.id);
        for event in &declared.events {
            let Ok(place) = streams.binary_search_by_key(&event.stream_id, |(stream, _)| stream.id) else {
                return Err(Error::Class {
                    what: "stream",
                    place: format!("event `{}`", event.name),
                    expected: "the id of a declared stream",
                    found: event.stream_id.to_string(),
                });
            };
            if let Some((stream, shared)) = streams.get_mut(place) {
                let event = EventClass::new(&mut compiler, event, stream, shared)?;
                stream.events.push(event);
            }
        }
        let mut streams: Vec<_> = streams.into_iter().map(|(stream, _)| stream).collect();
        for stream in &mut streams {
            stream.events.sort_by_key(|event| event.id);
            stream.events.dedup_by_key(|event| event.id);
            // Now that no field of an event can ask for more of the header.
            stream.short_header = stream.event_header.as_ref().and_then(ShortHeader::of);
        }
        let Declarations { version, uuid, env, clocks, .. } = declared;
        Ok(TraceClass { version: version.unwrap_or((1, 8)), uuid, endian, env, clocks, streams })
    }

    /// Version of CTF: 1.8.
    pub fn version(&self) -> (u64, u64) {
        self.version
    }

    /// Identity of the trace.
    pub fn uuid(&self) -> Option<Uuid> {
        self.uuid
    }

    /// Byte order of the traced machine.
    pub fn endian(&self) -> Endian {
        self.endian
    }

    /// Names and values of the environment, as declared: host, kernel, tracer, session.
    pub fn env(&self) -> &[(String, EnvValue)] {
        &self.env
    }

    /// A text of the environment: `hostname`, `trace_name`, `trace_creation_datetime` and the like.
    pub fn env_text(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|(known, value)| match value {
            EnvValue::Text(text) if known == name => Some(&**text),
            _ => None,
        })
    }

    /// The trace's clock: LTTng declares one.
    pub fn clock(&self) -> Option<&Clock> {
        self.clocks.first()
    }

    /// The streams, sorted by id.
    pub fn streams(&self) -> &[StreamClass] {
        &self.streams
    }

    /// The stream of an id.
    pub fn stream(&self, id: u64) -> Option<&StreamClass> {
        let place = self.streams.binary_search_by_key(&id, |stream| stream.id).ok()?;
        self.streams.get(place)
    }

    /// The header of a packet, and the stream that it belongs to.
    ///
    /// Errors: no header, another trace's uuid, a stream that is not declared.
    pub fn packet(&self, bytes: &[u8]) -> Result<(PacketHeader, &StreamClass)> {
        let first = self.streams.first().ok_or(Error::UnknownStream(0))?;
        // The packet header, with the stream's id, comes first and is the same in all streams.
        let id = PacketHeader::parse_stream_id(bytes, &first.layout)?;
        let stream = self.stream(id).ok_or(Error::UnknownStream(id))?;
        let header = PacketHeader::parse(bytes, &stream.layout)?;
        match (self.uuid, header.uuid) {
            (Some(own), Some(uuid)) if own != uuid => Err(Error::Foreign { what: "packet header" }),
            _ => Ok((header, stream)),
        }
    }
}

/// The parts of one stream or event, which may refer to each other, while they are compiled.
struct Parts<'c> {
    compiler: &'c mut Compiler,
    place: &'c str,
    shared: &'c mut SlotTable,
    own: SlotTable,
    /// Whether one of them refers to another.
    reaches_out: bool,
}

impl Parts<'_> {
    /// The next part, which may refer to those `before`; `None` if it is not declared.
    fn compile(&mut self, kind: Option<&Type>, before: Vec<Option<&mut Node>>) -> Result<Option<Node>> {
        let Some(kind) = kind else { return Ok(None) };
        let Parts { compiler, place, shared, own, .. } = self;
        let mut context = Context { place, before, shared, own, reaches_out: false };
        let node = compiler.compile(kind, &mut context)?;
        self.reaches_out |= context.reaches_out;
        Ok(Some(node))
    }
}

impl StreamClass {
    fn new(
        compiler: &mut Compiler,
        packet_header: Option<&Type>,
        declared: &StreamDeclaration,
        endian: Endian,
        shared: &mut SlotTable,
    ) -> Result<StreamClass> {
        let place = format!("stream {}", declared.id);
        let mut parts =
            Parts { compiler, place: &place, shared, own: SlotTable::of_event(), reaches_out: false };
        let packet_header = parts.compile(packet_header, Vec::new())?;
        let mut packet_context = parts.compile(declared.packet_context.as_deref(), Vec::new())?;
        let layout = PacketLayout::of_nodes(packet_header.as_ref(), packet_context.as_ref(), endian, &place)?;
        let mut event_header = parts.compile(declared.event_header.as_deref(), Vec::new())?;
        let event_context = parts.compile(declared.event_context.as_deref(), vec![event_header.as_mut()])?;
        let packet_context_at = packet_header.and_then(|header| header.size).unwrap_or(0);
        if let Some(Node { kind: Kind::Struct(members), .. }) = &mut packet_context {
            for member in members {
                member.hidden = serves_reading(&member.name);
            }
        }
        if let Some(header) = &mut event_header {
            assign_ids(header);
        }
        Ok(StreamClass {
            id: declared.id,
            layout,
            packet_context,
            packet_context_at,
            event_header,
            short_header: None,
            event_context,
            reaches_out: parts.reaches_out,
            events: Vec::new(),
        })
    }

    /// Its id: the channel's.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where its packets have their fields.
    pub fn layout(&self) -> &PacketLayout {
        &self.layout
    }

    /// Its events, sorted by id.
    pub fn events(&self) -> &[EventClass] {
        &self.events
    }

    /// The event of an id.
    #[inline]
    pub fn event(&self, id: u64) -> Option<&EventClass> {
        // Tracers number events from 0 without gaps.
        let there = usize::try_from(id).ok().and_then(|id| self.events.get(id));
        if let Some(event) = there.filter(|event| event.id == id) {
            return Some(event);
        }
        let place = self.events.binary_search_by_key(&id, |event| event.id).ok()?;
        self.events.get(place)
    }
}

impl EventClass {
    fn new(
        compiler: &mut Compiler,
        declared: &EventDeclaration,
        stream: &mut StreamClass,
        shared: &mut SlotTable,
    ) -> Result<EventClass> {
        let place = format!("event `{}`", declared.name);
        let mut parts =
            Parts { compiler, place: &place, shared, own: SlotTable::of_event(), reaches_out: false };
        let StreamClass { event_header, event_context, .. } = stream;
        let mut context = parts
            .compile(declared.context.as_deref(), vec![event_header.as_mut(), event_context.as_mut()])?;
        let fields = parts.compile(
            declared.fields.as_deref(),
            vec![event_header.as_mut(), event_context.as_mut(), context.as_mut()],
        )?;
        Ok(EventClass {
            id: declared.id,
            name: declared.name.as_str().into(),
            loglevel: declared.loglevel,
            context,
            fields,
            reaches_out: parts.reaches_out,
        })
    }

    /// Its id in its stream.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its log level, if it has one: events of user space.
    pub fn loglevel(&self) -> Option<i64> {
        self.loglevel
    }

    /// Names of its fields, in the order in which they are recorded.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        let members = match &self.fields {
            Some(Node { kind: Kind::Struct(members), .. }) => members.as_ref(),
            _ => &[],
        };
        members.iter().map(super::node::Member::shown)
    }
}

/// Marks the integers of an event header that hold the event's id.
fn assign_ids(node: &mut Node) {
    let (Kind::Struct(members) | Kind::Variant { options: members, .. }) = &mut node.kind else { return };
    for member in members {
        match &mut member.node.kind {
            Kind::Integer(integer) | Kind::Enum(integer, _) if *member.name == *"id" => {
                integer.role = Role::Id;
            }
            _ => assign_ids(&mut member.node),
        }
    }
}
