//! What a merge is made of.

use super::Entry;

/// One stream's entries in the order in which they were made. One implementation for each kind of trace.
///
/// Times are in one unit for all sources of a merge (LTT: cycles of the kernel's trace clock, which all its traces share).
pub(super) trait Source {
    /// Goes back to about the last `count` records. Returns the time from which on nothing of the stream is missing: 0 when all of
    /// it follows; the more records, the earlier.
    fn rewind(&mut self, count: u64) -> u64;

    /// From now on, what is older than `time` is passed over.
    fn not_before(&mut self, time: u64);

    /// Moves to the next entry and returns its time; `None` at the end.
    fn advance(&mut self) -> Option<u64>;

    /// The entry that [`advance`](Source::advance) moved to.
    fn entry(&self) -> Option<Entry<'_>>;

    /// Whether that entry is an event, of a known kind or not.
    fn is_event(&self) -> bool;
}

/// Goes to the first entry that is not older than `time`, reading no more records before it than there are after it.
pub(super) fn start_at(source: &mut dyn Source, time: u64) {
    let mut count = if time == 0 { u64::MAX } else { 1 };
    while source.rewind(count) > time {
        count = count.saturating_mul(2);
    }
    source.not_before(time);
}

/// Time of the newest event.
pub(super) fn newest(source: &mut dyn Source) -> Option<u64> {
    let mut count = 1_u64;
    loop {
        let complete_from = source.rewind(count);
        source.not_before(0);
        let mut newest = None;
        while let Some(time) = source.advance() {
            if source.is_event() {
                newest = newest.max(Some(time));
            }
        }
        if newest.is_some() || complete_from == 0 {
            return newest;
        }
        count = count.saturating_mul(2);
    }
}
