//! `cargo xtask bench [ARGS]`: hands over to the `bench` package, which holds the measurements.

use anyhow::Result;

use crate::readers;

pub(crate) fn run(args: &[String]) -> Result<()> {
    let mut command = vec!["run", "--release", "--package", "bench", "--"];
    command.extend(args.iter().map(String::as_str));
    // Without babeltrace 2 the measurements against it are left out.
    let environment = readers::find().unwrap_or_else(|reason| {
        eprintln!("xtask: {reason:#}");
        readers::Environment::new()
    });
    readers::cargo(&command, &environment)
}
