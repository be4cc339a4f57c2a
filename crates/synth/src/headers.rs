//! The type declarations of each era, put together from `headers/*.h`.

use std::collections::BTreeMap;

use crate::abi::Abi;
use crate::cdecl::Declarations;
use crate::kernel::{Era, Writers};
use crate::layout::Types;
use crate::module::ModuleShape;

/// Array bound of per-CPU pointer arrays.
pub(crate) const NR_CPUS: u64 = 8;

const RELAY_UNITS: &str = "unit kernel/relay.c kernel/trace/blktrace.c;";

pub(crate) fn types(era: Era, writers: Writers, version: (u8, u8), abi: Abi, commit_seq: bool) -> Types {
    let constants = BTreeMap::from([
        ("NR_CPUS", NR_CPUS),
        ("PATH_MAX", 4096),
        ("MODULE_NAME_LEN", 64 - abi.word),
        ("CACHE_LINE", 64),
    ]);
    let relay_h = include_str!("headers/relay.h");
    let list_h = include_str!("headers/ltt_relay_list.h");
    let array_h = include_str!("headers/ltt_relay_array.h");
    let dynamic_h = include_str!("headers/ltt_trace_dynamic.h").to_owned();
    let a1_h = include_str!("headers/ltt_a1.h").to_owned();
    let private = "void *chan_private;";
    let mut parts = vec![include_str!("headers/kernel.h").to_owned(), ModuleShape::Counted.header()];
    parts.extend(match era {
        Era::Z => vec![
            include_str!("headers/ltt_z.h").to_owned(),
            relay_h.replace("UNITS", "unit kernel/relay.c ltt/ltt-relay.c ltt/ltt-core.c ltt/ltt-tracer.c;"),
        ],
        Era::A => vec![include_str!("headers/ltt_a.h").to_owned(), list_h.replace("PRIVATE", "")],
        Era::A1 => vec![dynamic_h, a1_h, list_h.replace("PRIVATE", "")],
        Era::A1Private => vec![dynamic_h, a1_h, list_h.replace("PRIVATE", private)],
        Era::A2Pages => vec![dynamic_h, a1_h, array_h.replace("CONTAINER", "struct page **pages;")],
        Era::A2Structs => vec![dynamic_h, a1_h, array_h.replace("CONTAINER", "struct rchan_page *pages;")],
        Era::B => {
            let units = format!("unit ltt/ltt-relay-{}.c ltt/ltt-relay-alloc.c;", writers.unit());
            let own = match writers {
                Writers::Lockless => include_str!("headers/ltt_b_lockless.h"),
                Writers::IrqOff => include_str!("headers/ltt_b_irqoff.h"),
                Writers::Locked => include_str!("headers/ltt_b_locked.h"),
            };
            vec![dynamic_h, include_str!("headers/ltt_b.h").replace("unit UNITS;", &units), own.to_owned()]
        }
        Era::C => vec![include_str!("headers/ltt_c.h").to_owned()],
    });
    let client = match era {
        Era::Z | Era::A | Era::A1 | Era::A1Private | Era::A2Pages | Era::A2Structs => "ltt-relay",
        Era::B => &format!("ltt-relay-{}", writers.unit()),
        Era::C => "ltt-relay-lockless",
    };
    let units = format!("unit ltt/{client}.c ltt/ltt-tracer.c;");
    let headers: &[&str] = match version {
        (1, _) => &[include_str!("headers/header_1_0_trace.h"), include_str!("headers/header_1_0.h")],
        (2, 0) => &[include_str!("headers/header_2_0_trace.h"), include_str!("headers/header_1_0.h")],
        (2, 1) => &[include_str!("headers/header_2_1.h")],
        (2, 2..=4) => &[include_str!("headers/header_2_2.h")],
        _ => &[include_str!("headers/header_2_5.h")],
    };
    parts.extend(headers.iter().map(|h| h.replace("UNITS", &units)));
    parts.push(if version >= (2, 3) {
        include_str!("headers/marker_new.h").to_owned()
    } else {
        include_str!("headers/marker_old.h").to_owned()
    });
    if era != Era::Z {
        parts.push(relay_h.replace("UNITS", RELAY_UNITS));
    }
    let seq = if commit_seq { "local_t *commit_seq;" } else { "" };
    let mut declarations = Declarations::default();
    for part in parts {
        declarations.parse(&part.replace("COMMIT_SEQ", seq), &constants);
    }
    Types::new(abi, declarations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Endian;

    const LE64: Abi = Abi { endian: Endian::Little, word: 8, align64: 8 };
    const I386: Abi = Abi { endian: Endian::Little, word: 4, align64: 4 };

    /// Sizes and offsets that a real 2.6.27 kernel has in the debuginfo of the fixtures.
    #[test]
    fn era_a_agrees_with_a_real_kernel() {
        let t = types(Era::A, Writers::Lockless, (2, 1), LE64, false);
        assert_eq!(t.place("ltt_trace_struct", "channel.cpu").offset, 32);
        assert_eq!(t.place("ltt_trace_struct", "start_tsc").offset, 96);
        assert_eq!(t.place("ltt_channel_struct", "channel_name").offset, 56);
        assert_eq!(t.place("ltt_channel_buf_struct", "consumed").offset, 16);
        assert_eq!(t.get("ltt_subbuffer_header").size, 64);
        assert_eq!(t.get("buf_page").size, 40);
        assert_eq!(t.place("rchan", "buf").offset, 56);
        assert_eq!(t.place("rchan_buf", "pages").offset - t.place("rchan_buf", "dentry").offset, 16);
        let t = types(Era::A, Writers::Lockless, (2, 1), I386, false);
        assert_eq!(t.place("ltt_trace_struct", "start_freq").offset, 44);
        assert_eq!(t.place("ltt_trace_struct", "start_time").offset, 68);
        assert_eq!(t.get("ltt_subbuffer_header").size, 60);
        assert_eq!(t.place("ltt_channel_buf_struct", "wakeup_readers").offset, 60);
        assert_eq!(t.get("page").size, 32);
    }

    #[test]
    fn formats_have_the_header_lengths_of_the_notes() {
        for (version, name, len) in
            [((1, 0), "ltt_block_start_header", 109), ((2, 0), "ltt_block_start_header", 108)]
        {
            assert_eq!(types(Era::A, Writers::Lockless, version, LE64, false).get(name).size, len);
        }
        for (version, len) in [((2, 1), 60), ((2, 2), 68), ((2, 6), 68)] {
            let t = types(Era::C, Writers::Lockless, version, LE64, true);
            assert_eq!(t.place("ltt_subbuffer_header", "header_end").offset, len);
        }
    }
}
