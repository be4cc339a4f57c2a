//! `ltt-kdump events TRACE`, `ltt-kdump events CORE... -d DEBUGINFO`

use std::io;
use std::path::PathBuf;

use analyser::events::{Events, Selection};
use analyser::{Routes, Trace};
use anyhow::Result;

use crate::args;
use crate::config;
use crate::exit::{Exit, NothingFound, Usage};
use crate::output::event::{Json, Lines, Printer, Text};

pub(crate) fn run(args: args::Events, as_json: bool) -> Result<Exit> {
    let selection =
        Selection { channels: args.channels, cpus: args.cpus, last: args.last, since: args.since };
    match args.inputs.as_slice() {
        [trace] if trace.is_dir() => {
            if !args.traces.is_empty() {
                let what = "--trace: expected a core, which may hold several traces, found the folder of one";
                return Err(Usage(what).into());
            }
            let directory = super::directory(trace)?;
            print(Events::of_directory(&directory, &selection)?, false, as_json)
        }
        _ => of_core(args.inputs, &args.kernel, &args.traces, &selection, as_json),
    }
}

fn of_core(
    cores: Vec<PathBuf>,
    options: &args::KernelOptions,
    names: &[String],
    selection: &Selection,
    as_json: bool,
) -> Result<Exit> {
    let kernel = super::kernel(&config::open(cores, options, true)?)?;
    let traces = kernel.traces(Routes::ALL);
    let chosen = choose(&traces.traces, names)?;
    if chosen.is_empty() {
        return Err(super::nothing(&traces, &kernel.sessions(Routes::ALL)).into());
    }
    print(Events::of_core(&kernel, &chosen, selection)?, chosen.len() > 1, as_json)
}

/// The traces with these names; all if there is no name.
fn choose<'t>(traces: &'t [Trace], names: &[String]) -> Result<Vec<&'t Trace>> {
    if names.is_empty() {
        return Ok(traces.iter().collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        let before = chosen.len();
        chosen.extend(traces.iter().filter(|trace| trace.name() == name.as_str()));
        if chosen.len() == before {
            let known: Vec<_> = traces.iter().map(Trace::name).collect();
            let what = format!("trace {name:?}: expected one of {}", known.join(", "));
            return Err(NothingFound { what, hint: None }.into());
        }
    }
    Ok(chosen)
}

/// Prints entry by entry: nothing is kept.
fn print(mut events: Events<'_>, several: bool, as_json: bool) -> Result<Exit> {
    let mut out = Lines::new(io::stdout().lock());
    let end = events.end_ns();
    let mut printer: Box<dyn Printer> = match as_json {
        true => Box::new(Json { end }),
        false => Box::new(Text::new(end, several)),
    };
    let mut exit = Exit::Complete;
    while let Some(entry) = events.next() {
        // Everything else stands for something that cannot be shown.
        if !entry.is_event() {
            exit = Exit::Losses;
        }
        printer.print(&entry, out.line())?;
        out.end_line()?;
    }
    out.flush()?;
    Ok(exit)
}
