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
    let mut named: Vec<(VirtAddr, Vec<u8>)> = Vec::new();
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
            if let Some(channel) = stream.cpu.and_then(|cpu| channel_name(&name, cpu))
                && output.size.is_none_or(|size| fits(stream, size))
            {
                taken.insert(buffer);
                named.push((buffer, channel.to_vec()));
                stream.output = Some(output);
                break;
            }
        }
    }
    let named: HashMap<VirtAddr, Vec<u8>> = named.into_iter().collect();
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

/// `net` of `net_1`, or with files in rotation of `net_1_0`, for CPU 1.
fn channel_name(file: &[u8], cpu: u32) -> Option<&[u8]> {
    let suffix = format!("_{cpu}").into_bytes();
    let plain = |file| <[u8]>::strip_suffix(file, suffix.as_slice()).filter(|name| !name.is_empty());
    let rotated = || {
        let at = file.iter().rposition(|&byte| byte == b'_')?;
        let (rest, number) = file.split_at_checked(at)?;
        let digits = number.get(1..).filter(|digits| !digits.is_empty());
        plain(rest).filter(|_| digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit)))
    };
    plain(file).or_else(rotated)
}

/// The name that all streams of the channel with a file have.
fn unanimous(channel: &Channel, named: &HashMap<VirtAddr, Vec<u8>>) -> Option<Vec<u8>> {
    let mut names = channel.streams.iter().filter_map(|stream| named.get(&stream.address));
    let first = names.next()?;
    names.all(|name| name == first).then(|| first.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_plain_and_rotated_files() {
        assert_eq!(channel_name(b"net_1", 1), Some(&b"net"[..]));
        assert_eq!(channel_name(b"my_net_11", 11), Some(&b"my_net"[..]));
        assert_eq!(channel_name(b"net_11", 1), None);
        assert_eq!(channel_name(b"net_3_0", 3), Some(&b"net"[..]));
        assert_eq!(channel_name(b"net_3_0", 0), Some(&b"net_3"[..]));
        assert_eq!(channel_name(b"_1", 1), None);
        assert_eq!(channel_name(b"net_1_x", 1), None);
        assert_eq!(channel_name(b"", 0), None);
    }
}
