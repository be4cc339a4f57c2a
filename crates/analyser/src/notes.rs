//! The notes that every kernel since 2.6.23 carries in its image, the GNU build-id among them.
//!
//! VMCOREINFO repeats the build-id since 5.9, but some kernels garble it there, and QEMU's dumps have none.

use crate::target::View;

/// A kernel has three or four notes of some dozen bytes.
const MAX_NOTES: u64 = 1 << 16;
const NT_GNU_BUILD_ID: u32 = 3;

/// The build-id in the memory of the kernel; `None` if it has none, is not in the core, or the symbols lead elsewhere.
pub(crate) fn build_id(view: &View) -> Option<Vec<u8>> {
    let (start, stop) = (view.symbol("__start_notes")?, view.symbol("__stop_notes")?);
    let len = stop.checked_sub(start).filter(|len| *len <= MAX_NOTES)?;
    let notes = vmcore::Note::parse(view.bytes(start, usize::try_from(len).ok()?)?, view.memory.abi());
    let is_it =
        |note: &vmcore::Note| note.name == b"GNU" && note.kind == NT_GNU_BUILD_ID && !note.desc.is_empty();
    notes.into_iter().find(is_it).map(|note| note.desc)
}

/// Symbols that this module asks the type information for.
pub(crate) fn want(wanted: &mut kdebug::Wanted) {
    wanted.symbols.extend(["__start_notes", "__stop_notes"].map(str::to_owned));
}
