//! `cargo xtask e2e`: real kernels, from Debian packages to compared traces (`docs/e2e.md`).

mod command;
mod compare;
mod disk;
mod guest;
mod host;
mod machine;
mod modules;
mod packages;
mod place;
mod qmp;
mod report;
mod scenario;
mod tool;
mod trace;
mod tree;
mod verify;
mod viewer;

use std::time::Instant;

use anyhow::{Context as _, Result};

use place::{Place, Stage};
use report::Report;
use scenario::{SCENARIOS, Scenario};
use tool::Tool;
use verify::Verify;

const HELP: &str = "\
Usage: cargo xtask e2e [--again] [SCENARIO...]

Builds a guest from Debian packages, boots it in QEMU, traces, stops or crashes it, extracts from its memory with every command of
the program, and compares with what the tracer itself wrote. Ends with a table of all checks, and fails if one does.

  SCENARIO   frozen, stopped or panic [default: all]
  --again    boot the guests again, not only check their cores again

Everything is kept in target/e2e; what is finished there is used again. See docs/e2e.md.";

/// What the user asks for.
#[derive(Debug)]
struct Options {
    again: bool,
    scenarios: Vec<&'static Scenario>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Options> {
        let mut options = Options { again: false, scenarios: Vec::new() };
        for arg in args {
            if arg == "--again" {
                options.again = true;
                continue;
            }
            let scenario = SCENARIOS.iter().find(|scenario| scenario.name == arg);
            options.scenarios.push(scenario.with_context(|| {
                let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
                format!("expected --again or a scenario ({}), found {arg:?}", names.join(", "))
            })?);
        }
        if options.scenarios.is_empty() {
            options.scenarios = SCENARIOS.iter().collect();
        }
        Ok(options)
    }
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    if args.iter().any(|arg| arg == "--help" || arg == "-h") {
        println!("{HELP}");
        return Ok(());
    }
    let options = Options::parse(args)?;
    let start = Instant::now();
    let mut place = Place::open()?;
    place.timed("prepare host", |_| host::prepare())?;
    let kernel = packages::fetch(&mut place)?;
    packages::unpack(&mut place, &kernel)?;
    modules::build(&mut place, &kernel)?;
    guest::make(&mut place, &kernel)?;
    for scenario in &options.scenarios {
        if options.again {
            place.forget(&scenario::step(scenario))?;
        }
        scenario::record(&mut place, &kernel, scenario)?;
    }
    let tool = place.timed("build ltt-kdump", |_| Tool::build())?;
    let mut report = Report::default();
    for scenario in &options.scenarios {
        place.timed(&format!("check {}", scenario.name), |place| {
            (1..=scenario.times()).try_for_each(|time| {
                Verify::new(place, &kernel, &tool, &mut report, scenario.name, time)?.run()
            })
        })?;
    }
    let table = report.table();
    let stages = stages(&place.stages);
    let seconds = start.elapsed().as_secs();
    println!(
        "{table}\nKernel {}, everything in {}.\n{stages}total: {seconds} s",
        kernel.release,
        place.path("").display()
    );
    report.verdict()
}

/// The time of each stage, one a line.
fn stages(stages: &[Stage]) -> String {
    let line = |stage: &Stage| match stage.took {
        Some(took) => format!("{:24} {:7.1} s\n", stage.name, took.as_secs_f64()),
        None => format!("{:24}  was done\n", stage.name),
    };
    stages.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let parse =
            |args: &[&str]| Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        let all = parse(&[]).unwrap();
        assert_eq!((all.again, all.scenarios.len()), (false, SCENARIOS.len()));
        let one = parse(&["panic", "--again"]).unwrap();
        assert_eq!((one.again, one.scenarios[0].name, one.scenarios.len()), (true, "panic", 1));
        assert!(parse(&["panics"]).unwrap_err().to_string().contains("frozen, stopped, panic"));
    }
}
