//! 2.6.26 … 2.6.30 (A, A', A''): ltt-relay's own channels; pages on a list, later in an array.

use crate::kernel::Era;
use crate::place::{Channel, Directories, Site, Trace};

const CHANNEL: &str = "ltt_channel_struct";
const RCHAN: &str = "rchan@ltt-relay";
const BUF: &str = "rchan_buf@ltt-relay";

pub(crate) fn place(site: &mut Site, trace: &Trace) -> u64 {
    let dirs = site.directories(trace);
    let t = site.space.object("ltt_trace_struct");
    site.fill_trace(t, "ltt_trace_struct", trace, &dirs);
    if site.era == Era::A {
        site.space.set(t, "ltt_trace_struct", "mode", trace.mode.code());
        for channel in &trace.channels {
            let k = site.space.object(CHANNEL);
            site.space.set(t, "ltt_trace_struct", &format!("channel.{}", channel.name), k);
            site.space.set_text(k, CHANNEL, "channel_name", channel.shown_name().as_bytes());
            fill_channel(site, trace, t, k, channel, &dirs);
        }
        return t;
    }
    // A contiguous array with one unused element, as a channel that was never enabled leaves it.
    let stride = site.space.types.get(CHANNEL).size;
    let count = trace.channels.len() as u64 + 1;
    let array = site.space.kmalloc(stride * count);
    site.space.set(t, "ltt_trace_struct", "channels", array);
    site.space.set(t, "ltt_trace_struct", "nr_channels", count);
    let unused = site.space.string(b"unused");
    site.space.set(array + stride, CHANNEL, "channel_name", unused);
    for (i, channel) in trace.channels.iter().enumerate() {
        let k = array + stride * (i as u64 + u64::from(i > 0));
        let name = site.space.string(channel.name.as_bytes());
        site.space.set(k, CHANNEL, "channel_name", name);
        site.space.set(k, CHANNEL, "active", 1);
        site.space.set(k, CHANNEL, "subbuf_size", channel.rings[0].rules.sb);
        site.space.set(k, CHANNEL, "subbuf_cnt", channel.rings[0].rules.n);
        site.space.set(k, CHANNEL, "commit_count_mask", channel.rings[0].mask());
        fill_channel(site, trace, t, k, channel, &dirs);
    }
    t
}

fn fill_channel(site: &mut Site, trace: &Trace, t: u64, k: u64, channel: &Channel, dirs: &Directories) {
    let rules = &channel.rings[0].rules;
    let unit = if trace.transport == "relay-locked" { "ltt-relay-locked" } else { "ltt-relay" };
    let positions = format!("ltt_channel_buf_struct@{unit}");
    let r = new_rchan(site, channel, k, dirs);
    site.space.set(k, CHANNEL, "trace", t);
    site.space.set(k, CHANNEL, "overwrite", u64::from(channel.overwrite));
    site.space.set(k, CHANNEL, "trans_channel_data", r);
    site.space.set(k, CHANNEL, "n_subbufs_order", u64::from(rules.n.trailing_zeros()));
    let size = site.space.types.get(&positions).size;
    let private = site.space.types.find_place(BUF, "chan_private").is_some();
    let objects: Vec<u64> = if private {
        channel.rings.iter().map(|_| site.space.kmalloc(size)).collect()
    } else {
        let (pointer, objects) = site.percpu.alloc(&mut site.space, size);
        site.space.set(k, CHANNEL, "buf", pointer);
        objects
    };
    for (cpu, ring) in channel.rings.iter().enumerate() {
        let u = objects[cpu];
        site.fill_positions(u, &positions, ring);
        let b = site.space.object(BUF);
        let dentry = site.file(trace, channel, cpu, dirs, b);
        let frames = site.scatter_all(ring);
        for (path, value) in [
            ("chan", r),
            ("dentry", dentry),
            ("page_count", frames.len() as u64),
            ("finalized", u64::from(ring.finalized)),
            ("cpu", cpu as u64),
            ("chan_private", u),
        ] {
            if site.space.types.find_place(BUF, path).is_some() {
                site.space.set(b, BUF, path, value);
            }
        }
        if private {
            site.space.set(u, &positions, "rbuf", b);
        }
        fill_pages(site, b, &frames);
        site.space.set(r, RCHAN, &format!("buf[{cpu}]"), b);
    }
}

/// The `rchan` of a channel, on the list of all of them.
pub(crate) fn new_rchan(site: &mut Site, channel: &Channel, k: u64, dirs: &Directories) -> u64 {
    let name = match site.era {
        Era::B => "rchan@ltt-relay-alloc",
        _ => RCHAN,
    };
    let rules = &channel.rings[0].rules;
    let r = site.space.object(name);
    for (path, value) in [
        ("version", 8),
        ("subbuf_size", rules.sb),
        ("n_subbufs", rules.n),
        ("alloc_size", rules.sb * rules.n),
        ("private_data", k),
        ("parent", if channel.control { dirs.control } else { dirs.trace }),
        ("subbuf_size_order", u64::from(rules.sb.trailing_zeros())),
    ] {
        site.space.set(r, name, path, value);
    }
    site.space.set_text(r, name, "base_filename", format!("{}_", channel.shown_name()).as_bytes());
    let node = site.space.member(r, name, "list");
    site.space.list_add_tail(node, site.relay_channels);
    r
}

fn fill_pages(site: &mut Site, b: u64, frames: &[u64]) {
    let word = site.space.abi().word;
    match site.era {
        Era::A2Pages | Era::A2Structs => {
            let structs = site.era == Era::A2Structs;
            let stride = if structs { 2 * word } else { word };
            let array = site.space.kmalloc(frames.len() as u64 * stride);
            for (i, pfn) in frames.iter().enumerate() {
                let at = array + i as u64 * stride;
                let page = site.pages.page(&mut site.space, *pfn, b);
                if structs {
                    let virt = site.space.facts.direct(pfn << site.space.facts.page_shift);
                    site.space.put_word(at, virt);
                    site.space.put_word(at + word, page);
                } else {
                    site.space.put_word(at, page);
                }
            }
            site.space.set(b, BUF, "pages", array);
        }
        _ => {
            let head = site.space.member(b, BUF, "pages");
            site.space.list_init(head);
            let read_wait = site.space.member(b, BUF, "read_wait.task_list");
            site.space.list_init(read_wait);
            for (i, pfn) in frames.iter().enumerate() {
                let node = site.space.object("buf_page");
                let page = site.pages.page(&mut site.space, *pfn, node);
                site.space.set(node, "buf_page", "page", page);
                site.space.set(node, "buf_page", "buf", b);
                site.space.set(node, "buf_page", "offset", i as u64 * site.space.facts.page_size());
                let link = site.space.member(node, "buf_page", "list");
                site.space.list_add_tail(link, head);
                if i == 0 {
                    for cache in ["wpage", "hpage[0]", "hpage[1]", "rpage"] {
                        site.space.set(b, BUF, cache, node);
                    }
                }
            }
        }
    }
}
