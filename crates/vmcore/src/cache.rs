//! Decoded pages, shared by all threads that read one core.
//!
//! Pages are known by where they are stored (part and file offset), not by page frame: descriptors share offsets.
//! The cache is cut into shards with a lock each. A lock is held for one copy of at most a page and never while
//! decoding, so that two threads may decode the same page at the same time; that is rare, and harmless.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Part of a split dump, and file offset of the stored page.
pub(crate) type Key = (u32, u64);

const SHARDS: usize = 16;

/// A bounded set of decoded pages of one size.
#[derive(Debug)]
pub(crate) struct PageCache {
    shards: Vec<Mutex<Shard>>,
    page_len: usize,
    /// Pages of a shard.
    capacity: usize,
}

/// Pages in slots, replaced by the clock algorithm: a hand goes round, and evicts the first page that was not used
/// since it last came by. That is nearly as good as evicting the least recently used one, and needs no list.
#[derive(Debug, Default)]
struct Shard {
    slots: HashMap<Key, usize>,
    pages: Vec<u8>,
    used: Vec<(Key, bool)>,
    hand: usize,
}

impl PageCache {
    /// A cache of about `pages` pages of `page_len` bytes. Memory is taken as pages come.
    pub(crate) fn new(pages: usize, page_len: usize) -> PageCache {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        PageCache { shards, page_len, capacity: pages.div_ceil(SHARDS) }
    }

    fn shard(&self, key: Key) -> Option<MutexGuard<'_, Shard>> {
        // Stored pages lie at any offset: the multiplication spreads them evenly.
        let hash = (key.1 ^ u64::from(key.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let shard = self.shards.get(usize::try_from(hash).unwrap_or(0) % SHARDS)?;
        // Nothing panics while it holds the lock.
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Copies from a page that is here; tells whether it was.
    pub(crate) fn get(&self, key: Key, within: usize, out: &mut [u8]) -> bool {
        let Some(mut shard) = self.shard(key) else { return false };
        let Some(&slot) = shard.slots.get(&key) else { return false };
        let start = slot * self.page_len + within;
        let Some(bytes) = shard.pages.get(start..start + out.len()) else { return false };
        out.copy_from_slice(bytes);
        if let Some((_, used)) = shard.used.get_mut(slot) {
            *used = true;
        }
        true
    }

    /// Keeps a copy of a page.
    pub(crate) fn put(&self, key: Key, page: &[u8]) {
        if self.capacity == 0 || page.len() != self.page_len {
            return;
        }
        let Some(mut shard) = self.shard(key) else { return };
        let shard = &mut *shard;
        if shard.slots.contains_key(&key) {
            return;
        }
        if shard.used.len() < self.capacity {
            shard.slots.insert(key, shard.used.len());
            shard.used.push((key, false));
            shard.pages.extend_from_slice(page);
            return;
        }
        // Ends after one round: by then every page was marked as not used.
        while let Some((_, used @ true)) = shard.used.get_mut(shard.hand) {
            *used = false;
            shard.hand = (shard.hand + 1) % self.capacity;
        }
        let slot = shard.hand;
        shard.hand = (shard.hand + 1) % self.capacity;
        let start = slot * self.page_len;
        if let (Some(entry), Some(bytes)) =
            (shard.used.get_mut(slot), shard.pages.get_mut(start..start + self.page_len))
        {
            bytes.copy_from_slice(page);
            shard.slots.remove(&entry.0);
            shard.slots.insert(key, slot);
            *entry = (key, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(cache: &PageCache) -> usize {
        cache.shards.iter().map(|shard| shard.lock().unwrap().slots.len()).sum()
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
        let held: usize = cache.shards.iter().map(|shard| shard.lock().unwrap().pages.len()).sum();
        assert!(held <= 32 * 4);
    }

    #[test]
    fn pages_in_use_survive() {
        let cache = PageCache::new(SHARDS * 2, 1);
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
