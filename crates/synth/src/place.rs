//! What all eras have in common when a trace is placed in the kernel's memory.

use crate::debugfs::Debugfs;
use crate::format::Clock;
use crate::kernel::{Era, Mode, Writers};
use crate::marker::Marker;
use crate::page_array::PageArray;
use crate::percpu::PerCpu;
use crate::ring::Ring;
use crate::space::Space;

/// A channel after its story: one ring per CPU.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) name: String,
    pub(crate) overwrite: bool,
    /// Lies in the `control` directory.
    pub(crate) control: bool,
    pub(crate) prefix: bool,
    pub(crate) rings: Vec<Ring>,
    pub(crate) markers: Vec<Marker>,
}

impl Channel {
    pub(crate) fn shown_name(&self) -> String {
        format!("{}{}", if self.prefix { "flight-" } else { "" }, self.name)
    }

    pub(crate) fn file_name(&self, cpu: usize) -> String {
        format!("{}_{cpu}", self.shown_name())
    }

    pub(crate) fn path(&self, cpu: usize) -> String {
        format!("{}{}", if self.control { "control/" } else { "" }, self.file_name(cpu))
    }
}

/// A trace ready to be placed.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) transport: String,
    pub(crate) mode: Mode,
    pub(crate) active: bool,
    pub(crate) clock: Clock,
    pub(crate) channels: Vec<Channel>,
}

/// The kernel around the traces.
pub(crate) struct Site {
    pub(crate) space: Space,
    pub(crate) pages: PageArray,
    pub(crate) percpu: PerCpu,
    pub(crate) debugfs: Debugfs,
    pub(crate) era: Era,
    pub(crate) writers: Writers,
    pub(crate) modular: bool,
    /// Transport name → (file operations, transport, debugfs directory).
    pub(crate) transports: Vec<(String, Transport)>,
    pub(crate) traces_head: u64,
    /// List of `rchan`s, where there is one.
    pub(crate) relay_channels: u64,
}

/// A registered transport.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transport {
    pub(crate) address: u64,
    pub(crate) operations: u64,
    pub(crate) root: u64,
}

/// Directories of one trace in debugfs.
pub(crate) struct Directories {
    pub(crate) trace: u64,
    pub(crate) control: u64,
}

impl Site {
    /// A variable, in the module that its source file is built into when the tracer is modular.
    pub(crate) fn data(&mut self, name: &str, size: u64, unit: &str, global: bool) -> u64 {
        self.space.module = if self.modular { module_of(unit).map(str::to_owned) } else { None };
        let va = self.space.data(name, size, (!global).then_some(unit));
        self.space.module = None;
        va
    }

    pub(crate) fn transport(&self, name: &str) -> Transport {
        match self.transports.iter().find(|(n, _)| n == name) {
            Some((_, transport)) => *transport,
            None => panic!("era {:?} has no transport {name}", self.era),
        }
    }

    /// Registers the era's transports and makes the lists that everything hangs on.
    pub(crate) fn register(&mut self) {
        let word = self.space.abi().word;
        let old = matches!(self.era, Era::Z | Era::A);
        let (list_unit, units): (&str, &[(&str, &str)]) = match self.era {
            Era::Z => ("ltt/ltt-core.c", &[("relay", "ltt/ltt-relay.c")]),
            Era::A => (
                "ltt/ltt-core.c",
                &[("relay", "ltt/ltt-relay.c"), ("relay-locked", "ltt/ltt-relay-locked.c")],
            ),
            Era::A1 | Era::A1Private | Era::A2Pages | Era::A2Structs => {
                ("ltt/ltt-tracer.c", &[("relay", "ltt/ltt-relay.c")])
            }
            // Only one of them is built, and all are called the same.
            Era::B => (
                "ltt/ltt-tracer.c",
                match self.writers {
                    Writers::Lockless => &[("relay", "ltt/ltt-relay-lockless.c")],
                    Writers::IrqOff => &[("relay", "ltt/ltt-relay-irqoff.c")],
                    Writers::Locked => &[("relay", "ltt/ltt-relay-locked.c")],
                },
            ),
            Era::C => ("ltt/ltt-tracer.c", &[("relay", "ltt/ltt-relay-vfs.c")]),
        };
        let size = self.space.types.get("ltt_traces").size;
        let traces = self.data("ltt_traces", size, "ltt/ltt-core.c", true);
        if !old {
            let setup = self.space.member(traces, "ltt_traces", "setup_head");
            self.space.list_init(setup);
        }
        self.traces_head = self.space.member(traces, "ltt_traces", "head");
        self.space.list_init(self.traces_head);
        let list = self.data("ltt_transport_list", 2 * word, list_unit, false);
        self.space.list_init(list);
        if !matches!(self.era, Era::Z | Era::C) {
            self.relay_channels = self.data("relay_channels", 2 * word, "ltt/ltt-relay-alloc.c", false);
            self.space.list_init(self.relay_channels);
        }
        for (number, (name, unit)) in units.iter().enumerate() {
            let operations = self.data("ltt_file_operations", 14 * word, unit, false);
            let size = self.space.types.get("ltt_transport").size;
            let variable = format!("ltt_{}_transport", name.replace('-', "_"));
            let address = self.data(&variable, size, unit, false);
            let text = self.space.string(name.as_bytes());
            self.space.set(address, "ltt_transport", "name", text);
            let node = self.space.member(address, "ltt_transport", "node");
            self.space.list_add_tail(node, list);
            let dir = if number == 0 { "ltt" } else { "ltt-locked" };
            let root = self.debugfs.dir(&mut self.space, self.debugfs.root, dir);
            let unit = if old { unit } else { "ltt/ltt-core.c" };
            let variable = self.data("ltt_root_dentry", word, unit, false);
            self.space.put_word(variable, root);
            self.transports.push(((*name).to_owned(), Transport { address, operations, root }));
        }
    }

    pub(crate) fn directories(&mut self, trace: &Trace) -> Directories {
        let root = self.transport(&trace.transport).root;
        let dir = self.debugfs.dir(&mut self.space, root, &trace.name);
        let control = if trace.channels.iter().any(|c| c.control) {
            self.debugfs.dir(&mut self.space, dir, "control")
        } else {
            dir
        };
        self.debugfs.negative(&mut self.space, dir, "gone_0");
        Directories { trace: dir, control }
    }

    /// The debugfs file of one buffer; returns its dentry.
    pub(crate) fn file(
        &mut self,
        trace: &Trace,
        channel: &Channel,
        cpu: usize,
        dirs: &Directories,
        buffer: u64,
    ) -> u64 {
        let operations = self.transport(&trace.transport).operations;
        let parent = if channel.control { dirs.control } else { dirs.trace };
        let name = channel.file_name(cpu);
        self.debugfs.buffer(&mut self.space, parent, &name, operations, buffer, 0)
    }

    /// Members that trace structs of all eras share, and the list.
    pub(crate) fn fill_trace(&mut self, va: u64, name: &str, trace: &Trace, dirs: &Directories) {
        let clock = trace.clock;
        let transport = self.transport(&trace.transport).address;
        for (path, value) in [
            ("active", u64::from(trace.active)),
            ("freq_scale", clock.freq_scale),
            ("start_freq", clock.start_freq),
            ("start_tsc", clock.start_tsc),
            ("start_monotonic", clock.start_monotonic),
            ("start_time.tv_sec", clock.start_time_sec),
            ("start_time.tv_usec", clock.start_time_usec),
            ("dentry.trace_root", dirs.trace),
            ("transport", transport),
            ("kref.refcount", 1),
        ] {
            self.space.set(va, name, path, value);
        }
        if self.space.types.find_place(name, "dentry.control_root").is_some() {
            self.space.set(va, name, "dentry.control_root", dirs.control);
        }
        self.space.set_text(va, name, "trace_name", trace.name.as_bytes());
        let node = self.space.member(va, name, "list");
        self.space.list_add_tail(node, self.traces_head);
    }

    /// Positions and counters of one buffer into the position struct `name` at `va`.
    pub(crate) fn fill_positions(&mut self, va: u64, name: &str, ring: &Ring) {
        let abi = self.space.abi();
        let last_tsc = if abi.word == 4 { ring.last_tsc >> 27 } else { ring.last_tsc };
        for (path, value) in [
            ("offset", ring.w),
            ("consumed", ring.c),
            ("active_readers", ring.active_readers),
            ("events_lost", ring.lost),
            ("corrupted_subbuffers", ring.corrupted),
            ("last_tsc", last_tsc),
            ("finalized", u64::from(ring.finalized)),
        ] {
            if let Some(place) = self.space.types.find_place(name, path) {
                self.space.put(va + place.offset, place.size, value);
            }
        }
        let counters = Some("commit_counters").filter(|c| self.space.types.find(c).is_some());
        let (stride, second) = match counters {
            Some(c) => (self.space.types.get(c).size, Some(self.space.types.place(c, "cc_sb").offset)),
            None => (abi.word, None),
        };
        let array = self.space.kmalloc(stride * ring.rules.n);
        for (i, cc) in ring.cc.iter().enumerate() {
            let at = array + i as u64 * stride;
            self.space.put_word(at, *cc);
            if let Some(offset) = second {
                self.space.put_word(at + offset, ring.cc_sb[i]);
            }
        }
        self.space.set(va, name, "commit_count", array);
        if self.space.types.find_place(name, "commit_seq").is_some() {
            let array = self.space.kmalloc(abi.word * ring.rules.n);
            for (i, seq) in ring.commit_seq.iter().enumerate() {
                self.space.put_word(array + i as u64 * abi.word, *seq);
            }
            self.space.set(va, name, "commit_seq", array);
        }
        for path in ["write_wait.task_list", "read_wait.task_list"] {
            if self.space.types.find_place(name, path).is_some() {
                let head = self.space.member(va, name, path);
                self.space.list_init(head);
            }
        }
    }

    /// Puts a table's bytes into fresh, scattered pages; returns their frames.
    pub(crate) fn scatter(&mut self, bytes: &[u8]) -> Vec<u64> {
        let page = self.space.facts.page_size() as usize;
        bytes
            .chunks(page)
            .map(|chunk| {
                let pfn = self.space.page();
                self.space.memory.page_mut(pfn)[..chunk.len()].copy_from_slice(chunk);
                pfn
            })
            .collect()
    }

    /// Frames of all sub-buffers in order of index, for eras without a reader's table.
    pub(crate) fn scatter_all(&mut self, ring: &Ring) -> Vec<u64> {
        let tables: Vec<&[u8]> = ring.wsb.iter().map(|t| ring.tables[*t].bytes.as_slice()).collect();
        tables.into_iter().flat_map(|bytes| self.scatter(bytes)).collect()
    }
}

/// Module of lttng-modules, 0.16 to 0.19 or 2.x, that a source file is built into.
pub(crate) fn module_of(unit: &str) -> Option<&'static str> {
    match unit {
        "ltt/ltt-core.c" => Some("ltt_core"),
        "ltt/ltt-tracer.c" => Some("ltt_tracer"),
        unit if unit.starts_with("ltt/ltt-relay") => Some("ltt_relay"),
        "src/lttng-events.c" => Some("lttng_tracer"),
        _ => None,
    }
}
