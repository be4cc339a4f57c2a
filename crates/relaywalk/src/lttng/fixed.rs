//! Layouts of last resort: modules built outside the kernel's tree are often stripped, yet all that is needed lies in the leading
//! members of their structures, which no configuration moves. 64-bit kernels only; offsets by natural alignment from the public
//! source of each release.
//!
//! Nothing tells which release it was, so all are tried: pointers back and forth, powers of two and packet headers decide.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Abi, Bits, Kind, Layout, Member, PhysAddr, ReadError, Symbol, Target, VirtAddr};

/// One structure: name, size, members with their offset and size. Only what is needed; the size covers it.
type Shape = (&'static str, u64, &'static [(&'static str, u64, u64)]);

/// A target that knows the tracer's structures of some releases where the debug information does not.
pub(crate) struct Fixed<'t> {
    target: &'t dyn Target,
    releases: &'static str,
    layouts: BTreeMap<&'static str, Arc<Layout>>,
}

const SESSION_2_0: Shape = (
    "lttng_session",
    96,
    &[("active", 0, 4), ("metadata", 16, 8), ("chan", 24, 16), ("list", 56, 16), ("uuid", 76, 16)],
);
const SESSION_2_3: Shape = (
    "lttng_session",
    96,
    &[("active", 0, 4), ("chan", 16, 16), ("list", 48, 16), ("uuid", 68, 16), ("metadata_cache", 88, 8)],
);
const SESSION_2_13: Shape = (
    "lttng_kernel_session_private",
    104,
    &[("pub", 0, 8), ("chan", 24, 16), ("list", 56, 16), ("uuid", 76, 16), ("metadata_cache", 96, 8)],
);
const SESSION_2_14: Shape = (
    "lttng_kernel_session_private",
    65656,
    &[
        ("pub", 0, 8),
        ("chan_head", 24, 16),
        ("node", 65608, 16),
        ("uuid", 65628, 16),
        ("metadata_cache", 65648, 8),
    ],
);
const SESSION_PUBLIC: Shape = ("lttng_kernel_session", 16, &[("priv", 0, 8), ("active", 8, 4)]);
const CHANNEL_2_0: Shape = (
    "lttng_channel",
    88,
    &[("id", 0, 4), ("chan", 8, 8), ("session", 32, 8), ("list", 56, 16), ("transport", 80, 8)],
);
const CHANNEL_2_13: Shape = (
    "lttng_kernel_channel_buffer_private",
    176,
    &[
        ("pub", 104, 8),
        ("id", 112, 4),
        ("header_type", 120, 4),
        ("channel_type", 124, 4),
        ("rb_chan", 136, 8),
        ("node", 152, 16),
        ("transport", 168, 8),
    ],
);
const TRANSPORT: Shape = ("lttng_transport", 8, &[("name", 0, 8)]);
const CACHE: Shape =
    ("lttng_metadata_cache", 16, &[("data", 0, 8), ("cache_alloc", 8, 4), ("metadata_written", 12, 4)]);
const RING: Shape = (
    "lttng_kernel_ring_buffer_channel",
    80,
    &[
        ("commit_count_mask", 8, 8),
        ("backend.buf_size", 16, 8),
        ("backend.subbuf_size", 24, 8),
        ("backend.subbuf_size_order", 32, 4),
        ("backend.num_subbuf_order", 36, 4),
        ("backend.extra_reader_sb", 44, 4),
        ("backend.buf", 48, 8),
        ("backend.num_subbuf", 56, 8),
        ("backend.start_timestamp", 64, 8),
        ("backend.priv", 72, 8),
    ],
);
const BUFFER_2_0: Shape = (
    "lttng_kernel_ring_buffer",
    144,
    &[
        ("offset", 0, 8),
        ("commit_hot", 8, 8),
        ("consumed", 16, 8),
        ("last_timestamp", 32, 8),
        ("backend.buf_wsb", 40, 8),
        ("backend.buf_rsb.id", 48, 8),
        ("backend.array", 56, 8),
        ("backend.num_pages_per_subbuf", 64, 4),
        ("backend.chan", 72, 8),
        ("backend.cpu", 80, 4),
        ("backend.allocated", 96, 4),
        ("commit_cold", 104, 8),
        ("records_lost_full", 120, 8),
        ("records_lost_wrap", 128, 8),
        ("records_lost_big", 136, 8),
    ],
);
const BUFFER_2_8: Shape = (
    "lttng_kernel_ring_buffer",
    152,
    &[
        ("offset", 0, 8),
        ("commit_hot", 8, 8),
        ("consumed", 16, 8),
        ("last_timestamp", 32, 8),
        ("backend.buf_wsb", 40, 8),
        ("backend.buf_rsb.id", 48, 8),
        ("backend.buf_cnt", 56, 8),
        ("backend.array", 64, 8),
        ("backend.num_pages_per_subbuf", 72, 4),
        ("backend.chan", 80, 8),
        ("backend.cpu", 88, 4),
        ("backend.allocated", 104, 4),
        ("commit_cold", 112, 8),
        ("records_lost_full", 128, 8),
        ("records_lost_wrap", 136, 8),
        ("records_lost_big", 144, 8),
    ],
);
const BUFFER_ENDS: Shape = (
    "lttng_kernel_ring_buffer",
    160,
    &[
        ("offset", 0, 8),
        ("commit_hot", 8, 8),
        ("consumed", 16, 8),
        ("last_timestamp", 32, 8),
        ("backend.buf_wsb", 40, 8),
        ("backend.buf_rsb.id", 48, 8),
        ("backend.buf_cnt", 56, 8),
        ("backend.array", 64, 8),
        ("backend.num_pages_per_subbuf", 72, 4),
        ("backend.chan", 80, 8),
        ("backend.cpu", 88, 4),
        ("backend.allocated", 104, 4),
        ("commit_cold", 112, 8),
        ("ts_end", 120, 8),
        ("records_lost_full", 136, 8),
        ("records_lost_wrap", 144, 8),
        ("records_lost_big", 152, 8),
    ],
);
const HOT: Shape = ("commit_counters_hot", 16, &[("cc", 0, 8), ("seq", 8, 8)]);
const COLD: Shape = ("commit_counters_cold", 8, &[("cc_sb", 0, 8)]);
const COLD_2_14: Shape = ("commit_counters_cold", 16, &[("cc_sb", 0, 8), ("end_events_discarded", 8, 8)]);
const SLOT: Shape = ("lttng_kernel_ring_buffer_backend_subbuffer", 8, &[("id", 0, 8)]);
const COUNT: Shape = ("lttng_kernel_ring_buffer_backend_counts", 8, &[("seq_cnt", 0, 8)]);
const PAGES: Shape = ("lttng_kernel_ring_buffer_backend_pages", 32, &[("data_size", 24, 8), ("p", 32, 0)]);
const PAGE_2_0: Shape = ("lttng_kernel_ring_buffer_backend_page", 16, &[("virt", 0, 8), ("page", 8, 8)]);
const PAGE_2_8: Shape = ("lttng_kernel_ring_buffer_backend_page", 16, &[("virt", 0, 8), ("pfn", 8, 8)]);

/// What does not differ between releases.
const ALWAYS: [Shape; 5] = [TRANSPORT, RING, HOT, SLOT, PAGES];

/// What does. Where two fit a kernel alike, the first is right: a table of ends that is there cannot be seen by the layout without.
///
/// The tracer's own view of a channel changed with the configuration in 2.14: there rings are searched for.
const RELEASES: [(&str, &[Shape]); 6] = [
    ("2.13", &[SESSION_2_13, SESSION_PUBLIC, CHANNEL_2_13, CACHE, BUFFER_ENDS, COLD, COUNT, PAGE_2_8]),
    ("2.14 to 2.16", &[SESSION_2_14, SESSION_PUBLIC, CACHE, BUFFER_ENDS, COLD_2_14, COUNT, PAGE_2_8]),
    ("2.9.13 to 2.12", &[SESSION_2_3, CHANNEL_2_0, CACHE, BUFFER_ENDS, COLD, COUNT, PAGE_2_8]),
    ("2.8 to 2.10", &[SESSION_2_3, CHANNEL_2_0, CACHE, BUFFER_2_8, COLD, COUNT, PAGE_2_8]),
    ("2.3 to 2.7", &[SESSION_2_3, CHANNEL_2_0, CACHE, BUFFER_2_0, COLD, PAGE_2_0]),
    ("2.0 to 2.2", &[SESSION_2_0, CHANNEL_2_0, BUFFER_2_0, COLD, PAGE_2_0]),
];

impl<'t> Fixed<'t> {
    /// One target for each range of releases; none for a 32-bit kernel.
    pub(crate) fn all(target: &'t dyn Target) -> Vec<Fixed<'t>> {
        if target.abi().word_bytes() != 8 {
            return Vec::new();
        }
        let fixed = |(releases, own): &(&'static str, &[Shape])| {
            let shapes = ALWAYS.iter().chain(own.iter());
            let layouts = shapes.map(|shape| (shape.0, Arc::new(layout(shape, target.abi())))).collect();
            Fixed { target, releases, layouts }
        };
        RELEASES.iter().map(fixed).collect()
    }

    /// The releases whose structures these are.
    pub(crate) fn releases(&self) -> &'static str {
        self.releases
    }
}

fn layout((name, size, members): &Shape, abi: Abi) -> Layout {
    let member = |&(path, offset, size): &(&str, u64, u64)| {
        // The one flag that counts is bit 0 of its word, which big-endian machines keep at the other end.
        let flag = path == "backend.extra_reader_sb" || path == "backend.allocated";
        let shift = if abi.endian == crate::Endian::Big { 31 } else { 0 };
        let bits =
            flag.then_some(Bits { storage_offset: offset, storage_size: 4, shift, width: 1, signed: false });
        (path.to_string(), Member { offset, size, bits, kind: Kind::Int { signed: false } })
    };
    Layout {
        name: (*name).to_string(),
        size: *size,
        units: Vec::new(),
        members: members.iter().map(member).collect(),
    }
}

impl Target for Fixed<'_> {
    fn abi(&self) -> Abi {
        self.target.abi()
    }

    fn page_size(&self) -> u64 {
        self.target.page_size()
    }

    fn read_virt(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        self.target.read_virt(addr, buf)
    }

    fn read_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), ReadError> {
        self.target.read_phys(addr, buf)
    }

    fn virt_to_phys(&self, addr: VirtAddr) -> Result<PhysAddr, ReadError> {
        self.target.virt_to_phys(addr)
    }

    fn symbols(&self, name: &str) -> Vec<Symbol> {
        self.target.symbols(name)
    }

    fn layouts(&self, name: &str) -> Vec<Arc<Layout>> {
        let known = self.target.layouts(name);
        if !known.is_empty() {
            return known;
        }
        self.layouts.get(name).cloned().into_iter().collect()
    }

    fn constant(&self, name: &str) -> Option<u64> {
        self.target.constant(name)
    }

    fn module_data(&self, module: &str) -> Vec<std::ops::Range<u64>> {
        self.target.module_data(module)
    }
}
