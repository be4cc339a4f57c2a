//! `ltt-kdump events TRACE`, `ltt-kdump events CORE... -d DEBUGINFO`

use std::io;
use std::path::PathBuf;

use analyser::Routes;
use analyser::events::{Events, Selection};
use anyhow::Result;

use super::folder::Folder;
use crate::args::{self, LineFormat};
use crate::config;
use crate::exit::{Exit, NothingFound, Usage, shown};
use crate::output::event::{AsBabeltrace, Json, Lines, Printer, Text};

pub(crate) fn run(args: args::Events, as_json: bool) -> Result<Exit> {
    let form = match (as_json, args.format) {
        (true, LineFormat::Babeltrace) => {
            return Err(Usage("--format babeltrace: expected text, found --json").into());
        }
        (true, LineFormat::Text) => Form::Json,
        (false, LineFormat::Text) => Form::Text,
        (false, LineFormat::Babeltrace) => Form::Babeltrace,
    };
    let selection =
        Selection { channels: args.channels, cpus: args.cpus, last: args.last, since: args.since };
    match args.inputs.as_slice() {
        [trace] if trace.is_dir() => {
            if !args.traces.is_empty() {
                let what = "--trace: expected a core, which may hold several traces, found the folder of one";
                return Err(Usage(what).into());
            }
            match Folder::open_warned(trace)? {
                Folder::Lttng(directory) => {
                    print(Events::of_session_directory(&directory, &selection)?, false, form)
                }
                Folder::Ltt(directory) => {
                    form.allows_ltt()?;
                    print(Events::of_directory(&directory, &selection)?, false, form)
                }
            }
        }
        _ => of_core(args.inputs, &args.kernel, &args.traces, &selection, form),
    }
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Babeltrace,
}

impl Form {
    /// Whether events of LTT can be printed so.
    fn allows_ltt(self) -> Result<(), Usage> {
        match self {
            Form::Babeltrace => {
                Err(Usage("--format babeltrace: expected a trace of LTTng 2.x, found one of LTT 0.x"))
            }
            Form::Text | Form::Json => Ok(()),
        }
    }
}

fn of_core(
    cores: Vec<PathBuf>,
    options: &args::KernelOptions,
    names: &[String],
    selection: &Selection,
    form: Form,
) -> Result<Exit> {
    let kernel = super::kernel(&config::open(cores, options, true)?)?;
    let traces = kernel.traces(Routes::ALL);
    let sessions = kernel.sessions(Routes::ALL);
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let chosen: Vec<_> = traces.traces.iter().filter(|trace| wanted(&trace.name())).collect();
    let recorded: Vec<_> = sessions.sessions.iter().filter(|session| wanted(&session.name())).collect();
    let known = || {
        let traces = traces.traces.iter().map(|trace| trace.name());
        traces.chain(sessions.sessions.iter().map(|session| session.name()))
    };
    if let Some(unknown) = names.iter().find(|name| !known().any(|known| known == name.as_str())) {
        let what = format!("trace {unknown:?}: expected one of {}", known().collect::<Vec<_>>().join(", "));
        return Err(NothingFound { what, hint: None }.into());
    }
    match (chosen.as_slice(), recorded.as_slice()) {
        ([], []) => Err(super::nothing(&kernel, &traces, &sessions).into()),
        (chosen, []) => {
            form.allows_ltt()?;
            print(Events::of_core(&kernel, chosen, selection)?, chosen.len() > 1, form)
        }
        ([], recorded) => print(Events::of_sessions(&kernel, recorded, selection)?, recorded.len() > 1, form),
        _ => Err(Usage(MIXED).into()),
    }
}

/// Nobody compares clocks of different tracers.
const MIXED: &str =
    "expected traces of one tracer, found some of LTT 0.x and some of LTTng 2.x: choose with --trace";

/// Prints entry by entry: nothing is kept.
fn print(events: Events<'_>, several: bool, form: Form) -> Result<Exit> {
    let end = events.end_ns();
    let mut printer: Box<dyn Printer> = match form {
        Form::Json => Box::new(Json { end }),
        Form::Text => Box::new(Text::new(end, several)),
        Form::Babeltrace => Box::new(AsBabeltrace::new(several)),
    };
    // Of what the reader wanted to see, not of what came after.
    let mut exit = Exit::Complete;
    let printed = print_all(events, &mut *printer, &mut exit);
    shown(printed, exit)
}

fn print_all(mut events: Events<'_>, printer: &mut dyn Printer, exit: &mut Exit) -> Result<()> {
    let mut out = Lines::new(io::stdout().lock());
    while let Some(entry) = events.next() {
        if entry.is_loss() {
            *exit = Exit::Losses;
        }
        if printer.print(&entry, out.line())? {
            out.end_line()?;
        }
    }
    out.flush()?;
    Ok(())
}
