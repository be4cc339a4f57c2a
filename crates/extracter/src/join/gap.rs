//! What of a stream is lost for good, as far as the ring's positions prove it.
//!
//! A ring that does not overwrite hands every sub-buffer to the daemon once and in order, the one at position 0 first. So record
//! number k of the file is the sub-buffer at position k × size, and what is missing between two records whose positions
//! are known can be counted. The records that the core holds have known positions; so has the beginning of the file.

use std::iter::once;
use std::mem::take;
use std::ops::Range;

use serde::Serialize;

/// Whether records are missing from a joined stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Gap {
    /// None is: the positions prove it.
    Exact,
    /// Some are, neither on disk nor in the core. On 32-bit kernels the count is right unless a multiple of 4 GiB is missing.
    Lost {
        /// How many.
        records: u64,
        /// Where.
        ranges: Vec<LostRange>,
    },
    /// Positions prove nothing.
    Unknown {
        /// Why, on one line.
        reason: String,
    },
}

/// Positions in the ring between which records are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LostRange {
    /// Position of the first that may be missing, in bytes.
    pub from: u64,
    /// Position behind the last that may be missing.
    pub to: u64,
    /// How many are missing; all of the range, unless their places are not known more exactly.
    pub records: u64,
}

/// What the counters of a ring say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring {
    pub(crate) sub_buffer_size: u64,
    /// Position up to which the daemon had consumed; `None`: no position is known.
    pub(crate) consumed: Option<u64>,
    /// Positions are of 32 bits, not 64.
    pub(crate) narrow: bool,
    pub(crate) overwrite: bool,
    /// Every record of the file has the size of a sub-buffer.
    pub(crate) whole_sub_buffers: bool,
    /// The stream's first record was begun after the trace was made, as only the sub-buffers after the first are.
    pub(crate) begins_late: bool,
}

/// What a joined stream consists of, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// That many records that are on disk only, one behind the other.
    Disk(u64),
    /// A record on disk that the core holds too, at this position.
    Both(u64),
    /// A record that only the core holds, at this position.
    Core(u64),
    /// That many bytes on disk in no whole record.
    Cut(u64),
    /// The same, but their record is of another time than its neighbours: what is missing may be elsewhere.
    Stray,
}

/// Why positions prove nothing.
const FLIGHT: &str = "a flight recorder: positions do not count what the daemon read";
const WRAPPED: &str = "the positions wrapped at 4 GiB, so they do not tell how much is missing";
const CONTRADICTION: &str =
    "the positions contradict the records on disk: the daemon did not write this file from the start";
const NO_SIZE: &str = "the ring's sub-buffers have no size";
const NO_POSITIONS: &str = "the ring's positions are lost";

/// What is missing between the beginning, all steps, and what the daemon had consumed.
pub(crate) fn gap(steps: &[Step], ring: &Ring) -> Gap {
    let unknown = |reason: &str| Gap::Unknown { reason: reason.to_owned() };
    if ring.overwrite {
        return unknown(FLIGHT);
    }
    if ring.sub_buffer_size == 0 {
        return unknown(NO_SIZE);
    }
    let Some(consumed) = ring.consumed else { return unknown(NO_POSITIONS) };
    let unwrapped = Unwrapped::new(steps, ring, consumed);
    let Some(ranges) = missing(steps, &unwrapped, ring) else { return unknown(CONTRADICTION) };
    match ranges.iter().map(|range| range.records).sum() {
        // A record that seems to be the first and is not: its position has wrapped.
        0 if ring.narrow && ring.begins_late => unknown(WRAPPED),
        0 => Gap::Exact,
        _ if unwrapped.has_wrapped => unknown(WRAPPED),
        records => Gap::Lost { records, ranges },
    }
}

/// The positions of a ring as if they had never wrapped.
struct Unwrapped {
    /// Of each step that has one.
    positions: Vec<u64>,
    consumed: u64,
    has_wrapped: bool,
}

impl Unwrapped {
    fn new(steps: &[Step], ring: &Ring, mut consumed: u64) -> Unwrapped {
        const WRAP: u64 = 1 << 32;
        let known = |step: &Step| match step {
            Step::Both(position) | Step::Core(position) => Some(*position),
            _ => None,
        };
        let mut positions: Vec<u64> = steps.iter().filter_map(known).collect();
        if !ring.narrow {
            return Unwrapped { positions, consumed, has_wrapped: false };
        }
        // They only grow, so that a smaller one has wrapped.
        let (mut lift, mut last) = (0, 0);
        for position in &mut positions {
            lift += if *position < last { WRAP } else { 0 };
            last = *position;
            *position += lift;
        }
        let mut has_wrapped = lift > 0;
        // Half a wrap from the newest sub-buffer at most, on either side.
        let ahead = consumed.wrapping_sub(last) & (WRAP - 1);
        let last = last + lift;
        consumed = if ahead < WRAP / 2 { last + ahead } else { last.saturating_sub(WRAP - ahead) };
        // Nor can there be more records on disk than were consumed.
        let before = steps.iter().take_while(|step| known(step).is_none());
        let before =
            before.map(|step| if let Step::Disk(records) = step { *records } else { 0 }).sum::<u64>();
        let written = before.saturating_mul(ring.sub_buffer_size);
        let first = positions.first().copied().unwrap_or(consumed.saturating_add(ring.sub_buffer_size));
        let lift = written.saturating_sub(first).div_ceil(WRAP).saturating_mul(WRAP);
        has_wrapped |= lift > 0;
        positions.iter_mut().for_each(|position| *position = position.saturating_add(lift));
        Unwrapped { positions, consumed: consumed.saturating_add(lift), has_wrapped }
    }
}

/// Records whose positions are not known, between two that are.
#[derive(Default)]
struct Between {
    /// Records of each run; between two runs something may be missing.
    runs: Vec<u64>,
    /// At each place between two runs: how many records are missing there at least.
    breaks: Vec<u64>,
    /// Records are not where they belong, so the places say nothing.
    stray: bool,
}

impl Between {
    fn add(&mut self, records: u64) {
        match self.runs.last_mut() {
            Some(run) => *run += records,
            None => self.runs.push(records),
        }
    }

    fn interrupt(&mut self, missing: u64) {
        self.add(0);
        self.breaks.push(missing);
        self.runs.push(0);
    }

    fn records(&self) -> u64 {
        self.runs.iter().sum()
    }

    /// What is missing if the first of these follows number `from` − 1 and number `to` follows the last. `None`: there is no room for
    /// them.
    fn missing(&self, from: u64, to: u64) -> Option<Vec<Range<u64>>> {
        let missing = to.checked_sub(from)?.checked_sub(self.records())?;
        if missing == 0 {
            return Some(Vec::new());
        }
        let first = self.runs.first().copied().unwrap_or(0);
        let last = self.runs.last().copied().unwrap_or(0);
        let hull = match self.breaks.as_slice() {
            // Nothing on disk shows where.
            _ if self.stray => from..to,
            [] => from..to,
            [_, _, ..] if self.breaks.iter().sum::<u64>() == missing => {
                let mut at = from;
                let places = self.runs.iter().zip(&self.breaks).filter_map(|(run, missing)| {
                    let place = at + run..at + run + missing;
                    at = place.end;
                    (*missing > 0).then_some(place)
                });
                return Some(places.collect());
            }
            _ => from + first..to - last,
        };
        Some(once(hull).collect())
    }
}

fn missing(steps: &[Step], unwrapped: &Unwrapped, ring: &Ring) -> Option<Vec<LostRange>> {
    let size = ring.sub_buffer_size;
    let mut lost = Vec::new();
    // Number of the record that comes next, and what came since without a number.
    let mut next = 0;
    let mut between = Between::default();
    let mut close = |between: Between, next: u64, to: u64| {
        let missing = to.checked_sub(next)?.checked_sub(between.records())?;
        let ranges = between.missing(next, to)?;
        let exact = ranges.iter().map(|range| range.end - range.start).sum::<u64>() == missing;
        lost.extend(ranges.into_iter().map(|range| LostRange {
            records: if exact { range.end - range.start } else { missing },
            from: range.start.saturating_mul(size),
            to: range.end.saturating_mul(size),
        }));
        Some(())
    };
    let mut positions = unwrapped.positions.iter().map(|position| position / size);
    let mut in_core = false;
    for step in steps {
        // Between disk and core anything may be missing.
        let is_core = matches!(step, Step::Core(_));
        if is_core != in_core {
            between.interrupt(0);
        }
        in_core = is_core;
        match *step {
            Step::Disk(records) => between.add(records),
            Step::Cut(bytes) => {
                between.interrupt(if ring.whole_sub_buffers { bytes.div_ceil(size).max(1) } else { 1 });
            }
            Step::Stray => between.stray = true,
            Step::Both(_) | Step::Core(_) => {
                let number = positions.next()?;
                close(take(&mut between), next, number)?;
                next = number.checked_add(1)?;
            }
        }
    }
    let end = unwrapped.consumed / size;
    let reached = next.saturating_add(between.records());
    if end > reached {
        between.interrupt(0);
        close(between, next, end)?;
    } else if unwrapped.positions.is_empty() && reached > end.saturating_add(1) {
        // The daemon may have written one that it had not yet given back, no more.
        return None;
    }
    Some(lost)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Step::{Both, Core, Cut, Disk, Stray};
    use super::*;

    const SIZE: u64 = 4096;

    fn ring(consumed: u64) -> Ring {
        Ring {
            sub_buffer_size: SIZE,
            consumed: Some(consumed * SIZE),
            narrow: false,
            overwrite: false,
            whole_sub_buffers: true,
            begins_late: false,
        }
    }

    fn at(number: u64) -> u64 {
        number * SIZE
    }

    fn lost(ranges: &[(Range<u64>, u64)]) -> Gap {
        let ranges: Vec<_> = ranges
            .iter()
            .map(|(range, records)| LostRange { from: at(range.start), to: at(range.end), records: *records })
            .collect();
        Gap::Lost { records: ranges.iter().map(|range| range.records).sum(), ranges }
    }

    fn is_unknown(gap: &Gap, why: &str) -> bool {
        matches!(gap, Gap::Unknown { reason } if reason == why)
    }

    #[test]
    fn nothing_is_missing() {
        for steps in [
            &[][..],
            &[Core(0)],
            &[Disk(3), Core(at(3)), Core(at(4))],
            &[Disk(2), Both(at(2)), Core(at(3))],
            // A record that was torn is in the core.
            &[Disk(2), Cut(100), Core(at(2)), Core(at(3))],
            &[Disk(2), Core(at(2)), Cut(100), Disk(1), Both(at(4))],
            // What was cut was no record.
            &[Disk(2), Cut(4096), Disk(1), Both(at(3))],
        ] {
            assert_eq!(gap(steps, &ring(0)), Gap::Exact, "{steps:?}");
        }
        // The daemon had written one that it had not given back; and everything was given back.
        for consumed in [4, 5] {
            assert_eq!(gap(&[Disk(5)], &ring(consumed)), Gap::Exact);
            assert_eq!(gap(&[Disk(5), Core(at(5))], &ring(consumed)), Gap::Exact);
        }
    }

    #[test]
    fn what_is_missing_at_the_end_of_the_file() {
        assert_eq!(gap(&[Disk(3), Core(at(5)), Core(at(6))], &ring(6)), lost(&[(3..5, 2)]));
        assert_eq!(gap(&[Disk(3), Cut(77), Core(at(5))], &ring(6)), lost(&[(3..5, 2)]));
        assert_eq!(gap(&[Disk(3)], &ring(5)), lost(&[(3..5, 2)]));
        assert_eq!(gap(&[Core(at(5))], &ring(5)), lost(&[(0..5, 5)]));
        assert_eq!(gap(&[], &ring(5)), lost(&[(0..5, 5)]));
        // Also between sub-buffers of the core: one was unreadable.
        assert_eq!(gap(&[Disk(3), Core(at(3)), Core(at(5))], &ring(3)), lost(&[(4..5, 1)]));
    }

    #[test]
    fn what_is_missing_in_the_middle() {
        assert_eq!(gap(&[Disk(3), Cut(77), Disk(2), Both(at(6))], &ring(7)), lost(&[(3..4, 1)]));
        assert_eq!(gap(&[Cut(77), Disk(2), Both(at(4))], &ring(5)), lost(&[(0..2, 2)]));
        assert_eq!(gap(&[Disk(3), Cut(77), Disk(2), Core(at(6))], &ring(6)), lost(&[(3..4, 1)]));
        // Two places, two records: one each. Two places, three records of unknown size: somewhere there.
        let steps = [Disk(3), Cut(77), Disk(2), Cut(99), Disk(1), Both(at(8))];
        assert_eq!(gap(&steps, &ring(9)), lost(&[(3..4, 1), (6..7, 1)]));
        let steps = [Disk(3), Cut(77), Disk(2), Cut(99), Disk(1), Both(at(9))];
        assert_eq!(gap(&steps, &ring(9)), lost(&[(3..8, 3)]));
        let steps = [Disk(3), Cut(8192), Disk(2), Cut(99), Disk(1), Both(at(9))];
        assert_eq!(gap(&steps, &ring(9)), lost(&[(3..5, 2), (7..8, 1)]));
        // It lay behind its successor.
        assert_eq!(gap(&[Disk(3), Stray, Disk(2), Both(at(6))], &ring(7)), lost(&[(0..6, 1)]));
        // Not a trace of it on disk.
        assert_eq!(gap(&[Disk(3), Both(at(4)), Core(at(5))], &ring(5)), lost(&[(0..4, 1)]));
        // Found by the core between records of the file.
        let steps = [Disk(3), Core(at(3)), Cut(50), Disk(1), Both(at(5)), Core(at(6))];
        assert_eq!(gap(&steps, &ring(6)), Gap::Exact);
    }

    #[test]
    fn positions_that_prove_nothing() {
        assert!(is_unknown(&gap(&[Disk(3)], &Ring { overwrite: true, ..ring(3) }), FLIGHT));
        assert!(is_unknown(&gap(&[Disk(3)], &Ring { sub_buffer_size: 0, ..ring(3) }), NO_SIZE));
        assert!(is_unknown(&gap(&[Disk(3), Core(0)], &Ring { consumed: None, ..ring(3) }), NO_POSITIONS));
        // More on disk than was ever consumed: an earlier trace lies in front.
        assert!(is_unknown(&gap(&[Disk(9)], &ring(3)), CONTRADICTION));
        assert!(is_unknown(&gap(&[Disk(9), Both(at(3))], &ring(4)), CONTRADICTION));
        assert!(is_unknown(&gap(&[Disk(9), Core(at(3))], &ring(3)), CONTRADICTION));
        assert!(is_unknown(&gap(&[Core(at(4)), Core(at(3))], &ring(3)), CONTRADICTION));
    }

    #[test]
    fn narrow_positions_wrap() {
        let narrow = |consumed: u64| Ring { narrow: true, consumed: Some(consumed), ..ring(0) };
        let wrap = (1 << 32) / SIZE;
        assert_eq!(gap(&[Disk(3), Core(at(3))], &narrow(at(3))), Gap::Exact);
        assert_eq!(gap(&[Disk(3), Core(at(4))], &narrow(at(4))), lost(&[(3..4, 1)]));
        let end = at(wrap - 1);
        assert_eq!(gap(&[Disk(wrap - 1), Core(end), Core(0)], &narrow(end)), Gap::Exact);
        assert_eq!(gap(&[Disk(wrap - 1), Both(end), Core(0)], &narrow(0)), Gap::Exact);
        assert_eq!(gap(&[Disk(2 * wrap + 5), Core(at(5))], &narrow(at(5))), Gap::Exact);
        assert_eq!(gap(&[Disk(2 * wrap + 5)], &narrow(at(5))), Gap::Exact);
        assert_eq!(gap(&[Disk(2 * wrap)], &narrow(at(wrap - 1))), Gap::Exact);
        assert!(is_unknown(&gap(&[Disk(wrap + 5), Core(at(7))], &narrow(at(7))), WRAPPED));
        assert!(is_unknown(&gap(&[Disk(wrap - 2), Core(end), Core(0)], &narrow(end)), WRAPPED));
        assert!(is_unknown(&gap(&[Disk(5), Core(end), Core(0)], &narrow(end)), WRAPPED));
        // Nothing but its begin shows that this is not the first.
        let late = Ring { begins_late: true, ..narrow(at(1)) };
        assert!(is_unknown(&gap(&[Core(0), Core(at(1))], &late), WRAPPED));
        assert_eq!(gap(&[Core(at(1))], &late), lost(&[(0..1, 1)]));
        // Without wrapping, the same numbers are a contradiction.
        assert!(is_unknown(&gap(&[Disk(wrap + 5), Core(at(7))], &ring(7)), CONTRADICTION));
    }

    #[test]
    fn as_json() {
        let json = serde_json::to_value(lost(&[(3..5, 2)])).unwrap();
        let expected = r#"{"state":"lost","records":2,"ranges":[{"from":12288,"to":20480,"records":2}]}"#;
        assert_eq!(json, serde_json::from_str::<serde_json::Value>(expected).unwrap());
        assert_eq!(serde_json::to_value(Gap::Exact).unwrap()["state"], "exact");
    }

    fn step() -> impl Strategy<Value = Step> {
        let near = prop_oneof![0..20_u64, any::<u64>().prop_map(|n| n >> 12)];
        prop_oneof![
            near.clone().prop_map(|records| Disk(records >> 8)),
            near.clone().prop_map(|number| Both(number << 12)),
            near.clone().prop_map(|number| Core(number << 12)),
            near.prop_map(|bytes| Cut(bytes >> 8)),
        ]
    }

    proptest! {
        #[test]
        fn any_counters_are_bounded(
            steps in prop::collection::vec(step(), 0..12), consumed: u64, size: u64, narrow: bool, whole_sub_buffers: bool,
        ) {
            let mask = if narrow { u64::from(u32::MAX) } else { u64::MAX };
            let steps: Vec<_> = steps.into_iter().map(|step| match step {
                Both(at) => Both(at & mask),
                Core(at) => Core(at & mask),
                step => step,
            }).collect();
            for sub_buffer_size in [size, SIZE] {
                let ring = Ring { sub_buffer_size, consumed: Some(consumed & mask), narrow, overwrite: false, whole_sub_buffers, begins_late: false };
                if let Gap::Lost { records, ranges } = gap(&steps, &ring) {
                    prop_assert!(records > 0);
                    prop_assert!(ranges.iter().all(|range| range.from < range.to));
                }
            }
        }

        /// A ring that was read and torn: what is said to be missing is exactly what is.
        #[test]
        fn what_was_taken_away_is_missing(
            consumed in 0_u64..30,
            held in 1_u64..8,
            kept in prop::collection::vec(any::<bool>(), 30),
            (cut_to, cut_len) in (0_u64..30, 0_u64..4),
        ) {
            // The core holds the last ones before `consumed` and two more; the file lost one run of records, visibly, and its end.
            let oldest = (consumed + 2).saturating_sub(held);
            let written = kept.iter().take(usize::try_from(consumed).unwrap()).take_while(|kept| **kept).count() as u64;
            let cut = cut_to.min(written)..(cut_to + cut_len).min(written);
            let mut steps = Vec::new();
            let mut gone = Vec::new();
            for number in 0..consumed + 2 {
                let on_disk = number < written && !cut.contains(&number);
                let in_core = number >= oldest;
                if number == cut.start && !cut.is_empty() {
                    steps.push(Cut(at(cut.end - cut.start)));
                }
                match (on_disk, in_core) {
                    (true, true) => steps.push(Both(at(number))),
                    (true, false) => steps.push(Disk(1)),
                    (false, true) => steps.push(Core(at(number))),
                    (false, false) => gone.push(number),
                }
            }
            match gap(&steps, &ring(consumed)) {
                Gap::Exact => prop_assert!(gone.is_empty()),
                Gap::Lost { records, ranges } => {
                    prop_assert_eq!(records, gone.len() as u64);
                    let inside = |number: &u64| ranges.iter().any(|range| (range.from..range.to).contains(&at(*number)));
                    prop_assert!(gone.iter().all(inside), "{gone:?} {ranges:?}");
                }
                unknown => prop_assert!(false, "{unknown:?}"),
            }
        }
    }
}
