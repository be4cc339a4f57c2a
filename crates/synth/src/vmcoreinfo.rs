//! What identifies a kernel in its own memory: banner, utsname, CPU masks, log and the VMCOREINFO note.

use std::fmt::Write as _;

use crate::abi::Endian;
use crate::arch::{Arch, Tables};
use crate::page_array::{MemoryModel, SECTION_SIZE_BITS};
use crate::space::{Space, build_id_note};

/// `_text`, `_stext`, … and the root page table; returns the latter's address (0 without one).
pub(crate) fn early_symbols(space: &mut Space) -> u64 {
    let image = space.facts.image();
    space.label("_text", image);
    space.label("_stext", image + 0x1000);
    space.label("_etext", image + crate::space::TEXT_SIZE);
    let page = space.facts.page_size();
    match space.facts.tables {
        Tables::Linear => space.image_data("swapper_pg_dir", page, page, None),
        Tables::X86 { .. } if space.facts.arch == Arch::X86_64Kaslr => {
            space.image_data("init_top_pgt", page, page, None)
        }
        Tables::X86 { .. } if space.facts.arch == Arch::X86_64 => {
            space.image_data("init_level4_pgt", page, page, None)
        }
        _ => space.image_data("swapper_pg_dir", page, page, None),
    }
}

/// Banner, utsname and the variables that tell where things are; returns the banner.
pub(crate) fn identity(space: &mut Space, release: &str) -> String {
    let word = space.abi().word;
    let facts = space.facts.clone();
    let version = "#1 SMP Fri Jan 1 00:00:00 UTC 2010";
    let banner = format!("Linux version {release} (synth@test) (gcc version 4.3.2) {version}\n");
    space.rodata("linux_banner", format!("{banner}\0").as_bytes(), None);
    let size = space.types.get("uts_namespace").size;
    let uts = space.data("init_uts_ns", size, None);
    for (path, text) in [
        ("name.sysname", "Linux"),
        ("name.nodename", "synth"),
        ("name.release", release),
        ("name.version", version),
        ("name.machine", facts.uts_machine),
        ("name.domainname", "(none)"),
    ] {
        space.set_text(uts, "uts_namespace", path, text.as_bytes());
    }
    match facts.arch {
        Arch::X86_64 | Arch::X86_64Kaslr => {
            let variable = space.data("phys_base", word, None);
            space.put_word(variable, facts.phys_base());
        }
        _ => {}
    }
    if facts.arch == Arch::X86_64Kaslr {
        for (name, value) in [
            ("page_offset_base", facts.page_offset),
            ("vmalloc_base", facts.vmalloc),
            ("vmemmap_base", facts.vmemmap),
        ] {
            let variable = space.data(name, word, None);
            space.put_word(variable, value);
        }
    }
    if word == 4 {
        let variable = space.data("high_memory", word, None);
        let ram = space.memory.ram();
        space.put_word(variable, facts.page_offset + (ram.end - ram.start));
    }
    banner
}

pub(crate) fn cpu_masks(space: &mut Space, cpus: u32) {
    let word = space.abi().word;
    let mask = (1 << cpus) - 1;
    for name in ["cpu_possible_map", "cpu_present_map", "cpu_online_map"] {
        let variable = space.data(name, word, None);
        space.put_word(variable, mask);
    }
    let variable = space.data("nr_cpu_ids", 4, None);
    space.put(variable, 4, u64::from(cpus));
}

/// The plain ring of text that old kernels log to.
pub(crate) fn kernel_log(space: &mut Space) {
    let text = "<5>Linux version: synthetic\n<6>ltt: trace1 started\n<0>Kernel panic - not syncing: synthetic crash\n";
    let len = 1 << 12;
    let buffer = space.data("__log_buf", len, Some("kernel/printk.c"));
    space.write(buffer, text.as_bytes());
    for (name, size, value) in [
        ("log_buf", space.abi().word, buffer),
        ("log_buf_len", 4, len),
        ("log_end", 4, text.len() as u64),
        ("log_start", 4, 0),
        ("logged_chars", 4, text.len() as u64),
    ] {
        let variable = space.data(name, size, Some("kernel/printk.c"));
        space.put(variable, size, value);
    }
}

/// The VMCOREINFO text, and the note of it that the kernel keeps in RAM.
pub(crate) fn place(
    space: &mut Space,
    release: &str,
    root: u64,
    build_id: &[u8],
    model: MemoryModel,
    first_pfn: u64,
) -> String {
    let facts = space.facts.clone();
    notes(space, build_id);
    let address =
        |name: &str| space.symbols.iter().find(|s| s.name == name).map(|s| s.address).unwrap_or_default();
    let mut text = String::new();
    let mut line = |content: String| {
        text.push_str(&content);
        text.push('\n');
    };
    line(format!("OSRELEASE={release}"));
    let modern =
        matches!(facts.arch, Arch::X86_64Kaslr | Arch::AArch64 | Arch::AArch64Page16K | Arch::AArch64Page64K);
    if modern {
        let hex = build_id.iter().fold(String::new(), |mut hex, b| {
            // Writing to a string cannot fail.
            _ = write!(hex, "{b:02x}");
            hex
        });
        line(format!("BUILD-ID={hex}"));
    }
    line(format!("PAGESIZE={}", facts.page_size()));
    for name in ["init_uts_ns", "_stext"] {
        line(format!("SYMBOL({name})={:x}", address(name)));
    }
    line(format!("SYMBOL(swapper_pg_dir)={root:x}"));
    line(format!("SIZE(page)={}", space.types.get("page").size));
    match facts.arch {
        Arch::X86_64 => {
            line(format!("SYMBOL(init_level4_pgt)={root:x}"));
            line(format!("SYMBOL(phys_base)={:x}", address("phys_base")));
        }
        Arch::X86_64Kaslr => {
            line(format!("SYMBOL(init_top_pgt)={root:x}"));
            line(format!("NUMBER(phys_base)={}", facts.phys_base() as i64));
            line("NUMBER(pgtable_l5_enabled)=1".to_owned());
            line(format!("NUMBER(KERNEL_IMAGE_SIZE)={}", 1_u64 << 30));
            line("NUMBER(sme_mask)=0".to_owned());
            line(format!("KERNELOFFSET={:x}", facts.kaslr));
        }
        Arch::I386Pae => line("CONFIG_X86_PAE=y".to_owned()),
        Arch::AArch64 | Arch::AArch64Page16K | Arch::AArch64Page64K => {
            line(format!("NUMBER(VA_BITS)={}", facts.va_bits));
            line(format!("NUMBER(TCR_EL1_T1SZ)={:#x}", 64 - facts.va_bits));
            line(format!("NUMBER(kimage_voffset)={:#x}", facts.image().wrapping_sub(facts.image_phys)));
            line(format!("NUMBER(PHYS_OFFSET)={:#x}", facts.ram_base));
            line(format!("NUMBER(VMEMMAP_START)={:#x}", facts.vmemmap));
            line("KERNELOFFSET=0".to_owned());
        }
        _ => {}
    }
    match model {
        MemoryModel::Vmemmap | MemoryModel::Sparse => {
            line(format!("SYMBOL(mem_section)={:x}", address("mem_section")));
            line(format!("NUMBER(SECTION_SIZE_BITS)={SECTION_SIZE_BITS}"));
            line(format!("NUMBER(MAX_PHYSMEM_BITS)={}", if facts.abi.word == 4 { 34 } else { 46 }));
        }
        MemoryModel::Flat => line(format!("SYMBOL(mem_map)={:x}", address("mem_map"))),
        MemoryModel::Discontig => line(format!("SYMBOL(node_data)={:x}", address("node_data"))),
    }
    line(format!("NUMBER(ARCH_PFN_OFFSET)={first_pfn}"));
    line("CRASHTIME=1262307600".to_owned());
    let note = note(&text, facts.abi.endian);
    let va = space.image_data("vmcoreinfo_note", 4096, facts.page_size(), None);
    space.write(va, &note);
    let data = space.data("vmcoreinfo_data", 4096, None);
    space.write(data, text.as_bytes());
    let size = space.data("vmcoreinfo_size", space.abi().word, None);
    space.put_word(size, text.len() as u64);
    text
}

/// The kernel's own notes, between their labels.
fn notes(space: &mut Space, build_id: &[u8]) {
    let abi = space.abi();
    let mut notes = Vec::new();
    for value in [6, 4, 0x101] {
        notes.extend(abi.bytes(value, 4));
    }
    notes.extend_from_slice(b"Linux\0\0\0\0\0\0\0");
    notes.extend(build_id_note(abi, build_id));
    let start = space.rodata("__start_notes", &notes, None);
    space.label("__stop_notes", start + notes.len() as u64);
}

/// The ELF note around a VMCOREINFO text.
pub(crate) fn note(text: &str, endian: Endian) -> Vec<u8> {
    let abi = crate::abi::Abi { endian, word: 8, align64: 8 };
    let mut note = Vec::new();
    for value in [11, text.len() as u64, 0] {
        note.extend(abi.bytes(value, 4));
    }
    note.extend_from_slice(b"VMCOREINFO\0\0");
    note.extend_from_slice(text.as_bytes());
    note.resize(note.len().next_multiple_of(4), 0);
    note
}
