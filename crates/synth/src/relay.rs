//! A classic relay channel (kernel/relay.c) beside the traces, as blktrace opens it: `block/sda/trace<cpu>`.

use crate::kernel::Era;
use crate::place::Site;
use crate::rng::Rng;
use crate::truth::RelayTruth;

const SUB_BUFFER: u64 = 5000; // neither a power of two nor a multiple of a page
const COUNT: u64 = 3;

pub(crate) struct Relay {
    operations: u64,
    list: u64,
}

impl Relay {
    pub(crate) fn new(site: &mut Site) -> Relay {
        let word = site.space.abi().word;
        let operations = site.space.rodata("relay_file_operations", &[0; 56], None);
        let list = site.space.data("relay_channels", 2 * word, Some("kernel/relay.c"));
        site.space.list_init(list);
        if site.era == Era::Z {
            site.relay_channels = list;
        }
        Relay { operations, list }
    }

    /// Plants the channel. CPU 0 has read one sub-buffer and a half; the others have read nothing and stopped full.
    pub(crate) fn place(&self, site: &mut Site, cpus: u32, seed: u64) -> Vec<RelayTruth> {
        let word = site.space.abi().word;
        let page = site.space.facts.page_size();
        let alloc = (SUB_BUFFER * COUNT).next_multiple_of(page);
        let block = site.debugfs.dir(&mut site.space, site.debugfs.root, "block");
        let sda = site.debugfs.dir(&mut site.space, block, "sda");
        site.debugfs.plain(&mut site.space, sda, "dropped");
        let r = site.space.object("rchan@relay");
        for (path, value) in [
            ("version", 7),
            ("subbuf_size", SUB_BUFFER),
            ("n_subbufs", COUNT),
            ("alloc_size", alloc),
            ("parent", sda),
            ("has_base_filename", 1),
        ] {
            site.space.set(r, "rchan@relay", path, value);
        }
        site.space.set_text(r, "rchan@relay", "base_filename", b"trace");
        let node = site.space.member(r, "rchan@relay", "list");
        site.space.list_add_tail(node, self.list);
        let mut truth = Vec::new();
        for cpu in 0..cpus {
            let mut rng = Rng::new(seed ^ 0xb10c ^ u64::from(cpu));
            let mut memory: Vec<u8> = (0..alloc).map(|_| rng.next() as u8).collect();
            let padding: Vec<u64> = (0..COUNT).map(|_| rng.below(100)).collect();
            let span =
                |i: u64, from: u64, to: u64| (i * SUB_BUFFER + from) as usize..(i * SUB_BUFFER + to) as usize;
            let full = |i: u64| SUB_BUFFER - padding[i as usize];
            for i in 0..COUNT {
                memory[span(i, full(i), SUB_BUFFER)].fill(0);
            }
            let bytes = |i: u64, from: u64, to: u64| memory[span(i, from, to)].to_vec();
            // (produced, consumed, offset, bytes consumed of the oldest, current)
            let (produced, consumed, offset, half, current, unread, old) = if cpu == 0 {
                let open = 1234;
                let half = 2000;
                let unread = [bytes(1, half, full(1)), bytes(2, 0, open)].concat();
                let old = [bytes(0, 0, full(0)), bytes(1, 0, half)].concat();
                (2, 1, open, half, 2, unread, old)
            } else {
                let unread = (0..COUNT).flat_map(|i| bytes(i, 0, full(i))).collect();
                (COUNT, 0, SUB_BUFFER + 1, 0, COUNT - 1, unread, Vec::new())
            };
            let frames = site.scatter(&memory);
            let b = site.space.object("rchan_buf@relay");
            let start = site.space.vmap(&frames);
            let array = site.space.kmalloc(frames.len() as u64 * word);
            for (i, pfn) in frames.iter().enumerate() {
                let struct_page = site.pages.page(&mut site.space, *pfn, b);
                site.space.put_word(array + i as u64 * word, struct_page);
            }
            let pads = site.space.kmalloc(COUNT * word);
            for (i, pad) in padding.iter().enumerate() {
                let pad = if cpu == 0 && i == 2 { 0 } else { *pad };
                site.space.put_word(pads + i as u64 * word, pad);
            }
            let name = format!("trace{cpu}");
            let size = produced * SUB_BUFFER;
            let dentry = site.debugfs.buffer(&mut site.space, sda, &name, self.operations, b, size);
            for (path, value) in [
                ("start", start),
                ("data", start + current * SUB_BUFFER),
                ("offset", offset),
                ("subbufs_produced", produced),
                ("subbufs_consumed", consumed),
                ("chan", r),
                ("dentry", dentry),
                ("page_array", array),
                ("page_count", frames.len() as u64),
                ("padding", pads),
                ("bytes_consumed", half),
                ("cpu", u64::from(cpu)),
            ] {
                site.space.set(b, "rchan_buf@relay", path, value);
            }
            site.space.set(r, "rchan@relay", &format!("buf[{cpu}]"), b);
            truth.push(RelayTruth { path: format!("block/sda/{name}"), cpu, unread, consumed: old });
        }
        truth
    }
}
