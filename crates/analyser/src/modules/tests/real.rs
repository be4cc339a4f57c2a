//! Slices of real cores of Linux 6.1 with LTTng 2.13. The fixtures hold what sessions take; where the larger slices with all modules
//! are not, the tests of these say so and pass.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use relaywalk::Target;
use relaywalk::lttng::{Layouts, Walk};

use crate::{Kernel, OpenOptions};

const KERNEL: &str = "types-6.1.0-56-amd64.isf.json";
const TRACER: &str = "types-lttng-2.13.9.isf.json";

fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/linux-6.1-lttng-2.13");
    if !path.is_dir() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/linux-6.1-lttng-2.13")
}

fn open(data: &Path, core: &str, types: &[&str]) -> Kernel {
    let options = OpenOptions {
        cores: vec![data.join(core).join("core.zlib")],
        debuginfo: types.iter().map(|name| data.join("types").join(name)).collect(),
        ..Default::default()
    };
    Kernel::open(&options).unwrap()
}

fn expected(data: &Path, core: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(data.join(core).join("expected/core.json")).unwrap()).unwrap()
}

fn hex(value: &serde_json::Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[test]
fn every_module_with_its_sections() {
    let Some(data) = data() else { return };
    for core in ["M0d", "M1p"] {
        let kernel = open(&data, core, &[KERNEL]);
        let expected = expected(&data, core);
        let list = expected["modules"].as_array().unwrap();
        assert_eq!(kernel.modules().len(), list.len(), "{core}");
        for (module, expected) in kernel.modules().iter().zip(list) {
            let name = expected["name"].as_str().unwrap();
            assert_eq!(module.name, name);
            assert_eq!(module.version.as_deref(), expected["version"].as_str(), "{name}");
            assert_eq!(module.source_version.as_deref(), expected["srcversion"].as_str(), "{name}");
            let percpu = hex(&expected["percpu"]);
            let attributes = module.sections.len() - if percpu == 0 { 0 } else { 2 };
            assert_eq!(attributes as u64, expected["sections"].as_u64().unwrap(), "{name}");
            assert_eq!(module.sections.get(".data..percpu").copied().unwrap_or(0), percpu, "{name}");
            let (base, size) = (hex(&expected["base"]), expected["size"].as_u64().unwrap());
            for range in &module.data {
                assert!(range.start >= base && range.end == base + size, "{name}: {range:x?}");
            }
        }
        let tracer = kernel.modules().iter().find(|module| module.name == "lttng_tracer").unwrap();
        for (name, at) in expected["lttng_tracer"]["sections"].as_object().unwrap() {
            assert_eq!(tracer.sections.get(name), Some(&hex(at)), "{name}");
        }
        let build_id = tracer.build_id.as_deref().unwrap();
        assert!(build_id.len() == 20 && build_id.starts_with(&[0x76, 0x5f, 0x2a, 0x62]), "{build_id:x?}");
        let sessions = hex(&expected["lttng_tracer"]["sessions"]);
        assert!(kernel.view().module_data("lttng-tracer").iter().any(|range| range.contains(&sessions)));
        assert_eq!(kernel.warnings(), [] as [&str; 0], "{core}");
    }
}

/// The symbol table in memory, and a type file of the modules, lead to the same place.
#[test]
fn symbols_with_and_without_type_files() {
    let Some(data) = data() else { return };
    for core in ["M0d", "M1p"] {
        let sessions = hex(&expected(&data, core)["lttng_tracer"]["sessions"]);
        let mut clocks = Vec::new();
        for types in [&[KERNEL, TRACER][..], &[KERNEL], &[TRACER, KERNEL]] {
            let kernel = open(&data, core, types);
            let found = kernel.view().symbols("sessions");
            let of_tracer: Vec<u64> =
                found.iter().filter(|s| s.unit.as_deref() == Some("lttng_tracer")).map(|s| s.addr).collect();
            assert_eq!(of_tracer, [sessions], "{core}: {found:?}");
            clocks.push(kernel.view().symbols("lttng_last_tsc"));
        }
        assert_eq!(clocks[0].len(), 1, "{clocks:?}");
        assert!(clocks.iter().all(|clock| *clock == clocks[0]), "{clocks:?}");
    }
}

/// What a walk found, in figures: uuid, channel, CPU → write position, lost, used bytes of each packet by position.
type Figures = BTreeMap<([u8; 16], u64, Option<u32>), (u64, u64, BTreeMap<u64, u64>)>;

fn figures(walk: &Walk) -> Figures {
    let mut figures = BTreeMap::new();
    for session in &walk.sessions {
        for channel in &session.channels {
            for stream in &channel.streams {
                let packets = stream.packets.iter().map(|packet| (packet.position, packet.used)).collect();
                let key = (session.uuid.unwrap(), u64::from(channel.id.unwrap()), stream.cpu);
                figures.insert(key, (stream.write_position, stream.lost_full, packets));
            }
        }
    }
    figures
}

fn uuid(text: &str) -> [u8; 16] {
    let digits = text.replace('-', "");
    std::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
}

/// Each stream that an independent extraction found, with at least its packets.
fn compare(figures: &Figures, data: &Path, core: &str) {
    let path = data.join(core).join("expected/lttng/expected.json");
    let expected: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut streams = 0;
    for session in expected.as_object().unwrap().values() {
        let uuid = uuid(session["uuid"].as_str().unwrap());
        for channel in session["channels"].as_array().unwrap() {
            for stream in channel["streams"].as_array().unwrap() {
                let cpu = u32::try_from(stream["cpu"].as_i64().unwrap()).ok();
                let (write, lost, packets) = &figures[&(uuid, channel["id"].as_u64().unwrap(), cpu)];
                assert_eq!(Some(*write), stream["offset"].as_u64());
                assert_eq!(Some(*lost), stream["records_lost_full"].as_u64());
                for packet in stream["packets"].as_array().into_iter().flatten() {
                    let used = packets.get(&packet["position"].as_u64().unwrap());
                    assert_eq!(used.copied(), packet["content_bytes"].as_u64(), "{core}: {packet}");
                }
                streams += 1;
            }
        }
    }
    assert_eq!(streams, figures.len());
}

#[test]
fn sessions_with_and_without_types_of_the_tracer() {
    let data = fixtures();
    for core in ["M0d", "M1p"] {
        let walk = |types: &[&str]| {
            let kernel = open(&data, core, types);
            relaywalk::lttng::walk(kernel.view(), &relaywalk::Options::default())
        };
        let full = walk(&[KERNEL, TRACER]);
        assert_eq!(full.layouts, Layouts::DebugInformation, "{:?}", full.damage);
        assert_eq!(full.damage, []);
        compare(&figures(&full), &data, core);
        let bare = walk(&[KERNEL]);
        assert_eq!(bare.layouts, Layouts::Fixed("2.13"), "{:?}", bare.damage);
        compare(&figures(&bare), &data, core);
    }
}
