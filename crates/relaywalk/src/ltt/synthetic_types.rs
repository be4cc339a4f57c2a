//! Structures of each era for synthetic kernels: names as in the tracer, places of our own choosing.

use super::simulation::{HEADER, Simulation};
use super::types::Era;
use crate::Kind;
use crate::fake::Fake;

const WORD: Kind = Kind::Int { signed: false };
const STRUCT: Kind = Kind::Struct;

fn pointer(to: &str) -> Kind {
    Kind::Pointer { to: (!to.is_empty()).then(|| to.to_string()) }
}

fn array(count: u64, stride: u64, elem: Kind) -> Kind {
    Kind::Array { count: Some(count), stride, elem: Box::new(elem) }
}

/// Defines the structures of one era.
pub(crate) fn define(fake: &mut Fake, era: Era, sim: &Simulation) {
    let w = fake.word();
    let unit: &[&str] = &["ltt-relay"];
    fake.define_at("list_head", 2 * w, &[("next", 0, w), ("prev", w, w)]);
    fake.define_at("percpu_data", w, &[("ptrs", 0, w)]);
    fake.define_at(
        "ltt_subbuffer_header",
        72,
        &[
            ("cycle_count_begin", 0, 8),
            ("cycle_count_end", 8, 8),
            ("magic_number", 16, 4),
            ("lost_size", 52, 4),
            ("header_end", HEADER, 0),
        ],
    );
    fake.define("page", &[], &[("flags", w, WORD), ("private", w, WORD)]);
    fake.define("ltt_traces", unit, &[("setup_head", 2 * w, STRUCT), ("head", 2 * w, STRUCT)]);
    fake.define("ltt_transport", unit, &[("name", w, pointer(""))]);
    fake.define("vfsmount", &[], &[("mnt_root", w, pointer("dentry"))]);
    fake.define(
        "dentry",
        &[],
        &[
            ("d_inode", w, pointer("inode")),
            ("d_parent", w, pointer("dentry")),
            ("d_name.name", w, pointer("")),
            ("d_name.len", 4, WORD),
            ("d_u.d_child", 2 * w, STRUCT),
            ("d_subdirs", 2 * w, STRUCT),
        ],
    );
    fake.define(
        "inode",
        &[],
        &[("i_mode", 2, WORD), ("i_fop", w, pointer("file_operations")), ("i_private", w, pointer(""))],
    );
    let trace = [
        ("list", 2 * w, STRUCT),
        ("active", 4, WORD),
        ("transport", w, pointer("ltt_transport")),
        ("freq_scale", 4, WORD),
        ("start_freq", 8, WORD),
        ("start_time.tv_sec", w, WORD),
        ("dentry.trace_root", w, pointer("dentry")),
        ("trace_name", 255, array(255, 1, WORD)),
    ];
    let channels: &[(&str, u64, Kind)] = match era {
        Era::Z | Era::A => &[
            ("channel.cpu", w, pointer("ltt_channel_struct")),
            ("channel.network", w, pointer("ltt_channel_struct")),
        ],
        _ => &[("channels", w, pointer("")), ("nr_channels", 4, WORD)],
    };
    let name = if era == Era::C { "ltt_trace" } else { "ltt_trace_struct" };
    fake.define(name, unit, &[&trace, channels].concat());

    let counters = if matches!(era, Era::B | Era::C) { "commit_counters" } else { "local_t" };
    let position = [
        ("offset", w, STRUCT),
        ("commit_count", w, pointer(counters)),
        ("consumed", w, STRUCT),
        ("active_readers", w, STRUCT),
        ("events_lost", w, STRUCT),
        ("finalized", 4, WORD),
    ];
    // The older tracers had it in the page container.
    let position = if matches!(era, Era::B | Era::C) { &position[..] } else { &position[..5] };
    if matches!(era, Era::B | Era::C) {
        fake.define(
            "commit_counters",
            unit,
            &[("cc", w, STRUCT), ("cc_sb", w, STRUCT), ("events", w, STRUCT)],
        );
    }
    if era == Era::C {
        define_c(fake, unit, position);
        return;
    }
    fake.define("ltt_channel_buf_struct", unit, position);
    // A homonym of another transport: the wrong one must be seen to be wrong.
    let moved =
        [("irqflags", w, WORD), ("consumed", w, WORD), ("offset", w, WORD), ("commit_count", w, pointer(""))];
    fake.define("ltt_channel_buf_struct", &["ltt-relay-locked"], &moved);
    let size = fake.size_of("ltt_channel_buf_struct");
    let mut channel = vec![
        ("trace", w, pointer("ltt_trace_struct")),
        ("trans_channel_data", w, pointer("")),
        ("overwrite", 4, WORD),
    ];
    if sim.rules.passes {
        channel.push(("n_subbufs_order", 4, WORD));
    }
    match era {
        Era::Z => channel
            .extend([("buf", 4 * size, array(4, size, STRUCT)), ("channel_name", 256, array(256, 1, WORD))]),
        Era::A => channel.extend([("buf", w, pointer("")), ("channel_name", 256, array(256, 1, WORD))]),
        _ => channel.extend([("active", 4, WORD), ("channel_name", w, pointer(""))]),
    }
    fake.define("ltt_channel_struct", unit, &channel);
    let mut rchan = vec![
        ("version", 4, WORD),
        ("subbuf_size", w, WORD),
        ("n_subbufs", w, WORD),
        ("alloc_size", w, WORD),
        ("private_data", w, pointer("")),
        ("buf", 4 * w, array(4, w, pointer("rchan_buf"))),
        ("list", 2 * w, STRUCT),
    ];
    rchan.push(if era == Era::Z { ("is_global", 4, WORD) } else { ("extra_reader_sb", 4, WORD) });
    fake.define("rchan", unit, &rchan);
    let mut buf = vec![
        ("chan", w, pointer("rchan")),
        ("dentry", w, pointer("dentry")),
        ("page_count", 4, WORD),
        ("cpu", 4, WORD),
    ];
    if era != Era::B {
        buf.push(("finalized", 4, WORD));
    }
    match era {
        Era::Z => buf.extend([("start", w, pointer("")), ("page_array", w, pointer(""))]),
        Era::A => buf.extend([("pages", 2 * w, STRUCT), ("wpage", w, pointer("buf_page"))]),
        Era::Unknown => buf.extend([("chan_private", w, pointer("")), ("mystery", w, pointer("page"))]),
        _ => buf.extend([
            ("chan_private", w, pointer("")),
            ("rchan_wsb", w, pointer("rchan_sb")),
            ("rchan_rsb.pages", w, pointer("rchan_page")),
            ("_virt", w, pointer("")),
            ("_pages", w, pointer("")),
        ]),
    }
    fake.define("rchan_buf", unit, &buf);
    if era == Era::A {
        let node = [
            ("page", w, pointer("page")),
            ("buf", w, pointer("rchan_buf")),
            ("offset", w, WORD),
            ("list", 2 * w, STRUCT),
        ];
        fake.define("buf_page", unit, &node);
    }
    fake.define("rchan_sb", unit, &[("pages", w, pointer("rchan_page"))]);
    fake.define("rchan_page", unit, &[("virt", w, pointer("")), ("page", w, pointer("page"))]);
}

fn define_c(fake: &mut Fake, unit: &[&str], position: &[(&str, u64, Kind)]) {
    let w = fake.word();
    fake.define(
        "ltt_chan",
        unit,
        &[
            ("a", 0, STRUCT),
            ("a.buf_size", w, WORD),
            ("a.sb_size", w, WORD),
            ("a.n_sb", 4, WORD),
            ("a.n_sb_order", 4, WORD),
            ("a.extra_reader_sb", 1, WORD),
            ("a.buf", w, pointer("ltt_chanbuf")),
            ("a.trace", w, pointer("ltt_trace")),
            ("a.filename", 255, array(255, 1, WORD)),
            ("overwrite", 1, WORD),
            ("active", 1, WORD),
        ],
    );
    let alloc = [
        ("a.buf_wsb", w, pointer("chanbuf_sb")),
        ("a.buf_rsb.pages", w, pointer("chanbuf_page")),
        ("a._virt", w, pointer("")),
        ("a._pages", w, pointer("")),
        ("a.nr_pages", 4, WORD),
        ("a.dentry", w, pointer("dentry")),
        ("a.chan", w, pointer("ltt_chan_alloc")),
        ("a.cpu", 4, WORD),
        ("a.allocated", 1, WORD),
    ];
    fake.define("ltt_chanbuf", unit, &[&alloc, position].concat());
    fake.define("chanbuf_sb", unit, &[("pages", w, pointer("chanbuf_page"))]);
    fake.define("chanbuf_page", unit, &[("virt", w, pointer("")), ("page", w, pointer("page"))]);
}
