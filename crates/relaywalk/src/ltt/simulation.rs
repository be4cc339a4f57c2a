//! A simulated writer and reader of one ring, by the tracer's rules, which can be stopped between any two of their steps.
//! Written from the rules, not from the walker: what it says about every sub-buffer is what a walk must find.

pub(crate) const HEADER: u64 = 68;

/// Content of one sub-buffer's pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    /// Time of its header; 0 = none was ever written.
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) ended: bool,
    /// Position that the header was written for.
    pub(crate) position: u64,
}

/// What a step may be asked to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Event(u64),
    Get,
    Put,
}

/// Rules that differ between tracers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) word_mask: u64,
    pub(crate) size: u64,
    pub(crate) count: u64,
    pub(crate) overwrite: bool,
    /// Readers exchange pages with the ring.
    pub(crate) exchange: bool,
    /// Counters carry the pass number.
    pub(crate) passes: bool,
    /// Counters are compared under a mask; otherwise a writer that meets a wrong one puts it right.
    pub(crate) masked: bool,
    /// Positions start here instead of at 0, a whole number of passes; the ring is then full of what has been read.
    pub(crate) start: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    pub(crate) rules: Rules,
    pub(crate) write: u64,
    pub(crate) consumed: u64,
    pub(crate) committed: Vec<u64>,
    pub(crate) delivered: Vec<u64>,
    /// Content of the ring's slots, then of the reader's own sub-buffer.
    pub(crate) contents: Vec<Content>,
    /// A reader is between get and put.
    pub(crate) held: Option<u64>,
    pub(crate) lost: u64,
    clock: u64,
    steps_left: usize,
}

/// The machine stopped.
pub(crate) struct Crash;

impl Simulation {
    /// A fresh ring that will stop after `steps` steps.
    pub(crate) fn new(rules: Rules, steps: usize) -> Simulation {
        let count = usize::try_from(rules.count).unwrap();
        let mut sim = Simulation {
            rules,
            write: rules.start,
            consumed: rules.start,
            committed: vec![0; count],
            delivered: vec![0; count],
            contents: vec![Content::default(); count + 1],
            held: None,
            lost: 0,
            clock: 1000,
            steps_left: usize::MAX,
        };
        for i in 0..count {
            sim.committed[i] = sim.base(rules.start);
            sim.delivered[i] = sim.base(rules.start);
            if rules.start != 0 {
                sim.clock += 2;
                let position = sim.sub(rules.start, (rules.count - i as u64) * rules.size);
                sim.contents[i] = Content { begin: sim.clock - 1, end: sim.clock, ended: true, position };
            }
        }
        sim.write = sim.add(sim.write, HEADER);
        let _ = sim.begin(rules.start);
        sim.steps_left = steps;
        sim
    }

    pub(crate) fn run(&mut self, actions: &[Action]) {
        for action in actions {
            let outcome = match *action {
                Action::Event(len) => self.event(len),
                Action::Get => self.get(),
                Action::Put => self.put(),
            };
            if outcome.is_err() {
                return;
            }
        }
    }

    fn step(&mut self) -> Result<(), Crash> {
        self.clock += 1;
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Crash)?;
        Ok(())
    }

    fn add(&self, a: u64, b: u64) -> u64 {
        a.wrapping_add(b) & self.rules.word_mask
    }

    fn sub(&self, a: u64, b: u64) -> u64 {
        a.wrapping_sub(b) & self.rules.word_mask
    }

    fn boundary(&self, p: u64) -> u64 {
        p - p % self.rules.size
    }

    pub(crate) fn slot(&self, p: u64) -> usize {
        usize::try_from(p / self.rules.size % self.rules.count).unwrap()
    }

    fn base(&self, p: u64) -> u64 {
        p / (self.rules.size * self.rules.count) * self.rules.size
    }

    fn event(&mut self, len: u64) -> Result<(), Crash> {
        let Rules { size, count, overwrite, passes, masked, .. } = self.rules;
        let used = self.write % size;
        let old = self.boundary(self.write);
        let enters = used == 0 || used + len > size;
        let start = if !enters {
            self.write
        } else if used == 0 {
            old
        } else {
            self.add(old, size)
        };
        if enters {
            let full = self.sub(start, self.boundary(self.consumed)) >= size * count;
            if full && !overwrite {
                self.lost += 1;
                return Ok(());
            }
            if passes && masked && self.committed_at(start) != 0 {
                self.lost += 1;
                return Ok(());
            }
        }
        self.step()?;
        self.write = self.add(start, len + if enters { HEADER } else { 0 });
        let last = self.boundary(self.sub(self.write, 1));
        while self.sub(last, self.boundary(self.consumed)) >= size * count {
            // One step with the reservation, as seen from a dump: the pushes follow at once.
            self.consumed = self.add(self.boundary(self.consumed), size);
        }
        if enters && passes && !masked {
            let slot = self.slot(start);
            self.step()?;
            self.committed[slot] = self.base(start);
            self.delivered[slot] = self.base(start);
        }
        if enters && used != 0 {
            self.end(old, used)?;
        }
        if enters {
            self.step()?;
            self.begin(start)?;
        }
        self.commit(self.boundary(start), len)?;
        if self.write.is_multiple_of(size) {
            self.end(self.sub(self.write, size), size)?;
        }
        Ok(())
    }

    fn begin(&mut self, start: u64) -> Result<(), Crash> {
        let slot = self.slot(start);
        self.clock += 1;
        self.contents[slot] = Content { begin: self.clock, position: start, ..Content::default() };
        self.commit(start, HEADER)
    }

    fn end(&mut self, start: u64, used: u64) -> Result<(), Crash> {
        self.step()?;
        let slot = self.slot(start);
        self.contents[slot].end = self.clock;
        self.contents[slot].ended = true;
        self.commit(start, self.rules.size - used)
    }

    fn commit(&mut self, start: u64, bytes: u64) -> Result<(), Crash> {
        if self.steps_left != usize::MAX {
            self.step()?;
        }
        let slot = self.slot(start);
        self.committed[slot] = self.add(self.committed[slot], bytes);
        if self.committed_at(start) == self.rules.size {
            self.step()?;
            self.delivered[slot] = self.committed[slot];
        }
        Ok(())
    }

    fn get(&mut self) -> Result<(), Crash> {
        let p = self.consumed;
        let slot = self.slot(p);
        let complete =
            self.delivered[slot] == self.committed[slot] && self.committed_at(p) == self.rules.size;
        if !complete || self.boundary(self.write) == p || self.held.is_some() {
            return Ok(());
        }
        let reader = self.contents.len() - 1;
        if self.rules.exchange {
            self.contents.swap(slot, reader);
        }
        self.held = Some(p);
        self.step()
    }

    fn put(&mut self) -> Result<(), Crash> {
        let Some(p) = self.held.take() else { return Ok(()) };
        self.step()?;
        if self.consumed == p {
            self.consumed = self.add(p, self.rules.size);
        }
        Ok(())
    }

    /// Unread positions that a writer has entered, oldest first.
    pub(crate) fn unread(&self) -> Vec<u64> {
        let end = if self.write.is_multiple_of(self.rules.size) {
            self.write
        } else {
            self.add(self.boundary(self.write), self.rules.size)
        };
        let span = self.sub(end, self.boundary(self.consumed)) / self.rules.size;
        (0..span).map(|i| self.add(self.consumed, i * self.rules.size)).collect()
    }

    /// Bytes committed in the pass of `p`.
    pub(crate) fn committed_at(&self, p: u64) -> u64 {
        // Under the mask even where the tracer uses none: positions may have wrapped since the counter was put right.
        self.sub(self.committed[self.slot(p)], self.base(p)) & (self.rules.word_mask / self.rules.count)
    }
}
