//! Damage, for hostile tests: to a kernel's memory before the core is written ([`Damage`]), or to the bytes of any file.

use crate::build::DeadKernel;
use crate::rng::Rng;

/// Flips `count` random bits.
pub fn flip_bits(bytes: &mut [u8], seed: u64, count: u64) {
    let mut rng = Rng::new(seed);
    for _ in 0..count {
        let bit = rng.below(bytes.len() as u64 * 8);
        bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
    }
}

/// Overwrites `len` bytes at a random place with random ones.
pub fn splatter(bytes: &mut [u8], seed: u64, len: usize) {
    let mut rng = Rng::new(seed);
    let start = rng.below(bytes.len() as u64) as usize;
    let end = bytes.len().min(start + len);
    for byte in &mut bytes[start..end] {
        *byte = rng.next() as u8;
    }
}

/// Something wrong in the kernel's memory. Where a trace is meant, it is the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// The trace list's last node points back to the first one instead of to the head.
    CyclicTraceList,
    /// The trace list leads to an address where nothing is.
    TraceListToNowhere,
    /// The trace's name, as this; may contain anything.
    TraceName(Vec<u8>),
    /// The name of the trace's first debugfs file or directory.
    FileName(Vec<u8>),
    /// A name of 4 KiB of junk for the same.
    EndlessFileName,
    /// The trace's directory lists itself.
    CyclicDirectory,
    /// `nr_channels` is all ones (eras with a channel array).
    AbsurdChannelCount,
    /// The first channel's sub-buffer size.
    SubBufferSize(u64),
    /// The first channel's number of sub-buffers.
    SubBufferCount(u64),
    /// The first buffer's write position.
    WritePosition(u64),
    /// The first buffer's consumed position.
    ConsumedPosition(u64),
    /// The first buffer's commit counters lie nowhere.
    CommitCountersNowhere,
    /// The page behind the trace struct: zeroed.
    ZeroedTracePage,
    /// The page behind the trace struct: random bytes.
    JunkTracePage,
    /// The page behind the trace struct: not in the dump.
    MissingTracePage,
    /// Every `n`th page of memory is missing, the first one at `first`.
    MissingPages {
        /// Number of the first missing page.
        first: usize,
        /// Distance to the next one.
        every: usize,
    },
    /// Random bits all over memory.
    FlippedBits {
        /// How many.
        count: u64,
        /// Seed.
        seed: u64,
    },
}

impl Damage {
    /// One of each kind.
    pub fn all() -> Vec<Damage> {
        let evil: [&[u8]; 6] = [b"..", b".", b"", b"a/b", b"/etc/passwd", b"new\nline\x1b[31m\xff"];
        let names = evil.iter().flat_map(|n| [Damage::TraceName(n.to_vec()), Damage::FileName(n.to_vec())]);
        let mut all: Vec<Damage> = names.collect();
        all.extend([Damage::TraceName(vec![b'x'; 255]), Damage::EndlessFileName]);
        all.extend([0, 1, 3, 1 << 31, u64::MAX].map(Damage::SubBufferSize));
        all.extend([0, 3, 1 << 31, u64::MAX].map(Damage::SubBufferCount));
        all.extend([0, 1, u64::MAX, 1 << 31].map(Damage::WritePosition));
        all.extend([1, u64::MAX, 1 << 31].map(Damage::ConsumedPosition));
        all.extend([
            Damage::CyclicTraceList,
            Damage::TraceListToNowhere,
            Damage::CyclicDirectory,
            Damage::AbsurdChannelCount,
            Damage::CommitCountersNowhere,
            Damage::ZeroedTracePage,
            Damage::JunkTracePage,
            Damage::MissingTracePage,
            Damage::MissingPages { first: 3, every: 7 },
            Damage::FlippedBits { count: 500, seed: 5 },
        ]);
        all
    }

    /// Does it to a kernel.
    pub fn apply(&self, kernel: &mut DeadKernel) {
        let places = Places::find(kernel);
        let nowhere = kernel.facts().abi.word_mask() & !0xfff;
        match self {
            Damage::CyclicTraceList => {
                let first = places.list_node;
                kernel.poke(first, "list_head", "next", first);
            }
            Damage::TraceListToNowhere => kernel.poke(places.list_node, "list_head", "next", nowhere),
            Damage::TraceName(name) => {
                let place = kernel.types().place(places.trace_type, "trace_name");
                let mut bytes = vec![0; place.size as usize];
                bytes[..name.len()].copy_from_slice(name);
                kernel.poke_bytes(places.trace + place.offset, &bytes);
            }
            Damage::FileName(name) => {
                let place = kernel.types().place("dentry", "d_iname");
                kernel.poke_bytes(places.child + place.offset, name);
                kernel.poke(places.child, "dentry", "d_name.name", places.child + place.offset);
                kernel.poke(places.child, "dentry", "d_name.len", name.len() as u64);
            }
            Damage::EndlessFileName => {
                let page = kernel.memory().ram().end - kernel.facts().page_size();
                let junk: Vec<u8> = (0..4096_u32).map(|i| (i * 7 + 1) as u8).collect();
                kernel.memory_mut().write(page, &junk);
                let va = kernel.facts().direct(page);
                kernel.poke(places.child, "dentry", "d_name.name", va);
                kernel.poke(places.child, "dentry", "d_name.len", 4096);
            }
            Damage::CyclicDirectory => {
                let head = kernel.types().place("dentry", "d_subdirs").offset;
                let link = kernel.types().place("dentry", "d_u.d_child").offset;
                kernel.poke(places.directory + head, "list_head", "next", places.directory + link);
                kernel.poke(places.directory + link, "list_head", "next", places.directory + link);
            }
            Damage::AbsurdChannelCount => {
                if kernel.types().find_place(places.trace_type, "nr_channels").is_some() {
                    kernel.poke(places.trace, places.trace_type, "nr_channels", u64::MAX);
                }
            }
            Damage::SubBufferSize(size) => {
                let (at, name, path, _) = places.geometry;
                kernel.poke(at, name, path, *size);
            }
            Damage::SubBufferCount(count) => {
                let (at, name, _, path) = places.geometry;
                kernel.poke(at, name, path, *count);
            }
            Damage::WritePosition(value) => {
                let (at, name) = places.positions;
                kernel.poke(at, name, "offset", *value);
            }
            Damage::ConsumedPosition(value) => {
                let (at, name) = places.positions;
                kernel.poke(at, name, "consumed", *value);
            }
            Damage::CommitCountersNowhere => {
                let (at, name) = places.positions;
                kernel.poke(at, name, "commit_count", nowhere);
            }
            Damage::ZeroedTracePage => places.trace_page(kernel).fill(0),
            Damage::JunkTracePage => {
                let mut rng = Rng::new(9);
                places.trace_page(kernel).fill_with(|| rng.next() as u8);
            }
            Damage::MissingTracePage => {
                let pfn = kernel.phys(places.trace) / kernel.facts().page_size();
                kernel.memory_mut().remove(pfn);
            }
            Damage::MissingPages { first, every } => {
                let frames: Vec<u64> = kernel.memory().pages().map(|(pfn, _)| pfn).collect();
                for pfn in frames.iter().skip(*first).step_by(*every) {
                    // The image must stay one run; its pages are emptied instead.
                    let image = kernel.facts().image_phys..kernel.facts().image_phys + kernel.image_size;
                    if image.contains(&(pfn * kernel.facts().page_size())) {
                        kernel.memory_mut().page_mut(*pfn).fill(0);
                    } else {
                        kernel.memory_mut().remove(*pfn);
                    }
                }
            }
            Damage::FlippedBits { count, seed } => {
                let mut rng = Rng::new(*seed);
                let frames: Vec<u64> = kernel.memory().pages().map(|(pfn, _)| pfn).collect();
                for _ in 0..*count {
                    let pfn = frames[rng.below(frames.len() as u64) as usize];
                    let bit = rng.below(kernel.facts().page_size() * 8);
                    kernel.memory_mut().page_mut(pfn)[(bit / 8) as usize] ^= 1 << (bit % 8);
                }
            }
        }
    }
}

/// Addresses of the first trace's things.
struct Places {
    trace: u64,
    trace_type: &'static str,
    list_node: u64,
    directory: u64,
    child: u64,
    /// Address and type of the struct with the sizes; names of the sub-buffer's size and number.
    geometry: (u64, &'static str, &'static str, &'static str),
    positions: (u64, &'static str),
}

impl Places {
    fn find(kernel: &DeadKernel) -> Places {
        let trace = kernel.truth().traces[0].address;
        let types = kernel.types();
        let new = types.find("ltt_chanbuf").is_some();
        let trace_type = if new { "ltt_trace" } else { "ltt_trace_struct" };
        let list_node = trace + types.place(trace_type, "list").offset;
        let directory = kernel.peek(trace, trace_type, "dentry.trace_root");
        let first = kernel.peek(directory, "dentry", "d_subdirs.next");
        let child = first - types.place("dentry", "d_u.d_child").offset;
        let channel = if types.find_place(trace_type, "channels").is_some() {
            kernel.peek(trace, trace_type, "channels")
        } else {
            kernel.peek(trace, trace_type, "channel.cpu")
        };
        if new {
            // The flat page list names no position struct; the channel's file does.
            let file = Places::buffer_of(kernel, directory);
            return Places {
                trace,
                trace_type,
                list_node,
                directory,
                child,
                geometry: (channel, "ltt_chan", "a.sb_size", "a.n_sb"),
                positions: (file, "ltt_chanbuf"),
            };
        }
        let rchan = kernel.peek(channel, "ltt_channel_struct", "trans_channel_data");
        let buffer = kernel.peek(rchan, "rchan", "buf[0]");
        let positions = if types.find_place("rchan_buf", "chan_private").is_some() {
            kernel.peek(buffer, "rchan_buf", "chan_private")
        } else if let Some(place) = types.find_place("ltt_channel_struct", "buf[0]")
            && place.size > kernel.facts().abi.word
        {
            channel + place.offset
        } else {
            let pointer = kernel.peek(channel, "ltt_channel_struct", "buf");
            kernel.peek(!pointer & kernel.facts().abi.word_mask(), "percpu_data", "ptrs[0]")
        };
        Places {
            trace,
            trace_type,
            list_node,
            directory,
            child,
            geometry: (rchan, "rchan", "subbuf_size", "n_subbufs"),
            positions: (positions, "ltt_channel_buf_struct"),
        }
    }

    /// The buffer behind the first file of a directory.
    fn buffer_of(kernel: &DeadKernel, directory: u64) -> u64 {
        let link = kernel.types().place("dentry", "d_u.d_child").offset;
        let mut node = kernel.peek(directory, "dentry", "d_subdirs.next");
        loop {
            let inode = kernel.peek(node - link, "dentry", "d_inode");
            if inode != 0 {
                return kernel.peek(inode, "inode", "i_private");
            }
            node = kernel.peek(node, "list_head", "next");
        }
    }

    fn trace_page<'k>(&self, kernel: &'k mut DeadKernel) -> &'k mut [u8] {
        let pfn = kernel.phys(self.trace) / kernel.facts().page_size();
        kernel.memory_mut().page_mut(pfn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Elf;
    use crate::kernel::{Era, Kernel};

    #[test]
    fn every_damage_changes_the_core_of_every_era() {
        for era in [Era::Z, Era::A, Era::A1, Era::A1Private, Era::A2Pages, Era::B, Era::C] {
            let whole = Kernel::new(era).cpus(1).build();
            let before = Elf::kdump().write(&whole).bytes();
            for damage in Damage::all() {
                let mut kernel = whole.clone();
                damage.apply(&mut kernel);
                let skipped = damage == Damage::AbsurdChannelCount && era <= Era::A;
                assert!(skipped || Elf::kdump().write(&kernel).bytes() != before, "{era:?} {damage:?}");
            }
        }
    }
}
