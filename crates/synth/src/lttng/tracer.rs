//! Builder of a kernel that died with LTTng 2.x sessions in its memory.

use super::release::Release;
use super::ring::{Crash, Reader, Ring, Rules, record};
use super::truth::DeadTracer;
use super::{place, tsdl};
use crate::abi::Endian;
use crate::arch::Arch;
use crate::module::ModuleShape;
use crate::rng::Rng;

/// What is traced, by which release, on which machine, and where it ends.
#[derive(Debug, Clone)]
pub struct Tracer {
    pub(crate) release: Release,
    pub(crate) arch: Arch,
    pub(crate) cpus: u32,
    pub(crate) overwrite: bool,
    pub(crate) mapped: bool,
    pub(crate) global: bool,
    pub(crate) offstack: bool,
    pub(crate) modules: ModuleShape,
    pub(crate) sb: u64,
    pub(crate) n: u64,
    pub(crate) events: u64,
    pub(crate) start: u64,
    pub(crate) crash: Crash,
    pub(crate) reader: Reader,
    pub(crate) listed: bool,
    pub(crate) declared: usize,
    pub(crate) seed: u64,
}

impl Tracer {
    /// A session `s1` with a discarding channel `chan` on two CPUs of a 64-bit little-endian machine, with 100 events for each CPU,
    /// and no reader.
    pub fn new(release: Release) -> Tracer {
        Tracer {
            release,
            arch: Arch::X86_64,
            cpus: 2,
            overwrite: false,
            mapped: false,
            global: false,
            offstack: true,
            modules: release.modules(),
            sb: 4096,
            n: 4,
            events: 100,
            start: 0,
            crash: Crash::Quiet,
            reader: Reader::Absent,
            listed: true,
            declared: 1,
            seed: 1,
        }
    }

    /// The default machine of this word size and byte order.
    pub fn machine(mut self, bits: u32, endian: Endian) -> Tracer {
        self.arch = Arch::of(bits, endian);
        self
    }

    /// The machine.
    pub fn arch(mut self, arch: Arch) -> Tracer {
        self.arch = arch;
        self
    }

    /// Flight recorder instead of discarding.
    pub fn overwrite(mut self, on: bool) -> Tracer {
        self.overwrite = on;
        self
    }

    /// Readers map the buffer: what they have read stays.
    pub fn mapped(mut self, on: bool) -> Tracer {
        self.mapped = on;
        self
    }

    /// One buffer for all CPUs.
    pub fn global(mut self, on: bool) -> Tracer {
        self.global = on;
        self
    }

    /// CPU masks are pointers (on by default) or lie in the structure.
    pub fn offstack(mut self, on: bool) -> Tracer {
        self.offstack = on;
        self
    }

    /// How the kernel describes its modules, if not as those of the release's time.
    #[must_use]
    pub fn modules(mut self, shape: ModuleShape) -> Tracer {
        self.modules = shape;
        self
    }

    /// Bytes and number of the sub-buffers; at least a page each, powers of two.
    pub fn sub_buffers(mut self, size: u64, count: u64) -> Tracer {
        (self.sb, self.n) = (size, count);
        self
    }

    /// Events tried on each CPU.
    pub fn events(mut self, events: u64) -> Tracer {
        self.events = events;
        self
    }

    /// Position that buffers have come to (rounded down to their size) when these events begin.
    pub fn start(mut self, position: u64) -> Tracer {
        self.start = position;
        self
    }

    /// Where writers stop.
    pub fn crash(mut self, crash: Crash) -> Tracer {
        self.crash = crash;
        self
    }

    /// What the daemon does.
    pub fn reader(mut self, reader: Reader) -> Tracer {
        self.reader = reader;
        self
    }

    /// Whether the session is still in the kernel's list; if not it is being destroyed, and the daemon has its streams open.
    pub fn listed(mut self, on: bool) -> Tracer {
        self.listed = on;
        self
    }

    /// Events that the metadata declare; only the first is ever recorded.
    pub fn declared(mut self, events: usize) -> Tracer {
        self.declared = events;
        self
    }

    /// Seed of everything random.
    pub fn seed(mut self, seed: u64) -> Tracer {
        self.seed = seed;
        self
    }

    /// Identity of the session.
    pub(crate) fn uuid(&self) -> [u8; 16] {
        let mut rng = Rng::new(self.seed ^ 0x1d);
        std::array::from_fn(|_| rng.next() as u8)
    }

    pub(crate) fn metadata(&self) -> String {
        tsdl::text(self.release, self.arch.facts().abi, &self.uuid(), "s1", self.declared)
    }

    /// Runs the tracer and leaves the kernel's memory as the crash found it.
    pub fn build(&self) -> DeadTracer {
        let cpus = if self.global { 1 } else { self.cpus };
        let rings = (0..cpus).map(|cpu| self.play(cpu)).collect();
        place::place(self, rings)
    }

    fn rules(&self, cpu: u32) -> Rules {
        let facts = self.arch.facts();
        Rules {
            abi: facts.abi,
            release: self.release,
            page: facts.page_size(),
            sb: self.sb.max(facts.page_size()),
            n: self.n,
            overwrite: self.overwrite,
            mapped: self.mapped,
            metadata: false,
            uuid: self.uuid(),
            stream_id: 0,
            cpu,
        }
    }

    /// The metadata channel's only buffer, with the text in it.
    pub(crate) fn metadata_ring(&self) -> Ring {
        let rules = Rules { metadata: true, overwrite: false, n: 8, sb: 4096, ..self.rules(0) };
        let rules = Rules { sb: rules.page, ..rules };
        let mut ring = Ring::new(rules, 0, 0);
        if self.release < Release::V2_3 {
            for piece in self.metadata().as_bytes().chunks(100) {
                let kept = ring.event(piece, 1);
                assert!(kept, "metadata buffer too small");
            }
            ring.switch(1, true);
        }
        ring
    }

    fn play(&self, cpu: u32) -> Ring {
        let rules = self.rules(cpu);
        let size = rules.sb * rules.n;
        let abi = rules.abi;
        let mut rng = Rng::new(self.seed << 8 ^ u64::from(cpu));
        let mut time = 0x12_a05f_2000 + u64::from(cpu) * 1000;
        let mut ring = Ring::new(rules, self.start / size * size, time);
        let event = |rng: &mut Rng, time: u64, number: u64| {
            let data: Vec<u8> = (0..rng.below(60)).map(|_| rng.next() as u8).collect();
            record(abi, time, number as u32, &data)
        };
        let read = |ring: &mut Ring| {
            if let Reader::Keeps(keep) = self.reader {
                while ring.ready() > keep && ring.get() {
                    ring.put_back();
                }
            }
        };
        for number in 0..self.events {
            time += 1000 + rng.below(100_000);
            let bytes = event(&mut rng, time, number);
            ring.event(&bytes, time);
            read(&mut ring);
        }
        match self.reader {
            Reader::Holds => {
                ring.get();
            }
            Reader::Overtaken => {
                ring.get();
                let target = ring.write + size + size / 2;
                while ring.write < target && self.overwrite {
                    time += 1000 + rng.below(100_000);
                    let bytes = event(&mut rng, time, time);
                    ring.event(&bytes, time);
                }
            }
            _ => {}
        }
        let mut reserve = |ring: &mut Ring, rng: &mut Rng, count: usize| {
            // Room for all of them in one sub-buffer.
            if ring.room() < 300 {
                ring.switch(time, true);
            }
            let mut reserved = Vec::new();
            for _ in 0..count {
                time += 1000;
                let bytes = event(rng, time, 7);
                if let Some(start) = ring.reserve(bytes.len() as u64, time) {
                    reserved.push((start, bytes));
                }
            }
            reserved
        };
        match self.crash {
            Crash::Quiet => {}
            Crash::Reserved => {
                reserve(&mut ring, &mut rng, 1);
            }
            Crash::Nested | Crash::NestedCommitted => {
                let reserved = reserve(&mut ring, &mut rng, 2);
                for (start, bytes) in reserved.iter().rev() {
                    if self.crash == Crash::NestedCommitted || *start != reserved[0].0 {
                        ring.commit(*start, bytes);
                    }
                }
            }
            Crash::LeftBehind => {
                reserve(&mut ring, &mut rng, 1);
                ring.switch(time, true);
                for number in 0..8 {
                    time += 5000;
                    let bytes = event(&mut rng, time, number);
                    ring.event(&bytes, time);
                }
            }
            Crash::Entered => ring.enter_only(time),
            Crash::Delivering => ring.switch(time, false),
            Crash::Flushed => ring.switch(time, true),
        }
        ring
    }
}
