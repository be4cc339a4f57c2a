//! ELF cores built byte by byte: both classes, both byte orders, odd headers, segments that overlap or are missing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use vmcore::{
    Abi, Endian, Machine, OpenOptions, PageError, PhysAddr, PhysMemory, VirtAddr, Vmcore, WordSize,
};

/// Where the segments of the test files begin, so that offsets in them are small numbers.
const DATA: u64 = 0x4000;

#[derive(Clone, Copy)]
struct Load {
    kind: u32,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    filesz: u64,
    memsz: u64,
}

/// A segment whose bytes stand at `DATA + offset`.
fn load(paddr: u64, offset: u64, filesz: u64, memsz: u64) -> Load {
    Load { kind: 1, offset: DATA + offset, vaddr: 0, paddr, filesz, memsz }
}

struct Core {
    abi: Abi,
    machine: u16,
    kind: u16,
    flags: u32,
    /// Where the program headers are, and their count as the ELF header tells it.
    phoff: u64,
    phnum: u16,
    loads: Vec<Load>,
    /// Section headers at the end of the first page: `sh_info` of the first one.
    section_info: Option<u32>,
    data: Vec<u8>,
}

impl Core {
    fn new(loads: &[Load]) -> Core {
        Core {
            abi: Abi::LE64,
            machine: 62,
            kind: 4,
            flags: 0,
            phoff: 64,
            phnum: u16::try_from(loads.len()).unwrap(),
            loads: loads.to_vec(),
            section_info: None,
            data: (0..=255).cycle().take(0x1000).collect(),
        }
    }

    fn build(&self) -> Vec<u8> {
        let wide = self.abi.word == WordSize::Bits64;
        let mut file = vec![0; DATA as usize];
        let put = |file: &mut [u8], at: u64, len: usize, value: u64| {
            let bytes = match self.abi.endian {
                Endian::Little => value.to_le_bytes()[..len].to_vec(),
                Endian::Big => value.to_be_bytes()[8 - len..].to_vec(),
            };
            file[at as usize..][..len].copy_from_slice(&bytes);
        };
        let word = if wide { 8 } else { 4 };
        file[..4].copy_from_slice(b"\x7fELF");
        file[4] = if wide { 2 } else { 1 };
        file[5] = if self.abi.endian == Endian::Little { 1 } else { 2 };
        file[6] = 1;
        put(&mut file, 16, 2, self.kind.into());
        put(&mut file, 18, 2, self.machine.into());
        let sections = 0xf00;
        let [phoff, shoff, flags, phentsize] = if wide { [32, 40, 48, 54] } else { [28, 32, 36, 42] };
        put(&mut file, phoff, word, self.phoff);
        put(&mut file, flags, 4, self.flags.into());
        put(&mut file, phentsize, 2, if wide { 56 } else { 32 });
        put(&mut file, phentsize + 2, 2, self.phnum.into());
        if let Some(info) = self.section_info {
            put(&mut file, shoff, word, sections);
            put(&mut file, phentsize + 4, 2, if wide { 64 } else { 40 });
            put(&mut file, phentsize + 6, 2, 1);
            put(&mut file, sections + if wide { 44 } else { 28 }, 4, info.into());
        }
        for (index, load) in (0..).zip(&self.loads) {
            let at = self.phoff + index * if wide { 56 } else { 32 };
            put(&mut file, at, 4, load.kind.into());
            let fields = [load.offset, load.vaddr, load.paddr, load.filesz, load.memsz];
            let first = if wide { 8 } else { 4 };
            for (field, value) in (0..).zip(fields) {
                put(&mut file, at + first + field * word as u64, word, value);
            }
        }
        file.extend(&self.data);
        file
    }

    fn open(&self) -> Vmcore {
        open(self.build())
    }
}

fn open(file: Vec<u8>) -> Vmcore {
    Vmcore::from_bytes(vec![file], &OpenOptions::default()).unwrap()
}

fn refusal(file: Vec<u8>) -> String {
    Vmcore::from_bytes(vec![file], &OpenOptions::default()).unwrap_err().to_string()
}

fn byte(core: &Vmcore, addr: u64) -> Result<u8, PageError> {
    let mut byte = [0];
    core.read_phys(PhysAddr(addr), &mut byte).map(|()| byte[0]).map_err(|error| error.cause)
}

#[test]
fn every_class_and_byte_order_is_read() {
    let cases = [
        (Abi::LE64, 62, Machine::X86_64, Abi::LE64, "ELF64 core"),
        (Abi::BE64, 22, Machine::S390, Abi::BE64, "ELF64 core"),
        (Abi::LE32, 3, Machine::X86, Abi::LE32, "ELF32 core"),
        (Abi::BE32, 8, Machine::Mips, Abi::BE32, "ELF32 core"),
        // kexec writes ELF64 headers for a 32-bit kernel with more than 4 GiB.
        (Abi::LE64, 3, Machine::X86, Abi::LE32, "ELF64 core"),
    ];
    for (abi, machine, expected, kernel, format) in cases {
        let loads =
            [Load { vaddr: 0xc000_1000, ..load(0x1000, 0x10, 0x20, 0x20) }, load(0x8000, 0x80, 8, 16)];
        let core = Core { abi, machine, ..Core::new(&loads) }.open();
        assert_eq!((core.machine(), core.abi()), (expected, kernel));
        assert_eq!(core.format().to_string(), format);
        assert_eq!(core.ranges(), [0x1000..0x1020, 0x8000..0x8008]);
        assert_eq!((byte(&core, 0x1001), byte(&core, 0x8007)), (Ok(0x11), Ok(0x87)));
        assert_eq!(
            (byte(&core, 0x8008), byte(&core, 0x8010)),
            (Err(PageError::Excluded), Err(PageError::Absent))
        );
        let [first, second] = core.header().segments[..] else { panic!("two segments") };
        assert_eq!(
            (first.virt, first.phys, first.len),
            (Some(VirtAddr(0xc000_1000)), Some(PhysAddr(0x1000)), 0x20)
        );
        assert_eq!((second.virt, second.len), (None, 16));
        assert_eq!(core.page_size(), 4096);
    }
}

/// QEMU puts section headers between the ELF header and the program headers; its `e_ehsize` was seen to be 8.
#[test]
fn only_the_fields_that_matter_are_believed() {
    let mut file = Core { phoff: 0x123, ..Core::new(&[load(0, 3, 5, 5), load(0x100, 8, 8, 8)]) }.build();
    file[40..48].copy_from_slice(&64_u64.to_le_bytes());
    file[52..54].copy_from_slice(&8_u16.to_le_bytes());
    file[58..64].copy_from_slice(&[64, 0, 2, 0, 1, 0]);
    let core = open(file);
    assert_eq!(core.warnings(), [""; 0]);
    assert_eq!((byte(&core, 4), byte(&core, 0x101)), (Ok(7), Ok(9)));
}

#[test]
fn more_program_headers_than_16_bits_count() {
    let loads: Vec<Load> = (0..70).map(|index| load(index * 0x1000, index, 1, 1)).collect();
    let mut core = Core { phnum: 0xffff, section_info: Some(70), ..Core::new(&loads) };
    core.phoff = 0x1000;
    assert_eq!(core.open().header().segments.len(), 70);
    assert_eq!(byte(&core.open(), 69 * 0x1000), Ok(69));
    // Without a section header it is a plain count, and the file is too short for it.
    core.section_info = None;
    assert!(core.open().warnings()[0].contains("of 65535 program headers"));
}

#[test]
fn a_truncated_core_keeps_what_it_has() {
    let whole = Core::new(&[load(0, 0, 0x800, 0x1000), load(0x10000, 0x800, 0x800, 0x800)]);
    let file = whole.build();
    let core = open(file[..DATA as usize + 0xc00].to_vec());
    assert_eq!(core.warnings(), ["truncated: the segments end at 0x5000, the file at 0x4c00"]);
    assert_eq!((byte(&core, 0x7ff), byte(&core, 0x800)), (Ok(0xff), Err(PageError::Excluded)));
    assert_eq!((byte(&core, 0x103ff), byte(&core, 0x10400)), (Ok(0xff), Err(PageError::Truncated)));
    let error = core.read_phys(PhysAddr(0x103f0), &mut [0; 0x20]).unwrap_err();
    assert_eq!((error.addr, error.cause), (0x10400, PageError::Truncated));
    assert_eq!(error.to_string(), "0x10400: beyond the end of the truncated file");
    assert!(open(file).warnings().is_empty());
}

#[test]
fn an_incomplete_core_says_so() {
    let core = Core { flags: 1, ..Core::new(&[load(0, 0, 8, 8)]) }.open();
    assert!(core.header().incomplete);
    assert_eq!(core.warnings(), ["incomplete: the tool that wrote the dump ran out of space"]);
}

/// `/proc/kcore` knows the physical address of some segments, or of none.
#[test]
fn segments_without_physical_address_are_read_by_their_own() {
    let kernel = |vaddr: u64, paddr, offset| Load { vaddr, ..load(paddr, offset, 0x10, 0x10) };
    for paddr in [0, u64::MAX] {
        let text = 0xffff_ffff_8100_0000;
        let core = Core::new(&[kernel(text, paddr, 0x20), kernel(0xffff_c900_0000_0000, paddr, 0x40)]).open();
        assert_eq!(core.ranges(), []);
        assert_eq!(byte(&core, 0), Err(PageError::Absent));
        assert!(core.header().segments.iter().all(|segment| segment.phys.is_none()));
        let mut bytes = [0; 2];
        core.read_segment(VirtAddr(text + 2), &mut bytes).unwrap();
        assert_eq!(bytes, [0x22, 0x23]);
        assert_eq!(core.read_segment(VirtAddr(text + 15), &mut bytes).unwrap_err().addr, text + 16);
    }
    let mixed = Core::new(&[
        kernel(0xffff_8880_0000_1000, 0x1000, 0x20),
        kernel(0xffff_c900_0000_0000, u64::MAX, 0x40),
    ]);
    let core = mixed.open();
    assert_eq!(core.header().segments[0].phys, Some(PhysAddr(0x1000)));
    assert_eq!(core.header().segments[1].phys, None);
    assert_eq!(byte(&core, 0x1001), Ok(0x21));
    // One segment at 0 is the memory of a small machine.
    assert_eq!(byte(&Core::new(&[kernel(0xc000_0000, 0, 0x20)]).open(), 1), Ok(0x21));
}

fn note(name: &[u8], kind: u32, desc: &[u8]) -> Vec<u8> {
    let mut note = vec![];
    note.extend((name.len() as u32 + 1).to_le_bytes());
    note.extend((desc.len() as u32).to_le_bytes());
    note.extend(kind.to_le_bytes());
    for part in [[name, b"\0"].concat(), desc.to_vec()] {
        note.extend(&part);
        note.resize(note.len().next_multiple_of(4), 0);
    }
    note
}

/// A core with notes in two segments, as before kernels merged those of all CPUs.
fn with_notes(first: &[u8], second: &[u8]) -> Vec<u8> {
    let notes =
        |offset: usize, len: usize| Load { kind: 4, ..load(0, offset as u64, len as u64, len as u64) };
    let loads = [notes(0, first.len()), notes(first.len(), second.len()), load(0, 0, 16, 16)];
    Core { data: [first, second].concat(), ..Core::new(&loads) }.build()
}

#[test]
fn notes_of_all_segments_are_read() {
    let info = note(b"VMCOREINFO", 0, b"OSRELEASE=2.6.27\nPAGESIZE=65536\n");
    let core = open(with_notes(&note(b"CORE", 1, b"registers"), &info));
    assert_eq!(core.notes().len(), 2);
    assert_eq!((&core.notes()[0].name[..], &core.notes()[0].desc[..]), (&b"CORE"[..], &b"registers"[..]));
    assert_eq!(core.vmcoreinfo().unwrap().osrelease(), Some(&b"2.6.27"[..]));
    assert_eq!(core.page_size(), 65536);
    let core = open(with_notes(&note(b"Xen", 0x100_0001, b""), &info));
    assert!(core.warnings()[0].contains("Xen host"));
}

#[test]
fn what_is_no_kernel_core_is_named() {
    let one = [load(0, 0, 8, 8)];
    assert!(refusal(Core { kind: 2, ..Core::new(&one) }.build()).contains("an ELF program, perhaps vmlinux"));
    assert!(refusal(Core { kind: 1, ..Core::new(&one) }.build()).contains("kernel module"));
    assert!(refusal(Core { kind: 9, ..Core::new(&one) }.build()).contains("expected 4 (ET_CORE), found 9"));
    assert!(refusal(Core::new(&[]).build()).contains("expected at least one PT_LOAD segment, found none"));
    let process = with_notes(&note(b"CORE", 6, b"auxv"), &[]);
    assert!(refusal(process).contains("the core of a process"));
    let cut = Core { phoff: DATA + 0x1000, ..Core::new(&[]) };
    let cut = Core { phnum: 3, ..cut }.build();
    let refused = refusal(cut);
    assert!(refused.ends_with("expected 3 of them at 0x5000, found a file of 0x5000 bytes"), "{refused}");
    let mut class = Core::new(&one).build();
    class[4] = 3;
    assert!(refusal(class.clone()).contains("ELF class: expected 1 (32 bits) or 2 (64 bits), found 3"));
    assert!(refusal(class[..4].to_vec()).contains("ELF class"));
    assert!(refusal(Core::new(&one).build()[..60].to_vec()).contains("expected 64 bytes, found 60"));

    let names = b"\0.shstrtab\0.xen_pages\0";
    let mut xen = Core { section_info: Some(0), data: names.to_vec(), ..Core::new(&[]) }.build();
    xen[0xf00 + 24..][..8].copy_from_slice(&DATA.to_le_bytes());
    xen[0xf00 + 32..][..8].copy_from_slice(&(names.len() as u64).to_le_bytes());
    assert!(refusal(xen).contains("a Xen guest dump (xc_core)"));
}

#[test]
fn a_program_header_beyond_every_bound_does_no_harm() {
    let wild =
        Load { kind: 1, offset: u64::MAX, vaddr: u64::MAX, paddr: u64::MAX - 1, filesz: u64::MAX, memsz: 1 };
    let core = Core::new(&[load(0, 0, 8, 8), wild, Load { offset: DATA, ..wild }]).open();
    assert_eq!(byte(&core, 1), Ok(1));
    assert_eq!(byte(&core, u64::MAX - 1), Ok(0));
    assert!(core.warnings()[0].starts_with("truncated"));
    let notes = Load { kind: 4, offset: DATA, filesz: u64::MAX, ..wild };
    assert_eq!(Core::new(&[notes, load(0, 0, 8, 8)]).open().notes(), []);
}

#[test]
fn an_elf_core_may_be_flattened() {
    let file = Core::new(&[load(0x1000, 0, 0x20, 0x20)]).build();
    let mut stream = b"makedumpfile\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01".to_vec();
    stream.resize(4096, 0);
    // Without the zeros between the headers and the segment, as a writer that seeks leaves a hole.
    for (offset, bytes) in [(DATA, &file[DATA as usize..]), (0, &file[..4096])] {
        stream.extend(offset.to_be_bytes());
        stream.extend((bytes.len() as u64).to_be_bytes());
        stream.extend(bytes);
    }
    stream.extend([0xff; 16]);
    let core = open(stream);
    assert_eq!(core.format().to_string(), "ELF64 core, flattened");
    assert_eq!((byte(&core, 0x101f), byte(&core, 0x1020)), (Ok(0x1f), Err(PageError::Absent)));
}
