//! What was read of the dead machine's memory, for those who want to keep just that.

use crate::{MemoryError, PageError, PhysAddr};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was read so far, by physical address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Bytes that were read: sorted, disjoint, merged.
    pub ranges: Vec<Range<u64>>,
    /// Bytes that could not be read, with the reason; of each page the last that was met.
    pub missing: Vec<(PhysAddr, PageError)>,
}

impl Reads {
    /// What was read here or there. A byte that could be read anywhere is not missing.
    #[must_use]
    pub fn and(mut self, other: Reads) -> Reads {
        self.ranges.extend(other.ranges);
        self.ranges = crate::extents::merge(self.ranges);
        let missing: BTreeMap<u64, PageError> =
            self.missing.iter().chain(&other.missing).map(|(addr, cause)| (addr.0, *cause)).collect();
        self.missing = missing.into_iter().map(|(addr, cause)| (PhysAddr(addr), cause)).collect();
        self
    }

    /// Number of bytes that were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.end - range.start).sum()
    }
}

/// Writes down reads. Shared by threads.
///
/// Cost: a lock, and a search among the ranges so far, for each read.
#[derive(Debug)]
pub(crate) struct Recorder {
    page_size: u64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// Start to end. Disjoint, and never touching.
    ranges: BTreeMap<u64, u64>,
    /// By page.
    missing: BTreeMap<u64, (PhysAddr, PageError)>,
}

impl Recorder {
    pub(crate) fn new(page_size: u64) -> Recorder {
        Recorder { page_size: page_size.max(1), seen: Mutex::default() }
    }

    /// A read of `len` bytes ended so.
    pub(crate) fn note(&self, addr: PhysAddr, len: usize, outcome: &Result<(), MemoryError>) {
        let mut seen = self.seen();
        match outcome {
            Ok(()) => seen.insert(addr.0, addr.0.saturating_add(len as u64)),
            Err(MemoryError { addr: bad, cause }) => {
                // That it failed there and not before tells the reader that what lies before is readable.
                seen.insert(addr.0, *bad);
                seen.missing.insert(bad / self.page_size, (PhysAddr(*bad), *cause));
            }
        }
    }

    pub(crate) fn reads(&self) -> Reads {
        let seen = self.seen();
        Reads {
            ranges: seen.ranges.iter().map(|(start, end)| *start..*end).collect(),
            missing: seen.missing.values().copied().collect(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Nothing panics while it holds the lock.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn insert(&mut self, mut start: u64, mut end: u64) {
        if start >= end {
            return;
        }
        // The last range that begins before the end, as long as it touches.
        while let Some((&first, &last)) = self.ranges.range(..=end).next_back()
            && last >= start
        {
            if first <= start && last >= end {
                return;
            }
            (start, end) = (start.min(first), end.max(last));
            self.ranges.remove(&first);
        }
        self.ranges.insert(start, end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn failed(addr: u64, cause: PageError) -> Result<(), MemoryError> {
        Err(MemoryError { addr, cause })
    }

    #[test]
    fn what_was_read_before_a_hole_counts() {
        let recorder = Recorder::new(0x1000);
        recorder.note(PhysAddr(0x1ff0), 0x20, &failed(0x2000, PageError::Excluded));
        recorder.note(PhysAddr(0x2004), 4, &failed(0x2004, PageError::Excluded));
        recorder.note(PhysAddr(0x5000), 0, &Ok(()));
        recorder.note(PhysAddr(u64::MAX - 1), 9, &Ok(()));
        let reads = recorder.reads();
        assert_eq!(reads.ranges, [0x1ff0..0x2000, u64::MAX - 1..u64::MAX]);
        assert_eq!(reads.missing, [(PhysAddr(0x2004), PageError::Excluded)]);
        assert_eq!(reads.bytes(), 17);
    }

    #[test]
    fn reads_of_two_are_joined() {
        let missing = |at: u64| vec![(PhysAddr(at), PageError::Absent)];
        let one = Reads { ranges: vec![0..4, 8..12], missing: missing(0x3000) };
        let two = Reads { ranges: vec![4..6, 20..21], missing: missing(0x2000) };
        let both = one.clone().and(two.clone());
        assert_eq!(both.ranges, [0..6, 8..12, 20..21]);
        assert_eq!(both.missing, [missing(0x2000), missing(0x3000)].concat());
        assert_eq!(both, two.and(one));
    }

    proptest! {
        #[test]
        fn ranges_are_those_of_a_plain_set(reads in proptest::collection::vec((0_u64..300, 0_usize..40), 0..40)) {
            let (recorder, mut plain) = (Recorder::new(64), vec![false; 400]);
            for (at, len) in reads {
                recorder.note(PhysAddr(at), len, &Ok(()));
                plain[usize::try_from(at).unwrap()..][..len].fill(true);
            }
            let Reads { ranges, .. } = recorder.reads();
            prop_assert!(ranges.is_sorted_by(|before, after| before.end < after.start));
            let set: Vec<u64> = ranges.into_iter().flatten().collect();
            prop_assert_eq!(set, (0..400).filter(|at| plain[usize::try_from(*at).unwrap()]).collect::<Vec<u64>>());
        }
    }
}
