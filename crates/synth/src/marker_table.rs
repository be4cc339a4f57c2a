//! The markers in the kernel's memory: `marker_table`, and where ids live besides it.

use crate::format::Format;
use crate::marker::Marker;
use crate::place::{Site, Trace};

const BUCKETS: u64 = 64;

/// Registers the markers of one trace.
pub(crate) fn place(site: &mut Site, trace: &Trace, format: &Format) {
    let word = site.space.abi().word;
    let table = site.space.data("marker_table", BUCKETS * word, Some("kernel/marker.c"));
    if format.per_channel_ids() {
        let list = site.data("ltt_channels", 2 * word, "ltt/ltt-channels.c", false);
        site.space.list_init(list);
        for (index, channel) in trace.channels.iter().enumerate() {
            let setting = site.space.object("ltt_channel_setting");
            let free = channel.markers.iter().map(|m| m.id + 1).max().unwrap_or(2);
            site.space.set(setting, "ltt_channel_setting", "index", index as u64);
            site.space.set(setting, "ltt_channel_setting", "free_event_id", u64::from(free));
            site.space.set_text(setting, "ltt_channel_setting", "name", channel.name.as_bytes());
            let node = site.space.member(setting, "ltt_channel_setting", "list");
            site.space.list_add_tail(node, list);
            for (number, marker) in channel.markers.iter().enumerate() {
                let entry = new_entry(site, marker, channel.name.as_bytes(), "channel");
                let name = site.space.string(marker.name.as_bytes());
                site.space.set(entry, "marker_entry", "name", name);
                site.space.set(entry, "marker_entry", "channel_id", index as u64);
                site.space.set(entry, "marker_entry", "event_id", u64::from(marker.id));
                hash(site, table, entry, number as u64 + 7 * index as u64);
            }
        }
        return;
    }
    let probe_unit = "ltt/ltt-serialize.c";
    let size = site.space.types.get("ltt_available_probe").size;
    let default_probe = site.data("default_probe", size, "ltt/probes/ltt-marker-control.c", false);
    let callback = site.space.text("ltt_vtrace", None);
    site.space.set(default_probe, "ltt_available_probe", "probe_func", callback);
    let list = site.data("markers_loaded_list", 2 * word, probe_unit, false);
    site.space.list_init(list);
    let container = "ltt_trace_struct";
    for (index, channel) in trace.channels.iter().enumerate() {
        let slot = site.space.types.place(container, &format!("channel.{}", channel.name)).offset;
        for (number, marker) in channel.markers.iter().enumerate() {
            let active = site.space.object("ltt_active_marker");
            for (path, value) in [
                ("probe", default_probe),
                ("align", format.alignment),
                ("id", u64::from(marker.id)),
                ("channel", slot),
            ] {
                site.space.set(active, "ltt_active_marker", path, value);
            }
            let node = site.space.member(active, "ltt_active_marker", "node");
            site.space.list_add_tail(node, list);
            let entry = new_entry(site, marker, marker.name.as_bytes(), "name");
            // Every third marker is connected through an array of closures.
            if number % 3 == 2 {
                let closures = site.space.kmalloc(4 * word);
                site.space.put_word(closures, callback);
                site.space.put_word(closures + word, active);
                site.space.set(entry, "marker_entry", "multi", closures);
                site.space.set(entry, "marker_entry", "ptype", 1);
            } else {
                site.space.set(entry, "marker_entry", "single.func", callback);
                site.space.set(entry, "marker_entry", "single.probe_private", active);
            }
            hash(site, table, entry, number as u64 + 7 * index as u64);
        }
    }
}

/// An entry with its inline string at the flexible member `inline`.
fn new_entry(site: &mut Site, marker: &Marker, text: &[u8], inline: &str) -> u64 {
    let place = site.space.types.place("marker_entry", inline);
    let entry = site.space.kmalloc(place.offset + text.len() as u64 + 1);
    site.space.write(entry + place.offset, text);
    let format = site.space.string(marker.format.as_bytes());
    site.space.set(entry, "marker_entry", "format", format);
    site.space.set(entry, "marker_entry", "refcount", 1);
    entry
}

fn hash(site: &mut Site, table: u64, entry: u64, number: u64) {
    let node = site.space.member(entry, "marker_entry", "hlist");
    let bucket = number * 5 % BUCKETS;
    site.space.hlist_add(node, table + bucket * site.space.abi().word);
}
