//! Decoded pages, shared by all threads that read one core.
//!
//! Pages are known by where they are stored (part and file offset), not by page frame: descriptors share offsets.
//! A page may be in one small set only, which is searched from end to end: every read of a compressed page asks here first,
//! and with the fast codecs a hash table costs a tenth of what it may save. A set's lock is held for one copy of at most
//! a page and never while decoding, so that two threads may decode the same page at the same time; that is rare, and
//! harmless.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Part of a split dump, and file offset of the stored page.
pub(crate) type Key = (u32, u64);

/// Pages of a set. With as many, keys that crowd in one set while others are empty waste little of the cache.
const WAYS: usize = 8;

/// A bounded set of decoded pages of one size.
#[derive(Debug)]
pub(crate) struct PageCache {
    sets: Vec<Mutex<Set>>,
    page_len: usize,
}

/// Pages in slots, replaced by the clock algorithm: a hand goes round, and evicts the first page that was not used
/// since it last came by. That is nearly as good as evicting the least recently used one, and needs no list.
#[derive(Debug, Default)]
struct Set {
    /// Whose page is in each slot, and whether it was used.
    slots: Vec<(Key, bool)>,
    pages: Vec<u8>,
    hand: usize,
}

impl Set {
    /// The slot of a page, marked as used.
    fn find(&mut self, key: Key) -> Option<usize> {
        let slot = self.slots.iter().position(|(held, _)| *held == key)?;
        if let Some((_, used)) = self.slots.get_mut(slot) {
            *used = true;
        }
        Some(slot)
    }

    /// A slot for a page that is not here.
    fn take(&mut self, key: Key, page_len: usize) -> usize {
        if self.slots.len() < WAYS {
            self.slots.push((key, false));
            self.pages.resize(self.slots.len() * page_len, 0);
            return self.slots.len() - 1;
        }
        // Ends after one round: by then every page was marked as not used.
        while let Some((_, used @ true)) = self.slots.get_mut(self.hand) {
            *used = false;
            self.hand = (self.hand + 1) % WAYS;
        }
        let slot = self.hand;
        self.hand = (self.hand + 1) % WAYS;
        if let Some(held) = self.slots.get_mut(slot) {
            *held = (key, false);
        }
        slot
    }
}

impl PageCache {
    /// A cache of about `pages` pages of `page_len` bytes. Memory is taken as pages come.
    pub(crate) fn new(pages: usize, page_len: usize) -> PageCache {
        PageCache { sets: (0..pages.div_ceil(WAYS)).map(|_| Mutex::default()).collect(), page_len }
    }

    fn set(&self, key: Key) -> Option<MutexGuard<'_, Set>> {
        // Stored pages lie at any offset: the multiplication spreads them evenly.
        let hash = (key.1 ^ u64::from(key.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let index = (hash * self.sets.len() as u64) >> 32;
        let set = self.sets.get(usize::try_from(index).unwrap_or(0))?;
        // Nothing panics while it holds the lock.
        Some(set.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Copies from a page that is here; tells whether it was.
    pub(crate) fn get(&self, key: Key, within: usize, out: &mut [u8]) -> bool {
        let Some(mut set) = self.set(key) else { return false };
        let Some(slot) = set.find(key) else { return false };
        let start = slot * self.page_len + within;
        let Some(bytes) = set.pages.get(start..start + out.len()) else { return false };
        out.copy_from_slice(bytes);
        true
    }

    /// Keeps a copy of a page.
    pub(crate) fn put(&self, key: Key, page: &[u8]) {
        if page.len() != self.page_len {
            return;
        }
        let Some(mut set) = self.set(key) else { return };
        if set.find(key).is_some() {
            return;
        }
        let start = set.take(key, self.page_len) * self.page_len;
        if let Some(bytes) = set.pages.get_mut(start..start + self.page_len) {
            bytes.copy_from_slice(page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(cache: &PageCache) -> usize {
        cache.sets.iter().map(|set| set.lock().unwrap().slots.len()).sum()
    }

    #[test]
    fn pages_come_back_and_stay_bounded() {
        let cache = PageCache::new(32, 4);
        let mut out = [0; 2];
        assert!(!cache.get((0, 8), 0, &mut out));
        for offset in 1..=1000_u64 {
            let low = u8::try_from(offset % 256).unwrap();
            cache.put((0, offset * 8), &[low; 4]);
            assert!(cache.get((0, offset * 8), 2, &mut out));
            assert_eq!(out, [low; 2]);
            assert!(!cache.get((1, offset * 8), 2, &mut out), "another part");
        }
        assert!(pages(&cache) <= 32);
        let held: usize = cache.sets.iter().map(|set| set.lock().unwrap().pages.len()).sum();
        assert!(held <= 32 * 4);
    }

    #[test]
    fn pages_in_use_survive() {
        let cache = PageCache::new(WAYS * 2, 1);
        cache.put((0, 1), &[1]);
        for offset in 2..1000 {
            let mut out = [0];
            assert!(cache.get((0, 1), 0, &mut out), "evicted by {offset}");
            cache.put((0, offset), &[2]);
        }
    }

    #[test]
    fn no_pages_means_no_cache() {
        let cache = PageCache::new(0, 4);
        cache.put((0, 8), &[1; 4]);
        assert!(!cache.get((0, 8), 0, &mut [0]));
    }

    #[test]
    fn threads_never_see_another_page() {
        let cache = PageCache::new(64, 8);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..5000_u64 {
                        let offset = (round * 7 + thread * 13) % 200;
                        let mut out = [0; 8];
                        if cache.get((0, offset), 0, &mut out) {
                            assert_eq!(out, offset.to_le_bytes());
                        } else {
                            cache.put((0, offset), &offset.to_le_bytes());
                        }
                    }
                });
            }
        });
    }
}
