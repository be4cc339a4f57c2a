//! The walk: by the list of channels and by debugfs.

use std::collections::{HashMap, HashSet};

use super::buffer::Context;
use super::model::{Channel, Walk};
use super::types::Types;
use crate::cpu;
use crate::debugfs::{Tree, What};
use crate::list;
use crate::ltt;
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::pages::PageMap;
use crate::percpu::PerCpu;
use crate::vfs::Vfs;
use crate::{Damage, Kind, Options, Routes, Target, VirtAddr};

/// Channels that a list may hold.
const MAX_CHANNELS: usize = 65536;

/// Finds all classic relay buffers of a crashed kernel. Buffers of LTTng's oldest tracers, which used classic relay, are left to
/// [`crate::ltt`].
///
/// A kernel without relay types gives an empty walk with one piece of damage that says what is missing.
#[must_use]
pub fn walk(target: &dyn Target, options: &Options) -> Walk {
    let types = match Types::new(target) {
        Ok(types) => types,
        Err(cause) => {
            let damage = vec![Damage::general("types of relay channels", cause)];
            return Walk { channels: Vec::new(), damage };
        }
    };
    let mut walker = Walker {
        context: Context { target, types, pages: PageMap::new(target) },
        percpu: PerCpu::new(target),
        vfs: Vfs::new(target).ok(),
        ltt: ltt::Recogniser::new(target),
        found: HashMap::new(),
        walk: Walk::default(),
    };
    if options.routes.contains(Routes::CHANNELS) {
        walker.by_list();
    }
    if options.routes.contains(Routes::DEBUGFS) {
        walker.by_debugfs();
    }
    walker.walk
}

struct Walker<'t> {
    context: Context<'t>,
    percpu: PerCpu<'t>,
    vfs: Option<Vfs>,
    ltt: Option<ltt::Recogniser<'t>>,
    /// Channels seen, and where they are in the result; `None` for those left out.
    found: HashMap<VirtAddr, Option<usize>>,
    walk: Walk,
}

impl Walker<'_> {
    fn by_list(&mut self) {
        let target = self.context.target;
        for symbol in target.symbols("relay_channels") {
            let nodes = list::walk(target, VirtAddr(symbol.addr), MAX_CHANNELS);
            self.walk
                .damage
                .extend(nodes.broken.map(|(at, cause)| Damage::new("list of relay channels", at, cause)));
            for node in nodes.addrs {
                self.channel(node.back(self.context.types.rchan.list.offset), Routes::CHANNELS);
            }
        }
    }

    fn by_debugfs(&mut self) {
        let target = self.context.target;
        let tree = match Tree::open(target) {
            Ok(tree) => tree,
            Err(loss) => {
                self.walk.damage.push(loss);
                return;
            }
        };
        let mut entries = tree.entries();
        let mut buffers = Vec::new();
        for entry in entries.by_ref() {
            if let What::RelayBuffer { buffer } = entry.what {
                buffers.push(buffer);
            }
        }
        self.walk.damage.extend_from_slice(entries.damage());
        for buffer in buffers {
            let chan = self.context.types.buf.read(target, buffer).ok();
            match chan.and_then(|image| image.maybe_pointer(Some(&self.context.types.buf.chan))) {
                Some(channel) => self.channel(channel, Routes::DEBUGFS),
                None => self.walk.damage.push(Damage::new(
                    "relay buffer in debugfs",
                    buffer,
                    crate::Cause::Implausible("its channel cannot be read".into()),
                )),
            }
        }
    }

    /// Takes in the channel at `addr`, once.
    fn channel(&mut self, addr: VirtAddr, route: Routes) {
        if let Some(seen) = self.found.get(&addr) {
            if let Some(channel) = seen.and_then(|i| self.walk.channels.get_mut(i)) {
                channel.found_by |= route;
            }
            return;
        }
        let next = self.walk.channels.len();
        let read = self.read(addr, route);
        self.found.insert(addr, matches!(read, Ok(Some(_))).then_some(next));
        match read {
            Ok(channel) => self.walk.channels.extend(channel),
            Err(loss) => self.walk.damage.push(loss),
        }
    }

    /// `Ok(None)` for a channel of LTTng.
    fn read(&mut self, addr: VirtAddr, route: Routes) -> Result<Option<Channel>, Damage> {
        let target = self.context.target;
        let types = self.context.types.rchan.clone();
        let fail = |cause| Damage::new("relay channel", addr, cause);
        let image = types.read(target, addr).map_err(|error| fail(error.into()))?;
        if image.uint(&types.version) == Ok(ltt::RELAY_VERSION) {
            return Ok(None);
        }
        let shape = self.context.types.shape(target, &image).map_err(fail)?;
        let named = image.maybe(types.has_name.as_ref()) != Some(0);
        let name = types.name.as_ref().filter(|_| named).map(|name| image.text(name)).unwrap_or_default();
        let mut streams = Vec::new();
        for (cpu, buffer) in self.buffers(&image) {
            if self.ltt.as_ref().is_some_and(|ltt| ltt.is_buffer(buffer)) {
                return Ok(None);
            }
            match self.context.stream(buffer, addr, shape) {
                Ok((mut stream, buf)) => {
                    let dentry = buf.maybe_pointer(self.context.types.buf.dentry.as_ref());
                    let parent = image.maybe_pointer(types.parent.as_ref());
                    stream.path = self.path(dentry, parent, &name, addr, cpu);
                    if let Some(size) = dentry.and_then(|dentry| self.file_size(dentry)) {
                        let open = stream.subbuffers.last().filter(|sub| sub.state == crate::State::Open);
                        stream.end_position = Some(size.wrapping_add(open.map_or(0, |open| open.reserved)));
                    }
                    streams.push(stream);
                }
                Err(loss) => {
                    let place =
                        format!("relay channel \"{}\", cpu {cpu}, {}", name.escape_ascii(), loss.place);
                    self.walk.damage.push(Damage { place, ..loss });
                }
            }
        }
        Ok(Some(Channel {
            address: addr,
            name,
            callbacks: image.maybe_pointer(types.callbacks.as_ref()).unwrap_or_default(),
            private: image.maybe_pointer(types.private.as_ref()).unwrap_or_default(),
            is_global: image.maybe(types.is_global.as_ref()).unwrap_or(0) != 0,
            subbuffer_size: shape.size,
            n_subbuffers: shape.count,
            found_by: route,
            streams,
        }))
    }

    /// Buffers of a channel by CPU, each once: a channel for all CPUs may repeat its only one.
    fn buffers(&self, image: &Image) -> Vec<(u32, VirtAddr)> {
        let target = self.context.target;
        let buf = &self.context.types.rchan.buf;
        let mut seen = HashSet::new();
        let slot = |cpu: u32| match buf.kind {
            Kind::Array { .. } => image.element(buf, u64::from(cpu)).ok(),
            _ => {
                let pointer = image.pointer(buf).ok()?;
                memory::word(target, self.percpu.variable(pointer, cpu)).ok().map(VirtAddr)
            }
        };
        let cpus = match buf.count().filter(|&count| count != 0) {
            Some(count) => (0..u32::try_from(count.min(8192)).unwrap_or(0)).collect(),
            None => cpu::possible(target, None),
        };
        let found = cpus.into_iter().filter_map(|cpu| Some((cpu, slot(cpu).filter(|addr| !addr.is_null())?)));
        found.filter(|(_, addr)| seen.insert(*addr)).collect()
    }

    fn path(
        &self,
        dentry: Option<VirtAddr>,
        parent: Option<VirtAddr>,
        name: &[u8],
        channel: VirtAddr,
        cpu: u32,
    ) -> Vec<Vec<u8>> {
        let target = self.context.target;
        let vfs = self.vfs.as_ref();
        let full = dentry.and_then(|dentry| vfs?.path(target, dentry, None).ok());
        if let Some((names, _)) = full.filter(|(names, _)| !names.is_empty()) {
            return names;
        }
        let directory = parent.and_then(|parent| vfs?.path(target, parent, None).ok());
        let mut path = directory.map(|(names, _)| names).unwrap_or_default();
        let mut file =
            if name.is_empty() { format!("relay_{:x}_", channel.0).into_bytes() } else { name.to_vec() };
        file.extend_from_slice(cpu.to_string().as_bytes());
        path.push(file);
        path
    }

    /// Bytes of all closed sub-buffers so far: the kernel keeps them as the file's size.
    fn file_size(&self, dentry: VirtAddr) -> Option<u64> {
        let vfs = self.vfs.as_ref()?;
        let target = self.context.target;
        let inode = vfs.dentry.read(target, dentry).ok()?.maybe_pointer(Some(&vfs.dentry.inode))?;
        vfs.inode.read(target, inode).ok()?.maybe(vfs.inode.size.as_ref())
    }
}
