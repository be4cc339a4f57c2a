//! The ways that lead to traces and buffers.

use std::collections::HashSet;

use super::Kernel;
use super::channel::{BufferRef, ChannelInfo, RELAY_VERSION};
use super::types::{Era, Position, Traces};
use crate::debugfs::{FileKinds, Tree, What};
use crate::files::Files;
use crate::list;
use crate::memory;
use crate::mirror::{self, Mirror};
use crate::{Cause, Damage, Routes, Target, VirtAddr};

/// Traces that a list may hold.
const MAX_TRACES: usize = 1000;
/// Relay channels that a list may hold.
const MAX_CHANNELS: usize = 65536;

/// A buffer found on its own, with the channel that it says it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Find {
    pub(crate) channel: VirtAddr,
    pub(crate) buffer: BufferRef,
}

/// A way to find buffers without the trace list.
type Finder = fn(&Kernel<'_>, &mut Vec<Damage>) -> Vec<Find>;

/// Ways other than the trace list, in order of use.
pub(crate) const FINDERS: [(Routes, Finder); 3] =
    [(Routes::DEBUGFS, debugfs), (Routes::CHANNELS, relay_channels), (Routes::OPEN_FILES, open_files)];

/// Traces of the tracer's own list: those that have buffers, not those that are merely configured.
pub(crate) fn traces(kernel: &Kernel<'_>, damage: &mut Vec<Damage>) -> Vec<VirtAddr> {
    let place = "trace list";
    let shape = match mirror::find::<Traces>(kernel.target, &[]) {
        Ok(shape) => shape,
        Err(cause) => {
            damage.push(Damage::general(place, cause));
            return Vec::new();
        }
    };
    let symbols = kernel.target.symbols("ltt_traces");
    if symbols.is_empty() {
        damage.push(Damage::general(place, Cause::MissingType { name: "symbol ltt_traces".into() }));
    }
    let mut found = Vec::new();
    for symbol in symbols {
        let nodes = list::walk(kernel.target, VirtAddr(symbol.addr).offset(shape.head.offset), MAX_TRACES);
        damage.extend(nodes.broken.map(|(at, cause)| Damage::new(place, at, cause)));
        found.extend(nodes.addrs.into_iter().map(|node| node.back(kernel.types.trace.list.offset)));
    }
    found
}

/// Buffers that are files in debugfs.
fn debugfs(kernel: &Kernel<'_>, damage: &mut Vec<Damage>) -> Vec<Find> {
    let tree = match Tree::open(kernel.target) {
        Ok(tree) => tree,
        Err(loss) => {
            damage.push(loss);
            return Vec::new();
        }
    };
    let mut finds = Vec::new();
    let mut losses = Vec::new();
    let mut entries = tree.entries();
    for entry in entries.by_ref() {
        if let What::LttBuffer { buffer } = entry.what {
            match locate(kernel, buffer) {
                Ok(find) => finds.push(find),
                Err(cause) => {
                    let names: Vec<String> =
                        entry.path.iter().map(|name| name.escape_ascii().to_string()).collect();
                    losses.push(Damage::new(format!("debugfs /{}, buffer", names.join("/")), buffer, cause));
                }
            }
        }
    }
    damage.extend_from_slice(entries.damage());
    damage.extend(losses);
    finds
}

/// Buffers of the list of relay channels, which a destroyed trace may still be on. The kernel's own relay has a list of the same
/// name; what tells channels apart is their version and the pointer back from the tracer's channel.
fn relay_channels(kernel: &Kernel<'_>, damage: &mut Vec<Damage>) -> Vec<Find> {
    let Some(rchan) = &kernel.types.rchan else { return Vec::new() };
    let mut finds = Vec::new();
    for symbol in kernel.target.symbols("relay_channels") {
        let nodes = list::walk(kernel.target, VirtAddr(symbol.addr), MAX_CHANNELS);
        damage.extend(nodes.broken.map(|(at, cause)| Damage::new("list of relay channels", at, cause)));
        for node in nodes.addrs {
            let addr = node.back(rchan.list.offset);
            let Ok(image) = rchan.read(kernel.target, addr) else { continue };
            let ours = image.uint(&rchan.version) == Ok(RELAY_VERSION) || kernel.types.era == Era::Z;
            let Some(channel) = image.maybe_pointer(Some(&rchan.private)).filter(|_| ours) else { continue };
            let Ok(info) = ChannelInfo::read(kernel, channel) else { continue };
            if info.relay.as_ref().is_some_and(|(relay, _)| *relay == addr) {
                let buffers = info.buffers(kernel, &[], damage);
                finds.extend(buffers.into_iter().map(|buffer| Find { channel, buffer }));
            }
        }
    }
    finds
}

/// Buffers that processes have open: in the last stage of a trace's destruction its files are gone from debugfs while the daemon
/// still drains them. Only where debug information knows processes.
fn open_files(kernel: &Kernel<'_>, damage: &mut Vec<Damage>) -> Vec<Find> {
    let target = kernel.target;
    let kinds = FileKinds::new(target);
    let (Some(files), Some(vfs)) = (Files::new(target), &kernel.types.vfs) else { return Vec::new() };
    if !kinds.knows_ltt() {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let mut buffers = Vec::new();
    files.visit(damage, &mut |open| {
        let buffer = || {
            let image = &open.image;
            let fops = image.pointer(&files.file.fops).ok().filter(|fops| kinds.is_ltt(*fops));
            let dentry =
                vfs.dentry.read(target, fops.and(image.maybe_pointer(Some(&files.file.dentry)))?).ok()?;
            let inode = vfs.inode.read(target, dentry.maybe_pointer(Some(&vfs.dentry.inode))?).ok()?;
            inode.maybe_pointer(Some(&vfs.inode.private))
        };
        buffers.extend(buffer().filter(|buffer| seen.insert(*buffer)));
    });
    let mut finds = Vec::new();
    for buffer in buffers {
        match locate(kernel, buffer) {
            Ok(find) => finds.push(find),
            Err(cause) => damage.push(Damage::new("buffer of an open file", buffer, cause)),
        }
    }
    finds
}

/// From a page container back to its channel, with every pointer checked both ways.
pub(crate) fn locate(kernel: &Kernel<'_>, buffer: VirtAddr) -> Result<Find, Cause> {
    let odd = |text: String| Cause::Implausible(text);
    if !memory::is_kernel(kernel.target.abi(), buffer) {
        return Err(odd("address is not a kernel's".into()));
    }
    let (Some(rchan), Some(rchan_buf)) = (&kernel.types.rchan, &kernel.types.rchan_buf) else {
        return locate_embedded(kernel, buffer);
    };
    let container = rchan_buf.read(kernel.target, buffer)?;
    let relay = container.pointer(&rchan_buf.chan)?;
    let cpu = container.uint(&rchan_buf.cpu)?;
    let image = rchan.read(kernel.target, relay)?;
    let listed = image.element(&rchan.buf, cpu.min(8191))?;
    if listed != buffer {
        return Err(odd(format!("relay channel {relay:#x} has buffer {listed:#x} for cpu {cpu}")));
    }
    let channel = image.pointer(&rchan.private)?;
    let info = ChannelInfo::read(kernel, channel).map_err(|loss| odd(loss.to_string()))?;
    if info.relay.map(|(addr, _)| addr) != Some(relay) {
        return Err(odd(format!("channel {channel:#x} does not point back to relay channel {relay:#x}")));
    }
    let cpu = u32::try_from(cpu).map_err(|_| odd(format!("cpu number {cpu:#x}")))?;
    Ok(Find { channel, buffer: BufferRef { cpu, addr: buffer } })
}

fn locate_embedded(kernel: &Kernel<'_>, buffer: VirtAddr) -> Result<Find, Cause> {
    let alloc = kernel.types.channel.alloc.as_ref().map_or(0, |alloc| alloc.offset);
    let attempt = |position: &Position| {
        let image = position.read(kernel.target, buffer)?;
        let lacking = || Cause::MissingType { name: "ltt_chanbuf.a".into() };
        let channel = image.pointer(position.chan.as_ref().ok_or_else(lacking)?)?.back(alloc);
        let cpu = image.uint(position.cpu.as_ref().ok_or_else(lacking)?)?;
        let info = ChannelInfo::read(kernel, channel).map_err(|loss| Cause::Implausible(loss.to_string()))?;
        let cpu = u32::try_from(cpu).unwrap_or(u32::MAX);
        let allocated = info.check_embedded(kernel, position, buffer, cpu)?;
        let never = || Cause::Implausible("buffer was never allocated".into());
        allocated.then_some(Find { channel, buffer: BufferRef { cpu, addr: buffer } }).ok_or_else(never)
    };
    let mut reason = None;
    for position in kernel.types.positions(kernel.target, b"") {
        match attempt(&position) {
            Ok(find) => return Ok(find),
            Err(cause) => reason = reason.or(Some(cause)),
        }
    }
    Err(reason.unwrap_or_else(|| Cause::MissingType { name: "struct ltt_chanbuf".into() }))
}

/// Tells the tracer's buffers from other objects by their pointers alone.
#[derive(Debug)]
pub(crate) struct Recogniser<'t>(Kernel<'t>);

impl<'t> Recogniser<'t> {
    /// `None` when the kernel has no such tracer.
    pub(crate) fn new(target: &'t dyn Target) -> Option<Recogniser<'t>> {
        Kernel::new(target).ok().map(Recogniser)
    }

    /// Whether a page container lies at `addr`.
    pub(crate) fn is_buffer(&self, addr: VirtAddr) -> bool {
        locate(&self.0, addr).is_ok()
    }
}
