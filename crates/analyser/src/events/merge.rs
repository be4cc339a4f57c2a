//! Many streams in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::Entry;
use super::source::{Source, start_at};

/// K-way merge: always the oldest entry of those that the sources stand on; of equally old ones that of the first source.
///
/// Cost: for each entry one step of its source, and comparisons by the logarithm of the number of sources at most, two when it has
/// the next entry too.
pub(super) struct Merge<'a> {
    sources: Vec<Box<dyn Source + 'a>>,
    /// Sources that stand on an entry, with its time.
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    /// Whether the entry at the top was delivered already.
    delivered: bool,
}

impl<'a> Merge<'a> {
    /// All entries that are not older than `from`, of each source.
    pub(super) fn since(mut sources: Vec<Box<dyn Source + 'a>>, from: Vec<u64>) -> Merge<'a> {
        for (source, from) in sources.iter_mut().zip(from) {
            start_at(source.as_mut(), from);
        }
        Merge::started(sources)
    }

    /// The entries from the `count`-th newest event on that are not older than `from`, of each source; all of those if there are
    /// fewer events.
    ///
    /// Cost: decodes the last few records of every stream, doubling their number until that many events are surely the newest.
    pub(super) fn last(mut sources: Vec<Box<dyn Source + 'a>>, count: u64, from: Vec<u64>) -> Merge<'a> {
        if count == 0 {
            return Merge { sources, heap: BinaryHeap::new(), delivered: false };
        }
        let earliest = from.iter().copied().min().unwrap_or(0);
        let mut records = 1_u64;
        loop {
            let complete_from = sources.iter_mut().map(|source| source.rewind(records)).max().unwrap_or(0);
            let start = |from: u64| complete_from.max(from);
            let starts = sources.iter_mut().zip(&from);
            let events: u64 = starts.map(|(source, &from)| events(source.as_mut(), start(from))).sum();
            if events >= count || complete_from <= earliest {
                for (source, &from) in sources.iter_mut().zip(&from) {
                    source.rewind(records);
                    source.not_before(start(from));
                }
                let mut merge = Merge::started(sources);
                merge.skip(events.saturating_sub(count), events >= count);
                return merge;
            }
            records = records.saturating_mul(2);
        }
    }

    fn started(mut sources: Vec<Box<dyn Source + 'a>>) -> Merge<'a> {
        let heads = sources.iter_mut().enumerate();
        let heap = heads.filter_map(|(at, source)| Some(Reverse((source.advance()?, at)))).collect();
        Merge { sources, heap, delivered: false }
    }

    /// Passes over this number of events, and, if `to_event`, over what is no event before the next one.
    fn skip(&mut self, mut events: u64, to_event: bool) {
        while events > 0 || to_event {
            let Some(at) = self.step() else { return };
            if self.sources.get(at).is_some_and(|source| source.is_event()) {
                if events == 0 {
                    // This one is to be delivered.
                    self.delivered = false;
                    return;
                }
                events -= 1;
            }
        }
    }

    /// Moves to the next entry; returns the number of its source.
    fn step(&mut self) -> Option<usize> {
        if std::mem::replace(&mut self.delivered, true)
            && let Some(mut top) = self.heap.peek_mut()
        {
            match self.sources.get_mut(top.0.1).and_then(|source| source.advance()) {
                Some(time) => top.0.0 = time,
                None => drop(PeekMut::pop(top)),
            }
        }
        self.heap.peek().map(|top| top.0.1)
    }

    /// The next entry.
    pub(super) fn next(&mut self) -> Option<Entry<'_>> {
        let at = self.step()?;
        self.sources.get(at)?.entry()
    }
}

/// Number of events that are not older than `from`.
fn events(source: &mut dyn Source, from: u64) -> u64 {
    source.not_before(from);
    let mut events = 0;
    while source.advance().is_some() {
        events += u64::from(source.is_event());
    }
    events
}
