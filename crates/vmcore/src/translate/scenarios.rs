//! Kernels put together by hand, and every way to find them.

use crate::translate::clues::Hints;
use crate::translate::fake::Ram;
use crate::translate::locate::{Source, locate};
use crate::translate::space::AddressSpace;
use crate::{
    Abi, Error, Machine, Note, PageError, PhysAddr, PhysMemory, Result, Segment, VirtAddr, Vmcoreinfo,
    WordSize,
};
use proptest::prelude::*;

const BANNER: &[u8] = b"Linux version 5.10.7 (build@host) #1 SMP\n\0";

/// Page tables of any form, written entry by entry.
struct Tables {
    root: u64,
    /// The next free page.
    next: u64,
    /// Shift and width of each level, root first.
    levels: &'static [(u32, u32)],
    /// Flags of an entry that leads to another table.
    table: u64,
    /// Bytes of an entry.
    width: u64,
}

impl Tables {
    /// Writes `leaf` for `va`, `levels` below the root.
    fn map(&mut self, ram: &mut Ram, va: u64, leaf: u64, levels: usize) {
        let mut table = self.root;
        for (depth, &(shift, bits)) in self.levels.iter().enumerate().take(levels) {
            let slot = table + ((va >> shift) & ((1 << bits) - 1)) * self.width;
            let mut value = ram.u64(slot) & if self.width == 4 { 0xffff_ffff } else { u64::MAX };
            if depth + 1 == levels {
                value = leaf;
            } else if value == 0 {
                value = self.next | self.table;
                ram.put(self.next, &[0; 4096]);
                self.next += 0x1000;
            }
            match self.width {
                4 => ram.put_u32(slot, u32::try_from(value).unwrap()),
                _ => ram.put_u64(slot, value),
            }
            table = value & 0x000f_ffff_ffff_f000;
        }
    }
}

/// A kernel in memory.
struct Kernel {
    ram: Ram,
    /// Link-time addresses.
    symbols: Vec<(&'static str, u64)>,
    kaslr: u64,
    /// Virtual minus physical address of the image.
    delta: u64,
    tables: Tables,
}

impl Kernel {
    /// An image of 8 pages at link address `text`, with what is looked for in it.
    fn new(machine: Machine, abi: Abi, text: u64, kaslr: u64, delta: u64, tables: Tables) -> Kernel {
        let symbols = vec![
            ("_text", text),
            ("_stext", text),
            ("linux_banner", text + 0x1050),
            ("init_uts_ns", text + 0x2480),
            ("page_offset_base", text + 0x2010),
            ("swapper_pg_dir", text + 0x3000),
            ("high_memory", text + 0x2020),
            ("_end", text + 0x8000),
        ];
        let mut kernel = Kernel { ram: Ram::new(machine, abi), symbols, kaslr, delta, tables };
        kernel.ram.put(kernel.physical(text), &[0x90; 0x8000]);
        kernel.ram.put(kernel.physical(text + 0x3000), &[0; 0x1000]);
        kernel.tables.root = kernel.physical(text + 0x3000);
        kernel.ram.put(kernel.physical(text + 0x1050), BANNER);
        let mut uts = vec![0; 6 * 65];
        for (field, value) in [&b"Linux"[..], b"host", b"5.10.7", b"#1 SMP"].iter().enumerate() {
            uts[field * 65..field * 65 + value.len()].copy_from_slice(value);
        }
        kernel.ram.put(kernel.physical(text + 0x2484), &uts);
        kernel
    }

    /// Physical address of a link-time one.
    fn physical(&self, linked: u64) -> u64 {
        self.run(linked).wrapping_sub(self.delta) & self.ram.abi().word_mask()
    }

    fn run(&self, linked: u64) -> u64 {
        linked.wrapping_add(self.kaslr)
    }

    fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
    }

    fn map_image(&mut self, flags: u64) {
        let text = self.symbol("_text").unwrap();
        for page in (text..text + 0x8000).step_by(4096) {
            let (va, pa) = (self.run(page), self.physical(page));
            self.tables.map(&mut self.ram, va, pa | flags, self.tables.levels.len());
        }
    }

    fn vmcoreinfo(&self, more: &str) -> Vmcoreinfo {
        let mut text = format!("OSRELEASE=5.10.7\nPAGESIZE={}\n", self.ram.page_size());
        for name in ["_stext", "init_uts_ns", "swapper_pg_dir"] {
            text += &format!("SYMBOL({name})={:x}\n", self.run(self.symbol(name).unwrap()));
        }
        Vmcoreinfo::parse((text + more).as_bytes())
    }

    fn source<'a>(&'a self, vmcoreinfo: Option<&'a Vmcoreinfo>) -> Source<'a> {
        Source { mem: &self.ram, notes: &[], vmcoreinfo, segments: &[], header_phys_base: None }
    }

    fn locate(&self, source: &Source<'_>) -> Result<AddressSpace> {
        let symbol = |name: &str| {
            assert!(Hints::SYMBOLS.contains(&name), "{name} is asked for, but not announced");
            self.symbol(name)
        };
        locate(source, &Hints { symbol: &symbol, banner: Some(BANNER), ..Hints::default() })
    }

    /// The space is this kernel's: its image, and a page that only the tables map.
    fn assert_found(&self, space: &AddressSpace, elsewhere: Option<(u64, u64)>) {
        let story = space.explain();
        assert!(space.is_verified() && space.symbols_fit(), "{story}");
        assert_eq!(space.kaslr_offset(), self.kaslr, "{story}");
        let banner = self.run(self.symbol("linux_banner").unwrap());
        let mut bytes = vec![0; BANNER.len()];
        space.read_virt(&self.ram, VirtAddr(banner), &mut bytes).unwrap();
        assert_eq!(bytes, BANNER);
        if let Some((va, pa)) = elsewhere {
            // Twice: by a walk, and from the TLB.
            for _ in 0..2 {
                assert_eq!(space.translate(&self.ram, VirtAddr(va)), Ok(PhysAddr(pa)), "{story}");
            }
        }
    }
}

const FOUR: &[(u32, u32)] = &[(39, 9), (30, 9), (21, 9), (12, 9)];
const FIVE: &[(u32, u32)] = &[(48, 9), (39, 9), (30, 9), (21, 9), (12, 9)];
const VMALLOC: (u64, u64) = (0xffff_c900_0001_0040, 0x7ff_0040);

/// An x86-64 kernel at physical 0x100_0000 + `kaslr` + `phys_base`, with a direct map at `direct`.
fn x86_64(kaslr: u64, phys_base: u64, levels: &'static [(u32, u32)], direct: u64) -> Kernel {
    let tables = Tables { root: 0, next: 0x800_0000, levels, table: 0x67, width: 8 };
    let delta = 0xffff_ffff_8000_0000_u64.wrapping_sub(phys_base);
    let mut kernel = Kernel::new(Machine::X86_64, Abi::LE64, 0xffff_ffff_8100_0000, kaslr, delta, tables);
    kernel.map_image(0x163);
    let depth = levels.len();
    let block = kernel.tables.root & !0x1f_ffff;
    kernel.tables.map(&mut kernel.ram, direct + block, block | 0x1e3, depth - 1);
    kernel.tables.map(&mut kernel.ram, VMALLOC.0 & !0xfff, (VMALLOC.1 & !0xfff) | 0x163, depth);
    kernel.ram.put_u64(kernel.physical(kernel.symbol("page_offset_base").unwrap()), direct);
    kernel
}

const DIRECT: u64 = 0xffff_8880_0000_0000;

fn qemu_note(cr3: u64, cr4: u64) -> Note {
    let mut desc = vec![0; 440];
    desc[416..424].copy_from_slice(&cr3.to_le_bytes());
    desc[424..432].copy_from_slice(&cr4.to_le_bytes());
    Note { name: b"QEMU".to_vec(), kind: 0, desc }
}

#[test]
fn x86_64_by_vmcoreinfo_with_kaslr_and_a_negative_phys_base() {
    // A direct map at a random place is known from the variable.
    let random = 0xffff_9b3c_c000_0000;
    let kernel = x86_64(0x24a0_0000, 0x1ac0_0000_u64.wrapping_neg(), FOUR, random);
    let info = kernel
        .vmcoreinfo("NUMBER(phys_base)=-448790528\nKERNELOFFSET=24a00000\nNUMBER(pgtable_l5_enabled)=0\n");
    // What QEMU makes of the negative number.
    let source =
        Source { header_phys_base: Some(0x4_4879_0528_u64.wrapping_neg()), ..kernel.source(Some(&info)) };
    let space = kernel.locate(&source).unwrap();
    kernel.assert_found(&space, Some(VMALLOC));
    assert_eq!((space.direct_map_base(), space.direct_map_phys()), (Some(random), Some(PhysAddr(0))));
    assert!(space.explain().contains("page_offset_base, page tables agree"), "{}", space.explain());
    // Or from the tables, if there are no symbols.
    let space = locate(&source, &Hints::default()).unwrap();
    assert_eq!(space.direct_map_base(), Some(random), "{}", space.explain());
    // No key for the offset: symbols tell.
    let info = kernel.vmcoreinfo("NUMBER(phys_base)=-448790528\n");
    kernel.assert_found(&kernel.locate(&kernel.source(Some(&info))).unwrap(), Some(VMALLOC));
    // Any symbol does.
    let lines = info.lines().filter(|(key, _)| *key != b"SYMBOL(_stext)");
    let text: Vec<u8> = lines.flat_map(|(key, value)| [key, b"=", value, b"\n"].concat()).collect();
    let info = Vmcoreinfo::parse(&text);
    kernel.assert_found(&kernel.locate(&kernel.source(Some(&info))).unwrap(), Some(VMALLOC));
}

#[test]
fn x86_64_with_five_levels() {
    let kernel = x86_64(0x20_0000, 0x60_0000, FIVE, 0xff11_0000_0000_0000);
    for key in ["NUMBER(pgtable_l5_enabled)=1\n", ""] {
        let info = kernel.vmcoreinfo(&format!("NUMBER(phys_base)=6291456\n{key}"));
        let space = kernel.locate(&kernel.source(Some(&info))).unwrap();
        kernel.assert_found(&space, Some(VMALLOC));
        assert_eq!(space.direct_map_base(), Some(0xff11_0000_0000_0000));
    }
}

#[test]
fn x86_64_by_registers() {
    for kaslr in [0, 0x1220_0000] {
        let mut kernel = x86_64(kaslr, 0x300_0000, FOUR, DIRECT);
        // A process: the kernel's half of its root, without vmalloc; isolation gives it a second root behind.
        let process = 0x900_0000;
        kernel.ram.put(process, &[0; 0x2000]);
        for index in [0x111, 0x1ff] {
            let entry = kernel.ram.u64(kernel.tables.root + index * 8);
            kernel.ram.put_u64(process + index * 8, entry);
        }
        let notes = [qemu_note(0x5555_5000, 0x20), qemu_note(process | 0x1005, 0x20)];
        let space = kernel.locate(&Source { notes: &notes, ..kernel.source(None) }).unwrap();
        kernel.assert_found(&space, Some(VMALLOC));
        assert!(space.explain().contains("CR3 0x9000000"), "{}", space.explain());
        // Without a symbol for the kernel's own root the process has to do.
        kernel.symbols.retain(|(name, _)| *name != "swapper_pg_dir");
        let space = kernel.locate(&Source { notes: &notes, ..kernel.source(None) }).unwrap();
        kernel.assert_found(&space, None);
        let error = space.translate(&kernel.ram, VirtAddr(VMALLOC.0)).unwrap_err();
        assert_eq!(error.cause, PageError::NotMapped { level: 4 });
    }
}

#[test]
fn x86_64_by_the_banner_alone() {
    for kaslr in [0, 0x1220_0000] {
        let mut kernel = x86_64(kaslr, 0x300_0000, FOUR, DIRECT);
        // Copies: in the log, and one at the right place of a page.
        kernel.ram.put(0x1_0017, BANNER);
        kernel.ram.put(0x1_1050, BANNER);
        let space = kernel.locate(&kernel.source(None)).unwrap();
        kernel.assert_found(&space, Some(VMALLOC));
        assert!(space.explain().contains("banner found at physical"), "{}", space.explain());
    }
}

#[test]
fn x86_64_by_vmcoreinfo_found_in_memory() {
    let mut kernel = x86_64(0x1220_0000, 0x300_0000, FOUR, DIRECT);
    let text = |info: &Vmcoreinfo| {
        let lines = info.lines().flat_map(|(key, value)| [key, b"=", value, b"\n"].concat());
        lines.chain([0]).collect::<Vec<u8>>()
    };
    // An older kernel's text lies before it: its addresses lead nowhere.
    let old = Vmcoreinfo::parse(
        b"OSRELEASE=5.10.6\nPAGESIZE=4096\nSYMBOL(_stext)=ffffffff99000000\nNUMBER(phys_base)=0\n\
        SYMBOL(init_uts_ns)=ffffffff81000480\nSYMBOL(swapper_pg_dir)=ffffffff81003000\n",
    );
    kernel.ram.put(0x2_0000, &text(&old));
    let info = kernel.vmcoreinfo("NUMBER(phys_base)=50331648\nKERNELOFFSET=12200000\n");
    kernel.ram.put(0x3_0123, &text(&info));
    let space = locate(&kernel.source(None), &Hints::default()).unwrap();
    kernel.assert_found(&space, Some(VMALLOC));
    assert_eq!(space.vmcoreinfo(), Some(&info));
    assert_eq!(space.direct_map_base(), Some(DIRECT));
}

#[test]
fn missing_page_tables_leave_the_linear_ranges() {
    let mut kernel = x86_64(0, 0x300_0000, FOUR, DIRECT);
    kernel.ram.drop_page(kernel.tables.root);
    let info = kernel.vmcoreinfo("NUMBER(phys_base)=50331648\n");
    let space = kernel.locate(&kernel.source(Some(&info))).unwrap();
    kernel.assert_found(&space, None);
    let error = space.translate(&kernel.ram, VirtAddr(VMALLOC.0)).unwrap_err();
    assert_eq!((error.addr, error.cause), (VMALLOC.0, PageError::Absent), "of the page of the table");
    assert_eq!(space.direct_map_base(), Some(DIRECT), "by page_offset_base");
}

#[test]
fn nothing_is_assumed_without_evidence() {
    let kernel = x86_64(0, 0x300_0000, FOUR, DIRECT);
    let error = locate(&kernel.source(None), &Hints::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "kernel address space not found: expected VMCOREINFO in the core or in its memory, or symbols of the kernel and its \
         banner, found none"
    );
    let Error::AddressSpace { tried, .. } = error else { panic!() };
    let expected = [
        "the core has no VMCOREINFO",
        "no symbols",
        "no other VMCOREINFO in memory",
        "no program header carries a kernel address",
    ];
    assert_eq!(tried, expected);
    // Symbols of another kernel lead to other bytes.
    let symbol = |name: &str| Some(kernel.symbol(name)? + 0x1000);
    let hints =
        Hints { symbol: &symbol, banner: Some(BANNER), phys_base: Some(0x300_0000), ..Hints::default() };
    let error = locate(&kernel.source(None), &hints).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "kernel address space not found: expected init_uts_ns or linux_banner in one of 2 likely places, found neither; the \
             first: by phys_base 0x3000000 from the user, init_uts_ns at 0xffffffff81003480 does not name Linux"
        ),
        "{error}"
    );
    assert!(error.len() < 300, "{error}");
    // What the core states is used even when nothing can be checked, and called so.
    let mut bare = x86_64(0, 0x300_0000, FOUR, DIRECT);
    let info = bare.vmcoreinfo("NUMBER(phys_base)=50331648\n");
    bare.ram = Ram::new(Machine::X86_64, Abi::LE64);
    let space = locate(&bare.source(Some(&info)), &Hints::default()).unwrap();
    assert!(!space.is_verified() && space.explain().contains("NOT VERIFIED"), "{}", space.explain());
}

/// Where the kernel is elsewhere, what the user says is an error, and not overruled in silence.
#[test]
fn a_wrong_phys_base_is_an_error() {
    let by = |kernel: &Kernel, info: Option<&Vmcoreinfo>, base: u64| {
        let symbol = |name: &str| kernel.symbol(name);
        let hints =
            Hints { symbol: &symbol, banner: Some(BANNER), phys_base: Some(base), ..Hints::default() };
        locate(&kernel.source(info), &hints)
    };
    for kaslr in [0, 0x1220_0000] {
        let kernel = x86_64(kaslr, 0x300_0000, FOUR, DIRECT);
        let info = kernel.vmcoreinfo("NUMBER(phys_base)=50331648\n");
        for info in [Some(&info), None] {
            kernel.assert_found(&by(&kernel, info, 0x300_0000).unwrap(), Some(VMALLOC));
            let error = by(&kernel, info, 0x100_0000).unwrap_err().to_string();
            assert!(
                error.contains("expected it by phys_base 0x1000000, as given, found it elsewhere"),
                "{error}"
            );
        }
    }

    let split = 0xc000_0000;
    let tables = Tables { root: 0, next: 0x80_0000, levels: &[(22, 10), (12, 10)], table: 0x67, width: 4 };
    let mut kernel = Kernel::new(Machine::X86, Abi::LE32, split + 0x40_0000, 0, split, tables);
    kernel.map_image(0x163);
    let info = kernel.vmcoreinfo("");
    for info in [Some(&info), None] {
        kernel.assert_found(&by(&kernel, info, 0).unwrap(), None);
        let error = by(&kernel, info, 0x10_0000).unwrap_err().to_string();
        assert!(error.contains("expected it by phys_base 0x100000, as given, found it elsewhere"), "{error}");
    }

    let kernel = aarch64(0xffff_8000_1000_0000, 0, 0xffff_0000_0000_0000);
    let numbers = format!("NUMBER(kimage_voffset)={:#x}\nNUMBER(VA_BITS)=48\n", kernel.delta);
    let info = kernel.vmcoreinfo(&numbers);
    let space = by(&kernel, Some(&info), 0x4000_0000).unwrap();
    assert_eq!(space.direct_map_phys(), Some(PhysAddr(0x4000_0000)), "{}", space.explain());
    for base in [0x3000_0000, 0x5000_0000] {
        let error = by(&kernel, Some(&info), base).unwrap_err().to_string();
        let expected = format!("expected the direct map to begin at physical {base:#x}, as given");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn i386_with_and_without_pae() {
    for (pae, split) in [(false, 0xc000_0000), (true, 0xc000_0000), (true, 0x8000_0000), (false, 0xb000_0000)]
    {
        for kaslr in [0, 0x80_0000] {
            let levels: &[(u32, u32)] =
                if pae { &[(30, 2), (21, 9), (12, 9)] } else { &[(22, 10), (12, 10)] };
            let tables = Tables {
                root: 0,
                next: 0x80_0000,
                levels,
                table: if pae { 1 } else { 0x67 },
                width: if pae { 8 } else { 4 },
            };
            let mut kernel = Kernel::new(Machine::X86, Abi::LE32, split + 0x40_0000, kaslr, split, tables);
            assert_eq!(kernel.ram.abi().word, WordSize::Bits32);
            kernel.map_image(0x163);
            let elsewhere = (split + 0x3000_0040, 0x12_3040);
            kernel.tables.map(&mut kernel.ram, elsewhere.0 & !0xfff, 0x12_3163, levels.len());
            kernel.ram.put_u32(
                kernel.physical(kernel.symbol("high_memory").unwrap()),
                u32::try_from(split).unwrap() + 0x50_0000,
            );
            let mut infos = vec![Some(kernel.vmcoreinfo(""))];
            infos.extend(pae.then(|| Some(kernel.vmcoreinfo("CONFIG_X86_PAE=y\n"))));
            infos.push(None); // by the banner
            for info in infos {
                let space = kernel.locate(&kernel.source(info.as_ref())).unwrap();
                kernel.assert_found(&space, Some(elsewhere));
                assert_eq!(space.direct_map_base(), Some(split));
                assert_eq!(space.explain().contains("PAE"), pae, "{}", space.explain());
            }
        }
    }
}

/// An arm64 kernel with 4 KiB pages, 48 bits, memory from 0x4000_0000 on, image in the upper or lower half.
fn aarch64(text: u64, kaslr: u64, page_offset: u64) -> Kernel {
    let tables = Tables { root: 0, next: 0x4800_0000, levels: FOUR, table: 3, width: 8 };
    let delta = (text + kaslr).wrapping_sub(0x4400_0000);
    let mut kernel = Kernel::new(Machine::AArch64, Abi::LE64, text, kaslr, delta, tables);
    kernel.ram.put(0x4000_0000, &[1; 0x1000]);
    kernel.map_image(0x703);
    for block in (0x4000_0000..0x4900_0000).step_by(0x20_0000) {
        let va = page_offset + (block - 0x4000_0000);
        kernel.tables.map(&mut kernel.ram, va, block | 0x701, 3);
    }
    kernel
}

#[test]
fn aarch64_of_both_ages() {
    for (text, page_offset) in
        [(0xffff_8000_1000_0000, 0xffff_0000_0000_0000), (0xffff_0000_0808_0000, 0xffff_8000_0000_0000)]
    {
        for kaslr in [0, 0x24_5e00_0000] {
            let mut kernel = aarch64(text, kaslr, page_offset);
            let elsewhere = (text + 0x70_0000_0040, 0x4000_0040);
            kernel.tables.map(&mut kernel.ram, elsewhere.0 & !0xfff, 0x4000_0703, 4);
            let numbers = format!("KERNELOFFSET={kaslr:x}\nNUMBER(kimage_voffset)={:#x}\n", kernel.delta);
            let infos = [
                Some(kernel.vmcoreinfo(&format!(
                    "{numbers}NUMBER(VA_BITS)=48\nNUMBER(PHYS_OFFSET)=0x40000000\nNUMBER(TCR_EL1_T1SZ)=0x10\n"
                ))),
                Some(kernel.vmcoreinfo(&format!("{numbers}NUMBER(VA_BITS)=48\n"))),
                Some(kernel.vmcoreinfo(&numbers)), // before 4.12
                None,                              // by the banner
            ];
            for info in infos {
                let space = kernel.locate(&kernel.source(info.as_ref())).unwrap();
                kernel.assert_found(&space, Some(elsewhere));
                assert_eq!(space.direct_map_base(), Some(page_offset), "{}", space.explain());
                assert_eq!(space.direct_map_phys(), Some(PhysAddr(0x4000_0000)), "{}", space.explain());
            }
        }
    }
}

/// Configured for 52 bits, on a processor that has 48: from 5.11 on such a kernel counts from where its direct map would begin
/// with 52 bits, far below all memory.
#[test]
fn aarch64_without_the_bits_that_it_is_configured_for() {
    let page_offset = 0xffff_0000_0000_0000;
    let kernel = aarch64(0xffff_8000_1000_0000, 0, page_offset);
    let phys_offset = 0x4000_0000_u64.wrapping_sub(page_offset - 0xfff0_0000_0000_0000);
    let info = kernel.vmcoreinfo(&format!(
        "NUMBER(kimage_voffset)={:#x}\nNUMBER(VA_BITS)=52\nNUMBER(TCR_EL1_T1SZ)=0x10\nNUMBER(PHYS_OFFSET)={phys_offset:#x}\n",
        kernel.delta
    ));
    let space = kernel.locate(&kernel.source(Some(&info))).unwrap();
    kernel.assert_found(&space, None);
    assert_eq!(space.direct_map_base(), Some(page_offset), "{}", space.explain());
    assert_eq!(space.direct_map_phys(), Some(PhysAddr(0x4000_0000)), "{}", space.explain());
}

/// QEMU's files say that pages of arm64 have 64 KiB; the tables and VMCOREINFO know better.
#[test]
fn the_page_size_is_the_kernels() {
    let mut kernel = aarch64(0xffff_8000_1000_0000, 0, 0xffff_0000_0000_0000);
    let info =
        kernel.vmcoreinfo(&format!("NUMBER(kimage_voffset)={:#x}\nNUMBER(VA_BITS)=48\n", kernel.delta));
    kernel.ram.page_size = 1 << 16;
    for info in [Some(&info), None] {
        let space = kernel.locate(&kernel.source(info)).unwrap();
        assert_eq!(space.page_size(), Some(4096), "{}", space.explain());
    }
}

#[test]
fn machines_without_page_tables_have_their_program_headers() {
    let tables = Tables { root: 0, next: 0, levels: &[], table: 0, width: 4 };
    let kernel = Kernel::new(Machine::Mips, Abi::BE32, 0x8010_0000, 0, 0x8000_0000, tables);
    let segment =
        |phys, len| Segment { phys: Some(PhysAddr(phys)), virt: Some(VirtAddr(0x8000_0000 + phys)), len };
    let segments = [segment(0x10_0000, 0x4000), segment(0x10_4000, 0x4000), segment(0x20_0000, 0x1000)];
    let space = kernel.locate(&Source { segments: &segments, ..kernel.source(None) }).unwrap();
    kernel.assert_found(&space, Some((0x8020_0010, 0x20_0010)));
    assert!(
        space.explain().contains("vmalloc and module addresses cannot be translated"),
        "{}",
        space.explain()
    );
    let error = space.translate(&kernel.ram, VirtAddr(0xc000_0000)).unwrap_err();
    assert_eq!(error.cause, PageError::NotMapped { level: 0 });
    let error = kernel.locate(&kernel.source(None)).unwrap_err().to_string();
    assert!(error.ends_with("with kernel addresses, found a core of mips without"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Memory of any content, tables that lead anywhere in it, any numbers in the text: an answer, in bounded time.
    #[test]
    fn hostile_cores_end(
        words in proptest::collection::vec((0u64..0x8000, any::<u64>(), any::<bool>()), 0..400),
        machine in prop_oneof![Just(Machine::X86_64), Just(Machine::X86), Just(Machine::AArch64), Just(Machine::Arm)],
        numbers in proptest::collection::vec(any::<i64>(), 8),
        symbols in proptest::collection::vec(any::<u64>(), 4),
        segments in proptest::collection::vec(any::<(u64, u64, u64)>(), 0..4),
        probes in proptest::collection::vec(any::<u64>(), 8),
    ) {
        let abi = if machine == Machine::X86 { Abi::LE32 } else { Abi::LE64 };
        let mut ram = Ram::new(machine, abi);
        for &(at, value, pointer) in &words {
            // Half of the words lead back into these few pages.
            ram.put_u64(at & !7, if pointer { value & 0x7fff | 3 } else { value });
        }
        ram.put(0x3050, BANNER);
        let text = format!(
            "OSRELEASE=5.10.7\nPAGESIZE=4096\nSYMBOL(_stext)={:x}\nSYMBOL(init_uts_ns)={:x}\nSYMBOL(swapper_pg_dir)={:x}\n\
             NUMBER(phys_base)={}\nNUMBER(sme_mask)={}\nNUMBER(VA_BITS)={}\nNUMBER(TCR_EL1_T1SZ)={}\n\
             NUMBER(kimage_voffset)={}\nNUMBER(PHYS_OFFSET)={}\nKERNELOFFSET={:x}\n",
            symbols[0], symbols[1], symbols[2], numbers[0], numbers[1], numbers[2] & 63, numbers[3] & 127, numbers[4],
            numbers[5], numbers[6],
        );
        let info = Vmcoreinfo::parse(text.as_bytes());
        let segments: Vec<Segment> = segments.iter().map(|&(phys, virt, len)| {
            Segment { phys: Some(PhysAddr(phys)), virt: Some(VirtAddr(virt)), len }
        }).collect();
        let notes = [qemu_note(numbers[7].cast_unsigned() & 0x7fff, symbols[3])];
        let symbol = |name: &str| symbols.get(name.len() % 4).map(|value| value & !0xfff | 0x50);
        for vmcoreinfo in [Some(&info), None] {
            let source = Source { mem: &ram, notes: &notes, vmcoreinfo, segments: &segments, header_phys_base: None };
            for hints in [Hints::default(), Hints { symbol: &symbol, banner: Some(BANNER), ..Hints::default() }] {
                if let Ok(space) = locate(&source, &hints) {
                    for &probe in probes.iter().chain(&symbols).chain(&[0, u64::MAX]) {
                        let _ = space.read_virt(&ram, VirtAddr(probe), &mut [0; 0x2001]);
                    }
                }
            }
        }
    }
}
