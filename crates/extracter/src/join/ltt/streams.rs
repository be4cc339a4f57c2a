//! Which file on disk and which buffer in the core are the same stream.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use analyser::{Directory, Other, OtherKind};
use lttformat::ltt::{Channel, TracefileName, Version};

use crate::error::{Error, Result};
use crate::join::file::OnDisk;
use crate::join::ltt::core::CoreStream;
use crate::partial::is_partial;

/// The folder of a trace for records of a core.
const CRASH: &str = "crash";

/// One stream, from wherever it is known.
pub(crate) struct Stream<'a> {
    /// Of its file, below the trace.
    pub(crate) path: PathBuf,
    pub(crate) name: Option<TracefileName>,
    /// The daemon's file.
    pub(crate) main: Option<OnDisk<'a>>,
    /// The file that an earlier run made for the core's records.
    pub(crate) crash: Option<OnDisk<'a>>,
    pub(crate) core: Option<CoreStream<'a>>,
}

/// Everything that a trace consists of.
pub(crate) struct Streams<'a> {
    /// By path.
    pub(crate) streams: Vec<Stream<'a>>,
    /// Files that belong to no stream.
    pub(crate) others: Vec<&'a Other>,
    /// What a run that was killed left behind.
    pub(crate) leftovers: Vec<&'a Other>,
    /// What of the core has no place in it.
    pub(crate) left_out: Vec<String>,
}

impl Stream<'_> {
    /// A stream of which nothing is known but its name.
    pub(crate) fn named(name: TracefileName) -> Stream<'static> {
        let path = PathBuf::from(OsStr::from_bytes(&name.path()));
        Stream { path, name: Some(name), main: None, crash: None, core: None }
    }

    /// The channel, as decoding sees it.
    pub(crate) fn channel(&self, version: Option<Version>) -> Channel<'_> {
        match (&self.name, version) {
            (Some(name), Some(version)) => name.channel(version),
            _ => Channel::Data(b""),
        }
    }

    /// The channel as reports show it: its path without CPU number and `flight-`.
    pub(crate) fn label(&self) -> String {
        let Some(name) = &self.name else { return self.path.display().to_string() };
        let group = String::from_utf8_lossy(&name.group);
        let (folder, file) = group.rsplit_once('/').unwrap_or(("", &group));
        let file = file.strip_prefix("flight-").unwrap_or(file);
        if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
    }

    pub(crate) fn cpu(&self) -> u32 {
        let known = self.name.as_ref().map(|name| name.cpu);
        known.or(self.core.as_ref().and_then(|core| core.source.cpu)).unwrap_or(0)
    }

    /// Where its records of the core go if they get a file of their own.
    pub(crate) fn crash_path(&self) -> PathBuf {
        match &self.crash {
            Some(file) => file.path().to_path_buf(),
            None => Path::new(CRASH).join(&self.path),
        }
    }
}

/// What makes two names the same stream: what viewers take for that, or the path where the name says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Identity {
    Stream(Vec<u8>, u32),
    Path(Vec<u8>),
}

impl Identity {
    fn of(path: &[u8], version: Option<Version>) -> Identity {
        match (TracefileName::parse(path), version) {
            (Some(name), Some(version)) => {
                let (group, cpu) = name.stream_key(version);
                Identity::Stream(group, cpu)
            }
            _ => Identity::Path(path.to_vec()),
        }
    }
}

/// Finds the file of each of the core's streams. What is in the way of a file that they would get is an error.
pub(crate) fn streams<'a>(
    directory: &'a Directory,
    core: Vec<CoreStream<'a>>,
    version: Option<Version>,
) -> Result<Streams<'a>> {
    let mut by_path: BTreeMap<PathBuf, Stream<'a>> = BTreeMap::new();
    let mut known: HashMap<Identity, PathBuf> = HashMap::new();
    let mut left_out = Vec::new();
    let bytes = |path: &'a Path| path.as_os_str().as_bytes();
    let on_disk = directory.files().iter().map(OnDisk::Tracefile);
    let (crash, main): (Vec<_>, Vec<_>) = on_disk.partition(|file| bytes(file.path()).starts_with(b"crash/"));
    for file in main {
        let path = file.path().to_path_buf();
        known.entry(Identity::of(bytes(file.path()), version)).or_insert_with(|| path.clone());
        let name = TracefileName::parse(bytes(file.path()));
        by_path.insert(path.clone(), Stream { path, name, main: Some(file), crash: None, core: None });
    }

    for core in core {
        // As the tracer names it, then as an earlier run has sanitised that.
        let raw = core.source.path.join(&b'/');
        let identities = [&raw[..], core.path.as_os_str().as_bytes()].map(|path| Identity::of(path, version));
        let path = identities.iter().find_map(|identity| known.get(identity)).cloned();
        let path = path.unwrap_or_else(|| core.path.clone());
        for identity in identities {
            known.entry(identity).or_insert_with(|| path.clone());
        }
        let other = directory.others().iter().find(|other| other.path() == path);
        let foreign = other.filter(|other| matches!(other.kind(), OtherKind::OtherTrace(_)));
        if let Some(foreign) = foreign {
            let path = directory.root().join(&path);
            return Err(Error::Occupied { path, found: foreign.kind().to_string() });
        }
        let stream = by_path.entry(path.clone()).or_insert_with(|| Stream {
            name: TracefileName::parse(path.as_os_str().as_bytes()),
            main: other.map(OnDisk::Other),
            crash: None,
            core: None,
            path,
        });
        if stream.core.is_some() {
            left_out.push(format!(
                "{}: expected one buffer of this name in the core, found another, which was left out",
                stream.path.display()
            ));
        } else {
            stream.core = Some(core);
        }
    }

    for file in crash {
        let continued = bytes(file.path()).strip_prefix(b"crash/").unwrap_or_default();
        let path = known.get(&Identity::of(continued, version)).cloned();
        match path.and_then(|path| by_path.get_mut(&path)).filter(|stream| stream.crash.is_none()) {
            Some(stream) => stream.crash = Some(file),
            // It continues nothing that is known, so it is a stream of its own.
            None => {
                let path = file.path().to_path_buf();
                let name = TracefileName::parse(bytes(file.path()));
                by_path
                    .insert(path.clone(), Stream { path, name, main: Some(file), crash: None, core: None });
            }
        }
    }

    let is_stream = |other: &&Other| by_path.get(other.path()).is_some_and(|stream| stream.main.is_some());
    let others = directory.others().iter().filter(|other| !is_stream(other));
    let (leftovers, others) = others.partition(|other| is_partial(other.path()));
    let streams = Streams { others, leftovers, left_out, streams: by_path.into_values().collect() };
    Ok(streams)
}
