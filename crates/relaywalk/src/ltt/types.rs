//! Structures of the tracer, under the names of all eras, and which era a kernel belongs to.

use super::header::HeaderShape;
use crate::mirror::{self, mirrors};
use crate::vfs::Vfs;
use crate::{Cause, Kind, Target};

mirrors! {
    /// Root of the list of traces.
    Traces = "ltt_traces" { needs { head: "head" } may {} }
    /// One trace.
    TraceMirror = "ltt_trace" | "ltt_trace_struct" {
        needs { list: "list", name: "trace_name" }
        may {
            active: "active", mode: "mode", transport: "transport",
            channels: "channels", nr_channels: "nr_channels",
            freq_scale: "freq_scale", start_freq: "start_freq", start_tsc: "start_tsc",
            start_monotonic: "start_monotonic", start_sec: "start_time.tv_sec", start_usec: "start_time.tv_usec",
            trace_root: "dentry.trace_root",
        }
    }
    /// Named way of moving trace data.
    Transport = "ltt_transport" { needs { name: "name" } may {} }
    /// One channel of a trace.
    ChannelMirror = "ltt_chan" | "ltt_channel_struct" {
        needs { trace: "a.trace" | "trace", name: "a.filename" | "channel_name", overwrite: "overwrite" }
        may {
            active: "active", alloc: "a", buf: "a.buf" | "buf", relay: "trans_channel_data",
            subbuffer_size: "a.sb_size", n_subbuffers: "a.n_sb", extra_reader: "a.extra_reader_sb",
            order: "a.n_sb_order" | "n_subbufs_order", commit_mask: "commit_count_mask",
        }
    }
    /// Relay channel behind a channel, before era C.
    Rchan = "rchan" {
        needs {
            version: "version", subbuffer_size: "subbuf_size", n_subbuffers: "n_subbufs",
            private: "private_data", buf: "buf", list: "list",
        }
        may { extra_reader: "extra_reader_sb", is_global: "is_global", last_toobig: "last_toobig" }
    }
    /// Page container of one CPU, before era C.
    RchanBuf = "rchan_buf" {
        needs { chan: "chan", cpu: "cpu", page_count: "page_count" }
        may {
            dentry: "dentry", finalized: "finalized", position: "chan_private",
            list: "pages", write_page: "wpage",
            writer: "rchan_wsb", reader: "rchan_rsb.pages", flat: "_pages", flat_virt: "_virt",
            start: "start", page_array: "page_array",
        }
    }
    /// Positions of one CPU; from era C on they contain the page container. Up to three definitions in one kernel.
    Position = "ltt_chanbuf" | "ltt_channel_buf_struct" {
        needs { offset: "offset", consumed: "consumed", commit_count: "commit_count" }
        may {
            commit_seq: "commit_seq", last_tsc: "last_tsc", active_readers: "active_readers",
            events_lost: "events_lost", corrupted: "corrupted_subbuffers", finalized: "finalized",
            writer: "a.buf_wsb", reader: "a.buf_rsb.pages", flat: "a._pages", flat_virt: "a._virt",
            nr_pages: "a.nr_pages", dentry: "a.dentry", chan: "a.chan", cpu: "a.cpu", allocated: "a.allocated",
        }
    }
    /// Commit counters of one sub-buffer, where there are several.
    CommitCounters = "commit_counters" { needs { committed: "cc", delivered: "cc_sb" } may {} }
    /// Page of a buffer that is a list.
    BufPage = "buf_page" { needs { page: "page", buf: "buf", offset: "offset", list: "list" } may {} }
    /// Page table of one sub-buffer.
    SbTable = "chanbuf_sb" | "rchan_sb" { needs { pages: "pages" } may {} }
    /// Entry of such a table.
    SbPage = "chanbuf_page" | "rchan_page" { needs { virt: "virt", page: "page" } may {} }
}

/// Generation of structure layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Era {
    /// Buffers of the kernel's own relay, mapped contiguously.
    Z,
    /// Buffers that are a list of pages.
    A,
    /// Buffers of which only the debug information knows how they hold their pages.
    Unknown,
    /// Relay channels with a page table for each sub-buffer.
    B,
    /// Channels without relay, with a page table for each sub-buffer.
    C,
}

/// Everything resolved for one kernel.
#[derive(Debug)]
pub(crate) struct Types {
    pub(crate) era: Era,
    pub(crate) trace: TraceMirror,
    pub(crate) transport: Option<Transport>,
    pub(crate) channel: ChannelMirror,
    pub(crate) rchan: Option<Rchan>,
    pub(crate) rchan_buf: Option<RchanBuf>,
    pub(crate) commit: Option<CommitCounters>,
    pub(crate) buf_page: Option<BufPage>,
    pub(crate) table: Option<SbTable>,
    pub(crate) entry: Option<SbPage>,
    pub(crate) headers: Vec<HeaderShape>,
    pub(crate) vfs: Option<Vfs>,
}

/// Units that hold the tracer's own definitions, whatever the transport.
const UNITS: [&str; 11] = [
    "ltt-relay-alloc",
    "ltt-relay",
    "ltt-relay-lockless",
    "ltt-relay-locked",
    "ltt-relay-irqoff",
    "ltt-relay-vfs",
    "ltt-ring-buffer-client",
    "ltt-tracer",
    "ltt-core",
    "ltt-channels",
    "ltt-trace-control",
];

impl Types {
    /// Resolves the tracer's types; what is missing otherwise.
    pub(crate) fn new(target: &dyn Target) -> Result<Types, Cause> {
        let trace = mirror::find::<TraceMirror>(target, &UNITS)?;
        let channel = mirror::find::<ChannelMirror>(target, &UNITS)?;
        let bufs = mirror::all::<RchanBuf>(target, &UNITS);
        let era = era(target, &bufs)?;
        let fits = |buf: &&RchanBuf| match era {
            Era::Z => buf.start.is_some() && buf.page_array.is_some(),
            Era::A => is_page_list(buf),
            Era::Unknown => buf.start.is_none(),
            Era::B => buf.writer.is_some(),
            Era::C => false,
        };
        let rchan_buf = bufs.iter().find(fits).cloned();
        // Two definitions of a relay channel share a name; the kernel's own one has members that the tracer's copy dropped.
        let rchans = mirror::all::<Rchan>(target, &UNITS);
        let generic = |rchan: &&Rchan| rchan.is_global.is_some() || rchan.last_toobig.is_some();
        let own = rchans.iter().find(|rchan| generic(rchan) == (era == Era::Z));
        let rchan = own.or(rchans.first()).filter(|_| era != Era::C).cloned();
        Ok(Types {
            era,
            trace,
            channel,
            rchan,
            rchan_buf,
            transport: mirror::find(target, &UNITS).ok(),
            commit: mirror::find(target, &UNITS).ok(),
            buf_page: mirror::find(target, &UNITS).ok(),
            table: mirror::find(target, &UNITS).ok(),
            entry: mirror::find(target, &UNITS).ok(),
            headers: HeaderShape::of(target),
            vfs: Vfs::new(target).ok(),
        })
    }

    /// Definitions of the position structure, the transport's own first: two transports may use different ones of the same name.
    pub(crate) fn positions(&self, target: &dyn Target, transport: &[u8]) -> Vec<Position> {
        let transport = String::from_utf8_lossy(transport);
        // Not `UNITS`: another transport's definition can pass for this one's as long as nothing was consumed.
        let units = [format!("ltt-{transport}"), format!("ltt-{transport}-lockless")];
        mirror::all::<Position>(target, &[&units[0], &units[1]])
            .into_iter()
            .filter(|position| (self.era == Era::C) == position.writer.is_some())
            .collect()
    }
}

fn is_page_list(buf: &RchanBuf) -> bool {
    let embedded = buf.list.as_ref().is_some_and(|list| !matches!(list.kind, Kind::Pointer { .. }));
    embedded && buf.write_page.is_some()
}

fn era(target: &dyn Target, bufs: &[RchanBuf]) -> Result<Era, Cause> {
    if !target.layouts("ltt_chanbuf").is_empty() {
        return Ok(Era::C);
    }
    if bufs.iter().any(|buf| buf.writer.is_some()) {
        return Ok(Era::B);
    }
    if bufs.iter().any(is_page_list) {
        return Ok(Era::A);
    }
    if bufs.iter().any(|buf| buf.start.is_none()) {
        return Ok(Era::Unknown);
    }
    let classic = bufs.iter().any(|buf| buf.page_array.is_some());
    if classic { Ok(Era::Z) } else { Err(Cause::MissingType { name: "struct rchan_buf".into() }) }
}
