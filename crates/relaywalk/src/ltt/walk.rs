//! The walk: by every route to buffers, and from buffers back to their traces.

use std::collections::{BTreeMap, HashMap};

use super::channel::{BufferRef, ChannelInfo};
use super::model::{Channel, Clock, Stream, Trace, Walk};
use super::roots::{self, Find};
use super::trace::TraceInfo;
use super::types::Position;
use super::{Kernel, path, stream};
use crate::{Cause, Damage, Options, Routes, Target, VirtAddr};

/// Finds all LTTng 0.x buffers of a crashed kernel.
///
/// A kernel without the tracer's types gives an empty walk with one piece of damage that says what is missing.
/// Cost: follows the traces, not the machine: a few reads for each buffer and one or two for each of its pages.
#[must_use]
pub fn walk(target: &dyn Target, options: &Options) -> Walk {
    let kernel = match Kernel::new(target) {
        Ok(kernel) => kernel,
        Err(cause) => {
            let damage = vec![Damage::general("types of the tracer", cause)];
            return Walk { traces: Vec::new(), damage };
        }
    };
    let mut assembly = Assembly {
        kernel: &kernel,
        traces: Vec::new(),
        by_addr: HashMap::new(),
        channels: HashMap::new(),
        damage: Vec::new(),
    };
    if options.routes.contains(Routes::LIST) {
        for addr in roots::traces(&kernel, &mut assembly.damage) {
            assembly.trace_from_list(addr);
        }
    }
    for (route, finder) in roots::FINDERS {
        if options.routes.contains(route) {
            for find in finder(&kernel, &mut assembly.damage) {
                assembly.buffer(find, route);
            }
        }
    }
    assembly.finish()
}

/// Buffers gathered so far, by trace and channel in order of discovery.
struct Assembly<'k> {
    kernel: &'k Kernel<'k>,
    traces: Vec<Gathered>,
    by_addr: HashMap<VirtAddr, usize>,
    channels: HashMap<VirtAddr, Result<ChannelInfo, Damage>>,
    damage: Vec<Damage>,
}

/// One trace on the way.
struct Gathered {
    addr: VirtAddr,
    info: Option<TraceInfo>,
    positions: Vec<Position>,
    found_by: Routes,
    channels: Vec<VirtAddr>,
    /// Buffers by channel, then by address.
    buffers: HashMap<VirtAddr, BTreeMap<(u32, VirtAddr), Routes>>,
}

impl Assembly<'_> {
    /// The gathered trace at `addr`, made on first sight.
    fn trace(&mut self, addr: VirtAddr, route: Routes) -> usize {
        let next = self.traces.len();
        let index = *self.by_addr.entry(addr).or_insert(next);
        if index == next {
            let info = TraceInfo::read(self.kernel, addr).map_err(|loss| self.damage.push(loss)).ok();
            let transport = info.as_ref().map_or(&b""[..], |info| &info.transport);
            let positions = self.kernel.types.positions(self.kernel.target, transport);
            let (channels, buffers) = (Vec::new(), HashMap::new());
            self.traces.push(Gathered { addr, info, positions, found_by: Routes::NONE, channels, buffers });
        }
        if let Some(trace) = self.traces.get_mut(index) {
            trace.found_by |= route;
        }
        index
    }

    fn channel(&mut self, addr: VirtAddr) -> Option<ChannelInfo> {
        let kernel = self.kernel;
        let fresh = !self.channels.contains_key(&addr);
        let read = self.channels.entry(addr).or_insert_with(|| ChannelInfo::read(kernel, addr));
        if let (true, Err(loss)) = (fresh, &read) {
            self.damage.push(loss.clone());
        }
        read.as_ref().ok().cloned()
    }

    /// A trace of the kernel's list, with all its channels and buffers.
    fn trace_from_list(&mut self, addr: VirtAddr) {
        let index = self.trace(addr, Routes::LIST);
        let Some(trace) = self.traces.get(index) else { return };
        let Some(info) = trace.info.clone() else { return };
        let positions = trace.positions.clone();
        let channels = info.channels(self.kernel).unwrap_or_else(|loss| {
            self.damage.push(loss);
            Vec::new()
        });
        for addr in channels {
            let Some(channel) = self.channel(addr) else { continue };
            let buffers = channel.buffers(self.kernel, &positions, &mut self.damage);
            for buffer in buffers {
                self.add(index, addr, buffer, Routes::LIST);
            }
        }
    }

    /// A buffer found on its own: its trace is the one that its channel names.
    fn buffer(&mut self, find: Find, route: Routes) {
        let Some(channel) = self.channel(find.channel) else { return };
        let index = self.trace(channel.trace, route);
        self.add(index, find.channel, find.buffer, route);
    }

    fn add(&mut self, trace: usize, channel: VirtAddr, buffer: BufferRef, route: Routes) {
        let Some(trace) = self.traces.get_mut(trace) else { return };
        if !trace.channels.contains(&channel) {
            trace.channels.push(channel);
        }
        *trace
            .buffers
            .entry(channel)
            .or_default()
            .entry((buffer.cpu, buffer.addr))
            .or_insert(Routes::NONE) |= route;
    }

    fn finish(mut self) -> Walk {
        let mut traces = Vec::new();
        for gathered in std::mem::take(&mut self.traces) {
            let mut channels = Vec::new();
            // Names of the directory of its files, by how many of them lie there.
            let mut directories: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
            let mut lost = Vec::new();
            for addr in &gathered.channels {
                let Some(channel) = self.channel(*addr) else { continue };
                let mut streams = Vec::new();
                for (&(cpu, addr), &found_by) in gathered.buffers.get(addr).into_iter().flatten() {
                    let stream = self.stream(&gathered, &channel, BufferRef { cpu, addr }, found_by);
                    match stream {
                        Ok((stream, directory)) => {
                            if let Some(directory) = directory {
                                *directories.entry(directory).or_default() += 1;
                            }
                            streams.push(stream);
                        }
                        Err(loss) => {
                            let place =
                                format!("channel {}, cpu {cpu}, {}", channel.name.escape_ascii(), loss.place);
                            lost.push(Damage { place, ..loss });
                        }
                    }
                }
                channels.push(Channel {
                    address: channel.addr,
                    name: channel.name.clone(),
                    overwrite: channel.overwrite,
                    subbuffer_size: channel.ring.subbuffer_size(),
                    n_subbuffers: channel.ring.n_subbuffers(),
                    streams,
                });
            }
            // A stray list node, already reported, leaves nothing to name.
            if gathered.info.is_none() && channels.is_empty() {
                continue;
            }
            let info = gathered.info.as_ref();
            let name = self.name(&gathered, &directories);
            let place = format!("trace \"{}\"", name.escape_ascii());
            self.damage.extend(
                lost.into_iter().map(|loss| Damage { place: format!("{place}, {}", loss.place), ..loss }),
            );
            for channel in &mut channels {
                let place = format!("{place}, channel {}", channel.name.escape_ascii());
                for Stream { cpu, damage, .. } in &mut channel.streams {
                    damage
                        .iter_mut()
                        .for_each(|loss| loss.place = format!("{place}, cpu {cpu}, {}", loss.place));
                }
            }
            traces.push(Trace {
                address: gathered.addr,
                name,
                transport: info.map(|info| info.transport.clone()).unwrap_or_default(),
                active: info.is_some_and(|info| info.active),
                mode: info.and_then(|info| info.mode),
                clock: info.map_or_else(Clock::default, |info| info.clock),
                found_by: gathered.found_by,
                channels,
            });
        }
        Walk { traces, damage: self.damage }
    }

    /// The name of a trace, which its structure and the directory of its files both have. Where they differ, one of them was
    /// overwritten: the directory has led to a buffer that is really there, so it is believed unless it is no name at all.
    fn name(&mut self, trace: &Gathered, directories: &BTreeMap<Vec<u8>, usize>) -> Vec<u8> {
        let own = trace.info.as_ref().map_or(&b""[..], |info| &info.name);
        let best = directories.iter().max_by_key(|(name, files)| (is_name(name), **files));
        let Some((directory, _)) = best.filter(|_| !directories.contains_key(own)) else {
            return own.to_vec();
        };
        if trace.info.is_some() {
            let text =
                format!("named \"{}\", but \"{}\" in debugfs", own.escape_ascii(), directory.escape_ascii());
            self.damage.push(Damage::new("trace", trace.addr, Cause::Implausible(text)));
        }
        if is_name(own) && !is_name(directory) { own.to_vec() } else { directory.clone() }
    }

    /// One buffer as a stream, and the name of its trace's directory.
    fn stream(
        &self,
        trace: &Gathered,
        channel: &ChannelInfo,
        buffer: BufferRef,
        found_by: Routes,
    ) -> Result<(Stream, Option<Vec<u8>>), Damage> {
        let (mut stream, dentry) = stream::read(self.kernel, channel, &trace.positions, buffer)?;
        let root = trace.info.as_ref().and_then(|info| info.root);
        let file = (buffer.addr, buffer.cpu);
        let place = path::of_buffer(self.kernel, dentry, root, channel, file, &mut stream.damage);
        stream.path = place.path;
        stream.nesting = self.kernel.nesting(buffer.cpu);
        stream.found_by = found_by;
        Ok((stream, place.trace))
    }
}

/// Whether these bytes are what somebody may have called a trace.
fn is_name(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    !matches!(text, "" | "." | "..") && !text.chars().any(|c| c == '/' || c.is_control())
}
