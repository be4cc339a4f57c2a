//! kdump-compressed cores, header versions 1 to 6, whole or split.

use std::collections::BTreeSet;

use super::CoreFile;
use super::elf::repeated_notes;
use crate::build::DeadKernel;

/// How pages are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Raw,
    /// zlib streams.
    Zlib,
    /// LZO1X.
    Lzo,
    /// Snappy blocks.
    Snappy,
    /// zstd frames.
    Zstd,
}

impl Codec {
    fn flag(self) -> u64 {
        match self {
            Codec::Raw => 0,
            Codec::Zlib => 1,
            Codec::Lzo => 2,
            Codec::Snappy => 4,
            Codec::Zstd => 0x20,
        }
    }

    fn pack(self, page: &[u8]) -> Option<Vec<u8>> {
        let packed = match self {
            Codec::Raw => return None,
            Codec::Zlib => {
                // As makedumpfile does. The library's `fastest` is level 0, which does not compress at all.
                let level = libdeflater::CompressionLvl::new(1).expect("there is a level 1");
                let mut z = libdeflater::Compressor::new(level);
                let mut out = vec![0; z.zlib_compress_bound(page.len())];
                let len = z.zlib_compress(page, &mut out).expect("the bound is enough");
                out.truncate(len);
                out
            }
            Codec::Lzo => {
                let mut out = vec![0; lzallright::worst_case_len(page.len())];
                let len = lzallright::compress(page, &mut out, &mut lzallright::Dict::default());
                out.truncate(len.expect("the bound is enough"));
                out
            }
            Codec::Snappy => snap::raw::Encoder::new().compress_vec(page).expect("a page fits"),
            Codec::Zstd => {
                let mut out = Vec::with_capacity(zstd_safe::compress_bound(page.len()));
                zstd_safe::compress(&mut out, page, 1).expect("the bound is enough");
                out
            }
        };
        // makedumpfile keeps a page raw when compression does not help.
        (packed.len() < page.len()).then_some(packed)
    }
}

/// Writer of a kdump-compressed core.
#[derive(Debug, Clone)]
pub struct Kdump {
    version: u32,
    codec: Codec,
    wide: Option<bool>,
    sub_header_blocks: u64,
    zero_pages: bool,
    excluded: BTreeSet<u64>,
    lost_from: Option<u64>,
    qemu: bool,
}

impl Kdump {
    /// Version 6, the header layout of the kernel's word size.
    pub fn new(codec: Codec) -> Kdump {
        Kdump {
            version: 6,
            codec,
            wide: None,
            sub_header_blocks: 2,
            zero_pages: false,
            excluded: BTreeSet::new(),
            lost_from: None,
            qemu: false,
        }
    }

    /// As QEMU writes it without the guest's help: no VMCOREINFO, of what `uname` says only a name for the machine that need not
    /// be right, control registers, and blocks of 64 KiB of arm64 guests.
    pub fn qemu(codec: Codec) -> Kdump {
        Kdump { qemu: true, ..Kdump::new(codec) }
    }

    /// Header version 1 … 6.
    pub fn version(mut self, version: u32) -> Kdump {
        self.version = version;
        self
    }

    /// Header fields of a 64-bit (true) or 32-bit dumping machine.
    pub fn wide(mut self, on: bool) -> Kdump {
        self.wide = Some(on);
        self
    }

    /// Also describes all of RAM's untouched pages, which share one stored page of zeros.
    pub fn zero_pages(mut self, on: bool) -> Kdump {
        self.zero_pages = on;
        self
    }

    /// Page frames that exist but were filtered out.
    pub fn exclude(mut self, frames: impl IntoIterator<Item = u64>) -> Kdump {
        self.excluded.extend(frames);
        self
    }

    /// The dump ran out of space: descriptors from this number on are zero.
    pub fn lost_from(mut self, descriptor: u64) -> Kdump {
        self.lost_from = Some(descriptor);
        self
    }

    /// Writes one file.
    pub fn write(&self, kernel: &DeadKernel) -> CoreFile {
        let end = kernel.memory().ram().end / self.block(kernel);
        self.part(kernel, None, 0..end)
    }

    /// Writes a split set of `parts` files.
    pub fn split(&self, kernel: &DeadKernel, parts: u64) -> Vec<CoreFile> {
        let dumped = self.dumped(kernel);
        let frames: Vec<u64> = dumped.iter().copied().collect();
        let end = kernel.memory().ram().end / self.block(kernel);
        let cut = |part: u64| match part {
            0 => 0,
            part if part == parts => end,
            part => frames[frames.len() * part as usize / parts as usize],
        };
        (0..parts).map(|p| self.part(kernel, Some(p), cut(p)..cut(p + 1))).collect()
    }

    /// Bytes of a block, which is what the file calls a page.
    fn block(&self, kernel: &DeadKernel) -> u64 {
        let page = kernel.facts().page_size();
        if self.qemu && kernel.facts().elf_machine == 183 { page.max(1 << 16) } else { page }
    }

    fn dumped(&self, kernel: &DeadKernel) -> BTreeSet<u64> {
        let (page, block) = (kernel.facts().page_size(), self.block(kernel));
        let ram = kernel.memory().ram();
        let mut frames: BTreeSet<u64> = if self.zero_pages {
            (ram.start / block..ram.end / block).collect()
        } else {
            kernel.memory().pages().map(|(pfn, _)| pfn * page / block).collect()
        };
        frames.retain(|pfn| !self.excluded.contains(pfn));
        frames
    }

    fn part(&self, kernel: &DeadKernel, split: Option<u64>, range: std::ops::Range<u64>) -> CoreFile {
        let facts = kernel.facts();
        let block = self.block(kernel);
        let ram = kernel.memory().ram();
        let max_mapnr = ram.end / block;
        let bitmap_bytes = max_mapnr.div_ceil(8).next_multiple_of(block);
        let bitmap_blocks = 2 * bitmap_bytes / block;
        let dumped = self.dumped(kernel);
        let mut bitmap1 = vec![0_u8; bitmap_bytes as usize];
        let mut bitmap2 = bitmap1.clone();
        for pfn in ram.start / block..ram.end / block {
            bitmap1[(pfn / 8) as usize] |= 1 << (pfn % 8);
        }
        for pfn in &dumped {
            bitmap2[(pfn / 8) as usize] |= 1 << (pfn % 8);
        }
        let mut file = CoreFile::new();
        let bitmaps = block * (1 + self.sub_header_blocks);
        let descriptors = bitmaps + block * bitmap_blocks;
        let mine: Vec<u64> = dumped.range(range.clone()).copied().collect();
        let mut at = descriptors + 24 * mine.len() as u64;
        let mut table = Vec::new();
        let mut data: Vec<u8> = Vec::new();
        let first = at;
        let mut zero: Option<(u64, u64, u64)> = None;
        let blank = vec![0; block as usize];
        for (number, pfn) in mine.iter().enumerate() {
            if self.lost_from.is_some_and(|lost| number as u64 >= lost) {
                table.resize(table.len() + 24, 0);
                continue;
            }
            let composed;
            let bytes = if block == facts.page_size() {
                kernel.memory().page(*pfn).unwrap_or(&blank)
            } else {
                composed = kernel.memory().read(pfn * block, block as usize);
                &composed
            };
            let is_zero = bytes.iter().all(|b| *b == 0);
            let stored = match zero {
                Some(stored) if is_zero => stored,
                _ => {
                    let packed = self.codec.pack(bytes);
                    let flag = if packed.is_some() { self.codec.flag() } else { 0 };
                    let packed = packed.unwrap_or_else(|| bytes.to_vec());
                    let stored = (at, packed.len() as u64, flag);
                    at += packed.len() as u64;
                    data.extend(packed);
                    if is_zero {
                        zero = Some(stored);
                    }
                    stored
                }
            };
            let abi = facts.abi;
            table.extend(abi.bytes(stored.0, 8));
            table.extend(abi.bytes(stored.1, 4));
            table.extend(abi.bytes(stored.2, 4));
            table.extend(abi.bytes(0, 8));
        }
        file.put(0, self.header(kernel, bitmap_blocks, max_mapnr));
        file.put(block, self.sub_header(kernel, split.is_some(), &range, max_mapnr, block));
        file.put(bitmaps, [bitmap1, bitmap2].concat());
        file.put(descriptors, table);
        file.put(first, data);
        file
    }

    fn is_wide(&self, kernel: &DeadKernel) -> bool {
        self.wide.unwrap_or(kernel.facts().abi.word == 8)
    }

    fn header(&self, kernel: &DeadKernel, bitmap_blocks: u64, max_mapnr: u64) -> Vec<u8> {
        let facts = kernel.facts();
        let abi = facts.abi;
        let wide = self.is_wide(kernel);
        let mut out = vec![0; self.block(kernel) as usize];
        out[..8].copy_from_slice(b"KDUMP   ");
        abi.put(&mut out, 8, 4, u64::from(self.version));
        if self.qemu {
            let machine: &[u8] = if matches!(facts.elf_machine, 3 | 62) { b"x86_64" } else { b"Unknown" };
            out[272..272 + machine.len()].copy_from_slice(machine);
        } else {
            let uts = kernel.symbol("init_uts_ns") + kernel.types().place("uts_namespace", "name").offset;
            let names = kernel.memory().read(kernel.phys(uts), 390);
            out[12..402].copy_from_slice(&names);
        }
        let (time, fields) = if wide { (408, 424) } else { (404, 412) };
        abi.put(&mut out, time, if wide { 8 } else { 4 }, 1_262_307_600);
        let incomplete = if self.lost_from.is_some() { 8 } else { 0 };
        let shown = if self.version >= 6 { 0 } else { max_mapnr };
        for (i, value) in [
            self.codec.flag() | incomplete,
            self.block(kernel),
            self.sub_header_blocks,
            bitmap_blocks,
            shown,
            max_mapnr,
            0,
            0,
            0,
            u64::from(kernel.cpus),
        ]
        .into_iter()
        .enumerate()
        {
            abi.put(&mut out, fields + 4 * i, 4, value);
        }
        out
    }

    fn sub_header(
        &self,
        kernel: &DeadKernel,
        split: bool,
        range: &std::ops::Range<u64>,
        max_mapnr: u64,
        block: u64,
    ) -> Vec<u8> {
        let facts = kernel.facts();
        let abi = facts.abi;
        let wide = self.is_wide(kernel);
        let word = if wide { 8 } else { 4 };
        // Offsets of: dump_level, split, start_pfn, vmcoreinfo, note, eraseinfo, 64-bit numbers.
        let at: [usize; 7] = match (wide, abi.align64) {
            (true, _) => [8, 12, 16, 32, 48, 64, 80],
            (false, 4) => [4, 8, 12, 20, 32, 44, 56],
            (false, _) => [4, 8, 12, 24, 40, 56, 72],
        };
        let mut out = vec![0; (self.sub_header_blocks * block) as usize];
        let phys_base = if facts.elf_machine == 62 { facts.phys_base() } else { 0 };
        abi.put(&mut out, 0, word, phys_base);
        if self.version >= 1 {
            abi.put(&mut out, at[0], 4, 1);
        }
        if self.version >= 2 {
            abi.put(&mut out, at[1], 4, u64::from(split));
            let obsolete = self.version >= 6;
            abi.put(&mut out, at[2], word, if split && !obsolete { range.start } else { 0 });
            abi.put(&mut out, at[2] + word, word, if split && !obsolete { range.end } else { 0 });
        }
        let text = if self.qemu { &[] } else { kernel.vmcoreinfo().as_bytes() };
        let text_at = 0x200;
        let notes = repeated_notes(kernel, self.qemu);
        let notes_at = (text_at + text.len()).next_multiple_of(4);
        if self.version >= 3 && !text.is_empty() {
            abi.put(&mut out, at[3], 8, block + text_at as u64);
            abi.put(&mut out, at[3] + 8, word, text.len() as u64);
            out[text_at..text_at + text.len()].copy_from_slice(text);
        }
        if self.version >= 4 {
            assert!(notes_at + notes.len() <= out.len(), "notes too long for the sub-header");
            abi.put(&mut out, at[4], 8, block + notes_at as u64);
            abi.put(&mut out, at[4] + 8, word, notes.len() as u64);
            out[notes_at..notes_at + notes.len()].copy_from_slice(&notes);
        }
        if self.version >= 6 {
            abi.put(&mut out, at[6], 8, if split { range.start } else { 0 });
            abi.put(&mut out, at[6] + 8, 8, if split { range.end } else { 0 });
            abi.put(&mut out, at[6] + 16, 8, max_mapnr);
        }
        out
    }
}
