//! `cargo xtask test [ARGS]`: all tests, or those that `cargo test ARGS` would run, with the programs that some of them compare with.

use anyhow::Result;

use crate::readers;

/// Where those programs cannot be had, the comparisons are left out, and that is said.
pub(crate) fn run(args: &[String]) -> Result<()> {
    match readers::find() {
        Ok(environment) => test(args, &environment),
        Err(reason) => {
            eprintln!("xtask: comparisons with babeltrace 2 are skipped: {reason:#}");
            test(args, &readers::Environment::new())
        }
    }
}

/// Where they cannot be had, that is an error.
pub(crate) fn run_all() -> Result<()> {
    let mut environment = readers::find()?;
    environment.push(("READERS_REQUIRED", "1".into()));
    test(&[], &environment)
}

fn test(args: &[String], environment: &readers::Environment) -> Result<()> {
    let mut command = vec!["test", "--locked"];
    command.extend(args.iter().map(String::as_str));
    if args.is_empty() {
        command.push("--workspace");
    }
    readers::cargo(&command, environment)
}
