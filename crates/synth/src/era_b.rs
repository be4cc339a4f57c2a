//! 2.6.30 … 2.6.31: tables of the writer and the reader hang on ltt-relay's `rchan_buf`.

use crate::era_a::new_rchan;
use crate::place::{Site, Trace};
use crate::tables::{Tables, place_tables};

const CHANNEL: &str = "ltt_channel_struct";
const RCHAN: &str = "rchan@ltt-relay-alloc";
const BUF: &str = "rchan_buf@ltt-relay-alloc";

pub(crate) fn place(site: &mut Site, trace: &Trace) -> u64 {
    let positions = format!("ltt_channel_buf_struct@ltt-relay-{}", site.writers.unit());
    let dirs = site.directories(trace);
    let t = site.space.object("ltt_trace_struct");
    site.fill_trace(t, "ltt_trace_struct", trace, &dirs);
    let stride = site.space.types.get(CHANNEL).size;
    let array = site.space.kmalloc(stride * trace.channels.len() as u64);
    site.space.set(t, "ltt_trace_struct", "channels", array);
    site.space.set(t, "ltt_trace_struct", "nr_channels", trace.channels.len() as u64);
    for (i, channel) in trace.channels.iter().enumerate() {
        let k = array + stride * i as u64;
        let rules = &channel.rings[0].rules;
        let r = new_rchan(site, channel, k, &dirs);
        site.space.set(r, RCHAN, "extra_reader_sb", u64::from(rules.exchange));
        let name = site.space.string(channel.name.as_bytes());
        for (path, value) in [
            ("trace", t),
            ("trans_channel_data", r),
            ("overwrite", u64::from(channel.overwrite)),
            ("active", 1),
            ("n_subbufs_order", u64::from(rules.n.trailing_zeros())),
            ("commit_count_mask", channel.rings[0].mask()),
            ("subbuf_size", rules.sb),
            ("subbuf_cnt", rules.n),
            ("channel_name", name),
        ] {
            site.space.set(k, CHANNEL, path, value);
        }
        for (cpu, ring) in channel.rings.iter().enumerate() {
            let u = site.space.object(&positions);
            let b = site.space.object(BUF);
            site.fill_positions(u, &positions, ring);
            site.space.set(u, &positions, "rbuf", b);
            let dentry = site.file(trace, channel, cpu, &dirs, b);
            let Tables { writer, reader, virt, pages, count } = place_tables(site, ring, "rchan_page", false);
            for (path, value) in [
                ("chan_private", u),
                ("rchan_wsb", writer),
                ("rchan_rsb.pages", reader),
                ("chan", r),
                ("dentry", dentry),
                ("_virt", virt),
                ("_pages", pages),
                ("page_count", count),
                ("cpu", cpu as u64),
            ] {
                site.space.set(b, BUF, path, value);
            }
            site.space.set(r, RCHAN, &format!("buf[{cpu}]"), b);
        }
    }
    t
}
