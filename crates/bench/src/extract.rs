//! The whole of `extract`, against copies of the files that it writes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use analyser::{Kernel, OpenOptions, Routes};
use codec::Codec;
use criterion::{BatchSize, Criterion};
use extracter::{Options, Plan, Report, Silent};
use tempfile::TempDir;

use crate::cores::Cores;
use crate::share::thread_counts;

/// Opens a core, finds its traces and writes them: what `ltt-kdump extract` does.
pub fn extract(core: &Path, types: &Path, output: &Path, threads: usize, count_events: bool) -> Report {
    let options =
        OpenOptions { cores: vec![core.into()], debuginfo: vec![types.into()], ..OpenOptions::default() };
    let kernel = Kernel::open(&options).unwrap();
    let (traces, sessions) = (kernel.traces(Routes::ALL), kernel.sessions(Routes::ALL));
    let options = Options { threads: Some(threads), count_events, ..Options::new(output) };
    Plan::new(&kernel, (&traces, &sessions), &options).unwrap().run(&Silent).unwrap()
}

/// How files are copied.
#[derive(Debug, Clone, Copy)]
enum Copying {
    /// The program `cp`.
    Cp,
    /// `std::fs::copy`.
    Std,
}

/// Where files are kept in memory, so that writing them waits for no disk.
const MEMORY: &str = "/dev/shm";

/// Ids: `extract/FORMAT/THREADS`, `extract/FORMAT-uncounted/THREADS`; `copy/cp/1`, `copy/cp-sync/1`, `copy/std/1`,
/// `copy/std-sync/1`: with `-sync`, every copy is on the disk when time is taken, as `extract`'s files are. `extract/FORMAT-memory/THREADS`:
/// to files in memory, where there is a folder for such; how threads share the work shows only there, since one thread is nearly
/// as fast as the disk.
pub fn bench(criterion: &mut Criterion, cores: &Cores) {
    let scratch = tempfile::tempdir_in(cores.directory()).unwrap();
    let source = scratch.path().join("extracted");
    let report = extract(&cores.elf(), &cores.types(), &source, 1, true);
    assert!(!report.has_losses() && report.totals.bytes.file >= cores.trace / 10 * 9, "{:?}", report.totals);
    eprintln!("extracted: {} bytes in {} files", report.totals.bytes.file, files(&source).len());

    copies(criterion, "copy/", &source, scratch.path());
    for (format, core) in [("elf", cores.elf()), ("kdump-zlib", cores.kdump(Codec::Zlib))] {
        for threads in thread_counts() {
            for (count, suffix) in [(true, ""), (false, "-uncounted")] {
                timed(criterion, &format!("extract/{format}{suffix}/{threads}"), scratch.path(), |output| {
                    extract(&core, &cores.types(), output, threads, count);
                });
            }
            if let Ok(memory) = tempfile::tempdir_in(MEMORY) {
                timed(criterion, &format!("extract/{format}-memory/{threads}"), memory.path(), |output| {
                    extract(&core, &cores.types(), output, threads, true);
                });
            }
        }
    }
}

/// Times copies of a tree in every way; `ids` is what the ids begin with.
pub(crate) fn copies(criterion: &mut Criterion, ids: &str, source: &Path, scratch: &Path) {
    for (id, copying, sync) in [
        ("cp", Copying::Cp, false),
        ("cp-sync", Copying::Cp, true),
        ("std", Copying::Std, false),
        ("std-sync", Copying::Std, true),
    ] {
        timed(criterion, &format!("{ids}{id}/1"), scratch, |output| copy(copying, source, output, sync));
    }
}

/// Times `work`, which gets a new name to write to each time; cleaning up does not count.
pub(crate) fn timed(criterion: &mut Criterion, id: &str, scratch: &Path, work: impl Fn(&Path)) {
    criterion.bench_function(id, |bencher| {
        bencher.iter_batched(
            || tempfile::tempdir_in(scratch).unwrap(),
            |directory: TempDir| {
                work(&directory.path().join("out"));
                directory
            },
            BatchSize::PerIteration,
        );
    });
}

/// Copies a tree.
fn copy(copying: Copying, source: &Path, output: &Path, sync: bool) {
    match copying {
        Copying::Cp => {
            let status = Command::new("cp").arg("-r").arg(source).arg(output).status().unwrap();
            assert!(status.success());
        }
        Copying::Std => {
            for file in files(source) {
                let to = output.join(file.strip_prefix(source).unwrap());
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(&file, &to).unwrap();
            }
        }
    }
    if sync {
        files(output).iter().for_each(|file| File::open(file).unwrap().sync_all().unwrap());
    }
}

/// The files below a directory.
pub(crate) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
