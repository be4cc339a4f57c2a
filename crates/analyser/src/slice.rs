//! Small cores of a kernel: only what was read of the large one.
//!
//! ```no_run
//! use analyser::slice::{Format, Keep};
//! use analyser::{Kernel, OpenOptions, Routes};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kernel = Kernel::open(&OpenOptions {
//!     cores: vec!["vmcore".into()],
//!     debuginfo: vec!["vmlinux".into()],
//!     record_reads: Some(Format::Elf),
//!     ..Default::default()
//! })?;
//! let names = kernel.traces(Routes::ALL).traces.len(); // or any other work
//! let written = kernel.write_slice(&[], Format::Elf, Keep::Bytes, std::fs::File::create("small")?, &mut |_, _| {})?;
//! println!("{names} traces are found in {} pages", written.pages);
//! # Ok(())
//! # }
//! ```

use std::io::{Seek, Write};

pub use vmcore::Codec;
pub use vmcore::write::{Format, Keep, WriteError, Written};

use crate::error::{Error, Result};
use crate::kernel::Kernel;

impl Kernel {
    /// Writes the memory that was read so far, by opening and by all work since, as a core of its own; and what was read of `others`, which
    /// are the same core opened with other type information.
    ///
    /// The same work on it finds the same. `progress` is told how many pages are written, and of how many.
    ///
    /// Errors: the output cannot be written; the core cannot be read any more. Without
    /// [`record_reads`](crate::OpenOptions::record_reads) the core is empty. Cost: each page is read and encoded once.
    pub fn write_slice(
        &self,
        others: &[Kernel],
        format: Format,
        keep: Keep,
        out: impl Write + Seek,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Written> {
        let reads = others.iter().fold(self.core().reads(), |reads, other| reads.and(other.core().reads()));
        vmcore::write::slice(self.core(), reads, format, keep, out, progress).map_err(Error::Slice)
    }
}
