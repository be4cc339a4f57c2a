//! Structures of classic relay, old and new.

use crate::memory;
use crate::mirror::{self, Mirror, mirrors};
use crate::{Cause, Target, VirtAddr};

mirrors! {
    /// One channel. `buf` is an array over CPUs or, since late 2016, a per-CPU pointer.
    Rchan = "rchan" {
        needs {
            version: "version", subbuffer_size: "subbuf_size", n_subbuffers: "n_subbufs", alloc_size: "alloc_size",
            buf: "buf", list: "list",
        }
        may {
            callbacks: "cb", private: "private_data", parent: "parent", name: "base_filename",
            has_name: "has_base_filename", is_global: "is_global",
        }
    }
    /// One CPU's buffer.
    RchanBuf = "rchan_buf" {
        needs {
            start: "start", data: "data", offset: "offset", produced: "subbufs_produced", consumed: "subbufs_consumed",
            chan: "chan", page_count: "page_count", padding: "padding", cpu: "cpu",
        }
        may {
            page_array: "page_array", bytes_consumed: "bytes_consumed", early_bytes: "early_bytes", dentry: "dentry",
        }
    }
}

/// Symbols read by the relay walker.
pub(crate) const SYMBOLS: &[&str] = &["relay_channels"];

/// Version that every classic relay channel has carried. (LTTng's copy of relay carries 8.)
const VERSION: u64 = 7;
/// Sub-buffers of one buffer at most.
const MAX_SUBBUFFERS: u64 = 1_000_000;
/// Bytes of one buffer at most.
const MAX_SIZE: u64 = 1 << 30;

/// Types of one kernel.
#[derive(Clone, Debug)]
pub(crate) struct Types {
    pub(crate) rchan: Rchan,
    pub(crate) buf: RchanBuf,
}

/// Shape of a channel that makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) size: u64,
    pub(crate) count: u64,
    pub(crate) alloc_size: u64,
}

impl Types {
    /// Resolves the types. LTTng's copy, of the same names, lacks what the mirrors need of a buffer.
    pub(crate) fn new(target: &dyn Target) -> Result<Types, Cause> {
        let buf = mirror::find(target, &["relay"])?;
        let rchans = mirror::all::<Rchan>(target, &["relay"]);
        let own = rchans.iter().find(|rchan| rchan.is_global.is_some()).or(rchans.first()).cloned();
        let rchan = own.map_or_else(|| mirror::find(target, &["relay"]), Ok)?;
        Ok(Types { rchan, buf })
    }

    /// Shape of the channel at `addr`, if it is one.
    pub(crate) fn shape(&self, target: &dyn Target, channel: &mirror::Image) -> Result<Shape, Cause> {
        let version = channel.uint(&self.rchan.version)?;
        let size = channel.uint(&self.rchan.subbuffer_size)?;
        let count = channel.uint(&self.rchan.n_subbuffers)?;
        let alloc_size = channel.uint(&self.rchan.alloc_size)?;
        let total = size
            .checked_mul(count)
            .filter(|&total| total != 0 && count <= MAX_SUBBUFFERS && total <= MAX_SIZE);
        let fits = total.is_some_and(|total| alloc_size >= total && alloc_size - total < target.page_size());
        if version == VERSION && fits {
            Ok(Shape { size, count, alloc_size })
        } else {
            let text = format!(
                "version {version}, {count} sub-buffers of {size} bytes in {alloc_size} bytes make no relay channel"
            );
            Err(Cause::Implausible(text))
        }
    }
}

/// Tells relay buffers from other objects by the equations between their members.
#[derive(Debug)]
pub(crate) struct Recogniser<'t> {
    target: &'t dyn Target,
    types: Types,
}

impl<'t> Recogniser<'t> {
    /// `None` when the kernel has no relay.
    pub(crate) fn new(target: &'t dyn Target) -> Option<Recogniser<'t>> {
        Types::new(target).ok().map(|types| Recogniser { target, types })
    }

    /// Whether a relay buffer lies at `addr`.
    pub(crate) fn is_buffer(&self, addr: VirtAddr) -> bool {
        let check = || {
            let buf = self.types.buf.read(self.target, addr).ok()?;
            let channel =
                self.types.rchan.read(self.target, buf.maybe_pointer(Some(&self.types.buf.chan))?).ok()?;
            let shape = self.types.shape(self.target, &channel).ok()?;
            let pages = buf.uint(&self.types.buf.page_count).ok()?;
            Some(pages.checked_mul(self.target.page_size())? == shape.alloc_size)
        };
        memory::is_kernel(self.target.abi(), addr) && check() == Some(true)
    }
}
