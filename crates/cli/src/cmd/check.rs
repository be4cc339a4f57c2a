//! `ltt-kdump check TRACE`

use std::io::{self, Write};

use analyser::{Check, Depth, Directory, FileCheck, Moment};
use anyhow::Result;

use crate::args;
use crate::config;
use crate::exit::Exit;
use crate::output::json;
use crate::output::progress::Phase;
use crate::output::table::{Column, Table};
use crate::output::text::{count, printable, size};
use crate::output::time;

pub(crate) fn run(args: &args::Check, as_json: bool) -> Result<Exit> {
    config::threads(args.threads)?;
    let phase = Phase::start("reading the trace");
    let directory = Directory::open(&args.trace)?;
    let check = directory.check(if args.deep { Depth::All } else { Depth::Suspicious });
    drop(phase);
    if as_json {
        json::print(&check)?;
    } else {
        print(&check)?;
    }
    Ok(if check.is_damaged() { Exit::Losses } else { Exit::Complete })
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
        for cut in &file.cuts {
            let (offset, bytes) = (cut.offset, count(cut.bytes, "byte"));
            writeln!(
                out,
                "damage: {} at {offset}: {bytes}: {}",
                printable(&file.path),
                printable(&cut.reason)
            )?;
        }
        if file.more_cuts > 0 {
            writeln!(
                out,
                "damage: {}: {} more",
                printable(&file.path),
                count(file.more_cuts, "damaged place")
            )?;
        }
        if let Some(error) = &file.error {
            writeln!(out, "damage: {}: {}", printable(&file.path), printable(error))?;
        }
    }
    for problem in &check.problems {
        writeln!(out, "problem: {}", printable(problem))?;
    }
    for aside in check.refused.iter().chain(&check.others) {
        writeln!(out, "not looked at: {}: {}", printable(&aside.path), printable(&aside.reason))?;
    }
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
    let at = |moment: Option<Moment>| match moment {
        Some(Moment { ns: Some(ns), .. }) => time::seconds(ns),
        Some(moment) => format!("{} cycles", moment.tsc),
        None => "-".to_owned(),
    };
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
