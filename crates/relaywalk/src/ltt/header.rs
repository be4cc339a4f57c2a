//! The header at the start of each sub-buffer, as far as a walk must look at it: is it one, and when did it begin.

use crate::mirror::{self, mirrors};
use crate::{Abi, Member, PageList, Target};

mirrors! {
    /// Header of formats 2.1 and later.
    SubbufferHeader = "ltt_subbuffer_header" {
        needs { magic: "magic_number", begin: "cycle_count_begin", end: "cycle_count_end" }
        may { unused: "data_size" | "lost_size", header_end: "header_end" }
    }
    /// Header of formats 1.0 and 2.0.
    BlockHeader = "ltt_block_start_header" {
        needs { magic: "trace.magic_number", begin: "begin.cycle_count", end: "end.cycle_count" }
        may { unused: "lost_size", header_end: "header_end" }
    }
}

/// Magic number in the traced machine's byte order.
pub(crate) const MAGIC: u64 = 0x00d6_b7ed;

/// Where the interesting fields of a sub-buffer header lie in one kernel.
#[derive(Clone, Debug)]
pub(crate) struct HeaderShape {
    magic: u64,
    begin: u64,
    end: u64,
    unused: u64,
    /// Bytes of the header: the first event follows.
    pub(crate) len: u64,
}

/// The interesting fields of one header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Time of entry.
    pub(crate) begin: u64,
    /// Time of leaving; stale until the sub-buffer is ended.
    pub(crate) end: u64,
    /// Whether the end was written.
    pub(crate) ended: bool,
}

/// The formats on disk, for debug information that lacks the structures: (magic, begin, end, lost or data size, header length).
const FORMATS: [HeaderShape; 2] = [
    HeaderShape { magic: 16, begin: 0, end: 8, unused: 52, len: 60 },
    HeaderShape { magic: 40, begin: 0, end: 16, unused: 32, len: 108 },
];

impl HeaderShape {
    /// The shapes that this kernel's headers can have, likeliest first; never empty.
    pub(crate) fn of(target: &dyn Target) -> Vec<HeaderShape> {
        let offset = |member: &Option<Member>, other: u64| member.as_ref().map_or(other, |m| m.offset);
        let new = mirror::all::<SubbufferHeader>(target, &[]).into_iter().map(|header| HeaderShape {
            magic: header.magic.offset,
            begin: header.begin.offset,
            end: header.end.offset,
            unused: offset(&header.unused, 52),
            len: offset(&header.header_end, mirror::Mirror::layout(&header).size),
        });
        let old = mirror::all::<BlockHeader>(target, &[]).into_iter().map(|header| HeaderShape {
            magic: header.magic.offset,
            begin: header.begin.offset,
            end: header.end.offset,
            unused: offset(&header.unused, 32),
            len: offset(&header.header_end, mirror::Mirror::layout(&header).size),
        });
        let known: Vec<HeaderShape> = new.chain(old).filter(|shape| shape.len <= MAX_HEADER as u64).collect();
        if known.is_empty() { FORMATS.to_vec() } else { known }
    }

    /// The header at the start of a sub-buffer. `Err` when its page cannot be read, `Ok(None)` when there is no header.
    pub(crate) fn peek(&self, target: &dyn Target, pages: &PageList) -> Result<Option<Header>, ()> {
        let mut bytes = [0; MAX_HEADER];
        let wanted = self.len.max(self.magic + 4).max(self.unused + 4).min(pages.len());
        let bytes = usize::try_from(wanted).ok().and_then(|len| bytes.get_mut(..len)).ok_or(())?;
        let holes = pages.read(target, 0, bytes);
        if holes.iter().any(|hole| !hole.zero_filled) { Err(()) } else { Ok(self.parse(bytes, target.abi())) }
    }

    fn parse(&self, bytes: &[u8], abi: Abi) -> Option<Header> {
        let magic = abi.uint(bytes, self.magic, 4)?;
        let header = Header {
            begin: abi.uint(bytes, self.begin, 8)?,
            end: abi.uint(bytes, self.end, 8)?,
            ended: abi.uint(bytes, self.unused, 4)? != 0xffff_ffff,
        };
        (magic == MAGIC).then_some(header)
    }
}

/// More than any header's length.
const MAX_HEADER: usize = 256;
