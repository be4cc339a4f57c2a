//! From a CTF trace's folder and a core to the files of the result, and the report about them.

use std::collections::BTreeMap;
use std::iter::once;
use std::path::{Path, PathBuf};

use analyser::lttng::{Channel, Directory, Session, Tracefile};
use analyser::{Kernel, Other, OtherKind};
use lttformat::ReadAt as _;
use lttformat::ctf::scan::{Depth, Scan, ScanOptions};
use lttformat::ctf::{Form, IndexVersion, TraceClass};
use rayon::prelude::*;

use super::comparison::Comparison;
use super::core::CoreStream;
use super::gap::{self, Numbered};
use super::index::{self, Old};
use super::metadata::{Joined, Sides};
use super::sequence::{Item, Judge, Sequence};
use super::streams::{Stream, streams};
use crate::error::{Error, Result, while_doing};
use crate::join::file::{CutBytes, File, Found, OnDisk, Piece};
use crate::join::gap::{Gap, gap as gap_by_positions};
use crate::join::plan::Plan;
use crate::join::report::{Added, Both, DiskPart, JoinReport, JoinTotals, Layout, Made, Outcome, StreamJoin};
use crate::partial::is_partial;
use crate::progress::Silent;
use crate::session;
use crate::source::Content;

/// The core's side of a join.
#[derive(Clone, Copy)]
pub(crate) struct SessionCore<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) session: &'a Session,
}

/// The folder for what came from a core, in the layout `crash-subdir`: a trace of its own beside that of the daemon.
const CRASH: &str = "crash";

/// The file that describes all streams.
const METADATA: &str = "metadata";

/// Bytes of an index that are read; what is behind them is made again.
const INDEX_MAX: u64 = 64 << 20;

/// Why positions prove nothing of packets without numbers.
const ROTATED: &str = "files that are rotated: the oldest packets may have been dropped on purpose";

/// What all streams have in common.
struct Common<'a> {
    directory: &'a Directory,
    core: Option<SessionCore<'a>>,
    layout: Layout,
    /// Form of the index files; none: there are none.
    index: Option<IndexVersion>,
}

/// A stream, with its file looked at.
struct Looked<'a> {
    found: Option<Found<'a>>,
    sequence: Sequence,
}

impl<'a> Plan<'a> {
    /// Looks at everything, changes nothing.
    pub(crate) fn of_lttng(
        directory: &'a Directory,
        core: Option<SessionCore<'a>>,
        layout: Layout,
    ) -> Result<Plan<'a>> {
        let has_packets = directory.files().iter().any(|file| file.header().is_some());
        // A daemon that had written packets and no index writes none.
        let of_session = core.and_then(|core| core.session.index_version()).filter(|_| !has_packets);
        let common = Common { directory, core, layout, index: directory.index_version().or(of_session) };
        common.check()?;

        let on_disk = directory.metadata().map(OnDisk::Metadata);
        let on_disk = on_disk.map(|file| Found::look(file, directory.root())).transpose()?;
        let found = on_disk.as_ref().map(|(found, _)| *found);
        let mut sides = Sides {
            disk: directory.metadata(),
            len: found.map_or(0, |found| found.len),
            core: core.and_then(|core| core.session.metadata()),
        };
        let metadata = Joined::new(sides);
        // What the longer text says of packets decides about both sides.
        let class = TraceClass::parse(metadata.text()).ok().filter(|class| !class.streams().is_empty());
        let form = class.as_ref().map_or_else(|| directory.form(), Form::Class);

        let cores = common.cores(class.as_ref());
        let mut notes = directory.warnings().to_vec();
        let streams = streams(directory, &cores, &mut notes);
        let looked: Vec<Looked<'a>> =
            streams.par_iter().map(|stream| common.look(stream, &cores, form)).collect::<Result<_>>()?;
        let gaps = common.gaps(&streams, &looked, &cores);

        let mut report = common.report(notes);
        let mut files = Vec::new();
        let path = directory.folder().join(METADATA);
        if core.is_some() || found.is_some() {
            let (mut file, mut joined) = metadata.file(path.clone(), found);
            if layout != Layout::Merged {
                // Not as they are in the packets on disk, which this run may change.
                let own = sides.core.filter(|core| !core.text().is_empty());
                let failed = while_doing("reading", directory.root().join(&path));
                let bytes = match (own, &on_disk) {
                    (Some(core), _) => core.wrap(metadata.text()),
                    (None, Some((_, open))) => metadata.bytes(open).map_err(failed)?,
                    (None, None) => Vec::new(),
                };
                let apart = common.continued(made(common.apart(&path), bytes, true), None)?;
                let changes = !apart.is_unchanged();
                files.push(apart);
                if layout == Layout::CrashSubdir {
                    sides.core = None;
                    (file, joined) = Joined::new(sides).file(path, found);
                }
                joined.changes |= changes;
            }
            if layout != Layout::Beside && (layout == Layout::Merged || found.is_some()) {
                files.push(file);
            }
            report.metadata = Some(joined);
        }
        for (stream, looked) in streams.iter().zip(&looked) {
            let core = stream.core.and_then(|core| cores.get(core));
            let gap = gaps.get(&stream.place.0);
            let (of_stream, joined) = common.compose(stream, looked, core, gap)?;
            files.extend(of_stream);
            report.streams.push(joined);
        }
        report.add_up();
        let contents: Vec<_> = cores.into_iter().map(|core| Some(core.source.content)).collect();
        let taken =
            |other: &&Other| files.iter().any(|file| file.original.is_some() && file.path == other.path());
        let others = directory.others().iter().filter(|other| !taken(other));
        let (leftovers, others): (Vec<_>, Vec<_>) = others.partition(|other| is_partial(other.path()));
        report.others = others.iter().map(|other| other.path().display().to_string()).collect();
        let (root, directories) = (directory.root(), directory.directories());
        let plan = Plan { root, directories, others, leftovers, contents, files, report };
        plan.check_places()?;
        Ok(plan)
    }
}

impl<'a> Common<'a> {
    /// Refuses what no result could be made of.
    fn check(&self) -> Result<()> {
        let root = self.directory.root();
        if let Some(refused) = self.directory.refused().first() {
            let path = root.join(refused.path());
            return Err(Error::Refused { path, found: refused.kind().to_string() });
        }
        let of_core = self.core.and_then(|core| core.session.uuid());
        if let Some((disk, core)) = self.directory.uuid().zip(of_core).filter(|(disk, core)| disk != core) {
            let (disk, core) = (disk.to_string(), core.to_string());
            return Err(Error::OtherTrace { path: root.to_path_buf(), disk, core });
        }
        Ok(())
    }

    /// The core's streams. Those of channels that never recorded are left out: no metadata describe them.
    fn cores(&self, class: Option<&TraceClass>) -> Vec<CoreStream<'a>> {
        let Some(SessionCore { kernel, session }) = self.core else { return Vec::new() };
        let is_known = |channel: &Channel| {
            let id = channel.id().map(u64::from);
            channel.is_declared() || id.zip(class).is_some_and(|(id, class)| class.stream(id).is_some())
        };
        let sources = session::streams(kernel, session, is_known);
        let channels: Vec<&Channel> =
            session.streams().map(|(channel, _)| channel).filter(|channel| is_known(channel)).collect();
        let pairs: Vec<_> = sources.into_iter().zip(channels).collect();
        pairs
            .into_par_iter()
            .map(|(source, channel)| CoreStream::new(source, channel.id().map(u64::from), channel.is_named()))
            .collect()
    }

    /// The file of a stream: one that is named so and holds nothing of the trace is cut wholly.
    fn on_disk(&self, stream: &Stream<'a>) -> Result<Option<OnDisk<'a>>> {
        if let Some(file) = stream.file {
            return Ok(Some(OnDisk::Data(file)));
        }
        let Some(other) = self.other(&stream.path) else { return Ok(None) };
        if let OtherKind::OtherTrace(_) = other.kind() {
            let path = self.directory.root().join(&stream.path);
            return Err(Error::Occupied { path, found: other.kind().to_string() });
        }
        Ok(Some(OnDisk::Other(other)))
    }

    fn other(&self, path: &Path) -> Option<&'a Other> {
        self.directory.others().iter().find(|other| other.path() == path)
    }

    fn look(&self, stream: &Stream<'a>, cores: &[CoreStream<'a>], form: Form<'_>) -> Result<Looked<'a>> {
        let Some(file) = self.on_disk(stream)? else {
            return Ok(Looked { found: None, sequence: Sequence::of_core(stream.own.clone()) });
        };
        let (found, open) = Found::look(file, self.directory.root())?;
        let core = stream.core.and_then(|core| cores.get(core));
        let default = ScanOptions::default();
        let size = core.map_or(0, |core| core.source.slot_size);
        // Viewers stop for good at a packet that cannot be decoded.
        let options = ScanOptions { max_len: default.max_len.max(size), depth: Depth::All, ..default };
        let id = stream.file.and_then(Tracefile::stream_id).or(core.and_then(|core| core.id));
        let judge = Judge {
            form,
            class: match form {
                Form::Class(class) => id.and_then(|id| class.stream(id)),
                Form::Layout { .. } => None,
            },
            keys: core.map_or(&[][..], |core| &core.keys),
            own: stream.own.clone(),
            reader: core.map(|core| core.source.content.open(false)),
        };
        let failed = while_doing("reading", self.directory.root().join(file.path()));
        let sequence = Sequence::new(Scan::new(form, &open, options), &open, judge).map_err(failed)?;
        Ok(Looked { found: Some(found), sequence })
    }

    /// What is missing of each stream, by its number; nothing without a core.
    fn gaps(
        &self,
        streams: &[Stream<'a>],
        looked: &[Looked<'a>],
        cores: &[CoreStream<'a>],
    ) -> BTreeMap<usize, Gap> {
        let mut groups: BTreeMap<usize, BTreeMap<usize, (&Stream<'a>, &Looked<'a>)>> = BTreeMap::new();
        for (stream, looked) in streams.iter().zip(looked) {
            let (group, place) = stream.place;
            groups.entry(group).or_default().insert(place, (stream, looked));
        }
        let gap = |(group, files): (usize, BTreeMap<usize, (&Stream<'a>, &Looked<'a>)>)| {
            let files: Vec<_> = files.into_values().collect();
            let core = files.iter().find_map(|(stream, _)| cores.get(stream.core?))?;
            Some((group, self.gap(&files, core)))
        };
        groups.into_iter().filter_map(gap).collect()
    }

    /// What is missing of one stream, whose files these are.
    fn gap(&self, files: &[(&Stream<'a>, &Looked<'a>)], core: &CoreStream<'a>) -> Gap {
        let items = || files.iter().flat_map(|(_, looked)| &looked.sequence.items);
        let entries = items().filter_map(|item| match item {
            Item::Disk { entry } | Item::Both { entry, .. } => Some(entry),
            Item::Core { key } => core.keys.get(*key).map(|key| &key.entry),
            _ => None,
        });
        let is_rotated = files.iter().any(|(stream, _)| {
            stream.file.and_then(Tracefile::name).is_some_and(|name| name.number.is_some())
        });
        let has_archives = self.directory.directories().iter().any(|path| path.ends_with("archives"));
        let numbers = gap::numbers(entries).filter(|numbers| !numbers.is_empty() || self.is_numbered());
        if let Some(numbers) = numbers {
            let is_cut = matches!(items().next(), Some(Item::Cut { .. }));
            let is_lost =
                is_cut || !items().any(|item| matches!(item, Item::Disk { .. } | Item::Both { .. }));
            return gap::gap(&Numbered {
                numbers,
                begins_at_zero: is_lost && !is_rotated && !has_archives && !core.source.overwrite,
                consumed: core.consumed(),
                sub_buffer_size: core.source.slot_size,
                overwrite: core.source.overwrite,
            });
        }
        if is_rotated || has_archives {
            return Gap::Unknown { reason: ROTATED.to_owned() };
        }
        let steps: Vec<_> = files.iter().flat_map(|(_, looked)| looked.sequence.steps(&core.keys)).collect();
        gap_by_positions(&steps, &core.ring(self.core.is_some_and(|core| core.kernel.is_32_bit())))
    }

    /// Whether packets of this trace have numbers.
    fn is_numbered(&self) -> bool {
        let on_disk = || self.directory.files().iter().filter_map(Tracefile::header);
        let in_core = || self.core.into_iter().flat_map(|core| core.session.streams());
        on_disk().any(|header| header.packet_seq_num.is_some())
            || in_core().any(|(_, stream)| stream.packets().iter().any(|packet| packet.sequence().is_some()))
    }

    fn report(&self, notes: Vec<String>) -> JoinReport {
        JoinReport {
            trace: self.directory.root().display().to_string(),
            core_trace: self.core.map(|core| core.session.name().into_owned()),
            layout: self.layout,
            output: None,
            cut_folder: None,
            metadata: None,
            streams: Vec::new(),
            others: Vec::new(),
            damage: Vec::new(),
            notes,
            totals: JoinTotals::default(),
        }
    }

    /// Where a file of the core's own trace lies.
    fn apart(&self, path: &Path) -> PathBuf {
        match self.layout {
            Layout::CrashSubdir => Path::new(CRASH).join(path),
            Layout::Merged | Layout::Beside => path.to_path_buf(),
        }
    }

    /// The files of one stream in the end, and what is to be said about it.
    fn compose(
        &self,
        stream: &Stream<'a>,
        looked: &Looked<'a>,
        core: Option<&CoreStream<'a>>,
        gap: Option<&Gap>,
    ) -> Result<(Vec<File<'a>>, StreamJoin)> {
        let Looked { found, sequence } = looked;
        let keys = core.map_or(&[][..], |core| &core.keys);
        let content = stream.core.unwrap_or(usize::MAX);
        let is_merged = self.layout == Layout::Merged;
        let mut files = Vec::new();
        let mut index_report = None;
        let mut crash_path = None;
        let mut records = 0;

        let (pieces, entries) = sequence.pieces(keys, true, is_merged);
        // A stream of which nothing is anywhere has no file.
        if self.layout != Layout::Beside && (found.is_some() || !pieces.is_empty()) {
            records += entries.len() as u64;
            files.push(File {
                path: stream.path.clone(),
                original: *found,
                source: *found,
                pieces,
                cuts: if found.is_some() { sequence.cut_ranges() } else { Vec::new() },
                stream: content,
                is_metadata: false,
            });
            let path = index_path(&stream.path);
            let old = self.old_index(stream, &path)?;
            if let Some(version) = self.index.filter(|_| old.is_some() || !entries.is_empty()) {
                let (file, report) = index::index(path, content, entries, version, old.as_ref());
                files.push(file);
                index_report = Some(report);
            }
        }
        let mut is_there = false;
        if !is_merged {
            let (pieces, entries) = sequence.pieces(keys, false, true);
            if !pieces.is_empty() {
                records += entries.len() as u64;
                let path = self.apart(&stream.path);
                let file = File { stream: content, pieces, ..made(path.clone(), Vec::new(), false) };
                let file = self.continued(file, core.map(|core| &*core.source.content as &dyn Content))?;
                is_there = file.is_unchanged();
                files.push(file);
                if let Some(version) = self.index {
                    let (file, report) = index::index(index_path(&path), content, entries, version, None);
                    files.push(self.continued(file, None)?);
                    index_report.get_or_insert(report);
                }
                if self.layout == Layout::CrashSubdir {
                    crash_path = Some(path.display().to_string());
                }
            }
        }

        let in_core = |cut: bool| cut || gap == Some(&Gap::Exact);
        let mut both = Both {
            records: sequence.equal + sequence.different.len() as u64,
            equal: sequence.equal,
            different: sequence.different.clone(),
        };
        let mut added = Added::default();
        for key in sequence.added().filter_map(|key| keys.get(key)) {
            added.records += 1;
            added.bytes += key.bytes;
            added.events += key.events;
        }
        if is_there {
            // An earlier run has added them.
            both.records += added.records;
            both.equal += added.records;
            added = Added::default();
        }
        let disk = found.map(|found| {
            let path = stream.path.display().to_string();
            let cut = |cut: &CutBytes| cut.report(&path, in_core(cut.in_core));
            DiskPart {
                bytes: found.len,
                records_kept: sequence.kept().count() as u64,
                bytes_cut: sequence.cuts.iter().map(CutBytes::len).sum(),
                cuts: sequence.cuts.iter().map(cut).collect(),
            }
        });
        let of_stream = core.filter(|_| stream.is_last);
        let report = StreamJoin {
            path: stream.path.display().to_string(),
            crash_path,
            channel: String::from_utf8_lossy(&stream.channel).into_owned(),
            cpu: stream.cpu.unwrap_or(0),
            disk,
            core: of_stream.map(|core| core.totals.clone()),
            both,
            added,
            made: Made::default(),
            gap: gap.filter(|_| stream.is_last).cloned(),
            result: Outcome {
                records,
                bytes: files.iter().filter(|file| !is_index(&file.path)).map(File::bytes).sum(),
            },
            index: index_report,
            changes: files.iter().any(|file| !file.is_unchanged()),
            damage: of_stream.map(|core| core.source.damage.clone()).unwrap_or_default(),
            notes: of_stream.map(|core| core.notes.clone()).unwrap_or_default(),
        };
        Ok((files, report))
    }

    fn old_index(&self, stream: &Stream<'a>, path: &Path) -> Result<Option<Old<'a>>> {
        let of_stream = stream.file.and_then(Tracefile::index).map(OnDisk::Index);
        let Some(file) = of_stream.or_else(|| self.other(path).map(OnDisk::Other)) else { return Ok(None) };
        let (found, open) = Found::look(file, self.directory.root())?;
        let mut bytes = vec![0; usize::try_from(found.len.min(INDEX_MAX)).unwrap_or(0)];
        let failed = while_doing("reading", self.directory.root().join(path));
        open.read_exact_at(0, &mut bytes).map_err(failed)?;
        Ok(Some(Old { found, bytes }))
    }

    /// The same file, if an earlier run made it, in the layout `crash-subdir`: it stays if it is the same, otherwise it is replaced.
    fn continued(&self, mut file: File<'a>, content: Option<&dyn Content>) -> Result<File<'a>> {
        if self.layout != Layout::CrashSubdir {
            return Ok(file);
        }
        let Some(other) = self.other(&file.path) else { return Ok(file) };
        let (found, open) = Found::look(OnDisk::Other(other), self.directory.root())?;
        let mut comparison = Comparison { file: &open, at: 0, is_same: true };
        let shown = self.directory.root().join(&file.path);
        let failed = |error| while_doing("comparing", &shown)(error);
        file.write(None, content, &mut comparison, &failed, &Silent)?;
        file.original = Some(found);
        if comparison.is_same && comparison.at == found.len {
            file.source = Some(found);
            file.pieces = if found.len > 0 { vec![Piece::Disk(0..found.len)] } else { Vec::new() };
        } else if found.len > 0 {
            file.cuts = once(0..found.len).collect();
        }
        Ok(file)
    }
}

/// A file that nothing on disk is in.
fn made<'a>(path: PathBuf, bytes: Vec<u8>, is_metadata: bool) -> File<'a> {
    let pieces = if bytes.is_empty() { Vec::new() } else { vec![Piece::Made(bytes)] };
    File { path, original: None, source: None, pieces, cuts: Vec::new(), stream: usize::MAX, is_metadata }
}

/// Where the index of a data file lies.
fn index_path(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".idx");
    file.parent().unwrap_or(Path::new("")).join("index").join(name)
}

fn is_index(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "idx")
}
