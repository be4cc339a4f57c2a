//! Which channel a sub-buffer belongs to, as far as decoding depends on it.

use super::Version;

/// A channel as the decoder sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel<'a> {
    /// The one that announces the markers; its events have a layout that is known beforehand.
    Metadata,
    /// The one of format 1.0 with four-byte event headers.
    Compact,
    /// Any other. From 2.3 on ids belong to the channel of this name; before, the name does not matter.
    Data(&'a [u8]),
}

impl<'a> Channel<'a> {
    /// The channel that a tracer of this version calls `name`; also accepts its trace file's path without the CPU number.
    ///
    /// `flight-`, which files of flight recorder channels begin with, is no part of the name. Up to 2.2 metadata are in
    /// `control/metadata` (1.0: `control/facilities`).
    pub fn named(version: Version, name: &'a [u8]) -> Channel<'a> {
        let name = name.strip_prefix(b"/").unwrap_or(name);
        if version.has_channel_ids() {
            return match name.strip_prefix(b"flight-").unwrap_or(name) {
                b"metadata" => Channel::Metadata,
                name => Channel::Data(name),
            };
        }
        let file = name.rsplit(|&byte| byte == b'/').next().unwrap_or(name);
        match (file, version) {
            // `facilities` in era Z; the first tracers of era A wrote format 1.0 too, with a channel `metadata` already.
            (b"facilities", Version::V1_0) | (b"metadata", _) => Channel::Metadata,
            (b"compact" | b"flight-compact", Version::V1_0) => Channel::Compact,
            _ => Channel::Data(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_version() {
        assert_eq!(Channel::named(Version::V2_1, b"control/metadata"), Channel::Metadata);
        assert_eq!(Channel::named(Version::V2_1, b"flight-cpu"), Channel::Data(b"flight-cpu"));
        assert_eq!(Channel::named(Version::V2_6, b"metadata"), Channel::Metadata);
        assert_eq!(Channel::named(Version::V2_6, b"flight-kernel"), Channel::Data(b"kernel"));
        assert_eq!(
            Channel::named(Version::V2_6, b"crash/flight-kernel"),
            Channel::Data(b"crash/flight-kernel")
        );
        assert_eq!(Channel::named(Version::V1_0, b"/control/facilities"), Channel::Metadata);
        assert_eq!(Channel::named(Version::V1_0, b"control/metadata"), Channel::Metadata);
        assert_eq!(Channel::named(Version::V1_0, b"flight-compact"), Channel::Compact);
        assert_eq!(Channel::named(Version::V2_0, b"compact"), Channel::Data(b"compact"));
    }
}
