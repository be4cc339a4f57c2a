//! Table of markers in kernel memory: which event id has which name and format.
//!
//! The trace's own metadata channel is the authority. This table helps when parts of it are lost; ids stay as they are while a
//! trace exists.

use std::collections::HashMap;

use crate::list;
use crate::memory;
use crate::mirror::{self, Image, Mirror, mirrors};
use crate::{Cause, Damage, Kind, Member, Target, VirtAddr};

mirrors! {
    /// Registered marker. Format 2.3 and later keep the ids in it, earlier ones in the tracer's objects behind its probes.
    MarkerEntry = "marker_entry" {
        needs { hlist: "hlist", format: "format", name: "name" }
        may {
            channel: "channel", event_id: "event_id",
            single: "single.probe_private", multi: "multi", kind: "ptype",
        }
    }
    /// Probe of a marker.
    Closure = "marker_probe_closure" { needs { func: "func", private: "probe_private" } may {} }
    /// The tracer's object behind a marker that it records.
    ActiveMarker = "ltt_active_marker" { needs { node: "node", id: "id" } may { align: "align", probe: "probe" } }
}

/// Symbols read by this module.
pub(crate) const SYMBOLS: &[&str] = &["marker_table", "markers_loaded_list", "default_probe"];

/// Buckets of the kernel's hash table of markers: its hash has six bits.
const BUCKETS: u64 = 64;
/// Markers at most: ids have 16 bits.
const MAX_MARKERS: usize = 1 << 16;
/// Probes of one marker at most.
const MAX_PROBES: u64 = 64;
/// Longest name.
const MAX_NAME: usize = 512;
/// Longest format string.
const MAX_FORMAT: usize = 8192;

/// One marker with an event id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Channel to which the id belongs; `None` where ids are global (formats up to 2.2).
    pub channel: Option<Vec<u8>>,
    /// Event id.
    pub id: u16,
    /// Name, raw.
    pub name: Vec<u8>,
    /// Format string, raw; empty when the kernel has none for it.
    pub format: Vec<u8>,
    /// Alignment of its payload in bytes, 0 for none; `None` where it is the trace's.
    pub alignment: Option<u64>,
}

/// Markers of a kernel.
#[derive(Clone, Debug, Default)]
pub struct Markers {
    /// Those with an id.
    pub markers: Vec<Marker>,
    /// What could not be followed.
    pub damage: Vec<Damage>,
}

/// Reads the table. A kernel without markers gives none and one piece of damage that says what is missing.
#[must_use]
pub fn walk(target: &dyn Target) -> Markers {
    let mut found = Markers::default();
    let place = "marker table";
    let shape = match mirror::find::<MarkerEntry>(target, &[]) {
        Ok(shape) => shape,
        Err(cause) => return Markers { damage: vec![Damage::general(place, cause)], ..found },
    };
    let Some(table) = target.symbols("marker_table").first().map(|symbol| VirtAddr(symbol.addr)) else {
        let cause = Cause::MissingType { name: "symbol marker_table".into() };
        return Markers { damage: vec![Damage::general(place, cause)], ..found };
    };
    let active =
        if shape.event_id.is_none() { active_markers(target, &mut found.damage) } else { HashMap::new() };
    for bucket in 0..BUCKETS {
        // A bucket is one pointer.
        let head = table.offset(bucket * target.abi().word_bytes());
        let nodes = list::walk_hlist(target, head, MAX_MARKERS);
        found.damage.extend(nodes.broken.map(|(at, cause)| Damage::new(place, at, cause)));
        for node in nodes.addrs {
            let addr = node.back(shape.hlist.offset);
            match shape.read(target, addr) {
                Ok(image) => found.markers.extend(marker(target, &shape, &image, &active)),
                Err(error) => found.damage.push(Damage::new("marker", addr, error)),
            }
        }
    }
    found
}

fn marker(
    target: &dyn Target,
    shape: &MarkerEntry,
    image: &Image,
    active: &HashMap<VirtAddr, (u16, Option<u64>)>,
) -> Option<Marker> {
    let name = string(target, image, &shape.name, MAX_NAME)?;
    let format = string(target, image, &shape.format, MAX_FORMAT).unwrap_or_default();
    match &shape.event_id {
        Some(id) => {
            let id = u16::try_from(image.uint(id).ok()?).ok()?;
            let channel = shape.channel.as_ref().and_then(|channel| string(target, image, channel, MAX_NAME));
            Some(Marker { channel, id, name, format, alignment: None })
        }
        None => {
            let object = probes(target, shape, image).into_iter().find_map(|probe| active.get(&probe));
            object.map(|&(id, alignment)| Marker { channel: None, id, name, format, alignment })
        }
    }
}

/// A string that a member holds (at its end, of any length) or points to. Pointers are followed even where the string should
/// lie behind the structure: some kernels put it a few bytes elsewhere.
fn string(target: &dyn Target, image: &Image, member: &Member, max: usize) -> Option<Vec<u8>> {
    let addr = match member.kind {
        Kind::Array { .. } => image.address_of(member),
        _ => image.maybe_pointer(Some(member))?,
    };
    memory::cstr(target, addr, max).ok()
}

/// Private objects of a marker's probes.
fn probes(target: &dyn Target, shape: &MarkerEntry, image: &Image) -> Vec<VirtAddr> {
    if image.maybe(shape.kind.as_ref()).unwrap_or(0) == 0 {
        return image.maybe_pointer(shape.single.as_ref()).into_iter().collect();
    }
    let (Some(array), Ok(closure)) =
        (image.maybe_pointer(shape.multi.as_ref()), mirror::find::<Closure>(target, &[]))
    else {
        return Vec::new();
    };
    let element = |i: u64| closure.read(target, array.offset(i * closure.layout().size)).ok();
    let elements = (0..MAX_PROBES).map_while(element);
    let used = elements.take_while(|probe| probe.pointer(&closure.func).is_ok_and(|func| !func.is_null()));
    used.filter_map(|probe| probe.maybe_pointer(Some(&closure.private))).collect()
}

/// Ids and alignments of the tracer's objects for markers that it announced in the trace, by address.
fn active_markers(target: &dyn Target, damage: &mut Vec<Damage>) -> HashMap<VirtAddr, (u16, Option<u64>)> {
    let symbol = |name: &str| target.symbols(name).first().map(|symbol| VirtAddr(symbol.addr));
    let (Ok(shape), Some(head)) = (mirror::find::<ActiveMarker>(target, &[]), symbol("markers_loaded_list"))
    else {
        return HashMap::new();
    };
    let announced = symbol("default_probe");
    let nodes = list::walk(target, head, MAX_MARKERS);
    damage.extend(nodes.broken.map(|(at, cause)| Damage::new("list of active markers", at, cause)));
    let object = |node: VirtAddr| {
        let addr = node.back(shape.node.offset);
        let image = shape.read(target, addr).ok()?;
        let probe = image.maybe_pointer(shape.probe.as_ref());
        let id = u16::try_from(image.uint(&shape.id).ok()?).ok()?;
        let ours = announced.is_none() || probe.is_none() || probe == announced;
        ours.then_some((addr, (id, image.maybe(shape.align.as_ref()))))
    };
    nodes.addrs.into_iter().filter_map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::{Endian, WordSize};

    fn kernel(members: &[(&str, u64, Kind)]) -> (Fake, VirtAddr, VirtAddr) {
        let mut fake = Fake::new(WordSize::Bits64, Endian::Little);
        fake.define_at("list_head", 16, &[("next", 0, 8), ("prev", 8, 8)]);
        fake.define("marker_entry", &[], members);
        let (table, entry) = (fake.alloc(64 * 8), fake.object("marker_entry"));
        fake.symbol("marker_table", table);
        fake.put_word(table.offset(7 * 8), entry.0 + fake.offset_of("marker_entry", "hlist"));
        (fake, entry, table)
    }

    #[test]
    fn ids_in_the_entry() {
        let inline = Kind::Array { count: None, stride: 1, elem: Box::new(Kind::Other) };
        let pointer = Kind::Pointer { to: None };
        let id = Kind::Int { signed: false };
        let (mut fake, entry, _) = kernel(&[
            ("hlist", 16, Kind::Struct),
            ("format", 8, pointer.clone()),
            ("name", 8, pointer),
            ("event_id", 2, id),
            ("channel", 0, inline),
        ]);
        let (format, name) = (fake.text("a %u"), fake.text("open"));
        fake.set(entry, "marker_entry", "format", format.0);
        fake.set(entry, "marker_entry", "name", name.0);
        fake.set(entry, "marker_entry", "event_id", 5);
        fake.set_text(entry, "marker_entry", "channel", "fs");
        let found = walk(&fake);
        let expected = Marker {
            channel: Some(b"fs".to_vec()),
            id: 5,
            name: b"open".to_vec(),
            format: b"a %u".to_vec(),
            alignment: None,
        };
        assert_eq!((found.markers, found.damage), (vec![expected], Vec::new()));
    }

    #[test]
    fn ids_behind_the_probes() {
        let inline = Kind::Array { count: None, stride: 1, elem: Box::new(Kind::Other) };
        let word = Kind::Int { signed: false };
        for multi in [false, true] {
            let (mut fake, entry, _) = kernel(&[
                ("hlist", 16, Kind::Struct),
                ("format", 8, word.clone()),
                ("single.probe_private", 8, word.clone()),
                ("multi", 8, word.clone()),
                ("ptype", 1, word.clone()),
                ("name", 0, inline.clone()),
            ]);
            fake.define_at("marker_probe_closure", 16, &[("func", 0, 8), ("probe_private", 8, 8)]);
            fake.define_at(
                "ltt_active_marker",
                48,
                &[("node", 0, 16), ("probe", 32, 8), ("align", 40, 4), ("id", 44, 2)],
            );
            let (list, active, probe) = (fake.alloc(16), fake.object("ltt_active_marker"), fake.alloc(8));
            fake.symbol("markers_loaded_list", list);
            fake.symbol("default_probe", probe);
            fake.link(list, &[active]);
            fake.set(active, "ltt_active_marker", "probe", probe.0);
            fake.set(active, "ltt_active_marker", "align", 8);
            fake.set(active, "ltt_active_marker", "id", 12);
            fake.set_text(entry, "marker_entry", "name", "irq");
            if multi {
                let closures = fake.alloc(64);
                for (i, private) in [(0, 0x10), (1, active.0)] {
                    fake.put_word(closures.offset(i * 16), 0x1234);
                    fake.put_word(closures.offset(i * 16 + 8), private);
                }
                fake.set(entry, "marker_entry", "ptype", 1);
                fake.set(entry, "marker_entry", "multi", closures.0);
            } else {
                fake.set(entry, "marker_entry", "single.probe_private", active.0);
            }
            let expected = Marker {
                channel: None,
                id: 12,
                name: b"irq".to_vec(),
                format: Vec::new(),
                alignment: Some(8),
            };
            assert_eq!(walk(&fake).markers, [expected], "{multi}");
            // Not announced in the trace: another probe records it.
            fake.set(active, "ltt_active_marker", "probe", 0x99);
            assert_eq!(walk(&fake).markers, []);
        }
    }

    #[test]
    fn circles_end() {
        let word = Kind::Int { signed: false };
        let (mut fake, entry, table) =
            kernel(&[("hlist", 16, Kind::Struct), ("format", 8, word.clone()), ("name", 8, word)]);
        let node = entry.0 + fake.offset_of("marker_entry", "hlist");
        fake.put_word(VirtAddr(node), node);
        fake.put_word(table.offset(8), 0x1000);
        assert_eq!(walk(&fake).damage.len(), 2);
    }
}
