//! Translation by the program headers of an ELF core, for machines whose page tables are not understood.
//!
//! A kernel that writes its own core (kdump) gives the virtual addresses of its linear map there. This reaches all that
//! `kmalloc` and the page allocator hand out, but nothing that is mapped by page tables: vmalloc and most modules.

use crate::translate::architecture::Candidate;
use crate::translate::clues::Clues;
use crate::translate::regions::Region;
use crate::{Machine, Segment};

/// The segments as one candidate, if any carries a kernel address.
pub(crate) fn candidate(clues: &Clues<'_>) -> Option<Candidate> {
    let machine = clues.mem.machine();
    let linear: Vec<Region> = clues
        .segments
        .iter()
        .filter_map(|segment| region(machine, segment, clues.mem.abi().word_mask()))
        .collect();
    let how = format!("virtual addresses of {} program headers", linear.len());
    let kaslr = clues.kaslr().unwrap_or(0);
    (!linear.is_empty()).then_some(Candidate { how, kaslr, linear, paging: None, against: false })
}

fn region(machine: Machine, segment: &Segment, mask: u64) -> Option<Region> {
    let (phys, virt) = (segment.phys?.0, segment.virt?.0);
    // Hypervisors fill in the physical address on either side. Only s390 kernels live at their physical addresses.
    if virt == phys && machine != Machine::S390 {
        return None;
    }
    let last = virt.checked_add(segment.len.checked_sub(1)?).filter(|&last| last <= mask)?;
    Some(Region { first: virt, last, delta: virt.wrapping_sub(phys), label: "program headers".into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PhysAddr, VirtAddr};

    #[test]
    fn only_kernel_addresses_count() {
        let segment =
            |phys, virt, len| Segment { phys: Some(PhysAddr(phys)), virt: Some(VirtAddr(virt)), len };
        let mask = 0xffff_ffff;
        let found = region(Machine::Mips, &segment(0x1000, 0x8000_1000, 0x2000), mask).unwrap();
        assert_eq!(
            (found.first, found.last, found.physical(0x8000_1234)),
            (0x8000_1000, 0x8000_2fff, 0x1234)
        );
        assert_eq!(region(Machine::Mips, &segment(0x1000, 0x1000, 0x2000), mask), None);
        assert!(region(Machine::S390, &segment(0x1000, 0x1000, 0x2000), u64::MAX).is_some());
        assert_eq!(region(Machine::Mips, &segment(0, 0xffff_f000, 0x2000), mask), None);
        assert_eq!(region(Machine::Mips, &segment(0, 0x8000_0000, 0), mask), None);
        let unknown = Segment { phys: None, virt: Some(VirtAddr(0x8000_0000)), len: 0x1000 };
        assert_eq!(region(Machine::Mips, &unknown, mask), None);
    }
}
