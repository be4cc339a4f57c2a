//! LTT: records of sub-buffers, from the ring of a kernel or from a trace file, to entries.

mod core;
mod file;
mod format;

pub(super) use self::core::of_trace;
pub(super) use file::of_directory;

use super::clock::Clock;
use super::stream::Label;
use crate::time::TraceClock;

fn label(trace: &str, channel: &[u8], cpu: u32, clock: TraceClock) -> Label {
    Label {
        trace: trace.to_owned(),
        channel: String::from_utf8_lossy(channel).into_owned(),
        cpu: Some(cpu),
        host: None,
        clock: Clock::Ltt(clock),
    }
}
