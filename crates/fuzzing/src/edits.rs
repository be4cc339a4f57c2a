//! Good cores with their types, to be edited.

use crate::Input;
use analyser::{Kernel, OpenOptions};
use std::path::Path;

/// Edits of one input.
const EDITS_MAX: usize = 64;

/// A core and the files of its type information.
pub(crate) type Core = (Vec<u8>, Vec<Vec<u8>>);

/// A file of the fixtures.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    std::fs::read(path).unwrap_or_default()
}

/// Edits a core or its types, and opens both.
///
/// The input: which core (8 bits); then edits, each a kind, a place and a value (8, 32 and 64 bits). Bits of the kind: 0 the types
/// (the last file of them) instead of the core, 1 and 2 the length of the value in bytes as a power of two, 7 the file ends here instead.
pub(crate) fn edited(cores: &[Core], data: &[u8]) -> Option<Kernel> {
    let mut input = Input::new(data);
    let which = usize::from(input.u8()) % cores.len().max(1);
    let (mut core, mut types) = cores.get(which).cloned()?;
    for _ in 0..EDITS_MAX {
        if input.is_empty() {
            break;
        }
        let (kind, place, value) = (input.u8(), input.u32(), input.u64());
        let file = if kind & 1 == 0 { &mut core } else { types.last_mut()? };
        let place = place as usize % file.len().max(1);
        if kind & 0x80 != 0 {
            file.truncate(place);
        }
        let len = 1 << (kind >> 1 & 3);
        for (to, from) in file.iter_mut().skip(place).zip(value.to_le_bytes().into_iter().take(len)) {
            *to = from;
        }
    }
    let folder = tempfile::tempdir().ok()?;
    let write = |name: String, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).ok().map(|()| path)
    };
    // Nothing above the parsers depends on how the file is read.
    let options = OpenOptions {
        cores: vec![write("core".to_owned(), &core)?],
        debuginfo: (0..)
            .zip(&types)
            .map(|(nth, types)| write(format!("types{nth}"), types))
            .collect::<Option<_>>()?,
        force: true,
        no_mmap: true,
        ..OpenOptions::default()
    };
    Kernel::open(&options).ok()
}
