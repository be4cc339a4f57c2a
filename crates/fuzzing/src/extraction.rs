//! A whole extraction, from a good core that was edited.

use crate::Input;
use analyser::{Kernel, OpenOptions, Routes};
use std::io::Read as _;
use std::path::Path;
use std::sync::LazyLock;

/// Edits of one input.
const EDITS_MAX: usize = 64;

/// Bytes that are read of one relay file.
const RELAY_FILE_MAX: u64 = 1 << 24;

/// Cores with their types: real ones, and one of each era that there is no real one of.
static CORES: LazyLock<Vec<(Vec<u8>, Vec<u8>)>> = LazyLock::new(|| {
    let fixture = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
        std::fs::read(path).unwrap_or_default()
    };
    let types = fixture("types-2.6.27.isf.json");
    let mut cores = vec![
        (fixture("K1-2cpu/core.elf"), types.clone()),
        (fixture("X2-i386-2cpu/core.elf"), fixture("types-2.6.27-i386.isf.json")),
        (fixture("K1-2cpu/core.kdump-zlib"), types.clone()),
        (fixture("X1-2cpu/core.kdump-zlib"), types),
    ];
    for era in [synth::Era::Z, synth::Era::A2Pages, synth::Era::B, synth::Era::C] {
        let dead = synth::Kernel::new(era).cpus(1).build();
        let core = synth::core::Elf::kdump().write(&dead).bytes();
        cores.push((core, synth::isf::json(&dead).into_bytes()));
    }
    cores
});

/// Edits a core or its types, opens both and extracts everything, without writing it down.
///
/// The input: which core (8 bits); then edits, each a kind, a place and a value (8, 32 and 64 bits). Bits of the kind: 0 the types
/// instead of the core, 1 and 2 the length of the value in bytes as a power of two, 7 the file ends here instead.
pub fn extraction(data: &[u8]) {
    edit_and_extract(data);
}

/// How many records came out.
fn edit_and_extract(data: &[u8]) -> usize {
    let mut input = Input::new(data);
    let which = usize::from(input.u8()) % CORES.len();
    let Some((mut core, mut types)) = CORES.get(which).cloned() else { return 0 };
    for _ in 0..EDITS_MAX {
        if input.is_empty() {
            break;
        }
        let (kind, place, value) = (input.u8(), input.u32(), input.u64());
        let file = if kind & 1 == 0 { &mut core } else { &mut types };
        let place = place as usize % file.len().max(1);
        if kind & 0x80 != 0 {
            file.truncate(place);
        }
        let len = 1 << (kind >> 1 & 3);
        for (to, from) in file.iter_mut().skip(place).zip(value.to_le_bytes().into_iter().take(len)) {
            *to = from;
        }
    }
    let Ok(folder) = tempfile::tempdir() else { return 0 };
    let path = |name: &str| folder.path().join(name);
    if std::fs::write(path("core"), core).and_then(|()| std::fs::write(path("types"), types)).is_err() {
        return 0;
    }
    // Nothing above the parsers depends on how the file is read.
    let options = OpenOptions {
        cores: vec![path("core")],
        debuginfo: vec![path("types")],
        force: true,
        no_mmap: true,
        ..OpenOptions::default()
    };
    Kernel::open(&options).map_or(0, |kernel| extract(&kernel))
}

fn extract(kernel: &Kernel) -> usize {
    let mut records = 0;
    let traces = kernel.traces(Routes::ALL);
    let _ = kernel.info(&traces, &kernel.sessions(Routes::ALL));
    for trace in &traces.traces {
        for (channel, stream) in trace.streams() {
            let mut recorder = trace.recorder(kernel, channel, stream).count_events(true);
            for sub_buffer in stream.sub_buffers() {
                let record = recorder.record(sub_buffer);
                records += usize::from(!record.bytes.is_empty());
                assert_eq!(record.found, record.valid + record.lost + record.unreadable);
                assert!(record.valid <= record.bytes.len() as u64);
                for note in &record.notes {
                    assert!(!note.to_string().is_empty());
                }
            }
        }
    }
    let Ok(debugfs) = kernel.debugfs() else { return records };
    for entry in debugfs.entries().filter(|entry| entry.what.is_buffer()) {
        if let Ok(file) = debugfs.open(&entry) {
            let read = std::io::copy(&mut file.take(RELAY_FILE_MAX), &mut std::io::sink());
            assert!(read.is_ok(), "{}", entry.path);
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_edits_every_core_gives_records() {
        for core in 0..CORES.len() {
            assert!(edit_and_extract(&[u8::try_from(core).unwrap()]) > 0, "core {core}");
        }
    }
}
