//! Opening: core file and type information become one [`Kernel`].

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use relaywalk::Symbol;

use crate::debuginfo::{CoreIdentity, Debuginfo};
use crate::error::{Error, Result};
use crate::input::readable;
use crate::kernel::{self, CoreSummary, Kernel};
use crate::matching::{CoreSide, TypesSide, check, check_modules, check_release};
use crate::target::View;
use crate::wanted::wanted;
use crate::{modules, notes};

/// The core says where its kernel is, and holds nothing to check that by.
const UNVERIFIED: &str = "the kernel's place in memory is not verified: expected init_uts_ns, linux_banner or its page tables in the core, \
     found none";

/// What to open and how.
///
/// ```no_run
/// let options = analyser::OpenOptions {
///     cores: vec!["/var/crash/vmcore".into()],
///     debuginfo: vec!["/usr/lib/debug/boot/vmlinux-2.6.27".into()],
///     ..Default::default()
/// };
/// let kernel = analyser::Kernel::open(&options)?;
/// # Ok::<(), analyser::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The core file; several are the parts of one split dump, in any order.
    pub cores: Vec<PathBuf>,
    /// Type information: vmlinux or `.debug` with DWARF, `.ko` modules, raw BTF, ISF JSON, each plain or compressed by gzip, xz or zstd.
    /// Several are layered. A folder is searched for the files of the tracers' modules that were loaded, and for the kernel's own if
    /// no file is; see [`Kernel::types`] for what was found.
    pub debuginfo: Vec<PathBuf>,
    /// Go on although core and type information do not match.
    pub force: bool,
    /// VMCOREINFO text to use instead of the core's.
    pub vmcoreinfo: Option<PathBuf>,
    /// Run-time minus link-time address of the kernel, if known.
    pub kaslr: Option<u64>,
    /// Physical load offset of the kernel, if known.
    pub phys_base: Option<u64>,
    /// Read with `pread` instead of mapping the core.
    pub no_mmap: bool,
    /// Write down what is read, for [`Kernel::write_slice`] in this format.
    pub record_reads: Option<crate::slice::Format>,
}

impl OpenOptions {
    pub(crate) fn open_core(&self) -> Result<vmcore::Vmcore> {
        if self.cores.is_empty() {
            return Err(Error::NoCore);
        }
        self.cores.iter().try_for_each(|path| readable(path))?;
        let options = vmcore::OpenOptions { no_mmap: self.no_mmap, ..Default::default() };
        let mut core = vmcore::Vmcore::open(&self.cores, &options).map_err(Error::Core)?;
        if let Some(format) = self.record_reads {
            core.record_reads(format).map_err(Error::Slice)?;
        }
        Ok(core)
    }

    fn read_vmcoreinfo(&self) -> Result<Option<vmcore::Vmcoreinfo>> {
        let Some(path) = &self.vmcoreinfo else { return Ok(None) };
        let text = std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let info = vmcore::Vmcoreinfo::parse(&text);
        // Every kernel's begins with it. Without, this is another file, and the core's own would go unread for nothing.
        if info.osrelease().is_none() {
            return Err(Error::NotVmcoreinfo { path: path.clone() });
        }
        Ok(Some(info))
    }
}

impl Kernel {
    /// What a core tells without any type information.
    ///
    /// Errors: as for opening the core.
    pub fn core_summary(options: &OpenOptions) -> Result<CoreSummary> {
        Ok(kernel::summary(&options.open_core()?))
    }

    /// Opens core and type information, finds the kernel in memory and verifies that both belong together.
    ///
    /// Errors: a file that cannot be read or understood; a kernel that cannot be found in memory with any method;
    /// [`Error::Mismatch`] unless `force` is set. Cost: headers and bitmaps of the core; one pass over the type information.
    pub fn open(options: &OpenOptions) -> Result<Kernel> {
        Kernel::assemble(options.open_core()?, Debuginfo::open(&options.debuginfo)?, options)
    }

    /// The same for a core and type information that are open already; the paths in `options` are not looked at.
    ///
    /// Errors and cost: as [`Kernel::open`].
    pub fn from_parts(
        core: vmcore::Vmcore,
        debuginfo: Vec<kdebug::Input>,
        options: &OpenOptions,
    ) -> Result<Kernel> {
        Kernel::assemble(core, Debuginfo::of(debuginfo), options)
    }

    fn assemble(core: vmcore::Vmcore, mut debuginfo: Debuginfo, options: &OpenOptions) -> Result<Kernel> {
        if debuginfo.is_empty() {
            return Err(Error::NoDebuginfo);
        }
        let core = Arc::new(core);
        let wanted = wanted();
        let vmcoreinfo = options.read_vmcoreinfo()?;
        let mut warnings: Vec<String> = core.warnings().iter().map(ToString::to_string).collect();
        let identity = core_identity(&core, vmcoreinfo.as_ref());
        let mut types = debuginfo.load(&identity, &wanted, options.force, &mut warnings)?;

        let theirs = TypesSide {
            build_id: types.build_id().map(<[u8]>::to_vec),
            banner: types.constant("linux_banner").map(<[u8]>::to_vec),
        };
        let mut ours = CoreSide {
            build_id: core.vmcoreinfo().and_then(vmcore::Vmcoreinfo::build_id),
            release: core.vmcoreinfo().and_then(release),
            banner: None,
        };
        // Before the search in memory, which a wrong kernel's symbols can only send astray.
        check_machine(&core, &types)?;
        accept(check_release(&ours, &theirs), options.force, &mut warnings)?;

        let hints = vmcore::Hints {
            symbol: &|name| {
                types.symbols(name).iter().find(|symbol| symbol.module.is_none()).map(|s| s.value)
            },
            banner: theirs.banner.as_deref().filter(|_| !options.force),
            kaslr: options.kaslr,
            phys_base: options.phys_base,
            vmcoreinfo,
        };
        let space = vmcore::AddressSpace::locate(&core, &hints)
            .map_err(|source| Error::Translation { source, warnings: core.warnings().to_vec() })?;
        if !space.is_verified() {
            warnings.push(UNVERIFIED.to_owned());
        }
        let memory = vmcore::Memory::new(Arc::clone(&core), space);
        let mut view = View::new(memory, &types, &wanted);
        add_symbols(&mut view, &types, &wanted);
        let modules::Modules { modules, broken } = modules::read(&view);
        if let Some(at) = broken {
            warnings.push(format!("list of modules: expected a module at {at:#x}, found none"));
        }
        warnings.extend(check_modules(&modules, &types));
        let files = debuginfo.modules(&modules, &types, options.force);
        warnings.extend(files.warnings);
        for file in files.inputs {
            // One that cannot be read costs its own types.
            let extended = types.extend(std::slice::from_ref(&file), debuginfo.inputs(), &wanted);
            warnings.extend(extended.err().map(|error| error.to_string()));
        }
        warnings.extend(types.warnings().iter().cloned());
        view.set_types(&types, &wanted);
        view.modules = modules;
        add_module_symbols(&mut view, &types, &wanted);
        add_constants(&mut view);

        if let (Some(at), Some(theirs)) = (view.symbol("linux_banner"), &theirs.banner) {
            ours.banner = view.bytes(at, theirs.len());
        }
        let info = view.memory.space().vmcoreinfo();
        let stated = ours.build_id.take().or_else(|| info.and_then(vmcore::Vmcoreinfo::build_id));
        ours.build_id = notes::build_id(&view).or(stated);
        ours.release = ours.release.take().or_else(|| info.and_then(release));
        accept(check(&ours, &theirs), options.force, &mut warnings)?;
        accept(check_symbols(view.memory.space()), options.force, &mut warnings)?;
        Ok(Kernel::new(core, view, types, warnings))
    }
}

/// What the core says of its kernel, in the VMCOREINFO that is used.
fn core_identity(core: &vmcore::Vmcore, instead: Option<&vmcore::Vmcoreinfo>) -> CoreIdentity {
    let info = instead.or_else(|| core.vmcoreinfo());
    CoreIdentity { build_id: info.and_then(vmcore::Vmcoreinfo::build_id), release: info.and_then(release) }
}

fn release(info: &vmcore::Vmcoreinfo) -> Option<String> {
    info.osrelease().map(|release| String::from_utf8_lossy(release).into_owned())
}

/// Word size and byte order must agree; nothing can be read through the types of another machine, so `force` does not help.
fn check_machine(core: &vmcore::Vmcore, types: &kdebug::Types) -> Result<()> {
    use vmcore::PhysMemory as _;
    let abi = core.abi();
    let bits = 8 * abi.word_bytes() as u64;
    if let Some(theirs) =
        types.pointer_size().map(|bytes| bytes.saturating_mul(8)).filter(|theirs| *theirs != bits)
    {
        return Err(Error::Mismatch {
            what: "word size",
            core: format!("{bits} bits"),
            types: format!("{theirs} bits"),
        });
    }
    let little = abi.endian == vmcore::Endian::Little;
    if let Some(theirs) =
        types.endian().map(|endian| endian == kdebug::Endian::Little).filter(|t| *t != little)
    {
        let name = |little| if little { "little endian" } else { "big endian" }.to_owned();
        return Err(Error::Mismatch { what: "byte order", core: name(little), types: name(theirs) });
    }
    Ok(())
}

/// Symbols that were seen to be elsewhere belong to another build, or were moved by a wrong offset.
fn check_symbols(space: &vmcore::AddressSpace) -> Result<()> {
    if space.symbols_fit() {
        return Ok(());
    }
    Err(Error::Displaced)
}

/// A mismatch is an error, or with `force` a warning.
fn accept(outcome: Result<()>, force: bool, warnings: &mut Vec<String>) -> Result<()> {
    match outcome {
        Err(mismatch) if force => {
            let warning = mismatch.to_string();
            // The release is compared again when the banner is known.
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
            Ok(())
        }
        outcome => outcome,
    }
}

/// Symbols of the image at run-time addresses: they move with KASLR.
fn add_symbols(view: &mut View, types: &kdebug::Types, wanted: &kdebug::Wanted) {
    let kaslr = view.memory.space().kaslr_offset();
    let mask = view.memory.abi().word_mask();
    for name in &wanted.symbols {
        for symbol in types.symbols(name).iter().filter(|symbol| symbol.module.is_none()) {
            let addr = if symbol.absolute { symbol.value } else { symbol.value.wrapping_add(kaslr) & mask };
            view.add_symbol(name, Symbol { addr, unit: symbol.unit.clone() });
        }
    }
}

/// Symbols of modules at run-time addresses: as their files say, relative to where their sections were loaded, then those that their
/// symbol tables in memory know beyond that.
fn add_module_symbols(view: &mut View, types: &kdebug::Types, wanted: &kdebug::Wanted) {
    let mask = view.memory.abi().word_mask();
    for name in &wanted.symbols {
        for symbol in types.symbols(name) {
            let (Some(module), Some(section)) = (&symbol.module, &symbol.section) else { continue };
            let loaded = view.modules.iter().find(|loaded| relaywalk::same_unit(&loaded.name, module));
            if let Some(base) = loaded.and_then(|loaded| loaded.sections.get(section)) {
                let addr = base.wrapping_add(symbol.value) & mask;
                let unit = symbol.unit.clone().or_else(|| Some(module.clone()));
                view.add_symbol(name, Symbol { addr, unit });
            }
        }
    }
    let names: HashSet<&str> = wanted.symbols.iter().map(String::as_str).collect();
    let holders = relaywalk::wanted();
    let found = modules::symbols(view, |module| holders.has_module(&module.name), &names);
    for (symbol, module) in found {
        if view.symbol_addrs(&symbol.name).all(|known| known != symbol.addr) {
            view.add_symbol(&symbol.name, Symbol { addr: symbol.addr, unit: Some(module) });
        }
    }
}

/// Numbers that come from VMCOREINFO or from variables rather than from types.
fn add_constants(view: &mut View) {
    let mut found: Vec<(&str, u64)> = Vec::new();
    let space = view.memory.space();
    if let Some(base) = space.direct_map_base() {
        found.push(("page_offset", base));
    }
    // Arrays of page descriptors begin with the first page of memory, which is not frame 0 everywhere.
    if let Some(start) = space.direct_map_phys() {
        found.push(("arch_pfn_offset", start.0 / view.memory.page_size().max(1)));
    }
    if let Some(info) = space.vmcoreinfo() {
        for name in ["SECTION_SIZE_BITS", "MAX_PHYSMEM_BITS", "PAGE_OFFSET"] {
            found.extend(info.number(name).map(|value| (name, value.cast_unsigned())));
        }
        found.extend(info.number("VMEMMAP_START").map(|value| ("vmemmap", value.cast_unsigned())));
    }
    if let Some(base) = view.symbol("vmemmap_base").and_then(|at| view.word(at)).filter(|base| *base != 0) {
        found.push(("vmemmap", base));
    }
    for (name, value) in found {
        view.set_constant(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_mismatch_is_a_warning_once() {
        let mismatch = || {
            Err(Error::Mismatch { what: "release", core: "2.6.27".to_owned(), types: "2.6.28".to_owned() })
        };
        let mut warnings = Vec::new();
        assert!(accept(mismatch(), false, &mut warnings).is_err() && warnings.is_empty());
        assert!(accept(mismatch(), true, &mut warnings).is_ok());
        assert!(accept(mismatch(), true, &mut warnings).is_ok());
        assert_eq!(warnings.len(), 1, "{warnings:?}");
    }
}
