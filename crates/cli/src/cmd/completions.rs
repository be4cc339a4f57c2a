//! `ltt-kdump completions SHELL`

use std::io::{self, Write};

use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::{Args, Completions};
use crate::exit::{Exit, shown};

pub(crate) fn run(args: &Completions) -> Result<Exit> {
    shown(io::stdout().write_all(&script(args.shell)).map_err(Into::into), Exit::Complete)
}

/// The script of one shell, made in memory: clap_complete panics when its writer fails.
fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "ltt-kdump", &mut script);
    script
}
