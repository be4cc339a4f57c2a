//! A faithful little simulation of the tracer's per-CPU ring buffer: reserve, commit, switch, and the daemon's get and put.
//!
//! It knows what it planted, so the truth about a buffer comes from its bookkeeping and never from looking at the bytes.
//! Positions are kept unwrapped in 64 bits; they become machine words only when placed in the kernel's memory.

use std::collections::BTreeMap;

use crate::format::{Clock, Encoded, Form, Format, HEARTBEAT, HEARTBEAT_FULL};
use crate::marker::{Marker, Value};
use crate::truth::{DiskRecord, PlantedEvent, State, SubBufferTruth};

/// What differs between the eras' rings.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) format: Format,
    pub(crate) clock: Clock,
    pub(crate) sb: u64,
    pub(crate) n: u64,
    pub(crate) overwrite: bool,
    /// `trace.mode`, as formats up to 2.0 repeat it in the header.
    pub(crate) mode: u64,
    /// Commit counters carry the pass number.
    pub(crate) pass_number: bool,
    /// They are compared under a mask.
    pub(crate) masked: bool,
    /// A writer refuses to enter a sub-buffer whose last pass never completed, instead of correcting its counter.
    pub(crate) refuses_corrupt: bool,
    /// The reader swaps its own sub-buffer against the one it reads.
    pub(crate) exchange: bool,
    /// `active_readers` counts gets and puts, not opens.
    pub(crate) counts_gets: bool,
    /// Remember only the last event of each sub-buffer.
    pub(crate) lean: bool,
}

/// One run of pages and what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) bytes: Vec<u8>,
    /// Sequence number of the sub-buffer whose content this is.
    pub(crate) content: Option<u64>,
    pub(crate) noref: bool,
}

#[derive(Debug, Clone)]
struct Slot {
    event: PlantedEvent,
    committed: bool,
}

#[derive(Debug, Clone, Default)]
struct Content {
    begun: bool,
    begin_tsc: u64,
    ended: bool,
    slots: Vec<Slot>,
}

/// A reservation and the steps that are still to be done for it.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    /// Sub-buffer left behind and bytes used in it.
    pub(crate) leave: Option<(u64, u64)>,
    /// Sub-buffer entered.
    pub(crate) enter: Option<u64>,
    seq: u64,
    slot: usize,
    offset: u64,
    record: Encoded,
    tsc: u64,
}

/// One buffer of one CPU.
#[derive(Debug, Clone)]
pub(crate) struct Ring {
    pub(crate) rules: Rules,
    pub(crate) tables: Vec<Table>,
    /// Writer's table of each index.
    pub(crate) wsb: Vec<usize>,
    /// Reader's table.
    pub(crate) rsb: Option<usize>,
    pub(crate) w: u64,
    pub(crate) c: u64,
    pub(crate) cc: Vec<u64>,
    pub(crate) cc_sb: Vec<u64>,
    pub(crate) commit_seq: Vec<u64>,
    /// Full time of the last reservation.
    pub(crate) last_tsc: u64,
    pub(crate) lost: u64,
    pub(crate) corrupted: u64,
    pub(crate) active_readers: u64,
    pub(crate) finalized: bool,
    /// Records that the daemon has written.
    pub(crate) disk: Vec<DiskRecord>,
    /// Where its positions started.
    pub(crate) start: u64,
    /// Sub-buffer between get and put.
    pub(crate) held: Option<u64>,
    contents: BTreeMap<u64, Content>,
}

impl Ring {
    /// A new buffer whose positions start at `start`, a multiple of its size.
    pub(crate) fn new(rules: Rules, start: u64) -> Ring {
        let Rules { sb, n, .. } = rules;
        assert!(start.is_multiple_of(sb * n), "positions start at a multiple of the buffer's size");
        let table = Table { bytes: vec![0; sb as usize], content: None, noref: true };
        let count = n as usize;
        let base = start / n;
        let mut ring = Ring {
            tables: vec![table; count + usize::from(rules.exchange)],
            wsb: (0..count).collect(),
            rsb: rules.exchange.then_some(count),
            w: start + rules.format.header_len(),
            c: start,
            cc: vec![base; count],
            cc_sb: vec![base; count],
            commit_seq: vec![0; count],
            last_tsc: rules.clock.start_tsc,
            lost: 0,
            corrupted: 0,
            active_readers: 0,
            finalized: false,
            disk: Vec::new(),
            start,
            held: None,
            contents: BTreeMap::new(),
            rules,
        };
        ring.enter(start / sb, ring.rules.clock.start_tsc);
        ring
    }

    fn size(&self) -> u64 {
        self.rules.sb * self.rules.n
    }

    fn index(&self, seq: u64) -> usize {
        (seq % self.rules.n) as usize
    }

    /// Commit count of a sub-buffer before anything of its pass is committed, as the writer computes it from a word.
    fn base(&self, seq: u64) -> u64 {
        if !self.rules.pass_number {
            return 0;
        }
        let position = (seq * self.rules.sb) & self.rules.format.abi.word_mask();
        (position & !(self.size() - 1)) >> self.rules.n.trailing_zeros()
    }

    /// Bits of the commit counters that are compared.
    pub(crate) fn mask(&self) -> u64 {
        let word = self.rules.format.abi.word_mask();
        match (self.rules.pass_number, self.rules.masked) {
            (false, _) => self.rules.sb - 1,
            (true, false) => word,
            (true, true) => word >> self.rules.n.trailing_zeros(),
        }
    }

    fn committed(&self, seq: u64) -> u64 {
        self.cc[self.index(seq)].wrapping_sub(self.base(seq)) & self.mask()
    }

    /// What a full pass adds, seen through the mask.
    fn full(&self) -> u64 {
        self.rules.sb & self.mask()
    }

    /// Is the sub-buffer delivered?
    fn delivered(&self, seq: u64) -> bool {
        let newest = (self.w - 1) / self.rules.sb;
        // Without a pass number there is one counter only, and 0 says nothing about the sub-buffer being written.
        let counters = if self.rules.pass_number { &self.cc_sb } else { &self.cc };
        let counter = counters[self.index(seq)].wrapping_sub(self.base(seq)) & self.mask();
        counter == self.full()
            && (self.rules.pass_number || seq < newest || self.w.is_multiple_of(self.rules.sb))
    }

    fn commit(&mut self, seq: u64, len: u64, deliver: bool) {
        let index = self.index(seq);
        self.cc[index] = self.cc[index].wrapping_add(len);
        let done = self.committed(seq) == self.full() && len > 0;
        if done && deliver {
            self.cc_sb[index] = self.base(seq).wrapping_add(self.rules.sb);
            self.tables[self.wsb[index]].noref = true;
        }
    }

    /// Would this event enter a new sub-buffer?
    pub(crate) fn would_enter(&self, marker: &Marker, values: &[Value], tsc: u64) -> bool {
        self.plan(marker, values, tsc, self.form(marker, tsc, Form::Short)).1.is_some()
    }

    /// Bytes left in the sub-buffer being written, and what a record of this event would take of them.
    pub(crate) fn room(&self, marker: &Marker, values: &[Value], tsc: u64) -> (u64, u64) {
        let within = self.w % self.rules.sb;
        let form = self.form(marker, tsc, Form::Short);
        let record = self.rules.format.event(within, tsc, marker, &marker.payload(values.to_vec()), form);
        (self.rules.sb - within, record.len)
    }

    /// One attempt: sub-buffer to leave and bytes used in it, sub-buffer to enter, record.
    fn plan(
        &self,
        marker: &Marker,
        values: &[Value],
        tsc: u64,
        form: Form,
    ) -> (Option<(u64, u64)>, Option<u64>, Encoded) {
        let format = &self.rules.format;
        let sb = self.rules.sb;
        let payload = marker.payload(values.to_vec());
        let within = self.w % sb;
        let seq = self.w / sb;
        if within == 0 {
            return (None, Some(seq), format.event(format.header_len(), tsc, marker, &payload, form));
        }
        let record = format.event(within, tsc, marker, &payload, form);
        if within + record.len <= sb {
            return (None, None, record);
        }
        (Some((seq, within)), Some(seq + 1), format.event(format.header_len(), tsc, marker, &payload, form))
    }

    /// Does the time since the last record need the full-time form?
    fn needs_full_time(&self, tsc: u64) -> bool {
        if self.rules.format.abi.word == 4 {
            tsc >> 27 != self.last_tsc >> 27
        } else {
            tsc.wrapping_sub(self.last_tsc) >> 27 != 0
        }
    }

    /// The form that an event really gets.
    fn form(&self, marker: &Marker, tsc: u64, wanted: Form) -> Form {
        match wanted {
            _ if self.needs_full_time(tsc) => Form::FullTime,
            Form::Short if marker.id >= 29 => Form::LongId,
            wanted => wanted,
        }
    }

    /// Reserves room for one event; `None` = the event is lost and counted.
    pub(crate) fn reserve(
        &mut self,
        marker: &Marker,
        values: &[Value],
        tsc: u64,
        form: Form,
    ) -> Option<Pending> {
        let form = self.form(marker, tsc, form);
        let Rules { sb, overwrite, refuses_corrupt, .. } = self.rules;
        let (leave, enter, record) = self.plan(marker, values, tsc, form);
        let mut offset = self.w;
        if let Some(seq) = enter {
            offset = seq * sb + self.rules.format.header_len();
            if !overwrite && seq * sb - self.c / sb * sb >= self.size() {
                self.lost += 1;
                return None;
            }
            let mask = self.mask();
            if refuses_corrupt && self.cc[self.index(seq)].wrapping_sub(self.base(seq)) & mask != 0 {
                self.lost += 1;
                return None;
            }
        }
        assert!(offset % sb + record.len <= sb, "event larger than a sub-buffer");
        self.w = offset + record.len;
        self.last_tsc = tsc;
        let newest = (self.w - 1) / sb;
        let pushed = overwrite && newest * sb - self.c / sb * sb >= self.size();
        if pushed {
            self.c = (self.c / sb + 1) * sb;
        }
        if let Some(seq) = enter
            && !refuses_corrupt
        {
            self.correct(seq, pushed);
        }
        let event = PlantedEvent {
            tsc,
            id: marker.id,
            name: marker.name.clone(),
            fields: marker.field_names().map(str::to_owned).zip(values.iter().cloned()).collect(),
            payload: record.pieces.last().map(|(_, bytes)| bytes.clone()).unwrap_or_default(),
            start: offset % sb,
            end: offset % sb + record.len,
            written: false,
            committed: false,
        };
        let seq = offset / sb;
        let slots = &mut self.contents.entry(seq).or_default().slots;
        if self.rules.lean && slots.iter().all(|s| s.committed) {
            slots.clear();
        }
        slots.push(Slot { event, committed: false });
        let slot = slots.len() - 1;
        Some(Pending { leave, enter, seq, slot, offset: offset % sb, record, tsc })
    }

    /// The old eras' repair of a counter whose last pass never completed.
    fn correct(&mut self, seq: u64, pushed: bool) {
        let index = self.index(seq);
        let difference = if self.rules.pass_number {
            self.base(seq).wrapping_sub(self.cc[index]) & self.mask()
        } else {
            self.rules.sb.wrapping_sub(self.cc[index]) & (self.rules.sb - 1)
        };
        if difference != 0 && pushed {
            self.cc[index] = self.cc[index].wrapping_add(difference);
            if !(self.rules.overwrite && difference == self.rules.sb) {
                self.corrupted += 1;
            }
        }
    }

    /// Ends the header of the sub-buffer left behind. `deliver` = false stops between the two counters.
    pub(crate) fn leave(&mut self, seq: u64, used: u64, tsc: u64, deliver: bool) {
        let table = self.wsb[self.index(seq)];
        let (lost, corrupted) = (self.lost, self.corrupted);
        self.rules.format.end(&mut self.tables[table].bytes, used, tsc, lost, corrupted);
        self.contents.entry(seq).or_default().ended = true;
        self.commit(seq, self.rules.sb - used, deliver);
    }

    /// Begins the header of the sub-buffer entered.
    pub(crate) fn enter(&mut self, seq: u64, tsc: u64) {
        let table = &mut self.tables[self.wsb[(seq % self.rules.n) as usize]];
        table.noref = false;
        table.content = Some(seq);
        self.rules.format.begin(&mut table.bytes, &self.rules.clock, tsc, self.rules.mode);
        let content = self.contents.entry(seq).or_default();
        content.begun = true;
        content.begin_tsc = tsc;
        self.commit(seq, self.rules.format.header_len(), true);
    }

    /// Header work of a reservation, all of it before the event is written: leave the old sub-buffer, enter the new one,
    /// and end that one too when the event fills it to its last byte.
    pub(crate) fn switch(&mut self, pending: &Pending) {
        if let Some((seq, used)) = pending.leave {
            self.leave(seq, used, pending.tsc, true);
        }
        if let Some(seq) = pending.enter {
            self.enter(seq, pending.tsc);
        }
        if (pending.offset + pending.record.len).is_multiple_of(self.rules.sb) {
            self.leave(pending.seq, self.rules.sb, pending.tsc, true);
        }
    }

    /// Stores the record's bytes.
    pub(crate) fn write(&mut self, pending: &Pending) {
        let table = &mut self.tables[self.wsb[(pending.seq % self.rules.n) as usize]];
        for (off, bytes) in &pending.record.pieces {
            let at = (pending.offset + off) as usize;
            table.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        }
        if let Some(content) = self.contents.get_mut(&pending.seq) {
            content.slots[pending.slot].event.written = true;
        }
    }

    /// Commits the slot.
    pub(crate) fn finish(&mut self, pending: &Pending) {
        self.commit(pending.seq, pending.record.len, false);
        let index = self.index(pending.seq);
        let end = pending.record.after_header + pending.record.payload_len;
        if (end ^ self.cc[index]) & (self.rules.sb - 1) == 0 {
            self.commit_seq[index] = self.cc[index];
        }
        if let Some(content) = self.contents.get_mut(&pending.seq) {
            content.slots[pending.slot].committed = true;
            content.slots[pending.slot].event.committed = true;
        }
        if self.committed(pending.seq) == self.full() && self.contents[&pending.seq].ended {
            self.cc_sb[index] = self.base(pending.seq).wrapping_add(self.rules.sb);
            self.tables[self.wsb[index]].noref = true;
        }
    }

    /// Is so much time gone that the low bits alone would tell a wrong one?
    pub(crate) fn needs_heartbeat(&self, tsc: u64) -> bool {
        self.rules.format.heartbeat_every().is_some_and(|every| tsc - self.last_tsc >= every)
    }

    /// What the timer of 1.0 writes: nothing but the time, all of it where its low bits do not do.
    pub(crate) fn heartbeat(&mut self, tsc: u64) {
        if self.needs_heartbeat(tsc) {
            let full = Marker::new("heartbeat_full", HEARTBEAT_FULL, "tsc %llu");
            self.steps(&full, &[Value::Int(tsc)], tsc, Form::Short);
        } else if self.rules.format.heartbeat {
            self.steps(&Marker::new("heartbeat", HEARTBEAT, ""), &[], tsc, Form::Short);
        }
    }

    /// All steps of one event, and of the heartbeat that it needs. False = lost.
    pub(crate) fn record(&mut self, marker: &Marker, values: &[Value], tsc: u64, form: Form) -> bool {
        if self.needs_heartbeat(tsc) {
            self.heartbeat(tsc);
        }
        self.steps(marker, values, tsc, form)
    }

    fn steps(&mut self, marker: &Marker, values: &[Value], tsc: u64, form: Form) -> bool {
        let Some(pending) = self.reserve(marker, values, tsc, form) else { return false };
        self.switch(&pending);
        self.write(&pending);
        self.finish(&pending);
        true
    }

    /// The switch timer: ends the sub-buffer being written, unless nothing is in it but its header, and begins the next one.
    /// Nothing happens when that one is not free.
    pub(crate) fn tick(&mut self, tsc: u64) {
        let Rules { sb, overwrite, refuses_corrupt, .. } = self.rules;
        let (seq, within) = (self.w / sb, self.w % sb);
        let next = seq + 1;
        let full = !overwrite && next * sb - self.c / sb * sb >= self.size();
        let stuck =
            refuses_corrupt && self.cc[self.index(next)].wrapping_sub(self.base(next)) & self.mask() != 0;
        if within <= self.rules.format.header_len() || full || stuck {
            return;
        }
        self.w = next * sb + self.rules.format.header_len();
        self.last_tsc = tsc;
        let pushed = overwrite && next * sb - self.c / sb * sb >= self.size();
        if pushed {
            self.c = (self.c / sb + 1) * sb;
        }
        if !refuses_corrupt {
            self.correct(next, pushed);
        }
        self.leave(seq, within, tsc, true);
        self.enter(next, tsc);
    }

    /// The flush of a trace being destroyed.
    pub(crate) fn finalize(&mut self, tsc: u64) {
        let within = self.w % self.rules.sb;
        if within != 0 {
            let seq = self.w / self.rules.sb;
            self.w = (seq + 1) * self.rules.sb;
            self.leave(seq, within, tsc, true);
        }
        self.finalized = true;
    }

    /// The daemon takes the oldest delivered sub-buffer. False = there is none.
    pub(crate) fn get(&mut self) -> bool {
        let seq = self.c / self.rules.sb;
        if self.held.is_some() || self.w / self.rules.sb == seq || !self.delivered(seq) {
            return false;
        }
        let index = self.index(seq);
        if let Some(rsb) = self.rsb {
            if !self.tables[self.wsb[index]].noref {
                return false;
            }
            self.rsb = Some(self.wsb[index]);
            self.tables[self.wsb[index]].noref = false;
            self.wsb[index] = rsb;
        }
        self.active_readers += u64::from(self.rules.counts_gets);
        self.held = Some(seq);
        true
    }

    /// The daemon writes what it holds and gives it back. `advance` = false stops before the consumed position moves.
    pub(crate) fn put(&mut self, advance: bool) {
        let Some(seq) = self.held.take() else { return };
        let table = self.rsb.unwrap_or(self.wsb[self.index(seq)]);
        let record = &self.tables[table].bytes;
        let content = &self.contents[&seq];
        self.disk.push(DiskRecord {
            sequence: seq,
            begin_tsc: content.begin_tsc,
            used: content.slots.last().map_or(self.rules.format.header_len(), |s| s.event.end),
            bytes: record[..self.rules.format.record_len(record)].to_vec(),
            events: content.slots.iter().map(|s| s.event.clone()).collect(),
        });
        self.tables[table].noref = true;
        if advance {
            self.active_readers -= u64::from(self.rules.counts_gets);
            if self.c / self.rules.sb == seq {
                self.c = (seq + 1) * self.rules.sb;
            }
        }
    }

    /// Complete sub-buffers that wait for the daemon.
    pub(crate) fn unread(&self) -> u64 {
        (self.w / self.rules.sb).saturating_sub(self.c / self.rules.sb)
    }

    /// Position as the machine word that the kernel's memory shows.
    fn word(&self, position: u64) -> u64 {
        position & self.rules.format.abi.word_mask()
    }

    /// What extraction must find, oldest first.
    pub(crate) fn truth(&self) -> Vec<SubBufferTruth> {
        let sb = self.rules.sb;
        let newest = (self.w - 1) / sb;
        let oldest = (newest + 1).saturating_sub(self.rules.n);
        let mut out = Vec::new();
        for (number, table) in self.tables.iter().enumerate() {
            let Some(seq) = table.content else { continue };
            let index = self.wsb.iter().position(|t| *t == number);
            let in_window = (oldest..=newest).contains(&seq);
            // A writer's slot whose counters speak of a sub-buffer not yet begun hides what it still holds.
            let begun = self.contents.get(&newest).is_some_and(|c| c.begun);
            let hidden = index == Some(self.index(newest)) && !begun;
            if hidden || (index.is_some() && !self.rules.exchange && !in_window) {
                continue;
            }
            out.push(self.sub_buffer(seq, table, index.is_none()));
        }
        if !self.contents.get(&newest).is_some_and(|c| c.begun) {
            let table = &self.tables[self.wsb[self.index(newest)]];
            out.push(self.sub_buffer(newest, table, false));
        }
        out.sort_by_key(|s| s.sequence);
        out
    }

    fn sub_buffer(&self, seq: u64, table: &Table, in_reader_table: bool) -> SubBufferTruth {
        let sb = self.rules.sb;
        let format = &self.rules.format;
        let empty = Content::default();
        let content = self.contents.get(&seq).unwrap_or(&empty);
        let newest = (self.w - 1) / sb;
        let complete = content.ended && content.slots.iter().all(|s| s.committed);
        let state = match () {
            () if complete && seq < self.c / sb && self.held != Some(seq) => State::Consumed,
            () if complete => State::Ready,
            () if seq == newest => State::Open,
            () => State::Stalled,
        };
        let vouched = content.slots.iter().take_while(|s| s.committed).count();
        // When every reserved slot was stored, all that fits into the committed bytes is good, whichever slot is missing.
        let committed = self.committed(seq);
        let all_written = content.slots.iter().all(|s| s.event.written);
        let within = content.slots.iter().take_while(|s| s.event.end <= committed).count();
        let good = if all_written && !complete { within } else { vouched };
        let header = format.header_len();
        let valid = match content.slots[..good].last() {
            _ if !content.begun => 0,
            Some(slot) => slot.event.end,
            None => header,
        };
        let reserved = if seq == newest && !self.w.is_multiple_of(sb) {
            self.w % sb
        } else {
            content.slots.last().map_or(header, |s| s.event.end)
        };
        let events: Vec<PlantedEvent> = content.slots.iter().map(|s| s.event.clone()).collect();
        let mut record = table.bytes.clone();
        if complete {
            record.truncate(format.record_len(&record));
        } else if content.begun {
            let last = content.slots[..good].last().map_or(content.begin_tsc, |s| s.event.tsc);
            format.end(&mut record, valid, last, self.lost, self.corrupted);
            record[valid as usize..].fill(0);
            record.truncate(format.record_len(&record));
        } else {
            record.clear();
        }
        SubBufferTruth {
            sequence: seq,
            position: self.word(seq * sb),
            state,
            begin_tsc: content.begin_tsc,
            valid,
            reserved,
            committed: if complete { sb } else { committed },
            doubtful: content.slots[vouched..].iter().any(|s| s.committed),
            in_reader_table,
            events: events[..good].to_vec(),
            rest: events[good..].to_vec(),
            record,
        }
    }
}
