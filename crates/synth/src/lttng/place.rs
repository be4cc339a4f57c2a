//! From simulated rings to the kernel's memory.

use super::daemon::{self, Open};
use super::release::Release;
use super::ring::Ring;
use super::tracer::Tracer;
use super::truth::{ChannelTruth, DeadTracer, SessionTruth, StreamTruth};
use crate::arch::Tables;
use crate::build::DeadKernel;
use crate::debugfs::Debugfs;
use crate::format::Format;
use crate::headers::NR_CPUS;
use crate::kernel::{Era, Writers};
use crate::page_array::{MemoryModel, PageArray};
use crate::percpu::PerCpu;
use crate::place::Site;
use crate::space::Space;
use crate::truth::Truth;
use crate::{module, vmcoreinfo};

const UNIT: &str = "src/lttng-events.c";
const RELEASE: &str = "5.10.0-synth";
const CHANNEL: &str = "chan";
const CREATION: &[u8] = b"20100101T000000+0000";

/// Structures of one session under construction.
struct Placer<'a> {
    tracer: &'a Tracer,
    site: Site,
}

pub(crate) fn place(tracer: &Tracer, rings: Vec<Ring>) -> DeadTracer {
    let facts = tracer.arch.facts();
    let types = tracer.release.types(facts.abi, tracer.offstack, tracer.modules);
    let mut space = Space::new(facts.clone(), types, 256 << 20);
    let root = vmcoreinfo::early_symbols(&mut space);
    let banner = vmcoreinfo::identity(&mut space, RELEASE);
    let percpu = PerCpu::new(&mut space, tracer.cpus, false, NR_CPUS);
    vmcoreinfo::cpu_masks(&mut space, tracer.cpus);
    let model = if facts.vmemmap == 0 { MemoryModel::Flat } else { MemoryModel::Vmemmap };
    let pages = PageArray::new(&mut space, model);
    let debugfs = Debugfs::new(&mut space);
    let site = Site {
        space,
        pages,
        percpu,
        debugfs,
        // Of the older tracer nothing is there.
        era: Era::C,
        writers: Writers::Lockless,
        modular: true,
        transports: Vec::new(),
        traces_head: 0,
        relay_channels: 0,
    };
    let mut placer = Placer { tracer, site };
    let session = placer.session(&rings);
    let mut site = placer.site;
    let modules = module::place(&mut site, tracer.seed as u8);
    let mut space = site.space;
    vmcoreinfo::kernel_log(&mut space);
    let build_id: [u8; 20] = std::array::from_fn(|i| (tracer.seed as u8).wrapping_add(i as u8));
    let vmcoreinfo = vmcoreinfo::place(&mut space, RELEASE, root, &build_id, model, site.pages.first_pfn());
    space.build_page_tables(root);
    let image_size = space.image_size();
    for offset in (0..image_size).step_by(facts.page_size() as usize) {
        space.memory.page_mut((facts.image_phys + offset) >> facts.page_shift);
    }
    space.label("_end", facts.image() + image_size);
    let kernel = DeadKernel {
        root: space.phys(root),
        format: Format {
            version: (2, 6),
            abi: facts.abi,
            alignment: 0,
            page_size: facts.page_size(),
            heartbeat: false,
            compact: false,
        },
        facts,
        memory: space.memory,
        symbols: space.symbols,
        types: space.types,
        truth: Truth::default(),
        vmcoreinfo,
        build_id,
        banner,
        image_size,
        cpus: tracer.cpus,
        modules,
        mapped: space.mapped,
    };
    DeadTracer { kernel, sessions: vec![session] }
}

impl Placer<'_> {
    fn space(&mut self) -> &mut Space {
        &mut self.site.space
    }

    /// Vmalloc'ed memory with these bytes, where the machine has page tables.
    fn vmalloc(&mut self, bytes: &[u8]) -> u64 {
        if self.site.space.facts.tables == Tables::Linear {
            let at = self.space().kmalloc(bytes.len() as u64);
            self.space().write(at, bytes);
            return at;
        }
        let frames = self.site.scatter(bytes);
        self.space().vmap(&frames)
    }

    fn session(&mut self, rings: &[Ring]) -> SessionTruth {
        let release = self.tracer.release;
        let kind = release.session();
        let uuid = self.tracer.uuid();
        let (link, channels) = match release {
            Release::V2_14 => ("node", "chan_head"),
            _ => ("list", "chan"),
        };
        let word = self.space().abi().word;
        // Somebody else's list of the same name.
        let other = self.space().data("sessions", 2 * word, Some("drivers/net/sessions.c"));
        self.space().list_init(other);
        let stranger = self.space().kmalloc(0x400);
        self.space().list_add_tail(stranger + 0x80, other);
        self.space().module = Some("lttng_tracer".into());
        let head = self.space().data("sessions", 2 * word, Some(UNIT));
        self.space().module = None;
        self.space().list_init(head);
        let address = self.half_session(kind, &uuid);
        let node = self.space().member(address, kind, link);
        if self.tracer.listed {
            // One that was made, but never given a channel.
            let empty = self.half_session(kind, &[7; 16]);
            if release >= Release::V2_3 {
                let cache = self.cache("", &[7; 16]);
                self.space().set(empty, kind, "metadata_cache", cache);
            }
            let list = self.space().member(empty, kind, channels);
            self.space().list_init(list);
            let empty = self.space().member(empty, kind, link);
            self.space().list_add_tail(empty, head);
            self.space().list_add_tail(node, head);
        }
        let list = self.space().member(address, kind, channels);
        self.space().list_init(list);
        let metadata = self.tracer.metadata();
        let cache = (release >= Release::V2_3).then(|| self.cache(&metadata, &uuid));
        if let Some(cache) = cache {
            self.space().set(address, kind, "metadata_cache", cache);
        }
        if release >= Release::V2_14 {
            self.counter(list);
        }
        // Newest first.
        let metadata_ring = [self.tracer.metadata_ring()];
        let meta = self.channel(address, list, 1, &metadata_ring, "relay-metadata", true);
        if release < Release::V2_3 {
            self.space().set(address, kind, "metadata", meta.address);
        }
        let transport = match (self.tracer.overwrite, self.tracer.mapped) {
            (false, false) => "relay-discard",
            (false, true) => "relay-discard-mmap",
            (true, false) => "relay-overwrite",
            (true, true) => "relay-overwrite-mmap",
        };
        let channel = self.channel(address, list, 0, rings, transport, self.tracer.global);
        self.clock(rings);
        self.daemon(address, cache, &channel);
        if !self.tracer.listed {
            // Freed and poisoned.
            for (at, name) in [(address, kind), (channel.address, release.channel())] {
                let size = self.space().types.get(name).size as usize;
                self.space().write(at, &vec![0x6b; size]);
            }
        }
        SessionTruth { name: "s1".into(), address, uuid, active: true, metadata, channels: vec![channel] }
    }

    /// A session structure, both halves of it.
    fn half_session(&mut self, kind: &str, uuid: &[u8; 16]) -> u64 {
        let release = self.tracer.release;
        let space = self.space();
        let address = space.object(kind);
        space.set(address, kind, "been_active", 1);
        space.set_text(address, kind, "uuid", uuid);
        if release >= Release::V2_13 {
            let public = space.object("lttng_kernel_session");
            space.set(public, "lttng_kernel_session", "priv", address);
            space.set(public, "lttng_kernel_session", "active", 1);
            space.set(address, kind, "pub", public);
        } else {
            space.set(address, kind, "active", 1);
        }
        if release >= Release::V2_11 {
            space.set_text(address, kind, "name", b"s1");
            space.set_text(address, kind, "creation_time", CREATION);
        }
        if release >= Release::V2_14 {
            space.set(address, kind, "output_format", 1);
        }
        address
    }

    fn cache(&mut self, text: &str, uuid: &[u8; 16]) -> u64 {
        let kind = "lttng_metadata_cache";
        let allocated = text.len().next_power_of_two().max(4096);
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(allocated, 0);
        let data = self.vmalloc(&bytes);
        let space = self.space();
        let cache = space.object(kind);
        space.set(cache, kind, "data", data);
        space.set(cache, kind, "cache_alloc", allocated as u64);
        space.set(cache, kind, "metadata_written", text.len() as u64);
        space.set_text(cache, kind, "uuid", uuid);
        cache
    }

    /// A counter among the channels.
    fn counter(&mut self, list: u64) {
        let (kind, common) = ("lttng_kernel_channel_counter_private", "lttng_kernel_channel_counter");
        let space = self.space();
        let private = space.object(kind);
        let public = space.object(common);
        space.set(public, common, "parent.type", 1);
        space.set(private, kind, "parent.pub", public);
        let node = space.member(private, kind, "parent.node");
        space.list_add_tail(node, list);
    }

    fn channel(
        &mut self,
        session: u64,
        list: u64,
        id: u64,
        rings: &[Ring],
        transport: &str,
        global: bool,
    ) -> ChannelTruth {
        let release = self.tracer.release;
        let kind = release.channel();
        let metadata = rings[0].rules.metadata;
        let ring = self.ring_channel(rings, transport, global);
        let space = &mut self.site.space;
        let address = space.object(kind);
        let name = space.string(transport.as_bytes());
        let way = space.object("lttng_transport");
        space.set(way, "lttng_transport", "name", name);
        for (path, value) in [("id", id), ("header_type", 1), ("transport", way)] {
            space.set(address, kind, path, value);
        }
        if release >= Release::V2_3 {
            space.set(address, kind, "channel_type", u64::from(metadata));
        }
        let mut private = address;
        if release >= Release::V2_13 {
            let common = "lttng_kernel_channel_buffer";
            let public = space.object(common);
            let session_public =
                space.read(space.member(session, release.session(), "pub"), space.abi().word);
            space.set(public, common, "parent.session", session_public);
            space.set(public, common, "priv", address);
            space.set(address, kind, "pub", public);
            if release >= Release::V2_14 {
                space.set(address, kind, "parent.pub", public);
            }
            space.set(address, kind, "rb_chan", ring.0);
            private = public;
        } else {
            space.set(address, kind, "session", session);
            space.set(address, kind, "chan", ring.0);
        }
        let link = match release {
            Release::V2_14 => "parent.node",
            Release::V2_13 => "node",
            _ => "list",
        };
        let node = space.member(address, kind, link);
        space.list_add_tail(node, list);
        if !metadata || release < Release::V2_3 {
            space.set(ring.0, release.ring_channel(), "backend.priv", private);
        }
        ChannelTruth {
            name: CHANNEL.into(),
            id: id as u32,
            address,
            ring: ring.0,
            overwrite: rings[0].rules.overwrite,
            subbuffer_size: rings[0].rules.sb,
            n_subbuffers: rings[0].rules.n,
            streams: ring.1,
        }
    }

    fn ring_channel(&mut self, rings: &[Ring], transport: &str, global: bool) -> (u64, Vec<StreamTruth>) {
        let release = self.tracer.release;
        let kind = release.ring_channel();
        let rules = rings[0].rules.clone();
        let buffer = release.buffer();
        let size = self.space().types.get(buffer).size;
        let (pointer, objects) = if global {
            let at = self.space().kmalloc(size);
            (at, vec![at])
        } else {
            self.site.percpu.alloc(&mut self.site.space, size)
        };
        let word = self.space().abi().word;
        let mask = rules.abi.word_mask() >> rules.n.ilog2();
        let space = &mut self.site.space;
        let ring = space.object(kind);
        let buffers = if release >= Release::V2_14 { "backend.percpu_buf" } else { "backend.buf" };
        for (path, value) in [
            ("commit_count_mask", mask),
            ("backend.buf_size", rules.sb * rules.n),
            ("backend.subbuf_size", rules.sb),
            ("backend.subbuf_size_order", u64::from(rules.sb.ilog2())),
            ("backend.num_subbuf_order", u64::from(rules.n.ilog2())),
            ("backend.buf_size_order", u64::from((rules.sb * rules.n).ilog2())),
            ("backend.extra_reader_sb", u64::from(rules.overwrite)),
            ("backend.num_subbuf", rules.n),
            ("backend.config.alloc", u64::from(global)),
            ("backend.config.mode", u64::from(!rules.overwrite)),
            ("backend.config.output", u64::from(rules.mapped)),
            (buffers, pointer),
        ] {
            space.set(ring, kind, path, value);
        }
        space.set_text(ring, kind, "backend.name", transport.as_bytes());
        let cpus = (1 << rings.len()) - 1;
        if self.tracer.offstack {
            let bits = space.kmalloc(word);
            space.put_word(bits, cpus);
            space.set(ring, kind, "backend.cpumask", bits);
        } else {
            let at = space.member(ring, kind, "backend.cpumask");
            space.put_word(at, cpus);
        }
        let streams = rings
            .iter()
            .zip(objects)
            .map(|(sim, at)| self.buffer(ring, sim, at, (!global).then_some(sim.rules.cpu)))
            .collect();
        (ring, streams)
    }

    fn buffer(&mut self, channel: u64, ring: &Ring, at: u64, cpu: Option<u32>) -> StreamTruth {
        let release = self.tracer.release;
        let kind = release.buffer();
        let rules = &ring.rules;
        let (abi, word) = (rules.abi, rules.abi.word);
        let part = |name: &str| format!("{kind}_{name}");
        let space = &mut self.site.space;
        let [hot, cold] = ["commit_counters_hot", "commit_counters_cold"].map(|name| {
            let stride = space.types.get(name).size;
            (space.kmalloc(stride * rules.n), stride)
        });
        for i in 0..rules.n as usize {
            space.set(hot.0 + hot.1 * i as u64, "commit_counters_hot", "cc", ring.cc[i]);
            space.set(hot.0 + hot.1 * i as u64, "commit_counters_hot", "seq", ring.seq[i]);
            space.set(cold.0 + cold.1 * i as u64, "commit_counters_cold", "cc_sb", ring.cc_sb[i]);
        }
        let slots = space.kmalloc(word * rules.n);
        for (i, id) in ring.wsb.iter().enumerate() {
            space.put_word(slots + word * i as u64, *id);
        }
        let array = space.kmalloc(word * ring.tables.len() as u64);
        let mut page_tables = Vec::new();
        for (i, (bytes, used)) in ring.tables.iter().enumerate() {
            let frames = self.site.scatter(bytes);
            let (head, entry) = (part("backend_pages"), part("backend_page"));
            let stride = self.site.space.types.get(&entry).size;
            let size = self.site.space.types.get(&head).size + stride * frames.len() as u64;
            // Large tables are vmalloc'ed.
            let table =
                if i % 2 == 0 { self.space().kmalloc(size) } else { self.vmalloc(&vec![0; size as usize]) };
            self.space().set(table, &head, "data_size", *used);
            let first = self.space().member(table, &head, "p");
            for (k, pfn) in frames.iter().enumerate() {
                let to = first + stride * k as u64;
                let virt = self.site.space.facts.direct(pfn << self.site.space.facts.page_shift);
                self.space().set(to, &entry, "virt", virt);
                if release >= Release::V2_8 {
                    self.space().set(to, &entry, "pfn", *pfn);
                } else {
                    let page = self.site.pages.page(&mut self.site.space, *pfn, 0);
                    self.space().set(to, &entry, "page", page);
                }
            }
            self.space().put_word(array + word * i as u64, table);
            page_tables.push(table);
        }
        let space = &mut self.site.space;
        let last = if word == 4 { ring.last >> 27 } else { ring.last };
        let pages = rules.sb / rules.page;
        for (path, value) in [
            ("offset", ring.write),
            ("consumed", ring.consumed),
            ("commit_hot", hot.0),
            ("commit_cold", cold.0),
            ("backend.buf_wsb", slots),
            ("backend.buf_rsb.id", ring.rsb),
            ("backend.array", array),
            ("backend.num_pages_per_subbuf", pages),
            ("backend.chan", channel),
            ("backend.cpu", cpu.map_or(u64::from(u32::MAX), u64::from)),
            ("backend.allocated", 1),
            ("records_lost_full", ring.lost_full),
            ("records_lost_wrap", ring.lost_wrap),
            ("get_subbuf", u64::from(ring.held.is_some())),
            ("get_subbuf_consumed", ring.held.unwrap_or(ring.consumed)),
            (if release >= Release::V2_14 { "last_timestamp" } else { "last_tsc" }, last),
        ] {
            space.set(at, kind, path, value & abi.word_mask());
        }
        if release >= Release::V2_8 {
            let counts = space.kmalloc(8 * rules.n);
            for (i, count) in ring.counts.iter().enumerate() {
                space.put(counts + 8 * i as u64, 8, *count);
            }
            space.set(at, kind, "backend.buf_cnt", counts);
        }
        if release >= Release::V2_11 {
            let ends = space.kmalloc(8 * rules.n);
            for (i, end) in ring.ends.iter().enumerate() {
                space.put(ends + 8 * i as u64, 8, *end);
            }
            space.set(at, kind, "ts_end", ends);
        }
        StreamTruth {
            cpu,
            address: at,
            tables: [hot.0, cold.0, slots, array],
            page_tables,
            write: ring.write & abi.word_mask(),
            consumed: ring.consumed & abi.word_mask(),
            lost_full: ring.lost_full,
            last_timestamp: last,
            packets: ring.truth(),
            disk: ring.disk.clone(),
        }
    }

    /// Time of the last reading of the clock on each CPU.
    fn clock(&mut self, rings: &[Ring]) {
        if self.space().abi().word == 4 {
            return;
        }
        let name =
            if self.tracer.release >= Release::V2_14 { "lttng_last_timestamp" } else { "lttng_last_tsc" };
        let copies = self.site.percpu.variable(&mut self.site.space, name, 8);
        for (at, ring) in copies.into_iter().zip(rings) {
            self.space().put(at, 8, ring.last + 77);
        }
    }

    fn daemon(&mut self, session: u64, cache: Option<u64>, channel: &ChannelTruth) {
        let release = self.tracer.release;
        let mut files = Vec::new();
        if self.tracer.listed {
            let mut pointer = session;
            if release >= Release::V2_13 {
                let at = self.space().member(session, release.session(), "pub");
                let word = self.space().abi().word;
                pointer = self.space().read(at, word);
            }
            files.push(Open::Anonymous("[lttng_session]", pointer));
        }
        if let Some(cache) = cache {
            let kind = "lttng_metadata_stream";
            let reader = self.space().object(kind);
            self.space().set(reader, kind, "metadata_cache", cache);
            files.push(Open::Anonymous("[lttng_metadata_stream]", reader));
            files.push(Open::Trace("metadata".into(), 4096));
        }
        // The last CPU's first, as the daemon is seen to do.
        for stream in channel.streams.iter().rev() {
            files.push(Open::Anonymous("[lttng_stream]", stream.address));
            let size = stream.disk.iter().map(|packet| packet.len() as u64).sum();
            if let Some(cpu) = stream.cpu {
                files.push(Open::Trace(format!("{CHANNEL}_{cpu}"), size));
                files.push(Open::Trace(format!("{CHANNEL}_{cpu}.idx"), 16));
            }
        }
        daemon::place(self.space(), &files);
    }
}
