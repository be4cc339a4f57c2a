//! `ltt-kdump events TRACE`, `ltt-kdump events CORE... -d DEBUGINFO`

use std::io;
use std::path::PathBuf;

use analyser::events::{Entry, Events, Selection};
use analyser::{Directory, Kernel, Routes, Trace};
use anyhow::{Result, bail};

use crate::args;
use crate::config;
use crate::exit::{Exit, NothingFound};
use crate::output::event::{Json, Lines, Printer, Text};
use crate::output::progress::Phase;
use crate::output::text::printable;

pub(crate) fn run(args: args::Events, as_json: bool) -> Result<Exit> {
    let selection =
        Selection { channels: args.channels, cpus: args.cpus, last: args.last, since: args.since };
    match args.inputs.as_slice() {
        [trace] if trace.is_dir() => {
            if !args.traces.is_empty() {
                bail!("--trace: expected a core, which may hold several traces, found the folder of one");
            }
            let directory = Directory::open(trace)?;
            for warning in directory.warnings() {
                tracing::warn!("{}", printable(warning));
            }
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
    let open = config::open(cores, options, true)?;
    let phase = Phase::start("opening core and type information");
    let kernel = Kernel::open(&open)?;
    let traces = kernel.traces(Routes::ALL);
    drop(phase);
    super::warn(&kernel);
    let chosen = choose(&traces.traces, names)?;
    if chosen.is_empty() {
        return Err(super::nothing(&traces).into());
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
        if is_loss(&entry) {
            exit = Exit::Losses;
        }
        printer.print(&entry, out.line())?;
        out.end_line()?;
    }
    out.flush()?;
    Ok(exit)
}

/// Whether it stands for something that cannot be shown.
fn is_loss(entry: &Entry<'_>) -> bool {
    !entry.is_event()
}
