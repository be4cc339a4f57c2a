//! Which file on disk and which buffer in the core are the same stream.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use analyser::lttng::{Directory, StreamName, Tracefile};

use super::core::{CoreStream, order};
use crate::name;

/// One file of the result: a stream, or of a stream whose files are rotated one of them.
pub(crate) struct Stream<'a> {
    /// Below the trace.
    pub(crate) path: PathBuf,
    pub(crate) file: Option<&'a Tracefile>,
    /// Place of the core's stream among all.
    pub(crate) core: Option<usize>,
    /// The core's packets that belong to this file.
    pub(crate) own: Range<usize>,
    /// Number of its stream, and of the file in it.
    pub(crate) place: (usize, usize),
    /// The newest file of its stream: what is to be said of the stream is said there.
    pub(crate) is_last: bool,
    pub(crate) channel: Vec<u8>,
    pub(crate) cpu: Option<u32>,
}

/// Finds the files of each of the core's streams.
///
/// A packet on disk tells of which stream its file is. A file without one has a name: the user's, which the core knows from the daemon's
/// open files, or the files of other CPUs show. Where the core does not know and only one name and one channel are left, they belong
/// together; that is said in `notes`.
pub(crate) fn streams<'a>(
    directory: &'a Directory,
    core: &[CoreStream<'_>],
    notes: &mut Vec<String>,
) -> Vec<Stream<'a>> {
    let names = channel_names(directory, core, notes);
    // Files of each stream, oldest first.
    let mut groups: BTreeMap<(Vec<u8>, Option<u32>), Vec<&'a Tracefile>> = BTreeMap::new();
    for file in directory.files() {
        groups.entry((file.channel_name(), file.cpu())).or_default().push(file);
    }
    let mut streams: Vec<Stream<'a>> = Vec::new();
    for (nth, source) in core.iter().enumerate() {
        let cpu = source.source.cpu;
        let name = source.id.and_then(|id| names.get(&id)).cloned();
        let name = name.unwrap_or_else(|| source.source.channel.clone().into_bytes());
        let files = groups.remove(&(name.clone(), cpu));
        let files = files.or_else(|| empty_rotated(&mut groups, &name, cpu)).unwrap_or_default();
        add(&mut streams, files, Some((nth, source)), (name, cpu), directory);
    }
    for ((name, cpu), files) in groups {
        add(&mut streams, files, None, (name, cpu), directory);
    }
    streams.sort_by(|a, b| a.path.cmp(&b.path));
    streams
}

/// The files of a stream whose files are rotated and have no packet yet: `a_1_0` looks like CPU 0 of a channel `a_1`, as long as nothing but
/// the core says that there is a channel `a`.
fn empty_rotated<'a>(
    groups: &mut BTreeMap<(Vec<u8>, Option<u32>), Vec<&'a Tracefile>>,
    channel: &[u8],
    cpu: Option<u32>,
) -> Option<Vec<&'a Tracefile>> {
    let channel = StreamName { channel: channel.to_vec(), cpu: cpu?, number: None }.file_name();
    let is_its = |key: &(Vec<u8>, Option<u32>), files: &[&Tracefile]| {
        key.0 == channel && files.iter().all(|file| file.header().is_none())
    };
    let keys: Vec<_> =
        groups.iter().filter(|(key, files)| is_its(key, files)).map(|(key, _)| key.clone()).collect();
    let files: Vec<_> = keys.iter().filter_map(|key| groups.remove(key)).flatten().collect();
    Some(files).filter(|files| !files.is_empty())
}

/// Adds the files of one stream, and shares out the core's packets among them.
fn add<'a>(
    streams: &mut Vec<Stream<'a>>,
    mut files: Vec<&'a Tracefile>,
    core: Option<(usize, &CoreStream<'_>)>,
    (channel, cpu): (Vec<u8>, Option<u32>),
    directory: &Directory,
) {
    // Those without a packet come last: the newest one may be torn.
    let group = streams.last().map_or(0, |last| last.place.0 + 1);
    let begin = |file: &Tracefile| {
        let header = file.header();
        header.map_or((true, 0), |header| (false, header.packet_seq_num.unwrap_or(header.timestamp_begin)))
    };
    files.sort_by_key(|file| (begin(file), file.name().cloned()));
    let keys = core.map_or(&[][..], |(_, core)| &core.keys);
    let nth = core.map(|(nth, _)| nth);
    if files.is_empty() {
        let path = path(directory, &channel, cpu);
        let (own, place) = (0..keys.len(), (group, 0));
        streams.push(Stream { path, file: None, core: nth, own, place, is_last: true, channel, cpu });
        return;
    }
    let mut start = 0;
    for (place, file) in files.iter().enumerate() {
        let next = files.get(place + 1);
        let end = match next.map(|next| begin(next)) {
            Some((false, begin)) => keys.partition_point(|key| order(&key.entry) < begin),
            // Of the next one no packet is left.
            Some((true, _)) | None => keys.len(),
        };
        let end = end.max(start);
        let is_last = next.is_none();
        streams.push(Stream {
            path: file.path().to_path_buf(),
            file: Some(file),
            core: nth,
            own: start..end,
            place: (group, place),
            is_last,
            channel: channel.clone(),
            cpu,
        });
        start = end;
    }
}

/// Where the file of a stream goes that has none.
fn path(directory: &Directory, channel: &[u8], cpu: Option<u32>) -> PathBuf {
    let mut name = channel.to_vec();
    if let Some(cpu) = cpu {
        let of_channel = |file: &&Tracefile| file.name().is_some_and(|name| name.channel == channel);
        let is_rotated = directory
            .files()
            .iter()
            .filter(of_channel)
            .any(|file| file.name().is_some_and(|name| name.number.is_some()));
        let number = is_rotated.then_some(0);
        name = StreamName { channel: name, cpu, number }.file_name();
    }
    // The core's own names may be anything; those on disk are names already.
    let name = name::file_name(OsStr::from_bytes(&name).as_bytes());
    directory.folder().join(Path::new(&name))
}

/// What the user called each channel.
fn channel_names(
    directory: &Directory,
    core: &[CoreStream<'_>],
    notes: &mut Vec<String>,
) -> BTreeMap<u64, Vec<u8>> {
    let mut names: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for file in directory.files() {
        if let Some(id) = file.stream_id() {
            names.entry(id).or_insert_with(|| file.channel_name());
        }
    }
    let known: BTreeSet<Vec<u8>> = names.values().cloned().collect();
    let nameless = directory.files().iter().filter(|file| file.name().is_some());
    let mut free: BTreeSet<Vec<u8>> = nameless.map(Tracefile::channel_name).collect();
    free.retain(|name| !known.contains(name));
    let mut unknown: BTreeSet<u64> = BTreeSet::new();
    for stream in core {
        let Some(id) = stream.id.filter(|id| !names.contains_key(id)) else { continue };
        let name = stream.source.channel.clone().into_bytes();
        if stream.is_named || free.contains(&name) {
            free.remove(&name);
            unknown.remove(&id);
            names.insert(id, name);
        } else {
            unknown.insert(id);
        }
    }
    let mut free = free.into_iter();
    if let (Some(name), None, [id]) = (free.next(), free.next(), &*unknown.into_iter().collect::<Vec<_>>()) {
        notes.push(format!(
            "channel {id} is taken for `{}`, the only one on disk of which no packet is left",
            String::from_utf8_lossy(&name)
        ));
        names.insert(*id, name);
    }
    names
}
