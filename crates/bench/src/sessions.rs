//! Extraction of sessions of LTTng 2.x, against copies of the files that it writes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Result;
use criterion::Criterion;
use synth::core::Elf;
use synth::lttng::{Release, Tracer};

use crate::extract::{copies, extract, timed};
use crate::share::thread_counts;

const MIB: u64 = 1 << 20;

/// A dead kernel with a long session.
#[derive(Debug)]
pub struct Sessions {
    scratch: PathBuf,
    /// Bytes of trace buffers.
    pub trace: u64,
}

impl Sessions {
    /// Flight recorders of two CPUs, `trace` MiB together, full.
    ///
    /// Errors: those of the file system.
    pub fn write(scratch: &Path, trace: u64) -> Result<Sessions> {
        let sessions = Sessions { scratch: scratch.join("sessions"), trace: trace * MIB };
        fs::create_dir_all(&sessions.scratch)?;
        let per_cpu = (trace / 2).max(2);
        // An event has 39.5 bytes on average.
        let events = per_cpu * MIB / 36;
        let tracer = Tracer::new(Release::V2_13).overwrite(true).sub_buffers(MIB, per_cpu).events(events);
        let dead = tracer.build();
        Elf::kdump().write(&dead.kernel).write(&sessions.core())?;
        File::open(sessions.core())?.sync_all()?;
        fs::write(sessions.types(), synth::isf::json(&dead.kernel))?;
        Ok(sessions)
    }

    fn core(&self) -> PathBuf {
        self.scratch.join("core.elf")
    }

    fn types(&self) -> PathBuf {
        self.scratch.join("types.isf.json")
    }
}

/// Ids: `sessions/extract/THREADS`, `sessions/extract-uncounted/THREADS`; `sessions/cp/1`, `sessions/cp-sync/1`: as in `extract`.
pub fn bench(criterion: &mut Criterion, sessions: &Sessions) {
    let scratch = tempfile::tempdir_in(&sessions.scratch).unwrap();
    let (core, types, source) = (sessions.core(), sessions.types(), scratch.path().join("extracted"));
    let report = extract(&core, &types, &source, 1, true);
    assert!(
        !report.has_losses() && report.totals.bytes.file >= sessions.trace / 10 * 9,
        "{:?}",
        report.totals
    );
    copies(criterion, "sessions/", &source, scratch.path());
    for threads in thread_counts() {
        for (count, suffix) in [(true, ""), (false, "-uncounted")] {
            timed(criterion, &format!("sessions/extract{suffix}/{threads}"), scratch.path(), |output| {
                extract(&core, &types, output, threads, count);
            });
        }
    }
}
