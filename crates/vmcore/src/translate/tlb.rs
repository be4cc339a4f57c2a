//! Recent translations of page tables, so that a walk is made once per page and not once per read.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Shards, so that threads which read different streams rarely meet.
const SHARDS: usize = 16;
/// Translations per shard: 16 MiB of vmalloc in all at 4 KiB pages.
const SLOTS: usize = 256;

/// Pairs of virtual and physical page number.
type Shard = Box<[(u64, u64)]>;

/// A bounded, direct-mapped cache: virtual page number → physical page number.
pub(crate) struct Tlb {
    shards: [Mutex<Shard>; SHARDS],
}

impl fmt::Debug for Tlb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tlb({SHARDS} x {SLOTS})")
    }
}

impl Tlb {
    pub(crate) fn new() -> Tlb {
        Tlb { shards: std::array::from_fn(|_| Mutex::new(vec![(u64::MAX, 0); SLOTS].into_boxed_slice())) }
    }

    /// The physical page of a virtual page; allocates nothing.
    pub(crate) fn get(&self, page: u64) -> Option<u64> {
        self.slot(page, |slot| (slot.0 == page).then_some(slot.1)).flatten()
    }

    /// Remembers a translation in place of an older one.
    pub(crate) fn put(&self, page: u64, physical: u64) {
        self.slot(page, |slot| *slot = (page, physical));
    }

    fn slot<T>(&self, page: u64, with: impl FnOnce(&mut (u64, u64)) -> T) -> Option<T> {
        let index = usize::try_from(page % (SHARDS * SLOTS) as u64).ok()?;
        // A pair of numbers is never half written, whatever happened to the thread that held the lock.
        let mut shard = self.shards.get(index % SHARDS)?.lock().unwrap_or_else(PoisonError::into_inner);
        shard.get_mut(index / SHARDS).map(with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_translation_takes_the_slot() {
        let tlb = Tlb::new();
        let first = 0xffff_c900_0000_1000 >> 12;
        let second = first + (SHARDS * SLOTS) as u64;
        assert_eq!(tlb.get(first), None);
        tlb.put(first, 7);
        tlb.put(first + 1, 8);
        assert_eq!((tlb.get(first), tlb.get(first + 1), tlb.get(second)), (Some(7), Some(8), None));
        tlb.put(second, 9);
        assert_eq!((tlb.get(first), tlb.get(second)), (None, Some(9)));
    }
}
