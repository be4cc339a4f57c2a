//! Index files: where the packets of a data file lie. Always big endian.

use super::{Error, PacketHeader, Result};
use crate::ltt::Endian;

/// Every index file begins with it.
const MAGIC: u32 = 0xc1f1_dcc1;

const HEADER: usize = 16;

const WHAT: &str = "index file";

/// Which fields the entries have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexVersion {
    /// lttng-tools 2.4 to 2.7: entries of 56 bytes.
    V1_0,
    /// lttng-tools 2.8 and later: entries of 72 bytes.
    V1_1,
}

/// An index file: `index/<channel>_<cpu>.idx`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Which fields the entries have.
    pub version: IndexVersion,
    /// One for each packet, in the order of the data file.
    pub entries: Vec<IndexEntry>,
    /// Where and why reading ended before the end of the file.
    pub cut: Option<IndexCut>,
}

/// What an index says about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// Offset in the data file in bytes.
    pub offset: u64,
    /// In bits.
    pub packet_size: u64,
    /// In bits.
    pub content_size: u64,
    /// In clock cycles.
    pub timestamp_begin: u64,
    /// In clock cycles.
    pub timestamp_end: u64,
    /// As in the packet.
    pub events_discarded: u64,
    /// Id of the channel.
    pub stream_id: u64,
    /// Number of the CPU; `None` if the tracer did not know (and in 1.0).
    pub stream_instance_id: Option<u64>,
    /// Number of the packet; `None` if the tracer did not know (and in 1.0).
    pub packet_seq_num: Option<u64>,
}

/// Damage at the end of an index file: babeltrace 2 ignores such a file, older readers do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("index file at byte {offset}: expected an entry, found {found}")]
pub struct IndexCut {
    /// Offset in the file of the first byte that is in no usable entry.
    pub offset: usize,
    /// What is there.
    pub found: &'static str,
}

impl IndexVersion {
    /// Bytes of an entry.
    pub fn entry_len(self) -> usize {
        match self {
            IndexVersion::V1_0 => 56,
            IndexVersion::V1_1 => 72,
        }
    }

    /// What of an entry this version keeps.
    pub fn known(self, entry: &IndexEntry) -> IndexEntry {
        match self {
            IndexVersion::V1_0 => IndexEntry { stream_instance_id: None, packet_seq_num: None, ..*entry },
            IndexVersion::V1_1 => *entry,
        }
    }
}

impl IndexEntry {
    /// The entry of a packet that lies at `offset` of its data file.
    pub fn new(offset: u64, header: &PacketHeader) -> IndexEntry {
        IndexEntry {
            offset,
            packet_size: header.packet_size,
            content_size: header.content_size,
            timestamp_begin: header.timestamp_begin,
            timestamp_end: header.timestamp_end,
            events_discarded: header.events_discarded.unwrap_or(0),
            stream_id: header.stream_id,
            stream_instance_id: header.stream_instance_id,
            packet_seq_num: header.packet_seq_num,
        }
    }

    /// `None` if there are too few bytes.
    fn parse(bytes: &[u8], version: IndexVersion) -> Option<IndexEntry> {
        let word = |place: usize| Endian::Big.u64(bytes, 8 * place);
        let known = |place| match version {
            IndexVersion::V1_0 => Some(None),
            IndexVersion::V1_1 => word(place).map(|value| (value != u64::MAX).then_some(value)),
        };
        Some(IndexEntry {
            offset: word(0)?,
            packet_size: word(1)?,
            content_size: word(2)?,
            timestamp_begin: word(3)?,
            timestamp_end: word(4)?,
            events_discarded: word(5)?,
            stream_id: word(6)?,
            stream_instance_id: known(7)?,
            packet_seq_num: known(8)?,
        })
    }

    fn write(&self, file: &mut Vec<u8>, version: IndexVersion) {
        let words = [
            self.offset,
            self.packet_size,
            self.content_size,
            self.timestamp_begin,
            self.timestamp_end,
            self.events_discarded,
            self.stream_id,
            self.stream_instance_id.unwrap_or(u64::MAX),
            self.packet_seq_num.unwrap_or(u64::MAX),
        ];
        file.extend(words.iter().flat_map(|word| word.to_be_bytes()).take(version.entry_len()));
    }
}

impl Index {
    /// An index without entries.
    pub fn new(version: IndexVersion) -> Index {
        Index { version, entries: Vec::new(), cut: None }
    }

    /// Reads an index file. Entries after the first one that is cut short, blank, or does not lie behind the packet of the one
    /// before are left out, and reported: a crash may leave zeroes at the end of the file.
    ///
    /// Errors: the file does not begin with the header of a known version.
    pub fn parse(file: &[u8]) -> Result<Index> {
        let u32 = |offset| {
            let short = Error::Short { what: WHAT, expected: HEADER, found: file.len() };
            Endian::Big.u32(file, offset).ok_or(short)
        };
        let (magic, major, minor, entry_len) = (u32(0)?, u32(4)?, u32(8)?, u32(12)?);
        if magic != MAGIC {
            return Err(Error::Magic { what: WHAT, expected: MAGIC, found: magic });
        }
        let field =
            |field, expected, found: u32| Error::Field { what: WHAT, field, expected, found: found.into() };
        let version = match (major, minor) {
            (1, 0) => IndexVersion::V1_0,
            (1, 1) => IndexVersion::V1_1,
            (1, _) => return Err(field("minor version", "0 or 1", minor)),
            _ => return Err(field("major version", "1", major)),
        };
        if usize::try_from(entry_len).ok() != Some(version.entry_len()) {
            return Err(field("entry length", "56 bytes (1.0) or 72 (1.1)", entry_len));
        }
        let mut index = Index::new(version);
        let mut offset = HEADER;
        let mut packets_end = 0;
        for bytes in file.get(HEADER..).unwrap_or_default().chunks(version.entry_len()) {
            let found = match IndexEntry::parse(bytes, version) {
                None => "the end of the file",
                Some(_) if bytes.iter().all(|&byte| byte == 0) => "zeroes",
                Some(entry) if entry.packet_size == 0 || entry.offset < packets_end => {
                    "one that does not follow the one before"
                }
                Some(entry) => {
                    packets_end = entry.offset.saturating_add(entry.packet_size / 8);
                    index.entries.push(entry);
                    offset += bytes.len();
                    continue;
                }
            };
            index.cut = Some(IndexCut { offset, found });
            break;
        }
        Ok(index)
    }

    /// The whole file.
    pub fn file(&self) -> Vec<u8> {
        let entry_len = self.version.entry_len();
        let minor = u32::from(self.version == IndexVersion::V1_1);
        let mut file = Vec::with_capacity(HEADER + self.entries.len() * entry_len);
        // 56 or 72.
        let entry_len = u32::try_from(entry_len).unwrap_or(0);
        file.extend([MAGIC, 1, minor, entry_len].iter().flat_map(|word| word.to_be_bytes()));
        self.entries.iter().for_each(|entry| entry.write(&mut file, self.version));
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The specification's example.
    const EXAMPLE: [u64; 11] = [
        0xc1f1_dcc1_0000_0001,
        0x0000_0001_0000_0048,
        0x9_0000,
        0x1_0000,
        0x91a0,
        0x12a_05f2_0000,
        0x12a_0a00_0000,
        7,
        0,
        3,
        11,
    ];

    fn example() -> Vec<u8> {
        EXAMPLE.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn example_both_ways() {
        let index = Index::parse(&example()).unwrap();
        let entry = IndexEntry {
            offset: 0x9_0000,
            packet_size: 0x1_0000,
            content_size: 0x91a0,
            timestamp_begin: 0x12a_05f2_0000,
            timestamp_end: 0x12a_0a00_0000,
            events_discarded: 7,
            stream_id: 0,
            stream_instance_id: Some(3),
            packet_seq_num: Some(11),
        };
        assert_eq!(index, Index { version: IndexVersion::V1_1, entries: vec![entry], cut: None });
        assert_eq!(index.file(), example());
        let old = Index { version: IndexVersion::V1_0, ..index };
        assert_eq!(old.file().len(), 16 + 56);
        let entry = IndexEntry { stream_instance_id: None, packet_seq_num: None, ..entry };
        assert_eq!(Index::parse(&old.file()).unwrap().entries, [entry]);
    }

    #[test]
    fn damage() {
        let cut = |more: &[u8]| {
            let file = [&example(), more].concat();
            let index = Index::parse(&file).unwrap();
            assert_eq!(index.entries.len(), 1);
            index.cut.map(|cut| cut.to_string()).unwrap_or_default()
        };
        assert_eq!(cut(&[]), "");
        assert_eq!(cut(&[0; 72]), "index file at byte 88: expected an entry, found zeroes");
        assert_eq!(cut(&[1; 71]), "index file at byte 88: expected an entry, found the end of the file");
        assert_eq!(
            cut(&example()[16..]),
            "index file at byte 88: expected an entry, found one that does not follow the one before"
        );
        let message = |at: usize, byte| {
            let mut file = example();
            file[at] = byte;
            Index::parse(&file).unwrap_err().to_string()
        };
        assert_eq!(message(0, 0), "index file: expected magic 0xc1f1dcc1, found 0x00f1dcc1");
        assert_eq!(message(11, 2), "index file: expected 0 or 1 in minor version, found 2");
        assert!(message(15, 56).contains("entry length"));
        assert!(Index::parse(&example()[..15]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), header: bool) {
            let start = if header { example()[..16].to_vec() } else { Vec::new() };
            let file = [start, bytes].concat();
            if let Ok(index) = Index::parse(&file) {
                let written = index.file();
                prop_assert!(file.starts_with(&written));
                prop_assert_eq!(index.cut.is_none(), written.len() == file.len());
            }
        }
    }
}
