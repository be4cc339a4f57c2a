//! Real cores of one kernel in every format, from the `fixtures` folder of the workspace.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use vmcore::{Abi, Machine, OpenOptions, PageError, PhysAddr, PhysMemory, Vmcore};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures")).join(name)
}

fn open(names: &[&str], no_mmap: bool) -> Vmcore {
    let paths: Vec<PathBuf> = names.iter().map(|name| fixture(name)).collect();
    Vmcore::open(&paths, &OpenOptions { no_mmap, ..OpenOptions::default() }).unwrap()
}

/// Every page that the core holds, by address, read page by page.
fn pages(core: &Vmcore) -> BTreeMap<u64, Vec<u8>> {
    let addresses = core.ranges().into_iter().flat_map(|range| range.step_by(core.page_size() as usize));
    let read = |addr| {
        let mut page = vec![0; core.page_size() as usize];
        core.read_phys(PhysAddr(addr), &mut page).unwrap();
        (addr, page)
    };
    addresses.map(read).collect()
}

const K1: &[(&[&str], &str)] = &[
    (&["K1-2cpu/core.elf"], "ELF64 core"),
    (&["K1-2cpu/core.kdump-raw"], "kdump-compressed v6, raw"),
    (&["K1-2cpu/core.kdump-zlib"], "kdump-compressed v6, zlib"),
    (&["K1-2cpu/core.kdump-lzo"], "kdump-compressed v6, LZO"),
    (&["K1-2cpu/core.kdump-snappy"], "kdump-compressed v6, snappy"),
    (&["K1-2cpu/core.kdump-zstd"], "kdump-compressed v6, zstd"),
    (&["K1-2cpu/core.kdump-zlib.flat"], "kdump-compressed v6, zlib, flattened"),
    (&["K1-2cpu/core.kdump-split1", "K1-2cpu/core.kdump-split2"], "kdump-compressed v6, zlib, split in 2"),
    (&["K1-2cpu/core.kdump-split2", "K1-2cpu/core.kdump-split1"], "kdump-compressed v6, zlib, split in 2"),
];

#[test]
fn every_format_has_the_same_pages() {
    let expected = pages(&open(K1[0].0, false));
    assert_eq!(expected.len(), 300);
    for (names, format) in K1 {
        for no_mmap in [false, true] {
            let core = open(names, no_mmap);
            assert_eq!(core.format().to_string(), *format);
            assert_eq!((core.machine(), core.abi(), core.page_size()), (Machine::X86_64, Abi::LE64, 4096));
            assert_eq!(core.warnings(), [""; 0], "{format}");
            assert!(pages(&core) == expected, "{format} has other pages");
        }
    }
}

#[test]
fn parts_of_pages_and_runs_of_pages_are_the_same_bytes() {
    let elf = open(K1[0].0, false);
    let ranges = elf.ranges();
    for (names, format) in &K1[1..] {
        let core = open(names, false);
        assert_eq!(core.ranges(), ranges);
        for range in &ranges {
            let len = (range.end - range.start) as usize;
            // Not aligned to anything, first through the cache, then whole pages, then through the warm cache.
            for (skip, cut) in [(1, 1), (0, 0), (4095, 0), (8, 4000)] {
                let (mut one, mut other) = (vec![0; len - skip - cut], vec![1; len - skip - cut]);
                let addr = PhysAddr(range.start + skip as u64);
                elf.read_phys(addr, &mut one).unwrap();
                core.read_phys(addr, &mut other).unwrap();
                assert!(one == other, "{format} {addr}");
            }
        }
    }
}

#[test]
fn threads_share_a_core() {
    let (elf, core) = (open(K1[0].0, false), open(&["K1-2cpu/core.kdump-zstd"], false));
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (elf, core) = (&elf, &core);
            scope.spawn(move || {
                for range in elf.ranges() {
                    for addr in (range.start + thread * 8..range.end - 64).step_by(256) {
                        let (mut one, mut other) = ([0; 64], [0; 64]);
                        elf.read_phys(PhysAddr(addr), &mut one).unwrap();
                        core.read_phys(PhysAddr(addr), &mut other).unwrap();
                        assert_eq!(one, other);
                    }
                }
            });
        }
    });
}

#[test]
fn every_format_leads_to_the_same_notes() {
    let elf = open(K1[0].0, false);
    let info = elf.vmcoreinfo().unwrap();
    assert!(info.osrelease().unwrap().starts_with(b"2.6.27"));
    assert_eq!(info.page_size(), Some(4096));
    assert!(info.symbol("_stext").unwrap() >= 0xffff_ffff_8000_0000);
    assert!(info.crash_time().is_some());
    for (names, format) in &K1[1..] {
        let core = open(names, false);
        assert_eq!(core.vmcoreinfo(), Some(info), "{format}");
        assert_eq!(core.notes(), elf.notes(), "{format}");
        let utsname = core.header().utsname.as_ref().unwrap();
        assert_eq!((&utsname.sysname[..], &utsname.machine[..]), (&b"Linux"[..], &b"x86_64"[..]));
        assert_eq!(core.header().dump_level, Some(31));
    }
}

#[test]
fn a_part_alone_is_readable_and_says_what_is_missing() {
    let (core, whole) = (open(&["K1-2cpu/core.kdump-split1"], false), open(K1[0].0, false));
    assert_eq!(core.warnings(), ["part of the split dump is missing: page frames 0xf2fa to 0xffe0 are lost"]);
    let (held, all) = (pages(&core), pages(&whole));
    assert!(!held.is_empty() && held.len() < all.len());
    for (addr, page) in &all {
        if *addr < 0xf2fa << 12 {
            assert_eq!(&held[addr], page);
        } else {
            let error = core.read_phys(PhysAddr(*addr), &mut [0; 8]).unwrap_err();
            assert_eq!((error.addr, error.cause), (*addr, PageError::Lost));
        }
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let refused = |names: &[&str]| {
        let paths: Vec<PathBuf> = names.iter().map(|name| fixture(name)).collect();
        let error = Vmcore::open(&paths, &OpenOptions::default()).unwrap_err();
        error.to_string().rsplit_once("core.").map(|(_, rest)| rest.to_owned()).unwrap_or(error.to_string())
    };
    let (one, other) = ("K1-2cpu/core.kdump-split1", "K1-2cpu/core.kdump-split2");
    assert_eq!(refused(&[one, other, one]), "kdump-split1");
    assert!(refused(&[one, "K1-2cpu/core.kdump-zlib"]).contains("not a part of a split dump"));
    assert!(refused(&[one, "K1-2cpu/core.elf"]).contains("ELF core is one file"));
    assert!(refused(&["K1-2cpu/core.elf", "K1-2cpu/core.elf"]).contains("ELF core is one file"));
    assert!(refused(&["K1-2cpu/README.md"]).contains("found text that begins"));
}

/// A 32-bit kernel: ELF32, and headers of kdump-compressed with the alignment of i386.
#[test]
fn a_32_bit_core_is_the_same_in_both_formats() {
    let (elf, kdump) =
        (open(&["X2-i386-2cpu/core.elf"], false), open(&["X2-i386-2cpu/core.kdump-zlib"], false));
    for core in [&elf, &kdump] {
        assert_eq!((core.machine(), core.abi(), core.page_size()), (Machine::X86, Abi::LE32, 4096));
        assert_eq!(core.warnings(), [""; 0]);
    }
    assert_eq!(elf.format().to_string(), "ELF32 core");
    assert!(pages(&elf) == pages(&kdump));
    assert_eq!(elf.vmcoreinfo(), kdump.vmcoreinfo());
    assert!(elf.vmcoreinfo().unwrap().osrelease().unwrap().starts_with(b"2.6.27"));
    assert_eq!(elf.notes(), kdump.notes());
    let segment = elf.header().segments[0];
    assert_eq!(segment.virt.unwrap().0 - segment.phys.unwrap().0, 0xc000_0000);
}

#[test]
fn what_is_not_in_the_dump_says_why() {
    let (elf, kdump) = (open(K1[0].0, false), open(&["K1-2cpu/core.kdump-zlib"], false));
    for core in [&elf, &kdump] {
        let held = core.ranges();
        let beyond = core.read_phys(PhysAddr(held.last().unwrap().end), &mut [0; 1]).unwrap_err();
        assert!(matches!(beyond.cause, PageError::Absent | PageError::Excluded));
        let far = core.read_phys(PhysAddr(u64::MAX), &mut [0; 1]).unwrap_err();
        assert_eq!((far.addr, far.cause), (u64::MAX, PageError::Absent));
        let mut across = vec![0; 2 << 20];
        let error = core.read_phys(PhysAddr(held[0].start), &mut across).unwrap_err();
        assert_eq!(error.addr, held[0].end, "the first byte that cannot be read");
    }
}
