//! `ltt-kdump`: gets the last trace events out of a dead Linux kernel.
//!
//! Glue only: arguments become options of the libraries, their results become text or JSON. No byte of a trace is
//! decided here.

mod args;
mod cmd;
mod config;
mod exit;
mod interrupt;
mod log;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::exit::Exit;
use crate::interrupt::Interrupt;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let verbose = args.verbose > 0;
    log::init(verbose);
    let interrupt = Interrupt::default();
    let exit = match cmd::run(args, &interrupt) {
        Ok(exit) => exit,
        Err(error) => {
            output::error::print_error(&error, verbose);
            interrupt.pass_on();
            Exit::from(&error)
        }
    };
    exit.into()
}
