//! `ltt-kdump profile DEBUGINFO... -o FILE`

use std::io::Write;

use analyser::{Profile, ProfileSummary};
use anyhow::Result;
use extracter::NewFile;
use serde::Serialize;

use crate::args::Profile as Args;
use crate::config;
use crate::exit::{Exit, written};
use crate::output::json;
use crate::output::progress::Phase;
use crate::output::text::{count, printable, size};

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    output: &'a str,
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
    let document = Document { output: &output, bytes: profile.json().len(), profile: summary };
    let printed = if as_json { json::print(&document) } else { print(&document, verbose) };
    Ok(written(printed, Exit::Complete, &output))
}

fn print(document: &Document<'_>, verbose: bool) -> Result<()> {
    let summary = document.profile;
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
    let bytes = size(document.bytes.try_into().unwrap_or(u64::MAX));
    writeln!(out, "written     {}: {structs}, {symbols}, {bytes}", printable(document.output))?;
    Ok(())
}
