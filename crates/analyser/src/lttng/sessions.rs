//! From what the walk finds to the typed model, with what the metadata say of each channel's packets.

use std::collections::HashSet;

use lttformat::ctf::{Generation, PacketHeader, PacketLayout, TraceClass};
use lttformat::ltt::Endian;
use relaywalk::lttng::{ChannelKind, Header, HeaderType};
use relaywalk::{Cause, Damage, Routes, Target as _};

use super::metadata::SessionMetadata;
use super::model::{Channel, Packet, Session, Sessions, Stream, is_missing_type};
use super::naming::Naming;
use crate::kernel::Kernel;
use crate::target::View;

impl Kernel {
    /// Finds every LTTng 2.x session by the ways given, each buffer once.
    ///
    /// Cost: follows pointers to the buffers, reads the header of each sub-buffer, and the metadata of each session, which are
    /// parsed. Damage is in the result, with its place; a kernel without the tracer has none.
    #[must_use]
    pub fn sessions(&self, routes: Routes) -> Sessions {
        let view = self.view();
        let walk = relaywalk::lttng::walk(view, &relaywalk::Options { routes });
        let mut damage = walk.damage;
        // That its types are missing is no news where the tracer is not.
        if walk.sessions.is_empty() && is_missing_type(&damage) && !self.has_tracer() {
            damage.clear();
        }
        let numbered = walk.sessions.into_iter().zip(1..);
        let sessions = numbered.map(|(raw, number)| session(view, raw, number, &mut damage)).collect();
        Sessions { sessions, damage, layouts: walk.layouts }
    }

    /// Whether the tracer's modules are loaded, or built into the kernel, as far as can be told.
    fn has_tracer(&self) -> bool {
        const MODULE: &str = "lttng_tracer";
        let is_tracer = |symbol: &relaywalk::Symbol| {
            symbol.unit.as_deref().is_some_and(|unit| relaywalk::same_unit(unit, "lttng-events"))
        };
        self.modules().iter().any(|module| relaywalk::same_unit(&module.name, MODULE))
            || self.view().symbols("sessions").iter().any(is_tracer)
    }
}

fn session(
    view: &View,
    mut raw: relaywalk::lttng::Session,
    number: usize,
    damage: &mut Vec<Damage>,
) -> Session {
    let place = match raw.name.as_slice() {
        b"" => format!("session {number}"),
        name => format!("session \"{}\"", name.escape_ascii()),
    };
    let metadata = SessionMetadata::of(view, &raw, &place);
    damage.extend(metadata.iter().flat_map(|metadata| metadata.damage().iter().cloned()));
    let class = metadata.as_ref().and_then(|metadata| class(metadata, &place, damage));
    let Naming { name, folder } = Naming::new(&raw, class.as_ref(), number);
    let channels: Vec<_> = std::mem::take(&mut raw.channels);
    let channels = channels.into_iter().filter(|channel| channel.kind == ChannelKind::Data);
    let mut channels: Vec<Channel> = channels.map(|raw| channel(view, raw, class.as_ref())).collect();
    distinguish(&mut channels);
    Session { raw, name, folder, channels, metadata, class }
}

/// What a text declares; what is wrong with it goes to `damage`.
fn class(metadata: &SessionMetadata, place: &str, damage: &mut Vec<Damage>) -> Option<TraceClass> {
    // Before the first start there is no text. The end of one that begins on disk only means nothing by itself.
    if metadata.text().is_empty()
        || metadata.first_packet() != 0
        || metadata.language() != lttformat::ctf::Language::Tsdl
    {
        return None;
    }
    TraceClass::parse(metadata.text())
        .map_err(|error| {
            let cause = Cause::Implausible(error.to_string());
            damage.push(Damage::general(format!("{place}, metadata"), cause));
        })
        .ok()
}

fn channel(view: &View, mut raw: relaywalk::lttng::Channel, class: Option<&TraceClass>) -> Channel {
    let declared = match (class, raw.id) {
        (Some(class), Some(id)) => class.stream(u64::from(id)).is_some(),
        (Some(_), None) => false,
        (None, _) => raw.header_type != Some(HeaderType::Undecided),
    };
    let name = raw.name.clone().unwrap_or_else(|| match raw.id {
        Some(id) => format!("chan{id}").into_bytes(),
        None => b"chan".to_vec(),
    });
    let layout = layout(view, &raw, class);
    let streams = std::mem::take(&mut raw.streams).into_iter().map(|raw| stream(raw, &name)).collect();
    Channel { raw, name, layout, declared, streams }
}

fn stream(mut raw: relaywalk::lttng::Stream, channel: &[u8]) -> Stream {
    let packets = std::mem::take(&mut raw.packets).into_iter().map(|raw| Packet { raw }).collect();
    Stream { file_name: file_name(channel, raw.cpu), raw, packets }
}

/// The daemon numbers the streams of a channel; those of a buffer for each CPU are as many as there are CPUs.
fn file_name(channel: &[u8], cpu: Option<u32>) -> Vec<u8> {
    [channel, format!("_{}", cpu.unwrap_or(0)).as_bytes()].concat()
}

/// A user may call a channel `chan1` and leave number 1 without a name that the core tells.
fn distinguish(channels: &mut [Channel]) {
    let mut taken: HashSet<Vec<u8>> =
        channels.iter().filter_map(|channel| channel.raw.name.clone()).collect();
    for channel in channels.iter_mut().filter(|channel| channel.raw.name.is_none()) {
        while !taken.insert(channel.name.clone()) {
            channel.name.push(b'\'');
        }
        for stream in &mut channel.streams {
            stream.file_name = file_name(&channel.name, stream.raw.cpu);
        }
    }
}

/// Where the packets of a channel have their fields. Metadata are believed if the debug information does not contradict them.
fn layout(view: &View, raw: &relaywalk::lttng::Channel, class: Option<&TraceClass>) -> Option<PacketLayout> {
    let declared = raw.id.and_then(|id| class?.stream(u64::from(id))).map(|stream| stream.layout());
    let fits = |layout: &&PacketLayout| raw.packet_header_size.is_none_or(|size| size == layout.len() as u64);
    if let Some(layout) = declared.filter(fits) {
        return Some(layout.clone());
    }
    let abi = view.abi();
    let endian = match abi.endian {
        relaywalk::Endian::Little => Endian::Little,
        relaywalk::Endian::Big => Endian::Big,
    };
    let word = u8::try_from(abi.word_bytes()).ok()?;
    let packets = || raw.streams.iter().flat_map(|stream| &stream.packets);
    let mut generations = vec![Generation::V2_1, Generation::V2_0];
    if packets().any(|packet| packet.sequence.is_some()) {
        generations = vec![Generation::V2_8];
    }
    let layouts =
        generations.into_iter().map(|generation| PacketLayout::of_generation(generation, word, endian));
    let layouts: Vec<PacketLayout> = layouts.filter(|layout| fits(&layout)).collect();
    // A closed packet says how long it is, which only its own layout finds.
    let proven = |layout: &&PacketLayout| {
        let closed = packets().filter(|packet| packet.closed && packet.header == Header::Intact);
        closed.take(4).any(|packet| {
            peek(view, packet, layout)
                .is_some_and(|header| Some(header.content_size) == packet.used.checked_mul(8))
        })
    };
    layouts.iter().find(proven).or(layouts.first()).cloned()
}

/// The header that memory shows at the start of a packet; `None` if it cannot be read, or is none of this layout.
pub(super) fn peek(
    view: &View,
    packet: &relaywalk::lttng::Packet,
    layout: &PacketLayout,
) -> Option<PacketHeader> {
    let mut bytes = vec![0; layout.len()];
    if packet.header != Header::Intact
        || packet.pages.read(view, 0, &mut bytes).iter().any(|hole| !hole.zero_filled)
    {
        return None;
    }
    PacketHeader::parse(&bytes, layout).ok()
}
