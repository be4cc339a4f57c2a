//! The debugfs tree and the relay files in it, against what was planted and against a real kernel.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must fail"
)]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use analyser::{Kernel, OpenOptions, What};
use synth::{Era, Fill};

fn open(dead: &synth::DeadKernel) -> Kernel {
    let core = synth::core::Elf::kdump().write(dead).bytes();
    let core = vmcore::Vmcore::from_bytes(vec![core], &vmcore::OpenOptions::default()).unwrap();
    let types = kdebug::Input::new("types.json", Arc::new(synth::isf::json(dead).into_bytes()));
    Kernel::from_parts(core, vec![types], &OpenOptions::default()).unwrap()
}

#[test]
fn the_whole_tree_and_every_buffer() {
    for era in [Era::Z, Era::A, Era::B, Era::C] {
        let dead = synth::Kernel::new(era).fill(Fill::Wrapped).build();
        let kernel = open(&dead);
        let debugfs = kernel.debugfs().unwrap();
        let mut entries = debugfs.entries();
        let found: BTreeMap<String, _> = entries.by_ref().map(|entry| (entry.path.clone(), entry)).collect();
        assert_eq!(entries.damage(), []);

        let planted: BTreeMap<String, bool> = dead.truth().debugfs.iter().cloned().collect();
        let directories: BTreeMap<String, bool> = found
            .values()
            .map(|e| (e.path.trim_start_matches('/').to_owned(), e.what == What::Directory))
            .collect();
        let planted =
            planted.into_iter().map(|(path, is)| (path.trim_start_matches('/').to_owned(), is)).collect();
        assert_eq!(directories, planted, "{era:?}");

        let trace = &dead.truth().traces[0];
        for stream in &trace.streams {
            let path = format!("/ltt/{}/{}", trace.name, stream.path);
            let entry = &found[&path];
            assert_eq!(entry.what, What::LttBuffer, "{era:?} {path}");
            let mut bytes = Vec::new();
            debugfs.open(entry).unwrap().read_to_end(&mut bytes).unwrap();
            assert!(bytes == stream.file(), "{era:?} {path}");
        }
        for buffer in &dead.truth().relay {
            let entry = &found[&format!("/{}", buffer.path.trim_start_matches('/'))];
            assert_eq!(entry.what, What::RelayBuffer, "{era:?} {}", buffer.path);
            let mut file = debugfs.open(entry).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert!(
                bytes == [buffer.consumed.as_slice(), &buffer.unread].concat(),
                "{era:?} {}",
                buffer.path
            );
            assert_eq!(file.lost(), 0);
        }
        let plain = found.values().find(|entry| entry.what == What::Plain).unwrap();
        assert!(debugfs.open(plain).unwrap_err().to_string().contains("expected a trace buffer"));
    }
}

#[test]
fn a_real_kernel() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures");
    let options = OpenOptions {
        cores: vec![format!("{fixtures}/K1-2cpu/core.kdump-zlib").into()],
        debuginfo: vec![format!("{fixtures}/types-2.6.27.isf.json").into()],
        ..Default::default()
    };
    let kernel = Kernel::open(&options).unwrap();
    let debugfs = kernel.debugfs().unwrap();
    let buffers: Vec<_> = debugfs.entries().filter(|entry| entry.what.is_buffer()).collect();
    assert_eq!(buffers.len(), 24);
    for entry in buffers {
        let expected =
            format!("{fixtures}/K1-2cpu/expected-intact{}", entry.path.strip_prefix("/ltt").unwrap());
        let mut bytes = Vec::new();
        debugfs.open(&entry).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == std::fs::read(expected).unwrap(), "{}", entry.path);
    }
}
