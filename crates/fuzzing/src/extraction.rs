//! A whole extraction, from a good core that was edited.

use crate::edits::{Core, edited, fixture};
use analyser::{Kernel, Routes};
use std::io::Read as _;
use std::sync::LazyLock;

/// Bytes that are read of one relay file.
const RELAY_FILE_MAX: u64 = 1 << 24;

/// Real cores, and one of each era that there is no real one of.
static CORES: LazyLock<Vec<Core>> = LazyLock::new(|| {
    let types = vec![fixture("types-2.6.27.isf.json")];
    let mut cores: Vec<Core> = vec![
        (fixture("K1-2cpu/core.elf"), types.clone()),
        (fixture("X2-i386-2cpu/core.elf"), vec![fixture("types-2.6.27-i386.isf.json")]),
        (fixture("K1-2cpu/core.kdump-zlib"), types.clone()),
        (fixture("X1-2cpu/core.kdump-zlib"), types),
    ];
    for era in [synth::Era::Z, synth::Era::A2Pages, synth::Era::B, synth::Era::C] {
        let dead = synth::Kernel::new(era).cpus(1).build();
        let core = synth::core::Elf::kdump().write(&dead).bytes();
        cores.push((core, vec![synth::isf::json(&dead).into_bytes()]));
    }
    cores
});

/// Edits a core or its types, opens both and extracts everything, without writing it down. `edits.rs` says what the input is.
pub fn extraction(data: &[u8]) {
    if let Some(kernel) = edited(&CORES, data) {
        extract(&kernel);
    }
}

/// How many records came out.
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
            let kernel = edited(&CORES, &[u8::try_from(core).unwrap()]).unwrap();
            assert!(extract(&kernel) > 0, "core {core}");
        }
    }
}
