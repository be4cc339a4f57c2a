//! The user's names of channels, which the kernel does not know: they are in the names of the files that the daemon writes.
//!
//! The daemon opens the file of a stream soon after it got the stream itself, so that the file's descriptor follows the stream's.
//! That is an observation, not a rule; what contradicts it is left alone: a name holds only if all streams of a channel agree on it,
//! and no two channels of a session share it.

use std::collections::{HashMap, HashSet};

use super::model::{Channel, ChannelKind, Output, Session, Stream};
use super::roots::{TracerFile, What};
use crate::mirror::Mirror;
use crate::vfs::Vfs;
use crate::{Target, VirtAddr};

/// Gives streams their files, channels their names and sessions their directories, as far as open files tell.
pub(crate) fn assign(target: &dyn Target, files: &[TracerFile], sessions: &mut [Session]) {
    let Ok(vfs) = Vfs::new(target) else { return };
    let mut streams: HashMap<VirtAddr, &mut Stream> = HashMap::new();
    let mut named: HashMap<VirtAddr, Vec<Vec<u8>>> = HashMap::new();
    for channel in sessions.iter_mut().flat_map(|session| &mut session.channels) {
        if channel.kind == ChannelKind::Data {
            streams.extend(channel.streams.iter_mut().map(|stream| (stream.address, stream)));
        }
    }
    let mut taken: HashSet<VirtAddr> = HashSet::new();
    for (i, file) in files.iter().enumerate() {
        let What::Numbered(dentry) = file.what else { continue };
        let Some((output, name)) = output(target, &vfs, dentry) else { continue };
        let earlier = files.get(..i).unwrap_or_default().iter().rev();
        let own = earlier.take_while(|other| other.process == file.process);
        for other in own {
            let What::Stream(buffer) = other.what else { continue };
            let Some(stream) = streams.get_mut(&buffer).filter(|_| !taken.contains(&buffer)) else {
                continue;
            };
            let channels = stream.cpu.map(|cpu| channel_names(&name, cpu)).unwrap_or_default();
            if !channels.is_empty() && output.size.is_none_or(|size| fits(stream, size)) {
                taken.insert(buffer);
                named.insert(buffer, channels);
                stream.output = Some(output);
                break;
            }
        }
    }
    for session in sessions {
        let names: Vec<Option<Vec<u8>>> =
            session.channels.iter().map(|channel| unanimous(channel, &named)).collect();
        for (channel, name) in session.channels.iter_mut().zip(&names) {
            let times = names.iter().filter(|other| *other == name).count();
            channel.name = name.clone().filter(|_| times == 1);
        }
        let outputs = session
            .channels
            .iter()
            .filter(|channel| channel.name.is_some())
            .flat_map(|channel| &channel.streams)
            .filter_map(|stream| stream.output.as_ref()?.path.split_last().map(|(_, directory)| directory));
        let directories: HashSet<&[Vec<u8>]> = outputs.collect();
        session.directory = match directories.into_iter().collect::<Vec<_>>().as_slice() {
            [only] => Some(only.to_vec()),
            _ => None,
        };
    }
}

/// The file behind a directory entry, and its name.
fn output(target: &dyn Target, vfs: &Vfs, dentry: VirtAddr) -> Option<(Output, Vec<u8>)> {
    let (path, _) = vfs.path(target, dentry, None).ok()?;
    let name = path.last()?.clone();
    let image = vfs.dentry.read(target, dentry).ok()?;
    let inode = image.maybe_pointer(Some(&vfs.dentry.inode))?;
    let size = vfs.inode.read(target, inode).ok()?.maybe(vfs.inode.size.as_ref());
    Some((Output { path, size }, name))
}

/// A stream never has more in its file than was consumed of it. (Positions of 32-bit kernels may have wrapped.)
fn fits(stream: &Stream, size: u64) -> bool {
    stream.last_timestamp_is_truncated || size <= stream.consumed_position
}

/// What the channel of a file of CPU 1 may be called: `net` for `net_1`, or with files in rotation for `net_1_0`. For CPU 0
/// `net_0_0` leaves it open whether the channel is `net` or `net_0`. Likeliest first: rotation is more usual than such names.
fn channel_names(file: &[u8], cpu: u32) -> Vec<Vec<u8>> {
    let suffix = format!("_{cpu}").into_bytes();
    let plain = |file| <[u8]>::strip_suffix(file, suffix.as_slice()).filter(|name| !name.is_empty());
    let rotated = || {
        let at = file.iter().rposition(|&byte| byte == b'_')?;
        let (rest, number) = file.split_at_checked(at)?;
        let digits = number.get(1..).filter(|digits| !digits.is_empty());
        plain(rest).filter(|_| digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit)))
    };
    rotated().into_iter().chain(plain(file)).map(<[u8]>::to_vec).collect()
}

/// The first name that all streams of the channel with a file may have.
fn unanimous(channel: &Channel, named: &HashMap<VirtAddr, Vec<Vec<u8>>>) -> Option<Vec<u8>> {
    let names: Vec<_> = channel.streams.iter().filter_map(|stream| named.get(&stream.address)).collect();
    let (first, others) = names.split_first()?;
    first.iter().find(|name| others.iter().all(|others| others.contains(name))).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_plain_and_rotated_files() {
        let names = |file: &str, cpu| {
            let names = channel_names(file.as_bytes(), cpu).into_iter();
            names.map(|name| String::from_utf8(name).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names("net_1", 1), ["net"]);
        assert_eq!(names("my_net_11", 11), ["my_net"]);
        assert_eq!(names("net_3_0", 3), ["net"]);
        assert_eq!(names("net_3_0", 0), ["net_3"]);
        assert_eq!(names("net_0_0", 0), ["net", "net_0"]);
        for (file, cpu) in [("net_11", 1), ("_1", 1), ("net_1_x", 1), ("", 0)] {
            assert_eq!(names(file, cpu), [""; 0], "{file}");
        }
    }

    #[test]
    fn the_name_is_one_that_all_streams_may_have() {
        let stream = |address| Stream {
            cpu: None,
            address: VirtAddr(address),
            write_position: 0,
            consumed_position: 0,
            last_timestamp: None,
            last_timestamp_is_truncated: false,
            cpu_timestamp: None,
            lost_full: 0,
            lost_wrap: 0,
            lost_big: 0,
            held_position: None,
            active_readers: 0,
            finalized: false,
            output: None,
            found_by: crate::Routes::NONE,
            packets: Vec::new(),
            damage: Vec::new(),
        };
        let channel = Channel {
            address: VirtAddr::NULL,
            ring: VirtAddr::NULL,
            id: None,
            kind: ChannelKind::Data,
            name: None,
            transport: Vec::new(),
            overwrite: false,
            mapped_output: None,
            header_type: None,
            packet_header_size: None,
            subbuffer_size: 4096,
            n_subbuffers: 4,
            start_timestamp: None,
            streams: vec![stream(8), stream(16), stream(24)],
        };
        let name = |files: &[(u64, &str, u32)]| {
            let named =
                files.iter().map(|(at, file, cpu)| (VirtAddr(*at), channel_names(file.as_bytes(), *cpu)));
            unanimous(&channel, &named.collect()).map(|name| String::from_utf8(name).unwrap())
        };
        assert_eq!(name(&[(8, "few_0_0", 0), (16, "few_1_0", 1)]).as_deref(), Some("few"));
        assert_eq!(name(&[(8, "few_0_0", 0), (16, "few_0_1", 1)]).as_deref(), Some("few_0"));
        assert_eq!(name(&[(8, "few_0_0", 0)]).as_deref(), Some("few"));
        assert_eq!(name(&[(8, "few_0", 0), (16, "many_1", 1)]), None);
        assert_eq!(name(&[]), None);
    }
}
