//! The map of a data file: its whole packets, and the damage between them.
//!
//! After a crash the file of a stream may end in the middle of a packet or in zeroes that were never written back, hold
//! a packet in its middle that was written in part, or pages of zeroes within one. A scan accounts for every byte: each is
//! in exactly one piece.

use std::fmt;
use std::io;
use std::ops::Range;

use super::form::Known;
use super::{Error, Form, PACKET_MAGIC, PacketHeader, PacketLayout, Stop, StopReason, Tally, tally};
pub use crate::ReadAt;
use crate::ltt::Endian;
use crate::window::Window;

/// What packets may look like, and how much is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanOptions {
    /// Page size of the traced machine.
    pub page_size: u64,
    /// Largest packet in bytes: it has to fit memory.
    pub max_len: u64,
    /// Of which packets the events are decoded.
    pub depth: Depth,
}

impl Default for ScanOptions {
    /// Pages of 4 KiB, packets of 64 MiB at most, events of suspicious packets.
    fn default() -> ScanOptions {
        ScanOptions { page_size: 4096, max_len: 64 << 20, depth: Depth::Suspicious }
    }
}

/// Of which packets the events are decoded. The header of every packet is checked, and whether pages of it are blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The last one of the file, and one that no packet follows directly.
    Suspicious,
    /// All.
    All,
}

/// A part of a data file.
#[derive(Clone, Debug)]
pub enum Piece<'a> {
    /// A whole packet.
    Packet(Packet<'a>),
    /// Bytes that are in no whole packet.
    Cut(Cut),
}

/// One whole packet.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// Offset in the file.
    pub offset: u64,
    /// Its header.
    pub header: PacketHeader,
    /// Bytes from its start that hold header and events.
    pub used: u64,
    /// All its bytes.
    pub bytes: &'a [u8],
    /// Packets that are missing before it, by their numbers (2.8 on): never written, or in a cut.
    pub missing: u64,
    /// Its events, if they were decoded.
    pub tally: Option<Tally>,
}

/// Bytes that are in no whole packet, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where they are in the file.
    pub range: Range<u64>,
    /// What is wrong with them.
    pub reason: CutReason,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {} to {}: {}", self.range.start, self.range.end, self.reason)
    }
}

/// What is wrong with a packet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutReason {
    /// Nothing but zeroes.
    #[error("expected a packet, found zeroes")]
    Blank,
    /// It does not begin with a header of this trace.
    #[error(transparent)]
    Header(#[from] Error),
    /// It is from another stream than the file's first packet.
    #[error("expected a packet of the file's stream, found one of another")]
    OtherStream,
    /// It was never closed, so its sizes are not known.
    #[error("expected a closed packet, found an open one")]
    Open,
    /// Its sizes are no packet's.
    #[error("expected whole bytes, {least} at least, {most} at most, found {content} bits in {packet}")]
    Size {
        /// Length of the header in bytes.
        least: u64,
        /// Largest packet in bytes.
        most: u64,
        /// Its content in bits.
        content: u64,
        /// Its size in bits.
        packet: u64,
    },
    /// It is the packet before once more.
    #[error("expected the next packet, found the one before again")]
    Duplicate,
    /// It ends before it begins.
    #[error("expected an end after the begin {begin}, found {end}")]
    EndBeforeBegin {
        /// Cycles.
        begin: u64,
        /// Cycles.
        end: u64,
    },
    /// It is older than the packet before.
    #[error("expected a begin after the previous packet's {previous}, found {begin}")]
    Order {
        /// Begin of the packet before in cycles.
        previous: u64,
        /// Its own.
        begin: u64,
    },
    /// Another packet, or the end of the file, comes before its end.
    #[error(
        "expected a packet of {expected} bytes, found the next packet or the end of the file after {found}"
    )]
    ShortWrite {
        /// Its length.
        expected: u64,
        /// Bytes there are.
        found: u64,
    },
    /// A page of its content is blank: it was never written back.
    #[error("expected events in each page of the content, found zeroes from byte {at} of the packet")]
    BlankPage {
        /// Offset of the page in the packet.
        at: u64,
    },
    /// Its events cannot be decoded.
    #[error(transparent)]
    Events(#[from] Stop),
}

/// Iterates over the pieces of a data file.
///
/// Cost: searches the file for the begin of packets, and then reads each packet; memory: one packet and 256 KiB.
#[derive(Debug)]
pub struct Scan<'t, R> {
    form: Form<'t>,
    options: ScanOptions,
    window: Window<R>,
    offset: u64,
    /// What each packet of this trace begins with.
    start: Vec<u8>,
    /// Bytes that a header may need.
    longest_header: usize,
    stream: Option<(u64, Option<u64>)>,
    previous: Option<PacketHeader>,
}

impl<'t, R: ReadAt> Scan<'t, R> {
    /// Begins at the start of a file.
    pub fn new(form: impl Into<Form<'t>>, file: R, options: ScanOptions) -> Scan<'t, R> {
        let form = form.into();
        let mut start = match form.endian() {
            Endian::Little => PACKET_MAGIC.to_le_bytes().to_vec(),
            Endian::Big => PACKET_MAGIC.to_be_bytes().to_vec(),
        };
        start.extend(form.uuid().iter().flat_map(|uuid| uuid.0));
        let longest_header = form.longest_header();
        let window = Window::new(file);
        Scan { form, options, window, offset: 0, start, longest_header, stream: None, previous: None }
    }

    /// The next piece; `None` at the end of the file.
    ///
    /// Errors: what reading failed with; calling again tries again.
    #[expect(clippy::should_implement_trait, reason = "a piece borrows the scan")]
    pub fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        let (offset, end) = (self.offset, self.window.file_len());
        if offset >= end {
            return Ok(None);
        }
        let (header, known, len) = match self.check(offset)? {
            Ok(found) => found,
            Err(reason) => {
                let cut_end = self.find(offset + 1, end)?.unwrap_or(end);
                let reason = if self.is_blank(offset, cut_end)? { CutReason::Blank } else { reason };
                return Ok(Some(self.cut(cut_end, reason)));
            }
        };
        let limit = end.min(offset.saturating_add(len));
        // Before the whole packet is read: a file full of headers must not cost its square.
        if let Some(next) = self.find(offset + 1, limit)? {
            let reason = CutReason::ShortWrite { expected: len, found: next - offset };
            return Ok(Some(self.cut(next, reason)));
        }
        if limit - offset < len {
            let reason = CutReason::ShortWrite { expected: len, found: limit - offset };
            return Ok(Some(self.cut(limit, reason)));
        }
        let whole = memory_len(limit - offset);
        // Not followed by a packet: perhaps the crash came while it was written.
        let suspicious = limit == end || self.check_after(limit, &header)?.is_err();
        let decode = suspicious || self.options.depth == Depth::All;
        let (used, page_size) = (header.content_size / 8, self.options.page_size);
        let bytes = self.window.get(offset, whole)?;
        let blank = blank_page(bytes, used, page_size).map(|at| CutReason::BlankPage { at });
        let tally = known.class.filter(|_| decode).map(|class| tally(class, &header, bytes));
        // An event that the metadata does not know is no damage: metadata may have been lost as well.
        let stop = tally.and_then(|tally| tally.stop);
        let stop =
            stop.filter(|stop| !matches!(stop.reason, StopReason::UnknownId(_))).map(CutReason::Events);
        if let Some(reason) = blank.or(stop) {
            return Ok(Some(self.cut(limit, reason)));
        }
        let before = self.previous.as_ref().and_then(|previous| previous.packet_seq_num);
        let missing = match (before, header.packet_seq_num) {
            (Some(before), Some(number)) => number.saturating_sub(before).saturating_sub(1),
            _ => 0,
        };
        self.offset = limit;
        self.stream.get_or_insert((header.stream_id, header.stream_instance_id));
        self.previous = Some(header.clone());
        let bytes = self.window.get(offset, whole)?;
        Ok(Some(Piece::Packet(Packet { offset, header, used, bytes, missing, tally })))
    }

    fn cut<'a>(&mut self, end: u64, reason: CutReason) -> Piece<'a> {
        let range = self.offset..end;
        self.offset = end;
        Piece::Cut(Cut { range, reason })
    }

    /// Checks the header at `offset`, and gives the length of its packet, which the file may not hold.
    fn check(&mut self, offset: u64) -> io::Result<Result<(PacketHeader, Known<'t>, u64), CutReason>> {
        let form = self.form;
        let bytes = self.window.get(offset, self.longest_header)?;
        let (header, known) = match form.packet(bytes) {
            Ok(found) => found,
            Err(error) => return Ok(Err(error.into())),
        };
        Ok(self.verify(&header, known.layout).map(|len| (header, known, len)))
    }

    /// As [`check`](Scan::check), for a packet that would follow another one.
    fn check_after(&mut self, offset: u64, before: &PacketHeader) -> io::Result<Result<(), CutReason>> {
        Ok(self.check(offset)?.and_then(|(header, ..)| order(before, &header)))
    }

    fn verify(&self, header: &PacketHeader, layout: &PacketLayout) -> Result<u64, CutReason> {
        let PacketHeader { content_size: content, packet_size: packet, .. } = *header;
        if self.stream.is_some_and(|own| own != (header.stream_id, header.stream_instance_id)) {
            return Err(CutReason::OtherStream);
        }
        if header.is_open() {
            return Err(CutReason::Open);
        }
        let (least, most) = (layout.len() as u64, self.options.max_len);
        let len = packet / 8;
        if packet % 8 != 0 || content > packet || content / 8 < least || len > most {
            return Err(CutReason::Size { least, most, content, packet });
        }
        let (begin, end) = (header.timestamp_begin, header.timestamp_end);
        if end != 0 && end < begin {
            return Err(CutReason::EndBeforeBegin { begin, end });
        }
        if let Some(previous) = &self.previous {
            order(previous, header)?;
        }
        Ok(len)
    }

    /// The first packet that begins from `from` on before `to`, by its header, and that the file holds wholly.
    fn find(&mut self, from: u64, to: u64) -> io::Result<Option<u64>> {
        let mut from = from;
        // What packets begin with may lie across the end of a stretch, and across `to`.
        let overlap = self.start.len().saturating_sub(1);
        while from < to {
            let stretch = self.window.stretch(from, self.start.len())?;
            let wanted = memory_len(to - from).saturating_add(overlap);
            let stretch = stretch.get(..wanted).unwrap_or(stretch);
            let Some(at) = memchr::memmem::find(stretch, &self.start) else {
                from += stretch.len().saturating_sub(overlap).max(1) as u64;
                continue;
            };
            let candidate = from + at as u64;
            let held = self.window.file_len() - candidate;
            if self.check(candidate)?.is_ok_and(|(.., len)| len <= held) {
                return Ok(Some(candidate));
            }
            from = candidate + 1;
        }
        Ok(None)
    }

    fn is_blank(&mut self, from: u64, to: u64) -> io::Result<bool> {
        let mut from = from;
        while from < to {
            let stretch = self.window.stretch(from, 1)?;
            let stretch = stretch.get(..memory_len(to - from)).unwrap_or(stretch);
            if stretch.iter().any(|&byte| byte != 0) {
                return Ok(false);
            }
            from += stretch.len().max(1) as u64;
        }
        Ok(true)
    }
}

/// Lengths of what is read at once: of packets, which have to fit memory.
fn memory_len(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// Whether a packet may come after another one of its stream.
fn order(previous: &PacketHeader, header: &PacketHeader) -> Result<(), CutReason> {
    // Of a tracer that numbers its packets all but the number may be equal, when the clock stands still.
    if previous == header {
        return Err(CutReason::Duplicate);
    }
    let (previous, begin) = (previous.timestamp_begin, header.timestamp_begin);
    if begin < previous { Err(CutReason::Order { previous, begin }) } else { Ok(()) }
}

/// Offset of the first page within the used bytes that holds nothing but zeroes. Events never do: their headers are not zero
/// for hundreds of bytes.
fn blank_page(bytes: &[u8], used: u64, page_size: u64) -> Option<u64> {
    let page_size = usize::try_from(page_size).ok().filter(|&size| size >= 512)?;
    let used = usize::try_from(used).ok().and_then(|used| bytes.get(..used))?;
    let blank = used.chunks_exact(page_size).position(|page| page.iter().all(|&byte| byte == 0))?;
    Some((blank * page_size) as u64)
}
