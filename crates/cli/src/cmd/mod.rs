//! One file a command.

mod completions;
mod extract;
mod info;
mod ls;
mod man;

use analyser::Kernel;
use anyhow::Result;

use crate::args::{Args, Command};
use crate::exit::Exit;

/// Does what the command line says.
pub(crate) fn run(args: Args) -> Result<Exit> {
    let Args { command, verbose, json } = args;
    match command {
        Command::Info(args) => info::run(args, json, verbose > 0),
        Command::Ls(args) => ls::run(&args, json),
        Command::Extract(args) => extract::run(args, json, verbose > 0),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

/// What was odd about the files, on standard error.
fn warn(kernel: &Kernel) {
    for warning in kernel.warnings() {
        tracing::warn!("{}", crate::output::text::printable(warning));
    }
}
