//! Real cores with known contents, the means to damage one object in them, and an extraction that checks what must hold whatever
//! the damage.

use analyser::{Kernel, OpenOptions, Routes};
use extracter::{Bytes, Options, Plan, Report, Silent, Totals};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use vmcore::VirtAddr;

/// Resident memory of the whole test binary, in KiB: some cores of a megabyte, and a few sub-buffers. Tests run in parallel, so
/// that it is that of all of them together.
const MEMORY_MAX: u64 = 512 << 10;

/// What an absurd name is given: more than any name or page holds.
pub(crate) const JUNK: usize = 5000;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

/// Files by their path below the output.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// Bytes to overwrite in a core: offset in the file.
pub(crate) type Edit = (usize, Vec<u8>);

/// A real core as an ELF file, and what lies where in it.
pub(crate) struct Lab {
    pub(crate) core: Vec<u8>,
    pub(crate) types: PathBuf,
    pub(crate) kernel: Kernel,
    /// What the intact core gives.
    pub(crate) expected: Files,
    /// Physical address, offset and length of each segment.
    segments: Vec<(u64, usize, usize)>,
}

/// Addresses of what makes up one stream.
pub(crate) struct StreamPlaces {
    pub(crate) trace: u64,
    pub(crate) channel: u64,
    pub(crate) rchan: u64,
    pub(crate) buffer: u64,
    /// Positions and commit counters.
    pub(crate) positions: u64,
    pub(crate) dentry: u64,
}

impl Lab {
    pub(crate) fn open(folder: &str, types: &str) -> Lab {
        let path = fixture(folder).join("core.elf");
        let core = fs::read(&path).unwrap();
        let types = fixture(types);
        let options =
            OpenOptions { cores: vec![path], debuginfo: vec![types.clone()], ..OpenOptions::default() };
        let expected = files(&fixture(folder).join("expected-intact"));
        let kernel = Kernel::open(&options).unwrap();
        Lab { segments: segments(&core), core, types, kernel, expected }
    }

    pub(crate) fn is_64_bit(&self) -> bool {
        self.core[4] == 2
    }

    /// Address of a member.
    pub(crate) fn member(&self, at: u64, name: &str, path: &str) -> u64 {
        let definition = self.kernel.types().structs(name).first().unwrap_or_else(|| panic!("no {name}"));
        let field = definition.member(path).unwrap_or_else(|| panic!("no {name}.{path}"));
        at + field.offset
    }

    /// A pointer or a `long` in memory.
    pub(crate) fn word(&self, at: u64) -> u64 {
        self.kernel.memory().read_word(VirtAddr(at)).unwrap()
    }

    /// A member that is a pointer or a `long`.
    pub(crate) fn get(&self, at: u64, name: &str, path: &str) -> u64 {
        self.word(self.member(at, name, path))
    }

    pub(crate) fn symbol(&self, name: &str) -> u64 {
        self.kernel.types().symbols(name)[0].value
    }

    pub(crate) fn word_len(&self) -> u64 {
        if self.is_64_bit() { 8 } else { 4 }
    }

    /// The trace of this name, by the kernel's list.
    pub(crate) fn trace(&self, name: &str) -> u64 {
        let link = self.member(0, "ltt_trace_struct", "list");
        let head = self.member(self.symbol("ltt_traces"), "ltt_traces", "head");
        let mut node = self.word(head);
        while node != head {
            let trace = node - link;
            let at = self.member(trace, "ltt_trace_struct", "trace_name");
            if self.kernel.memory().read_cstr(VirtAddr(at), 64).unwrap() == name.as_bytes() {
                return trace;
            }
            node = self.word(node);
        }
        panic!("no trace {name}");
    }

    pub(crate) fn stream(&self, trace: &str, channel: &str, cpu: u64) -> StreamPlaces {
        let trace = self.trace(trace);
        let channel = self.get(trace, "ltt_trace_struct", &format!("channel.{channel}"));
        let rchan = self.get(channel, "ltt_channel_struct", "trans_channel_data");
        let buffer = self.word(self.member(rchan, "rchan", "buf") + cpu * self.word_len());
        let mask = if self.is_64_bit() { u64::MAX } else { u64::from(u32::MAX) };
        // Per-CPU pointers of this age are stored inverted.
        let positions = !self.get(channel, "ltt_channel_struct", "buf") & mask;
        let positions = self.word(positions + cpu * self.word_len());
        let dentry = self.get(buffer, "rchan_buf", "dentry");
        StreamPlaces { trace, channel, rchan, buffer, positions, dentry }
    }

    /// Where a virtual address lies in the file.
    pub(crate) fn offset(&self, at: u64) -> usize {
        let phys = self.kernel.memory().translate(VirtAddr(at)).unwrap().0;
        let inside = |(start, _, len): &&(u64, usize, usize)| phys >= *start && phys - start < *len as u64;
        let (start, offset, _) = self.segments.iter().find(inside).unwrap();
        offset + usize::try_from(phys - start).unwrap()
    }

    pub(crate) fn put(&self, at: u64, bytes: &[u8]) -> Edit {
        (self.offset(at), bytes.to_vec())
    }

    /// A pointer or a `long`.
    pub(crate) fn put_word(&self, at: u64, value: u64) -> Edit {
        let len = usize::try_from(self.word_len()).unwrap();
        self.put(at, &value.to_le_bytes()[..len])
    }

    pub(crate) fn put_u32(&self, at: u64, value: u32) -> Edit {
        self.put(at, &value.to_le_bytes())
    }

    /// The page around an address, filled.
    pub(crate) fn put_page(&self, at: u64, byte: u8) -> Edit {
        self.put(at & !0xfff, &[byte; 4096])
    }

    pub(crate) fn edited(&self, edits: &[Edit]) -> Vec<u8> {
        let mut core = self.core.clone();
        for (offset, bytes) in edits {
            let end = core.len().min(offset + bytes.len());
            core[*offset..end].copy_from_slice(&bytes[..end - offset]);
        }
        core
    }

    /// Extracts from the core with these edits.
    pub(crate) fn extract(&self, edits: &[Edit]) -> Outcome {
        extract(&self.edited(edits), &self.types)
    }

    /// Extracts, and expects everything but what lies at these paths and below to be as from the intact core.
    pub(crate) fn spoils_only(&self, case: &str, edits: &[Edit], spoilt: &[&str]) -> Outcome {
        let outcome = self.extract(edits);
        assert!(outcome.error.is_none(), "{case}: {:?}", outcome.error);
        for (path, bytes) in &self.expected {
            if !spoilt.iter().any(|prefix| path.starts_with(prefix)) {
                let found = outcome.files.get(path);
                let names = outcome.files.keys();
                assert!(found.is_some(), "{case}: {path} is missing among {names:?}");
                assert!(found == Some(bytes), "{case}: {path} is damaged");
            }
        }
        outcome
    }

    /// As [`spoils_only`](Lab::spoils_only), but nothing is lost: all files are there, some at other paths.
    pub(crate) fn renames_only(&self, case: &str, edits: &[Edit], renamed: &[&str]) -> Outcome {
        let outcome = self.spoils_only(case, edits, renamed);
        let contents = |files: &Files| {
            let mut contents: Vec<_> = files.values().cloned().collect();
            contents.sort();
            contents
        };
        assert!(contents(&outcome.files) == contents(&self.expected), "{case}: {:?}", outcome.files.keys());
        outcome
    }
}

/// What an extraction gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) files: Files,
    pub(crate) report: Option<Report>,
    /// Opening or extracting ended with this.
    pub(crate) error: Option<String>,
}

/// Extracts everything from a core, and checks that nothing appears elsewhere, that accounts add up, and that the files are those
/// that are reported.
pub(crate) fn extract(core: &[u8], types: &Path) -> Outcome {
    let root = tempfile::Builder::new().prefix("ltt-kdump-hostile-").tempdir().unwrap();
    let case = root.path().join("case");
    fs::create_dir(&case).unwrap();
    fs::write(case.join("core"), core).unwrap();
    let before = files(root.path());
    let options = OpenOptions {
        cores: vec![case.join("core")],
        debuginfo: vec![types.to_path_buf()],
        // A damaged banner must not hide what comes later.
        force: true,
        ..OpenOptions::default()
    };
    let out = case.join("out");
    let outcome = open_and_extract(&options, &out);
    let files_of_out = if out.exists() { files(&out) } else { Files::new() };
    let mut after = files(root.path());
    after.retain(|path, _| !path.starts_with("case/out/"));
    assert!(before == after, "{:?} appeared or changed outside of the output", after.keys());
    match outcome {
        Ok(report) => {
            check(&report, &files_of_out);
            Outcome { files: files_of_out, report: Some(report), error: None }
        }
        Err(error) => {
            assert!(!out.exists(), "an output beside the error {error}");
            assert_eq!(error.lines().count(), 1, "{error:?}");
            Outcome { files: files_of_out, report: None, error: Some(error) }
        }
    }
}

fn open_and_extract(options: &OpenOptions, out: &Path) -> Result<Report, String> {
    let kernel = Kernel::open(options).map_err(|error| error.to_string())?;
    let traces = kernel.traces(Routes::ALL);
    let _ = kernel.info(&traces, &kernel.sessions(Routes::ALL));
    let plan = Plan::new(&kernel, &traces, &Options::new(out)).map_err(|error| error.to_string())?;
    plan.run(&Silent).map_err(|error| error.to_string())
}

fn check(report: &Report, files: &Files) {
    adds_up(&report.totals);
    let mut whole = Bytes::default();
    let mut paths = Vec::new();
    for trace in &report.traces {
        adds_up(&trace.totals);
        for stream in &trace.streams {
            adds_up(&stream.totals);
            let bytes = &stream.totals.bytes;
            whole.found += bytes.found;
            whole.written += bytes.written;
            whole.file += bytes.file;
            let file = files.get(&stream.path).unwrap_or_else(|| panic!("{} is not there", stream.path));
            assert_eq!(file.len() as u64, bytes.file, "{}", stream.path);
            assert!(bytes.written <= bytes.file, "{}", stream.path);
            for line in stream.damage.iter().chain(&stream.notes) {
                assert_eq!(line.lines().count(), 1, "{line:?}");
            }
            paths.push(&stream.path);
        }
    }
    let totals = &report.totals.bytes;
    assert_eq!((whole.found, whole.written, whole.file), (totals.found, totals.written, totals.file));
    paths.sort();
    assert!(paths.iter().copied().eq(files.keys()), "reported {paths:?}, found {:?}", files.keys());
}

fn adds_up(totals: &Totals) {
    let (bytes, subs) = (&totals.bytes, &totals.sub_buffers);
    assert_eq!(bytes.found, bytes.written + bytes.lost + bytes.unreadable + bytes.omitted, "{bytes:?}");
    let state = &bytes.written_by_state;
    assert_eq!(bytes.written, state.ready + state.open + state.stalled + state.consumed, "{bytes:?}");
    assert!(bytes.zero_filled <= bytes.written, "{bytes:?}");
    let sum = subs.ready
        + subs.open
        + subs.stalled
        + subs.consumed
        + subs.unusable
        + subs.omitted
        + subs.never_used;
    assert_eq!(subs.total, sum, "{subs:?}");
}

/// Every file below a folder. What is neither a file nor a folder has no business there.
pub(crate) fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
                continue;
            }
            assert!(kind.is_file(), "{} is no file", path.display());
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.insert(name, fs::read(&path).unwrap());
        }
    }
    found
}

/// The program headers of memory in an ELF core.
fn segments(core: &[u8]) -> Vec<(u64, usize, usize)> {
    let number = |at: usize, len: usize| {
        core[at..at + len].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let wide = core[4] == 2;
    let word = if wide { 8 } else { 4 };
    let (table, size, count) = if wide {
        (number(32, 8), number(54, 2), number(56, 2))
    } else {
        (number(28, 4), number(42, 2), number(44, 2))
    };
    // Offsets of file offset, physical address and file size.
    let (offset, phys, len) = if wide { (8, 24, 32) } else { (4, 12, 16) };
    let headers = (0..count).map(|nth| usize::try_from(table + nth * size).unwrap());
    let of_memory = headers.filter(|at| number(*at, 4) == 1);
    let size = |at: usize| usize::try_from(number(at, word)).unwrap();
    of_memory.map(|at| (number(at + phys, word), size(at + offset), size(at + len))).collect()
}

/// To be called at the end of each test; the mark only rises.
pub(crate) fn memory_is_bounded() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < MEMORY_MAX, "{peak} KiB were resident");
}
