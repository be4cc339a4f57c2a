//! `ltt-kdump profile DEBUGINFO... -o FILE`

use std::io::Write;

use analyser::{Profile, ProfileSummary};
use anyhow::Result;
use extracter::NewFile;
use serde::Serialize;

use crate::args::Profile as Args;
use crate::config;
use crate::exit::Exit;
use crate::output::json;
use crate::output::progress::Phase;
use crate::output::text::{count, printable, size};

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    output: String,
    bytes: usize,
    #[serde(flatten)]
    profile: &'a ProfileSummary,
}

pub(crate) fn run(args: Args, as_json: bool, verbose: bool) -> Result<Exit> {
    config::threads(args.threads)?;
    let output = NewFile::check(&args.output)?;
    let phase = Phase::start("reading type information");
    let profile = Profile::read(&args.debuginfo)?;
    drop(phase);
    let summary = profile.summary();
    super::warn(&summary.warnings);
    output.write(profile.json().as_bytes())?;

    let output = args.output.display().to_string();
    let bytes = profile.json().len();
    if as_json {
        json::print(&Document { output, bytes, profile: summary })?;
        return Ok(Exit::Complete);
    }
    let mut out = std::io::stdout().lock();
    if let Some(banner) = &summary.banner {
        writeln!(out, "kernel      {}", printable(banner))?;
    }
    if !summary.modules.is_empty() {
        writeln!(out, "modules     {}", printable(&summary.modules.join(", ")))?;
    }
    if verbose {
        summary.types.iter().try_for_each(|line| writeln!(out, "types       {}", printable(line)))?;
    }
    let structs = count(summary.structs, "structure");
    let symbols = count(summary.symbols, "symbol");
    let bytes = size(bytes.try_into().unwrap_or(u64::MAX));
    writeln!(out, "written     {}: {structs}, {symbols}, {bytes}", printable(&output))?;
    Ok(Exit::Complete)
}
