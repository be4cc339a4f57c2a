//! Control registers of x86 processors, from QEMU's notes.

use crate::{Abi, Note};

/// Offsets in QEMU's `QEMUCPUState` (version 1), x86.
const CR3_AT: usize = 416;
const CR4_AT: usize = 424;
/// The bytes of such a note that are looked at.
pub(crate) const LOOKED_AT: std::ops::Range<usize> = CR3_AT..CR4_AT + 8;

/// What one processor used for paging when the machine stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) cr3: u64,
    pub(crate) cr4: u64,
}

impl Registers {
    /// `CR4.PAE`: entries of 8 bytes on i386.
    pub(crate) fn pae(self) -> bool {
        self.cr4 & (1 << 5) != 0
    }

    /// `CR4.LA57`: five levels on x86-64.
    pub(crate) fn five_levels(self) -> bool {
        self.cr4 & (1 << 12) != 0
    }
}

/// The registers of every processor in the order of the notes.
pub(crate) fn from_notes(notes: &[Note], abi: Abi) -> Vec<Registers> {
    let qemu = notes.iter().filter(|note| note.name == b"QEMU" && note.kind == 0);
    let parsed = qemu.filter_map(|note| {
        Some(Registers { cr3: abi.u64(&note.desc, CR3_AT)?, cr4: abi.u64(&note.desc, CR4_AT)? })
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_read_from_qemu_notes_only() {
        let mut desc = vec![0; 440];
        desc[416..424].copy_from_slice(&0x0719_c000_u64.to_le_bytes());
        desc[424..432].copy_from_slice(&0x16e0_u64.to_le_bytes());
        let note = |name: &[u8], desc: &[u8]| Note { name: name.to_vec(), kind: 0, desc: desc.to_vec() };
        let notes = [note(b"CORE", &desc), note(b"QEMU", &desc[..431]), note(b"QEMU", &desc)];
        let found = from_notes(&notes, Abi::LE64);
        assert_eq!(found, [Registers { cr3: 0x0719_c000, cr4: 0x16e0 }]);
        assert!(found[0].five_levels() && found[0].pae());
    }
}
