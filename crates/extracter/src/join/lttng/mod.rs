//! Traces of LTTng 2.x: CTF.
//!
//! Beside what both families have in common: what describes all packets is a text in a file of its own, of which the core's cache may
//! know more than the disk; packets of 2.8 and later are numbered, so that what is missing between two of them is known; and each
//! data file has an index, which is made again from the packets that the file has in the end.

mod comparison;
mod core;
mod gap;
mod index;
mod metadata;
pub(crate) mod plan;
mod sequence;
mod streams;
