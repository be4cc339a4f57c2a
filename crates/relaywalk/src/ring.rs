//! Arithmetic of free-running positions and commit counters, and what they say about every sub-buffer.
//!
//! Pure: numbers in, numbers out. A position is a machine word of the crashed kernel that only ever grows and wraps modulo
//! 2^word; the low bits of it are an offset into the buffer. Each sub-buffer has a counter of the bytes committed to it, which
//! grows by exactly the sub-buffer's size in each pass, so that `pass * size` is its base in a pass.

use crate::{Abi, State};

/// Shape of one ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    word_mask: u64,
    subbuffer_size: u64,
    n_subbuffers: u64,
    commit_mask: u64,
    /// Whether commit counters carry the pass number. The oldest tracers compared modulo the sub-buffer size only.
    counts_passes: bool,
}

/// Positions and counters of one buffer.
#[derive(Clone, Copy, Debug)]
pub struct Counters<'a> {
    /// Position of the next reservation.
    pub write: u64,
    /// Position of the oldest unread byte.
    pub consumed: u64,
    /// Bytes committed, for each slot.
    pub committed: &'a [u64],
    /// Bytes delivered, for each slot, where the tracer counts them apart.
    pub delivered: Option<&'a [u64]>,
    /// Whether the buffer was flushed for destruction: then no sub-buffer is open.
    pub finalized: bool,
}

/// What the counters say about one sub-buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Free-running position of its first byte.
    pub position: u64,
    /// Its place in the ring.
    pub index: u64,
    /// Its state.
    pub state: State,
    /// Bytes reserved in this pass.
    pub reserved: u64,
    /// Bytes committed in this pass; more than the sub-buffer's size when the counter contradicts the position.
    pub committed: u64,
}

impl Ring {
    /// A ring of `n_subbuffers` sub-buffers of `subbuffer_size` bytes.
    ///
    /// `commit_mask`: bits under which counters are compared, all ones if the kernel names none. `None` when a number is not
    /// a power of two or the whole is too large for the word size or for any buffer (2^36 bytes, 2^20 sub-buffers).
    #[must_use]
    pub fn new(
        abi: Abi,
        subbuffer_size: u64,
        n_subbuffers: u64,
        commit_mask: Option<u64>,
        counts_passes: bool,
    ) -> Option<Ring> {
        let powers =
            subbuffer_size.is_power_of_two() && n_subbuffers.is_power_of_two() && n_subbuffers <= 1 << 20;
        let size = subbuffer_size.checked_mul(n_subbuffers)?;
        let word_mask = abi.word_mask();
        if !powers || size > 1 << 36 || size > word_mask {
            return None;
        }
        let commit_mask = commit_mask.unwrap_or(word_mask) & word_mask;
        Some(Ring { word_mask, subbuffer_size, n_subbuffers, commit_mask, counts_passes })
    }

    /// Bytes of one sub-buffer.
    #[must_use]
    pub fn subbuffer_size(&self) -> u64 {
        self.subbuffer_size
    }

    /// Number of sub-buffers.
    #[must_use]
    pub fn n_subbuffers(&self) -> u64 {
        self.n_subbuffers
    }

    /// Bytes of the whole ring.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.subbuffer_size * self.n_subbuffers
    }

    /// Offset of a position in its sub-buffer.
    #[must_use]
    pub fn offset(&self, position: u64) -> u64 {
        position & (self.subbuffer_size - 1)
    }

    /// Position of the start of its sub-buffer.
    #[must_use]
    pub fn truncate(&self, position: u64) -> u64 {
        position & self.word_mask & !(self.subbuffer_size - 1)
    }

    /// Position of the next sub-buffer, also when `position` is on a boundary.
    #[must_use]
    pub fn next(&self, position: u64) -> u64 {
        self.add(self.truncate(position), self.subbuffer_size)
    }

    /// Slot that a position falls into.
    #[must_use]
    pub fn index(&self, position: u64) -> u64 {
        (position & (self.size() - 1)) / self.subbuffer_size
    }

    /// `position + bytes`, wrapping in the kernel's word.
    #[must_use]
    pub fn add(&self, position: u64, bytes: u64) -> u64 {
        position.wrapping_add(bytes) & self.word_mask
    }

    /// `a - b`, wrapping in the kernel's word.
    #[must_use]
    pub fn distance(&self, a: u64, b: u64) -> u64 {
        a.wrapping_sub(b) & self.word_mask
    }

    /// Whether `a` lies before `b` in the free-running order.
    #[must_use]
    pub fn before(&self, a: u64, b: u64) -> bool {
        self.distance(a, b) > self.word_mask >> 1
    }

    /// Key that sorts positions around `reference` in the free-running order.
    #[must_use]
    pub fn rank(&self, position: u64, reference: u64) -> u64 {
        self.distance(position, reference.wrapping_sub(self.word_mask / 2 + 1))
    }

    /// Counter value that the sub-buffer at `position` has at the start of its pass.
    #[must_use]
    pub fn base(&self, position: u64) -> u64 {
        (position & self.word_mask & !(self.size() - 1)) / self.n_subbuffers
    }

    /// Bytes committed in the pass of `position`, given the slot's counter. More than the sub-buffer's size = contradiction.
    ///
    /// A tracer without a commit mask misses 2^word / n each time positions wrap, and then never delivers what is complete; the
    /// difference is taken out here, so that these bytes are not lost too.
    #[must_use]
    pub fn committed(&self, position: u64, counter: u64) -> u64 {
        if !self.counts_passes {
            return self.offset(counter);
        }
        let bytes = counter.wrapping_sub(self.base(position)) & self.commit_mask;
        if bytes <= self.subbuffer_size {
            return bytes;
        }
        let across_wrap = bytes & (self.word_mask / self.n_subbuffers);
        if across_wrap <= self.subbuffer_size { across_wrap } else { bytes }
    }

    /// Positions possibly still in memory, oldest first: each slot once, the newest sub-buffer that has begun last.
    pub fn positions(&self, write: u64) -> impl Iterator<Item = u64> + use<> {
        let ring = *self;
        // On a boundary the head sub-buffer has not begun, the newest is the one below.
        let end = if ring.offset(write) == 0 { ring.truncate(write) } else { ring.next(write) };
        let oldest = ring.distance(end, ring.size());
        (0..ring.n_subbuffers).map(move |i| ring.add(oldest, i * ring.subbuffer_size))
    }

    /// State of every sub-buffer, oldest position first. `magic` tells whether a slot's memory starts with a sub-buffer header;
    /// `None` when that cannot be known.
    #[must_use]
    pub fn classify(&self, counters: &Counters<'_>, magic: &dyn Fn(u64) -> Option<bool>) -> Vec<Slot> {
        self.positions(counters.write).map(|position| self.slot(position, counters, magic)).collect()
    }

    fn slot(&self, position: u64, counters: &Counters<'_>, magic: &dyn Fn(u64) -> Option<bool>) -> Slot {
        let index = self.index(position);
        let at = |list: &[u64]| usize::try_from(index).ok().and_then(|i| list.get(i)).copied();
        let counter = at(counters.committed).unwrap_or(0);
        let head = self.truncate(counters.write);
        let reserved_in_head = self.offset(counters.write);
        let whole = self.subbuffer_size;
        let mut slot = Slot { position, index, state: State::NeverUsed, reserved: 0, committed: 0 };

        // Before the first wrap the oldest positions are "negative". A 32-bit position may really have wrapped: the counter
        // tells. Its memory was zeroed at birth, except by the tracers that count no passes: there it means nothing.
        let first_pass = counters.write < self.size();
        if first_pass && counter == 0 && !(self.counts_passes && magic(index) == Some(true)) {
            return slot;
        }
        let (committed, complete) = self.completion(position, counter, counters.delivered.and_then(at));
        slot.committed = committed;
        slot.reserved = whole;
        slot.state = if position == head && reserved_in_head != 0 {
            slot.reserved = reserved_in_head;
            // Not by `completion`: without pass numbers a head of which nothing is committed looks like a complete one.
            slot.committed = self.committed(position, counter);
            State::Open
        } else if complete {
            slot.committed = whole;
            let consumed = self.before(position, self.truncate(counters.consumed));
            if consumed { State::Consumed } else { State::Ready }
        } else if committed == 0 && magic(index) == Some(false) {
            slot.reserved = 0;
            State::NeverUsed
        } else if self.add(position, whole) == head && reserved_in_head == 0 && !counters.finalized {
            // Filled to the brim and not yet ended: nobody has switched away, it is still the head.
            State::Open
        } else {
            State::Stalled
        };
        slot
    }

    /// Bytes committed and whether the pass is complete. A crash may fall between the updates of the two counters, so either
    /// one that is complete will do.
    fn completion(&self, position: u64, counter: u64, delivered: Option<u64>) -> (u64, bool) {
        let committed = self.committed(position, counter);
        if !self.counts_passes {
            return if committed == 0 && counter != 0 {
                (self.subbuffer_size, true)
            } else {
                (committed, false)
            };
        }
        let delivered = delivered.map(|counter| self.committed(position, counter));
        (committed, committed == self.subbuffer_size || delivered == Some(self.subbuffer_size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endian, WordSize};

    const WIDE: Abi = Abi { endian: Endian::Little, word: WordSize::Bits64 };
    const NARROW: Abi = Abi { endian: Endian::Little, word: WordSize::Bits32 };

    fn ring(abi: Abi) -> Ring {
        Ring::new(abi, 4096, 4, Some(abi.word_mask() >> 2), true).unwrap()
    }

    fn states(
        ring: &Ring,
        write: u64,
        consumed: u64,
        committed: &[u64],
        magic: bool,
    ) -> Vec<(u64, State, u64, u64)> {
        let counters = Counters { write, consumed, committed, delivered: None, finalized: false };
        let slots = ring.classify(&counters, &|_| Some(magic));
        slots.iter().map(|slot| (slot.position, slot.state, slot.reserved, slot.committed)).collect()
    }

    #[test]
    fn overwriting_ring_in_its_seventh_pass() {
        let found = states(&ring(WIDE), 0x1a080, 0x17000, &[0x7000, 0x7000, 0x6080, 0x6000], true);
        let expected = [
            (0x17000, State::Ready, 0x1000, 0x1000),
            (0x18000, State::Ready, 0x1000, 0x1000),
            (0x19000, State::Ready, 0x1000, 0x1000),
            (0x1a000, State::Open, 0x80, 0x80),
        ];
        assert_eq!(found, expected);
        let missing = states(&ring(WIDE), 0x1a080, 0x18000, &[0x7000, 0x6fff, 0x6064, 0x6000], true);
        assert_eq!(missing[0].1, State::Consumed);
        assert_eq!(missing[2], (0x19000, State::Stalled, 0x1000, 0xfff));
        assert_eq!(missing[3], (0x1a000, State::Open, 0x80, 0x64));
    }

    #[test]
    fn positions_wrapped_at_two_to_the_32() {
        let ring = ring(NARROW);
        assert_eq!(ring.base(0xffff_d000), 0x3fff_f000);
        assert_eq!(ring.committed(0xffff_d000, 0x4000_0000), 0x1000);
        assert_eq!(ring.committed(0xffff_d000, 0), 0x1000);
        let found = states(&ring, 0x80, 0xffff_d000, &[0x80, 0x4000_0000, 0x4000_0000, 0x4000_0000], true);
        let expected = [
            (0xffff_d000, State::Ready, 0x1000, 0x1000),
            (0xffff_e000, State::Ready, 0x1000, 0x1000),
            (0xffff_f000, State::Ready, 0x1000, 0x1000),
            (0, State::Open, 0x80, 0x80),
        ];
        assert_eq!(found, expected);
        // Without a mask, and without the writer having put the counter right.
        let unmasked = Ring::new(NARROW, 4096, 4, None, true).unwrap();
        assert_eq!(unmasked.committed(0, 0x4000_0080), 0x80);
    }

    #[test]
    fn first_pass_and_boundary() {
        for abi in [WIDE, NARROW] {
            let found = states(&ring(abi), 0x1000, 0, &[0x1000, 0, 0, 0], false);
            let states: Vec<State> = found.iter().map(|slot| slot.1).collect();
            assert_eq!(states, [State::NeverUsed, State::NeverUsed, State::NeverUsed, State::Ready]);
            assert_eq!(found[3].0, 0);
        }
        // Reserved to the brim, not yet committed: still the head, unless the buffer was flushed.
        let brim = states(&ring(WIDE), 0x6000, 0x4000, &[0x2000, 0x1ff8, 0x1000, 0x1000], true);
        assert_eq!(brim[3], (0x5000, State::Open, 0x1000, 0xff8));
        let committed = [0x2000, 0x1ff8, 0x1000, 0x1000];
        let flushed = Counters {
            write: 0x6000,
            consumed: 0x4000,
            committed: &committed,
            delivered: None,
            finalized: true,
        };
        assert_eq!(ring(WIDE).classify(&flushed, &|_| Some(true))[3].state, State::Stalled);
    }

    #[test]
    fn either_counter_proves_completion() {
        let (committed, delivered) = ([0x1000, 0x20, 0, 0], [0, 0x1000, 0, 0]);
        let counters = Counters {
            write: 0x2010,
            consumed: 0,
            committed: &committed,
            delivered: Some(&delivered),
            finalized: false,
        };
        let slots = ring(WIDE).classify(&counters, &|index| Some(index < 2));
        assert_eq!((slots[1].state, slots[2].state), (State::Ready, State::Ready));
    }

    #[test]
    fn without_pass_numbers() {
        let ring = Ring::new(WIDE, 4096, 4, None, false).unwrap();
        let found = states(&ring, 0x6010, 0x4000, &[0x2000, 0x1800, 0x1010, 0x1000], true);
        let states: Vec<(State, u64)> = found.iter().map(|slot| (slot.1, slot.3)).collect();
        let expected =
            [(State::Consumed, 4096), (State::Ready, 4096), (State::Stalled, 0x800), (State::Open, 0x10)];
        assert_eq!(states, expected);
        assert_eq!(Ring::new(WIDE, 4095, 4, None, true), None);
        assert_eq!(Ring::new(WIDE, 4096, 3, None, true), None);
        assert_eq!(Ring::new(NARROW, 1 << 31, 2, None, true), None);
        assert_eq!(Ring::new(WIDE, 0, 0, None, true), None);
    }

    proptest::proptest! {
        #[test]
        fn any_counters_give_each_slot_once(write in 0u64.., consumed in 0u64.., committed in proptest::collection::vec(0u64.., 0..6),
                                            passes: bool, narrow: bool, finalized: bool) {
            let ring = Ring::new(if narrow { NARROW } else { WIDE }, 4096, 4, None, passes).unwrap();
            let counters = Counters { write, consumed, committed: &committed, delivered: None, finalized };
            let mut slots: Vec<u64> = ring.classify(&counters, &|_| None).iter().map(|slot| slot.index).collect();
            slots.sort_unstable();
            proptest::prop_assert_eq!(slots, [0, 1, 2, 3]);
        }
    }
}
