//! Address spaces of real cores of Linux 2.6.27, found by every kind of evidence.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "tests"
)]

use base64::Engine;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vmcore::memory::Memory;
use vmcore::translate::{AddressSpace, Hints, find_vmcoreinfo};
use vmcore::{OpenOptions, PageError, PhysAddr, PhysMemory, VirtAddr, Vmcore, Vmcoreinfo};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn core(name: &str) -> Arc<Vmcore> {
    Arc::new(Vmcore::open(&[fixture(name)], &OpenOptions::default()).unwrap())
}

/// Symbols and banner of a kernel, from its ISF file.
struct Isf(serde_json::Value);

impl Isf {
    fn load(name: &str) -> Isf {
        Isf(serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap())
    }

    fn symbol(&self, name: &str) -> Option<u64> {
        self.0["symbols"][name]["address"].as_u64()
    }

    fn banner(&self) -> Vec<u8> {
        let text = self.0["symbols"]["linux_banner"]["constant_data"].as_str().unwrap();
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    }
}

fn locate(core: &Arc<Vmcore>, isf: &Isf, with: impl FnOnce(&mut Hints<'_>)) -> Memory {
    let symbol = |name: &str| {
        assert!(Hints::SYMBOLS.contains(&name), "{name} is asked for, but not announced");
        isf.symbol(name)
    };
    let banner = isf.banner();
    let mut hints = Hints { symbol: &symbol, banner: Some(&banner), ..Hints::default() };
    with(&mut hints);
    let space = AddressSpace::locate(core, &hints).unwrap();
    assert!(space.is_verified() && space.symbols_fit(), "{}", space.explain());
    Memory::new(Arc::clone(core), space)
}

/// The list of traces begins at a symbol; each of its neighbours must point back.
fn assert_traces_listed(memory: &Memory, isf: &Isf) {
    let head = VirtAddr(isf.symbol("ltt_traces").unwrap());
    let word = memory.abi().word_bytes() as u64;
    let next = VirtAddr(memory.read_word(head).unwrap());
    let previous = VirtAddr(memory.read_word(head.wrapping_add(word)).unwrap());
    assert_ne!(next, head, "a trace is in the list");
    assert_eq!(memory.read_word(next.wrapping_add(word)), Ok(head.0), "{}", memory.space().explain());
    assert_eq!(memory.read_word(previous), Ok(head.0));
}

const KDUMPS: [&str; 7] = [
    "K1-2cpu/core.elf",
    "K1-2cpu/core.kdump-zlib",
    "S0-2cpu/core.kdump-zlib",
    "S2-2cpu/core.kdump-zlib",
    "S5-commit/core.kdump-zlib",
    "X1-2cpu/core.kdump-zlib",
    "K1-2cpu/core.kdump-zlib.flat",
];

#[test]
fn every_x86_64_core_shows_its_traces() {
    let isf = Isf::load("types-2.6.27.isf.json");
    for name in KDUMPS {
        let core = core(name);
        let memory = locate(&core, &isf, |_| {});
        let story = memory.space().explain();
        assert_eq!(memory.space().kaslr_offset(), 0);
        assert_eq!(memory.space().direct_map_base(), Some(0xffff_8800_0000_0000), "{story}");
        assert_traces_listed(&memory, &isf);
        let banner = VirtAddr(isf.symbol("linux_banner").unwrap());
        assert_eq!(memory.read_cstr(banner, 20).unwrap(), b"Linux version 2.6.27");
        assert_eq!(memory.read_cstr(banner, 400).unwrap(), isf.banner().strip_suffix(b"\0").unwrap());
    }
}

#[test]
fn i386_cores_without_pae_show_their_traces() {
    let isf = Isf::load("types-2.6.27-i386.isf.json");
    for name in ["X2-i386-2cpu/core.elf", "X2-i386-2cpu/core.kdump-zlib"] {
        let core = core(name);
        let memory = locate(&core, &isf, |_| {});
        let story = memory.space().explain();
        assert_eq!(memory.space().kaslr_offset(), 0);
        assert_eq!(memory.space().direct_map_base(), Some(0xc000_0000), "{story}");
        assert!(story.contains("2 levels"), "{story}");
        assert_traces_listed(&memory, &isf);
        let error = memory.read_u8(VirtAddr(1 << 32)).unwrap_err();
        assert_eq!(error.cause, PageError::NonCanonical);
    }
}

/// The core alone says enough for an address space, and only symbols are missing then.
#[test]
fn vmcoreinfo_needs_no_symbols() {
    for (name, isf) in [
        ("K1-2cpu/core.elf", "types-2.6.27.isf.json"),
        ("K1-2cpu/core.kdump-zstd", "types-2.6.27.isf.json"),
        ("X2-i386-2cpu/core.elf", "types-2.6.27-i386.isf.json"),
    ] {
        let (core, isf) = (core(name), Isf::load(isf));
        let space = AddressSpace::locate(&core, &Hints::default()).unwrap();
        assert!(space.is_verified(), "{}", space.explain());
        assert!(space.explain().contains("holds Linux 2.6.27"), "{}", space.explain());
        assert_traces_listed(&Memory::new(core, space), &isf);
    }
}

/// QEMU's dumps have no VMCOREINFO note, but the kernel's memory has the text.
#[test]
fn vmcoreinfo_is_found_in_memory() {
    let isf = Isf::load("types-2.6.27.isf.json");
    for name in ["S0-2cpu/core.kdump-zlib", "S5-commit/core.kdump-zlib"] {
        let core = core(name);
        assert_eq!(core.vmcoreinfo(), None);
        let found = find_vmcoreinfo(&*core);
        let [(at, info)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(*at, PhysAddr(0x52_d6e0), "the array vmcoreinfo_data");
        assert_eq!(info.symbol("init_level4_pgt"), Some(0xffff_ffff_8020_1000));
        assert_eq!(info.crash_time(), None);
        // It is enough to start with, and it is read in passing when symbols were.
        let space = AddressSpace::locate(&core, &Hints::default()).unwrap();
        assert!(space.explain().contains("found at physical 0x52d6e0"), "{}", space.explain());
        assert_eq!(space.vmcoreinfo(), Some(info));
        assert_traces_listed(&Memory::new(Arc::clone(&core), space), &isf);
        assert_eq!(locate(&core, &isf, |_| {}).space().vmcoreinfo(), Some(info));
    }
    let found = find_vmcoreinfo(&*core("K1-2cpu/core.elf"));
    assert!(found[0].1.crash_time().is_some(), "the note with the time of the crash comes first");
}

/// What the user says comes first, and is called out when it is wrong.
#[test]
fn overrides_are_verified_too() {
    let isf = Isf::load("types-2.6.27.isf.json");
    let core = core("S2-2cpu/core.kdump-zlib");
    let memory = locate(&core, &isf, |hints| hints.kaslr = Some(0));
    assert_traces_listed(&memory, &isf);
    let memory = locate(&core, &isf, |hints| hints.phys_base = Some(0));
    assert_traces_listed(&memory, &isf);
    let text = b"OSRELEASE=2.6.27\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff804635f0\nSYMBOL(_stext)=ffffffff80209000\n\
        SYMBOL(swapper_pg_dir)=ffffffff80201000\nNUMBER(phys_base)=0\n";
    let memory = locate(&core, &isf, |hints| hints.vmcoreinfo = Some(Vmcoreinfo::parse(text)));
    assert!(memory.space().explain().starts_with("x86_64: VMCOREINFO given by the user"));
    assert_traces_listed(&memory, &isf);

    let (symbol, banner) = (|name: &str| isf.symbol(name), isf.banner());
    let hints = Hints { symbol: &symbol, banner: Some(&banner), kaslr: Some(0x20_0000), ..Hints::default() };
    let space = AddressSpace::locate(&core, &hints).unwrap();
    assert!(!space.symbols_fit() && space.explain().contains("_stext is at"), "{}", space.explain());
}

/// Symbols of another kernel find nothing, or leave a trace in the explanation.
#[test]
fn another_kernels_symbols_are_noticed() {
    let other = Isf::load("types-2.6.27-i386.isf.json");
    let (symbol, banner) = (|name: &str| Some(other.symbol(name)? | 0xffff_ffff_8000_0000), other.banner());
    let hints = Hints { symbol: &symbol, banner: Some(&banner), ..Hints::default() };
    let space = AddressSpace::locate(&core("K1-2cpu/core.elf"), &hints).unwrap();
    assert!(!space.symbols_fit());
    assert!(space.explain().contains("holds Linux 2.6.27"), "{}", space.explain());
    let space = AddressSpace::locate(&core("S0-2cpu/core.kdump-zlib"), &hints).unwrap();
    assert!(space.explain().contains("VMCOREINFO found at physical"), "{}", space.explain());
}

#[test]
fn reads_cross_pages_and_name_the_first_bad_byte() {
    let isf = Isf::load("types-2.6.27.isf.json");
    let core = core("K1-2cpu/core.elf");
    let memory = locate(&core, &isf, |_| {});
    // Pages 0x201 to 0x203 are in the file, 0x204 is not.
    let start = VirtAddr(0xffff_ffff_8020_1000);
    let (mut virt, mut phys) = (vec![0; 0x3000], vec![0; 0x3000]);
    memory.read_virt(start, &mut virt).unwrap();
    core.read_phys(PhysAddr(0x20_1000), &mut phys).unwrap();
    assert_eq!(virt, phys);
    for offset in [0x7ff, 0xfff, 0x1ffd, 0x2ff8] {
        let at = start.wrapping_add(offset);
        let index = usize::try_from(offset).unwrap();
        assert_eq!(
            memory.read_u64(at).unwrap(),
            u64::from_le_bytes(phys[index..index + 8].try_into().unwrap())
        );
        assert_eq!(memory.read_u16(at).unwrap().to_le_bytes(), phys[index..index + 2]);
    }
    let error = memory.read_virt(start.wrapping_add(0x10), &mut [0; 0x3000]).unwrap_err();
    assert_eq!((error.addr, error.cause), (0xffff_ffff_8020_4000, PageError::Absent));
    let error = memory.read_u64(VirtAddr(0x8000_0000_0000)).unwrap_err();
    assert_eq!((error.addr, error.cause), (0x8000_0000_0000, PageError::NonCanonical));
    let error = memory.read_u64(VirtAddr(0x1234)).unwrap_err();
    assert_eq!(error.cause, PageError::NotMapped { level: 4 });
}
