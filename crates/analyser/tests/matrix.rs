//! Synthetic kernels of every era, word size, byte order, mode and fill: what comes out is what was planted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use analyser::{Kernel, Note, NoteKind, OpenOptions, Routes};
use synth::{Crash, DeadKernel, Endian, Era, Fill, Mode, Reader, Writers};

const ERAS: [Era; 8] =
    [Era::Z, Era::A, Era::A1, Era::A1Private, Era::A2Pages, Era::A2Structs, Era::B, Era::C];
const MACHINES: [(u32, Endian); 4] =
    [(64, Endian::Little), (32, Endian::Little), (64, Endian::Big), (32, Endian::Big)];

fn open(dead: &DeadKernel, core: Vec<Vec<u8>>, types: Vec<(&str, Vec<u8>)>) -> Kernel {
    let core = vmcore::Vmcore::from_bytes(core, &vmcore::OpenOptions::default()).unwrap();
    let inputs = types.into_iter().map(|(name, bytes)| kdebug::Input::new(name, Arc::new(bytes))).collect();
    match Kernel::from_parts(core, inputs, &OpenOptions::default()) {
        Ok(kernel) => kernel,
        Err(error) => panic!("{:?}: {error}", dead.facts().arch),
    }
}

/// Opens the ordinary way: kdump's ELF file, ISF types.
fn simply(dead: &DeadKernel) -> Kernel {
    let core = synth::core::Elf::kdump().write(dead).bytes();
    open(dead, vec![core], vec![("types.json", synth::isf::json(dead).into_bytes())])
}

/// What was extracted of one stream.
#[derive(Default)]
struct File {
    all: Vec<u8>,
    unread: Vec<u8>,
    events: u64,
    /// Sub-buffers whose evidence does not add up, as the tool itself says.
    doubtful: u64,
}

/// Everything extracted: trace → path → file.
type Found = BTreeMap<String, BTreeMap<String, File>>;

fn extract(kernel: &Kernel, routes: Routes, label: &str) -> Found {
    let traces = kernel.traces(routes);
    let mut found = Found::new();
    assert_eq!(traces.damage, [], "{label}");
    for trace in &traces.traces {
        let files = found.entry(trace.name().into_owned()).or_default();
        for (channel, stream) in trace.streams() {
            assert_eq!(stream.damage(), [], "{label}: {}", stream.label());
            let mut recorder = trace.recorder(kernel, channel, stream).count_events(true);
            let mut file = File::default();
            for sub in stream.sub_buffers() {
                let record = recorder.record(sub);
                assert_eq!(record.found, record.valid + record.lost + record.unreadable, "{label}");
                assert_eq!(record.unreadable, 0, "{label}: {:?}", record.notes);
                file.all.extend_from_slice(record.bytes);
                file.events += record.events.unwrap_or(0);
                let doubtful =
                    |note: &Note| matches!(note.kind, NoteKind::Interrupted { doubtful: true, .. });
                file.doubtful += u64::from(record.notes.iter().any(doubtful));
                if sub.is_unread() {
                    file.unread.extend_from_slice(record.bytes);
                }
            }
            let double = files.insert(stream.label(), file);
            assert!(double.is_none(), "{label}: {} twice", stream.label());
        }
    }
    found
}

/// Compares with what was planted, byte for byte.
fn compare(dead: &DeadKernel, found: &Found, label: &str) {
    assert_eq!(found.len(), dead.truth().traces.len(), "{label}: traces");
    for trace in &dead.truth().traces {
        let files = found.get(&trace.name).unwrap_or_else(|| panic!("{label}: no trace {}", trace.name));
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        let mut expected: Vec<_> = trace.streams.iter().map(|stream| stream.path.as_str()).collect();
        expected.sort_unstable();
        assert_eq!(names, expected, "{label}");
        for stream in &trace.streams {
            let file = &files[&stream.path];
            let place = format!("{label}, {}/{}", trace.name, stream.path);
            let planted = stream.events().count() as u64;
            if stream.sub_buffers.iter().any(|sub| sub.doubtful) {
                continue;
            }
            if file.doubtful > 0 {
                // 32-bit kernels keep no more than the upper bits of the last time, era Z none of it. Old bytes in an unwritten slot
                // may then pass for events, and the gap be put one slot too early: short by an event, and said to be doubtful.
                assert!(dead.facts().abi.word == 4 || trace.version == (1, 0), "{place}: doubtful");
                assert!((planted - file.doubtful..=planted).contains(&file.events), "{place}: events");
                continue;
            }
            assert_eq!(file.events, planted, "{place}: events");
            same(&file.all, &stream.file(), &place);
            same(&file.unread, &stream.unread_file(), &format!("{place} (unread)"));
        }
    }
}

fn same(found: &[u8], expected: &[u8], place: &str) {
    assert_eq!(found.len(), expected.len(), "{place}: length");
    if let Some(at) = (0..found.len()).find(|&at| found[at] != expected[at]) {
        panic!("{place}: byte {at} is {:#x}, expected {:#x}", found[at], expected[at]);
    }
}

fn check(dead: &DeadKernel, label: &str) {
    let kernel = simply(dead);
    compare(dead, &extract(&kernel, Routes::ALL, label), label);
}

#[test]
fn every_era_machine_mode_and_fill() {
    for era in ERAS {
        for (bits, endian) in MACHINES {
            for mode in [Mode::Discard, Mode::Overwrite] {
                for fill in [Fill::Empty, Fill::Partial, Fill::Boundary, Fill::Full, Fill::Wrapped] {
                    let dead =
                        synth::Kernel::new(era).bits(bits).endian(endian).mode(mode).fill(fill).build();
                    check(&dead, &format!("{era:?} {bits} {endian:?} {mode:?} {fill:?}"));
                }
            }
        }
    }
}

#[test]
fn readers_inside_and_overtaken() {
    for era in ERAS {
        for (bits, endian) in MACHINES {
            for mode in [Mode::Discard, Mode::Overwrite] {
                for reader in [
                    Reader::Keeps(0),
                    Reader::Keeps(2),
                    Reader::Inside,
                    Reader::Interrupted,
                    Reader::Overtaken,
                ] {
                    let dead = synth::Kernel::new(era)
                        .bits(bits)
                        .endian(endian)
                        .mode(mode)
                        .fill(Fill::Wrapped)
                        .reader(reader)
                        .build();
                    check(&dead, &format!("{era:?} {bits} {endian:?} {mode:?} {reader:?}"));
                }
            }
        }
    }
}

#[test]
fn interrupted_writers() {
    let crashes = [
        Crash::LastSlot { written: true },
        Crash::LastSlot { written: false },
        Crash::Gap { after: 3, written: false },
        Crash::HeaderNotBegun,
        Crash::HeaderNotEnded,
        Crash::BetweenCounters,
        Crash::Filled { ended: false, written: false },
        Crash::Filled { ended: false, written: true },
        Crash::Filled { ended: true, written: true },
        Crash::Stalled(1),
    ];
    for era in ERAS {
        for (bits, endian) in MACHINES {
            for mode in [Mode::Discard, Mode::Overwrite] {
                for crash in crashes {
                    let dead = synth::Kernel::new(era)
                        .bits(bits)
                        .endian(endian)
                        .mode(mode)
                        .sub_buffers(if bits == 32 { 4096 } else { 8192 }, 8)
                        .fill(Fill::SubBuffers(2.4))
                        .crash(crash)
                        .build();
                    check(&dead, &format!("{era:?} {bits} {endian:?} {mode:?} {crash:?}"));
                }
            }
        }
    }
}

/// The same memory, whatever file it is in and whichever way the types come.
#[test]
fn every_core_format_and_type_source() {
    use synth::core::{Codec, Elf, Kdump};
    for (bits, endian) in MACHINES {
        let dead = synth::Kernel::new(Era::C)
            .bits(bits)
            .endian(endian)
            .mode(Mode::Overwrite)
            .fill(Fill::Wrapped)
            .build();
        let isf = || vec![("types.json", synth::isf::json(&dead).into_bytes())];
        let expected =
            extract(&open(&dead, vec![Elf::kdump().write(&dead).bytes()], isf()), Routes::ALL, "ELF");
        compare(&dead, &expected, "ELF");
        let mut cores: Vec<(String, Vec<Vec<u8>>)> = vec![
            ("holes".into(), vec![Elf::kdump().holes(true).write(&dead).bytes()]),
            ("many segments".into(), vec![Elf::kdump().extended_count(true).write(&dead).bytes()]),
        ];
        // Kernels of machines without a page-table walker need the program headers of an ELF core.
        if endian == Endian::Little {
            for codec in [Codec::Raw, Codec::Zlib, Codec::Lzo, Codec::Snappy, Codec::Zstd] {
                cores.push((format!("{codec:?}"), vec![Kdump::new(codec).write(&dead).bytes()]));
            }
            let file = Kdump::new(Codec::Zlib).write(&dead);
            cores.push(("flattened".into(), vec![synth::core::flatten(&file, 7, true)]));
            let parts = Kdump::new(Codec::Zlib).split(&dead, 3);
            cores.push(("split".into(), parts.iter().rev().map(synth::core::CoreFile::bytes).collect()));
        }
        for (name, core) in cores {
            let label = format!("{bits} {endian:?} {name}");
            compare(&dead, &extract(&open(&dead, core, isf()), Routes::ALL, &label), &label);
        }
    }
}

#[test]
fn types_from_dwarf_of_every_version_and_era() {
    for era in ERAS {
        for (bits, endian) in MACHINES {
            let dead = synth::Kernel::new(era).bits(bits).endian(endian).fill(Fill::Wrapped).build();
            for version in [2, 3, 4, 5] {
                let label = format!("{era:?} {bits} {endian:?} DWARF {version}");
                let vmlinux = synth::dwarf::DebugInfo::new().version(version).vmlinux(&dead);
                let core = synth::core::Elf::kdump().write(&dead).bytes();
                let kernel = open(&dead, vec![core], vec![("vmlinux", vmlinux)]);
                compare(&dead, &extract(&kernel, Routes::ALL, &label), &label);
            }
        }
    }
}

#[test]
fn both_routes_alone() {
    for era in ERAS {
        for routes in [Routes::LIST, Routes::DEBUGFS] {
            let dead = synth::Kernel::new(era).fill(Fill::Full).build();
            let label = format!("{era:?} by {routes}");
            compare(&dead, &extract(&simply(&dead), routes, &label), &label);
        }
    }
}

#[test]
fn every_architecture() {
    use synth::Arch;
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
        // Z needs the page tables for its vmapped buffers, C has direct-map addresses.
        for era in [Era::Z, Era::A, Era::C] {
            let dead = synth::Kernel::new(era).arch(arch).fill(Fill::Wrapped).build();
            check(&dead, &format!("{arch:?} {era:?}"));
        }
    }
}

/// QEMU's dump: no virtual addresses in the program headers; with and without a note that tells where the kernel is.
#[test]
fn dumps_without_vmcoreinfo() {
    use synth::Arch;
    use synth::core::{Codec, Elf, Kdump};
    for arch in [
        Arch::X86_64,
        Arch::X86_64Kaslr,
        Arch::I386,
        Arch::I386Pae,
        Arch::AArch64,
        Arch::AArch64Page16K,
        Arch::AArch64Page64K,
    ] {
        for era in [Era::A, Era::C] {
            let dead = synth::Kernel::new(era).arch(arch).fill(Fill::Wrapped).build();
            // The file's words are wide when memory lies at the end of 4 GiB, as a PC's firmware does; its pages are not the
            // kernel's on arm64.
            for (core, form) in [
                (Elf::qemu().write(&dead), "ELF"),
                (Elf::qemu().wide(true).write(&dead), "ELF64"),
                (Kdump::qemu(Codec::Zlib).write(&dead), "kdump"),
                (Kdump::qemu(Codec::Zlib).wide(true).write(&dead), "kdump of 64 bits"),
            ] {
                let label = format!("{arch:?} {era:?} QEMU {form}");
                let types = vec![("types.json", synth::isf::json(&dead).into_bytes())];
                let kernel = open(&dead, vec![core.bytes()], types);
                assert_eq!(kernel.memory().page_size(), dead.facts().page_size(), "{label}");
                compare(&dead, &extract(&kernel, Routes::ALL, &label), &label);
            }
        }
    }
}

/// The tracer in modules: `ltt_traces` is in a `.ko`, whose sections were loaded anywhere.
#[test]
fn tracer_in_modules() {
    for (bits, endian) in MACHINES {
        let dead = synth::Kernel::new(Era::C).bits(bits).endian(endian).modular().fill(Fill::Wrapped).build();
        let info = synth::dwarf::DebugInfo::new();
        let modules =
            dead.modules().iter().map(|module| (module.name.clone(), info.module(&dead, &module.name)));
        let modules: Vec<_> = modules.collect();
        let mut types = vec![("vmlinux", info.vmlinux(&dead))];
        types.extend(modules.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())));
        let core = synth::core::Elf::kdump().write(&dead).bytes();
        let label = format!("modules {bits} {endian:?}");
        compare(&dead, &extract(&open(&dead, vec![core], types), Routes::ALL, &label), &label);
    }
}

/// Every trace format of every era's tracers, with and without alignment.
#[test]
fn every_trace_format() {
    let formats = [
        (Era::Z, 1, 0),
        (Era::A, 1, 0),
        (Era::A, 2, 0),
        (Era::A, 2, 1),
        (Era::A, 2, 2),
        (Era::A1, 2, 3),
        (Era::B, 2, 3),
        (Era::C, 2, 3),
        (Era::C, 2, 4),
        (Era::C, 2, 5),
        (Era::C, 2, 6),
    ];
    for (era, major, minor) in formats {
        for (bits, endian) in MACHINES {
            for alignment in [0, u64::from(bits) / 8] {
                let dead = synth::Kernel::new(era)
                    .version(major, minor)
                    .bits(bits)
                    .endian(endian)
                    .alignment(alignment)
                    .fill(Fill::Wrapped)
                    .build();
                check(&dead, &format!("{era:?} {major}.{minor} {bits} {endian:?} alignment {alignment}"));
            }
        }
    }
}

/// Two transports share names of structures with different members, and of the operations of their files; each has its own
/// folder in debugfs, neither of which is in the output. Also the locked one alone.
#[test]
fn locked_transport_beside_the_lockless_one() {
    let locked = || synth::TraceSpec::new("locked").transport("relay-locked");
    for traces in [vec![locked()], vec![synth::TraceSpec::new("free"), locked().mode(Mode::Hybrid)]] {
        for (bits, endian) in MACHINES {
            for reader in [Reader::Keeps(1), Reader::Inside] {
                let dead = synth::Kernel::new(Era::A)
                    .bits(bits)
                    .endian(endian)
                    .traces(traces.clone())
                    .fill(Fill::Wrapped)
                    .reader(reader)
                    .build();
                let core = || vec![synth::core::Elf::kdump().write(&dead).bytes()];
                let isf = open(&dead, core(), vec![("types.json", synth::isf::json(&dead).into_bytes())]);
                let vmlinux = synth::dwarf::DebugInfo::new().vmlinux(&dead);
                let dwarf = open(&dead, core(), vec![("vmlinux", vmlinux)]);
                for (types, kernel) in [("ISF", isf), ("DWARF", dwarf)] {
                    for routes in [Routes::LIST, Routes::DEBUGFS, Routes::ALL] {
                        let label = format!("{bits} {endian:?} {reader:?} {types} by {routes}");
                        compare(&dead, &extract(&kernel, routes, &label), &label);
                    }
                }
            }
        }
    }
}

/// Writers that switch interrupts off or take a lock instead of comparing and exchanging: one commit counter instead of two, positions
/// at other places, and the same names of types and transport.
#[test]
fn writers_of_every_kind() {
    let stories = [
        (Fill::Empty, None, Crash::Quiet),
        (Fill::Partial, None, Crash::LastSlot { written: true }),
        (Fill::Boundary, None, Crash::Quiet),
        (Fill::Full, None, Crash::Quiet),
        (Fill::Wrapped, None, Crash::Quiet),
        (Fill::Wrapped, Some(Reader::Inside), Crash::Quiet),
        (Fill::Wrapped, Some(Reader::Interrupted), Crash::Quiet),
        (Fill::Wrapped, Some(Reader::Overtaken), Crash::Quiet),
        (Fill::SubBuffers(2.4), None, Crash::HeaderNotBegun),
        (Fill::SubBuffers(2.4), None, Crash::Filled { ended: true, written: true }),
    ];
    for writers in [Writers::IrqOff, Writers::Locked] {
        for (bits, endian) in MACHINES {
            for mode in [Mode::Discard, Mode::Overwrite] {
                for (fill, reader, crash) in stories {
                    let kernel = synth::Kernel::new(Era::B)
                        .writers(writers)
                        .commit_seq(bits == 64)
                        .sub_buffers(4096, 8);
                    let kernel = kernel.bits(bits).endian(endian).mode(mode).fill(fill).crash(crash);
                    let kernel = reader.map_or(kernel.clone(), |reader| kernel.reader(reader));
                    check(
                        &kernel.build(),
                        &format!("{writers:?} {bits} {endian:?} {mode:?} {fill:?} {reader:?} {crash:?}"),
                    );
                }
            }
            let dead = synth::Kernel::new(Era::B)
                .writers(writers)
                .bits(bits)
                .endian(endian)
                .fill(Fill::Wrapped)
                .build();
            let vmlinux = synth::dwarf::DebugInfo::new().vmlinux(&dead);
            let core = synth::core::Elf::kdump().write(&dead).bytes();
            let kernel = open(&dead, vec![core], vec![("vmlinux", vmlinux)]);
            for routes in [Routes::LIST, Routes::DEBUGFS] {
                let label = format!("{writers:?} {bits} {endian:?} DWARF by {routes}");
                compare(&dead, &extract(&kernel, routes, &label), &label);
            }
        }
    }
}

/// Format 1.0 with the heartbeat option: event headers with a part of the time, in the compact channel with a part of the event,
/// too, and events that bring the rest of the time.
#[test]
fn heartbeats_and_compact_events() {
    let stories = [
        (Fill::Empty, Crash::Quiet),
        (Fill::Partial, Crash::Quiet),
        (Fill::Boundary, Crash::Quiet),
        (Fill::Full, Crash::Quiet),
        (Fill::Wrapped, Crash::Quiet),
        (Fill::SubBuffers(2.4), Crash::LastSlot { written: true }),
        (Fill::SubBuffers(2.4), Crash::HeaderNotBegun),
        (Fill::SubBuffers(2.4), Crash::HeaderNotEnded),
    ];
    for era in [Era::Z, Era::A] {
        for (bits, endian) in MACHINES {
            for alignment in [0, u64::from(bits) / 8] {
                for mode in [Mode::Discard, Mode::Overwrite] {
                    for (fill, crash) in stories {
                        let kernel = synth::Kernel::new(era)
                            .version(1, 0)
                            .heartbeat()
                            .alignment(alignment)
                            .sub_buffers(4096, 8);
                        let dead =
                            kernel.bits(bits).endian(endian).mode(mode).fill(fill).crash(crash).build();
                        if fill == Fill::Wrapped {
                            let planted = |name| {
                                let streams = &dead.truth().traces[0].streams;
                                streams.iter().any(|s| s.events().any(|event| event.name == name))
                            };
                            assert!(planted("heartbeat"), "{era:?}");
                            // Only the few bits of compact events run out between two events.
                            assert_eq!(planted("heartbeat_full"), era == Era::Z);
                        }
                        check(
                            &dead,
                            &format!("{era:?} {bits} {endian:?} {alignment} {mode:?} {fill:?} {crash:?}"),
                        );
                    }
                }
            }
        }
    }
}

/// 4 GiB have gone through a buffer of a 32-bit kernel: positions start again at 0.
#[test]
fn positions_wrap_at_32_bits() {
    for era in ERAS {
        for endian in [Endian::Little, Endian::Big] {
            for mode in [Mode::Discard, Mode::Overwrite] {
                let dead = synth::Kernel::new(era)
                    .bits(32)
                    .endian(endian)
                    .mode(mode)
                    .start_position(0xffff_e000)
                    .fill(Fill::Wrapped)
                    .build();
                check(&dead, &format!("{era:?} {endian:?} {mode:?} wrap"));
            }
        }
    }
}

#[test]
fn flight_recorders_without_prefix() {
    let dead =
        synth::Kernel::new(Era::C).mode(Mode::Overwrite).flight_prefix(false).fill(Fill::Wrapped).build();
    check(&dead, "no prefix");
}

/// Every way from a page descriptor to its page, where buffers keep descriptors.
#[test]
fn every_memory_model() {
    use synth::MemoryModel;
    for era in [Era::Z, Era::A, Era::A2Pages, Era::A2Structs] {
        for model in [MemoryModel::Vmemmap, MemoryModel::Flat, MemoryModel::Sparse, MemoryModel::Discontig] {
            let dead = synth::Kernel::new(era).memory_model(model).fill(Fill::Wrapped).build();
            check(&dead, &format!("{era:?} {model:?}"));
        }
    }
}

/// Traces that were paused, that were being destroyed, and of which only some channels are flight recorders.
#[test]
fn paused_destroyed_and_hybrid_traces() {
    for era in ERAS {
        let dead = synth::Kernel::new(era)
            .traces([
                synth::TraceSpec::new("paused").active(false),
                synth::TraceSpec::new("destroyed").finalized(),
                synth::TraceSpec::new("hybrid").mode(Mode::Hybrid),
            ])
            .fill(Fill::Wrapped)
            .build();
        check(&dead, &format!("{era:?} three traces"));
    }
}
