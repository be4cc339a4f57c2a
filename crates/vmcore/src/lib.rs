//! Kernel core files of every kind as the physical memory of a dead machine, and their address translation as its
//! kernel's virtual memory.
//!
//! It reads ELF cores (copies of `/proc/vmcore`, makedumpfile's and QEMU's, `/proc/kcore`) and kdump-compressed
//! files, whole, split, flattened, incomplete or truncated, of 32 and 64 bits and both byte orders. It does not
//! know what lies in that memory: types and symbols come from elsewhere, and nothing here is about tracing. Of
//! dumps it writes small ones only: [`mod@write`] makes a core of what was read of another.
//!
//! ```
//! use vmcore::{OpenOptions, PhysAddr, PhysMemory, Vmcore};
//!
//! // A core is recognised by its content; this one has 16 bytes of memory at 0x1000.
//! let mut core = b"\x7fELF\x02\x01\x01".to_vec();
//! core.resize(64 + 56 + 16, 0);
//! core[16..20].copy_from_slice(&[4, 0, 62, 0]); // a core file, of x86-64
//! core[32] = 64; // the program headers follow the header,
//! core[54..57].copy_from_slice(&[56, 0, 1]); // and there is one:
//! for (at, field) in [(64, 1_u64), (72, 120), (88, 0x1000), (96, 16), (104, 32)] {
//!     core[at..at + 8].copy_from_slice(&field.to_le_bytes());
//! }
//! core[120..].copy_from_slice(b"last words of it");
//! let path = tempfile::NamedTempFile::new()?;
//! std::fs::write(&path, &core)?;
//!
//! let core = Vmcore::open(&[path.path()], &OpenOptions::default())?;
//! assert_eq!(core.format().to_string(), "ELF64 core");
//! let mut bytes = [0; 10];
//! core.read_phys(PhysAddr(0x1000), &mut bytes)?;
//! assert_eq!(&bytes, b"last words");
//!
//! // The segment is 32 bytes of memory, of which 16 are in the file.
//! let error = core.read_phys(PhysAddr(0x100c), &mut bytes).unwrap_err();
//! assert_eq!(error.to_string(), "0x1010: excluded from the dump");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layers
//!
//! ```text
//!   Memory                          kernel virtual memory
//!     └ AddressSpace                translation: page tables, direct map, kernel image      translate/
//!         └ PhysMemory for Vmcore   physical memory                                         vmcore, cache
//!             ├ ELF                 segments                                                format/elf, extents
//!             └ parts of a split    page frames                                             format/split
//!                 └ kdump           bitmap → descriptor → page → codec                      format/kdump, format/bitmap
//!                     └ content     the file, or a flattened stream in it                   content, format/flattened
//!                         └ source  mapping or pread                                        bytes
//! ```
//!
//! # Memory that is not there
//!
//! A page may be missing for reasons that mean different things, and [`PageError`] keeps them apart. *Absent*:
//! never memory, as far as the file knows; a pointer there is wrong. *Excluded*: memory that the dump left out on
//! purpose. In an ELF core this may be a page of zeros, in kdump-compressed files zeros are stored. *Lost*: the
//! dump lists the page, but it was never written, or it is in a part that was not given. *Truncated*: the file ends
//! before it. *Corrupt*: it is stored, but cannot be decoded. A read across pages fails at the first byte that is
//! missing; the caller decides what a hole means. Damage of the file as a whole is in [`Vmcore::warnings`], and is
//! an error of [`Vmcore::open`] only when nothing at all could be read.
//!
//! # Cost
//!
//! Opening reads headers, notes and the bitmap; a page is read and decoded when it is touched. In memory are at most
//! 8 MiB of index for the bitmap, 24 bytes for each record of a flattened stream, about a hundred for
//! each program header, and the cache ([`OpenOptions::cache_pages`]). Short reads go through a mapping of the file,
//! of which about 32 MiB at most are kept resident; long ones are `pread` ([`bytes`]). Compressed pages that follow
//! each other in the file are lent from the mapping, or without one fetched 64 KiB at a time.
//!
//! # Threads
//!
//! A [`Vmcore`] is shared by reference. Readers share the cache of decoded pages, whose locks are held for the copy
//! of one page; each thread keeps one decoder for itself.
//!
//! Unix only: files are read with `pread`, and mapped.

mod abi;
mod addr;
mod ahead;
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
mod reads;
pub mod translate;
mod vmcore;
mod vmcoreinfo;
pub mod write;

pub use abi::{Abi, Endian, Machine, WordSize};
pub use addr::{Pfn, PhysAddr, VirtAddr};
pub use codec::Codec;
pub use error::{Error, MemoryError, PageError, Result};
pub use format::{Format, FormatKind};
pub use header::{CoreHeader, Segment, Utsname};
pub use memory::Memory;
pub use notes::Note;
pub use phys::PhysMemory;
pub use reads::Reads;
pub use translate::{AddressSpace, Hints};
pub use vmcore::{OpenOptions, Vmcore};
pub use vmcoreinfo::Vmcoreinfo;
