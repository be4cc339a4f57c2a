//! LTTng 2.x sessions as traces to be written: CTF below `kernel/`.

use analyser::Kernel;
use analyser::lttng::{Channel, Packet, Recorder, Session, Sessions, Stream};

use crate::source::{Content, MetadataSource, Reader, Record, Slot, StreamSource, TraceSource};

/// The folder of a trace that holds what the kernel recorded.
pub(crate) const DOMAIN: &str = "kernel";

/// All sessions that the analyser found and that recorded anything, and what is wrong with them beyond what the analyser says.
///
/// Channels that the metadata do not declare become a trace of their own: viewers refuse a trace that holds one.
pub(crate) fn collect<'k>(kernel: &'k Kernel, sessions: &'k Sessions) -> (Vec<TraceSource<'k>>, Vec<String>) {
    let mut traces = Vec::new();
    let mut damage = Vec::new();
    for session in &sessions.sessions {
        let declared: Vec<_> = streams(kernel, session, |channel| channel.is_declared());
        if !declared.is_empty() {
            let metadata = metadata(session);
            if let Some(problem) = problem(session) {
                damage.push(format!("session {}: {problem}", session.name()));
            }
            traces.push(trace(session, metadata, declared));
        }
        let others = streams(kernel, session, |channel| !channel.is_declared() && has_recorded(channel));
        if !others.is_empty() {
            for channel in session.channels().iter().filter(|c| !c.is_declared() && has_recorded(c)) {
                damage.push(format!(
                    "session {}: the metadata do not declare channel {}: it is in a folder of its own",
                    session.name(),
                    channel.name(),
                ));
            }
            traces.push(trace(session, None, others));
        }
    }
    (traces, damage)
}

fn trace<'k>(
    session: &Session,
    metadata: Option<MetadataSource>,
    streams: Vec<StreamSource<'k>>,
) -> TraceSource<'k> {
    TraceSource {
        name: session.folder_bytes().to_vec(),
        shown: session.name().into_owned(),
        metadata,
        streams,
    }
}

/// Whether there is more than the headers that are written when buffers are made.
fn has_recorded(channel: &Channel) -> bool {
    let header = channel.layout().map_or(0, |layout| layout.len() as u64);
    let packets = channel.streams().iter().flat_map(Stream::packets);
    packets.into_iter().any(|packet| packet.used().max(packet.reserved()) > header)
}

fn metadata(session: &Session) -> Option<MetadataSource> {
    let metadata = session.metadata()?;
    let mut notes = Vec::new();
    if metadata.unfinished() > 0 {
        notes.push(format!("{} bytes of an unfinished statement left out", metadata.unfinished()));
    }
    Some(MetadataSource { path: vec![DOMAIN, "metadata"], content: metadata.file(), notes })
}

/// Why viewers will not open the trace, though nothing that was found is damaged.
fn problem(session: &Session) -> Option<String> {
    match session.metadata().map(|metadata| metadata.first_packet()) {
        None => Some(
            "no metadata in the core; the file metadata of the trace on disk has them (see --into)"
                .to_owned(),
        ),
        Some(0) => None,
        Some(first) => Some(format!(
            "metadata begin with packet {first}; the file metadata of the trace on disk has those before (see --into)"
        )),
    }
}

/// The streams of the channels that are wanted, in the order found.
pub(crate) fn streams<'k>(
    kernel: &'k Kernel,
    session: &'k Session,
    is_wanted: impl Fn(&Channel) -> bool,
) -> Vec<StreamSource<'k>> {
    let index = session.index_version();
    let slot = |packet: &Packet| Slot {
        state: packet.state(),
        position: packet.position(),
        unread: packet.is_unread(),
        // What is behind the events of a closed packet is nobody's.
        reserved: if packet.closed() { packet.used() } else { packet.reserved().max(packet.used()) },
    };
    session
        .streams()
        .filter(|(channel, _)| is_wanted(channel))
        .map(|(channel, stream)| StreamSource {
            path: vec![DOMAIN.into(), stream.file_name_bytes().to_vec()],
            channel: channel.name().into_owned(),
            cpu: stream.cpu(),
            overwrite: channel.overwrite(),
            events_lost: stream.events_lost(),
            corrupted_sub_buffers: 0,
            damage: stream.damage().iter().map(ToString::to_string).collect(),
            slots: stream.packets().iter().map(slot).collect(),
            slot_size: channel.sub_buffer_size(),
            consumed: Some(stream.consumed_position()),
            index,
            content: Box::new(Found { kernel, session, channel, stream }),
        })
        .collect()
}

struct Found<'k> {
    kernel: &'k Kernel,
    session: &'k Session,
    channel: &'k Channel,
    stream: &'k Stream,
}

impl Content for Found<'_> {
    fn open(&self, count_events: bool) -> Box<dyn Reader + '_> {
        let recorder = self.session.recorder(self.kernel, self.channel, self.stream);
        Box::new(FoundReader { recorder: recorder.count_events(count_events), stream: self.stream })
    }
}

struct FoundReader<'k> {
    recorder: Recorder<'k>,
    stream: &'k Stream,
}

impl Reader for FoundReader<'_> {
    fn read(&mut self, slot: usize) -> Record<'_> {
        let Some(packet) = self.stream.packets().get(slot) else { return Record::default() };
        let record = self.recorder.record(packet);
        Record {
            bytes: record.bytes,
            header: record.header,
            valid: record.valid,
            lost: record.lost,
            unreadable: record.unreadable,
            zero_filled: record.zero_filled,
            doubtful: record.notes.iter().any(|note| note.kind.is_doubt()),
            events: record.events,
            notes: record.notes.iter().map(ToString::to_string).collect(),
        }
    }
}
