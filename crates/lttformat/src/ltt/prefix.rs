//! How much of an interrupted sub-buffer is valid.
//!
//! A writer first *reserves* a slot, then fills it, then *commits* it by adding its size to a counter. After a crash the
//! counter may lag behind the reservations: one slot (rarely more) is missing, somewhere, and what it holds is old bytes,
//! zeros, half an event, or a whole one whose commit alone is missing. The counter says how many bytes are missing, but not
//! where. The events before the first gap are good, and only they can be delimited.

use std::collections::HashMap;
use std::fmt;

use super::align::AlignRule;
use super::grammar::TimeBounds;
use super::{Channel, Decoder, Header, Markers, Stop, StopReason, Tally};

/// Decoding attempts that one search may make, in events per byte searched.
const EFFORT: usize = 16;

/// What the kernel's counters and neighbours say about a sub-buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Whether writers were still in it.
    pub stage: Stage,
    /// Bytes reserved from the start of the sub-buffer. All of them when [stalled](Stage::Stalled), and when it is open
    /// with the write position exactly on the next boundary.
    pub reserved: u64,
    /// Bytes committed in this pass: the counter minus the pass's base, masked.
    pub committed: u64,
    /// The kernel's own, lagging note of a committed offset (`commit_seq`), minus the pass's base, masked; if it has one.
    pub commit_seq: Option<u64>,
    /// Time of the last reservation in the buffer.
    pub last_tsc: Option<LastTsc>,
    /// Begin of the previous sub-buffer in the same buffer, if known: an older header here is that of an earlier pass.
    pub not_before: Option<u64>,
    /// Begin of the next sub-buffer in the same buffer, if its header is committed: no event here is newer.
    pub not_after: Option<u64>,
}

/// Where the buffer's writers were at the crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// This is the newest sub-buffer.
    Open,
    /// Writers have gone on to the next one, yet this one was never fully committed.
    Stalled,
}

/// The buffer's note of its last reservation's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTsc {
    /// Clock cycles; without the low 27 bits if `truncated`.
    pub value: u64,
    /// As 32-bit kernels keep it.
    pub truncated: bool,
}

impl LastTsc {
    fn of(self, tsc: u64) -> u64 {
        if self.truncated { tsc >> 27 & u64::from(u32::MAX) } else { tsc }
    }

    pub(super) fn is_before(self, tsc: u64) -> bool {
        self.of(tsc) > self.value
    }

    fn is(self, tsc: u64) -> bool {
        self.of(tsc) == self.value
    }
}

/// The valid part of an interrupted sub-buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Bytes that hold the header and whole events; 0: nothing usable.
    pub valid: u64,
    /// Time of the first event.
    pub first_time: Option<u64>,
    /// Time of the last event; the header's begin when there is none. What a completed header's end is set to.
    pub last_time: u64,
    /// Events in it, as far as they could be decoded.
    pub events: u64,
    /// How this was found.
    pub rule: Rule,
    /// Whether the evidence does not add up: several slots missing, contradictory counters, or nothing to verify against.
    pub doubtful: bool,
    /// Where events within the valid bytes could not be decoded, for want of a marker or because they are damaged.
    pub stop: Option<Stop>,
}

/// How the valid length was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everything reserved is committed.
    Committed,
    /// Not even the header is committed; memory shows that of an earlier pass.
    NoHeader,
    /// Everything reserved was written, some of it not committed: the committed length, down to an event's end.
    Written,
    /// Leaving out one slot of the missing size makes the rest decode to its exact end and time.
    Gap,
    /// The missing slot is the last one.
    GapAtEnd,
    /// The end was never recorded, but the events end exactly where the commits do.
    CommittedEvents,
    /// Decoded from where the kernel noted a commit, since formats before it are not known.
    CommitSeq,
    /// Decoded until something was wrong, up to the committed length at most.
    Decodable,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Committed => "all reserved bytes are committed",
            Rule::NoHeader => "the header is not committed",
            Rule::Written => "all reserved bytes are written, not all committed",
            Rule::Gap => "one slot was never written, the rest decodes without it",
            Rule::GapAtEnd => "the last slot was never committed",
            Rule::CommittedEvents => "the committed bytes are whole events",
            Rule::CommitSeq => "decoded from the last commit that the kernel noted",
            Rule::Decodable => "decoded as far as possible within the committed length",
        })
    }
}

/// Finds the valid prefix of the sub-buffer `bytes` that its writers had not completed at the crash.
///
/// `header` is what the memory shows at its start, current or not. Nothing beyond the evidence is guessed: the result never
/// exceeds the committed bytes, and where the counters cannot be reconciled with what decodes it is marked doubtful. When
/// all reserved bytes are committed no marker is needed to know the length.
///
/// Cost: normally decodes the sub-buffer once. The search for a gap decodes from every event's end, but never twice from the
/// same place and time, and gives up (doubtful) after a number of events proportional to the size.
pub fn valid_prefix(
    bytes: &[u8],
    header: &Header,
    channel: Channel<'_>,
    markers: &Markers,
    evidence: &Evidence,
) -> Prefix {
    let prefixes = AlignRule::candidates(header)
        .iter()
        .map(|&rule| Search { bytes, header, channel, markers, evidence, rule }.run());
    // Of two alignment rules the right one explains the bytes without more ado.
    let mut prefix = prefixes
        .min_by_key(|prefix| (prefix.doubtful, prefix.stop.is_some(), prefix.rule == Rule::Gap))
        .unwrap_or_else(|| nothing(header, false));
    // What 32-bit kernels keep of the time is the same for every event of a while: it tells gaps apart poorly.
    prefix.doubtful |= prefix.rule == Rule::Gap && evidence.last_tsc.is_some_and(|last| last.truncated);
    prefix
}

/// The bytes in question are those of an earlier pass.
fn nothing(header: &Header, doubtful: bool) -> Prefix {
    Prefix {
        valid: 0,
        first_time: None,
        last_time: header.begin,
        events: 0,
        rule: Rule::NoHeader,
        doubtful,
        stop: None,
    }
}

struct Search<'a> {
    bytes: &'a [u8],
    header: &'a Header,
    channel: Channel<'a>,
    markers: &'a Markers,
    evidence: &'a Evidence,
    rule: AlignRule,
}

/// What the counters allow.
#[derive(Clone, Copy)]
struct Counts {
    /// End of the reserved bytes.
    end: usize,
    /// Committed bytes among them: an upper bound of the valid length.
    committed: usize,
    /// Whether the last event's time must be that of the buffer's last reservation.
    is_newest: bool,
}

/// Events accepted one after the other from the header on.
struct Trail {
    /// End and time of each, after those of the header.
    ends: Vec<(usize, u64)>,
    stop: Option<Stop>,
}

impl Search<'_> {
    fn run(&self) -> Prefix {
        let Evidence { stage, committed, not_before, .. } = *self.evidence;
        let size = self.bytes.len();
        let header_len = self.header.len();
        let reserved = usize::try_from(self.evidence.reserved).unwrap_or(usize::MAX).min(size);
        let committed = usize::try_from(committed).unwrap_or(usize::MAX);
        let is_stale = not_before.is_some_and(|begin| self.header.begin < begin);
        if committed < header_len || reserved < header_len || is_stale {
            return nothing(self.header, is_stale && committed >= header_len);
        }
        if stage == Stage::Stalled {
            let prefix = self.stalled(committed.min(size));
            return Prefix { doubtful: prefix.doubtful || committed > size, ..prefix };
        }
        if committed == reserved {
            return self.whole(reserved);
        }
        let counts =
            Counts { end: reserved, committed: committed.min(reserved), is_newest: stage == Stage::Open };
        let prefix = self.incomplete(counts);
        if committed < reserved || prefix.rule == Rule::Written {
            return prefix;
        }
        // More committed than reserved. The commits may be those of an earlier pass, and so may the bytes: a header that
        // is closed although writers are still in the sub-buffer is not this pass's.
        if self.header.is_closed() && reserved < size {
            nothing(self.header, true)
        } else {
            Prefix { doubtful: true, ..prefix }
        }
    }

    /// Writers went on to the next sub-buffer and left something uncommitted here.
    fn stalled(&self, committed: usize) -> Prefix {
        let size = self.bytes.len();
        if !self.header.is_closed() {
            // How much was reserved was never recorded, but nothing except the tail can be missing if events end where
            // the commits do.
            let trail = self.trail(committed);
            return match trail.stop {
                None => self.prefix(&trail, committed, Rule::CommittedEvents, false),
                Some(_) => self.decodable(trail, committed),
            };
        }
        let used = self.header.used(u64::try_from(size).unwrap_or(u64::MAX));
        let Some(used) = used.and_then(|used| usize::try_from(used).ok()) else {
            return self.decodable(self.trail(committed), committed);
        };
        // The unused tail is committed right after the header's end was written.
        let tail = size - used;
        let missing = if committed >= tail { size - committed } else { used.saturating_sub(committed) };
        match used.saturating_sub(missing) {
            _ if missing == 0 => self.whole(used),
            committed if committed < self.header.len() => nothing(self.header, true),
            committed => self.incomplete(Counts { end: used, committed, is_newest: false }),
        }
    }

    /// Everything up to `end` is committed.
    fn whole(&self, end: usize) -> Prefix {
        let mut tally = Tally::new(self.header);
        for event in self.decoder(end) {
            tally.count(&event);
        }
        let last_tsc = self.evidence.last_tsc.filter(|_| self.evidence.stage == Stage::Open);
        let known_last = match last_tsc {
            Some(LastTsc { value, truncated: false }) => Some(value),
            _ if self.evidence.stage == Stage::Stalled => Some(self.header.end),
            _ => None,
        };
        let last_time = match tally.stop {
            None => tally.last_time,
            Some(_) => known_last.max(tally.last_time),
        };
        // A decoder that is right finds the time of the last reservation in the last event.
        let is_last =
            last_tsc.zip(tally.last_time).is_none_or(|(last, time)| tally.stop.is_some() || last.is(time));
        Prefix {
            valid: end as u64,
            first_time: tally.first_time,
            last_time: last_time.unwrap_or(self.header.begin),
            events: tally.events,
            rule: Rule::Committed,
            doubtful: !is_last,
            stop: tally.stop,
        }
    }

    /// Fewer bytes are committed than reserved: finds where the first gap begins.
    fn incomplete(&self, counts: Counts) -> Prefix {
        let Counts { end, committed, .. } = counts;
        let trail = self.trail(end);
        let known_time = self.evidence.last_tsc.is_some() || !counts.is_newest;
        // First of all: a search for a gap would find one of the same size nearly anywhere in a sub-buffer without any.
        if trail.stop.is_none() && self.is_final(counts, trail.time()) {
            return self.prefix(&trail, committed, Rule::Written, !known_time);
        }
        let missing = end - committed;
        if missing > 0 {
            // Nothing after the committed bytes was ever written: those are the missing ones.
            if self.is_coarse(counts) && self.is_blank(committed, end) {
                return self.prefix(&trail, committed, Rule::GapAtEnd, true);
            }
            if let Some(gap) = self.gap(counts, &trail, missing) {
                return self.prefix(&trail, gap, Rule::Gap, !known_time);
            }
            if trail.has_end(committed) {
                return self.prefix(&trail, committed, Rule::GapAtEnd, false);
            }
        }
        self.decodable(trail, committed)
    }

    /// Where leaving out `missing` bytes makes the rest decode to the exact end and the right time: at zeros, else the first such place.
    fn gap(&self, counts: Counts, trail: &Trail, missing: usize) -> Option<usize> {
        // The kernel's note of a commit is a lower bound if it is an event's end at all; but it can be wrong.
        let noted = self.commit_seq(counts.committed).filter(|&noted| trail.has_end(noted)).unwrap_or(0);
        let (before, after): (Vec<_>, Vec<_>) = trail.ends.iter().partition(|&&(end, _)| end < noted);
        // Where zeros stand for an event, none was written, in this pass or before: that is where the gap is, if it can be there.
        let is_blank = matches!(trail.stop, Some(Stop { reason: StopReason::Blank, .. }));
        let blank = trail.ends.last().filter(|_| is_blank);
        let decoder = self.strict_decoder(counts.end);
        // Time at which an attempt came through a place: another one that does so has the same future.
        let mut seen = HashMap::new();
        let mut effort = counts.end.saturating_mul(EFFORT);
        'attempt: for &(start, now) in blank.into_iter().chain(after).chain(before) {
            // A gap beyond the reserved bytes is none, and one that leaves nothing to decode after it proves nothing.
            if start + missing >= counts.end {
                continue;
            }
            let mut decoder = decoder.at(start + missing, now);
            for event in decoder.by_ref() {
                effort = effort.checked_sub(1)?;
                let Ok(event) = event else { continue 'attempt };
                if seen.insert(event.end, event.tsc) == Some(event.tsc) {
                    continue 'attempt;
                }
            }
            if self.is_final(counts, decoder.time()) {
                return Some(start);
            }
        }
        None
    }

    /// The decodable events within the committed length, when nothing better can be said.
    fn decodable(&self, trail: Trail, committed: usize) -> Prefix {
        let unknown = matches!(trail.stop, Some(Stop { offset, reason: StopReason::UnknownId(_) }) if offset < committed);
        let noted = self.commit_seq(committed).filter(|&noted| unknown && noted > trail.end());
        if let Some(noted) = noted {
            let mut decoder = self.strict_decoder(committed).at(noted, trail.time());
            let rest: Vec<_> =
                decoder.by_ref().map_while(Result::ok).map(|event| (event.end, event.tsc)).collect();
            // Believed only if events begin there.
            if noted == committed || !rest.is_empty() {
                let stop = trail.stop;
                let mut ends = trail.ends;
                ends.extend(rest);
                let trail = Trail { ends, stop };
                let last = trail.end().max(noted);
                return Prefix {
                    valid: last as u64,
                    stop,
                    ..self.prefix(&trail, last, Rule::CommitSeq, true)
                };
            }
        }
        self.prefix(&trail, committed, Rule::Decodable, true)
    }

    /// The prefix of those events of the trail that end by `limit`.
    fn prefix(&self, trail: &Trail, limit: usize, rule: Rule, doubtful: bool) -> Prefix {
        let accepted = trail.ends.partition_point(|&(end, _)| end <= limit);
        let accepted = trail.ends.get(..accepted).unwrap_or_default();
        let (valid, last_time) = accepted.last().copied().unwrap_or((self.header.len(), self.header.begin));
        Prefix {
            valid: valid as u64,
            first_time: accepted.get(1).map(|&(_, time)| time),
            last_time,
            events: accepted.len().saturating_sub(1) as u64,
            rule,
            doubtful,
            stop: None,
        }
    }

    /// Strictly decodes from the header on, up to `end` at most.
    fn trail(&self, end: usize) -> Trail {
        let mut trail = Trail { ends: vec![(self.header.len(), self.header.begin)], stop: None };
        for event in self.strict_decoder(end) {
            match event {
                Ok(event) => trail.ends.push((event.end, event.tsc)),
                Err(stop) => trail.stop = Some(stop),
            }
        }
        trail
    }

    fn decoder(&self, end: usize) -> Decoder<'_> {
        let ids = self.markers.ids(self.channel);
        Decoder::with_ids(self.bytes, self.header, end as u64, self.channel, ids).with_rule(self.rule)
    }

    fn strict_decoder(&self, end: usize) -> Decoder<'_> {
        // The end's time is written after the length: an end before the begin is still that of an earlier pass.
        let ended = self.evidence.stage == Stage::Stalled
            && self.header.is_closed()
            && self.header.end >= self.header.begin;
        let header_end = if ended { self.header.end } else { u64::MAX };
        let not_after = self.evidence.not_after.unwrap_or(u64::MAX).min(header_end);
        self.decoder(end).strict(TimeBounds { last_tsc: self.evidence.last_tsc, not_after })
    }

    /// Whether the last event may have this time. Unknown times contradict nothing.
    fn is_final(&self, counts: Counts, time: u64) -> bool {
        !counts.is_newest || self.evidence.last_tsc.is_none_or(|last| last.is(time))
    }

    /// Whether times are too coarse to tell the right gap from a wrong one, after which bytes decode by chance: 32-bit kernels note no
    /// more than the high bits of the last one.
    fn is_coarse(&self, counts: Counts) -> bool {
        counts.is_newest && self.evidence.last_tsc.is_none_or(|last| last.truncated)
    }

    fn is_blank(&self, from: usize, to: usize) -> bool {
        self.bytes.get(from..to).is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0))
    }

    /// The kernel's note of a committed offset, if it can be one.
    fn commit_seq(&self, committed: usize) -> Option<usize> {
        let noted = usize::try_from(self.evidence.commit_seq?).ok()?;
        (self.header.len()..=committed).contains(&noted).then_some(noted)
    }
}

impl Trail {
    fn end(&self) -> usize {
        self.ends.last().map_or(0, |&(end, _)| end)
    }

    fn time(&self) -> u64 {
        self.ends.last().map_or(0, |&(_, time)| time)
    }

    fn has_end(&self, offset: usize) -> bool {
        self.ends.binary_search_by_key(&offset, |&(end, _)| end).is_ok()
    }
}
