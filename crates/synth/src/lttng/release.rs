//! Releases of the tracer, as far as their structures and packets differ.

use std::collections::BTreeMap;

use crate::abi::Abi;
use crate::cdecl::Declarations;
use crate::headers::NR_CPUS;
use crate::layout::Types;
use crate::module::ModuleShape;

/// First release of each generation of structures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 2.0: metadata channel; small numbers in packets.
    V2_0,
    /// 2.1: 64-bit sizes in packets.
    V2_1,
    /// 2.3: metadata cache.
    V2_3,
    /// 2.5: contiguous counters that can be relied on.
    V2_5,
    /// 2.8: frame numbers, packet numbers.
    V2_8,
    /// 2.11: times of ends, session names.
    V2_11,
    /// 2.13: everything renamed, public and private halves.
    V2_13,
    /// 2.14: counters among channels.
    V2_14,
}

impl Release {
    /// All of them.
    pub const ALL: [Release; 8] = [
        Release::V2_0,
        Release::V2_1,
        Release::V2_3,
        Release::V2_5,
        Release::V2_8,
        Release::V2_11,
        Release::V2_13,
        Release::V2_14,
    ];

    /// Major and minor number.
    pub fn number(self) -> (u32, u32) {
        (2, [0, 1, 3, 5, 8, 11, 13, 14][self as usize])
    }

    /// Prefix of the ring buffer's structures.
    pub(crate) fn buffer(self) -> &'static str {
        if self >= Release::V2_13 { "lttng_kernel_ring_buffer" } else { "lib_ring_buffer" }
    }

    pub(crate) fn ring_channel(self) -> &'static str {
        if self >= Release::V2_13 { "lttng_kernel_ring_buffer_channel" } else { "channel" }
    }

    pub(crate) fn channel(self) -> &'static str {
        if self >= Release::V2_13 { "lttng_kernel_channel_buffer_private" } else { "lttng_channel" }
    }

    pub(crate) fn session(self) -> &'static str {
        if self >= Release::V2_13 { "lttng_kernel_session_private" } else { "lttng_session" }
    }

    /// How a kernel of its time describes modules.
    pub(crate) fn modules(self) -> ModuleShape {
        match self {
            Release::V2_0 | Release::V2_1 | Release::V2_3 | Release::V2_5 => ModuleShape::Counted,
            Release::V2_8 | Release::V2_11 => ModuleShape::Layouts,
            Release::V2_13 => ModuleShape::Binary,
            Release::V2_14 => ModuleShape::Attributes,
        }
    }

    /// Types of kernel and tracer. `offstack`: CPU masks are pointers.
    pub(crate) fn types(self, abi: Abi, offstack: bool, modules: ModuleShape) -> Types {
        let constants =
            BTreeMap::from([("NR_CPUS", NR_CPUS), ("MODULE_NAME_LEN", 64 - abi.word), ("CACHE_LINE", 64)]);
        let session = match self {
            Release::V2_0 | Release::V2_1 => include_str!("headers/session_2_0.h"),
            Release::V2_13 => include_str!("headers/session_2_13.h"),
            Release::V2_14 => include_str!("headers/session_2_14.h"),
            _ => include_str!("headers/session_2_3.h"),
        };
        let newest = self >= Release::V2_14;
        let when = |condition: bool, text: &'static str| if condition { text } else { "" };
        let context = if self == Release::V2_0 {
            "u64 timestamp_begin; u64 timestamp_end; u32 events_discarded; u32 content_size; u32 packet_size; u32 cpu_id;"
        } else if self < Release::V2_8 {
            "u64 timestamp_begin; u64 timestamp_end; u64 content_size; u64 packet_size; unsigned long events_discarded; u32 cpu_id;"
        } else {
            "u64 timestamp_begin; u64 timestamp_end; u64 content_size; u64 packet_size; u64 packet_seq_num; unsigned long events_discarded; u32 cpu_id;"
        };
        let buffers = if newest {
            "union { struct RB *global_buf; struct RB *percpu_buf; };"
        } else {
            "struct RB *buf;"
        };
        // Longer words first: some are parts of others.
        let replacements = [
            ("CPUMASK", if offstack { "*cpumask_var_t" } else { "cpumask_var_t[1]" }),
            ("END_DISCARDED", when(newest, "union v_atomic end_events_discarded;")),
            ("PAGE", if self >= Release::V2_8 { "unsigned long pfn;" } else { "struct page *page;" }),
            ("COUNTS", when(self >= Release::V2_8, "struct RB_backend_counts *buf_cnt;")),
            ("ENDS", when(self >= Release::V2_11, "u64 *ts_end;")),
            ("LAST", if newest { "last_timestamp" } else { "last_tsc" }),
            ("START", if newest { "start_timestamp" } else { "start_tsc" }),
            ("BUFFERS", buffers),
            ("PRODUCING", when(self >= Release::V2_11, "atomic_t producing;")),
            ("VERSION", when(self >= Release::V2_8, "u64 version;")),
            ("NAMES", when(self >= Release::V2_11, "char name[256]; char creation_time[26];")),
            ("INSTANCE", when(self >= Release::V2_8, "u64 stream_instance_id;")),
            ("CONTEXT", context),
            ("RING_CHANNEL", self.ring_channel()),
            ("RB", self.buffer()),
        ];
        let mut declarations = Declarations::default();
        declarations.parse(include_str!("../headers/kernel.h"), &constants);
        declarations.parse(&modules.header(), &constants);
        let own = [
            include_str!("headers/ring_buffer.h"),
            session,
            include_str!("headers/packet.h"),
            include_str!("headers/kernel.h"),
        ];
        // The mask and the transport are used by the others, the homonym comes last so that it is not taken for the tracer's.
        let (before, after) = own[3].split_once("// Another driver's").unwrap_or((own[3], ""));
        let after = after.split_once('\n').map_or("", |(_, rest)| rest);
        for part in [before, own[0], own[1], own[2], after] {
            let part = replacements.iter().fold(part.to_owned(), |text, (from, to)| text.replace(from, to));
            declarations.parse(&part, &constants);
        }
        Types::new(abi, declarations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Endian;

    const LE64: Abi = Abi { endian: Endian::Little, word: 8, align64: 8 };

    /// Offsets that the public notes give for stripped modules, and those of real 2.13 debuginfo.
    #[test]
    fn layouts_agree_with_the_published_offsets() {
        let types = |release: Release| release.types(LE64, true, ModuleShape::Counted);
        let t = types(Release::V2_13);
        for (name, path, offset) in [
            ("lttng_kernel_ring_buffer", "backend.chan", 80),
            ("lttng_kernel_ring_buffer", "commit_cold", 112),
            ("lttng_kernel_ring_buffer", "records_lost_big", 152),
            ("lttng_kernel_ring_buffer_channel", "backend.priv", 72),
            ("lttng_kernel_session_private", "metadata_cache", 96),
            ("lttng_kernel_channel_buffer_private", "rb_chan", 136),
            ("lttng_kernel_channel_buffer_private", "transport", 168),
            ("packet_header", "ctx.header_end", 84),
        ] {
            assert_eq!(t.place(name, path).offset, offset, "{name}.{path}");
        }
        let t = types(Release::V2_3);
        for (name, path, offset) in [
            ("lib_ring_buffer", "backend.chan", 72),
            ("lib_ring_buffer", "records_lost_full", 120),
            ("lttng_session", "metadata_cache", 88),
            ("lttng_channel", "transport", 80),
            ("packet_header", "ctx.header_end", 68),
        ] {
            assert_eq!(t.place(name, path).offset, offset, "{name}.{path}");
        }
        let t = types(Release::V2_0);
        assert_eq!(t.place("lttng_session", "uuid").offset, 76);
        assert_eq!(t.place("packet_header", "ctx.cpu_id").offset, 52);
        let t = types(Release::V2_14);
        assert_eq!(t.place("lttng_kernel_session_private", "node").offset, 65608);
        assert_eq!(t.place("lttng_kernel_session_private", "uuid").offset, 65628);
        assert_eq!(t.place("lttng_kernel_session_private", "metadata_cache").offset, 65648);
        assert_eq!(t.get("commit_counters_cold").size, 16);
    }
}
