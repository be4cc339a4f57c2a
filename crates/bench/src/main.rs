//! `cargo xtask bench`: runs the measurements in rounds and prints their ratios.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bench::cores::Cores;
use bench::disk::Disk;
use bench::report::{self, Peak, Sizes};
use bench::sessions::Sessions;
use bench::times::Times;
use bench::{ctf, disk, extract, layouts, machine, memory, pages, resident, sessions, share, vmlinux};
use codec::Codec;
use criterion::Criterion;

const HELP: &str = "\
Measures speed and memory, each against a bare baseline of the same run.

Usage: cargo xtask bench [OPTIONS] [SECTION]...

Sections: pages, memory, layouts, extract, sessions, disk, ctf, resident (default: all)

Options:
  --vmlinux PATH  the vmlinux with DWARF that layouts are looked up in
  --fetch         fetch one from Debian (900 MB) into target/bench, if it is not there yet
  --rounds N      repeat everything; the best sample of all counts [default: 3]
  --ram MIB       RAM of the synthetic kernel [default: 4096]
  --trace MIB     trace buffers of the synthetic kernel, a power of two [default: 64]
  --write FILE    put the results between the marks of this Markdown file
";

/// Marks of the part of a file that `--write` replaces.
const MARKS: [&str; 2] = ["<!-- results -->\n", "<!-- end of results -->\n"];

const SECTIONS: [&str; 8] = ["pages", "memory", "layouts", "extract", "sessions", "disk", "ctf", "resident"];

/// Those that need the synthetic core of LTT.
const OF_CORES: [&str; 5] = ["pages", "memory", "extract", "disk", "resident"];

struct Args {
    vmlinux: Option<PathBuf>,
    fetch: bool,
    rounds: u64,
    ram: u64,
    trace: u64,
    write: Option<PathBuf>,
    sections: Vec<String>,
}

impl Args {
    /// `None`: help is wanted.
    fn parse(args: &[String]) -> Result<Option<Args>> {
        let mut parsed = Args {
            vmlinux: None,
            fetch: false,
            rounds: 3,
            ram: 4096,
            trace: 64,
            write: None,
            sections: Vec::new(),
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "-h" | "--help" => return Ok(None),
                "--vmlinux" => parsed.vmlinux = Some(value()?.into()),
                "--fetch" => parsed.fetch = true,
                "--rounds" => parsed.rounds = value()?.parse().context("--rounds")?,
                "--ram" => parsed.ram = value()?.parse().context("--ram")?,
                "--trace" => parsed.trace = value()?.parse().context("--trace")?,
                "--write" => parsed.write = Some(value()?.into()),
                section if SECTIONS.contains(&section) => parsed.sections.push(section.to_owned()),
                other => bail!("expected an option or one of {}, found {other:?}", SECTIONS.join(", ")),
            }
        }
        Ok(Some(parsed))
    }

    fn wants(&self, section: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|wanted| wanted == section)
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.split_first() {
        Some((first, rest)) if first == resident::COMMAND => {
            resident::extract_and_tell(rest).map(|peak| println!("{peak}"))
        }
        Some((first, rest)) if first == disk::COMMAND => {
            disk::decode_and_tell(rest).map(|peak| println!("{peak}"))
        }
        _ => run(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<()> {
    let Some(args) = Args::parse(args)? else {
        print!("{HELP}");
        return Ok(());
    };
    let folder = folder()?;
    let vmlinux = vmlinux(&args, &folder)?;
    eprintln!("writing synthetic cores of {} MiB with {} MiB of trace", args.ram, args.trace);
    let needs_cores = OF_CORES.iter().any(|section| args.wants(section));
    // Without a need a small one will do: what is not measured is left out of the report.
    let (ram, trace) = if needs_cores { (args.ram, args.trace) } else { (256, 4) };
    let cores = Cores::write(&folder, ram, trace)?;

    let scratch = tempfile::tempdir_in(&folder)?;
    let disk = args.wants("disk").then(|| Disk::write(&cores, scratch.path()));
    let sessions = args.wants("sessions").then(|| Sessions::write(scratch.path(), args.trace)).transpose()?;
    let ctf = ctf(&args, scratch.path())?;
    let mut times = Times::default();
    let mut loads = vec![machine::load()];
    for round in 1..=args.rounds {
        eprintln!("round {round} of {}", args.rounds);
        let output = tempfile::tempdir_in(&folder)?;
        let mut criterion = criterion(output.path());
        if args.wants("pages") {
            pages::bench(&mut criterion, &cores);
        }
        if args.wants("memory") {
            memory::bench(&mut criterion, &cores);
        }
        if let Some(vmlinux) = vmlinux.as_ref().filter(|_| args.wants("layouts")) {
            layouts::bench(&mut criterion, vmlinux);
        }
        if args.wants("extract") {
            extract::bench(&mut criterion, &cores);
        }
        if let Some(sessions) = &sessions {
            sessions::bench(&mut criterion, sessions);
        }
        if let Some(disk) = &disk {
            disk::bench(&mut criterion, disk);
        }
        if let Some(trace) = &ctf {
            ctf::bench(&mut criterion, trace);
        }
        times.collect(output.path())?;
        loads.push(machine::load());
    }
    let peaks = if args.wants("resident") { peaks(&cores)? } else { Vec::new() };

    let decoding = match &disk {
        Some(disk) => report::decoding(&times, disk.events, disk::peaks(disk, scratch.path())?),
        None => String::new(),
    };
    let sizes =
        Sizes { trace: cores.trace, sessions: args.trace << 20, ctf: ctf.map_or(0, |trace| trace.events) };
    let results = results(&args, &times, &loads, sizes, &peaks) + &decoding;
    println!("\n{results}");
    args.write.as_deref().map_or(Ok(()), |file| write(file, &results))
}

/// A long trace of LTTng 2.x, if there is something to compare with.
fn ctf(args: &Args, scratch: &Path) -> Result<Option<ctf::Trace>> {
    if !args.wants("ctf") {
        return Ok(None);
    }
    if !ctf::is_possible() {
        eprintln!("events of CTF are skipped: babeltrace2 is not installed");
        return Ok(None);
    }
    let trace = ctf::Trace::write(scratch)?;
    trace.verify()?;
    Ok(Some(trace))
}

/// `target/bench`, beside the profile's directory that this program is in.
fn folder() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("this program is not in a target directory")?;
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn vmlinux(args: &Args, folder: &Path) -> Result<Option<PathBuf>> {
    let fetched = folder.join("vmlinux");
    if !args.wants("layouts") || args.vmlinux.is_some() {
        return Ok(args.vmlinux.clone());
    }
    if args.fetch {
        return vmlinux::fetch(&fetched).map(Some);
    }
    let known = vmlinux::find(&fetched);
    if known.is_none() {
        eprintln!("layouts are skipped: give --vmlinux PATH or --fetch");
    }
    Ok(known)
}

/// Short samples: on a machine with other work, some of many short ones are undisturbed.
fn criterion(output: &Path) -> Criterion {
    Criterion::default()
        .output_directory(output)
        .without_plots()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
}

fn peaks(cores: &Cores) -> Result<Vec<Peak>> {
    let mut peaks = Vec::new();
    let kdump = cores.kdump(Codec::Zlib);
    for (format, core) in [("ELF", cores.elf()), ("kdump, zlib", kdump)] {
        for threads in share::thread_counts() {
            let bytes = resident::measure(&core, &cores.types(), cores.directory(), threads)?;
            let core =
                format!("{format}, {} MiB of RAM, {} MiB of trace", cores.ram >> 20, cores.trace >> 20);
            peaks.push(Peak { core, threads, bytes, limit: resident::limit(threads) });
        }
    }
    Ok(peaks)
}

fn results(args: &Args, times: &Times, loads: &[f64], sizes: Sizes, peaks: &[Peak]) -> String {
    let loads: Vec<String> = loads.iter().map(|load| format!("{load:.1}")).collect();
    format!(
        "{}. Rounds: {}; load average before the first and after each: {}.\n\n{}{}{}",
        machine::describe(),
        args.rounds,
        loads.join(", "),
        report::ratios(times, sizes),
        report::profile(times),
        report::peaks(peaks),
    )
}

/// Replaces what is between the marks.
fn write(file: &Path, results: &str) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let parts =
        text.split_once(MARKS[0]).and_then(|(before, rest)| Some((before, rest.split_once(MARKS[1])?.1)));
    let (before, after) = parts.with_context(|| format!("{}: no {MARKS:?}", file.display()))?;
    let text = format!("{before}{}{results}{}{after}", MARKS[0], MARKS[1]);
    std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}
