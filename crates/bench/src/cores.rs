//! The synthetic cores that are measured: one dead kernel in every format.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use codec::Codec;
use synth::big::Big;
use synth::core::{CoreFile, Elf, Kdump};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// Codecs in the order of the report.
pub const CODECS: [Codec; 4] = [Codec::Zlib, Codec::Lzo, Codec::Snappy, Codec::Zstd];

/// One kernel's core files, removed when dropped.
#[derive(Debug)]
pub struct Cores {
    directory: TempDir,
    /// Physical addresses of the pages that the kernel used, ascending.
    pub pages: Vec<u64>,
    /// Virtual addresses, and bytes at each, that only page tables translate: `struct page`s of trace pages.
    pub page_structs: Vec<u64>,
    /// Bytes of RAM.
    pub ram: u64,
    /// Bytes of trace buffers.
    pub trace: u64,
}

impl Cores {
    /// Builds a kernel with `ram` MiB of RAM and `trace` MiB of trace, and writes it into a directory below `folder`.
    ///
    /// Errors: those of the file system.
    pub fn write(folder: &Path, ram: u64, trace: u64) -> Result<Cores> {
        let size = Big { ram: ram * MIB, trace: trace * MIB };
        let kernel = size.kernel();
        let directory = tempfile::Builder::new().prefix("cores-").tempdir_in(folder)?;
        let page = kernel.facts().page_size();
        let blank = vec![0; usize::try_from(page)?];
        let used: Vec<u64> =
            kernel.memory().pages().filter(|(_, bytes)| *bytes != blank).map(|(pfn, _)| pfn * page).collect();
        let page_structs = page_structs(&kernel, &used);
        let cores = Cores { directory, pages: used, page_structs, ram: size.ram, trace: size.trace };
        put(&Elf::kdump().whole_ram(true).write(&kernel), &cores.elf())?;
        for codec in CODECS {
            let file = Kdump::new(synthetic(codec)).zero_pages(true).write(&kernel);
            put(&file, &cores.kdump(codec))?;
        }
        std::fs::write(cores.types(), synth::isf::json(&kernel))?;
        Ok(cores)
    }

    /// Where the files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// ELF, as a copy of `/proc/vmcore`; sparse.
    #[must_use]
    pub fn elf(&self) -> PathBuf {
        self.directory().join("core.elf")
    }

    /// kdump-compressed.
    #[must_use]
    pub fn kdump(&self, codec: Codec) -> PathBuf {
        self.directory().join(format!("core.kdump-{codec}"))
    }

    /// Type information, ISF.
    #[must_use]
    pub fn types(&self) -> PathBuf {
        self.directory().join("types.isf.json")
    }
}

fn synthetic(codec: Codec) -> synth::core::Codec {
    match codec {
        Codec::Raw => synth::core::Codec::Raw,
        Codec::Zlib => synth::core::Codec::Zlib,
        Codec::Lzo => synth::core::Codec::Lzo,
        Codec::Snappy => synth::core::Codec::Snappy,
        Codec::Zstd => synth::core::Codec::Zstd,
    }
}

/// Addresses of the `struct page`s of these page frames, those that are mapped.
fn page_structs(kernel: &synth::DeadKernel, pages: &[u64]) -> Vec<u64> {
    let (facts, size) = (kernel.facts(), kernel.types().get("page").size);
    let address = |page: &u64| facts.vmemmap + (page - facts.ram_base) / facts.page_size() * size;
    // A page that the simulation filled in has a use count; elsewhere in the array nothing is mapped.
    let counts = kernel.types().place("page", "_count").offset;
    let is_filled = |at: &u64| {
        let phys = kernel.phys(at + counts);
        kernel.memory().ram().contains(&phys) && kernel.memory().read(phys, 4) == 1_u32.to_le_bytes()
    };
    pages.iter().map(address).filter(is_filled).collect()
}

/// Writes a core and waits until it is on the disk, so that no measurement is disturbed by it.
fn put(core: &CoreFile, path: &Path) -> Result<()> {
    core.write(path).with_context(|| format!("writing {}", path.display()))?;
    Ok(File::open(path)?.sync_all()?)
}
