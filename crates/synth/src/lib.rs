//! Synthetic kernels with traces of LTTng 0.x or sessions of LTTng 2.x in their memory, written as core files with debug information, for tests.
//!
//! The crate shares **no layout code with the readers**: struct layouts come from its own C declarations and layouter,
//! trace contents from its own simulation of the tracer, core files and debuginfo from its own writers. A mistake in one
//! side is so caught by the other.
//!
//! ```
//! use synth::{Crash, Era, Fill, Kernel, Mode};
//!
//! let dead = Kernel::new(Era::C)            // 64-bit little endian, trace `trace1`, channels kernel, fs, mm, 2 CPUs
//!     .mode(Mode::Overwrite)
//!     .fill(Fill::Wrapped)
//!     .crash(Crash::LastSlot { written: false })
//!     .build();
//! let core = synth::core::Elf::kdump().write(&dead).bytes();
//! let types = synth::isf::json(&dead);
//! assert!(core.starts_with(b"\x7fELF") && types.contains("ltt_chanbuf"));
//!
//! // What extraction of that core must give:
//! let stream = dead.truth().traces[0].stream("flight-kernel_0");
//! let file = stream.file();                 // the bytes of OUT/trace1/flight-kernel_0
//! assert_eq!(file.len() % 4096, 0);
//! assert_eq!(stream.sub_buffers.last().map(|s| s.rest.len()), Some(1));
//! ```
//!
//! * [`Kernel`] → [`DeadKernel`]: what kernel, which traces ([`TraceSpec`], [`ChannelSpec`]), how far the buffers are
//!   written ([`Fill`]), what the daemon does ([`Reader`]), where the writers stop ([`Crash`]).
//! * [`Truth`]: everything planted, from the simulation's bookkeeping.
//! * [`core`]: ELF and kdump-compressed files, flattened, split, truncated.
//! * [`isf`], [`dwarf`]: debug information; [`dwarf::DebugInfo::module`] for tracers built as modules.
//! * [`disk`]: the trace directory that the daemon had written by then, whole or torn.
//! * [`lttng`]: kernels with LTTng 2.x sessions.
//! * [`corrupt`]: damage for hostile tests. [`big`]: large cores for benches.
//!
//! Everything is deterministic: the same builder gives the same bytes.
#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "builders of trusted input for tests: a kernel that cannot be built must fail loudly, at once"
)]

mod abi;
mod arch;
pub mod big;
mod build;
pub mod cdecl;
pub mod core;
pub mod corrupt;
mod debugfs;
pub mod disk;
pub mod dwarf;
mod era_a;
mod era_b;
mod era_c;
mod era_z;
mod format;
mod headers;
pub mod isf;
mod kernel;
mod layout;
pub mod lttng;
mod marker;
mod marker_table;
mod memory;
mod module;
mod page_array;
mod paging;
mod percpu;
mod place;
mod relay;
mod ring;
mod rng;
mod scenario;
mod space;
mod tables;
mod truth;
mod vmcoreinfo;

pub use abi::{Abi, Endian};
pub use arch::{Arch, Facts};
pub use build::DeadKernel;
pub use format::Clock;
pub use kernel::{ChannelSpec, Era, Kernel, Mode, TraceSpec, Writers};
pub use layout::{Layout, Member, Place, Types};
pub use marker::{Marker, Value};
pub use memory::Memory;
pub use module::{Module, ModuleShape};
pub use page_array::MemoryModel;
pub use scenario::{Crash, Fill, Reader};
pub use space::{Symbol, SymbolKind};
pub use truth::{
    DiskRecord, PlantedEvent, RelayTruth, State, StreamTruth, SubBufferTruth, TraceTruth, Truth,
};
