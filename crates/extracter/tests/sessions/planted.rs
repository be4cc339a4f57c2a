//! Synthetic kernels of every release: the written traces are whole, and hold the planted events and no others.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use analyser::lttng::{Directory, pairing};
use analyser::{Kernel, OpenOptions, Routes};
use extracter::{Join, Layout, Options, Plan, Silent, Target};
use lttformat::ctf::scan::{Depth, Piece, Scan, ScanOptions};
use lttformat::ctf::{Index, IndexVersion, Metadata, TraceClass};
use synth::lttng::{Crash, DeadTracer, Reader, Release, SessionTruth, StreamTruth, Tracer};
use synth::{Arch, DeadKernel, Endian};

use super::{Files, check, extract, files, viewer};

pub(crate) fn open(dead: &DeadKernel) -> Kernel {
    let core = synth::core::Elf::kdump().write(dead).bytes();
    let core = vmcore::Vmcore::from_bytes(vec![core], &vmcore::OpenOptions::default()).unwrap();
    let types = kdebug::Input::new("types.json", Arc::new(synth::isf::json(dead).into_bytes()));
    Kernel::from_parts(core, vec![types], &OpenOptions::default()).unwrap()
}

/// Form of the index that each release's daemon writes.
fn index_version(release: Release) -> Option<IndexVersion> {
    match release {
        Release::V2_0 | Release::V2_1 | Release::V2_3 => None,
        Release::V2_5 => Some(IndexVersion::V1_0),
        _ => Some(IndexVersion::V1_1),
    }
}

/// Folder of the session: where the kernel tells no time, as the daemon calls it.
fn folder(release: Release, files: &Files) -> String {
    let mut folders: Vec<_> = files.keys().map(|path| path.split('/').next().unwrap()).collect();
    folders.dedup();
    let [folder] = folders.as_slice() else { panic!("{folders:?}") };
    if release >= Release::V2_11 {
        let time = folder.strip_prefix("s1-").unwrap();
        assert!(time.len() == 15 && time.as_bytes()[8] == b'-', "{folder}");
    } else {
        // Else the trace's clock tells the time; or the daemon's folder, if it is known.
        assert!(["lttng-s1", "s1-20100101-000000"].contains(folder), "{folder}");
    }
    (*folder).to_owned()
}

/// Compares the files with what was planted.
fn compare(
    files: &Files,
    folder: &str,
    truth: &SessionTruth,
    index: Option<IndexVersion>,
    kernel: &Kernel,
    label: &str,
) {
    let (page_size, word) = (kernel.memory().page_size(), kernel.memory().abi().word_bytes() as u64);
    let metadata = Metadata::parse(&files[&format!("{folder}/kernel/metadata")]);
    assert_eq!((metadata.text.as_slice(), metadata.cut), (truth.metadata.as_bytes(), None), "{label}");
    let class = TraceClass::parse(&metadata.text).unwrap();
    for stream in &truth.channels[0].streams {
        let name = format!("chan{}_{}", if stream.cpu.is_some() { "" } else { "0" }, stream.cpu.unwrap_or(0));
        let file = &files[&format!("{folder}/kernel/{name}")];
        let options = ScanOptions { page_size, depth: Depth::All, ..ScanOptions::default() };
        let mut scan = Scan::new(&class, file.as_slice(), options);
        let planted: Vec<_> =
            recoverable(stream, &class, word).filter(|(bytes, _)| !bytes.is_empty()).collect();
        let mut entries = Vec::new();
        while let Some(piece) = scan.next().unwrap() {
            let Piece::Packet(packet) = piece else { panic!("{label}, {name}: {piece:?}") };
            let (bytes, events) = planted[entries.len()];
            assert_eq!(packet.used, bytes.len() as u64, "{label}, {name}");
            assert_eq!(packet.tally.unwrap().events, events, "{label}, {name}");
            entries.push(lttformat::ctf::IndexEntry::new(packet.offset, &packet.header));
        }
        assert_eq!(entries.len(), planted.len(), "{label}, {name}");
        let beside = files.get(&format!("{folder}/kernel/index/{name}.idx"));
        assert_eq!(beside.is_some(), index.is_some(), "{label}, {name}");
        if let (Some(beside), Some(version)) = (beside, index) {
            let expected = Index { version, entries, cut: None };
            assert!(*beside == expected.file(), "{label}, {name}: index");
        }
    }
}

/// Of each packet, what can be had of it.
fn recoverable<'t>(
    stream: &'t StreamTruth,
    class: &TraceClass,
    word: u64,
) -> impl Iterator<Item = (&'t [u8], u64)> + use<'t> {
    let header = class.streams()[0].layout().len();
    // 84 or 80 bytes from 2.8 on.
    let numbered = header >= 80;
    (0..stream.packets.len()).map(move |nth| stream.recoverable(nth, numbered, header, word))
}

/// Writes the session, compares, and lets the viewer count.
fn judge(dead: &DeadTracer, release: Release, with_viewer: bool, label: &str) {
    let kernel = open(&dead.kernel);
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let report = extract(&kernel, Routes::ALL, &out);
    assert_eq!(report.damage, Vec::<String>::new(), "{label}");
    let files = files(&out);
    let folder = folder(release, &files);
    let truth = &dead.sessions[0];
    compare(&files, &folder, truth, index_version(release), &kernel, label);
    let class = TraceClass::parse(truth.metadata.as_bytes()).unwrap();
    let streams = &truth.channels[0].streams;
    let word = kernel.memory().abi().word_bytes() as u64;
    let planted: u64 =
        streams.iter().flat_map(|stream| recoverable(stream, &class, word)).map(|(_, events)| events).sum();
    assert_eq!(report.totals.events, Some(planted), "{label}");
    let lost = streams.iter().flat_map(|stream| stream.packets.iter().zip(recoverable(stream, &class, word)));
    let lost = lost.filter(|(packet, _)| !packet.closed);
    let lost: u64 = lost.map(|(packet, (bytes, _))| packet.reserved - bytes.len() as u64).sum();
    assert_eq!((report.totals.bytes.lost, report.totals.bytes.unreadable), (lost, 0), "{label}");
    if with_viewer {
        show(&out.join(folder), planted, label);
    }
}

/// The viewer sees every event, and finds nothing to say but what the tracer dropped.
fn show(trace: &Path, planted: u64, label: &str) {
    let Some(shown) = viewer::show(trace) else { return };
    assert_eq!(shown.events(), planted, "{label}");
    for message in &shown.messages {
        assert!(message.starts_with("WARNING: Tracer discarded "), "{label}: {message}");
    }
}

#[test]
fn every_release_torn_in_every_way() {
    for release in Release::ALL {
        for (bits, endian) in [(64, Endian::Little), (32, Endian::Big)] {
            for (overwrite, crash) in [
                (false, Crash::Quiet),
                (true, Crash::Reserved),
                (false, Crash::Nested),
                (true, Crash::LeftBehind),
                (false, Crash::LeftBehind),
                (true, Crash::Delivering),
                (false, Crash::Entered),
                (true, Crash::Flushed),
            ] {
                let label = format!("{release:?}, {bits} bits, overwrite {overwrite}, {crash:?}");
                let tracer = Tracer::new(release).machine(bits, endian).overwrite(overwrite).crash(crash);
                let dead = tracer.events(300).build();
                judge(&dead, release, matches!(crash, Crash::Reserved | Crash::LeftBehind), &label);
            }
        }
    }
}

#[test]
fn readers_other_pages_and_shared_buffers() {
    for release in [Release::V2_1, Release::V2_8, Release::V2_13] {
        for reader in [Reader::Holds, Reader::Overtaken, Reader::Keeps(1)] {
            let tracer = Tracer::new(release).overwrite(true).mapped(true).events(200).reader(reader);
            judge(&tracer.build(), release, true, &format!("{release:?}, {reader:?}"));
        }
        judge(&Tracer::new(release).global(true).build(), release, true, &format!("{release:?}, shared"));
    }
    let tracer = Tracer::new(Release::V2_13).arch(Arch::AArch64Page64K).sub_buffers(65536, 2);
    judge(&tracer.events(2000).crash(Crash::Reserved).build(), Release::V2_13, true, "64 KiB pages");
}

#[test]
fn only_what_the_daemon_had_not_read() {
    let tracer = Tracer::new(Release::V2_13).mapped(true).events(500).reader(Reader::Keeps(1));
    let dead = tracer.build();
    let kernel = open(&dead.kernel);
    let sessions = kernel.sessions(Routes::ALL);
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let options = Options { unread_only: true, ..Options::new(&out) };
    let report = Plan::new(&kernel, &sessions, &options).unwrap().run(&Silent).unwrap();
    check(&report, &files(&out));
    let unread = |packet: &&synth::lttng::PacketTruth| packet.state != synth::lttng::State::Consumed;
    let packets = dead.sessions[0].channels[0].streams.iter().flat_map(|stream| &stream.packets);
    let (unread, read): (Vec<_>, Vec<_>) = packets.partition(unread);
    assert!(!read.is_empty());
    let sum =
        |packets: &[&synth::lttng::PacketTruth]| packets.iter().map(|p| p.valid.len() as u64).sum::<u64>();
    let bytes = &report.totals.bytes;
    assert_eq!((bytes.written, bytes.omitted), (sum(&unread), sum(&read)));
    assert_eq!(report.totals.events.unwrap(), unread.iter().map(|packet| packet.events).sum::<u64>());
}

#[test]
fn sessions_are_chosen_by_name_or_folder() {
    let dead = Tracer::new(Release::V2_13).build();
    let kernel = open(&dead.kernel);
    let sessions = kernel.sessions(Routes::ALL);
    let folder = sessions.sessions[0].folder().into_owned();
    let scratch = tempfile::tempdir().unwrap();
    for (nth, name) in ["s1", &folder].into_iter().enumerate() {
        let options =
            Options { traces: vec![name.to_owned()], ..Options::new(scratch.path().join(nth.to_string())) };
        let plan = Plan::new(&kernel, &sessions, &options).unwrap();
        assert_eq!(plan.files().len(), 2);
        plan.run(&Silent).unwrap();
    }
    let options = Options { traces: vec!["s2".to_owned()], ..Options::new(scratch.path().join("none")) };
    let error = Plan::new(&kernel, &sessions, &options).unwrap_err().to_string();
    assert_eq!(error, format!("trace \"s2\": expected one of {folder}"));
}

/// Before 2.3 the kernel keeps no metadata but those that were not yet written.
#[test]
fn metadata_that_the_daemon_has_written_already() {
    let dead = Tracer::new(Release::V2_1).declared(60).build();
    let text = dead.sessions[0].metadata.as_bytes();
    let first = dead.kernel.memory().pages().find(|(_, page)| page[37..].starts_with(&text[..100]));
    let first = first.unwrap().0;
    let mut torn = dead.kernel.clone();
    torn.memory_mut().remove(first).unwrap();
    let kernel = open(&torn);
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let report = extract(&kernel, Routes::ALL, &out);
    let said = "metadata begin with packet 1";
    assert!(report.damage.iter().any(|damage| damage.contains(said)), "{:?}", report.damage);
    let files = files(&out);
    let metadata = Metadata::parse(&files["lttng-s1/kernel/metadata"]);
    assert!(metadata.text.len() > 1000 && text.ends_with(&metadata.text));
    let kernel_sessions = kernel.sessions(Routes::ALL);
    let known = kernel_sessions.sessions[0].metadata().unwrap();
    assert_eq!((known.first_packet(), known.from_packet(0)), (1, None));
    assert_eq!(known.from_packet(1), Some(known.text()));
    // Packets are delimited with the layout of the release; what is in them, nobody can tell.
    assert_eq!(report.totals.events, None);
    assert!(report.totals.bytes.written > 0 && report.totals.bytes.lost == 0);
}

/// Text of a session's metadata in the kernel's memory, by another of the same length.
pub(crate) fn retell(dead: &mut DeadTracer, text: &[u8]) {
    let session = dead.sessions[0].address;
    let private = "lttng_kernel_session_private";
    let cache = dead.kernel.peek(session, private, "metadata_cache");
    let data = dead.kernel.peek(cache, "lttng_metadata_cache", "data");
    assert_eq!(text.len(), dead.sessions[0].metadata.len());
    dead.kernel.poke_bytes(data, text);
}

/// CTF 2: the text is passed on, packets are delimited with the layout of the release.
#[test]
fn metadata_in_json_are_passed_on() {
    let mut dead = Tracer::new(Release::V2_14).events(300).crash(Crash::Reserved).build();
    let plain = {
        let scratch = tempfile::tempdir().unwrap();
        extract(&open(&dead.kernel), Routes::ALL, &scratch.path().join("out"));
        files(&scratch.path().join("out"))
    };
    let start = "\u{1e}{\"type\":\"preamble\",\"version\":2}\n\u{1e}{\"type\":\"trace-class\"";
    let blanks = " ".repeat(dead.sessions[0].metadata.len() - start.len() - 2);
    let text = format!("{start}{blanks}}}\n");
    retell(&mut dead, text.as_bytes());
    dead.kernel.poke(dead.sessions[0].address, "lttng_kernel_session_private", "output_format", 2);
    let kernel = open(&dead.kernel);
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let report = extract(&kernel, Routes::ALL, &out);
    assert_eq!(report.damage, Vec::<String>::new());
    assert_eq!(report.totals.events, None);
    let mut json = files(&out);
    let name = json.keys().find(|path| path.ends_with("/metadata")).unwrap().clone();
    let metadata = Metadata::parse(&json.remove(&name).unwrap());
    assert_eq!((metadata.text.as_slice(), metadata.cut), (text.as_bytes(), None));
    assert_eq!(metadata.packets.unwrap().language, lttformat::ctf::Language::Json);
    // All else is as it would be with metadata that can be read.
    for (path, file) in &json {
        assert!(plain[path] == *file, "{path}");
    }
    continued_in_json(&kernel, &out);
}

/// A trace on disk whose events nobody can decode is checked, repaired and continued all the same.
fn continued_in_json(kernel: &Kernel, out: &Path) {
    let sessions = kernel.sessions(Routes::ALL);
    let folder = out.join(fs::read_dir(out).unwrap().next().unwrap().unwrap().file_name());
    let whole = files(&folder);
    let is_whole = |folder: &Path| !Directory::open(folder).unwrap().check(Depth::All).is_damaged();
    assert!(is_whole(&folder));
    let stream = folder.join("kernel/chan_0");
    let stream = if stream.exists() { stream } else { folder.join("kernel/chan0_0") };
    let bytes = fs::read(&stream).unwrap();
    fs::write(&stream, &bytes[..bytes.len() - 100]).unwrap();
    assert!(!is_whole(&folder));
    let directory = Directory::open(&folder).unwrap();
    let repaired = out.with_file_name("repaired");
    Join::repair(&directory, Target::New(repaired.clone())).unwrap().run(&Silent).unwrap();
    assert!(is_whole(&repaired));
    let cut = fs::metadata(repaired.join(stream.strip_prefix(&folder).unwrap())).unwrap().len();
    assert!(0 < cut && cut < bytes.len() as u64, "{cut} of {}", bytes.len());
    let session = pairing(&directory, &sessions, None).unwrap();
    let joined = out.with_file_name("joined");
    let target = Target::New(joined.clone());
    Join::with_session(&directory, kernel, session, target, Layout::Merged).unwrap().run(&Silent).unwrap();
    assert!(files(&joined) == whole);
}

/// Viewers refuse a trace with a stream that its metadata do not declare.
#[test]
fn channels_that_are_not_declared_are_put_apart() {
    let mut dead = Tracer::new(Release::V2_13).events(300).build();
    let text = dead.sessions[0].metadata.replace("\tid = 0;\n\tevent.header", "\tid = 7;\n\tevent.header");
    let text = text.replace("stream_id = 0;\n\tfields", "stream_id = 7;\n\tfields");
    retell(&mut dead, text.as_bytes());
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out");
    let report = extract(&open(&dead.kernel), Routes::ALL, &out);
    let said = "the metadata do not declare channel chan: it is in a folder of its own";
    assert!(report.damage.iter().any(|damage| damage.ends_with(said)), "{:?}", report.damage);
    let [trace] = report.traces.as_slice() else { panic!("{:?}", report.traces) };
    assert_eq!((trace.streams.len(), trace.metadata.is_none()), (2, true));
    let planted = dead.sessions[0].channels[0].streams.iter().flat_map(|stream| &stream.packets);
    assert_eq!(report.totals.bytes.written, planted.map(|packet| packet.valid.len() as u64).sum::<u64>());
}

/// A page of the text that is not in the core costs the statements in it.
#[test]
fn metadata_with_a_hole() {
    let dead = Tracer::new(Release::V2_13).declared(60).build();
    let session = dead.sessions[0].address;
    let cache = dead.kernel.peek(session, "lttng_kernel_session_private", "metadata_cache");
    let data = dead.kernel.peek(cache, "lttng_metadata_cache", "data");
    let whole = dead.sessions[0].metadata.as_str();
    for (page, declared) in [(0, false), (1, true)] {
        let mut torn = dead.kernel.clone();
        let place = torn.phys(data + page * 4096) / 4096;
        torn.memory_mut().remove(place).unwrap();
        let kernel = open(&torn);
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("out");
        let report = extract(&kernel, Routes::ALL, &out);
        assert!(
            report.damage.iter().any(|damage| damage.contains("metadata, bytes ")),
            "{:?}",
            report.damage
        );
        let sessions = kernel.sessions(Routes::ALL);
        let session = &sessions.sessions[0];
        assert_eq!(session.class().is_some(), declared);
        let events = session.class().map_or(0, |class| class.streams()[0].events().len());
        assert!(events < 60 && (events > 20 || !declared), "{events}");
        let text = String::from_utf8(session.metadata().unwrap().text().to_vec()).unwrap();
        assert!(text.split_inclusive("};\n\n").all(|statement| whole.contains(statement)));
        assert!(
            report.totals.bytes.written > 0 && report.totals.bytes.lost + report.totals.bytes.unreadable == 0
        );
    }
}
