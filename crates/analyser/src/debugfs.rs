//! The debugfs tree of the dead kernel, and the relay files in it.

use std::io::{self, Read};
use std::sync::OnceLock;

use relaywalk::{Damage, Routes, VirtAddr};

use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::model::Traces;
use crate::target::View;
use crate::traces::MAX_SUB_BUFFER;

pub use relaywalk::debugfs::EntryKind;

/// The debugfs of a crashed kernel. Buffers are looked up when the first one is opened.
#[derive(Debug)]
pub struct Debugfs<'k> {
    kernel: &'k Kernel,
    tree: relaywalk::debugfs::Tree<'k>,
    traces: OnceLock<Traces>,
    channels: OnceLock<relaywalk::relay::Walk>,
}

/// One directory, file or symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path from the root of debugfs, beginning with `/`. Bytes that are not printable ASCII, and `/` within a name, are shown
    /// as `\xNN`.
    pub path: String,
    /// Directory, file or link.
    pub kind: EntryKind,
    /// Size in bytes as the inode has it; the kernel does not keep it for trace buffers.
    pub size: u64,
    /// What lies behind it.
    pub what: What,
    buffer: Option<VirtAddr>,
}

/// What lies behind an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// A directory.
    Directory,
    /// A buffer of LTTng 0.x.
    LttBuffer,
    /// A buffer of a classic relay channel: blktrace, SystemTap, driver logs.
    RelayBuffer,
    /// Anything else; its content is made when it is read and cannot be had from a core.
    Plain,
}

impl What {
    /// Whether the entry can be [opened](Debugfs::open).
    #[must_use]
    pub fn is_buffer(self) -> bool {
        matches!(self, What::LttBuffer | What::RelayBuffer)
    }
}

impl Kernel {
    /// Finds the root of debugfs.
    ///
    /// Errors: types or pointers that lead to the root are missing.
    pub fn debugfs(&self) -> Result<Debugfs<'_>> {
        let tree = relaywalk::debugfs::Tree::open(self.view())
            .map_err(|damage| Error::Debugfs(damage.to_string()))?;
        Ok(Debugfs { kernel: self, tree, traces: OnceLock::new(), channels: OnceLock::new() })
    }
}

impl Debugfs<'_> {
    /// Every entry, directories before their content.
    ///
    /// Cost: two small reads an entry.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries(self.tree.entries())
    }

    /// Opens a buffer for reading: everything that is still in memory, oldest first, LTT sub-buffers as the records its daemon
    /// would have written.
    ///
    /// Errors: the entry is no buffer, or its buffer makes no sense.
    pub fn open(&self, entry: &Entry) -> Result<RelayFile<'_>> {
        let found = |found| Error::NotABuffer { path: entry.path.clone(), found };
        let buffer = entry.buffer.ok_or_else(|| {
            found(if entry.kind == EntryKind::Directory { "a directory" } else { "a file without a buffer" })
        })?;
        let content = match entry.what {
            What::LttBuffer => self.ltt(buffer),
            _ => self.relay(buffer),
        };
        let content = content.ok_or_else(|| found("a buffer that contradicts itself"))?;
        Ok(RelayFile { content, at: 0, pending: Vec::new(), taken: 0, lost: 0 })
    }

    fn ltt(&self, buffer: VirtAddr) -> Option<Content<'_>> {
        let traces = self.traces.get_or_init(|| self.kernel.traces(Routes::ALL));
        traces.traces.iter().find_map(|trace| {
            let (channel, stream) = trace.streams().find(|(_, stream)| stream.raw.address == buffer)?;
            Some(Content::Ltt(trace.recorder(self.kernel, channel, stream), stream))
        })
    }

    fn relay(&self, buffer: VirtAddr) -> Option<Content<'_>> {
        let view = self.kernel.view();
        let walk = self
            .channels
            .get_or_init(|| relaywalk::relay::walk(view, &relaywalk::Options { routes: Routes::ALL }));
        let streams = walk.channels.iter().flat_map(|channel| &channel.streams);
        streams.into_iter().find(|stream| stream.address == buffer).map(|stream| Content::Relay(view, stream))
    }
}

/// Iterator over a [`Debugfs`].
#[derive(Debug)]
pub struct Entries<'a>(relaywalk::debugfs::Entries<'a>);

impl Entries<'_> {
    /// What could not be followed so far.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        self.0.damage()
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        use relaywalk::debugfs::What as Found;
        let entry = self.0.next()?;
        let (what, buffer) = match entry.what {
            Found::LttBuffer { buffer } => (What::LttBuffer, Some(buffer)),
            Found::RelayBuffer { buffer } => (What::RelayBuffer, Some(buffer)),
            Found::Plain if entry.kind == EntryKind::Directory => (What::Directory, None),
            Found::Plain => (What::Plain, None),
        };
        let path = entry.path.iter().map(|name| format!("/{}", escape(name))).collect();
        Some(Entry { path, kind: entry.kind, size: entry.size, what, buffer })
    }
}

/// A name as it can be shown on one line, unambiguously.
fn escape(name: &[u8]) -> String {
    let mut shown = String::with_capacity(name.len());
    for &byte in name {
        match byte {
            b'/' | b'\\' | 0..=0x1f | 0x7f.. => shown.push_str(&format!("\\x{byte:02x}")),
            _ => shown.push(char::from(byte)),
        }
    }
    shown
}

/// A trace buffer, read like a file. Reading never fails; what cannot be had is skipped and counted.
#[derive(Debug)]
pub struct RelayFile<'k> {
    content: Content<'k>,
    /// Number of the next sub-buffer.
    at: usize,
    pending: Vec<u8>,
    taken: usize,
    lost: u64,
}

#[derive(Debug)]
enum Content<'k> {
    Ltt(crate::record::Recorder<'k>, &'k crate::model::Stream),
    Relay(&'k View, &'k relaywalk::relay::Stream),
}

impl RelayFile<'_> {
    /// Bytes that should have been there so far and could not be had.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Fetches the next sub-buffer; `false` at the end.
    fn fetch(&mut self) -> bool {
        self.pending.clear();
        self.taken = 0;
        match &mut self.content {
            Content::Ltt(recorder, stream) => {
                let Some(sub) = stream.sub_buffers.get(self.at) else { return false };
                let record = recorder.record(sub);
                self.pending.extend_from_slice(record.bytes);
                self.lost = self.lost.saturating_add(record.lost).saturating_add(record.unreadable);
            }
            Content::Relay(view, stream) => {
                let Some(sub) = stream.subbuffers.get(self.at) else { return false };
                let len = sub.reserved.min(sub.pages.len());
                match usize::try_from(len).ok().filter(|_| len <= MAX_SUB_BUFFER) {
                    Some(len) => {
                        self.pending.resize(len, 0);
                        let holes = sub.pages.read(*view, 0, &mut self.pending);
                        // Records run across pages: what follows a hole cannot be delimited until the next sub-buffer.
                        let hole = holes.iter().find(|hole| !hole.zero_filled);
                        let keep = hole
                            .map_or(len, |hole| usize::try_from(hole.range.start).unwrap_or(len).min(len));
                        self.pending.truncate(keep);
                        self.lost = self.lost.saturating_add((len - keep) as u64);
                    }
                    None => self.lost = self.lost.saturating_add(len),
                }
            }
        }
        self.at += 1;
        true
    }
}

impl Read for RelayFile<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.taken >= self.pending.len() {
            if !self.fetch() {
                return Ok(0);
            }
        }
        let rest = self.pending.get(self.taken..).unwrap_or_default();
        let len = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..len), rest.get(..len)) {
            to.copy_from_slice(from);
        }
        self.taken += len;
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn names_stay_on_their_line_and_level() {
        assert_eq!(escape(b"cpu_0"), "cpu_0");
        assert_eq!(escape(b"a/b\n\\\xff"), "a\\x2fb\\x0a\\x5c\\xff");
    }
}
