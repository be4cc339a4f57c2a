//! Searches of physical memory, for cores which do not say where things are.

use crate::translate::clues::Hints;
use crate::translate::space::AddressSpace;
use crate::{PhysAddr, PhysMemory, VirtAddr, Vmcoreinfo};
use memchr::memmem::Finder;
use std::ops::ControlFlow;

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;
/// A kernel's text fills at most a page.
const TEXT_MAX: u64 = 64 << 10;
/// Note header and padded name before the text.
const NOTE_HEAD: u64 = 24;
/// Beginnings that are looked at; real memory has a few, from scripts and format strings.
const LOOKED_AT_MAX: usize = 4096;
/// Texts that are kept: a machine has two or three, four with a capture kernel.
const FOUND_MAX: usize = 16;

/// Every VMCOREINFO text in physical memory, with the physical address of the text.
///
/// Kernels keep the text from boot on, also those that never crashed: as a finished note, and as the raw text that the
/// note is made from. Both are found, wherever they lie in a page. Texts equal to an earlier one are left out. Those with
/// `CRASHTIME`, which only a kernel that crashed has, come first.
///
/// Cost: reads all memory that the core holds, in pieces of 1 MiB.
#[must_use]
pub fn find_vmcoreinfo(mem: &dyn PhysMemory) -> Vec<(PhysAddr, Vmcoreinfo)> {
    let mut found: Vec<(PhysAddr, Vmcoreinfo)> = Vec::new();
    let mut looked_at = 0;
    scan(mem, b"OSRELEASE=", &mut |at| {
        looked_at += 1;
        if let Some(info) = text_at(mem, at)
            && found.iter().all(|(_, earlier)| *earlier != info)
        {
            found.push((at, info));
        }
        if found.len() < FOUND_MAX && looked_at < LOOKED_AT_MAX {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    });
    found.sort_by_key(|(_, info)| info.crash_time().is_none());
    found
}

/// Calls `found` for each place of `needle` in physical memory, in the order of addresses, until it breaks.
pub(crate) fn scan(mem: &dyn PhysMemory, needle: &[u8], found: &mut dyn FnMut(PhysAddr) -> ControlFlow<()>) {
    let finder = Finder::new(needle);
    let overlap = (needle.len() as u64).saturating_sub(1);
    let page = mem.page_size().max(1);
    let mut buffer = Vec::new();
    for range in mem.ranges() {
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(CHUNK);
            // What a failed read leaves behind is not specified.
            let bad = fill(mem, at, len, &mut buffer);
            if let Some(bad) = bad {
                let good = bad.saturating_sub(at).min(len);
                if fill(mem, at, good, &mut buffer).is_some() {
                    buffer.clear();
                }
            }
            for index in finder.find_iter(&buffer) {
                if found(PhysAddr(at + index as u64)).is_break() {
                    return;
                }
            }
            at = match bad {
                Some(bad) => bad.max(at).saturating_add(1).checked_next_multiple_of(page).unwrap_or(u64::MAX),
                None if at + len < range.end => at + len - overlap.min(len - 1),
                None => range.end,
            };
        }
    }
}

/// Reads into the whole of `buffer`; the first bad address, if there is one.
fn fill(mem: &dyn PhysMemory, at: u64, len: u64, buffer: &mut Vec<u8>) -> Option<u64> {
    buffer.clear();
    buffer.resize(usize::try_from(len.min(CHUNK)).unwrap_or(0), 0);
    mem.search_phys(PhysAddr(at), buffer).err().map(|error| error.addr)
}

/// The text which begins at a physical address, if it is one.
fn text_at(mem: &dyn PhysMemory, at: PhysAddr) -> Option<Vmcoreinfo> {
    let mut len = TEXT_MAX;
    let mut first = at.0;
    let mut head = [0; 24];
    if let Some(start) = at.0.checked_sub(NOTE_HEAD)
        && mem.search_phys(PhysAddr(start), &mut head).is_ok()
    {
        let field = |offset| mem.abi().u32(&head, offset).map(u64::from);
        if field(0) == Some(11) && field(8) == Some(0) && head.ends_with(b"VMCOREINFO\0\0") {
            len = field(4)?.min(TEXT_MAX);
            first = start;
        }
    }
    // To the end of the text, of what is readable, or of what a note says.
    let page = mem.page_size().max(1);
    let mut text = Vec::new();
    let mut whole = false;
    while (text.len() as u64) < len && !whole {
        let at = at.0.checked_add(text.len() as u64)?;
        let piece = (page - at % page).min(len - text.len() as u64);
        let mut bytes = Vec::new();
        if fill(mem, at, piece, &mut bytes).is_some() {
            break;
        }
        whole = bytes.contains(&0);
        text.append(&mut bytes);
    }
    let complete = whole || text.len() as u64 == len;
    let end = memchr::memchr(0, &text).unwrap_or(text.len());
    text.truncate(end);
    if !complete {
        // Half a number would be believed.
        text.truncate(memchr::memrchr(b'\n', &text).map_or(0, |newline| newline + 1));
    }
    let info = validated(&text)?;
    // With the NUL behind it.
    found_at(mem, first, (at.0 - first).saturating_add(text.len() as u64).saturating_add(1));
    Some(info)
}

/// Reads what a search has found, as the search itself does not count as reading.
pub(crate) fn found_at(mem: &dyn PhysMemory, at: u64, len: u64) {
    let page = mem.page_size().max(1);
    let (mut at, end) = (at, at.saturating_add(len.min(CHUNK)));
    let mut buffer = Vec::new();
    while at < end {
        let next = (at - at % page).saturating_add(page).min(end);
        buffer.resize(usize::try_from(next - at).unwrap_or(0), 0);
        let _ = mem.read_phys(PhysAddr(at), &mut buffer);
        at = next;
    }
}

fn validated(text: &[u8]) -> Option<Vmcoreinfo> {
    let printable = text.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~'));
    let info = Vmcoreinfo::parse(text);
    let release = info.osrelease().is_some_and(|release| release.first().is_some_and(u8::is_ascii_digit));
    (printable && release && info.page_size().is_some() && info.symbol("_stext").is_some()).then_some(info)
}

/// The VMCOREINFO text of a kernel whose address space and symbols are known.
pub(crate) fn vmcoreinfo_by_symbols(
    space: &AddressSpace,
    mem: &dyn PhysMemory,
    hints: &Hints<'_>,
) -> Option<Vmcoreinfo> {
    for (name, head) in [("vmcoreinfo_note", NOTE_HEAD), ("vmcoreinfo_data", 0)] {
        let Some(linked) = (hints.symbol)(name) else { continue };
        let symbol = linked.wrapping_add(space.kaslr_offset()) & mem.abi().word_mask();
        // An array to 4.12, a pointer from then on.
        let mut bytes = [0; 8];
        let width = mem.abi().word_bytes();
        let word = bytes.get_mut(..width)?;
        let pointer =
            space.read_virt(mem, VirtAddr(symbol), word).ok().and_then(|()| mem.abi().word(word, 0));
        for start in [Some(symbol), pointer].into_iter().flatten() {
            let text = VirtAddr(start).wrapping_add(head);
            let Ok(at) = space.translate(mem, text) else { continue };
            let mut key = [0; 10];
            if mem.read_phys(at, &mut key).is_ok()
                && key == *b"OSRELEASE="
                && let Some(info) = text_at(mem, at)
            {
                return Some(info);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::fake::Ram;
    use crate::{Abi, Machine};

    fn text(release: &str, more: &str) -> Vec<u8> {
        format!("OSRELEASE={release}\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff80209000\n{more}").into_bytes()
    }

    fn note(text: &[u8], abi: Abi) -> Vec<u8> {
        let number = |value: u32| match abi.endian {
            crate::Endian::Little => value.to_le_bytes(),
            crate::Endian::Big => value.to_be_bytes(),
        };
        let len = u32::try_from(text.len()).unwrap();
        [&number(11)[..], &number(len), &number(0), b"VMCOREINFO\0\0", text].concat()
    }

    fn releases(ram: &Ram) -> Vec<String> {
        let found = find_vmcoreinfo(ram);
        found.iter().map(|(_, info)| String::from_utf8(info.osrelease().unwrap().to_vec()).unwrap()).collect()
    }

    #[test]
    fn notes_and_raw_texts_are_found_among_decoys() {
        for abi in [Abi::LE64, Abi::BE32] {
            let mut ram = Ram::new(Machine::X86_64, abi);
            ram.put(0x2010, b"OSRELEASE=%s\nPAGESIZE=%ld\nSYMBOL(_stext)=%llx\n\0"); // the format strings
            ram.put(0x3000, b"echo OSRELEASE=6.1\nPAGESIZE=4096\n\0"); // somebody's script
            ram.put(0x4ff0, &note(&text("5.0", "SIZE(page)=56\n"), abi)); // over a page's end
            ram.put(0x5800, &[0x55; 0x100]);
            ram.put(0x9123, &text("4.0", "SIZE(page)=64\n\0SIZE(hidden)=1\n"));
            ram.put(0xb004, &note(&text("3.0", "CRASHTIME=9\n"), abi));
            ram.put(0xd000, &text("3.0", "CRASHTIME=9\n\0"));
            assert_eq!(releases(&ram), ["3.0", "5.0", "4.0"]);
            let found = find_vmcoreinfo(&ram);
            assert_eq!(found.iter().map(|(at, _)| at.0).collect::<Vec<_>>(), [0xb01c, 0x5008, 0x9123]);
            assert_eq!(found[1].1.size("page"), Some(56));
            assert_eq!(found[2].1.size("hidden"), None);
        }
    }

    #[test]
    fn a_text_which_is_cut_off_ends_with_a_whole_line() {
        let mut ram = Ram::new(Machine::X86_64, Abi::LE64);
        let text = text("5.0", "SIZE(page)=56\n");
        let at = 0x3000 - text.len() as u64 + 2;
        ram.put(at, &text);
        ram.drop_page(0x3000);
        let found = find_vmcoreinfo(&ram);
        assert_eq!((found.len(), found[0].0), (1, PhysAddr(at)));
        assert_eq!(found[0].1.size("page"), None);
    }

    #[test]
    fn chunks_overlap_and_bad_pages_are_stepped_over() {
        /// Claims one range over everything.
        struct Merged(Ram);
        impl PhysMemory for Merged {
            fn read_phys(&self, addr: PhysAddr, buf: &mut [u8]) -> Result<(), crate::MemoryError> {
                self.0.read_phys(addr, buf).inspect_err(|_| buf.fill(b'n'))
            }
            fn page_size(&self) -> u64 {
                4096
            }
            fn abi(&self) -> Abi {
                Abi::LE64
            }
            fn machine(&self) -> Machine {
                Machine::X86_64
            }
            fn ranges(&self) -> Vec<std::ops::Range<u64>> {
                std::iter::once(0..0x30_0000).collect()
            }
        }
        let mut ram = Ram::new(Machine::X86_64, Abi::LE64);
        for at in (0x8000..0x30_0000).step_by(4096) {
            ram.put(at, &[0]);
        }
        let places = [0x8000, 0x10_7ffe, 0x10_bffc, 0x20_0ffc, 0x2f_fffa];
        for at in places {
            ram.put(at, b"needle");
        }
        ram.drop_page(0x10_d000);
        ram.drop_page(0x2f_e000);
        let mut found = Vec::new();
        scan(&Merged(ram), b"needle", &mut |at| {
            found.push(at.0);
            ControlFlow::Continue(())
        });
        assert_eq!(found, places);
    }
}
