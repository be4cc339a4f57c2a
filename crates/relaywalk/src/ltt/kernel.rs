//! One crashed kernel as the tracer's walkers see it: everything that is resolved once.

use std::sync::atomic::{AtomicU64, Ordering};

use super::tables::Container;
use super::types::{Era, Types};
use super::witness;
use crate::pages::PageMap;
use crate::percpu::PerCpu;
use crate::{Cause, Target, VirtAddr};

/// Symbols read by the tracer's walkers.
pub(crate) const SYMBOLS: &[&str] = &[
    "ltt_traces",
    "relay_channels",
    "ltt_file_operations",
    "ltt_relay_file_operations",
    "per_cpu__ltt_nesting",
    "ltt_nesting",
    "init_task",
];

/// Target, resolved types, per-CPU addressing and memory model of one kernel.
#[derive(Debug)]
pub(crate) struct Kernel<'t> {
    pub(crate) target: &'t dyn Target,
    pub(crate) types: Types,
    pub(crate) percpu: PerCpu<'t>,
    pub(crate) pages: PageMap<'t>,
    /// Memory that the buffers still to come may take, in page places.
    room: AtomicU64,
}

/// Page places of all buffers together: 16 GiB of buffers, for which they take 64 MiB. A sub-buffer counts as some of them.
const ROOM: u64 = 1 << 22;
const SUBBUFFER_ROOM: u64 = 8;

impl<'t> Kernel<'t> {
    /// Resolves what the debug information offers; what is missing otherwise.
    pub(crate) fn new(target: &'t dyn Target) -> Result<Kernel<'t>, Cause> {
        let types = Types::new(target)?;
        let (percpu, pages) = (PerCpu::new(target), PageMap::new(target));
        Ok(Kernel { target, types, percpu, pages, room: AtomicU64::new(ROOM) })
    }

    /// Takes the room for a buffer's pages, before any list of them is made: how large it is was read from the core.
    pub(crate) fn make_room(&self, container: &Container<'_>) -> Result<(), Cause> {
        let pages = container.size().div_ceil(self.target.page_size().max(1));
        let wanted = pages.saturating_add(container.n_subbuffers.saturating_mul(SUBBUFFER_ROOM));
        let take = |room: u64| room.checked_sub(wanted);
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map(|_| ()).map_err(|_| {
            let text = format!(
                "{} sub-buffers of {} bytes, which with the buffers found before are more than {} GiB",
                container.n_subbuffers,
                container.subbuffer_size,
                (ROOM * self.target.page_size()) >> 30
            );
            Cause::Implausible(text)
        })
    }

    /// First symbol of this name.
    pub(crate) fn symbol(&self, name: &str) -> Option<VirtAddr> {
        self.target.symbols(name).first().map(|symbol| VirtAddr(symbol.addr))
    }

    /// Settles the memory model with the sub-buffer headers of one buffer.
    pub(crate) fn settle(&self, container: &Container<'_>, pointers: &[Option<VirtAddr>]) -> bool {
        witness::settle(self, container, pointers)
    }

    /// Events in progress on a CPU at the crash.
    pub(crate) fn nesting(&self, cpu: u32) -> Option<i64> {
        let addr = match (self.symbol("per_cpu__ltt_nesting"), self.symbol("ltt_nesting")) {
            (Some(symbol), _) => self.percpu.variable(symbol, cpu),
            // A plain array at first, a per-CPU variable again in the latest kernels.
            (None, Some(array)) if self.types.era == Era::Z => array.offset(u64::from(cpu) * 4),
            (None, Some(symbol)) => self.percpu.variable(symbol, cpu),
            (None, None) => return None,
        };
        let value = crate::memory::u32(self.target, addr).ok()?;
        Some(self.target.abi().sign_extend(u64::from(value), 4))
    }
}
