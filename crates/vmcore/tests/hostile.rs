//! Any bytes, and damaged copies of real cores: opening and reading end, without panic, within bounds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use proptest::prelude::*;
use proptest::sample::Index;
use std::sync::LazyLock;
use vmcore::{OpenOptions, PhysAddr, PhysMemory, VirtAddr, Vmcore};

/// A file of the `fixtures` folder of the workspace.
fn read(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The parts of a split dump.
static SPLIT: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| vec![read("K1-2cpu/core.kdump-split1"), read("K1-2cpu/core.kdump-split2")]);

/// Real files in each format, with the length of their headers, bitmaps and descriptors or program headers.
static CORES: LazyLock<Vec<(Vec<u8>, usize)>> = LazyLock::new(|| {
    let read =
        |name: &str| std::fs::read(format!("{}/../../fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    vec![
        (read("K1-2cpu/core.elf"), 0x2000),
        (read("K1-2cpu/core.kdump-zlib"), 0x9000),
        (read("K1-2cpu/core.kdump-lzo"), 0x9000),
        (read("K1-2cpu/core.kdump-zlib.flat"), 0x2000),
        (read("X2-i386-2cpu/core.kdump-zlib"), 0x9000),
    ]
});

/// Reads what a scan, a walker and an extraction would.
fn exercise(parts: Vec<Vec<u8>>) {
    let Ok(core) = Vmcore::from_bytes(parts, &OpenOptions::default()) else { return };
    let mut buf = vec![0; 9000];
    let ranges = core.ranges();
    assert!(ranges.is_sorted_by(|before, after| before.end < after.start));
    for range in ranges.iter().take(40) {
        for addr in [range.start, range.end.wrapping_sub(5), range.start.wrapping_sub(3)] {
            let _ = core.read_phys(PhysAddr(addr), &mut buf);
            let _ = core.read_phys(PhysAddr(addr), &mut buf[..8]);
        }
    }
    for addr in [0, u64::MAX, u64::MAX - 4096, 1 << 52] {
        let _ = core.read_phys(PhysAddr(addr), &mut buf);
        let _ = core.read_segment(VirtAddr(addr), &mut buf);
    }
    for segment in core.header().segments.iter().take(40) {
        let _ = segment.virt.map(|addr| core.read_segment(addr, &mut buf));
    }
    let _ = (core.format().to_string(), core.vmcoreinfo().map(|info| info.lines().count()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_end_without_panic(
        magic in prop::sample::select(vec![&b""[..], b"\x7fELF\x02\x01", b"\x7fELF\x01\x02", b"KDUMP   \x06\0\0\0", b"DISKDUMP"]),
        bytes in prop::collection::vec(any::<u8>(), 0..9000),
    ) {
        exercise(vec![[magic, &bytes].concat()]);
    }

    #[test]
    fn damaged_cores_end_without_panic(
        which in any::<Index>(),
        edits in prop::collection::vec((any::<Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]), 0..12),
        anywhere in any::<(Index, u8)>(),
        cut in prop::option::of(any::<Index>()),
    ) {
        let (core, headers) = which.get(&CORES);
        let mut core = core.clone();
        for (at, byte) in edits {
            core[at.index(*headers)] = byte;
        }
        let at = anywhere.0.index(core.len());
        core[at] = anywhere.1;
        if let Some(cut) = cut {
            core.truncate(cut.index(core.len()));
        }
        exercise(vec![core]);
    }

    /// Two parts of a split dump, with the fields damaged that tell how they fit.
    #[test]
    fn damaged_sets_end_without_panic(
        edits in prop::collection::vec((any::<bool>(), 0..0x1100_usize, any::<u8>()), 0..6),
        ranges in prop::collection::vec((any::<bool>(), 0..4_usize, prop::sample::select(vec![0, 0xf2fa, 0xffe0, u64::MAX])), 0..3),
    ) {
        let mut parts = SPLIT.clone();
        for (part, at, byte) in edits {
            parts[usize::from(part)][at] = byte;
        }
        for (part, field, value) in ranges {
            // start_pfn and end_pfn, obsolete and not.
            let at = 0x1000 + [16, 24, 80, 88][field];
            parts[usize::from(part)][at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        exercise(parts);
    }

    /// Whole fields at once: the largest and the smallest numbers where counts, sizes and offsets stand.
    #[test]
    fn extreme_fields_end_without_panic(
        which in any::<Index>(),
        fields in prop::collection::vec(
            (any::<Index>(), prop::sample::select(vec![4_usize, 8]), prop::sample::select(vec![0, 1, 8, 0xffff, 1 << 31, 1 << 40, 1 << 63, u64::MAX])),
            1..4,
        ),
    ) {
        let (core, headers) = which.get(&CORES);
        let mut core = core.clone();
        for (at, len, value) in fields {
            let at = at.index(*headers / 4) * 4;
            core[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        }
        exercise(vec![core]);
    }
}
