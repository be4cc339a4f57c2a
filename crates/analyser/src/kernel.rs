//! The opened kernel: the type everything else hangs on.

use std::sync::Arc;

use serde::Serialize;

use crate::debuginfo::has_kernel;
use crate::log::{self, KernelLog};
use crate::matching::hex;
use crate::modules::Module;
use crate::target::View;
use crate::wanted::wanted;

/// A crashed kernel: its memory and what its bytes mean. `Send` and `Sync`; threads share it by reference.
#[derive(Debug)]
pub struct Kernel {
    core: Arc<vmcore::Vmcore>,
    view: View,
    types: kdebug::Types,
    warnings: Vec<String>,
}

/// What the core file alone tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoreSummary {
    /// File format in words.
    pub format: String,
    /// Size of the file or files, in bytes.
    pub size_bytes: u64,
    /// Architecture.
    pub machine: String,
    /// Page size in bytes.
    pub page_size: u64,
    /// Bytes of physical memory that the file holds.
    pub memory_bytes: u64,
    /// CPUs that left a register note.
    pub cpus: usize,
    /// Kernel release, from VMCOREINFO or the dump's header.
    pub release: Option<String>,
    /// Build-id from VMCOREINFO, in hex.
    pub build_id: Option<String>,
    /// Time of the crash, seconds since 1970; only kdump tells.
    pub crash_time: Option<u64>,
    /// What is odd about the file: incomplete, truncated.
    pub warnings: Vec<String>,
}

/// What memory and types tell about the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KernelSummary {
    /// Node name.
    pub nodename: Option<String>,
    /// Release.
    pub release: Option<String>,
    /// Version (build number and date).
    pub version: Option<String>,
    /// Machine name.
    pub machine: Option<String>,
    /// How virtual addresses are translated, and how that was verified.
    pub translation: String,
    /// Run-time minus link-time address.
    pub kaslr_offset: u64,
    /// Where the types come from, one line a file: `DWARF from /usr/lib/debug/boot/vmlinux-6.1.0`.
    pub types: Vec<String>,
    /// Line of the kernel log that says why the kernel died.
    pub panic: Option<String>,
    /// Last lines of the kernel log.
    pub log_tail: Vec<String>,
    /// What is odd about core and types.
    pub warnings: Vec<String>,
}

/// Lines of the kernel log in a summary.
const LOG_TAIL: usize = 10;

impl Kernel {
    pub(crate) fn new(
        core: Arc<vmcore::Vmcore>,
        view: View,
        types: kdebug::Types,
        warnings: Vec<String>,
    ) -> Kernel {
        Kernel { core, view, types, warnings }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    /// The core file.
    #[must_use]
    pub fn core(&self) -> &vmcore::Vmcore {
        &self.core
    }

    /// Physical and virtual memory.
    #[must_use]
    pub fn memory(&self) -> &vmcore::Memory {
        &self.view.memory
    }

    /// The type information.
    #[must_use]
    pub fn types(&self) -> &kdebug::Types {
        &self.types
    }

    /// Whether its words, and so the positions of ring buffers, have 32 bits.
    #[must_use]
    pub fn is_32_bit(&self) -> bool {
        self.view.memory.abi().word == vmcore::WordSize::Bits32
    }

    /// Whether any of the type information is the kernel's own, not that of modules.
    #[must_use]
    pub fn has_own_types(&self) -> bool {
        has_kernel(&self.types, &wanted())
    }

    /// What is odd about core and type information, one line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The modules that were loaded, newest first; empty when the types do not tell or none was. Where the list is broken, a warning
    /// says so.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.view.modules
    }

    /// The kernel's own log; `None` when types or memory do not allow to read it.
    #[must_use]
    pub fn log(&self) -> Option<KernelLog> {
        log::read(&self.view)
    }

    /// What the core file tells.
    #[must_use]
    pub fn core_info(&self) -> CoreSummary {
        CoreSummary { page_size: self.memory().page_size(), ..summary(&self.core) }
    }

    /// What memory and types tell about the kernel.
    #[must_use]
    pub fn kernel_info(&self) -> KernelSummary {
        self.summary_with(self.log())
    }

    /// The same with this log, or without one. The kernel's own is not read.
    #[must_use]
    pub fn summary_with(&self, log: Option<KernelLog>) -> KernelSummary {
        let log = log.unwrap_or_default();
        let skip = log.lines.len().saturating_sub(LOG_TAIL);
        let uts = self
            .view
            .symbol("init_uts_ns")
            .zip(self.view.layout_with("uts_namespace", &["name.release"]))
            .and_then(|(at, layout)| self.view.object(layout, at));
        let name = |path: &str| {
            let bytes = uts.as_ref()?.text(path).filter(|bytes| !bytes.is_empty())?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        KernelSummary {
            nodename: name("name.nodename"),
            release: name("name.release"),
            version: name("name.version"),
            machine: name("name.machine"),
            translation: self.memory().space().explain(),
            kaslr_offset: self.memory().space().kaslr_offset(),
            types: self.type_files(),
            panic: log.panic,
            log_tail: log.lines.into_iter().skip(skip).collect(),
            warnings: self.own_warnings(),
        }
    }

    /// Where the types come from, one line a file, those found in folders included.
    #[must_use]
    pub fn type_files(&self) -> Vec<String> {
        self.types.sources().iter().map(type_file).collect()
    }

    /// Without those of the core, which its own summary has.
    fn own_warnings(&self) -> Vec<String> {
        let of_core = self.core_info().warnings;
        self.warnings.iter().filter(|warning| !of_core.contains(warning)).cloned().collect()
    }
}

/// Kind and path of a file with types.
pub(crate) fn type_file(source: &kdebug::SourceInfo) -> String {
    format!("{} from {}", source.kind, source.path.display())
}

pub(crate) fn summary(core: &vmcore::Vmcore) -> CoreSummary {
    use vmcore::PhysMemory as _;
    /// ELF note type of a CPU's registers.
    const NT_PRSTATUS: u32 = 1;
    let info = core.vmcoreinfo();
    let registers = core.notes().iter().filter(|note| note.kind == NT_PRSTATUS && note.name == b"CORE");
    CoreSummary {
        format: core.format().to_string(),
        size_bytes: core.size_bytes(),
        machine: core.machine().to_string(),
        page_size: core.page_size(),
        memory_bytes: core.ranges().iter().map(|range| range.end.saturating_sub(range.start)).sum(),
        cpus: registers.count(),
        release: info
            .and_then(vmcore::Vmcoreinfo::osrelease)
            .or_else(|| core.header().utsname.as_ref().map(|names| names.release.as_slice()))
            .filter(|release| !release.is_empty())
            .map(|release| String::from_utf8_lossy(release).into_owned()),
        build_id: info.and_then(vmcore::Vmcoreinfo::build_id).map(|id| hex(&id)),
        crash_time: info.and_then(vmcore::Vmcoreinfo::crash_time),
        warnings: core.warnings().iter().map(ToString::to_string).collect(),
    }
}
