//! What a session and its folder are called.
//!
//! The daemon names the folder of a trace after the session and the time at which it was created, in the zone of the traced machine:
//! `<session>-<YYYYmmdd-HHMMSS>`. Since 2.11 the kernel and the metadata know both. Before, the folder that the daemon had open
//! tells them, or else the trace's clock tells at least the time, in UTC.

use jiff::Timestamp;
use lttformat::ctf::TraceClass;

/// Name of a session and of its folder, raw bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Naming {
    pub(super) name: Vec<u8>,
    pub(super) folder: Vec<u8>,
}

/// Bytes of `YYYYmmdd-HHMMSS`.
const TIME_LEN: usize = 15;

impl Naming {
    /// Names session number `number` of those found, from 1.
    pub(super) fn new(raw: &relaywalk::lttng::Session, class: Option<&TraceClass>, number: usize) -> Naming {
        let env = |name| class.and_then(|class| class.env_text(name)).map(str::as_bytes);
        let known = |raw: &[u8], name| {
            let found = Some(raw).filter(|raw| !raw.is_empty()).or_else(|| env(name));
            found.filter(|found| !found.is_empty()).map(<[u8]>::to_vec)
        };
        let name = known(&raw.name, "trace_name");
        let created = known(&raw.creation_time, "trace_creation_datetime");
        let created = created.and_then(|text| folder_time(&text));
        let daemon = daemon_folder(raw.directory.as_deref().unwrap_or_default());
        if let (None, Some(folder)) = (&created, daemon) {
            let own = split_time(folder).map_or(folder, |(name, _)| name);
            return Naming { name: name.unwrap_or_else(|| own.to_vec()), folder: folder.to_vec() };
        }
        let name = name.unwrap_or_else(|| format!("lttng-session-{number}").into_bytes());
        let time = created.or_else(|| begun(raw, class));
        Naming { folder: folder(&name, time.as_deref()), name }
    }
}

/// `s1-20200131-142501`. Sessions that the daemon named itself, `auto-<time>`, have the time in their names.
fn folder(name: &[u8], time: Option<&[u8]>) -> Vec<u8> {
    let is_dated = split_time(name).is_some_and(|(name, _)| name == b"auto");
    match time.filter(|_| !is_dated) {
        Some(time) => [name, b"-", time].concat(),
        None => name.to_vec(),
    }
}

/// `20200131T142501-0500` as folders have it: `20200131-142501`.
fn folder_time(iso: &[u8]) -> Option<Vec<u8>> {
    let (date, rest) = iso.split_at_checked(8)?;
    let time = rest.strip_prefix(b"T")?.get(..6)?;
    let time = [date, b"-", time].concat();
    is_time(&time).then_some(time)
}

/// `s1-20200131-142501` as `s1` and the time.
fn split_time(folder: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, time) = folder.split_at_checked(folder.len().checked_sub(TIME_LEN)?)?;
    let name = name.strip_suffix(b"-").filter(|name| !name.is_empty())?;
    is_time(time).then_some((name, time))
}

fn is_time(text: &[u8]) -> bool {
    let is_digit = |(at, byte): (usize, &u8)| if at == 8 { *byte == b'-' } else { byte.is_ascii_digit() };
    text.len() == TIME_LEN && text.iter().enumerate().all(is_digit)
}

/// The trace's folder, of the directory that the daemon writes to: `…/s1-20200131-142501/kernel`.
fn daemon_folder(directory: &[Vec<u8>]) -> Option<&[u8]> {
    match directory {
        [.., folder, domain] if domain == b"kernel" && !folder.is_empty() => Some(folder),
        _ => None,
    }
}

/// When the first of the channels was made, in UTC.
fn begun(raw: &relaywalk::lttng::Session, class: Option<&TraceClass>) -> Option<Vec<u8>> {
    let cycles = raw.channels.iter().filter_map(|channel| channel.start_timestamp).min()?;
    let ns = class?.clock()?.ns(cycles)?;
    utc(i64::try_from(ns.div_euclid(1_000_000_000)).ok()?)
}

/// Seconds since 1970 as `YYYYmmdd-HHMMSS`; `None` for years that have not four digits.
fn utc(seconds: i64) -> Option<Vec<u8>> {
    let time = Timestamp::from_second(seconds).ok()?.strftime("%Y%m%d-%H%M%S").to_string().into_bytes();
    is_time(&time).then_some(time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(name: &str, created: &str, directory: &[&str]) -> relaywalk::lttng::Session {
        let directory: Vec<Vec<u8>> = directory.iter().map(|part| part.as_bytes().to_vec()).collect();
        relaywalk::lttng::Session {
            address: relaywalk::VirtAddr::NULL,
            name: name.into(),
            creation_time: created.into(),
            uuid: None,
            active: true,
            been_active: None,
            output_format: 1,
            metadata: None,
            directory: (!directory.is_empty()).then_some(directory),
            found_by: relaywalk::Routes::LIST,
            channels: Vec::new(),
        }
    }

    fn named(name: &str, created: &str, directory: &[&str], text: &str) -> (String, String) {
        let class = (!text.is_empty()).then(|| TraceClass::parse(text.as_bytes()).unwrap());
        let Naming { name, folder } = Naming::new(&raw(name, created, directory), class.as_ref(), 3);
        (String::from_utf8(name).unwrap(), String::from_utf8(folder).unwrap())
    }

    fn both(name: &str, folder: &str) -> (String, String) {
        (name.to_owned(), folder.to_owned())
    }

    #[test]
    fn the_kernel_knows_best() {
        let directory = &["traces", "elsewhere", "kernel"];
        let found = named("s1", "20200131T142501-0500", directory, "");
        assert_eq!(found, both("s1", "s1-20200131-142501"));
        let found = named("auto-20200131-142501", "20200131T142501-0500", &[], "");
        assert_eq!(found, both("auto-20200131-142501", "auto-20200131-142501"));
        assert_eq!(named("auto-pilot", "20200131T142501Z", &[], "").1, "auto-pilot-20200131-142501");
    }

    #[test]
    fn metadata_and_daemon_stand_in() {
        let text = "trace { major = 1; minor = 8; byte_order = le; }; env { trace_name = \"a b\"; \
                    trace_creation_datetime = \"20261123T193849+0000\"; };";
        assert_eq!(named("", "", &[], text), both("a b", "a b-20261123-193849"));
        let directory = &["traces", "s2-20200131-142501", "kernel"];
        assert_eq!(named("", "", directory, ""), both("s2", "s2-20200131-142501"));
        assert_eq!(named("", "", &["x", "kernel"], ""), both("x", "x"));
        assert_eq!(named("", "", &["kernel"], ""), both("lttng-session-3", "lttng-session-3"));
        assert_eq!(named("s", "yesterday", &[], ""), both("s", "s"));
    }

    #[test]
    fn the_clock_is_the_last_resort() {
        let text = "trace { major = 1; minor = 8; byte_order = le; }; clock { name = m; freq = 1000000000; \
                    offset = 1226000000000000000; };";
        let class = TraceClass::parse(text.as_bytes()).unwrap();
        let mut session = raw("s", "", &[]);
        session.channels.push(relaywalk::lttng::Channel {
            address: relaywalk::VirtAddr::NULL,
            ring: relaywalk::VirtAddr::NULL,
            id: None,
            kind: relaywalk::lttng::ChannelKind::Data,
            name: None,
            transport: Vec::new(),
            overwrite: false,
            mapped_output: None,
            header_type: None,
            packet_header_size: None,
            subbuffer_size: 4096,
            n_subbuffers: 4,
            start_timestamp: Some(59_999_999_999),
            streams: Vec::new(),
        });
        let naming = Naming::new(&session, Some(&class), 1);
        assert_eq!(naming.folder, b"s-20081106-193419");
    }

    #[test]
    fn dates() {
        let text = |seconds| utc(seconds).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(text(0).unwrap(), "19700101-000000");
        assert_eq!(text(-1).unwrap(), "19691231-235959");
        assert_eq!(text(951_782_400).unwrap(), "20000229-000000");
        assert_eq!(text(4_107_542_400).unwrap(), "21000301-000000");
        assert_eq!((text(253_402_300_800), text(i64::MAX), text(i64::MIN)), (None, None, None));
        assert_eq!(text(-100_000_000_000), None);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40), seconds: i64) {
            let session = raw("", "", &[]);
            let session = relaywalk::lttng::Session { name: bytes.clone(), creation_time: bytes.clone(), ..session };
            prop_assert!(!Naming::new(&session, None, 1).folder.is_empty());
            if let Some((name, time)) = split_time(&bytes) {
                prop_assert_eq!([name, b"-", time].concat(), bytes);
            }
            prop_assert!(utc(seconds).is_none_or(|text| is_time(&text)));
        }
    }
}
