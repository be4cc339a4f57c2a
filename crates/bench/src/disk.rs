//! Traces on disk: `check` against `cat`, and the rate at which events are decoded and merged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use analyser::events::{Events, Selection, What};
use analyser::{Depth, Directory};
use anyhow::{Context as _, Result, ensure};
use criterion::Criterion;

use crate::cores::Cores;
use crate::extract::{extract, files};
use crate::resident::peak;
use crate::share::thread_counts;

/// The first argument of this program when it is started again to be measured.
pub const COMMAND: &str = "events-and-tell";

/// A trace of the daemon's on disk.
#[derive(Debug)]
pub struct Disk {
    directory: PathBuf,
    /// Its events.
    pub events: u64,
}

impl Disk {
    /// Extracts the cores' only trace into `scratch`.
    #[must_use]
    pub fn write(cores: &Cores, scratch: &Path) -> Disk {
        let output = scratch.join("disk");
        let report = extract(&cores.elf(), &cores.types(), &output, 1, true);
        let [trace] = report.traces.as_slice() else { panic!("expected one trace: {:?}", report.traces) };
        Disk { directory: output.join(&trace.directory), events: report.totals.events.unwrap() }
    }

    /// Its first eighth: what is cut in the middle is damage, and costs no less to find.
    fn eighth(&self, scratch: &Path) -> Result<PathBuf> {
        let to = scratch.join("eighth");
        for file in files(&self.directory) {
            let copy = to.join(file.strip_prefix(&self.directory)?);
            fs::create_dir_all(copy.parent().context("a file lies in a folder")?)?;
            let content = fs::read(&file)?;
            // The metadata stay whole, so that the events can be decoded.
            let is_short = content.len() < 1 << 20;
            fs::write(copy, if is_short { &content } else { &content[..content.len() / 8 / 4096 * 4096] })?;
        }
        Ok(to)
    }
}

/// Ids: `cat/1`; `check/THREADS`, `deep/THREADS`; `events/1`: every field of every event, in the order of time.
pub fn bench(criterion: &mut Criterion, disk: &Disk) {
    let directory = Directory::open(&disk.directory).unwrap();
    criterion.bench_function("cat/1", |bencher| {
        bencher.iter(|| {
            let status = Command::new("cat").args(files(&disk.directory)).stdout(Stdio::null()).status();
            assert!(status.unwrap().success());
        });
    });
    for threads in thread_counts() {
        for (id, depth) in [("check", Depth::Suspicious), ("deep", Depth::All)] {
            criterion.bench_function(&format!("{id}/{threads}"), |bencher| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                bencher.iter(|| {
                    let check = pool.install(|| directory.check(depth));
                    assert!(!check.is_damaged(), "{:?}", check.problems);
                    check
                });
            });
        }
    }
    criterion.bench_function("events/1", |bencher| {
        bencher.iter(|| assert_eq!(decode(&directory), disk.events));
    });
}

/// Decodes every field of every event; how many events there were.
fn decode(directory: &Directory) -> u64 {
    let mut events = Events::of_directory(directory, &Selection::default()).unwrap();
    let mut count = 0;
    while let Some(entry) = events.next() {
        if let What::Event(event) = &entry.what {
            count += 1;
            std::hint::black_box(event.fields().count());
        }
    }
    count
}

/// Peak resident memory of decoding the trace and of decoding its first eighth, each in a new process, in bytes.
///
/// Errors: a process cannot be started or fails.
pub fn peaks(disk: &Disk, scratch: &Path) -> Result<[u64; 2]> {
    let measure = |directory: &Path| -> Result<u64> {
        let child = Command::new(std::env::current_exe()?).arg(COMMAND).arg(directory).output()?;
        let text = String::from_utf8_lossy(&child.stdout);
        ensure!(child.status.success(), "decoding failed: {}", String::from_utf8_lossy(&child.stderr));
        text.trim().parse().with_context(|| format!("expected a number of bytes, found {text:?}"))
    };
    Ok([measure(&disk.directory)?, measure(&disk.eighth(scratch)?)?])
}

/// The other side of [`peaks`].
///
/// Errors: the argument is not that of [`peaks`], or the system does not tell.
pub fn decode_and_tell(args: &[String]) -> Result<u64> {
    let [directory] = args else { anyhow::bail!("expected a directory") };
    decode(&Directory::open(Path::new(directory))?);
    peak()
}
