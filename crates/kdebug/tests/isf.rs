//! ISF: files measured on real kernels, and what this crate adds to the format.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use kdebug::{Endian, Input, SourceKind, StructKind, Type, Types, Wanted};
use std::path::Path;
use std::sync::Arc;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn fixture(name: &str, wanted: &Wanted) -> Types {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Types::load(vec![Input::new(path, Arc::new(bytes))], wanted).unwrap()
}

fn parse(json: &str, wanted: &Wanted) -> Result<Types, kdebug::Error> {
    Types::load(vec![Input::new("isf", Arc::new(json.to_owned().into_bytes()))], wanted)
}

#[test]
fn the_types_of_a_real_kernel() {
    let wanted = Wanted {
        structs: names(&["ltt_channel_buf_struct", "marker_entry", "rchan_buf", "dentry", "ltt_chanbuf"]),
        enums: names(&["trace_mode"]),
        symbols: names(&["ltt_traces", "_text", "__log_buf", "per_cpu__ltt_nesting"]),
        ..Wanted::default()
    };
    for (file, word, text) in [
        ("types-2.6.27.isf.json", 8, 18_446_744_071_564_165_120),
        ("types-2.6.27-i386.isf.json", 4, 3_225_419_776u64),
    ] {
        let types = fixture(file, &wanted);
        assert_eq!(types.sources()[0].kind, SourceKind::Isf);
        assert_eq!((types.endian(), types.pointer_size()), (Some(Endian::Little), Some(word)));
        assert!(types.constant("linux_banner").unwrap().starts_with(b"Linux version 2.6.27 "));
        assert_eq!(types.symbols("__log_buf")[0].size, 131_072);
        assert_eq!(types.symbols("_text")[0].value, text);
        assert_eq!(types.enumerator("LTT_TRACE_FLIGHT"), Some(1));
        assert_eq!(types.missing().structs, ["ltt_chanbuf"]);
        let entry = &types.structs("marker_entry")[0];
        let bits = entry.member("format_allocated").unwrap().bits.unwrap();
        assert_eq!((bits.storage_size, bits.shift, bits.width, bits.signed), (1, 1, 1, false));
        assert_eq!(bits.storage_offset, if word == 8 { 92 } else { 48 });
        let position = &types.structs("ltt_channel_buf_struct")[0];
        assert!(position.units.is_empty(), "of unknown unit");
        let offset = position.member("offset").unwrap();
        let Type::Struct(local) = offset.ty else { panic!("{offset:?}") };
        assert_eq!(local.size, word);
        let buffer = &types.structs("rchan_buf")[0];
        assert!(matches!(
            buffer.member("dentry").unwrap().ty,
            Type::Pointer { to: Some(to), depth: 1, .. } if to == "dentry"
        ));
        assert!(types.structs("dentry")[0].member("d_name.name").is_some());
    }
}

#[test]
fn real_types_survive_being_written() {
    let all = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/types-2.6.27.isf.json"),
    )
    .unwrap();
    let document: serde_json::Value = serde_json::from_str(&all).unwrap();
    let keys = |section: &str| document[section].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let wanted = Wanted {
        structs: keys("user_types").into_iter().filter(|name| !name.starts_with("unnamed_")).collect(),
        enums: keys("enums"),
        symbols: keys("symbols"),
        ..Wanted::default()
    };
    let types = parse(&all, &wanted).unwrap();
    let again = parse(&kdebug::isf::write(&types), &wanted).unwrap();
    for name in &wanted.structs {
        assert_eq!(types.structs(name).len(), 1, "{name}");
        assert_eq!(types.structs(name), again.structs(name), "{name}");
    }
    for name in &wanted.symbols {
        assert_eq!(types.symbols(name), again.symbols(name), "{name}");
        assert_eq!(types.constant(name), again.constant(name), "{name}");
    }
    assert_eq!(again.missing(), types.missing());
}

const HOMONYMS: &str = r#"{
  "metadata": {"format": "6.2.0", "build_id": "00ffAb"},
  "base_types": {
    "pointer": {"size": 4, "signed": false, "kind": "int", "endian": "big"},
    "int": {"size": 4, "signed": true, "kind": "int", "endian": "big"},
    "float": {"size": 4, "signed": true, "kind": "float", "endian": "big"}
  },
  "user_types": {
    "inner": {"size": 4, "kind": "struct", "fields": {"a": {"offset": 0, "type": {"kind": "base", "name": "int"}}}},
    "inner@locked": {"size": 8, "kind": "struct", "fields": {"b": {"offset": 4, "type": {"kind": "base", "name": "int"}}}},
    "outer": {"size": 4, "kind": "struct", "fields": {"in": {"offset": 0, "type": {"kind": "struct", "name": "inner"}}}},
    "outer@ltt-relay-locked": {"size": 16, "kind": "struct", "fields": {
      "tail": {"offset": 12, "type": {"kind": "array", "count": 0, "subtype": {"kind": "base", "name": "float"}}},
      "in": {"offset": 0, "type": {"kind": "struct", "name": "inner@locked"}},
      "to": {"offset": 8, "type": {"kind": "pointer", "subtype": {"kind": "pointer", "subtype": {"kind": "struct", "name": "inner@locked"}}}}
    }},
    "outer@same": {"size": 4, "kind": "struct", "fields": {"in": {"offset": 0, "type": {"kind": "struct", "name": "inner"}}}},
    "u": {"size": 4, "kind": "union", "fields": {
      "x": {"offset": 0, "anonymous": true, "type": {"kind": "struct", "name": "unnamed_1"}},
      "f": {"offset": 0, "type": {"kind": "bitfield", "bit_position": 31, "bit_length": 1, "type": {"kind": "base", "name": "int"}}},
      "nonsense": {"offset": 0, "type": {"kind": "bitfield", "bit_position": 31, "bit_length": 2, "type": {"kind": "base", "name": "int"}}}
    }},
    "unnamed_1": {"size": 4, "kind": "struct", "fields": {"deep": {"offset": 0, "type": {"kind": "enum", "name": "e"}}}}
  },
  "enums": {"e": {"size": 4, "base": "int", "constants": {"E_ONE": 1, "E_MINUS": -1}}},
  "symbols": {
    "_text": {"address": 3221225472},
    "low": {"address": 64},
    "ops": {"address": 3221225480, "type": {"kind": "struct", "name": "outer"}},
    "ops@ltt-relay-locked": {"address": 3221225484, "linkage_name": "ops"},
    "odd": {"address": 3221225488, "constant_data": "aGkA"}
  }
}"#;

fn homonyms() -> Types {
    let wanted = Wanted {
        structs: names(&["outer", "u"]),
        enums: names(&["E_MINUS"]),
        symbols: names(&["ops", "low", "odd"]),
        ..Wanted::default()
    };
    parse(HOMONYMS, &wanted).unwrap()
}

#[test]
fn names_with_units() {
    let types = homonyms();
    let [plain, locked] = types.structs("outer") else { panic!() };
    assert_eq!(plain.units, ["same"], "the plain one is also that of unit `same`");
    assert_eq!(locked.units, ["ltt-relay-locked"]);
    assert_eq!(locked.name, "outer");
    assert_eq!(plain.member("in.a").unwrap().offset, 0);
    assert_eq!(locked.member("in.b").unwrap().offset, 4, "the other inner");
    assert_eq!(
        locked.member("to").unwrap().ty,
        &Type::Pointer { size: 4, to: Some("inner".into()), depth: 2 }
    );
    let order: Vec<&str> = locked.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(order, ["in", "to", "tail"], "by offset");
    assert_eq!(types.struct_in("outer", &["no", "ltt_relay_locked", "same"]), Some(locked));
    assert_eq!(types.struct_in("outer", &["no"]), None);
}

#[test]
fn symbols_with_units() {
    let types = homonyms();
    let [plain, locked] = types.symbols("ops") else { panic!() };
    assert_eq!((plain.value, plain.size, plain.unit.as_deref()), (0xc000_0008, 4, None));
    assert_eq!((locked.value, locked.unit.as_deref()), (0xc000_000c, Some("ltt-relay-locked")));
    assert!(types.symbols("low")[0].percpu && types.symbols("low")[0].absolute, "below the image");
    assert!(!plain.percpu);
    assert_eq!(types.constant("odd"), Some(&b"hi\0"[..]));
    assert_eq!(types.build_id(), Some(&[0, 0xff, 0xab][..]));
}

/// Symbols of modules are offsets in sections, small numbers that must not pass for per-CPU variables of the kernel.
#[test]
fn symbols_of_modules() {
    let json = r#"{"user_types": {}, "symbols": {
        "_text": {"address": 3221225472},
        "low": {"address": 64},
        "sessions": {"address": 3221225480},
        "sessions@lttng-events": {"address": 80, "linkage_name": "lttng-tracer:.data"},
        "lttng_last_tsc": {"address": 0, "linkage_name": "lttng_wrapper:.data..percpu"},
        "cpp": {"address": 3221225490, "linkage_name": "a::b"}}}"#;
    let symbols = ["sessions", "lttng_last_tsc", "low", "a::b"];
    let types = parse(json, &Wanted { symbols: names(&symbols), ..Wanted::default() }).unwrap();
    let [kernels, modules] = types.symbols("sessions") else { panic!() };
    assert_eq!((kernels.module.as_deref(), kernels.section.as_deref()), (None, None));
    assert_eq!(
        (modules.module.as_deref(), modules.section.as_deref()),
        (Some("lttng_tracer"), Some(".data"))
    );
    assert_eq!((modules.value, modules.unit.as_deref()), (80, Some("lttng-events")));
    assert!(!modules.percpu && !modules.absolute && types.symbols("low")[0].absolute);
    let clock = &types.symbols("lttng_last_tsc")[0];
    assert!(clock.percpu && !clock.absolute && clock.section.as_deref() == Some(".data..percpu"));
    assert_eq!(types.symbols("a::b")[0].value, 3_221_225_490);
}

#[test]
fn anonymous_members_bit_fields_and_enumerators() {
    let types = homonyms();
    let [union] = types.structs("u") else { panic!() };
    assert_eq!(union.kind, StructKind::Union);
    assert!(
        matches!(union.member("deep").unwrap().ty, Type::Enum { name: Some(name), size: 4 } if name == "e")
    );
    let bits = union.member("f").unwrap().bits.unwrap();
    assert_eq!((bits.shift, bits.width, bits.signed), (31, 1, true));
    assert_eq!(union.member("nonsense").unwrap().bits, None);
    assert_eq!((types.enumerator("E_MINUS"), types.enumerator("E_ONE")), (Some(-1), None));
    assert_eq!(types.endian(), Some(Endian::Big));
}

#[test]
fn homonyms_survive_being_written() {
    let types = homonyms();
    let wanted = Wanted {
        structs: names(&["outer", "u"]),
        enums: names(&["E_MINUS"]),
        symbols: names(&["ops", "odd"]),
        ..Wanted::default()
    };
    let again = parse(&kdebug::isf::write(&types), &wanted).unwrap();
    assert_eq!(types.structs("outer"), again.structs("outer"));
    assert_eq!(types.symbols("ops"), again.symbols("ops"));
    assert_eq!(again.enumerator("E_MINUS"), Some(-1));
    assert_eq!(again.build_id(), types.build_id());
    assert_eq!(again.endian(), types.endian());
}

/// Units and modules survive, also of what has one definition only, and whatever has the same name.
#[test]
fn units_and_modules_survive_being_written() {
    let json = r#"{
      "metadata": {"modules": {"lttng-tracer": "01ff", "odd": "0", "none": ""}},
      "base_types": {"pointer": {"size": 8, "kind": "int", "endian": "little"},
                     "u8": {"size": 1, "kind": "int", "endian": "little"}},
      "user_types": {
        "one@a,b-c": {"size": 8, "kind": "struct", "fields": {
          "in": {"offset": 0, "type": {"kind": "struct", "name": "two@x"}}}},
        "two": {"size": 1, "kind": "struct", "fields": {"p": {"offset": 0, "type": {"kind": "base", "name": "u8"}}}},
        "two@?2": {"size": 2, "kind": "struct", "fields": {"q": {"offset": 1, "type": {"kind": "base", "name": "u8"}}}},
        "two@x": {"size": 3, "kind": "struct", "fields": {"r": {"offset": 2, "type": {"kind": "base", "name": "u8"}}}},
        "two@00112233445566ff": {"size": 4, "kind": "struct", "fields": {}},
        "deep@x": {"size": 4, "kind": "struct", "fields": {
          "in": {"offset": 0, "type": {"kind": "struct", "name": "two@00112233445566ff"}}}}
      },
      "symbols": {
        "_text": {"address": 4096},
        "s@a": {"address": 4100, "linkage_name": "s"},
        "s@b": {"address": 80, "linkage_name": "m:.data"},
        "s@b,?2": {"address": 96, "linkage_name": "n:.bss"},
        "s": {"address": 0, "linkage_name": "n:.data..percpu"},
        "s@?2": {"address": 4104, "linkage_name": "s"}
      }}"#;
    let wanted = Wanted {
        structs: names(&["one", "two", "deep"]),
        symbols: names(&["s", "_text"]),
        ..Wanted::default()
    };
    let types = parse(json, &wanted).unwrap();
    assert_eq!(types.structs("one")[0].units, ["a", "b-c"]);
    let sizes: Vec<u64> = types.structs("two").iter().map(|two| two.size).collect();
    assert_eq!(sizes, [1, 2, 3], "the fourth is only part of another");
    assert!(types.structs("two")[1].units.is_empty());
    let again = parse(&kdebug::isf::write(&types), &wanted).unwrap();
    for name in &wanted.structs {
        assert_eq!(types.structs(name), again.structs(name), "{name}");
    }
    let ids: Vec<_> = again.module_build_ids().collect();
    assert_eq!(ids, [("lttng_tracer", &[1, 0xff][..])]);
    assert_eq!(types.symbols("s").len(), 5);
    assert_eq!(types.symbols("s"), again.symbols("s"));
    assert_eq!(types.symbols("_text"), again.symbols("_text"));
}

/// Of the only definition of its name, nobody needs to know all the units; of several, they are what tells them apart.
#[test]
fn units_of_homonyms_survive_being_written() {
    let list = |letter: char, count: usize| -> Vec<String> {
        (0..count).map(|number| format!("{letter}{number}")).collect()
    };
    let written = |first: usize, second: usize| {
        let keys = [list('a', first), list('b', second)].map(|units| units.join(","));
        let json = format!(
            r#"{{"user_types": {{
                "one@{0}": {{"size": 1, "kind": "struct", "fields": {{}}}},
                "two@{0}": {{"size": 2, "kind": "struct", "fields": {{}}}},
                "two@{1}": {{"size": 3, "kind": "struct", "fields": {{}}}}
            }}, "symbols": {{}}}}"#,
            keys[0], keys[1]
        );
        let wanted = Wanted { structs: names(&["one", "two"]), ..Wanted::default() };
        let types = parse(&json, &wanted).unwrap();
        assert_eq!(types.structs("two")[0].units.len(), first);
        parse(&kdebug::isf::write(&types), &wanted).unwrap()
    };
    let again = written(200, 17);
    assert_eq!(again.structs("one")[0].units, Vec::<String>::new());
    let units: Vec<_> = again.structs("two").iter().map(|two| two.units.clone()).collect();
    assert_eq!(units, [list('a', 200), list('b', 17)]);
    let again = written(300, 17);
    let units: Vec<_> = again.structs("two").iter().map(|two| two.units.clone()).collect();
    assert_eq!(units, [Vec::new(), list('b', 17)], "the plain name is for all that are not listed");
}

#[test]
fn two_kernels_are_not_layered() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap();
    let load = |texts: [(&str, String); 2]| {
        let inputs = texts.map(|(name, text)| Input::new(name, Arc::new(text.into_bytes())));
        Types::load(inputs.into(), &Wanted::default()).map_err(|error| error.to_string())
    };
    let (wide, narrow) = (read("types-2.6.27.isf.json"), read("types-2.6.27-i386.isf.json"));
    assert!(load([("a", wide.clone()), ("b", wide.clone())]).is_ok());
    let error = load([("a", wide.clone()), ("b", narrow)]).unwrap_err();
    assert_eq!(error, "b: word size 32 bits differs from 64 bits of a");
    let other = wide.replace("\"little\"", "\"big\"");
    let error = load([("a", wide.clone()), ("b", other)]).unwrap_err();
    assert_eq!(error, "b: byte order big differs from little of a");
    // "Linux version 2.6.2", three bytes in four letters of base64.
    let [old, new] =
        [b"Linux version 2.6.27", b"Linux version 2.6.28"].map(|text| STANDARD_NO_PAD.encode(&text[..18]));
    assert_eq!(old, new, "the release's last digit is in the next group");
    let at = wide.find(&old).unwrap() + old.len();
    let mut other = wide.clone();
    other.replace_range(at..at + 4, &STANDARD_NO_PAD.encode(b"28 "));
    let error = load([("a", wide), ("b", other)]).unwrap_err();
    assert!(error.starts_with("b: banner \"Linux version 2.6.28 "), "{error}");
}

#[test]
fn a_struct_within_itself_is_cut() {
    let json = r#"{"user_types": {"s": {"size": 8, "kind": "struct", "fields": {
        "s": {"offset": 0, "type": {"kind": "struct", "name": "s"}}}}}}"#;
    let types = parse(json, &Wanted { structs: names(&["s"]), ..Wanted::default() }).unwrap();
    assert_eq!(types.structs("s")[0].members[0].ty, Type::Opaque { name: "s".into() });
}

#[test]
fn errors_tell_the_place() {
    for (json, expected) in [
        (
            "{",
            "isf: ISF: expected types and symbols as JSON, found EOF while parsing an object at line 1 column 1",
        ),
        (
            r#"{"name": "x"}"#,
            "isf: ISF: expected types and symbols as JSON, found missing field `user_types` at line 1 column 13",
        ),
        (
            r#"{"user_types": {}, "symbols": {"linux_banner": {"address": 1, "constant_data": "!"}}}"#,
            "isf: symbols.linux_banner.constant_data: expected base64, found Invalid symbol 33, offset 0.",
        ),
    ] {
        assert_eq!(parse(json, &Wanted::default()).unwrap_err().to_string(), expected);
    }
}
