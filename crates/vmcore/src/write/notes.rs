//! The notes of a slice: as many and as long as those of the core, but without what nobody needs to find the kernel.

use super::fields::Fields;
use crate::translate::registers;
use crate::{Abi, Note, Vmcore};

const VMCOREINFO: &[u8] = b"VMCOREINFO";

/// The bytes of all notes.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) bytes: Vec<u8>,
    /// Offset and length of the VMCOREINFO text in them.
    pub(super) vmcoreinfo: Option<(u64, u64)>,
}

impl Notes {
    pub(super) fn new(core: &Vmcore, abi: Abi) -> Notes {
        let text = core.vmcoreinfo().map(crate::Vmcoreinfo::text);
        let mut notes: Vec<Note> = core.notes().iter().map(|note| bare(note, text)).collect();
        // The header of a kdump-compressed file may lead to a text that is in no note.
        if let Some(text) = text
            && !notes.iter().any(|note| note.name == VMCOREINFO)
        {
            notes.push(Note { name: VMCOREINFO.to_vec(), kind: 0, desc: text.to_vec() });
        }
        let mut fields = Fields::new(abi);
        let (mut len, mut vmcoreinfo) = (0_usize, None);
        for note in &notes {
            let name_len = note.name.len().saturating_add(1);
            fields.u32(number(name_len)).u32(number(note.desc.len())).u32(note.kind).bytes(&note.name);
            len = len.saturating_add(12).saturating_add(name_len.next_multiple_of(4));
            fields.at(len).bytes(&note.desc);
            if note.name == VMCOREINFO && vmcoreinfo.is_none() {
                vmcoreinfo = Some((len as u64, note.desc.len() as u64));
            }
            len = len.saturating_add(note.desc.len().next_multiple_of(4));
            fields.at(len);
        }
        Notes { bytes: fields.finish(), vmcoreinfo }
    }
}

/// Notes are shorter than their sum, which is bounded where they are read.
fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn bare(note: &Note, vmcoreinfo: Option<&[u8]>) -> Note {
    let mut desc = vec![0; note.desc.len()];
    if note.name == VMCOREINFO {
        desc = vmcoreinfo.unwrap_or_default().to_vec();
    } else if note.name == b"QEMU"
        && let (Some(kept), Some(registers)) =
            (desc.get_mut(registers::LOOKED_AT), note.desc.get(registers::LOOKED_AT))
    {
        kept.copy_from_slice(registers);
    }
    Note { name: note.name.clone(), kind: note.kind, desc }
}
