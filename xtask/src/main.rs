//! The developers' commands: `cargo xtask COMMAND`.
//!
//! | command | what it does |
//! |---|---|
//! | `ci` | everything a change must pass: format, clippy, docs, layers, licences, tests |
//! | `layers` | checks that crates depend on each other only as the design allows |
//! | `licences` | checks that every dependency has a permissive licence |
//! | `bench [ARGS]` | measures speed and memory against bare baselines (`docs/performance.md`) |
//! | `e2e [ARGS]` | boots, traces and crashes real kernels and compares what is extracted with what they wrote (`docs/e2e.md`) |
//! | `fuzz [SECONDS]` | runs every fuzz target for a while (nightly toolchain and `cargo-fuzz`) |
//! | `man DIR` | writes manual pages and shell completions |
//! | `test [ARGS]` | all tests, with the programs that some compare with, which it installs or unpacks on Debian |

mod bench;
mod ci;
mod e2e;
mod fuzz;
mod layers;
mod licences;
mod man;
mod metadata;
mod readers;
mod run;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Usage: cargo xtask COMMAND

  ci              everything a change must pass: format, clippy, docs, layers, licences, tests
  test [ARGS]     all tests, with the programs that some compare with
  e2e [ARGS]      real kernels in QEMU, from Debian packages to compared traces; --help tells more
  bench [ARGS]    speed and memory against bare baselines
  fuzz [SECONDS]  every fuzz target for a while
  layers          crates depend on each other only as the design allows
  licences        every dependency has a permissive licence
  man DIR         writes manual pages and shell completions";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    match dispatch(&command, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> Result<()> {
    match command {
        "ci" => ci::run(),
        "layers" => layers::check(),
        "licences" => licences::check(),
        "bench" => bench::run(rest),
        "e2e" => e2e::run(rest),
        "fuzz" => fuzz::run(rest),
        "man" => man::run(rest),
        "test" => test::run(rest),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => bail!("expected ci, layers, licences, bench, e2e, fuzz, man or test, found {other:?}"),
    }
}
