//! From a [`Kernel`] to the memory it left behind.

use crate::arch::Facts;
use crate::debugfs::Debugfs;
use crate::format::{Clock, Form, Format, TSC_TRUNCATED};
use crate::headers::{NR_CPUS, types};
use crate::kernel::{ChannelSpec, Era, Kernel, Mode, TraceSpec};
use crate::layout::Types;
use crate::marker::{Announcement, CATALOGUE, COMPACT_CATALOGUE, Marker};
use crate::memory::Memory;
use crate::page_array::{MemoryModel, PageArray};
use crate::percpu::PerCpu;
use crate::place::{Channel, Site, Trace};
use crate::ring::{Ring, Rules};
use crate::rng::Rng;
use crate::scenario::{Crash, Fill, Reader, Scenario, Source};
use crate::space::{Space, Symbol};
use crate::truth::{StreamTruth, TraceTruth, Truth};
use crate::{era_a, era_b, era_c, era_z, marker_table, module, relay, vmcoreinfo};

/// A kernel that died: its memory, the debug information about it, and the truth about its traces.
#[derive(Debug, Clone)]
pub struct DeadKernel {
    pub(crate) facts: Facts,
    pub(crate) memory: Memory,
    pub(crate) symbols: Vec<Symbol>,
    pub(crate) types: Types,
    pub(crate) truth: Truth,
    pub(crate) vmcoreinfo: String,
    pub(crate) build_id: [u8; 20],
    pub(crate) banner: String,
    pub(crate) image_size: u64,
    pub(crate) root: u64,
    pub(crate) cpus: u32,
    pub(crate) modules: Vec<module::Module>,
    pub(crate) mapped: std::collections::BTreeMap<u64, u64>,
    pub(crate) format: Format,
}

impl DeadKernel {
    /// The machine it ran on.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Modules loaded.
    pub fn modules(&self) -> &[module::Module] {
        &self.modules
    }

    /// Physical memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Physical memory, to damage it.
    pub fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Symbols of the image and of modules.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// Run-time address of the first symbol of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn symbol(&self, name: &str) -> u64 {
        match self.symbols.iter().find(|s| s.name == name) {
            Some(symbol) => symbol.address,
            None => panic!("no symbol {name}"),
        }
    }

    /// Types.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The same kernel with debug information of fewer types.
    #[must_use]
    pub fn with_types(mut self, keep: impl Fn(&crate::layout::Layout) -> bool) -> DeadKernel {
        self.types.layouts.retain(keep);
        self
    }

    /// What extraction must give.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Text of VMCOREINFO, with the crash time.
    pub fn vmcoreinfo(&self) -> &str {
        &self.vmcoreinfo
    }

    /// Content of `linux_banner`.
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// GNU build-id of the vmlinux.
    pub fn build_id(&self) -> &[u8] {
        &self.build_id
    }

    /// Physical address of the root page table.
    pub fn page_table_root(&self) -> u64 {
        self.root
    }

    /// Physical address behind a kernel virtual address.
    pub fn phys(&self, va: u64) -> u64 {
        let page = self.facts.page_size();
        if let Some(pfn) = self.mapped.get(&(va / page * page)) {
            return pfn * page + va % page;
        }
        let image = self.facts.image();
        if (image..image + self.image_size).contains(&va) {
            va - image + self.facts.image_phys
        } else {
            va.wrapping_sub(self.facts.page_offset).wrapping_add(self.facts.ram_base)
        }
    }

    /// One integer member of the struct `name` at `va`.
    pub fn peek(&self, va: u64, name: &str, path: &str) -> u64 {
        let place = self.types.place(name, path);
        let bytes = self.memory.read(self.phys(va + place.offset), place.size as usize);
        let value = self.facts.abi.get(&bytes, 0, place.size as usize);
        match place.bits {
            Some((shift, width)) => value >> shift & ((1 << width) - 1),
            None => value,
        }
    }

    /// Overwrites one integer member (no bit-field) of the struct `name` at `va`.
    pub fn poke(&mut self, va: u64, name: &str, path: &str, value: u64) {
        let place = self.types.place(name, path);
        assert!(place.bits.is_none(), "{path} is a bit-field");
        self.poke_bytes(va + place.offset, &self.facts.abi.bytes(value, place.size as usize));
    }

    /// Overwrites bytes at `va`.
    pub fn poke_bytes(&mut self, va: u64, bytes: &[u8]) {
        let phys = self.phys(va);
        self.memory.write(phys, bytes);
    }
}

impl Kernel {
    /// Runs the tracer's simulation and leaves the kernel's memory as the crash found it.
    pub fn build(&self) -> DeadKernel {
        let facts = self.machine().facts();
        let format = self.format();
        let commit_seq = self.commit_seq.unwrap_or(self.era == Era::C);
        let types = types(self.era, self.writers, format.version, facts.abi, commit_seq);
        assert!(u64::from(self.cpus) <= NR_CPUS, "at most {NR_CPUS} CPUs");
        let mut space = Space::new(facts.clone(), types, self.ram);
        if self.lifelike {
            space.page_run = 32;
        }
        let root = vmcoreinfo::early_symbols(&mut space);
        let release = release_of(self.era);
        let banner = vmcoreinfo::identity(&mut space, release);
        let legacy = self.legacy_percpu.unwrap_or(self.era < Era::B);
        let percpu = PerCpu::new(&mut space, self.cpus, legacy, NR_CPUS);
        vmcoreinfo::cpu_masks(&mut space, self.cpus);
        let model = self.memory_model.unwrap_or(if facts.vmemmap != 0 {
            MemoryModel::Vmemmap
        } else {
            MemoryModel::Flat
        });
        let pages = PageArray::new(&mut space, model);
        let debugfs = Debugfs::new(&mut space);
        let mut site = Site {
            space,
            pages,
            percpu,
            debugfs,
            era: self.era,
            writers: self.writers,
            modular: self.modular,
            transports: Vec::new(),
            traces_head: 0,
            relay_channels: 0,
        };
        let relay = relay::Relay::new(&mut site);
        site.register();
        let mut truth = Truth::default();
        let default = [TraceSpec::new("trace1")];
        let specs = if self.traces.is_empty() { &default[..] } else { &self.traces };
        for (number, spec) in specs.iter().enumerate() {
            let trace = self.play(spec, &format, number as u64);
            let address = match self.era {
                Era::Z => era_z::place(&mut site, &trace),
                Era::B => era_b::place(&mut site, &trace),
                Era::C => era_c::place(&mut site, &trace),
                _ => era_a::place(&mut site, &trace),
            };
            if number == 0 {
                marker_table::place(&mut site, &trace, &format);
            }
            truth.traces.push(truth_of(&trace, address, &format));
        }
        let head = site.traces_head;
        let count = site.space.types.place("ltt_traces", "num_active_traces").offset;
        let base = head - site.space.types.place("ltt_traces", "head").offset;
        site.space.put(base + count, 4, specs.len() as u64);
        truth.relay = relay.place(&mut site, self.cpus, self.seed);
        self.decoys(&mut site);
        self.nesting(&mut site);
        let modules = module::place(&mut site, self.seed as u8);
        truth.debugfs = std::mem::take(&mut site.debugfs.paths);
        let mut space = site.space;
        let build_id = build_id(self.seed);
        vmcoreinfo::kernel_log(&mut space);
        let vmcoreinfo =
            vmcoreinfo::place(&mut space, release, root, &build_id, model, site.pages.first_pfn());
        space.build_page_tables(root);
        let image_size = space.image_size();
        // One run of pages, as a loader leaves it.
        for offset in (0..image_size).step_by(facts.page_size() as usize) {
            space.memory.page_mut((facts.image_phys + offset) >> facts.page_shift);
        }
        space.label("_end", facts.image() + image_size);
        DeadKernel {
            root: space.phys(root),
            facts,
            memory: space.memory,
            symbols: space.symbols,
            types: space.types,
            truth,
            vmcoreinfo,
            build_id,
            banner,
            image_size,
            cpus: self.cpus,
            modules,
            mapped: space.mapped,
            format,
        }
    }

    fn play(&self, spec: &TraceSpec, format: &Format, number: u64) -> Trace {
        let mode = spec.mode.unwrap_or(self.mode);
        let mut clock = self.clock(format.version);
        clock.start_tsc += number << 24;
        let specs = spec.channels.clone().or_else(|| self.channels.clone());
        let specs = specs.unwrap_or_else(|| self.default_channels());
        let metadata_name = if self.era == Era::Z { "facilities" } else { "metadata" };
        let mut channels = Vec::new();
        for (index, channel) in specs.iter().enumerate() {
            let format = &Format { compact: channel.name == "compact", ..*format };
            let markers = self.markers(format, index);
            channels.push(self.play_channel(
                channel,
                mode,
                format,
                clock,
                markers,
                index as u64 + number * 100,
                spec,
            ));
        }
        channels.insert(0, self.play_metadata(metadata_name, format, clock, &channels, spec, mode));
        Trace {
            name: spec.name.clone(),
            transport: spec.transport.clone(),
            mode,
            active: spec.active && !spec.finalized,
            clock,
            channels,
        }
    }

    fn rules(&self, format: &Format, clock: Clock, sb: u64, n: u64, overwrite: bool, mode: Mode) -> Rules {
        let tables = matches!(self.era, Era::B | Era::C);
        Rules {
            format: *format,
            clock,
            sb,
            n,
            overwrite,
            mode: mode.code(),
            pass_number: self.era != Era::Z,
            masked: self.era > Era::A,
            refuses_corrupt: tables,
            exchange: tables && overwrite,
            counts_gets: self.era <= Era::A1,
            lean: self.lean,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "all of it describes one channel")]
    fn play_channel(
        &self,
        spec: &ChannelSpec,
        mode: Mode,
        format: &Format,
        clock: Clock,
        markers: Vec<Marker>,
        salt: u64,
        trace: &TraceSpec,
    ) -> Channel {
        let main = matches!(spec.name.as_str(), "cpu" | "kernel");
        let by_mode = match mode {
            Mode::Discard => false,
            Mode::Overwrite => true,
            Mode::Hybrid => main,
        };
        let overwrite = spec.overwrite.unwrap_or(by_mode);
        let sb = spec.sub_buffer_size.or(self.sub_buffer_size).unwrap_or(format.page_size);
        let n = spec.sub_buffers.unwrap_or(self.sub_buffers);
        let fill = spec.fill.unwrap_or(self.fill);
        let wraps = match fill {
            Fill::Wrapped => true,
            Fill::SubBuffers(count) => count >= n as f64,
            _ => false,
        };
        let reader = spec.reader.or(self.reader).unwrap_or(if wraps && !overwrite {
            Reader::Keeps(1)
        } else {
            Reader::Absent
        });
        let crash = spec.crash.unwrap_or(self.crash);
        let scenario = Scenario { fill, reader, crash, switch_every: self.switch_every };
        let start = spec.start_position.unwrap_or(self.start_position) / (sb * n) * (sb * n);
        let rings = (0..self.cpus)
            .map(|cpu| {
                let rules = self.rules(format, clock, sb, n, overwrite, mode);
                let mut ring = Ring::new(rules, start);
                let mut source = Source {
                    rng: Rng::new(self.seed ^ (salt << 8 | u64::from(cpu)).wrapping_mul(0x1_0000_01b3)),
                    tsc: clock.start_tsc + 1000 * u64::from(cpu),
                    markers: &markers,
                    odd_forms: self.era == Era::A,
                    lifelike: self.lifelike,
                    grain: if format.compact { 1 << TSC_TRUNCATED } else { 1 },
                };
                scenario.play(&mut ring, &mut source);
                if trace.finalized {
                    ring.finalize(source.tsc + 10_000);
                }
                ring
            })
            .collect();
        Channel {
            control: format.version < (2, 3) && !matches!(spec.name.as_str(), "cpu" | "compact"),
            prefix: overwrite && self.flight_prefix,
            name: spec.name.clone(),
            overwrite,
            rings,
            markers,
        }
    }

    /// Markers of channel number `index` with ids as the format scopes them.
    fn markers(&self, format: &Format, index: usize) -> Vec<Marker> {
        let catalogue: &[_] = if format.compact { &COMPACT_CATALOGUE } else { &CATALOGUE };
        let count = catalogue.len() * self.marker_sets;
        let sets = (0..self.marker_sets).flat_map(|set| catalogue.iter().map(move |marker| (set, marker)));
        sets.enumerate()
            .map(|(i, (set, (name, text)))| {
                let id = match format.version {
                    (1, _) if format.compact => 8 + i,
                    (1, _) => 128 + index * count + i,
                    (2, 0..=2) => 2 + index * count + i,
                    // Per channel; the last ones need the long form.
                    _ if i >= count - 2 => (count - 2).max(29) + (i + 2 - count) * 11,
                    _ => i,
                };
                let scoped = if format.per_channel_ids() {
                    (*name).to_owned()
                } else {
                    format!("channel{index}_{name}")
                };
                let name = match (*name, set) {
                    ("mark", 0) => "mark".to_owned(),
                    (_, 0) => scoped,
                    _ => format!("{scoped}{set}"),
                };
                Marker::new(&name, id as u16, text)
            })
            .collect()
    }

    fn play_metadata(
        &self,
        name: &str,
        format: &Format,
        clock: Clock,
        channels: &[Channel],
        trace: &TraceSpec,
        mode: Mode,
    ) -> Channel {
        let announcement = Announcement::new(format);
        let spec = self.metadata.clone().unwrap_or_else(|| ChannelSpec::new(name));
        let sb = self.sub_buffer_size.unwrap_or(format.page_size).min(4 * format.page_size);
        let sb = spec.sub_buffer_size.unwrap_or(sb);
        let total: u64 = channels.iter().map(|c| c.markers.len() as u64 * 200).sum();
        let n = (total / sb + 2).next_power_of_two().max(self.sub_buffers);
        let n = spec.sub_buffers.unwrap_or(n);
        let mut rings: Vec<Ring> =
            (0..self.cpus).map(|_| Ring::new(self.rules(format, clock, sb, n, false, mode), 0)).collect();
        let scenario = Scenario {
            fill: spec.fill.unwrap_or(Fill::Empty),
            reader: spec.reader.unwrap_or(Reader::Absent),
            crash: Crash::Quiet,
            switch_every: None,
        };
        let target = scenario.target(&rings[0]);
        let mut tsc = clock.start_tsc;
        let mut number = 0;
        loop {
            for (channel, marker) in channels.iter().flat_map(|c| c.markers.iter().map(move |m| (c, m))) {
                let mut pair = [
                    (&announcement.id, announcement.id_values(&channel.name, marker, format)),
                    (&announcement.format, announcement.format_values(&channel.name, marker)),
                ];
                // Either order occurs, and any CPU may announce.
                if number % 3 == 1 {
                    pair.reverse();
                }
                let cpu = if number % 4 == 3 { 1 % rings.len() } else { 0 };
                for (announcer, values) in pair {
                    tsc += 400;
                    let kept = rings[cpu].record(announcer, &values, tsc, Form::Short);
                    assert!(kept, "metadata buffer too small");
                    scenario.read(&mut rings[cpu]);
                }
                number += 1;
            }
            if rings[0].w >= target {
                break;
            }
        }
        for ring in &mut rings {
            scenario.stop_reading(ring);
        }
        if trace.finalized {
            for ring in &mut rings {
                ring.finalize(tsc + 1_000_000);
            }
        }
        Channel {
            name: name.to_owned(),
            overwrite: false,
            control: format.version < (2, 3),
            prefix: false,
            rings,
            markers: Vec::new(),
        }
    }

    /// Plain files around the traces.
    fn decoys(&self, site: &mut Site) {
        let (_, transport) = site.transports[0];
        let fs = &mut site.debugfs;
        let control = fs.dir(&mut site.space, transport.root, "control");
        let trace = fs.dir(&mut site.space, control, "trace1");
        for name in ["alloc", "trans", "enabled", "destroy"] {
            fs.plain(&mut site.space, trace, name);
        }
        fs.plain(&mut site.space, transport.root, "setup_trace");
        let markers = fs.dir(&mut site.space, transport.root, "markers");
        let channel = fs.dir(&mut site.space, markers, "kernel");
        fs.plain(&mut site.space, channel, "a_marker_with_a_name_longer_than_the_inline_array");
    }

    fn nesting(&self, site: &mut Site) {
        let nests = |crash: Crash| u64::from(crash.nests());
        let channel = |specs: &Option<Vec<ChannelSpec>>| {
            specs.iter().flatten().filter_map(|c| c.crash).map(nests).max().unwrap_or_default()
        };
        let pending = self
            .traces
            .iter()
            .map(|t| channel(&t.channels))
            .chain([nests(self.crash), channel(&self.channels)])
            .max()
            .unwrap_or_default();
        if self.era == Era::Z {
            let array = site.data("ltt_nesting", 4 * NR_CPUS, "ltt/ltt-core.c", true);
            for cpu in 0..u64::from(self.cpus) {
                site.space.put(array + 4 * cpu, 4, pending);
            }
            return;
        }
        let name = if self.era == Era::C { "ltt_nesting" } else { "per_cpu__ltt_nesting" };
        for address in site.percpu.variable(&mut site.space, name, 4) {
            site.space.put(address, 4, pending);
        }
    }
}

fn truth_of(trace: &Trace, address: u64, format: &Format) -> TraceTruth {
    let mut streams = Vec::new();
    for channel in &trace.channels {
        for (cpu, ring) in channel.rings.iter().enumerate() {
            let mask = format.abi.word_mask();
            let last_tsc = if format.abi.word == 4 { ring.last_tsc >> 27 & mask } else { ring.last_tsc };
            streams.push(StreamTruth {
                path: channel.path(cpu),
                channel: channel.name.clone(),
                cpu: cpu as u32,
                overwrite: channel.overwrite,
                sub_buffer_size: ring.rules.sb,
                sub_buffer_count: ring.rules.n,
                write_position: ring.w & mask,
                consumed_position: ring.c & mask,
                events_lost: ring.lost,
                corrupted_sub_buffers: ring.corrupted,
                finalized: ring.finalized,
                last_tsc,
                sub_buffers: ring.truth(),
                disk: ring.disk.clone(),
                start_position: ring.start,
            });
        }
    }
    let markers = trace.channels.iter().flat_map(|c| c.markers.iter().map(|m| (c.name.clone(), m.clone())));
    TraceTruth {
        name: trace.name.clone(),
        address,
        version: format.version,
        active: trace.active,
        clock: trace.clock,
        markers: markers.collect(),
        streams,
    }
}

fn release_of(era: Era) -> &'static str {
    match era {
        Era::Z => "2.6.24-ltt-0.10",
        Era::A => "2.6.27-ltt-0.44",
        Era::A1 => "2.6.28-ltt-0.98",
        Era::A1Private => "2.6.29-ltt-0.109",
        Era::A2Pages | Era::A2Structs => "2.6.30-ltt-0.140",
        Era::B => "2.6.31-ltt-0.160",
        Era::C => "2.6.36-ltt-0.240",
    }
}

fn build_id(seed: u64) -> [u8; 20] {
    let mut rng = Rng::new(seed ^ 0xb11d);
    std::array::from_fn(|_| rng.next() as u8)
}
