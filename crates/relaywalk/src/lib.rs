//! From a root pointer inside a dead kernel to the ordered sub-buffers of its tracing ring buffers.
//!
//! The crate is pure logic over one small trait, [`Target`]: memory, symbols and structure layouts of a crashed kernel. It
//! knows neither core files nor debug information formats, and it reads no trace content beyond the sub-buffer headers that
//! the tracer itself keeps in its rings.
//!
//! Damage never stops a walk: a missing page, a broken list or a corrupt counter loses that piece and nothing else, and is
//! reported as [`Damage`] with its place. Every list, count and allocation is bounded.

mod abi;
mod addr;
pub mod cpu;
mod damage;
pub mod debugfs;
#[cfg(test)]
mod fake;
mod layout;
pub mod list;
pub mod ltt;
pub mod markers;
mod memory;
mod mirror;
pub mod pages;
pub mod percpu;
pub mod relay;
pub mod ring;
mod routes;
mod subbuffer;
mod target;
mod vfs;
mod wanted;

pub use abi::{Abi, Endian, WordSize};
pub use addr::{PhysAddr, VirtAddr};
pub use damage::{Cause, Damage};
pub use layout::{Bits, Kind, Layout, Member, Symbol, same_unit};
pub use pages::{Hole, PageList, PageRef};
pub use routes::{Options, Routes};
pub use subbuffer::{State, SubBuffer};
pub use target::{ReadError, ReadErrorKind, Target};
pub use wanted::{Wanted, wanted};
