//! From a trace's folder and a core to the files of the result, and the report about them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use analyser::{Directory, Identity, Kernel, Trace};
use lttformat::ltt::scan::{Depth, Limits, Record, Scan, ScanOptions, Signature};
use lttformat::ltt::{Announcement, Channel, Header, Markers, TracefileName, Version};
use rayon::prelude::*;

use crate::error::{Error, Result, while_doing};
use crate::join::file::{File, Found, OnDisk, Piece};
use crate::join::gap::{Gap, gap};
use crate::join::ltt::core::{CoreStream, Key};
use crate::join::ltt::metadata::{self, MadeUp, Metadata, MetadataFile};
use crate::join::ltt::sequence::{Judge, Sequence, pieces};
use crate::join::ltt::streams::{Stream, Streams, streams};
use crate::join::plan::Plan;
use crate::join::report::{Added, Both, DiskPart, JoinReport, JoinTotals, Layout, Made, Outcome, StreamJoin};
use crate::source::{self, StreamSource};

/// The core's side of a join.
#[derive(Clone, Copy)]
pub(crate) struct Core<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) trace: &'a Trace,
}

/// What all streams have in common.
struct Common<'a> {
    directory: &'a Directory,
    core: Option<Core<'a>>,
    layout: Layout,
    /// Of any record of the trace; none if there is none.
    header: Option<Header>,
}

/// A file, with the core's records sorted in.
struct Scanned<'a> {
    found: Found<'a>,
    sequence: Sequence,
}

/// A stream, with its files looked at.
struct Looked<'a> {
    main: Option<Scanned<'a>>,
    crash: Option<Scanned<'a>>,
    gap: Option<Gap>,
}

impl<'a> Plan<'a> {
    /// Looks at everything, changes nothing.
    pub(crate) fn of_ltt(
        directory: &'a Directory,
        core: Option<Core<'a>>,
        layout: Layout,
    ) -> Result<Plan<'a>> {
        let header = directory.header().or(core.and_then(|core| core.trace.header())).cloned();
        let common = Common { directory, core, layout, header };
        common.check()?;

        let (metadata, data) = common.sources();
        let mut announced = common.header.as_ref().map(Markers::new);
        let mut learn = |header: &Header, bytes: &[u8], used: u64| {
            if let Some(announced) = &mut announced {
                announced.learn(header, bytes, used);
            }
        };
        let signature = common.header.as_ref().map(Signature::from);
        let mut cores: Vec<_> = metadata
            .into_iter()
            .map(|source| {
                CoreStream::new(source, signature, |header, bytes| {
                    learn(header, bytes, header.used(bytes.len() as u64).unwrap_or(0));
                })
            })
            .collect();
        cores.par_extend(data.into_par_iter().map(|source| CoreStream::new(source, signature, |_, _| {})));
        let mut streams = streams(directory, cores, common.version())?;

        // Metadata first: they say how everything else is decoded.
        let mut looked: Vec<Option<Looked<'a>>> = Vec::new();
        for stream in &streams.streams {
            let learn = |record: &Record<'_>| learn(&record.header, record.bytes, record.used);
            let is_metadata = stream.channel(common.version()) == Channel::Metadata;
            looked.push(if is_metadata { Some(common.look(stream, None, false, learn)?) } else { None });
        }
        let all = common.are_complete(&streams.streams, &looked)
            || announced.as_ref().is_some_and(|announced| common.are_in_memory(announced));
        let known = announced.clone().map(|announced| common.known(announced));
        let rest: Vec<Looked<'a>> = streams
            .streams
            .par_iter()
            .zip(&looked)
            .filter(|(_, looked)| looked.is_none())
            .map(|(stream, _)| common.look(stream, known.as_ref(), all, |_| {}))
            .collect::<Result<_>>()?;
        let mut rest = rest.into_iter();
        let mut looked: Vec<_> =
            looked.into_iter().flat_map(|looked| looked.or_else(|| rest.next())).collect();

        let made = match (&common.header, &announced, &known, core) {
            (Some(header), Some(announced), Some(known), Some(core)) => {
                let made = common.metadata(&streams.streams, &looked, header, core, announced, known);
                let path = directory.root().to_path_buf();
                let made = made.made_up().map_err(|source| Error::Metadata { path, source })?;
                name_metadata(&mut streams.streams, &mut looked, &made, header.version)
            }
            _ => Vec::new(),
        };
        let mut report = common.report(&streams);
        let mut files = Vec::new();
        for (nth, (stream, looked)) in streams.streams.iter().zip(looked).enumerate() {
            let made = made.iter().find(|(stream, _)| *stream == nth).map(|(_, made)| made);
            let (of_stream, joined) = common.compose(nth, stream, looked, made);
            files.extend(of_stream);
            report.streams.push(joined);
        }
        report.add_up();
        let Streams { streams, others, leftovers, .. } = streams;
        let contents = streams.into_iter().map(|stream| Some(stream.core?.source.content)).collect();
        let root = directory.root();
        let plan =
            Plan { root, directories: directory.directories(), others, leftovers, contents, files, report };
        plan.check_places()?;
        Ok(plan)
    }
}

/// Says which streams get metadata that are made up; adds those that are not there yet, and keeps all in order.
fn name_metadata<'a>(
    streams: &mut Vec<Stream<'a>>,
    looked: &mut Vec<Looked<'a>>,
    made: &BTreeMap<u32, MadeUp>,
    version: Version,
) -> Vec<(usize, MadeUp)> {
    let is_metadata =
        |stream: &Stream<'_>| stream.channel(Some(version)) == Channel::Metadata && !is_crash(stream);
    let like = streams.iter().find(|stream| is_metadata(stream)).and_then(|stream| stream.name.clone());
    for cpu in made.keys() {
        if !streams.iter().any(|stream| is_metadata(stream) && stream.cpu() == *cpu) {
            let stream = Stream::named(metadata::name(like.as_ref(), version, *cpu));
            let at = streams.partition_point(|other| other.path < stream.path);
            streams.insert(at, stream);
            looked.insert(at, Looked { main: None, crash: None, gap: None });
        }
    }
    let place = |cpu: &u32| streams.iter().position(|stream| is_metadata(stream) && stream.cpu() == *cpu);
    made.iter().filter_map(|(cpu, made)| Some((place(cpu)?, made.clone()))).collect()
}

fn is_crash(stream: &Stream<'_>) -> bool {
    stream.name.as_ref().is_some_and(TracefileName::is_crash)
}

impl<'a> Common<'a> {
    fn version(&self) -> Option<Version> {
        self.header.as_ref().map(|header| header.version)
    }

    /// Time at which the trace was made, in clock cycles.
    fn start(&self) -> Option<u64> {
        let in_core = self.core.map(|core| core.trace.clock().start_tsc).filter(|start| *start != 0);
        in_core.or(self.header.as_ref().and_then(|header| header.start_tsc))
    }

    /// Refuses what no result could be made of.
    fn check(&self) -> Result<()> {
        let root = self.directory.root();
        if let Some(refused) = self.directory.refused().first() {
            let path = root.join(refused.path());
            return Err(Error::Refused { path, found: refused.kind().to_string() });
        }
        let Some(core) = self.core else { return Ok(()) };
        let identities = self.directory.identity().zip(core.trace.header().map(Identity::of));
        if let Some((disk, core)) = identities.filter(|(disk, core)| disk != core) {
            let (disk, core) = (disk.to_string(), core.to_string());
            return Err(Error::OtherTrace { path: root.to_path_buf(), disk, core });
        }
        if let Some([first, second, ..]) = self.directory.doubles().first().map(Vec::as_slice) {
            let [first, second] = [first, second].map(|file| root.join(file.path()));
            return Err(Error::Doubles { first, second });
        }
        Ok(())
    }

    /// The core's streams: those of metadata, and the others.
    fn sources(&self) -> (Vec<StreamSource<'a>>, Vec<StreamSource<'a>>) {
        let Some(Core { kernel, trace }) = self.core else { return Default::default() };
        let is_metadata = |source: &StreamSource<'_>| {
            let name = TracefileName::parse(&source.path.join(&b'/'));
            let channel = name.as_ref().zip(self.version()).map(|(name, version)| name.channel(version));
            channel == Some(Channel::Metadata)
        };
        source::streams(kernel, trace).into_iter().partition(is_metadata)
    }

    /// Whether every announcement that the tracer ever made is on disk or in the core.
    fn are_complete(&self, streams: &[Stream<'a>], looked: &[Option<Looked<'a>>]) -> bool {
        let mut metadata =
            streams.iter().zip(looked).filter_map(|(s, looked)| Some((s, looked.as_ref()?))).peekable();
        metadata.peek().is_some() && metadata.all(|(stream, looked)| is_complete(stream, looked))
    }

    /// Whether the kernel's own table of markers has everything that was ever announced: nothing on disk is missing from it, as it would
    /// be after a module was unloaded.
    fn are_in_memory(&self, announced: &Markers) -> bool {
        let Some(trace) = self.core.map(|core| core.trace).filter(|trace| trace.knows_marker_table()) else {
            return false;
        };
        let ids = |markers: &Markers| -> BTreeSet<(Vec<u8>, u16)> {
            markers.iter().map(|(channel, marker)| (channel.to_vec(), marker.id())).collect()
        };
        trace.markers().is_some_and(|memory| ids(announced).is_subset(&ids(memory)))
    }

    /// What metadata announce, and what else the kernel's memory tells.
    fn known(&self, mut markers: Markers) -> Markers {
        let others = self.core.and_then(|core| core.trace.markers());
        for (channel, marker) in others.into_iter().flat_map(Markers::iter) {
            let Some(format) = marker.format() else { continue };
            let announcement = Announcement {
                name: marker.name(),
                id: marker.id(),
                format,
                alignment: marker.alignment(),
                sizes: Some(marker.sizes()),
            };
            markers.insert(channel, &announcement);
        }
        markers
    }

    fn look(
        &self,
        stream: &Stream<'a>,
        markers: Option<&Markers>,
        all_markers: bool,
        mut visit: impl FnMut(&Record<'_>),
    ) -> Result<Looked<'a>> {
        let main =
            stream.main.map(|file| self.scan(file, stream, markers, all_markers, &mut visit)).transpose()?;
        let crash =
            stream.crash.map(|file| self.scan(file, stream, markers, all_markers, &mut visit)).transpose()?;
        let gap = stream.core.as_ref().map(|core| {
            let of_core;
            let sequence = match &main {
                Some(main) => &main.sequence,
                None => {
                    of_core = Sequence::of_core(&core.keys);
                    &of_core
                }
            };
            let first = sequence.span.map(|(begin, _)| begin).into_iter();
            let first = first.chain(core.keys.first().map(|key| key.begin)).min();
            let late = first.zip(self.start()).is_some_and(|(first, start)| first > start);
            gap(&sequence.steps(&core.keys), &core.ring(self.header.as_ref(), late))
        });
        Ok(Looked { main, crash, gap })
    }

    fn scan(
        &self,
        file: OnDisk<'a>,
        stream: &Stream<'a>,
        markers: Option<&Markers>,
        all_markers: bool,
        visit: impl FnMut(&Record<'_>),
    ) -> Result<Scanned<'a>> {
        let shown = self.directory.root().join(file.path());
        let (looked_at, open) = Found::look(file, self.directory.root())?;
        let channel = stream.channel(self.version());
        let limits = Limits::default();
        let size = stream.core.as_ref().map_or(limits.page_size, |core| core.source.slot_size.max(1));
        let options = ScanOptions {
            limits: Limits { page_size: limits.page_size.min(size), max_len: limits.max_len.max(size) },
            // Viewers stop for good at a record that cannot be decoded, and a mixed one shows it nowhere else.
            depth: Depth::All,
            signature: self.header.as_ref().map(Signature::from),
            all_markers,
        };
        let core = stream.core.as_ref();
        let judge = Judge {
            channel,
            markers,
            keys: core.map_or(&[][..], |core| &core.keys),
            reader: core.map(|core| core.source.content.open(false)),
        };
        let scan = Scan::new(&open, channel, markers, &options);
        let sequence =
            Sequence::new(scan, &open, judge, visit).map_err(while_doing("reading", shown.clone()))?;
        let found = sequence.record_len.filter(|_| self.version().is_some_and(|v| !v.has_short_records()));
        if let (Some(found), Some(core)) = (found, core) {
            let expected = core.source.slot_size;
            if found != expected && !core.keys.is_empty() {
                return Err(Error::RecordSize { path: shown, expected, found });
            }
        }
        Ok(Scanned { found: looked_at, sequence })
    }

    fn metadata<'m>(
        &self,
        streams: &[Stream<'a>],
        looked: &[Looked<'a>],
        template: &'m Header,
        core: Core<'a>,
        announced: &'m Markers,
        known: &'m Markers,
    ) -> Metadata<'m> {
        let version = Some(template.version);
        let is_metadata =
            |stream: &Stream<'_>| stream.channel(version) == Channel::Metadata && !is_crash(stream);
        let mut files = BTreeMap::new();
        let mut size = None;
        for (stream, looked) in streams.iter().zip(looked).filter(|(stream, _)| is_metadata(stream)) {
            let on_disk = looked.main.as_ref().map(|main| &main.sequence);
            let in_core = stream.core.as_ref();
            let keys = in_core.map_or(&[][..], |core| &core.keys);
            let spans = on_disk.and_then(|sequence| sequence.span).into_iter();
            let spans = spans.chain(keys.iter().map(|key| (key.begin, key.end)));
            let span = spans.reduce(|(begin, end), (b, e)| (begin.min(b), end.max(e)));
            files.insert(stream.cpu(), MetadataFile { span, complete: is_complete(stream, looked) });
            // Up to format 2.4 all records of a file have one size.
            size = size.or(on_disk.and_then(|sequence| sequence.record_len));
        }
        let of_core = streams.iter().filter(|stream| is_metadata(stream)).find_map(|s| s.core.as_ref());
        let size = of_core.map(|core| core.source.slot_size).or(size);
        let mut aliases = BTreeSet::new();
        if template.version.has_channel_ids() {
            for (stream, looked) in streams.iter().zip(looked).filter(|(stream, _)| !is_metadata(stream)) {
                let path = stream.crash_path();
                let group = TracefileName::parse(path.as_os_str().as_bytes()).map(|name| name.group);
                if let (true, Some(group), Channel::Data(channel)) =
                    (self.has_crash_file(stream, looked), group, stream.channel(version))
                {
                    aliases.insert((channel.to_vec(), group));
                }
            }
        }
        Metadata {
            template,
            start: self.start(),
            sub_buffer_size: size.unwrap_or(core.kernel.memory().page_size()),
            page_size: core.kernel.memory().page_size(),
            announced,
            known,
            files,
            last_cpu: streams.iter().map(Stream::cpu).max().unwrap_or(0),
            aliases,
        }
    }

    /// Whether the stream's records of the core go to a file of their own. Compact events are only read under their own name, and
    /// metadata only once.
    fn is_apart(&self, stream: &Stream<'a>) -> bool {
        self.layout == Layout::CrashSubdir && matches!(stream.channel(self.version()), Channel::Data(_))
    }

    /// Whether the stream has records in such a file in the end.
    fn has_crash_file(&self, stream: &Stream<'a>, looked: &Looked<'a>) -> bool {
        let adds = || stream.core.as_ref().is_some_and(|core| !added(core, looked).is_empty());
        looked.crash.as_ref().is_some_and(|crash| crash.sequence.records > 0)
            || (self.is_apart(stream) && adds())
    }

    fn report(&self, streams: &Streams<'a>) -> JoinReport {
        let mut notes = self.directory.warnings().to_vec();
        for doubles in self.directory.doubles() {
            let names: Vec<_> = doubles.iter().map(|file| file.path().display().to_string()).collect();
            notes.push(format!("{}: viewers take these for one stream and show only one", names.join(", ")));
        }
        JoinReport {
            trace: self.directory.root().display().to_string(),
            core_trace: self.core.map(|core| core.trace.name().into_owned()),
            layout: self.layout,
            output: None,
            cut_folder: None,
            metadata: None,
            streams: Vec::new(),
            others: streams.others.iter().map(|other| other.path().display().to_string()).collect(),
            damage: streams.left_out.clone(),
            notes,
            totals: JoinTotals::default(),
        }
    }

    /// The files of one stream in the end, and what is to be said about it.
    fn compose(
        &self,
        nth: usize,
        stream: &Stream<'a>,
        looked: Looked<'a>,
        made: Option<&MadeUp>,
    ) -> (Vec<File<'a>>, StreamJoin) {
        let is_metadata = stream.channel(self.version()) == Channel::Metadata;
        let beside = self.layout == Layout::Beside;
        let keys = stream.core.as_ref().map_or(&[][..], |core| &core.keys);
        let added = stream.core.as_ref().map(|core| added(core, &looked)).unwrap_or_default();
        let gap_is_exact = looked.gap == Some(Gap::Exact);
        let apart = self.is_apart(stream);
        let add = |wanted: bool| {
            let added = &added;
            move |key: usize| {
                let Key { slot, bytes, .. } = *keys.get(key)?;
                (wanted && added.contains(&key)).then_some(Piece::Core { slot, bytes })
            }
        };
        let path = stream.path.to_string_lossy().into_owned();
        let mut report = StreamJoin {
            crash_path: None,
            channel: stream.label(),
            cpu: stream.cpu(),
            disk: None,
            core: stream.core.as_ref().map(|core| core.totals.clone()),
            both: Both::default(),
            added: Added::default(),
            made: made.map(made_report).unwrap_or_default(),
            gap: looked.gap.clone(),
            result: Outcome::default(),
            index: None,
            changes: false,
            damage: stream.core.as_ref().map(|core| core.source.damage.clone()).unwrap_or_default(),
            notes: stream.core.as_ref().map(|core| core.notes.clone()).unwrap_or_default(),
            path,
        };
        for key in added.iter().filter_map(|key| keys.get(*key)) {
            report.added.records += 1;
            report.added.bytes += key.bytes;
            report.added.events += key.events;
        }
        for scanned in looked.main.iter().chain(&looked.crash) {
            let in_core = |cut: bool| cut || gap_is_exact;
            report.add_file(scanned, in_core);
        }

        let mut files = Vec::new();
        let mut file = |path: &Path, scanned: Option<&Scanned<'a>>, pieces: Vec<Piece>| {
            files.push(File {
                path: path.to_path_buf(),
                original: scanned.filter(|_| !beside).map(|scanned| scanned.found),
                source: scanned.map(|scanned| scanned.found),
                cuts: scanned.filter(|_| !beside).map(|s| s.sequence.cut_ranges()).unwrap_or_default(),
                pieces,
                stream: nth,
                is_metadata,
            });
        };
        let of_core = Sequence::of_core(keys);
        let keep_disk = !beside || is_metadata;
        let main = looked.main.as_ref().map_or(&of_core, |main| &main.sequence);
        let mut main_pieces = pieces(main, keep_disk, add(!apart));
        if let Some(made) = made {
            let records = |records: &[Vec<u8>]| records.iter().cloned().map(Piece::Made).collect::<Vec<_>>();
            main_pieces.splice(0..0, records(&made.front));
            main_pieces.extend(records(&made.back));
        }
        // A stream that only the core has gets an empty file at least, as the daemon would have made it.
        let wanted = if beside { !main_pieces.is_empty() } else { looked.main.is_some() || !apart };
        if wanted {
            file(&stream.path, looked.main.as_ref(), main_pieces);
        }
        let crash = looked.crash.as_ref().map_or(&of_core, |crash| &crash.sequence);
        let crash_pieces = pieces(crash, !beside, add(apart));
        if looked.crash.is_some() && !beside || !crash_pieces.is_empty() {
            report.crash_path = Some(stream.crash_path().to_string_lossy().into_owned());
            file(&stream.crash_path(), looked.crash.as_ref(), crash_pieces);
        }
        report.result = Outcome {
            records: report.added.records
                + report.made.records
                + if keep_disk { report.disk.as_ref().map_or(0, |disk| disk.records_kept) } else { 0 },
            bytes: files.iter().map(File::bytes).sum(),
        };
        report.changes = files.iter().any(|file| !file.is_unchanged());
        (files, report)
    }
}

/// Whether nothing of a stream is lost.
fn is_complete(stream: &Stream<'_>, looked: &Looked<'_>) -> bool {
    stream.core.as_ref().is_some_and(CoreStream::is_intact) && looked.gap == Some(Gap::Exact)
}

/// The core's records, by their place among its keys, that are in no file on disk, or in none as good.
fn added(core: &CoreStream<'_>, looked: &Looked<'_>) -> BTreeSet<usize> {
    let files: Vec<_> = looked.main.iter().chain(&looked.crash).collect();
    (0..core.keys.len()).filter(|key| !files.iter().any(|file| file.sequence.holds(*key))).collect()
}

fn made_report(made: &MadeUp) -> Made {
    let records = made.front.iter().chain(&made.back);
    Made {
        records: records.clone().count() as u64,
        bytes: records.map(|record| record.len() as u64).sum(),
        markers: made.markers,
    }
}

impl StreamJoin {
    /// Enters what is on disk.
    fn add_file(&mut self, scanned: &Scanned<'_>, in_core: impl Fn(bool) -> bool) {
        let Scanned { found, sequence } = scanned;
        let path = found.file.path().to_string_lossy();
        let disk = self.disk.get_or_insert_with(DiskPart::default);
        disk.bytes += found.len;
        disk.records_kept += sequence.records;
        for cut in &sequence.cuts {
            disk.bytes_cut += cut.len();
            disk.cuts.push(cut.report(&path, in_core(cut.in_core)));
        }
        self.both.records += sequence.equal + sequence.different.len() as u64;
        self.both.equal += sequence.equal;
        self.both.different.extend(sequence.different.iter().cloned());
    }
}
