//! Everything in `fuzz/corpus` through the target that it is for: seeds, interesting inputs, and every crash ever found.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An input takes milliseconds; this is for the slowest build machine.
const TIME_MAX: Duration = Duration::from_secs(20);

/// Resident memory of this process over all targets, in KiB. The edited cores take some tens of MiB.
const MEMORY_MAX: u64 = 512 << 10;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// Names of a folder's entries, up to their first dot.
fn names(folder: &Path) -> BTreeSet<String> {
    let stem =
        |entry: fs::DirEntry| entry.file_name().to_str().unwrap().split('.').next().unwrap().to_owned();
    fs::read_dir(folder).unwrap().map(|entry| stem(entry.unwrap())).collect()
}

#[test]
fn every_target_has_a_wrapper_and_a_corpus() {
    let targets: BTreeSet<String> = fuzzing::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), targets);
    assert_eq!(names(&fuzz().join("corpus")), targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in &targets {
        let wrapper = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(wrapper.contains(&format!("fuzzing::{name}(data)")), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}

#[test]
fn the_corpus_ends_in_bounded_time_and_memory() {
    for (name, body) in fuzzing::TARGETS {
        let mut inputs: Vec<PathBuf> = fs::read_dir(fuzz().join("corpus").join(name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "{name} has no seeds");
        for path in inputs {
            let data = fs::read(&path).unwrap();
            let start = Instant::now();
            let outcome = std::panic::catch_unwind(|| body(&data));
            assert!(outcome.is_ok(), "{} panics", path.display());
            assert!(start.elapsed() < TIME_MAX, "{} took {:?}", path.display(), start.elapsed());
        }
        // Nothing at all is the one input that every target must take and no corpus keeps.
        body(&[]);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < MEMORY_MAX, "{peak} KiB were resident");
}
