//! Wanted names as offsets into the string sections.

use super::units::{Sections, Slice};
use crate::wanted::WantedSets;
use gimli::AttributeValue;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap};

/// Bytes of a string section that are searched in one go.
const CHUNK: usize = 1 << 18;

/// The wanted names, recognised without comparing strings where the form of the name allows.
#[derive(Debug)]
pub(crate) struct Names {
    texts: Vec<String>,
    is_struct: Vec<bool>,
    is_enum: Vec<bool>,
    by_text: HashMap<Vec<u8>, u32>,
    strings: Offsets,
    line_strings: Offsets,
}

/// Where the wanted names are in one string section.
#[derive(Debug, Default)]
struct Offsets {
    names: HashMap<usize, u32>,
    /// One bit an offset: nearly all questions are answered with no by one load.
    maybe: Vec<u64>,
}

impl Names {
    /// Searches the string sections. Linkers merge tails: `list_head` may exist only as the end of
    /// `hlist_head`, so a name is looked for with the NUL after it, and without one before it.
    pub(crate) fn find(wanted: &WantedSets<'_>, sections: &Sections<'_>) -> Self {
        let texts: BTreeSet<&str> = wanted.structs.union(&wanted.enums).copied().collect();
        let texts: Vec<&str> = texts.into_iter().filter(|text| !text.is_empty()).collect();
        let numbered = || (0u32..).zip(&texts);
        Names {
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            is_struct: texts.iter().map(|text| wanted.structs.contains(text)).collect(),
            is_enum: texts.iter().map(|text| wanted.enums.contains(text)).collect(),
            by_text: numbered().map(|(name, text)| (text.as_bytes().to_vec(), name)).collect(),
            strings: Offsets::find(&texts, sections.strings()),
            line_strings: Offsets::find(&texts, sections.line_strings()),
        }
    }

    /// Number of names; names are `0..len`.
    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(crate) fn text(&self, name: u32) -> &str {
        get(&self.texts, name).map_or("", String::as_str)
    }

    pub(crate) fn is_struct(&self, name: u32) -> bool {
        get(&self.is_struct, name).is_some_and(|wanted| *wanted)
    }

    pub(crate) fn is_enum(&self, name: u32) -> bool {
        get(&self.is_enum, name).is_some_and(|wanted| *wanted)
    }

    /// Whether some wanted name begins at this offset of the string section. May err only towards yes.
    #[inline]
    pub(crate) fn may_be_wanted(&self, offset: usize) -> bool {
        self.strings.may_have(offset)
    }

    /// Which wanted name a `DW_AT_name` is, if any. Indexed strings have to be resolved to an offset
    /// first: see [`Debug::direct`](super::units::Debug::direct).
    pub(crate) fn lookup(&self, value: &AttributeValue<Slice<'_>>) -> Option<u32> {
        match value {
            AttributeValue::DebugStrRef(offset) => self.strings.get(offset.0),
            AttributeValue::DebugLineStrRef(offset) => self.line_strings.get(offset.0),
            AttributeValue::String(text) => self.by_text.get(text.slice()).copied(),
            _ => None,
        }
    }
}

fn get<T>(list: &[T], name: u32) -> Option<&T> {
    list.get(usize::try_from(name).ok()?)
}

/// The texts by their last two bytes, which nearly no string of a section shares: so each string is looked at once, and not
/// once for each text.
struct Endings<'t> {
    /// One bit a pair of bytes.
    maybe: Vec<u64>,
    texts: HashMap<u16, Vec<(u32, &'t str)>>,
}

impl<'t> Endings<'t> {
    fn new(texts: &[&'t str]) -> Self {
        let mut endings = Endings { maybe: vec![0; (1 << 16) / 64], texts: HashMap::new() };
        for (name, text) in (0u32..).zip(texts) {
            match text.as_bytes() {
                [.., low, last] => endings.add(pair(*low, *last), name, text),
                // Whatever comes before.
                [last] => (0..=u8::MAX).for_each(|low| endings.add(pair(low, *last), name, text)),
                [] => {}
            }
        }
        endings
    }

    fn add(&mut self, pair: u16, name: u32, text: &'t str) {
        if let Some(word) = self.maybe.get_mut(usize::from(pair / 64)) {
            *word |= 1 << (pair % 64);
        }
        self.texts.entry(pair).or_default().push((name, text));
    }

    /// The texts that the bytes end with, each as the offset where it begins and its name.
    #[inline]
    fn of<'s>(&'s self, bytes: &'s [u8]) -> impl Iterator<Item = (usize, u32)> + use<'s, 't> {
        let pair = match bytes {
            [.., low, last] => pair(*low, *last),
            [last] => pair(0, *last),
            [] => 0,
        };
        let maybe = self.maybe.get(usize::from(pair / 64)).is_some_and(|word| word >> (pair % 64) & 1 != 0);
        let texts = if maybe { self.texts.get(&pair).map(Vec::as_slice) } else { None };
        texts.unwrap_or_default().iter().filter_map(move |(name, text)| {
            let start = bytes.strip_suffix(text.as_bytes())?.len();
            Some((start, *name))
        })
    }
}

fn pair(low: u8, last: u8) -> u16 {
    u16::from_le_bytes([low, last])
}

impl Offsets {
    fn find(texts: &[&str], section: &[u8]) -> Self {
        let endings = Endings::new(texts);
        let found: Vec<(usize, u32)> = (0..section.len().div_ceil(CHUNK))
            .into_par_iter()
            .flat_map_iter(|chunk| {
                let start = chunk * CHUNK;
                let chunk = section.get(start..section.len().min(start + CHUNK)).unwrap_or_default();
                memchr::memchr_iter(0, chunk).flat_map({
                    let endings = &endings;
                    move |end| endings.of(section.get(..start + end).unwrap_or_default())
                })
            })
            .collect();
        let mut maybe = vec![0u64; section.len() / 64 + 1];
        for (offset, _) in &found {
            if let Some(word) = maybe.get_mut(offset / 64) {
                *word |= 1 << (offset % 64);
            }
        }
        Offsets { names: found.into_iter().collect(), maybe }
    }

    #[inline]
    fn may_have(&self, offset: usize) -> bool {
        self.maybe.get(offset / 64).is_some_and(|word| word >> (offset % 64) & 1 != 0)
    }

    #[inline]
    fn get(&self, offset: usize) -> Option<u32> {
        if self.may_have(offset) { self.names.get(&offset).copied() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_of_longer_strings_are_found() {
        let section = b"\0hlist_head\0list\0my_list\0page\0";
        let offsets = Offsets::find(&["list_head", "list", "head", "absent"], section);
        assert_eq!(offsets.get(2), Some(0));
        assert_eq!(offsets.get(7), Some(2));
        assert_eq!(offsets.get(12), Some(1));
        assert_eq!(offsets.get(20), Some(1), "the tail of my_list");
        for other in [0, 1, 3, 25, 1000] {
            assert_eq!(offsets.get(other), None, "{other}");
        }
    }

    #[test]
    fn every_chunk_is_searched_and_strings_may_cross_them() {
        let mut section = vec![b'x'; 3 * CHUNK];
        let places = [0, 2, CHUNK - 3, CHUNK + 3, 2 * CHUNK - 7, 3 * CHUNK - 5];
        for place in places {
            section[place..place + 5].copy_from_slice(b"page\0");
        }
        section[1] = 0;
        let offsets = Offsets::find(&["page", "p"], &section);
        let mut found: Vec<_> = offsets.names.into_iter().collect();
        found.sort_unstable();
        let pages = places.into_iter().filter(|place| *place != 0).map(|place| (place, 0));
        assert_eq!(found, std::iter::once((0, 1)).chain(pages).collect::<Vec<_>>());
    }
}
