//! LTTng 2.x: packets of CTF, from the ring of a kernel or from a trace file, to entries.

mod core;
mod dropped;
mod file;
mod format;

pub(super) use self::core::{of_session, why_not_decoded};
pub(super) use file::of_directory;

use lttformat::ctf::TraceClass;

use super::clock::Clock;
use super::stream::Label;

fn label(trace: &str, channel: &str, cpu: Option<u32>, class: Option<&TraceClass>) -> Label {
    Label {
        trace: trace.to_owned(),
        channel: channel.to_owned(),
        cpu,
        host: class.and_then(|class| class.env_text("hostname")).map(str::to_owned),
        // Without metadata, or a clock in them, nobody knows what the cycles are.
        clock: Clock::Ctf(class.and_then(TraceClass::clock).cloned().unwrap_or(UNKNOWN)),
    }
}

/// Why events of CTF 2 are not decoded.
const CTF_2: &str = "expected metadata in TSDL (CTF 1.8), found CTF 2, whose events are not decoded: extract the trace for babeltrace 2.1 or later";

/// A clock that tells nothing.
const UNKNOWN: lttformat::ctf::Clock = lttformat::ctf::Clock {
    name: String::new(),
    uuid: None,
    description: None,
    freq: 0,
    offset_s: 0,
    offset: 0,
};
