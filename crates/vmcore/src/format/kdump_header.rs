//! The headers of kdump-compressed and diskdump files.
//!
//! All integers have the byte order and the width of the machine that wrote the dump, and nothing in the file says
//! which these are: they are recognised by the fields making sense. Source of the layouts: makedumpfile's
//! `IMPLEMENTATION` and `diskdump_mod.h`.
//!
//! ```text
//! block 0        main header                                   B = block_size
//! block 1        sub-header, then VMCOREINFO text and notes    sub_hdr_size blocks
//! then           bitmap of memory, bitmap of dumped pages      bitmap_blocks blocks, half each
//! then           descriptors, then the pages
//! ```

use super::bitmap::Bitmap;
use crate::content::Content;
use crate::error::Defect;
use crate::{Abi, Codec, Machine, Utsname, WordSize, notes};
use std::ops::Range;

/// Bytes of the main header that matter.
const MAIN_LEN: usize = 464;
/// Bytes of the sub-header that matter.
const SUB_LEN: u64 = 104;
/// Page frames of the largest machine that is believed: 256 TiB of 4 KiB pages. Bounds the work on a sparse file.
const FRAMES_MAX: u64 = 1 << 36;
/// In `status`: the writer ran out of space.
const INCOMPLETE: u32 = 8;

/// What the headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KdumpHeader {
    /// Old diskdump signature.
    pub(crate) diskdump: bool,
    /// Format version, 1 to 6.
    pub(crate) version: u32,
    /// Of the header fields.
    pub(crate) abi: Abi,
    pub(crate) utsname: Utsname,
    pub(crate) timestamp: (u64, u64),
    pub(crate) status: u32,
    /// Bytes of a block, which is also a page.
    pub(crate) block_size: u64,
    sub_blocks: u64,
    bitmap_blocks: u64,
    /// Page frames that the header counts.
    frames: u64,
    pub(crate) sub: SubHeader,
}

/// The sub-header, as far as the version has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SubHeader {
    pub(crate) phys_base: Option<u64>,
    pub(crate) dump_level: Option<u32>,
    /// The page frames of this part of a split dump.
    pub(crate) split: Option<Range<u64>>,
    frames: Option<u64>,
    /// Offset and size of the VMCOREINFO text.
    pub(crate) vmcoreinfo: Option<(u64, u64)>,
    /// Offset and size of the ELF notes.
    pub(crate) notes: Option<(u64, u64)>,
}

/// Offsets in the sub-header. A size follows its offset by 8 bytes, an end its start by a word.
struct SubLayout {
    dump_level: usize,
    split: usize,
    start_pfn: usize,
    vmcoreinfo: usize,
    notes: usize,
    start_pfn_64: usize,
    max_mapnr_64: usize,
}

const SUB_64: SubLayout = SubLayout {
    dump_level: 8,
    split: 12,
    start_pfn: 16,
    vmcoreinfo: 32,
    notes: 48,
    start_pfn_64: 80,
    max_mapnr_64: 96,
};
/// i386 aligns 64-bit integers to 4 bytes.
const SUB_32_PACKED: SubLayout = SubLayout {
    dump_level: 4,
    split: 8,
    start_pfn: 12,
    vmcoreinfo: 20,
    notes: 32,
    start_pfn_64: 56,
    max_mapnr_64: 72,
};
/// ARM, MIPS and the others align them to 8.
const SUB_32_PADDED: SubLayout = SubLayout {
    dump_level: 4,
    split: 8,
    start_pfn: 12,
    vmcoreinfo: 24,
    notes: 40,
    start_pfn_64: 72,
    max_mapnr_64: 88,
};

impl KdumpHeader {
    /// Reads both headers, and checks every count against the length of the file.
    pub(crate) fn parse(content: &Content) -> Result<KdumpHeader, Defect> {
        let main = content.head(MAIN_LEN);
        if main.len() < MAIN_LEN {
            let (expected, found) = (format!("{MAIN_LEN} bytes"), format!("{} bytes", main.len()));
            return Err(Defect::new("kdump header", expected, found));
        }
        let candidates: Vec<KdumpHeader> = [Abi::LE64, Abi::LE32, Abi::BE64, Abi::BE32]
            .into_iter()
            .filter_map(|abi| KdumpHeader::main(&main, abi))
            .collect();
        // A field may make sense by chance in another width. The file's length and the name of the machine decide.
        let fits = |header: &&KdumpHeader| {
            // In a flattened stream the dump may have holes, but not where the bitmaps are.
            header.descriptors() <= content.len()
                && header.bitmap_blocks * header.block_size <= content.file_len()
        };
        let named = |header: &&KdumpHeader| header.kernel_word() == Some(header.abi.word);
        let header = candidates.iter().find(|header| fits(header) && named(header));
        let header = header.or_else(|| candidates.iter().find(fits));
        let Some(mut header) = header.cloned() else {
            return Err(match candidates.first() {
                Some(header) => {
                    let expected = format!("to end at {:#x}", header.descriptors());
                    Defect::new("kdump bitmaps", expected, format!("a file of {:#x} bytes", content.len()))
                }
                None => Defect::new(
                    "kdump header",
                    "a block size of 4096 to 65536 in one of the known layouts",
                    "none that makes sense",
                ),
            });
        };
        if !header.diskdump {
            header.sub = header.sub_header(content);
        }
        if let Some(frames) = header.sub.frames {
            header.frames = frames;
        }
        if header.dumped().bits > FRAMES_MAX {
            let expected = format!("at most {FRAMES_MAX}");
            return Err(Defect::new("kdump page frames", expected, header.dumped().bits.to_string()));
        }
        Ok(header)
    }

    /// The main header in one layout, or `None` when it makes no sense.
    fn main(bytes: &[u8], abi: Abi) -> Option<KdumpHeader> {
        let (time, status) = match abi.word {
            WordSize::Bits64 => (408, 424),
            WordSize::Bits32 => (404, 412),
        };
        let text = |index: usize| -> Vec<u8> {
            let field = bytes.get(12 + 65 * index..12 + 65 * (index + 1)).unwrap_or_default();
            field.iter().copied().take_while(|&byte| byte != 0).collect()
        };
        let header = KdumpHeader {
            diskdump: bytes.starts_with(b"DISKDUMP"),
            version: abi.u32(bytes, 8)?,
            abi,
            utsname: Utsname {
                sysname: text(0),
                nodename: text(1),
                release: text(2),
                version: text(3),
                machine: text(4),
                domainname: text(5),
            },
            timestamp: (abi.word(bytes, time)?, abi.word(bytes, time + abi.word_bytes())?),
            status: abi.u32(bytes, status)?,
            block_size: abi.u32(bytes, status + 4)?.into(),
            sub_blocks: abi.u32(bytes, status + 8)?.into(),
            bitmap_blocks: abi.u32(bytes, status + 12)?.into(),
            frames: abi.u32(bytes, status + 16)?.into(),
            sub: SubHeader::default(),
        };
        let sane = header.version < 256
            && header.block_size.is_power_of_two()
            && (4096..=65536).contains(&header.block_size)
            && (1..=0xffff).contains(&header.sub_blocks)
            && header.bitmap_blocks > 0;
        sane.then_some(header)
    }

    /// The sub-header; fields that lie outside of it are taken as missing.
    fn sub_header(&self, content: &Content) -> SubHeader {
        let len = SUB_LEN.min(self.sub_blocks * self.block_size);
        let Some(bytes) = notes::bytes(content, self.block_size, len) else { return SubHeader::default() };
        if self.abi.word == WordSize::Bits64 {
            return self.sub_in(&bytes, &SUB_64);
        }
        // The compiler of the machine that wrote the dump decided. What the offsets point to tells more than the
        // machine's name, which may be missing.
        let (packed, padded) = (self.sub_in(&bytes, &SUB_32_PACKED), self.sub_in(&bytes, &SUB_32_PADDED));
        let score = |sub: &SubHeader| {
            let text = sub.vmcoreinfo.and_then(|(offset, _)| content.array(offset).ok());
            let frames = sub.frames.is_some_and(|frames| frames >= self.frames && frames <= FRAMES_MAX);
            u32::from(text == Some(*b"OSRELEASE=")) * 2 + u32::from(frames)
        };
        let i386 = Machine::from_utsname(&self.utsname.machine) == Machine::X86;
        match score(&packed).cmp(&score(&padded)) {
            std::cmp::Ordering::Greater => packed,
            std::cmp::Ordering::Equal if i386 => packed,
            _ => padded,
        }
    }

    fn sub_in(&self, bytes: &[u8], layout: &SubLayout) -> SubHeader {
        let abi = self.abi;
        let since = |version: u32| self.version >= version;
        // An offset of 64 bits with a size of a word behind it; nothing is there when either is 0.
        let area = |at: usize| {
            let (offset, size) = (abi.u64(bytes, at)?, abi.word(bytes, at + 8)?);
            (offset != 0 && size != 0).then_some((offset, size))
        };
        let split = || {
            let is_part = abi.u32(bytes, layout.split)? != 0;
            let (start, end) = if since(6) {
                (abi.u64(bytes, layout.start_pfn_64)?, abi.u64(bytes, layout.start_pfn_64 + 8)?)
            } else {
                (abi.word(bytes, layout.start_pfn)?, abi.word(bytes, layout.start_pfn + abi.word_bytes())?)
            };
            is_part.then_some(start..end.max(start))
        };
        SubHeader {
            phys_base: abi.word(bytes, 0),
            dump_level: since(1).then(|| abi.u32(bytes, layout.dump_level)).flatten(),
            split: since(2).then(split).flatten(),
            frames: since(6).then(|| abi.u64(bytes, layout.max_mapnr_64)).flatten().filter(|&n| n != 0),
            vmcoreinfo: since(3).then(|| area(layout.vmcoreinfo)).flatten(),
            notes: since(4).then(|| area(layout.notes)).flatten(),
        }
    }

    /// Whether two headers are of one dump: parts of a split dump differ in their sub-headers and in `status` at most.
    pub(crate) fn same_dump(&self, other: &KdumpHeader) -> bool {
        let common =
            |header: &KdumpHeader| KdumpHeader { status: 0, sub: SubHeader::default(), ..header.clone() };
        common(self) == common(other)
    }

    fn bitmaps(&self) -> u64 {
        self.block_size * (1 + self.sub_blocks)
    }

    /// Bytes of one bitmap.
    fn bitmap_len(&self) -> u64 {
        if self.single_bitmap() {
            self.bitmap_blocks * self.block_size
        } else {
            self.bitmap_blocks / 2 * self.block_size
        }
    }

    /// Very old files have the bitmap of dumped pages alone.
    fn single_bitmap(&self) -> bool {
        if self.version > 1 && !self.diskdump {
            return false;
        }
        let needed = self.frames.div_ceil(8).div_ceil(self.block_size);
        self.bitmap_blocks < needed.saturating_mul(2)
    }

    /// Page frames that the bitmaps have a bit for.
    pub(crate) fn frames(&self) -> u64 {
        let bits = self.bitmap_len() * 8;
        if self.frames == 0 { bits } else { self.frames.min(bits) }
    }

    /// How many page frames the header counts beyond its own bitmaps.
    pub(crate) fn frames_without_bits(&self) -> u64 {
        self.frames - self.frames.min(self.frames())
    }

    /// The bitmap of page frames that are memory; none in very old files.
    pub(crate) fn memory(&self) -> Option<Bitmap> {
        (!self.single_bitmap()).then(|| Bitmap { offset: self.bitmaps(), bits: self.frames() })
    }

    /// The bitmap of page frames that are in the dump.
    pub(crate) fn dumped(&self) -> Bitmap {
        let offset = if self.single_bitmap() { 0 } else { self.bitmap_len() };
        Bitmap { offset: self.bitmaps() + offset, bits: self.frames() }
    }

    /// File offset of the descriptors.
    pub(crate) fn descriptors(&self) -> u64 {
        self.bitmaps() + self.bitmap_blocks * self.block_size
    }

    /// The dump says that it ran out of space.
    pub(crate) fn incomplete(&self) -> bool {
        self.status & INCOMPLETE != 0
    }

    /// The codec that `status` names; informative, each page says for itself.
    pub(crate) fn declared_codec(&self) -> Option<Codec> {
        codec(self.status & !(INCOMPLETE | 0x10)).filter(|&codec| codec != Codec::Raw)
    }

    /// The processor, and how its integers lie.
    pub(crate) fn machine(&self) -> (Machine, Abi) {
        let word = self.kernel_word().unwrap_or(self.abi.word);
        (Machine::from_utsname(&self.utsname.machine), Abi { word, ..self.abi })
    }

    /// The width of a word of the dead kernel, where the name of its machine tells.
    fn kernel_word(&self) -> Option<WordSize> {
        let name = &self.utsname.machine;
        let named_64 = name.ends_with(b"64") || name == b"s390x";
        Machine::from_utsname(name).word_size().or(named_64.then_some(WordSize::Bits64))
    }
}

/// The codec of a flag word, of a page or of the header; `None` when it is not one of the known ones.
pub(crate) fn codec(flags: u32) -> Option<Codec> {
    Some(match flags {
        0 => Codec::Raw,
        1 => Codec::Zlib,
        2 => Codec::Lzo,
        4 => Codec::Snappy,
        0x20 => Codec::Zstd,
        _ => return None,
    })
}
