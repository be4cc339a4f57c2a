//! Writes the first inputs of every fuzz target to `fuzz/corpus`, from the fixtures, from synthetic kernels, and by hand.
//! What a fuzzer found later lies beside them and is left alone.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "runs by hand, on trusted files"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> Vec<u8> {
    fs::read(workspace().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn fixture(path: &str) -> Vec<u8> {
    read(&format!("fixtures/{path}"))
}

/// Writes one seed.
fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let folder = workspace().join("fuzz/corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

fn main() {
    elf();
    kdump();
    notes_and_vmcoreinfo();
    translation();
    debug_information();
    traces();
    sessions();
    extraction();
}

/// As `Input::part` reads it.
fn part(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap();
    [&len.to_le_bytes(), bytes].concat()
}

/// As `Input::pieces` reads it: what is not zero, and the end.
fn pieces(file: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(start) = file[at..].iter().position(|byte| *byte != 0).map(|skip| at + skip) {
        // A piece goes on over fewer zeros than the head of the next would take.
        let zeros = file[start..].windows(8).position(|window| window == [0; 8]);
        let end = zeros.map_or(file.len(), |len| start + len).min(start + 0xffff);
        out.extend((start as u32).to_le_bytes());
        out.extend(part(&file[start..end]));
        at = end;
    }
    out.extend((file.len() as u32).to_le_bytes());
    out.extend(part(&[]));
    out
}

fn word(bytes: &[u8], at: usize, len: usize) -> usize {
    bytes[at..at + len].iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte))
}

fn elf() {
    for (name, path) in [("x86-64", "K1-2cpu/core.elf"), ("i386", "X2-i386-2cpu/core.elf")] {
        seed("elf", name, &fixture(path)[4..8192]);
    }
    for (name, bits, endian) in [
        ("32-little", 32, synth::Endian::Little),
        ("32-big", 32, synth::Endian::Big),
        ("64-big", 64, synth::Endian::Big),
    ] {
        let dead = synth::Kernel::new(synth::Era::C).bits(bits).endian(endian).cpus(1).build();
        let qemu = synth::core::Elf::qemu().write(&dead).bytes();
        seed("elf", &format!("{name}-qemu"), &qemu[4..6000.min(qemu.len())]);
        let odd = synth::core::Elf::kdump().extended_count(true).holes(true).write(&dead).bytes();
        seed("elf", &format!("{name}-extended"), &odd[4..6000.min(odd.len())]);
    }
}

/// A kdump-compressed file that has only the first `keep` pages of another.
fn first_pages(file: &[u8], keep: usize) -> Vec<u8> {
    // Where the fields lie after the names of the machine, in files of 64-bit and of 32-bit machines.
    let at = if word(file, 428, 4) == 4096 { 428 } else { 416 };
    let (block, sub, bitmaps) = (word(file, at, 4), word(file, at + 4, 4), word(file, at + 8, 4));
    let bitmaps_at = block * (1 + sub);
    let descriptors_at = bitmaps_at + block * bitmaps;
    let mut out = file[..descriptors_at].to_vec();
    for bitmap in out[bitmaps_at..].chunks_mut(block * bitmaps / 2) {
        let mut kept = 0;
        for byte in bitmap {
            for bit in 0..8 {
                if *byte & 1 << bit != 0 {
                    kept += 1;
                    if kept > keep {
                        *byte &= !(1 << bit);
                    }
                }
            }
        }
    }
    let mut stored = Vec::new();
    for page in 0..keep {
        let descriptor = &file[descriptors_at + page * 24..][..24];
        let (offset, len) = (word(descriptor, 0, 8), word(descriptor, 8, 4));
        let place = descriptors_at + keep * 24 + stored.len();
        out.extend((place as u64).to_le_bytes());
        out.extend(&descriptor[8..]);
        stored.extend(&file[offset..offset + len]);
    }
    [out, stored].concat()
}

fn kdump() {
    for codec in ["raw", "zlib", "lzo", "snappy", "zstd"] {
        let file = fixture(&format!("K1-2cpu/core.kdump-{codec}"));
        seed("kdump", codec, pieces(&first_pages(&file, if codec == "raw" { 2 } else { 6 })));
    }
    let parts = ["1", "2"].map(|nth| first_pages(&fixture(&format!("K1-2cpu/core.kdump-split{nth}")), 5));
    seed("split", "zlib", [part(&pieces(&parts[0])), pieces(&parts[1])].concat());
    seed("split", "reversed", [part(&pieces(&parts[1])), pieces(&parts[0])].concat());
    seed("split", "twice", [part(&pieces(&parts[0])), pieces(&parts[0])].concat());
    let i386 = first_pages(&fixture("X2-i386-2cpu/core.kdump-zlib"), 6);
    seed("kdump", "i386", pieces(&i386));
    for version in [1, 3, 5] {
        let dead = synth::Kernel::new(synth::Era::C).cpus(1).build();
        let file = synth::core::Kdump::new(synth::core::Codec::Zlib).version(version).write(&dead).bytes();
        seed("kdump", &format!("version-{version}"), pieces(&first_pages(&file, 4)));
    }

    for (nth, codec) in ["raw", "zlib", "lzo", "snappy", "zstd"].iter().enumerate() {
        let file = first_pages(&fixture(&format!("K1-2cpu/core.kdump-{codec}")), 6);
        let bitmaps = word(&file, 436, 4) + word(&file, 432, 4) + 1;
        let descriptor = &file[bitmaps * 4096 + 2 * 24..][..24];
        let page = &file[word(descriptor, 0, 8)..][..word(descriptor, 8, 4)];
        seed("page", codec, [&[nth as u8][..], &4096_u16.to_le_bytes(), page].concat());
    }

    let zlib = first_pages(&fixture("K1-2cpu/core.kdump-zlib"), 2);
    let mut ordered = Vec::new();
    let pages: Vec<&[u8]> = zlib.chunks(4096).collect();
    let mut reversed = Vec::new();
    let record = |at: usize, bytes: &[u8]| {
        [&(at as u64).to_be_bytes()[..], &(bytes.len() as u64).to_be_bytes(), bytes].concat()
    };
    let tail = [0xff; 16];
    for (nth, page) in pages.iter().enumerate() {
        ordered.extend(record(nth * 4096, page));
    }
    seed("flattened", "ordered", [&ordered[..], &tail].concat());
    seed("flattened", "cut", &ordered[..ordered.len() - 100]);
    for (nth, page) in pages.iter().enumerate().rev() {
        // Overlapping what was written before.
        reversed.extend(record(nth * 4096, page));
        reversed.extend(record(nth * 4096 + 8, &page[8..150]));
    }
    seed("flattened", "reversed", [&reversed[..], &tail].concat());
    let core = &fixture("K1-2cpu/core.elf")[..6000];
    seed("flattened", "elf", [&record(0, &core[..3000])[..], &record(3000, &core[3000..]), &tail].concat());
}

fn notes_and_vmcoreinfo() {
    let core = fixture("K1-2cpu/core.elf");
    let (mut at, count) = (word(&core, 32, 8), word(&core, 56, 2));
    let notes = (0..count).find_map(|_| {
        let header = &core[at..at + 56];
        at += 56;
        (word(header, 0, 4) == 4).then(|| &core[word(header, 8, 8)..][..word(header, 32, 8)])
    });
    let notes = notes.unwrap();
    seed("notes", "kdump", [&[0], &notes[..notes.len().min(8000)]].concat());
    let name = b"VMCOREINFO\0";
    let place = notes.windows(name.len()).position(|window| window == name).unwrap();
    let text = &notes[place + 12..][..word(notes, place - 8, 4)];
    seed("vmcoreinfo", "2.6.27", text);
    let later = "OSRELEASE=6.1.0\nPAGESIZE=4096\nBUILD-ID=00ff17\nSYMBOL(init_uts_ns)=ffffffff82a12d00\n\
                 OFFSET(uts_namespace.name)=0\nSIZE(list_head)=16\nLENGTH(zone.free_area)=11\n\
                 NUMBER(phys_base)=-16777216\nNUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)=0xffff7fffc8000000\n\
                 KERNELOFFSET=1f000000\nCRASHTIME=1700000000\n";
    seed("vmcoreinfo", "6.1", later);
    seed(
        "vmcoreinfo",
        "odd",
        "\n=\nA\nSYMBOL()=\nSYMBOL(a=1\nNUMBER(b)=-\nPAGESIZE=3\nBUILD-ID=0\nCRASHTIME=-1",
    );
    for (kind, name, order) in [(1, "32-little", false), (3, "32-big", true), (2, "64-big", true)] {
        let number = |value: u32| if order { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut notes = vec![kind];
        for (owner, desc, ty) in
            [(&b"CORE\0\0\0\0"[..], &[7; 336][..], 1), (b"VMCOREINFO\0\0", b"PAGESIZE=4096\n\0\0", 0)]
        {
            notes.extend([number(owner.len() as u32), number(desc.len() as u32), number(ty)].concat());
            notes.extend([owner, desc].concat());
        }
        seed("notes", name, notes);
    }
}

/// A machine for the target `translation`.
struct Machine {
    kind: u8,
    symbols: BTreeMap<&'static str, u64>,
    info: String,
    memory: Vec<u8>,
}

impl Machine {
    fn new(kind: u8, symbols: &[(&'static str, u64)]) -> Machine {
        let mut memory = vec![0; 8 << 12];
        memory[0x1000..0x1014].copy_from_slice(b"Linux version 2.6.27");
        Machine { kind, symbols: symbols.iter().copied().collect(), info: String::new(), memory }
    }

    fn entry(mut self, table: usize, index: usize, len: usize, value: u64) -> Machine {
        let at = table + index * len;
        self.memory[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        self
    }

    fn seed(&self, name: &str, flags: u8, phys_base: u64) {
        let mut out = vec![self.kind, flags];
        for symbol in vmcore::Hints::SYMBOLS {
            out.extend(self.symbols.get(symbol).copied().unwrap_or(0).to_le_bytes());
        }
        out.extend([0_u64.to_le_bytes(), phys_base.to_le_bytes()].concat());
        out.extend([part(self.info.as_bytes()), part(&[]), pieces(&self.memory)].concat());
        seed("translation", name, out);
    }
}

fn translation() {
    const IMAGE: u64 = 0xffff_ffff_8000_0000;
    // Four levels: image at 0, direct map of one page of 1 GiB.
    let x86_64 = || {
        let symbols =
            [("linux_banner", IMAGE + 0x1000), ("init_level4_pgt", IMAGE + 0x2000), ("_stext", IMAGE)];
        Machine::new(0, &symbols)
            .entry(0x2000, 511, 8, 0x3063)
            .entry(0x3000, 510, 8, 0x4063)
            .entry(0x4000, 0, 8, 0x1e3)
            .entry(0x2000, 272, 8, 0x5063)
            .entry(0x5000, 0, 8, 0x1e3)
    };
    x86_64().seed("x86-64", 1, 0);
    x86_64().seed("x86-64-stated", 5, 0);
    x86_64().entry(0x2000, 511, 8, 0x2063).seed("x86-64-self", 5, 0);
    x86_64().entry(0x3000, 510, 8, 0xffff_ffff_f063).seed("x86-64-nowhere", 5, 0);
    let mut informed = x86_64();
    informed.info = format!(
        "OSRELEASE=6.1.0\nSYMBOL(init_top_pgt)={:x}\nNUMBER(phys_base)=0\nKERNELOFFSET=0\n",
        IMAGE + 0x2000
    );
    informed.seed("x86-64-vmcoreinfo", 9, 0);
    // Two levels, pages of 4 MiB and of 4 KiB.
    let symbols = [("linux_banner", 0xc000_1000), ("swapper_pg_dir", 0xc000_2000), ("_text", 0xc000_0000)];
    let x86 = || {
        Machine::new(1, &symbols)
            .entry(0x2000, 768, 4, 0x1e3)
            .entry(0x2000, 769, 4, 0x3063)
            .entry(0x3000, 1, 4, 0x1063)
    };
    x86().seed("x86", 1, 0);
    x86().entry(0x2000, 768, 4, 0x2063).seed("x86-self", 5, 0);
    // Three levels.
    let pae = Machine::new(1, &symbols).entry(0x2000, 3, 8, 0x3001).entry(0x3000, 0, 8, 0x1e3);
    pae.seed("x86-pae", 1, 0);
    // Four levels of 4 KiB tables: image and direct map.
    let aarch64 = |table: u64| {
        let image = 0xffff_8000_1000_0000_u64;
        let symbols = [
            ("linux_banner", image + 0x1000),
            ("swapper_pg_dir", image + 0x2000),
            ("_text", image),
            ("_end", image + 0x8000),
        ];
        let mut machine = Machine::new(2, &symbols)
            .entry(0x2000, 256, 8, table)
            .entry(0x3000, 0, 8, 0x4003)
            .entry(0x4000, 128, 8, 0x701)
            .entry(0x2000, 0, 8, 0x5003)
            .entry(0x5000, 0, 8, 0x701);
        machine.info = format!(
            "PAGESIZE=4096\nNUMBER(VA_BITS)=48\nNUMBER(PHYS_OFFSET)=0x0\nNUMBER(kimage_voffset)={image:#x}\n\
             SYMBOL(swapper_pg_dir)={:x}\n",
            image + 0x2000
        );
        machine
    };
    aarch64(0x3003).seed("aarch64", 9, 0);
    aarch64(0x2003).seed("aarch64-self", 13, 0);
    aarch64(0x3003).seed("aarch64-symbols", 5, 0);
    Machine::new(4, &[("linux_banner", IMAGE)]).seed("riscv", 5, 0);
    Machine::new(5, &[("linux_banner", 0xc000_0000_0000_1000)]).seed("ppc64", 5, 0);
}

fn debug_information() {
    let small = [
        "dwarf2.o",
        "dwarf3.o",
        "dwarf4-i386.o",
        "dwarf4-types",
        "dwarf5.o",
        "dwarf5-zdebug.o",
        "dwarf5-zlib.o",
        "dwarf5-zstd.o",
        "split.o",
    ];
    for name in small {
        seed("dwarf", name.trim_end_matches(".o"), read(&format!("crates/kdebug/tests/data/{name}")));
    }
    seed("btf", "nested", [vec![0], part(&nested_btf(6, 2)[2..]), nested_btf(3, 3)[2..].to_vec()].concat());
    seed("btf", "deep", [vec![0], part(&nested_btf(60, 1)[2..])].concat());
    seed("btf", "kinds", [vec![0], part(&every_kind()[2..])].concat());

    let isf: &[(&str, &str)] = &[
        (
            "small",
            r#"{"metadata":{"format":"6.2.0"},"base_types":{"pointer":{"size":8,"kind":"int","signed":false,"endian":"little"},"long":{"size":8,"kind":"int","signed":true,"endian":"little"}},"enums":{"state":{"size":4,"base":"long","constants":{"OFF":0,"ON":-1}}},"user_types":{"rchan_buf":{"size":24,"kind":"struct","fields":{"chan":{"offset":0,"type":{"kind":"pointer","subtype":{"kind":"struct","name":"rchan"}}},"wait":{"offset":8,"type":{"kind":"struct","name":"list_head"}}}},"list_head":{"size":16,"kind":"struct","fields":{"next":{"offset":0,"type":{"kind":"pointer","subtype":{"kind":"struct","name":"list_head"}}},"prev":{"offset":8,"type":{"kind":"array","count":2,"subtype":{"kind":"enum","name":"state"}}}}}},"symbols":{"ltt_traces":{"address":4096},"linux_banner":{"address":1,"constant_data":"TGludXg="}}}"#,
        ),
        (
            "self",
            r#"{"base_types":{},"user_types":{"list_head":{"size":8,"kind":"struct","fields":{"a":{"offset":0,"type":{"kind":"struct","name":"list_head"}}}},"buffer":{"size":8,"kind":"union","fields":{"b":{"offset":0,"type":{"kind":"array","count":18446744073709551615,"subtype":{"kind":"struct","name":"buffer"}}}}}},"symbols":{}}"#,
        ),
        (
            "bits",
            r#"{"base_types":{"int":{"size":4,"kind":"int","signed":true,"endian":"big"}},"user_types":{"flags":{"size":4,"kind":"struct","fields":{"a":{"offset":0,"type":{"kind":"bitfield","bit_length":3,"bit_position":31,"type":{"kind":"base","name":"int"}}},"b":{"offset":4,"type":{"kind":"bitfield","bit_length":99,"bit_position":200,"type":{"kind":"base","name":"int"}}}}}}}"#,
        ),
    ];
    for (name, text) in isf {
        seed("isf", name, text);
    }
    let deep = 3000;
    let nested =
        [r#"{"kind":"pointer","subtype":"#.repeat(deep / 30), "null".to_owned(), "}".repeat(deep / 30)]
            .concat();
    seed(
        "isf",
        "deep",
        format!(
            r#"{{"user_types":{{"outer":{{"size":8,"kind":"struct","fields":{{"a":{{"offset":0,"type":{nested}}}}}}}}}}}"#
        ),
    );
    seed("isf", "brackets", "[".repeat(deep));
    // Of the real file, what the target looks for comes late; its beginning has the form.
    seed("isf", "real-cut", &fixture("types-2.6.27.isf.json")[..6000]);
}

/// BTF of `levels` structs, each an array of `width` of the one below twice over, the last named "outer".
fn nested_btf(levels: u32, width: u32) -> Vec<u8> {
    let mut types: Vec<u32> = vec![1, 1 << 24, 4, 32];
    let mut id = 1;
    for level in 0..levels {
        for _ in 0..4 {
            types.extend([0, 3 << 24, 0, id, 1, width]);
            id += 1;
        }
        let name = if level + 1 == levels { 5 } else { 0 };
        types.extend([name, 4 << 24 | 2, 8, 1, id, 0, 3, id, 0]);
        id += 1;
    }
    btf(&types, b"\0a\0b\0outer\0")
}

/// BTF with a record of every kind.
fn every_kind() -> Vec<u8> {
    let kind = |kind: u32, count: u32| kind << 24 | count;
    let types = [
        &[1, kind(1, 0), 4, 32 | 1 << 24][..],                  // int
        &[0, kind(2, 0), 1],                                    // pointer
        &[0, kind(3, 0), 0, 1, 1, 4],                           // array
        &[5, kind(4, 2) | 1 << 31, 8, 1, 1, 5 << 24, 3, 1, 32], // struct with a bit-field
        &[11, kind(5, 1), 4, 1, 3, 0],                          // union
        &[18, kind(6, 2), 4, 1, 0, 3, u32::MAX],                // enum
        &[1, kind(7, 0), 0],                                    // forward
        &[3, kind(8, 0), 4],                                    // typedef
        &[0, kind(9, 0), 8],                                    // volatile
        &[0, kind(10, 0), 9],                                   // const
        &[0, kind(11, 0), 10],                                  // restrict
        &[1, kind(12, 0), 13],                                  // function
        &[0, kind(13, 1), 1, 1, 1],                             // prototype
        &[3, kind(14, 0), 1, 1],                                // variable
        &[1, kind(15, 1), 8, 14, 0, 8],                         // section
        &[3, kind(16, 0), 8],                                   // float
        &[1, kind(17, 0), 4, u32::MAX],                         // declaration tag
        &[1, kind(18, 0), 4],                                   // type tag
        &[18, kind(19, 1), 8, 1, 1, 1],                         // 64-bit enum
        &[0, kind(10, 0), 21],                                  // const of itself
        &[0, kind(8, 0), 20],
    ]
    .concat();
    btf(&types, b"\0a\0b\0outer\0flags\0\0state\0")
}

fn btf(types: &[u32], strings: &[u8]) -> Vec<u8> {
    let length = types.len() as u32 * 4;
    let mut blob = vec![0x9f, 0xeb, 1, 0];
    for word in [24, 0, length, length, strings.len() as u32].iter().chain(types) {
        blob.extend(word.to_le_bytes());
    }
    blob.extend(strings);
    blob
}

fn traces() {
    let mut real = vec![(
        "2.1".to_owned(),
        fixture("K1-2cpu/expected/k1/control/metadata_0"),
        fixture("K1-2cpu/expected/k1/cpu_0"),
    )];
    real.push((
        "2.1-i386".to_owned(),
        fixture("X2-i386-2cpu/expected/k1/control/metadata_0"),
        fixture("X2-i386-2cpu/expected/k1/control/processes_0"),
    ));
    for era in [synth::Era::Z, synth::Era::A1, synth::Era::A2Pages, synth::Era::B, synth::Era::C] {
        for (order, endian, bits) in [("", synth::Endian::Little, 64), ("-big-32", synth::Endian::Big, 32)] {
            let dead =
                synth::Kernel::new(era).bits(bits).endian(endian).cpus(1).fill(synth::Fill::Partial).build();
            let trace = &dead.truth().traces[0];
            let files: Vec<(bool, Vec<u8>)> = trace
                .streams
                .iter()
                .map(|stream| {
                    (stream.path.contains("metadata") || stream.path.contains("facilities"), stream.file())
                })
                .filter(|(_, file)| !file.is_empty())
                .collect();
            let metadata = files.iter().find(|(metadata, _)| *metadata);
            let data = files.iter().find(|(metadata, _)| !*metadata);
            if let (Some((_, metadata)), Some((_, data))) = (metadata, data) {
                real.push((format!("{era:?}{order}").to_lowercase(), metadata.clone(), data.clone()));
            }
        }
    }
    for (name, metadata, data) in &real {
        let data = &data[..data.len().min(2048)];
        let metadata = &metadata[..metadata.len().min(3072)];
        let numbers = |reserved: u32, committed: u32| {
            [
                &[0x26][..],
                &reserved.to_le_bytes(),
                &committed.to_le_bytes(),
                &committed.to_le_bytes(),
                &[0; 8],
                &[0xff; 8],
            ]
            .concat()
        };
        seed("ltt_events", name, [numbers(1500, 1400), part(metadata), data.to_vec()].concat());
        seed(
            "ltt_events",
            &format!("{name}-metadata"),
            [numbers(3000, 3000), part(&metadata[..200]), metadata.to_vec()].concat(),
        );
        let completion =
            [&1000_u32.to_le_bytes()[..], &[9; 8], &8192_u32.to_le_bytes(), &4096_u16.to_le_bytes()].concat();
        seed("ltt_header", name, [&completion, &data[..1200.min(data.len())]].concat());
        let formats: [(u8, &[u8], &[u8]); 3] = [
            (0, b"sched", b"prev_pid %d next_pid %d prev_state #2d%ld"),
            (8, b"text", b"name %s address 0x%llX ip #8p%p"),
            (4, b"net", b"%*.*s %n#4u%u #n2u%hu %lc %% %"),
        ];
        let formats =
            formats.map(|(alignment, name, format)| [vec![alignment], part(name), part(format)].concat());
        seed("ltt_format", name, [formats.concat(), data[..1000.min(data.len())].to_vec()].concat());
    }
    let file = &fixture("K1-2cpu/expected-intact/k1/control/metadata_0");
    seed("ltt_scan", "good", [&[12], &file[..8192]].concat());
    seed("ltt_scan", "cut", [&[12], &file[..5000]].concat());
    seed("ltt_scan", "zeros", [&[9], &file[..100], &[0; 3996]].concat());
    for (name, metadata, _) in real.iter().skip(2) {
        seed("ltt_scan", name, [&[12], &metadata[..metadata.len().min(8192)]].concat());
    }
}

/// Metadata, packets, data files and indexes of a real session, and of synthetic ones of every generation.
fn sessions() {
    let disk = |name: &str| fixture(&format!("linux-6.1-lttng-2.13/M0d/disk-trace/lttng-disk/kernel/{name}"));
    seed("ctf_metadata", "real", disk("metadata"));
    seed(
        "ctf_metadata",
        "json",
        b"\x1e{\"type\":\"preamble\",\"version\":2}\n\x1e{\"type\":\"trace-class\"}\n",
    );
    seed("ctf_index", "real", disk("index/net_1.idx"));
    let old = [
        &[0xc1, 0xf1, 0xdc, 0xc1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 56][..],
        &disk("index/net_0.idx")[16..72],
    ];
    seed("ctf_index", "1.0", old.concat());
    let text = lttformat::ctf::Metadata::parse(&disk("metadata")).text;
    seed("ctf_tsdl", "real", &text);
    let packet = &disk("net_0")[..1500];
    let how = |used: u32| [&used.to_le_bytes()[..], &4096_u16.to_le_bytes()].concat();
    seed("ctf_events", "real", [how(1000), part(&text), packet.to_vec()].concat());
    seed("ctf_scan", "layout", [&[9, 12][..], &part(b""), &[packet, &[0; 2596], packet].concat()].concat());

    use synth::lttng::{Release, Tracer};
    for release in Release::ALL {
        for (order, endian, bits) in [("", synth::Endian::Little, 64), ("-big-32", synth::Endian::Big, 32)] {
            let dead = Tracer::new(release).machine(bits, endian).events(400).build();
            let session = &dead.sessions[0];
            let name = format!("{release:?}{order}").to_lowercase();
            seed("ctf_tsdl", &name, &session.metadata);
            let stream = &session.channels[0].streams[0];
            let mut file = Vec::new();
            for packet in stream.packets.iter().filter(|packet| packet.closed).take(2) {
                file.extend(&packet.valid);
                file.resize(file.len().next_multiple_of(4096), 0);
            }
            seed(
                "ctf_events",
                &name,
                [how(900), part(session.metadata.as_bytes()), file[..2048].to_vec()].concat(),
            );
            seed("ctf_scan", &name, [&[1, 12][..], &part(session.metadata.as_bytes()), &file].concat());
            let torn = [&file[..4000], &[0; 96], &file[4096..6000]].concat();
            seed(
                "ctf_scan",
                &format!("{name}-torn"),
                [&[0, 12][..], &part(session.metadata.as_bytes()), &torn].concat(),
            );
        }
    }
    for core in 0..9 {
        edits("sessions", core);
    }
}

/// A core without edits, with a word in the middle of memory and of the types changed, and with the end of the file missing.
fn edits(target: &str, core: u8) {
    seed(target, &format!("core-{core}"), [core]);
    let edit =
        |kind: u8, place: u32, value: u64| [&[kind][..], &place.to_le_bytes(), &value.to_le_bytes()].concat();
    let memory = [vec![core], edit(6, 0x2_1008, u64::MAX), edit(4, 0x3_2000, 0)].concat();
    seed(target, &format!("core-{core}-memory"), memory);
    let types = [vec![core], edit(1, 3000, u64::from(b'9')), edit(1, 9000, u64::from(b'9'))].concat();
    seed(target, &format!("core-{core}-types"), types);
    seed(target, &format!("core-{core}-cut"), [vec![core], edit(0x80, 0x3_0001, 0)].concat());
}

fn extraction() {
    for core in 0..8 {
        edits("extraction", core);
    }
}
