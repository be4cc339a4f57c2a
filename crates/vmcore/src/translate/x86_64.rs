//! x86-64: 4 or 5 levels, the kernel image in the top 2 GiB, a direct map of all memory below.

use crate::translate::architecture::{Architecture, Candidate, DirectMap};
use crate::translate::clues::Clues;
use crate::translate::paging::{Entry, Form, Mapping, Paging, sign_extended};
use crate::{Abi, Machine, PhysAddr};
use std::ops::ControlFlow;

/// `__START_KERNEL_map`: the image is mapped from here on.
const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// Alignment of an image that is moved (`CONFIG_PHYSICAL_ALIGN`).
const IMAGE_ALIGN: u64 = 2 << 20;
/// The image never moves further than the largest `KERNEL_IMAGE_SIZE`.
const KASLR_MAX: u64 = 1 << 30;
/// The direct map of 4 levels: vmalloc lies 64 TiB above.
const DIRECT_MAX: u64 = 1 << 46;
/// Address bits of an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PRESENT: u64 = 1;
const HUGE: u64 = 1 << 7;
/// The kernel's root table under its names of different ages.
const ROOT: [&str; 3] = ["init_top_pgt", "init_level4_pgt", "swapper_pg_dir"];
/// Enough table entries to come to the first page of the image.
const ENTRIES_MAX: u64 = 64 * 512;

/// See the module.
#[derive(Debug)]
pub(crate) struct X86_64;

fn form(five_levels: bool, encryption: u64) -> Form {
    Form {
        name: if five_levels { "5 levels" } else { "4 levels" },
        page_shift: 12,
        entry_bytes: 8,
        index_bits: [9, 9, 9, 9, if five_levels { 9 } else { 0 }],
        entry_mask: !encryption,
        decode,
        canonical: sign_extended,
    }
}

fn decode(_: &Form, entry: u64, level: u8) -> Entry {
    match level {
        _ if entry & PRESENT == 0 => Entry::Absent,
        1 => Entry::Leaf(entry & ADDRESS),
        2 | 3 if entry & HUGE != 0 => Entry::Leaf(entry & ADDRESS),
        _ if entry & HUGE != 0 => Entry::Absent, // Reserved: the processor faults.
        _ => Entry::Table(entry & ADDRESS),
    }
}

impl Architecture for X86_64 {
    fn machine(&self) -> Machine {
        Machine::X86_64
    }

    fn candidates(&self, clues: &Clues<'_>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        match clues.banner_at {
            Some(banner) => candidates.extend(by_banner(clues, banner)),
            None => {
                if clues.vmcoreinfo.is_none() {
                    candidates.extend(by_registers(clues));
                }
                candidates.extend(by_phys_base(clues));
            }
        }
        if let Some(base) = clues.hints.phys_base {
            for candidate in &mut candidates {
                candidate.against = candidate.linear.iter().any(|image| image.delta != image_delta(base));
            }
        }
        candidates
    }

    fn direct_maps(&self, clues: &Clues<'_>, found: &Candidate) -> Vec<DirectMap> {
        let len = clues.memory_end().min(DIRECT_MAX);
        let map = |delta, source: &str, stated| DirectMap {
            delta,
            first: delta,
            len,
            source: source.into(),
            stated,
            by_user: false,
        };
        let mut maps = Vec::new();
        for segment in clues.segments {
            if let (Some(phys), Some(virt)) = (segment.phys, segment.virt) {
                let delta = virt.0.wrapping_sub(phys.0);
                if virt.0 >> 63 == 1
                    && virt.0 < KERNEL_MAP
                    && !maps.iter().any(|m: &DirectMap| m.delta == delta)
                {
                    maps.push(map(delta, "program headers", true));
                }
            }
            if maps.len() == 4 {
                break; // A kernel has one.
            }
        }
        let variable = || {
            let at = clues.symbol(&["page_offset_base"], found.kaslr)?;
            let mut bytes = [0; 8];
            clues.mem.read_phys(PhysAddr(found.linear(at)?), &mut bytes).ok()?;
            Abi::LE64.u64(&bytes, 0)
        };
        maps.extend(variable().map(|base| map(base, "page_offset_base", true)));
        let constants: [u64; 5] = [
            0xffff_8880_0000_0000, // 4.20 and later
            0xffff_8800_0000_0000, // 2.6.27 to 4.19
            0xffff_8100_0000_0000, // to 2.6.26
            0xff11_0000_0000_0000, // 5 levels
            0xff10_0000_0000_0000, // 5 levels, to 4.19
        ];
        maps.extend(constants.map(|base| map(base, "the usual place", false)));
        maps.extend(
            found
                .paging
                .and_then(|paging| random_direct_map(clues, &paging))
                .map(|base| map(base, "page tables", false)),
        );
        maps
    }
}

/// Where the tables have the direct map, if it was put at a random place: the lowest mapping that lies as one does.
fn random_direct_map(clues: &Clues<'_>, paging: &Paging) -> Option<u64> {
    let first = if paging.form.levels() == 5 { 0xff10_0000_0000_0000 } else { 0xffff_8800_0000_0000 };
    let mut base = None;
    paging.visit(clues.mem, first, KERNEL_MAP - 1, ENTRIES_MAX, &mut |mapping| {
        let delta = mapping.va.wrapping_sub(mapping.pa);
        // Random places are multiples of 1 GiB; other mappings lie so by chance only.
        if delta >= first && delta % (1 << 30) == 0 {
            base = Some(delta);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    base
}

/// `va - pa` of the image.
fn image_delta(phys_base: u64) -> u64 {
    KERNEL_MAP.wrapping_sub(phys_base)
}

fn encryption(clues: &Clues<'_>) -> u64 {
    clues.number("sme_mask").unwrap_or(0)
}

/// Which forms the tables may have.
fn forms(clues: &Clues<'_>) -> Vec<Form> {
    let mask = encryption(clues);
    match clues.number("pgtable_l5_enabled") {
        Some(enabled) => vec![form(enabled != 0, mask)],
        // Kernels without this key have 4 levels, but for some between 4.14 and 4.16.
        None => vec![form(false, mask), form(true, mask)],
    }
}

/// Somebody says where the image was loaded: all else follows from symbols.
fn by_phys_base(clues: &Clues<'_>) -> Vec<Candidate> {
    let kaslr = clues.kaslr().unwrap_or(0);
    let mut bases: Vec<(u64, &str)> = Vec::new();
    bases.extend(clues.hints.phys_base.map(|base| (base, "the user")));
    bases.extend(clues.number("phys_base").map(|base| (base, "NUMBER(phys_base)")));
    let image = clues.segments.iter().filter_map(|segment| {
        let (phys, virt) = (segment.phys?.0, segment.virt?.0);
        Some(phys.wrapping_sub(virt.checked_sub(KERNEL_MAP)?))
    });
    bases.extend(image.take(1).map(|base| (base, "program headers")));
    // QEMU writes nonsense there when it is negative, hence after the others.
    bases.extend(clues.header_phys_base.map(|base| (base, "the kdump sub-header")));
    bases.push((0, "a kernel that was not moved"));
    let root = clues.symbol(&ROOT, kaslr);
    let mut candidates: Vec<Candidate> = Vec::new();
    for (index, &(base, source)) in bases.iter().enumerate() {
        if bases.iter().take(index).any(|&(earlier, _)| earlier == base) {
            continue;
        }
        let delta = image_delta(base);
        let how = format!("phys_base {base:#x} from {source}");
        match root {
            Some(root) => candidates.extend(forms(clues).into_iter().map(|form| {
                let paging = Paging { form, root: root.wrapping_sub(delta) };
                Candidate::new(clues, how.clone(), kaslr, delta, Some(paging))
            })),
            None => candidates.push(Candidate::new(clues, how, kaslr, delta, None)),
        }
    }
    candidates
}

/// The first page of the image as the tables have it.
fn first_of_image(clues: &Clues<'_>, paging: &Paging) -> Option<Mapping> {
    let mut first = None;
    paging.visit(clues.mem, KERNEL_MAP, u64::MAX, ENTRIES_MAX, &mut |mapping| {
        first = Some(mapping);
        ControlFlow::Break(())
    });
    first
}

/// How far an image whose first mapping is at `va` may have been moved from where it was linked.
fn moves(clues: &Clues<'_>, va: u64) -> Vec<u64> {
    if let Some(kaslr) = clues.kaslr() {
        return vec![kaslr];
    }
    let linked = clues.hints.first(&["_text", "_stext"]);
    let computed = linked.map(|linked| (va - va % IMAGE_ALIGN).wrapping_sub(linked - linked % IMAGE_ALIGN));
    // Old kernels map from the start of the range, below the image: they were not moved either.
    let mut moves: Vec<u64> = computed.into_iter().filter(|&moved| moved < KASLR_MAX).collect();
    if !moves.contains(&0) {
        moves.push(0);
    }
    moves
}

/// A processor's CR3 leads to tables in which the image is mapped.
fn by_registers(clues: &Clues<'_>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    let mut roots: Vec<u64> = Vec::new();
    for registers in clues.registers {
        let cr3 = registers.cr3 & ADDRESS;
        // With page-table isolation the user's half of a pair of roots has bit 12 set, and misses the image.
        for root in [cr3, cr3 & !0x1000] {
            if roots.contains(&root) || roots.len() == 16 {
                continue;
            }
            roots.push(root);
            let paging = Paging { form: form(registers.five_levels(), encryption(clues)), root };
            let Some(first) = first_of_image(clues, &paging) else { continue };
            let delta = first.va.wrapping_sub(first.pa);
            for kaslr in moves(clues, first.va) {
                let how = format!("CR3 {root:#x} of a QEMU note, image mapped from {:#x}", first.va);
                // A process has only those parts of vmalloc that it has met; the kernel's own root has all.
                if let Some(own) = clues.symbol(&ROOT, kaslr) {
                    let paging = Paging { root: own.wrapping_sub(delta), ..paging };
                    candidates.push(Candidate::new(clues, how.clone(), kaslr, delta, Some(paging)));
                }
                candidates.push(Candidate::new(clues, how, kaslr, delta, Some(paging)));
            }
        }
    }
    candidates
}

/// The banner's place tells `phys_base + kaslr`; the tables, which lie in the image too, tell them apart.
fn by_banner(clues: &Clues<'_>, banner: PhysAddr) -> Vec<Candidate> {
    let Some(linked) = clues.hints.first(&["linux_banner"]) else { return Vec::new() };
    let linked_delta = linked.wrapping_sub(banner.0);
    let how = format!("banner found at physical {banner}");
    let mut candidates = Vec::new();
    if let Some(root) = clues.hints.first(&ROOT) {
        for form in forms(clues) {
            let paging = Paging { form, root: root.wrapping_sub(linked_delta) };
            let Some(first) = first_of_image(clues, &paging) else { continue };
            for kaslr in moves(clues, first.va) {
                let delta = linked_delta.wrapping_add(kaslr);
                candidates.push(Candidate::new(clues, how.clone(), kaslr, delta, Some(paging)));
            }
        }
    }
    if candidates.is_empty() {
        let kaslr = clues.kaslr().unwrap_or(0);
        candidates.push(Candidate::new(clues, how, kaslr, linked_delta.wrapping_add(kaslr), None));
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageError;
    use crate::translate::fake::Ram;
    use proptest::prelude::*;

    /// The worked example: indexes 0x192, 0, 9, 0x34 with 4 levels.
    #[test]
    fn a_page_and_a_block_are_found() {
        let mut ram = Ram::new(Machine::X86_64, Abi::LE64);
        ram.put_u64(0x1000 + 0x192 * 8, 0x2003);
        ram.put_u64(0x2000, 0x3003);
        ram.put_u64(0x3000 + 9 * 8, 0x4003);
        ram.put_u64(0x4000 + 0x34 * 8, 0x8000_0000_0000_5163);
        let paging = Paging { form: form(false, 0), root: 0x1000 };
        let va = 0xffff_c900_0123_4567;
        let found = paging.walk(&ram, va);
        assert_eq!(found, Ok(Mapping { va, pa: 0x5567, len: 0xa99 }));
        // The same address through a 2 MiB page with PAT and NX set.
        ram.put_u64(0x3000 + 9 * 8, 0x8000_0001_2340_10e3);
        assert_eq!(paging.walk(&ram, va).map(|found| found.pa), Ok(0x1_2340_0000 + 0x34567));
        // And through a 1 GiB page.
        ram.put_u64(0x2000, 0xc000_00e3);
        assert_eq!(paging.walk(&ram, va).map(|found| (found.pa, found.len)), Ok((0xc123_4567, 0x3edc_ba99)));
        // A module address: 0x1ff, 0x1ff, 5, 1.
        assert_eq!(paging.walk(&ram, 0xffff_ffff_c0a0_1000), Err(PageError::NotMapped { level: 4 }));
    }

    #[test]
    fn five_levels_and_the_encryption_bit() {
        let mut ram = Ram::new(Machine::X86_64, Abi::LE64);
        let va: u64 = 0xff11_0000_0000_0123;
        let c_bit = 1 << 47;
        let index = |level: u32| (va >> (12 + 9 * (level - 1))) & 0x1ff;
        for level in (2..=5).rev() {
            let table = u64::from(6 - level) * 0x1000;
            ram.put_u64(table + index(level) * 8, (table + 0x1000) | 3 | c_bit);
        }
        ram.put_u64(0x5000 + index(1) * 8, 0x7000 | 3 | c_bit);
        let paging = Paging { form: form(true, c_bit), root: 0x1000 };
        assert_eq!(paging.walk(&ram, va).map(|found| found.pa), Ok(0x7123));
        let four = Paging { form: form(false, 0), root: 0x1000 };
        assert_eq!(four.walk(&ram, va), Err(PageError::NonCanonical));
        // Without the mask the next table is nowhere.
        let bare = Paging { form: form(true, 0), root: 0x1000 };
        assert_eq!(bare.walk(&ram, va), Err(PageError::Absent));
    }

    #[test]
    fn tables_that_point_to_themselves_end() {
        let mut ram = Ram::new(Machine::X86_64, Abi::LE64);
        for index in 0..512 {
            ram.put_u64(0x1000 + index * 8, 0x1003);
        }
        let paging = Paging { form: form(true, 0), root: 0x1000 };
        assert_eq!(paging.walk(&ram, 0xffff_8880_0000_0010).map(|found| found.pa), Ok(0x1010));
        let mut count = 0;
        paging.visit(&ram, 0xff00_0000_0000_0000, u64::MAX, 100 * 512, &mut |_| {
            count += 1;
            ControlFlow::Continue(())
        });
        assert!(count <= 100 * 512, "{count}");
        // Entries of 4 levels up that claim to be pages are reserved.
        ram.put_u64(0x1000 + 511 * 8, 0x10e3);
        let four = Paging { form: form(false, 0), root: 0x1000 };
        assert_eq!(four.walk(&ram, u64::MAX), Err(PageError::NotMapped { level: 4 }));
    }

    proptest! {
        #[test]
        fn what_was_mapped_is_found(
            pages in proptest::collection::btree_map(0u64..1 << 36, 0u64..1 << 38, 1..20),
            high: bool,
        ) {
            let mut ram = Ram::new(Machine::X86_64, Abi::LE64);
            let mut next = 0x2000;
            let full = |page: u64| {
                let va = page << 12;
                if high { va | 0xffff_8000_0000_0000 } else { va & 0x7fff_ffff_ffff }
            };
            let mut expected = std::collections::BTreeMap::new();
            for (&page, &frame) in &pages {
                let va = full(page);
                let mut table = 0x1000;
                for shift in [39, 30, 21] {
                    let slot = table + ((va >> shift) & 0x1ff) * 8;
                    table = ram.u64(slot) & ADDRESS;
                    if table == 0 {
                        table = next;
                        next += 0x1000;
                        ram.put_u64(slot, table | 0x63);
                    }
                }
                ram.put_u64(table + ((va >> 12) & 0x1ff) * 8, (frame << 12) | 0x63);
                expected.insert(va, frame << 12);
            }
            let paging = Paging { form: form(false, 0), root: 0x1000 };
            for (&va, &pa) in &expected {
                prop_assert_eq!(paging.walk(&ram, va | 0x123).map(|found| found.pa), Ok(pa | 0x123));
            }
            let mut visited = std::collections::BTreeMap::new();
            let (first, last) = if high { (0xffff_8000_0000_0000, u64::MAX) } else { (0, 0x7fff_ffff_ffff) };
            paging.visit(&ram, first, last, 1 << 20, &mut |mapping| {
                visited.insert(mapping.va, mapping.pa);
                ControlFlow::Continue(())
            });
            prop_assert_eq!(visited, expected);
        }
    }
}
