//! `ltt-kdump man [-o DIR]`: for packagers.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man as Page;

use crate::args::{Args, Man};
use crate::exit::{Exit, shown};

pub(crate) fn run(args: &Man) -> Result<Exit> {
    match &args.output {
        Some(directory) => {
            write(directory).with_context(|| format!("writing manual pages to {}", directory.display()))?;
            Ok(Exit::Complete)
        }
        None => {
            let mut page = Vec::new();
            Page::new(Args::command()).render(&mut page)?;
            shown(io::stdout().write_all(&page).map_err(Into::into), Exit::Complete)
        }
    }
}

/// `ltt-kdump.1`, one page a command, and the completion scripts under the names that shells look for.
fn write(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Args::command(), directory)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Args::command(), "ltt-kdump", directory)?;
    }
    Ok(())
}
