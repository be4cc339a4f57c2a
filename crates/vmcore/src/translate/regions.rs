//! Linear ranges of the kernel's address space.

use std::fmt;

/// A virtual range that is mapped with one distance to physical addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// First virtual address.
    pub(crate) first: u64,
    /// Last virtual address.
    pub(crate) last: u64,
    /// Virtual minus physical address, modulo 2^64.
    pub(crate) delta: u64,
    /// What it is and why it is believed: for people.
    pub(crate) label: String,
}

impl Region {
    pub(crate) fn physical(&self, va: u64) -> u64 {
        va.wrapping_sub(self.delta)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Region { first, last, label, .. } = self;
        write!(f, "{first:#x}-{last:#x} at physical {:#x}: {label}", self.physical(*first))
    }
}

/// Disjoint linear ranges, for lookup by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Regions {
    sorted: Vec<Region>,
}

impl Regions {
    /// Of ranges that overlap, the earlier one in the list is kept and the later dropped, unless both say the same.
    ///
    /// Ranges that continue each other are merged.
    pub(crate) fn new(mut regions: Vec<Region>) -> Regions {
        regions.retain(|region| region.first <= region.last);
        // The sort is stable: what came first in the list stays first among equals.
        let mut ranked: Vec<(usize, Region)> = regions.into_iter().enumerate().collect();
        ranked.sort_by_key(|(rank, region)| (region.first, *rank));
        let mut sorted: Vec<(usize, Region)> = Vec::with_capacity(ranked.len());
        for (rank, region) in ranked {
            let Some((previous_rank, previous)) = sorted.last_mut() else {
                sorted.push((rank, region));
                continue;
            };
            if region.first > previous.last.saturating_add(1)
                || (region.first > previous.last && region.delta != previous.delta)
            {
                sorted.push((rank, region));
            } else if region.delta == previous.delta {
                previous.last = previous.last.max(region.last);
            } else if rank < *previous_rank {
                (*previous_rank, *previous) = (rank, region);
            }
        }
        Regions { sorted: sorted.into_iter().map(|(_, region)| region).collect() }
    }

    /// The range which holds `va`. Cost: a binary search.
    pub(crate) fn find(&self, va: u64) -> Option<&Region> {
        let index = self.sorted.partition_point(|region| region.first <= va).checked_sub(1)?;
        self.sorted.get(index).filter(|region| va <= region.last)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Region> {
        self.sorted.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn region(first: u64, last: u64, delta: u64) -> Region {
        Region { first, last, delta, label: String::new() }
    }

    #[test]
    fn ranges_merge_and_the_earlier_wins() {
        let regions = Regions::new(vec![
            region(0x3000, 0x3fff, 0x1000),
            region(0x1000, 0x1fff, 0x1000),
            region(0x2000, 0x2fff, 0x1000),
            region(0x3800, 0x4fff, 7),
            region(0xffff_ffff_ffff_f000, u64::MAX, 5),
            region(9, 8, 0),
        ]);
        assert_eq!(regions.iter().count(), 2);
        assert_eq!(regions.find(0x3fff).map(|region| region.physical(0x3fff)), Some(0x2fff));
        assert_eq!(regions.find(0x4000), None);
        assert_eq!(regions.find(0xfff), None);
        assert!(regions.find(u64::MAX).is_some());
    }

    proptest! {
        #[test]
        fn found_ranges_hold_the_address(
            list in proptest::collection::vec((0u64..64, 0u64..64, 0u64..3), 0..12),
            va in 0u64..70,
        ) {
            let given: Vec<Region> = list.iter().map(|&(first, last, delta)| region(first, last, delta)).collect();
            let regions = Regions::new(given.clone());
            if let Some(found) = regions.find(va) {
                prop_assert!(given.iter().any(|r| (r.first..=r.last).contains(&va) && r.delta == found.delta));
            }
            let sorted: Vec<&Region> = regions.iter().collect();
            prop_assert!(sorted.windows(2).all(|pair| pair[0].last < pair[1].first));
        }
    }
}
