//! `cargo xtask ci`: the same steps on a laptop and on the build machine.

use std::ffi::OsStr;

use anyhow::Result;

use crate::run::cargo;
use crate::{layers, licences, test};

pub(crate) fn run() -> Result<()> {
    cargo(&["fmt", "--all", "--check"], &[])?;
    layers::check()?;
    licences::check()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"], &[])?;
    cargo(&["doc", "--workspace", "--no-deps", "--locked"], &[("RUSTDOCFLAGS", OsStr::new("-D warnings"))])?;
    // Without C: nobody else builds it.
    let pure = ["--no-default-features", "--features", "pure-rust", "--locked"];
    cargo(&[&["test", "-p", "codec"][..], &pure].concat(), &[])?;
    cargo(&[&["check", "-p", "ltt-kdump"][..], &pure].concat(), &[])?;
    // The second command of the README.
    test::run_all()
}
