//! Sessions as plain data for programs; the names are those of the JSON output.

use lttformat::ctf::{EnvValue, Language};
use relaywalk::State;
use relaywalk::lttng::HeaderType;
use serde::Serialize;

use super::model::{Channel, Packet, Session, Stream};

/// One session.
#[derive(Clone, Debug, Serialize)]
pub struct SessionSummary {
    /// Name, lossy.
    pub name: String,
    /// Folder of its trace, lossy.
    pub folder: String,
    /// Identity of its trace.
    pub uuid: Option<String>,
    /// When it was created, as the tracer writes it; 2.11 and later.
    pub creation_time: Option<String>,
    /// Release of the tracer, `2.13.9`, from the metadata.
    pub tracer: Option<String>,
    /// Whether it was recording.
    pub active: bool,
    /// Ways that led to it.
    pub found_by: String,
    /// Directory that the daemon writes to, below the root of its file system; known from open files.
    pub daemon_directory: Option<String>,
    /// Its metadata; `None` when there are none.
    pub metadata: Option<MetadataSummary>,
    /// Its channels.
    pub channels: Vec<ChannelSummary>,
}

/// The metadata of a session.
#[derive(Clone, Debug, Serialize)]
pub struct MetadataSummary {
    /// `tsdl` (CTF 1.8) or `json` (CTF 2).
    pub language: &'static str,
    /// Bytes of text, whole statements only.
    pub bytes: usize,
    /// Bytes of a statement that was being added.
    pub unfinished: u64,
    /// Number of the packet that the text begins with; what comes before was written to disk.
    pub first_packet: u64,
    /// Events declared; `None` when the text cannot be read.
    pub events: Option<usize>,
}

/// One channel.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelSummary {
    /// Number, `stream_id` of its packets.
    pub id: Option<u32>,
    /// Name, the user's where known.
    pub name: String,
    /// Whether the name is the user's.
    pub named: bool,
    /// Whether it overwrites its oldest data.
    pub overwrite: bool,
    /// Name of the transport.
    pub transport: String,
    /// Kind of event headers: `compact`, `large`, or `none` when it never recorded; `None` when unknown.
    pub event_headers: Option<&'static str>,
    /// Whether the metadata declare it.
    pub declared: bool,
    /// Bytes of one sub-buffer.
    pub sub_buffer_size: u64,
    /// Sub-buffers in the ring.
    pub sub_buffer_count: u64,
    /// Its streams.
    pub streams: Vec<SessionStreamSummary>,
}

/// One stream of a session.
#[derive(Clone, Debug, Serialize)]
pub struct SessionStreamSummary {
    /// Name of its file, lossy.
    pub file: String,
    /// CPU number; `None` for a buffer that all CPUs share.
    pub cpu: Option<u32>,
    /// Free-running position of the next reservation.
    pub write_position: u64,
    /// Free-running position up to which the daemon had consumed.
    pub consumed_position: u64,
    /// Packets that are complete and unread.
    pub ready: usize,
    /// Packets that were being written.
    pub open: usize,
    /// Packets that were left incomplete.
    pub stalled: usize,
    /// Packets that were consumed and are still intact.
    pub consumed: usize,
    /// Events dropped because the buffer was full.
    pub lost_full: u64,
    /// Events dropped because writers nested too deep or lapped themselves.
    pub lost_wrap: u64,
    /// Events dropped because they are larger than a sub-buffer.
    pub lost_big: u64,
    /// Readers that had it open.
    pub active_readers: u64,
    /// Whether the buffer had been flushed for destruction.
    pub finalized: bool,
    /// The file that the daemon writes it to, below the root of its file system; known from open files.
    pub daemon_file: Option<String>,
    /// What was lost or looked wrong, one line each.
    pub damage: Vec<String>,
}

impl From<&Session> for SessionSummary {
    fn from(session: &Session) -> SessionSummary {
        SessionSummary {
            name: session.name().into_owned(),
            folder: session.folder().into_owned(),
            uuid: session.uuid().map(|uuid| uuid.to_string()),
            creation_time: session.creation_time().map(|time| time.into_owned()),
            tracer: release(session),
            active: session.active(),
            found_by: session.found_by().to_string(),
            daemon_directory: session.daemon_directory().map(path),
            metadata: metadata(session),
            channels: session.channels().iter().map(ChannelSummary::from).collect(),
        }
    }
}

impl From<&Channel> for ChannelSummary {
    fn from(channel: &Channel) -> ChannelSummary {
        ChannelSummary {
            id: channel.id(),
            name: channel.name().into_owned(),
            named: channel.is_named(),
            overwrite: channel.overwrite(),
            transport: channel.transport().into_owned(),
            event_headers: match channel.header_type() {
                Some(HeaderType::Undecided) => Some("none"),
                Some(HeaderType::Compact) => Some("compact"),
                Some(HeaderType::Large) => Some("large"),
                Some(HeaderType::Unknown(_)) | None => None,
            },
            declared: channel.is_declared(),
            sub_buffer_size: channel.sub_buffer_size(),
            sub_buffer_count: channel.sub_buffer_count(),
            streams: channel.streams().iter().map(SessionStreamSummary::from).collect(),
        }
    }
}

impl From<&Stream> for SessionStreamSummary {
    fn from(stream: &Stream) -> SessionStreamSummary {
        let count =
            |state: State| stream.packets().iter().map(Packet::state).filter(|own| *own == state).count();
        SessionStreamSummary {
            file: stream.file_name().into_owned(),
            cpu: stream.cpu(),
            write_position: stream.write_position(),
            consumed_position: stream.consumed_position(),
            ready: count(State::Ready),
            open: count(State::Open),
            stalled: count(State::Stalled),
            consumed: count(State::Consumed),
            lost_full: stream.lost_full(),
            lost_wrap: stream.lost_wrap(),
            lost_big: stream.lost_big(),
            active_readers: stream.active_readers(),
            finalized: stream.finalized(),
            daemon_file: stream.daemon_file().map(|(components, _)| path(components)),
            damage: stream.damage().iter().map(ToString::to_string).collect(),
        }
    }
}

fn metadata(session: &Session) -> Option<MetadataSummary> {
    let metadata = session.metadata()?;
    Some(MetadataSummary {
        language: match metadata.language() {
            Language::Tsdl => "tsdl",
            Language::Json => "json",
        },
        bytes: metadata.text().len(),
        unfinished: metadata.unfinished(),
        first_packet: metadata.first_packet(),
        events: session.class().map(|class| class.streams().iter().map(|stream| stream.events().len()).sum()),
    })
}

fn release(session: &Session) -> Option<String> {
    let env = session.class()?.env();
    let number = |wanted: &str| {
        env.iter().find_map(|(name, value)| match value {
            EnvValue::Number(number) if name == wanted => Some(number.to_string()),
            _ => None,
        })
    };
    let parts = ["tracer_major", "tracer_minor", "tracer_patchlevel"].map(number);
    let known: Vec<String> = parts.into_iter().map_while(|part| part).collect();
    (!known.is_empty()).then(|| known.join("."))
}

fn path(components: &[Vec<u8>]) -> String {
    String::from_utf8_lossy(&components.join(&b'/')).into_owned()
}
