//! The markers of a trace, learnt from its metadata channel or told by whoever can read the kernel's memory.

use std::collections::BTreeMap;
use std::fmt;

use super::field::{TypeSizes, Value};
use super::marker::Marker;
use super::{Channel, Decoder, Event, Header, Tally, Version};

/// Conflicts kept; a broken trace may have one in every event.
const MAX_CONFLICTS: usize = 100;

/// Ids of five bits.
const LOW_IDS: usize = 32;

/// The markers of one trace.
///
/// Shape: from format 2.3 on every channel numbers its own; before, one numbering for the whole trace, in which the two
/// events of the metadata channel have ids 0 and 1.
/// Cost: a lookup is one search in an ordered map; growing is linear in the metadata read.
#[derive(Clone, Debug)]
pub struct Markers {
    version: Version,
    /// Alignment and sizes for what no event announces.
    alignment: u8,
    sizes: TypeSizes,
    /// Markers that no metadata need announce: the two kinds of metadata events and, in 1.0, the two heartbeats.
    core: Vec<Marker>,
    /// By channel name; the only key up to 2.2 is empty.
    scopes: BTreeMap<Box<[u8]>, Scope>,
    conflicts: Vec<Conflict>,
}

#[derive(Clone, Debug, Default)]
struct Scope {
    by_id: BTreeMap<u16, Marker>,
    by_name: BTreeMap<Box<[u8]>, Named>,
}

/// What is known about a name: id and format come in separate events, in either order.
#[derive(Clone, Debug, Default)]
struct Named {
    id: Option<u16>,
    format: Option<Box<[u8]>>,
}

/// A marker as found in the kernel's memory.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// Name of the marker.
    pub name: &'a [u8],
    /// Id of its events.
    pub id: u16,
    /// Its format string.
    pub format: &'a [u8],
    /// Alignment of its payload: 0 or the size of a pointer.
    pub alignment: u8,
    /// Type sizes, if known better than what follows from the size of a pointer.
    pub sizes: Option<TypeSizes>,
}

/// Two announcements that cannot both be true for all events. The later one holds; what comes from metadata goes before
/// what comes from the kernel's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Name of the channel; empty where ids are global.
    pub channel: Box<[u8]>,
    /// What they contradict each other in.
    pub kind: ConflictKind,
}

/// What two announcements contradict each other in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConflictKind {
    /// One marker with two formats.
    Format {
        /// Name of the marker.
        name: Box<[u8]>,
        /// The one that holds, and the other.
        formats: [Box<[u8]>; 2],
    },
    /// One id with two markers.
    Id {
        /// The id.
        id: u16,
        /// The name that holds, and the other.
        names: [Box<[u8]>; 2],
    },
}

impl Markers {
    /// An empty table for the trace that has this header somewhere.
    pub fn new(header: &Header) -> Markers {
        let sizes = TypeSizes::of_arch(header.arch_size);
        let id_format: &[u8] = if header.version.has_channel_ids() {
            b"channel %s name %s event_id #2u%u int #1u%u long #1u%u pointer #1u%u size_t #1u%u alignment #1u%u"
        } else {
            b"name %s id #2u%u int #1u%u long #1u%u pointer #1u%u size_t #1u%u alignment #1u%u"
        };
        let format_format: &[u8] = if header.version.has_channel_ids() {
            b"channel %s name %s format %s"
        } else {
            b"name %s format %s"
        };
        let core =
            |id, name, format: &[u8]| Marker::new(id, name, Some(format.into()), header.alignment, sizes);
        Markers {
            version: header.version,
            alignment: header.alignment,
            sizes,
            core: vec![
                core(0, b"core_marker_id", id_format),
                core(1, b"core_marker_format", format_format),
                core(2, b"heartbeat", b""),
                core(3, b"heartbeat_full", b"tsc %llu"),
            ],
            scopes: BTreeMap::new(),
            conflicts: Vec::new(),
        }
    }

    /// Learns from the first `used` bytes of a sub-buffer of the metadata channel.
    ///
    /// `used` may end at any event: for an interrupted sub-buffer it is the [valid prefix](super::prefix::valid_prefix).
    /// Announcements of all CPUs count, in any order, and repetitions are normal.
    pub fn learn(&mut self, header: &Header, bytes: &[u8], used: u64) -> Tally {
        let core = std::mem::take(&mut self.core);
        let ids = Ids::metadata(self.version, &core);
        let mut tally = Tally::new(header);
        for event in Decoder::with_ids(bytes, header, used, Channel::Metadata, ids) {
            if let Ok(event) = &event {
                self.announced(event);
            }
            tally.count(&event);
        }
        self.core = core;
        tally
    }

    /// Adds a marker of `channel` that was found elsewhere. What metadata said about the same id or name stays.
    pub fn insert(&mut self, channel: &[u8], announcement: &Announcement<'_>) {
        let &Announcement { name, id, format, alignment, sizes } = announcement;
        let scope = self.scopes.entry(self.scope_name(channel)).or_default();
        let known_format = scope.by_name.get(name).and_then(|named| named.format.clone());
        if let Some(known) = known_format.filter(|known| **known != *format) {
            return self.conflict(
                channel,
                ConflictKind::Format { name: name.into(), formats: [known, format.into()] },
            );
        }
        if let Some(known) = scope.by_id.get(&id).filter(|known| known.name() != name) {
            let names = [known.name().into(), name.into()];
            return self.conflict(channel, ConflictKind::Id { id, names });
        }
        if scope.by_id.get(&id).is_none_or(|known| !known.is_decodable()) {
            self.announce_id(channel, name, id, sizes.unwrap_or(self.sizes), alignment);
            self.announce_format(channel, name, format);
        }
    }

    /// The marker whose events have this id in this channel, if it was announced and its format can be used.
    pub fn get(&self, channel: Channel<'_>, id: u16) -> Option<&Marker> {
        self.ids(channel).get(id)
    }

    /// Number of announced ids, with or without a format.
    pub fn len(&self) -> usize {
        self.scopes.values().map(|scope| scope.by_id.len()).sum()
    }

    /// Whether nothing was announced yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All announced markers with the channel they belong to (empty where ids are global), by channel and id.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Marker)> {
        self.scopes
            .iter()
            .flat_map(|(channel, scope)| scope.by_id.values().map(|marker| (&**channel, marker)))
    }

    /// Contradictions met so far, at most a hundred.
    pub fn conflicts(&self) -> &[Conflict] {
        &self.conflicts
    }

    /// Sizes of C's types as last announced; those of the pointer size's Linux until then.
    pub fn type_sizes(&self) -> TypeSizes {
        self.sizes
    }

    /// What ids mean in one channel.
    pub(super) fn ids(&self, channel: Channel<'_>) -> Ids<'_> {
        let name = match channel {
            Channel::Metadata => return Ids::metadata(self.version, &self.core),
            Channel::Data(name) => name,
            Channel::Compact => b"",
        };
        let (core, dynamic_from) = match self.version {
            Version::V1_0 => (self.core.get(2..).unwrap_or_default(), 4),
            version if version.has_channel_ids() => (Default::default(), 0),
            _ => (Default::default(), 2),
        };
        let scope = self.scopes.get(&self.scope_name(name));
        Ids::new(core, 2, scope.map(|scope| &scope.by_id), dynamic_from)
    }

    /// Takes in one event of the metadata channel.
    fn announced(&mut self, event: &Event<'_>) {
        let mut texts = [&[][..]; 3];
        let mut numbers = [0_u64; 6];
        let (mut texts_left, mut numbers_left) = (texts.iter_mut(), numbers.iter_mut());
        for (_, value) in event.fields() {
            match value {
                Value::Str(text) => texts_left.next().into_iter().for_each(|place| *place = text),
                Value::U64(number) => numbers_left.next().into_iter().for_each(|place| *place = number),
                Value::I64(_) => {}
            }
        }
        let (channel, [name, format]) = match texts {
            [channel, name, format] if self.version.has_channel_ids() => (channel, [name, format]),
            [name, format, _] => (&[][..], [name, format]),
        };
        match event.id {
            0 => {
                let [id, int, long, pointer, size_t, alignment] = numbers;
                let byte = |number| u8::try_from(number).unwrap_or(0);
                let sizes = TypeSizes {
                    int: byte(int),
                    long: byte(long),
                    pointer: byte(pointer),
                    size_t: byte(size_t),
                };
                if sizes.are_sane() {
                    self.sizes = sizes;
                }
                if let Ok(id) = u16::try_from(id) {
                    self.announce_id(channel, name, id, self.sizes, byte(alignment));
                }
            }
            1 => self.announce_format(channel, name, format),
            _ => {}
        }
    }

    fn announce_id(&mut self, channel: &[u8], name: &[u8], id: u16, sizes: TypeSizes, alignment: u8) {
        let alignment = if matches!(alignment, 0 | 1 | 2 | 4 | 8) { alignment } else { self.alignment };
        let scope = self.scopes.entry(self.scope_name(channel)).or_default();
        let named = scope.by_name.entry(name.into()).or_default();
        named.id = Some(id);
        let marker = Marker::new(id, name, named.format.clone(), alignment, sizes);
        let earlier = scope.by_id.insert(id, marker);
        if let Some(earlier) = earlier.filter(|earlier| earlier.name() != name) {
            let names = [name.into(), earlier.name().into()];
            self.conflict(channel, ConflictKind::Id { id, names });
        }
    }

    fn announce_format(&mut self, channel: &[u8], name: &[u8], format: &[u8]) {
        let scope = self.scopes.entry(self.scope_name(channel)).or_default();
        let named = scope.by_name.entry(name.into()).or_default();
        if named.format.as_deref() == Some(format) {
            return;
        }
        let earlier = named.format.replace(format.into());
        // The id may have gone to another marker since.
        let marker = named.id.and_then(|id| scope.by_id.get_mut(&id)).filter(|marker| marker.name() == name);
        if let Some(marker) = marker {
            marker.set_format(format.into());
        }
        if let Some(earlier) = earlier {
            let formats = [format.into(), earlier];
            self.conflict(channel, ConflictKind::Format { name: name.into(), formats });
        }
    }

    fn conflict(&mut self, channel: &[u8], kind: ConflictKind) {
        if self.conflicts.len() < MAX_CONFLICTS {
            self.conflicts.push(Conflict { channel: self.scope_name(channel), kind });
        }
    }

    fn scope_name(&self, channel: &[u8]) -> Box<[u8]> {
        if self.version.has_channel_ids() { channel.into() } else { Box::default() }
    }
}

/// What event ids mean in one channel: some are built in, the others were announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ids<'a> {
    core: &'a [Marker],
    /// Id of the first built-in one.
    core_from: u16,
    dynamic: Option<&'a BTreeMap<u16, Marker>>,
    /// Lower ids are never announced for this channel, even if an event says so.
    dynamic_from: u16,
    /// The markers of the ids that fit an event's first word: nearly all events have one of these, and searching the map
    /// for each took a quarter of the time of decoding.
    low: [Option<&'a Marker>; LOW_IDS],
}

impl<'a> Ids<'a> {
    fn new(
        core: &'a [Marker],
        core_from: u16,
        dynamic: Option<&'a BTreeMap<u16, Marker>>,
        dynamic_from: u16,
    ) -> Ids<'a> {
        let ids = Ids { core, core_from, dynamic, dynamic_from, low: [None; LOW_IDS] };
        let low = std::array::from_fn(|id| ids.search(u16::try_from(id).ok()?));
        Ids { low, ..ids }
    }

    /// In the metadata channel nothing but the built-in events occurs, whatever was announced.
    fn metadata(version: Version, core: &'a [Marker]) -> Ids<'a> {
        let heartbeats = if version == Version::V1_0 { 2 } else { 0 };
        Ids::new(core.get(..2 + heartbeats).unwrap_or_default(), 0, None, 0)
    }

    #[inline]
    pub(super) fn get(&self, id: u16) -> Option<&'a Marker> {
        match self.low.get(usize::from(id)) {
            Some(marker) => *marker,
            None => self.search(id),
        }
    }

    fn search(&self, id: u16) -> Option<&'a Marker> {
        let core = id.checked_sub(self.core_from).and_then(|index| self.core.get(usize::from(index)));
        if core.is_some() {
            return core;
        }
        self.dynamic.filter(|_| id >= self.dynamic_from)?.get(&id).filter(|marker| marker.is_decodable())
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        if !self.channel.is_empty() {
            write!(f, "channel {}: ", text(&self.channel))?;
        }
        match &self.kind {
            ConflictKind::Format { name, formats: [kept, other] } => {
                write!(
                    f,
                    "marker {}: expected one format, found \"{}\" (kept) and \"{}\"",
                    text(name),
                    text(kept),
                    text(other)
                )
            }
            ConflictKind::Id { id, names: [kept, other] } => {
                write!(f, "id {id}: expected one marker, found {} (kept) and {}", text(kept), text(other))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty(version: Version) -> Markers {
        let mut bytes = vec![0; version.header_len()];
        bytes[16..24].copy_from_slice(&[0xed, 0xb7, 0xd6, 0, version.major, version.minor, 4, 4]);
        Markers::new(&Header::parse(&bytes).unwrap())
    }

    const SIZES: TypeSizes = TypeSizes { int: 4, long: 4, pointer: 4, size_t: 4 };

    fn told<'a>(name: &'a str, id: u16, format: &'a str) -> Announcement<'a> {
        let (name, format) = (name.as_bytes(), format.as_bytes());
        Announcement { name, id, format, alignment: 4, sizes: None }
    }

    #[test]
    fn id_and_format_come_in_either_order() {
        for format_first in [false, true] {
            let mut markers = empty(Version::V2_1);
            let channel = Channel::Data(b"cpu");
            if format_first {
                markers.announce_format(b"", b"m", b"a %d");
            }
            markers.announce_id(b"", b"m", 7, SIZES, 4);
            if !format_first {
                assert_eq!(markers.get(channel, 7), None);
                markers.announce_format(b"", b"m", b"a %d");
            }
            assert_eq!(markers.get(channel, 7).unwrap().fields().len(), 1);
            // Every trace start announces them all again.
            markers.announce_id(b"", b"m", 7, SIZES, 4);
            markers.announce_format(b"", b"m", b"a %d");
            assert_eq!(markers.get(channel, 7).unwrap().fields().len(), 1);
            assert_eq!(markers.conflicts(), []);
        }
    }

    #[test]
    fn the_last_announcement_wins_and_contradictions_are_kept() {
        let mut markers = empty(Version::V2_6);
        let channel = Channel::Data(b"fs");
        markers.announce_id(b"fs", b"m", 7, SIZES, 4);
        markers.announce_format(b"fs", b"m", b"a %d");
        markers.announce_format(b"fs", b"m", b"a %d b %d");
        assert_eq!(markers.get(channel, 7).unwrap().fields().len(), 2);
        markers.announce_id(b"fs", b"other", 7, SIZES, 4);
        assert_eq!(markers.get(channel, 7), None);
        let conflicts: Vec<_> = markers.conflicts().iter().map(ToString::to_string).collect();
        assert_eq!(
            conflicts,
            [
                "channel fs: marker m: expected one format, found \"a %d b %d\" (kept) and \"a %d\"",
                "channel fs: id 7: expected one marker, found other (kept) and m"
            ]
        );
        // A late format for a name whose id is another marker's now does not touch that.
        markers.announce_format(b"fs", b"m", b"");
        assert_eq!(markers.get(channel, 7), None);
        // A new id for the same marker leaves the old one usable: earlier events have it.
        markers.announce_id(b"fs", b"m", 8, SIZES, 4);
        assert!(markers.get(channel, 8).is_some());
    }

    #[test]
    fn conflicts_are_bounded() {
        let mut markers = empty(Version::V2_6);
        for i in 0..1000_u32 {
            markers.announce_format(b"fs", b"m", &i.to_le_bytes());
        }
        assert_eq!(markers.conflicts().len(), MAX_CONFLICTS);
    }

    #[test]
    fn metadata_go_before_what_memory_tells() {
        let mut markers = empty(Version::V2_6);
        let channel = Channel::Data(b"fs");
        markers.announce_id(b"fs", b"m", 7, SIZES, 4);
        markers.announce_format(b"fs", b"m", b"a %d");
        markers.insert(b"fs", &told("m", 7, "a %d"));
        assert_eq!(markers.conflicts(), []);
        markers.insert(b"fs", &told("m", 7, "b %d"));
        markers.insert(b"fs", &told("n", 7, "a %d"));
        assert_eq!(markers.conflicts().len(), 2);
        assert_eq!(markers.get(channel, 7).unwrap().fields()[0].name(), b"a");
        // What is missing is filled in: a marker, or the format of one.
        markers.insert(b"fs", &told("n", 9, "a %d"));
        markers.announce_id(b"fs", b"half", 10, SIZES, 4);
        markers.insert(b"fs", &told("half", 10, "a %d"));
        assert!(markers.get(channel, 9).is_some() && markers.get(channel, 10).is_some());
        assert_eq!(markers.conflicts().len(), 2);
    }

    #[test]
    fn scopes() {
        let mut global = empty(Version::V2_2);
        global.insert(b"whatever", &told("m", 7, ""));
        global.insert(b"", &told("core_marker_id", 0, ""));
        assert!(global.get(Channel::Data(b"cpu"), 7).is_some());
        assert_eq!(global.get(Channel::Data(b"cpu"), 0), None);
        assert_eq!(global.get(Channel::Metadata, 7), None);
        assert_eq!(global.get(Channel::Metadata, 1).unwrap().name(), b"core_marker_format");

        let mut channels = empty(Version::V2_3);
        channels.insert(b"fs", &told("m", 0, ""));
        assert!(channels.get(Channel::Data(b"fs"), 0).is_some());
        assert_eq!(channels.get(Channel::Data(b"mm"), 0), None);
        assert_eq!(channels.get(Channel::Metadata, 0).unwrap().fields().len(), 8);
    }
}
