//! Why decoding ended before the end of a sub-buffer's events.

use std::fmt;

/// Decoding ended: what was decoded before stands, what follows cannot be delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} of the sub-buffer: {reason}")]
pub struct Stop {
    /// End of the last decoded event, counted from the start of the sub-buffer.
    pub offset: usize,
    /// What is wrong with the bytes there.
    pub reason: StopReason,
}

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// No marker with a usable format is known for this id, so the event's size is not known either.
    UnknownId(u16),
    /// The event would end after the bytes there are.
    Truncated,
    /// A string has no NUL within the bytes there are.
    Unterminated,
    /// The size in the event's header is not that of its fields.
    Size {
        /// In the header.
        declared: usize,
        /// Of the fields.
        computed: usize,
    },
    /// The full time in an event's header contradicts its low bits.
    TimeMismatch,
    /// The event is older than the one before.
    TimeBackwards(u64),
    /// The event is newer than any of this sub-buffer can be.
    TimeBeyond(u64),
    /// Zero bytes where an event's header should be: never written.
    Blank,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            StopReason::UnknownId(id) => write!(f, "expected a known event, found id {id}"),
            StopReason::Truncated => {
                write!(f, "expected a whole event, found one that ends beyond the events")
            }
            StopReason::Unterminated => write!(f, "expected a string, found no end of it"),
            StopReason::Size { declared, computed } => {
                write!(f, "expected an event of {computed} bytes, found a size of {declared}")
            }
            StopReason::TimeMismatch => write!(f, "expected one time, found two different ones in one event"),
            StopReason::TimeBackwards(tsc) => write!(f, "expected growing times, found the older one {tsc}"),
            StopReason::TimeBeyond(tsc) => write!(f, "expected a time up to the last one, found {tsc}"),
            StopReason::Blank => write!(f, "expected an event, found zero bytes"),
        }
    }
}
