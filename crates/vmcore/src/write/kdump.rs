//! kdump-compressed files, header version 6, as makedumpfile lays them out (`format/kdump_header.rs` has the picture).
//!
//! The bitmaps have the bits of pages that are stored or known to be missing, and no others, so that they stay holes of the file
//! on large machines. A missing page is told by its descriptor: without an offset it is lost, without a size corrupt.

use super::fields::Fields;
use super::notes::Notes;
use super::pages::Pages;
use super::{Format, WriteError, headers_held};
use crate::{Abi, Codec, CoreHeader, Machine, PageError, PhysMemory, Utsname, WordSize};
use codec::PageEncoder;
use std::io::{Seek, SeekFrom, Write};

const VERSION: u32 = 6;
/// In `status`: the writer of the core ran out of space.
const INCOMPLETE: u32 = 8;
const DESCRIPTOR_LEN: u64 = 24;
/// Bytes of bitmap without bits that are written rather than skipped.
const GAP: u64 = 4096;

/// Where a stored page is.
#[derive(Clone, Copy, Debug)]
struct Descriptor {
    offset: u64,
    size: u32,
    flags: u32,
}

/// Places in the file.
struct Layout {
    abi: Abi,
    block: u64,
    frames: u64,
    sub_blocks: u64,
    bitmap_blocks: u64,
}

impl Layout {
    fn bitmaps(&self) -> u64 {
        self.block * (1 + self.sub_blocks)
    }

    fn dumped(&self) -> u64 {
        self.bitmaps() + self.bitmap_blocks / 2 * self.block
    }

    fn descriptors(&self) -> u64 {
        self.bitmaps() + self.bitmap_blocks * self.block
    }
}

/// Returns the length of the file.
pub(super) fn write<W: Write + Seek>(
    pages: &Pages<'_>,
    codec: Codec,
    out: &mut W,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, WriteError> {
    let core = pages.core();
    let (header, block) = headers_held(core, Format::Kdump(codec))?;
    let abi = core.abi();
    let notes = Notes::new(core, abi);
    let sub_len = sub_header_len(core.machine(), abi) as u64;
    let frames = core.memory_end().div_ceil(block);
    let layout = Layout {
        abi,
        block,
        frames,
        sub_blocks: (sub_len + notes.bytes.len() as u64).div_ceil(block),
        bitmap_blocks: 2 * frames.div_ceil(8).div_ceil(block).max(1),
    };

    out.write_all(&main_header(&layout, &header, codec, core.notes()))?;
    out.seek(SeekFrom::Start(block))?;
    out.write_all(&sub_header(&layout, &header, core.machine(), &notes, sub_len))?;
    out.write_all(&notes.bytes)?;

    // Beyond the end of memory there is no bit to set.
    let listed = |frame: &u64| *frame < frames;
    let is_stored = |cause: &PageError| !matches!(cause, PageError::Absent | PageError::Excluded);
    let mut dumped: Vec<u64> = pages.frames().iter().copied().filter(listed).collect();
    let broken = pages.missing().iter().filter(|(frame, cause)| listed(frame) && is_stored(cause));
    dumped.extend(broken.map(|(frame, _)| *frame));
    dumped.sort_unstable();
    let mut memory = dumped.clone();
    let excluded =
        pages.missing().iter().filter(|(frame, cause)| listed(frame) && **cause == PageError::Excluded);
    memory.extend(excluded.map(|(frame, _)| *frame));
    memory.sort_unstable();
    bitmap(out, layout.bitmaps(), &memory)?;
    bitmap(out, layout.dumped(), &dumped)?;

    let (descriptors, end) = store(pages, &dumped, codec, &layout, out, progress)?;
    out.seek(SeekFrom::Start(layout.descriptors()))?;
    for Descriptor { offset, size, flags } in descriptors {
        let mut fields = Fields::new(abi);
        fields.u64(offset).u32(size).u32(flags).u64(0);
        out.write_all(&fields.finish())?;
    }
    // Without any page the bitmaps end the file, and may end in a hole.
    if dumped.is_empty() {
        out.seek(SeekFrom::Start(end.saturating_sub(1)))?;
        out.write_all(&[0])?;
    }
    Ok(end)
}

/// Writes the pages behind the descriptors; returns these, and where the pages end.
fn store<W: Write + Seek>(
    pages: &Pages<'_>,
    dumped: &[u64],
    codec: Codec,
    layout: &Layout,
    out: &mut W,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Vec<Descriptor>, u64), WriteError> {
    let mut end = layout.descriptors().saturating_add(dumped.len() as u64 * DESCRIPTOR_LEN);
    out.seek(SeekFrom::Start(end))?;
    let mut page = vec![0; usize::try_from(layout.block).unwrap_or(0)];
    let mut encoder = PageEncoder::new(codec);
    let mut descriptors = Vec::with_capacity(dumped.len());
    let mut zeros: Option<Descriptor> = None;
    for (frame, done) in dumped.iter().zip(1..) {
        progress(done, dumped.len() as u64);
        if let Some(cause) = pages.missing().get(frame) {
            descriptors.push(match cause {
                // No codec makes a page of nothing.
                PageError::Corrupt(codec) => {
                    Descriptor { offset: layout.descriptors(), size: 0, flags: flags(*codec) }
                }
                _ => Descriptor { offset: 0, size: 0, flags: 0 },
            });
            continue;
        }
        pages.read(*frame, &mut page)?;
        // As makedumpfile does: the page of zeros is stored once, and raw.
        let is_zero = page.iter().all(|&byte| byte == 0);
        if let Some(zeros) = zeros.filter(|_| is_zero) {
            descriptors.push(zeros);
            continue;
        }
        let (stored, bytes) = if is_zero { (Codec::Raw, page.as_slice()) } else { encoder.encode(&page) };
        out.write_all(bytes)?;
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let descriptor = Descriptor { offset: end, size, flags: flags(stored) };
        end = end.saturating_add(bytes.len() as u64);
        descriptors.push(descriptor);
        if is_zero {
            zeros = Some(descriptor);
        }
    }
    Ok((descriptors, end))
}

/// Sets the bits of frames, which ascend. What is between them stays a hole.
fn bitmap<W: Write + Seek>(out: &mut W, start: u64, frames: &[u64]) -> Result<(), WriteError> {
    let (mut first, mut bytes) = (0, Vec::new());
    let mut flush = |first: u64, bytes: &[u8]| -> Result<(), WriteError> {
        if !bytes.is_empty() {
            out.seek(SeekFrom::Start(start.saturating_add(first)))?;
            out.write_all(bytes)?;
        }
        Ok(())
    };
    for frame in frames {
        let at = frame / 8;
        if bytes.is_empty() || at.saturating_sub(first) >= bytes.len() as u64 + GAP {
            flush(first, &bytes)?;
            bytes.clear();
            first = at;
        }
        let within = usize::try_from(at.saturating_sub(first)).unwrap_or(usize::MAX);
        if bytes.len() <= within {
            bytes.resize(within.saturating_add(1), 0);
        }
        if let Some(byte) = bytes.get_mut(within) {
            *byte |= 1 << (frame % 8);
        }
    }
    flush(first, &bytes)
}

fn flags(codec: Codec) -> u32 {
    match codec {
        Codec::Raw => 0,
        Codec::Zlib => 1,
        Codec::Lzo => 2,
        Codec::Snappy => 4,
        Codec::Zstd => 0x20,
    }
}

fn main_header(layout: &Layout, header: &CoreHeader, codec: Codec, notes: &[crate::Note]) -> Vec<u8> {
    let abi = layout.abi;
    let none = Utsname::default();
    let names = header.utsname.as_ref().unwrap_or(&none);
    let mut fields = Fields::new(abi);
    fields.bytes(b"KDUMP   ").u32(VERSION);
    let texts =
        [&names.sysname, &names.nodename, &names.release, &names.version, &names.machine, &names.domainname];
    for (index, text) in texts.into_iter().enumerate() {
        // Each member is 65 bytes, the last of them a NUL.
        fields.at(12 + 65 * index).bytes(text.get(..64).unwrap_or(text));
    }
    let (seconds, micros) = header.timestamp.unwrap_or_default();
    let (time, status) = match abi.word {
        WordSize::Bits64 => (408, 424),
        WordSize::Bits32 => (404, 412),
    };
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let cpus = notes.iter().filter(|note| note.name == b"CORE" && note.kind == 1).count();
    fields.at(time).word(seconds).word(micros);
    fields.at(status).u32(flags(codec) | if header.incomplete { INCOMPLETE } else { 0 });
    fields.u32(small(layout.block)).u32(small(layout.sub_blocks)).u32(small(layout.bitmap_blocks));
    // Frames; of all memory, of the device, written, the current processor: nobody reads these.
    fields.u32(small(layout.frames)).u32(0).u32(0).u32(0).u32(0).u32(small(cpus as u64));
    fields.finish()
}

/// i386 aligns 64-bit integers to 4 bytes, all others to 8.
fn aligns_to_4(machine: Machine, abi: Abi) -> bool {
    machine == Machine::X86 && abi.word == WordSize::Bits32
}

fn sub_header_len(machine: Machine, abi: Abi) -> usize {
    match abi.word {
        WordSize::Bits64 => 104,
        WordSize::Bits32 if aligns_to_4(machine, abi) => 80,
        WordSize::Bits32 => 96,
    }
}

fn sub_header(layout: &Layout, header: &CoreHeader, machine: Machine, notes: &Notes, len: u64) -> Vec<u8> {
    let abi = layout.abi;
    // An offset of 64 bits, a size of a word, and where the next such pair begins.
    let align = if aligns_to_4(machine, abi) { 4 } else { 8 };
    let first = match abi.word {
        WordSize::Bits64 => 32,
        WordSize::Bits32 => 20_usize.next_multiple_of(align),
    };
    let step = (8 + abi.word_bytes()).next_multiple_of(align);
    let notes_at = layout.block + len;
    let vmcoreinfo = notes.vmcoreinfo.map_or((0, 0), |(offset, len)| (notes_at + offset, len));
    let all = if notes.bytes.is_empty() { (0, 0) } else { (notes_at, notes.bytes.len() as u64) };

    let mut fields = Fields::new(abi);
    fields.word(header.phys_base.unwrap_or_default()).u32(header.dump_level.unwrap_or_default());
    // Not split. Behind the notes there would be what was erased, then the frames of a part of a split dump.
    for (index, (offset, len)) in [vmcoreinfo, all].into_iter().enumerate() {
        fields.at(first + step * index).u64(offset).word(len);
    }
    fields.at(first + step * 3 + 16).u64(layout.frames);
    fields.at(usize::try_from(len).unwrap_or(0));
    fields.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The offsets are those of the reader, which has them from makedumpfile.
    #[test]
    fn the_sub_header_has_three_layouts() {
        for (machine, abi, text, notes_field, frames) in [
            (Machine::X86_64, Abi::LE64, 32, 48, 96),
            (Machine::X86, Abi::LE32, 20, 32, 72),
            (Machine::Arm, Abi::LE32, 24, 40, 88),
            (Machine::Mips, Abi::BE32, 24, 40, 88),
        ] {
            let layout = Layout { abi, block: 4096, frames: 0x1234, sub_blocks: 1, bitmap_blocks: 2 };
            let notes = Notes { bytes: vec![1; 100], vmcoreinfo: Some((28, 7)) };
            let len = sub_header_len(machine, abi) as u64;
            let header = CoreHeader { phys_base: Some(0x20_0000), ..CoreHeader::default() };
            let bytes = sub_header(&layout, &header, machine, &notes, len);
            assert_eq!(bytes.len() as u64, len);
            assert_eq!(abi.word(&bytes, 0), Some(0x20_0000));
            assert_eq!((abi.u64(&bytes, text), abi.word(&bytes, text + 8)), (Some(4096 + len + 28), Some(7)));
            assert_eq!(
                (abi.u64(&bytes, notes_field), abi.word(&bytes, notes_field + 8)),
                (Some(4096 + len), Some(100))
            );
            assert_eq!(abi.u64(&bytes, frames), Some(0x1234), "{machine}");
        }
    }

    #[test]
    fn bits_far_apart_leave_holes() {
        let mut out = std::io::Cursor::new(Vec::new());
        bitmap(&mut out, 10, &[0, 9, 10, 8 * 5000, 8 * 5000 + 7]).unwrap();
        let bytes = out.into_inner();
        assert_eq!((bytes[10], bytes[11], bytes.len()), (1, 0b110, 10 + 5001));
        assert_eq!(bytes[5010], 0x81);
        assert!(bytes[12..5010].iter().all(|&byte| byte == 0));
    }
}
