//! A CTF trace on disk: the directory that lttng-consumerd wrote, or what a crash left of it.

mod layout;
mod locate;
mod metadata;
mod name;
mod tracefile;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lttformat::ReadAt as _;
use lttformat::ctf::scan::{Piece, Scan, ScanOptions};
use lttformat::ctf::{
    Clock, EnvValue, Error as FormatError, Form, Index, IndexVersion, Language, PacketLayout, TraceClass,
    Uuid, packet_endian,
};
use lttformat::ltt::Endian;

pub use metadata::MetadataFile;
pub use name::StreamName;
pub use tracefile::{IndexFile, Tracefile};

use crate::error::{Error, Result};
use crate::folder::{Found, OpenTracefile, Other, OtherKind, Refused, RefusedKind, Tree};
use layout::Start;

/// Bytes that hold the header of any packet that lttng-modules ever wrote.
const HEADER_ROOM: usize = 128;

/// A CTF trace directory, read only.
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
    folder: PathBuf,
    directories: Vec<PathBuf>,
    metadata: Option<MetadataFile>,
    files: Vec<Tracefile>,
    others: Vec<Other>,
    refused: Vec<Refused>,
    class: Option<TraceClass>,
    class_error: Option<FormatError>,
    /// Of packets whose stream no metadata describe.
    layout: PacketLayout,
    uuid: Option<Uuid>,
    index_version: Option<IndexVersion>,
    warnings: Vec<String>,
}

/// A regular file of which only the beginning is known yet.
struct Entry {
    path: PathBuf,
    len: u64,
    links: u64,
    begins_as_packet: bool,
}

impl Directory {
    /// Opens a trace's directory: the one that has the file `metadata`, or one above it. Then it is `kernel/` in it, or the only one that
    /// is nearest to it: see [`folder`](Directory::folder). A session that was rotated is several traces; that of its current chunk is
    /// the nearest one.
    ///
    /// Where a crash has taken the metadata, a file that begins as CTF packets do is enough.
    ///
    /// Errors: it cannot be read, holds too many files, no CTF trace ([`Error::NoTrace`]), or several. Damage is no error.
    pub fn open(path: &Path) -> Result<Directory> {
        let failed = |source| Error::of_trace(path, source);
        let tree = Arc::new(Tree::open(path).map_err(failed)?);
        let root = path.canonicalize().map_err(failed)?;
        let (mut entries, mut refused) = (Vec::new(), Vec::new());
        let walk = tree.walk(|found| match entry(found) {
            Ok(entry) => entries.push(entry),
            Err(unreadable) => refused.push(unreadable),
        });
        let mut walk = walk.map_err(failed)?;
        refused.append(&mut walk.refused);
        refused.sort_unstable_by(|a: &Refused, b| a.path().cmp(b.path()));
        entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let folder = locate::locate(path, &entries)?;

        let mut sorted = Sorted::new(entries, &folder, &tree);
        let metadata = sorted.metadata.take().map(|entry| {
            let read = tree.file(&entry.path).and_then(|(file, len)| {
                let Entry { path, links, .. } = &entry;
                MetadataFile::read(&Found { path: path.clone(), file, len, links: *links }, &tree)
            });
            read.map_err(|source| Error::Read { path: root.join(&entry.path), source })
        });
        let metadata = metadata.transpose()?;
        let starts = sorted.starts(&tree);
        let (class, class_error) = class(metadata.as_ref());
        let uuid = uuid(class.as_ref(), metadata.as_ref(), &starts);
        let endian = class.as_ref().map(TraceClass::endian);
        let endian = endian.or(metadata.as_ref().and_then(|file| Some(file.packets()?.endian)));
        let endian = endian.or_else(|| starts.iter().find_map(|start| packet_endian(&start.bytes)));
        let layout = layout::guess(&starts, endian.unwrap_or(Endian::Little), uuid);
        let mut directory = Directory {
            root,
            shown: path.to_path_buf(),
            folder,
            directories: walk.directories,
            metadata,
            files: Vec::new(),
            others: sorted.others,
            refused,
            class,
            class_error,
            layout,
            uuid,
            index_version: None,
            warnings: Vec::new(),
        };
        directory.sort_out(sorted.files, sorted.indexes, &tree);
        directory.others.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        directory.index_version = directory.find_index_version();
        directory.warn();
        Ok(directory)
    }

    /// The absolute path that was opened, without links. All other paths are relative to it.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// As the user wrote it.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// Where below the root the trace itself lies: the directory with `metadata` and the data files. Empty: it is the root.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Name of the session, if the metadata tell it; else that of the root, or of the directory above where the root is called
    /// `kernel`. Lossy.
    #[must_use]
    pub fn name(&self) -> String {
        if let Some(name) = self.env("trace_name") {
            return name.to_owned();
        }
        let mut names = self.root.iter().rev();
        let name = match names.next() {
            Some(name) if name == OsStr::new("kernel") => names.next().or(Some(name)),
            name => name,
        };
        name.unwrap_or(OsStr::new("/")).to_string_lossy().into_owned()
    }

    /// When the session was created, as the tracer writes it (`20200131T142501-0500`), if the metadata tell it.
    #[must_use]
    pub fn creation_time(&self) -> Option<&str> {
        self.env("trace_creation_datetime")
    }

    /// The metadata file; `None` if there is none.
    #[must_use]
    pub fn metadata(&self) -> Option<&MetadataFile> {
        self.metadata.as_ref()
    }

    /// The trace's description; `None` for CTF 2, and if the metadata cannot be read.
    #[must_use]
    pub fn class(&self) -> Option<&TraceClass> {
        self.class.as_ref()
    }

    /// Why there is no [`class`](Directory::class), if its text is TSDL.
    #[must_use]
    pub fn class_error(&self) -> Option<&FormatError> {
        self.class_error.as_ref()
    }

    /// Identity of the trace: of its metadata, or else what most data files say. `None` if nothing says.
    #[must_use]
    pub fn uuid(&self) -> Option<Uuid> {
        self.uuid
    }

    /// What its packets look like: from the metadata as far as they go, else by what makes sense of the files.
    #[must_use]
    pub fn form(&self) -> Form<'_> {
        match &self.class {
            Some(class) if !class.streams().is_empty() => Form::Class(class),
            _ => Form::Layout { layout: &self.layout, uuid: self.uuid },
        }
    }

    /// The trace's data files, by path.
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

    /// All directories below the root, hidden and empty ones too, by path.
    #[must_use]
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// What is odd about the trace as a whole, one line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The trace's clock, if the metadata tell it.
    #[must_use]
    pub fn clock(&self) -> Option<&Clock> {
        self.class.as_ref()?.clock()
    }

    /// Form of the index files; `None` if no file has one: the daemon writes them since 2.4.
    #[must_use]
    pub fn index_version(&self) -> Option<IndexVersion> {
        self.index_version
    }

    /// Where below the root the index of a data file lies, or would.
    #[must_use]
    pub fn index_path(&self, file: &Tracefile) -> PathBuf {
        index_path(&file.path)
    }

    /// Opens a file and scans it, from its beginning.
    ///
    /// Errors: the file cannot be opened.
    pub fn scan<'d>(&'d self, file: &Tracefile, options: ScanOptions) -> io::Result<Scan<'d, OpenTracefile>> {
        Ok(Scan::new(self.form(), file.open()?, options))
    }

    fn env(&self, name: &str) -> Option<&str> {
        self.class.as_ref()?.env_text(name).filter(|value| !value.is_empty())
    }

    /// Decides which candidates are files of this trace, and which index belongs to which.
    fn sort_out(&mut self, candidates: Vec<Entry>, indexes: Vec<Entry>, tree: &Arc<Tree>) {
        let files: Vec<(Tracefile, Option<OtherKind>)> =
            candidates.into_iter().map(|entry| self.look(entry, tree)).collect();
        let named = files.iter().filter_map(|(file, _)| {
            let name = file.path.file_name()?.as_encoded_bytes();
            Some((name, tracefile::cpu(file.header.as_ref()?)?))
        });
        let rotated = name::rotated(named);
        let mut by_name: BTreeMap<OsString, Entry> = indexes
            .into_iter()
            .filter_map(|entry| Some((entry.path.file_stem()?.to_owned(), entry)))
            .collect();
        let name_of = |file: &Tracefile| {
            StreamName::parse(file.path.file_name().unwrap_or_default().as_encoded_bytes(), &rotated)
        };
        let channels: BTreeSet<Vec<u8>> = files
            .iter()
            .filter(|(file, _)| file.header.is_some())
            .filter_map(|(file, _)| Some(name_of(file)?.channel))
            .collect();
        for (mut file, kind) in files {
            file.name = name_of(&file);
            let name = file.path.file_name().unwrap_or_default();
            let is_of_channel = file.name.as_ref().is_some_and(|name| channels.contains(&name.channel));
            let kind = match kind {
                // Empty ones are files of streams that never had a packet.
                None if file.header.is_none() && file.name.is_none() => Some(OtherKind::Name),
                // Nothing of it is left, but it is one of those that the daemon wrote.
                Some(OtherKind::NoHeader(_)) if is_of_channel || by_name.contains_key(name) => None,
                kind => kind,
            };
            if let Some(kind) = kind {
                let Tracefile { tree, path, len, links, .. } = file;
                self.others.push(Other { tree, path, len, links, kind });
                continue;
            }
            file.index = by_name.remove(name).map(|entry| {
                let Entry { path, len, links, .. } = entry;
                IndexFile { tree: Arc::clone(tree), path, len, links }
            });
            self.files.push(file);
        }
        self.others.extend(by_name.into_values().map(|entry| entry.aside(tree, OtherKind::NoData)));
    }

    /// Looks how a file begins: the kind is why it is none of this trace.
    fn look(&self, entry: Entry, tree: &Arc<Tree>) -> (Tracefile, Option<OtherKind>) {
        let Entry { path, len, links, .. } = entry;
        let mut file =
            Tracefile { tree: Arc::clone(tree), path, name: None, len, links, header: None, index: None };
        if len == 0 {
            return (file, None);
        }
        let begin = match begin(&file, self.form().longest_header()) {
            Ok(begin) => begin,
            Err(error) => return (file, Some(OtherKind::NoHeader(error.to_string()))),
        };
        let kind = match self.form().header(&begin) {
            Ok(header) => {
                file.header = Some(header);
                return (file, None);
            }
            // A packet that was never written out.
            Err(FormatError::Short { .. }) => None,
            Err(_) if begin.iter().all(|&byte| byte == 0) => None,
            Err(error @ FormatError::Foreign { .. }) if self.is_foreign(&file, &begin) => {
                Some(OtherKind::OtherTrace(error.to_string()))
            }
            Err(error) => Some(OtherKind::NoHeader(error.to_string())),
        };
        // The damage may be at its beginning only.
        file.header = self.first_packet(&file);
        let kind = kind.filter(|_| file.header.is_none());
        (file, kind)
    }

    /// Whether a file that begins with another identity holds a packet of that: its header may as well be torn.
    fn is_foreign(&self, file: &Tracefile, begin: &[u8]) -> bool {
        let Some(uuid) = begin.get(4..).and_then(|rest| rest.first_chunk()) else { return false };
        let form = Form::Layout { layout: &self.layout, uuid: Some(Uuid(*uuid)) };
        let Ok(open) = file.open() else { return false };
        matches!(Scan::new(form, open, ScanOptions::default()).next(), Ok(Some(Piece::Packet(_))))
    }

    fn first_packet(&self, file: &Tracefile) -> Option<lttformat::ctf::PacketHeader> {
        let mut scan = self.scan(file, ScanOptions::default()).ok()?;
        while let Ok(Some(piece)) = scan.next() {
            if let Piece::Packet(packet) = piece {
                return Some(packet.header);
            }
        }
        None
    }

    fn find_index_version(&self) -> Option<IndexVersion> {
        let indexes: Vec<&IndexFile> = self.files.iter().filter_map(Tracefile::index).collect();
        // Where all index files are torn, the packets tell which form their daemon writes, or else the tracer's release.
        let headers = || self.files.iter().filter_map(Tracefile::header);
        let is_old = || {
            let minor = self.class.as_ref().and_then(|class| {
                class.env().iter().find_map(|(name, value)| match value {
                    EnvValue::Number(number) if name == "tracer_minor" => Some(*number),
                    _ => None,
                })
            });
            minor.is_some_and(|minor| minor < 8)
        };
        let numbered = headers().next().map_or_else(|| !is_old(), |header| header.packet_seq_num.is_some());
        let of_packets = if numbered { IndexVersion::V1_1 } else { IndexVersion::V1_0 };
        let known = indexes.iter().find_map(|index| Some(Index::parse(&index.read().ok()?).ok()?.version));
        known.or((!indexes.is_empty()).then_some(of_packets))
    }

    fn warn(&mut self) {
        let mut warnings = Vec::new();
        match &self.metadata {
            None => warnings.push("expected a file `metadata`, found none".to_owned()),
            Some(file) => {
                if file.len > metadata::METADATA_MAX {
                    warnings.push(format!(
                        "{}: expected at most {} bytes, found {}: the rest is not looked at",
                        file.path.display(),
                        metadata::METADATA_MAX,
                        file.len
                    ));
                }
                if let Some(error) = &self.class_error {
                    warnings.push(format!("{}: {error}", file.path.display()));
                }
            }
        }
        let is_beside = |other: &&Other| other.path.parent() == Some(&self.folder) && !other.is_empty();
        for other in self.others.iter().filter(is_beside).filter(|other| other.kind != OtherKind::Hidden) {
            warnings.push(format!(
                "{}: viewers take it for a data file and refuse the trace: move it elsewhere",
                other.path.display()
            ));
        }
        if let Some(class) = &self.class {
            let ids: BTreeSet<u64> = self.files.iter().filter_map(Tracefile::stream_id).collect();
            for id in ids.into_iter().filter(|id| class.stream(*id).is_none()) {
                warnings
                    .push(format!("expected metadata of stream {id}, found none: viewers refuse the trace"));
            }
        }
        self.warnings = warnings;
    }
}

/// The regular files of a tree by what they are for.
#[derive(Default)]
struct Sorted {
    metadata: Option<Entry>,
    files: Vec<Entry>,
    indexes: Vec<Entry>,
    others: Vec<Other>,
}

impl Sorted {
    fn new(entries: Vec<Entry>, folder: &Path, tree: &Arc<Tree>) -> Sorted {
        let mut sorted = Sorted::default();
        let index = folder.join("index");
        for entry in entries {
            let (path, parent) = (&entry.path, entry.path.parent());
            if locate::is_hidden(path) {
                sorted.others.push(entry.aside(tree, OtherKind::Hidden));
            } else if parent == Some(folder) && path.file_name() == Some(OsStr::new(locate::METADATA)) {
                sorted.metadata = Some(entry);
            } else if parent == Some(folder) {
                sorted.files.push(entry);
            } else if parent == Some(&index) && path.extension() == Some(OsStr::new("idx")) {
                sorted.indexes.push(entry);
            } else {
                sorted.others.push(entry.aside(tree, OtherKind::Elsewhere));
            }
        }
        sorted
    }

    /// The beginnings of the data files that there are.
    fn starts(&self, tree: &Tree) -> Vec<Start> {
        let start = |entry: &Entry| {
            let (file, len) = tree.file(&entry.path).ok()?;
            let mut bytes = vec![0; usize::try_from(len).unwrap_or(HEADER_ROOM).min(HEADER_ROOM)];
            file.read_exact_at(&mut bytes, 0).ok()?;
            let name = entry.path.file_name().unwrap_or_default().as_encoded_bytes();
            let [plain, rotated] = [StreamName::plain(name), StreamName::rotated(name)];
            // Which of the two it is, is not known yet.
            let cpu = if rotated.is_some() { None } else { plain.map(|name| name.cpu) };
            Some(Start { bytes, len, cpu })
        };
        self.files.iter().filter(|entry| entry.begins_as_packet).filter_map(start).collect()
    }
}

impl Entry {
    fn aside(self, tree: &Arc<Tree>, kind: OtherKind) -> Other {
        Other { tree: Arc::clone(tree), path: self.path, len: self.len, links: self.links, kind }
    }
}

fn entry(found: Found) -> Result<Entry, Refused> {
    let Found { path, file, len, links } = found;
    let mut magic = [0; 4];
    let begins_as_packet = len >= 4;
    if begins_as_packet && let Err(error) = file.read_exact_at(&mut magic, 0) {
        return Err(Refused::new(path, RefusedKind::Unreadable(error.to_string())));
    }
    Ok(Entry { path, len, links, begins_as_packet: begins_as_packet && packet_endian(&magic).is_some() })
}

/// Where the index of a data file lies, which has the path `file`.
fn index_path(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".idx");
    file.parent().unwrap_or(Path::new("")).join("index").join(name)
}

fn begin(file: &Tracefile, room: usize) -> io::Result<Vec<u8>> {
    let open = file.open()?;
    let mut begin = vec![0; usize::try_from(open.len()).unwrap_or(room).min(room)];
    open.read_exact_at(0, &mut begin)?;
    Ok(begin)
}

/// What the metadata describe, or why nobody can say.
fn class(metadata: Option<&MetadataFile>) -> (Option<TraceClass>, Option<FormatError>) {
    match metadata {
        Some(file) if file.language() == Language::Tsdl => match TraceClass::parse(file.text()) {
            Ok(class) => (Some(class), None),
            Err(error) => (None, Some(error)),
        },
        _ => (None, None),
    }
}

/// The identity that the metadata tell, or else that of most data files.
fn uuid(class: Option<&TraceClass>, metadata: Option<&MetadataFile>, starts: &[Start]) -> Option<Uuid> {
    let of_metadata = class.and_then(TraceClass::uuid);
    let of_metadata = of_metadata.or(metadata.and_then(|file| Some(file.packets()?.uuid)));
    of_metadata.or_else(|| {
        let mut counts: BTreeMap<[u8; 16], usize> = BTreeMap::new();
        for start in starts {
            // After the magic number, whatever the release.
            if let Some(uuid) = start.bytes.get(4..).and_then(|rest| rest.first_chunk()) {
                *counts.entry(*uuid).or_default() += 1;
            }
        }
        let most = counts.values().max().copied();
        counts.into_iter().find(|(_, count)| Some(*count) == most).map(|(uuid, _)| Uuid(uuid))
    })
}
