//! From an event to the next one without looking at what is in it.

use super::align::to_boundary;
use super::field::{Field, Place, nul};
use super::grammar::{Grammar, Position};
use super::head::Head;
use super::layout::{Form, Layout};
use super::marker::Marker;

/// Ids whose strides are remembered.
const IDS: usize = 256;

/// Passes events of formats 2.x whose ids are known and low: nearly all.
///
/// What it passes, it passes as [`Grammar::event`] would have, in half the time; all others are left to that one.
#[derive(Debug)]
pub(super) struct Strides<'g, 'm> {
    grammar: &'g Grammar<'m>,
    by_id: [Stride; IDS],
}

/// What is known of the events of one id.
#[derive(Clone, Copy, Debug)]
enum Stride {
    /// Not looked up yet.
    Unknown,
    /// They have to be decoded.
    Decode,
    /// The payload starts on this boundary with `len` bytes of fixed size.
    Known { boundary: u8, len: u16, then: Then },
}

/// What is behind the fields of fixed size at the start of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Nothing,
    String,
    /// A string, and then the fields from this one on.
    StringAndFields(u8),
}

impl<'g, 'm> Strides<'g, 'm> {
    /// `None` for format 1.0, and where not all that looks like an event is accepted.
    pub(super) fn new(grammar: &'g Grammar<'m>) -> Option<Strides<'g, 'm>> {
        let fits = grammar.layout.form == Form::Short && grammar.bounds.is_none();
        fits.then_some(Strides { grammar, by_id: [Stride::Unknown; IDS] })
    }

    /// Passes the event that follows `at`; `None` at the end of the bytes, or where it has to be decoded.
    #[inline]
    pub(super) fn pass(&mut self, bytes: &[u8], at: Position) -> Option<Position> {
        let head = Head::short(bytes, &self.grammar.layout, at.offset, at.time, false).ok()?;
        let mut stride = *self.by_id.get(usize::from(head.id))?;
        if let Stride::Unknown = stride {
            stride = self.look_up(head.id);
        }
        let Stride::Known { boundary, len, then } = stride else { return None };
        let payload = head.end + to_boundary(head.end, boundary);
        let mut end = payload + usize::from(len);
        if then != Then::Nothing {
            end += nul(bytes.get(end..)?)? + 1;
        }
        if let Then::StringAndFields(first) = then {
            end = self.fields_end(bytes, head.id, payload, end, first)?;
        }
        let fits = end <= bytes.len() && head.size.is_none_or(|size| size == end - payload);
        fits.then_some(Position { offset: end, time: head.tsc })
    }

    /// End of a payload whose field number `first` is at `at`.
    #[inline(never)]
    fn fields_end(&self, bytes: &[u8], id: u16, payload: usize, at: usize, first: u8) -> Option<usize> {
        let marker = self.grammar.ids.get(id)?;
        let fields = marker.fields().get(usize::from(first)..)?;
        self.place(marker).fields_end(fields, bytes, payload, at).ok()
    }

    fn place(&self, marker: &Marker) -> Place {
        let Layout { endian, rule, .. } = self.grammar.layout;
        Place { endian, rule, alignment: marker.alignment() }
    }

    #[cold]
    fn look_up(&mut self, id: u16) -> Stride {
        let stride =
            self.grammar.ids.get(id).and_then(|marker| self.stride(marker)).unwrap_or(Stride::Decode);
        if let Some(place) = self.by_id.get_mut(usize::from(id)) {
            *place = stride;
        }
        stride
    }

    /// `None` if a number does not fit.
    fn stride(&self, marker: &Marker) -> Option<Stride> {
        let boundary = marker.plan(self.grammar.layout.rule).boundary;
        let place = self.place(marker);
        let sizes = marker.fields().iter().map_while(Field::size);
        let (fixed, len) = sizes.fold((0_usize, 0_usize), |(fields, end), size| {
            (fields + 1, end + place.rule.pad(end, size, place.alignment) + usize::from(size))
        });
        let then = match marker.fields().len() - fixed {
            0 => Then::Nothing,
            1 => Then::String,
            _ => Then::StringAndFields(u8::try_from(fixed + 1).ok()?),
        };
        Some(Stride::Known { boundary, len: u16::try_from(len).ok()?, then })
    }
}
