//! 2.6.31 … 2.6.38: `ltt_chan` and `ltt_chanbuf`, everything per CPU.

use crate::place::{Site, Trace};
use crate::tables::{Tables, place_tables};

pub(crate) fn place(site: &mut Site, trace: &Trace) -> u64 {
    let dirs = site.directories(trace);
    let t = site.space.object("ltt_trace");
    site.fill_trace(t, "ltt_trace", trace, &dirs);
    let stride = site.space.types.get("ltt_chan").size;
    // One unused element behind the first, as a channel that was never enabled leaves it.
    let count = trace.channels.len() as u64 + 1;
    let array = site.space.kmalloc(stride * count);
    site.space.set(t, "ltt_trace", "channels", array);
    site.space.set(t, "ltt_trace", "nr_channels", count);
    site.space.set_text(array + stride, "ltt_chan", "a.filename", b"unused");
    for (i, channel) in trace.channels.iter().enumerate() {
        let k = array + stride * (i as u64 + u64::from(i > 0));
        let rules = &channel.rings[0].rules;
        let size = site.space.types.get("ltt_chanbuf").size;
        let (pointer, objects) = site.percpu.alloc(&mut site.space, size);
        for (path, value) in [
            ("a.buf_size", rules.sb * rules.n),
            ("a.sb_size", rules.sb),
            ("a.sb_size_order", u64::from(rules.sb.trailing_zeros())),
            ("a.n_sb_order", u64::from(rules.n.trailing_zeros())),
            ("a.n_sb", rules.n),
            ("a.extra_reader_sb", u64::from(rules.exchange)),
            ("a.buf", pointer),
            ("a.parent", dirs.trace),
            ("a.trace", t),
            ("overwrite", u64::from(channel.overwrite)),
            ("active", 1),
            ("commit_count_mask", channel.rings[0].mask()),
        ] {
            site.space.set(k, "ltt_chan", path, value);
        }
        site.space.set_text(k, "ltt_chan", "a.filename", channel.name.as_bytes());
        for (cpu, ring) in channel.rings.iter().enumerate() {
            let u = objects[cpu];
            site.fill_positions(u, "ltt_chanbuf", ring);
            let dentry = site.file(trace, channel, cpu, &dirs, u);
            let Tables { writer, reader, virt, pages, count } =
                place_tables(site, ring, "chanbuf_page", true);
            for (path, value) in [
                ("a.buf_wsb", writer),
                ("a.buf_rsb.pages", reader),
                ("a._virt", virt),
                ("a._pages", pages),
                ("a.dentry", dentry),
                ("a.nr_pages", count),
                ("a.chan", k),
                ("a.cpu", cpu as u64),
                ("a.allocated", 1),
            ] {
                site.space.set(u, "ltt_chanbuf", path, value);
            }
        }
    }
    t
}
