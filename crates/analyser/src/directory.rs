//! An LTT trace on disk: the directory that the tracer's daemon wrote, or what a crash left of it.

mod identity;
mod tracefile;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lttformat::ReadAt;
use lttformat::ltt::scan::{Depth, Piece, Scan, ScanOptions};
use lttformat::ltt::{Channel, Header, Markers, TracefileName};

pub use identity::Identity;
pub use tracefile::Tracefile;
pub(crate) use tracefile::channel_name;

use crate::error::{Error, Result};
use crate::folder::{Found, OpenTracefile, Other, OtherKind, Refused, RefusedKind, Tree};

/// Bytes that hold the header of any format.
const HEADER_ROOM: usize = 128;

/// Bytes of metadata that are learnt from. A tracer announces some hundred markers, in some ten kilobytes.
const METADATA_MAX: u64 = 64 << 20;

/// A trace directory, read only.
///
/// Nothing in it is ever followed out of it: symbolic links, devices, pipes and sockets are not opened, and every file is opened from
/// the descriptor of the directory above it, so that what takes its place meanwhile is not followed either.
///
/// Cost: visits every entry, reads the beginning of every file, and all of the metadata.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
    /// As the user wrote it.
    shown: PathBuf,
    directories: Vec<PathBuf>,
    files: Vec<Tracefile>,
    others: Vec<Other>,
    refused: Vec<Refused>,
    header: Option<Header>,
    start_tsc: Option<u64>,
    markers: Option<Markers>,
    warnings: Vec<String>,
}

/// A file of which only the beginning is known yet.
struct Candidate {
    path: PathBuf,
    len: u64,
    links: u64,
    name: TracefileName,
    start: Start,
}

/// How a file begins.
enum Start {
    Empty,
    Header(Header),
    /// With zeros only, or the file ends within the header: a record that was never written out.
    Torn,
    Unknown(String),
}

/// A file that is no candidate.
enum Entry {
    Other(Other),
    Refused(Refused),
}

impl Directory {
    /// Opens the directory of one trace, as it was given to the daemon: metadata are at its top, or in `control/`.
    ///
    /// Errors: it cannot be read, holds too many files, or no trace file at all. Damage is no error.
    pub fn open(path: &Path) -> Result<Directory> {
        let failed = |source| Error::of_trace(path, source);
        let tree = Arc::new(Tree::open(path).map_err(failed)?);
        let root = path.canonicalize().map_err(failed)?;
        let (mut candidates, mut others, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
        let walk = tree.walk(|found| match candidate(found, &tree) {
            Ok(candidate) => candidates.push(candidate),
            Err(Entry::Other(other)) => others.push(other),
            Err(Entry::Refused(refused)) => unreadable.push(refused),
        });
        let walk = walk.map_err(failed)?;
        candidates.sort_unstable_by(|a, b| a.path.cmp(&b.path));

        let mut directory = Directory {
            root,
            shown: path.to_path_buf(),
            directories: walk.directories,
            files: Vec::new(),
            others,
            refused: walk.refused,
            header: prevalent(&candidates).cloned(),
            start_tsc: None,
            markers: None,
            warnings: Vec::new(),
        };
        directory.refused.append(&mut unreadable);
        directory.refused.sort_unstable_by(|a, b| a.path().cmp(b.path()));
        directory.sort_out(candidates, &tree);
        if directory.files.is_empty() {
            return Err(Error::NoTrace { path: path.to_owned() });
        }
        directory.others.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        directory.start_tsc = directory.find_start();
        directory.learn();
        Ok(directory)
    }

    /// Its absolute path, without links.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// As the user wrote it.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// Name of the trace: that of the directory, lossy.
    #[must_use]
    pub fn name(&self) -> String {
        self.root.file_name().unwrap_or(OsStr::new("/")).to_string_lossy().into_owned()
    }

    /// The trace's files, by path; paths are relative to the directory.
    #[must_use]
    pub fn files(&self) -> &[Tracefile] {
        &self.files
    }

    /// Regular files that do not belong to the trace, by path.
    #[must_use]
    pub fn others(&self) -> &[Other] {
        &self.others
    }

    /// What is neither file nor directory, or cannot be read, by path.
    #[must_use]
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// All directories below it, hidden and empty ones too, by path.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// Trace files that have other names, here or elsewhere.
    pub fn hard_links(&self) -> impl Iterator<Item = &Tracefile> {
        self.files.iter().filter(|file| file.links > 1)
    }

    /// Files that viewers take for the same stream, of which they show one: `cpu_1` and `cpu_1.partial`.
    #[must_use]
    pub fn doubles(&self) -> Vec<Vec<&Tracefile>> {
        let Some(header) = &self.header else { return Vec::new() };
        let mut streams: BTreeMap<_, Vec<&Tracefile>> = BTreeMap::new();
        for file in &self.files {
            streams.entry(file.name.stream_key(header.version)).or_default().push(file);
        }
        streams.into_values().filter(|files| files.len() > 1).collect()
    }

    /// What tells this trace from others; `None` if no file has a readable header.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.header.as_ref().map(Identity::of)
    }

    /// The header of one of its sub-buffers: what all of them share is in it.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    /// Clock cycles at the trace's start: from the headers (1.0, 2.0), else the begin of the first record of CPU 0's metadata, else
    /// the begin that the first records of several streams share.
    #[must_use]
    pub fn start_tsc(&self) -> Option<u64> {
        self.start_tsc
    }

    /// Event formats, from the whole records of all metadata files; `None` if no file has a readable header.
    #[must_use]
    pub fn markers(&self) -> Option<&Markers> {
        self.markers.as_ref()
    }

    /// What is odd about the metadata, one line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The channel that a file belongs to; `None` if the trace's format is not known.
    pub fn channel<'d>(&'d self, file: &'d Tracefile) -> Option<Channel<'d>> {
        self.header.as_ref().map(|header| file.name.channel(header.version))
    }

    /// Opens a file and scans it, from its beginning.
    ///
    /// Errors: the file cannot be opened.
    pub fn scan<'d>(&'d self, file: &'d Tracefile, depth: Depth) -> io::Result<Scan<'d, OpenTracefile>> {
        Ok(self.scan_of(file, file.open()?, depth))
    }

    /// Scans these bytes as those of a file.
    pub(crate) fn scan_of<'d, R: ReadAt>(
        &'d self,
        file: &'d Tracefile,
        bytes: R,
        depth: Depth,
    ) -> Scan<'d, R> {
        let channel = self.channel(file).unwrap_or(Channel::Data(b""));
        let options =
            ScanOptions { depth, signature: self.header.as_ref().map(Into::into), ..Default::default() };
        Scan::new(bytes, channel, self.markers.as_ref(), &options)
    }

    /// Decides which candidates are files of this trace.
    fn sort_out(&mut self, candidates: Vec<Candidate>, tree: &Arc<Tree>) {
        let identity = self.identity();
        for candidate in candidates {
            let Candidate { path, len, links, name, start } = candidate;
            let kind = match &start {
                Start::Header(header) if Some(Identity::of(header)) != identity => {
                    Some(OtherKind::OtherTrace(Identity::of(header).to_string()))
                }
                Start::Unknown(error) => Some(OtherKind::NoHeader(error.clone())),
                _ => None,
            };
            let header = match start {
                Start::Header(header) if kind.is_none() => Some(header),
                _ => None,
            };
            let file = Tracefile { tree: Arc::clone(tree), path, name, len, links, header };
            match kind {
                // The damage may be at its beginning only.
                Some(kind) if !self.holds_records(&file) => {
                    let Tracefile { tree, path, len, links, .. } = file;
                    self.others.push(Other { tree, path, len, links, kind });
                }
                _ => self.files.push(file),
            }
        }
    }

    /// Whether there are whole records behind a damaged beginning.
    fn holds_records(&self, file: &Tracefile) -> bool {
        let Ok(mut scan) = self.scan(file, Depth::Suspicious) else { return false };
        while let Ok(Some(piece)) = scan.next() {
            if let Piece::Record(_) = piece {
                return true;
            }
        }
        false
    }

    fn find_start(&self) -> Option<u64> {
        let header = self.header.as_ref()?;
        if header.start_tsc.is_some() {
            return header.start_tsc;
        }
        let begins = || self.files.iter().filter_map(|file| Some((file, file.header()?.begin)));
        let is_first = |file: &Tracefile| {
            file.name.cpu == 0
                && file.name.channel(header.version) == Channel::Metadata
                && !file.name.is_crash()
        };
        if let Some((_, begin)) = begins().find(|(file, _)| is_first(file)) {
            return Some(begin);
        }
        // Every buffer is made with its first sub-buffer begun at the trace's start.
        let first = begins().map(|(_, begin)| begin).min()?;
        (begins().filter(|&(_, begin)| begin == first).count() > 1).then_some(first)
    }

    fn learn(&mut self) {
        let Some(header) = &self.header else { return };
        let mut markers = Markers::new(header);
        let mut warnings = Vec::new();
        let mut left = METADATA_MAX;
        for file in &self.files {
            if file.is_empty() || file.name.channel(header.version) != Channel::Metadata {
                continue;
            }
            if let Err(error) = self.learn_from(file, &mut markers, &mut left) {
                warnings.push(format!("{}: {error}", file.path.display()));
            }
        }
        if left == 0 {
            warnings.push(format!(
                "expected at most {METADATA_MAX} bytes of metadata, found more: not all are learnt from"
            ));
        }
        self.warnings.append(&mut warnings);
        self.markers = Some(markers);
    }

    fn learn_from(&self, file: &Tracefile, markers: &mut Markers, left: &mut u64) -> io::Result<()> {
        let mut scan = self.scan(file, Depth::All)?;
        while let Some(piece) = scan.next()? {
            let Piece::Record(record) = piece else { continue };
            if record.used > *left {
                *left = 0;
                break;
            }
            *left -= record.used;
            markers.learn(&record.header, record.bytes, record.used);
        }
        Ok(())
    }
}

/// What a regular file is by its name and beginning.
fn candidate(found: Found, tree: &Arc<Tree>) -> Result<Candidate, Entry> {
    let Found { path, file, len, links } = found;
    let hidden = |part: &OsStr| part.as_bytes().first() == Some(&b'.');
    let kind = if path.iter().any(hidden) { OtherKind::Hidden } else { OtherKind::Name };
    let name = TracefileName::parse(path.as_os_str().as_bytes()).filter(|_| kind != OtherKind::Hidden);
    let Some(name) = name else {
        return Err(Entry::Other(Other { tree: Arc::clone(tree), path, len, links, kind }));
    };
    let mut room = [0; HEADER_ROOM];
    let have = usize::try_from(len).unwrap_or(HEADER_ROOM).min(HEADER_ROOM);
    let bytes = room.get_mut(..have).unwrap_or_default();
    if let Err(error) = file.read_exact_at(bytes, 0) {
        return Err(Entry::Refused(Refused::new(path, RefusedKind::Unreadable(error.to_string()))));
    }
    let start = match Header::parse(bytes) {
        _ if bytes.is_empty() => Start::Empty,
        Ok(header) => Start::Header(header),
        Err(lttformat::Error::Short { .. }) => Start::Torn,
        Err(_) if bytes.iter().all(|&byte| byte == 0) => Start::Torn,
        Err(error) => Start::Unknown(error.to_string()),
    };
    Ok(Candidate { path, len, links, name, start })
}

/// A header of the trace that most files belong to; of two traces with as many files that of the metadata, which viewers take the clock
/// from, or else the one whose path comes first.
fn prevalent(candidates: &[Candidate]) -> Option<&Header> {
    let mut counts: Vec<(Identity, (usize, bool), &Header)> = Vec::new();
    for candidate in candidates {
        let Start::Header(header) = &candidate.start else { continue };
        let identity = Identity::of(header);
        let is_first = candidate.name.cpu == 0 && candidate.name.channel(header.version) == Channel::Metadata;
        match counts.iter_mut().find(|(known, ..)| *known == identity) {
            Some((_, (files, has_first), _)) => {
                *files += 1;
                *has_first |= is_first;
            }
            None => counts.push((identity, (1, is_first), header)),
        }
    }
    let most = counts.iter().map(|&(_, weight, _)| weight).max()?;
    counts.iter().find(|&&(_, weight, _)| weight == most).map(|&(.., header)| header)
}
