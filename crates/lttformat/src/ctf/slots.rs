//! Values of lengths and tags, from where they are read to where they are needed.

/// Slots of one event: more lengths and tags than any event of LTTng has.
pub(super) const COUNT: usize = 32;

/// Slots whose values come from the event header or the stream's event context; the others belong to the event's own
/// context and fields.
pub(super) const SHARED: usize = 8;

/// The values.
#[derive(Clone, Debug)]
pub(super) struct Slots([u64; COUNT]);

impl Slots {
    #[inline]
    pub(super) fn new() -> Slots {
        Slots([0; COUNT])
    }

    #[inline]
    pub(super) fn get(&self, slot: u8) -> u64 {
        self.0.get(usize::from(slot)).copied().unwrap_or(0)
    }

    #[inline]
    pub(super) fn set(&mut self, slot: Option<u8>, value: u64) {
        if let Some(place) = slot.and_then(|slot| self.0.get_mut(usize::from(slot))) {
            *place = value;
        }
    }
}
