//! Every kind of kernel can be built, twice the same, and its truth is consistent with itself.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use synth::{Arch, Crash, Endian, Era, Fill, Kernel, MemoryModel, Mode, Reader, State, StreamTruth};

const ERAS: [Era; 8] =
    [Era::Z, Era::A, Era::A1, Era::A1Private, Era::A2Pages, Era::A2Structs, Era::B, Era::C];

fn check(stream: &StreamTruth) {
    let header = match stream.sub_buffers.first() {
        Some(first) => first.events.first().map_or(first.valid, |e| e.start),
        None => panic!("{} has no sub-buffer", stream.path),
    };
    let mut last = 0;
    for sub in &stream.sub_buffers {
        let mut at = header;
        for event in &sub.events {
            assert_eq!(event.start, at, "{} {:?}", stream.path, sub.position);
            assert!(event.written && event.tsc >= last);
            at = event.end;
            last = event.tsc;
        }
        if sub.valid == 0 {
            assert!(sub.events.is_empty() && sub.record.is_empty());
            continue;
        }
        assert_eq!(sub.valid, at.max(header));
        assert!(sub.record.len() as u64 >= sub.valid);
        match sub.state {
            State::Consumed | State::Ready => assert!(sub.rest.is_empty()),
            State::Open => assert!(sub.valid <= sub.reserved.max(header)),
            State::Stalled => assert!(sub.committed < stream.sub_buffer_size),
        }
    }
    let consumed_after_unread = stream
        .sub_buffers
        .windows(2)
        .any(|pair| pair[0].state != State::Consumed && pair[1].state == State::Consumed);
    assert!(!consumed_after_unread, "{}", stream.path);
}

fn build_and_check(kernel: &Kernel) -> synth::DeadKernel {
    let dead = kernel.build();
    for stream in &dead.truth().traces[0].streams {
        check(stream);
    }
    dead
}

/// One CPU, two channels: what the wide matrices need.
fn small(era: Era) -> Kernel {
    let channels = if era <= Era::A { ["cpu", "modules"] } else { ["kernel", "fs"] };
    Kernel::new(era).cpus(1).channels(channels)
}

#[test]
fn every_era_fill_and_mode() {
    for era in ERAS {
        for mode in [Mode::Discard, Mode::Overwrite, Mode::Hybrid] {
            for fill in [Fill::Empty, Fill::Partial, Fill::Boundary, Fill::Full, Fill::Wrapped] {
                let dead = build_and_check(&small(era).mode(mode).fill(fill));
                let main = dead.truth().traces[0]
                    .streams
                    .iter()
                    .find(|s| matches!(s.channel.as_str(), "cpu" | "kernel"))
                    .unwrap();
                match (fill, mode) {
                    (Fill::Empty, _) => assert_eq!(main.file().len(), 4096),
                    (Fill::Full, Mode::Discard) => assert!(main.overwrite || main.events_lost > 0),
                    (Fill::Boundary, _) => assert_eq!(main.write_position % main.sub_buffer_size, 0),
                    (Fill::Wrapped, _) => assert!(main.write_position > 2 * 4 * 4096),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn every_crash_and_reader() {
    let crashes = [
        Crash::Quiet,
        Crash::LastSlot { written: false },
        Crash::LastSlot { written: true },
        Crash::Gap { after: 4, written: false },
        Crash::Gap { after: 2, written: true },
        Crash::HeaderNotBegun,
        Crash::HeaderNotEnded,
        Crash::BetweenCounters,
        Crash::Filled { ended: false, written: false },
        Crash::Filled { ended: true, written: true },
        Crash::Stalled(2),
    ];
    let readers = [Reader::Absent, Reader::Keeps(0), Reader::Inside, Reader::Interrupted, Reader::Overtaken];
    for era in ERAS {
        for crash in crashes {
            for reader in readers {
                for (mode, fill) in [(Mode::Overwrite, Fill::Wrapped), (Mode::Discard, Fill::Partial)] {
                    let kernel = small(era).mode(mode).fill(fill).reader(reader).crash(crash);
                    build_and_check(&kernel);
                }
            }
        }
    }
}

#[test]
fn an_uncommitted_slot_ends_the_valid_part() {
    let dead = Kernel::new(Era::C).crash(Crash::Gap { after: 3, written: false }).build();
    let stream = dead.truth().traces[0].stream("kernel_0");
    let open = stream.sub_buffers.last().unwrap();
    assert_eq!((open.state, open.rest.len(), open.doubtful), (State::Open, 4, true));
    assert!(open.committed < open.reserved && open.valid < open.committed);
    let kept = Kernel::new(Era::C).build();
    assert!(!kept.truth().traces[0].stream("kernel_0").sub_buffers.last().unwrap().doubtful);
}

#[test]
fn positions_can_wrap_in_32_bits() {
    for era in [Era::A, Era::B, Era::C] {
        let start = (1 << 32) - 2 * 4 * 4096;
        let kernel =
            Kernel::new(era).bits(32).mode(Mode::Overwrite).fill(Fill::Wrapped).start_position(start);
        let dead = build_and_check(&kernel);
        let name = if era == Era::A { "flight-cpu_0" } else { "flight-kernel_0" };
        let stream = dead.truth().traces[0].stream(name);
        assert!(stream.write_position < 1 << 20);
        assert_eq!(stream.sub_buffers.len(), 4);
    }
}

#[test]
fn every_machine_and_memory_model() {
    for arch in [
        Arch::X86_64,
        Arch::X86_64Kaslr,
        Arch::I386,
        Arch::I386Pae,
        Arch::AArch64,
        Arch::AArch64Page16K,
        Arch::AArch64Page64K,
        Arch::Ppc32,
        Arch::Ppc64,
        Arch::Mips32,
    ] {
        for era in [Era::Z, Era::A, Era::B, Era::C] {
            let dead = build_and_check(&Kernel::new(era).arch(arch));
            let core = synth::core::Elf::kdump().write(&dead);
            assert!(core.len() > 1 << 16, "{arch:?}");
        }
    }
    for model in [MemoryModel::Vmemmap, MemoryModel::Flat, MemoryModel::Sparse, MemoryModel::Discontig] {
        build_and_check(&Kernel::new(Era::A).memory_model(model));
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let core = |seed| synth::core::Elf::kdump().write(&Kernel::new(Era::C).seed(seed).build()).bytes();
    assert_eq!(core(7), core(7));
    assert_ne!(core(7), core(8));
}

#[test]
fn big_endian_kernels_and_all_formats() {
    for (major, minor) in [(2, 3), (2, 4), (2, 5), (2, 6)] {
        for bits in [32, 64] {
            for alignment in [0, u64::from(bits / 8)] {
                let kernel = Kernel::new(Era::C).bits(bits).endian(Endian::Big).version(major, minor);
                build_and_check(&kernel.alignment(alignment).fill(Fill::Wrapped));
            }
        }
    }
    for (major, minor) in [(1, 0), (2, 0), (2, 1), (2, 2)] {
        build_and_check(&Kernel::new(Era::A).version(major, minor));
    }
}

#[test]
fn debuginfo_of_every_dwarf_version() {
    let dir = std::env::var_os("SYNTH_KEEP").map(std::path::PathBuf::from);
    for (arch, name) in [(Arch::X86_64, "x86_64"), (Arch::I386, "i386"), (Arch::Ppc64, "ppc64")] {
        let kernel = if arch == Arch::X86_64 { Kernel::new(Era::C).modular() } else { Kernel::new(Era::C) };
        let dead = kernel.arch(arch).build();
        for version in 2..=5 {
            let vmlinux = synth::dwarf::DebugInfo::new().version(version).vmlinux(&dead);
            assert!(vmlinux.starts_with(b"\x7fELF"));
            if let Some(dir) = &dir {
                std::fs::write(dir.join(format!("vmlinux-{name}-{version}")), &vmlinux).unwrap();
                for module in dead.modules() {
                    let bytes = synth::dwarf::DebugInfo::new().version(version).module(&dead, &module.name);
                    std::fs::write(dir.join(format!("{}-{version}.ko", module.name)), &bytes).unwrap();
                }
            }
        }
    }
}
