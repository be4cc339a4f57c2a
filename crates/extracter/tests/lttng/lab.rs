//! A kernel that died while the consumer daemon was writing, its core, and the trace on disk.

use std::fs;
use std::path::{Path, PathBuf};

use analyser::lttng::{Directory, Session, Sessions, pairing};
use analyser::{Kernel, OpenOptions, Routes};
use extracter::{Join, JoinReport, Layout, Silent, Target};
use lttformat::ctf::{Decoder, Index, IndexEntry, IndexVersion, Language, MetadataPackets, TraceClass, Uuid};
use lttformat::ltt::Endian;
use synth::lttng::{DeadTracer, Reader, Release, SessionTruth, StreamTruth, Tracer};
use tempfile::TempDir;

pub(crate) const MACHINES: [(u32, synth::Endian); 4] = [
    (64, synth::Endian::Little),
    (32, synth::Endian::Little),
    (64, synth::Endian::Big),
    (32, synth::Endian::Big),
];

/// Page size of all machines here.
pub(crate) const PAGE: usize = 4096;

pub(crate) struct Lab {
    pub(crate) dead: DeadTracer,
    pub(crate) kernel: Kernel,
    pub(crate) sessions: Sessions,
    pub(crate) release: Release,
    endian: Endian,
    pub(crate) scratch: TempDir,
}

impl Lab {
    /// `mapped`: what the daemon has read is still in the core.
    pub(crate) fn new(release: Release, machine: (u32, synth::Endian), mapped: bool) -> Lab {
        let tracer = Tracer::new(release)
            .machine(machine.0, machine.1)
            .mapped(mapped)
            .sub_buffers(8192, 4)
            .events(1500)
            .reader(Reader::Keeps(1));
        Lab::of(&tracer, release, machine)
    }

    pub(crate) fn of(tracer: &Tracer, release: Release, machine: (u32, synth::Endian)) -> Lab {
        let dead = tracer.build();
        let scratch = tempfile::tempdir().unwrap();
        let (core, types) = (scratch.path().join("core"), scratch.path().join("types.json"));
        fs::write(&core, synth::core::Elf::kdump().write(&dead.kernel).bytes()).unwrap();
        fs::write(&types, synth::isf::json(&dead.kernel)).unwrap();
        let options = OpenOptions { cores: vec![core], debuginfo: vec![types], ..OpenOptions::default() };
        let kernel = Kernel::open(&options).unwrap();
        let sessions = kernel.sessions(Routes::ALL);
        assert_eq!(sessions.sessions.len(), 1, "{:?}", sessions.damage);
        let endian = match machine.1 {
            synth::Endian::Little => Endian::Little,
            synth::Endian::Big => Endian::Big,
        };
        Lab { dead, kernel, sessions, release, endian, scratch }
    }

    pub(crate) fn truth(&self) -> &SessionTruth {
        &self.dead.sessions[0]
    }

    pub(crate) fn session(&self) -> &Session {
        &self.sessions.sessions[0]
    }

    pub(crate) fn streams(&self) -> &[StreamTruth] {
        &self.truth().channels[0].streams
    }

    pub(crate) fn class(&self) -> TraceClass {
        TraceClass::parse(self.truth().metadata.as_bytes()).unwrap()
    }

    /// Form of the index that the daemon of this release writes.
    pub(crate) fn index_version(&self) -> Option<IndexVersion> {
        match self.release {
            Release::V2_0 | Release::V2_1 | Release::V2_3 => None,
            Release::V2_5 => Some(IndexVersion::V1_0),
            _ => Some(IndexVersion::V1_1),
        }
    }

    pub(crate) fn metadata(&self) -> Vec<u8> {
        let packets =
            MetadataPackets { endian: self.endian, uuid: Uuid(self.truth().uuid), language: Language::Tsdl };
        packets.file(self.truth().metadata.as_bytes(), PAGE).unwrap()
    }

    pub(crate) fn index(&self, packets: &[Vec<u8>]) -> Option<Vec<u8>> {
        let class = self.class();
        let mut index = Index::new(self.index_version()?);
        let mut offset = 0;
        for packet in packets {
            index.entries.push(IndexEntry::new(offset, &class.packet(packet).unwrap().0));
            offset += packet.len() as u64;
        }
        Some(index.file())
    }

    /// Writes what the daemon had written: channel `net`.
    pub(crate) fn disk(&self, name: &str) -> PathBuf {
        let root = self.scratch.path().join(name);
        let kernel = root.join("kernel");
        fs::create_dir_all(&kernel).unwrap();
        fs::write(kernel.join("metadata"), self.metadata()).unwrap();
        for stream in self.streams() {
            let file = format!("net_{}", stream.cpu.unwrap());
            fs::write(kernel.join(&file), stream.disk.concat()).unwrap();
            if let Some(index) = self.index(&stream.disk) {
                fs::create_dir_all(kernel.join("index")).unwrap();
                fs::write(kernel.join(format!("index/{file}.idx")), index).unwrap();
            }
        }
        root
    }

    pub(crate) fn join(&self, trace: &Path, target: Target, layout: Layout) -> JoinReport {
        let directory = Directory::open(trace).unwrap();
        let session = pairing(&directory, &self.sessions, None).unwrap();
        let join = Join::with_session(&directory, &self.kernel, session, target, layout).unwrap();
        join.run(&Silent).unwrap()
    }
}

/// Numbers that the events of a packet bear.
pub(crate) fn events(class: &TraceClass, packet: &[u8]) -> Vec<u64> {
    let number = |event: lttformat::ctf::Event<'_>| match event.fields().unwrap().next().unwrap() {
        ("value", lttformat::ctf::Value::Unsigned(number, _)) => number,
        other => panic!("{other:?}"),
    };
    Decoder::new(class, packet).unwrap().map(|event| number(event.unwrap())).collect()
}

/// The packets of a file that is whole.
pub(crate) fn packets(class: &TraceClass, file: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let len = class.packet(rest).unwrap().0.packet_size as usize / 8;
        let (packet, more) = rest.split_at(len);
        packets.push(packet.to_vec());
        rest = more;
    }
    packets
}
