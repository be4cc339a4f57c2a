//! `cargo xtask bench [ARGS]`: hands over to the `bench` package, which holds the measurements.

use anyhow::Result;

use crate::run::cargo;

pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut command = vec!["run", "--release", "--package", "bench", "--"];
    command.extend(args.iter().map(String::as_str));
    cargo(&command, &[])
}
