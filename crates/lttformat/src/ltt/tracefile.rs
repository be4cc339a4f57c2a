//! Names of trace files: which stream a file holds.

use super::{Channel, Version};

/// Begins the name of a flight recorder channel's files.
const FLIGHT: &[u8] = b"flight-";

/// Folder of a trace for what came from a core, when it is kept apart from the daemon's files.
const CRASH: &[u8] = b"crash/";

/// A trace file's path below its trace, taken apart: `control/metadata_1` is the stream of CPU 1 in `control/metadata`.
///
/// The tracer's daemon mirrors the tracer's own tree, one file for each channel and CPU. Nothing in a file says which one it is;
/// viewers go by the path alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TracefileName {
    /// The path before the last `_`, `flight-` included: what viewers call a group.
    pub group: Vec<u8>,
    /// The CPU number.
    pub cpu: u32,
    /// What follows the CPU number. The daemon writes nothing there and viewers do not look: `cpu_1.partial` takes the place of
    /// `cpu_1`.
    pub suffix: Vec<u8>,
}

impl TracefileName {
    /// Takes apart a path below a trace's directory; a leading `/` does not matter.
    ///
    /// `None`: the file's name has no `_` with a CPU number behind it, and a channel before it.
    pub fn parse(relative_path: &[u8]) -> Option<TracefileName> {
        let path = relative_path.strip_prefix(b"/").unwrap_or(relative_path);
        let file = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let last = path.iter().rposition(|&byte| byte == b'_').filter(|&last| last > file)?;
        let (group, number) = (path.get(..last)?, path.get(last + 1..)?);
        let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, suffix) = number.split_at_checked(digits)?;
        let cpu = str::from_utf8(digits).ok()?.parse().ok()?;
        Some(TracefileName { group: group.to_vec(), cpu, suffix: suffix.to_vec() })
    }

    /// The path again; as the daemon writes it, without zeros before the CPU number.
    pub fn path(&self) -> Vec<u8> {
        [&*self.group, b"_", self.cpu.to_string().as_bytes(), &*self.suffix].concat()
    }

    /// The channel, as decoding sees it, in a trace of this version.
    pub fn channel(&self, version: Version) -> Channel<'_> {
        Channel::named(version, &self.group)
    }

    /// Whether the daemon takes the channel for a flight recorder: its file's name begins with `flight-`.
    pub fn is_flight(&self) -> bool {
        self.group.rsplit(|&byte| byte == b'/').next().is_some_and(|file| file.starts_with(FLIGHT))
    }

    /// What viewers of this version take for the stream's name: of several files with the same key they show one only.
    ///
    /// From 2.3 on they drop `flight-` from the very beginning of the path, and nowhere else.
    pub fn stream_key(&self, version: Version) -> (Vec<u8>, u32) {
        let group = self.group.strip_prefix(FLIGHT).filter(|_| version.has_channel_ids());
        (group.unwrap_or(&self.group).to_vec(), self.cpu)
    }

    /// Whether it lies in the trace's folder for what came from a core.
    pub fn is_crash(&self) -> bool {
        self.continues().is_some()
    }

    /// The group that a file below `crash/` continues.
    pub fn continues(&self) -> Option<&[u8]> {
        self.group.strip_prefix(CRASH)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(path: &str) -> Option<(String, u32, String)> {
        let name = TracefileName::parse(path.as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some((text(&name.group), name.cpu, text(&name.suffix)))
    }

    #[test]
    fn group_and_cpu() {
        let some = |group: &str, cpu, suffix: &str| Some((group.to_owned(), cpu, suffix.to_owned()));
        assert_eq!(parsed("cpu_0"), some("cpu", 0, ""));
        assert_eq!(parsed("/control/metadata_12"), some("control/metadata", 12, ""));
        assert_eq!(parsed("control/flight-processes_0"), some("control/flight-processes", 0, ""));
        assert_eq!(parsed("my_channel_007"), some("my_channel", 7, ""));
        assert_eq!(parsed("cpu_1.partial"), some("cpu", 1, ".partial"));
        assert_eq!(parsed("crash/kernel_4294967295"), some("crash/kernel", u32::MAX, ""));
        for other in
            ["", "/", "cpu", "cpu_", "_0", "control/_0", "cpu_x1", "cpu_4294967296", "dir_1/file", "cpu_-1"]
        {
            assert_eq!(parsed(other), None, "{other}");
        }
    }

    #[test]
    fn what_names_mean_depends_on_the_version() {
        let name = |path: &str| TracefileName::parse(path.as_bytes()).unwrap();
        let (flight, old) = (name("flight-kernel_0"), name("control/flight-processes_3"));
        assert!(flight.is_flight() && old.is_flight() && !name("kernel_0").is_flight());
        assert!(!name("flight-recorders/kernel_0").is_flight());
        assert_eq!(flight.stream_key(Version::V2_3), (b"kernel".to_vec(), 0));
        assert_eq!(flight.stream_key(Version::V2_2), (b"flight-kernel".to_vec(), 0));
        assert_eq!(old.stream_key(Version::V2_6), (b"control/flight-processes".to_vec(), 3));
        assert_eq!(flight.channel(Version::V2_3), Channel::Data(b"kernel"));
        assert_eq!(name("control/metadata_0").channel(Version::V2_1), Channel::Metadata);
        assert_eq!(name("control/facilities_0").channel(Version::V1_0), Channel::Metadata);
        let crash = name("crash/flight-kernel_0");
        assert_eq!((crash.is_crash(), crash.continues()), (true, Some(&b"flight-kernel"[..])));
        assert_eq!(crash.stream_key(Version::V2_6), (b"crash/flight-kernel".to_vec(), 0));
        assert!(!name("crashes_0").is_crash());
    }

    proptest! {
        #[test]
        fn any_name(path: Vec<u8>) {
            if let Some(name) = TracefileName::parse(&path) {
                prop_assert_eq!(TracefileName::parse(&name.path()), Some(name));
            }
        }

        #[test]
        fn daemons_names(group in "[a-z]{1,8}(/[a-z_-]{1,8})?", cpu: u32) {
            let path = format!("{group}_{cpu}");
            let name = TracefileName::parse(path.as_bytes()).unwrap();
            prop_assert_eq!(name.path(), path.as_bytes());
            prop_assert_eq!((name.group, name.cpu, name.suffix), (group.into_bytes(), cpu, Vec::new()));
        }
    }
}
