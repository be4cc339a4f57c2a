//! Small cores: of a large one, what somebody read of it, at the same addresses.
//!
//! ```text
//!   Vmcore::record_reads(format) ──► any work on it ──► slice(reads) ──► a core in which the same work reads the same bytes
//! ```
//!
//! What is in a slice:
//!
//! - The pages that were read, at their physical addresses, or with [`Keep::Bytes`] only the bytes that were read: all others
//!   of these pages are zeros.
//! - That a page was tried and is missing, with the reason as far as the format can tell it. A kdump-compressed file
//!   keeps excluded, absent, lost and corrupt pages apart, truncated ones become lost. An ELF file knows excluded and absent,
//!   the others become absent.
//! - Of the notes VMCOREINFO, which tells nothing but the layout of the kernel. All others are there, but as zeros: registers hold
//!   anybody's data. What remains of QEMU's are the two registers that the kernel is found by.
//! - The memory map of an ELF core and the header fields of a kdump-compressed one, without the names of host and
//!   domain.
//!
//! A slice of a slice is the same file.
//!
//! | concern | file |
//! |---|---|
//! | what the headers can tell in each format | `headers.rs` |
//! | which pages, and what is in them | `pages.rs` |
//! | the formats | `elf.rs`, `kdump.rs`, with `notes.rs` |
//! | integers in the machine's order | `fields.rs` |

mod elf;
mod fields;
mod headers;
mod kdump;
mod notes;
mod pages;

use crate::{Codec, MemoryError, Reads, Vmcore};
use pages::Pages;
use std::fmt;
use std::io::{self, Seek, Write};

pub(crate) use headers::headers_held;

/// The format of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// ELF core.
    Elf,
    /// kdump-compressed, header version 6. Pages that a codec does not make shorter are stored raw.
    Kdump(Codec),
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Format::Elf => f.write_str("ELF"),
            Format::Kdump(codec) => write!(f, "kdump-compressed, {codec}"),
        }
    }
}

/// What is kept of a page that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// All of it.
    Pages,
    /// The bytes that were read.
    Bytes,
}

/// What is in a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Pages of memory.
    pub pages: u64,
    /// Pages that are marked as missing.
    pub missing: u64,
    /// Bytes of memory that were read; all others are zeros with [`Keep::Bytes`].
    pub bytes_read: u64,
    /// Length of the file.
    pub file_bytes: u64,
}

/// Why there is no slice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The format has no way to tell something that matters.
    #[error("a file in the format {format} cannot hold {what}")]
    Format {
        /// The format.
        format: Format,
        /// What it cannot hold.
        what: String,
    },
    /// What could be read before cannot be read any more.
    #[error("the core changed while it was read: {0}")]
    Changed(MemoryError),
    /// The file cannot be written.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Writes `reads` of `core`: those [since](Vmcore::reads) its [`Vmcore::record_reads`], which was given the same format, and any others.
///
/// `out` is written from its position 0 on, and must be empty. `progress` is told the number of pages written so far,
/// and how many there are.
///
/// Errors: the output cannot be written; the format cannot hold the machine; the core changed.
///
/// Cost: reads and encodes each page once. In memory: 8 bytes for each page, 32 in a kdump-compressed file.
pub fn slice(
    core: &Vmcore,
    reads: Reads,
    format: Format,
    keep: Keep,
    out: impl Write + Seek,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Written, WriteError> {
    let pages = Pages::new(core, reads, keep);
    let mut out = io::BufWriter::with_capacity(1 << 20, out);
    let file_bytes = match format {
        Format::Elf => elf::write(&pages, &mut out, progress)?,
        Format::Kdump(codec) => kdump::write(&pages, codec, &mut out, progress)?,
    };
    out.flush()?;
    Ok(Written {
        pages: pages.frames().len() as u64,
        missing: pages.missing().len() as u64,
        bytes_read: pages.bytes_read(),
        file_bytes,
    })
}
