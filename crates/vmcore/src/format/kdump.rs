//! kdump-compressed files, as makedumpfile and QEMU write them: pages compressed one by one, found through a bitmap.
//!
//! A page that is in the dump has a descriptor, found by the rank of its bit ([`super::bitmap`]):
//!
//! ```text
//! u64 offset, 0 = never written | u32 size | u32 flags: codec | u64 page flags, unused
//! ```
//!
//! Descriptors may share an offset: makedumpfile stores the page of zeros once, and on a fresh machine most pages of
//! memory are that one.

use super::bitmap::{Bitmap, Ranks};
use super::kdump_header::{self, KdumpHeader};
use crate::ahead::{Ahead, FileId};
use crate::cache::PageCache;
use crate::content::Content;
use crate::error::Defect;
use crate::notes::{self, Note};
use crate::{Codec, PageError};
use codec::PageDecoder;
use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

const DESCRIPTOR_LEN: usize = 24;
/// Descriptors that are looked at to name the codecs of a file whose header names none.
const SAMPLE: u64 = 64;

/// One kdump-compressed file.
#[derive(Debug)]
pub(crate) struct Kdump {
    content: Content,
    id: FileId,
    pub(crate) header: KdumpHeader,
    memory: Option<Bitmap>,
    dumped: Ranks,
    /// Page frames whose pages this file holds: all of them, but for a part of a split dump.
    pub(crate) frames: Range<u64>,
    /// Rank of the first of these: the descriptors of a part begin there.
    first_rank: u64,
    /// Where the shared page of zeros is stored; 0 until it was met.
    zero_page: AtomicU64,
}

/// Where a page is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Descriptor {
    offset: u64,
    size: u32,
    codec: Codec,
}

/// What a thread needs to decode pages; kept between them.
#[derive(Default)]
struct Worker {
    decoder: PageDecoder,
    ahead: Ahead,
    page: Vec<u8>,
}

thread_local! {
    static WORKER: RefCell<Worker> = RefCell::default();
}

impl Kdump {
    /// Reads the headers and counts the bits of the bitmap.
    pub(crate) fn parse(content: Content) -> Result<Kdump, Defect> {
        let header = KdumpHeader::parse(&content)?;
        let dumped = Ranks::new(&content, header.dumped())
            .map_err(|fault| Defect::unreadable("kdump bitmap", header.dumped().offset, fault))?;
        let all = 0..header.frames();
        let frames = match &header.sub.split {
            Some(part) => part.start.min(all.end)..part.end.min(all.end),
            None => all,
        };
        let first_rank = dumped
            .count(&content, frames.start)
            .map_err(|fault| Defect::unreadable("kdump bitmap", header.dumped().offset, fault))?;
        let memory = header.memory();
        let (id, zero_page) = (FileId::new(), AtomicU64::new(0));
        Ok(Kdump { content, id, header, memory, dumped, frames, first_rank, zero_page })
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// Bytes of a page.
    pub(crate) fn page_size(&self) -> u64 {
        self.header.block_size
    }

    /// The ELF notes that the sub-header points to.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let mut notes = Vec::new();
        if let Some((offset, size)) = self.header.sub.notes {
            notes::read(&self.content, offset, size, self.header.abi, &mut notes);
        }
        notes
    }

    /// The VMCOREINFO text that the sub-header points to.
    pub(crate) fn vmcoreinfo(&self) -> Option<Vec<u8>> {
        let (offset, size) = self.header.sub.vmcoreinfo?;
        notes::bytes(&self.content, offset, size)
    }

    /// The codecs that the header declares, or else those of the first pages.
    pub(crate) fn codecs(&self) -> Vec<Codec> {
        let mut codecs: Vec<Codec> = self.header.declared_codec().into_iter().collect();
        if codecs.is_empty() {
            let mut descriptors = (0..SAMPLE).map_while(|rank| self.descriptor(rank).ok());
            codecs.extend(Codec::ALL.into_iter().filter(|&codec| codec != Codec::Raw));
            let seen: Vec<Codec> = descriptors.by_ref().map(|descriptor| descriptor.codec).collect();
            codecs.retain(|codec| seen.contains(codec));
        }
        if codecs.is_empty() { vec![Codec::Raw] } else { codecs }
    }

    /// What is wrong with the file as a whole.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let without_bits = self.header.frames_without_bits();
        let uncounted = (without_bits > 0)
            .then(|| format!("the header counts {without_bits} page frames beyond the bitmaps"));
        uncounted.into_iter().chain(self.truncation()).collect()
    }

    /// Whether the file ends before its pages do, in words.
    ///
    /// Looks at the last descriptors only: pages are written in their order, so that one of the last ends the file.
    fn truncation(&self) -> Option<String> {
        let end_rank = self.dumped.count(&self.content, self.frames.end).ok()?;
        let count = end_rank.saturating_sub(self.first_rank);
        let descriptors_len = count.saturating_mul(DESCRIPTOR_LEN as u64);
        let (end, len) = (self.header.descriptors().saturating_add(descriptors_len), self.content.len());
        if end > len {
            return Some(format!("truncated: the page descriptors end at {end:#x}, the file at {len:#x}"));
        }
        let last = (count.saturating_sub(SAMPLE)..count).filter_map(|rank| self.descriptor(rank).ok());
        let end = last.map(|descriptor| descriptor.offset.saturating_add(descriptor.size.into())).max()?;
        (end > len).then(|| format!("truncated: the pages end at {end:#x}, the file at {len:#x}"))
    }

    /// Page frames of this file that are in the dump.
    pub(crate) fn runs(&self) -> Vec<Range<u64>> {
        self.dumped.bitmap().runs(&self.content, &self.frames).unwrap_or_default()
    }

    /// Whether the bitmaps have a page in this range, whichever part holds it.
    pub(crate) fn dumps_any(&self, frames: &Range<u64>) -> bool {
        let count = |pfn| self.dumped.count(&self.content, pfn).unwrap_or(0);
        count(frames.end) > count(frames.start)
    }

    /// Why a page frame that this file does not hold has no content. Bitmaps are complete in every part of a set.
    pub(crate) fn cause(&self, pfn: u64) -> PageError {
        match self.dumped.bitmap().get(&self.content, pfn) {
            Ok(true) => PageError::Lost,
            Ok(false) => match self.memory.map(|memory| memory.get(&self.content, pfn)) {
                Some(Ok(true)) => PageError::Excluded,
                Some(Err(fault)) => fault.into(),
                Some(Ok(false)) | None => PageError::Absent,
            },
            Err(fault) => fault.into(),
        }
    }

    fn descriptor(&self, rank: u64) -> Result<Descriptor, PageError> {
        let offset = self.header.descriptors().saturating_add(rank.saturating_mul(DESCRIPTOR_LEN as u64));
        let bytes: [u8; DESCRIPTOR_LEN] =
            self.content.array(offset).map_err(|fault| match PageError::from(fault) {
                // The writer ran out of space before it came to this page, and says so.
                PageError::Truncated if self.header.incomplete() => PageError::Lost,
                error => error,
            })?;
        self.interpret(&bytes)
    }

    fn interpret(&self, bytes: &[u8]) -> Result<Descriptor, PageError> {
        let abi = self.header.abi;
        let offset = abi.u64(bytes, 0).filter(|&offset| offset != 0).ok_or(PageError::Lost)?;
        let (size, flags) = (abi.u32(bytes, 8).unwrap_or(0), abi.u32(bytes, 12).unwrap_or(0));
        let codec = kdump_header::codec(flags).ok_or(PageError::Corrupt(Codec::Raw))?;
        // Writers store a page raw when it does not shrink; room for one that does not do so bounds the buffer.
        let fits = match codec {
            Codec::Raw => u64::from(size) == self.page_size(),
            _ => u64::from(size) <= 2 * self.page_size(),
        };
        if fits { Ok(Descriptor { offset, size, codec }) } else { Err(PageError::Corrupt(codec)) }
    }

    /// Copies the bytes from `within` on of a page into `out`, which does not go beyond the page.
    ///
    /// A whole page is decoded in place. A part of one is served by the cache, because more of it will follow.
    /// `part` tells the files of a set apart in the cache.
    pub(crate) fn read_page(
        &self,
        part: u32,
        pfn: u64,
        within: usize,
        out: &mut [u8],
        cache: &PageCache,
    ) -> Result<(), PageError> {
        let rank = self.dumped.rank(&self.content, pfn)?;
        let Some(rank) = rank.and_then(|rank| rank.checked_sub(self.first_rank)) else {
            return Err(self.cause(pfn));
        };
        let descriptor = self.descriptor(rank)?;
        if descriptor.codec == Codec::Raw {
            return self.read_raw(descriptor, within, out);
        }
        let key = (part, descriptor.offset);
        if cache.get(key, within, out) {
            return Ok(());
        }
        WORKER.with_borrow_mut(|Worker { decoder, ahead, page }| {
            let (offset, size) = (descriptor.offset, descriptor.size as usize);
            let source = ahead.fetch(self.id, &self.content, offset, size)?;
            let corrupt = |_| PageError::Corrupt(descriptor.codec);
            let page_len = usize::try_from(self.page_size()).unwrap_or(0);
            if out.len() == page_len {
                return decoder.decode(descriptor.codec, source, out).map_err(corrupt);
            }
            page.resize(page_len, 0);
            decoder.decode(descriptor.codec, source, page).map_err(corrupt)?;
            let wanted = page.get(within..).and_then(|rest| rest.get(..out.len()));
            out.copy_from_slice(wanted.ok_or(PageError::Absent)?);
            cache.put(key, page);
            Ok(())
        })
    }

    fn read_raw(&self, descriptor: Descriptor, within: usize, out: &mut [u8]) -> Result<(), PageError> {
        if self.zero_page.load(Ordering::Relaxed) == descriptor.offset {
            out.fill(0);
            return Ok(());
        }
        self.content.read(descriptor.offset.saturating_add(within as u64), out)?;
        // A page of zeros that is stored raw among compressed ones is the shared one; zeros would compress well.
        if out.len() as u64 == self.page_size()
            && self.zero_page.load(Ordering::Relaxed) == 0
            && out.iter().all(|&byte| byte == 0)
        {
            self.zero_page.store(descriptor.offset, Ordering::Relaxed);
        }
        Ok(())
    }
}
