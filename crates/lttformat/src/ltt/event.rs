//! One decoded event.

use std::ops::Range;

use super::Endian;
use super::align::AlignRule;
use super::field::{Fields, Place};
use super::marker::Marker;

/// One event. Borrows the sub-buffer and the marker; its fields are decoded when asked for.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Its full time in clock cycles.
    pub tsc: u64,
    /// Its id.
    pub id: u16,
    /// Offset of its header in the sub-buffer, after the padding that belongs to it.
    pub start: usize,
    /// Offset of its end in the sub-buffer.
    pub end: usize,
    /// Where its payload lies; empty at an unknown place before `end` when the marker is not known.
    pub payload: Range<usize>,
    /// Its marker; `None` for an event that was skipped by the size in its header.
    pub marker: Option<&'a Marker>,
    pub(super) bytes: &'a [u8],
    pub(super) endian: Endian,
    pub(super) rule: AlignRule,
    pub(super) data: Option<u32>,
}

impl<'a> Event<'a> {
    /// The marker's name, if the marker is known.
    pub fn name(&self) -> Option<&'a [u8]> {
        self.marker.map(Marker::name)
    }

    /// The payload's bytes.
    pub fn raw(&self) -> &'a [u8] {
        self.bytes.get(self.payload.clone()).unwrap_or_default()
    }

    /// The fields with their values, in the order of the marker's format; none when the marker is not known.
    ///
    /// Cost: no allocation; strings are searched for their NUL again.
    pub fn fields(&self) -> Fields<'a> {
        let (fields, alignment) =
            self.marker.map_or((Default::default(), 0), |marker| (marker.fields(), marker.alignment()));
        Fields {
            fields: fields.iter(),
            payload: self.raw(),
            at: 0,
            place: Place { endian: self.endian, rule: self.rule, alignment },
            // Only a field that is marked so is held in the header.
            data: self.data.filter(|_| fields.first().is_some_and(|field| field.compact)),
        }
    }
}
