//! The trace format's version and what follows from it.

use std::fmt;

/// Version of a trace format, as every sub-buffer header carries it: 1.0 or 2.0 to 2.6.
///
/// A viewer reads exactly one version; data keep the version they were written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 1 or 2.
    pub major: u8,
    /// 0 for major 1; 0 to 6 for major 2.
    pub minor: u8,
}

impl Version {
    /// The oldest format, of tracers up to 2.6.27-rc: per-event sizes, heartbeat, compact channel.
    pub const V1_0: Version = Version::new(1, 0);
    /// First with 27-bit times and five-bit ids.
    pub const V2_0: Version = Version::new(2, 0);
    /// First with the short header.
    pub const V2_1: Version = Version::new(2, 1);
    /// First with loss counters in the header.
    pub const V2_2: Version = Version::new(2, 2);
    /// First with event ids per channel.
    pub const V2_3: Version = Version::new(2, 3);
    /// First that meant to align 64-bit fields naturally.
    pub const V2_4: Version = Version::new(2, 4);
    /// First with records shorter than the sub-buffer.
    pub const V2_5: Version = Version::new(2, 5);
    /// The last one.
    pub const V2_6: Version = Version::new(2, 6);

    /// All formats there are, oldest first.
    pub const ALL: [Version; 8] = [
        Version::V1_0,
        Version::V2_0,
        Version::V2_1,
        Version::V2_2,
        Version::V2_3,
        Version::V2_4,
        Version::V2_5,
        Version::V2_6,
    ];

    /// A version, known or not.
    pub const fn new(major: u8, minor: u8) -> Version {
        Version { major, minor }
    }

    /// Whether some tracer wrote this format.
    pub fn is_known(self) -> bool {
        Version::ALL.contains(&self)
    }

    /// Length of a sub-buffer header in bytes; the first event's padding is counted from there.
    pub fn header_len(self) -> usize {
        match (self.major, self.minor) {
            (1, _) => 109,
            (2, 0) => 108,
            (2, 1) => 60,
            _ => 68,
        }
    }

    /// Whether a record on disk is as long as its data need (2.5 on) instead of a whole sub-buffer.
    pub fn has_short_records(self) -> bool {
        self >= Version::V2_5
    }

    /// Whether event ids are numbered per channel (2.3 on) instead of once for the whole trace.
    pub fn has_channel_ids(self) -> bool {
        self >= Version::V2_3
    }

    /// Whether the header counts lost events and corrupted sub-buffers (2.2 on).
    pub fn has_loss_counters(self) -> bool {
        self >= Version::V2_2
    }

    /// Whether the header is the long, packed one of 1.0 and 2.0.
    pub(crate) fn has_packed_header(self) -> bool {
        self < Version::V2_1
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
