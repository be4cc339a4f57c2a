//! What must be in a joined trace: every event of every packet that is whole on either side, once, in order.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use synth::lttng::StreamTruth;

use crate::lab::{Lab, events, packets};

/// Numbers of the packets of a stream that the core can give.
pub(crate) fn in_core(stream: &StreamTruth) -> BTreeSet<u64> {
    stream.packets.iter().filter(|packet| !packet.valid.is_empty()).map(|packet| packet.sequence).collect()
}

/// Asserts that the file of a stream holds these packets, by number, and nothing else.
pub(crate) fn holds(lab: &Lab, root: &Path, stream: &StreamTruth, wanted: &BTreeSet<u64>, label: &str) {
    let class = lab.class();
    let file = root.join(format!("kernel/net_{}", stream.cpu.unwrap()));
    let found = packets(&class, &fs::read(&file).unwrap());
    assert_eq!(found.len(), wanted.len(), "{label}: packets of {}", file.display());
    for (number, packet) in wanted.iter().zip(&found) {
        let at = format!("{label}: packet {number} of {}", file.display());
        let truth = stream.packets.iter().find(|packet| packet.sequence == *number);
        let numbers = events(&class, packet);
        match (stream.disk.get(*number as usize), truth) {
            (Some(disk), _) => {
                // Behind its content the ring has what it had before; the core's copy has zeros there.
                let used = class.packet(disk).unwrap().0.content_size as usize / 8;
                assert!(packet.len() == disk.len() && packet[..used] == disk[..used], "{at}");
            }
            (None, Some(truth)) => {
                let header = class.packet(packet).unwrap().1.layout().len();
                assert!(packet[header..truth.valid.len()] == truth.valid[header..], "{at}");
                assert_eq!(numbers.len() as u64, truth.events, "{at}");
            }
            (None, None) => panic!("{at}: nowhere"),
        }
        assert!(numbers.is_sorted(), "{at}");
    }
    let all: Vec<u64> = found.iter().flat_map(|packet| events(&class, packet)).collect();
    assert!(all.is_sorted_by(|a, b| a < b), "{label}: events twice or out of order");
    if let Some(index) = lab.index(&found) {
        let path = root.join(format!("kernel/index/net_{}.idx", stream.cpu.unwrap()));
        if path.exists() || root.join("kernel/index").exists() {
            assert!(fs::read(&path).unwrap() == index, "{label}: {}", path.display());
        }
    }
}
