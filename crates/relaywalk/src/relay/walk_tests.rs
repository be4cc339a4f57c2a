//! Whole walks over a synthetic kernel with classic relay channels.

use super::{Walk, walk};
use crate::fake::{Fake, PAGE};
use crate::{Endian, Kind, Options, Routes, State, VirtAddr, WordSize};

const WORD: Kind = Kind::Int { signed: false };
const SIZE: u64 = 5000;
const COUNT: u64 = 4;

struct Kernel {
    fake: Fake,
    channel: VirtAddr,
    buffer: VirtAddr,
    start: VirtAddr,
}

/// One channel, one buffer of four sub-buffers of 5000 bytes for CPU 1, mapped at an address of its own.
fn kernel(per_cpu: bool) -> Kernel {
    let mut fake = Fake::new(WordSize::Bits64, Endian::Little);
    fake.define_at("list_head", 16, &[("next", 0, 8), ("prev", 8, 8)]);
    fake.define_at("page", 64, &[("private", 16, 8)]);
    let buf_kind = if per_cpu {
        Kind::Pointer { to: None }
    } else {
        Kind::Array { count: Some(2), stride: 8, elem: Box::new(Kind::Pointer { to: None }) }
    };
    fake.define(
        "rchan",
        &["relay"],
        &[
            ("version", 4, WORD),
            ("subbuf_size", 8, WORD),
            ("n_subbufs", 8, WORD),
            ("alloc_size", 8, WORD),
            ("buf", if per_cpu { 8 } else { 16 }, buf_kind),
            ("is_global", 4, WORD),
            ("list", 16, Kind::Struct),
            ("has_base_filename", 4, WORD),
            ("base_filename", 255, Kind::Array { count: Some(255), stride: 1, elem: Box::new(WORD) }),
        ],
    );
    let words = [
        "start",
        "data",
        "offset",
        "subbufs_produced",
        "subbufs_consumed",
        "chan",
        "padding",
        "page_array",
        "bytes_consumed",
        "early_bytes",
    ];
    let mut members: Vec<(&str, u64, Kind)> = words.iter().map(|name| (*name, 8, WORD)).collect();
    members.extend([("page_count", 4, WORD), ("cpu", 4, WORD)]);
    fake.define("rchan_buf", &["relay"], &members);

    let (channel, buffer, list) = (fake.object("rchan"), fake.object("rchan_buf"), fake.alloc(16));
    fake.symbol("relay_channels", list);
    fake.link(list, &[channel.offset(fake.offset_of("rchan", "list"))]);
    let alloc = (SIZE * COUNT).next_multiple_of(PAGE);
    for (member, value) in [
        ("version", 7),
        ("subbuf_size", SIZE),
        ("n_subbufs", COUNT),
        ("alloc_size", alloc),
        ("has_base_filename", 1),
    ] {
        fake.set(channel, "rchan", member, value);
    }
    fake.set_text(channel, "rchan", "base_filename", "trace");
    let slot = channel.offset(fake.offset_of("rchan", "buf"));
    if per_cpu {
        let (offsets, area, mask) = (fake.alloc(16), fake.alloc(PAGE + 8), fake.alloc(8));
        fake.symbol("__per_cpu_offset", offsets);
        fake.symbol("cpu_possible_map", mask);
        fake.put_word(mask, 3);
        fake.put_word(offsets.offset(8), PAGE);
        fake.put_word(slot, area.0);
        fake.put_word(area.offset(PAGE), buffer.0);
    } else {
        fake.put_word(slot.offset(8), buffer.0);
    }
    let (start, memory) = (VirtAddr(0xffff_c900_0000_0000), fake.alloc(alloc));
    for page in 0..alloc / PAGE {
        fake.map(start.offset(page * PAGE), memory.offset(page * PAGE));
    }
    let padding = fake.alloc(32);
    fake.put_word(padding, 0x10);
    for (member, value) in [
        ("start", start.0),
        ("data", start.0 + SIZE),
        ("offset", 0x120),
        ("subbufs_produced", 9),
        ("subbufs_consumed", 7),
        ("bytes_consumed", 0x800),
        ("early_bytes", 9 * SIZE),
        ("chan", channel.0),
        ("padding", padding.0),
        ("page_count", alloc / PAGE),
        ("cpu", 1),
    ] {
        fake.set(buffer, "rchan_buf", member, value);
    }
    Kernel { fake, channel, buffer, start }
}

fn all(kernel: &Kernel) -> Walk {
    walk(&kernel.fake, &Options { routes: Routes::CHANNELS })
}

#[test]
fn running_buffer_of_either_generation() {
    for per_cpu in [false, true] {
        let mut kernel = kernel(per_cpu);
        // Last bytes of the open sub-buffer, which starts in the middle of a page and ends in the next.
        kernel.fake.define_at("vfsmount", 8, &[]);
        let found = all(&kernel);
        assert!(found.damage.is_empty(), "{:?}", found.damage);
        let channel = &found.channels[0];
        assert_eq!((channel.address, channel.name.as_slice()), (kernel.channel, &b"trace"[..]));
        let stream = &channel.streams[0];
        assert_eq!((stream.cpu, stream.address, &stream.path), (1, kernel.buffer, &vec![b"trace1".to_vec()]));
        assert_eq!(stream.end_position, Some(9 * SIZE + 0x120));
        let subs: Vec<_> =
            stream.subbuffers.iter().map(|s| (s.position / SIZE, s.state, s.reserved, s.skip)).collect();
        assert_eq!(
            subs,
            [
                (6, State::Consumed, SIZE, SIZE),
                (7, State::Ready, SIZE, 0x800),
                (8, State::Ready, SIZE - 0x10, 0),
                (9, State::Open, 0x120, 0)
            ]
        );
        let open = stream.subbuffers[3].pages.clone();
        kernel.fake.set(kernel.buffer, "rchan_buf", "page_count", 1);
        assert!(open.read(&kernel.fake, 0, &mut [0; 0x120]).is_empty());
        assert_eq!(all(&kernel).damage[0].address, Some(kernel.buffer));
    }
}

#[test]
fn content_is_read_through_the_mapping() {
    let mut kernel = kernel(false);
    let page = kernel.start.offset(PAGE);
    let phys = crate::Target::virt_to_phys(&kernel.fake, page).unwrap();
    kernel.fake.write(VirtAddr(kernel.fake.direct() + phys.0 + SIZE - PAGE), b"open");
    let found = all(&kernel);
    let mut bytes = [0; 4];
    assert!(found.channels[0].streams[0].subbuffers[3].pages.read(&kernel.fake, 0, &mut bytes).is_empty());
    assert_eq!(&bytes, b"open");
}

#[test]
fn nonsense_is_reported() {
    for (member, value) in
        [("data", 7), ("offset", 1 << 20), ("subbufs_consumed", 10), ("chan", 0), ("cpu", 1 << 40)]
    {
        let mut kernel = kernel(false);
        if member == "cpu" {
            kernel.fake.set(kernel.channel, "rchan", "n_subbufs", value);
        } else {
            kernel.fake.set(kernel.buffer, "rchan_buf", member, value);
        }
        let found = all(&kernel);
        assert_eq!(found.damage.len(), 1, "{member}: {:?}", found.damage);
        assert!(found.channels.iter().all(|channel| channel.streams.is_empty()));
    }
}
