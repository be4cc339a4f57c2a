//! `cargo xtask man DIR`: manual pages and completions, from the definitions of the command line itself.

use anyhow::{Result, bail};

use crate::run::cargo;

pub(crate) fn run(args: &[String]) -> Result<()> {
    let [dir] = args else { bail!("expected one argument, the folder to write to") };
    cargo(&["run", "--quiet", "--package", "ltt-kdump", "--", "man", "-o", dir], &[])
}
