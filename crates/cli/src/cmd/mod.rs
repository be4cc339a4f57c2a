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
use crate::interrupt::Interrupt;
use crate::output::progress::Phase;
use crate::output::text::{count, printable};

/// Does what the command line says.
pub(crate) fn run(args: Args, interrupt: &Interrupt) -> Result<Exit> {
    let Args { command, verbose, json } = args;
    match command {
        Command::Info(args) => info::run(args, json, verbose > 0),
        Command::Ls(args) => ls::run(&args, json),
        Command::Extract(args) => extract::run(args, json, verbose > 0, interrupt),
        Command::Events(args) => events::run(args, json),
        Command::Check(args) => check::run(&args, json),
        Command::Repair(args) => repair::run(args, json, verbose > 0, interrupt),
        Command::Slice(args) => slice::run(args, json, interrupt),
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

/// Why there is nothing to write. What was broken on the way is said as well.
fn nothing(kernel: &Kernel, traces: &Traces, sessions: &Sessions) -> NothingFound {
    let (nothing, broken) = why_nothing(kernel, traces, sessions);
    for damage in broken {
        tracing::warn!("{}", printable(&damage.to_string()));
    }
    nothing
}

/// Why there is nothing to write, and what was broken on the way if that may be why.
fn why_nothing<'t>(
    kernel: &Kernel,
    traces: &'t Traces,
    sessions: &'t Sessions,
) -> (NothingFound, Vec<&'t Damage>) {
    let because = |what: String, hint| (NothingFound { what, hint }, Vec::new());
    if !kernel.has_own_types() {
        return because(
            "no trace in this core: expected the kernel's type information, found only that of modules"
                .to_owned(),
            Some("name the kernel's vmlinux, its .debug file or an ISF JSON file with a further -d"),
        );
    }
    let missing = |damage: &[Damage]| match damage {
        [Damage { cause: cause @ Cause::MissingType { .. }, .. }] => Some(cause.to_string()),
        _ => None,
    };
    // That of LTTng 2.x is only told where its modules are loaded.
    if let Some(cause) = missing(&sessions.damage) {
        return because(
            format!("no trace in this core, though LTTng 2.x is in the kernel: {cause}"),
            Some("name the .ko files (with DWARF) of lttng-modules with further -d options"),
        );
    }
    if let (Some(cause), []) = (missing(&traces.damage), sessions.sessions.as_slice()) {
        let modules = kernel.modules();
        if !modules.is_empty() && !modules.iter().any(|module| module.name.starts_with("ltt")) {
            return because("no trace in this core: no module of LTTng is loaded".to_owned(), None);
        }
        return because(
            format!("no trace in this core: {cause}"),
            Some(
                "if LTTng 0.x was built as modules, name their .ko files (with DWARF) with further -d options",
            ),
        );
    }
    let broken = traces.damage.iter().filter(|_| !traces.is_absent()).chain(&sessions.damage).collect();
    let what = match (traces.traces.len(), sessions.sessions.len()) {
        (0, 0) => "no trace in this core".to_owned(),
        (0, sessions) => format!("{} in this core, but no events", count(sessions, "session")),
        (traces, _) => format!("{} in this core, but no buffer", count(traces, "trace")),
    };
    (NothingFound { what, hint: None }, broken)
}
