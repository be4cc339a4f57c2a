//! Large cores for benches: mostly empty RAM with a few big buffers in it, written as a sparse file.

use std::path::Path;

use crate::build::DeadKernel;
use crate::core::Elf;
use crate::kernel::{ChannelSpec, Era, Kernel, Mode};
use crate::scenario::Fill;

const MIB: u64 = 1 << 20;

/// Size of a large core.
#[derive(Debug, Clone, Copy)]
pub struct Big {
    /// Bytes of RAM, and so of the file's apparent size.
    pub ram: u64,
    /// Bytes of trace buffers over both CPUs, a power of two of at least 4 MiB.
    pub trace: u64,
}

impl Default for Big {
    /// 4 GiB of RAM with 64 MiB of trace.
    fn default() -> Big {
        Big { ram: 4096 * MIB, trace: 64 * MIB }
    }
}

impl Big {
    /// The kernel: two CPUs, one flight-recorder channel in 1 MiB sub-buffers, full. Its truth names the last event of each
    /// sub-buffer only.
    pub fn kernel(&self) -> DeadKernel {
        let per_cpu = self.trace / 2 / MIB;
        Kernel::new(Era::C)
            .ram(self.ram)
            .mode(Mode::Overwrite)
            .channels([ChannelSpec::new("kernel").sub_buffers(MIB, per_cpu)])
            .fill(Fill::Full)
            .lean()
            .lifelike()
            .build()
    }

    /// Writes an ELF core with one segment for all of RAM; holes take no space on disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, path: &Path) -> std::io::Result<DeadKernel> {
        let kernel = self.kernel();
        Elf::kdump().whole_ram(true).write(&kernel).write(path)?;
        Ok(kernel)
    }
}
