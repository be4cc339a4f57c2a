//! What packets look like when no metadata say it.

use lttformat::ctf::{Generation, PacketHeader, PacketLayout, Uuid};
use lttformat::ltt::Endian;

use super::tracefile::cpu;

/// The beginning of a data file.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) bytes: Vec<u8>,
    /// Bytes of the file.
    pub(super) len: u64,
    /// The CPU that its name tells.
    pub(super) cpu: Option<u32>,
}

/// Every layout that lttng-modules ever used. What two of them explain is taken for the first: headers of 80 and of 84 bytes are
/// the same as long as nothing was discarded on CPU 0.
const LAYOUTS: [(Generation, u8); 5] = [
    (Generation::V2_8, 8),
    (Generation::V2_8, 4),
    (Generation::V2_1, 8),
    (Generation::V2_1, 4),
    (Generation::V2_0, 8),
];

/// The layout by which most files begin with a packet that makes sense.
pub(super) fn guess(starts: &[Start], endian: Endian, uuid: Option<Uuid>) -> PacketLayout {
    let fitting = |layout: &PacketLayout| starts.iter().filter(|start| fits(start, layout, uuid)).count();
    let layouts = LAYOUTS.map(|(generation, word)| PacketLayout::of_generation(generation, word, endian));
    let most = layouts.iter().map(fitting).max();
    let best = layouts.iter().find(|layout| Some(fitting(layout)) == most);
    best.cloned().unwrap_or_else(|| PacketLayout::of_generation(Generation::V2_8, 8, endian))
}

fn fits(start: &Start, layout: &PacketLayout, uuid: Option<Uuid>) -> bool {
    let Ok(header) = PacketHeader::parse(&start.bytes, layout) else { return false };
    let PacketHeader { content_size, packet_size, timestamp_begin, timestamp_end, .. } = header;
    let is_cpu = |cpu: u64| start.cpu.is_none_or(|own| u64::from(own) == cpu);
    uuid.is_none_or(|uuid| header.uuid == Some(uuid))
        && cpu(&header).is_some_and(is_cpu)
        && header.stream_instance_id.is_none_or(is_cpu)
        && content_size % 8 == 0
        && packet_size % 8 == 0
        && content_size / 8 >= layout.len() as u64
        && content_size <= packet_size
        // Sub-buffers are larger than files that were torn, but not by much.
        && packet_size / 8 <= start.len.max(1 << 20).saturating_mul(64)
        && timestamp_end >= timestamp_begin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layout_is_told_from_the_others() {
        for (generation, word) in LAYOUTS {
            for endian in [Endian::Little, Endian::Big] {
                let layout = PacketLayout::of_generation(generation, word, endian);
                let starts: Vec<_> = (0..3_u32)
                    .map(|cpu| {
                        let header = PacketHeader {
                            uuid: Some(Uuid([5; 16])),
                            stream_id: 1,
                            stream_instance_id: Some(cpu.into()),
                            timestamp_begin: 1 << 40,
                            timestamp_end: (1 << 40) + 5000,
                            content_size: 1000 * 8,
                            packet_size: 4096 * 8,
                            packet_seq_num: Some(3),
                            events_discarded: Some(0),
                            cpu_id: Some(cpu.into()),
                        };
                        let mut bytes = vec![0; 128];
                        header.write(&mut bytes, &layout).unwrap();
                        Start { bytes, len: 8192, cpu: Some(cpu) }
                    })
                    .collect();
                assert_eq!(guess(&starts, endian, Some(Uuid([5; 16]))), layout);
                assert_eq!(guess(&starts, endian, None), layout);
            }
        }
    }
}
