//! kdump-compressed files built byte by byte: every layout of the headers, every fate of a page.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use std::ops::Range;
use vmcore::{Abi, Codec, Endian, Machine, OpenOptions, PageError, PhysAddr, PhysMemory, Vmcore, WordSize};

const B: usize = 4096;

/// What a descriptor says, and what is stored for it.
#[derive(Clone)]
enum Page {
    Raw(u8),
    /// Codec flag and stored bytes.
    Stored(u32, Vec<u8>),
    /// A descriptor of zeros.
    Lost,
    /// The same stored page as that of another frame.
    Same(u64),
}

#[derive(Clone)]
struct Dump {
    abi: Abi,
    /// 64-bit integers are aligned to 8 bytes in 32-bit headers.
    padded: bool,
    version: u32,
    machine: &'static str,
    status: u32,
    frames: u64,
    memory: Vec<u64>,
    pages: Vec<(u64, Page)>,
    split: Option<Range<u64>>,
    single_bitmap: bool,
}

impl Dump {
    fn new() -> Dump {
        Dump {
            abi: Abi::LE64,
            padded: false,
            version: 6,
            machine: "x86_64",
            status: 0,
            frames: 100,
            memory: vec![],
            pages: vec![],
            split: None,
            single_bitmap: false,
        }
    }

    fn page(mut self, pfn: u64, page: Page) -> Dump {
        self.pages.push((pfn, page));
        self
    }

    fn number(&self, file: &mut [u8], at: usize, len: usize, value: u64) {
        let bytes = match self.abi.endian {
            Endian::Little => value.to_le_bytes()[..len].to_vec(),
            Endian::Big => value.to_be_bytes()[8 - len..].to_vec(),
        };
        file[at..at + len].copy_from_slice(&bytes);
    }

    fn build(&self) -> Vec<u8> {
        let wide = self.abi.word == WordSize::Bits64;
        let word = if wide { 8 } else { 4 };
        let bitmap_len = (self.frames as usize).div_ceil(8).div_ceil(B) * B;
        let bitmaps = if self.single_bitmap { 1 } else { 2 };
        let mut file = vec![0; 2 * B + bitmaps * bitmap_len];
        file[..8].copy_from_slice(b"KDUMP   ");
        self.number(&mut file, 8, 4, self.version.into());
        file[12..17].copy_from_slice(b"Linux");
        file[12 + 4 * 65..12 + 4 * 65 + self.machine.len()].copy_from_slice(self.machine.as_bytes());
        let at = if wide { 424 } else { 412 };
        self.number(&mut file, if wide { 408 } else { 404 }, word, 1_700_000_000);
        self.number(&mut file, at, 4, self.status.into());
        self.number(&mut file, at + 4, 4, B as u64);
        self.number(&mut file, at + 8, 4, 1);
        self.number(&mut file, at + 12, 4, (bitmaps * bitmap_len / B) as u64);
        self.number(&mut file, at + 16, 4, self.frames);

        let text = b"OSRELEASE=6.1.0\nPAGESIZE=4096\n";
        file[B + 200..B + 200 + text.len()].copy_from_slice(text);
        let (start, info, start_64) = match (wide, self.padded) {
            (true, _) => (16, 32, 80),
            (false, false) => (12, 20, 56),
            (false, true) => (12, 24, 72),
        };
        self.number(&mut file, B, word, 0x100_0000);
        self.number(&mut file, B + word, 4, 31);
        if let Some(range) = &self.split {
            self.number(&mut file, B + word + 4, 4, 1);
            self.number(&mut file, B + start, word, range.start);
            self.number(&mut file, B + start + word, word, range.end);
        }
        if self.version >= 3 {
            self.number(&mut file, B + info, 8, B as u64 + 200);
            self.number(&mut file, B + info + 8, word, text.len() as u64);
        }
        if self.version >= 6 {
            let range = self.split.clone().unwrap_or(0..0);
            self.number(&mut file, B + start_64, 8, range.start);
            self.number(&mut file, B + start_64 + 8, 8, range.end);
            self.number(&mut file, B + start_64 + 16, 8, self.frames);
        }

        let bitmap2 = 2 * B + (bitmaps - 1) * bitmap_len;
        for pfn in self.memory.iter().copied().chain(self.pages.iter().map(|(pfn, _)| *pfn)) {
            file[2 * B + pfn as usize / 8] |= 1 << (pfn % 8);
        }
        if bitmaps == 2 {
            file[bitmap2..].fill(0);
            for (pfn, _) in &self.pages {
                file[bitmap2 + *pfn as usize / 8] |= 1 << (pfn % 8);
            }
        }

        let mut pages = self.pages.clone();
        pages.sort_by_key(|(pfn, _)| *pfn);
        pages.retain(|(pfn, _)| self.split.as_ref().is_none_or(|part| part.contains(pfn)));
        let descriptors = file.len();
        file.resize(descriptors + 24 * pages.len(), 0);
        let mut stored = vec![];
        for (rank, (pfn, page)) in pages.iter().enumerate() {
            let (at, flags, bytes) = match page {
                Page::Raw(byte) => (file.len(), 0, vec![*byte; B]),
                Page::Stored(flags, bytes) => (file.len(), *flags, bytes.clone()),
                Page::Lost => continue,
                Page::Same(other) => {
                    let (_, at) = stored.iter().find(|(pfn, _)| pfn == other).unwrap();
                    (*at, 0, vec![])
                }
            };
            let size = if bytes.is_empty() { B } else { bytes.len() };
            file.extend(bytes);
            stored.push((*pfn, at));
            self.number(&mut file, descriptors + 24 * rank, 8, at as u64);
            self.number(&mut file, descriptors + 24 * rank + 8, 4, size as u64);
            self.number(&mut file, descriptors + 24 * rank + 12, 4, flags.into());
        }
        file
    }

    fn open(&self) -> Vmcore {
        open(vec![self.build()])
    }
}

fn open(parts: Vec<Vec<u8>>) -> Vmcore {
    Vmcore::from_bytes(parts, &OpenOptions::default()).unwrap()
}

fn refusal(parts: Vec<Vec<u8>>) -> String {
    Vmcore::from_bytes(parts, &OpenOptions::default()).unwrap_err().to_string()
}

/// A zlib stream of one stored block, after RFC 1950 and 1951.
fn zlib(plain: &[u8]) -> Vec<u8> {
    let len = plain.len() as u16;
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend(len.to_le_bytes());
    stream.extend((!len).to_le_bytes());
    stream.extend(plain);
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in plain {
        a = (a + u32::from(*byte)) % 65521;
        b = (b + a) % 65521;
    }
    stream.extend((b << 16 | a).to_be_bytes());
    stream
}

/// The first byte of a page, or why there is none.
fn fate(core: &Vmcore, pfn: u64) -> Result<u8, PageError> {
    let mut byte = [0];
    core.read_phys(PhysAddr(pfn * B as u64 + 7), &mut byte).map(|()| byte[0]).map_err(|error| error.cause)
}

#[test]
fn every_layout_of_the_headers_is_recognised() {
    let layouts = [
        (Abi::LE64, true, "x86_64", Machine::X86_64),
        (Abi::LE64, true, "aarch64", Machine::AArch64),
        (Abi::BE64, true, "s390x", Machine::S390),
        (Abi::BE64, true, "ppc64", Machine::Ppc64),
        (Abi::LE64, true, "", Machine::Other(0)),
        (Abi::LE32, false, "i686", Machine::X86),
        (Abi::LE32, false, "", Machine::Other(0)),
        (Abi::LE32, true, "armv7l", Machine::Arm),
        (Abi::LE32, true, "", Machine::Other(0)),
        (Abi::BE32, true, "mips", Machine::Mips),
    ];
    for (abi, padded, name, machine) in layouts {
        for version in 1..=6 {
            // As many frames as look like a block size where the other width has that field.
            let mut dump = Dump { abi, padded, version, machine: name, frames: 0x10000, ..Dump::new() };
            dump = dump.page(5, Page::Raw(5)).page(0xffff, Page::Stored(1, zlib(&[6; B])));
            let core = dump.open();
            let case = format!("{abi:?} {padded} {name} v{version}");
            assert_eq!((core.abi(), core.machine()), (abi, machine), "{case}");
            assert_eq!((fate(&core, 5), fate(&core, 0xffff)), (Ok(5), Ok(6)), "{case}");
            assert_eq!(core.ranges(), [0x5000..0x6000, 0xffff000..0x10000000], "{case}");
            assert_eq!(core.warnings(), [""; 0], "{case}");
            let header = core.header();
            assert_eq!((header.phys_base, header.dump_level), (Some(0x100_0000), Some(31)), "{case}");
            assert_eq!(header.timestamp, Some((1_700_000_000, 0)), "{case}");
            let release = core.vmcoreinfo().and_then(|info| info.osrelease());
            assert_eq!(release, (version >= 3).then_some(&b"6.1.0"[..]), "{case}");
            assert_eq!(core.format().to_string(), format!("kdump-compressed v{version}, zlib"), "{case}");
        }
    }
}

/// The worked example of the format: bitmaps of 34 blocks, and where the descriptor of page frame 5 is.
#[test]
fn the_layout_is_the_documented_one() {
    let mut dump = Dump { frames: 0x11_0000, ..Dump::new() };
    for pfn in [1, 2, 4, 5, 7] {
        dump = dump.page(pfn, Page::Raw(pfn as u8));
    }
    let mut file = dump.build();
    assert_eq!(file[436..440], 68_u32.to_le_bytes());
    assert_eq!(file[147_456], 0b1011_0110);
    let stored = zlib(&[0x55; B]);
    let descriptor = 286_792;
    let mut bytes = b"\x56\x34\x12\0\0\0\0\0\x21\x04\0\0\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    file[descriptor..descriptor + 24].copy_from_slice(&bytes);
    assert_eq!(fate(&open(vec![file.clone()]), 5), Err(PageError::Truncated));
    file.resize(0x12_3456 + 1057, 0);
    assert_eq!(fate(&open(vec![file.clone()]), 5), Err(PageError::Corrupt(Codec::Zlib)));
    bytes[8..12].copy_from_slice(&(stored.len() as u32).to_le_bytes());
    file[descriptor..descriptor + 24].copy_from_slice(&bytes);
    file.truncate(0x12_3456);
    file.extend(stored);
    assert_eq!(fate(&open(vec![file]), 5), Ok(0x55));
}

#[test]
fn a_page_without_content_says_why() {
    let core = Dump { memory: vec![1, 2], ..Dump::new() }
        .page(3, Page::Lost)
        .page(4, Page::Stored(1, zlib(&[4; B])))
        .page(5, Page::Stored(1, zlib(&[5; B - 1])))
        .page(6, Page::Stored(1, zlib(&[6; B])[..2000].to_vec()))
        .page(7, Page::Stored(0, vec![7; B - 1]))
        .page(8, Page::Stored(3, vec![8; B]))
        .page(9, Page::Stored(2, vec![0x11, 0, 0]))
        .page(10, Page::Stored(4, vec![0xff; 9]))
        .page(11, Page::Stored(0x20, vec![0; 9]))
        .page(12, Page::Stored(1, vec![0; 3 * B]))
        .page(99, Page::Raw(99))
        .open();
    use PageError::{Absent, Corrupt, Excluded, Lost};
    let expected = [
        Err(Absent),
        Err(Excluded),
        Err(Excluded),
        Err(Lost),
        Ok(4),
        Err(Corrupt(Codec::Zlib)),
        Err(Corrupt(Codec::Zlib)),
        Err(Corrupt(Codec::Raw)),
        Err(Corrupt(Codec::Raw)),
        Err(Corrupt(Codec::Lzo)),
        Err(Corrupt(Codec::Snappy)),
        Err(Corrupt(Codec::Zstd)),
        Err(Corrupt(Codec::Zlib)),
        Err(Absent),
    ];
    for (pfn, expected) in (0..).zip(expected) {
        assert_eq!(fate(&core, pfn), expected, "page frame {pfn}");
        let mut page = [0; B];
        let whole = core.read_phys(PhysAddr(pfn * B as u64), &mut page);
        assert_eq!(whole.map(|()| page[0]).map_err(|error| error.cause), expected, "page frame {pfn}");
    }
    assert_eq!((fate(&core, 99), fate(&core, 100)), (Ok(99), Err(Absent)));
    assert_eq!(fate(&core, u64::MAX / B as u64), Err(Absent));
}

#[test]
fn the_page_of_zeros_is_stored_once() {
    let mut dump = Dump { frames: 50, ..Dump::new() }.page(0, Page::Raw(0));
    for pfn in 1..40 {
        dump = dump.page(pfn, Page::Same(0));
    }
    let file = dump.page(40, Page::Raw(1)).build();
    let len = file.len();
    let core = open(vec![file]);
    assert!(len < 8 * B, "the test dump shares its page");
    let mut memory = vec![0xaa; 41 * B];
    core.read_phys(PhysAddr(0), &mut memory).unwrap();
    assert!(memory[..40 * B].iter().all(|&byte| byte == 0) && memory[40 * B..].iter().all(|&byte| byte == 1));
    let mut part = [0xaa; 16];
    core.read_phys(PhysAddr(B as u64 * 3 + 8), &mut part).unwrap();
    assert_eq!(part, [0; 16]);
}

#[test]
fn a_truncated_file_keeps_what_it_has() {
    let dump = Dump::new().page(1, Page::Raw(1)).page(2, Page::Raw(2)).page(3, Page::Raw(3));
    let file = dump.build();
    let core = open(vec![file[..file.len() - B - 1].to_vec()]);
    assert_eq!((fate(&core, 1), fate(&core, 2)), (Ok(1), Ok(2)), "frame 2 has lost its last byte only");
    assert_eq!(fate(&core, 3), Err(PageError::Truncated));
    let mut page = vec![0; B];
    let error = core.read_phys(PhysAddr(2 * B as u64), &mut page).unwrap_err();
    assert_eq!(error.cause, PageError::Truncated);
    let [warning] = core.warnings() else { panic!("{:?}", core.warnings()) };
    assert!(warning.starts_with("truncated: the pages end at"), "{warning}");

    let descriptors = 4 * B;
    let core = open(vec![file[..descriptors + 30].to_vec()]);
    assert_eq!(fate(&core, 2), Err(PageError::Truncated));
    assert!(core.warnings()[0].contains("descriptors"));
    assert!(refusal(vec![file[..descriptors - 1].to_vec()]).contains("kdump bitmaps"));
    assert!(refusal(vec![file[..100].to_vec()]).contains("kdump header: expected 464 bytes, found 100"));
}

/// makedumpfile that ran out of space: the status says so, the rest of the descriptors was never written.
#[test]
fn an_incomplete_dump_has_lost_pages() {
    let dump = Dump { status: 8 | 1, ..Dump::new() };
    let dump = dump.page(1, Page::Raw(1)).page(2, Page::Lost).page(3, Page::Lost);
    let file = dump.build();
    let core = open(vec![file.clone()]);
    assert!(core.header().incomplete && core.warnings()[0].starts_with("incomplete"));
    assert_eq!(core.format().codecs, [Codec::Zlib]);
    assert_eq!((fate(&core, 1), fate(&core, 2)), (Ok(1), Err(PageError::Lost)));
    let core = open(vec![file[..4 * B + 24].to_vec()]);
    assert_eq!(fate(&core, 3), Err(PageError::Lost), "its descriptor is beyond the end");
}

#[test]
fn one_bitmap_is_that_of_dumped_pages() {
    let dump = Dump { single_bitmap: true, version: 1, ..Dump::new() };
    let core = dump.page(3, Page::Raw(3)).page(9, Page::Raw(9)).open();
    assert_eq!((fate(&core, 3), fate(&core, 9)), (Ok(3), Ok(9)));
    assert_eq!(fate(&core, 4), Err(PageError::Absent));
}

fn part(range: Range<u64>) -> Dump {
    let mut dump = Dump { split: Some(range), memory: vec![50], ..Dump::new() };
    for pfn in [1, 2, 30, 31, 32, 90] {
        dump = dump.page(pfn, Page::Stored(1, zlib(&[pfn as u8; B])));
    }
    dump
}

#[test]
fn parts_are_put_together_in_any_order() {
    for version in [2, 5, 6] {
        let build = |range| Dump { version, ..part(range) }.build();
        let parts = [build(0..31), build(31..31), build(31..100), build(100..100)];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let core = open(order.map(|index: usize| parts[index].clone()).to_vec());
            assert_eq!(core.warnings(), [""; 0]);
            assert_eq!(core.format().parts, 4);
            for pfn in [1, 2, 30, 31, 32, 90] {
                assert_eq!(fate(&core, pfn), Ok(pfn as u8));
                assert_eq!(fate(&core, pfn), Ok(pfn as u8), "from the cache");
            }
            let mut pages = vec![0; 3 * B];
            core.read_phys(PhysAddr(30 * B as u64), &mut pages).unwrap();
            assert_eq!([pages[0], pages[B], pages[3 * B - 1]], [30, 31, 32]);
            assert_eq!(
                (fate(&core, 50), fate(&core, 51)),
                (Err(PageError::Excluded), Err(PageError::Absent))
            );
            assert_eq!(core.ranges().len(), 3);
        }
    }
}

#[test]
fn a_missing_part_is_told_by_its_frames() {
    let core = open(vec![part(0..2).build(), part(40..100).build()]);
    assert_eq!(core.warnings(), ["part of the split dump is missing: page frames 0x2 to 0x28 are lost"]);
    assert_eq!((fate(&core, 1), fate(&core, 90)), (Ok(1), Ok(90)));
    assert_eq!((fate(&core, 2), fate(&core, 31)), (Err(PageError::Lost), Err(PageError::Lost)));
    assert_eq!(fate(&core, 3), Err(PageError::Absent));
    // Nothing is missing where nothing was dumped.
    assert_eq!(open(vec![part(0..40).build(), part(60..91).build()]).warnings(), [""; 0]);
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let overlap = refusal(vec![part(0..31).build(), part(30..100).build()]);
    assert_eq!(overlap, "part 1 in memory: page frames 0x1e to 0x64 are also in part 0 in memory");
    let foreign = Dump { machine: "aarch64", ..part(31..100) };
    let foreign = refusal(vec![part(0..31).build(), foreign.build()]);
    assert_eq!(foreign, "part 1 in memory: not a part of the same dump as part 0 in memory");
    let whole = Dump { split: None, ..part(0..0) };
    let whole = refusal(vec![part(0..31).build(), whole.build()]);
    assert!(whole.contains("not a part of a split dump"), "{whole}");
}

#[test]
fn impossible_headers_are_refused() {
    let mut file = Dump { memory: vec![0], ..Dump::new() }.page(1, Page::Raw(1)).build();
    // More frames than any machine has.
    file[B + 96..B + 104].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(fate(&open(vec![file.clone()]), 1), Ok(1), "the bitmaps bound the frames");
    assert!(open(vec![file.clone()]).warnings()[0].contains("beyond the bitmaps"));
    file[436..440].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refusal(vec![file.clone()]).contains("kdump bitmaps"));
    file[428..432].copy_from_slice(&4097_u32.to_le_bytes());
    assert!(refusal(vec![file]).contains("a block size of 4096 to 65536"));
}

/// QEMU calls every x86 guest `x86_64`, and most others `Unknown`; what it wrote of the processors tells them apart.
#[test]
fn the_machine_is_that_of_the_registers() {
    let machine = |name: &'static str, abi: Abi, registers: usize| {
        let mut file = Dump { abi, machine: name, ..Dump::new() }.page(1, Page::Raw(1)).build();
        let note = [&[5, 0, 0, 0][..], &(registers as u32).to_le_bytes(), &[1, 0, 0, 0], b"CORE\0\0\0\0"];
        let note = [&note.concat()[..], &vec![0; registers]].concat();
        file[B + 400..][..note.len()].copy_from_slice(&note);
        let (place, word) = if abi == Abi::LE64 { (48, 8) } else { (32, 4) };
        file[B + place..][..8].copy_from_slice(&(B as u64 + 400).to_le_bytes());
        file[B + place + 8..][..word].copy_from_slice(&(note.len() as u64).to_le_bytes()[..word]);
        let core = open(vec![file]);
        assert_eq!(core.notes().len(), 1);
        (core.machine(), core.abi().word)
    };
    assert_eq!(machine("x86_64", Abi::LE64, 336), (Machine::X86_64, WordSize::Bits64));
    for abi in [Abi::LE64, Abi::LE32] {
        assert_eq!(machine("x86_64", abi, 144), (Machine::X86, WordSize::Bits32));
    }
    assert_eq!(machine("Unknown", Abi::LE64, 392), (Machine::AArch64, WordSize::Bits64));
    assert_eq!(machine("x86_64", Abi::LE64, 392), (Machine::AArch64, WordSize::Bits64));
    assert_eq!(machine("Unknown", Abi::LE64, 999), (Machine::Other(0), WordSize::Bits64));
    // A machine that QEMU does not name is named by the kernel itself.
    assert_eq!(machine("riscv64", Abi::LE64, 336), (Machine::RiscV, WordSize::Bits64));
}

/// The predecessor of the format has the same headers with another sub-header.
#[test]
fn a_diskdump_file_is_read_without_its_sub_header() {
    let mut file = Dump { version: 1, ..part(0..100) }.build();
    file[..8].copy_from_slice(b"DISKDUMP");
    let core = open(vec![file]);
    assert_eq!(core.format().to_string(), "diskdump v1, zlib");
    assert_eq!((fate(&core, 30), fate(&core, 50)), (Ok(30), Err(PageError::Excluded)));
    let header = core.header();
    assert_eq!((header.phys_base, header.dump_level, core.vmcoreinfo()), (None, None, None));
}

/// A flattened stream of one record for each piece, backwards.
fn flatten(file: &[u8], piece: usize) -> Vec<u8> {
    let mut stream = b"makedumpfile\0\0\0\0".to_vec();
    stream.extend([1_u64.to_be_bytes(), 1_u64.to_be_bytes()].concat());
    stream.resize(4096, 0);
    for (index, bytes) in file.chunks(piece).enumerate().rev() {
        stream.extend(((index * piece) as u64).to_be_bytes());
        stream.extend((bytes.len() as u64).to_be_bytes());
        stream.extend(bytes);
    }
    stream.extend([0xff; 16]);
    stream
}

#[test]
fn parts_may_be_flattened_one_by_one() {
    let parts = [part(0..31).build(), part(31..100).build()];
    // Pages, descriptors and bitmaps lie across records.
    let core = open(vec![flatten(&parts[0], 1000), flatten(&parts[1], 4097)]);
    assert_eq!(core.format().to_string(), "kdump-compressed v6, zlib, flattened, split in 2");
    assert_eq!(core.warnings(), [""; 0]);
    let plain = open(parts.to_vec());
    assert_eq!(core.ranges(), plain.ranges());
    for pfn in 0..101 {
        assert_eq!(fate(&core, pfn), fate(&plain, pfn), "page frame {pfn}");
    }
}

#[test]
fn a_flattened_stream_that_was_cut_keeps_what_arrived() {
    let dump = Dump::new().page(1, Page::Raw(1)).page(2, Page::Raw(2));
    let stream = flatten(&dump.build(), 1 << 20);
    let core = open(vec![stream[..stream.len() - 16 - B / 2].to_vec()]);
    assert!(core.warnings()[0].starts_with("flattened stream ends within the record at 0x1000"));
    assert_eq!((fate(&core, 1), fate(&core, 2)), (Ok(1), Ok(2)));
    let mut page = [0; B];
    let error = core.read_phys(PhysAddr(2 * B as u64), &mut page).unwrap_err();
    assert_eq!(error.cause, PageError::Truncated);
}
