//! Kernels of each era around a simulated ring: the objects that a walk must follow, written byte by byte.

use super::header::MAGIC;
use super::simulation::{Content, Simulation};
use super::synthetic_types::define;
use super::types::Era;
use crate::fake::{Fake, PAGE};
use crate::{Endian, Kind, VirtAddr, WordSize};

const WORD: Kind = Kind::Int { signed: false };
const STRUCT: Kind = Kind::Struct;

/// A kernel with one trace, one channel and one buffer, and where things are in it.
pub(crate) struct Synthetic {
    pub(crate) fake: Fake,
    pub(crate) trace: VirtAddr,
    pub(crate) channel: VirtAddr,
    /// Page container.
    pub(crate) buffer: VirtAddr,
    /// Position structure.
    pub(crate) position: VirtAddr,
    /// First node of the page list, in era A.
    pub(crate) first_node: VirtAddr,
}

/// The CPU whose buffer it is.
pub(crate) const CPU: u64 = 1;
/// Distance of that CPU's per-CPU area.
const PERCPU_OFFSET: u64 = 0x4000;

impl Synthetic {
    pub(crate) fn new(era: Era, word: WordSize, endian: Endian, sim: &Simulation) -> Synthetic {
        let mut fake = Fake::new(word, endian);
        define(&mut fake, era, sim);
        let mut kernel = Synthetic {
            trace: fake.object(if era == Era::C { "ltt_trace" } else { "ltt_trace_struct" }),
            channel: fake.object(if era == Era::C { "ltt_chan" } else { "ltt_channel_struct" }),
            buffer: VirtAddr::NULL,
            position: VirtAddr::NULL,
            first_node: VirtAddr::NULL,
            fake,
        };
        kernel.memory_map();
        kernel.trace(era);
        let tables = kernel.contents(sim);
        kernel.buffer(era, sim, &tables);
        kernel.debugfs();
        kernel
    }

    /// `struct page` for the first 4096 frames.
    fn memory_map(&mut self) {
        let size = self.fake.size_of("page");
        let map = self.fake.alloc(size * 4096);
        let variable = self.fake.alloc(8);
        self.fake.put_word(variable, map.0);
        self.fake.symbol("mem_map", variable);
    }

    /// `struct page *` of a page in the direct map.
    fn page_of(&self, addr: VirtAddr) -> VirtAddr {
        let map = self.fake.get_word(VirtAddr(crate::Target::symbols(&self.fake, "mem_map")[0].addr));
        VirtAddr(map + (addr.0 - self.fake.direct()) / PAGE * self.fake.size_of("page"))
    }

    fn trace(&mut self, era: Era) {
        let fake = &mut self.fake;
        let root = fake.object("ltt_traces");
        fake.symbol("ltt_traces", root);
        let name = if era == Era::C { "ltt_trace" } else { "ltt_trace_struct" };
        let head = root.offset(fake.offset_of("ltt_traces", "head"));
        fake.link(head, &[self.trace.offset(fake.offset_of(name, "list"))]);
        fake.set_text(self.trace, name, "trace_name", "t");
        for (member, value) in
            [("active", 1), ("start_freq", 2400), ("freq_scale", 1000), ("start_time.tv_sec", 77)]
        {
            fake.set(self.trace, name, member, value);
        }
        let transport = fake.object("ltt_transport");
        let relay = fake.text("relay");
        fake.set(transport, "ltt_transport", "name", relay.0);
        fake.set(self.trace, name, "transport", transport.0);
        match era {
            Era::Z | Era::A => fake.set(self.trace, name, "channel.cpu", self.channel.0),
            _ => {
                fake.set(self.trace, name, "channels", self.channel.0);
                fake.set(self.trace, name, "nr_channels", 1);
            }
        }
    }

    /// Pages with the contents' headers; the addresses of each content's pages.
    fn contents(&mut self, sim: &Simulation) -> Vec<Vec<VirtAddr>> {
        let per = sim.rules.size.div_ceil(PAGE);
        let slots = if sim.rules.exchange { sim.contents.len() } else { sim.contents.len() - 1 };
        if sim.rules.size < PAGE {
            // Several sub-buffers share a page.
            let all = self.fake.alloc(sim.rules.size * sim.rules.count);
            for (i, content) in (0u64..).zip(&sim.contents[..slots]) {
                self.header(all.offset(i * sim.rules.size), content, sim);
            }
            return vec![
                (0..(sim.rules.size * sim.rules.count).div_ceil(PAGE))
                    .map(|i| all.offset(i * PAGE))
                    .collect(),
            ];
        }
        let mut tables = Vec::new();
        for content in &sim.contents[..slots] {
            let start = self.fake.alloc(per * PAGE);
            self.header(start, content, sim);
            tables.push((0..per).map(|i| start.offset(i * PAGE)).collect());
        }
        tables
    }

    fn header(&mut self, at: VirtAddr, content: &Content, sim: &Simulation) {
        if content.begin == 0 {
            return;
        }
        let unused = if content.ended { 0 } else { 0xffff_ffff };
        for (offset, size, value) in [
            (0, 8, content.begin),
            (8, 8, content.end),
            (16, 4, MAGIC),
            (20, 1, 2),
            (21, 1, 3),
            (52, 4, unused),
            (56, 4, sim.rules.size),
        ] {
            self.fake.put(at.offset(offset), size, value);
        }
    }

    fn buffer(&mut self, era: Era, sim: &Simulation, tables: &[Vec<VirtAddr>]) {
        let rules = sim.rules;
        let order = rules.count.trailing_zeros();
        if era == Era::C {
            self.channel_c(sim, order);
            return self.tables_bc(
                sim,
                tables,
                "ltt_chanbuf",
                "a.buf_wsb",
                "a.buf_rsb.pages",
                ("chanbuf_sb", "chanbuf_page"),
            );
        }
        let fake = &mut self.fake;
        let rchan = fake.object("rchan");
        self.buffer = fake.object("rchan_buf");
        for (member, value) in [
            ("trace", self.trace.0),
            ("trans_channel_data", rchan.0),
            ("overwrite", u64::from(rules.overwrite)),
        ] {
            fake.set(self.channel, "ltt_channel_struct", member, value);
        }
        if rules.passes {
            fake.set(self.channel, "ltt_channel_struct", "n_subbufs_order", u64::from(order));
        }
        let version = if era == Era::Z { 7 } else { 8 };
        for (member, value) in [
            ("version", version),
            ("subbuf_size", rules.size),
            ("n_subbufs", rules.count),
            ("alloc_size", rules.size * rules.count),
            ("private_data", self.channel.0),
        ] {
            fake.set(rchan, "rchan", member, value);
        }
        let slot = fake.offset_of("rchan", "buf") + CPU * fake.word();
        fake.put_word(rchan.offset(slot), self.buffer.0);
        let channels = fake.alloc(16);
        fake.symbol("relay_channels", channels);
        fake.link(channels, &[rchan.offset(fake.offset_of("rchan", "list"))]);
        let pages = (rules.size * rules.count).div_ceil(PAGE);
        for (member, value) in [("chan", rchan.0), ("cpu", CPU), ("page_count", pages)] {
            fake.set(self.buffer, "rchan_buf", member, value);
        }
        match era {
            Era::Z | Era::A => {
                fake.set_text(self.channel, "ltt_channel_struct", "channel_name", "flight-cpu")
            }
            _ => {
                let name = fake.text("cpu");
                fake.set(self.channel, "ltt_channel_struct", "channel_name", name.0);
                fake.set(self.channel, "ltt_channel_struct", "active", 1);
            }
        }
        let size = fake.size_of("ltt_channel_buf_struct");
        self.position = match era {
            Era::Z => self.channel.offset(fake.offset_of("ltt_channel_struct", "buf") + CPU * size),
            _ => fake.object("ltt_channel_buf_struct"),
        };
        if era == Era::A {
            // Disguised pointer to a table of pointers.
            let table = fake.alloc(64);
            fake.put_word(table.offset(CPU * fake.word()), self.position.0);
            let mask = fake.abi.word_mask();
            fake.set(self.channel, "ltt_channel_struct", "buf", !table.0 & mask);
        }
        if matches!(era, Era::Unknown | Era::B) {
            fake.set(self.buffer, "rchan_buf", "chan_private", self.position.0);
        }
        self.positions("ltt_channel_buf_struct", era == Era::B, sim);
        match era {
            Era::Z => self.pages_z(tables),
            Era::A => self.pages_a(tables),
            Era::Unknown => self.pages_unknown(tables),
            _ => {
                let exchange = u64::from(rules.exchange);
                self.fake.set(rchan, "rchan", "extra_reader_sb", exchange);
                self.tables_bc(
                    sim,
                    tables,
                    "rchan_buf",
                    "rchan_wsb",
                    "rchan_rsb.pages",
                    ("rchan_sb", "rchan_page"),
                );
            }
        }
    }

    fn channel_c(&mut self, sim: &Simulation, order: u32) {
        let fake = &mut self.fake;
        let offsets = fake.alloc(64);
        fake.symbol("__per_cpu_offset", offsets);
        let mask = fake.alloc(8);
        fake.put_word(mask, 3);
        fake.symbol("cpu_possible_map", mask);
        fake.put_word(offsets.offset(CPU * fake.word()), PERCPU_OFFSET);
        let area = fake.alloc(PERCPU_OFFSET + fake.size_of("ltt_chanbuf"));
        self.buffer = area.offset(PERCPU_OFFSET);
        self.position = self.buffer;
        let rules = sim.rules;
        for (member, value) in [
            ("a.trace", self.trace.0),
            ("a.buf", area.0),
            ("a.buf_size", rules.size * rules.count),
            ("a.sb_size", rules.size),
            ("a.n_sb", rules.count),
            ("a.n_sb_order", u64::from(order)),
            ("a.extra_reader_sb", u64::from(rules.exchange)),
            ("overwrite", u64::from(rules.overwrite)),
            ("active", 1),
        ] {
            fake.set(self.channel, "ltt_chan", member, value);
        }
        fake.set_text(self.channel, "ltt_chan", "a.filename", "cpu");
        let alloc = self.channel.offset(fake.offset_of("ltt_chan", "a"));
        for (member, value) in [("a.chan", alloc.0), ("a.cpu", CPU), ("a.allocated", 1)] {
            fake.set(self.buffer, "ltt_chanbuf", member, value);
        }
        self.positions("ltt_chanbuf", true, sim);
    }

    fn positions(&mut self, name: &str, structs: bool, sim: &Simulation) {
        let fake = &mut self.fake;
        let stride = if structs { fake.size_of("commit_counters") } else { fake.word() };
        let counters = fake.alloc(stride * sim.rules.count);
        for (i, (&committed, &delivered)) in sim.committed.iter().zip(&sim.delivered).enumerate() {
            let at = counters.offset(i as u64 * stride);
            if structs {
                fake.set(at, "commit_counters", "cc", committed);
                fake.set(at, "commit_counters", "cc_sb", delivered);
            } else {
                fake.put_word(at, committed);
            }
        }
        for (member, value) in [
            ("offset", sim.write),
            ("consumed", sim.consumed),
            ("commit_count", counters.0),
            ("events_lost", sim.lost),
        ] {
            fake.set(self.position, name, member, value);
        }
        fake.set(self.position, name, "active_readers", u64::from(sim.held.is_some()));
    }

    fn pages_z(&mut self, tables: &[Vec<VirtAddr>]) {
        let all: Vec<VirtAddr> = tables.concat();
        let start = VirtAddr(if self.fake.word() == 8 { 0xffff_c200_0010_0000 } else { 0xf800_0000 });
        let array = self.fake.alloc(all.len() as u64 * 8);
        for (i, page) in (0u64..).zip(&all) {
            // One page is known by the array only.
            if i != 1 {
                self.fake.map(start.offset(i * PAGE), *page);
            }
            let at = array.offset(i * self.fake.word());
            let pointer = self.page_of(*page);
            self.fake.put_word(at, pointer.0);
        }
        self.fake.set(self.buffer, "rchan_buf", "start", start.0);
        self.fake.set(self.buffer, "rchan_buf", "page_array", array.0);
    }

    fn pages_a(&mut self, tables: &[Vec<VirtAddr>]) {
        let link = self.fake.offset_of("buf_page", "list");
        let mut nodes = Vec::new();
        for (i, page) in (0u64..).zip(tables.concat()) {
            let node = self.fake.object("buf_page");
            let pointer = self.page_of(page);
            for (member, value) in [("page", pointer.0), ("buf", self.buffer.0), ("offset", i * PAGE)] {
                self.fake.set(node, "buf_page", member, value);
            }
            self.fake.set(pointer, "page", "private", node.0);
            nodes.push(node.offset(link));
        }
        self.first_node = nodes[0];
        let head = self.buffer.offset(self.fake.offset_of("rchan_buf", "pages"));
        self.fake.link(head, &nodes);
    }

    fn pages_unknown(&mut self, tables: &[Vec<VirtAddr>]) {
        let all = tables.concat();
        let array = self.fake.alloc(all.len() as u64 * 8);
        for (i, page) in (0u64..).zip(&all) {
            let pointer = self.page_of(*page);
            let at = array.offset(i * self.fake.word());
            self.fake.put_word(at, pointer.0);
        }
        self.fake.set(self.buffer, "rchan_buf", "mystery", array.0);
    }

    fn tables_bc(
        &mut self,
        sim: &Simulation,
        tables: &[Vec<VirtAddr>],
        name: &str,
        writer: &str,
        reader: &str,
        types: (&str, &str),
    ) {
        let (table_type, entry_type) = types;
        let (stride, entry) = (self.fake.size_of(table_type), self.fake.size_of(entry_type));
        let slots = self.fake.alloc(stride * sim.rules.count);
        for (i, pages) in (0u64..).zip(tables) {
            let table = self.fake.alloc(entry * pages.len() as u64);
            for (j, page) in (0u64..).zip(pages) {
                self.fake.set(table.offset(j * entry), entry_type, "virt", page.0);
            }
            if i < sim.rules.count {
                self.fake.set(slots.offset(i * stride), table_type, "pages", table.0 | 1);
            } else {
                let noref = u64::from(sim.held.is_none());
                self.fake.set(self.buffer, name, reader, table.0 | noref);
            }
        }
        self.fake.set(self.buffer, name, writer, slots.0);
    }

    /// Takes away the page table of slot 2, and adds the flat array of all pages by which it can be found.
    pub(crate) fn lose_table(&mut self, era: Era, sim: &Simulation) {
        let (name, prefix, slots, slot_type, entry_type, count) = match era {
            Era::C => ("ltt_chanbuf", "a.", "a.buf_wsb", "chanbuf_sb", "chanbuf_page", "a.nr_pages"),
            _ => ("rchan_buf", "", "rchan_wsb", "rchan_sb", "rchan_page", "page_count"),
        };
        let fake = &mut self.fake;
        let member =
            |fake: &Fake, member: &str| fake.get_word(self.buffer.offset(fake.offset_of(name, member)));
        let slots = VirtAddr(member(fake, slots));
        let reader = if era == Era::C { "a.buf_rsb.pages" } else { "rchan_rsb.pages" };
        let table_of = |fake: &Fake, i: u64| {
            let at = slots.offset(i * fake.size_of(slot_type) + fake.offset_of(slot_type, "pages"));
            VirtAddr(fake.get_word(at) & !1)
        };
        let mut tables: Vec<VirtAddr> = (0..sim.rules.count).map(|i| table_of(fake, i)).collect();
        tables.push(VirtAddr(member(fake, reader) & !1));
        let flat = fake.alloc(8 * tables.len() as u64);
        for (i, table) in (0u64..).zip(&tables) {
            let virt = fake.get_word(table.offset(fake.offset_of(entry_type, "virt")));
            fake.put_word(flat.offset(i * 8), virt);
        }
        fake.set(self.buffer, name, &format!("{prefix}_virt"), flat.0);
        fake.set(self.buffer, name, count, tables.len() as u64);
        fake.remove_page(tables[2]);
    }

    /// A process that has the buffer's file open, which is no longer in debugfs.
    pub(crate) fn open_file(&mut self) {
        let fake = &mut self.fake;
        let w = fake.word();
        fake.define("task_struct", &[], &[("tasks", 2 * w, STRUCT), ("files", w, WORD)]);
        fake.define("files_struct", &[], &[("fdt", w, WORD)]);
        fake.define("fdtable", &[], &[("max_fds", 4, WORD), ("fd", w, WORD)]);
        fake.define("file", &[], &[("f_path.dentry", w, WORD), ("f_op", w, WORD)]);
        let (init, task) = (fake.object("task_struct"), fake.object("task_struct"));
        let tasks = fake.offset_of("task_struct", "tasks");
        fake.symbol("init_task", init);
        fake.link(init.offset(tasks), &[task.offset(tasks)]);
        let (files, table, array, file) =
            (fake.object("files_struct"), fake.object("fdtable"), fake.alloc(4 * w), fake.object("file"));
        let (dentry, inode) = (fake.object("dentry"), fake.object("inode"));
        let operations = crate::Target::symbols(fake, "ltt_file_operations")[0].addr;
        fake.put_word(array.offset(2 * w), file.0);
        for (object, name, member, value) in [
            (task, "task_struct", "files", files.0),
            (files, "files_struct", "fdt", table.0),
            (table, "fdtable", "max_fds", 4),
            (table, "fdtable", "fd", array.0),
            (file, "file", "f_path.dentry", dentry.0),
            (file, "file", "f_op", operations),
            (dentry, "dentry", "d_inode", inode.0),
            (inode, "inode", "i_private", self.buffer.0),
        ] {
            fake.set(object, name, member, value);
        }
    }

    /// `ltt/t/flight-cpu_1` in debugfs, with directories above and a negative entry beside.
    fn debugfs(&mut self) {
        let c = self.fake.layouts_has("ltt_chanbuf");
        let fake = &mut self.fake;
        let operations = fake.alloc(64);
        fake.symbol("ltt_file_operations", operations);
        let mount = fake.object("vfsmount");
        let variable = fake.alloc(8);
        fake.put_word(variable, mount.0);
        fake.symbol("debugfs_mount", variable);
        let mut parent = VirtAddr::NULL;
        let mut last = VirtAddr::NULL;
        for name in ["/", "ltt", "t", "flight-cpu_1"] {
            let dentry = fake.object("dentry");
            let inode = fake.object("inode");
            let text = fake.text(name);
            let is_file = name.starts_with("flight-");
            fake.set(inode, "inode", "i_mode", if is_file { 0o100_400 } else { 0o040_755 });
            for (member, value) in [
                ("d_inode", inode.0),
                ("d_parent", if parent.is_null() { dentry.0 } else { parent.0 }),
                ("d_name.name", text.0),
                ("d_name.len", name.len() as u64),
            ] {
                fake.set(dentry, "dentry", member, value);
            }
            let (children, link) =
                (fake.offset_of("dentry", "d_subdirs"), fake.offset_of("dentry", "d_u.d_child"));
            fake.link(dentry.offset(children), &[]);
            if parent.is_null() {
                fake.set(mount, "vfsmount", "mnt_root", dentry.0);
            } else {
                let negative = fake.object("dentry");
                fake.set(negative, "dentry", "d_parent", parent.0);
                fake.link(parent.offset(children), &[dentry.offset(link), negative.offset(link)]);
            }
            if is_file {
                fake.set(inode, "inode", "i_fop", operations.0);
                fake.set(inode, "inode", "i_private", self.buffer.0);
            }
            if name == "t" {
                fake.set(
                    self.trace,
                    if c { "ltt_trace" } else { "ltt_trace_struct" },
                    "dentry.trace_root",
                    dentry.0,
                );
            }
            (parent, last) = (dentry, dentry);
        }
        let (name, member) = if c { ("ltt_chanbuf", "a.dentry") } else { ("rchan_buf", "dentry") };
        self.fake.set(self.buffer, name, member, last.0);
    }
}
