//! Which of a core's traces a trace directory belongs to.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;

use crate::directory::{Directory, Identity};
use crate::error::{Error, Result};
use crate::model::{Trace, Traces};

/// The trace in the core that the directory is the beginning of: format, machine, clock and start time are equal. `wanted`, a
/// trace's name, decides when several fit.
///
/// A directory whose files are all empty shows no start time; then the trace decides whose streams have the names of its files.
///
/// Errors: no trace fits, or several do; the message says what the directory is and what the core has.
pub fn pairing<'t>(directory: &Directory, traces: &'t Traces, wanted: Option<&str>) -> Result<&'t Trace> {
    let named = |trace: &&Trace| wanted.is_none_or(|wanted| trace.name() == wanted);
    let fitting = || traces.traces.iter().filter(|trace| fits(directory, trace));
    let mut candidates = fitting().filter(named);
    match (candidates.next(), candidates.next()) {
        (Some(trace), None) => Ok(trace),
        (Some(_), Some(_)) => Err(Error::SeveralTraces { names: names(fitting()) }),
        (None, _) => Err(Error::NoPair { directory: describe(directory), core: list(traces, wanted) }),
    }
}

fn fits(directory: &Directory, trace: &Trace) -> bool {
    match (directory.identity(), identity(trace)) {
        (Some(disk), Some(core)) => disk == core,
        (Some(disk), None) => {
            // No header in memory: the kernel's trace structure still knows clock and time.
            let clock = trace.clock();
            (disk.start_time_sec, disk.start_time_usec) == (clock.start_time_sec, clock.start_time_usec)
                && (disk.start_freq, disk.freq_scale) == (clock.start_freq, clock.freq_scale)
        }
        (None, _) => {
            let streams: BTreeSet<_> = trace.streams().map(|(_, stream)| stream.path().join(&b'/')).collect();
            directory.files().iter().all(|file| streams.contains(file.path().as_os_str().as_bytes()))
        }
    }
}

fn identity(trace: &Trace) -> Option<Identity> {
    trace.header().map(Identity::of)
}

fn describe(directory: &Directory) -> String {
    match directory.identity() {
        Some(identity) => identity.to_string(),
        None => "empty files only".to_owned(),
    }
}

fn list(traces: &Traces, wanted: Option<&str>) -> String {
    let of = |trace: &Trace| match identity(trace) {
        Some(identity) => format!("{} ({identity})", trace.name()),
        None => trace.name().into_owned(),
    };
    let chosen: Vec<_> =
        traces.traces.iter().filter(|trace| wanted.is_none_or(|wanted| trace.name() == wanted)).collect();
    match (chosen.as_slice(), wanted) {
        ([], None) => "no trace".to_owned(),
        ([], Some(wanted)) => format!("no trace {wanted} among {}", names(traces.traces.iter())),
        (chosen, _) => chosen.iter().map(|trace| of(trace)).collect::<Vec<_>>().join("; "),
    }
}

fn names<'t>(traces: impl Iterator<Item = &'t Trace>) -> String {
    let names: Vec<_> = traces.map(|trace| trace.name().into_owned()).collect();
    names.join(", ")
}
