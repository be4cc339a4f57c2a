//! `cargo xtask fuzz [SECONDS]`: every fuzz target for a while.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run::workspace_root;

pub(crate) fn run(args: &[String]) -> Result<()> {
    let seconds: u32 = match args.first() {
        Some(text) => text.parse().with_context(|| format!("expected seconds, found {text:?}"))?,
        None => 60,
    };
    let fuzz = workspace_root().join("fuzz");
    let targets = std::fs::read_dir(fuzz.join("fuzz_targets")).context("reading fuzz/fuzz_targets")?;
    for target in targets {
        let path = target?.path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        // libFuzzer adds what it finds to the first folder; the checked-in seeds are to stay as they are.
        let found = workspace_root().join("target/fuzz-corpus").join(name);
        std::fs::create_dir_all(&found).with_context(|| format!("making {}", found.display()))?;
        let status = Command::new("cargo")
            .args(["+nightly", "fuzz", "run", name])
            .args([found.as_path(), &fuzz.join("corpus").join(name)])
            .args(["--", &format!("-max_total_time={seconds}")])
            .current_dir(&fuzz)
            .status()
            .context("starting cargo fuzz")?;
        if !status.success() {
            bail!("fuzz target {name} failed: {status}");
        }
    }
    Ok(())
}
