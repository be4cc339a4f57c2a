//! What will be written where, checked before anything is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use analyser::lttng::Sessions;
use analyser::{Kernel, Traces};
use rayon::prelude::*;

use crate::arrange::{Names, arrange};
use crate::destination::Destination;
use crate::disk::{Disk, Local};
use crate::error::{Error, Result, while_doing};
use crate::progress::{Progress, checkpoint};
use crate::report::{MetadataReport, Report, StreamReport, Totals, TraceReport};
use crate::source::{self, MetadataSource, StreamSource, TraceSource};
use crate::write::{PlannedFile, Selection, write, write_whole};
use crate::{name, session};

/// What to write.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory to create; it may exist if it is empty.
    pub output: PathBuf,
    /// Names of traces; empty = all.
    pub traces: Vec<String>,
    /// Only what the daemon would have written next, not what it had read already.
    pub unread_only: bool,
    /// Decode what is written, to count its events.
    pub count_events: bool,
    /// Threads that read and write; none = one for each CPU.
    pub threads: Option<usize>,
}

impl Options {
    /// Everything that is in memory, events counted.
    pub fn new(output: impl Into<PathBuf>) -> Options {
        Options {
            output: output.into(),
            traces: Vec::new(),
            unread_only: false,
            count_events: true,
            threads: None,
        }
    }
}

/// What was found in a kernel: traces of LTT 0.x, sessions of LTTng 2.x, or both.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found<'k> {
    /// Traces of LTT 0.x.
    pub traces: Option<&'k Traces>,
    /// Sessions of LTTng 2.x.
    pub sessions: Option<&'k Sessions>,
}

impl<'k> From<&'k Traces> for Found<'k> {
    fn from(traces: &'k Traces) -> Found<'k> {
        Found { traces: Some(traces), sessions: None }
    }
}

impl<'k> From<&'k Sessions> for Found<'k> {
    fn from(sessions: &'k Sessions) -> Found<'k> {
        Found { traces: None, sessions: Some(sessions) }
    }
}

impl<'k> From<(&'k Traces, &'k Sessions)> for Found<'k> {
    fn from((traces, sessions): (&'k Traces, &'k Sessions)) -> Found<'k> {
        Found { traces: Some(traces), sessions: Some(sessions) }
    }
}

/// Everything that will be written. Made by [`Plan::new`], which checks all names; used up by [`Plan::run`].
pub struct Plan<'k> {
    destination: Destination,
    traces: Vec<PlannedTrace<'k>>,
    /// Of all traces, in order.
    files: Vec<PlannedFile>,
    damage: Vec<String>,
    selection: Selection,
    threads: usize,
}

struct PlannedTrace<'k> {
    shown: String,
    directory: String,
    metadata: Option<MetadataSource>,
    /// Below the output; several where streams had to be put apart.
    metadata_paths: BTreeSet<PathBuf>,
    streams: Vec<StreamSource<'k>>,
}

impl<'k> Plan<'k> {
    /// Decides where everything goes. Reads no sub-buffer and writes nothing.
    ///
    /// Errors: the output is refused (see [`Destination::check`]), or a trace of `options` is not among those found.
    pub fn new(kernel: &'k Kernel, found: impl Into<Found<'k>>, options: &Options) -> Result<Plan<'k>> {
        let Found { traces, sessions } = found.into();
        let mut sources = Vec::new();
        let mut damage = Vec::new();
        // That the types of LTT are missing is no damage where its successor was used.
        let succeeded = sessions.is_some_and(|sessions| !sessions.sessions.is_empty());
        if let Some(traces) = traces.filter(|traces| !(succeeded && traces.is_absent())) {
            sources.extend(source::collect(kernel, traces));
            damage.extend(traces.damage.iter().map(ToString::to_string));
        }
        if let Some(sessions) = sessions {
            let (traces, more) = session::collect(kernel, sessions);
            sources.extend(traces);
            damage.extend(sessions.damage.iter().map(ToString::to_string));
            damage.extend(more);
        }
        Plan::of(sources, damage, options)
    }

    fn of(mut traces: Vec<TraceSource<'k>>, damage: Vec<String>, options: &Options) -> Result<Plan<'k>> {
        let destination = Destination::check(&options.output)?;
        // Places are chosen before traces are left out, so that a trace has the same directory in every run.
        let places = arrange(
            &traces
                .iter()
                .map(|trace| Names {
                    trace: &trace.name,
                    streams: trace.streams.iter().map(|stream| stream.path.as_slice()).collect(),
                })
                .collect::<Vec<_>>(),
        );
        let is_named =
            |trace: &TraceSource<'_>, directory: &str, name: &str| trace.shown == name || directory == name;
        for name in &options.traces {
            if !traces.iter().zip(&places).any(|(trace, place)| is_named(trace, &place.directory, name)) {
                let known: Vec<_> = places.iter().map(|place| place.directory.as_str()).collect();
                let known =
                    if known.is_empty() { "none, there is no trace".to_owned() } else { known.join(", ") };
                return Err(Error::NoSuchTrace { name: name.clone(), known });
            }
        }

        let selection = Selection { unread_only: options.unread_only, count_events: options.count_events };
        let mut planned = Vec::new();
        let mut files = Vec::new();
        for (trace, place) in traces.drain(..).zip(places) {
            let is_wanted = |name: &String| is_named(&trace, &place.directory, name);
            if !options.traces.is_empty() && !options.traces.iter().any(is_wanted) {
                continue;
            }
            let roots = place.streams.iter().filter_map(|path| path.iter().next());
            let metadata_paths = match &trace.metadata {
                Some(metadata) => roots.map(|root| Path::new(root).join(metadata.below())).collect(),
                None => BTreeSet::new(),
            };
            files.extend(trace.streams.iter().zip(place.streams).map(|(stream, path)| PlannedFile {
                shown: destination.shown().join(&path),
                doubles: !path.starts_with(&place.directory),
                bytes: selection.bytes(stream),
                index: stream.index.and_then(|_| index_path(&path)),
                path,
            }));
            planned.push(PlannedTrace {
                shown: trace.shown,
                directory: place.directory,
                metadata: trace.metadata,
                metadata_paths,
                streams: trace.streams,
            });
        }
        let threads = options.threads.filter(|threads| *threads > 0);
        let threads = threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
        Ok(Plan { destination, traces: planned, files, damage, selection, threads })
    }

    /// The files, in the order found. None: there is nothing to write, and [`Plan::run`] would make an empty directory.
    pub fn files(&self) -> &[PlannedFile] {
        &self.files
    }

    /// Bytes of sub-buffers that [`Plan::run`] will look at: the goal of [`Progress`].
    pub fn total_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    /// Writes everything, or nothing: on any error, and on a panic, the output is as it was before. `progress` can end it early.
    ///
    /// Cost: one sub-buffer of memory per thread; the files are written in parallel and synced before the rename.
    pub fn run(self, progress: &dyn Progress) -> Result<Report> {
        self.run_on(&Local, progress)
    }

    fn run_on(self, disk: &dyn Disk, progress: &dyn Progress) -> Result<Report> {
        let stage = self.destination.stage()?;
        let root = stage.path();
        self.make_directories(root, disk)?;

        let threads = self.threads.min(self.files.len().max(1));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .map_err(|source| Error::Threads { threads, source })?;
        let streams: Vec<_> = self.traces.iter().flat_map(|trace| &trace.streams).zip(&self.files).collect();
        let reports: Vec<StreamReport> = pool.install(|| {
            streams
                .into_par_iter()
                // Streams differ a thousandfold in size; taken one by one, no thread is left with all the large ones.
                .with_max_len(1)
                .map(|(stream, file)| write(stream, file, root, self.selection, disk, progress))
                .collect::<Result<_>>()
        })?;

        for trace in &self.traces {
            for (metadata, path) in
                trace.metadata.iter().flat_map(|m| trace.metadata_paths.iter().map(move |p| (m, p)))
            {
                write_whole(&metadata.content, &root.join(path), &self.destination.shown().join(path), disk)?;
            }
        }
        for directory in self.directories() {
            let shown = self.destination.shown().join(&directory);
            disk.sync_directory(&root.join(directory)).map_err(while_doing("syncing", shown))?;
        }
        checkpoint(progress)?;
        stage.publish(disk)?;
        Ok(self.report(reports))
    }

    fn make_directories(&self, root: &Path, disk: &dyn Disk) -> Result<()> {
        for directory in self.directories() {
            let shown = self.destination.shown().join(&directory);
            disk.create_directories(&root.join(directory)).map_err(while_doing("creating", shown))?;
        }
        Ok(())
    }

    /// All directories below the output, and the output itself (the empty path), each before those below it.
    fn directories(&self) -> BTreeSet<PathBuf> {
        let traces = self.traces.iter().map(|trace| PathBuf::from(&trace.directory));
        let data = self.files.iter().map(|file| &file.path);
        let indexes = self.files.iter().filter_map(|file| file.index.as_ref());
        let metadata = self.traces.iter().flat_map(|trace| &trace.metadata_paths);
        let files = data.chain(indexes).chain(metadata);
        let above = files.flat_map(|path| path.ancestors().skip(1).map(Path::to_path_buf));
        traces.chain(above).chain([PathBuf::new()]).collect()
    }

    fn report(self, reports: Vec<StreamReport>) -> Report {
        let mut reports = reports.into_iter();
        let mut whole = Totals::default();
        let mut traces = Vec::with_capacity(self.traces.len());
        for trace in &self.traces {
            let streams: Vec<_> = reports.by_ref().take(trace.streams.len()).collect();
            let mut totals = Totals::default();
            streams.iter().for_each(|stream| totals.add_part(&stream.totals));
            whole.add_part(&totals);
            let (name, directory) = (trace.shown.clone(), trace.directory.clone());
            let metadata = trace.metadata.as_ref().map(|metadata| MetadataReport {
                path: Path::new(&directory).join(metadata.below()).display().to_string(),
                bytes: metadata.content.len() as u64,
                notes: metadata.notes.clone(),
            });
            traces.push(TraceReport { name, directory, metadata, streams, totals });
        }
        Report {
            output: self.destination.shown().display().to_string(),
            unread_only: self.selection.unread_only,
            traces,
            totals: whole,
            damage: self.damage,
        }
    }
}

/// `index/<name>.idx` beside a file.
fn index_path(path: &Path) -> Option<PathBuf> {
    let name = name::affixed("", path.file_name()?, ".idx");
    Some(path.parent()?.join("index").join(name))
}

impl std::fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("destination", &self.destination)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
