//! makedumpfile's flattened stream.

use super::CoreFile;
use crate::rng::Rng;

const RECORD: usize = 64 << 10;

/// The file as a flattened stream: records out of order, and the first block written once with junk and again at the end.
/// `end` = false leaves out the end record, as an interrupted transfer does.
pub fn flatten(file: &CoreFile, seed: u64, end: bool) -> Vec<u8> {
    let mut out = vec![0; 4096];
    out[..12].copy_from_slice(b"makedumpfile");
    out[16..24].copy_from_slice(&1_i64.to_be_bytes());
    out[24..32].copy_from_slice(&1_i64.to_be_bytes());
    let bytes = file.bytes();
    let mut pieces: Vec<(u64, &[u8])> =
        bytes.chunks(RECORD).enumerate().map(|(i, piece)| ((i * RECORD) as u64, piece)).collect();
    Rng::new(seed).shuffle(&mut pieces);
    let first = bytes.len().min(4096);
    let mut record = |offset: i64, data: &[u8]| {
        out.extend_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(&(data.len() as i64).to_be_bytes());
        out.extend_from_slice(data);
    };
    record(0, &vec![0xee; first]);
    for (offset, piece) in pieces {
        record(offset as i64, piece);
    }
    record(0, &bytes[..first]);
    if end {
        out.extend_from_slice(&(-1_i64).to_be_bytes());
        out.extend_from_slice(&(-1_i64).to_be_bytes());
    }
    out
}
