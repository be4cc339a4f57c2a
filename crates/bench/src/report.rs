//! Ratios of what was measured, as Markdown.

use std::fmt::Write as _;

use crate::cores::CODECS;
use crate::memory::READS;
use crate::pages::PAGES;
use crate::share::{all_threads, thread_counts};
use crate::stored::PAGE;
use crate::times::Times;

/// One comparison of two measurements.
#[derive(Debug)]
struct Row {
    what: String,
    subject: String,
    baseline: String,
    unit: Unit,
    target: Target,
}

/// How the times of a row are shown.
#[derive(Debug, Clone, Copy)]
enum Unit {
    /// MB/s, for this many bytes.
    Bytes(u64),
    /// Nanoseconds for each of so many.
    Each(u64),
    /// Milliseconds.
    Time,
}

/// What is wanted of a row.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// Speed of the subject divided by that of the baseline.
    SpeedAtLeast(f64),
    /// Time of the subject divided by that of the baseline.
    TimeAtMost(f64),
    /// Nothing: shown for orientation, as speed.
    None,
}

impl Target {
    fn ratio(self, subject: f64, baseline: f64) -> f64 {
        match self {
            Target::SpeedAtLeast(_) | Target::None => baseline / subject,
            Target::TimeAtMost(_) => subject / baseline,
        }
    }

    fn show(self, ratio: f64) -> (String, &'static str) {
        let verdict = |met| if met { "yes" } else { "**no**" };
        match self {
            Target::SpeedAtLeast(least) => (format!("≥ {least}"), verdict(ratio >= least)),
            Target::TimeAtMost(most) => (format!("< {most}"), verdict(ratio < most)),
            Target::None => (String::new(), ""),
        }
    }
}

impl Unit {
    fn show(self, nanoseconds: f64) -> String {
        match self {
            Unit::Bytes(bytes) => format!("{:.0} MB/s", bytes as f64 * 1e3 / nanoseconds),
            Unit::Each(count) => format!("{:.0} ns", nanoseconds / count as f64),
            Unit::Time => format!("{:.1} ms", nanoseconds / 1e6),
        }
    }
}

fn row(
    what: impl Into<String>,
    subject: impl Into<String>,
    baseline: impl Into<String>,
    unit: Unit,
    target: Target,
) -> Row {
    Row { what: what.into(), subject: subject.into(), baseline: baseline.into(), unit, target }
}

/// How much was worked on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sizes {
    /// Bytes of trace buffers of LTT.
    pub trace: u64,
    /// Bytes of trace buffers of LTTng 2.x.
    pub sessions: u64,
    /// Events of the CTF trace.
    pub ctf: u64,
}

/// All comparisons of times; those that were not measured are left out.
#[must_use]
pub fn ratios(times: &Times, sizes: Sizes) -> String {
    let mut out = String::new();
    let sections = [
        ("Pages", pages()),
        ("Memory", memory()),
        ("Layouts", layouts()),
        ("Extraction", extraction(sizes.trace)),
        ("Extraction of LTTng 2.x sessions", sessions(sizes.sessions)),
        ("Traces on disk", disk(sizes.trace)),
        ("Events of CTF traces", ctf(sizes.ctf)),
    ];
    for (title, rows) in sections {
        let lines: Vec<String> = rows.iter().filter_map(|row| line(row, times)).collect();
        if lines.is_empty() {
            continue;
        }
        let _ = writeln!(out, "### {title}\n");
        out += "| what | ours | baseline | ratio | median | target | met |\n|---|--:|--:|--:|--:|--:|---|\n";
        let _ = writeln!(out, "{}\n", lines.join("\n"));
    }
    out
}

fn line(row: &Row, times: &Times) -> Option<String> {
    let (subject, baseline) = (times.best(&row.subject)?, times.best(&row.baseline)?);
    let ratio = row.target.ratio(subject, baseline);
    let median = row.target.ratio(times.median(&row.subject)?, times.median(&row.baseline)?);
    let (target, met) = row.target.show(ratio);
    let (ours, theirs) = (row.unit.show(subject), row.unit.show(baseline));
    Some(format!("| {} | {ours} | {theirs} | {ratio:.2} | {median:.2} | {target} | {met} |", row.what))
}

fn threads_text(threads: usize) -> String {
    if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") }
}

/// Speed of two threads divided by that of one.
fn scaling(what: &str, id: &str, unit: Unit, target: Target) -> Row {
    row(format!("{what}: 2 threads / 1"), format!("{id}/2"), format!("{id}/1"), unit, target)
}

fn pages() -> Vec<Row> {
    let unit = Unit::Bytes((PAGES * PAGE) as u64);
    let mut rows = Vec::new();
    for codec in CODECS {
        for threads in thread_counts() {
            let what = format!("{codec}, {}", threads_text(threads));
            let [subject, baseline] =
                ["vmcore", "bare"].map(|side| format!("pages/{codec}/{side}/{threads}"));
            rows.push(row(what, subject, baseline, unit, Target::SpeedAtLeast(0.9)));
        }
    }
    for codec in CODECS {
        let [subject, baseline] = ["codec", "bare"].map(|side| format!("pages/{codec}/{side}/1"));
        rows.push(row(
            format!("{codec}, crate `codec` alone"),
            subject,
            baseline,
            unit,
            Target::SpeedAtLeast(0.9),
        ));
    }
    for codec in CODECS {
        let id = |side| format!("pages/{codec}/{side}");
        rows.push(scaling(&codec.to_string(), &id("vmcore"), unit, Target::SpeedAtLeast(1.7)));
        rows.push(scaling(&format!("{codec}, bare loop"), &id("bare"), unit, Target::None));
    }
    rows
}

fn memory() -> Vec<Row> {
    let unit = Unit::Bytes((READS * PAGE) as u64);
    let mut rows = Vec::new();
    for threads in thread_counts() {
        let what = format!("ELF pages / `pread`, {}", threads_text(threads));
        let [subject, baseline] = ["vmcore", "pread"].map(|side| format!("elf/{side}/{threads}"));
        rows.push(row(what, subject, baseline, unit, Target::None));
    }
    let each = Unit::Each(READS as u64);
    let what = "56 bytes through page tables / physical";
    rows.push(row(what, "virtual/tables/1", "virtual/physical/1", each, Target::None));
    rows
}

fn layouts() -> Vec<Row> {
    let mut rows = Vec::new();
    for threads in thread_counts() {
        let [lookup, first, pass] =
            ["lookup", "first", "pass"].map(|side| format!("layouts/{side}/{threads}"));
        let threads = threads_text(threads);
        let half = Target::TimeAtMost(0.5);
        rows.push(row(
            format!("all declared layouts / full pass, {threads}"),
            lookup,
            &pass,
            Unit::Time,
            half,
        ));
        rows.push(row(
            format!("first definitions only / full pass, {threads}"),
            first,
            &pass,
            Unit::Time,
            half,
        ));
    }
    rows
}

/// A target for the command as users call it: with a thread for each CPU.
fn with_all_threads(threads: usize, target: Target) -> Target {
    if threads == all_threads() { target } else { Target::None }
}

fn extraction(trace: u64) -> Vec<Row> {
    let unit = Unit::Bytes(trace);
    let mut rows = Vec::new();
    for (format, target) in [("elf", Target::SpeedAtLeast(0.7)), ("kdump-zlib", Target::None)] {
        for threads in thread_counts() {
            let target = with_all_threads(threads, target);
            let subject = format!("extract/{format}/{threads}");
            let what = |copy: &str| format!("{format}, {} / {copy}", threads_text(threads));
            rows.push(row(what("`cp` + fsync"), &subject, "copy/cp-sync/1", unit, target));
            rows.push(row(what("`cp`"), &subject, "copy/cp/1", unit, Target::None));
            let uncounted = format!("extract/{format}-uncounted/{threads}");
            rows.push(row(
                what("`cp` + fsync, events not counted"),
                uncounted,
                "copy/cp-sync/1",
                unit,
                Target::None,
            ));
        }
    }
    rows.push(row(
        "`fs::copy` + fsync / `cp` + fsync",
        "copy/std-sync/1",
        "copy/cp-sync/1",
        unit,
        Target::None,
    ));
    for format in ["elf", "kdump-zlib"] {
        rows.push(scaling(format, &format!("extract/{format}"), unit, Target::None));
        let in_memory = format!("{format}, written to memory");
        rows.push(scaling(&in_memory, &format!("extract/{format}-memory"), unit, Target::SpeedAtLeast(1.7)));
    }
    rows
}

fn sessions(trace: u64) -> Vec<Row> {
    let unit = Unit::Bytes(trace);
    let mut rows = Vec::new();
    for threads in thread_counts() {
        let target = with_all_threads(threads, Target::SpeedAtLeast(0.7));
        let subject = format!("sessions/extract/{threads}");
        let what = |copy: &str| format!("{} / {copy}", threads_text(threads));
        rows.push(row(what("`cp` + fsync"), &subject, "sessions/cp-sync/1", unit, target));
        rows.push(row(what("`cp`"), &subject, "sessions/cp/1", unit, Target::None));
        let uncounted = format!("sessions/extract-uncounted/{threads}");
        let what = what("`cp` + fsync, events not counted");
        rows.push(row(what, uncounted, "sessions/cp-sync/1", unit, Target::None));
    }
    rows
}

fn ctf(events: u64) -> Vec<Row> {
    let unit = Unit::Each(events);
    let text = "`events --format babeltrace` / `babeltrace2`, the same lines";
    let decode = "`events` without printing / `babeltrace2`";
    vec![
        row(text, "ctf/events/1", "ctf/babeltrace/1", unit, Target::SpeedAtLeast(3.0)),
        row(decode, "ctf/decode/1", "ctf/babeltrace/1", unit, Target::None),
    ]
}

fn disk(trace: u64) -> Vec<Row> {
    let unit = Unit::Bytes(trace);
    let mut rows = Vec::new();
    for threads in thread_counts() {
        for (what, id, target) in
            [("`check`", "check", Target::SpeedAtLeast(0.7)), ("`check --deep`", "deep", Target::None)]
        {
            let what = format!("{what}, {} / `cat`", threads_text(threads));
            rows.push(row(what, format!("{id}/{threads}"), "cat/1", unit, target));
        }
    }
    rows.push(row("`events` without printing / `cat`", "events/1", "cat/1", unit, Target::None));
    rows
}

/// The rate at which events are decoded and merged, and the memory that takes for a trace and for its first eighth; empty
/// if not measured.
#[must_use]
pub fn decoding(times: &Times, events: u64, peaks: [u64; 2]) -> String {
    let Some(best) = times.best("events/1") else { return String::new() };
    let each = best / events as f64;
    let [whole, eighth] = peaks.map(|bytes| bytes as f64 / 1e6);
    format!(
        "Decoding and merging {events} events, every field of each, on one thread: {each:.0} ns an event, {:.1} million a second. \
         Peak resident memory {whole:.1} MB, and {eighth:.1} MB for the first eighth of the trace.\n\n",
        1e3 / each
    )
}

/// The time that types take when a profile replaces the debug file; empty if not measured.
#[must_use]
pub fn profile(times: &Times) -> String {
    const MOST: f64 = 150e6;
    let Some(best) = times.best("layouts/profile/1") else { return String::new() };
    let met = if best < MOST { "met" } else { "**missed**" };
    format!("All declared layouts from a profile (ISF): {:.2} ms, target < 150 ms: {met}.\n\n", best / 1e6)
}

/// One extraction's memory.
#[derive(Debug)]
pub struct Peak {
    /// What was extracted from.
    pub core: String,
    /// Threads.
    pub threads: usize,
    /// Most bytes resident.
    pub bytes: u64,
    /// Most bytes that should be.
    pub limit: u64,
}

/// Peak memory as a table; empty if not measured.
#[must_use]
pub fn peaks(peaks: &[Peak]) -> String {
    if peaks.is_empty() {
        return String::new();
    }
    let mut out = "### Memory of an extraction\n\n| core | threads | peak resident | limit | met |\n|---|--:|--:|--:|---|\n".to_owned();
    for Peak { core, threads, bytes, limit } in peaks {
        let met = if bytes <= limit { "yes" } else { "**no**" };
        let [peak, limit] = [bytes, limit].map(|bytes| *bytes as f64 / 1e6);
        let _ = writeln!(out, "| {core} | {threads} | {peak:.1} MB | {limit:.0} MB | {met} |");
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_speed_or_of_time() {
        assert_eq!(Target::SpeedAtLeast(0.9).ratio(20.0, 10.0), 0.5);
        assert_eq!(Target::TimeAtMost(0.5).ratio(20.0, 10.0), 2.0);
        assert_eq!(Target::SpeedAtLeast(0.9).show(0.95), ("≥ 0.9".to_owned(), "yes"));
        assert_eq!(Target::TimeAtMost(0.5).show(0.6).1, "**no**");
        assert_eq!(Unit::Bytes(1_000_000).show(1e6), "1000 MB/s");
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        assert_eq!(ratios(&Times::default(), Sizes::default()), "");
        assert_eq!(profile(&Times::default()) + &peaks(&[]), "");
    }
}
