//! From a root pointer inside a dead kernel to the ordered sub-buffers of its tracing ring buffers.
//!
//! The crate is pure logic over one small trait, [`Target`]: memory, symbols and structure layouts of a crashed kernel. It
//! knows neither core files nor debug information formats, and it reads no trace content beyond the sub-buffer headers that
//! the tracer itself keeps in its rings.
//!
//! Damage never stops a walk: a missing page, a broken list or a corrupt counter loses that piece and nothing else, and is
//! reported as [`Damage`] with its place. Every list, count and allocation is bounded.
//!
//! ```text
//!  ltt::walk ─┐                       ┌─► Trace ─► Channel ─► Stream ─► SubBuffer { position, state, pages }
//!             ├─ Target (you bring it)┤
//! lttng::walk ┤                       ├─► Session ─► Channel ─► Stream ─► Packet { position, state, used, pages }
//! relay::walk ┘                       └─► Channel ─► Stream ─► SubBuffer
//! debugfs::Tree ─► Entry              markers::walk ─► event formats
//! ```
//!
//! # Example
//!
//! With a `Target` a walk is one call: `ltt::walk(&target, &Options::default())`; what the `Target` must know in advance is listed by
//! [`wanted`]. The arithmetic beneath needs no kernel at all. A flight recorder of four sub-buffers, dead in its seventh pass:
//!
//! ```
//! use relaywalk::ring::{Counters, Ring};
//! use relaywalk::{Abi, Endian, State, WordSize};
//!
//! let abi = Abi { endian: Endian::Little, word: WordSize::Bits64 };
//! let ring = Ring::new(abi, 4096, 4, Some(u64::MAX >> 2), true).unwrap();
//! let counters = Counters {
//!     write: 0x1a080,
//!     consumed: 0x17000,
//!     committed: &[0x7000, 0x7000, 0x6080, 0x6000],
//!     delivered: None,
//!     finalized: false,
//! };
//! let slots = ring.classify(&counters, &|_index| Some(true));
//! let states: Vec<_> = slots.iter().map(|slot| (slot.position, slot.state)).collect();
//! assert_eq!(states[0], (0x17000, State::Ready));
//! assert_eq!(states[3], (0x1a000, State::Open));
//! assert_eq!((slots[3].reserved, slots[3].committed), (0x80, 0x80));
//! ```
//!
//! # Cost
//!
//! One memory read per structure; content is not read but for sub-buffer headers. Threads may walk at the same time: a walk keeps no
//! state outside itself.

mod abi;
mod addr;
pub mod cpu;
mod damage;
pub mod debugfs;
#[cfg(test)]
mod fake;
mod files;
mod layout;
pub mod list;
pub mod ltt;
pub mod lttng;
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
