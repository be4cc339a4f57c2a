//! Slices: what was read of a core is in them, in every format, and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "a test may panic"
)]

use proptest::prelude::*;
use std::io::Cursor;
use synth::core::{Elf, Kdump};
use synth::{Arch, DeadKernel, Era};
use vmcore::write::{Format, Keep, WriteError, Written, slice};
use vmcore::{Codec, Machine, MemoryError, OpenOptions, PageError, PhysAddr, PhysMemory, VirtAddr, Vmcore};

const FORMATS: [Format; 6] = [
    Format::Elf,
    Format::Kdump(Codec::Raw),
    Format::Kdump(Codec::Zlib),
    Format::Kdump(Codec::Lzo),
    Format::Kdump(Codec::Snappy),
    Format::Kdump(Codec::Zstd),
];

fn open(bytes: Vec<u8>) -> Vmcore {
    Vmcore::from_bytes(vec![bytes], &OpenOptions::default()).unwrap()
}

fn read(core: &Vmcore, at: u64, len: usize) -> Result<Vec<u8>, MemoryError> {
    let mut bytes = vec![0; len];
    core.read_phys(PhysAddr(at), &mut bytes).map(|()| bytes)
}

/// Opens a core, reads it, and returns it with its slice.
fn sliced(bytes: &[u8], reads: &[(u64, usize)], format: Format, keep: Keep) -> (Vmcore, Vec<u8>, Written) {
    let mut core = open(bytes.to_vec());
    core.record_reads(format).unwrap();
    for (at, len) in reads {
        let _ = read(&core, *at, *len);
    }
    let mut out = Cursor::new(Vec::new());
    let mut last = (0, 0);
    let written =
        slice(&core, core.reads(), format, keep, &mut out, &mut |done, all| last = (done, all)).unwrap();
    assert_eq!(last.0, last.1);
    let out = out.into_inner();
    assert_eq!(out.len() as u64, written.file_bytes, "{format}");
    (core, out, written)
}

/// Everything that must hold of one slice.
fn check(core: &[u8], reads: &[(u64, usize)], format: Format, keep: Keep) {
    let label = format!("{format} {keep:?}");
    let (core, bytes, written) = sliced(core, reads, format, keep);
    let part = open(bytes.clone());
    let incomplete = core.warnings().iter().filter(|warning| warning.starts_with("incomplete"));
    assert_eq!(part.warnings(), incomplete.cloned().collect::<Vec<_>>(), "{label}");
    assert_eq!(
        (part.machine(), part.abi(), part.page_size()),
        (core.machine(), core.abi(), core.page_size()),
        "{label}"
    );
    assert_eq!(part.vmcoreinfo(), core.vmcoreinfo(), "{label}");
    if format != Format::Elf {
        assert_eq!(part.header(), core.header(), "{label}");
        assert_eq!(part.memory_end(), core.memory_end().next_multiple_of(core.page_size()), "{label}");
    } else {
        assert_eq!(part.memory_end(), core.memory_end(), "{label}");
    }
    for (at, len) in reads {
        match (read(&core, *at, *len), read(&part, *at, *len)) {
            (Ok(expected), found) => assert_eq!(found, Ok(expected), "{label} {at:#x} {len}"),
            (Err(expected), Err(found)) => assert_eq!(found.addr, expected.addr, "{label} {at:#x} {len}"),
            (Err(_), Ok(_)) => panic!("{label}: {at:#x} can be read in the slice only"),
        }
    }
    // Whole pages, or nothing beside what was read.
    let seen = core.reads();
    let page_size = core.page_size();
    let mut pages = 0;
    for range in part.ranges() {
        for start in (range.start - range.start % page_size..range.end).step_by(page_size as usize) {
            let (from, to) = (start.max(range.start), (start + page_size).min(range.end));
            let whole = read(&core, from, (to - from) as usize);
            let Ok(found) = read(&part, from, (to - from) as usize) else {
                // Listed, but lost or corrupt.
                assert!(whole.is_err(), "{label}: {from:#x}");
                continue;
            };
            pages += 1;
            for (at, &byte) in (from..).zip(&found) {
                let was_read = seen.ranges.iter().any(|range| range.contains(&at));
                match (keep, was_read, &whole) {
                    (Keep::Bytes, false, _) => assert_eq!(byte, 0, "{label}: {at:#x} was never read"),
                    (_, _, Ok(whole)) => assert_eq!(byte, whole[(at - from) as usize], "{label}: {at:#x}"),
                    (_, _, Err(_)) => {}
                }
            }
        }
    }
    assert_eq!(pages, written.pages, "{label}");
    assert_eq!(written.bytes_read, seen.bytes(), "{label}");
    // A slice of a slice is the same file.
    let (_, again, _) = sliced(&bytes, reads, format, keep);
    assert_eq!(again, bytes, "{label}: sliced again");
}

fn dead(arch: Arch) -> DeadKernel {
    synth::Kernel::new(Era::C).arch(arch).build()
}

/// Some reads of every size within a core, at the ends of what it holds and far out.
fn reads(core: &Vmcore) -> Vec<(u64, usize)> {
    let mut reads = Vec::new();
    for (index, range) in core.ranges().into_iter().enumerate().step_by(3) {
        let at = range.start + (index as u64 * 1237) % (range.end - range.start);
        reads.push((at, 1 + index * 7 % 300));
        reads.push((range.end - 5, 10));
        reads.push((range.start, 4096.min(range.end - range.start) as usize));
    }
    reads.push((core.memory_end() + 0x10_0000, 8));
    reads
}

#[test]
fn every_machine_and_format() {
    for arch in [
        Arch::X86_64,
        Arch::I386,
        Arch::I386Pae,
        Arch::AArch64Page64K,
        Arch::Ppc32,
        Arch::Ppc64,
        Arch::Mips32,
    ] {
        let dead = dead(arch);
        let cores = [
            Elf::kdump().write(&dead).bytes(),
            Elf::kdump().holes(true).write(&dead).bytes(),
            Kdump::new(synth::core::Codec::Zlib).write(&dead).bytes(),
            Kdump::new(synth::core::Codec::Raw).exclude(3..40).lost_from(60).write(&dead).bytes(),
        ];
        for core in cores {
            let reads = reads(&open(core.clone()));
            for format in FORMATS {
                if let Err(error) = open(core.clone()).record_reads(format) {
                    // The only one of these that `uname -m` has no name for here.
                    assert!(arch == Arch::Ppc32 && matches!(error, WriteError::Format { .. }), "{error}");
                    continue;
                }
                for keep in [Keep::Pages, Keep::Bytes] {
                    check(&core, &reads, format, keep);
                }
            }
        }
    }
}

#[test]
fn nothing_read_is_an_empty_core() {
    let core = Elf::kdump().write(&dead(Arch::X86_64)).bytes();
    for format in FORMATS {
        check(&core, &[], format, Keep::Bytes);
    }
}

/// Why a page is missing is still known, as far as the format can tell.
#[test]
fn the_reasons_of_missing_pages_stay() {
    let dead = dead(Arch::X86_64);
    let image = Kdump::new(synth::core::Codec::Zlib).write(&dead).bytes();
    let held = open(image).ranges();
    let frames: Vec<u64> = held.iter().flat_map(|range| range.start / 4096..range.end / 4096).collect();
    let excluded = frames[5];
    let mut core =
        Kdump::new(synth::core::Codec::Zlib).exclude([excluded]).lost_from(100).write(&dead).bytes();
    // The last page that is stored does not decode.
    let corrupt = (0..frames.len())
        .map(|index| frames[index])
        .rfind(|frame| {
            read(&open(core.clone()), frame * 4096, 4096).is_ok_and(|page| page.iter().any(|&byte| byte != 0))
        })
        .unwrap();
    let len = core.len();
    core[len - 40..].fill(0xff);
    let reads: Vec<(u64, usize)> = frames.iter().map(|frame| (frame * 4096 + 8, 8)).collect();
    let cause = |core: &Vmcore, frame: u64| read(core, frame * 4096, 8).map_err(|error| error.cause);
    let lost = *frames.last().unwrap();
    let original = open(core.clone());
    assert_eq!(cause(&original, excluded), Err(PageError::Excluded));
    assert_eq!(cause(&original, lost), Err(PageError::Lost));
    assert_eq!(cause(&original, corrupt), Err(PageError::Corrupt(Codec::Zlib)));
    for format in FORMATS {
        let (_, bytes, written) = sliced(&core, &reads, format, Keep::Bytes);
        let part = open(bytes);
        assert_eq!(cause(&part, excluded), Err(PageError::Excluded), "{format}");
        let kdump = format != Format::Elf;
        assert_eq!(
            cause(&part, lost),
            Err(if kdump { PageError::Lost } else { PageError::Absent }),
            "{format}"
        );
        let expected = if kdump { PageError::Corrupt(Codec::Zlib) } else { PageError::Absent };
        assert_eq!(cause(&part, corrupt), Err(expected), "{format}");
        assert!(written.missing > 2);
    }
}

/// Registers hold anybody's data; only where the page tables are is kept of them.
#[test]
fn notes_keep_their_number_and_nothing_else() {
    let dead = dead(Arch::X86_64);
    for core in [Elf::kdump().qemu_notes(true).write(&dead).bytes(), Elf::qemu().write(&dead).bytes()] {
        let original = open(core.clone());
        assert!(original.notes().iter().any(|note| note.name == b"QEMU"));
        for format in FORMATS {
            let (_, bytes, _) = sliced(&core, &[], format, Keep::Pages);
            let part = open(bytes);
            assert_eq!(part.notes().len(), original.notes().len(), "{format}");
            for (found, note) in part.notes().iter().zip(original.notes()) {
                assert_eq!((&found.name, found.kind), (&note.name, note.kind), "{format}");
                match note.name.as_slice() {
                    b"VMCOREINFO" => {}
                    b"QEMU" => {
                        assert_eq!(found.desc[416..432], note.desc[416..432], "{format}");
                        let others = found.desc[..416].iter().chain(&found.desc[432..]);
                        assert!(others.into_iter().all(|&byte| byte == 0), "{format}");
                    }
                    _ => assert!(found.desc.iter().all(|&byte| byte == 0), "{format}"),
                }
            }
        }
    }
}

/// A kernel image and the direct map show the same pages: both are still in the program headers, the pages once in the file.
#[test]
fn program_headers_keep_their_addresses() {
    let dead = dead(Arch::X86_64);
    let core = Elf::kdump().write(&dead).bytes();
    let original = open(core.clone());
    let segments = original.header().segments.clone();
    let reads = reads(&original);
    let (_, bytes, _) = sliced(&core, &reads, Format::Elf, Keep::Pages);
    let part = open(bytes);
    for segment in &segments {
        let (phys, virt) = (segment.phys.unwrap().0, segment.virt.unwrap().0);
        let kept: Vec<_> = part
            .header()
            .segments
            .iter()
            .filter(|kept| kept.virt.unwrap().0.wrapping_sub(kept.phys.unwrap().0) == virt.wrapping_sub(phys))
            .collect();
        assert!(kept.iter().any(|kept| kept.virt == segment.virt), "{virt:#x}");
    }
    for (at, len) in &reads {
        let Ok(expected) = read(&original, *at, *len) else { continue };
        for segment in &segments {
            let (phys, virt) = (segment.phys.unwrap().0, segment.virt.unwrap().0);
            if *at < phys || at + *len as u64 > phys + segment.len {
                continue;
            }
            let mut found = vec![0; *len];
            part.read_segment(VirtAddr(virt + (at - phys)), &mut found).unwrap();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn very_many_runs_need_a_section_header() {
    let dead = synth::Kernel::new(Era::C).ram(1 << 30).build();
    let core = Elf::kdump().whole_ram(true).write(&dead).bytes();
    let end = open(core.clone()).memory_end();
    let reads: Vec<(u64, usize)> =
        (0..end / 4096).step_by(2).take(70_000).map(|frame| (frame * 4096, 1)).collect();
    let (_, bytes, written) = sliced(&core, &reads, Format::Elf, Keep::Bytes);
    assert!(written.pages > 0xffff, "{written:?}");
    assert_eq!(bytes[56..58], [0xff, 0xff], "PN_XNUM");
    let part = open(bytes);
    for (at, len) in reads.iter().step_by(999) {
        assert!(read(&part, *at, *len).is_ok(), "{at:#x}");
    }
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let mut bytes = Elf::kdump().write(&dead(Arch::X86_64)).bytes();
    bytes[18] = 2; // SPARC
    let mut core = open(bytes);
    assert_eq!(core.machine(), Machine::Other(2));
    let error = core.record_reads(Format::Kdump(Codec::Zlib)).unwrap_err();
    assert!(matches!(error, WriteError::Format { .. }));
    assert_eq!(
        error.to_string(),
        "a file in the format kdump-compressed, zlib cannot hold memory of ELF machine 2"
    );
    core.record_reads(Format::Elf).unwrap();
}

#[test]
fn searches_are_no_reads() {
    let core = Elf::qemu().write(&dead(Arch::X86_64)).bytes();
    let mut core = open(core);
    core.record_reads(Format::Elf).unwrap();
    let found = vmcore::translate::find_vmcoreinfo(&core);
    let reads = core.reads();
    assert!(reads.bytes() < 64 << 10, "{} bytes", reads.bytes());
    for (at, _) in found {
        assert!(reads.ranges.iter().any(|range| range.contains(&at.0)), "what was found is read");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_reads_come_back(
        reads in proptest::collection::vec((0_u64..0x40_0000, 0_usize..9000), 0..30),
        format in proptest::sample::select(FORMATS.to_vec()),
        bytes: bool,
        elf: bool,
    ) {
        let dead = dead(Arch::X86_64);
        let core = if elf { Elf::kdump().write(&dead).bytes() } else { Kdump::new(synth::core::Codec::Zstd).write(&dead).bytes() };
        check(&core, &reads, format, if bytes { Keep::Bytes } else { Keep::Pages });
    }
}
