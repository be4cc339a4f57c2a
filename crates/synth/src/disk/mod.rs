//! The trace directory that the daemon had written when the machine crashed, whole or torn on request.
//!
//! ```
//! use synth::disk::{Damage, DiskTrace, Reason};
//! use synth::{Era, Fill, Kernel, Reader};
//!
//! let dead = Kernel::new(Era::C).fill(Fill::SubBuffers(6.5)).reader(Reader::Keeps(1)).build();
//! let disk = DiskTrace::of(&dead).damage("kernel_0", Damage::ShortTail { keep: 700 });
//!
//! // What is on disk, and what must become of it:
//! let outcome = disk.outcome();
//! let file = outcome.file("kernel_0");
//! assert_eq!(file.bytes.len(), 4 * 4096 + 700);
//! assert_eq!((file.cuts[0].range.clone(), file.cuts[0].reason), (4 * 4096..4 * 4096 + 700, Reason::Partial));
//! // The core still holds the record that was torn, so that nothing is missing in the end.
//! assert_eq!((file.kept.len(), file.merged.len(), file.lost.clone()), (4, 7 * 4096, Some(vec![])));
//! ```
//!
//! * [`DiskTrace`]: one file per stream, in the layout of the format's era; [`DiskTrace::write`] puts it into a directory.
//! * [`Damage`]: every way in which a crash tears a file, by name.
//! * [`Outcome`]: for each file what is to be kept, cut, added and given up, and the bytes of the repaired and of the merged
//!   file. It comes from the bookkeeping of the simulation and of the damage, never from looking at the bytes.

mod damage;
mod outcome;
mod trace;

pub use damage::{Damage, Reason};
pub use outcome::{Cut, FileOutcome, Kept, Outcome};
pub use trace::DiskTrace;
