//! Metadata that neither side holds, made up so that the trace can be read.
//!
//! A tracer announces its event formats when a trace is made, in the first sub-buffer of its metadata channel. The channel is slow: at
//! a crash that sub-buffer has often not reached the disk, and sometimes it has left the memory. Viewers take the time of the
//! trace's start from its header, stop at the first event that nobody announced, and want a file with at least one record for every CPU.

use std::collections::{BTreeMap, BTreeSet};

use lttformat::ltt::{Announcements, Header, Marker, Markers, TracefileName, Version, announce};

/// CPUs a kernel has at most: more are not believed.
const CPUS_MAX: u32 = 8192;

/// The metadata file of one CPU, without what is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetadataFile {
    /// Begin of its first record and end of its last; none if it has none.
    pub(crate) span: Option<(u64, u64)>,
    /// Nothing that the tracer wrote is missing.
    pub(crate) complete: bool,
}

/// What is known of the whole trace.
pub(crate) struct Metadata<'a> {
    /// A header of the trace.
    pub(crate) template: &'a Header,
    /// Time at which the trace was made, if known.
    pub(crate) start: Option<u64>,
    pub(crate) sub_buffer_size: u64,
    pub(crate) page_size: u64,
    /// What the records of the metadata files announce.
    pub(crate) announced: &'a Markers,
    /// The same, and what the kernel's memory tells.
    pub(crate) known: &'a Markers,
    /// By CPU.
    pub(crate) files: BTreeMap<u32, MetadataFile>,
    /// Highest CPU of any stream.
    pub(crate) last_cpu: u32,
    /// Groups that are read like a channel: channel, then group.
    pub(crate) aliases: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

/// Records to be put in front of a metadata file, and behind it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct MadeUp {
    pub(crate) front: Vec<Vec<u8>>,
    pub(crate) back: Vec<Vec<u8>>,
    /// Formats in them.
    pub(crate) markers: u64,
}

/// The group of the metadata files.
pub(crate) fn group(version: Version) -> &'static [u8] {
    match version {
        version if version.has_channel_ids() => b"metadata",
        Version::V1_0 => b"control/facilities",
        _ => b"control/metadata",
    }
}

impl Metadata<'_> {
    /// What must be made up, by CPU.
    ///
    /// * The first sub-buffer of CPU 0 is missing: one in its place, with all formats that are known.
    /// * Metadata are missing elsewhere, or no one can say: the formats that are known and not announced, behind the last record of CPU 0.
    /// * A channel is read under another name: its formats under that name.
    /// * A CPU has no metadata: a record with nothing in it.
    pub(crate) fn made_up(&self) -> lttformat::Result<BTreeMap<u32, MadeUp>> {
        let mut made: BTreeMap<u32, MadeUp> = BTreeMap::new();
        let first = self.files.get(&0).and_then(|file| file.span);
        let begins = self.files.values().filter_map(|file| file.span).map(|(begin, _)| begin);
        let Some(start) = self.start.or(begins.min()) else { return Ok(made) };

        let mut missing: Vec<(&[u8], &Marker)> = Vec::new();
        if first.is_none_or(|(begin, _)| begin > start) {
            let end = first.map_or(start, |(begin, _)| begin);
            let all: Vec<_> = self.markers(self.known).collect();
            let records = self.records(&all, start, end)?;
            made.insert(0, MadeUp { front: records, back: Vec::new(), markers: all.len() as u64 });
        } else if self.files.values().any(|file| !file.complete) {
            let announced: BTreeSet<_> = self.announced().collect();
            let is_missing = |(channel, marker): &(&[u8], &Marker)| {
                !announced.contains(&(*channel, marker.id(), marker.name(), marker.format()))
            };
            missing.extend(self.markers(self.known).filter(is_missing));
        }
        let announced: BTreeSet<_> = self.announced().collect();
        for (channel, alias) in &self.aliases {
            let of_channel = self.markers(self.known).filter(|(name, _)| name == channel);
            missing.extend(of_channel.map(|(_, marker)| (&**alias, marker)).filter(|(alias, marker)| {
                !announced.contains(&(*alias, marker.id(), marker.name(), marker.format()))
            }));
        }
        if !missing.is_empty() {
            // No two records have the same begin, also if the last one is empty.
            let file = made.entry(0).or_default();
            let next = match first {
                Some((_, end)) => end.saturating_add(1),
                None => start.saturating_add(file.front.len() as u64),
            };
            let records = self.records(&missing, next, next)?;
            file.back = records;
            file.markers += missing.len() as u64;
        }
        for cpu in 1..=self.last_cpu.min(CPUS_MAX) {
            if self.files.get(&cpu).is_none_or(|file| file.span.is_none()) {
                made.insert(cpu, MadeUp { front: self.records(&[], start, start)?, ..MadeUp::default() });
            }
        }
        Ok(made)
    }

    fn announced(&self) -> impl Iterator<Item = (&[u8], u16, &[u8], Option<&[u8]>)> {
        self.announced.iter().map(|(channel, marker)| (channel, marker.id(), marker.name(), marker.format()))
    }

    /// Those that can be announced: with a format, and with an id that is not one of the metadata events themselves.
    fn markers<'m>(&self, markers: &'m Markers) -> impl Iterator<Item = (&'m [u8], &'m Marker)> {
        let version = self.template.version;
        markers.iter().filter(move |(channel, marker)| {
            marker.format().is_some() && !is_built_in(version, channel, marker.id())
        })
    }

    fn records(&self, markers: &[(&[u8], &Marker)], begin: u64, end: u64) -> lttformat::Result<Vec<Vec<u8>>> {
        let Metadata { template, sub_buffer_size, page_size, .. } = *self;
        let place = Announcements { begin, end, sub_buffer_size, page_size };
        announce(template, markers.iter().copied(), &place)
    }
}

/// Whether an id stands for an event that no tracer announces.
fn is_built_in(version: Version, channel: &[u8], id: u16) -> bool {
    match version {
        version if version.has_channel_ids() => channel == b"metadata",
        Version::V1_0 => id < 4,
        _ => id < 2,
    }
}

/// The name of a CPU's metadata file, in the place of the others.
pub(crate) fn name(like: Option<&TracefileName>, version: Version, cpu: u32) -> TracefileName {
    let group = like.map_or(group(version), |name| &name.group);
    TracefileName { group: group.to_vec(), cpu, suffix: Vec::new() }
}

#[cfg(test)]
mod tests;
