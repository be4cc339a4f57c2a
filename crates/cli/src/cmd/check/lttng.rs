//! The result of a check of a CTF trace, as text.

use std::io::{self, Write};

use analyser::lttng::{Check, FileCheck, TraceFormat};
use anyhow::Result;

use super::{asides, at, damage};
use crate::output::table::{Column, Table};
use crate::output::text::{count, printable, size};

pub(super) fn print(check: &Check) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    writeln!(out, "{}", headline(check))?;
    writeln!(out)?;
    table(check).print(&mut out, "")?;
    writeln!(out)?;
    if let Some(file) = &check.metadata {
        let torn = file.torn_text_bytes;
        let cuts: Vec<_> = file.cut.iter().cloned().collect();
        damage(&mut out, &file.path, &cuts, 0, None)?;
        if torn > 0 {
            let path = printable(&file.path);
            writeln!(out, "damage: {path}: {} of a statement that does not end", count(torn, "byte"))?;
        }
    }
    for file in &check.files {
        damage(&mut out, &file.path, &file.cuts, file.more_cuts, file.error.as_deref())?;
        if let Some(index) = &file.index
            && let Some(problem) = &index.problem
        {
            writeln!(out, "damage: {}: {}", printable(&index.path), printable(problem))?;
        }
    }
    asides(&mut out, &check.problems, check.refused.iter().chain(&check.others))?;
    writeln!(out, "{}", sum(check))?;
    out.flush()?;
    Ok(())
}

/// What the trace is.
fn headline(check: &Check) -> String {
    let path = printable(&check.path);
    let Some(format) = &check.format else { return format!("{path}: no packet in it") };
    let TraceFormat { version, byte_order, session, created, hostname, tracer, .. } = format;
    let mut line = format!("{path}: CTF");
    let mut add = |text: String| line.push_str(&text);
    if let Some(version) = version {
        add(format!(" {version}"));
    }
    add(format!(", {byte_order}-endian"));
    if let Some(session) = session {
        add(format!(", session {}", printable(session)));
    }
    if let Some(created) = created {
        add(format!(" of {}", printable(created)));
    }
    if let Some(hostname) = hostname {
        add(format!(" on {}", printable(hostname)));
    }
    if let Some(tracer) = tracer {
        add(format!(", {}", printable(tracer)));
    }
    if let Some(metadata) = &check.metadata {
        add(format!(", {}, {}", count(metadata.streams, "channel"), count(metadata.events, "event format")));
    }
    line
}

/// The last line.
fn sum(check: &Check) -> String {
    let totals = &check.totals;
    let verdict = match (totals.cuts, check.is_damaged()) {
        (0, false) => "whole".to_owned(),
        (0, true) => "every packet whole, but not the trace".to_owned(),
        (cuts, _) => format!("{} in {}", size(totals.bytes_cut), count(cuts, "damaged place")),
    };
    let files = count(totals.files, "file");
    let mut sum = format!("{} in {files}, {}", count(totals.packets, "packet"), size(totals.bytes));
    if totals.packets_missing > 0 {
        sum.push_str(&format!(", {} missing", count(totals.packets_missing, "packet")));
    }
    if totals.events_discarded > 0 {
        sum.push_str(&format!(", {} discarded by the tracer", count(totals.events_discarded, "event")));
    }
    format!("{sum}: {verdict}")
}

fn table(check: &Check) -> Table {
    let mut table = Table::new([
        Column::left("FILE"),
        Column::right("PACKETS"),
        Column::right("EVENTS").optional(),
        Column::right("FIRST"),
        Column::right("LAST"),
        Column::right("BYTES"),
        Column::right("DAMAGED").optional(),
        Column::right("MISSING").optional(),
        Column::right("DISCARDED").optional(),
    ]);
    for file in &check.files {
        table.row(row(file));
    }
    table
}

fn row(file: &FileCheck) -> [String; 9] {
    [
        printable(&file.path).into_owned(),
        file.packets.to_string(),
        file.events.map_or_else(|| "-".to_owned(), |events| events.to_string()),
        at(file.first),
        at(file.last),
        file.bytes.to_string(),
        file.bytes_cut.to_string(),
        file.packets_missing.to_string(),
        file.events_discarded.to_string(),
    ]
}
