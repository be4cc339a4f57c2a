//! LTTng 2.x sessions in a good core that was edited.

use crate::edits::{Core, edited, fixture};
use analyser::{Kernel, Routes};
use lttformat::ctf::PacketHeader;
use std::sync::LazyLock;
use synth::Endian;
use synth::lttng::{Crash, Release, Tracer};

/// A real core, and one of each generation of structures, on machines of both word sizes and byte orders.
static CORES: LazyLock<Vec<Core>> = LazyLock::new(|| {
    let real = |name: &str| fixture(&format!("linux-6.1-lttng-2.13/{name}"));
    let types = ["types/types-6.1.0-56-amd64.isf.json", "types/types-lttng-2.13.9.isf.json"].map(real);
    let mut cores: Vec<Core> = vec![(real("M1p/core.zlib"), types.to_vec())];
    let machines = [(64, Endian::Little), (32, Endian::Big), (32, Endian::Little), (64, Endian::Big)];
    for (release, (bits, endian)) in Release::ALL.into_iter().zip(machines.into_iter().cycle()) {
        let tracer = Tracer::new(release).machine(bits, endian).overwrite(bits == 64).events(150);
        let dead = tracer.crash(Crash::LeftBehind).build();
        let core = synth::core::Elf::kdump().write(&dead.kernel).bytes();
        cores.push((core, vec![synth::isf::json(&dead.kernel).into_bytes()]));
    }
    cores
});

/// Edits a core or its types as [`extraction`](crate::extraction) does, and makes the record of every packet of every session.
pub fn sessions(data: &[u8]) {
    if let Some(kernel) = edited(&CORES, data) {
        extract(&kernel);
    }
}

/// How many records came out.
fn extract(kernel: &Kernel) -> usize {
    let mut records = 0;
    let sessions = kernel.sessions(Routes::ALL);
    let _ = kernel.info(&kernel.traces(Routes::LIST), &sessions);
    for session in &sessions.sessions {
        let _ = (session.name(), session.folder(), session.creation_time(), session.index_version());
        if let Some(metadata) = session.metadata() {
            assert!(metadata.file().len() >= metadata.text().len());
        }
        for (channel, stream) in session.streams() {
            assert!(!stream.file_name_bytes().contains(&b'/') && !stream.file_name_bytes().is_empty());
            let mut recorder = session.recorder(kernel, channel, stream).count_events(true);
            for packet in stream.packets() {
                let record = recorder.record(packet);
                records += usize::from(!record.bytes.is_empty());
                assert_eq!(record.found, record.valid + record.lost + record.unreadable);
                assert!(record.valid <= record.bytes.len() as u64);
                let header = channel.layout().map(|layout| PacketHeader::parse(record.bytes, layout));
                if let (Some(Ok(header)), false) = (header, record.bytes.is_empty()) {
                    assert_eq!(
                        record.header,
                        Some(header),
                        "the header that is told is the one in the bytes"
                    );
                }
                for note in &record.notes {
                    assert!(!note.to_string().is_empty());
                }
            }
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
