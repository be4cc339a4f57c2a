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
