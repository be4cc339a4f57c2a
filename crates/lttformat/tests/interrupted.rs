//! Writers that died: the valid prefix of a sub-buffer with a slot that was reserved and never committed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod writer;

use lttformat::ltt::prefix::{Evidence, LastTsc, Prefix, Rule, Stage, valid_prefix};
use lttformat::ltt::{Channel, Header, Markers};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use writer::{Machine, MarkerSpec, Writer, machine, markers, values};

const CHANNEL: Channel<'static> = Channel::Data(b"kernel");

/// A head sub-buffer of `size` bytes, full of events up to some point, and all that decoding it needs.
#[derive(Clone)]
struct Head {
    writer: Writer,
    markers: Markers,
    size: usize,
}

impl std::fmt::Debug for Head {
    /// What is needed to understand a failure.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?}, {} bytes: {:02x?}", self.writer.machine, self.reserved(), self.writer.bytes)?;
        self.markers.iter().try_for_each(|(_, marker)| {
            writeln!(
                f,
                "{} {:?}",
                marker.id(),
                marker.format().map(<[u8]>::escape_ascii).map(|text| text.to_string())
            )
        })?;
        self.writer.written.iter().try_for_each(|event| writeln!(f, "{event:x?}"))
    }
}

impl Head {
    fn new(machine: Machine, specs: &[MarkerSpec], seeds: &[(usize, u64, u64)]) -> Head {
        let mut metadata = Writer::new(machine, 1);
        for spec in specs {
            metadata.announce("kernel", spec, false);
        }
        let header = Header::parse(&metadata.bytes).unwrap();
        let mut markers = Markers::new(&header);
        let _ = markers.learn(&header, &metadata.bytes, metadata.bytes.len() as u64);
        let mut writer = Writer::new(machine, 0x1_2345_6789);
        for &(pick, seed, delta) in seeds {
            let spec = &specs[pick % specs.len()];
            writer.event(spec, &values(spec, seed), writer.now + delta, 0, false);
        }
        let size = writer.bytes.len().next_power_of_two().max(4096);
        Head { writer, markers, size }
    }

    fn reserved(&self) -> usize {
        self.writer.bytes.len()
    }

    fn evidence(&self, committed: usize) -> Evidence {
        let truncated = self.writer.machine.pointer == 4;
        let value = if truncated { self.writer.now >> 27 } else { self.writer.now };
        Evidence {
            stage: Stage::Open,
            reserved: self.reserved() as u64,
            committed: committed as u64,
            commit_seq: None,
            last_tsc: Some(LastTsc { value, truncated }),
            not_before: None,
            not_after: None,
        }
    }

    /// The prefix when memory holds `bytes`, the rest of the sub-buffer being zero.
    fn prefix(&self, mut bytes: Vec<u8>, evidence: &Evidence) -> Prefix {
        bytes.resize(self.size, 0);
        let header = Header::parse(&bytes).unwrap();
        valid_prefix(&bytes, &header, CHANNEL, &self.markers, evidence)
    }

    /// End of the last whole event that ends by `limit`.
    fn whole(&self, limit: usize) -> usize {
        let ends = self.writer.written.iter().map(|event| event.slot.end);
        ends.take_while(|&end| end <= limit).last().unwrap_or(self.writer.machine.header_len())
    }

    fn time(&self, end: usize) -> u64 {
        let event = self.writer.written.iter().find(|event| event.slot.end == end);
        event.map_or(self.writer.begin, |event| event.tsc)
    }
}

fn head() -> impl Strategy<Value = Head> {
    let machine = machine().prop_filter("2.x", |machine| machine.version.0 == 2);
    let specs = machine.prop_flat_map(|machine| (Just(machine), markers(machine, 2..60)));
    let seeds = prop::collection::vec((any::<usize>(), any::<u64>(), 1..1_u64 << 22), 1..120);
    (specs, seeds).prop_map(|((machine, specs), seeds)| Head::new(machine, &specs, &seeds))
}

proptest! {
    /// The overwhelmingly common case, with or without markers.
    #[test]
    fn everything_committed(head in head()) {
        let reserved = head.reserved();
        let prefix = head.prefix(head.writer.bytes.clone(), &head.evidence(reserved));
        prop_assert_eq!((prefix.valid, prefix.rule, prefix.doubtful), (reserved as u64, Rule::Committed, false));
        prop_assert_eq!((prefix.events, prefix.last_time), (head.writer.written.len() as u64, head.writer.now));

        let blind = Head { markers: Markers::new(&Header::parse(&head.writer.bytes).unwrap()), ..head };
        let prefix = blind.prefix(blind.writer.bytes.clone(), &blind.evidence(reserved));
        prop_assert_eq!((prefix.valid, prefix.doubtful), (reserved as u64, false));
        prop_assert!(prefix.stop.is_some() && prefix.events == 0);
        if blind.writer.machine.pointer == 8 {
            prop_assert_eq!(prefix.last_time, blind.writer.now);
        }
    }

    /// Everything from some byte on is neither written nor committed.
    #[test]
    fn cut_anywhere(head in head(), cut: prop::sample::Index) {
        let cut = cut.index(head.reserved());
        let mut bytes = head.writer.bytes.clone();
        bytes[cut..].fill(0);
        bytes[..head.writer.machine.header_len()].copy_from_slice(&head.writer.bytes[..head.writer.machine.header_len()]);
        let prefix = head.prefix(bytes, &head.evidence(cut));
        if cut < head.writer.machine.header_len() {
            prop_assert_eq!((prefix.valid, prefix.rule), (0, Rule::NoHeader));
        } else {
            let whole = head.whole(cut);
            prop_assert_eq!(prefix.valid, whole as u64, "{:?}", prefix);
            prop_assert_eq!(prefix.last_time, head.time(whole));
        }
    }

    /// One slot is written but not committed: nothing committed before it is lost, nothing beyond the count is kept.
    #[test]
    fn one_slot_written(head in head(), pick: prop::sample::Index) {
        let slot = pick.get(&head.writer.written).slot.clone();
        let committed = head.reserved() - slot.len();
        let prefix = head.prefix(head.writer.bytes.clone(), &head.evidence(committed));
        prop_assert_eq!((prefix.rule, prefix.doubtful), (Rule::Written, false));
        prop_assert_eq!(prefix.valid, head.whole(committed) as u64);
        prop_assert!(slot.start as u64 <= prefix.valid && prefix.valid <= committed as u64);
    }

    /// One slot was never written: exactly what precedes it.
    #[test]
    fn one_slot_zero(head in head(), pick: prop::sample::Index) {
        let slot = pick.get(&head.writer.written).slot.clone();
        let committed = head.reserved() - slot.len();
        let mut bytes = head.writer.bytes.clone();
        bytes[slot.clone()].fill(0);
        let prefix = head.prefix(bytes, &head.evidence(committed));
        prop_assert_eq!(prefix.valid, slot.start as u64, "{:?}", prefix);
        prop_assert_eq!(prefix.last_time, head.time(slot.start));
    }

    /// Whatever an unwritten slot holds, no uncommitted byte count is exceeded, and events end where they say.
    #[test]
    fn one_slot_stale(head in head(), pick: prop::sample::Index, from: prop::sample::Index) {
        let slot = pick.get(&head.writer.written).slot.clone();
        let committed = head.reserved() - slot.len();
        let mut bytes = head.writer.bytes.clone();
        let from = from.index(bytes.len());
        for (to, from) in slot.clone().zip(from..) {
            bytes[to] = head.writer.bytes[from % head.writer.bytes.len()];
        }
        let prefix = head.prefix(bytes, &head.evidence(committed));
        prop_assert!(prefix.valid <= committed as u64);
    }

    /// Left behind with its end recorded: the unused tail counts as committed.
    #[test]
    fn stalled_with_an_end(head in head(), pick: prop::sample::Index) {
        let slot = pick.get(&head.writer.written).slot.clone();
        let used = head.reserved();
        let mut bytes = head.writer.bytes.clone();
        bytes[slot.clone()].fill(0);
        let mut header = Header::parse(&bytes).unwrap();
        header.end = head.writer.now;
        let short = header.version.has_short_records();
        header.lost_or_data_size = if short { used } else { head.size - used } as u32;
        header.write(&mut bytes).unwrap();
        let evidence = Evidence {
            stage: Stage::Stalled,
            reserved: head.size as u64,
            last_tsc: Some(LastTsc { value: u64::MAX, truncated: false }),
            ..head.evidence(head.size - slot.len())
        };
        let prefix = head.prefix(bytes.clone(), &evidence);
        // Without a last time to meet, another gap may fit by chance: then an earlier one is taken.
        prop_assert!(prefix.valid <= slot.start as u64, "{:?}", prefix);
        prop_assert!(prefix.valid == slot.start as u64 || prefix.rule == Rule::Gap, "{:?}", prefix);

        // Only the tail is missing.
        bytes[slot.clone()].copy_from_slice(&head.writer.bytes[slot]);
        if head.size > 2 * used {
            let prefix = head.prefix(bytes, &Evidence { committed: used as u64, ..evidence });
            prop_assert_eq!((prefix.valid, prefix.rule), (used as u64, Rule::Committed));
        }
    }

    /// Left behind without an end: all committed bytes are events.
    #[test]
    fn stalled_without_an_end(head in head()) {
        let used = head.reserved();
        let evidence = Evidence { stage: Stage::Stalled, reserved: head.size as u64, ..head.evidence(used) };
        let prefix = head.prefix(head.writer.bytes.clone(), &evidence);
        if used < head.size {
            prop_assert_eq!((prefix.valid, prefix.rule, prefix.doubtful), (used as u64, Rule::CommittedEvents, false));
        }
    }
}

/// How often the search finds the very gap, over random sub-buffers: in general it cannot always.
#[test]
fn simulated_gaps() {
    let mut runner = TestRunner::deterministic();
    let mut outcomes = [[0; 3]; 2];
    for round in 0..600 {
        let head = head().new_tree(&mut runner).unwrap().current();
        let slot = head.writer.written[round * 7919 % head.writer.written.len()].slot.clone();
        let committed = head.reserved() - slot.len();
        let mut bytes = head.writer.bytes.clone();
        // Zeros of the first pass, or a piece of events of an earlier one.
        let stale = round % 2;
        let from = round * 104_729 % bytes.len();
        for at in slot.clone() {
            bytes[at] = if stale == 1 { head.writer.bytes[(from + at) % head.writer.bytes.len()] } else { 0 };
        }
        let valid = head.prefix(bytes, &head.evidence(committed)).valid as usize;
        outcomes[stale][(valid.cmp(&slot.start) as i8 + 1) as usize] += 1;
    }
    let [[zero_short, zero_exact, zero_long], [stale_short, stale_exact, stale_long]] = outcomes;
    assert_eq!((zero_short, zero_long), (0, 0), "{outcomes:?}");
    assert!(zero_exact == 300 && stale_exact >= 270, "{outcomes:?}");
    assert!(stale_short <= 15 && stale_long <= 15, "{outcomes:?}");
}
