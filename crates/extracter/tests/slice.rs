//! Slices of real and of synthetic kernels: info, the debugfs tree and every extracted file are those of the core.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use analyser::slice::{Codec, Format, Keep};
use analyser::{Kernel, OpenOptions, Routes};
use extracter::{Options, Plan, Silent, Slice, SliceOptions, SliceReport};
use serde_json::Value;
use synth::core::Elf;
use synth::{Arch, Endian, Era, Fill, Mode};
use vmcore::PhysMemory as _;

const FORMATS: [Format; 6] = [
    Format::Elf,
    Format::Kdump(Codec::Raw),
    Format::Kdump(Codec::Zlib),
    Format::Kdump(Codec::Lzo),
    Format::Kdump(Codec::Snappy),
    Format::Kdump(Codec::Zstd),
];

fn workspace(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn open(core: &Path, types: &[PathBuf], record_reads: Option<Format>) -> Kernel {
    Kernel::open(&options(core, types, record_reads))
        .unwrap_or_else(|error| panic!("{}: {error}", core.display()))
}

fn options(core: &Path, types: &[PathBuf], record_reads: Option<Format>) -> OpenOptions {
    OpenOptions {
        cores: vec![core.to_path_buf()],
        debuginfo: types.to_vec(),
        record_reads,
        ..OpenOptions::default()
    }
}

fn slice(
    core: &Path,
    types: &[PathBuf],
    output: &Path,
    format: Format,
    keep: Keep,
    log: bool,
) -> SliceReport {
    let open = options(core, types, Some(format));
    let kernel = Kernel::open(&open).unwrap_or_else(|error| panic!("{}: {error}", core.display()));
    let options = SliceOptions { output: output.to_path_buf(), format, keep, log };
    let label = format!("{} {format} {keep:?}", core.display());
    let slice = Slice::read(&kernel, &open, &options).unwrap();
    let report = slice
        .write(&mut |_, _| ControlFlow::Continue(()))
        .unwrap_or_else(|error| panic!("{label}: {error:?}"));
    assert_eq!(report.file_bytes, fs::metadata(output).unwrap().len(), "{label}");
    report
}

/// Everything that people see of a core, as they see it; of the core itself only what a slice keeps.
#[derive(PartialEq)]
struct Seen {
    info: Value,
    tree: Vec<String>,
    files: BTreeMap<String, Vec<u8>>,
    report: Value,
}

fn seen(kernel: &Kernel) -> Seen {
    let (traces, sessions) = (kernel.traces(Routes::ALL), kernel.sessions(Routes::ALL));
    let mut info = serde_json::to_value(kernel.info(&traces, &sessions)).unwrap();
    for of_file in ["format", "size_bytes", "memory_bytes"] {
        info["core"].as_object_mut().unwrap().remove(of_file).unwrap();
    }
    let tree = kernel.debugfs().map_or_else(
        |error| vec![error.to_string()],
        |debugfs| {
            debugfs.entries().map(|entry| format!("{} {:?} {}", entry.path, entry.what, entry.size)).collect()
        },
    );
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("out");
    let report =
        Plan::new(kernel, (&traces, &sessions), &Options::new(&output)).unwrap().run(&Silent).unwrap();
    let mut report = serde_json::to_value(report).unwrap();
    report.as_object_mut().unwrap().remove("output").unwrap();
    let mut files = BTreeMap::new();
    collect(&output, &output, &mut files);
    Seen { info, tree, files, report }
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

impl Seen {
    fn assert_equals(&self, other: &Seen, label: &str) {
        assert_eq!(other.info, self.info, "{label}");
        assert_eq!(other.tree, self.tree, "{label}");
        assert_eq!(other.files.keys().collect::<Vec<_>>(), self.files.keys().collect::<Vec<_>>(), "{label}");
        for (name, bytes) in &self.files {
            assert!(other.files[name] == *bytes, "{label}: {name}");
        }
        assert_eq!(other.report, self.report, "{label}");
    }

    /// What is told by headers: ELF has no place for the release, kdump none for virtual addresses, so that the same kernel is found
    /// in other words.
    fn without_headers(mut self) -> Seen {
        self.info["kernel"].as_object_mut().unwrap().remove("translation").unwrap();
        self.info["core"].as_object_mut().unwrap().remove("release").unwrap();
        self
    }
}

/// Slices one core in the given formats, whole pages and bytes; compares everything, also the slice of the slice.
fn check(core: &Path, types: &[PathBuf], formats: &[Format], same_headers: impl Fn(Format) -> bool) {
    let scratch = tempfile::tempdir().unwrap();
    for &format in formats {
        let look = |core: &Path, types: &[PathBuf]| {
            let seen = seen(&open(core, types, None));
            if same_headers(format) { seen } else { seen.without_headers() }
        };
        let expected = look(core, types);
        let bare = (types.len() > 1).then(|| look(core, &types[..1]));
        let mut lengths = Vec::new();
        for keep in [Keep::Pages, Keep::Bytes] {
            let label = format!("{} {format} {keep:?}", core.display());
            let path = scratch.path().join(format!("{lengths:?}-{format}"));
            let report = slice(core, types, &path, format, keep, true);
            expected.assert_equals(&look(&path, types), &label);
            if let Some(bare) = &bare {
                bare.assert_equals(&look(&path, &types[..1]), &format!("{label}, the kernel's types alone"));
            }
            let again = scratch.path().join("again");
            let second = slice(&path, types, &again, format, keep, true);
            assert!(fs::read(&again).unwrap() == fs::read(&path).unwrap(), "{label}: the slice of the slice");
            assert_eq!((second.pages, second.bytes_read), (report.pages, report.bytes_read), "{label}");
            fs::remove_file(again).unwrap();
            lengths.push(report.file_bytes);
        }
        assert!(lengths[1] <= lengths[0], "{format}: {lengths:?}");
    }
}

/// All formats for one of the cores of a machine, one format for the others.
fn check_fixture(core: &Path, types: &[PathBuf], all: bool) {
    let is_elf = core.extension().is_some_and(|extension| extension == "elf");
    let formats = if all { &FORMATS[..] } else { &[Format::Elf, Format::Kdump(Codec::Zstd)] };
    check(core, types, formats, |format| is_elf == (format == Format::Elf));
}

#[test]
fn real_cores_of_2_6_27() {
    let types = [workspace("fixtures/types-2.6.27.isf.json")];
    for (name, all) in [
        ("K1-2cpu/core.elf", true),
        ("K1-2cpu/core.kdump-zlib", true),
        ("K1-2cpu/core.kdump-zlib.flat", false),
        ("S0-2cpu/core.kdump-zlib", false),
        ("S2-2cpu/core.kdump-zlib", false),
        ("S5-commit/core.kdump-zlib", false),
        ("X1-2cpu/core.kdump-zlib", false),
    ] {
        check_fixture(&workspace(&format!("fixtures/{name}")), &types, all);
    }
    let types = [workspace("fixtures/types-2.6.27-i386.isf.json")];
    check_fixture(&workspace("fixtures/X2-i386-2cpu/core.elf"), &types, true);
    check_fixture(&workspace("fixtures/X2-i386-2cpu/core.kdump-zlib"), &types, false);
}

/// Both halves of a split dump.
#[test]
fn a_dump_in_two_files_becomes_one() {
    let types = [workspace("fixtures/types-2.6.27.isf.json")];
    let parts =
        ["core.kdump-split1", "core.kdump-split2"].map(|name| workspace("fixtures/K1-2cpu").join(name));
    let open_parts = OpenOptions {
        cores: parts.to_vec(),
        debuginfo: types.to_vec(),
        record_reads: Some(Format::Kdump(Codec::Zlib)),
        ..OpenOptions::default()
    };
    let kernel = Kernel::open(&open_parts).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("small");
    let options = SliceOptions {
        output: output.clone(),
        format: Format::Kdump(Codec::Zlib),
        keep: Keep::Bytes,
        log: true,
    };
    Slice::read(&kernel, &open_parts, &options)
        .unwrap()
        .write(&mut |_, _| ControlFlow::Continue(()))
        .unwrap();
    seen(&kernel).assert_equals(&seen(&open(&output, &types, None)), "split");
}

/// Cores of a kernel 6.1 with sessions of LTTng 2.13.
#[test]
fn real_cores_of_6_1_with_sessions() {
    let data = workspace("../shared/data/linux-6.1-lttng-2.13");
    if !data.is_dir() {
        eprintln!("skipped: {} is not there", data.display());
        return;
    }
    let types = ["types-6.1.0-56-amd64.isf.json", "types-lttng-2.13.9.isf.json"]
        .map(|name| data.join("types").join(name));
    for name in ["M0d", "M1p"] {
        check_fixture(&data.join(name).join("core.zlib"), &types, name == "M0d");
    }
}

/// Synthetic kernels as files.
struct Dead {
    scratch: tempfile::TempDir,
    types: [PathBuf; 1],
}

impl Dead {
    fn new(dead: &synth::DeadKernel) -> Dead {
        let scratch = tempfile::tempdir().unwrap();
        let types = scratch.path().join("types.isf.json");
        fs::write(&types, synth::isf::json(dead)).unwrap();
        Dead { types: [types], scratch }
    }

    fn core(&self, bytes: &[u8]) -> PathBuf {
        let path = self.scratch.path().join("core");
        fs::write(&path, bytes).unwrap();
        path
    }
}

#[test]
fn kernels_of_every_architecture() {
    for arch in [
        Arch::X86_64,
        Arch::X86_64Kaslr,
        Arch::I386,
        Arch::I386Pae,
        Arch::AArch64,
        Arch::AArch64Page16K,
        Arch::AArch64Page64K,
        Arch::Ppc32,
        Arch::Ppc64,
        Arch::Mips32,
    ] {
        for era in [Era::Z, Era::A, Era::C] {
            let dead = synth::Kernel::new(era).arch(arch).mode(Mode::Overwrite).fill(Fill::Wrapped).build();
            let files = Dead::new(&dead);
            let core = files.core(&Elf::kdump().write(&dead).bytes());
            let has_tables = !matches!(arch, Arch::Ppc32 | Arch::Ppc64 | Arch::Mips32);
            // Without page tables the program headers are all there is, and only ELF has them; more of them in the slice.
            let formats =
                if has_tables { &[Format::Elf, Format::Kdump(Codec::Zstd)][..] } else { &[Format::Elf] };
            check(&core, &files.types, formats, |format| has_tables && format == Format::Elf);
        }
    }
}

/// Nobody tells where the kernel is: what the search of all memory found is in the slice, and leads there again.
#[test]
fn kernels_that_are_searched_for() {
    for arch in [Arch::X86_64, Arch::X86_64Kaslr, Arch::I386] {
        let dead = synth::Kernel::new(Era::C).arch(arch).fill(Fill::Wrapped).build();
        let files = Dead::new(&dead);
        for core in [Elf::qemu(), Elf::qemu().qemu_notes(false)] {
            let core = files.core(&core.write(&dead).bytes());
            check(&core, &files.types, &[Format::Elf, Format::Kdump(Codec::Lzo)], |format| {
                format == Format::Elf
            });
        }
    }
}

#[test]
fn sessions_of_every_release() {
    use synth::lttng::{Release, Tracer};
    for release in Release::ALL {
        for (bits, endian) in [(64, Endian::Little), (32, Endian::Big)] {
            let dead = Tracer::new(release).machine(bits, endian).overwrite(true).events(200).build();
            let files = Dead::new(&dead.kernel);
            let core = files.core(&Elf::kdump().write(&dead.kernel).bytes());
            let output = files.scratch.path().join("small");
            let report = slice(&core, &files.types, &output, Format::Elf, Keep::Bytes, true);
            assert_eq!(report.sessions, dead.sessions.len(), "{release:?}");
            assert!(report.records > 0, "{release:?}");
        }
    }
}

/// Every byte of every page of a slice is one that was read, or zero.
#[test]
fn nothing_else_is_in_a_slice_of_bytes() {
    let types = [workspace("fixtures/types-2.6.27.isf.json")];
    let core = workspace("fixtures/K1-2cpu/core.elf");
    let scratch = tempfile::tempdir().unwrap();
    for format in FORMATS {
        let path = scratch.path().join(format!("{format}"));
        slice(&core, &types, &path, format, Keep::Bytes, true);
        // Read once more from the core: what was read is known then.
        let kernel = open(&core, &types, Some(format));
        let again =
            SliceOptions { output: scratch.path().join("never"), format, keep: Keep::Bytes, log: true };
        let _ = Slice::read(&kernel, &options(&core, &types, Some(format)), &again).unwrap();
        let reads = kernel.core().reads().ranges;
        let part = vmcore::Vmcore::open(&[&path], &vmcore::OpenOptions::default()).unwrap();
        let (mut kept, mut zeroed) = (0, 0);
        for range in part.ranges() {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            part.read_phys(vmcore::PhysAddr(range.start), &mut bytes).unwrap();
            let mut original = bytes.clone();
            kernel.core().read_phys(vmcore::PhysAddr(range.start), &mut original).unwrap();
            for ((at, byte), original) in (range.start..).zip(bytes).zip(original) {
                let index = reads.partition_point(|range| range.end <= at);
                if reads.get(index).is_some_and(|range| range.contains(&at)) {
                    assert_eq!(byte, original, "{at:#x}");
                    kept += 1;
                } else {
                    assert_eq!(byte, 0, "{at:#x}");
                    zeroed += u64::from(original != 0);
                }
            }
        }
        assert_eq!(kept, reads.iter().map(|range| range.end - range.start).sum::<u64>());
        assert!(zeroed > 10_000, "{zeroed} bytes of others");
    }
}

#[test]
fn the_log_can_stay_out() {
    let types = [workspace("fixtures/types-2.6.27.isf.json")];
    let core = workspace("fixtures/K1-2cpu/core.kdump-zlib");
    let scratch = tempfile::tempdir().unwrap();
    let last = open(&core, &types, None).log().unwrap().lines.pop().unwrap();
    for (log, name) in [(true, "with"), (false, "without")] {
        let path = scratch.path().join(name);
        let report = slice(&core, &types, &path, Format::Kdump(Codec::Raw), Keep::Bytes, log);
        assert_eq!(report.kernel_log, log);
        let bytes = fs::read(&path).unwrap();
        let found = bytes.windows(last.len()).any(|window| window == last.as_bytes());
        assert_eq!(found, log, "{last}");
        let kernel = open(&path, &types, None);
        assert_eq!(kernel.log().is_some_and(|log| !log.lines.is_empty()), log);
        assert!(seen(&kernel).files.len() > 20);
    }
}

#[test]
fn nothing_is_overwritten_and_nothing_left_behind() {
    let types = [workspace("fixtures/types-2.6.27.isf.json")];
    let core = workspace("fixtures/K1-2cpu/core.kdump-zlib");
    let scratch = tempfile::tempdir().unwrap();
    let output = scratch.path().join("small");
    fs::write(&output, "precious").unwrap();
    let format = Format::Elf;
    let right = self::options(&core, &types, Some(format));
    let kernel = open(&core, &types, Some(format));
    let options = SliceOptions { output: output.clone(), format, keep: Keep::Pages, log: true };
    let error = Slice::read(&kernel, &right, &options).unwrap_err();
    assert!(error.to_string().ends_with("expected a new name, found a file"), "{error}");
    fs::remove_file(&output).unwrap();
    // Types of another machine: the slice does not open with them, so there is none.
    let wrong = self::options(&core, &[workspace("fixtures/types-2.6.27-i386.isf.json")], Some(format));
    let error = Slice::read(&kernel, &wrong, &options)
        .unwrap()
        .write(&mut |_, _| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(matches!(error, extracter::Error::Slice { .. }), "{error}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    let error = Slice::read(&kernel, &right, &options).unwrap().write(&mut |done, _| {
        if done < 9 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(matches!(error, Err(extracter::Error::Cancelled)), "{error:?}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    // Nothing was recorded: the slice is empty and cannot be opened.
    let blind = open(&core, &types, None);
    assert!(
        Slice::read(&blind, &right, &options).unwrap().write(&mut |_, _| ControlFlow::Continue(())).is_err()
    );
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}
