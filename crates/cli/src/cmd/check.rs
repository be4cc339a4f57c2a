//! `ltt-kdump check TRACE`

mod lttng;

use std::io::{self, Write};

use analyser::{Aside, Check, CutSummary, Depth, FileCheck, Moment};
use anyhow::Result;

use super::folder::Folder;
use crate::args;
use crate::config;
use crate::exit::{Exit, shown};
use crate::output::json;
use crate::output::progress::Phase;
use crate::output::table::{Column, Table};
use crate::output::text::{count, printable, size};
use crate::output::time;

pub(crate) fn run(args: &args::Check, as_json: bool) -> Result<Exit> {
    config::threads(args.threads)?;
    let phase = Phase::start("reading the trace");
    match Folder::open(&args.trace)? {
        Folder::Ltt(directory) => {
            let check = directory.check(if args.deep { Depth::All } else { Depth::Suspicious });
            drop(phase);
            let printed = if as_json { json::print(&check) } else { print(&check) };
            shown(printed, exit(check.is_damaged()))
        }
        Folder::Lttng(directory) => {
            let check = directory.check(if args.deep {
                analyser::lttng::Depth::All
            } else {
                analyser::lttng::Depth::Suspicious
            });
            drop(phase);
            let printed = if as_json { json::print(&check) } else { lttng::print(&check) };
            shown(printed, exit(check.is_damaged()))
        }
    }
}

fn exit(is_damaged: bool) -> Exit {
    if is_damaged { Exit::Losses } else { Exit::Complete }
}

fn print(check: &Check) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    match &check.format {
        Some(format) => {
            let start =
                i128::from(format.start_time_sec) * 1_000_000_000 + i128::from(format.start_time_usec) * 1000;
            writeln!(
                out,
                "{}: format {}, {}-bit {}-endian, started {}, {}",
                printable(&check.path),
                format.version,
                format.bits,
                format.byte_order,
                time::wall(start),
                count(u64::try_from(check.markers).unwrap_or(u64::MAX), "event format"),
            )?;
        }
        None => writeln!(out, "{}: no record in it", printable(&check.path))?,
    }
    writeln!(out)?;
    table(check).print(&mut out, "")?;
    writeln!(out)?;
    for file in &check.files {
        damage(&mut out, &file.path, &file.cuts, file.more_cuts, file.error.as_deref())?;
    }
    asides(&mut out, &check.problems, check.refused.iter().chain(&check.others))?;
    let totals = &check.totals;
    let verdict = match (totals.cuts, check.is_damaged()) {
        (0, false) => "whole".to_owned(),
        (0, true) => "every record whole, but not the trace".to_owned(),
        (cuts, _) => format!("{} in {}", size(totals.bytes_cut), count(cuts, "damaged place")),
    };
    writeln!(
        out,
        "{} in {}, {}: {verdict}",
        count(totals.records, "record"),
        count(totals.files, "file"),
        size(totals.bytes)
    )?;
    out.flush()?;
    Ok(())
}

/// A line for each damaged place of a file.
fn damage(
    out: &mut impl Write,
    path: &str,
    cuts: &[CutSummary],
    more: u64,
    error: Option<&str>,
) -> io::Result<()> {
    let path = printable(path);
    for cut in cuts {
        let (offset, bytes) = (cut.offset, count(cut.bytes, "byte"));
        writeln!(out, "damage: {path} at {offset}: {bytes}: {}", printable(&cut.reason))?;
    }
    if more > 0 {
        writeln!(out, "damage: {path}: {} more", count(more, "damaged place"))?;
    }
    match error {
        Some(error) => writeln!(out, "damage: {path}: {}", printable(error)),
        None => Ok(()),
    }
}

/// What is wrong with the whole, and what is no part of it.
fn asides<'c>(
    out: &mut impl Write,
    problems: &[String],
    asides: impl Iterator<Item = &'c Aside>,
) -> io::Result<()> {
    for problem in problems {
        writeln!(out, "problem: {}", printable(problem))?;
    }
    for aside in asides {
        writeln!(out, "not looked at: {}: {}", printable(&aside.path), printable(&aside.reason))?;
    }
    Ok(())
}

/// A time in a table.
fn at(moment: Option<Moment>) -> String {
    match moment {
        Some(Moment { ns: Some(ns), .. }) => time::seconds(ns),
        Some(moment) => format!("{} cycles", moment.tsc),
        None => "-".to_owned(),
    }
}

fn table(check: &Check) -> Table {
    let mut table = Table::new([
        Column::left("FILE"),
        Column::right("RECORDS"),
        Column::right("EVENTS").optional(),
        Column::right("FIRST"),
        Column::right("LAST"),
        Column::right("BYTES"),
        Column::right("DAMAGED").optional(),
    ]);
    for file in &check.files {
        table.row(row(file));
    }
    table
}

fn row(file: &FileCheck) -> [String; 7] {
    [
        printable(&file.path).into_owned(),
        file.records.to_string(),
        file.events.map_or_else(|| "-".to_owned(), |events| events.to_string()),
        at(file.first),
        at(file.last),
        file.bytes.to_string(),
        file.bytes_cut.to_string(),
    ]
}
