//! Core files: the bytes of each format, notes, VMCOREINFO.

use crate::Input;
use vmcore::{OpenOptions, PhysAddr, PhysMemory, VirtAddr, Vmcore, Vmcoreinfo};

/// Ranges and segments that are looked at.
const LOOKS: usize = 16;

/// Opens an ELF core and reads in it.
pub fn elf(data: &[u8]) {
    read(vec![[b"\x7fELF", data].concat()]);
}

/// Opens a kdump-compressed core and reads in it.
pub fn kdump(data: &[u8]) {
    read(vec![Input::new(data).pieces()]);
}

/// Opens a flattened core and reads in it.
pub fn flattened(data: &[u8]) {
    let mut file = b"makedumpfile\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01".to_vec();
    file.resize(4096, 0);
    file.extend_from_slice(data);
    read(vec![file]);
}

/// Opens a set of two files and reads in it.
pub fn split(data: &[u8]) {
    let mut input = Input::new(data);
    let first = Input::new(input.part()).pieces();
    read(vec![first, input.pieces()]);
}

/// Opens an ELF core that has these notes; the first byte chooses class and byte order.
pub fn notes(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.u8();
    let notes = input.rest();
    let (wide, big) = (kind & 1 == 0, kind & 2 != 0);
    read(vec![[elf_head(wide, big, 62, notes.len(), 0).as_slice(), notes].concat()]);
}

/// Parses VMCOREINFO and asks for everything in it.
pub fn vmcoreinfo(data: &[u8]) {
    let info = Vmcoreinfo::parse(data);
    let lines: Vec<_> = info.lines().collect();
    for (key, value) in lines {
        assert!(key.len() + value.len() < data.len());
        let Ok(key) = std::str::from_utf8(key) else { continue };
        let _ = info.get(key);
        let name = key.split_once('(').map_or(key, |(_, name)| name.trim_end_matches(')'));
        let _ = (info.symbol(name), info.size(name), info.offset(name), info.length(name), info.number(name));
    }
    let _ = (info.osrelease(), info.page_size(), info.build_id(), info.crash_time(), info.kernel_offset());
}

/// Reads what a scan, a walker and an extraction would.
fn read(parts: Vec<Vec<u8>>) {
    let Ok(core) = Vmcore::from_bytes(parts, &OpenOptions::default()) else { return };
    let mut buf = vec![0; 9000];
    let ranges = core.ranges();
    assert!(ranges.is_sorted_by(|before, after| before.end < after.start));
    for range in ranges.iter().take(LOOKS) {
        for addr in [range.start, range.end.wrapping_sub(5), range.start.wrapping_sub(3)] {
            let _ = core.read_phys(PhysAddr(addr), &mut buf);
            let _ = core.read_phys(PhysAddr(addr), &mut [0; 8]);
        }
    }
    for addr in [0, u64::MAX, u64::MAX - 4096, 1 << 52] {
        let _ = core.read_phys(PhysAddr(addr), &mut buf);
        let _ = core.read_segment(VirtAddr(addr), &mut buf);
    }
    for segment in core.header().segments.iter().take(LOOKS) {
        let _ = segment.virt.map(|addr| core.read_segment(addr, &mut buf));
    }
    let _ = (core.format().to_string(), core.warnings().len(), core.notes().len());
    let _ = core.vmcoreinfo().map(|info| info.lines().count());
}

/// The header of an ELF core with one note segment, whose bytes follow it, and one segment of memory behind that, at
/// physical address 0.
pub(crate) fn elf_head(wide: bool, big: bool, machine: u16, notes: usize, memory: usize) -> Vec<u8> {
    let (ehsize, phentsize) = if wide { (64, 56) } else { (52, 32) };
    let mut head = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, if big { 2 } else { 1 }, 1];
    head.resize(16, 0);
    let mut put = |value: usize, len: usize| {
        let bytes = (value as u64).to_be_bytes();
        let bytes = bytes.iter().skip(8 - len);
        if big { head.extend(bytes) } else { head.extend(bytes.rev()) }
    };
    let word = if wide { 8 } else { 4 };
    for (value, len) in
        [(4, 2), (usize::from(machine), 2), (1, 4), (0, word), (ehsize, word), (0, word), (0, 4)]
    {
        put(value, len);
    }
    for value in [ehsize, phentsize, 2, 0, 0, 0] {
        put(value, 2);
    }
    let notes_at = ehsize + 2 * phentsize;
    for (kind, at, len) in [(4, notes_at, notes), (1, notes_at + notes, memory)] {
        put(kind, 4);
        if wide {
            put(0, 4);
        }
        // Offset, virtual and physical address, size in the file and in memory.
        for value in [at, 0, 0, len, len] {
            put(value, word);
        }
        if !wide {
            put(0, 4);
        }
        put(0, word);
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_that_of_a_good_core() {
        for (wide, big) in [(true, false), (false, false), (true, true), (false, true)] {
            let file = [elf_head(wide, big, 62, 0, 5).as_slice(), b"words"].concat();
            let core = Vmcore::from_bytes(vec![file], &OpenOptions::default()).unwrap();
            let mut words = [0; 5];
            core.read_phys(PhysAddr(0), &mut words).unwrap();
            assert_eq!(&words, b"words");
            assert!(core.warnings().is_empty());
        }
    }
}
