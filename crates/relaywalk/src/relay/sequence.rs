//! From a relay buffer's counters to its sub-buffers in order. Pure arithmetic.

use crate::{Abi, State};

/// Counters of one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts<'a> {
    /// Bytes of one sub-buffer; any number but 0.
    pub size: u64,
    /// Number of sub-buffers; any number but 0.
    pub count: u64,
    /// Sub-buffers closed so far.
    pub produced: u64,
    /// Sub-buffers read so far.
    pub consumed: u64,
    /// Bytes in the current sub-buffer; one more than its size = stopped, full.
    pub offset: u64,
    /// Sub-buffer that is being written, by its memory. Lags behind `produced` while writing has stopped, and in a crash
    /// within a switch.
    pub current: u64,
    /// Bytes already read from the oldest unread sub-buffer.
    pub bytes_consumed: u64,
    /// Unused bytes at the end of each sub-buffer; `None` when that array cannot be read.
    pub padding: Option<&'a [u64]>,
}

/// One sub-buffer with something in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Number of the sub-buffer since the open.
    pub sequence: u64,
    /// Its slot.
    pub index: u64,
    /// Ready, open or consumed.
    pub state: State,
    /// Valid bytes from its start.
    pub len: u64,
    /// Of these, bytes that a reader had taken; at most `len`. All of a consumed sub-buffer.
    pub skip: u64,
}

/// What the counters say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Plan {
    /// Sub-buffers, oldest first; empty closed ones left out.
    pub spans: Vec<Span>,
    /// Whether writing had stopped because the buffer was full.
    pub stopped: bool,
    /// Whether unread sub-buffers had been overwritten.
    pub overwritten: bool,
    /// Slots whose padding exceeds the sub-buffer: their whole memory is taken.
    pub bad_padding: Vec<u64>,
}

/// Puts the sub-buffers in order.
///
/// `None` when the counters contradict each other or the shape is none (no bytes, more than a million sub-buffers).
#[must_use]
pub fn plan(abi: Abi, counts: &Counts<'_>) -> Option<Plan> {
    let Counts { size, count, produced, offset, current, .. } = *counts;
    let mask = abi.word_mask();
    let shape = size != 0 && (1..=1_000_000).contains(&count) && current < count;
    let unread = produced.wrapping_sub(counts.consumed) & mask;
    if !shape || offset > size.checked_add(1)? || unread > mask >> 1 {
        return None;
    }
    let stopped = offset == size + 1;
    // Died within a switch: a sub-buffer was closed, the next not yet entered.
    let switching = !stopped && current != produced % count;
    let open = if stopped || switching { 0 } else { offset };

    let mut plan = Plan { stopped, ..Plan::default() };
    let mut consumed = counts.consumed;
    let mut skip = counts.bytes_consumed;
    let kept = if stopped { count } else { count - 1 };
    if unread > kept {
        consumed = produced.wrapping_sub(kept) & mask;
        skip = 0;
        plan.overwritten = true;
    }
    // Consumed ones are intact until the writer enters their memory again.
    let intact = if stopped || switching { count } else { count - 1 };
    let first = produced.saturating_sub(intact);
    let closed = |sequence: u64, plan: &mut Plan| {
        let index = sequence % count;
        let padding =
            counts.padding.and_then(|list| usize::try_from(index).ok().and_then(|i| list.get(i))).copied();
        let len = size.checked_sub(padding.unwrap_or(0)).unwrap_or_else(|| {
            plan.bad_padding.push(index);
            size
        });
        (index, len)
    };
    // Before the first wrap of the counter there is nothing older than sequence 0.
    let older = if first <= consumed { first..consumed } else { consumed..consumed };
    for sequence in older {
        let (index, len) = closed(sequence, &mut plan);
        plan.spans.push(Span { sequence, index, state: State::Consumed, len, skip: len });
    }
    for i in 0..(produced.wrapping_sub(consumed) & mask) {
        let sequence = consumed.wrapping_add(i) & mask;
        let (index, len) = closed(sequence, &mut plan);
        plan.spans.push(Span {
            sequence,
            index,
            state: State::Ready,
            len,
            skip: if i == 0 { skip.min(len) } else { 0 },
        });
    }
    if open != 0 {
        let skip = if consumed == produced { skip.min(open) } else { 0 };
        plan.spans.push(Span {
            sequence: produced,
            index: produced % count,
            state: State::Open,
            len: open,
            skip,
        });
    }
    // A flush may close a sub-buffer without a byte in it.
    plan.spans.retain(|span| span.len != 0);
    Some(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Endian, WordSize};

    const ABI: Abi = Abi { endian: Endian::Little, word: WordSize::Bits64 };

    fn counts(padding: &[u64]) -> Counts<'_> {
        Counts {
            size: 0x1000,
            count: 4,
            produced: 9,
            consumed: 7,
            offset: 0x120,
            current: 1,
            bytes_consumed: 0x800,
            padding: Some(padding),
        }
    }

    fn summary(plan: &Plan) -> Vec<(u64, u64, State, u64, u64)> {
        plan.spans.iter().map(|s| (s.sequence, s.index, s.state, s.len, s.skip)).collect()
    }

    #[test]
    fn running_buffer() {
        let plan = plan(ABI, &counts(&[0x10, 0, 0x20, 0x08])).unwrap();
        assert_eq!(
            summary(&plan),
            [
                (6, 2, State::Consumed, 0xfe0, 0xfe0),
                (7, 3, State::Ready, 0xff8, 0x800),
                (8, 0, State::Ready, 0xff0, 0),
                (9, 1, State::Open, 0x120, 0),
            ]
        );
        let unread: u64 =
            plan.spans.iter().filter(|s| s.state != State::Consumed).map(|s| s.len - s.skip).sum();
        assert_eq!(unread, 0x1908);
    }

    #[test]
    fn stopped_full() {
        let full = Counts {
            produced: 8,
            consumed: 4,
            offset: 0x1001,
            current: 3,
            bytes_consumed: 0,
            ..counts(&[1, 2, 3, 4])
        };
        let plan = plan(ABI, &full).unwrap();
        assert!(plan.stopped && !plan.overwritten);
        assert_eq!(
            summary(&plan),
            [
                (4, 0, State::Ready, 0xfff, 0),
                (5, 1, State::Ready, 0xffe, 0),
                (6, 2, State::Ready, 0xffd, 0),
                (7, 3, State::Ready, 0xffc, 0),
            ]
        );
    }

    #[test]
    fn overwriting() {
        let lapped = Counts {
            produced: 20,
            consumed: 0,
            offset: 0x30,
            current: 0,
            bytes_consumed: 9,
            ..counts(&[0; 4])
        };
        let plan = plan(ABI, &lapped).unwrap();
        assert!(plan.overwritten);
        assert_eq!(
            summary(&plan),
            [
                (17, 1, State::Ready, 0x1000, 0),
                (18, 2, State::Ready, 0x1000, 0),
                (19, 3, State::Ready, 0x1000, 0),
                (20, 0, State::Open, 0x30, 0),
            ]
        );
    }

    #[test]
    fn died_in_switch() {
        let died = Counts {
            produced: 5,
            consumed: 5,
            offset: 0xfe0,
            current: 0,
            bytes_consumed: 0,
            ..counts(&[0x20, 0, 0, 0])
        };
        let plan = plan(ABI, &died).unwrap();
        assert_eq!(
            summary(&plan),
            [
                (1, 1, State::Consumed, 0x1000, 0x1000),
                (2, 2, State::Consumed, 0x1000, 0x1000),
                (3, 3, State::Consumed, 0x1000, 0x1000),
                (4, 0, State::Consumed, 0xfe0, 0xfe0),
            ]
        );
    }

    #[test]
    fn nothing_unread_and_first_lap() {
        let read = Counts { produced: 1, consumed: 1, bytes_consumed: 0x120, ..counts(&[8, 0, 0, 0]) };
        let plan = plan(ABI, &read).unwrap();
        assert_eq!(
            summary(&plan),
            [(0, 0, State::Consumed, 0xff8, 0xff8), (1, 1, State::Open, 0x120, 0x120)]
        );
    }

    #[test]
    fn contradictions() {
        assert_eq!(plan(ABI, &Counts { size: 0, ..counts(&[]) }), None);
        assert_eq!(plan(ABI, &Counts { count: 0, ..counts(&[]) }), None);
        assert_eq!(plan(ABI, &Counts { offset: 0x1002, ..counts(&[]) }), None);
        assert_eq!(plan(ABI, &Counts { consumed: 10, ..counts(&[]) }), None);
        assert_eq!(plan(ABI, &Counts { size: u64::MAX, offset: 0, ..counts(&[]) }), None);
        let bad = plan(ABI, &counts(&[0x1001, 0, 0, 0x1000])).unwrap();
        assert_eq!(bad.bad_padding, [0]);
        assert_eq!(
            summary(&bad),
            [
                (6, 2, State::Consumed, 0x1000, 0x1000),
                (8, 0, State::Ready, 0x1000, 0),
                (9, 1, State::Open, 0x120, 0)
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn any_counters_are_bounded(size in 0u64.., count in 0u64..2000, produced in 0u64.., consumed in 0u64..,
                                    offset in 0u64.., current in 0u64..2000, bytes_consumed in 0u64..) {
            for word in [WordSize::Bits32, WordSize::Bits64] {
                let counts = Counts { size, count, produced, consumed, offset, current, bytes_consumed, padding: None };
                if let Some(plan) = plan(Abi { word, ..ABI }, &counts) {
                    proptest::prop_assert!(plan.spans.len() as u64 <= count + 1);
                    proptest::prop_assert!(plan.spans.iter().all(|s| s.skip <= s.len && s.len <= size && s.index < count));
                }
            }
        }
    }
}
