//! From an event to the next one without looking at what is in it.

use super::Endian;
use super::align::to_boundary;
use super::field::{Field, Place, nul};
use super::grammar::{Grammar, Position};
use super::head::{Head, ShortId};
use super::layout::{Form, Layout};
use super::marker::Marker;

/// Ids whose strides are remembered.
const IDS: usize = 256;

/// Passes events of formats 2.x whose ids are low and were met before: nearly all.
///
/// What it passes, it passes as [`Grammar::event`] would have, in a third of the time; all others are left to that one.
#[derive(Debug)]
pub(super) struct Strides<'g, 'm> {
    grammar: &'g Grammar<'m>,
    by_id: [Stride; IDS],
}

/// What is known of the events of one id: the payload starts on this boundary with `len` bytes of fixed size.
#[derive(Clone, Copy, Debug)]
struct Stride {
    boundary: u8,
    /// More than there is, if nothing is known: as good as an event that does not fit, and that is asked of all events anyway.
    len: usize,
    then: Then,
}

impl Stride {
    const UNKNOWN: Stride = Stride { boundary: 1, len: usize::MAX, then: Then::Nothing };
}

/// What is behind the fields of fixed size at the start of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    String,
    /// A string, and then the fields from this one on.
    StringAndFields(u8),
}

/// Events that were passed.
pub(super) struct Run {
    pub(super) events: u64,
    /// The place after the last one.
    pub(super) end: Position,
}

impl<'g, 'm> Strides<'g, 'm> {
    /// `None` for format 1.0, and where not all that looks like an event is accepted.
    pub(super) fn new(grammar: &'g Grammar<'m>) -> Option<Strides<'g, 'm>> {
        let fits = grammar.layout.form == Form::Short && grammar.bounds.is_none();
        fits.then_some(Strides { grammar, by_id: [Stride::UNKNOWN; IDS] })
    }

    /// Remembers the stride of an id, if events of it can be passed.
    #[inline]
    pub(super) fn learn(&mut self, id: u16) {
        if let Some(place) = self.by_id.get_mut(usize::from(id))
            && place.len == usize::MAX
            && let Some(stride) = stride(self.grammar, id)
        {
            *place = stride;
        }
    }

    /// Passes the events that follow `at`, up to the first one that has to be decoded or to the end of the bytes.
    #[inline]
    pub(super) fn run(&self, bytes: &[u8], at: Position) -> Run {
        // A third of the time would go into asking for both at each event.
        match (self.grammar.layout.endian, self.grammar.layout.alignment) {
            (Endian::Little, 0) => self.run_as::<false, false>(bytes, at),
            (Endian::Little, _) => self.run_as::<false, true>(bytes, at),
            (Endian::Big, 0) => self.run_as::<true, false>(bytes, at),
            (Endian::Big, _) => self.run_as::<true, true>(bytes, at),
        }
    }

    fn run_as<const BIG: bool, const ALIGNED: bool>(&self, bytes: &[u8], at: Position) -> Run {
        let mut run = Run { events: 0, end: at };
        while let Some(next) = self.next::<BIG, ALIGNED>(bytes, run.end) {
            run.end = next;
            run.events += 1;
        }
        run
    }

    /// The end of the event that follows `at`.
    #[inline]
    fn next<const BIG: bool, const ALIGNED: bool>(&self, bytes: &[u8], at: Position) -> Option<Position> {
        let Layout { rule, alignment, .. } = self.grammar.layout;
        let endian = if BIG { Endian::Big } else { Endian::Little };
        let start = at.offset + pad::<ALIGNED>(at.offset, rule.boundary(4, alignment));
        let word = endian.u32(bytes, start)?;
        let (id, head_end) = match ShortId::of(word) {
            ShortId::Here(id) => (id, start + 4),
            ShortId::Next => (endian.u16(bytes, start + 4)?, start + 6),
            ShortId::NextWithSize | ShortId::NextWithSizeAndTsc => return self.extended(bytes, at),
        };
        let (_, end) = self.payload::<ALIGNED>(bytes, id, head_end)?;
        Some(Position { offset: end, time: ShortId::tsc(word, at.time) })
    }

    /// The same of an event whose header says its size.
    #[inline(never)]
    fn extended(&self, bytes: &[u8], at: Position) -> Option<Position> {
        let head = Head::short(bytes, &self.grammar.layout, at.offset, at.time, false).ok()?;
        let (payload, end) = self.payload::<true>(bytes, head.id, head.end)?;
        let fits = head.size.is_none_or(|size| size == end - payload);
        fits.then_some(Position { offset: end, time: head.tsc })
    }

    /// Start and end of the payload behind a header.
    #[inline]
    fn payload<const ALIGNED: bool>(&self, bytes: &[u8], id: u16, at: usize) -> Option<(usize, usize)> {
        let stride = self.by_id.get(usize::from(id))?;
        let payload = at + pad::<ALIGNED>(at, stride.boundary);
        let mut end = payload.checked_add(stride.len)?;
        if stride.then != Then::Nothing {
            end += nul(bytes.get(end..)?)? + 1;
        }
        if let Then::StringAndFields(first) = stride.then {
            end = self.fields_end(bytes, id, payload, end, first)?;
        }
        (end <= bytes.len()).then_some((payload, end))
    }

    /// End of a payload whose field number `first` is at `at`.
    #[inline(never)]
    fn fields_end(&self, bytes: &[u8], id: u16, payload: usize, at: usize, first: u8) -> Option<usize> {
        let marker = self.grammar.ids.get(id)?;
        let fields = marker.fields().get(usize::from(first)..)?;
        place(self.grammar, marker).fields_end(fields, bytes, payload, at).ok()
    }
}

/// Bytes from `at` to the boundary; none where nothing is aligned.
#[inline]
fn pad<const ALIGNED: bool>(at: usize, boundary: u8) -> usize {
    if ALIGNED { to_boundary(at, boundary) } else { 0 }
}

fn place(grammar: &Grammar<'_>, marker: &Marker) -> Place {
    let Layout { endian, rule, .. } = grammar.layout;
    Place { endian, rule, alignment: marker.alignment() }
}

/// `None` if no marker is known, if a number does not fit, and if the header declares no alignment where the marker does.
fn stride(grammar: &Grammar<'_>, id: u16) -> Option<Stride> {
    let marker = grammar.ids.get(id)?;
    let Layout { rule, alignment, .. } = grammar.layout;
    let boundary = marker.plan(rule).boundary;
    let place = place(grammar, marker);
    let sizes = marker.fields().iter().map_while(Field::size);
    let (fixed, len) = sizes.fold((0_usize, 0_usize), |(fields, end), size| {
        (fields + 1, end + rule.pad(end, size, place.alignment) + usize::from(size))
    });
    let then = match marker.fields().len() - fixed {
        0 => Then::Nothing,
        1 => Then::String,
        _ => Then::StringAndFields(u8::try_from(fixed + 1).ok()?),
    };
    (alignment != 0 || boundary == 1).then_some(Stride { boundary, len, then })
}
