//! arm64: granules of 4, 16 and 64 KiB, 36 to 52 address bits, image and direct map in different halves.
//!
//! | | to 5.3 | from 5.4 on |
//! |---|---|---|
//! | direct map | upper half of the kernel's space | lower half |
//! | image, modules, vmalloc | lower half | upper half |
//!
//! Before 4.6 the image was in the direct map.

use crate::translate::architecture::{Architecture, Candidate, DirectMap};
use crate::translate::clues::Clues;
use crate::translate::paging::{Entry, Form, Paging, low_bits};
use crate::{Machine, PhysAddr};
use std::ops::ControlFlow;

/// Granules by log2, with the address bits that kernels can be configured for.
const CONFIGURATIONS: [(u32, u32); 10] =
    [(12, 48), (12, 39), (12, 52), (14, 47), (14, 48), (14, 36), (14, 52), (16, 48), (16, 42), (16, 52)];
/// Table entries that are looked at to find where the image is mapped: 4 GiB of 4 KiB pages on the way to it.
const ENTRIES_MAX: u64 = 1 << 20;
/// Images are moved by multiples of the largest granule.
const IMAGE_ALIGN: u64 = 1 << 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct AArch64;

/// The tables for `bits` address bits; at most 5 levels for what `CONFIGURATIONS` has.
fn form(page_shift: u32, bits: u32) -> Form {
    let per_level = page_shift - 3;
    let mut index_bits = [0; 5];
    let mut left = bits.saturating_sub(page_shift);
    for width in &mut index_bits {
        *width = left.min(per_level);
        left -= *width;
    }
    Form {
        name: match page_shift {
            12 => "4 KiB granule",
            14 => "16 KiB granule",
            _ => "64 KiB granule",
        },
        page_shift,
        entry_bytes: 8,
        index_bits,
        entry_mask: u64::MAX,
        decode: match (page_shift, bits) {
            (16, _) => decode_64k,
            (_, 52) => decode_lpa2,
            _ => decode,
        },
        canonical,
    }
}

/// Kernel addresses have all ones above those translated, but for the top byte, which may hold a tag.
fn canonical(form: &Form, va: u64) -> Option<u64> {
    let untagged = va | 0xff << 56;
    let high = !low_bits(form.va_bits());
    (va & (1 << 55) != 0 && untagged & high == high).then_some(untagged)
}

fn entry(entry: u64, level: u8, address: u64) -> Entry {
    match (entry & 3, level) {
        (3, 1) => Entry::Leaf(address),
        (3, _) => Entry::Table(address),
        (1, 2..) => Entry::Leaf(address),
        _ => Entry::Absent,
    }
}

/// Address bits 47 and below.
fn decode(form: &Form, value: u64, level: u8) -> Entry {
    entry(value, level, value & low_bits(48) & !low_bits(form.page_shift))
}

/// Bits 15 to 12 are address bits 51 to 48; 0 on processors without them.
fn decode_64k(_: &Form, value: u64, level: u8) -> Entry {
    entry(value, level, (value & low_bits(48) & !low_bits(16)) | ((value >> 12) & 0xf) << 48)
}

/// LPA2: address bits 49 and 48 in place, 51 and 50 in bits 9 and 8.
fn decode_lpa2(form: &Form, value: u64, level: u8) -> Entry {
    entry(value, level, (value & low_bits(50) & !low_bits(form.page_shift)) | ((value >> 8) & 3) << 50)
}

impl Architecture for AArch64 {
    fn machine(&self) -> Machine {
        Machine::AArch64
    }

    fn candidates(&self, clues: &Clues<'_>) -> Vec<Candidate> {
        if let Some(banner) = clues.banner_at {
            return by_banner(clues, banner);
        }
        let kaslr = clues.kaslr().unwrap_or(0);
        let (Some(stext), root) =
            (clues.symbol(&["_stext", "_text"], kaslr), clues.symbol(&["swapper_pg_dir"], kaslr))
        else {
            return Vec::new();
        };
        let mut candidates = Vec::new();
        for (delta, source) in image_deltas(clues, stext) {
            let how = format!("image at virtual - {delta:#x} from {source}");
            match root {
                Some(root) => candidates.extend(forms(clues, stext).into_iter().map(|form| {
                    let paging = Paging { form, root: root.wrapping_sub(delta) };
                    Candidate::new(clues, how.clone(), kaslr, delta, Some(paging))
                })),
                None => candidates.push(Candidate::new(clues, how, kaslr, delta, None)),
            }
        }
        candidates
    }

    fn direct_maps(&self, clues: &Clues<'_>, found: &Candidate) -> Vec<DirectMap> {
        let end = clues.memory_end();
        // Nothing tells the direct map's program header from that of the image; all of them are used then.
        let Some(paging) = found.paging else { return Vec::new() };
        let form_bits = paging.form.va_bits();
        let configured =
            clues.number("VA_BITS").and_then(|bits| u32::try_from(bits).ok()).unwrap_or(form_bits);
        let actual = actual_bits(clues).unwrap_or(form_bits);
        let stated = phys_offset(clues).map(|(phys, source)| (unshifted(phys, configured, actual), source));
        let by_user = clues.hints.phys_base.is_some();
        let mut maps = Vec::new();
        // 5.4 to 5.8 on a processor without the 52 bits it was configured for.
        let fallen_back = (configured == 52 && stated.is_some()).then_some(48);
        let widths = [configured, form_bits, actual].into_iter().chain(fallen_back);
        for bits in widths.filter(|bits| (36..=52).contains(bits)) {
            // From 5.4 on the lower half, before that the upper one; never where the image is, but in the upper half
            // to 4.5.
            let halves = [!low_bits(bits), !low_bits(bits - 1)];
            let image_is_low = found.linear.first().is_some_and(|image| image.first < !low_bits(bits - 1));
            for first in halves.into_iter().skip(usize::from(image_is_low)) {
                let phys = stated.map(|(phys, _)| phys).or_else(|| {
                    let last = first | low_bits(bits - 1);
                    let mut mapped = None;
                    paging.visit(clues.mem, first, last, ENTRIES_MAX, &mut |mapping| {
                        mapped = Some(mapping);
                        ControlFlow::Break(())
                    });
                    mapped.map(|mapping| mapping.pa.wrapping_sub(mapping.va.wrapping_sub(first)))
                });
                let Some(phys) = phys else { continue };
                let source = stated.map_or("the first page mapped", |(_, source)| source);
                // What lies beyond is vmalloc or nothing.
                let len = end.saturating_sub(phys).min(1 << (bits - 1));
                maps.push(DirectMap {
                    delta: first.wrapping_sub(phys),
                    first,
                    len,
                    source: source.into(),
                    stated: by_user,
                    by_user,
                });
            }
        }
        maps
    }
}

/// Where memory begins, by whom.
fn phys_offset(clues: &Clues<'_>) -> Option<(u64, &'static str)> {
    let user = clues.hints.phys_base.map(|base| (base, "the user"));
    user.or_else(|| Some((clues.number("PHYS_OFFSET")?, "NUMBER(PHYS_OFFSET)")))
}

/// From 5.11 on, a kernel configured for more address bits than the processor has counts from where its direct map would begin
/// then: a place so far below all memory that the number wraps. Here is what lies where it does begin.
fn unshifted(phys: u64, configured: u32, actual: u32) -> u64 {
    if phys >> 52 == 0 {
        return phys;
    }
    phys.wrapping_add((!low_bits(actual)).wrapping_sub(!low_bits(configured)))
}

/// Address bits that the processor translates, if the kernel says so.
fn actual_bits(clues: &Clues<'_>) -> Option<u32> {
    let size = u32::try_from(clues.number("TCR_EL1_T1SZ")?).ok()?;
    64_u32.checked_sub(size).filter(|bits| (36..=52).contains(bits))
}

/// Virtual minus physical address of the image, by whom.
fn image_deltas(clues: &Clues<'_>, stext: u64) -> Vec<(u64, &'static str)> {
    let mut deltas = Vec::new();
    deltas.extend(clues.number("kimage_voffset").map(|delta| (delta, "NUMBER(kimage_voffset)")));
    deltas.extend(clues.segment_delta(stext).map(|delta| (delta, "program headers")));
    // Before 4.6 the image lies in the direct map, in the upper half.
    let ones = stext.leading_ones();
    if deltas.is_empty()
        && let Some((phys, source)) = phys_offset(clues)
    {
        deltas.push(((!low_bits(64 - ones)).wrapping_sub(phys), source));
    }
    deltas
}

/// The forms that the tables may have, by VMCOREINFO or else by what can address `_stext`.
fn forms(clues: &Clues<'_>, stext: u64) -> Vec<Form> {
    let number = |name| clues.number(name).and_then(|value| u32::try_from(value).ok());
    let granule = clues.vmcoreinfo.and_then(|info| info.page_size()).map(u64::trailing_zeros);
    let configured = number("VA_BITS");
    let actual = number("TCR_EL1_T1SZ").map(|size| 64_u32.saturating_sub(size));
    // Tables of 64 KiB are laid out for what was configured, whatever the processor can do; others are folded.
    let bits = if granule == Some(16) { configured.or(actual) } else { actual.or(configured) };
    if let (Some(granule @ (12 | 14 | 16)), Some(bits @ 36..=52)) = (granule, bits) {
        let mut forms = vec![form(granule, bits)];
        if granule != 16 && actual.is_none() && bits == 52 {
            forms.push(form(granule, 48));
        }
        return forms;
    }
    let possible = CONFIGURATIONS.into_iter().filter(|&(shift, bits)| {
        granule.is_none_or(|granule| granule == shift) && stext.leading_ones() >= 64 - bits
    });
    possible.map(|(shift, bits)| form(shift, bits)).collect()
}

/// The banner's place and link address give those of all tables; where they map the banner gives the move.
fn by_banner(clues: &Clues<'_>, banner: PhysAddr) -> Vec<Candidate> {
    let (Some(linked), Some(root)) =
        (clues.hints.first(&["linux_banner"]), clues.hints.first(&["swapper_pg_dir"]))
    else {
        return Vec::new();
    };
    let how = format!("banner found at physical {banner}");
    let mut candidates = Vec::new();
    for form in forms(clues, linked) {
        let paging = Paging { form, root: root.wrapping_sub(linked.wrapping_sub(banner.0)) };
        // The direct map shows it too, but further up (to 5.3) or below where the image was linked (from 5.4 on).
        let mut moved: Option<u64> = None;
        paging.visit(clues.mem, linked - linked % IMAGE_ALIGN, u64::MAX, ENTRIES_MAX, &mut |mapping| {
            let offset = banner.0.wrapping_sub(mapping.pa);
            if offset < mapping.len {
                moved = mapping.va.wrapping_add(offset).checked_sub(linked);
            }
            if moved.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Some(kaslr) = clues.kaslr().or(moved).filter(|moved| moved % IMAGE_ALIGN == 0) {
            let delta = linked.wrapping_add(kaslr).wrapping_sub(banner.0);
            candidates.push(Candidate::new(clues, how.clone(), kaslr, delta, Some(paging)));
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::translate::fake::Ram;
    use crate::{Abi, PageError};

    /// Maps `va` by hand: the index of each level is worked out from the widths given, root first.
    fn map(ram: &mut Ram, va: u64, shifts: &[(u32, u32)], leaf: u64) {
        for (step, &(shift, width)) in shifts.iter().enumerate() {
            let table = 0x10_0000 + 0x10_0000 * step as u64;
            let index = (va >> shift) & ((1 << width) - 1);
            let value = if step + 1 == shifts.len() { leaf } else { (table + 0x10_0000) | 3 };
            ram.put_u64(table + index * 8, value);
        }
    }

    #[test]
    fn each_granule_and_width_walks() {
        type Case<'a> = (u32, u32, u64, &'a [(u32, u32)], u64, u64);
        let cases: [Case<'_>; 9] = [
            // 4 KiB, 48 bits, pages; then 2 MiB and 1 GiB blocks.
            (
                12,
                48,
                0xffff_8000_1234_5678,
                &[(39, 9), (30, 9), (21, 9), (12, 9)],
                0x00e8_0000_8765_4f03,
                0x8765_4678,
            ),
            (12, 48, 0xffff_8000_1234_5678, &[(39, 9), (30, 9), (21, 9)], 0x0068_0000_4000_0701, 0x4014_5678),
            (12, 39, 0xffff_ffc0_1234_5678, &[(30, 9)], 0x1_4000_0701, 0x1_5234_5678),
            // 4 KiB with LPA2: address bits 51 and 50 in bits 9 and 8, five levels.
            (
                12,
                52,
                0xfff0_1234_1234_5678,
                &[(48, 4), (39, 9), (30, 9), (21, 9), (12, 9)],
                0x8765_4303,
                0xc_0000_8765_4678,
            ),
            // 16 KiB, 47 bits, pages; 32 MiB block.
            (14, 47, 0xffff_c000_1234_5678, &[(36, 11), (25, 11), (14, 11)], 0x8765_4703, 0x8765_5678),
            (14, 48, 0xffff_c000_1234_5678, &[(47, 1), (36, 11), (25, 11)], 0x4200_0701, 0x4234_5678),
            // 64 KiB, 42 bits: pages and 512 MiB blocks; 52 bits: address bits 51 to 48 in bits 15 to 12.
            (16, 42, 0xffff_fe00_1234_5678, &[(29, 13), (16, 13)], 0x8765_0703, 0x8765_5678),
            (16, 42, 0xffff_fe00_1234_5678, &[(29, 13)], 0x6000_0701, 0x7234_5678),
            (16, 52, 0xfff0_1234_1234_5678, &[(42, 10), (29, 13), (16, 13)], 0x8765_a703, 0xa_0000_8765_5678),
        ];
        for (shift, bits, va, shifts, leaf, pa) in cases {
            let mut ram = Ram::new(Machine::AArch64, Abi::LE64);
            // Table pages exist as a whole.
            for table in 1..6_u64 {
                ram.put(0x10_0000 * table, &[0; 0x10000]);
            }
            map(&mut ram, va, shifts, leaf);
            let paging = Paging { form: form(shift, bits), root: 0x10_0000 };
            assert_eq!(paging.walk(&ram, va).map(|found| found.pa), Ok(pa), "{shift} {bits} {shifts:?}");
            // Tagged pointers reach the same place, user addresses none.
            assert_eq!(paging.walk(&ram, va & !(0xf0 << 56)).map(|found| found.pa), Ok(pa));
            assert_eq!(paging.walk(&ram, va & low_bits(55)), Err(PageError::NonCanonical));
            let level = form(shift, bits).levels();
            // A neighbour in another entry of the root.
            let other = va ^ 1 << shifts[0].0;
            assert_eq!(paging.walk(&ram, other), Err(PageError::NotMapped { level }), "{shift} {bits}");
            let mut visited = Vec::new();
            paging.visit(&ram, !low_bits(bits), u64::MAX, 1 << 20, &mut |mapping| {
                visited.push(mapping);
                ControlFlow::Continue(())
            });
            let [mapping] = visited[..] else { panic!("{visited:?}") };
            assert_eq!(mapping.pa + (va - mapping.va), pa);
        }
    }

    #[test]
    fn the_last_level_has_no_blocks() {
        let mut ram = Ram::new(Machine::AArch64, Abi::LE64);
        map(&mut ram, 0xffff_8000_0000_0000, &[(39, 9), (30, 9), (21, 9), (12, 9)], 0x5001);
        let paging = Paging { form: form(12, 48), root: 0x10_0000 };
        assert_eq!(paging.walk(&ram, 0xffff_8000_0000_0000), Err(PageError::NotMapped { level: 1 }));
    }

    #[test]
    fn big_endian_kernels_have_big_endian_tables() {
        let mut ram = Ram::new(Machine::AArch64, Abi::BE64);
        map(&mut ram, 0xffff_8000_1234_5678, &[(39, 9), (30, 9), (21, 9), (12, 9)], 0x8765_4703);
        let paging = Paging { form: form(12, 48), root: 0x10_0000 };
        assert_eq!(paging.walk(&ram, 0xffff_8000_1234_5678).map(|found| found.pa), Ok(0x8765_4678));
    }
}
