//! How far a buffer is written, what the daemon does meanwhile, and where the crash stops the writer.

use crate::format::{DATA_BITS, Form};
use crate::marker::{Kind, Marker, Value};
use crate::ring::{Pending, Ring};
use crate::rng::Rng;

/// How much is written before the crash.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// Nothing: every buffer holds just its first header.
    Empty,
    /// About one and a half sub-buffers of the first pass.
    Partial,
    /// The last event ends exactly on a sub-buffer boundary in the first pass.
    Boundary,
    /// Discard mode: full, and some events lost. Overwrite mode: the first pass just complete.
    Full,
    /// More than two passes.
    Wrapped,
    /// This many sub-buffers.
    SubBuffers(f64),
}

/// What the daemon does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// It was never started.
    Absent,
    /// It reads as soon as more than this many complete sub-buffers wait.
    Keeps(u64),
    /// Like `Keeps(1)`, and the crash comes between its get and put.
    Inside,
    /// Like `Keeps(1)`, and the crash comes within its put: given back, not yet counted as consumed.
    Interrupted,
    /// It takes one sub-buffer, and (overwrite mode) the writer goes a whole pass beyond it before the crash.
    Overtaken,
}

/// Where the crash stops the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// Between events.
    Quiet,
    /// The last slot is reserved; its bytes are stored or not.
    LastSlot {
        /// Bytes stored.
        written: bool,
    },
    /// A slot is reserved and unwritten; this many later events are complete.
    Gap {
        /// Events committed behind it.
        after: u32,
        /// Its bytes are stored.
        written: bool,
    },
    /// A new sub-buffer is reserved; the old one's header is ended, the new one's not begun.
    HeaderNotBegun,
    /// A new sub-buffer is reserved; the old one's header is not even ended.
    HeaderNotEnded,
    /// Like `HeaderNotBegun`, and the old sub-buffer's second commit counter has not moved yet.
    BetweenCounters,
    /// An event that fills the sub-buffer to its last byte is reserved and not committed; the write position rests on the
    /// boundary.
    Filled {
        /// The header is ended already.
        ended: bool,
        /// The event's bytes are stored.
        written: bool,
    },
    /// A slot stays pending while the writer goes on for this many sub-buffers.
    Stalled(u64),
}

impl Crash {
    /// Is an event in progress, so that the CPU's nesting counter is 1?
    pub(crate) fn nests(self) -> bool {
        self != Crash::Quiet
    }
}

/// Endless events of one channel on one CPU.
pub(crate) struct Source<'a> {
    pub(crate) rng: Rng,
    pub(crate) tsc: u64,
    pub(crate) markers: &'a [Marker],
    /// The old eras use the long form without need now and then.
    pub(crate) odd_forms: bool,
    /// What they tell was told before.
    pub(crate) lifelike: bool,
    /// Times differ by multiples of this.
    pub(crate) grain: u64,
}

impl Source<'_> {
    fn advance(&mut self) {
        let mut step = 50 + self.rng.below(5000);
        if self.rng.one_in(150) {
            step += (1 << 27) + self.rng.below(1 << 28);
        }
        self.tsc += step.next_multiple_of(self.grain);
    }

    fn next(&mut self) -> (usize, Vec<Value>, Form) {
        self.advance();
        let index = self.rng.below(self.markers.len() as u64) as usize;
        let values = self.values(index);
        let form = match self.rng.below(64) {
            0 => Form::FullTime,
            1..4 if self.odd_forms => Form::LongId,
            _ => Form::Short,
        };
        (index, values, form)
    }

    fn values(&mut self, index: usize) -> Vec<Value> {
        let kinds: Vec<Kind> = self.markers[index].fields.iter().map(|(_, kind)| *kind).collect();
        if self.lifelike {
            // Processes, files and addresses are few, and go together.
            let mut known = Rng::new(self.rng.below(10));
            return kinds.into_iter().map(|kind| value(kind, &mut known)).collect();
        }
        kinds.into_iter().map(|kind| value(kind, &mut self.rng)).collect()
    }
}

fn value(kind: Kind, rng: &mut Rng) -> Value {
    match kind {
        Kind::Text => {
            let len = rng.below(20);
            Value::Text((0..len).map(|_| b'a' + rng.below(26) as u8).collect())
        }
        Kind::Int(size) => Value::Int(rng.next() >> (64 - 8 * u32::from(size))),
        // A word must fit a 32-bit machine's too.
        Kind::Word => Value::Int(rng.next() >> 33),
        Kind::Data => Value::Int(rng.below(1 << DATA_BITS)),
    }
}

/// A buffer's story up to the crash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) fill: Fill,
    pub(crate) reader: Reader,
    pub(crate) crash: Crash,
    /// Events between two ticks of the switch timer.
    pub(crate) switch_every: Option<u64>,
}

impl Scenario {
    /// Write position at which the buffer is as full as wanted.
    pub(crate) fn target(&self, ring: &Ring) -> u64 {
        let sb = ring.rules.sb as f64;
        let n = ring.rules.n as f64;
        let sub_buffers = match self.fill {
            Fill::Empty => 0.0,
            Fill::Partial => 1.4,
            Fill::Boundary => 0.9,
            Fill::Full => n - 0.1,
            Fill::Wrapped => 2.6 * n + 0.5,
            Fill::SubBuffers(count) => count,
        };
        ring.start + (sub_buffers * sb) as u64
    }

    pub(crate) fn play(&self, ring: &mut Ring, source: &mut Source<'_>) {
        let target = self.target(ring);
        for number in 1.. {
            if ring.w >= target {
                break;
            }
            if self.switch_every.is_some_and(|every| number % every == 0) {
                source.advance();
                ring.tick(source.tsc);
            }
            if ring.rules.format.heartbeat && number % 40 == 0 {
                source.advance();
                ring.heartbeat(source.tsc);
            }
            if !self.step(ring, source) {
                break;
            }
            self.read(ring);
        }
        match self.fill {
            Fill::Full if !ring.rules.overwrite => while self.step(ring, source) {},
            Fill::Boundary => {
                let pending = self.fill_exactly(ring, source);
                ring.switch(&pending);
                ring.write(&pending);
                ring.finish(&pending);
            }
            _ => {}
        }
        self.stop(ring, source);
        self.stop_reading(ring);
    }

    /// What the daemon does after an event.
    pub(crate) fn read(&self, ring: &mut Ring) {
        let keep = match self.reader {
            Reader::Absent => return,
            Reader::Overtaken => {
                // One early sub-buffer, so that the writer has room to overtake.
                ring.get();
                return;
            }
            Reader::Keeps(keep) => keep,
            Reader::Inside | Reader::Interrupted => 1,
        };
        while ring.unread() > keep && ring.get() {
            ring.put(true);
        }
    }

    /// What the crash finds the daemon doing.
    pub(crate) fn stop_reading(&self, ring: &mut Ring) {
        match self.reader {
            Reader::Inside => {
                ring.get();
            }
            Reader::Interrupted => {
                ring.get();
                ring.put(false);
            }
            _ => {}
        }
    }

    fn step(&self, ring: &mut Ring, source: &mut Source<'_>) -> bool {
        let (index, values, form) = source.next();
        ring.record(&source.markers[index], &values, source.tsc, form)
    }

    /// Reserves the next event that stays in the sub-buffer, or that enters a new one.
    fn reserve(&self, ring: &mut Ring, source: &mut Source<'_>, entering: bool) -> Pending {
        // The head must have begun before "stays inside" can be asked for.
        loop {
            let (index, values, form) = source.next();
            let marker = &source.markers[index];
            let plain = form == Form::Short && !ring.needs_heartbeat(source.tsc);
            if plain && ring.would_enter(marker, &values, source.tsc) == entering {
                return match ring.reserve(marker, &values, source.tsc, form) {
                    Some(pending) => pending,
                    None => panic!("the crash needs room in the buffer: read more or fill less"),
                };
            }
            assert!(ring.record(marker, &values, source.tsc, form), "the buffer is full before the crash");
        }
    }

    /// Reserves an event that ends exactly on the sub-buffer's boundary.
    fn fill_exactly(&self, ring: &mut Ring, source: &mut Source<'_>) -> Pending {
        let Some(index) = source.markers.iter().position(|m| m.name == "mark") else {
            panic!("no text-only marker")
        };
        loop {
            source.advance();
            let marker = &source.markers[index];
            let (room, empty) = ring.room(marker, &[Value::Text(Vec::new())], source.tsc);
            if room >= empty && room - empty < 300 && !ring.needs_heartbeat(source.tsc) {
                let text = Value::Text(vec![b'x'; (room - empty) as usize]);
                match ring.reserve(marker, &[text], source.tsc, Form::Short) {
                    Some(pending) => return pending,
                    None => panic!("no room for the filling event"),
                }
            }
            assert!(self.step(ring, source), "the buffer is full before its boundary");
        }
    }

    fn stop(&self, ring: &mut Ring, source: &mut Source<'_>) {
        match self.crash {
            Crash::Quiet => {}
            Crash::LastSlot { written } => {
                let pending = self.reserve(ring, source, false);
                if written {
                    ring.write(&pending);
                }
            }
            Crash::Gap { after, written } => {
                let pending = self.reserve(ring, source, false);
                if written {
                    ring.write(&pending);
                }
                for _ in 0..after {
                    let later = self.reserve(ring, source, false);
                    ring.write(&later);
                    ring.finish(&later);
                }
            }
            Crash::HeaderNotBegun => {
                let pending = self.reserve(ring, source, true);
                if let Some((seq, used)) = pending.leave {
                    ring.leave(seq, used, source.tsc, true);
                }
            }
            Crash::HeaderNotEnded => {
                self.reserve(ring, source, true);
            }
            Crash::BetweenCounters => {
                let pending = self.reserve(ring, source, true);
                if let Some((seq, used)) = pending.leave {
                    ring.leave(seq, used, source.tsc, false);
                }
            }
            Crash::Filled { ended, written } => {
                let pending = self.fill_exactly(ring, source);
                if ended {
                    ring.switch(&pending);
                }
                if written {
                    ring.write(&pending);
                }
            }
            Crash::Stalled(sub_buffers) => {
                let pending = self.reserve(ring, source, false);
                let target = ring.w + sub_buffers * ring.rules.sb;
                drop(pending);
                while ring.w < target {
                    if !self.step(ring, source) {
                        break;
                    }
                }
            }
        }
    }
}
