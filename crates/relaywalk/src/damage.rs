//! Damage is data: what could not be followed, where and why, while the walk went on.

use std::fmt;

use crate::{ReadError, VirtAddr};

/// One piece that was lost during a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What was being looked at (`trace "s2", channel cpu, cpu 1`), printable.
    pub place: String,
    /// Address of the object concerned, if there is one.
    pub address: Option<VirtAddr>,
    /// What is wrong with it.
    pub cause: Cause,
}

/// What is wrong with a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Memory that cannot be read.
    Unreadable(ReadError),
    /// A linked structure comes back to a node already seen that is not its head.
    Loop,
    /// A linked structure is longer than any real one.
    TooLong {
        /// The limit that was hit, in nodes.
        limit: usize,
    },
    /// Debug information lacks something without which the piece cannot be read.
    MissingType {
        /// Structure, or structure and member.
        name: String,
    },
    /// The content contradicts itself; the text says what was expected and found.
    Implausible(String),
}

impl Damage {
    /// Damage at an address.
    pub fn new(place: impl Into<String>, address: VirtAddr, cause: impl Into<Cause>) -> Damage {
        Damage { place: place.into(), address: Some(address), cause: cause.into() }
    }

    /// Damage that has no address of its own.
    pub fn general(place: impl Into<String>, cause: impl Into<Cause>) -> Damage {
        Damage { place: place.into(), address: None, cause: cause.into() }
    }
}

impl From<ReadError> for Cause {
    fn from(error: ReadError) -> Cause {
        Cause::Unreadable(error)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(address) = self.address {
            write!(f, " at {address:#x}")?;
        }
        write!(f, ": {}", self.cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Unreadable(error) => error.fmt(f),
            Cause::Loop => f.write_str("list runs in a loop that avoids its head"),
            Cause::TooLong { limit } => write!(f, "list has more than {limit} nodes"),
            Cause::MissingType { name } => write!(f, "debug information lacks {name}"),
            Cause::Implausible(text) => f.write_str(text),
        }
    }
}
