//! Peak resident memory of an extraction, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::extract::extract;

/// The first argument of this program when it is started again to be measured.
pub const COMMAND: &str = "extract-and-tell";

/// What may be resident: 64 MB and 8 MB a thread.
#[must_use]
pub fn limit(threads: usize) -> u64 {
    64_000_000 + 8_000_000 * threads as u64
}

/// Extracts in a new process of this program, and returns the most memory that was resident, in bytes.
///
/// Errors: the process cannot be started or fails.
pub fn measure(core: &Path, types: &Path, scratch: &Path, threads: usize) -> Result<u64> {
    let output = tempfile::tempdir_in(scratch)?;
    let program = std::env::current_exe()?;
    let child = Command::new(program)
        .arg(COMMAND)
        .args([core, types, &output.path().join("out")])
        .arg(threads.to_string())
        .output()?;
    let text = String::from_utf8_lossy(&child.stdout);
    ensure!(child.status.success(), "extraction failed: {}", String::from_utf8_lossy(&child.stderr));
    text.trim().parse().with_context(|| format!("expected a number of bytes, found {text:?}"))
}

/// The other side of [`measure`]: extracts and returns this process's peak, in bytes.
///
/// Errors: the arguments are not those of [`measure`], or the system does not tell.
pub fn extract_and_tell(args: &[String]) -> Result<u64> {
    let [core, types, output, threads] = args else { anyhow::bail!("expected four arguments") };
    let [core, types, output] = [core, types, output].map(PathBuf::from);
    extract(&core, &types, &output, threads.parse()?, true);
    peak()
}

/// Most memory that was resident so far in this process, in bytes.
pub(crate) fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}
