//! What is refused at the door, and what the kernel says of itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use analyser::{Error, Kernel, OpenOptions, Routes};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");

fn options(core: &str, types: &str) -> OpenOptions {
    OpenOptions {
        cores: vec![format!("{FIXTURES}/{core}").into()],
        debuginfo: vec![format!("{FIXTURES}/{types}").into()],
        ..Default::default()
    }
}

#[test]
fn types_of_another_machine() {
    for force in [false, true] {
        let options = OpenOptions { force, ..options("K1-2cpu/core.elf", "types-2.6.27-i386.isf.json") };
        match Kernel::open(&options) {
            Err(Error::Mismatch { what: "word size", core, types }) => {
                assert_eq!((core.as_str(), types.as_str()), ("64 bits", "32 bits"));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A type file whose banner is of another build: an error that shows both, a warning with `force`.
#[test]
fn types_of_another_build() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("types.json");
    let text = std::fs::read_to_string(format!("{FIXTURES}/types-2.6.27.isf.json")).unwrap();
    let start = text.find("\"constant_data\"").unwrap();
    let value = start + text.get(start..).unwrap().find(": \"").unwrap() + 3;
    // "Linux version 2.6.27 (…" in base64; the last characters before the build's name are changed.
    let mut altered = text.clone();
    altered.replace_range(value + 40..value + 44, "AAAA");
    assert_ne!(altered, text);
    std::fs::write(&path, altered).unwrap();

    let mut options = options("K1-2cpu/core.elf", "");
    options.debuginfo = vec![path];
    let error = Kernel::open(&options).unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    assert!(error.hint().unwrap().contains("--force"));

    options.force = true;
    let kernel = Kernel::open(&options).unwrap();
    assert!(
        kernel.warnings().iter().any(|warning| warning.contains("do not match")),
        "{:?}",
        kernel.warnings()
    );
    assert_eq!(kernel.traces(Routes::ALL).traces.len(), 2);
}

#[test]
fn a_folder_without_the_kernels_file() {
    let error = Kernel::open(&options("K1-2cpu/core.elf", "K1-2cpu")).unwrap_err();
    assert!(matches!(error, Error::NoDebugFiles { .. }), "{error}");
    let modules = tempfile::tempdir().unwrap();
    std::fs::write(modules.path().join("ltt-core.ko"), "").unwrap();
    let only = OpenOptions { debuginfo: vec![modules.path().into()], ..options("K1-2cpu/core.elf", "") };
    let error = Kernel::open(&only).unwrap_err();
    assert!(matches!(error, Error::NoKernelFile { .. }), "{error}");
    assert!(error.to_string().contains("2.6.27") && error.hint().unwrap().contains("-d"), "{error}");
    let none = OpenOptions { debuginfo: Vec::new(), ..options("K1-2cpu/core.elf", "") };
    assert!(matches!(Kernel::open(&none), Err(Error::NoDebuginfo)));
    assert!(matches!(Kernel::core_summary(&OpenOptions::default()), Err(Error::NoCore)));
}

/// The plain ring of 2.6.27, through the direct map of both word sizes.
#[test]
fn the_log_of_a_real_kernel() {
    for (core, types) in [
        ("K1-2cpu/core.elf", "types-2.6.27.isf.json"),
        ("X2-i386-2cpu/core.elf", "types-2.6.27-i386.isf.json"),
    ] {
        let kernel = Kernel::open(&options(core, types)).unwrap();
        let log = kernel.log().unwrap();
        assert_eq!(log.panic.as_deref(), Some("SysRq : Trigger a crashdump"), "{core}");
        assert!(log.lines.len() > 20 && log.lines.iter().any(|line| line.contains("READY-PANIC")), "{core}");
        let info = kernel.kernel_info();
        assert_eq!(info.release.as_deref(), Some("2.6.27"));
        assert_eq!(info.log_tail.last(), log.lines.last());
    }
}

/// A separate debug file has no banner, only a build-id. The kernel's own notes are believed, not VMCOREINFO, which some kernels
/// garble.
#[test]
fn the_build_id_in_memory_decides() {
    let dead = synth::Kernel::new(synth::Era::C).arch(synth::Arch::X86_64Kaslr).build();
    let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let build_id = hex(dead.build_id());
    let open = |core: Vec<u8>, build_id: &str, force: bool| {
        let mut types: serde_json::Value = serde_json::from_str(&synth::isf::json(&dead)).unwrap();
        types["metadata"]["build_id"] = build_id.into();
        types["symbols"]["linux_banner"].as_object_mut().unwrap().remove("constant_data");
        let input = kdebug::Input::new("vmlinux.debug", std::sync::Arc::new(types.to_string().into_bytes()));
        let core = vmcore::Vmcore::from_bytes(vec![core], &vmcore::OpenOptions::default()).unwrap();
        Kernel::from_parts(core, vec![input], &OpenOptions { force, ..OpenOptions::default() })
    };
    let good = synth::core::Elf::kdump().write(&dead).bytes();
    let mut garbled = good.clone();
    let key = format!("BUILD-ID={build_id}");
    let is_there = |at: &usize| good[*at..].starts_with(key.as_bytes());
    let places: Vec<usize> = (0..good.len()).filter(is_there).collect();
    assert_eq!(places.len(), 3, "in the core's note, and twice in memory");
    for at in places {
        garbled[at + 9..at + 17].copy_from_slice(b"00000000");
    }
    for core in [&good, &garbled, &synth::core::Elf::qemu().write(&dead).bytes()] {
        assert!(open(core.clone(), &build_id, false).is_ok());
        let other = hex(&[7; 20]);
        match open(core.clone(), &other, false) {
            Err(Error::Mismatch { what: "build-id", core, types }) => {
                assert_eq!((core, types), (build_id.clone(), other))
            }
            outcome => panic!("{outcome:?}"),
        }
        assert!(open(core.clone(), &hex(&[7; 20]), true).is_ok());
    }
}

/// The core says where its kernel is, but has nothing to prove it: used, and said.
#[test]
fn a_place_that_cannot_be_verified_is_a_warning() {
    let mut core = std::fs::read(format!("{FIXTURES}/K1-2cpu/core.elf")).unwrap();
    let is_warned = |core: &std::path::Path| {
        let options = OpenOptions { cores: vec![core.into()], ..options("", "types-2.6.27.isf.json") };
        let kernel = Kernel::open(&options).unwrap();
        kernel.warnings().iter().any(|warning| warning.contains("is not verified"))
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &core).unwrap();
    assert!(!is_warned(file.path()));
    // Three program headers are left: the notes, and some pages of other things.
    core[56..58].copy_from_slice(&3u16.to_le_bytes());
    std::fs::write(file.path(), &core).unwrap();
    assert!(is_warned(file.path()));
}
