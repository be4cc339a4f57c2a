//! Traces of LTTng 2.x on disk: `events` against babeltrace 2, on the same trace and with the same lines.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use analyser::events::{Babeltrace, Events, Selection, What};
use analyser::lttng::Directory;
use anyhow::{Context as _, Result, ensure};
use criterion::Criterion;
use lttformat::ctf::{Decoder, Metadata, PacketHeader, TraceClass};

/// A real trace: scheduler and interrupts, with contexts.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lttformat/tests/ctf_traces/net");

/// How often it is repeated, for each CPU.
const LAPS: u64 = 400;

/// Clock bits in a compact event header: shifts are multiples of what they hold.
const CLOCK_BITS: u32 = 27;

/// The program that is compared with.
const PROGRAM: &str = "babeltrace2";

/// A long trace.
#[derive(Debug)]
pub struct Trace {
    directory: PathBuf,
    /// Its events.
    pub events: u64,
}

impl Trace {
    /// Writes the real trace again and again, each time later, on two CPUs.
    ///
    /// Errors: those of the file system.
    pub fn write(scratch: &Path) -> Result<Trace> {
        let directory = scratch.join("ctf");
        fs::create_dir_all(&directory)?;
        let metadata = fs::read(Path::new(SOURCE).join("metadata"))?;
        fs::write(directory.join("metadata"), &metadata)?;
        let class = TraceClass::parse(&Metadata::parse(&metadata).text)?;
        let file = fs::read(Path::new(SOURCE).join("chan0_0"))?;
        let packets = split(&class, &file)?;
        let (first, last) = (packets.first().context("no packet")?, packets.last().context("no packet")?);
        let span = ((last.0.timestamp_end - first.0.timestamp_begin) >> CLOCK_BITS) + 1;
        let mut events = 0;
        for cpu in 0..2_u32 {
            let mut out = io::BufWriter::new(File::create(directory.join(format!("chan0_{cpu}")))?);
            for lap in 0..LAPS {
                let later = Later {
                    cycles: (lap * span + u64::from(cpu)) << CLOCK_BITS,
                    packets: lap * packets.len() as u64,
                    cpu: cpu.into(),
                };
                for (header, packet) in &packets {
                    let mut copy = packet.to_vec();
                    events += later.apply(&class, header, packet, &mut copy)?;
                    out.write_all(&copy)?;
                }
            }
            out.into_inner()?.sync_all()?;
        }
        Ok(Trace { directory, events })
    }

    /// Whether both print the same.
    ///
    /// Errors: they do not; babeltrace 2 fails.
    pub fn verify(&self) -> Result<()> {
        let theirs = Command::new(PROGRAM).arg("--clock-gmt").arg(&self.directory).output()?;
        ensure!(theirs.status.success(), "{}", String::from_utf8_lossy(&theirs.stderr));
        let mut ours = Vec::new();
        ensure!(self.show(&mut ours) == self.events, "expected {} events", self.events);
        let lines = |text: &[u8]| text.iter().filter(|&&byte| byte == b'\n').count();
        ensure!(
            ours == theirs.stdout,
            "the lines differ: {} of ours, {} of {PROGRAM}",
            lines(&ours),
            lines(&theirs.stdout)
        );
        Ok(())
    }

    /// All lines, as `ltt-kdump events --format babeltrace` prints them; how many.
    fn show(&self, out: &mut impl Write) -> u64 {
        const FULL: usize = 64 << 10;
        let directory = Directory::open(&self.directory).unwrap();
        let mut events = Events::of_session_directory(&directory, &Selection::default()).unwrap();
        let (mut lines, mut text, mut count) = (Babeltrace::default(), Vec::with_capacity(2 * FULL), 0);
        while let Some(entry) = events.next() {
            if lines.write(&mut text, &entry) {
                text.push(b'\n');
                count += 1;
            }
            if text.len() >= FULL {
                out.write_all(&text).unwrap();
                text.clear();
            }
        }
        out.write_all(&text).unwrap();
        count
    }

    /// Decodes every field of every event; how many events there were.
    fn decode(&self) -> u64 {
        let directory = Directory::open(&self.directory).unwrap();
        let mut events = Events::of_session_directory(&directory, &Selection::default()).unwrap();
        let mut count = 0;
        while let Some(entry) = events.next() {
            if let What::Event(event) = &entry.what {
                count += 1;
                std::hint::black_box(event.contexts().into_iter().flatten().chain(event.fields()).count());
            }
        }
        count
    }
}

/// Whether there is something to compare with.
#[must_use]
pub fn is_possible() -> bool {
    let version = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Ids: `ctf/events/1`, `ctf/babeltrace/1`: every line to `/dev/null`; `ctf/decode/1`: every field, nothing printed.
pub fn bench(criterion: &mut Criterion, trace: &Trace) {
    criterion.bench_function("ctf/babeltrace/1", |bencher| {
        bencher.iter(|| {
            let mut command = Command::new(PROGRAM);
            let status = command.arg("--clock-gmt").arg(&trace.directory).stdout(Stdio::null()).status();
            assert!(status.unwrap().success());
        });
    });
    criterion.bench_function("ctf/events/1", |bencher| {
        let mut null = File::options().write(true).open("/dev/null").unwrap();
        bencher.iter(|| assert_eq!(trace.show(&mut null), trace.events));
    });
    criterion.bench_function("ctf/decode/1", |bencher| {
        bencher.iter(|| assert_eq!(trace.decode(), trace.events));
    });
}

fn split<'f>(class: &TraceClass, file: &'f [u8]) -> Result<Vec<(PacketHeader, &'f [u8])>> {
    let (mut packets, mut rest) = (Vec::new(), file);
    while !rest.is_empty() {
        let (header, _) = class.packet(rest)?;
        let (packet, after) = rest.split_at(usize::try_from(header.packet_size / 8)?);
        packets.push((header, packet));
        rest = after;
    }
    Ok(packets)
}

/// How far a packet is moved.
struct Later {
    cycles: u64,
    packets: u64,
    cpu: u64,
}

impl Later {
    /// Returns the number of its events.
    fn apply(
        &self,
        class: &TraceClass,
        header: &PacketHeader,
        packet: &[u8],
        copy: &mut [u8],
    ) -> Result<u64> {
        let header = PacketHeader {
            timestamp_begin: header.timestamp_begin + self.cycles,
            timestamp_end: header.timestamp_end + self.cycles,
            packet_seq_num: header.packet_seq_num.map(|number| number + self.packets),
            stream_instance_id: header.stream_instance_id.map(|_| self.cpu),
            cpu_id: Some(self.cpu),
            events_discarded: Some(0),
            ..header.clone()
        };
        let stream = class.stream(header.stream_id).context("an undeclared stream")?;
        header.write(copy, stream.layout())?;
        let mut events = 0;
        for event in Decoder::new(class, packet)? {
            let event = event?;
            events += 1;
            // An extended header: 31 in five bits, an id of 32 bits, a time of 64.
            let start = usize::try_from(event.start().div_ceil(8))?;
            if packet[start] & 31 == 31 {
                copy[start + 5..start + 13].copy_from_slice(&(event.timestamp + self.cycles).to_le_bytes());
            }
        }
        Ok(events)
    }
}
