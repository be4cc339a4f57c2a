//! `ltt-kdump extract CORE... -d DEBUGINFO -o DIR`

use std::io::{self, Write};

use anyhow::Result;
use extracter::{Destination, Plan, Report, Totals};

use crate::args::Extract;
use crate::config;
use crate::exit::{Exit, written};
use crate::interrupt::Interrupt;
use crate::output::json;
use crate::output::progress::{Bar, Phase};
use crate::output::table::{Column, Table};
use crate::output::text::{count, printable, size};

pub(crate) fn run(mut args: Extract, as_json: bool, verbose: bool, interrupt: &Interrupt) -> Result<Exit> {
    if let Some(into) = args.into.take() {
        return super::into::run(args, &into, as_json, verbose, interrupt);
    }
    let options = config::extraction(&args);
    let open = config::open(args.cores, &args.kernel, true)?;
    // Opening a large core takes a while; a refusal of the output should not.
    Destination::check(&options.output)?;

    let kernel = super::kernel(&open)?;
    let phase = Phase::start("finding traces");
    let (traces, sessions) = (kernel.traces(args.via.into()), kernel.sessions(args.via.into()));
    drop(phase);

    let plan = Plan::new(&kernel, (&traces, &sessions), &options)?;
    if plan.files().is_empty() {
        return Err(super::nothing(&kernel, &traces, &sessions).into());
    }
    let report = {
        let bar = Bar::start(plan.total_bytes(), interrupt);
        plan.run(&bar)?
    };
    let printed = if as_json { json::print(&report) } else { print(&report, verbose) };
    let exit = if report.has_losses() { Exit::Losses } else { Exit::Complete };
    Ok(written(printed, exit, &report.output))
}

fn print(report: &Report, verbose: bool) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    table(report).print(&mut out, "")?;

    let bytes = &report.totals.bytes;
    let files: usize = report.traces.iter().map(|trace| trace.streams.len()).sum();
    writeln!(
        out,
        "\n{} to {}: {} bytes found = {} written + {} lost + {} unreadable{}; {} on disk",
        count(files, "file"),
        printable(&report.output),
        bytes.found,
        bytes.written,
        bytes.lost,
        bytes.unreadable,
        if report.unread_only { format!(" + {} omitted", bytes.omitted) } else { String::new() },
        size(bytes.file),
    )?;

    for damage in &report.damage {
        writeln!(out, "damage: {}", printable(damage))?;
    }
    for metadata in report.traces.iter().filter_map(|trace| trace.metadata.as_ref()) {
        for note in &metadata.notes {
            writeln!(out, "note: {}: {}", printable(&metadata.path), printable(note))?;
        }
    }
    let mut unsaid = 0;
    for stream in report.traces.iter().flat_map(|trace| &trace.streams) {
        for damage in &stream.damage {
            writeln!(out, "damage: {}", printable(damage))?;
        }
        for note in &stream.notes {
            if verbose {
                writeln!(out, "note: {}: {}", printable(&stream.path), printable(note))?;
            } else {
                unsaid += 1;
            }
        }
    }
    if unsaid > 0 {
        writeln!(out, "{} not shown (-v shows them)", count(unsaid, "note"))?;
    }
    out.flush()?;
    Ok(())
}

/// A line for each file, and their sum.
fn table(report: &Report) -> Table {
    let mut table = Table::new([
        Column::left("FILE"),
        Column::right("READY"),
        Column::right("OPEN"),
        Column::right("STALLED").optional(),
        Column::right("CONSUMED").optional(),
        Column::right("WRITTEN"),
        Column::right("LOST"),
        Column::right("UNREADABLE"),
        Column::right("OMITTED").optional(),
        Column::right("UNUSABLE").optional(),
        Column::right("DOUBTFUL").optional(),
        Column::right("EVENTS").optional(),
        Column::right("DROPPED BY TRACER").optional(),
    ]);
    for stream in report.traces.iter().flat_map(|trace| &trace.streams) {
        table.row(row(&stream.path, &stream.totals));
    }
    table.row(row("total", &report.totals));
    table
}

fn row(name: &str, totals: &Totals) -> [String; 13] {
    let (counts, bytes) = (&totals.sub_buffers, &totals.bytes);
    let states = &bytes.written_by_state;
    let cell = |bytes: u64, sub_buffers: u64| match sub_buffers {
        0 => "-".to_owned(),
        n => format!("{bytes} in {n}"),
    };
    [
        printable(name).into_owned(),
        cell(states.ready, counts.ready),
        cell(states.open, counts.open),
        cell(states.stalled, counts.stalled),
        cell(states.consumed, counts.consumed),
        bytes.written.to_string(),
        bytes.lost.to_string(),
        bytes.unreadable.to_string(),
        cell(bytes.omitted, counts.omitted),
        counts.unusable.to_string(),
        totals.doubtful_sub_buffers.to_string(),
        totals.events.map_or_else(|| "-".to_owned(), |events| events.to_string()),
        totals.events_lost_by_tracer.to_string(),
    ]
}
