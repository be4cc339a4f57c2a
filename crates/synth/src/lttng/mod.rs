//! Kernels that died with LTTng 2.x sessions in their memory.
//!
//! ```
//! use synth::lttng::{Crash, Release, Tracer};
//!
//! let dead = Tracer::new(Release::V2_13).overwrite(true).events(500).crash(Crash::Reserved).build();
//! let stream = &dead.sessions[0].channels[0].streams[0];
//! let open = stream.packets.last().unwrap();
//! assert!(!open.closed && open.valid.len() as u64 <= open.reserved);
//! let core = synth::core::Elf::kdump().write(&dead.kernel).bytes();   // as for any other kernel
//! assert!(core.starts_with(b"\x7fELF"));
//! ```
//!
//! * [`Release`]: whose structures; [`Tracer`]: what is traced and where writers and readers stop.
//! * [`DeadTracer`]: the kernel, for the core and debuginfo writers, and the truth, from the simulation's own bookkeeping.
//! * Metadata are TSDL that fit the packets: what is extracted can be decoded.

mod daemon;
mod place;
mod release;
mod ring;
mod tracer;
mod truth;
mod tsdl;

pub use release::Release;
pub use ring::{Crash, Reader};
pub use tracer::Tracer;
pub use truth::{ChannelTruth, DeadTracer, PacketTruth, SessionTruth, State, StreamTruth};
