//! A core, opened by content: which format it is in is this module's knowledge, and nobody's above it.

use crate::bytes::Source;
use crate::cache::PageCache;
use crate::content::Content;
use crate::error::Defect;
use crate::format::elf::ElfCore;
use crate::format::foreign::{self, Signature};
use crate::format::kdump::Kdump;
use crate::format::split::KdumpSet;
use crate::notes::{self, Note};
use crate::reads::{Reads, Recorder};
use crate::write::{self, WriteError};
use crate::{
    Abi, Codec, CoreHeader, Error, Format, FormatKind, Machine, MemoryError, PageError, PhysAddr, PhysMemory,
    Result, VirtAddr, Vmcoreinfo, WordSize,
};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How to open a core.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Do not map the file: short reads take longer, but a file that shrinks meanwhile is an error and not the end of
    /// the process. For network file systems.
    pub no_mmap: bool,
    /// How many decoded pages are kept, counted in pages of 4 KiB. Costs nothing in formats without compression.
    pub cache_pages: usize,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions { no_mmap: false, cache_pages: 1024 }
    }
}

/// The memory of a dead machine, as a core file has it.
///
/// Physical memory is read through [`PhysMemory`]. Shared by reference between threads; they share one cache of decoded
/// pages.
#[derive(Debug)]
pub struct Vmcore {
    store: Store,
    cache: PageCache,
    format: Format,
    abi: Abi,
    machine: Machine,
    page_size: u64,
    header: CoreHeader,
    notes: Vec<Note>,
    vmcoreinfo: Option<Vmcoreinfo>,
    warnings: Vec<String>,
    size_bytes: u64,
    memory_end: u64,
    recorder: Option<Recorder>,
}

/// Where the pages are.
#[derive(Debug)]
enum Store {
    Elf(Box<ElfCore>),
    Kdump(KdumpSet),
}

impl Vmcore {
    /// Opens a core; several files are the parts of a split dump, in any order.
    ///
    /// Errors: a file cannot be read, is in no known format, or contradicts itself; the files do not belong together.
    /// Damage that leaves some pages readable is no error but a [warning](Vmcore::warnings).
    ///
    /// Cost: reads headers, notes and, in kdump-compressed files, the bitmap; no page.
    pub fn open<P: AsRef<Path>>(paths: &[P], options: &OpenOptions) -> Result<Vmcore> {
        let mut sources = Vec::with_capacity(paths.len());
        for path in paths.iter().map(AsRef::as_ref) {
            let source = Source::open(path, options.no_mmap)
                .map_err(|source| Error::Io { path: path.to_path_buf(), source })?;
            sources.push((path.to_path_buf(), source));
        }
        Vmcore::from_sources(sources, options)
    }

    /// Opens a core that is in memory, as [`open`](Vmcore::open) does files.
    pub fn from_bytes(parts: Vec<Vec<u8>>, options: &OpenOptions) -> Result<Vmcore> {
        let sources = parts.into_iter().enumerate();
        let named =
            |(index, bytes)| (PathBuf::from(format!("part {index} in memory")), Source::Memory(bytes));
        Vmcore::from_sources(sources.map(named).collect(), options)
    }

    fn from_sources(sources: Vec<(PathBuf, Source)>, options: &OpenOptions) -> Result<Vmcore> {
        let (mut elf, mut kdump) = (Vec::new(), Vec::new());
        for (path, source) in sources {
            let at = |defect: Defect| defect.at(&path);
            let content = Content::new(source).map_err(at)?;
            match foreign::recognise(&content.head(foreign::HEAD_LEN)).map_err(at)? {
                Signature::Elf => elf.push((path.clone(), ElfCore::parse(content).map_err(at)?)),
                Signature::Kdump => kdump.push((path.clone(), Kdump::parse(content).map_err(at)?)),
            }
        }
        if !kdump.is_empty() || elf.len() > 1 {
            if let Some((path, _)) = elf.pop() {
                let reason = "an ELF core is one file, but several were given".into();
                return Err(Error::Split { path, reason });
            }
            return Vmcore::from_kdump(KdumpSet::new(kdump)?, options);
        }
        elf.pop().map(|(_, elf)| Vmcore::from_elf(elf)).ok_or(Error::NoFile)
    }

    fn from_elf(mut elf: ElfCore) -> Vmcore {
        let mut warnings = flattened_damage(elf.content());
        warnings.append(&mut elf.warnings);
        if elf.incomplete {
            warnings.push(INCOMPLETE.into());
        }
        let (abi, machine) = (elf.abi, elf.machine);
        let vmcoreinfo = notes::vmcoreinfo(&elf.notes).map(Vmcoreinfo::parse);
        let page_size = vmcoreinfo.as_ref().and_then(Vmcoreinfo::page_size);
        let kind = match elf.class {
            WordSize::Bits32 => FormatKind::Elf32,
            WordSize::Bits64 => FormatKind::Elf64,
        };
        Vmcore {
            cache: PageCache::new(0, 0),
            format: Format {
                kind,
                flattened: elf.content().flattened().is_some(),
                parts: 1,
                codecs: vec![Codec::Raw],
            },
            abi,
            machine,
            page_size: page_size.unwrap_or_else(|| usual_page_size(machine)),
            header: CoreHeader {
                incomplete: elf.incomplete,
                segments: std::mem::take(&mut elf.segments),
                ..CoreHeader::default()
            },
            notes: std::mem::take(&mut elf.notes),
            vmcoreinfo,
            warnings,
            size_bytes: elf.content().file_len(),
            memory_end: elf.memory_end(),
            recorder: None,
            store: Store::Elf(Box::new(elf)),
        }
    }

    fn from_kdump(mut set: KdumpSet, options: &OpenOptions) -> Result<Vmcore> {
        let parts = set.parts();
        let header = &parts.first().ok_or(Error::NoFile)?.header;
        let mut warnings: Vec<String> =
            parts.iter().flat_map(|part| flattened_damage(part.content())).collect();
        if parts.iter().any(|part| part.header.incomplete()) {
            warnings.push(INCOMPLETE.into());
        }
        warnings.extend(parts.iter().flat_map(Kdump::warnings));
        // Parts have the same headers; only what follows them may be cut off in some.
        let notes = parts.iter().map(Kdump::notes).find(|notes| !notes.is_empty()).unwrap_or_default();
        let text = parts.iter().find_map(Kdump::vmcoreinfo);
        let vmcoreinfo = text.as_deref().or_else(|| notes::vmcoreinfo(&notes)).map(Vmcoreinfo::parse);
        let (machine, abi) = header.machine();
        let machine = match machine {
            Machine::X86_64 | Machine::Other(_) => notes::machine(&notes, abi.endian).unwrap_or(machine),
            named => named,
        };
        let abi = Abi { word: machine.word_size().unwrap_or(abi.word), ..abi };
        let version = header.version;
        let kind =
            if header.diskdump { FormatKind::Diskdump { version } } else { FormatKind::Kdump { version } };
        let page_size = header.block_size;
        let page_len = usize::try_from(page_size).unwrap_or(usize::MAX);
        let mut codecs: Vec<Codec> = parts.iter().flat_map(Kdump::codecs).collect();
        codecs.sort_unstable();
        codecs.dedup();
        let core_header = CoreHeader {
            utsname: Some(header.utsname.clone()),
            timestamp: Some(header.timestamp),
            phys_base: header.sub.phys_base,
            dump_level: header.sub.dump_level,
            incomplete: parts.iter().any(|part| part.header.incomplete()),
            segments: Vec::new(),
        };
        let format = Format {
            kind,
            flattened: parts.iter().any(|part| part.content().flattened().is_some()),
            parts: parts.len(),
            codecs,
        };
        let size_bytes = parts.iter().map(|part| part.content().file_len()).sum();
        warnings.append(&mut set.warnings);
        Ok(Vmcore {
            cache: PageCache::new(options.cache_pages.div_ceil((page_len / 4096).max(1)), page_len),
            format,
            abi,
            machine,
            page_size,
            header: core_header,
            notes,
            vmcoreinfo,
            warnings,
            size_bytes,
            memory_end: set.memory_end(),
            recorder: None,
            store: Store::Kdump(set),
        })
    }

    /// The format, as recognised.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Facts from the headers.
    #[must_use]
    pub fn header(&self) -> &CoreHeader {
        &self.header
    }

    /// The kernel's own description, where the headers lead to it. QEMU's dumps usually have none.
    #[must_use]
    pub fn vmcoreinfo(&self) -> Option<&Vmcoreinfo> {
        self.vmcoreinfo.as_ref()
    }

    /// The ELF notes, in the order of the file.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What is wrong with the file, one line each: truncated, incomplete, a part missing. Empty for a good one.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Bytes of all the files together.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// From now on, writes down which memory is read, for [`write::slice`] in that format.
    ///
    /// And forgets what the headers tell but a file of that format has no place for, so that nobody finds by it what
    /// he could not find in the slice.
    ///
    /// Errors: the format cannot hold this machine.
    pub fn record_reads(&mut self, format: write::Format) -> Result<(), WriteError> {
        let (header, page_size) = write::headers_held(self, format)?;
        (self.header, self.page_size) = (header, page_size);
        self.recorder = Some(Recorder::new(page_size));
        Ok(())
    }

    /// What was read since [`record_reads`](Vmcore::record_reads); nothing without it.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.recorder.as_ref().map(Recorder::reads).unwrap_or_default()
    }

    /// Fills `buf` from the segments of an ELF core by their own virtual addresses, without any translation.
    ///
    /// The only way to memory in a file that knows virtual addresses alone, such as `/proc/kcore`.
    ///
    /// Errors: as [`PhysMemory::read_phys`]; all is `Absent` in other formats.
    pub fn read_segment(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        match &self.store {
            Store::Elf(elf) => elf.read_segment(addr, buf),
            Store::Kdump(_) => Err(MemoryError { addr: addr.0, cause: PageError::Absent }),
        }
    }
}

/// Cost: for ELF one copy for each run of addresses that the file stores together, for raw pages one for each page; for
/// compressed pages one decoding on a cache miss, directly into `buf` where it takes a whole page. Nothing is allocated
/// but by the first read of a thread.
impl PhysMemory for Vmcore {
    fn read_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        let outcome = self.search_phys(addr, buf);
        if let Some(recorder) = &self.recorder {
            recorder.note(addr, buf.len(), &outcome);
        }
        outcome
    }

    fn search_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        match &self.store {
            Store::Elf(elf) => elf.read(addr, buf),
            Store::Kdump(set) => set.read(addr, buf, &self.cache),
        }
    }

    fn page_size(&self) -> u64 {
        self.page_size
    }

    fn abi(&self) -> Abi {
        self.abi
    }

    fn machine(&self) -> Machine {
        self.machine
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        match &self.store {
            Store::Elf(elf) => elf.ranges(),
            Store::Kdump(set) => set.ranges(),
        }
    }

    fn memory_end(&self) -> u64 {
        self.memory_end
    }
}

const INCOMPLETE: &str = "incomplete: the tool that wrote the dump ran out of space";

fn flattened_damage(content: &Content) -> Vec<String> {
    content.flattened().and_then(|flattened| flattened.damage()).map(String::from).into_iter().collect()
}

/// The page size of kernels as distributed, for an ELF core without VMCOREINFO.
pub(crate) fn usual_page_size(machine: Machine) -> u64 {
    match machine {
        Machine::Ppc64 => 64 << 10,
        Machine::LoongArch => 16 << 10,
        _ => 4 << 10,
    }
}
