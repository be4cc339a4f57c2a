//! `cargo xtask ci`: the same steps on a laptop and on the build machine.

use anyhow::Result;

use crate::run::cargo;
use crate::{layers, licences};

pub(crate) fn run() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    layers::check()?;
    licences::check()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])?;
    cargo(&["doc", "--workspace", "--no-deps", "--locked"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    // The second command of the README.
    cargo(&["test", "--workspace", "--locked"], &[])
}
