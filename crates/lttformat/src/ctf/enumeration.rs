//! Labels of numbers.

/// The labels of an enumeration.
#[derive(Clone, Debug)]
pub struct Enumeration {
    labels: Box<[Box<str>]>,
    ranges: Ranges,
}

/// Ranges of numbers, each with the index of what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Ranges {
    /// Sorted by their start if they do not overlap, else as declared.
    ranges: Box<[(i128, i128, usize)]>,
    disjoint: bool,
}

/// Overlapping ranges have to be searched one by one, so there must not be many.
const MAX_OVERLAPPING: usize = 1024;

impl Ranges {
    /// `None` if too many of them overlap.
    pub(super) fn new(mut ranges: Vec<(i128, i128, usize)>) -> Option<Ranges> {
        let declared = ranges.clone();
        ranges.retain(|(from, to, _)| from <= to);
        ranges.sort_unstable();
        let disjoint = ranges.windows(2).all(|pair| match pair {
            [(_, end, _), (start, _, _)] => end < start,
            _ => true,
        });
        if disjoint {
            return Some(Ranges { ranges: ranges.into(), disjoint });
        }
        (declared.len() <= MAX_OVERLAPPING).then(|| Ranges { ranges: declared.into(), disjoint })
    }

    /// The end of the range from 0 on, if no other overlaps it, and the index that it stands for.
    pub(super) fn starting_at_zero(&self) -> Option<(u64, usize)> {
        let (_, end, index) = self.ranges.iter().find(|(from, _, _)| self.disjoint && *from == 0)?;
        Some((u64::try_from(*end).unwrap_or(u64::MAX), *index))
    }

    /// The indices whose ranges hold the number, in the order of declaration.
    pub(super) fn find(&self, value: i128) -> impl Iterator<Item = usize> {
        let candidates = if self.disjoint {
            let after = self.ranges.partition_point(|(from, _, _)| *from <= value);
            self.ranges.get(after.saturating_sub(1)..after).unwrap_or_default()
        } else {
            &self.ranges
        };
        candidates
            .iter()
            .filter(move |(from, to, _)| (*from..=*to).contains(&value))
            .map(|(_, _, index)| *index)
    }
}

impl Enumeration {
    /// From labels with their ranges; a label may come more than once. `None` if too many ranges overlap.
    pub(super) fn new<'a>(mappings: impl Iterator<Item = (&'a str, i128, i128)>) -> Option<Enumeration> {
        let mut labels: Vec<Box<str>> = Vec::new();
        let mut known = std::collections::HashMap::new();
        let mut ranges = Vec::new();
        for (label, from, to) in mappings {
            let index = *known.entry(label).or_insert(labels.len());
            if index == labels.len() {
                labels.push(label.into());
            }
            ranges.push((from, to, index));
        }
        Some(Enumeration { labels: labels.into(), ranges: Ranges::new(ranges)? })
    }

    /// The labels of a number: none, one, or several where ranges overlap.
    pub fn labels(&self, value: i128) -> impl Iterator<Item = &str> {
        self.ranges.find(value).filter_map(|index| self.labels.get(index).map(|label| &**label))
    }

    /// All ranges with their labels.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (i128, i128, &str)> {
        self.ranges
            .ranges
            .iter()
            .filter_map(|(from, to, index)| self.labels.get(*index).map(|label| (*from, *to, &**label)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disjoint_and_overlapping_ranges() {
        let labels = |enumeration: &Enumeration, value| {
            enumeration.labels(value).map(str::to_owned).collect::<Vec<_>>().join("+")
        };
        let mappings = [("mid", 5, 9), ("low", -3, 4), ("one", 20, 20), ("mid", 12, 13)];
        let enumeration = Enumeration::new(mappings.into_iter()).unwrap();
        let found: Vec<_> = [-4, -3, 4, 5, 9, 10, 12, 20, 21].map(|value| labels(&enumeration, value)).into();
        assert_eq!(found, ["", "low", "low", "mid", "mid", "", "mid", "one", ""]);

        let mappings = [("b", 5, 9), ("a", 0, 6), ("never", 3, 2)];
        let enumeration = Enumeration::new(mappings.into_iter()).unwrap();
        assert_eq!(labels(&enumeration, 6), "b+a");
        assert_eq!(labels(&enumeration, 2), "a");
        assert!(Enumeration::new((0..2000).map(|from| ("x", from, from + 1))).is_none());
        assert!(Enumeration::new((0..2000).map(|from| ("x", from, from))).is_some());
    }
}
