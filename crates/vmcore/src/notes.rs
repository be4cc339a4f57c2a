//! ELF notes: named records in a core, such as the registers of a CPU or the VMCOREINFO text.
//!
//! ```text
//! u32 namesz | u32 descsz | u32 type | name, padded to 4 | desc, padded to 4
//! ```
//!
//! Kernel cores pad to 4 bytes in 64-bit files too.

use crate::bytes::Source;
use crate::content::Content;
use crate::{Abi, Endian, Machine};
use std::fmt;

/// A record header.
const HEADER_LEN: u64 = 12;
/// No owner of kernel notes has a longer name.
const NAME_MAX: u64 = 256;
/// Longer notes are device dumps (`NT_VMCOREDD`, megabytes of firmware log), which are stepped over.
const DESC_MAX: u64 = 1 << 20;
/// What all notes of a core may hold together: registers of 8192 CPUs are some megabytes.
const TOTAL_MAX: u64 = 32 << 20;
/// How many notes are read: twice for each of 8192 CPUs, and plenty.
const COUNT_MAX: usize = 1 << 16;

/// One note.
#[derive(Clone, PartialEq, Eq)]
pub struct Note {
    /// Owner, without the closing NUL: `CORE`, `VMCOREINFO`, `QEMU` …
    pub name: Vec<u8>,
    /// Type; its meaning depends on the owner.
    pub kind: u32,
    /// Content.
    pub desc: Vec<u8>,
}

impl Note {
    /// The notes in some bytes that are no core: those that a kernel has in its own image, say. Up to the first that is not
    /// wholly there.
    #[must_use]
    pub fn parse(bytes: Vec<u8>, abi: Abi) -> Vec<Note> {
        let (mut notes, size) = (Vec::new(), bytes.len() as u64);
        // Fails only for what begins like a flattened core.
        if let Ok(content) = Content::new(Source::Memory(bytes)) {
            read(&content, 0, size, abi, &mut notes);
        }
        notes
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = String::from_utf8_lossy(&self.name);
        write!(f, "Note({name} {:#x}, {} bytes)", self.kind, self.desc.len())
    }
}

/// Reads the notes in `size` bytes from `offset` on, up to the first that is not wholly there.
pub(crate) fn read(content: &Content, offset: u64, size: u64, abi: Abi, notes: &mut Vec<Note>) {
    let end = offset.saturating_add(size).min(content.len());
    let mut total: u64 = notes.iter().map(|note| note.desc.len() as u64).sum();
    let mut position = offset;
    while notes.len() < COUNT_MAX && end.saturating_sub(position) >= HEADER_LEN {
        let Ok(header) = content.array::<12>(position) else { return };
        let field = |at| abi.u32(&header, at).unwrap_or(0);
        let (name_len, desc_len, kind) = (u64::from(field(0)), u64::from(field(4)), field(8));
        if name_len == 0 && desc_len == 0 {
            return; // Zeros pad the segment to a page.
        }
        // Sums of a file offset and two 32-bit numbers.
        let name_at = position.saturating_add(HEADER_LEN);
        let desc_at = name_at.saturating_add(name_len.next_multiple_of(4));
        let desc_end = desc_at.saturating_add(desc_len);
        if desc_end > end {
            return;
        }
        position = desc_at.saturating_add(desc_len.next_multiple_of(4));
        if name_len > NAME_MAX || desc_len > DESC_MAX || total + desc_len > TOTAL_MAX {
            continue;
        }
        let (Some(mut name), Some(desc)) =
            (bytes(content, name_at, name_len), bytes(content, desc_at, desc_len))
        else {
            return;
        };
        name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(name.len()));
        total += desc_len;
        notes.push(Note { name, kind, desc });
    }
}

/// The text of the kernel's own description, if there is such a note.
pub(crate) fn vmcoreinfo(notes: &[Note]) -> Option<&[u8]> {
    notes.iter().find(|note| note.name == b"VMCOREINFO").map(|note| note.desc.as_slice())
}

/// The processor that the registers in the notes are of, told by how many bytes they take.
///
/// In the header of its kdump-compressed files QEMU calls every x86 guest `x86_64`, be it a 32-bit one, and most others `Unknown`.
pub(crate) fn machine(notes: &[Note], endian: Endian) -> Option<Machine> {
    const NT_PRSTATUS: u32 = 1;
    let registers = notes.iter().find(|note| note.name == b"CORE" && note.kind == NT_PRSTATUS)?;
    match (registers.desc.len(), endian) {
        (144, Endian::Little) => Some(Machine::X86),
        (336, Endian::Little) => Some(Machine::X86_64),
        (148, _) => Some(Machine::Arm),
        (392, _) => Some(Machine::AArch64),
        _ => None,
    }
}

/// Some bytes of a note or of a text as long as one.
pub(crate) fn bytes(content: &Content, offset: u64, len: u64) -> Option<Vec<u8>> {
    let len = usize::try_from(len).ok().filter(|_| len <= DESC_MAX)?;
    let mut bytes = vec![0; len];
    content.read(offset, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8], abi: Abi) -> Vec<Note> {
        Note::parse(bytes.to_vec(), abi)
    }

    /// The worked example of the format: a VMCOREINFO note with a text of 0x7b5 bytes.
    #[test]
    fn a_vmcoreinfo_note_is_found() {
        let mut bytes = b"\x0b\0\0\0\xb5\x07\0\0\0\0\0\0VMCOREINFO\0\0".to_vec();
        let mut text = b"OSRELEASE=2.6.27\n".to_vec();
        text.resize(0x7b5, b' ');
        bytes.extend(&text);
        let notes = parse(&bytes, Abi::LE64);
        assert_eq!(notes.len(), 1);
        assert_eq!(vmcoreinfo(&notes), Some(&text[..]));
    }

    #[test]
    fn notes_follow_each_other_padded_in_both_byte_orders() {
        let little = b"\x05\0\0\0\x01\0\0\0\x01\0\0\0CORE\0\0\0\0a\0\0\0\x05\0\0\0\x02\0\0\0\0\0\0\0QEMU\0\0\0\0bc\0\0";
        let big = b"\0\0\0\x05\0\0\0\x01\0\0\0\x01CORE\0\0\0\0a\0\0\0\0\0\0\x05\0\0\0\x02\0\0\0\0QEMU\0\0\0\0bc\0\0";
        let expected = [
            Note { name: b"CORE".to_vec(), kind: 1, desc: b"a".to_vec() },
            Note { name: b"QEMU".to_vec(), kind: 0, desc: b"bc".to_vec() },
        ];
        assert_eq!(parse(little, Abi::LE64), expected);
        assert_eq!(parse(big, Abi::BE32), expected);
        // The padding of the last one may be cut off, its content not.
        assert_eq!(parse(&little[..little.len() - 2], Abi::LE64), expected);
        assert_eq!(parse(&little[..little.len() - 3], Abi::LE64), expected[..1]);
    }

    #[test]
    fn device_dumps_are_stepped_over_and_zeros_end_the_notes() {
        let mut bytes = b"\x06\0\0\0\x04\0\x10\0\0\x07\0\0LINUX\0\0\0".to_vec();
        bytes.resize(bytes.len() + 0x10_0004, 0xee);
        bytes.extend(b"\x05\0\0\0\x01\0\0\0\x01\0\0\0CORE\0\0\0\0a\0\0\0");
        bytes.extend([0; 12]);
        bytes.extend(b"\x05\0\0\0\x01\0\0\0\x01\0\0\0CORE\0\0\0\0a\0\0\0");
        let notes = parse(&bytes, Abi::LE64);
        assert_eq!(format!("{notes:?}"), "[Note(CORE 0x1, 1 bytes)]");
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked(bytes in proptest::collection::vec(any::<u8>(), 0..200), big: bool) {
            let notes = parse(&bytes, if big { Abi::BE32 } else { Abi::LE64 });
            let held: usize = notes.iter().map(|note| 12 + note.name.len() + note.desc.len()).sum();
            prop_assert!(held <= bytes.len());
        }
    }
}
