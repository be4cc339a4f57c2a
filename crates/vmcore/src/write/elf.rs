//! ELF cores: one `PT_LOAD` for each run of pages, within the segments of an ELF core that is sliced.
//!
//! The memory map is kept: what is not stored is memory without bytes (`p_filesz` below `p_memsz`), with the virtual address it had.
//! Several segments may show the same page, as those of a kernel image and of the direct map do; it is stored once.

use super::fields::Fields;
use super::notes::Notes;
use super::pages::Pages;
use super::{Format, WriteError, headers_held};
use crate::{Abi, Endian, FormatKind, PageError, PhysMemory, Segment, WordSize};
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const ET_CORE: u16 = 4;
/// In `e_phnum`: the count does not fit, and stands in `sh_info` of section header 0.
const PN_XNUM: usize = 0xffff;
/// In `e_flags`: the writer of the core ran out of space.
const INCOMPLETE: u32 = 1;
/// Readable, writable, executable: as all kernels' cores say.
const FLAGS: u32 = 7;

/// A segment of the slice.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    phys: u64,
    virt: Option<u64>,
    stored: u64,
    len: u64,
}

/// Returns the length of the file.
pub(super) fn write<W: Write + Seek>(
    pages: &Pages<'_>,
    out: &mut W,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, WriteError> {
    let core = pages.core();
    let (header, page_size) = headers_held(core, Format::Elf)?;
    let pieces = pieces(pages, &header.segments);
    let data_len = (pages.frames().len() as u64).saturating_mul(page_size);
    let small = core.abi().word == WordSize::Bits32
        && core.format().kind != FormatKind::Elf64
        && core.memory_end().saturating_add(data_len) <= u64::from(u32::MAX);
    // The notes have the class of the headers, but look the same in both.
    let abi = Abi { word: if small { WordSize::Bits32 } else { WordSize::Bits64 }, ..core.abi() };
    let notes = Notes::new(core, abi);

    let (header_len, entry_len, section_len) = if small { (52, 32, 40) } else { (64, 56, 64) };
    let count = pieces.len().saturating_add(1);
    let many = count >= PN_XNUM;
    let table_len = (count as u64).saturating_mul(entry_len);
    let section_at = header_len + table_len;
    let notes_at = if many { section_at + section_len } else { section_at };
    let data_at = (notes_at + notes.bytes.len() as u64).next_multiple_of(page_size);

    let mut fields = Fields::new(abi);
    let endian = if abi.endian == Endian::Little { 1 } else { 2 };
    fields.bytes(b"\x7fELF").bytes(&[if small { 1 } else { 2 }, endian, 1]).at(16);
    fields.u16(ET_CORE).u16(core.machine().to_elf()).u32(1).word(0).word(header_len);
    fields.word(if many { section_at } else { 0 }).u32(if header.incomplete { INCOMPLETE } else { 0 });
    let half = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
    fields.u16(half(header_len)).u16(half(entry_len)).u16(half(count.min(PN_XNUM) as u64));
    fields.u16(if many { half(section_len) } else { 0 }).u16(u16::from(many)).u16(0);

    let note = Piece { phys: 0, virt: None, stored: notes.bytes.len() as u64, len: 0 };
    program_header(&mut fields, abi, PT_NOTE, notes_at, &note, 4);
    for piece in &pieces {
        // What has no bytes has no place, least of all behind the end of the file.
        let offset = if piece.stored == 0 { 0 } else { data_at.saturating_add(place(pages, piece.phys)) };
        program_header(&mut fields, abi, PT_LOAD, offset, piece, page_size);
    }
    if many {
        // Zeros but for `sh_info`, the last word but one (two words, in which alignment and entry size are) of the header.
        let info = if small { 28 } else { 44 };
        let section = usize::try_from(section_at).unwrap_or(0);
        fields.at(section + info).u32(u32::try_from(count).unwrap_or(u32::MAX));
        fields.at(usize::try_from(notes_at).unwrap_or(0));
    }
    out.write_all(&fields.finish())?;
    out.write_all(&notes.bytes)?;
    out.seek(SeekFrom::Start(data_at))?;
    let mut page = vec![0; usize::try_from(page_size).unwrap_or(0)];
    for (frame, done) in pages.frames().iter().zip(1..) {
        progress(done, pages.frames().len() as u64);
        pages.read(*frame, &mut page)?;
        out.write_all(&page)?;
    }
    Ok(if pages.frames().is_empty() {
        notes_at + notes.bytes.len() as u64
    } else {
        data_at.saturating_add(data_len)
    })
}

/// Offset of an address that is stored, in the pages of the file.
fn place(pages: &Pages<'_>, addr: u64) -> u64 {
    let size = pages.size();
    let before = pages.frames().partition_point(|frame| *frame < addr / size) as u64;
    before.saturating_mul(size).saturating_add(addr % size)
}

fn program_header(fields: &mut Fields, abi: Abi, kind: u32, offset: u64, piece: &Piece, align: u64) {
    let virt = piece.virt.unwrap_or(0);
    let flags = if kind == PT_LOAD { FLAGS } else { 0 };
    fields.u32(kind);
    if abi.word == WordSize::Bits64 {
        fields.u32(flags);
    }
    fields.word(offset).word(virt).word(piece.phys).word(piece.stored).word(piece.len);
    if abi.word == WordSize::Bits32 {
        fields.u32(flags);
    }
    fields.word(align);
}

/// The segments of the slice.
fn pieces(pages: &Pages<'_>, segments: &[Segment]) -> Vec<Piece> {
    let (ranges, mut held) = (pages.core().ranges(), Vec::new());
    for run in pages.runs() {
        // Where a core ends within a page, the slice does.
        let first = ranges.partition_point(|range| range.end <= run.start);
        let within = ranges.iter().skip(first).take_while(|range| range.start < run.end);
        held.extend(within.map(|range| range.start.max(run.start)..range.end.min(run.end)));
    }
    if !segments.is_empty() {
        return joined(segments).iter().flat_map(|segment| split(segment, &held)).collect();
    }
    // A core without a memory map: what is stored, what is known to be excluded, and where memory ends.
    let size = pages.size();
    let page = |frame: u64| frame.saturating_mul(size)..frame.saturating_add(1).saturating_mul(size);
    let excluded = pages.missing().iter().filter(|(_, cause)| **cause == PageError::Excluded);
    let end = pages.core().memory_end();
    let mut memory = held.clone();
    memory.extend(excluded.map(|(frame, _)| page(*frame)));
    memory.extend((end > 0).then(|| end.saturating_sub(1)..end));
    let memory = crate::extents::merge(memory);
    let whole =
        |range: Range<u64>| Piece { phys: range.start, virt: None, stored: 0, len: range.end - range.start };
    memory.into_iter().flat_map(|range| split(&whole(range), &held)).collect()
}

/// Segments that continue each other as one, so that a slice of a slice has the same.
fn joined(segments: &[Segment]) -> Vec<Piece> {
    let mut joined: Vec<Piece> = Vec::new();
    for segment in segments {
        let Some(phys) = segment.phys else { continue };
        let virt = segment.virt.map(|virt| virt.0);
        if let Some(last) = joined.last_mut()
            && last.phys.checked_add(last.len) == Some(phys.0)
            && last.virt.map(|virt| virt.wrapping_add(last.len)) == virt
        {
            last.len = last.len.saturating_add(segment.len);
        } else {
            joined.push(Piece { phys: phys.0, virt, stored: 0, len: segment.len });
        }
    }
    joined
}

/// A segment as pieces, each of which begins with what is stored of it. `held` is sorted and disjoint.
fn split(segment: &Piece, held: &[Range<u64>]) -> Vec<Piece> {
    let end = segment.phys.saturating_add(segment.len);
    let first = held.partition_point(|range| range.end <= segment.phys);
    let held: Vec<Range<u64>> = held
        .iter()
        .skip(first)
        .take_while(|range| range.start < end)
        .map(|range| range.start.max(segment.phys)..range.end.min(end))
        .collect();
    let starts = held.iter().map(|range| range.start);
    let mut cuts: Vec<u64> = std::iter::once(segment.phys).chain(starts).collect();
    cuts.dedup();
    let ends = cuts.iter().skip(1).copied().chain([end]);
    cuts.iter()
        .zip(ends)
        .map(|(&start, end)| {
            let stored = held.iter().find(|range| range.start == start).map_or(0, |range| range.end - start);
            let virt = segment.virt.map(|virt| virt.wrapping_add(start - segment.phys));
            Piece { phys: start, virt, stored, len: end - start }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(phys: u64, virt: Option<u64>, stored: u64, len: u64) -> Piece {
        Piece { phys, virt, stored, len }
    }

    #[test]
    fn a_segment_is_split_where_something_is_stored() {
        let segment = piece(0x1000, Some(0xc000_1000), 0, 0x9000);
        let held = [0..0x800, 0x3000..0x4000, 0x6000..0x8000, 0xf000..0x1_0000];
        let expected = [
            piece(0x1000, Some(0xc000_1000), 0, 0x2000),
            piece(0x3000, Some(0xc000_3000), 0x1000, 0x3000),
            piece(0x6000, Some(0xc000_6000), 0x2000, 0x4000),
        ];
        assert_eq!(split(&segment, &held), expected);
        assert_eq!(split(&piece(0x3800, None, 0, 0x100), &held), [piece(0x3800, None, 0x100, 0x100)]);
        assert_eq!(split(&segment, &[]), [segment]);
    }

    #[test]
    fn the_pieces_of_a_segment_are_joined_again() {
        let segment = |phys, virt, len| Segment {
            phys: Some(crate::PhysAddr(phys)),
            virt: (virt != 0).then_some(crate::VirtAddr(virt)),
            len,
        };
        let segments = [
            segment(0x1000, 0xc000_1000, 0x1000),
            segment(0x2000, 0xc000_2000, 0x1000),
            segment(0x3000, 0xd000_3000, 0x1000),
            segment(0x4000, 0, 0x1000),
            segment(0x5000, 0, 0x1000),
        ];
        let expected = [
            piece(0x1000, Some(0xc000_1000), 0, 0x2000),
            piece(0x3000, Some(0xd000_3000), 0, 0x1000),
            piece(0x4000, None, 0, 0x2000),
        ];
        assert_eq!(joined(&segments), expected);
    }
}
