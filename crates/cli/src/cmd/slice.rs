//! `ltt-kdump slice CORE... -d DEBUGINFO -o FILE`

use std::io::{self, Write};
use std::ops::ControlFlow;

use analyser::slice::{Codec, Format, Keep};
use anyhow::Result;
use extracter::{SliceOptions, SliceReport};

use crate::args::{Slice, SliceFormat};
use crate::config;
use crate::exit::{Exit, written};
use crate::interrupt::Interrupt;
use crate::output::json;
use crate::output::progress::{Pages, Phase};
use crate::output::text::{count, printable, size};

pub(crate) fn run(args: Slice, as_json: bool, interrupt: &Interrupt) -> Result<Exit> {
    let format = Format::from(args.format);
    let mut open = config::open(args.cores, &args.kernel, true)?;
    open.record_reads = Some(format);
    // Opening a large core takes a while; a refusal of the output should not.
    extracter::Slice::check(&args.output)?;

    let kernel = super::kernel(&open)?;
    let phase = Phase::start("reading what the commands read");
    let keep = if args.bytes { Keep::Bytes } else { Keep::Pages };
    let options = SliceOptions { output: args.output, format, keep, log: !args.no_log };
    let slice = extracter::Slice::read(&kernel, &open, &options)?;
    drop(phase);
    let report = {
        let (bar, wish) = (Pages::start(), interrupt.watch());
        slice.write(&mut |done, all| {
            bar.set(done, all);
            if wish.is_to_end() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?
    };
    let printed = if as_json { json::print(&report) } else { print(&report) };
    Ok(written(printed, Exit::Complete, &report.output))
}

fn print(report: &SliceReport) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    writeln!(
        out,
        "{}: {}, {} of {}; it opens as the core does, and tells the same",
        printable(&report.output),
        report.format,
        size(report.file_bytes),
        size(report.core_bytes),
    )?;
    let found = [(report.traces, "trace"), (report.sessions, "session"), (report.streams, "stream")];
    let found: Vec<String> =
        found.into_iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(n, what)).collect();
    let found = if found.is_empty() { "no trace".to_owned() } else { found.join(", ") };
    writeln!(out, "{found}, {} sub-buffers that hold something", report.records)?;
    let rest = if report.bytes_only {
        "all else is zeros"
    } else {
        "whole pages are kept, --bytes zeroes the rest of them"
    };
    writeln!(out, "{} pages, of which {} were read: {rest}", report.pages, size(report.bytes_read))?;
    if report.kernel_log {
        writeln!(out, "the kernel's log is in it; --no-log leaves it out")?;
    }
    out.flush()?;
    Ok(())
}

impl From<SliceFormat> for Format {
    fn from(format: SliceFormat) -> Format {
        match format {
            SliceFormat::Elf => Format::Elf,
            SliceFormat::KdumpRaw => Format::Kdump(Codec::Raw),
            SliceFormat::KdumpZlib => Format::Kdump(Codec::Zlib),
            SliceFormat::KdumpLzo => Format::Kdump(Codec::Lzo),
            SliceFormat::KdumpSnappy => Format::Kdump(Codec::Snappy),
            SliceFormat::KdumpZstd => Format::Kdump(Codec::Zstd),
        }
    }
}
