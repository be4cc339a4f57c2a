//! One buffer: from its structure to its sub-buffers in order.

use std::sync::Arc;

use super::model::Stream;
use super::sequence::{Counts, Plan, plan};
use super::types::{Shape, Types};
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::pages::{PageMap, Witness};
use crate::{Cause, Damage, PageList, PageRef, PhysAddr, SubBuffer, Target, VirtAddr};

/// What is resolved once for all buffers.
#[derive(Debug)]
pub(crate) struct Context<'t> {
    pub(crate) target: &'t dyn Target,
    pub(crate) types: Types,
    pub(crate) pages: PageMap<'t>,
}

/// A page whose place the page tables tell.
struct Known(PhysAddr);

impl Witness for Known {
    fn recognises(&self, addr: PhysAddr) -> Option<bool> {
        Some(addr == self.0)
    }
}

impl Context<'_> {
    /// Reads the buffer at `addr` of the channel at `channel`. The path is left empty, the end position without the part that
    /// the file's size tells.
    pub(crate) fn stream(
        &self,
        addr: VirtAddr,
        channel: VirtAddr,
        shape: Shape,
    ) -> Result<(Stream, Image), Damage> {
        let types = &self.types.buf;
        let fail = |cause: Cause| Damage::new("relay buffer", addr, cause);
        let odd = |text: String| Damage::new("relay buffer", addr, Cause::Implausible(text));
        let image = types.read(self.target, addr).map_err(|error| fail(error.into()))?;
        let number = |member| image.uint(member).map_err(fail);
        let owner = image.pointer(&types.chan).map_err(fail)?;
        if owner != channel {
            return Err(odd(format!("its channel is {owner:#x}, not {channel:#x}")));
        }
        let pages = number(&types.page_count)?;
        if pages.checked_mul(self.target.page_size()) != Some(shape.alloc_size) {
            return Err(odd(format!("{pages} pages do not make {} bytes", shape.alloc_size)));
        }
        let cpu = number(&types.cpu)?;
        let cpu = u32::try_from(cpu).map_err(|_| odd(format!("cpu number {cpu:#x}")))?;
        let start = image.pointer(&types.start).map_err(fail)?;
        let data = image.pointer(&types.data).map_err(fail)?;
        let ahead = data.0.wrapping_sub(start.0);
        if start.0 % self.target.page_size() != 0
            || ahead % shape.size != 0
            || ahead / shape.size >= shape.count
        {
            return Err(odd(format!(
                "current sub-buffer {data:#x} does not lie in the buffer at {start:#x}"
            )));
        }
        let mut damage = Vec::new();
        let padding_addr = image.pointer(&types.padding).map_err(fail)?;
        let padding = memory::words(self.target, padding_addr, shape.count).map_err(|error| {
            damage.push(Damage::new(
                "paddings, so the length of closed sub-buffers is unknown",
                padding_addr,
                error,
            ))
        });
        let padding = padding.ok();
        let counts = Counts {
            size: shape.size,
            count: shape.count,
            produced: number(&types.produced)?,
            consumed: number(&types.consumed)?,
            offset: number(&types.offset)?,
            current: ahead / shape.size,
            bytes_consumed: image.maybe(types.bytes_consumed.as_ref()).unwrap_or(0),
            padding: padding.as_deref(),
        };
        let Plan { spans, stopped, overwritten, bad_padding } = plan(self.target.abi(), &counts)
            .ok_or_else(|| odd(format!("counters contradict each other: {counts:?}")))?;
        for index in bad_padding {
            let text = format!("padding of sub-buffer {index} is longer than the sub-buffer");
            damage.push(Damage::new("paddings", padding_addr, Cause::Implausible(text)));
        }
        let places = self.places(start, &image, pages, &mut damage);
        let open = spans.last().filter(|span| span.state == crate::State::Open).map_or(0, |span| span.len);
        let early = image.maybe(types.early_bytes.as_ref());
        let subbuffers = spans.iter().map(|span| SubBuffer {
            position: span.sequence.wrapping_mul(shape.size),
            index: span.index,
            state: span.state,
            reserved: span.len,
            committed: span.len,
            commit_seq: None,
            reader_held: false,
            by_header: false,
            pages: self.cut(&places, span.index * shape.size, span.len),
            skip: span.skip,
        });
        let stream = Stream {
            cpu,
            address: addr,
            path: Vec::new(),
            produced: counts.produced,
            consumed: counts.consumed,
            stopped,
            overwritten,
            end_position: early.map(|early| early.wrapping_add(open)),
            subbuffers: subbuffers.collect(),
            damage,
        };
        Ok((stream, image))
    }

    /// Places of all pages: by the page tables, by the array of pages where these fail.
    fn places(&self, start: VirtAddr, image: &Image, count: u64, damage: &mut Vec<Damage>) -> Vec<PageRef> {
        let page = self.target.page_size();
        let mapped: Vec<Option<PhysAddr>> =
            (0..count).map(|i| self.target.virt_to_phys(start.offset(i * page)).ok()).collect();
        let array = image.maybe_pointer(self.types.buf.page_array.as_ref());
        let array = array.and_then(|array| memory::words(self.target, array, count).ok()).unwrap_or_default();
        if mapped.contains(&None) {
            let known: Vec<(VirtAddr, Known)> = array
                .iter()
                .zip(&mapped)
                .filter_map(|(&pointer, place)| Some((VirtAddr(pointer), Known((*place)?))))
                .take(64)
                .collect();
            let witnesses: Vec<(VirtAddr, &dyn Witness)> =
                known.iter().map(|(at, known)| (*at, known as &dyn Witness)).collect();
            self.pages.prove(&witnesses);
        }
        let by_array = |i: usize| array.get(i).and_then(|&pointer| self.pages.resolve(VirtAddr(pointer)));
        let place = |(i, mapped): (usize, &Option<PhysAddr>)| {
            mapped.or_else(|| by_array(i)).map_or(PageRef::Missing, PageRef::Phys)
        };
        let places: Vec<PageRef> = mapped.iter().enumerate().map(place).collect();
        let missing = places.iter().filter(|place| **place == PageRef::Missing).count();
        if missing != 0 {
            let text = format!("{missing} of {count} pages have no known place");
            damage.push(Damage::new("mapped buffer", start, Cause::Implausible(text)));
        }
        places
    }

    /// Pages of `len` bytes from `start` of the buffer on.
    fn cut(&self, places: &[PageRef], start: u64, len: u64) -> PageList {
        let page = self.target.page_size();
        let first = usize::try_from(start / page).unwrap_or(usize::MAX);
        let last = usize::try_from((start + len).div_ceil(page)).unwrap_or(usize::MAX).min(places.len());
        let pages: Arc<[PageRef]> = places.get(first..last).unwrap_or_default().into();
        PageList::new(pages, page, start % page, len)
    }
}
