//! Flattened streams: a dump sent through a pipe as records of "these bytes go to that offset".
//!
//! ```text
//! 0     "makedumpfile" 0 0 0 0 | i64 type = 1 | i64 version = 1 | zeros up to 4096
//! 4096  i64 offset | i64 size | size bytes          any number of records, in any order
//!       i64 -1     | i64 -1                         end
//! ```
//!
//! All integers are big endian. Records may overlap, because headers are rewritten when their content is known: the
//! later record counts. The stream is read in place, through an index of its records; nothing is put together first.
//! Source of the layout: makedumpfile's manual and its `makedumpfile.h`.

use crate::Abi;
use crate::bytes::{Fault, Source};
use crate::error::Defect;
use std::collections::BinaryHeap;

/// Bytes before the first record.
const HEADER_LEN: u64 = 4096;
/// Bytes before the data of a record.
const RECORD_HEADER_LEN: u64 = 16;

/// The index of a stream.
///
/// Cost: 24 bytes for each record. QEMU writes records of 16 KiB, makedumpfile longer ones.
#[derive(Debug)]
pub(crate) struct Flattened {
    /// By offset, disjoint.
    extents: Vec<Extent>,
    /// Why the stream is not complete.
    damage: Option<String>,
}

/// Bytes of the dump that one record gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    /// Offset in the dump.
    start: u64,
    /// Offset in the stream.
    at: u64,
    /// Bytes.
    len: u64,
}

impl Extent {
    fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// What lies at an offset of the dump, and how many bytes of it from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// Bytes of the stream.
    Stored { at: u64, len: u64 },
    /// No record covers these bytes: a hole of the sparse file, zeros.
    Hole { len: u64 },
}

impl Spot {
    pub(crate) fn len(self) -> u64 {
        match self {
            Spot::Stored { len, .. } | Spot::Hole { len } => len,
        }
    }
}

impl Flattened {
    pub(crate) const SIGNATURE: &[u8; 16] = b"makedumpfile\0\0\0\0";

    /// Walks the record headers of a stream.
    pub(crate) fn index(source: &Source) -> Result<Flattened, Defect> {
        let mut header = [0; 32];
        source.read(0, &mut header).map_err(|fault| Defect::unreadable("flattened header", 0, fault))?;
        let (kind, version) = (Abi::BE64.u64(&header, 16), Abi::BE64.u64(&header, 24));
        if (kind, version) != (Some(1), Some(1)) {
            return Err(Defect::new(
                "flattened stream",
                "type 1, version 1",
                format!("type {}, version {}", kind.unwrap_or(0), version.unwrap_or(0)),
            ));
        }
        let (records, damage) = records(source);
        Ok(Flattened { extents: resolve(records), damage })
    }

    /// Where the last byte of the dump ends.
    pub(crate) fn len(&self) -> u64 {
        self.extents.last().map_or(0, Extent::end)
    }

    /// Why the stream is not complete, if it is not.
    pub(crate) fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }

    /// What lies at `offset`; `None` beyond the end, and where an incomplete stream has nothing.
    pub(crate) fn locate(&self, offset: u64) -> Option<Spot> {
        let next = self.extents.partition_point(|extent| extent.start <= offset);
        if let Some(extent) = next.checked_sub(1).and_then(|before| self.extents.get(before))
            && offset < extent.end()
        {
            let skip = offset - extent.start;
            return Some(Spot::Stored { at: extent.at + skip, len: extent.len - skip });
        }
        let following = self.extents.get(next)?;
        self.damage.is_none().then(|| Spot::Hole { len: following.start - offset })
    }
}

/// The records in the order of the stream, and why there are not more of them.
fn records(source: &Source) -> (Vec<Extent>, Option<String>) {
    let mut records = Vec::new();
    let mut position = HEADER_LEN;
    loop {
        let mut header = [0; 16];
        if let Err(fault) = source.read(position, &mut header) {
            let why = match fault {
                Fault::End => "ends without an end record",
                Fault::Io(_) => "cannot be read",
            };
            return (records, Some(format!("flattened stream {why} at {position:#x}")));
        }
        let field = |offset| Abi::BE64.u64(&header, offset).unwrap_or(u64::MAX);
        let (start, len) = (field(0), field(8));
        if start == u64::MAX && len == u64::MAX {
            return (records, None);
        }
        // Both fields are signed: what has the top bit set is negative. This also keeps the sums below in range.
        if (start | len) >> 63 != 0 {
            let damage =
                format!("flattened stream has a broken record at {position:#x}: expected offset and size");
            return (records, Some(format!("{damage}, found {start:#x} and {len:#x}")));
        }
        let at = position + RECORD_HEADER_LEN;
        let available = source.len().saturating_sub(at).min(len);
        if available > 0 {
            records.push(Extent { start, at, len: available });
        }
        if available < len {
            return (records, Some(format!("flattened stream ends within the record at {position:#x}")));
        }
        position = at + len;
    }
}

/// Makes the records disjoint: where they overlap, the one later in the stream counts.
fn resolve(mut records: Vec<Extent>) -> Vec<Extent> {
    records.sort_by_key(|record| record.start);
    let disjoint = records.is_sorted_by(|before, after| before.end() <= after.start);
    if disjoint {
        return records;
    }
    let mut extents: Vec<Extent> = Vec::with_capacity(records.len());
    // The records that cover `position`, and stale ones below them; the latest in the stream on top.
    let mut covering: BinaryHeap<(u64, u64, u64)> = BinaryHeap::new();
    let mut rest = records.iter().peekable();
    let mut position = 0;
    loop {
        while let Some(record) = rest.next_if(|record| covering.is_empty() || record.start <= position) {
            position = position.max(record.start);
            covering.push((record.at, record.start, record.end()));
        }
        let Some(&(at, start, end)) = covering.peek() else { return extents };
        if end <= position {
            covering.pop();
            continue;
        }
        let until = rest.peek().map_or(end, |record| end.min(record.start));
        let extent = Extent { start: position, at: at + (position - start), len: until - position };
        match extents.last_mut() {
            Some(last) if last.end() == extent.start && last.at + last.len == extent.at => {
                last.len += extent.len
            }
            _ => extents.push(extent),
        }
        position = until;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use proptest::prelude::*;

    fn header() -> Vec<u8> {
        let mut stream = Flattened::SIGNATURE.to_vec();
        stream.extend(1_u64.to_be_bytes());
        stream.extend(1_u64.to_be_bytes());
        stream.resize(4096, 0);
        stream
    }

    fn stream(records: &[(u64, &[u8])]) -> Vec<u8> {
        let mut stream = header();
        for (offset, bytes) in records {
            stream.extend(offset.to_be_bytes());
            stream.extend((bytes.len() as u64).to_be_bytes());
            stream.extend(*bytes);
        }
        stream.extend([0xff; 16]);
        stream
    }

    /// The worked example of the format: 4096 bytes for offset 0x2000.
    #[test]
    fn a_stream_begins_as_documented() {
        let mut bytes = b"\x6d\x61\x6b\x65\x64\x75\x6d\x70\x66\x69\x6c\x65\0\0\0\0".to_vec();
        bytes.extend(b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01");
        bytes.resize(4096, 0);
        bytes.extend(b"\0\0\0\0\0\0\x20\0\0\0\0\0\0\0\x10\0");
        bytes.extend([7; 4096]);
        bytes.extend([0xff; 16]);
        let flattened = Flattened::index(&Source::Memory(bytes)).unwrap();
        assert_eq!(flattened.extents, [Extent { start: 0x2000, at: 4112, len: 4096 }]);
        assert_eq!((flattened.len(), flattened.damage()), (0x3000, None));
        assert_eq!(flattened.locate(0x2fff), Some(Spot::Stored { at: 8207, len: 1 }));
        assert_eq!(flattened.locate(0x1000), Some(Spot::Hole { len: 0x1000 }));
        assert_eq!(flattened.locate(0x3000), None);
    }

    #[test]
    fn later_records_win_and_holes_are_zero() {
        let content =
            Content::from_bytes(stream(&[(10, b"ABCDEF"), (0, b"provisional"), (12, b"xy"), (0, b"final")]));
        assert_eq!(content.len(), 16);
        assert_eq!(content.head(100), b"finalsionalBxyEF");
        let content = Content::from_bytes(stream(&[(6, b"C"), (0, b"AB")]));
        assert_eq!(content.head(100), b"AB\0\0\0\0C");
    }

    #[test]
    fn a_cut_stream_has_what_arrived() {
        let whole = stream(&[(4, b"tail"), (0, b"head")]);
        let cut = Content::from_bytes(whole[..whole.len() - 18].to_vec());
        assert!(cut.flattened().unwrap().damage().unwrap().contains("ends within the record at 0x1014"));
        assert_eq!(cut.array(0), Ok(*b"he"));
        assert_eq!(cut.array::<3>(0), Err(Fault::End), "not zeros: they were on their way");
        assert_eq!(cut.array(4), Ok(*b"tail"));
        let no_end = Content::from_bytes(whole[..whole.len() - 16].to_vec());
        assert!(no_end.flattened().unwrap().damage().unwrap().contains("without an end record"));
        assert_eq!(no_end.array(0), Ok(*b"headtail"));
    }

    #[test]
    fn negative_numbers_end_the_stream() {
        for (offset, size) in [(-2_i64, 4_i64), (0, -1), (i64::MIN, i64::MIN)] {
            let mut bytes = header();
            bytes.extend(offset.to_be_bytes());
            bytes.extend(size.to_be_bytes());
            bytes.extend([0; 64]);
            let flattened = Flattened::index(&Source::Memory(bytes)).unwrap();
            assert!(flattened.damage().unwrap().contains("broken record"));
            assert_eq!(flattened.len(), 0);
        }
    }

    proptest! {
        /// The index gives what a program would see that writes the records into a file, one after another.
        #[test]
        fn the_index_equals_the_written_file(
            records in proptest::collection::vec((0_u64..200, proptest::collection::vec(any::<u8>(), 0..60)), 0..20),
        ) {
            let mut file = Vec::new();
            for (offset, bytes) in &records {
                let start = usize::try_from(*offset).unwrap();
                if !bytes.is_empty() {
                    file.resize(file.len().max(start + bytes.len()), 0);
                    file[start..start + bytes.len()].copy_from_slice(bytes);
                }
            }
            let records: Vec<(u64, &[u8])> = records.iter().map(|(at, bytes)| (*at, &bytes[..])).collect();
            prop_assert_eq!(Content::from_bytes(stream(&records)).head(1000), file);
        }

        #[test]
        fn any_bytes_are_indexed(tail in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..4400) {
            let mut bytes = header();
            bytes.extend(tail);
            bytes.truncate(cut.max(16));
            if let Ok(flattened) = Flattened::index(&Source::Memory(bytes)) {
                let len = flattened.len();
                for offset in [0, 1, len / 2, len.saturating_sub(1), len, u64::MAX] {
                    if let Some(spot) = flattened.locate(offset) {
                        prop_assert!(spot.len() > 0);
                    }
                }
            }
        }
    }
}
