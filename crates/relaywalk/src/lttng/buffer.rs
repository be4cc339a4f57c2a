//! One CPU's buffer of one channel: from its structure to its packets in order.

use super::header::Expected;
use super::lap::{Counters, Progress, SlotId};
use super::model::{Header, Packet, Stream};
use super::ring_channel::{BufferRef, RingChannel};
use super::tables::Tables;
use super::walk::Kernel;
use crate::memory;
use crate::mirror::{Image, Mirror};
use crate::{Cause, Damage, Member, Routes, State, VirtAddr};

/// Reads a buffer.
///
/// Errors: what makes it impossible to find any packet in it.
pub(crate) fn read(
    kernel: &Kernel<'_>,
    channel: &RingChannel,
    buffer: BufferRef,
    expected: &Expected,
) -> Result<Stream, Damage> {
    let fail = |cause: Cause| Damage::new("buffer", buffer.addr, cause);
    let mut reading = Reading::new(kernel, channel, buffer, expected).map_err(fail)?;
    let packets = reading.packets();
    Ok(reading.into_stream(packets))
}

/// A buffer with its tables read.
struct Reading<'a> {
    kernel: &'a Kernel<'a>,
    channel: &'a RingChannel,
    buffer: BufferRef,
    expected: &'a Expected,
    image: Image,
    write: u64,
    /// Position of the oldest unread sub-buffer.
    consumed: u64,
    counters: Vec<Counters>,
    discarded: Option<Vec<u64>>,
    ends: Option<Vec<u64>>,
    counts: Option<Vec<u64>>,
    slots: Vec<SlotId>,
    reader: SlotId,
    /// Position of the sub-buffer that a reader holds, as far as the kernel says.
    held: Option<u64>,
    tables: Tables<'a>,
    damage: Vec<Damage>,
    /// Damage beyond what is told one by one.
    more_damage: usize,
}

/// Pieces of damage of one buffer that are told one by one.
const MAX_DAMAGE: usize = 100;

impl<'a> Reading<'a> {
    fn new(
        kernel: &'a Kernel<'a>,
        channel: &'a RingChannel,
        buffer: BufferRef,
        expected: &'a Expected,
    ) -> Result<Reading<'a>, Cause> {
        let shape = &kernel.types.buffer;
        let abi = kernel.target.abi();
        let ring = &channel.laps.ring;
        let n = ring.n_subbuffers();
        let image = shape.read(kernel.target, buffer.addr)?;
        let mut damage = Vec::new();

        let (hot, cold) = (&kernel.types.hot, &kernel.types.cold);
        let committed = column(kernel, image.pointer(&shape.hot)?, n, hot.layout().size, &hot.committed);
        let contiguous = column(kernel, image.pointer(&shape.hot)?, n, hot.layout().size, &hot.contiguous);
        let cold_addr = image.pointer(&shape.cold)?;
        let delivered = column(kernel, cold_addr, n, cold.layout().size, &cold.delivered);
        let lost = [&committed, &delivered].into_iter().find_map(|column| column.as_ref().err().cloned());
        if committed.is_err() && delivered.is_err() {
            return Err(lost.unwrap_or(Cause::Loop));
        }
        damage.extend(lost.map(|cause| Damage::new("commit counters", buffer.addr, cause)));
        let at = |column: &Result<Vec<u64>, Cause>, i: usize| {
            column.as_ref().ok().and_then(|column| column.get(i)).copied().unwrap_or(0)
        };
        let counters = (0..usize::try_from(n).unwrap_or(0))
            .map(|i| Counters {
                committed: at(&committed, i),
                contiguous: at(&contiguous, i),
                delivered: at(&delivered, i),
            })
            .collect();
        let discarded = cold
            .discarded
            .as_ref()
            .and_then(|member| column(kernel, cold_addr, n, cold.layout().size, member).ok());

        let slot = &kernel.types.slot;
        let ids = column(kernel, image.pointer(&shape.writer)?, n, slot.layout().size, &slot.id)?;
        let decode = |id: u64| SlotId::decode(abi, channel.overwrite, id);
        let reader = decode(image.uint(&shape.reader)?);
        let tables = Tables::read(kernel, channel, image.pointer(&shape.array)?)?;
        let ends = image.maybe_pointer(shape.ends.as_ref());
        let ends = ends.and_then(|at| words64(kernel, at, n).ok());
        let counts = image.maybe_pointer(shape.counts.as_ref()).zip(kernel.types.count.as_ref());
        let counts =
            counts.and_then(|(at, count)| column(kernel, at, n, count.layout().size, &count.deliveries).ok());

        let write = image.uint(&shape.offset)? & abi.word_mask();
        let consumed = ring.truncate(image.uint(&shape.consumed)?);
        let held = image.maybe(shape.held.as_ref()).filter(|&held| held != 0);
        let held = held.and(image.maybe(shape.held_position.as_ref())).map(|at| ring.truncate(at));
        Ok(Reading {
            kernel,
            channel,
            buffer,
            expected,
            image,
            write,
            consumed,
            counters,
            discarded,
            ends,
            counts,
            slots: ids.into_iter().map(decode).collect(),
            reader,
            held,
            tables,
            damage,
            more_damage: 0,
        })
    }

    fn report(&mut self, place: &str, cause: Cause) {
        if self.damage.len() < MAX_DAMAGE {
            self.damage.push(Damage::new(place, self.buffer.addr, cause));
        } else {
            self.more_damage += 1;
        }
    }

    /// Packets still in memory, by position; first the one that a reader holds, if writers have overtaken it.
    fn packets(&mut self) -> Vec<Packet> {
        let laps = self.channel.laps;
        let ring = &laps.ring;
        let positions: Vec<u64> = ring.positions(self.write).collect();
        let oldest = positions.first().copied().unwrap_or(self.write);
        let end = ring.next(laps.newest(self.write));
        let unread = ring.distance(end, self.consumed);
        if unread > ring.size() {
            let text = format!(
                "consumed position {:#x} is not within a ring of {:#x} bytes before write position {:#x}",
                self.consumed,
                ring.size(),
                self.write
            );
            self.report("positions", Cause::Implausible(text));
            // Reading twice does less harm than not at all.
            self.consumed = oldest;
        }
        self.find_held(&positions);
        let overtaken = self.held.filter(|held| self.channel.overwrite && !positions.contains(held));
        let mut packets: Vec<Packet> = Vec::new();
        for position in overtaken.into_iter().chain(positions) {
            match self.packet(position) {
                Ok(packet) => packets.extend(packet),
                Err(cause) => self.report(&format!("sub-buffer at position {position:#x}"), cause),
            }
        }
        packets
    }

    /// Where the kernel does not say which sub-buffer a reader holds: its entry is marked as held, and bears the lap. Of the
    /// positions in that lap it is the one whose packet is not in its slot but in the reader's table.
    fn find_held(&mut self, positions: &[u64]) {
        let told =
            self.kernel.types.buffer.held.is_some() && self.kernel.types.buffer.held_position.is_some();
        if told || !self.channel.overwrite || self.reader.noref {
            return;
        }
        let Ok(pages) = self.tables.pages(self.reader.index) else { return };
        let abi = self.kernel.target.abi();
        let laps = &self.channel.laps;
        let of_lap = |position: &&u64| self.reader.is_of(abi, laps.lap(**position));
        let held: Vec<u64> = positions
            .iter()
            .filter(of_lap)
            .filter(|position| self.check(&pages.pages, **position) == Header::Intact)
            .copied()
            .collect();
        // Packets without numbers all look alike: then it is the one next to be read.
        self.held = match held.as_slice() {
            [only] => Some(*only),
            several => several.iter().copied().find(|position| *position == self.consumed),
        };
    }

    /// `Ok(None)` where no packet is, or only one that was read and is no longer there.
    fn packet(&mut self, position: u64) -> Result<Option<Packet>, Cause> {
        let laps = self.channel.laps;
        let ring = &laps.ring;
        let index = ring.index(position);
        let i = usize::try_from(index).unwrap_or(usize::MAX);
        let counters = self.counters.get(i).copied().unwrap_or_default();
        let held = self.held == Some(position);
        let in_reader = held && self.channel.overwrite;
        let overtaken = in_reader && ring.before(position, self.consumed);
        let was_read = ring.before(position, self.consumed) && !held;
        // Readers take only what is delivered; when overtaken, the counters speak of a later lap.
        let progress =
            if in_reader { Progress::Delivered } else { laps.progress(position, self.write, &counters) };
        if was_read && progress != Progress::Delivered {
            return Ok(None);
        }
        let newest = position == laps.newest(self.write);
        let finalized = self.image.maybe(self.kernel.types.buffer.finalized.as_ref()).unwrap_or(0) != 0;
        let state = match progress {
            _ if was_read => State::Consumed,
            Progress::Delivered | Progress::Full => State::Ready,
            Progress::Partial(_) if newest && !finalized => State::Open,
            Progress::Partial(_) => State::Stalled,
        };
        let slot = if in_reader { Some(self.reader) } else { self.slots.get(i).copied() };
        let slot = slot.ok_or_else(|| Cause::Implausible("it has no entry in the table of slots".into()))?;
        if progress == Progress::Delivered
            && !in_reader
            && !slot.is_of(self.kernel.target.abi(), laps.lap(position))
        {
            if was_read {
                return Ok(None);
            }
            let text = format!(
                "its slot says lap {:#x} and not {:#x}: its pages were moved away",
                slot.lap.unwrap_or(0),
                laps.lap(position)
            );
            return Err(Cause::Implausible(text));
        }
        let found = match self.tables.pages(slot.index) {
            Ok(found) => found,
            Err(_) if was_read => return Ok(None),
            Err(cause) => return Err(cause),
        };
        let untouched = counters == Counters::default() && found.used == 0;
        if progress == Progress::Delivered && untouched && !in_reader {
            // A slot never used looks like the end of the lap before the first.
            return Ok(None);
        }
        let whole = ring.subbuffer_size();
        let told = Some(found.used).filter(|used| (1..=whole).contains(used));
        let used = match progress {
            Progress::Delivered => match told {
                Some(used) => used,
                None if was_read => return Ok(None),
                None => {
                    let text = format!("{:#x} used bytes in a closed sub-buffer of {whole:#x}", found.used);
                    return Err(Cause::Implausible(text));
                }
            },
            Progress::Full => told.unwrap_or(whole),
            Progress::Partial(bytes) => bytes,
        };
        let used =
            if used < self.expected.header_size(self.kernel.types.packet_header_size) { 0 } else { used };
        let header = if used == 0 { Header::None } else { self.check(&found.pages, position) };
        if was_read && header != Header::Intact {
            return Ok(None);
        }
        let foreign = || Cause::Implausible("it does not start with a packet of this stream".into());
        for cause in (header == Header::Foreign).then(foreign).into_iter().chain(found.doubt) {
            self.report(&format!("sub-buffer at position {position:#x}"), cause);
        }
        let nth = |list: &Option<Vec<u64>>| list.as_ref().and_then(|list| list.get(i)).copied();
        let numbered = self.expected.numbered;
        let count = nth(&self.counts).filter(|_| !overtaken);
        Ok(Some(Packet {
            position,
            index,
            state,
            used,
            committed: if in_reader { whole } else { laps.committed(position, &counters) },
            reserved: if in_reader { whole } else { laps.reserved(position, self.write) },
            closed: progress == Progress::Delivered,
            sequence: numbered.then(|| laps.sequence(position, count, self.kernel.target.abi())),
            end_timestamp: nth(&self.ends),
            end_discarded: nth(&self.discarded),
            reader_held: held,
            header,
            pages: found.pages,
        }))
    }

    fn check(&self, pages: &crate::PageList, position: u64) -> Header {
        let (target, laps) = (self.kernel.target, &self.channel.laps);
        self.expected.check(target, pages, laps, position, self.buffer.cpu)
    }

    fn into_stream(mut self, packets: Vec<Packet>) -> Stream {
        if self.more_damage != 0 {
            let text = format!("{} more sub-buffers are damaged", self.more_damage);
            self.damage.push(Damage::new("buffer", self.buffer.addr, Cause::Implausible(text)));
        }
        let shape = &self.kernel.types.buffer;
        let number = |member: &Option<Member>| self.image.maybe(member.as_ref());
        Stream {
            cpu: self.buffer.cpu,
            address: self.buffer.addr,
            write_position: self.write,
            consumed_position: self.image.uint(&shape.consumed).unwrap_or(self.consumed),
            last_timestamp: number(&shape.last),
            last_timestamp_is_truncated: self.kernel.target.abi().word_bytes() == 4,
            cpu_timestamp: self.buffer.cpu.and_then(|cpu| self.kernel.cpu_timestamp(cpu)),
            lost_full: number(&shape.lost_full).unwrap_or(0),
            lost_wrap: number(&shape.lost_wrap).unwrap_or(0),
            lost_big: number(&shape.lost_big).unwrap_or(0),
            held_position: self.held,
            active_readers: number(&shape.active_readers).unwrap_or(0),
            finalized: number(&shape.finalized).unwrap_or(0) != 0,
            output: None,
            found_by: Routes::NONE,
            packets,
            damage: self.damage,
        }
    }
}

/// One member of each of `count` structures of `stride` bytes.
fn column(
    kernel: &Kernel<'_>,
    addr: VirtAddr,
    count: u64,
    stride: u64,
    member: &Member,
) -> Result<Vec<u64>, Cause> {
    let bytes = memory::array(kernel.target, addr, count, stride)?;
    let stride = usize::try_from(stride).ok().filter(|&stride| stride != 0);
    let stride = stride.ok_or_else(|| Cause::Implausible("elements of no size".into()))?;
    let abi = kernel.target.abi();
    let misfit = || Cause::MissingType { name: format!("a number of {} bytes", member.size) };
    bytes.chunks_exact(stride).map(|element| member.uint(element, abi).ok_or_else(misfit)).collect()
}

/// `count` 64-bit numbers.
fn words64(kernel: &Kernel<'_>, addr: VirtAddr, count: u64) -> Result<Vec<u64>, Cause> {
    let bytes = memory::array(kernel.target, addr, count, 8)?;
    let abi = kernel.target.abi();
    Ok((0..count).filter_map(|i| abi.uint(&bytes, i * 8, 8)).collect())
}
