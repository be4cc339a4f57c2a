//! 2.6.23 … 2.6.26: classic relay channels, positions embedded in the channel.

use crate::place::{Site, Trace};

pub(crate) fn place(site: &mut Site, trace: &Trace) -> u64 {
    let dirs = site.directories(trace);
    let t = site.space.object("ltt_trace_struct");
    site.fill_trace(t, "ltt_trace_struct", trace, &dirs);
    site.space.set(t, "ltt_trace_struct", "mode", trace.mode.code());
    for channel in &trace.channels {
        let k = site.space.object("ltt_channel_struct");
        let r = site.space.object("rchan");
        site.space.set(t, "ltt_trace_struct", &format!("channel.{}", channel.name), k);
        site.space.set_text(k, "ltt_channel_struct", "channel_name", channel.shown_name().as_bytes());
        site.space.set(k, "ltt_channel_struct", "trace", t);
        site.space.set(k, "ltt_channel_struct", "overwrite", u64::from(channel.overwrite));
        site.space.set(k, "ltt_channel_struct", "trans_channel_data", r);
        let rules = &channel.rings[0].rules;
        for (path, value) in [
            ("version", 7),
            ("subbuf_size", rules.sb),
            ("n_subbufs", rules.n),
            ("alloc_size", rules.sb * rules.n),
            ("private_data", k),
            ("parent", if channel.control { dirs.control } else { dirs.trace }),
            ("has_base_filename", 1),
        ] {
            site.space.set(r, "rchan", path, value);
        }
        site.space.set_text(r, "rchan", "base_filename", format!("{}_", channel.shown_name()).as_bytes());
        let node = site.space.member(r, "rchan", "list");
        site.space.list_add_tail(node, site.relay_channels);
        for (cpu, ring) in channel.rings.iter().enumerate() {
            let u = site.space.member(k, "ltt_channel_struct", &format!("buf[{cpu}]"));
            site.fill_positions(u, "ltt_channel_buf_struct", ring);
            let frames = site.scatter_all(ring);
            let b = site.space.object("rchan_buf");
            let dentry = site.file(trace, channel, cpu, &dirs, b);
            let word = site.space.abi().word;
            let array = site.space.kmalloc(frames.len() as u64 * word);
            for (i, pfn) in frames.iter().enumerate() {
                let page = site.pages.page(&mut site.space, *pfn, b);
                site.space.put_word(array + i as u64 * word, page);
            }
            let start = site.space.vmap(&frames);
            let padding = site.space.kmalloc(rules.n * word);
            for (path, value) in [
                ("start", start),
                ("data", start),
                ("chan", r),
                ("dentry", dentry),
                ("page_array", array),
                ("page_count", frames.len() as u64),
                ("finalized", u64::from(ring.finalized)),
                ("padding", padding),
                ("cpu", cpu as u64),
            ] {
                site.space.set(b, "rchan_buf", path, value);
            }
            site.space.set(r, "rchan", &format!("buf[{cpu}]"), b);
        }
    }
    t
}
