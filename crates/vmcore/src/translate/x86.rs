//! i386: image and low memory in one direct map from `PAGE_OFFSET` on; page tables with and without PAE.

use crate::translate::architecture::{Architecture, Candidate, DirectMap};
use crate::translate::clues::Clues;
use crate::translate::paging::{Entry, Form, Paging};
use crate::{Abi, Machine, PhysAddr};

/// `CONFIG_PAGE_OFFSET` by memory split; nearly all kernels have the first.
const SPLITS: [u64; 5] = [0xc000_0000, 0xb000_0000, 0x8000_0000, 0x7800_0000, 0x4000_0000];
const PRESENT: u64 = 1;
const HUGE: u64 = 1 << 7;
/// Address bits of a PAE entry.
const PAE_ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// See the module.
#[derive(Debug)]
pub(crate) struct X86;

/// 10 + 10 + 12 bits, entries of 4 bytes.
const CLASSIC: Form = Form {
    name: "2 levels",
    page_shift: 12,
    entry_bytes: 4,
    index_bits: [10, 10, 0, 0, 0],
    entry_mask: u64::MAX,
    decode: decode_classic,
    canonical,
};

/// 2 + 9 + 9 + 12 bits, entries of 8 bytes.
const PAE: Form = Form {
    name: "3 levels (PAE)",
    page_shift: 12,
    entry_bytes: 8,
    index_bits: [9, 9, 2, 0, 0],
    entry_mask: u64::MAX,
    decode: decode_pae,
    canonical,
};

fn canonical(_: &Form, va: u64) -> Option<u64> {
    u32::try_from(va).ok().map(u64::from)
}

fn decode_classic(_: &Form, entry: u64, level: u8) -> Entry {
    match level {
        _ if entry & PRESENT == 0 => Entry::Absent,
        // PSE-36: bits 13 to 20 of a 4 MiB page are address bits 32 to 39.
        2 if entry & HUGE != 0 => Entry::Leaf((entry & 0xffc0_0000) | ((entry >> 13) & 0xff) << 32),
        2 => Entry::Table(entry & 0xffff_f000),
        _ => Entry::Leaf(entry & 0xffff_f000),
    }
}

fn decode_pae(_: &Form, entry: u64, level: u8) -> Entry {
    match level {
        _ if entry & PRESENT == 0 => Entry::Absent,
        2 if entry & HUGE != 0 => Entry::Leaf(entry & PAE_ADDRESS),
        1 => Entry::Leaf(entry & PAE_ADDRESS),
        _ => Entry::Table(entry & PAE_ADDRESS),
    }
}

impl Architecture for X86 {
    fn machine(&self) -> Machine {
        Machine::X86
    }

    fn candidates(&self, clues: &Clues<'_>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for Delta { delta, source, against } in deltas(clues) {
            let (kaslr, how) = match clues.banner_at {
                // Image and direct map move together: the banner's place tells how far.
                Some(banner) => {
                    let Some(linked) = clues.hints.first(&["linux_banner"]) else { return Vec::new() };
                    let kaslr = banner.0.wrapping_add(delta).wrapping_sub(linked) & 0xffff_ffff;
                    (
                        kaslr,
                        format!("banner found at physical {banner}, direct map at {delta:#x} from {source}"),
                    )
                }
                None => (clues.kaslr().unwrap_or(0), format!("direct map at {delta:#x} from {source}")),
            };
            let mut roots = Vec::new();
            if let Some(root) = clues.symbol(&["swapper_pg_dir"], kaslr) {
                let root = root.wrapping_sub(delta);
                match clues.vmcoreinfo.and_then(|info| info.get("CONFIG_X86_PAE")) {
                    Some(_) => roots.push(Paging { form: PAE, root }),
                    // Kernels before 2.6.29 do not write the key even if it is set.
                    None => roots.extend([Paging { form: CLASSIC, root }, Paging { form: PAE, root }]),
                }
            } else {
                roots.extend(clues.registers.iter().take(16).map(|registers| match registers.pae() {
                    true => Paging { form: PAE, root: registers.cr3 & 0xffff_ffe0 },
                    false => Paging { form: CLASSIC, root: registers.cr3 & 0xffff_f000 },
                }));
            }
            let paging = roots.into_iter().map(Some).chain([None]);
            candidates.extend(paging.map(|paging| Candidate {
                against,
                ..Candidate::new(clues, how.clone(), kaslr, delta, paging)
            }));
        }
        candidates
    }

    fn direct_maps(&self, clues: &Clues<'_>, found: &Candidate) -> Vec<DirectMap> {
        let Some(delta) = found.linear.first().map(|image| image.delta) else { return Vec::new() };
        // vmalloc begins right behind low memory, wherever the kernel's command line put that.
        let variable = || {
            let at = found.linear(clues.symbol(&["high_memory"], found.kaslr)?)?;
            let mut bytes = [0; 4];
            clues.mem.read_phys(PhysAddr(at), &mut bytes).ok()?;
            let end = u64::from(Abi::LE32.u32(&bytes, 0)?);
            (end > delta && end - delta <= clues.memory_end()).then(|| (end - delta, "high_memory"))
        };
        let headers = || {
            let virtual_ends = clues.segments.iter().filter_map(|segment| {
                let (phys, virt) = (segment.phys?.0, segment.virt?.0);
                (virt.wrapping_sub(phys) == delta).then(|| phys.saturating_add(segment.len))
            });
            let end = virtual_ends.max()?.min(0x1_0000_0000 - delta.min(0xffff_ffff));
            Some((end, "program headers"))
        };
        let (len, source) = variable().or_else(headers).unwrap_or((0, "the image"));
        let by_user = clues.hints.phys_base.is_some();
        vec![DirectMap { delta, first: delta, len, source: source.into(), stated: true, by_user }]
    }
}

/// Virtual minus physical address of image and low memory, by whom, and whether it is not what the user says.
struct Delta {
    delta: u64,
    source: &'static str,
    against: bool,
}

fn deltas(clues: &Clues<'_>) -> Vec<Delta> {
    let stext = clues.symbol(&["_stext", "_text"], clues.kaslr().unwrap_or(0));
    let mut deltas: Vec<Delta> = Vec::new();
    let mut add = |delta: u64, source| {
        // With `phys_base` given, the direct map begins there and not at 0.
        let by_user = clues.hints.phys_base.map(|base| delta.wrapping_sub(base) & 0xffff_ffff);
        let against = by_user.is_some_and(|by_user| by_user != delta);
        for (delta, against) in by_user.map(|delta| (delta, false)).into_iter().chain([(delta, against)]) {
            if delta != 0 && deltas.iter().all(|earlier| earlier.delta != delta) {
                deltas.push(Delta { delta, source, against });
            }
        }
    };
    if let Some(delta) = stext.and_then(|stext| clues.segment_delta(stext)) {
        add(delta, "program headers");
    }
    let headers =
        clues.segments.iter().filter_map(|segment| Some(segment.virt?.0.wrapping_sub(segment.phys?.0)));
    for delta in headers.filter(|delta| delta & 0x7f_ffff == 0).take(1) {
        add(delta, "program headers");
    }
    if let Some(stext) = stext {
        add(stext & 0xc000_0000, "_stext");
    }
    for split in SPLITS {
        add(split, "the usual place");
    }
    deltas
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageError;
    use crate::translate::fake::Ram;

    #[test]
    fn classic_tables_have_pages_of_two_sizes() {
        let mut ram = Ram::new(Machine::X86, Abi::LE32);
        ram.put_u32(0x66_b000 + (0xc000_0000_u32 >> 22) as u64 * 4, 0x0000_01e3);
        ram.put_u32(0x66_b000 + 0x341 * 4, 0x0066_c063);
        ram.put_u32(0x66_c000 + 5 * 4, 0x0abc_d163);
        let paging = Paging { form: CLASSIC, root: 0x66_b000 };
        assert_eq!(paging.walk(&ram, 0xc012_3456).map(|found| found.pa), Ok(0x12_3456));
        assert_eq!(paging.walk(&ram, (0x341 << 22) | 0x5678).map(|found| found.pa), Ok(0x0abc_d678));
        assert_eq!(paging.walk(&ram, 0x341 << 22), Err(PageError::NotMapped { level: 1 }));
        assert_eq!(paging.walk(&ram, 0), Err(PageError::NotMapped { level: 2 }));
        assert_eq!(paging.walk(&ram, 1 << 32), Err(PageError::NonCanonical));
        // PSE-36: address bit 33 in bit 14 of the entry.
        ram.put_u32(0x66_b000 + 0x342 * 4, 0x0040_0083 | 1 << 14);
        assert_eq!(paging.walk(&ram, (0x342 << 22) | 9).map(|found| found.pa), Ok(0x2_0040_0009));
    }

    #[test]
    fn pae_tables_reach_beyond_4_gib() {
        let mut ram = Ram::new(Machine::X86, Abi::LE32);
        ram.put_u64(0x1000 + 3 * 8, 0x2001);
        ram.put_u64(0x2000, 0x8000_0000_0020_01e3);
        ram.put_u64(0x2000 + 0x1c0 * 8, 0x3067);
        ram.put_u64(0x3000 + 8, 0x3_4567_8163);
        let paging = Paging { form: PAE, root: 0x1000 };
        assert_eq!(paging.walk(&ram, 0xc001_2345).map(|found| found.pa), Ok(0x21_2345));
        let va = 0xc000_0000 + 0x1c0 * 0x20_0000 + 0x1abc;
        assert_eq!(paging.walk(&ram, va).map(|found| found.pa), Ok(0x3_4567_8abc));
        assert_eq!(paging.walk(&ram, 0x1000), Err(PageError::NotMapped { level: 3 }));
        // A root that points to itself.
        ram.put_u64(0x1000, 0x1001);
        assert!(paging.walk(&ram, 0).is_ok());
    }
}
