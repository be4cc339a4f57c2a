//! Arithmetic of positions and commit counters: does a counter belong to this lap of the ring, and how far has it come?
//!
//! Pure: numbers in, numbers out, all modulo the kernel's word. Each slot has three counters of bytes that grow by exactly the size
//! of a sub-buffer in each lap: what is committed in any order, what is committed without a gap, and what is delivered.

use crate::Abi;
use crate::ring::Ring;

/// Shape of one ring, with the mask under which its counters are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Laps {
    pub(crate) ring: Ring,
    mask: u64,
}

/// The counters of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Bytes committed, in any order.
    pub(crate) committed: u64,
    /// Bytes committed from the start on without a gap.
    pub(crate) contiguous: u64,
    /// Bytes of delivered sub-buffers.
    pub(crate) delivered: u64,
}

/// How far the writers came in one sub-buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Delivered to the readers: the tracer has closed it.
    Delivered,
    /// All bytes are committed, padding included, but delivery was not finished.
    Full,
    /// So many bytes from the start are valid; less than the sub-buffer, possibly none.
    Partial(u64),
}

/// What the entry of a slot in the writer's table, or the reader's own entry, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotId {
    /// Which table of pages.
    pub(crate) index: u64,
    /// Whether no writer holds it.
    pub(crate) noref: bool,
    /// Lap of the last delivery, truncated; only in overwrite mode.
    pub(crate) lap: Option<u64>,
}

impl Laps {
    /// `None` when the numbers make no ring; see [`Ring::new`].
    pub(crate) fn new(abi: Abi, subbuffer_size: u64, n_subbuffers: u64) -> Option<Laps> {
        let mask = abi.word_mask().checked_shr(n_subbuffers.checked_ilog2()?)?;
        let ring = Ring::new(abi, subbuffer_size, n_subbuffers, Some(mask), true)?;
        Some(Laps { ring, mask })
    }

    /// Mask under which counters are compared: `commit_count_mask`.
    pub(crate) fn mask(&self) -> u64 {
        self.mask
    }

    /// Number of the lap that a position is in.
    pub(crate) fn lap(&self, position: u64) -> u64 {
        position / self.ring.size()
    }

    /// Position of the newest sub-buffer that was begun.
    pub(crate) fn newest(&self, write: u64) -> u64 {
        let head = self.ring.truncate(write);
        if self.ring.offset(write) == 0 { self.ring.distance(head, self.ring.subbuffer_size()) } else { head }
    }

    /// Bytes reserved in the sub-buffer at `position`.
    pub(crate) fn reserved(&self, position: u64, write: u64) -> u64 {
        if position == self.ring.truncate(write) {
            self.ring.offset(write)
        } else {
            self.ring.subbuffer_size()
        }
    }

    /// How far writers came in the sub-buffer at `position`, with the write position at `write`.
    pub(crate) fn progress(&self, position: u64, write: u64, counters: &Counters) -> Progress {
        if self.completes(position, counters.delivered) {
            return Progress::Delivered;
        }
        if self.completes(position, counters.committed) {
            return Progress::Full;
        }
        let contiguous = self.partial(position, counters.contiguous).unwrap_or(0);
        let committed = self.partial(position, counters.committed);
        // In the head, a sum of commits that reaches the write position leaves no room for a gap. This says more than the other
        // counter, which lags after nested commits, and before 2.4.2 did not count events at all.
        let reserved = self.reserved(position, write);
        let gapless = position == self.ring.truncate(write) && committed == Some(reserved);
        Progress::Partial(if gapless { reserved } else { contiguous })
    }

    /// Bytes committed in the sub-buffer at `position`, in any order.
    pub(crate) fn committed(&self, position: u64, counters: &Counters) -> u64 {
        if self.completes(position, counters.committed) {
            return self.ring.subbuffer_size();
        }
        self.partial(position, counters.committed).unwrap_or(0)
    }

    /// Whether the counter stands exactly at the end of the sub-buffer's lap.
    fn completes(&self, position: u64, counter: u64) -> bool {
        counter.wrapping_sub(self.ring.subbuffer_size()) & self.mask == self.ring.base(position)
    }

    /// Bytes that a counter has advanced in the lap of `position`; `None` when it stands in another lap, or at a boundary, where it
    /// may as well be at the end of the previous lap.
    fn partial(&self, position: u64, counter: u64) -> Option<u64> {
        let bytes = self.ring.offset(counter);
        (bytes != 0 && counter.wrapping_sub(bytes) & self.mask == self.ring.base(position)).then_some(bytes)
    }

    /// `packet_seq_num` of the sub-buffer at `position`, of which the slot has counted `count` deliveries so far.
    ///
    /// The position tells the number up to where positions wrap, the count tells the rest; it may or may not include the packet's
    /// own delivery.
    pub(crate) fn sequence(&self, position: u64, count: Option<u64>, abi: Abi) -> u64 {
        let Some(count) = count else { return position / self.ring.subbuffer_size() };
        let n = self.ring.n_subbuffers();
        let with = count.wrapping_mul(n).wrapping_add(self.ring.index(position));
        let fits = |number: &u64| self.is_number_of(position, *number, abi);
        let found = [with, with.wrapping_sub(n)].into_iter().find(fits);
        found.unwrap_or(position / self.ring.subbuffer_size())
    }

    /// Whether `number` can be the `packet_seq_num` of the sub-buffer at `position`: equal up to where positions wrap.
    pub(crate) fn is_number_of(&self, position: u64, number: u64, abi: Abi) -> bool {
        let bits = abi.word_bits() - self.ring.subbuffer_size().ilog2();
        let wrap = 1u64.checked_shl(bits).map_or(u64::MAX, |wrap| wrap - 1);
        number & wrap == position / self.ring.subbuffer_size()
    }
}

impl SlotId {
    pub(crate) fn decode(abi: Abi, overwrite: bool, id: u64) -> SlotId {
        if !overwrite {
            return SlotId { index: id, noref: true, lap: None };
        }
        let half = abi.word_bits() / 2;
        let index = id & ((1 << half) - 1);
        SlotId { index, noref: id >> half & 1 == 1, lap: Some(id >> (half + 1)) }
    }

    /// Whether the last delivery was that of the sub-buffer in lap `lap`.
    pub(crate) fn is_of(&self, abi: Abi, lap: u64) -> bool {
        let bits = abi.word_bits() / 2 - 1;
        self.lap.is_none_or(|have| have == lap & ((1 << bits) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endian, WordSize};

    const WIDE: Abi = Abi { endian: Endian::Little, word: WordSize::Bits64 };
    const NARROW: Abi = Abi { endian: Endian::Big, word: WordSize::Bits32 };

    fn all(value: u64) -> Counters {
        Counters { committed: value, contiguous: value, delivered: value }
    }

    /// Four sub-buffers of 256 KiB, written to 0x2C1234.
    #[test]
    fn discarding_ring_in_its_third_lap() {
        let laps = Laps::new(WIDE, 0x4_0000, 4).unwrap();
        let write = 0x2c_1234;
        assert_eq!(laps.mask(), 0x3fff_ffff_ffff_ffff);
        assert_eq!(laps.newest(write), 0x2c_0000);
        for (position, sequence) in [(0x20_0000, 8), (0x24_0000, 9), (0x28_0000, 10)] {
            assert_eq!(laps.lap(position), 2);
            assert_eq!(laps.progress(position, write, &all(0xc_0000)), Progress::Delivered);
            assert_eq!(laps.sequence(position, None, WIDE), sequence);
        }
        let head = Counters { committed: 0x8_1234, contiguous: 0x8_1234, delivered: 0x8_0000 };
        assert_eq!(laps.progress(0x2c_0000, write, &head), Progress::Partial(0x1234));
        // Stale counters of the lap before.
        let stale = Counters { contiguous: 0x8_0000, ..head };
        assert_eq!(laps.progress(0x2c_0000, write, &stale), Progress::Partial(0x1234));
        let gap = Counters { committed: 0x8_1200, ..stale };
        assert_eq!(laps.committed(0x2c_0000, &gap), 0x1200);
        assert_eq!(laps.committed(0x28_0000, &all(0xc_0000)), 0x4_0000);
        assert_eq!(laps.committed(0x28_0000, &all(0x8_0000)), 0);
        assert_eq!(laps.progress(0x2c_0000, write, &gap), Progress::Partial(0));
    }

    #[test]
    fn slot_ids_of_both_widths_and_modes() {
        let id = SlotId::decode(WIDE, true, 0x0000_0011_0000_0002);
        assert_eq!(id, SlotId { index: 2, noref: true, lap: Some(8) });
        assert!(id.is_of(WIDE, 8) && id.is_of(WIDE, 8 + (1 << 31)) && !id.is_of(WIDE, 7));
        let id = SlotId::decode(NARROW, true, 0xffff_0003);
        assert_eq!(id, SlotId { index: 3, noref: true, lap: Some(0x7fff) });
        assert!(id.is_of(NARROW, 0x1_7fff));
        let id = SlotId::decode(WIDE, false, 0x1_0000_0002);
        assert_eq!((id.index, id.lap), (0x1_0000_0002, None));
        assert!(id.is_of(WIDE, 77));
    }

    #[test]
    fn never_used_and_unfinished_deliveries() {
        let laps = Laps::new(WIDE, 0x1000, 4).unwrap();
        assert_eq!(laps.progress(0x1000, 0x2000, &all(0)), Progress::Partial(0));
        // One more than the old value: delivery in progress.
        let delivering = Counters { committed: 0x2000, contiguous: 0x2000, delivered: 0x1001 };
        assert_eq!(laps.progress(0x5000, 0x6000, &delivering), Progress::Full);
        // Filled to the last byte, one event of it not yet committed: no gap is proved.
        let brim = Counters { committed: 0x1fc0, contiguous: 0x1200, delivered: 0x1000 };
        assert_eq!(laps.newest(0x6000), 0x5000);
        assert_eq!(laps.reserved(0x5000, 0x6000), 0x1000);
        assert_eq!(laps.progress(0x5000, 0x6000, &brim), Progress::Partial(0x200));
    }

    #[test]
    fn positions_wrapped_at_two_to_the_32() {
        let laps = Laps::new(NARROW, 0x1000, 4).unwrap();
        assert_eq!(laps.mask(), 0x3fff_ffff);
        // The last lap before the wrap ends with counters at the mask's limit, unmasked.
        assert_eq!(laps.progress(0xffff_d000, 0x80, &all(0x4000_0000)), Progress::Delivered);
        assert_eq!(laps.progress(0xffff_d000, 0x80, &all(0)), Progress::Delivered);
        assert_eq!(laps.progress(0, 0x80, &all(0x4000_0080)), Progress::Partial(0x80));
        assert_eq!(laps.newest(0), 0xffff_f000);
        // Two deliveries of slot 0 since the wrap, one of them this one's own; and none counted yet.
        let per_wrap = 1 << 20;
        assert_eq!(laps.sequence(0x1_0000, Some((per_wrap * 3 + 16) / 4 + 1), NARROW), per_wrap * 3 + 16);
        assert_eq!(laps.sequence(0x1_0000, Some((per_wrap * 3 + 16) / 4), NARROW), per_wrap * 3 + 16);
        assert_eq!(laps.sequence(0x1_0000, Some(999), NARROW), 16);
        assert_eq!(laps.sequence(0x1_0000, Some(u64::MAX), NARROW), 16);
    }

    #[test]
    fn impossible_shapes() {
        for (size, n) in [(0, 4), (4096, 0), (4096, 3), (4095, 4), (1 << 40, 2)] {
            assert_eq!(Laps::new(WIDE, size, n), None);
        }
        // One sub-buffer of one byte: positions never leave a packet number unsaid.
        let laps = Laps::new(WIDE, 1, 1).unwrap();
        assert_eq!(laps.sequence(5, Some(0), WIDE), 5);
    }

    proptest::proptest! {
        #[test]
        fn any_counters(position: u64, write: u64, a: u64, b: u64, c: u64, narrow: bool, order in 0u32..6) {
            let abi = if narrow { NARROW } else { WIDE };
            let laps = Laps::new(abi, 4096, 1 << order).unwrap();
            let position = laps.ring.truncate(position);
            let counters = Counters { committed: a, contiguous: b, delivered: c };
            if let Progress::Partial(bytes) = laps.progress(position, write, &counters) {
                proptest::prop_assert!(bytes < 4096);
            }
            proptest::prop_assert!(laps.reserved(position, write) <= 4096);
        }
    }
}
