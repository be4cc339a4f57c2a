//! `ltt-kdump repair TRACE`

use anyhow::Result;
use extracter::Join;

use super::folder::Folder;
use crate::args::Repair;
use crate::config;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output::progress::Phase;

pub(crate) fn run(args: Repair, as_json: bool, verbose: bool, interrupt: &Interrupt) -> Result<Exit> {
    config::threads(args.threads)?;
    let target = config::target(args.output)?;
    let phase = Phase::start("reading the trace");
    let folder = Folder::open_warned(&args.trace)?;
    let join = Join::repair(folder.borrowed(), target)?;
    drop(phase);
    super::into::finish(join, args.dry_run, as_json, verbose, interrupt)
}
