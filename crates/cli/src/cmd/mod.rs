//! One file a command.

mod check;
mod completions;
mod events;
mod extract;
mod info;
mod into;
mod ls;
mod man;
mod repair;

use std::path::Path;

use analyser::{Cause, Damage, Directory, Kernel, OpenOptions, Traces};
use anyhow::Result;

use crate::args::{Args, Command};
use crate::exit::{Exit, NothingFound};
use crate::output::progress::Phase;
use crate::output::text::{count, printable};

/// Does what the command line says.
pub(crate) fn run(args: Args) -> Result<Exit> {
    let Args { command, verbose, json } = args;
    match command {
        Command::Info(args) => info::run(args, json, verbose > 0),
        Command::Ls(args) => ls::run(&args, json),
        Command::Extract(args) => extract::run(args, json, verbose > 0),
        Command::Events(args) => events::run(args, json),
        Command::Check(args) => check::run(&args, json),
        Command::Repair(args) => repair::run(args, json, verbose > 0),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// What was odd about the files, on standard error.
fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{}", printable(warning));
    }
}

/// Opens a trace folder, and says what is odd about it.
fn directory(trace: &Path) -> Result<Directory> {
    let directory = Directory::open(trace)?;
    warn(directory.warnings());
    Ok(directory)
}

/// Opens a core with its type information, and says what is odd about them.
fn kernel(options: &OpenOptions) -> Result<Kernel> {
    let phase = Phase::start("opening core and type information");
    let kernel = Kernel::open(options)?;
    drop(phase);
    warn(kernel.warnings());
    Ok(kernel)
}

/// Why there is nothing to write, with what was broken on the way.
fn nothing(traces: &Traces) -> NothingFound {
    if let [Damage { cause: cause @ Cause::MissingType { .. }, .. }] = traces.damage.as_slice() {
        return NothingFound {
            what: format!("no trace in this core: {cause}"),
            hint: Some(
                "if LTTng 0.x was built as modules, name their .ko files (with DWARF) with further -d options",
            ),
        };
    }
    for damage in &traces.damage {
        tracing::warn!("{}", printable(&damage.to_string()));
    }
    let what = match traces.traces.as_slice() {
        [] => "no trace in this core".to_owned(),
        found => format!("{} in this core, but no buffer", count(found.len(), "trace")),
    };
    NothingFound { what, hint: None }
}
