//! Type information as users have it: folders full of files, compressed modules, profiles; and kernels that describe their modules
//! in every way they ever did.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::fs;
use std::path::PathBuf;

use analyser::{Error, Kernel, OpenOptions, Profile, Routes};
use synth::dwarf::DebugInfo;
use synth::lttng::{DeadTracer, Release, Tracer};
use synth::{Arch, DeadKernel, Endian, Era, Fill, ModuleShape};
use tempfile::TempDir;

const MACHINES: [(u32, Endian); 4] =
    [(64, Endian::Little), (32, Endian::Little), (64, Endian::Big), (32, Endian::Big)];

/// A core and its debug files in a scratch folder.
struct Lab {
    scratch: TempDir,
}

impl Lab {
    fn new(dead: &DeadKernel) -> Lab {
        let lab = Lab { scratch: tempfile::tempdir().unwrap() };
        lab.file("core", &synth::core::Elf::kdump().write(dead).bytes());
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn options(&self, debuginfo: &[PathBuf]) -> OpenOptions {
        OpenOptions { cores: vec![self.path("core")], debuginfo: debuginfo.to_vec(), ..Default::default() }
    }

    fn open(&self, debuginfo: &[PathBuf]) -> Kernel {
        Kernel::open(&self.options(debuginfo)).unwrap()
    }
}

/// All that can be extracted, in one piece.
fn content(kernel: &Kernel) -> Vec<(String, Vec<u8>)> {
    let traces = kernel.traces(Routes::ALL);
    let mut files = Vec::new();
    for trace in &traces.traces {
        for (channel, stream) in trace.streams() {
            let mut recorder = trace.recorder(kernel, channel, stream);
            let records = stream.sub_buffers().iter().flat_map(|sub| recorder.record(sub).bytes.to_vec());
            let bytes = records.collect();
            files.push((format!("{}/{}", trace.name(), stream.label()), bytes));
        }
    }
    let sessions = kernel.sessions(Routes::ALL);
    for session in &sessions.sessions {
        for (channel, stream) in session.streams() {
            let mut recorder = session.recorder(kernel, channel, stream);
            let records = stream.packets().iter().flat_map(|packet| recorder.record(packet).bytes.to_vec());
            let bytes = records.collect();
            files.push((format!("{}/{}", session.name(), stream.file_name()), bytes));
        }
    }
    files
}

fn modular(bits: u32, endian: Endian, seed: u64) -> DeadKernel {
    synth::Kernel::new(Era::C).bits(bits).endian(endian).modular().seed(seed).fill(Fill::Wrapped).build()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0; zstd_safe::compress_bound(bytes.len())];
    let len = zstd_safe::compress(&mut out[..], bytes, 3).unwrap();
    out.truncate(len);
    out
}

/// A folder as distributions fill it: of several kernels, with modules compressed, by name or by build-id. What was loaded is found.
#[test]
fn a_folder_is_searched_for_what_was_loaded() {
    let info = DebugInfo::new();
    let dead = modular(64, Endian::Little, 1);
    let other = modular(64, Endian::Little, 2);
    let lab = Lab::new(&dead);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let id = dead.modules().iter().find(|module| module.name == "ltt_tracer").unwrap().build_id;
    lab.file("lib/debug/boot/vmlinux-1", &info.vmlinux(&other));
    // No build-id is in the core of such an old kernel, but its release.
    let release = dead.banner().split(' ').nth(2).unwrap();
    let own = format!("vmlinux-{release}.zst");
    lab.file(&format!("lib/debug/boot/{own}"), &zstd(&info.vmlinux(&dead)));
    lab.file("lib/modules/2/updates/ltt-core.ko.zst", &zstd(&info.module(&dead, "ltt_core")));
    lab.file("lib/modules/1/updates/ltt-core.ko", &info.module(&other, "ltt_core"));
    lab.file("lib/modules/1/updates/ltt-tracer.ko", &info.module(&other, "ltt_tracer"));
    let stripped = info.clone().types(false).module(&dead, "ltt_tracer");
    lab.file("lib/modules/2/updates/ltt-tracer.ko", &stripped);
    let by_id = format!("lib/debug/.build-id/{}/{}.debug", hex(&id[..1]), hex(&id[1..]));
    lab.file(&by_id, &info.module(&dead, "ltt_tracer"));
    lab.file("lib/modules/2/updates/ltt-relay.ko", &info.module(&dead, "ltt_relay"));
    lab.file("lib/modules/2/updates/ltt-statedump.ko", b"not loaded, and no module either");
    lab.file("lib/modules/2/updates/ext4.ko", b"nobody asks");

    let kernel = lab.open(&[lab.path("lib")]);
    assert_eq!(kernel.warnings(), [] as [&str; 0]);
    let mut files: Vec<String> = kernel.type_files();
    files.iter_mut().for_each(|line| *line = line.rsplit('/').next().unwrap().to_owned());
    files.sort();
    let debug = by_id.rsplit('/').next().unwrap();
    let mut expected = [&own, "ltt-core.ko.zst", debug, "ltt-relay.ko"].map(str::to_owned);
    expected.sort();
    assert_eq!(files, expected);
    let found = content(&kernel);
    let streams = dead.truth().traces.iter().flat_map(|trace| &trace.streams);
    assert_eq!(found.len(), streams.clone().count());
    assert!(found.iter().all(|(_, bytes)| !bytes.is_empty()));

    // The kernel named, the folder for the modules alone.
    let named = lab.file("vmlinux", &info.vmlinux(&dead));
    assert!(content(&lab.open(&[named.clone(), lab.path("lib/modules/2")])) == found);

    // What is there is of another build: said, and left aside.
    let kernel = lab.open(&[named.clone(), lab.path("lib/modules/1")]);
    assert_eq!(kernel.type_files().len(), 1);
    let [warning] = kernel.warnings() else { panic!("{:?}", kernel.warnings()) };
    assert!(
        warning.contains("ltt_core, ltt_tracer") || warning.contains("ltt_tracer, ltt_core"),
        "{warning}"
    );
    assert!(warning.contains("another build") && warning.contains("build-id"), "{warning}");
    let forced = OpenOptions { force: true, ..lab.options(&[named, lab.path("lib/modules/1")]) };
    let kernel = Kernel::open(&forced).unwrap();
    assert_eq!(kernel.type_files().len(), 3);
    assert!(
        kernel.warnings().iter().any(|warning| warning.contains("taken although")),
        "{:?}",
        kernel.warnings()
    );

    let error = Kernel::open(&lab.options(&[lab.path("lib/modules")])).map(drop).unwrap_err();
    assert!(matches!(&error, Error::NoKernelFile { found, .. } if found.starts_with("none")), "{error}");
}

#[test]
fn the_kernels_file_is_told_by_its_build_id() {
    let dead = Tracer::new(Release::V2_13).arch(Arch::X86_64Kaslr).build();
    let other = Tracer::new(Release::V2_13).arch(Arch::X86_64Kaslr).seed(7).build();
    assert_ne!(dead.kernel.build_id(), other.kernel.build_id());
    let lab = Lab::new(&dead.kernel);
    let info = DebugInfo::new();
    lab.file("d/a/vmlinux", &info.vmlinux(&other.kernel));
    lab.file("d/b/vmlinux-5.10.0-synth", &info.vmlinux(&other.kernel));
    let error = Kernel::open(&lab.options(&[lab.path("d")])).map(drop).unwrap_err();
    assert!(matches!(&error, Error::NoKernelFile { found, .. } if found.contains("build-id")), "{error}");
    assert!(error.hint().unwrap().contains("-d"));
    lab.file("d/c/vmlinux.debug", &info.vmlinux(&dead.kernel));
    lab.file("d/c/vmlinux", &info.types(false).vmlinux(&dead.kernel));
    let kernel = lab.open(&[lab.path("d")]);
    assert!(kernel.type_files()[0].ends_with("/c/vmlinux.debug"), "{:?}", kernel.type_files());
}

/// DWARF of kernel and modules in, profile out: the same traces come out of the core with it.
#[test]
fn a_profile_stands_in_for_dwarf() {
    let info = DebugInfo::new();
    for (bits, endian) in MACHINES {
        let dead = modular(bits, endian, 1);
        let lab = Lab::new(&dead);
        let mut files = vec![lab.file("debug/vmlinux", &info.vmlinux(&dead))];
        for module in dead.modules() {
            files.push(lab.file(&format!("debug/{}.ko", module.name), &info.module(&dead, &module.name)));
        }
        let profile = Profile::read(&files).unwrap();
        let summary = profile.summary();
        assert_eq!(summary.modules.len(), 3, "{summary:?}");
        assert_eq!(summary.banner.as_deref(), Some(dead.banner().trim_end()));
        assert_eq!(summary.warnings, [] as [&str; 0]);
        let of_folder = Profile::read(&[lab.path("debug")]).unwrap();
        assert!(of_folder.json() == profile.json(), "{bits} {endian:?}");
        let path = lab.file("profile.json", profile.json().as_bytes());
        let whole = content(&lab.open(&files));
        assert!(whole.len() > 4);
        let kernel = lab.open(std::slice::from_ref(&path));
        assert_eq!(kernel.warnings(), [] as [&str; 0]);
        assert!(content(&kernel) == whole, "{bits} {endian:?}");
        // A profile of a profile is the same one.
        assert!(Profile::read(&[path]).unwrap().json() == profile.json(), "{bits} {endian:?}");
    }
    // Homonyms, which only their compile units tell apart.
    for era in [Era::Z, Era::A, Era::A1Private, Era::B] {
        let dead = synth::Kernel::new(era).fill(Fill::Wrapped).build();
        let lab = Lab::new(&dead);
        let vmlinux = lab.file("vmlinux", &info.vmlinux(&dead));
        let profile = Profile::read(std::slice::from_ref(&vmlinux)).unwrap();
        let path = lab.file("profile.json", profile.json().as_bytes());
        assert!(content(&lab.open(&[path])) == content(&lab.open(&[vmlinux])), "{era:?}");
    }
}

#[test]
fn a_profile_needs_one_build_of_everything() {
    let info = DebugInfo::new();
    let (dead, other) = (modular(64, Endian::Little, 1), modular(64, Endian::Little, 2));
    let lab = Lab::new(&dead);
    lab.file("a/ltt-core.ko", &info.module(&dead, "ltt_core"));
    lab.file("b/ltt-core.ko", &info.module(&other, "ltt_core"));
    let error = Profile::read(&[lab.path("a"), lab.path("b")]).unwrap_err();
    assert!(matches!(&error, Error::SeveralBuilds { module, .. } if module == "ltt_core"), "{error}");
    let alone = Profile::read(&[lab.path("a")]).unwrap();
    assert_eq!(alone.summary().warnings.len(), 1, "no kernel in it");
    lab.file("a/vmlinux", &info.vmlinux(&dead));
    std::os::unix::fs::symlink("vmlinux", lab.path("a/vmlinux-1")).unwrap();
    let both = Profile::read(&[lab.path("a")]).unwrap();
    assert_eq!(both.summary().warnings, [] as [&str; 0], "one kernel under two names");
    lab.file("a/vmlinux-2", &info.vmlinux(&other));
    assert!(matches!(Profile::read(&[lab.path("a")]), Err(Error::NoKernelFile { .. })));
    let empty = lab.file("empty.json", br#"{"user_types": {}}"#);
    assert!(matches!(Profile::read(&[empty]), Err(Error::EmptyProfile)));
    assert!(matches!(Profile::read(&[]), Err(Error::NoDebuginfo)));
    // A profile of modules of another build is used, but not without a word.
    let profile = Profile::read(&[lab.path("b")]).unwrap();
    let path = lab.file("other.json", profile.json().as_bytes());
    let kernel = lab.open(&[lab.path("a/vmlinux"), path]);
    assert!(
        kernel.warnings().iter().any(|warning| warning.contains("ltt_core (build-id")),
        "{:?}",
        kernel.warnings()
    );
}

/// The vmlinux of a kernel whose tracer is a module: it knows nothing of the tracer.
fn vmlinux(dead: &DeadTracer) -> Vec<u8> {
    let of_tracer = |name: &str| {
        name.contains("lttng")
            || name.contains("ring_buffer")
            || name.contains("commit_counters")
            || matches!(name, "packet_header" | "metadata_packet_header" | "channel_backend")
    };
    let kernel = dead.kernel.clone().with_types(|layout| {
        let is_channel = layout.name == "channel" && layout.units.is_empty();
        !(of_tracer(&layout.name) || is_channel)
    });
    DebugInfo::new().vmlinux(&kernel)
}

/// Modules described in every way: sections, build-ids, data and symbols are found, and with them the sessions.
#[test]
fn modules_of_every_kernel() {
    for shape in ModuleShape::ALL {
        for (bits, endian) in MACHINES {
            let dead = Tracer::new(Release::V2_13).machine(bits, endian).modules(shape).events(60).build();
            let label = format!("{shape:?} {bits} {endian:?}");
            let lab = Lab::new(&dead.kernel);
            let kernel_file = lab.file("vmlinux", &vmlinux(&dead));
            let module_file =
                lab.file("modules/lttng-tracer.ko", &DebugInfo::new().module(&dead.kernel, "lttng_tracer"));
            let kernel = lab.open(&[kernel_file.clone(), lab.path("modules")]);
            assert_eq!(kernel.type_files().len(), 2, "{label}");
            let planted = &dead.kernel.modules()[0];
            let [module] = kernel.modules() else { panic!("{label}: {:?}", kernel.modules()) };
            assert_eq!(module.name, "lttng_tracer");
            assert_eq!(
                (module.version.as_deref(), module.address),
                (Some("1.0"), planted.address),
                "{label}"
            );
            assert_eq!(module.source_version.as_ref(), Some(&planted.source_version), "{label}");
            assert_eq!(module.build_id.as_deref(), Some(&planted.build_id[..]), "{label}");
            assert_eq!(module.sections.get(".data"), Some(&planted.data), "{label}");
            assert_eq!(module.sections.get(".text"), Some(&planted.text), "{label}");
            assert!(module.data.iter().any(|range| range.contains(&planted.data)), "{label}: {module:?}");
            let with_types = content(&kernel);
            assert!(with_types.len() >= 2, "{label}: {:?}", kernel.sessions(Routes::ALL).damage);
            assert!(content(&lab.open(&[kernel_file.clone(), module_file])) == with_types, "{label}");
            // Without the module's file: its own symbol table, and layouts known beforehand, of 64-bit kernels only.
            if bits == 64 {
                let bare = lab.open(&[kernel_file]);
                let sessions = bare.sessions(Routes::LIST);
                assert_eq!(sessions.sessions.len(), 1, "{label}: {:?}", sessions.damage);
                let bytes =
                    |files: Vec<(String, Vec<u8>)>| files.into_iter().map(|file| file.1).collect::<Vec<_>>();
                assert!(bytes(content(&bare)) == bytes(with_types), "{label}");
            }
        }
    }
}

/// A list of modules, a table of sections and a symbol table that lead nowhere, round in circles, or are endless.
#[test]
fn hostile_modules() {
    let tracer = Tracer::new(Release::V2_8).events(60);
    type Harm = fn(&mut DeadKernel, u64);
    let harms: [(&str, Harm); 9] = [
        ("a list that leads to itself", |dead, module| {
            let node = module + dead.types().place("module", "list").offset;
            dead.poke(module, "module", "list.next", node);
        }),
        ("a list that leads nowhere", |dead, module| dead.poke(module, "module", "list.next", 8)),
        ("a name of junk", |dead, module| dead.poke(module, "module", "name[0]", 0x1b)),
        ("sections without end", |dead, module| {
            let attrs = dead.peek(module, "module", "sect_attrs");
            dead.poke(attrs, "module_sect_attrs", "nsections", 0xffff_ffff);
        }),
        ("sections nowhere", |dead, module| dead.poke(module, "module", "sect_attrs", 0x10)),
        ("symbols without end", |dead, module| {
            dead.poke(module, "module", "core_kallsyms.num_symtab", 0xffff_ffff);
        }),
        ("symbols nowhere", |dead, module| dead.poke(module, "module", "core_kallsyms.symtab", !0xfff)),
        ("names nowhere", |dead, module| dead.poke(module, "module", "core_kallsyms.strtab", !0xfff)),
        ("an endless region", |dead, module| {
            dead.poke(module, "module", "core_layout.size", 0xffff_ffff);
        }),
    ];
    for (label, harm) in harms {
        let mut dead = tracer.clone().build();
        let module = dead.kernel.modules()[0].address;
        harm(&mut dead.kernel, module);
        let lab = Lab::new(&dead.kernel);
        let file = lab.file("vmlinux", &vmlinux(&dead));
        let ko = lab.file("m/lttng-tracer.ko", &DebugInfo::new().module(&dead.kernel, "lttng_tracer"));
        for debuginfo in [&[file.clone()][..], &[file.clone(), ko], &[file, lab.path("m")]] {
            let kernel = lab.open(debuginfo);
            let broken = matches!(
                label,
                "a list that leads to itself" | "a list that leads nowhere" | "a name of junk"
            );
            let warned = kernel.warnings().iter().any(|warning| warning.contains("list of modules"));
            assert_eq!(warned, broken, "{label}: {:?}", kernel.warnings());
            assert!(kernel.modules().len() <= 1, "{label}");
            // The daemon's open files still lead to the session, where the tracer's types are known.
            let sessions = kernel.sessions(Routes::ALL);
            assert!(sessions.sessions.len() <= 1, "{label}");
        }
    }
}

#[test]
fn a_compressed_file_can_be_named_itself() {
    let dead = synth::Kernel::new(Era::A).build();
    let lab = Lab::new(&dead);
    let path = lab.file("vmlinux.zst", &zstd(&DebugInfo::new().vmlinux(&dead)));
    assert!(!content(&lab.open(&[path])).is_empty());
    let cut = lab.file("cut.zst", &zstd(&DebugInfo::new().vmlinux(&dead))[..1000]);
    let error = Kernel::open(&lab.options(&[cut])).map(drop).unwrap_err();
    assert!(error.to_string().contains("not a valid zstd file"), "{error}");
}
