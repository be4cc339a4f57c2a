//! One file a command.

mod check;
mod completions;
mod events;
mod extract;
mod folder;
mod info;
mod into;
mod ls;
mod man;
mod profile;
mod repair;
mod slice;

use analyser::lttng::Sessions;
use analyser::{Cause, Damage, Kernel, OpenOptions, Traces};
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
        Command::Slice(args) => slice::run(args, json),
        Command::Profile(args) => profile::run(args, json, verbose > 0),
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

/// Opens a core with its type information, and says what is odd about them.
fn kernel(options: &OpenOptions) -> Result<Kernel> {
    let phase = Phase::start("opening core and type information");
    let kernel = Kernel::open(options)?;
    drop(phase);
    warn(kernel.warnings());
    for line in kernel.type_files() {
        tracing::info!("types: {}", printable(&line));
    }
    Ok(kernel)
}

/// Why there is nothing to write, with what was broken on the way.
fn nothing(kernel: &Kernel, traces: &Traces, sessions: &Sessions) -> NothingFound {
    let missing = |damage: &[Damage]| match damage {
        [Damage { cause: cause @ Cause::MissingType { .. }, .. }] => Some(cause.to_string()),
        _ => None,
    };
    // That of LTTng 2.x is only told where its modules are loaded.
    if let Some(cause) = missing(&sessions.damage) {
        return NothingFound {
            what: format!("no trace in this core, though LTTng 2.x is in the kernel: {cause}"),
            hint: Some("name the .ko files (with DWARF) of lttng-modules with further -d options"),
        };
    }
    if let (Some(cause), []) = (missing(&traces.damage), sessions.sessions.as_slice()) {
        let modules = kernel.modules();
        if !modules.is_empty() && !modules.iter().any(|module| module.name.starts_with("ltt")) {
            let what = "no trace in this core: no module of LTTng is loaded".to_owned();
            return NothingFound { what, hint: None };
        }
        return NothingFound {
            what: format!("no trace in this core: {cause}"),
            hint: Some(
                "if LTTng 0.x was built as modules, name their .ko files (with DWARF) with further -d options",
            ),
        };
    }
    for damage in traces.damage.iter().filter(|_| !traces.is_absent()).chain(&sessions.damage) {
        tracing::warn!("{}", printable(&damage.to_string()));
    }
    let what = match (traces.traces.len(), sessions.sessions.len()) {
        (0, 0) => "no trace in this core".to_owned(),
        (0, sessions) => format!("{} in this core, but no events", count(sessions, "session")),
        (traces, _) => format!("{} in this core, but no buffer", count(traces, "trace")),
    };
    NothingFound { what, hint: None }
}
