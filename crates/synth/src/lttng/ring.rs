//! What the tracer does to one ring buffer, step by step, with every counter that it keeps; and on the side what is true.

use super::release::Release;
use super::truth::{PacketTruth, State};
use crate::abi::{Abi, Endian};

/// Where the writers of a buffer stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Between events.
    Quiet,
    /// Within an event: space is reserved, nothing committed.
    Reserved,
    /// Within an event that another one interrupted, which is committed.
    Nested,
    /// In the same way, but the outer event is committed too: no gap, though the contiguous counter lags.
    NestedCommitted,
    /// An event was never committed, and its sub-buffer was left behind.
    LeftBehind,
    /// A new sub-buffer is entered, its header not committed.
    Entered,
    /// Everything of a sub-buffer is committed, its delivery has just begun.
    Delivering,
    /// The last sub-buffer was flushed: nothing is open.
    Flushed,
}

/// What the daemon does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Nothing.
    Absent,
    /// Reads every packet as soon as it is ready, all but the last so many.
    Keeps(u64),
    /// Has the oldest unread packet in its hands.
    Holds,
    /// The same, and writers have since lapped it.
    Overtaken,
}

/// Rules of one ring.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) abi: Abi,
    pub(crate) release: Release,
    pub(crate) page: u64,
    pub(crate) sb: u64,
    pub(crate) n: u64,
    pub(crate) overwrite: bool,
    /// Readers map instead of taking pages away.
    pub(crate) mapped: bool,
    pub(crate) metadata: bool,
    pub(crate) uuid: [u8; 16],
    pub(crate) stream_id: u32,
    pub(crate) cpu: u32,
}

/// A sub-buffer in one lap.
#[derive(Debug, Clone)]
struct Sub {
    position: u64,
    sequence: u64,
    table: usize,
    reserved: u64,
    header: bool,
    /// Start, end, committed.
    events: Vec<(u64, u64, bool)>,
    closed: bool,
    full: bool,
    consumed: bool,
    /// Value of the contiguous counter, for what the tracer cannot know better.
    seen: u64,
}

/// One buffer.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub(crate) rules: Rules,
    /// Positions without wrapping.
    pub(crate) write: u64,
    pub(crate) consumed: u64,
    pub(crate) cc: Vec<u64>,
    pub(crate) seq: Vec<u64>,
    pub(crate) cc_sb: Vec<u64>,
    pub(crate) wsb: Vec<u64>,
    pub(crate) rsb: u64,
    pub(crate) counts: Vec<u64>,
    pub(crate) ends: Vec<u64>,
    /// Content and used bytes of each table of pages.
    pub(crate) tables: Vec<(Vec<u8>, u64)>,
    pub(crate) held: Option<u64>,
    pub(crate) lost_full: u64,
    pub(crate) lost_wrap: u64,
    pub(crate) last: u64,
    pub(crate) disk: Vec<Vec<u8>>,
    subs: Vec<Sub>,
    /// Position of the packet whose bytes each table has.
    owner: Vec<Option<u64>>,
}

impl Ring {
    /// A buffer just made, or one whose positions have come to `start` (a multiple of its size).
    pub(crate) fn new(rules: Rules, start: u64, time: u64) -> Ring {
        let (sb, n) = (rules.sb, rules.n);
        assert_eq!(start % (sb * n), 0);
        let extra = u64::from(rules.overwrite);
        let lap = start / (sb * n);
        let base = lap * sb;
        let mut ring = Ring {
            write: start,
            consumed: start,
            cc: vec![base; n as usize],
            seq: vec![base; n as usize],
            cc_sb: vec![base; n as usize],
            wsb: Vec::new(),
            rsb: n,
            counts: vec![lap; n as usize],
            ends: vec![0; n as usize],
            tables: vec![(vec![0; sb as usize], 0); (n + extra) as usize],
            held: None,
            lost_full: 0,
            lost_wrap: 0,
            last: 0,
            disk: Vec::new(),
            subs: Vec::new(),
            owner: vec![None; (n + extra) as usize],
            rules,
        };
        ring.wsb = (0..n).map(|i| ring.id(i, true, lap.wrapping_sub(1))).collect();
        ring.rsb = if ring.rules.overwrite { ring.id(n, true, 0) } else { 0 };
        let entered = ring.enter(time, true);
        assert!(entered);
        ring
    }

    fn half(&self) -> u64 {
        self.rules.abi.word * 4
    }

    fn id(&self, index: u64, noref: bool, lap: u64) -> u64 {
        if !self.rules.overwrite {
            return index;
        }
        let half = self.half();
        (index | u64::from(noref) << half | lap << (half + 1)) & self.rules.abi.word_mask()
    }

    fn table_of(&self, id: u64) -> usize {
        (if self.rules.overwrite { id & ((1 << self.half()) - 1) } else { id }) as usize
    }

    fn is_noref(&self, id: u64) -> bool {
        id >> self.half() & 1 == 1
    }

    pub(crate) fn size(&self) -> u64 {
        self.rules.sb * self.rules.n
    }

    fn slot(&self, position: u64) -> usize {
        (position / self.rules.sb % self.rules.n) as usize
    }

    pub(crate) fn header_len(&self) -> u64 {
        if self.rules.metadata {
            return 37;
        }
        match (self.rules.release, self.rules.abi.word) {
            (Release::V2_0, _) => 56,
            (release, word) if release < Release::V2_8 => 60 + word,
            (_, word) => 76 + word,
        }
    }

    fn put(&mut self, table: usize, offset: usize, size: usize, value: u64) {
        let abi = self.rules.abi;
        abi.put(&mut self.tables[table].0, offset, size, value);
    }

    /// Enters the sub-buffer at the write position, if there is room.
    fn enter(&mut self, time: u64, commit_header: bool) -> bool {
        let rules = self.rules.clone();
        let position = self.write;
        assert_eq!(position % rules.sb, 0);
        let slot = self.slot(position);
        if position - self.consumed >= self.size() {
            if !rules.overwrite {
                self.lost_full += 1;
                self.last = 0;
                return false;
            }
            self.consumed = position - self.size() + rules.sb;
        }
        // The slot's previous lap must have been delivered.
        if self.cc_sb[slot] != position / self.size() * rules.sb {
            self.lost_wrap += 1;
            return false;
        }
        let table = self.table_of(self.wsb[slot]);
        if rules.overwrite {
            let keep = self.wsb[slot] & !(1 << self.half());
            self.wsb[slot] = keep;
        }
        let header = self.header_len();
        self.write += header;
        self.owner[table] = Some(position);
        self.subs.push(Sub {
            position,
            sequence: position / rules.sb,
            table,
            reserved: header,
            header: commit_header,
            events: Vec::new(),
            closed: false,
            full: false,
            consumed: false,
            seen: 0,
        });
        if !commit_header {
            return true;
        }
        let magic = if rules.metadata { 0x75d1_1d57 } else { 0xc1fc_1fc1 };
        self.put(table, 0, 4, magic);
        self.tables[table].0[4..20].copy_from_slice(&rules.uuid);
        if rules.metadata {
            for (offset, value) in [(20, 0), (24, 0xffff_ffff), (28, 0xffff_ffff)] {
                self.put(table, offset, 4, value);
            }
            self.tables[table].0[32..37].copy_from_slice(&[0, 0, 0, 1, 8]);
        } else {
            self.put(table, 20, 4, u64::from(rules.stream_id));
            for (field, value) in self.fields() {
                let (offset, size) = field;
                let value = match value {
                    Field::Begin => time,
                    Field::End | Field::Discarded => 0,
                    Field::Content | Field::Packet => u64::MAX,
                    Field::Sequence => position / rules.sb,
                    Field::Cpu => u64::from(rules.cpu),
                };
                self.put(table, offset, size, value);
            }
        }
        self.cc[slot] += header;
        // The maker of a buffer counts the first header in one counter only.
        if position != 0 {
            self.seq[slot] = self.cc[slot];
        }
        if let Some(sub) = self.subs.last_mut() {
            sub.seen = if position == 0 { 0 } else { header };
        }
        true
    }

    /// Fields of the packet header behind the stream's number: offset, size, meaning.
    fn fields(&self) -> Vec<((usize, usize), Field)> {
        use Field::{Begin, Content, Cpu, Discarded, End, Packet, Sequence};
        let word = self.rules.abi.word as usize;
        let release = self.rules.release;
        if release == Release::V2_0 {
            return vec![
                ((24, 8), Begin),
                ((32, 8), End),
                ((40, 4), Discarded),
                ((44, 4), Content),
                ((48, 4), Packet),
                ((52, 4), Cpu),
            ];
        }
        if release < Release::V2_8 {
            return vec![
                ((24, 8), Begin),
                ((32, 8), End),
                ((40, 8), Content),
                ((48, 8), Packet),
                ((56, word), Discarded),
                ((56 + word, 4), Cpu),
            ];
        }
        vec![
            ((24, 8), Cpu),
            ((32, 8), Begin),
            ((40, 8), End),
            ((48, 8), Content),
            ((56, 8), Packet),
            ((64, 8), Sequence),
            ((72, word), Discarded),
            ((72 + word, 4), Cpu),
        ]
    }

    /// Writes an event, if there is room for it.
    pub(crate) fn event(&mut self, bytes: &[u8], time: u64) -> bool {
        match self.reserve(bytes.len() as u64, time) {
            Some(start) => {
                self.commit(start, bytes);
                true
            }
            None => false,
        }
    }

    /// Reserves space; gives its position.
    pub(crate) fn reserve(&mut self, len: u64, time: u64) -> Option<u64> {
        let rules = self.rules.clone();
        let within = self.write % rules.sb;
        if within == 0 {
            if !self.enter(time, true) {
                return None;
            }
        } else if within + len > rules.sb {
            let next = self.write - within + rules.sb;
            if next - self.consumed >= self.size() && !rules.overwrite {
                self.lost_full += 1;
                self.last = 0;
                return None;
            }
            if self.cc_sb[self.slot(next)] != next / self.size() * rules.sb {
                self.lost_wrap += 1;
                return None;
            }
            self.switch(time, true);
            if !self.enter(time, true) {
                return None;
            }
        }
        let start = self.write;
        self.write += len;
        self.last = time;
        let offset = start % rules.sb;
        let slot = self.slot(start);
        let sub = self.subs.last_mut()?;
        sub.events.push((offset, offset + len, false));
        sub.reserved = offset + len;
        if sub.reserved == rules.sb {
            // Whoever fills a sub-buffer to its last byte ends it, too.
            self.tables[sub.table].1 = rules.sb;
            self.ends[slot] = time;
        }
        Some(start)
    }

    /// Commits what was reserved at `start`.
    pub(crate) fn commit(&mut self, start: u64, bytes: &[u8]) {
        let sb = self.rules.sb;
        let (position, offset) = (start / sb * sb, start % sb);
        let slot = self.slot(start);
        let len = bytes.len() as u64;
        self.cc[slot] += len;
        let count = self.cc[slot];
        let works = self.rules.release >= Release::V2_5;
        let contiguous = count % sb == (offset + len) % sb;
        let sub = self.subs.iter_mut().rev().find(|sub| sub.position == position).expect("a sub-buffer");
        self.tables[sub.table].0[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        let event = sub.events.iter_mut().find(|event| event.0 == offset).expect("a reservation");
        event.2 = true;
        if works && contiguous {
            self.seq[slot] = self.seq[slot].max(count);
            sub.seen = offset + len;
        }
        self.deliver(slot, position);
    }

    /// Leaves the current sub-buffer.
    pub(crate) fn switch(&mut self, time: u64, finish: bool) {
        let sb = self.rules.sb;
        let within = self.write % sb;
        if within == 0 {
            return;
        }
        let position = self.write - within;
        let slot = self.slot(position);
        let sub = self.subs.last_mut().expect("a sub-buffer");
        self.tables[sub.table].1 = within;
        sub.reserved = sb;
        self.ends[slot] = time;
        self.cc[slot] += sb - within;
        self.write = position + sb;
        if finish {
            self.deliver(slot, position);
        } else {
            sub.full = true;
            self.cc_sb[slot] += 1;
        }
    }

    /// Delivers a sub-buffer if everything in it is committed.
    fn deliver(&mut self, slot: usize, position: u64) {
        let rules = self.rules.clone();
        let full = (position / self.size() + 1) * rules.sb;
        if self.cc[slot] != full {
            return;
        }
        let end = self.ends[slot];
        let (lost, lap) = (self.lost_full + self.lost_wrap, position / self.size());
        let sub = self.subs.iter_mut().rev().find(|sub| sub.position == position).expect("a sub-buffer");
        sub.closed = true;
        let table = sub.table;
        let used = self.tables[table].1;
        let packet = used.next_multiple_of(rules.page) * 8;
        if rules.metadata {
            self.put(table, 24, 4, used * 8);
            self.put(table, 28, 4, packet);
        } else {
            for ((offset, size), field) in self.fields() {
                let value = match field {
                    Field::End => end,
                    Field::Content => used * 8,
                    Field::Packet => packet,
                    Field::Discarded => lost,
                    _ => continue,
                };
                self.put(table, offset, size, value);
            }
        }
        self.counts[slot] += 1;
        self.cc_sb[slot] = full;
        self.seq[slot] = full;
        if rules.overwrite {
            let index = self.table_of(self.wsb[slot]) as u64;
            self.wsb[slot] = self.id(index, true, lap);
        }
    }

    /// A reader takes the oldest unread packet, if one is ready.
    pub(crate) fn get(&mut self) -> bool {
        let position = self.consumed;
        let ready = self.subs.iter().any(|sub| sub.position == position && sub.closed);
        if !ready || self.held.is_some() {
            return false;
        }
        if self.rules.overwrite {
            self.exchange(position);
        }
        self.held = Some(position);
        true
    }

    /// Exchanges the reader's table with that of a slot, unless writers have it.
    fn exchange(&mut self, position: u64) {
        let slot = self.slot(position);
        let lap = position / self.size();
        let old = self.wsb[slot];
        let same_lap = old >> (self.half() + 1) == self.id(0, false, lap) >> (self.half() + 1);
        if !self.is_noref(old) || !same_lap {
            return;
        }
        let own = self.table_of(self.rsb) as u64;
        self.wsb[slot] = self.id(own, true, lap);
        self.rsb = old & !(1 << self.half());
    }

    /// The reader gives the packet back, and moves on.
    pub(crate) fn put_back(&mut self) {
        let Some(position) = self.held.take() else { return };
        let sb = self.rules.sb;
        let sub = self.subs.iter_mut().rev().find(|sub| sub.position == position).expect("a sub-buffer");
        sub.consumed = true;
        let table = sub.table;
        let (bytes, used) = &mut self.tables[table];
        self.disk.push(bytes[..used.next_multiple_of(self.rules.page) as usize].to_vec());
        if !self.rules.mapped {
            bytes[..used.next_multiple_of(self.rules.page) as usize].fill(0);
            self.owner[table] = None;
        }
        if self.rules.overwrite {
            self.rsb |= 1 << self.half();
            self.exchange(position);
            self.rsb |= 1 << self.half();
        }
        if self.consumed == position {
            self.consumed += sb;
        }
    }

    /// Packets ready and unread.
    pub(crate) fn ready(&self) -> u64 {
        let unread = |sub: &&Sub| sub.closed && !sub.consumed && sub.position >= self.consumed;
        self.subs.iter().filter(unread).count() as u64
    }

    /// Enters a sub-buffer without committing its header.
    pub(crate) fn enter_only(&mut self, time: u64) {
        self.switch(time, true);
        self.enter(time, false);
    }

    pub(crate) fn room(&self) -> u64 {
        match self.write % self.rules.sb {
            0 => 0,
            within => self.rules.sb - within,
        }
    }

    /// What can be had of it, by position.
    pub(crate) fn truth(&self) -> Vec<PacketTruth> {
        let sb = self.rules.sb;
        let end = self.write.next_multiple_of(sb);
        let oldest = end.saturating_sub(self.size());
        let mut packets = Vec::new();
        for sub in &self.subs {
            let held = self.held == Some(sub.position);
            let intact = self.owner[sub.table] == Some(sub.position);
            // What a reader took survives being lapped.
            let there = sub.position >= oldest || held && self.rules.overwrite;
            let read = sub.position < self.consumed && !held;
            if !intact || !there || read && !sub.closed {
                continue;
            }
            let newest = sub.position + sb == end;
            let state = match sub {
                _ if read => State::Consumed,
                sub if sub.closed || sub.full => State::Ready,
                _ if newest => State::Open,
                _ => State::Stalled,
            };
            let (bytes, used) = &self.tables[sub.table];
            let mut valid = if sub.header { self.header_len() } else { 0 };
            let mut events = 0;
            for (start, end, committed) in &sub.events {
                if !committed || *start != valid {
                    break;
                }
                valid = *end;
                events += 1;
            }
            let (decodable, decodable_events) = (bytes[..valid as usize].to_vec(), events);
            // Left behind by a tracer whose counter says less than is true.
            if state == State::Stalled && sub.seen < valid {
                valid = sub.seen;
                events = sub.events.iter().filter(|event| event.1 <= valid).count() as u64;
            }
            // A gap at the very end hides what was committed behind the counter's last word.
            if state == State::Open && sub.events.iter().any(|event| !event.2) && sub.seen < valid {
                valid = sub.seen;
                events = sub.events.iter().filter(|event| event.1 <= valid).count() as u64;
            }
            if sub.closed || sub.full {
                assert_eq!(valid, *used, "everything is committed");
            }
            packets.push(PacketTruth {
                position: sub.position & self.rules.abi.word_mask(),
                sequence: sub.sequence,
                state,
                closed: sub.closed,
                held,
                reserved: sub.reserved,
                valid: bytes[..valid as usize].to_vec(),
                events,
                decodable,
                decodable_events,
            });
        }
        packets
    }
}

/// Meaning of a header field.
#[derive(Debug, Clone, Copy)]
enum Field {
    Begin,
    End,
    Content,
    Packet,
    Sequence,
    Discarded,
    Cpu,
}

/// One event: compact header, number, data of varying length. See the metadata.
pub(crate) fn record(abi: Abi, time: u64, value: u32, data: &[u8]) -> Vec<u8> {
    let time = time & 0x7ff_ffff;
    let word = if abi.endian == Endian::Little { time << 5 } else { time };
    let mut bytes = abi.bytes(word, 4);
    bytes.extend(abi.bytes(u64::from(value), 4));
    bytes.extend(abi.bytes(data.len() as u64, 2));
    bytes.extend_from_slice(data);
    bytes
}
