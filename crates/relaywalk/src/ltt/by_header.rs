//! Buffers whose positions are lost: what the headers of their sub-buffers tell.
//!
//! Positions and counters lie in other pages than the buffer: a core that was cut off may have the one without the other. A
//! header says when its sub-buffer was begun, and once it is ended, where its events end. It does not say who has read it, nor
//! what of an open one is committed.

use super::Kernel;
use super::channel::{BufferRef, ChannelInfo};
use super::header::Header;
use super::model::Stream;
use super::reader::Peeked;
use super::stream::Pages;
use super::types::{Era, Position};
use crate::mirror::{Image, Mirror};
use crate::{Cause, Damage, PageList, Routes, State, SubBuffer, VirtAddr};

/// Pages of a buffer in which headers are, and its directory entry. None in era Z, whose memory was not the tracer's own before.
pub(super) fn pages(
    kernel: &Kernel<'_>,
    channel: &ChannelInfo,
    positions: &[Position],
    buffer: BufferRef,
    container: Option<&Image>,
) -> Option<(Pages, Option<VirtAddr>)> {
    let types = &kernel.types;
    let found = match (container, &types.rchan_buf) {
        (Some(image), Some(shape)) if types.era != Era::Z => {
            let pages = Pages::read(kernel, channel, buffer, image, None).ok()?;
            Some((pages, image.maybe_pointer(shape.dentry.as_ref())))
        }
        (None, _) => positions.iter().find_map(|position| {
            let image = position.read(kernel.target, buffer.addr).ok()?;
            let pages = Pages::read(kernel, channel, buffer, &image, Some(position)).ok()?;
            Some((pages, image.maybe_pointer(position.dentry.as_ref())))
        }),
        _ => None,
    };
    found.filter(|(pages, _)| pages.any_magic() == Some(true))
}

/// The stream of a buffer of which no more than its pages is known, and why.
pub(super) fn stream(
    kernel: &Kernel<'_>,
    channel: &ChannelInfo,
    buffer: BufferRef,
    pages: Pages,
    cause: Cause,
) -> Stream {
    let Pages { tables, headers, reader_header, mut damage, .. } = pages;
    let mut found: Vec<(Peeked, PageList, bool)> =
        headers.into_iter().zip(tables.writer).map(|(header, pages)| (header, pages, false)).collect();
    found.extend(tables.reader.map(|reader| (reader_header, reader.pages, reader.held)));
    let newest =
        found.iter().filter_map(|(header, ..)| header.ok().flatten()).map(|header| header.begin).max();
    let size = channel.ring.subbuffer_size();
    let mut subbuffers: Vec<(Option<u64>, SubBuffer)> = (0..)
        .zip(found)
        .map(|(index, (header, pages, reader_held))| {
            let state = match header {
                Ok(None) => State::NeverUsed,
                Ok(Some(header)) if !is_closed(header) && Some(header.begin) == newest => State::Open,
                Ok(Some(header)) if !is_closed(header) => State::Stalled,
                _ => State::Ready,
            };
            let bytes = if state == State::NeverUsed { 0 } else { size };
            let subbuffer = SubBuffer {
                position: index * size,
                index,
                state,
                reserved: bytes,
                committed: bytes,
                commit_seq: None,
                reader_held,
                by_header: true,
                pages,
                skip: 0,
            };
            (header.ok().flatten().map(|header| header.begin), subbuffer)
        })
        .collect();
    subbuffers.sort_by_key(|(begin, _)| *begin);
    let known = subbuffers.iter().filter(|(begin, _)| begin.is_some()).count();
    damage.push(Damage::new("positions", buffer.addr, cause));
    let text = format!("{known} told by their headers alone; which of them had been read is not known");
    damage.push(Damage::new("sub-buffers", buffer.addr, Cause::Implausible(text)));
    Stream {
        cpu: buffer.cpu,
        address: buffer.addr,
        path: Vec::new(),
        positions_lost: true,
        write_position: 0,
        consumed_position: 0,
        last_tsc: None,
        last_tsc_is_truncated: kernel.target.abi().word_bytes() == 4,
        events_lost: 0,
        corrupted_subbuffers: 0,
        finalized: false,
        active_readers: 0,
        nesting: None,
        found_by: Routes::NONE,
        subbuffers: subbuffers.into_iter().map(|(_, subbuffer)| subbuffer).collect(),
        damage,
    }
}

/// Whether the end was written in this pass: in an open sub-buffer it is that of an earlier one, or none.
fn is_closed(header: Header) -> bool {
    header.ended && header.begin <= header.end
}
