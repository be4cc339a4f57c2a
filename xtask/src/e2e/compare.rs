//! What was found in a core against what the tracer wrote.

use std::collections::BTreeSet;

use super::trace::{Packets, Relation, StreamId, Trace};

/// How much of what the tracer wrote must have been found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every packet, but for those without an event, which the tracer adds when it ends. With `begun`, the last of a stream may be a
    /// beginning of the tracer's.
    All { begun: bool },
    /// Every packet up to some one of each stream; that one may be a beginning of the tracer's.
    Beginning,
    /// Packets in a row; the last one may be a beginning of the tracer's.
    Part,
    /// Every packet, but for those without an event; and older ones, which the tracer had overwritten since.
    Ending,
}

/// What was compared.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Packets with the tracer's bytes.
    pub(crate) equal: usize,
    /// Packets that are beginnings of the tracer's.
    pub(crate) begun: usize,
    /// Packets that the tracer has not any more.
    pub(crate) older: usize,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} packets equal", self.equal)?;
        for (count, what) in [(self.begun, "open"), (self.older, "older")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}

/// Compares all streams. The error lists every difference.
pub(crate) fn compare(found: &Trace, truth: &Trace, extent: Extent) -> Result<Figures, Vec<String>> {
    let mut figures = Figures::default();
    let mut wrong = consistent(found).err().unwrap_or_default();
    if found.metadata != truth.metadata {
        wrong.push(different_text(&truth.metadata, &found.metadata));
    }
    let nothing = Packets::new();
    let ids: BTreeSet<&StreamId> = found.streams.keys().chain(truth.streams.keys()).collect();
    for id in ids {
        let of = |trace: &'_ Trace| trace.streams.get(id).cloned();
        let (ours, theirs) = (of(found).unwrap_or_default(), of(truth).unwrap_or_default());
        let ours = if ours.is_empty() { &nothing } else { &ours };
        for (sequence, packet) in ours {
            let is_last = ours.keys().next_back() == Some(sequence);
            let may_be_begun = is_last && !matches!(extent, Extent::All { begun: false } | Extent::Ending);
            match theirs.get(sequence).map(|truth| packet.relate(truth)) {
                Some(Relation::Equal) => figures.equal += 1,
                Some(Relation::Begun { bytes, of }) if may_be_begun => {
                    figures.begun += 1;
                    if extent == (Extent::All { begun: true }) && bytes != of {
                        wrong.push(format!(
                            "{id}: packet {sequence}: expected {of} bytes of events, found {bytes}"
                        ));
                    }
                }
                Some(Relation::Begun { bytes, of }) => {
                    wrong.push(format!(
                        "{id}: packet {sequence}: expected a closed packet of {of} bytes, found {bytes}"
                    ));
                }
                Some(Relation::Different(why)) => wrong.push(format!("{id}: packet {sequence}: {why}")),
                None if packet.is_empty() => {}
                None if extent == Extent::Ending
                    && theirs.keys().next().is_some_and(|first| sequence < first) =>
                {
                    figures.older += 1;
                }
                None => wrong.push(format!("{id}: packet {sequence} is none of the tracer's")),
            }
        }
        let last = ours.keys().next_back();
        let missing = theirs.iter().filter(|(sequence, packet)| {
            let expected = match extent {
                Extent::All { .. } | Extent::Ending => !packet.is_empty(),
                Extent::Beginning => last.is_some_and(|last| *sequence < last),
                Extent::Part => false,
            };
            expected && !ours.contains_key(sequence)
        });
        wrong.extend(
            missing.map(|(sequence, _)| format!("{id}: packet {sequence} of the tracer was not found")),
        );
    }
    if wrong.is_empty() { Ok(figures) } else { Err(wrong) }
}

/// Checks what must hold in any trace: no gap between the packets of a stream, no overlap in time.
pub(crate) fn consistent(trace: &Trace) -> Result<Figures, Vec<String>> {
    let mut wrong = Vec::new();
    for (id, packets) in &trace.streams {
        for ((before, earlier), (sequence, later)) in packets.iter().zip(packets.iter().skip(1)) {
            if before + 1 != *sequence {
                wrong.push(format!("{id}: no packet between {before} and {sequence}"));
            }
            if earlier.end() > later.begin() {
                wrong.push(format!("{id}: packet {sequence} begins before {before} ends"));
            }
        }
        for (sequence, packet) in packets {
            if packet.begin() > packet.end() {
                wrong.push(format!("{id}: packet {sequence} ends before it begins"));
            }
        }
    }
    if wrong.is_empty() { Ok(Figures { equal: trace.packets(), ..Figures::default() }) } else { Err(wrong) }
}

/// Both together; a packet that both have must be the same.
pub(crate) fn union(disk: Trace, core: Trace) -> Result<Trace, Vec<String>> {
    let mut wrong = Vec::new();
    let mut joined = core;
    for (id, packets) in disk.streams {
        let stream = joined.streams.entry(id).or_default();
        for (sequence, packet) in packets {
            match stream.get(&sequence) {
                Some(known) if *known != packet => {
                    wrong.push(format!("{id}: packet {sequence} differs between disk and core"));
                }
                _ => {
                    stream.insert(sequence, packet);
                }
            }
        }
    }
    if wrong.is_empty() { Ok(joined) } else { Err(wrong) }
}

/// Where two texts differ.
fn different_text(expected: &str, found: &str) -> String {
    let line = expected.lines().zip(found.lines()).position(|(a, b)| a != b);
    let place = line
        .map_or("one is a beginning of the other".to_owned(), |line| format!("line {} differs", line + 1));
    format!("metadata: expected {} bytes, found {}: {place}", expected.len(), found.len())
}

#[cfg(test)]
mod tests {
    use super::super::trace::tests::trace;
    use super::*;

    const ALL: Extent = Extent::All { begun: false };

    fn truth() -> Trace {
        trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 3, b"cccc"), (7, 1007, 3, b"")])
    }

    #[test]
    fn everything_but_the_last_empty_packet() {
        let found = trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 3, b"cccc")]);
        assert_eq!(compare(&found, &truth(), ALL), Ok(Figures { equal: 3, ..Figures::default() }));
        assert_eq!(compare(&truth(), &truth(), ALL).map(|figures| figures.equal), Ok(4));
    }

    #[test]
    fn a_missing_packet() {
        let found = trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb")]);
        let wrong = compare(&found, &truth(), ALL).unwrap_err();
        assert_eq!(wrong, ["stream 7 CPU 1: packet 6 of the tracer was not found"]);
        assert!(compare(&found, &truth(), Extent::Beginning).is_ok());
        let hole = trace(&[(4, 1005, 0, b"aa"), (6, 1007, 3, b"cccc")]);
        assert_eq!(
            compare(&hole, &truth(), Extent::Part).unwrap_err(),
            ["stream 7 CPU 1: no packet between 4 and 6"]
        );
        assert_eq!(compare(&hole, &truth(), Extent::Beginning).unwrap_err().len(), 2);
        assert!(compare(&trace(&[(5, 1006, 0, b"bbbb")]), &truth(), Extent::Part).is_ok());
        assert!(compare(&trace(&[(5, 1006, 0, b"bbbb")]), &truth(), Extent::Beginning).is_err());
    }

    #[test]
    fn an_open_packet() {
        let found = trace(&[(4, 1005, 0, b"aa"), (5, 1005, 0, b"bb")]);
        let figures = Figures { equal: 1, begun: 1, older: 0 };
        assert_eq!(compare(&found, &truth(), Extent::Beginning), Ok(figures));
        assert!(compare(&found, &truth(), ALL).is_err());
        let inside = trace(&[(4, 1005, 0, b"a"), (5, 1006, 0, b"bbbb")]);
        assert!(compare(&inside, &truth(), Extent::Beginning).is_err(), "only the last one may be open");
        let complete = trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 2, b"cccc")]);
        assert!(compare(&complete, &truth(), Extent::All { begun: true }).is_ok());
        let cut = trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 2, b"ccc")]);
        assert!(compare(&cut, &truth(), Extent::All { begun: true }).is_err());
    }

    #[test]
    fn a_flight_recorder_may_hold_more() {
        let found =
            trace(&[(3, 1004, 0, b"old"), (4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 3, b"cccc")]);
        let figures = Figures { equal: 3, begun: 0, older: 1 };
        assert_eq!(compare(&found, &truth(), Extent::Ending), Ok(figures));
        assert!(compare(&found, &truth(), ALL).is_err());
        let newer =
            trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 3, b"cccc"), (8, 1009, 3, b"x")]);
        assert!(compare(&newer, &truth(), Extent::Ending).is_err());
    }

    #[test]
    fn packets_overlap_in_time() {
        let found = trace(&[(4, 1006, 0, b"aa"), (5, 1006, 0, b"bbbb")]);
        assert_eq!(consistent(&found).unwrap_err(), ["stream 7 CPU 1: packet 5 begins before 4 ends"]);
    }

    #[test]
    fn the_metadata_counts() {
        let mut found = truth();
        "trace {};\n".clone_into(&mut found.metadata);
        assert!(
            compare(&found, &truth(), ALL).unwrap_err()[0]
                .starts_with("metadata: expected 0 bytes, found 10")
        );
    }

    #[test]
    fn disk_and_core_together() {
        let disk = trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb")]);
        let core = trace(&[(5, 1006, 0, b"bbbb"), (6, 1007, 3, b"cccc")]);
        let joined = union(disk, core).unwrap();
        assert!(compare(&joined, &truth(), ALL).is_ok());
        let other = trace(&[(4, 1005, 0, b"ax")]);
        assert!(union(other, truth()).is_err());
    }
}
