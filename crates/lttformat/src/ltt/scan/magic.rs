//! Places where headers may begin.

use memchr::{memchr_iter, memmem};

use super::super::{Endian, Version};

/// The magic number of all headers, as a little-endian and as a big-endian machine writes it.
const LITTLE: [u8; 4] = [0xed, 0xb7, 0xd6, 0x00];
const BIG: [u8; 4] = [0x00, 0xd6, 0xb7, 0xed];

/// Where formats 2.1 on have it.
const IN_SHORT_HEADER: usize = 16;
/// Where 1.0 and 2.0 have it.
const IN_LONG_HEADER: usize = 40;

/// Looks for the magic number of a trace's headers, or of any trace's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Magic {
    /// Of the trace, if it is known.
    trace: Option<(Endian, Version)>,
}

impl Magic {
    pub(super) fn new(trace: Option<(Endian, Version)>) -> Magic {
        Magic { trace }
    }

    /// Whether a header may begin at the start of `bytes`. Cost: looks at two words.
    pub(super) fn is_at_start(self, bytes: &[u8]) -> bool {
        self.places().into_iter().flatten().any(|place| {
            let word = bytes.get(place..).and_then(|rest| rest.first_chunk());
            word.is_some_and(|word| self.is(word))
        })
    }

    /// Where headers may begin within `bytes`, and so that their magic number is in it, from `from` on, in order of their magic
    /// numbers.
    pub(super) fn starts(self, bytes: &[u8], from: usize) -> impl Iterator<Item = usize> {
        let mut at = from;
        let magics = std::iter::from_fn(move || {
            let found = self.next(bytes.get(at..)?)? + at;
            at = found + 1;
            Some(found)
        });
        // Of two headers that share a magic number the one that begins first has it further inside.
        let starts = magics.flat_map(move |magic| {
            self.places().into_iter().flatten().filter_map(move |place| magic.checked_sub(place))
        });
        starts.filter(move |&start| start >= from)
    }

    /// Offset of the first magic number.
    fn next(self, bytes: &[u8]) -> Option<usize> {
        match self.trace {
            Some((Endian::Little, _)) => memmem::find(bytes, &LITTLE),
            Some((Endian::Big, _)) => memmem::find(bytes, &BIG),
            // The rarer one may not occur at all: looking for each would search everything again and again.
            None => memchr_iter(LITTLE[1], bytes).find_map(|place| {
                [place.checked_sub(1), place.checked_sub(2)].into_iter().flatten().find(|&start| {
                    bytes.get(start..).and_then(|rest| rest.first_chunk()).is_some_and(|word| self.is(word))
                })
            }),
        }
    }

    fn is(self, word: &[u8; 4]) -> bool {
        match self.trace {
            Some((Endian::Little, _)) => *word == LITTLE,
            Some((Endian::Big, _)) => *word == BIG,
            None => *word == LITTLE || *word == BIG,
        }
    }

    /// Where in a header the magic number may be.
    fn places(self) -> [Option<usize>; 2] {
        match self.trace {
            Some((_, version)) if version.has_packed_header() => [Some(IN_LONG_HEADER), None],
            Some(_) => [Some(IN_SHORT_HEADER), None],
            None => [Some(IN_LONG_HEADER), Some(IN_SHORT_HEADER)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_place_and_no_other() {
        let mut bytes = vec![0xb7; 300];
        for (place, magic) in [(10, LITTLE), (16, BIG), (61, LITTLE), (100, BIG), (296, LITTLE), (250, BIG)] {
            bytes[place..place + 4].copy_from_slice(&magic);
        }
        let starts = |trace, from| Magic::new(trace).starts(&bytes, from).collect::<Vec<_>>();
        assert_eq!(starts(None, 0), [0, 21, 45, 60, 84, 210, 234, 256, 280]);
        assert_eq!(starts(None, 61), [84, 210, 234, 256, 280]);
        assert_eq!(starts(Some((Endian::Little, Version::V2_1)), 0), [45, 280]);
        assert_eq!(starts(Some((Endian::Big, Version::V2_6)), 1), [84, 234]);
        assert_eq!(starts(Some((Endian::Little, Version::V1_0)), 0), [21, 256]);
        let is_at_start = |trace, at: usize| Magic::new(trace).is_at_start(&bytes[at..]);
        assert!(
            is_at_start(None, 0) && is_at_start(None, 21) && is_at_start(None, 45) && !is_at_start(None, 46)
        );
        assert!(is_at_start(Some((Endian::Big, Version::V2_6)), 84));
        assert!(!is_at_start(Some((Endian::Big, Version::V2_0)), 84) && !is_at_start(None, 290));
    }
}
