//! DWARF built entry by entry: versions, byte orders and shapes that no compiler at hand emits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    missing_docs,
    reason = "tests"
)]

use gimli::write::{
    Address, AttributeValue, DebugInfoRef, Dwarf, EndianVec, Expression, LineProgram, Sections, Unit,
    UnitEntryId, UnitId,
};
use gimli::{DwAt, DwTag, Encoding, Format, RunTimeEndian};
use kdebug::{Bits, Endian, Input, Type, Types, Wanted};
use std::sync::Arc;

/// A file under construction.
struct Build {
    dwarf: Dwarf,
    encoding: Encoding,
    big: bool,
}

/// How an entry ends up in a unit.
#[derive(Clone, Copy)]
struct Entry(UnitId, UnitEntryId);

impl Build {
    fn new(version: u16, big: bool) -> Self {
        let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version };
        Build { dwarf: Dwarf::new(), encoding, big }
    }

    fn unit(&mut self, name: &str) -> UnitId {
        let id = self.dwarf.units.add(Unit::new(self.encoding, LineProgram::none()));
        let root = self.dwarf.units.get(id).root();
        self.set(Entry(id, root), gimli::DW_AT_name, AttributeValue::String(name.into()));
        id
    }

    fn set(&mut self, entry: Entry, at: DwAt, value: AttributeValue) {
        self.dwarf.units.get_mut(entry.0).get_mut(entry.1).set(at, value);
    }

    fn child(&mut self, parent: Entry, tag: DwTag, name: &str) -> Entry {
        let id = self.dwarf.units.get_mut(parent.0).add(parent.1, tag);
        let entry = Entry(parent.0, id);
        if !name.is_empty() {
            let name = AttributeValue::StringRef(self.dwarf.strings.add(name));
            self.set(entry, gimli::DW_AT_name, name);
        }
        entry
    }

    /// An entry at top level, which jumps over its children.
    fn top(&mut self, unit: UnitId, tag: DwTag, name: &str) -> Entry {
        let root = self.dwarf.units.get(unit).root();
        let entry = self.child(Entry(unit, root), tag, name);
        self.dwarf.units.get_mut(unit).get_mut(entry.1).set_sibling(true);
        entry
    }

    fn sized(&mut self, unit: UnitId, tag: DwTag, name: &str, size: u64) -> Entry {
        let entry = self.top(unit, tag, name);
        // Of fixed length, as compilers write it: entries can be passed undecoded.
        self.set(entry, gimli::DW_AT_byte_size, AttributeValue::Data2(size as u16));
        entry
    }

    fn int(&mut self, unit: UnitId, name: &str, size: u64, signed: bool) -> Entry {
        let entry = self.sized(unit, gimli::DW_TAG_base_type, name, size);
        let encoding = if signed { gimli::DW_ATE_signed } else { gimli::DW_ATE_unsigned };
        self.set(entry, gimli::DW_AT_encoding, AttributeValue::Encoding(encoding));
        entry
    }

    fn type_of(&mut self, entry: Entry, ty: Entry) {
        let value = if entry.0 == ty.0 {
            AttributeValue::UnitRef(ty.1)
        } else {
            AttributeValue::DebugInfoRef(DebugInfoRef::Entry(ty.0, ty.1))
        };
        self.set(entry, gimli::DW_AT_type, value);
    }

    fn member(&mut self, parent: Entry, name: &str, ty: Entry, location: Option<AttributeValue>) -> Entry {
        let member = self.child(parent, gimli::DW_TAG_member, name);
        self.type_of(member, ty);
        if let Some(location) = location {
            self.set(member, gimli::DW_AT_data_member_location, location);
        }
        member
    }

    fn finish(mut self) -> Vec<u8> {
        let endian = if self.big { RunTimeEndian::Big } else { RunTimeEndian::Little };
        let mut sections = Sections::new(EndianVec::new(endian));
        self.dwarf.write(&mut sections).unwrap();
        let (architecture, order) = if self.big {
            (object::Architecture::S390x, object::Endianness::Big)
        } else {
            (object::Architecture::X86_64, object::Endianness::Little)
        };
        let mut object = object::write::Object::new(object::BinaryFormat::Elf, architecture, order);
        sections
            .for_each(|id, data| -> Result<(), ()> {
                if !data.slice().is_empty() {
                    let name = id.name().as_bytes().to_vec();
                    let section = object.add_section(Vec::new(), name, object::SectionKind::Debug);
                    object.set_section_data(section, data.slice().to_vec(), 1);
                }
                Ok(())
            })
            .unwrap();
        object.write().unwrap()
    }
}

fn constant(value: u64) -> Option<AttributeValue> {
    Some(AttributeValue::Udata(value))
}

/// `DW_OP_plus_uconst` in a block, as before DWARF 3.
fn block(value: u64) -> Option<AttributeValue> {
    let mut expression = Expression::new();
    expression.op_plus_uconst(value);
    Some(AttributeValue::Exprloc(expression))
}

fn load(build: Build, structs: &[&str]) -> Types {
    load_with(build, structs, false)
}

fn load_with(build: Build, structs: &[&str], first_definition_only: bool) -> Types {
    let wanted = Wanted {
        structs: structs.iter().map(|name| (*name).to_owned()).collect(),
        enums: vec!["BIG_ONE".into(), "LITTLE_ONE".into()],
        first_definition_only,
        ..Wanted::default()
    };
    Types::load(vec![Input::new("built", Arc::new(build.finish()))], &wanted).unwrap()
}

#[test]
fn members_in_all_versions_and_byte_orders() {
    for version in 2..=5 {
        for big in [false, true] {
            let mut build = Build::new(version, big);
            let unit = build.unit("kernel/built.c");
            let int = build.int(unit, "int", 4, true);
            let place = if version == 2 { block } else { constant };
            let inner = build.sized(unit, gimli::DW_TAG_union_type, "", 4);
            build.member(inner, "word", int, None);
            build.member(inner, "again", int, None);
            let outer = build.sized(unit, gimli::DW_TAG_structure_type, "outer", 304);
            build.member(outer, "first", int, place(0));
            build.member(outer, "", inner, place(4));
            build.member(outer, "far", int, place(300));
            let bits = build.member(outer, "bits", int, place(8));
            build.set(bits, gimli::DW_AT_bit_size, AttributeValue::Data1(3));
            if version < 4 {
                // 2 bits in front of it: from the top on every machine.
                let from_top = if big { 2 } else { 32 - 2 - 3 };
                build.set(bits, gimli::DW_AT_byte_size, AttributeValue::Data1(4));
                build.set(bits, gimli::DW_AT_bit_offset, AttributeValue::Data1(from_top));
            } else {
                build.dwarf.units.get_mut(unit).get_mut(bits.1).delete(gimli::DW_AT_data_member_location);
                build.set(bits, gimli::DW_AT_data_bit_offset, AttributeValue::Data1(8 * 8 + 2));
            }
            let types = load(build, &["outer"]);
            let label = format!("version {version}, big {big}");
            let [outer] = types.structs("outer") else { panic!("{label}") };
            assert_eq!(outer.units, ["built"], "{label}");
            assert_eq!(outer.size, 304);
            let offset = |path: &str| outer.member(path).unwrap_or_else(|| panic!("{label}: {path}")).offset;
            assert_eq!([offset("first"), offset("word"), offset("again"), offset("far")], [0, 4, 4, 300]);
            let shift = if big { 32 - 2 - 3 } else { 2 };
            let expected = Bits { storage_offset: 8, storage_size: 4, shift, width: 3, signed: true };
            assert_eq!(outer.member("bits").unwrap().bits, Some(expected), "{label}");
            assert_eq!(types.endian(), Some(if big { Endian::Big } else { Endian::Little }));
        }
    }
}

/// Three units: the same header's struct in all, a homonym in the last, functions in between.
fn homonyms() -> Build {
    let mut build = Build::new(4, false);
    for (name, size) in [("a/one.c", 8), ("b/two.c", 8), ("c/three.c", 16)] {
        let unit = build.unit(name);
        let int = build.int(unit, "int", 4, true);
        let function = build.top(unit, gimli::DW_TAG_subprogram, "function");
        build.set(function, gimli::DW_AT_low_pc, AttributeValue::Address(Address::Constant(0x1000)));
        // A struct local to a function is nobody's.
        let local = build.child(function, gimli::DW_TAG_structure_type, "buffer");
        build.set(local, gimli::DW_AT_byte_size, AttributeValue::Udata(99));
        let declared = build.top(unit, gimli::DW_TAG_structure_type, "buffer");
        build.set(declared, gimli::DW_AT_declaration, AttributeValue::Flag(true));
        let buffer = build.sized(unit, gimli::DW_TAG_structure_type, "buffer", size);
        build.member(buffer, "x", int, constant(size - 4));
        if name == "a/one.c" {
            let early = build.sized(unit, gimli::DW_TAG_structure_type, "early", 4);
            build.member(early, "x", int, constant(0));
        }
    }
    build
}

#[test]
fn homonyms_in_other_units() {
    let types = load(homonyms(), &["buffer"]);
    let found: Vec<_> = types.structs("buffer").iter().map(|s| (s.size, s.units.clone())).collect();
    let units = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(found, [(8, units(&["one", "two"])), (16, units(&["three"]))]);
    assert_eq!(types.struct_in("buffer", &["three"]).unwrap().member("x").unwrap().offset, 12);
}

#[test]
fn the_most_common_definition_is_first() {
    let mut build = homonyms();
    for number in 0..20 {
        let unit = build.unit(&format!("more{number}.c"));
        let int = build.int(unit, "int", 4, true);
        let buffer = build.sized(unit, gimli::DW_TAG_structure_type, "buffer", 16);
        build.member(buffer, "x", int, constant(12));
    }
    let types = load(build, &["buffer"]);
    let found: Vec<_> = types.structs("buffer").iter().map(|s| (s.size, s.units.len())).collect();
    assert_eq!(found, [(16, 21), (8, 2)]);
}

#[test]
fn early_exit_does_not_read_what_it_does_not_need() {
    // In the last unit the entry after the root is of an unknown abbreviation.
    let damaged = |first_only| {
        let mut build = homonyms();
        let unit = build.unit("garbage.c");
        let marker = build.top(unit, gimli::DW_TAG_structure_type, "");
        build.set(marker, gimli::DW_AT_byte_size, AttributeValue::Data8(0x7777_7777_7777_7777));
        let mut bytes = build.finish();
        let at = bytes.windows(8).position(|window| window == [0x77; 8]).unwrap();
        bytes[at - 1] = 0x7f;
        let wanted = Wanted {
            structs: vec!["buffer".into(), "early".into()],
            first_definition_only: first_only,
            ..Wanted::default()
        };
        // One thread, so that nobody runs ahead of the first unit.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        pool.install(|| Types::load(vec![Input::new("built", Arc::new(bytes))], &wanted))
    };
    let types = damaged(true).unwrap();
    assert_eq!(types.structs("buffer").len(), 1);
    assert_eq!(types.structs("buffer")[0].units, ["one"]);
    assert!(types.warnings().is_empty());
    // What is read loses the damaged unit only.
    let types = damaged(false).unwrap();
    let sizes: Vec<u64> = types.structs("buffer").iter().map(|buffer| buffer.size).collect();
    assert_eq!(sizes, [8, 16]);
    let [warning] = types.warnings() else { panic!("{:?}", types.warnings()) };
    assert!(warning.starts_with("built: .debug_info+0x"), "{warning}");
    assert!(warning.ends_with("the rest of a compile unit is lost"), "{warning}");
}

/// Each damage costs what is described there; a file of which nothing is left is an error.
#[test]
fn damage_costs_one_unit() {
    const MARK: u64 = 0x7777_7777_7777_7777;
    // Units of one, two and three; in two a marked entry precedes the struct, which the others refer to.
    let build = || {
        let mut build = Build::new(5, false);
        let units = ["one.c", "two.c", "three.c"].map(|name| build.unit(name));
        let int = build.int(units[1], "int", 4, true);
        let marker = build.top(units[1], gimli::DW_TAG_structure_type, "");
        build.set(marker, gimli::DW_AT_byte_size, AttributeValue::Data8(MARK));
        for (unit, size) in [(units[0], 8), (units[1], 16)] {
            let own = build.int(unit, "unsigned int", 4, false);
            let buffer = build.sized(unit, gimli::DW_TAG_structure_type, "buffer", size);
            build.member(buffer, "x", own, constant(0));
        }
        let far = build.sized(units[2], gimli::DW_TAG_structure_type, "far", 4);
        build.member(far, "x", int, constant(0));
        build.finish()
    };
    let load = |bytes: Vec<u8>| {
        let structs = ["buffer", "far"].map(str::to_owned).to_vec();
        let wanted = Wanted { structs, ..Wanted::default() };
        Types::load(vec![Input::new("built", Arc::new(bytes))], &wanted)
    };
    let sizes = |types: &Types| types.structs("buffer").iter().map(|s| s.size).collect::<Vec<_>>();
    let types = load(build()).unwrap();
    assert_eq!((sizes(&types), types.structs("far").len(), types.warnings().len()), (vec![8, 16], 1, 0));

    // An entry in the middle: what comes before it can still be referred to.
    let mut bytes = build();
    let at = bytes.windows(8).position(|window| window == MARK.to_le_bytes()).unwrap();
    bytes[at - 1] = 0x7f;
    let types = load(bytes).unwrap();
    assert_eq!((sizes(&types), types.structs("far").len()), (vec![8], 1));
    assert_eq!(types.warnings().len(), 1, "{:?}", types.warnings());

    // The header: DWARF of a version to come. All behind it is lost with it.
    let file = build();
    let info = |bytes: &[u8]| {
        use object::{Object as _, ObjectSection as _};
        let file = object::File::parse(bytes).unwrap();
        let (start, len) = file.section_by_name(".debug_info").unwrap().file_range().unwrap();
        start as usize..(start + len) as usize
    };
    let range = info(&file);
    let length = u32::from_le_bytes(file[range.start..][..4].try_into().unwrap()) as usize + 4;
    let mut bytes = file.clone();
    bytes[range.start + length + 4] = 99;
    let types = load(bytes).unwrap();
    assert_eq!((sizes(&types), types.structs("far").len()), (vec![8], 0));
    let [warning] = types.warnings() else { panic!("{:?}", types.warnings()) };
    assert!(warning.starts_with(&format!("built: .debug_info+{length:#x}")), "{warning}");
    assert!(warning.ends_with("all compile units from there on are lost"), "{warning}");

    // The first header: nothing is left.
    let mut bytes = file.clone();
    bytes[range.start + 4] = 99;
    let error = load(bytes).unwrap_err().to_string();
    assert!(error.starts_with("built: .debug_info+0x0: expected the header of a compile unit"), "{error}");

    // The root of the second unit: its code leads to no abbreviation. The struct that refers into it is lost, too.
    let mut bytes = file;
    bytes[range.start + length + 12] = 0x7f;
    let types = load(bytes).unwrap();
    assert_eq!((sizes(&types), types.structs("far").len()), (vec![8], 0));
    let [unit, definition] = types.warnings() else { panic!("{:?}", types.warnings()) };
    assert!(unit.ends_with("a compile unit is lost"), "{unit}");
    assert!(definition.ends_with("a definition is lost"), "{definition}");
}

#[test]
fn types_in_another_unit_and_behind_typedefs() {
    let mut build = Build::new(3, false);
    let first = build.unit("first.c");
    let second = build.unit("second.c");
    let long = build.int(second, "long int", 8, true);
    let anonymous = build.sized(second, gimli::DW_TAG_structure_type, "", 8);
    build.member(anonymous, "counter", long, constant(0));
    let typedef = build.top(second, gimli::DW_TAG_typedef, "local_t");
    build.type_of(typedef, anonymous);
    let again = build.top(first, gimli::DW_TAG_typedef, "counter_t");
    build.type_of(again, typedef);
    let volatile = build.top(first, gimli::DW_TAG_volatile_type, "");
    build.type_of(volatile, again);
    let pointer = build.top(first, gimli::DW_TAG_pointer_type, "");
    build.type_of(pointer, volatile);
    let scalar = build.top(first, gimli::DW_TAG_typedef, "scalar_t");
    build.type_of(scalar, long);
    let outer = build.sized(first, gimli::DW_TAG_structure_type, "outer", 16);
    build.member(outer, "counter", volatile, constant(0));
    build.member(outer, "pointer", pointer, constant(8));
    let types = load(build, &["outer", "local_t", "counter_t", "scalar_t"]);
    let [outer] = types.structs("outer") else { panic!() };
    assert_eq!(outer.member("counter.counter").unwrap().ty, &Type::Int { size: 8, signed: true });
    let to = Some("local_t".to_owned());
    assert_eq!(outer.member("pointer").unwrap().ty, &Type::Pointer { size: 8, to, depth: 1 });
    assert_eq!(types.structs("local_t")[0].name, "local_t");
    assert_eq!(types.structs("counter_t")[0].member("counter").unwrap().offset, 0);
    assert_eq!(types.missing().structs, ["scalar_t"], "a typedef, but of no struct");
}

#[test]
fn enumerators_of_any_size() {
    let mut build = Build::new(4, false);
    let unit = build.unit("enums.c");
    let values = [("BIG_ONE", AttributeValue::Data8(u64::MAX)), ("LITTLE_ONE", AttributeValue::Sdata(-5))];
    for (name, value) in values {
        let anonymous = build.sized(unit, gimli::DW_TAG_enumeration_type, "", 8);
        let enumerator = build.child(anonymous, gimli::DW_TAG_enumerator, name);
        build.set(enumerator, gimli::DW_AT_const_value, value);
    }
    let types = load(build, &[]);
    assert_eq!(types.enumerator("BIG_ONE"), Some(i128::from(u64::MAX)));
    assert_eq!(types.enumerator("LITTLE_ONE"), Some(-5));
}

#[test]
fn loops_of_types_end() {
    let mut build = Build::new(5, true);
    let unit = build.unit("loops.c");
    let one = build.top(unit, gimli::DW_TAG_typedef, "one");
    let two = build.top(unit, gimli::DW_TAG_const_type, "");
    build.type_of(one, two);
    build.type_of(two, one);
    let pointer = build.top(unit, gimli::DW_TAG_pointer_type, "");
    build.type_of(pointer, pointer);
    let array = build.top(unit, gimli::DW_TAG_array_type, "");
    build.type_of(array, array);
    let outer = build.sized(unit, gimli::DW_TAG_structure_type, "outer", 8);
    build.member(outer, "typedef", one, constant(0));
    build.member(outer, "pointer", pointer, constant(0));
    build.member(outer, "array", array, constant(0));
    build.member(outer, "itself", outer, constant(0));
    let types = load(build, &["outer", "one"]);
    let [outer] = types.structs("outer") else { panic!() };
    let ty = |path: &str| outer.member(path).unwrap().ty;
    assert!(matches!(ty("typedef"), Type::Opaque { .. }));
    assert!(matches!(ty("itself"), Type::Opaque { .. }));
    assert!(matches!(ty("pointer"), Type::Pointer { to: None, .. }));
    assert!(matches!(ty("array"), Type::Array { .. }));
    assert_eq!(types.missing().structs, ["one"]);
}

#[test]
fn deep_nesting_needs_little_stack_and_doubling_little_memory() {
    let mut build = Build::new(4, false);
    let unit = build.unit("deep.c");
    let mut inner = build.int(unit, "int", 4, true);
    for level in 0..200 {
        let mut array = inner;
        for _ in 0..4 {
            let outside = build.top(unit, gimli::DW_TAG_array_type, "");
            build.type_of(outside, array);
            array = outside;
        }
        let outer = build.sized(unit, gimli::DW_TAG_structure_type, &format!("level{level}"), 8);
        build.member(outer, "a", array, constant(0));
        build.member(outer, "b", inner, constant(0));
        build.member(outer, "c", inner, constant(0));
        inner = outer;
    }
    // A debug build needs the most; worker threads have twice as much by default.
    let pool = rayon::ThreadPoolBuilder::new().stack_size(1 << 20).build().unwrap();
    let types = pool.install(|| load(build, &["level199", "level5", "level20"]));
    let paths = |name: &str| types.structs(name)[0].flatten().len();
    assert_eq!(paths("level5"), 3 * ((1 << 6) - 1), "complete");
    assert!(paths("level20") <= 1 << 16);
    assert!(paths("level199") <= 1 << 16);
}

#[test]
fn a_supplementary_file_is_asked_for() {
    let mut build = Build::new(4, false);
    let unit = build.unit("dwz.c");
    let outer = build.sized(unit, gimli::DW_TAG_structure_type, "outer", 8);
    let member = build.child(outer, gimli::DW_TAG_member, "m");
    let elsewhere = AttributeValue::DebugInfoRefSup(gimli::DebugInfoOffset(64));
    build.set(member, gimli::DW_AT_type, elsewhere);
    let wanted = Wanted { structs: vec!["outer".into()], ..Wanted::default() };
    let error = Types::load(vec![Input::new("f", Arc::new(build.finish()))], &wanted).unwrap_err();
    assert!(error.to_string().contains(".gnu_debugaltlink"), "{error}");
}

/// All that was wanted was moved to the supplementary file, and nothing here refers to it.
#[test]
fn a_supplementary_file_is_named_where_nothing_is_found() {
    let mut build = Build::new(5, false);
    let unit = build.unit("dwz.c");
    build.sized(unit, gimli::DW_TAG_structure_type, "other", 8);
    let file = build.finish();
    let load = |file: &[u8], wanted: &[&str]| {
        let structs = wanted.iter().map(|name| (*name).to_owned()).collect();
        let wanted = Wanted { structs, ..Wanted::default() };
        Types::load(vec![Input::new("f", Arc::new(file.to_vec()))], &wanted).unwrap()
    };
    assert!(load(&file, &["outer"]).warnings().is_empty());
    let linked = {
        let parsed = object::read::elf::ElfFile64::<object::Endianness>::parse(&*file).unwrap();
        use object::{Object as _, ObjectSection as _};
        let (architecture, order) = (object::Architecture::X86_64, object::Endianness::Little);
        let mut copy = object::write::Object::new(object::BinaryFormat::Elf, architecture, order);
        let sections = parsed.sections().filter(|section| section.name().unwrap().starts_with(".debug"));
        let sections = sections.map(|section| (section.name().unwrap(), section.data().unwrap()));
        for (name, data) in sections.chain([(".gnu_debugaltlink", &b"../.dwz/kernel\0id"[..])]) {
            let id = copy.add_section(Vec::new(), name.into(), object::SectionKind::Debug);
            copy.set_section_data(id, data, 1);
        }
        copy.write().unwrap()
    };
    let types = load(&linked, &["outer"]);
    let expected =
        "f: the types are in the supplementary file ../.dwz/kernel (made by dwz), which was not given";
    assert_eq!(types.warnings(), [expected]);
    assert!(load(&linked, &["other"]).warnings().is_empty());
}
