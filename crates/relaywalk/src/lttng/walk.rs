//! The walk: by every route to sessions, channels and buffers.

use std::collections::HashMap;

use super::channel::ChannelInfo;
use super::fixed::Fixed;
use super::header::Identity;
use super::identity::SessionInfo;
use super::metadata;
use super::model::{ChannelKind, Header, Layouts, Metadata, Session, Walk};
use super::names;
use super::roots::{self, TracerFile, What};
use super::types::Types;
use crate::memory;
use crate::mirror::Mirror;
use crate::percpu::PerCpu;
use crate::{Cause, Damage, Options, Routes, Target, VirtAddr};

/// Target, resolved types and per-CPU addressing of one kernel.
#[derive(Debug)]
pub(crate) struct Kernel<'t> {
    pub(crate) target: &'t dyn Target,
    pub(crate) types: Types,
    pub(crate) percpu: PerCpu<'t>,
    /// Per-CPU variable with the time of the last reading of the trace clock.
    clock: Option<VirtAddr>,
}

impl<'t> Kernel<'t> {
    fn new(target: &'t dyn Target, needs_channel: bool) -> Result<Kernel<'t>, Cause> {
        let types = Types::new(target, needs_channel)?;
        let mut clocks =
            ["lttng_last_timestamp", "lttng_last_tsc"].into_iter().flat_map(|name| target.symbols(name));
        let clock = clocks.next().map(|symbol| VirtAddr(symbol.addr));
        Ok(Kernel { target, types, percpu: PerCpu::new(target), clock })
    }

    /// Time of the last reading of the trace clock on a CPU, by any session.
    pub(crate) fn cpu_timestamp(&self, cpu: u32) -> Option<u64> {
        let mut bytes = [0; 8];
        self.target.read_virt(self.percpu.variable(self.clock?, cpu), &mut bytes).ok()?;
        self.target.abi().uint(&bytes, 0, 8).filter(|&time| time != 0)
    }
}

/// Finds all LTTng 2.x buffers of a crashed kernel.
///
/// A kernel without the tracer gives an empty walk with one piece of damage that says what is missing. Where the debug information
/// does not know the tracer's structures, those of each release are tried; see [`Layouts`].
/// Cost: follows the sessions, not the machine: a few reads for each buffer and two for each sub-buffer, one of them of its header;
/// the metadata text is read whole.
#[must_use]
pub fn walk(target: &dyn Target, options: &Options) -> Walk {
    let missing = match Kernel::new(target, true) {
        Ok(kernel) => return Assembly::run(&kernel, options),
        Err(cause) => cause,
    };
    let mut best: Option<(usize, Walk)> = None;
    for fixed in Fixed::all(target) {
        let Ok(kernel) = Kernel::new(&fixed, false) else { continue };
        let walk = Assembly::run(&kernel, options);
        let proof = proof(&walk);
        if proof > best.as_ref().map_or(0, |(proof, _)| *proof) {
            best = Some((proof, Walk { layouts: Layouts::Fixed(fixed.releases()), ..walk }));
        }
    }
    match best {
        Some((_, walk)) => walk,
        None => Walk { damage: vec![Damage::general("types of the tracer", missing)], ..Walk::default() },
    }
}

/// What speaks for the layouts that gave this walk: buffers that point back to their channels, packets that are where they should
/// be, metadata that agree; less what contradicts itself.
fn proof(walk: &Walk) -> usize {
    let sessions = walk.sessions.iter();
    let metadata = sessions.clone().filter(|session| session.metadata.is_some()).count();
    let streams = sessions.flat_map(|session| &session.channels).flat_map(|channel| &channel.streams);
    let packets = streams.clone().flat_map(|stream| &stream.packets);
    let intact = packets.filter(|packet| packet.header == Header::Intact).count();
    let damage = walk.damage.iter().chain(streams.clone().flat_map(|stream| &stream.damage));
    let odd = damage.filter(|damage| matches!(damage.cause, Cause::Implausible(_))).count();
    (metadata + streams.count() + intact).saturating_sub(odd)
}

/// A session being put together.
struct Gathered {
    info: Option<SessionInfo>,
    uuid: Option<[u8; 16]>,
    channels: Vec<(ChannelInfo, Routes)>,
    metadata: Option<Metadata>,
    found_by: Routes,
}

struct Assembly<'k> {
    kernel: &'k Kernel<'k>,
    sessions: Vec<Gathered>,
    /// Sessions seen, by address; `None` for those that cannot be read.
    by_addr: HashMap<VirtAddr, Option<usize>>,
    /// Ring channels seen: session and channel. `None` for those that cannot be read.
    rings: HashMap<VirtAddr, Option<(usize, usize)>>,
    /// Buffers that are open files.
    open: Vec<VirtAddr>,
    damage: Vec<Damage>,
}

impl Assembly<'_> {
    fn run(kernel: &Kernel<'_>, options: &Options) -> Walk {
        let mut assembly = Assembly {
            kernel,
            sessions: Vec::new(),
            by_addr: HashMap::new(),
            rings: HashMap::new(),
            open: Vec::new(),
            damage: Vec::new(),
        };
        if options.routes.contains(Routes::LIST) {
            for addr in roots::sessions(kernel, &mut assembly.damage) {
                match SessionInfo::read(kernel, addr) {
                    Ok(info) => {
                        assembly.session(info, Routes::LIST);
                    }
                    Err(cause) => assembly.damage.push(Damage::new("session", addr, cause)),
                }
            }
        }
        let mut files = Vec::new();
        if options.routes.contains(Routes::OPEN_FILES) {
            files = roots::open_files(kernel, &mut assembly.damage);
            for file in &files {
                assembly.file(file);
            }
        }
        assembly.finish(&files)
    }

    /// Takes in a session with its channels, once; gives its number.
    fn session(&mut self, info: SessionInfo, route: Routes) -> usize {
        if let Some(Some(number)) = self.by_addr.get(&info.addr).copied() {
            if let Some(known) = self.sessions.get_mut(number) {
                known.found_by |= route;
            }
            return number;
        }
        // Its buffers may have been found before it.
        let remains =
            |known: &Gathered| known.info.is_none() && known.uuid.is_some() && known.uuid == info.uuid;
        let number = self.sessions.iter().position(remains).unwrap_or(self.sessions.len());
        self.by_addr.insert(info.addr, Some(number));
        let place = format!("session {}", printable(&info));
        let metadata = info.metadata(self.kernel).unwrap_or_else(|loss| {
            self.damage.push(Damage { place: format!("{place}, {}", loss.place), ..loss });
            None
        });
        let broken = info.broken.clone();
        self.damage
            .extend(broken.map(|(at, cause)| Damage::new(format!("{place}, list of channels"), at, cause)));
        let links = info.channels.clone();
        let metadata_channel = info.metadata_channel(self.kernel);
        let halves = [Some(info.addr), info.public];
        if let Some(remains) = self.sessions.get_mut(number) {
            remains.info = Some(info);
            remains.metadata = metadata.or(remains.metadata.take());
            remains.found_by |= route;
        } else {
            self.sessions.push(Gathered {
                uuid: info.uuid,
                info: Some(info),
                channels: Vec::new(),
                metadata,
                found_by: route,
            });
        }
        for link in links {
            match ChannelInfo::of_link(self.kernel, link) {
                Ok(Some(mut channel)) => {
                    if metadata_channel == Some(channel.addr) {
                        channel.kind = ChannelKind::Metadata;
                    }
                    if let Some(other) = channel.session.filter(|_| !halves.contains(&channel.session)) {
                        let text = format!("channel says that it belongs to session {other:#x}");
                        let cause = Cause::Implausible(text);
                        self.damage.push(Damage::new(format!("{place}, channel"), channel.addr, cause));
                    }
                    self.channel(number, channel, route);
                }
                Ok(None) => {}
                Err(loss) => {
                    self.damage.push(Damage { place: format!("{place}, {}", loss.place), ..loss });
                }
            }
        }
        number
    }

    /// Adds a channel to a session, once.
    fn channel(&mut self, session: usize, channel: ChannelInfo, route: Routes) {
        let Some(gathered) = self.sessions.get_mut(session) else { return };
        if let Some(Some((session, number))) = self.rings.get(&channel.ring.addr).copied() {
            let known = self.sessions.get_mut(session).and_then(|session| session.channels.get_mut(number));
            if let Some((known, found_by)) = known {
                *found_by |= route;
                // So far there may have been no more than its ring.
                if known.addr.is_null() && !channel.addr.is_null() {
                    *known = channel;
                }
            }
            return;
        }
        self.rings.insert(channel.ring.addr, Some((session, gathered.channels.len())));
        gathered.found_by |= route;
        gathered.channels.push((channel, route));
    }

    fn file(&mut self, file: &TracerFile) {
        let route = Routes::OPEN_FILES;
        match file.what {
            What::Session(addr) => {
                self.session_at(addr, route);
            }
            What::Channel(addr) => {
                let types = &self.kernel.types;
                let half = types.channel_public.as_ref().and_then(|shape| {
                    shape.read(self.kernel.target, addr).ok()?.maybe_pointer(Some(&shape.private))
                });
                let found = half.into_iter().chain([addr]);
                let mut found = found.filter_map(|addr| ChannelInfo::read(self.kernel, addr).ok());
                if let Some(channel) = found.next() {
                    self.stray(channel, route);
                }
            }
            What::Stream(buffer) => {
                let member = &self.kernel.types.buffer.channel;
                let ring = memory::word(self.kernel.target, buffer.offset(member.offset));
                let Ok(ring) = ring.map(VirtAddr) else { return };
                self.open.push(buffer);
                self.ring(ring, buffer, route);
            }
            What::MetadataStream(addr) => self.metadata_stream(addr),
            What::Numbered(_) => {}
        }
    }

    /// The session that a pointer means, if it is one.
    fn session_at(&mut self, addr: VirtAddr, route: Routes) -> Option<usize> {
        let info = SessionInfo::of_pointer(self.kernel, addr).ok()?;
        if self.by_addr.contains_key(&info.addr) || info.is_plausible(self.kernel) {
            return Some(self.session(info, route));
        }
        None
    }

    /// A ring channel found by one of its buffers.
    fn ring(&mut self, ring: VirtAddr, buffer: VirtAddr, route: Routes) {
        match self.rings.get(&ring).copied() {
            Some(Some((session, number))) => {
                let known = self.sessions.get_mut(session);
                if let Some((_, found_by)) = known.and_then(|session| session.channels.get_mut(number)) {
                    *found_by |= route;
                }
            }
            Some(None) => {}
            None => match ChannelInfo::of_ring(self.kernel, ring) {
                Ok(channel) => self.stray(channel, route),
                Err(cause) => {
                    self.rings.insert(ring, None);
                    self.damage.push(Damage::new("ring buffer of an open file", buffer, cause));
                }
            },
        }
    }

    /// A channel found without its session: the session that it names, or that its packets name, or one of its own.
    fn stray(&mut self, mut channel: ChannelInfo, route: Routes) {
        if self.rings.contains_key(&channel.ring.addr) {
            return self.ring(channel.ring.addr, VirtAddr::NULL, route);
        }
        if let Some(number) = channel.session.and_then(|session| self.session_at(session, route)) {
            return self.channel(number, channel, route);
        }
        let identity = channel.identity(self.kernel);
        let uuid = identity.map(|identity| identity.uuid);
        if let Some(Identity { kind, id, .. }) = identity {
            channel.kind = kind;
            channel.id = channel.id.or(id);
        }
        let number = self.by_uuid(uuid, route);
        self.channel(number, channel, route);
    }

    /// The session of this identity; a new one if there is none.
    fn by_uuid(&mut self, uuid: Option<[u8; 16]>, route: Routes) -> usize {
        let known = self.sessions.iter().position(|session| uuid.is_some() && session.uuid == uuid);
        known.unwrap_or_else(|| {
            let gathered =
                Gathered { info: None, uuid, channels: Vec::new(), metadata: None, found_by: route };
            self.sessions.push(gathered);
            self.sessions.len() - 1
        })
    }

    /// A reader of metadata keeps the text alive when the session is gone.
    fn metadata_stream(&mut self, addr: VirtAddr) {
        let types = &self.kernel.types;
        let Some(shape) = &types.metadata_stream else { return };
        let Ok(image) = shape.read(self.kernel.target, addr) else { return };
        let Some(cache) = image.maybe_pointer(Some(&shape.cache)) else { return };
        let known = |session: &Gathered| session.metadata.as_ref().is_some_and(|have| have.address == cache);
        if self.sessions.iter().any(known) {
            return;
        }
        let uuid = types.cache.as_ref().and_then(|shape| {
            let image = shape.read(self.kernel.target, cache).ok()?;
            metadata::uuid_of(self.kernel, &image, shape.uuid.as_ref()?)
        });
        let (Some(uuid), Ok(metadata)) = (uuid, metadata::read(self.kernel, cache, uuid)) else { return };
        let number = self.by_uuid(Some(uuid), Routes::OPEN_FILES);
        if let Some(session) = self.sessions.get_mut(number) {
            session.metadata.get_or_insert(metadata);
        }
    }

    fn finish(mut self, files: &[TracerFile]) -> Walk {
        let mut sessions: Vec<Session> = Vec::new();
        for gathered in std::mem::take(&mut self.sessions) {
            let info = gathered.info.as_ref();
            let name = info.map_or_else(|| "without a name".to_string(), printable);
            let mut channels = Vec::new();
            for (channel, found_by) in &gathered.channels {
                let mut damage = Vec::new();
                let mut built = channel.streams(self.kernel, gathered.uuid, *found_by, &mut damage);
                let number = built.id.map_or_else(|| "?".to_string(), |id| id.to_string());
                let place = format!("session {name}, channel {number}");
                self.damage.extend(
                    damage
                        .into_iter()
                        .map(|loss| Damage { place: format!("{place}, {}", loss.place), ..loss }),
                );
                for stream in &mut built.streams {
                    if self.open.contains(&stream.address) {
                        stream.found_by |= Routes::OPEN_FILES;
                    }
                    let cpu = stream.cpu.map_or_else(|| "all cpus".to_string(), |cpu| format!("cpu {cpu}"));
                    for loss in &mut stream.damage {
                        loss.place = format!("{place}, {cpu}, {}", loss.place);
                    }
                }
                channels.push(built);
            }
            // A session that was made and never given a channel holds nothing.
            if channels.is_empty() {
                continue;
            }
            sessions.push(Session {
                address: info.map(|info| info.addr).unwrap_or_default(),
                name: info.map(|info| info.name.clone()).unwrap_or_default(),
                creation_time: info.map(|info| info.creation_time.clone()).unwrap_or_default(),
                uuid: gathered.uuid,
                active: info.is_some_and(|info| info.active),
                been_active: info.and_then(|info| info.been_active),
                output_format: info.map_or(1, |info| info.output_format),
                metadata: gathered.metadata,
                directory: None,
                found_by: gathered.found_by,
                channels,
            });
        }
        names::assign(self.kernel.target, files, &mut sessions);
        Walk { sessions, layouts: Layouts::DebugInformation, damage: self.damage }
    }
}

/// What to call a session in a message.
fn printable(info: &SessionInfo) -> String {
    if info.name.is_empty() {
        return format!("at {:#x}", info.addr);
    }
    format!("\"{}\"", info.name.escape_ascii())
}
