//! ELF cores: as kdump's /proc/vmcore and as QEMU's dump-guest-memory write them.

use super::CoreFile;
use crate::abi::{Abi, Endian};
use crate::build::DeadKernel;
use crate::vmcoreinfo;

/// Where the program headers lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadersAt {
    /// Behind the ELF header.
    Front,
    /// Behind a section header table, as QEMU does.
    AfterSections,
    /// At the end of the file.
    End,
}

/// Writer of an ELF core.
#[derive(Debug, Clone)]
pub struct Elf {
    vmcoreinfo: bool,
    virtual_addresses: bool,
    qemu_notes: bool,
    headers: HeadersAt,
    extended_count: bool,
    holes: bool,
    wide: Option<bool>,
    segment_limit: u64,
    whole_ram: bool,
}

impl Elf {
    /// As kdump writes it: VMCOREINFO note, kernel addresses in the program headers.
    pub fn kdump() -> Elf {
        Elf {
            vmcoreinfo: true,
            virtual_addresses: true,
            qemu_notes: false,
            headers: HeadersAt::Front,
            extended_count: false,
            holes: false,
            wide: None,
            segment_limit: u64::MAX,
            whole_ram: false,
        }
    }

    /// As QEMU writes it without the guest's help: no VMCOREINFO, no addresses, but control registers.
    pub fn qemu() -> Elf {
        Elf {
            vmcoreinfo: false,
            virtual_addresses: false,
            qemu_notes: true,
            headers: HeadersAt::AfterSections,
            ..Elf::kdump()
        }
    }

    /// With or without the VMCOREINFO note.
    pub fn vmcoreinfo(mut self, on: bool) -> Elf {
        self.vmcoreinfo = on;
        self
    }

    /// With or without kernel addresses in the program headers.
    pub fn virtual_addresses(mut self, on: bool) -> Elf {
        self.virtual_addresses = on;
        self
    }

    /// With or without QEMU's register notes.
    pub fn qemu_notes(mut self, on: bool) -> Elf {
        self.qemu_notes = on;
        self
    }

    /// Where the program headers lie.
    pub fn headers(mut self, at: HeadersAt) -> Elf {
        self.headers = at;
        self
    }

    /// Says the number of program headers in section header 0 (PN_XNUM).
    pub fn extended_count(mut self, on: bool) -> Elf {
        self.extended_count = on;
        self
    }

    /// Each segment's memory reaches to the next one, its file bytes do not.
    pub fn holes(mut self, on: bool) -> Elf {
        self.holes = on;
        self
    }

    /// ELF64 (true) or ELF32, instead of the kernel's word size.
    pub fn wide(mut self, on: bool) -> Elf {
        self.wide = Some(on);
        self
    }

    /// Splits runs of pages into segments of at most this many bytes.
    pub fn segment_limit(mut self, bytes: u64) -> Elf {
        self.segment_limit = bytes;
        self
    }

    /// One segment for all of RAM, as unfiltered dumps have it; the file is sparse where nothing was touched.
    pub fn whole_ram(mut self, on: bool) -> Elf {
        self.whole_ram = on;
        self
    }

    /// Writes the core.
    pub fn write(&self, kernel: &DeadKernel) -> CoreFile {
        let facts = kernel.facts();
        let abi = facts.abi;
        let wide = self.wide.unwrap_or(abi.word == 8);
        let page = facts.page_size();
        let runs = self.runs(kernel);
        let notes = self.notes(kernel);
        let (ehsize, phentsize, shentsize) = if wide { (64, 56, 64) } else { (52, 32, 40) };
        let image = facts.image_phys..facts.image_phys + kernel.image_size;
        let image_is_linear = facts.direct(facts.image_phys) == facts.image();
        let alias = self.virtual_addresses && !image_is_linear && self.segment_limit == u64::MAX;
        let count = 1 + runs.len() as u64 + u64::from(alias);
        let extended = self.extended_count || count >= 0xffff;
        let sections = extended || self.headers == HeadersAt::AfterSections;
        let mut at: u64 = ehsize;
        let section_offset = if sections { at } else { 0 };
        at += if sections { shentsize } else { 0 };
        let front = self.headers != HeadersAt::End;
        let mut header_offset = at;
        at += if front { count * phentsize } else { 0 };
        let note_offset = at;
        at += notes.len() as u64;
        // kdump aligns segments to pages, QEMU does not.
        if self.headers == HeadersAt::Front {
            at = at.next_multiple_of(page);
        }
        let mut segments = Vec::new();
        let mut file = CoreFile::new();
        file.put(note_offset, notes.clone());
        for (i, (phys, len)) in runs.iter().enumerate() {
            let len = *len;
            let end = runs.get(i + 1).map_or(kernel.memory().ram().end, |(next, _)| *next);
            let memsz = if self.holes { end - phys } else { len };
            let virt = if self.virtual_addresses { facts.direct(*phys) } else { 0 };
            segments.push(Segment { kind: 1, offset: at, virt, phys: *phys, filesz: len, memsz });
            if alias && *phys <= image.start && image.end <= phys + len {
                let offset = at + (image.start - phys);
                let size = image.end - image.start;
                segments.push(Segment {
                    kind: 1,
                    offset,
                    virt: facts.image(),
                    phys: image.start,
                    filesz: size,
                    memsz: size,
                });
            }
            for (pfn, bytes) in kernel.memory().pages_in(phys / page..(phys + len) / page) {
                file.put(at + pfn * page - phys, bytes.to_vec());
            }
            at += len;
        }
        let len = notes.len() as u64;
        segments
            .insert(0, Segment { kind: 4, offset: note_offset, virt: 0, phys: 0, filesz: len, memsz: len });
        assert_eq!(segments.len() as u64, count, "the image must be one run of pages");
        if !front {
            header_offset = at;
        }
        let mut headers = Writer { abi, wide, out: Vec::new() };
        for segment in &segments {
            headers.segment(segment);
        }
        file.put(header_offset, headers.out);
        let mut elf = Writer { abi, wide, out: Vec::new() };
        let class = if wide { 2 } else { 1 };
        let data = if abi.endian == Endian::Little { 1 } else { 2 };
        elf.out.extend_from_slice(&[0x7f, b'E', b'L', b'F', class, data, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        elf.int(4, 2); // ET_CORE
        elf.int(u64::from(facts.elf_machine), 2);
        elf.int(1, 4);
        elf.word(0);
        elf.word(header_offset);
        elf.word(section_offset);
        elf.int(0, 4);
        let shown = if extended { 0xffff } else { count };
        for value in [ehsize, phentsize, shown, if sections { shentsize } else { 0 }, u64::from(sections), 0]
        {
            elf.int(value, 2);
        }
        if sections {
            // Section header 0: sh_info holds the real number of program headers.
            let mut section = Writer { abi, wide, out: vec![0; shentsize as usize] };
            let info = if wide { 44 } else { 28 };
            abi.put(&mut section.out, info, 4, if extended { count } else { 0 });
            elf.out.extend(section.out);
        }
        file.put(0, elf.out);
        file.len = file.len.max(at);
        file.chunks.sort_by_key(|(offset, _)| *offset);
        file
    }

    /// Physical start and length of each segment's file bytes.
    fn runs(&self, kernel: &DeadKernel) -> Vec<(u64, u64)> {
        let page = kernel.facts().page_size();
        if self.whole_ram {
            let ram = kernel.memory().ram();
            return vec![(ram.start, ram.end - ram.start)];
        }
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (pfn, _) in kernel.memory().pages() {
            match runs.last_mut() {
                Some((start, len)) if *start + *len == pfn * page && *len < self.segment_limit => {
                    *len += page
                }
                _ => runs.push((pfn * page, page)),
            }
        }
        runs
    }

    fn notes(&self, kernel: &DeadKernel) -> Vec<u8> {
        let abi = kernel.facts().abi;
        let mut out = Vec::new();
        let (size, pid) = match (kernel.facts().elf_machine, abi.word) {
            (183, _) => (392, 32),
            (_, 8) => (336, 32),
            _ => (144, 24),
        };
        for cpu in 0..kernel.cpus {
            let mut status = vec![0; size];
            abi.put(&mut status, pid, 4, u64::from(cpu) + 100);
            note(abi, &mut out, b"CORE", 1, &status);
        }
        if self.qemu_notes && matches!(kernel.facts().elf_machine, 3 | 62) {
            for _ in 0..kernel.cpus {
                let mut state = vec![0; 440];
                let five = kernel.facts().va_bits == 57;
                abi.put(&mut state, 0, 4, 1);
                abi.put(&mut state, 4, 4, 440);
                abi.put(&mut state, 416, 8, kernel.page_table_root());
                abi.put(&mut state, 424, 8, if five { 0x10f0 } else { 0xf0 });
                note(abi, &mut out, b"QEMU", 0, &state);
            }
        }
        if self.vmcoreinfo {
            out.extend(vmcoreinfo::note(kernel.vmcoreinfo(), abi.endian));
        }
        out
    }
}

fn note(abi: Abi, out: &mut Vec<u8>, name: &[u8], kind: u64, desc: &[u8]) {
    for value in [name.len() as u64 + 1, desc.len() as u64, kind] {
        out.extend(abi.bytes(value, 4));
    }
    out.extend_from_slice(name);
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(desc);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The notes of a core, as kdump-compressed files repeat them.
pub(super) fn repeated_notes(kernel: &DeadKernel, qemu: bool) -> Vec<u8> {
    if qemu { Elf::qemu() } else { Elf::kdump() }.notes(kernel)
}

struct Segment {
    kind: u64,
    offset: u64,
    virt: u64,
    phys: u64,
    filesz: u64,
    memsz: u64,
}

struct Writer {
    abi: Abi,
    wide: bool,
    out: Vec<u8>,
}

impl Writer {
    fn int(&mut self, value: u64, size: usize) {
        self.out.extend(self.abi.bytes(value, size));
    }

    fn word(&mut self, value: u64) {
        self.int(value, if self.wide { 8 } else { 4 });
    }

    fn segment(&mut self, s: &Segment) {
        self.int(s.kind, 4);
        if self.wide {
            self.int(7, 4);
        }
        for value in [s.offset, s.virt, s.phys, s.filesz, s.memsz] {
            self.word(value);
        }
        if !self.wide {
            self.int(7, 4);
        }
        self.word(0);
    }
}
