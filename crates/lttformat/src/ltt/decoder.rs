//! Decodes the events of one sub-buffer, from its header on.

use super::align::{AlignRule, to_boundary};
use super::field::Place;
use super::head::Head;
use super::layout::{Form, Layout};
use super::markers::{Ids, Markers};
use super::{Channel, Event, Header, Stop, StopReason};

/// Iterator over the events of one sub-buffer.
///
/// Ends after the last event that lies within the `used` bytes, or with one [`Stop`] where an event cannot be delimited.
/// Sub-buffers are decoded independently of each other: the header holds the full time of the beginning.
///
/// Cost: a few tens of nanoseconds an event, no allocation. Events with an unknown id are delivered without a marker if
/// their size is recorded; they stop the decoder otherwise.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    layout: Layout,
    ids: Ids<'a>,
    /// Set: nothing doubtful is accepted, as needed where nobody says how long the events are.
    bounds: Option<TimeBounds>,
    offset: usize,
    now: u64,
    stopped: bool,
}

/// Upper bounds of an event's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeBounds {
    pub(super) last_tsc: Option<super::prefix::LastTsc>,
    pub(super) not_after: u64,
}

impl<'a> Decoder<'a> {
    /// Decodes the first `used` bytes of the sub-buffer `bytes`, which `header` was read from.
    ///
    /// Cost: none, except for a sub-buffer of format 2.4 from a 32-bit machine: which of two alignment rules its tracer
    /// followed is found by decoding it first.
    pub fn new(
        bytes: &'a [u8],
        header: &Header,
        used: u64,
        channel: Channel<'_>,
        markers: &'a Markers,
    ) -> Decoder<'a> {
        let decoder = Decoder::with_ids(bytes, header, used, channel, markers.ids(channel));
        let rules = AlignRule::candidates(header);
        let fits = |rule| decoder.clone().with_rule(rule).all(|event| event.is_ok());
        match rules {
            [_, _, ..] => match rules.iter().copied().find(|&rule| fits(rule)) {
                Some(rule) => decoder.with_rule(rule),
                None => decoder,
            },
            _ => decoder,
        }
    }

    pub(super) fn with_ids(
        bytes: &'a [u8],
        header: &Header,
        used: u64,
        channel: Channel<'_>,
        ids: Ids<'a>,
    ) -> Decoder<'a> {
        let rule = AlignRule::candidates(header).first().copied().unwrap_or(AlignRule::Capped);
        let used = usize::try_from(used).unwrap_or(usize::MAX).min(bytes.len());
        Decoder {
            bytes: bytes.get(..used).unwrap_or_default(),
            layout: Layout::new(header, channel, rule),
            ids,
            bounds: None,
            offset: header.len(),
            now: header.begin,
            stopped: false,
        }
    }

    pub(super) fn with_rule(mut self, rule: AlignRule) -> Decoder<'a> {
        self.layout.rule = rule;
        self
    }

    /// Rejects whatever bytes that are no event could be taken for.
    pub(super) fn strict(mut self, bounds: TimeBounds) -> Decoder<'a> {
        self.bounds = Some(bounds);
        self
    }

    /// The same decoder, at another event.
    pub(super) fn at(&self, offset: usize, now: u64) -> Decoder<'a> {
        Decoder { offset, now, stopped: false, ..self.clone() }
    }

    /// End of the last event, or of the header before the first one.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Time of the last event, or of the sub-buffer's beginning before the first one.
    pub fn time(&self) -> u64 {
        self.now
    }

    fn event(&self) -> Result<Event<'a>, StopReason> {
        let head = match self.layout.form {
            Form::Short => {
                Head::short(self.bytes, &self.layout, self.offset, self.now, self.bounds.is_some())
            }
            _ => Head::v1(self.bytes, &self.layout, self.offset, self.now),
        }?;
        let event = self.payload(&head)?;
        match self.bounds {
            Some(bounds) => self.check(&event, bounds).map(|()| event),
            None => Ok(event),
        }
    }

    fn payload(&self, head: &Head) -> Result<Event<'a>, StopReason> {
        let Layout { endian, rule, form, .. } = self.layout;
        let marker = self.ids.get(head.id);
        let mut tsc = head.tsc;
        let (payload, end) = if let Some(marker) = marker {
            let plan = marker.plan(rule);
            let payload = match form {
                Form::Short => head.end + to_boundary(head.end, plan.boundary),
                _ => head.end + head.v1_payload_pad(&self.layout),
            };
            let place = Place { endian, rule, alignment: marker.alignment() };
            let end = match (plan.fixed, head.data) {
                (Some(len), None) => payload + len,
                (_, None) => place.payload_end(marker.fields(), self.bytes, payload)?,
                (_, Some(_)) => {
                    // The field that is marked so is in the header already.
                    let held = usize::from(marker.fields().first().is_some_and(|field| field.compact));
                    let fields = marker.fields().get(held..).unwrap_or_default();
                    place.payload_end(fields, self.bytes, payload)?
                }
            };
            if let Some(declared) = head.size.filter(|&size| size != end - payload) {
                return Err(StopReason::Size { declared, computed: end - payload });
            }
            if form != Form::Short {
                tsc = head.v1_time(self.bytes, &self.layout, payload)?;
            }
            (payload, end)
        } else {
            let unknown = StopReason::UnknownId(head.id);
            let size = head.size.filter(|_| self.bounds.is_none()).ok_or(unknown)?;
            // The payload's alignment is not known: all that are possible must agree.
            if form == Form::Short && self.layout.pad(head.end, 8) != 0 {
                return Err(unknown);
            }
            (head.end, head.end.saturating_add(size))
        };
        if end > self.bytes.len() {
            return Err(StopReason::Truncated);
        }
        Ok(Event {
            tsc,
            id: head.id,
            start: head.start,
            end,
            payload: payload..end,
            marker,
            bytes: self.bytes,
            endian,
            rule,
            data: head.data,
        })
    }

    fn check(&self, event: &Event<'_>, bounds: TimeBounds) -> Result<(), StopReason> {
        if event.tsc < self.now {
            return Err(StopReason::TimeBackwards(event.tsc));
        }
        let beyond = bounds.last_tsc.is_some_and(|last| last.is_before(event.tsc));
        if beyond || event.tsc > bounds.not_after {
            return Err(StopReason::TimeBeyond(event.tsc));
        }
        Ok(())
    }
}

impl<'a> Iterator for Decoder<'a> {
    type Item = Result<Event<'a>, Stop>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.stopped || self.offset >= self.bytes.len() {
            return None;
        }
        match self.event() {
            Ok(event) => {
                self.offset = event.end;
                self.now = event.tsc;
                Some(Ok(event))
            }
            Err(reason) => {
                self.stopped = true;
                Some(Err(Stop { offset: self.offset, reason }))
            }
        }
    }
}

impl std::iter::FusedIterator for Decoder<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ltt::prefix::LastTsc;
    use crate::ltt::{Announcement, Endian, Version};

    const HEADER_LEN: usize = 68;

    /// Decodes these words strictly, as events of two markers: 3 without fields and 4 with a 64-bit one. The sub-buffer begins
    /// at time 100.
    fn strictly(words: &[u32], last_tsc: Option<LastTsc>, not_after: u64) -> Vec<Result<u64, StopReason>> {
        let mut bytes = vec![0; HEADER_LEN + 4 * words.len()];
        Endian::Little.put_u64(&mut bytes, 0, 100);
        Endian::Little.put_u32(&mut bytes, 16, 0x00d6_b7ed);
        let Version { major, minor } = Version::V2_6;
        bytes[20..24].copy_from_slice(&[major, minor, 8, 4]);
        for (i, &word) in words.iter().enumerate() {
            Endian::Little.put_u32(&mut bytes, HEADER_LEN + 4 * i, word);
        }
        let header = Header::parse(&bytes).unwrap();
        let mut markers = Markers::new(&header);
        for (id, name, format) in [(3, b"a", &b""[..]), (4, b"b", b"x %llu")] {
            markers.insert(b"c", &Announcement { name, id, format, alignment: 4, sizes: None });
        }
        let decoder = Decoder::new(&bytes, &header, bytes.len() as u64, Channel::Data(b"c"), &markers);
        decoder
            .strict(TimeBounds { last_tsc, not_after })
            .map(|event| event.map(|event| event.tsc).map_err(|stop| stop.reason))
            .collect()
    }

    const fn short(id: u32, time: u32) -> u32 {
        id << 27 | time
    }

    #[test]
    fn strict_decoding_rejects_what_only_looks_like_events() {
        let any = |words: &[u32]| strictly(words, None, u64::MAX);
        assert_eq!(any(&[short(3, 100), short(4, 120), 1, 2]), [Ok(100), Ok(120)]);
        // Never written.
        assert_eq!(any(&[short(3, 110), 0]), [Ok(110), Err(StopReason::Blank)]);
        // A full time that is not that of the low bits, and one of an earlier pass; id 3, no payload.
        assert_eq!(any(&[short(29, 120), 3, 121, 0]), [Err(StopReason::TimeMismatch)]);
        assert_eq!(any(&[short(29, 99), 3, 99, 0]), [Err(StopReason::TimeBackwards(99))]);
        assert_eq!(any(&[short(29, 120), 3, 120, 0]), [Ok(120)]);
        // An unknown id, although its size is recorded.
        assert_eq!(any(&[short(30, 120), 9]), [Err(StopReason::UnknownId(9))]);
    }

    #[test]
    fn strict_decoding_stops_at_the_last_time() {
        let words = [short(3, 110), short(3, 120)];
        let full = |value| strictly(&words, Some(LastTsc { value, truncated: false }), u64::MAX);
        assert_eq!(full(120), [Ok(110), Ok(120)]);
        assert_eq!(full(119), [Ok(110), Err(StopReason::TimeBeyond(120))]);
        assert_eq!(strictly(&words, None, 119), [Ok(110), Err(StopReason::TimeBeyond(120))]);
        // A wrap of the low bits shows above them only.
        let truncated = |value| strictly(&[short(3, 99)], Some(LastTsc { value, truncated: true }), u64::MAX);
        assert_eq!(truncated(1), [Ok((1 << 27) + 99)]);
        assert_eq!(truncated(0), [Err(StopReason::TimeBeyond((1 << 27) + 99))]);
    }
}
