//! Structures of the tracer and of its ring buffer, under the names of all releases.

use crate::mirror::{self, mirrors};
use crate::{Cause, Target};

mirrors! {
    /// A session; its private half since 2.13.
    SessionMirror = "lttng_kernel_session_private" | "lttng_session" {
        needs { link: "node" | "list", channels: "chan_head" | "chan" }
        may {
            public: "pub", active: "active", been_active: "been_active", uuid: "uuid",
            cache: "metadata_cache", metadata: "metadata",
            name: "name", creation_time: "creation_time", output_format: "output_format",
        }
    }
    /// The public half.
    SessionPublic = "lttng_kernel_session" { needs { private: "priv", active: "active" } may {} }
    /// A channel; its private half since 2.13.
    ChannelMirror = "lttng_kernel_channel_buffer_private" | "lttng_channel" {
        needs { link: "node" | "parent.node" | "list", ring: "rb_chan" | "chan", id: "id" }
        may {
            public: "pub", common: "parent.pub", session: "session",
            header_type: "header_type", kind: "channel_type", transport: "transport",
        }
    }
    /// The public half.
    ChannelPublic = "lttng_kernel_channel_buffer" {
        needs { private: "priv", session: "parent.session" }
        may {}
    }
    /// What buffers and counters have in common, as the public sees it.
    ChannelCommon = "lttng_kernel_channel_common" { needs { kind: "type" } may {} }
    /// Named way of moving trace data.
    Transport = "lttng_transport" { needs { name: "name" } may {} }
    /// The metadata text.
    CacheMirror = "lttng_metadata_cache" {
        needs { data: "data", allocated: "cache_alloc", written: "metadata_written" }
        may { producing: "producing", version: "version", uuid: "uuid" }
    }
    /// A reader of the metadata text.
    MetadataStream = "lttng_metadata_stream" { needs { cache: "metadata_cache" } may {} }
    /// The ring buffer's own view of a channel. Other drivers have structures of the old name.
    RingMirror = "lttng_kernel_ring_buffer_channel" | "channel" {
        needs {
            mask: "commit_count_mask", size: "backend.buf_size",
            subbuffer_size: "backend.subbuf_size", subbuffer_order: "backend.subbuf_size_order",
            n_subbuffers: "backend.num_subbuf", n_order: "backend.num_subbuf_order",
            extra_reader: "backend.extra_reader_sb", private: "backend.priv",
            buffers: "backend.buf" | "backend.percpu_buf" | "backend.global_buf",
        }
        may {
            alloc: "backend.config.alloc", mode: "backend.config.mode", output: "backend.config.output",
            cpumask: "backend.cpumask", name: "backend.name",
            start: "backend.start_timestamp" | "backend.start_tsc",
        }
    }
    /// One CPU's buffer.
    BufferMirror = "lttng_kernel_ring_buffer" | "lib_ring_buffer" {
        needs {
            offset: "offset", consumed: "consumed", hot: "commit_hot", cold: "commit_cold",
            writer: "backend.buf_wsb", reader: "backend.buf_rsb.id", array: "backend.array",
            pages: "backend.num_pages_per_subbuf", channel: "backend.chan", cpu: "backend.cpu",
            allocated: "backend.allocated",
        }
        may {
            counts: "backend.buf_cnt", ends: "ts_end", last: "last_timestamp" | "last_tsc",
            lost_full: "records_lost_full", lost_wrap: "records_lost_wrap", lost_big: "records_lost_big",
            held: "get_subbuf", held_position: "get_subbuf_consumed",
            active_readers: "active_readers", finalized: "finalized",
        }
    }
    /// Counters of a slot that writers touch.
    HotCounters = "commit_counters_hot" { needs { committed: "cc", contiguous: "seq" } may {} }
    /// Counters of a slot that only deliveries touch.
    ColdCounters = "commit_counters_cold" {
        needs { delivered: "cc_sb" }
        may { discarded: "end_events_discarded" }
    }
    /// Entry of the writer's table.
    SlotMirror = "lttng_kernel_ring_buffer_backend_subbuffer" | "lib_ring_buffer_backend_subbuffer" {
        needs { id: "id" } may {}
    }
    /// Deliveries of a slot.
    CountMirror = "lttng_kernel_ring_buffer_backend_counts" | "lib_ring_buffer_backend_counts" {
        needs { deliveries: "seq_cnt" } may {}
    }
    /// Table of the pages of one sub-buffer.
    PagesMirror = "lttng_kernel_ring_buffer_backend_pages" | "lib_ring_buffer_backend_pages" {
        needs { used: "data_size", table: "p" } may {}
    }
    /// Entry of such a table.
    PageMirror = "lttng_kernel_ring_buffer_backend_page" | "lib_ring_buffer_backend_page" {
        needs { virt: "virt" } may { pfn: "pfn" }
    }
    /// Packet header of a data stream, local to the ring buffer clients.
    PacketHeader = "packet_header" { needs { end: "ctx.header_end" } may {} }
}

/// Symbols read by the tracer's walker.
pub(crate) const SYMBOLS: &[&str] = &["sessions", "lttng_last_tsc", "lttng_last_timestamp", "init_task"];

/// The module that the list of sessions is in.
pub(crate) const TRACER: &str = "lttng_tracer";

/// Units that hold the tracer's own definitions.
const UNITS: [&str; 12] = [
    TRACER,
    "lttng_lib_ring_buffer",
    "lttng_ring_buffer_client_discard",
    "lttng_ring_buffer_client_overwrite",
    "lttng_ring_buffer_client_mmap_discard",
    "lttng_ring_buffer_client_mmap_overwrite",
    "lttng_ring_buffer_metadata_client",
    "lttng_ring_buffer_metadata_mmap_client",
    "lttng-events",
    "ring_buffer_frontend",
    "ring_buffer_backend",
    "lttng-abi",
];

/// Everything resolved for one kernel.
#[derive(Debug)]
pub(crate) struct Types {
    pub(crate) session: SessionMirror,
    pub(crate) session_public: Option<SessionPublic>,
    /// `None` where only the layouts of stripped modules are known, and not that of this one.
    pub(crate) channel: Option<ChannelMirror>,
    pub(crate) channel_public: Option<ChannelPublic>,
    pub(crate) channel_common: Option<ChannelCommon>,
    pub(crate) transport: Option<Transport>,
    pub(crate) cache: Option<CacheMirror>,
    pub(crate) metadata_stream: Option<MetadataStream>,
    pub(crate) ring: RingMirror,
    pub(crate) buffer: BufferMirror,
    pub(crate) hot: HotCounters,
    pub(crate) cold: ColdCounters,
    pub(crate) slot: SlotMirror,
    pub(crate) count: Option<CountMirror>,
    pub(crate) pages: PagesMirror,
    pub(crate) page: PageMirror,
    /// Bytes of a data stream's packet header.
    pub(crate) packet_header_size: Option<u64>,
}

impl Types {
    /// Resolves the tracer's types; what is missing otherwise.
    ///
    /// Without `needs_channel` the tracer's own view of a channel may be missing: then rings are searched for.
    pub(crate) fn new(target: &dyn Target, needs_channel: bool) -> Result<Types, Cause> {
        let buffer = mirror::find::<BufferMirror>(target, &UNITS)?;
        let header = mirror::find::<PacketHeader>(target, &UNITS).ok();
        // Numbered packets have had one shape only.
        let numbered = buffer.counts.as_ref().map(|_| 76 + target.abi().word_bytes());
        Ok(Types {
            session: mirror::find(target, &UNITS)?,
            session_public: mirror::find(target, &UNITS).ok(),
            channel: mirror::find(target, &UNITS).map(Some).or_else(if_not(needs_channel))?,
            channel_public: mirror::find(target, &UNITS).ok(),
            channel_common: mirror::find(target, &UNITS).ok(),
            transport: mirror::find(target, &UNITS).ok(),
            cache: mirror::find(target, &UNITS).ok(),
            metadata_stream: mirror::find(target, &UNITS).ok(),
            ring: mirror::find(target, &UNITS)?,
            hot: mirror::find(target, &UNITS)?,
            cold: mirror::find(target, &UNITS)?,
            slot: mirror::find(target, &UNITS)?,
            count: mirror::find(target, &UNITS).ok(),
            pages: mirror::find(target, &UNITS)?,
            page: mirror::find(target, &UNITS)?,
            packet_header_size: header.map(|header| header.end.offset).or(numbered),
            buffer,
        })
    }
}

/// Forgives what is missing unless it is needed.
fn if_not<T>(needed: bool) -> impl FnOnce(Cause) -> Result<Option<T>, Cause> {
    move |cause| if needed { Err(cause) } else { Ok(None) }
}
