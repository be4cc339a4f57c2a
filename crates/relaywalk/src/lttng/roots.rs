//! The ways that lead to sessions: the tracer's list of them, and the files that its daemons had open.

use super::identity::SessionInfo;
use super::types::TRACER;
use super::walk::Kernel;
use crate::files::Files;
use crate::list::{self, Nodes};
use crate::memory;
use crate::mirror::Mirror;
use crate::vfs::Vfs;
use crate::{Cause, Damage, Symbol, VirtAddr, same_unit};

/// Sessions that a list may hold.
const MAX_SESSIONS: usize = 1000;
/// Words of module data that are looked at when the list is searched for.
const MAX_SEARCH: u64 = 1 << 18;

/// Sessions of the tracer's list, newest first.
pub(crate) fn sessions(kernel: &Kernel<'_>, damage: &mut Vec<Damage>) -> Vec<VirtAddr> {
    let place = "list of sessions";
    let link = kernel.types.session.link.offset;
    let symbols = kernel.target.symbols("sessions");
    let is_tracers = |symbol: &&Symbol| {
        symbol.unit.as_ref().is_some_and(|unit| same_unit(unit, TRACER) || same_unit(unit, "lttng-events"))
    };
    let own: Vec<&Symbol> = symbols.iter().filter(is_tracers).collect();
    let mut found: Vec<VirtAddr> = Vec::new();
    let mut keep = |nodes: Nodes, found: &mut Vec<VirtAddr>| {
        damage.extend(nodes.broken.map(|(at, cause)| Damage::new(place, at, cause)));
        found.extend(nodes.addrs.into_iter().map(|node| node.back(link)));
    };
    for symbol in &own {
        keep(list::walk(kernel.target, VirtAddr(symbol.addr), MAX_SESSIONS), &mut found);
    }
    if !own.is_empty() {
        return found;
    }
    // A common name: without its module only what hangs on it tells whose it is.
    let heads = symbols.iter().map(|symbol| VirtAddr(symbol.addr)).chain(search(kernel));
    for head in heads {
        let nodes = list::walk(kernel.target, head, MAX_SESSIONS);
        let session = |node: &VirtAddr| {
            SessionInfo::read(kernel, node.back(link)).is_ok_and(|session| session.is_plausible(kernel))
        };
        if !nodes.addrs.is_empty() && nodes.addrs.iter().all(session) {
            keep(nodes, &mut found);
        }
    }
    if found.is_empty() && symbols.is_empty() {
        let name = format!("symbol sessions of module {TRACER}");
        damage.push(Damage::general(place, Cause::MissingType { name }));
    }
    found
}

/// Heads of lists in the tracer's data, for want of symbols.
fn search(kernel: &Kernel<'_>) -> Vec<VirtAddr> {
    let target = kernel.target;
    let abi = target.abi();
    let step = abi.word_bytes();
    let mut heads = Vec::new();
    let mut left = MAX_SEARCH;
    for range in target.module_data(TRACER) {
        let start = range.start.checked_next_multiple_of(step).unwrap_or(range.end);
        let count = (range.end.saturating_sub(start) / step).min(left);
        left -= count;
        let words = words(kernel, start, count);
        for (at, pair) in (start..).step_by(usize::try_from(step).unwrap_or(8)).zip(words.windows(2)) {
            let &[next, previous] = pair else { continue };
            let others = [VirtAddr(next), VirtAddr(previous)];
            let outside = others.iter().all(|other| memory::is_kernel(abi, *other) && other.0 != at);
            if outside
                && memory::word(target, VirtAddr(next).offset(step)) == Ok(at)
                && memory::word(target, VirtAddr(previous)) == Ok(at)
            {
                heads.push(VirtAddr(at));
            }
        }
    }
    heads
}

/// Words of memory; 0 where it cannot be read.
fn words(kernel: &Kernel<'_>, start: u64, count: u64) -> Vec<u64> {
    let step = kernel.target.abi().word_bytes();
    let page = kernel.target.page_size().max(step);
    let mut words = Vec::new();
    let mut done = 0;
    while done < count {
        let at = VirtAddr(start).offset(done * step);
        let here = ((page - at.0 % page) / step).clamp(1, count - done);
        let read = memory::words(kernel.target, at, here);
        words.extend(read.unwrap_or_else(|_| vec![0; usize::try_from(here).unwrap_or(0)]));
        done += here;
    }
    words
}

/// An open file that has to do with tracing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TracerFile {
    /// Identifies the process.
    pub(crate) process: VirtAddr,
    /// Descriptor number.
    pub(crate) number: u64,
    pub(crate) what: What,
}

/// What an open file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The session at this address, either half.
    Session(VirtAddr),
    /// The tracer's channel at this address, either half.
    Channel(VirtAddr),
    /// The ring buffer at this address.
    Stream(VirtAddr),
    /// A reader of metadata at this address.
    MetadataStream(VirtAddr),
    /// A file with a number at the end of its name, by its directory entry.
    Numbered(VirtAddr),
}

/// Open files of processes that have to do with tracing, process by process, by descriptor.
pub(crate) fn open_files(kernel: &Kernel<'_>, damage: &mut Vec<Damage>) -> Vec<TracerFile> {
    let target = kernel.target;
    let (Some(files), Ok(vfs)) = (Files::new(target), Vfs::new(target)) else { return Vec::new() };
    let mut found: Vec<TracerFile> = Vec::new();
    files.visit(damage, &mut |open| {
        let name = || {
            let dentry = open.image.maybe_pointer(Some(&files.file.dentry))?;
            let image = vfs.dentry.read(target, dentry).ok()?;
            Some((dentry, vfs.name(target, &image).ok()?))
        };
        let Some((dentry, name)) = name() else { return };
        let private = open.image.maybe_pointer(files.file.private.as_ref());
        let what = match (name.as_slice(), private) {
            (b"[lttng_session]", Some(addr)) => What::Session(addr),
            (b"[lttng_channel]", Some(addr)) => What::Channel(addr),
            (b"[lttng_stream]", Some(addr)) => What::Stream(addr),
            (b"[lttng_metadata_stream]", Some(addr)) => What::MetadataStream(addr),
            (name, _) if name.last().is_some_and(u8::is_ascii_digit) && name.contains(&b'_') => {
                What::Numbered(dentry)
            }
            _ => return,
        };
        found.push(TracerFile { process: open.process, number: open.number, what });
    });
    // Of ordinary files only those matter that a process with streams has.
    let is_stream = |file: &&TracerFile| matches!(file.what, What::Stream(_));
    let readers: std::collections::HashSet<VirtAddr> =
        found.iter().filter(is_stream).map(|file| file.process).collect();
    found.retain(|file| !matches!(file.what, What::Numbered(_)) || readers.contains(&file.process));
    found
}
