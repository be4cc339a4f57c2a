//! What will be written where, checked before anything is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use analyser::{Kernel, Traces};
use rayon::prelude::*;

use crate::arrange::{Names, arrange};
use crate::destination::Destination;
use crate::disk::{Disk, Local};
use crate::error::{Error, Result, while_doing};
use crate::progress::Progress;
use crate::report::{Report, StreamReport, Totals, TraceReport};
use crate::source::{self, StreamSource, TraceSource};
use crate::write::{Selection, write};

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

/// One file that will be written.
#[derive(Debug, Clone)]
pub struct PlannedFile {
    /// Below the output.
    pub path: PathBuf,
    /// As messages name it: the output as the user wrote it, and `path`.
    pub shown: PathBuf,
    /// Another stream had this path first, so the file lies in a directory `<trace>~2`.
    pub doubles: bool,
    /// Bytes of sub-buffers that will be looked at; the file may be smaller.
    pub bytes: u64,
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
    streams: Vec<StreamSource<'k>>,
}

impl<'k> Plan<'k> {
    /// Decides where everything goes. Reads no sub-buffer and writes nothing.
    ///
    /// Errors: the output is refused (see [`Destination::check`]), or a trace of `options` is not among `traces`.
    pub fn new(kernel: &'k Kernel, traces: &'k Traces, options: &Options) -> Result<Plan<'k>> {
        let damage = traces.damage.iter().map(ToString::to_string).collect();
        Plan::of(source::collect(kernel, traces), damage, options)
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
            files.extend(trace.streams.iter().zip(place.streams).map(|(stream, path)| PlannedFile {
                shown: destination.shown().join(&path),
                doubles: !path.starts_with(&place.directory),
                bytes: selection.bytes(stream),
                path,
            }));
            planned.push(PlannedTrace {
                shown: trace.shown,
                directory: place.directory,
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

    /// Writes everything, or nothing: on any error, and on a panic, the output is as it was before.
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

        for directory in self.directories() {
            let shown = self.destination.shown().join(&directory);
            disk.sync_directory(&root.join(directory)).map_err(while_doing("syncing", shown))?;
        }
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
        let above = self.files.iter().flat_map(|file| file.path.ancestors().skip(1).map(Path::to_path_buf));
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
            traces.push(TraceReport { name, directory, streams, totals });
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
