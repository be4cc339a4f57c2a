//! What the name of a data file says.

use std::collections::BTreeSet;

/// The parts of a data file's name: `<channel>_<cpu>`, or `<channel>_<cpu>_<n>` of a channel whose files are rotated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName {
    /// The channel, as its user called it. Any bytes.
    pub channel: Vec<u8>,
    /// The CPU.
    pub cpu: u32,
    /// Number of the file, if files are rotated. It may begin anew.
    pub number: Option<u64>,
}

/// Channels whose files are known to be rotated: a name alone leaves that open, `a_1_2` may be of a channel `a_1`.
pub(super) type Rotated = BTreeSet<Vec<u8>>;

impl StreamName {
    /// The name of a file that is not rotated. `None` if it does not end in a CPU number.
    pub(super) fn plain(name: &[u8]) -> Option<StreamName> {
        let (channel, cpu) = split(name)?;
        Some(StreamName { channel: channel.to_vec(), cpu: u32::try_from(cpu).ok()?, number: None })
    }

    /// The name of a file that is rotated. `None` if it does not end in two numbers.
    pub(super) fn rotated(name: &[u8]) -> Option<StreamName> {
        let (rest, number) = split(name)?;
        Some(StreamName { number: Some(number), ..StreamName::plain(rest)? })
    }

    /// The name of a file, when it is known which channels are rotated.
    pub(super) fn parse(name: &[u8], rotated: &Rotated) -> Option<StreamName> {
        let of_rotated = StreamName::rotated(name).filter(|name| rotated.contains(&name.channel));
        of_rotated.or_else(|| StreamName::plain(name))
    }

    /// The name again.
    #[must_use]
    pub fn file_name(&self) -> Vec<u8> {
        let mut name = [&*self.channel, b"_", self.cpu.to_string().as_bytes()].concat();
        if let Some(number) = self.number {
            name.extend(format!("_{number}").bytes());
        }
        name
    }
}

/// Finds the channels that are rotated, from the names of files and the CPU that their packets are of.
pub(super) fn rotated<'n>(files: impl Iterator<Item = (&'n [u8], u64)> + Clone) -> Rotated {
    let cpu_of = |name: Option<StreamName>| name.map(|name| u64::from(name.cpu));
    // What only one way of reading explains.
    let mut channels: Rotated = files
        .clone()
        .filter(|(name, cpu)| cpu_of(StreamName::plain(name)) != Some(*cpu))
        .filter(|(name, cpu)| cpu_of(StreamName::rotated(name)) == Some(*cpu))
        .filter_map(|(name, _)| Some(StreamName::rotated(name)?.channel))
        .collect();
    // `a_1_1` may be either; beside `a_1_0` or `a_1_2` it is not the only file of that CPU.
    let plain: Vec<_> = files.filter_map(|(name, _)| StreamName::plain(name)).collect();
    channels.retain(|channel| !plain.iter().any(|name| name.channel == *channel));
    channels
}

/// What is before the last `_`, and the number after it. Numbers are written without zeros in front.
fn split(name: &[u8]) -> Option<(&[u8], u64)> {
    let at = name.iter().rposition(|&byte| byte == b'_').filter(|&at| at > 0)?;
    let (rest, digits) = (name.get(..at)?, name.get(at + 1..)?);
    let is_plain = digits.iter().all(u8::is_ascii_digit) && (digits == b"0" || digits.first() != Some(&b'0'));
    let number = str::from_utf8(digits).ok().filter(|_| is_plain)?.parse().ok()?;
    Some((rest, number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(channel: &str, cpu: u32, number: Option<u64>) -> Option<StreamName> {
        Some(StreamName { channel: channel.into(), cpu, number })
    }

    fn rotated_of(files: &[(&'static str, u64)]) -> Rotated {
        rotated(files.iter().map(|(name, cpu)| (name.as_bytes(), *cpu)))
    }

    #[test]
    fn parts() {
        let none = Rotated::new();
        assert_eq!(StreamName::parse(b"channel0_3", &none), name("channel0", 3, None));
        assert_eq!(StreamName::parse(b"my_net_12", &none), name("my_net", 12, None));
        for other in ["", "metadata", "net_", "_0", "net_x1", "net_01", "net_4294967296", "net_1.idx"] {
            assert_eq!(StreamName::parse(other.as_bytes(), &none), None, "{other}");
        }
        let net = Rotated::from([b"net".to_vec()]);
        assert_eq!(StreamName::parse(b"net_1_7", &net), name("net", 1, Some(7)));
        assert_eq!(StreamName::parse(b"other_1_7", &net), name("other_1", 7, None));
        assert_eq!(StreamName::parse(b"net_1", &net), name("net", 1, None));
    }

    #[test]
    fn packets_tell_what_names_do_not() {
        assert!(rotated_of(&[("net_0", 0), ("net_1", 1)]).is_empty());
        assert!(rotated_of(&[("net_1_0", 0), ("net_1_1", 1)]).is_empty());
        assert_eq!(rotated_of(&[("net_1_0", 1), ("net_1_1", 1)]), Rotated::from([b"net".to_vec()]));
        // Nothing explains these; then a name is taken as it is usually meant.
        assert!(rotated_of(&[("net_3", 1), ("net_0_0", 0)]).is_empty());
        // Not both: the file without a number is the whole of its stream.
        assert!(rotated_of(&[("net_1_0", 1), ("net_0", 0)]).is_empty());
    }

    proptest! {
        #[test]
        fn any_name(bytes: Vec<u8>) {
            for name in [StreamName::plain(&bytes), StreamName::rotated(&bytes)].into_iter().flatten() {
                prop_assert_eq!(name.file_name(), &*bytes);
            }
        }

        #[test]
        fn written_names(channel in "[a-z_-]{1,8}", cpu: u32, number: Option<u64>) {
            let name = StreamName { channel: channel.clone().into_bytes(), cpu, number };
            let rotated = if number.is_some() { Rotated::from([channel.into_bytes()]) } else { Rotated::new() };
            prop_assert_eq!(StreamName::parse(&name.file_name(), &rotated), Some(name));
        }
    }
}
