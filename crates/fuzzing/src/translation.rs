//! Address translation in hostile memory.

use crate::Input;
use crate::core_file::elf_head;
use std::sync::Arc;
use vmcore::{AddressSpace, Hints, Memory, OpenOptions, PhysMemory as _, VirtAddr, Vmcore, Vmcoreinfo};

/// ELF machine, 64 bits, big endian.
const MACHINES: [(u16, bool, bool); 8] = [
    (62, true, false),
    (3, false, false),
    (183, true, false),
    (40, false, false),
    (243, true, false),
    (21, true, true),
    (22, true, true),
    (8, false, true),
];

/// Finds the kernel's address space in memory of this content, and translates by it.
///
/// The input: machine (8 bits); flags (8 bits: banner, KASLR offset, physical base, VMCOREINFO of the user); the addresses of
/// [`Hints::SYMBOLS`] in their order, 0 = unknown; KASLR offset; physical base; the VMCOREINFO text and the ELF notes
/// ([parts](Input::part)); memory ([pieces](Input::pieces)).
pub fn translation(data: &[u8]) {
    let mut input = Input::new(data);
    let machine = usize::from(input.u8()) % MACHINES.len();
    let Some(&(machine, wide, big)) = MACHINES.get(machine) else { return };
    let flags = input.u8();
    let addresses = Hints::SYMBOLS.map(|name| (name, input.u64()));
    let (kaslr, phys_base) = (input.u64(), input.u64());
    let (info, notes) = (input.part(), input.part());
    let memory = input.pieces();
    let file = [&elf_head(wide, big, machine, notes.len(), memory.len()), notes, &memory].concat();
    let Ok(core) = Vmcore::from_bytes(vec![file], &OpenOptions::default()) else { return };

    let hints = Hints {
        symbol: &|wanted| {
            let known = addresses.iter().find(|(name, address)| *name == wanted && *address != 0);
            known.map(|(_, address)| *address)
        },
        banner: (flags & 1 != 0).then_some(b"Linux version 2.6.27"),
        kaslr: (flags & 2 != 0).then_some(kaslr),
        phys_base: (flags & 4 != 0).then_some(phys_base),
        vmcoreinfo: (flags & 8 != 0).then(|| Vmcoreinfo::parse(info)),
    };
    let core = Arc::new(core);
    let Ok(space) = AddressSpace::locate(&core, &hints) else { return };
    assert!(!space.explain().is_empty());
    let memory = Memory::new(core, space);
    let edges = [0, 1 << 31, 1 << 47, u64::MAX << 47, u64::MAX << 31, u64::MAX - 4100];
    for start in addresses.iter().map(|(_, address)| *address).chain(edges) {
        for distance in [0, 8, 4090, 1 << 21, 1 << 30, 1 << 39] {
            let addr = VirtAddr(start.wrapping_add(distance));
            let mut buf = [0; 5000];
            let translated = memory.translate(addr);
            let read = memory.read_virt(addr, &mut buf);
            assert!(translated.is_ok() || read.is_err(), "{addr:?}: read without a translation");
            let _ =
                (memory.read_word(addr), memory.read_cstr(addr, 300).map(|text| assert!(text.len() <= 300)));
        }
    }
    let _ = memory.core().ranges();
}
