//! `ltt-kdump extract CORE... --into TRACE`, and what it has in common with `repair`.

use std::io::{self, Write};
use std::path::Path;

use analyser::lttng;
use anyhow::Result;
use extracter::{CutReport, Gap, Join, JoinReport, Layout, MetadataJoin, Side, StreamJoin};

use super::folder::Folder;
use crate::args::Extract;
use crate::config;
use crate::exit::{Exit, Usage, shown, written};
use crate::interrupt::Interrupt;
use crate::output::json;
use crate::output::progress::{Bar, Phase};
use crate::output::table::{Column, Table};
use crate::output::text::{count, printable};

/// What takes a while.
const COMPARING: &str = "comparing both sides";

pub(crate) fn run(
    args: Extract,
    into: &Path,
    as_json: bool,
    verbose: bool,
    interrupt: &Interrupt,
) -> Result<Exit> {
    let name = match args.traces.as_slice() {
        [] => None,
        [name] => Some(name.as_str()),
        _ => {
            return Err(
                Usage("--into: expected one --trace at most, since TRACE is one, found several").into()
            );
        }
    };
    if args.in_place && args.layout == crate::args::Layout::Beside {
        return Err(Usage("--layout beside: expected --output for the second trace, found --in-place").into());
    }
    let target = config::target(args.output)?;
    let open = config::open(args.cores, &args.kernel, true)?;
    // A folder that is no trace is found out before a large core is opened.
    let phase = Phase::start("reading the trace");
    let folder = Folder::open_warned(into)?;
    drop(phase);
    let kernel = super::kernel(&open)?;
    let (via, layout) = (args.via.into(), args.layout.into());
    let (traces, sessions) = (kernel.traces(via), kernel.sessions(via));
    if traces.traces.is_empty() && sessions.sessions.is_empty() {
        return Err(super::nothing(&kernel, &traces, &sessions).into());
    }
    let phase;
    let join = match &folder {
        Folder::Ltt(directory) => {
            let trace = analyser::pairing(directory, &traces, name)?;
            phase = Phase::start(COMPARING);
            Join::with_core(directory, &kernel, trace, target, layout)?
        }
        Folder::Lttng(directory) => {
            let session = lttng::pairing(directory, &sessions, name)?;
            phase = Phase::start(COMPARING);
            Join::with_session(directory, &kernel, session, target, layout)?
        }
    };
    drop(phase);
    finish(join, args.dry_run, as_json, verbose, interrupt)
}

/// Does what was planned, unless only the plan is wanted, and says what it was.
pub(crate) fn finish(
    join: Join<'_>,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
    interrupt: &Interrupt,
) -> Result<Exit> {
    let report = if dry_run {
        join.report().clone()
    } else {
        let bar = Bar::start(join.total_bytes(), interrupt);
        join.run(&bar)?
    };
    let printed = if as_json { json::print(&report) } else { print(&report, dry_run, verbose) };
    let exit = if report.has_losses() { Exit::Losses } else { Exit::Complete };
    if dry_run {
        return shown(printed, exit);
    }
    Ok(written(printed, exit, report.output.as_deref().unwrap_or(&report.trace)))
}

fn print(report: &JoinReport, dry_run: bool, verbose: bool) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    table(report).print(&mut out, "")?;
    writeln!(out)?;
    if let Some(metadata) = &report.metadata {
        print_metadata(&mut out, metadata)?;
    }
    for stream in &report.streams {
        let path = printable(&stream.path);
        for cut in stream.disk.iter().flat_map(|disk| &disk.cuts) {
            writeln!(out, "{}", cut_line(cut))?;
        }
        if let Some(index) = stream.index.as_ref().filter(|index| index.changes) {
            let (packets, made) = (count(index.entries, "packet"), index.entries - index.entries_kept);
            let kept = index.saved_as.as_ref().map_or_else(String::new, |saved| {
                format!(", {} cut and kept as {}", count(index.bytes_cut, "byte"), printable(saved))
            });
            writeln!(out, "index: {}: {packets}, {made} of them new{kept}", printable(&index.path))?;
        }
        for different in &stream.both.different {
            let kept = match different.kept {
                Side::Disk => "the folder's",
                Side::Core => "the core's",
            };
            let (offset, disk, core) = (different.offset, different.disk_used, different.core_used);
            writeln!(
                out,
                "different: {path} at {offset}: {disk} bytes in the folder, {core} in the core: kept {kept}"
            )?;
        }
        if let Some(Gap::Lost { ranges, .. }) = &stream.gap {
            for range in ranges {
                writeln!(
                    out,
                    "lost: {path}: {} between positions {} and {} of the buffer",
                    count(range.records, "record"),
                    range.from,
                    range.to
                )?;
            }
        }
        if stream.made.records > 0 {
            let (records, markers) = (stream.made.records, stream.made.markers);
            writeln!(
                out,
                "made: {path}: {} from the kernel's tables, {}",
                count(records, "record"),
                count(markers, "event format")
            )?;
        }
        for damage in &stream.damage {
            writeln!(out, "damage: {path}: {}", printable(damage))?;
        }
        if verbose {
            if let Some(Gap::Unknown { reason }) = &stream.gap {
                writeln!(
                    out,
                    "note: {path}: whether records are missing is not known: {}",
                    printable(reason)
                )?;
            }
            for note in &stream.notes {
                writeln!(out, "note: {path}: {}", printable(note))?;
            }
        }
    }
    for damage in &report.damage {
        writeln!(out, "damage: {}", printable(damage))?;
    }
    for note in &report.notes {
        writeln!(out, "note: {}", printable(note))?;
    }
    writeln!(out, "{}", sum(report, dry_run))?;
    out.flush()?;
    Ok(())
}

fn cut_line(cut: &CutReport) -> String {
    let known = if cut.in_core { ", which the core holds" } else { "" };
    let saved =
        cut.saved_as.as_ref().map_or_else(String::new, |saved| format!(", kept as {}", printable(saved)));
    let (file, reason) = (printable(&cut.path), printable(&cut.reason));
    format!("cut: {file} at {}: {}{known}{saved}: {reason}", cut.offset, count(cut.len, "byte"))
}

fn print_metadata(out: &mut impl Write, metadata: &MetadataJoin) -> io::Result<()> {
    let path = printable(&metadata.path);
    for cut in &metadata.cuts {
        writeln!(out, "{}", cut_line(cut))?;
    }
    if metadata.text_added > 0 {
        writeln!(out, "metadata: {path}: {} added", count(metadata.text_added, "byte"))?;
    }
    for damage in &metadata.damage {
        writeln!(out, "damage: {path}: {}", printable(damage))?;
    }
    for note in &metadata.notes {
        writeln!(out, "note: {path}: {}", printable(note))?;
    }
    Ok(())
}

/// The last line.
fn sum(report: &JoinReport, dry_run: bool) -> String {
    let totals = &report.totals;
    let place = match &report.output {
        Some(output) => format!(" in {}", printable(output)),
        None => format!(" in {}", printable(&report.trace)),
    };
    let what = match report.layout {
        Layout::Beside => format!(
            "{} that the folder lacks, with the whole metadata = {}{place}",
            count(totals.added, "record"),
            totals.records,
        ),
        _ => format!(
            "{} kept + {} added{} = {}{place}",
            count(totals.records_kept, "record"),
            totals.added,
            if totals.made > 0 { format!(" + {} made", totals.made) } else { String::new() },
            totals.records,
        ),
    };
    let lost = match (totals.records_lost, totals.bytes_cut) {
        (0, 0) => String::new(),
        (records, bytes) => {
            format!("; {} lost for good, {} cut", count(records, "record"), count(bytes, "byte"))
        }
    };
    let dry = if dry_run { "would be: " } else { "" };
    let same = if report.output.is_none() && !report.changes_anything() { "nothing to change: " } else { "" };
    format!("{dry}{same}{what}{lost}")
}

/// A line for each stream, and their sum.
fn table(report: &JoinReport) -> Table {
    let mut table = Table::new([
        Column::left("FILE"),
        Column::right("KEPT"),
        Column::right("CUT").optional(),
        Column::right("IN BOTH").optional(),
        Column::right("DIFFERENT").optional(),
        Column::right("ADDED").optional(),
        Column::right("EVENTS ADDED").optional(),
        Column::right("MADE").optional(),
        Column::right("LOST").optional(),
        Column::left("JOIN").optional(),
        Column::right("RECORDS"),
    ]);
    for stream in &report.streams {
        table.row(row(stream));
    }
    table
}

fn row(stream: &StreamJoin) -> [String; 11] {
    let (lost, join) = match &stream.gap {
        Some(Gap::Exact) => (0, "exact"),
        Some(Gap::Lost { records, .. }) => (*records, "gap"),
        Some(_) => (0, "unknown"),
        None => (0, "-"),
    };
    let (kept, cut) = stream.disk.as_ref().map_or((0, 0), |disk| (disk.records_kept, disk.bytes_cut));
    [
        printable(&stream.path).into_owned(),
        kept.to_string(),
        cut.to_string(),
        stream.both.records.to_string(),
        stream.both.different.len().to_string(),
        stream.added.records.to_string(),
        stream.added.events.to_string(),
        stream.made.records.to_string(),
        lost.to_string(),
        join.to_owned(),
        stream.result.records.to_string(),
    ]
}

impl From<crate::args::Layout> for Layout {
    fn from(layout: crate::args::Layout) -> Layout {
        match layout {
            crate::args::Layout::Merged => Layout::Merged,
            crate::args::Layout::Beside => Layout::Beside,
            crate::args::Layout::CrashSubdir => Layout::CrashSubdir,
        }
    }
}
