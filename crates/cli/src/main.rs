//! `ltt-kdump`: gets the last trace events out of a dead Linux kernel.
//!
//! Glue only: arguments become options of the libraries, their results become text or JSON. No byte of a trace is
//! decided here.

mod args;
mod cmd;
mod config;
mod exit;
mod log;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::exit::Exit;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let verbose = args.verbose;
    log::init(verbose);
    let exit = match cmd::run(args) {
        Ok(exit) => exit,
        // The reader, `head` say, has seen enough.
        Err(error) if exit::is_broken_pipe(&error) => Exit::Complete,
        Err(error) => {
            output::text::print_error(&error, verbose > 0);
            Exit::from(&error)
        }
    };
    exit.into()
}
