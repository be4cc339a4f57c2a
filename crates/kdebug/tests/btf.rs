//! BTF assembled by hand, record by record, in both byte orders.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "tests"
)]

use kdebug::{Bits, Endian, Input, SourceKind, StructKind, Type, Types, Wanted};
use std::sync::Arc;

/// Records and strings of a blob under construction.
struct Blob {
    big: bool,
    types: Vec<u8>,
    strings: Vec<u8>,
    /// Id of the next record and offset of the next string: those of a split blob continue.
    next_id: u32,
    string_base: u32,
}

impl Blob {
    fn new(big: bool) -> Self {
        Blob { big, types: Vec::new(), strings: vec![0], next_id: 1, string_base: 0 }
    }

    fn split(base: &Blob) -> Self {
        Blob {
            big: base.big,
            types: Vec::new(),
            strings: Vec::new(),
            next_id: base.next_id,
            string_base: base.strings.len() as u32,
        }
    }

    fn word(&self, word: u32) -> [u8; 4] {
        if self.big { word.to_be_bytes() } else { word.to_le_bytes() }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = self.string_base + self.strings.len() as u32;
        self.strings.extend_from_slice(text.as_bytes());
        self.strings.push(0);
        offset
    }

    fn record(&mut self, name: &str, kind: u32, info: u32, size_or_type: u32, extra: &[u32]) -> u32 {
        let name = self.string(name);
        for word in [name, kind << 24 | info, size_or_type].iter().chain(extra) {
            let word = self.word(*word);
            self.types.extend_from_slice(&word);
        }
        self.next_id += 1;
        self.next_id - 1
    }

    fn int(&mut self, name: &str, size: u32, signed: bool, offset: u32, bits: u32) -> u32 {
        self.record(name, 1, 0, size, &[u32::from(signed) << 24 | offset << 16 | bits])
    }

    /// Members: name, type and place.
    fn structure(&mut self, name: &str, info: u32, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let extra: Vec<u32> =
            members.iter().flat_map(|(name, ty, place)| [self.string(name), *ty, *place]).collect();
        self.record(name, 4, info | members.len() as u32, size, &extra)
    }

    fn finish(&self) -> Vec<u8> {
        let magic = if self.big { [0xeb, 0x9f] } else { [0x9f, 0xeb] };
        let mut bytes = magic.to_vec();
        bytes.extend_from_slice(&[1, 0]);
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        for word in [24, 0, types, types, strings] {
            bytes.extend_from_slice(&self.word(word));
        }
        bytes.extend_from_slice(&self.types);
        bytes.extend_from_slice(&self.strings);
        bytes
    }
}

const FLAG: u32 = 1 << 31;

/// A kernel in which all kinds of records occur.
fn kernel(big: bool) -> Blob {
    let mut blob = Blob::new(big);
    let long = blob.int("long unsigned int", 8, false, 0, 64);
    let int = blob.int("int", 4, true, 0, 32);
    let narrow = blob.int("unsigned int", 4, false, 2, 3);
    let list = blob.next_id;
    blob.structure("list_head", 0, 16, &[("next", list + 1, 0), ("prev", list + 1, 64)]);
    blob.record("", 2, 0, list, &[]); // PTR
    let anonymous = blob.structure("", 0, 8, &[("counter", long, 0)]);
    let typedef = blob.record("local_t", 8, 0, anonymous, &[]);
    let constant = blob.record("", 10, 0, typedef, &[]);
    let volatile = blob.record("", 9, 0, constant, &[]);
    let tagged = blob.record("percpu", 18, 0, volatile, &[]);
    let tag_pointer = blob.record("", 2, 0, tagged, &[]);
    let pointer2 = blob.record("", 2, 0, tag_pointer, &[]);
    let array = blob.record("", 3, 0, 0, &[typedef, int, 3]);
    let array2 = blob.record("", 3, 0, 0, &[array, int, 2]);
    let minus_two = (-2i32).cast_unsigned();
    let (low, high) = (blob.string("LOW"), blob.string("HIGH"));
    let state = blob.record("state", 6, 2, 4, &[low, minus_two, high, 7]);
    let wide = blob.string("WIDE");
    blob.record("wide", 19, 1, 8, &[wide, 1, 2]);
    let negative = blob.string("NEGATIVE");
    blob.record("signed_wide", 19, FLAG | 1, 8, &[negative, minus_two, u32::MAX]);
    let forward = blob.record("nowhere", 7, 0, 0, &[]);
    let forward_pointer = blob.record("", 2, 0, forward, &[]);
    let restricted = blob.record("", 11, 0, forward_pointer, &[]);
    let parameter = blob.string("argument");
    let prototype = blob.record("", 13, 1, 0, &[parameter, int]);
    blob.record("function", 12, 1, prototype, &[]);
    let function_pointer = blob.record("", 2, 0, prototype, &[]);
    let variable = blob.record("variable", 14, 0, long, &[1]);
    blob.record(".data..percpu", 15, 1, 8, &[variable, 0, 8]);
    let float = blob.record("double", 16, 0, 8, &[]);
    blob.record("tag", 17, 0, list, &[u32::MAX]);
    let (word, half) = (blob.string("word"), blob.string("half"));
    let union = blob.record("", 5, 2, 8, &[word, long, 0, half, int, 0]);
    let outer = blob.next_id;
    blob.structure(
        "outer",
        0,
        136,
        &[
            ("list", list, 0),
            ("", union, 128),
            ("counters", array2, 192),
            ("per_cpu", pointer2, 576),
            ("state", state, 640),
            ("old_style", narrow, 672),
            ("restricted", restricted, 704),
            ("callback", function_pointer, 768),
            ("ratio", float, 832),
            ("self", outer + 1, 896),
            ("anything", outer + 2, 960),
        ],
    );
    blob.record("", 2, 0, outer, &[]);
    blob.record("", 2, 0, 0, &[]);
    // Bit-fields of the modern kind: 1 bit at 0, 4 bits at 29 of an int, and a whole member.
    blob.structure(
        "flags",
        FLAG,
        8,
        &[("one", int, 1 << 24), ("four", int, 4 << 24 | 28), ("whole", int, 32)],
    );
    blob
}

fn wanted(structs: &[&str]) -> Wanted {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wanted { structs: names(structs), enums: names(&["state", "WIDE", "NEGATIVE"]), ..Wanted::default() }
}

fn load(blobs: &[(&str, &Blob)], structs: &[&str]) -> Result<Types, kdebug::Error> {
    let inputs = blobs.iter().map(|(path, blob)| Input::new(*path, Arc::new(blob.finish())));
    Types::load(inputs.collect(), &wanted(structs))
}

#[test]
fn every_kind_in_both_byte_orders() {
    for big in [false, true] {
        let types = load(&[("vmlinux", &kernel(big))], &["outer", "local_t", "flags"]).unwrap();
        assert_eq!(types.sources()[0].kind, SourceKind::Btf);
        assert_eq!(types.endian(), Some(if big { Endian::Big } else { Endian::Little }));
        assert_eq!(types.pointer_size(), Some(8), "that of long");
        let [outer] = types.structs("outer") else { panic!() };
        assert_eq!((outer.size, outer.kind), (136, StructKind::Struct));
        let field = |path: &str| outer.member(path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(field("list.prev").offset, 8);
        assert_eq!((field("word").offset, field("half").offset), (16, 16));
        assert_eq!(field("counters").ty.size(), Some(48));
        let pointer = |to: Option<&str>, depth| Type::Pointer { size: 8, to: to.map(str::to_owned), depth };
        assert_eq!(*field("per_cpu").ty, pointer(Some("local_t"), 2));
        assert_eq!(*field("restricted").ty, pointer(Some("nowhere"), 1));
        assert_eq!(*field("callback").ty, pointer(None, 1));
        assert_eq!(*field("self").ty, pointer(Some("outer"), 1));
        assert_eq!(*field("anything").ty, pointer(None, 1));
        assert_eq!(*field("ratio").ty, Type::Float { size: 8 });
        assert_eq!(*field("state").ty, Type::Enum { name: Some("state".into()), size: 4 });
        let bits = Bits { storage_offset: 84, storage_size: 4, shift: 2, width: 3, signed: false };
        let expected = if big { Bits { shift: 27, ..bits } } else { bits };
        assert_eq!(field("old_style").bits, Some(expected));
        let [local] = types.structs("local_t") else { panic!() };
        assert_eq!((local.name.as_str(), local.size), ("local_t", 8));
        assert_eq!(types.enumerator("LOW"), Some(-2));
        assert_eq!(types.enumerator("HIGH"), Some(7));
        assert_eq!(types.enumerator("WIDE"), Some(0x2_0000_0001));
        assert_eq!(types.enumerator("NEGATIVE"), Some(-2));
        let [flags] = types.structs("flags") else { panic!() };
        let bits =
            |name: &str| flags.member(name).unwrap().bits.map(|b| (b.storage_offset, b.shift, b.width));
        assert_eq!(bits("one"), Some((0, if big { 31 } else { 0 }, 1)));
        assert_eq!(bits("four"), Some((0, if big { 0 } else { 28 }, 4)));
        assert_eq!(bits("whole"), None);
        assert_eq!(flags.member("whole").unwrap().offset, 4);
        assert!(types.missing().structs.is_empty());
    }
}

#[test]
fn a_modules_blob_continues_the_kernels() {
    let kernel = kernel(false);
    let mut module = Blob::split(&kernel);
    let list = 4;
    let own = module.structure("ltt_chan", 0, 24, &[("list", list, 0), ("order", 1, 128)]);
    module.record("ltt_chan_t", 8, 0, own, &[]);
    let structs = ["ltt_chan", "ltt_chan_t", "list_head"];
    // The order of the inputs does not matter.
    for order in
        [[("vmlinux", &kernel), ("ltt-core", &module)], [("ltt-core", &module), ("vmlinux", &kernel)]]
    {
        let types = load(&order, &structs).unwrap();
        let [chan] = types.structs("ltt_chan") else { panic!() };
        assert_eq!(chan.member("list.prev").unwrap().offset, 8);
        assert_eq!(chan.member("order").unwrap().ty, &Type::Int { size: 8, signed: false });
        assert_eq!(chan.units, ["ltt_core"]);
        assert_eq!(types.structs("ltt_chan_t")[0].name, "ltt_chan");
        assert!(types.structs("list_head")[0].units.is_empty());
    }
    let error = load(&[("ltt-core", &module)], &structs).unwrap_err().to_string();
    assert_eq!(
        error,
        "ltt-core: the types are in the BTF of the kernel, which this module's BTF continues, which was not given"
    );
}

/// A module built out of the kernel's tree, as an object file with its BTF and the excerpt that it continues.
fn object(module: &Blob, excerpt: Option<&Blob>) -> Vec<u8> {
    let (architecture, order) = (object::Architecture::X86_64, object::Endianness::Little);
    let mut object = object::write::Object::new(object::BinaryFormat::Elf, architecture, order);
    let mut section = |name: &str, bytes: Vec<u8>| {
        let id = object.add_section(Vec::new(), name.into(), object::SectionKind::Other);
        object.set_section_data(id, bytes, 1);
    };
    section(".modinfo", b"name=lttng_tracer\0".to_vec());
    section(".BTF", module.finish());
    if let Some(excerpt) = excerpt {
        section(".BTF.base", excerpt.finish());
    }
    object.write().unwrap()
}

/// What such a module has of the kernel are names and sizes: members are those of the kernel that is at hand.
#[test]
fn a_distilled_excerpt_is_completed_by_the_kernel() {
    let mut kernel = kernel(false);
    // A homonym of another size, and structs that modules only point to.
    kernel.structure("list_head", 0, 8, &[("next", 1, 0)]);
    kernel.structure("dentry", 0, 8, &[("d_flags", 1, 0)]);

    let mut excerpt = Blob::new(false);
    let int = excerpt.int("int", 4, true, 0, 32);
    let list = excerpt.structure("list_head", 0, 16, &[]);
    let long = excerpt.int("long unsigned int", 8, false, 0, 64);
    let dentry = excerpt.record("dentry", 7, 0, 0, &[]);
    let unknown = excerpt.structure("only_here", 0, 8, &[]);
    let state = excerpt.record("state", 6, 0, 4, &[]);

    let mut module = Blob::split(&excerpt);
    let pointer = module.record("", 2, 0, dentry, &[]);
    let array = module.record("", 3, 0, 0, &[list, int, 2]);
    let own = module.structure("own", 0, 8, &[("order", long, 0)]);
    module.structure(
        "chan",
        0,
        80,
        &[
            ("list", list, 0),
            ("lists", array, 128),
            ("dentry", pointer, 384),
            ("own", own, 448),
            ("unknown", unknown, 512),
            ("state", state, 576),
        ],
    );
    module.record("chan_t", 8, 0, own + 1, &[]);

    let structs = wanted(&["chan", "chan_t", "list_head"]);
    let file = |name: &str, bytes: Vec<u8>| Input::new(name, Arc::new(bytes));
    let tracer = file("lttng-tracer.ko", object(&module, Some(&excerpt)));
    let types = Types::load(vec![file("vmlinux", kernel.finish()), tracer.clone()], &structs).unwrap();
    let [chan] = types.structs("chan") else { panic!() };
    assert_eq!((chan.size, chan.units.as_slice()), (80, &["lttng_tracer".to_owned()][..]));
    let field = |path: &str| chan.member(path).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(field("list.prev").offset, 8);
    assert_eq!((field("lists").offset, field("lists").ty.size()), (16, Some(32)));
    assert_eq!(field("own.order").ty, &Type::Int { size: 8, signed: false });
    assert_eq!(field("dentry").ty, &Type::Pointer { size: 8, to: Some("dentry".into()), depth: 1 });
    assert_eq!((field("unknown").offset, field("unknown").ty.size()), (64, Some(8)));
    assert_eq!(field("state").ty, &Type::Enum { name: Some("state".into()), size: 4 });
    assert_eq!(types.structs("chan_t").len(), 1);
    // The excerpt is no definition of its own.
    assert!(types.structs("list_head").iter().all(|layout| !layout.members.is_empty()));

    // Without the kernel: what the excerpt says.
    let types = Types::load(vec![tracer], &structs).unwrap();
    let [chan] = types.structs("chan") else { panic!() };
    assert_eq!((chan.member("own.order").unwrap().offset, chan.member("list.prev")), (56, None));
    assert_eq!(chan.member("lists").unwrap().ty.size(), Some(32));

    // Without either, the types are elsewhere.
    let alone = file("lttng-tracer.ko", object(&module, None));
    let error = Types::load(vec![alone], &structs).unwrap_err().to_string();
    assert!(error.contains("the BTF of the kernel, which this module's BTF continues"), "{error}");
}

#[test]
fn distinct_definitions_are_all_kept() {
    let mut blob = kernel(false);
    blob.structure("list_head", 0, 8, &[("next", 1, 0)]);
    blob.structure("list_head", 0, 8, &[("next", 1, 0)]);
    let types = load(&[("vmlinux", &blob)], &["list_head"]).unwrap();
    let sizes: Vec<u64> = types.structs("list_head").iter().map(|layout| layout.size).collect();
    assert_eq!(sizes, [16, 8]);
}

/// BTF knows no units, so that homonyms are told apart by nothing but their order; that and all else survive being written as ISF.
/// A module's blob that comes later continues the one that was read first.
#[test]
fn types_survive_being_written() {
    for big in [false, true] {
        let mut kernel = kernel(big);
        kernel.structure("list_head", 0, 8, &[("next", 1, 0)]);
        let mut module = Blob::split(&kernel);
        module.structure("ltt_chan", 0, 24, &[("list", 4, 0), ("order", 1, 128)]);
        let structs = ["ltt_chan", "list_head", "outer", "flags"];
        let input = |path: &str, blob: &Blob| Input::new(path, Arc::new(blob.finish()));
        let inputs = [input("vmlinux", &kernel)];
        let mut types = Types::load(inputs.to_vec(), &wanted(&structs)).unwrap();
        assert_eq!(types.missing().structs, ["ltt_chan"]);
        types.extend(&[input("ltt-core", &module)], &inputs, &wanted(&structs)).unwrap();
        assert!(types.missing().structs.is_empty());
        assert_eq!(types.sources().len(), 2);
        let isf = Input::new("isf", Arc::new(kdebug::isf::write(&types).into_bytes()));
        let again = Types::load(vec![isf], &wanted(&structs)).unwrap();
        assert_eq!(types.structs("list_head").len(), 2);
        for name in structs {
            assert_eq!(types.structs(name), again.structs(name), "{name}");
        }
        assert_eq!(again.enumerator("WIDE"), types.enumerator("WIDE"));
        assert_eq!((again.endian(), again.pointer_size()), (types.endian(), types.pointer_size()));
    }
}

#[test]
fn damage_is_named_with_its_place() {
    let mut blob = kernel(false);
    let intact = blob.types.len();
    blob.record("x", 25, 0, 0, &[]);
    let error = load(&[("vmlinux", &blob)], &[]).unwrap_err().to_string();
    assert_eq!(error, format!("vmlinux: BTF types+{intact:#x}: expected kind 1 to 19, found 25"));
    blob.types.truncate(intact - 2);
    let error = load(&[("vmlinux", &blob)], &[]).unwrap_err().to_string();
    assert!(
        error.ends_with(&format!("expected a whole record, found {} bytes of types", intact - 2)),
        "{error}"
    );
    let mut bytes = kernel(false).finish();
    bytes[2] = 9;
    let error = Types::load(vec![Input::new("b", Arc::new(bytes))], &wanted(&[])).unwrap_err();
    assert_eq!(error.to_string(), "b: BTF header: expected version 1, found 9");
}

#[test]
fn loops_of_types_end() {
    let mut blob = Blob::new(false);
    let first = blob.next_id;
    blob.record("a", 8, 0, first + 1, &[]);
    blob.record("b", 8, 0, first, &[]);
    let array = blob.record("", 3, 0, 0, &[first + 2, 1, 2]);
    blob.structure("loops", 0, 8, &[("a", first, 0), ("array", array, 0), ("itself", array + 1, 0)]);
    let types = load(&[("vmlinux", &blob)], &["loops", "a"]).unwrap();
    let [loops] = types.structs("loops") else { panic!() };
    assert!(matches!(loops.member("a").unwrap().ty, Type::Opaque { .. }));
    assert!(matches!(loops.member("itself").unwrap().ty, Type::Opaque { .. }));
    assert_eq!(types.missing().structs, ["a"]);
}
