//! The builder: what kernel, which traces, what happened to them.

use crate::abi::Endian;
use crate::arch::Arch;
use crate::format::{Clock, Format};
use crate::page_array::MemoryModel;
use crate::scenario::{Crash, Fill, Reader};

/// Layout era of the tracer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Era {
    /// 2.6.23 … 2.6.26: kernel/relay.c, vmapped buffers.
    Z,
    /// 2.6.26 … 2.6.27: linked list of pages, fixed channels.
    A,
    /// 2.6.27.8 … 2.6.29 (0.65 … 0.107): the same with dynamic channels, positions behind a per-CPU pointer.
    A1,
    /// The same from 0.108: positions behind `chan_private`.
    A1Private,
    /// 2.6.29 … 2.6.30: an array of page pointers.
    A2Pages,
    /// 2.6.29 … 2.6.30: an array of structs that hold a page pointer.
    A2Structs,
    /// 2.6.30 … 2.6.31: `rchan_wsb`/`rchan_rsb`.
    B,
    /// 2.6.31 … 2.6.38: `ltt_chanbuf`.
    C,
}

/// How the writers of one CPU keep out of each other's way: era B could be built with either, only ever one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// By compare and exchange; commits are counted twice.
    Lockless,
    /// By switching interrupts off; one commit counter.
    IrqOff,
    /// By a spinlock with interrupts off; one commit counter.
    Locked,
}

impl Writers {
    /// Name of the source file, as in `ltt-relay-<name>.c`.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Writers::Lockless => "lockless",
            Writers::IrqOff => "irqoff",
            Writers::Locked => "locked",
        }
    }
}

/// Mode of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Buffers that are full discard new events.
    Discard,
    /// Flight recorder: every channel but the metadata one overwrites.
    Overwrite,
    /// Only the main channel overwrites.
    Hybrid,
}

impl Mode {
    pub(crate) fn code(self) -> u64 {
        match self {
            Mode::Discard => 0,
            Mode::Overwrite => 1,
            Mode::Hybrid => 2,
        }
    }
}

/// One channel of a trace; what is not said is taken from the kernel.
#[derive(Debug, Clone)]
pub struct ChannelSpec {
    pub(crate) name: String,
    pub(crate) overwrite: Option<bool>,
    pub(crate) sub_buffer_size: Option<u64>,
    pub(crate) sub_buffers: Option<u64>,
    pub(crate) fill: Option<Fill>,
    pub(crate) reader: Option<Reader>,
    pub(crate) crash: Option<Crash>,
    pub(crate) start_position: Option<u64>,
}

impl ChannelSpec {
    /// A channel.
    pub fn new(name: &str) -> ChannelSpec {
        ChannelSpec {
            name: name.to_owned(),
            overwrite: None,
            sub_buffer_size: None,
            sub_buffers: None,
            fill: None,
            reader: None,
            crash: None,
            start_position: None,
        }
    }

    /// Overrides the trace's mode.
    pub fn overwrite(mut self, on: bool) -> ChannelSpec {
        self.overwrite = Some(on);
        self
    }

    /// Bytes and number of its sub-buffers, both powers of two.
    pub fn sub_buffers(mut self, size: u64, count: u64) -> ChannelSpec {
        self.sub_buffer_size = Some(size);
        self.sub_buffers = Some(count);
        self
    }

    /// How far it is written.
    pub fn fill(mut self, fill: Fill) -> ChannelSpec {
        self.fill = Some(fill);
        self
    }

    /// What the daemon does with it.
    pub fn reader(mut self, reader: Reader) -> ChannelSpec {
        self.reader = Some(reader);
        self
    }

    /// Where its writers stop.
    pub fn crash(mut self, crash: Crash) -> ChannelSpec {
        self.crash = Some(crash);
        self
    }

    /// Where its positions start, a multiple of the buffer's size.
    pub fn start_position(mut self, position: u64) -> ChannelSpec {
        self.start_position = Some(position);
        self
    }
}

impl From<&str> for ChannelSpec {
    fn from(name: &str) -> ChannelSpec {
        ChannelSpec::new(name)
    }
}

/// One trace; what is not said is taken from the kernel.
#[derive(Debug, Clone)]
pub struct TraceSpec {
    pub(crate) name: String,
    pub(crate) mode: Option<Mode>,
    pub(crate) transport: String,
    pub(crate) active: bool,
    pub(crate) finalized: bool,
    pub(crate) channels: Option<Vec<ChannelSpec>>,
}

impl TraceSpec {
    /// A running trace on transport `relay`.
    pub fn new(name: &str) -> TraceSpec {
        TraceSpec {
            name: name.to_owned(),
            mode: None,
            transport: "relay".to_owned(),
            active: true,
            finalized: false,
            channels: None,
        }
    }

    /// Overrides the kernel's mode.
    pub fn mode(mut self, mode: Mode) -> TraceSpec {
        self.mode = Some(mode);
        self
    }

    /// `relay`, or `relay-locked` in era A.
    pub fn transport(mut self, name: &str) -> TraceSpec {
        name.clone_into(&mut self.transport);
        self
    }

    /// Paused when false.
    pub fn active(mut self, on: bool) -> TraceSpec {
        self.active = on;
        self
    }

    /// Flushed because it was being destroyed.
    pub fn finalized(mut self) -> TraceSpec {
        self.finalized = true;
        self
    }

    /// Channels besides the metadata one.
    pub fn channels<C: Into<ChannelSpec>>(mut self, channels: impl IntoIterator<Item = C>) -> TraceSpec {
        self.channels = Some(channels.into_iter().map(Into::into).collect());
        self
    }
}

impl From<&str> for TraceSpec {
    fn from(name: &str) -> TraceSpec {
        TraceSpec::new(name)
    }
}

/// Builder of a kernel that died with traces in its memory.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub(crate) era: Era,
    pub(crate) bits: u32,
    pub(crate) endian: Endian,
    pub(crate) arch: Option<Arch>,
    pub(crate) mode: Mode,
    pub(crate) version: Option<(u8, u8)>,
    pub(crate) cpus: u32,
    pub(crate) ram: u64,
    pub(crate) channels: Option<Vec<ChannelSpec>>,
    pub(crate) metadata: Option<ChannelSpec>,
    pub(crate) switch_every: Option<u64>,
    pub(crate) marker_sets: usize,
    pub(crate) traces: Vec<TraceSpec>,
    pub(crate) alignment: Option<u64>,
    pub(crate) sub_buffer_size: Option<u64>,
    pub(crate) sub_buffers: u64,
    pub(crate) fill: Fill,
    pub(crate) reader: Option<Reader>,
    pub(crate) crash: Crash,
    pub(crate) start_position: u64,
    pub(crate) flight_prefix: bool,
    pub(crate) commit_seq: Option<bool>,
    pub(crate) memory_model: Option<MemoryModel>,
    pub(crate) legacy_percpu: Option<bool>,
    pub(crate) modular: bool,
    pub(crate) writers: Writers,
    pub(crate) heartbeat: bool,
    pub(crate) lean: bool,
    pub(crate) lifelike: bool,
    pub(crate) seed: u64,
}

impl Kernel {
    /// A 64-bit little-endian kernel of this era with one discarding trace, `trace1`, on two CPUs.
    pub fn new(era: Era) -> Kernel {
        Kernel {
            era,
            bits: 64,
            endian: Endian::Little,
            arch: None,
            mode: Mode::Discard,
            version: None,
            cpus: 2,
            ram: 256 << 20,
            channels: None,
            metadata: None,
            switch_every: None,
            marker_sets: 1,
            traces: Vec::new(),
            alignment: None,
            sub_buffer_size: None,
            sub_buffers: 4,
            fill: Fill::Partial,
            reader: None,
            crash: Crash::Quiet,
            start_position: 0,
            flight_prefix: true,
            commit_seq: None,
            memory_model: None,
            legacy_percpu: None,
            modular: false,
            writers: Writers::Lockless,
            heartbeat: false,
            lean: false,
            lifelike: false,
            seed: 1,
        }
    }

    /// Word size: 32 or 64.
    pub fn bits(mut self, bits: u32) -> Kernel {
        self.bits = bits;
        self
    }

    /// Byte order.
    pub fn endian(mut self, endian: Endian) -> Kernel {
        self.endian = endian;
        self
    }

    /// The machine, instead of the default one for word size and byte order.
    pub fn arch(mut self, arch: Arch) -> Kernel {
        self.arch = Some(arch);
        self
    }

    /// Mode of the traces.
    pub fn mode(mut self, mode: Mode) -> Kernel {
        self.mode = mode;
        self
    }

    /// Trace format, instead of the era's usual one.
    pub fn version(mut self, major: u8, minor: u8) -> Kernel {
        self.version = Some((major, minor));
        self
    }

    /// CPUs, at most 8.
    pub fn cpus(mut self, cpus: u32) -> Kernel {
        self.cpus = cpus;
        self
    }

    /// Bytes of RAM, at least 80 MiB.
    pub fn ram(mut self, bytes: u64) -> Kernel {
        self.ram = bytes;
        self
    }

    /// Channels of every trace besides the metadata one. Eras Z and A know a fixed set of names only.
    pub fn channels<C: Into<ChannelSpec>>(mut self, channels: impl IntoIterator<Item = C>) -> Kernel {
        self.channels = Some(channels.into_iter().map(Into::into).collect());
        self
    }

    /// Sub-buffers, fill and reader of the metadata channel, whatever its name. Default: room for all announcements, and no
    /// daemon. With a fill the announcements are repeated until it is reached, as the tracer does on request; a channel
    /// that they do not fit into needs a reader.
    pub fn metadata(mut self, spec: ChannelSpec) -> Kernel {
        self.metadata = Some(spec);
        self
    }

    /// The switch timer: a sub-buffer is ended after this many events of its buffer, full or not. Off by default.
    pub fn switch_every(mut self, events: u64) -> Kernel {
        self.switch_every = Some(events);
        self
    }

    /// So many times the usual markers in every channel, under different names. Default: 1.
    pub fn marker_sets(mut self, sets: usize) -> Kernel {
        self.marker_sets = sets;
        self
    }

    /// The traces, instead of one called `trace1`.
    pub fn traces<T: Into<TraceSpec>>(mut self, traces: impl IntoIterator<Item = T>) -> Kernel {
        self.traces = traces.into_iter().map(Into::into).collect();
        self
    }

    /// The `alignment` byte: 0, 4 or 8. Default: 0 in era C, else the word size.
    pub fn alignment(mut self, alignment: u64) -> Kernel {
        self.alignment = Some(alignment);
        self
    }

    /// Bytes and number of the sub-buffers. Default: 4 of one page.
    pub fn sub_buffers(mut self, size: u64, count: u64) -> Kernel {
        self.sub_buffer_size = Some(size);
        self.sub_buffers = count;
        self
    }

    /// How far the buffers are written.
    pub fn fill(mut self, fill: Fill) -> Kernel {
        self.fill = fill;
        self
    }

    /// What the daemon does. Default: it is absent, except that a discarding buffer cannot wrap without it.
    pub fn reader(mut self, reader: Reader) -> Kernel {
        self.reader = Some(reader);
        self
    }

    /// Where the writers stop; metadata is always quiet.
    pub fn crash(mut self, crash: Crash) -> Kernel {
        self.crash = crash;
        self
    }

    /// Where the positions of the buffers start (rounded down to their size), to make them wrap soon. Use it with
    /// [`Fill::Wrapped`]: a buffer this old has no unused sub-buffer.
    pub fn start_position(mut self, position: u64) -> Kernel {
        self.start_position = position;
        self
    }

    /// `flight-` before the names of overwriting channels. On by default.
    pub fn flight_prefix(mut self, on: bool) -> Kernel {
        self.flight_prefix = on;
        self
    }

    /// `commit_seq` in the position struct (eras A' and later). On by default in era C.
    pub fn commit_seq(mut self, on: bool) -> Kernel {
        self.commit_seq = Some(on);
        self
    }

    /// How `struct page` pointers are to be understood.
    pub fn memory_model(mut self, model: MemoryModel) -> Kernel {
        self.memory_model = Some(model);
        self
    }

    /// The per-CPU allocator of kernels up to 2.6.29. Default: on up to era A''.
    pub fn legacy_percpu(mut self, on: bool) -> Kernel {
        self.legacy_percpu = Some(on);
        self
    }

    /// The tracer is built as modules `ltt_core`, `ltt_tracer` and `ltt_relay` (era C).
    pub fn modular(mut self) -> Kernel {
        self.modular = true;
        self
    }

    /// How writers are kept apart (era B). Default: lockless.
    pub fn writers(mut self, writers: Writers) -> Kernel {
        self.writers = writers;
        self
    }

    /// Format 1.0 with the heartbeat option: short times in event headers; in era Z also the channel `compact`, whose event headers
    /// are one word.
    pub fn heartbeat(mut self) -> Kernel {
        self.heartbeat = true;
        self
    }

    /// Keeps only the last event of each sub-buffer in the truth, for large traces.
    pub fn lean(mut self) -> Kernel {
        self.lean = true;
        self
    }

    /// Pages of buffers stand in runs, and what events tell recurs, as in real kernels; else every page is far from the
    /// next, and values are random. For benches: in the cores of real kernels that are in `fixtures`, a page is one of
    /// a run of 23 to 39, and pages of LTT traces shrink to 0.44 to 0.51 of their size by zlib's level 1.
    pub fn lifelike(mut self) -> Kernel {
        self.lifelike = true;
        self
    }

    /// Seed of everything random.
    pub fn seed(mut self, seed: u64) -> Kernel {
        self.seed = seed;
        self
    }

    pub(crate) fn format(&self) -> Format {
        let facts = self.machine().facts();
        Format {
            version: self.version.unwrap_or(match self.era {
                Era::Z => (1, 0),
                Era::A => (2, 1),
                Era::A1 | Era::A1Private | Era::A2Pages | Era::A2Structs | Era::B => (2, 3),
                Era::C => (2, 6),
            }),
            abi: facts.abi,
            alignment: self.alignment.unwrap_or(if self.era == Era::C { 0 } else { facts.abi.word }),
            page_size: facts.page_size(),
            heartbeat: self.heartbeat,
            compact: false,
        }
    }

    pub(crate) fn machine(&self) -> Arch {
        self.arch.unwrap_or_else(|| Arch::of(self.bits, self.endian))
    }

    pub(crate) fn clock(&self, version: (u8, u8)) -> Clock {
        let (start_freq, freq_scale) = if version < (2, 3) { (2_400_000, 1000) } else { (2_400_000_000, 1) };
        Clock {
            start_freq,
            freq_scale,
            start_tsc: 0x5f5e_1000,
            start_monotonic: 666_666_666,
            start_time_sec: 1_262_304_000,
            start_time_usec: 123_456,
        }
    }

    /// Default channel names besides the metadata one.
    pub(crate) fn default_channels(&self) -> Vec<ChannelSpec> {
        let names: &[&str] = match self.era {
            Era::Z if self.heartbeat => &["cpu", "processes", "interrupts", "network", "modules", "compact"],
            Era::Z | Era::A => &["cpu", "processes", "interrupts", "network", "modules"],
            _ => &["kernel", "fs", "mm"],
        };
        names.iter().map(|name| ChannelSpec::new(name)).collect()
    }
}
