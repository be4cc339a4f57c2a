//! ELF notes: named records in a core, such as the registers of a CPU or the VMCOREINFO text.
//!
//! ```text
//! u32 namesz | u32 descsz | u32 type | name, padded to 4 | desc, padded to 4
//! ```

/// One note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Owner, without the closing NUL: `CORE`, `VMCOREINFO`, `QEMU` …
    pub name: Vec<u8>,
    /// Type; its meaning depends on the owner.
    pub kind: u32,
    /// Content.
    pub desc: Vec<u8>,
}
