//! Decoded pages, shared by all threads that read one core.
//!
//! Pages are known by where they are stored (part and file offset), not by page frame: descriptors share offsets.
//! A page may be in one small set only, which is searched from end to end: every read of a compressed page asks here first,
//! and with the fast codecs a hash table costs a tenth of what it may save. Most reads of whole pages miss, and a lock is
//! taken only where there may be a hit: a lock that another thread had last costs as much as a tenth of a page of
//! snappy. It is held for one copy of at most a page and never while decoding, so that two threads may decode the same page
//! at the same time; that is rare, and harmless.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Part of a split dump, and file offset of the stored page.
pub(crate) type Key = (u32, u64);

/// Pages of a set. With as many, keys that crowd in one set while others are empty waste little of the cache. Also the
/// tags in a word.
const WAYS: usize = 8;

/// A bounded set of decoded pages of one size.
#[derive(Debug)]
pub(crate) struct PageCache {
    sets: Vec<Set>,
    page_len: usize,
}

/// Pages of a set behind a lock, and in front of it what they might be.
#[derive(Debug, Default)]
struct Set {
    /// A byte of each page's hash, by slot. Written under the lock; who reads it may see it late, and miss a page that
    /// has just come.
    tags: AtomicU64,
    slots: Mutex<Slots>,
}

impl Set {
    /// Whether a page with that tag may be here.
    fn may_hold(&self, tag: u8) -> bool {
        self.tags.load(Ordering::Relaxed).to_le_bytes().contains(&tag)
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // Nothing panics while it holds the lock.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the tag of a slot; the caller has the lock.
    fn tag(&self, slot: usize, tag: u8) {
        let mut tags = self.tags.load(Ordering::Relaxed).to_le_bytes();
        if let Some(place) = tags.get_mut(slot) {
            *place = tag;
        }
        self.tags.store(u64::from_le_bytes(tags), Ordering::Relaxed);
    }
}

/// Pages in slots, replaced by the clock algorithm: a hand goes round, and evicts the first page that was not used
/// since it last came by. That is nearly as good as evicting the least recently used one, and needs no list.
#[derive(Debug, Default)]
struct Slots {
    /// Whose page is in each slot, and whether it was used.
    slots: Vec<(Key, bool)>,
    pages: Vec<u8>,
    hand: usize,
}

impl Slots {
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
        PageCache { sets: (0..pages.div_ceil(WAYS)).map(|_| Set::default()).collect(), page_len }
    }

    /// The set that a page may be in, and its tag there.
    fn set(&self, key: Key) -> Option<(&Set, u8)> {
        // Stored pages lie at any offset: the multiplication spreads them evenly.
        let hash = (key.1 ^ u64::from(key.0)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = ((hash >> 32) * self.sets.len() as u64) >> 32;
        let set = self.sets.get(usize::try_from(index).unwrap_or(0))?;
        // Bits that choose the set least. No tag is 0, which stands for an empty slot.
        let [_, _, _, tag, ..] = hash.to_le_bytes();
        Some((set, tag | 1))
    }

    /// Copies from a page that is here; tells whether it was.
    pub(crate) fn get(&self, key: Key, within: usize, out: &mut [u8]) -> bool {
        let Some((set, tag)) = self.set(key) else { return false };
        if !set.may_hold(tag) {
            return false;
        }
        let mut slots = set.lock();
        let Some(slot) = slots.find(key) else { return false };
        let start = slot * self.page_len + within;
        let Some(bytes) = slots.pages.get(start..start + out.len()) else { return false };
        out.copy_from_slice(bytes);
        true
    }

    /// Keeps a copy of a page.
    pub(crate) fn put(&self, key: Key, page: &[u8]) {
        if page.len() != self.page_len {
            return;
        }
        let Some((set, tag)) = self.set(key) else { return };
        let mut slots = set.lock();
        if slots.find(key).is_some() {
            return;
        }
        let slot = slots.take(key, self.page_len);
        let start = slot * self.page_len;
        if let Some(bytes) = slots.pages.get_mut(start..start + self.page_len) {
            bytes.copy_from_slice(page);
            set.tag(slot, tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(cache: &PageCache) -> usize {
        cache.sets.iter().map(|set| set.lock().slots.len()).sum()
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
        let held: usize = cache.sets.iter().map(|set| set.lock().pages.len()).sum();
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
