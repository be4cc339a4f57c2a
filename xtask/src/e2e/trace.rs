//! A CTF trace as the tracer of the guest writes it: metadata text, and packets by stream and sequence number.
//!
//! Read by fixed offsets, in code of its own: what is compared here shares nothing with the program under test. The offsets are
//! those of lttng-modules 2.8 and later on a little-endian 64-bit machine, which is what the guest is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

const MAGIC: u32 = 0xC1FC_1FC1;
const METADATA_MAGIC: u32 = 0x75D1_1D57;
const METADATA_HEADER: usize = 37;
/// magic, uuid, stream id, instance id, begin, end, content and packet size in bits, sequence number, events discarded, CPU.
const HEADER: usize = 84;
/// What the file system writes at once; packets begin at multiples of it.
const PAGE: usize = 4096;
const BEGIN: usize = 32;
const END: usize = 40;
const CONTENT_SIZE: usize = 48;
const PACKET_SIZE: usize = 56;
const SEQUENCE: usize = 64;
const DISCARDED: usize = 72;
const CPU: usize = 80;
/// Header fields that a packet has as soon as it is begun; those between are written when it is closed.
const FINAL_FIELDS: [std::ops::Range<usize>; 3] = [0..END, SEQUENCE..DISCARDED, CPU..HEADER];

/// One CPU of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId {
    pub(crate) stream: u32,
    pub(crate) cpu: u32,
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stream {} CPU {}", self.stream, self.cpu)
    }
}

/// A packet: header and events, without the padding behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    content: Vec<u8>,
}

/// How a packet found relates to the one that the tracer wrote.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    /// The tracer had not closed it yet: same header, as far as it was written, and the first `events` of `of` bytes behind it.
    Begun {
        bytes: usize,
        of: usize,
    },
    Different(String),
}

impl Packet {
    pub(crate) fn begin(&self) -> u64 {
        word(&self.content, BEGIN).unwrap_or(0)
    }

    pub(crate) fn end(&self) -> u64 {
        word(&self.content, END).unwrap_or(0)
    }

    pub(crate) fn discarded(&self) -> u64 {
        word(&self.content, DISCARDED).unwrap_or(0)
    }

    /// Whether there is no event in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.content.len() <= HEADER
    }

    pub(crate) fn is_longer_than(&self, other: &Packet) -> bool {
        self.content.len() > other.content.len()
    }

    /// Whether a page of it holds nothing but zeros.
    pub(crate) fn has_empty_page(&self) -> bool {
        self.content.chunks(PAGE).any(|page| page.iter().all(|byte| *byte == 0))
    }

    /// Compares this packet, found in a core, with the one that the tracer wrote.
    pub(crate) fn relate(&self, truth: &Packet) -> Relation {
        if self.content == truth.content {
            return Relation::Equal;
        }
        let field =
            |range: std::ops::Range<usize>| self.content.get(range.clone()) == truth.content.get(range);
        let events = |packet: &Packet| packet.content.get(HEADER..).unwrap_or_default().to_vec();
        let (ours, theirs) = (events(self), events(truth));
        let in_time = self.end() <= truth.end() && self.discarded() <= truth.discarded();
        if FINAL_FIELDS.into_iter().all(field) && in_time && theirs.starts_with(&ours) {
            return Relation::Begun { bytes: ours.len(), of: theirs.len() };
        }
        let at = self.content.iter().zip(&truth.content).position(|(a, b)| a != b);
        Relation::Different(match at {
            Some(at) => format!(
                "expected {} bytes, found {}, the first difference is at {at}",
                truth.content.len(),
                self.content.len()
            ),
            None => format!("expected {} bytes, found {}", truth.content.len(), self.content.len()),
        })
    }
}

/// The packets of a stream by sequence number.
pub(crate) type Packets = BTreeMap<u64, Packet>;

/// A trace in a folder.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) metadata: String,
    pub(crate) streams: BTreeMap<StreamId, Packets>,
}

impl Trace {
    /// Reads a trace that must be whole: every byte of every file belongs to a packet.
    pub(crate) fn read(folder: &Path) -> Result<Trace> {
        Self::load(folder, true)
    }

    /// Reads what is whole of a trace that a crash may have cut.
    pub(crate) fn read_torn(folder: &Path) -> Result<Trace> {
        Self::load(folder, false)
    }

    fn load(folder: &Path, whole: bool) -> Result<Trace> {
        let folder = find(folder)?;
        let mut trace = Trace::default();
        for path in regular_files(&folder)? {
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            if path.file_name().is_some_and(|name| name == "metadata") {
                trace.metadata =
                    metadata_text(&bytes).with_context(|| format!("reading {}", path.display()))?;
                continue;
            }
            let used = trace.add_packets(&bytes).with_context(|| format!("reading {}", path.display()))?;
            if whole && used != bytes.len() {
                bail!(
                    "{}: expected packets only, found {} other bytes at {used}",
                    path.display(),
                    bytes.len() - used
                );
            }
        }
        Ok(trace)
    }

    /// Adds the packets of a file; returns how many bytes of it they are.
    fn add_packets(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut at = 0;
        while let Some((id, sequence, packet, size)) = bytes.get(at..).and_then(split) {
            let known = self.streams.entry(id).or_default().insert(sequence, packet);
            if known.is_some() {
                bail!("{id}: packet {sequence} is there twice");
            }
            at += size;
        }
        Ok(at)
    }

    pub(crate) fn packets(&self) -> usize {
        self.streams.values().map(BTreeMap::len).sum()
    }
}

/// The first packet of some bytes, and its whole size.
fn split(bytes: &[u8]) -> Option<(StreamId, u64, Packet, usize)> {
    let size = |offset| usize::try_from(word(bytes, offset)? / 8).ok();
    let (content, packet) = (size(CONTENT_SIZE)?, size(PACKET_SIZE)?);
    let fits = half(bytes, 0)? == MAGIC && HEADER <= content && content <= packet && packet <= bytes.len();
    if !fits {
        return None;
    }
    let id = StreamId { stream: half(bytes, 20)?, cpu: half(bytes, CPU)? };
    Some((id, word(bytes, SEQUENCE)?, Packet { content: bytes.get(..content)?.to_vec() }, packet))
}

/// The text of a `metadata` file, its packet headers taken off.
fn metadata_text(bytes: &[u8]) -> Result<String> {
    let mut text = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let size = |offset| half(rest, offset).and_then(|bits| usize::try_from(bits / 8).ok());
        let packet = (half(rest, 0) == Some(METADATA_MAGIC)).then_some(()).and(size(24).zip(size(28)));
        let Some((content, padded)) = packet else {
            // What a crash left: lost blocks read as zeros.
            break;
        };
        let (Some(piece), Some(next)) = (rest.get(METADATA_HEADER..content), rest.get(padded.max(1)..))
        else {
            break;
        };
        text.extend_from_slice(piece);
        rest = next;
    }
    String::from_utf8(text).context("expected text in the metadata")
}

/// The folder that holds `metadata`: this one or the only one below it that does.
pub(crate) fn find(folder: &Path) -> Result<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        if folder.join("metadata").is_file() {
            found.push(folder);
            continue;
        }
        let entries = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        folders.extend(entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()));
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        _ => bail!("expected one trace in {}, found {}", folder.display(), found.len()),
    }
}

/// The files directly in a folder, by name.
fn regular_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
    files.sort();
    Ok(files)
}

fn half(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?))
}

fn word(bytes: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(offset..offset.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The bytes of a packet with `events` behind its header, padded to a page.
    fn packet(sequence: u64, end: u64, discarded: u64, events: &[u8]) -> Vec<u8> {
        let content = HEADER + events.len();
        let size = content.next_multiple_of(4096);
        let mut bytes = vec![0; size];
        bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
        bytes[20..24].copy_from_slice(&7_u32.to_le_bytes());
        let words = [
            (BEGIN, 1000 + sequence),
            (END, end),
            (CONTENT_SIZE, content as u64 * 8),
            (PACKET_SIZE, size as u64 * 8),
            (SEQUENCE, sequence),
            (DISCARDED, discarded),
        ];
        for (offset, value) in words {
            bytes[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes[CPU..HEADER].copy_from_slice(&1_u32.to_le_bytes());
        bytes[HEADER..content].copy_from_slice(events);
        bytes
    }

    /// A trace of one stream, from sequence number, end, events discarded and events of each packet.
    pub(crate) fn trace(packets: &[(u64, u64, u64, &[u8])]) -> Trace {
        let mut trace = Trace::default();
        for (sequence, end, discarded, events) in packets {
            let bytes = packet(*sequence, *end, *discarded, events);
            assert_eq!(trace.add_packets(&bytes).unwrap(), bytes.len());
        }
        trace
    }

    fn one(end: u64, discarded: u64, events: &[u8]) -> Packet {
        split(&packet(3, end, discarded, events)).unwrap().2
    }

    #[test]
    fn packets_follow_each_other() {
        let trace = trace(&[(0, 1500, 0, b"abc"), (1, 1600, 0, &[5; 5000])]);
        let packets = &trace.streams[&StreamId { stream: 7, cpu: 1 }];
        assert_eq!(packets.keys().copied().collect::<Vec<_>>(), [0, 1]);
        assert_eq!(
            (packets[&0].begin(), packets[&0].end(), packets[&0].content.len()),
            (1000, 1500, HEADER + 3)
        );
        assert!(!packets[&0].is_empty());
    }

    #[test]
    fn a_torn_packet_is_none() {
        let mut bytes = packet(0, 1500, 0, b"abc");
        bytes.extend_from_slice(&packet(1, 1600, 0, b"abc")[..4000]);
        assert_eq!(Trace::default().add_packets(&bytes).unwrap(), 4096);
        let twice = [packet(0, 1, 0, b"a"), packet(0, 1, 0, b"a")].concat();
        assert!(Trace::default().add_packets(&twice).is_err());
    }

    #[test]
    fn relations_of_packets() {
        let truth = one(2000, 4, b"abcdef");
        assert_eq!(truth.relate(&truth), Relation::Equal);
        assert_eq!(one(1900, 2, b"abcd").relate(&truth), Relation::Begun { bytes: 4, of: 6 });
        assert!(matches!(one(1900, 2, b"abxd").relate(&truth), Relation::Different(_)), "other events");
        assert!(matches!(one(2100, 2, b"abcd").relate(&truth), Relation::Different(_)), "ends too late");
        assert!(matches!(one(1900, 5, b"abcd").relate(&truth), Relation::Different(_)), "lost too many");
        assert!(matches!(one(2000, 4, b"abcdefg").relate(&truth), Relation::Different(_)), "more events");
    }

    #[test]
    fn metadata_without_headers() {
        let page = |text: &str| {
            let mut bytes = vec![0; 4096];
            bytes[..4].copy_from_slice(&METADATA_MAGIC.to_le_bytes());
            let content = u32::try_from(METADATA_HEADER + text.len()).unwrap();
            bytes[24..28].copy_from_slice(&(content * 8).to_le_bytes());
            bytes[28..32].copy_from_slice(&(4096_u32 * 8).to_le_bytes());
            bytes[METADATA_HEADER..METADATA_HEADER + text.len()].copy_from_slice(text.as_bytes());
            bytes
        };
        let file = [page("/* CTF"), page(" 1.8 */"), vec![0; 4096]].concat();
        assert_eq!(metadata_text(&file).unwrap(), "/* CTF 1.8 */");
    }
}
