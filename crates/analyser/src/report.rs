//! What was found, as plain data for programs; the names are those of the JSON output.

use serde::Serialize;

use crate::kernel::{CoreSummary, Kernel, KernelSummary};
use crate::lttng::{Layouts, SessionSummary, Sessions};
use crate::model::{Channel, State, Stream, Trace, Traces};
use crate::modules::Module;

/// Everything `info` tells.
#[derive(Clone, Debug, Serialize)]
pub struct Info {
    /// The core file.
    pub core: CoreSummary,
    /// The kernel.
    pub kernel: KernelSummary,
    /// Traces of LTT 0.x.
    pub traces: Vec<TraceSummary>,
    /// Sessions of LTTng 2.x.
    pub sessions: Vec<SessionSummary>,
    /// The releases whose known layouts sessions were read with; `None`: with those of the type information.
    pub fixed_layouts: Option<String>,
    /// What belongs to no stream, one line each.
    pub damage: Vec<String>,
}

/// One trace.
#[derive(Clone, Debug, Serialize)]
pub struct TraceSummary {
    /// Name, lossy.
    pub name: String,
    /// Trace format, `2.1`; `None` when no header can be read.
    pub version: Option<String>,
    /// Whether it was recording.
    pub active: bool,
    /// Name of the transport.
    pub transport: String,
    /// Ways that led to it.
    pub found_by: String,
    /// Clock frequency; unit by `freq_scale`.
    pub start_freq: u64,
    /// Scale of the frequency.
    pub freq_scale: u32,
    /// Cycle counter when the trace was made.
    pub start_tsc: u64,
    /// Wall clock when the trace was made, seconds since 1970.
    pub start_time_sec: u64,
    /// Microseconds of that second.
    pub start_time_usec: u64,
    /// Event formats known.
    pub markers: usize,
    /// Its streams.
    pub streams: Vec<StreamSummary>,
}

/// One stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamSummary {
    /// Path below the trace, lossy.
    pub path: String,
    /// Name of its channel.
    pub channel: String,
    /// CPU number.
    pub cpu: u32,
    /// Whether it overwrites its oldest data.
    pub overwrite: bool,
    /// Bytes of one sub-buffer.
    pub sub_buffer_size: u64,
    /// Sub-buffers in the ring.
    pub sub_buffer_count: u64,
    /// Free-running position of the next reservation; `None` when it is lost.
    pub write_position: Option<u64>,
    /// Free-running position up to which the daemon had consumed; `None` when it is lost.
    pub consumed_position: Option<u64>,
    /// Sub-buffers that are complete and unread.
    pub ready: usize,
    /// Sub-buffers that were being written.
    pub open: usize,
    /// Sub-buffers that were left incomplete.
    pub stalled: usize,
    /// Sub-buffers that were consumed and are still intact.
    pub consumed: usize,
    /// Sub-buffers that were never written.
    pub never_used: usize,
    /// Events that the tracer dropped.
    pub events_lost: u64,
    /// Sub-buffers that the tracer knew to be corrupt.
    pub corrupted_sub_buffers: u64,
    /// Whether the buffer had been flushed for destruction.
    pub finalized: bool,
    /// What was lost or looked wrong, one line each.
    pub damage: Vec<String>,
}

impl Kernel {
    /// Everything known about core, kernel and the traces and sessions found in it.
    #[must_use]
    pub fn info(&self, traces: &Traces, sessions: &Sessions) -> Info {
        // That the types of LTT 0.x are missing is no damage where it is not.
        let is_ltt = |module: &Module| module.name.starts_with("ltt_") || module.name.starts_with("ltt-");
        let of_traces = Some(&traces.damage);
        let of_traces = of_traces.filter(|_| !traces.is_absent() || self.modules().iter().any(is_ltt));
        let damage = of_traces.into_iter().flatten().chain(&sessions.damage);
        Info {
            core: self.core_info(),
            kernel: self.kernel_info(),
            traces: traces.traces.iter().map(TraceSummary::from).collect(),
            sessions: sessions.sessions.iter().map(SessionSummary::from).collect(),
            fixed_layouts: match sessions.layouts {
                Layouts::Fixed(releases) => Some(releases.to_owned()),
                Layouts::DebugInformation => None,
            },
            damage: damage.map(ToString::to_string).collect(),
        }
    }
}

impl From<&Trace> for TraceSummary {
    fn from(trace: &Trace) -> TraceSummary {
        let clock = trace.clock();
        TraceSummary {
            name: trace.name().into_owned(),
            version: trace.version().map(|version| version.to_string()),
            active: trace.active(),
            transport: trace.transport().into_owned(),
            found_by: trace.found_by().to_string(),
            start_freq: clock.start_freq,
            freq_scale: clock.freq_scale,
            start_tsc: clock.start_tsc,
            start_time_sec: clock.start_time_sec,
            start_time_usec: clock.start_time_usec,
            markers: trace.markers().map_or(0, lttformat::ltt::Markers::len),
            streams: trace.streams().map(|(channel, stream)| stream_summary(channel, stream)).collect(),
        }
    }
}

fn stream_summary(channel: &Channel, stream: &Stream) -> StreamSummary {
    let count = |state| stream.sub_buffers().iter().filter(|sub| sub.state() == state).count();
    let known = |position| (!stream.positions_lost()).then_some(position);
    StreamSummary {
        path: stream.label(),
        channel: channel.name().into_owned(),
        cpu: stream.cpu(),
        overwrite: channel.overwrite(),
        sub_buffer_size: channel.sub_buffer_size(),
        sub_buffer_count: channel.sub_buffer_count(),
        write_position: known(stream.write_position()),
        consumed_position: known(stream.consumed_position()),
        ready: count(State::Ready),
        open: count(State::Open),
        stalled: count(State::Stalled),
        consumed: count(State::Consumed),
        never_used: count(State::NeverUsed),
        events_lost: stream.events_lost(),
        corrupted_sub_buffers: stream.corrupted_sub_buffers(),
        finalized: stream.finalized(),
        damage: stream.damage().iter().map(ToString::to_string).collect(),
    }
}
