//! Kernel core files of every kind as physical memory, and their address translation as virtual memory
mod abi;
mod addr;
pub mod bytes;
mod cache;
mod content;
mod error;
mod extents;
mod format;
mod header;
pub mod memory;
mod notes;
mod phys;
pub mod translate;
mod vmcore;
mod vmcoreinfo;

pub use abi::{Abi, Endian, Machine, WordSize};
pub use addr::{Pfn, PhysAddr, VirtAddr};
pub use codec::Codec;
pub use error::{Error, MemoryError, PageError, Result};
pub use format::{Format, FormatKind};
pub use header::{CoreHeader, Segment, Utsname};
pub use notes::Note;
pub use phys::PhysMemory;
pub use vmcore::{OpenOptions, Vmcore};
pub use vmcoreinfo::Vmcoreinfo;
