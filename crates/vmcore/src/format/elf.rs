//! ELF cores: copies of `/proc/vmcore`, `makedumpfile -E`, QEMU's dump-guest-memory, `/proc/kcore`.
//!
//! Only what a core needs is read, and only from the fields that say where it is: `e_phoff`, `e_phentsize`, `e_phnum`.
//! The table may be anywhere (QEMU puts section headers before it) and nothing need be aligned. Layouts: System V ABI.

use crate::content::Content;
use crate::error::Defect;
use crate::extents::{Extents, Piece};
use crate::notes::{self, Note};
use crate::{Abi, Endian, Machine, MemoryError, PhysAddr, Segment, VirtAddr, WordSize};
use std::ops::Range;

const ET_CORE: u16 = 4;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
/// In `e_phnum`: the count does not fit, and stands in `sh_info` of section header 0.
const PN_XNUM: u16 = 0xffff;
/// `makedumpfile -E` sets it in `e_flags` when it ran out of space.
const INCOMPLETE: u32 = 1;
/// Program headers that are read: makedumpfile writes one for each run of pages that it keeps.
const PROGRAM_HEADERS_MAX: u64 = 1 << 22;
/// Notes that the dump of a process has, and no kernel: the auxiliary vector and the mapped files.
const PROCESS_NOTES: [u32; 2] = [6, 0x4649_4c45];

/// A core with program headers.
#[derive(Debug)]
pub(crate) struct ElfCore {
    content: Content,
    /// Of the headers.
    pub(crate) class: WordSize,
    /// Of the dead kernel.
    pub(crate) abi: Abi,
    pub(crate) machine: Machine,
    pub(crate) incomplete: bool,
    pub(crate) segments: Vec<Segment>,
    pub(crate) notes: Vec<Note>,
    pub(crate) warnings: Vec<String>,
    physical: Extents,
    virtually: Extents,
}

/// Where the fields of one class lie.
struct Layout {
    header_len: usize,
    phoff: usize,
    shoff: usize,
    flags: usize,
    phentsize: usize,
    phnum: usize,
    shentsize: usize,
    shnum: usize,
    program: ProgramLayout,
    section: SectionLayout,
}

struct ProgramLayout {
    len: usize,
    offset: usize,
    vaddr: usize,
    paddr: usize,
    filesz: usize,
    memsz: usize,
}

struct SectionLayout {
    len: usize,
    offset: usize,
    size: usize,
    info: usize,
}

const ELF32: Layout = Layout {
    header_len: 52,
    phoff: 28,
    shoff: 32,
    flags: 36,
    phentsize: 42,
    phnum: 44,
    shentsize: 46,
    shnum: 48,
    program: ProgramLayout { len: 32, offset: 4, vaddr: 8, paddr: 12, filesz: 16, memsz: 20 },
    section: SectionLayout { len: 40, offset: 16, size: 20, info: 28 },
};

const ELF64: Layout = Layout {
    header_len: 64,
    phoff: 32,
    shoff: 40,
    flags: 48,
    phentsize: 54,
    phnum: 56,
    shentsize: 58,
    shnum: 60,
    program: ProgramLayout { len: 56, offset: 8, vaddr: 16, paddr: 24, filesz: 32, memsz: 40 },
    section: SectionLayout { len: 64, offset: 24, size: 32, info: 44 },
};

/// One program header.
#[derive(Clone, Copy, Debug)]
struct ProgramHeader {
    kind: u32,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    filesz: u64,
    memsz: u64,
}

impl ElfCore {
    /// Reads the headers and the notes.
    ///
    /// Cost: proportional to the number of program headers.
    pub(crate) fn parse(content: Content) -> Result<ElfCore, Defect> {
        let mut header = content.head(64);
        let abi = identify(&header)?;
        let layout = if abi.word == WordSize::Bits64 { ELF64 } else { ELF32 };
        if header.len() < layout.header_len {
            let expected = format!("{} bytes", layout.header_len);
            return Err(Defect::new("ELF header", expected, format!("{} bytes", header.len())));
        }
        header.truncate(layout.header_len);
        let half = |at| abi.u16(&header, at).unwrap_or(0);
        let kind = half(16);
        if kind != ET_CORE {
            return Err(not_a_core(kind));
        }
        let machine = Machine::from_elf(half(18));
        let flags = abi.u32(&header, layout.flags).unwrap_or(0);

        let mut warnings = Vec::new();
        let programs = program_headers(&content, &header, abi, &layout, &mut warnings)?;
        let mut notes = Vec::new();
        for note in programs.iter().filter(|program| program.kind == PT_NOTE) {
            notes::read(&content, note.offset, note.filesz, abi, &mut notes);
        }
        let loads: Vec<ProgramHeader> =
            programs.into_iter().filter(|program| program.kind == PT_LOAD).collect();
        if loads.is_empty() {
            return Err(no_segments(&content, &header, abi, &layout));
        }
        if notes.iter().any(|note| note.name == b"CORE" && PROCESS_NOTES.contains(&note.kind)) {
            let hint = "only cores of kernels can be read";
            return Err(Defect::Unsupported { what: "the core of a process", hint });
        }
        if notes.iter().any(|note| note.name == b"Xen") {
            warnings.push("core of a Xen host: its addresses are those of the hypervisor's machine".into());
        }

        let segments = segments(&loads, abi);
        let (physical, virtually) = extents(&loads, &segments, content.len());
        let ends = loads.iter().map(|load| load.offset.saturating_add(load.filesz));
        let (end, len) = (ends.max().unwrap_or(0), content.len());
        if end > len {
            warnings.push(format!("truncated: the segments end at {end:#x}, the file at {len:#x}"));
        }
        Ok(ElfCore {
            class: abi.word,
            abi: Abi { word: machine.word_size().unwrap_or(abi.word), ..abi },
            machine,
            incomplete: flags & INCOMPLETE != 0,
            segments,
            notes,
            warnings,
            physical: Extents::new(&physical),
            virtually: Extents::new(&virtually),
            content,
        })
    }

    pub(crate) fn read(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        self.physical.read(&self.content, addr.0, buf)
    }

    pub(crate) fn read_segment(&self, addr: VirtAddr, buf: &mut [u8]) -> Result<(), MemoryError> {
        self.virtually.read(&self.content, addr.0, buf)
    }

    pub(crate) fn ranges(&self) -> Vec<Range<u64>> {
        self.physical.ranges()
    }

    /// One past the last physical address of any segment.
    pub(crate) fn memory_end(&self) -> u64 {
        self.physical.end()
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }
}

/// Class and byte order.
fn identify(header: &[u8]) -> Result<Abi, Defect> {
    let byte = |at: usize| header.get(at).copied().unwrap_or(0);
    let word = match byte(4) {
        1 => WordSize::Bits32,
        2 => WordSize::Bits64,
        other => return Err(Defect::new("ELF class", "1 (32 bits) or 2 (64 bits)", other.to_string())),
    };
    let endian = match byte(5) {
        1 => Endian::Little,
        2 => Endian::Big,
        other => return Err(Defect::new("ELF data encoding", "1 (little) or 2 (big)", other.to_string())),
    };
    Ok(Abi { endian, word })
}

fn not_a_core(kind: u16) -> Defect {
    let hint = "expected a core file (ET_CORE); give kernel images and modules as debug information";
    match kind {
        1 => Defect::Unsupported { what: "an ELF object file or kernel module", hint },
        2 | 3 => Defect::Unsupported { what: "an ELF program, perhaps vmlinux", hint },
        other => Defect::new("ELF type", "4 (ET_CORE)", other.to_string()),
    }
}

fn program_headers(
    content: &Content,
    header: &[u8],
    abi: Abi,
    layout: &Layout,
    warnings: &mut Vec<String>,
) -> Result<Vec<ProgramHeader>, Defect> {
    let start = abi.word(header, layout.phoff).unwrap_or(0);
    let step = usize::from(abi.u16(header, layout.phentsize).unwrap_or(0)).max(layout.program.len);
    let mut count = u64::from(abi.u16(header, layout.phnum).unwrap_or(0));
    if count == u64::from(PN_XNUM)
        && let Some(section) = section(content, header, abi, layout, 0)
        && let Some(real @ 1..) = abi.u32(&section, layout.section.info)
    {
        count = u64::from(real);
    }
    let room = content.len().saturating_sub(start) / step as u64;
    if count > 0 && room == 0 {
        let expected = format!("{count} of them at {start:#x}");
        return Err(Defect::new(
            "ELF program headers",
            expected,
            format!("a file of {:#x} bytes", content.len()),
        ));
    }
    if count > room {
        warnings.push(format!("truncated: the file has {room} of {count} program headers"));
    }
    if count.min(room) > PROGRAM_HEADERS_MAX {
        let expected = format!("at most {PROGRAM_HEADERS_MAX}");
        return Err(Defect::new("number of program headers", expected, count.to_string()));
    }
    let mut programs = Vec::new();
    let mut scratch = Vec::new();
    for index in 0..count.min(room) {
        let offset = start.saturating_add(index.saturating_mul(step as u64));
        let bytes = content
            .fetch(offset, layout.program.len, &mut scratch)
            .map_err(|fault| Defect::unreadable("program header", offset, fault))?;
        let word = |at| abi.word(bytes, at).unwrap_or(0);
        programs.push(ProgramHeader {
            kind: abi.u32(bytes, 0).unwrap_or(0),
            offset: word(layout.program.offset),
            vaddr: word(layout.program.vaddr),
            paddr: word(layout.program.paddr),
            filesz: word(layout.program.filesz),
            memsz: word(layout.program.memsz),
        });
    }
    Ok(programs)
}

/// A section header.
fn section(content: &Content, header: &[u8], abi: Abi, layout: &Layout, index: u64) -> Option<Vec<u8>> {
    let start = abi.word(header, layout.shoff).filter(|&start| start != 0)?;
    let step = usize::from(abi.u16(header, layout.shentsize)?).max(layout.section.len);
    let offset = start.checked_add(index.checked_mul(step as u64)?)?;
    notes::bytes(content, offset, layout.section.len as u64)
}

/// Why there is nothing to load: Xen's own dump format keeps memory in sections.
fn no_segments(content: &Content, header: &[u8], abi: Abi, layout: &Layout) -> Defect {
    let count = u64::from(abi.u16(header, layout.shnum).unwrap_or(0)).min(64);
    let xen = (0..count).filter_map(|index| section(content, header, abi, layout, index)).any(|section| {
        // The table of names is a section too, and the only one in which the names of the others stand.
        let at = abi.word(&section, layout.section.offset).unwrap_or(0);
        let size = abi.word(&section, layout.section.size).unwrap_or(0).min(4096);
        notes::bytes(content, at, size)
            .is_some_and(|text| text.split(|&byte| byte == 0).any(|name| name == b".xen_pages"))
    });
    if xen {
        let hint = "dump again with kdump inside the guest";
        return Defect::Unsupported { what: "a Xen guest dump (xc_core)", hint };
    }
    Defect::new("ELF core", "at least one PT_LOAD segment", "none")
}

fn segments(loads: &[ProgramHeader], abi: Abi) -> Vec<Segment> {
    // Where several segments have one physical address, or all ones, the writer did not know it (`/proc/kcore`).
    let first = loads.first().map_or(0, |load| load.paddr);
    let unknown = loads.len() > 1 && loads.iter().all(|load| load.paddr == first);
    loads
        .iter()
        .map(|load| Segment {
            phys: (!unknown && load.paddr != abi.word_mask()).then_some(PhysAddr(load.paddr)),
            virt: (load.vaddr != 0).then_some(VirtAddr(load.vaddr)),
            len: load.memsz.max(load.filesz),
        })
        .collect()
}

/// The same segments by physical and by virtual address.
fn extents(loads: &[ProgramHeader], segments: &[Segment], file_len: u64) -> (Vec<Piece>, Vec<Piece>) {
    let (mut physical, mut virtually) = (Vec::new(), Vec::new());
    for (load, segment) in loads.iter().zip(segments) {
        let present = file_len.saturating_sub(load.offset).min(load.filesz);
        let piece =
            |start| Piece { start, len: segment.len, offset: load.offset, stored: load.filesz, present };
        physical.extend(segment.phys.map(|addr| piece(addr.0)));
        virtually.extend(segment.virt.map(|addr| piece(addr.0)));
    }
    (physical, virtually)
}
