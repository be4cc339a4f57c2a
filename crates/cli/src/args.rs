//! What the user types. Completions and manual pages come from here, too.

use std::path::PathBuf;

use clap::{Args as Group, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use crate::exit;

const EXAMPLES: &str = "\
Examples:
  What is in this core?
    ltt-kdump info vmcore -d vmlinux
  Write every trace in it to the folder rescued:
    ltt-kdump extract vmcore -d vmlinux -o rescued
  A tracer built as modules, a dump in two parts:
    ltt-kdump extract part1 part2 -d vmlinux -d /lib/modules/2.6.38 -o rescued";

const INFO_EXAMPLES: &str = "\
Examples:
  ltt-kdump info vmcore                       what the core alone tells
  ltt-kdump info vmcore -d vmlinux            the kernel, its last words, its traces
  ltt-kdump info vmcore -d vmlinux --json | jq '.traces[].name'";

const LS_EXAMPLES: &str = "\
Examples:
  ltt-kdump ls vmcore -d vmlinux              the whole tree
  ltt-kdump ls vmcore -d vmlinux /ltt         what is below /ltt
  ltt-kdump ls part1 part2 -d vmlinux /ltt    the same from a dump in two parts";

const EXTRACT_EXAMPLES: &str = "\
Examples:
  ltt-kdump extract vmcore -d vmlinux -o rescued
  ltt-kdump extract vmcore -d vmlinux -o rescued --trace trace1
  ltt-kdump extract vmcore -d vmlinux -o next --unread-only
  ltt-kdump extract vmcore -d types.isf.json -o rescued --json > report.json
  The daemon was writing the folder trace1 when the machine died:
    ltt-kdump extract vmcore -d vmlinux --into trace1 -o joined
    ltt-kdump extract vmcore -d vmlinux --into trace1 --in-place --dry-run
    ltt-kdump extract vmcore -d vmlinux --into trace1 --in-place
  The same for a session of LTTng 2.x:
    ltt-kdump extract vmcore -d vmlinux -d modules --into lttng-traces/my-session -o joined";

const CHECK_EXAMPLES: &str = "\
Examples:
  ltt-kdump check trace1                      what is whole, what is torn, and where
  ltt-kdump check lttng-traces/my-session     the same of a CTF trace of LTTng 2.x
  ltt-kdump check trace1 --deep               decode every event of every record, and count them";

const REPAIR_EXAMPLES: &str = "\
Examples:
  ltt-kdump repair trace1 -o repaired         a copy without what is torn
  ltt-kdump repair trace1 --in-place --dry-run
  ltt-kdump repair trace1 --in-place          what is cut is kept in trace1.cut
  ltt-kdump repair my-session -o repaired     a CTF trace: its indexes and metadata, too";

const EVENTS_EXAMPLES: &str = "\
Examples:
  ltt-kdump events vmcore -d vmlinux -n 50    the last fifty events before the crash
  ltt-kdump events trace1 --since -5ms        the last five milliseconds of a trace on disk
  ltt-kdump events trace1 --cpu 0 --cpu 2 --channel kernel
  ltt-kdump events trace1 --json | jq -r .name | sort | uniq -c
  ltt-kdump events vmcore -d vmlinux --format babeltrace | diff - <(babeltrace2 --clock-gmt trace1)";

const SLICE_EXAMPLES: &str = "\
Examples:
  ltt-kdump slice vmcore -d vmlinux -o small --bytes --no-log
                                              for a bug report: the traces, and nobody's memory
  ltt-kdump slice vmcore -d vmlinux -o small --format kdump-zstd
  ltt-kdump extract small -d vmlinux -o rescued
                                              the same from the slice";

const PROFILE_EXAMPLES: &str = "\
Examples:
  ltt-kdump profile vmlinux lttng-*.ko -o 6.1.isf.json
  ltt-kdump profile /usr/lib/debug/boot/vmlinux-6.1 /lib/modules/6.1/updates -o 6.1.isf.json
  ltt-kdump extract vmcore -d 6.1.isf.json -o rescued";

/// Gets the last trace events out of a dead Linux kernel
///
/// Reads a crash dump of a kernel that was traced with LTTng 2.x or 0.x, finds the trace buffers in its memory, and writes them as
/// trace directories, byte for byte as the tracer's own daemon would have.
#[derive(Debug, Parser)]
#[command(name = "ltt-kdump", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
#[command(arg_required_else_help = true, infer_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Say more: which type information was used, how addresses are translated, every note
    // Counted, because -vv is typed by habit.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Info(Info),
    Ls(Ls),
    Extract(Extract),
    Events(Events),
    Check(Check),
    Repair(Repair),
    Slice(Slice),
    Profile(Profile),
    Completions(Completions),
    #[command(hide = true)]
    Man(Man),
}

/// Show what a core holds: kernel, last log lines, traces
///
/// Shows the kernel and its crash, the format of the core, the traces with their channels and CPUs, buffer sizes, positions and
/// losses, and the last lines of the kernel log. Without -d, what the core alone tells. Writes nothing.
#[derive(Debug, Group)]
#[command(after_help = INFO_EXAMPLES, after_long_help = format!("{INFO_EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Info {
    /// The crash dump; several files are the parts of one split dump, in any order
    #[arg(value_name = "CORE", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) cores: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) kernel: KernelOptions,
}

/// List the debugfs tree inside a core, trace buffers marked
///
/// Lists the debugfs tree as it was in the dead kernel's memory, and marks the files that are trace buffers.
#[derive(Debug, Group)]
#[command(override_usage = "ltt-kdump ls [OPTIONS] --debuginfo <DEBUGINFO> <CORE>... [PATH]")]
#[command(after_help = LS_EXAMPLES, after_long_help = format!("{LS_EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Ls {
    /// The crash dump (several files are the parts of one split dump), then the folder of debugfs to begin at
    ///
    /// The last argument is the PATH inside the core if there is no such file here; all others are files.
    #[arg(value_names = ["CORE", "PATH"], num_args = 1.., required = true, value_hint = ValueHint::FilePath)]
    pub(crate) cores_and_path: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) kernel: KernelOptions,
}

/// Write the traces in a core as trace directories
///
/// Writes each trace to DIR/TRACE/, laid out as the tracer's daemon does, and then shows for each file what was written, lost and
/// unreadable. By default everything still in memory is written, also what the daemon had read but nothing overwrote yet.
/// DIR appears in one step when all of it is complete; nothing is ever overwritten. Ctrl-C takes back what is half written; kill -9 or a
/// power cut leaves a hidden folder .ltt-kdump-*.partial beside DIR, which may be deleted.
///
/// With --into, the trace folder that the daemon was writing is continued, of LTT 0.x or CTF of LTTng 2.x: what the crash left incomplete is
/// cut, and what the core still holds is added. The folder itself is not written to, DIR becomes the joined trace, unless --in-place is
/// given: then what is cut is first saved in TRACE.cut, and each file changes in one step, so that a run that is killed does no harm
/// and the next one finishes the job.
#[derive(Debug, Group)]
#[command(override_usage = "ltt-kdump extract [OPTIONS] --debuginfo <DEBUGINFO> --output <DIR> <CORE>...
       ltt-kdump extract [OPTIONS] --debuginfo <DEBUGINFO> --into <TRACE> <--output <DIR>|--in-place> <CORE>...")]
#[command(after_help = EXTRACT_EXAMPLES, after_long_help = format!("{EXTRACT_EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Extract {
    /// The crash dump; several files are the parts of one split dump, in any order
    #[arg(value_name = "CORE", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) cores: Vec<PathBuf>,

    /// The folder to create; it may exist if it is empty
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(required_unless_present = "in_place")]
    pub(crate) output: Option<PathBuf>,

    /// Write only this trace; may be repeated. With --into: the trace in the core that TRACE belongs to
    #[arg(long = "trace", value_name = "NAME")]
    pub(crate) traces: Vec<String>,

    /// Continue this trace folder, which the daemon was writing when the machine died
    #[arg(long, value_name = "TRACE", value_hint = ValueHint::DirPath, help_heading = INTO)]
    #[arg(conflicts_with_all = ["unread_only", "no_count"])]
    pub(crate) into: Option<PathBuf>,

    /// Change TRACE itself
    #[arg(long, requires = "into", conflicts_with = "output", help_heading = INTO)]
    pub(crate) in_place: bool,

    /// How the core's part is joined
    #[arg(long, value_enum, default_value_t = Layout::Merged, requires = "into", help_heading = INTO)]
    pub(crate) layout: Layout,

    /// Only show what would be done
    #[arg(long, requires = "into", help_heading = INTO)]
    pub(crate) dry_run: bool,

    /// Write exactly what the daemon would have written next, not what it had read already
    #[arg(long)]
    pub(crate) unread_only: bool,

    /// Do not decode events to count them: faster
    #[arg(long)]
    pub(crate) no_count: bool,

    /// How to find the buffers
    #[arg(long, value_enum, default_value_t = Via::Both)]
    pub(crate) via: Via,

    #[command(flatten)]
    pub(crate) kernel: KernelOptions,
}

/// Show decoded events of a core or of a trace on disk, all CPUs by time
///
/// Decodes events with the formats that the trace itself announces, and prints them in the order of their times over all channels
/// and CPUs: wall clock, time before the last event, CPU, channel, name, fields. What cannot be decoded is shown as such, in
/// its place. With --json, one object a line.
#[derive(Debug, Group)]
#[command(override_usage = "ltt-kdump events [OPTIONS] <TRACE>
       ltt-kdump events [OPTIONS] --debuginfo <DEBUGINFO> <CORE>...")]
#[command(after_help = EVENTS_EXAMPLES, after_long_help = format!("{EVENTS_EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Events {
    /// A trace folder, or the crash dump (several files are the parts of one split dump)
    #[arg(value_names = ["TRACE|CORE"], num_args = 1.., required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,

    /// Only the last N of what is selected
    #[arg(short = 'n', long = "last", value_name = "N")]
    pub(crate) last: Option<u64>,

    /// Only from this time on: -5ms (before the last event), 17.2125 (seconds of the trace clock), or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = crate::output::time::parse)]
    pub(crate) since: Option<analyser::events::Since>,

    /// Only this channel, as `info` and `check` name it; may be repeated
    #[arg(long = "channel", value_name = "NAME")]
    pub(crate) channels: Vec<String>,

    /// Only this CPU; may be repeated
    #[arg(long = "cpu", value_name = "N")]
    pub(crate) cpus: Vec<u32>,

    /// Only this trace of the core; may be repeated
    #[arg(long = "trace", value_name = "NAME")]
    pub(crate) traces: Vec<String>,

    /// How lines look
    #[arg(long, value_enum, default_value_t = LineFormat::Text)]
    pub(crate) format: LineFormat,

    #[command(flatten)]
    pub(crate) kernel: KernelOptions,
}

/// Check a trace folder: what is whole, what a crash left incomplete
///
/// Shows for each file its records (LTT 0.x) or packets (CTF of LTTng 2.x), first and last time, and each range of bytes that is in no whole
/// one, with the reason; of CTF also the index, the metadata, and packets that are missing by their numbers. Reads each file once; decodes the events of what looks suspicious, with --deep of everything. Writes nothing.
#[derive(Debug, Group)]
#[command(after_help = CHECK_EXAMPLES, after_long_help = format!("{CHECK_EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Check {
    /// The trace folder; of CTF the one with `metadata`, or that of the session above
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) trace: PathBuf,

    /// Decode and count every event
    #[arg(long)]
    pub(crate) deep: bool,

    /// Threads to work with [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = threads())]
    pub(crate) threads: Option<u16>,
}

/// Cut what a crash left incomplete out of a trace folder
///
/// Keeps every whole record, or packet of CTF, of every file; an index of CTF is made again where it is not that of its file, and metadata
/// are cut to whole statements. With --output, TRACE is not written to. With --in-place, the bytes that are cut are first
/// saved in TRACE.cut, and each file changes in one step, so that a run that is killed does no harm and the next one finishes the
/// job.
#[derive(Debug, Group)]
#[command(override_usage = "ltt-kdump repair [OPTIONS] <--output <DIR>|--in-place> <TRACE>")]
#[command(after_help = REPAIR_EXAMPLES, after_long_help = format!("{REPAIR_EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Repair {
    /// The trace folder; of CTF the one with `metadata`, or that of the session above
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) trace: PathBuf,

    /// The folder to create; it may exist if it is empty
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(required_unless_present = "in_place")]
    pub(crate) output: Option<PathBuf>,

    /// Change TRACE itself
    #[arg(long, conflicts_with = "output")]
    pub(crate) in_place: bool,

    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Threads to work with [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = threads())]
    pub(crate) threads: Option<u16>,
}

/// Write a small core with only what this program reads of a large one
///
/// Reads all that the other commands would, and writes the pages that were read as a core of its own, at the same addresses. Info, ls,
/// events and extract do the same with it as with CORE; that is tried before the file gets its name. For bug reports: with --bytes,
/// every byte that was not read is zero, with --no-log the kernel's log is not in it either. What is in it then are the traces
/// themselves and what leads to them: the names of kernel and host, page tables, and of the lists of modules, of processes and the files
/// they had open, and of the files in debugfs what was looked at. Processors' registers are left out always. It is to be opened with
/// the same type information, or with the first of it.
#[derive(Debug, Group)]
#[command(override_usage = "ltt-kdump slice [OPTIONS] --debuginfo <DEBUGINFO> --output <FILE> <CORE>...")]
#[command(after_help = SLICE_EXAMPLES, after_long_help = format!("{SLICE_EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Slice {
    /// The crash dump; several files are the parts of one split dump, in any order
    #[arg(value_name = "CORE", required = true, value_hint = ValueHint::FilePath)]
    pub(crate) cores: Vec<PathBuf>,

    /// The file to create
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// The file's format
    #[arg(long, value_enum, default_value_t = SliceFormat::KdumpZlib)]
    pub(crate) format: SliceFormat,

    /// Zero every byte that was not read
    #[arg(long)]
    pub(crate) bytes: bool,

    /// Leave the kernel's log out
    #[arg(long)]
    pub(crate) no_log: bool,

    #[command(flatten)]
    pub(crate) kernel: KernelOptions,
}

/// Write a small file of what is needed of a kernel's debuginfo
///
/// Writes the layouts and symbols that finding traces takes, and no others, to one file that stands in for the debuginfo with -d:
/// hundreds of megabytes become a few hundred kilobytes at most. Keep it beside the kernel, for the day on which only the core is left.
/// The format is ISF, JSON as Volatility 3 has it. FILE appears in one step when it is complete; nothing is ever overwritten.
///
/// In a folder, the kernel's vmlinux and the files of the tracer's modules are taken; if it has several builds of either, name the
/// files. A profile of modules alone is used together with one of the kernel.
#[derive(Debug, Group)]
#[command(override_usage = "ltt-kdump profile [OPTIONS] --output <FILE> <DEBUGINFO>...")]
#[command(after_help = PROFILE_EXAMPLES, after_long_help = format!("{PROFILE_EXAMPLES}\n\n{}", exit::HELP))]
pub(crate) struct Profile {
    /// Type information: vmlinux or .debug file with DWARF, module .ko, raw BTF, ISF JSON, or a folder with such files
    #[arg(value_name = "DEBUGINFO", required = true, value_hint = ValueHint::AnyPath)]
    pub(crate) debuginfo: Vec<PathBuf>,

    /// The file to create
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// Threads to work with [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = threads())]
    pub(crate) threads: Option<u16>,
}

/// Print a completion script for a shell
#[derive(Debug, Group)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

/// Write manual pages and completion scripts
#[derive(Debug, Group)]
pub(crate) struct Man {
    /// Write all pages and completions to this folder, instead of the main page to standard output
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,
}

/// How to open a core.
#[derive(Debug, Group)]
pub(crate) struct KernelOptions {
    /// Type information: vmlinux or .debug file with DWARF, module .ko, raw BTF, ISF JSON, or a folder; may be repeated
    ///
    /// Files may be compressed by gzip, xz or zstd. A folder, such as /usr/lib/debug or /lib/modules/RELEASE, is searched for the files
    /// of the tracer's modules that were loaded in the dead kernel (.ko, .ko.debug, or named by build-id below .build-id/), and, if no
    /// other -d is the kernel's, for its vmlinux. Those of another build are left aside, with a warning. With -v, what was used is
    /// shown. Links to folders are not followed.
    #[arg(short, long, value_name = "DEBUGINFO", value_hint = ValueHint::AnyPath)]
    pub(crate) debuginfo: Vec<PathBuf>,

    /// Go on although core and debuginfo do not belong together
    #[arg(long, help_heading = HARD)]
    pub(crate) force: bool,

    /// Read VMCOREINFO from this file, not from the core
    #[arg(long, value_name = "FILE", help_heading = HARD, value_hint = ValueHint::FilePath)]
    pub(crate) vmcoreinfo: Option<PathBuf>,

    /// Offset between the kernel's run-time and link-time addresses (0x… or decimal)
    #[arg(long, value_name = "OFF", value_parser = number, help_heading = HARD)]
    pub(crate) kaslr: Option<u64>,

    /// Physical address the kernel was loaded at, less that it was linked for (0x… or decimal)
    #[arg(long, value_name = "ADDR", value_parser = number, help_heading = HARD)]
    pub(crate) phys_base: Option<u64>,

    /// Read the core with ordinary reads, do not map it
    #[arg(long, help_heading = HARD)]
    pub(crate) no_mmap: bool,

    /// Threads to work with [default: one for each CPU]
    #[arg(long, value_name = "N", value_parser = threads(), help_heading = HARD)]
    pub(crate) threads: Option<u16>,
}

const INTO: &str = "Options for joining with a trace on disk";

const HARD: &str = "Options for difficult cores and machines";

/// How the core's part is joined with the trace on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// One trace: the core's sub-buffers continue the daemon's files
    Merged,
    /// A second trace with its own metadata, of what TRACE does not have
    Beside,
    /// The core's part in crash/ inside the trace; of CTF as a trace of its own, found by viewers that are given the session's folder
    CrashSubdir,
}

/// Formats of cores that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SliceFormat {
    /// ELF core, for every machine; keeps the addresses of its program headers
    Elf,
    /// kdump-compressed, pages as they are
    KdumpRaw,
    /// kdump-compressed, zlib
    KdumpZlib,
    /// kdump-compressed, LZO
    KdumpLzo,
    /// kdump-compressed, snappy
    KdumpSnappy,
    /// kdump-compressed, zstd
    KdumpZstd,
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LineFormat {
    /// Date and time, time before the last event, CPU, channel, event
    Text,
    /// As `babeltrace2 --clock-gmt` prints them, for scripts and comparisons: traces of LTTng 2.x only
    Babeltrace,
}

/// Ways to the buffers.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Via {
    /// The kernel's list of traces or sessions
    List,
    /// The debugfs tree (LTT 0.x)
    Debugfs,
    /// Files that the tracer's daemons had open (LTTng 2.x)
    OpenFiles,
    /// All of them, and whatever else leads to a buffer
    Both,
}

/// A number of threads: no more than there may be processors, because a slip of the finger should not take the machine down.
fn threads() -> impl clap::builder::TypedValueParser<Value = u16> {
    clap::value_parser!(u16).range(1..=1024)
}

/// A number as people write addresses.
fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(&digits.replace('_', ""), 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("expected 0x and hexadecimal digits, or decimal digits: {error}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn numbers_are_read_as_written() {
        assert_eq!(number("0x1000000"), Ok(0x100_0000));
        assert_eq!(number("0xffff_0000"), Ok(0xffff_0000));
        assert_eq!(number("4096"), Ok(4096));
        assert!(number("1000000h").is_err() && number("").is_err() && number("-1").is_err());
    }
}
