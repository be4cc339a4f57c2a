//! From what the walkers find to the typed model, with each trace's format and event formats.

use lttformat::ltt::prefix::{self, Evidence, LastTsc, Prefix, Stage};
use lttformat::ltt::{Announcement, Channel as Kind, Header, Markers};
use relaywalk::Routes;

use crate::kernel::Kernel;
use crate::model::{Channel, State, Stream, SubBuffer, Trace, Traces};
use crate::target::View;

/// Largest sub-buffer that is taken into memory; the largest a tracer ever made by itself has 1 MiB.
pub(crate) const MAX_SUB_BUFFER: u64 = 256 << 20;

/// Bytes that hold the header of any format.
const HEADER_ROOM: usize = 128;

impl Kernel {
    /// Finds every LTTng 0.x trace by the ways given, each buffer once.
    ///
    /// Cost: follows pointers to the buffers and reads one header per trace and the metadata channels; the other buffers are read when
    /// they are recorded. Damage is in the result, with its place.
    #[must_use]
    pub fn traces(&self, routes: Routes) -> Traces {
        let view = self.view();
        let walk = relaywalk::ltt::walk(view, &relaywalk::Options { routes });
        let mut damage = walk.damage;
        let traces = walk.traces.into_iter().map(|raw| trace(view, raw, &mut damage)).collect();
        Traces { traces, damage }
    }
}

fn trace(view: &View, mut raw: relaywalk::ltt::Trace, damage: &mut Vec<relaywalk::Damage>) -> Trace {
    let channels: Vec<Channel> = std::mem::take(&mut raw.channels).into_iter().map(Channel::from).collect();
    let header = first_header(view, &channels);
    let mut knows_marker_table = false;
    let markers =
        header.as_ref().map(|header| markers(view, &channels, header, &mut knows_marker_table, damage));
    Trace { header, markers, knows_marker_table, channels, raw }
}

/// The header of some sub-buffer. The first slot of any ring always has one: it is written when the ring is made.
fn first_header(view: &View, channels: &[Channel]) -> Option<Header> {
    let sub_buffers = || channels.iter().flat_map(|channel| &channel.streams).flat_map(|s| &s.sub_buffers);
    let first = sub_buffers().filter(|sub| sub.raw.index == 0);
    let others = sub_buffers().filter(|sub| sub.raw.index != 0 && sub.raw.state != State::NeverUsed);
    first.chain(others).find_map(|sub| peek(view, sub))
}

/// The header that memory shows at the start of a sub-buffer, current or not.
pub(crate) fn peek(view: &View, sub: &SubBuffer) -> Option<Header> {
    let mut bytes = [0; HEADER_ROOM];
    let room = usize::try_from(sub.raw.pages.len()).unwrap_or(HEADER_ROOM).min(HEADER_ROOM);
    let bytes = bytes.get_mut(..room)?;
    let holes = sub.raw.pages.read(view, 0, bytes);
    if holes.iter().any(|hole| !hole.zero_filled) {
        return None;
    }
    Header::parse(bytes).ok()
}

/// Event formats: from every sub-buffer of the metadata channel that is still in memory, then, for what is missing there, from the
/// kernel's own marker table.
fn markers(
    view: &View,
    channels: &[Channel],
    header: &Header,
    knows_marker_table: &mut bool,
    damage: &mut Vec<relaywalk::Damage>,
) -> Markers {
    let mut markers = Markers::new(header);
    for channel in channels {
        if Kind::named(header.version, &channel.name) != Kind::Metadata {
            continue;
        }
        for stream in &channel.streams {
            for (at, sub) in stream.sub_buffers.iter().enumerate() {
                learn(view, &mut markers, channel, stream, at, sub);
            }
        }
    }
    let table = relaywalk::markers::walk(view);
    *knows_marker_table = !table.markers.is_empty() && table.damage.is_empty();
    for marker in &table.markers {
        let alignment = marker.alignment.and_then(|alignment| u8::try_from(alignment).ok());
        let announcement = Announcement {
            name: &marker.name,
            id: marker.id,
            format: &marker.format,
            alignment: alignment.unwrap_or(header.alignment),
            sizes: None,
        };
        markers.insert(marker.channel.as_deref().unwrap_or_default(), &announcement);
    }
    if markers.is_empty() {
        // A stand-in that is not needed is not missed.
        damage.extend(table.damage);
    }
    markers
}

fn learn(view: &View, markers: &mut Markers, channel: &Channel, stream: &Stream, at: usize, sub: &SubBuffer) {
    if sub.raw.state == State::NeverUsed || sub.raw.pages.len() > MAX_SUB_BUFFER {
        return;
    }
    let Ok(len) = usize::try_from(sub.raw.pages.len()) else { return };
    let mut bytes = vec![0; len];
    let holes = sub.raw.pages.read(view, 0, &mut bytes);
    let readable = holes.iter().find(|hole| !hole.zero_filled).map_or(u64::MAX, |hole| hole.range.start);
    let Ok(header) = Header::parse(&bytes) else { return };
    let used = match sub.raw.state {
        State::Ready | State::Consumed => header.used(channel.sub_buffer_size),
        _ => None,
    };
    let used = used.unwrap_or_else(|| {
        let evidence = evidence(view, channel, stream, at, sub);
        if !sub.raw.by_header {
            return prefix::valid_prefix(&bytes, &header, Kind::Metadata, markers, &evidence).valid;
        }
        let (prefix, is_first) = unended(&bytes, readable, &header, Kind::Metadata, markers, &evidence);
        if is_first { prefix.valid } else { 0 }
    });
    if used > 0 {
        markers.learn(&header, &bytes, used.min(readable));
    }
}

/// What is valid of a sub-buffer that was never ended and of which no counter speaks, of whose bytes the first `readable` are known.
/// The flag tells whether it is in its first pass: then no events of an earlier one follow, which could not be told from its own.
pub(crate) fn unended(
    bytes: &[u8],
    readable: u64,
    header: &Header,
    channel: Kind<'_>,
    markers: &Markers,
    evidence: &Evidence,
) -> (Prefix, bool) {
    let evidence = Evidence { committed: evidence.committed.min(readable), ..*evidence };
    let prefix = prefix::valid_prefix(bytes, header, channel, markers, &evidence);
    let valid = prefix.stop.map_or(prefix.valid, |stop| stop.offset as u64);
    // The end of an earlier pass stays until this one ends.
    (Prefix { valid, ..prefix }, header.end == 0)
}

/// What counters and neighbours say about an interrupted sub-buffer, number `at` of its stream.
pub(crate) fn evidence(
    view: &View,
    channel: &Channel,
    stream: &Stream,
    at: usize,
    sub: &SubBuffer,
) -> Evidence {
    let before = at.checked_sub(1).and_then(|before| stream.sub_buffers.get(before));
    let after = stream.sub_buffers.get(at.saturating_add(1));
    let begin = |sub: &SubBuffer| peek(view, sub).map(|header| (header.begin, header.len() as u64));
    // Without positions nobody knows how much of the newest one is reserved.
    let newest = sub.raw.state == State::Open && !sub.raw.by_header;
    Evidence {
        stage: if newest { Stage::Open } else { Stage::Stalled },
        reserved: sub.raw.reserved.min(channel.sub_buffer_size),
        committed: sub.raw.committed,
        commit_seq: sub.raw.commit_seq,
        last_tsc: stream
            .raw
            .last_tsc
            .map(|value| LastTsc { value, truncated: stream.raw.last_tsc_is_truncated }),
        not_before: before.filter(|before| before.raw.state != State::NeverUsed).and_then(begin).map(|b| b.0),
        // A header that was reserved but not committed is that of an earlier pass.
        not_after: after
            .and_then(|after| begin(after).filter(|(_, header)| after.raw.committed >= *header))
            .map(|(begin, _)| begin),
    }
}
