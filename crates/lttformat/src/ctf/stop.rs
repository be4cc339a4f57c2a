//! Why decoding ended before the end of a packet's content.

use std::fmt;

/// Decoding ended: what was decoded before stands, what follows cannot be delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} of the packet: {reason}")]
pub struct Stop {
    /// End of the last decoded event in bytes, rounded up, counted from the start of the packet.
    pub offset: u64,
    /// What is wrong with the bytes there.
    pub reason: StopReason,
}

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The metadata declares no event of this id in the packet's stream, so its size is not known either.
    UnknownId(u64),
    /// The event would end after the content.
    Truncated,
    /// A string has no NUL within the content.
    Unterminated,
    /// A variant's tag selects none of its options.
    NoOption(i128),
    /// The stream's events have no bits at all.
    Empty,
    /// The event is later than the packet's end.
    TimeBeyond(u64),
    /// Zero bytes where an event's header should be, up to the end: never written.
    Blank,
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            StopReason::UnknownId(id) => write!(f, "expected a declared event, found id {id}"),
            StopReason::Truncated => {
                write!(f, "expected a whole event, found one that ends beyond the content")
            }
            StopReason::Unterminated => write!(f, "expected a string, found no end of it"),
            StopReason::NoOption(tag) => {
                write!(f, "expected a tag that selects an option, found {tag}")
            }
            StopReason::Empty => write!(f, "expected an event, found a stream whose events have no bits"),
            StopReason::TimeBeyond(time) => {
                write!(f, "expected a time up to the packet's end, found {time}")
            }
            StopReason::Blank => write!(f, "expected an event, found zero bytes"),
        }
    }
}
