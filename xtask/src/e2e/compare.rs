//! What was found in a core against what the tracer wrote.

use std::collections::BTreeSet;

use super::trace::{Packet, Packets, Relation, StreamId, Trace};

/// How much of what the tracer wrote must have been found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every packet, but for those without an event, which the tracer adds when it ends. With `begun`, the last of a stream may be a
    /// beginning of the tracer's.
    All { begun: bool },
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
    /// Packets that reached neither the disk nor the core whole.
    pub(crate) lost: u64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} packets equal", self.equal)?;
        for (count, what) in [(self.begun, "open"), (self.older, "older")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if self.lost > 0 {
            write!(f, ", {} lost between disk and core", self.lost)?;
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
        let missing = theirs.iter().filter(|(sequence, packet)| {
            let expected = match extent {
                Extent::All { .. } | Extent::Ending => !packet.is_empty(),
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

/// What a crash left of a session: on the disk, in the core, and perhaps what the tracer wrote in the end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remains<'a> {
    pub(crate) disk: &'a Trace,
    pub(crate) core: &'a Trace,
    pub(crate) truth: Option<&'a Trace>,
}

impl Remains<'_> {
    /// Compares with the trace joined from disk and core: it has all that is whole, and of what is not at most a beginning.
    pub(crate) fn compare(self, joined: &Trace) -> Result<Figures, Vec<String>> {
        let mut figures = Figures::default();
        let mut wrong = Vec::new();
        let metadata = &self.truth.unwrap_or(self.core).metadata;
        if joined.metadata != *metadata {
            wrong.push(different_text(metadata, &joined.metadata));
        }
        let traces = [Some(self.disk), Some(self.core), self.truth, Some(joined)];
        let ids: BTreeSet<&StreamId> =
            traces.into_iter().flatten().flat_map(|trace| trace.streams.keys()).collect();
        for id in ids {
            let nothing = Packets::new();
            let of = |trace: &'_ Trace| trace.streams.get(id).cloned().unwrap_or_default();
            let (found, disk, core) = (of(joined), of(self.disk), of(self.core));
            let truth = self.truth.map(of);
            let mut next = 0;
            for (sequence, packet) in &found {
                let whole = truth.as_ref().unwrap_or(&nothing).get(sequence);
                let known = whole.or_else(|| core.get(sequence)).or_else(|| disk.get(sequence));
                match known.map(|known| packet.relate(known)) {
                    Some(Relation::Equal) => figures.equal += 1,
                    Some(Relation::Begun { .. }) => figures.begun += 1,
                    Some(Relation::Different(why)) => wrong.push(format!("{id}: packet {sequence}: {why}")),
                    None if packet.is_empty() => {}
                    None => wrong.push(format!("{id}: packet {sequence} is on neither side")),
                }
                figures.lost += sequence - next;
                next = sequence + 1;
            }
            let is_whole = |sequence: &u64, packet: &Packet| match truth
                .as_ref()
                .and_then(|truth| truth.get(sequence))
            {
                Some(truth) => truth == packet,
                // Blocks that were not written yet read as zeros.
                None => !packet.has_empty_page(),
            };
            for (side, packets) in [("disk", &disk), ("core", &core)] {
                for (sequence, packet) in packets {
                    let is_needed = !packet.is_empty() && (side == "core" || is_whole(sequence, packet));
                    let kept = found.get(sequence).is_some_and(|found| !packet.is_longer_than(found));
                    if is_needed && !kept {
                        wrong.push(format!(
                            "{id}: packet {sequence} of the {side} is not in the joined trace"
                        ));
                    }
                }
            }
        }
        if wrong.is_empty() { Ok(figures) } else { Err(wrong) }
    }
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
        let hole = trace(&[(4, 1005, 0, b"aa"), (6, 1007, 3, b"cccc")]);
        assert_eq!(
            compare(&hole, &truth(), Extent::Part).unwrap_err(),
            ["stream 7 CPU 1: no packet between 4 and 6"]
        );
        assert!(compare(&trace(&[(5, 1006, 0, b"bbbb")]), &truth(), Extent::Part).is_ok());
    }

    #[test]
    fn an_open_packet() {
        let found = trace(&[(4, 1005, 0, b"aa"), (5, 1005, 0, b"bb")]);
        let figures = Figures { equal: 1, begun: 1, ..Figures::default() };
        assert_eq!(compare(&found, &truth(), Extent::Part), Ok(figures));
        assert!(compare(&found, &truth(), ALL).is_err());
        let inside = trace(&[(4, 1005, 0, b"a"), (5, 1006, 0, b"bbbb")]);
        assert!(compare(&inside, &truth(), Extent::Part).is_err(), "only the last one may be open");
        let complete = trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 2, b"cccc")]);
        assert!(compare(&complete, &truth(), Extent::All { begun: true }).is_ok());
        let cut = trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 2, b"ccc")]);
        assert!(compare(&cut, &truth(), Extent::All { begun: true }).is_err());
    }

    #[test]
    fn a_flight_recorder_may_hold_more() {
        let found =
            trace(&[(3, 1004, 0, b"old"), (4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 3, b"cccc")]);
        let figures = Figures { equal: 3, older: 1, ..Figures::default() };
        assert_eq!(compare(&found, &truth(), Extent::Ending), Ok(figures));
        assert!(compare(&found, &truth(), ALL).is_err());
        let newer =
            trace(&[(4, 1005, 0, b"aa"), (5, 1006, 0, b"bbbb"), (6, 1007, 3, b"cccc"), (8, 1009, 3, b"x")]);
        assert!(compare(&newer, &truth(), Extent::Ending).is_err());
    }

    #[test]
    fn what_a_crash_left() {
        // The second packet reached the disk without its second page.
        let long = [7; 6000];
        let mut torn = long;
        torn[4096 - 84..].fill(0);
        let truth =
            trace(&[(0, 1001, 0, b"aa"), (1, 1002, 0, &long), (2, 1003, 0, b"cccc"), (3, 1004, 0, b"d")]);
        let disk = trace(&[(0, 1001, 0, b"aa"), (1, 1002, 0, &torn)]);
        let core = trace(&[(2, 1003, 0, b"cc")]);
        for truth in [Some(&truth), None] {
            let remains = Remains { disk: &disk, core: &core, truth };
            let cut = trace(&[(0, 1001, 0, b"aa"), (2, 1003, 0, b"cc")]);
            let figures = remains.compare(&cut).unwrap();
            assert_eq!((figures.equal + figures.begun, figures.lost), (2, 1));
            let shortened = trace(&[(0, 1001, 0, b"aa"), (1, 1002, 0, &long[..4000]), (2, 1003, 0, b"cc")]);
            assert_eq!(remains.compare(&shortened).unwrap().lost, 0);
            let none = trace(&[(0, 1001, 0, b"aa")]);
            assert_eq!(remains.compare(&none).unwrap_err().len(), 1, "the core's packet is missing");
            let late = trace(&[(2, 1003, 0, b"cc")]);
            assert_eq!(remains.compare(&late).unwrap_err().len(), 1, "the disk's packet is missing");
            let short = trace(&[(0, 1001, 0, b"aa"), (2, 1003, 0, b"c")]);
            assert_eq!(remains.compare(&short).unwrap_err().len(), 1, "the core has more of it");
        }
        let kept = trace(&[(0, 1001, 0, b"aa"), (1, 1002, 0, &torn), (2, 1003, 0, b"cc")]);
        let remains = Remains { disk: &disk, core: &core, truth: Some(&truth) };
        assert_eq!(remains.compare(&kept).unwrap_err().len(), 1, "zeros are no events");
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
