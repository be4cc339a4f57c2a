//! What the events of one sub-buffer look like, apart from its bytes.

use super::align::{AlignRule, to_boundary};
use super::field::Place;
use super::head::Head;
use super::layout::{Form, Layout};
use super::markers::{Ids, Markers};
use super::{Channel, Event, Header, Stop, StopReason};

/// Decodes single events of one sub-buffer.
///
/// A [`Decoder`](super::Decoder) is a grammar, the sub-buffer's bytes and a [`Position`]. Whoever owns the bytes and cannot
/// borrow them meanwhile keeps the other two.
#[derive(Clone, Debug)]
pub struct Grammar<'m> {
    pub(super) layout: Layout,
    pub(super) ids: Ids<'m>,
    /// Set: nothing doubtful is accepted, as needed where nobody says how long the events are.
    pub(super) bounds: Option<TimeBounds>,
}

/// A place between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// End of the event before, or of the header before the first one.
    pub offset: usize,
    /// Its time, or that of the sub-buffer's beginning.
    pub time: u64,
}

impl Position {
    /// Before the first event of a sub-buffer with this header.
    pub fn first(header: &Header) -> Position {
        Position { offset: header.len(), time: header.begin }
    }

    /// After an event.
    pub fn after(event: &Event<'_>) -> Position {
        Position { offset: event.end, time: event.tsc }
    }
}

/// Upper bounds of an event's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeBounds {
    pub(super) last_tsc: Option<super::prefix::LastTsc>,
    pub(super) not_after: u64,
}

impl<'m> Grammar<'m> {
    /// The grammar of the sub-buffer that begins with `header`. `bytes` are those that hold header and events.
    ///
    /// Cost: none, except for a sub-buffer of format 2.4 from a 32-bit machine: which of two alignment rules its tracer
    /// followed is found by decoding it.
    pub fn new(bytes: &[u8], header: &Header, channel: Channel<'_>, markers: &'m Markers) -> Grammar<'m> {
        let grammar = Grammar::with_ids(header, channel, markers.ids(channel));
        let fits = |rule| grammar.clone().with_rule(rule).decodes(bytes, Position::first(header));
        match AlignRule::candidates(header) {
            rules @ [_, _, ..] => match rules.iter().copied().find(|&rule| fits(rule)) {
                Some(rule) => grammar.with_rule(rule),
                None => grammar,
            },
            _ => grammar,
        }
    }

    pub(super) fn with_ids(header: &Header, channel: Channel<'_>, ids: Ids<'m>) -> Grammar<'m> {
        let rule = AlignRule::candidates(header).first().copied().unwrap_or(AlignRule::Capped);
        Grammar { layout: Layout::new(header, channel, rule), ids, bounds: None }
    }

    pub(super) fn with_rule(mut self, rule: AlignRule) -> Grammar<'m> {
        self.layout.rule = rule;
        self
    }

    /// Rejects whatever bytes that are no event could be taken for.
    pub(super) fn strict(mut self, bounds: TimeBounds) -> Grammar<'m> {
        self.bounds = Some(bounds);
        self
    }

    fn decodes(&self, bytes: &[u8], mut at: Position) -> bool {
        while let Some(event) = self.event(bytes, at) {
            match event {
                Ok(event) => at = Position::after(&event),
                Err(_) => return false,
            }
        }
        true
    }

    /// The event that follows `at` in the sub-buffer whose used bytes these are; `None` at their end.
    ///
    /// Errors: where and why it cannot be delimited.
    #[inline]
    pub fn event<'b>(&self, bytes: &'b [u8], at: Position) -> Option<Result<Event<'b>, Stop>>
    where
        'm: 'b,
    {
        let Position { offset, time } = at;
        (offset < bytes.len())
            .then(|| self.next(bytes, offset, time).map_err(|reason| Stop { offset, reason }))
    }

    #[inline]
    fn next<'b>(&self, bytes: &'b [u8], offset: usize, now: u64) -> Result<Event<'b>, StopReason>
    where
        'm: 'b,
    {
        let head = match self.layout.form {
            Form::Short => Head::short(bytes, &self.layout, offset, now, self.bounds.is_some()),
            _ => Head::v1(bytes, &self.layout, offset, now),
        }?;
        let event = self.payload(bytes, &head)?;
        match self.bounds {
            Some(bounds) => check(&event, now, bounds).map(|()| event),
            None => Ok(event),
        }
    }

    fn payload<'b>(&self, bytes: &'b [u8], head: &Head) -> Result<Event<'b>, StopReason>
    where
        'm: 'b,
    {
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
                (_, None) => place.payload_end(marker.fields(), bytes, payload)?,
                (_, Some(_)) => {
                    // The field that is marked so is in the header already.
                    let held = usize::from(marker.fields().first().is_some_and(|field| field.compact));
                    let fields = marker.fields().get(held..).unwrap_or_default();
                    place.payload_end(fields, bytes, payload)?
                }
            };
            if let Some(declared) = head.size.filter(|&size| size != end - payload) {
                return Err(StopReason::Size { declared, computed: end - payload });
            }
            if form != Form::Short {
                tsc = head.v1_time(bytes, &self.layout, payload)?;
            }
            (payload, end)
        } else {
            let unknown = StopReason::UnknownId(head.id);
            let size = head.size.filter(|_| self.bounds.is_none()).ok_or(unknown)?;
            let payload = match form {
                // Its alignment is not known: all that are possible must agree.
                Form::Short if self.layout.pad(head.end, 8) != 0 => return Err(unknown),
                Form::Short => head.end,
                _ => head.end + head.v1_payload_pad(&self.layout),
            };
            (payload, payload.saturating_add(size))
        };
        if end > bytes.len() {
            return Err(StopReason::Truncated);
        }
        Ok(Event {
            tsc,
            id: head.id,
            start: head.start,
            end,
            payload: payload..end,
            marker,
            bytes,
            endian,
            rule,
            data: head.data,
        })
    }
}

fn check(event: &Event<'_>, now: u64, bounds: TimeBounds) -> Result<(), StopReason> {
    if event.tsc < now {
        return Err(StopReason::TimeBackwards(event.tsc));
    }
    let beyond = bounds.last_tsc.is_some_and(|last| last.is_before(event.tsc));
    if beyond || event.tsc > bounds.not_after {
        return Err(StopReason::TimeBeyond(event.tsc));
    }
    Ok(())
}
