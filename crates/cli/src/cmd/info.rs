//! `ltt-kdump info CORE... [-d DEBUGINFO]...`

use std::io::{self, Write};

use analyser::lttng::{ChannelSummary, SessionSummary};
use analyser::{CoreSummary, Info as Found, Kernel, KernelSummary, Routes, TraceSummary};
use anyhow::Result;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::Info;
use crate::config;
use crate::exit::{Exit, NothingFound, shown};
use crate::output::json;
use crate::output::progress::Phase;
use crate::output::table::{Column, Table};
use crate::output::text::{count, printable, size};

pub(crate) fn run(args: Info, as_json: bool, verbose: bool) -> Result<Exit> {
    let has_types = !args.kernel.debuginfo.is_empty();
    let open = config::open(args.cores, &args.kernel, false)?;
    if !has_types {
        return shown(core_only(&Kernel::core_summary(&open)?, as_json), Exit::Complete);
    }
    let phase = Phase::start("opening core and type information");
    let kernel = Kernel::open(&open)?;
    drop(phase);
    let phase = Phase::start("finding traces");
    let (traces, sessions) = (kernel.traces(Routes::ALL), kernel.sessions(Routes::ALL));
    let info = kernel.info(&traces, &sessions);
    drop(phase);

    let is_empty = info.traces.is_empty() && info.sessions.is_empty();
    // What was broken is in the report.
    let nothing = is_empty.then(|| super::why_nothing(&kernel, &traces, &sessions).0);
    let printed = if as_json { json::print(&info) } else { print(&info, nothing.as_ref(), verbose) };
    let exit = if is_empty {
        Exit::NothingFound
    } else if is_damaged(&info) {
        Exit::Losses
    } else {
        Exit::Complete
    };
    shown(printed, exit)
}

fn print(info: &Found, nothing: Option<&NothingFound>, verbose: bool) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    print_core(&mut out, &info.core)?;
    print_kernel(&mut out, &info.kernel, verbose)?;
    info.traces.iter().try_for_each(|trace| print_trace(&mut out, trace))?;
    info.sessions.iter().try_for_each(|session| print_session(&mut out, session))?;
    if let Some(releases) = &info.fixed_layouts {
        writeln!(out, "\nno type information of the tracer: read as LTTng {releases} lays it out")?;
    }
    if let Some(NothingFound { what, hint }) = nothing {
        writeln!(out, "\n{}", printable(what))?;
        field(&mut out, "hint", hint.unwrap_or_default())?;
    }
    info.damage.iter().try_for_each(|damage| field(&mut out, "damage", damage))?;
    out.flush()?;
    Ok(())
}

fn is_damaged(info: &Found) -> bool {
    let of_traces = info.traces.iter().flat_map(|trace| &trace.streams).map(|stream| &stream.damage);
    let channels = info.sessions.iter().flat_map(|session| &session.channels);
    let of_sessions = channels.flat_map(|channel| &channel.streams).map(|stream| &stream.damage);
    !info.damage.is_empty() || of_traces.chain(of_sessions).any(|damage| !damage.is_empty())
}

/// The document without type information: the same as with, but for what is missing.
#[derive(Serialize)]
struct CoreOnly<'a> {
    core: &'a CoreSummary,
}

fn core_only(core: &CoreSummary, as_json: bool) -> Result<()> {
    if as_json {
        return json::print(&CoreOnly { core });
    }
    let mut out = io::stdout().lock();
    print_core(&mut out, core)?;
    writeln!(out, "\nwith -d DEBUGINFO: the kernel, its last log lines, and the traces inside")?;
    Ok(())
}

/// `name      value`, if there is one.
fn field(out: &mut dyn Write, name: &str, value: impl AsRef<str>) -> io::Result<()> {
    match value.as_ref() {
        "" => Ok(()),
        value => writeln!(out, "{name:<12}{}", printable(value)),
    }
}

fn print_core(out: &mut dyn Write, core: &CoreSummary) -> io::Result<()> {
    field(out, "core", format!("{}, {}", core.format, size(core.size_bytes)))?;
    let cpus = if core.cpus == 0 { String::new() } else { format!(", {}", count(core.cpus, "CPU")) };
    field(out, "machine", format!("{}{cpus}, pages of {}", core.machine, size(core.page_size)))?;
    field(out, "memory", format!("{} in the core", size(core.memory_bytes)))?;
    field(out, "release", core.release.as_deref().unwrap_or_default())?;
    field(out, "build-id", core.build_id.as_deref().unwrap_or_default())?;
    field(out, "crashed", core.crash_time.and_then(time).unwrap_or_default())?;
    core.warnings.iter().try_for_each(|warning| field(out, "warning", warning))
}

/// Seconds since 1970 in UTC; nothing if they make no sense.
fn time(seconds: u64) -> Option<String> {
    let timestamp = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(timestamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn print_kernel(out: &mut dyn Write, kernel: &KernelSummary, verbose: bool) -> io::Result<()> {
    let names = [&kernel.nodename, &kernel.release, &kernel.version, &kernel.machine];
    let names: Vec<_> = names.into_iter().flatten().map(String::as_str).collect();
    field(out, "kernel", names.join(" "))?;
    if verbose {
        let mut name = "translation";
        for line in kernel.translation.lines() {
            field(out, std::mem::take(&mut name), line)?;
        }
        field(out, "kaslr", format!("{:#x}", kernel.kaslr_offset))?;
        let mut name = "types";
        for line in &kernel.types {
            field(out, std::mem::take(&mut name), line)?;
        }
    }
    kernel.warnings.iter().try_for_each(|warning| field(out, "warning", warning))?;
    field(out, "panic", kernel.panic.as_deref().unwrap_or_default())?;
    if !kernel.log_tail.is_empty() {
        writeln!(out, "log")?;
        kernel.log_tail.iter().try_for_each(|line| writeln!(out, "  {}", printable(line)))?;
    }
    Ok(())
}

fn print_trace(out: &mut dyn Write, trace: &TraceSummary) -> io::Result<()> {
    let mut facts = vec![if trace.active { "active" } else { "paused" }.to_owned()];
    facts.extend(trace.version.as_ref().map(|version| format!("format {version}")));
    if !trace.transport.is_empty() {
        facts.push(format!("transport {}", trace.transport));
    }
    if trace.start_time_sec > 0 {
        facts.extend(time(trace.start_time_sec).map(|at| format!("begun {at}")));
    }
    facts.push(format!("found by {}", trace.found_by));
    writeln!(out, "\ntrace {}: {}", printable(&trace.name), printable(&facts.join(", ")))?;

    let mut table = Table::new([
        Column::left("FILE"),
        Column::left("MODE"),
        Column::right("CPU"),
        Column::right("BUFFER"),
        Column::right("WRITTEN UP TO"),
        Column::right("READ UP TO"),
        Column::right("READY"),
        Column::right("OPEN"),
        Column::right("STALLED").optional(),
        Column::right("CONSUMED"),
        Column::right("UNUSED"),
        Column::right("DROPPED BY TRACER").optional(),
        Column::right("CORRUPT").optional(),
    ]);
    let position = |position: Option<u64>| position.map_or("-".to_owned(), |position| position.to_string());
    for stream in &trace.streams {
        table.row([
            printable(&stream.path).into_owned(),
            if stream.overwrite { "flight" } else { "normal" }.to_owned(),
            stream.cpu.to_string(),
            format!("{} x {}", stream.sub_buffer_count, size(stream.sub_buffer_size)),
            position(stream.write_position),
            position(stream.consumed_position),
            stream.ready.to_string(),
            stream.open.to_string(),
            stream.stalled.to_string(),
            stream.consumed.to_string(),
            stream.never_used.to_string(),
            stream.events_lost.to_string(),
            stream.corrupted_sub_buffers.to_string(),
        ]);
    }
    table.print(out, "  ")?;
    let damage = trace.streams.iter().flat_map(|stream| &stream.damage);
    damage.into_iter().try_for_each(|damage| writeln!(out, "  damage: {}", printable(damage)))
}

fn print_session(out: &mut dyn Write, session: &SessionSummary) -> io::Result<()> {
    let mut facts = vec![if session.active { "active" } else { "stopped" }.to_owned()];
    facts.extend(session.tracer.as_ref().map(|release| format!("LTTng {release}")));
    facts.extend(session.creation_time.as_ref().map(|at| format!("created {at}")));
    facts.extend(session.uuid.as_ref().map(|uuid| format!("uuid {uuid}")));
    facts.push(format!("found by {}", session.found_by));
    writeln!(out, "\nsession {}: {}", printable(&session.name), printable(&facts.join(", ")))?;
    if let Some(directory) = &session.daemon_directory {
        writeln!(out, "  written to {}", printable(directory))?;
    }
    match &session.metadata {
        Some(metadata) => {
            let language = if metadata.language == "json" { "CTF 2" } else { "CTF 1.8" };
            let mut facts = vec![format!("{language}, {}", size(metadata.bytes as u64))];
            facts.extend(metadata.events.map(|events| count(events, "event")));
            if metadata.unfinished > 0 {
                facts.push(format!("{} bytes of an unfinished statement", metadata.unfinished));
            }
            if metadata.first_packet > 0 {
                facts.push(format!("from packet {} on", metadata.first_packet));
            }
            writeln!(out, "  metadata {}", facts.join(", "))?;
        }
        None => writeln!(out, "  no metadata")?,
    }
    let mut table = Table::new([
        Column::left("FILE"),
        Column::left("MODE"),
        Column::right("CPU"),
        Column::right("BUFFER"),
        Column::right("WRITTEN UP TO"),
        Column::right("READ UP TO"),
        Column::right("READY"),
        Column::right("OPEN"),
        Column::right("STALLED").optional(),
        Column::right("CONSUMED"),
        Column::right("LOST (FULL)").optional(),
        Column::right("LOST (NESTED)").optional(),
        Column::right("LOST (LARGE)").optional(),
    ]);
    for channel in &session.channels {
        rows(&mut table, channel);
    }
    table.print(out, "  ")?;
    let streams = session.channels.iter().flat_map(|channel| &channel.streams);
    let damage = streams.flat_map(|stream| &stream.damage);
    damage.into_iter().try_for_each(|damage| writeln!(out, "  damage: {}", printable(damage)))
}

/// A line for each stream of a channel.
fn rows(table: &mut Table, channel: &ChannelSummary) {
    let mode = match (channel.overwrite, channel.event_headers) {
        (_, Some("none")) => "unused",
        (true, _) => "overwrite",
        (false, _) => "discard",
    };
    for stream in &channel.streams {
        table.row([
            printable(&stream.file).into_owned(),
            mode.to_owned(),
            stream.cpu.map_or_else(|| "all".to_owned(), |cpu| cpu.to_string()),
            format!("{} x {}", channel.sub_buffer_count, size(channel.sub_buffer_size)),
            stream.write_position.to_string(),
            stream.consumed_position.to_string(),
            stream.ready.to_string(),
            stream.open.to_string(),
            stream.stalled.to_string(),
            stream.consumed.to_string(),
            stream.lost_full.to_string(),
            stream.lost_wrap.to_string(),
            stream.lost_big.to_string(),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_never_panic() {
        assert_eq!(time(1_226_000_000).unwrap(), "2008-11-06 19:33:20 UTC");
        assert_eq!(time(u64::MAX), None);
        assert_eq!(time(u64::MAX >> 1), None);
    }

    #[test]
    fn empty_fields_are_left_out() {
        let mut out = Vec::new();
        field(&mut out, "release", "").unwrap();
        field(&mut out, "panic", "a\x1bb").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "panic       a\\u{1b}b\n");
    }
}
