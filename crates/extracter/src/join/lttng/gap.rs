//! What of a stream is lost for good, by the numbers of its packets (2.8 and later).

use lttformat::ctf::IndexEntry;

use crate::join::gap::{Gap, LostRange};

/// A stream as it is in the end.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    /// Numbers of its packets, in order.
    pub(crate) numbers: Vec<u64>,
    /// The file must have begun with packet 0: it was torn at its beginning, or none of it is left.
    pub(crate) begins_at_zero: bool,
    /// Number of the first packet that the daemon had not consumed.
    pub(crate) consumed: Option<u64>,
    pub(crate) sub_buffer_size: u64,
    pub(crate) overwrite: bool,
}

/// Why numbers prove nothing.
const FLIGHT: &str = "a channel that overwrites: what is missing may never have been meant for the disk";

/// The numbers of packets; `None` if one has none.
pub(crate) fn numbers<'e>(entries: impl Iterator<Item = &'e IndexEntry>) -> Option<Vec<u64>> {
    entries.map(|entry| entry.packet_seq_num).collect()
}

/// What is missing between the packets, before them, and up to what the daemon had consumed.
pub(crate) fn gap(stream: &Numbered) -> Gap {
    let Numbered { numbers, begins_at_zero, consumed, sub_buffer_size, overwrite } = stream;
    let start = if *begins_at_zero { Some(0) } else { numbers.first().copied() };
    let mut next = start.or(*consumed).unwrap_or(0);
    let mut ranges = Vec::new();
    for number in numbers.iter().copied().chain(*consumed) {
        if number > next {
            ranges.push(LostRange {
                from: next.saturating_mul(*sub_buffer_size),
                to: number.saturating_mul(*sub_buffer_size),
                records: number - next,
            });
        }
        // The consumed position is that of a packet that may be here already.
        next = next.max(number.saturating_add(1));
    }
    match ranges.iter().map(|range| range.records).fold(0, u64::saturating_add) {
        0 => Gap::Exact,
        _ if *overwrite => Gap::Unknown { reason: FLIGHT.to_owned() },
        records => Gap::Lost { records, ranges },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(numbers: &[u64]) -> Numbered {
        Numbered {
            numbers: numbers.to_vec(),
            begins_at_zero: false,
            consumed: None,
            sub_buffer_size: 4096,
            overwrite: false,
        }
    }

    fn lost(gap: Gap) -> Vec<(u64, u64)> {
        match gap {
            Gap::Exact => Vec::new(),
            Gap::Lost { records, ranges } => {
                assert_eq!(records, ranges.iter().map(|range| range.records).sum::<u64>());
                assert!(ranges.iter().all(|range| range.to - range.from == range.records * 4096));
                ranges.iter().map(|range| (range.from / 4096, range.records)).collect()
            }
            Gap::Unknown { reason } => panic!("{reason}"),
        }
    }

    #[test]
    fn numbers_tell_what_is_missing() {
        assert!(lost(gap(&stream(&[0, 1, 2]))).is_empty());
        assert!(lost(gap(&stream(&[7, 8]))).is_empty());
        assert!(lost(gap(&stream(&[]))).is_empty());
        assert_eq!(lost(gap(&stream(&[0, 3, 4, 9]))), [(1, 2), (5, 4)]);
        assert_eq!(lost(gap(&Numbered { begins_at_zero: true, ..stream(&[2, 3]) })), [(0, 2)]);
        let consumed = |consumed| Numbered { consumed: Some(consumed), ..stream(&[0, 1]) };
        assert!(lost(gap(&consumed(1))).is_empty());
        assert!(lost(gap(&consumed(2))).is_empty());
        assert_eq!(lost(gap(&consumed(5))), [(2, 3)]);
        assert_eq!(lost(gap(&Numbered { numbers: vec![], begins_at_zero: true, ..consumed(5) })), [(0, 5)]);
        assert!(lost(gap(&Numbered { numbers: vec![], ..consumed(5) })).is_empty());
    }

    #[test]
    fn what_is_overwritten_is_not_lost() {
        assert!(matches!(gap(&Numbered { overwrite: true, ..stream(&[0, 2]) }), Gap::Unknown { .. }));
        assert_eq!(gap(&Numbered { overwrite: true, ..stream(&[4, 5]) }), Gap::Exact);
    }
}
