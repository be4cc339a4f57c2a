//! One CPU's buffer of one channel: from its structures to its sub-buffers in order.

use std::cell::OnceCell;

use super::Kernel;
use super::by_header;
use super::channel::{BufferRef, ChannelInfo};
use super::header::HeaderShape;
use super::model::Stream;
use super::reader::{self, Peeked, Placed};
use super::tables::{self, Container, Tables};
use super::types::{CommitCounters, Era, Position};
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::ring::{Counters, Slot};
use crate::{Cause, Damage, Kind, Routes, State, SubBuffer, VirtAddr};

/// What one reading of a buffer gave. Several definitions and several addresses may be possible; the best reading wins.
struct Reading<'p> {
    position: &'p Position,
    image: Image,
    write: u64,
    consumed: u64,
    finalized: bool,
    slots: Vec<Slot>,
    commit_seq: Option<Vec<u64>>,
    pages: Pages,
    /// Counters that agree with the positions.
    sane: usize,
}

/// Pages of a buffer and the headers seen in them.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) tables: Tables,
    pub(super) headers: Vec<Peeked>,
    pub(super) reader_header: Peeked,
    header_len: u64,
    pub(super) damage: Vec<Damage>,
}

/// How commit counters are stored.
#[derive(Clone, Copy)]
enum CounterShape<'a> {
    Words,
    Structs(&'a CommitCounters),
}

/// Reads a buffer; also gives the address of its file's directory entry.
///
/// Where its positions are lost, its sub-buffers are told by their headers. Errors: not even those are there; what makes every
/// interpretation of it implausible.
pub(crate) fn read(
    kernel: &Kernel<'_>,
    channel: &ChannelInfo,
    positions: &[Position],
    buffer: BufferRef,
) -> Result<(Stream, Option<VirtAddr>), Damage> {
    let fail = |cause: Cause| Damage::new("buffer", buffer.addr, cause);
    let container = match &kernel.types.rchan_buf {
        Some(shape) if kernel.types.era != Era::C => {
            let image = shape.read(kernel.target, buffer.addr).map_err(|error| fail(error.into()))?;
            let chan = image.pointer(&shape.chan).map_err(fail)?;
            let cpu = image.uint(&shape.cpu).map_err(fail)?;
            let relay = channel.relay.as_ref().map(|(addr, _)| *addr);
            if Some(chan) != relay || cpu != u64::from(buffer.cpu) {
                let text =
                    format!("buffer for cpu {} says cpu {cpu} and relay channel {chan:#x}", buffer.cpu);
                return Err(fail(Cause::Implausible(text)));
            }
            Some(image)
        }
        _ => None,
    };
    // The older tracers note the end of a buffer in its container.
    let finalized = container
        .as_ref()
        .and_then(|container| container.maybe(kernel.types.rchan_buf.as_ref()?.finalized.as_ref()))
        .is_some_and(|finalized| finalized != 0);
    // Before era C the pages do not depend on how the positions are read.
    let shared: OnceCell<Result<Pages, Cause>> = OnceCell::new();
    let mut best: Option<Reading<'_>> = None;
    let mut reason = None;
    for position in positions {
        for place in channel.position_places(kernel, buffer, container.as_ref()) {
            for shape in counter_shapes(kernel, position) {
                let pages = |image: &Image| match &container {
                    Some(container) => {
                        shared.get_or_init(|| Pages::read(kernel, channel, buffer, container, None)).clone()
                    }
                    None => Pages::read(kernel, channel, buffer, image, Some(position)),
                };
                match Reading::attempt(kernel, channel, position, place, shape, finalized, pages) {
                    Ok(reading) if best.as_ref().is_none_or(|best| reading.sane > best.sane) => {
                        best = Some(reading)
                    }
                    Ok(_) => {}
                    Err(cause) => reason = reason.or(Some(cause)),
                }
            }
        }
    }
    let none = || Cause::Implausible("its positions cannot be found".into());
    let Some(reading) = best else {
        let cause = reason.unwrap_or_else(none);
        let found = by_header::pages(kernel, channel, positions, buffer, container.as_ref());
        let (pages, dentry) = found.ok_or_else(|| fail(cause.clone()))?;
        return Ok((by_header::stream(kernel, channel, buffer, pages, cause), dentry));
    };
    let dentry = match (&container, &kernel.types.rchan_buf) {
        (Some(container), Some(shape)) => container.maybe_pointer(shape.dentry.as_ref()),
        _ => reading.image.maybe_pointer(reading.position.dentry.as_ref()),
    };
    Ok((reading.into_stream(kernel, channel, buffer), dentry))
}

/// Shapes that the commit counters can have, likeliest first.
fn counter_shapes<'k>(kernel: &'k Kernel<'_>, position: &Position) -> Vec<CounterShape<'k>> {
    let structs = kernel.types.commit.as_ref().map(CounterShape::Structs);
    let pointee = match &position.commit_count.kind {
        Kind::Pointer { to } => to.as_deref(),
        _ => None,
    };
    match (pointee, structs) {
        (Some(name), Some(structs)) if CommitCounters::NAMES.contains(&name) => vec![structs],
        (Some(_), _) | (None, None) => vec![CounterShape::Words],
        (None, Some(structs)) => vec![structs, CounterShape::Words],
    }
}

impl Pages {
    pub(super) fn read(
        kernel: &Kernel<'_>,
        channel: &ChannelInfo,
        buffer: BufferRef,
        image: &Image,
        position: Option<&Position>,
    ) -> Result<Pages, Cause> {
        let container = Container {
            addr: buffer.addr,
            image,
            position,
            subbuffer_size: channel.ring.subbuffer_size(),
            n_subbuffers: channel.ring.n_subbuffers(),
            exchange: channel.exchange,
        };
        let mut damage = Vec::new();
        kernel.make_room(&container)?;
        let tables = tables::read(kernel, &container, &mut damage);
        let peek = |shape: &HeaderShape| -> Vec<Peeked> {
            tables.writer.iter().map(|pages| shape.peek(kernel.target, pages)).collect()
        };
        let shows_one = |headers: &[Peeked]| headers.iter().any(|header| matches!(header, Ok(Some(_))));
        let mut chosen: Option<(&HeaderShape, Vec<Peeked>)> = None;
        for shape in &kernel.types.headers {
            let headers = peek(shape);
            let found = shows_one(&headers);
            if found || chosen.is_none() {
                chosen = Some((shape, headers));
            }
            if found {
                break;
            }
        }
        let (reader_header, header_len, headers) = match chosen {
            Some((shape, headers)) => {
                let reader = tables
                    .reader
                    .as_ref()
                    .map_or(Ok(None), |reader| shape.peek(kernel.target, &reader.pages));
                (reader, shape.len, headers)
            }
            None => (Ok(None), 0, Vec::new()),
        };
        Ok(Pages { tables, headers, reader_header, header_len, damage })
    }

    fn magic(&self, index: u64) -> Option<bool> {
        let header = usize::try_from(index).ok().and_then(|i| self.headers.get(i))?;
        header.ok().map(|header| header.is_some())
    }

    /// Whether some page shows a header; `None` when none does but some cannot be read.
    pub(super) fn any_magic(&self) -> Option<bool> {
        let mut all = self.headers.iter().chain([&self.reader_header]);
        if all.clone().any(|header| matches!(header, Ok(Some(_)))) {
            return Some(true);
        }
        if all.any(Result::is_err) { None } else { Some(false) }
    }
}

impl<'p> Reading<'p> {
    /// Reads the positions at `place` by one definition, and tests whether they can be positions of this channel.
    fn attempt(
        kernel: &Kernel<'_>,
        channel: &ChannelInfo,
        position: &'p Position,
        place: VirtAddr,
        shape: CounterShape<'_>,
        finalized: bool,
        pages: impl Fn(&Image) -> Result<Pages, Cause>,
    ) -> Result<Reading<'p>, Cause> {
        let ring = &channel.ring;
        let image = position.read(kernel.target, place)?;
        let write = image.pointer(&position.offset)?.0;
        let consumed = image.pointer(&position.consumed)?.0;
        let unread = ring.distance(write, consumed);
        if ring.offset(consumed) != 0 || unread > ring.size() + ring.subbuffer_size() {
            let text = format!(
                "write position {write:#x} and consumed position {consumed:#x} fit no ring of {:#x} bytes",
                ring.size()
            );
            return Err(Cause::Implausible(text));
        }
        let array = image.pointer(&position.commit_count)?;
        let (committed, delivered) = shape.read(kernel, array, ring.n_subbuffers())?;
        let commit_seq = image.maybe_pointer(position.commit_seq.as_ref());
        let commit_seq = commit_seq.and_then(|at| memory::words(kernel.target, at, ring.n_subbuffers()).ok());
        let finalized = finalized || image.maybe(position.finalized.as_ref()).unwrap_or(0) != 0;

        let pages = pages(&image)?;
        if pages.any_magic() == Some(false) {
            return Err(Cause::Implausible("no sub-buffer starts with the magic number".into()));
        }
        let counters =
            Counters { write, consumed, committed: &committed, delivered: delivered.as_deref(), finalized };
        let slots = ring.classify(&counters, &|index| pages.magic(index));
        let sane = slots.iter().filter(|slot| slot.committed <= ring.subbuffer_size()).count();
        Ok(Reading { position, image, write, consumed, finalized, slots, commit_seq, pages, sane })
    }

    fn into_stream(self, kernel: &Kernel<'_>, channel: &ChannelInfo, buffer: BufferRef) -> Stream {
        let Reading { position, image, write, consumed, finalized, slots, commit_seq, pages, .. } = self;
        let ring = &channel.ring;
        let active_readers = image.maybe(position.active_readers.as_ref()).unwrap_or(0);
        let relay_buf = kernel.types.rchan_buf.as_ref();
        let mut damage = pages.damage;

        let placed = if channel.exchange {
            let (placed, contradictory) =
                reader::place(ring, &slots, consumed, &pages.tables, &pages.headers, pages.reader_header);
            if contradictory != 0 {
                let text =
                    format!("{contradictory} consumed sub-buffers begin later than the oldest unread one");
                damage.push(Damage::new("order of time", buffer.addr, Cause::Implausible(text)));
            }
            placed
        } else {
            // The older tracers count readers between get and put only: one inside holds the oldest unread sub-buffer.
            let counts_gets =
                kernel.types.era != Era::C && relay_buf.is_none_or(|buf| buf.position.is_none());
            let held = |slot: &Slot| {
                counts_gets
                    && active_readers != 0
                    && slot.state == State::Ready
                    && slot.position == ring.truncate(consumed)
            };
            let pages = |slot: &Slot| {
                usize::try_from(slot.index).ok().and_then(|i| pages.tables.writer.get(i)).cloned()
            };
            slots
                .iter()
                .filter_map(|slot| Some(Placed { slot: *slot, pages: pages(slot)?, reader_held: held(slot) }))
                .collect()
        };
        let seq = |slot: &Slot| {
            let counter = *commit_seq.as_ref()?.get(usize::try_from(slot.index).ok()?)?;
            let bytes = ring.committed(slot.position, counter);
            (pages.header_len..=slot.committed).contains(&bytes).then_some(bytes)
        };
        let subbuffers = placed.into_iter().map(|Placed { slot, pages, reader_held }| SubBuffer {
            position: slot.position,
            index: slot.index,
            state: slot.state,
            reserved: slot.reserved,
            committed: slot.committed,
            commit_seq: seq(&slot),
            reader_held,
            by_header: false,
            pages,
            skip: 0,
        });
        let odd: Vec<&Slot> = slots.iter().filter(|slot| slot.committed > ring.subbuffer_size()).collect();
        for slot in odd {
            let text = format!(
                "commit counter of the sub-buffer at position {:#x} is off by {:#x}",
                slot.position, slot.committed
            );
            damage.push(Damage::new("commit counters", image.addr, Cause::Implausible(text)));
        }
        if !channel.exchange && pages.headers.first() == Some(&Ok(None)) {
            let text = "sub-buffer 0 does not start with the magic number".to_string();
            damage.push(Damage::new("pages", buffer.addr, Cause::Implausible(text)));
        }
        Stream {
            cpu: buffer.cpu,
            address: buffer.addr,
            path: Vec::new(),
            positions_lost: false,
            write_position: write,
            consumed_position: consumed,
            last_tsc: image.maybe(position.last_tsc.as_ref()),
            last_tsc_is_truncated: kernel.target.abi().word_bytes() == 4,
            events_lost: image.maybe(position.events_lost.as_ref()).unwrap_or(0),
            corrupted_subbuffers: image.maybe(position.corrupted.as_ref()).unwrap_or(0),
            finalized,
            active_readers,
            nesting: None,
            found_by: Routes::NONE,
            subbuffers: subbuffers.collect(),
            damage,
        }
    }
}

impl CounterShape<'_> {
    /// Bytes committed, and bytes delivered where they are counted apart, for each slot.
    fn read(
        self,
        kernel: &Kernel<'_>,
        array: VirtAddr,
        count: u64,
    ) -> Result<(Vec<u64>, Option<Vec<u64>>), Cause> {
        match self {
            CounterShape::Words => Ok((memory::words(kernel.target, array, count)?, None)),
            CounterShape::Structs(shape) => {
                let stride = shape.layout().size;
                let bytes = memory::array(kernel.target, array, count, stride)?;
                let column = |offset: u64| {
                    let word = |i: u64| kernel.target.abi().word(&bytes, i * stride + offset);
                    (0..count).map(|i| word(i).unwrap_or(0)).collect::<Vec<u64>>()
                };
                Ok((column(shape.committed.offset), Some(column(shape.delivered.offset))))
            }
        }
    }
}
