//! Where a buffer's file belongs: below which trace, and where below its directory.

use super::Kernel;
use super::channel::ChannelInfo;
use super::types::Era;
use crate::mirror::Mirror;
use crate::{Cause, Damage, VirtAddr};

/// The place of one buffer's file.
pub(crate) struct Place {
    /// Name of the trace's directory in debugfs, as far as the file's entry leads there. It is the trace's name.
    pub(crate) trace: Option<Vec<u8>>,
    /// Path components below the trace's directory.
    pub(crate) path: Vec<Vec<u8>>,
}

/// The place of a buffer's file: from its entry in debugfs, which is the authority on trace, prefix, directory and CPU number,
/// or by the tracer's naming rules when the entry cannot be followed or is another buffer's.
pub(crate) fn of_buffer(
    kernel: &Kernel<'_>,
    dentry: Option<VirtAddr>,
    trace_root: Option<VirtAddr>,
    channel: &ChannelInfo,
    buffer: (VirtAddr, u32),
    damage: &mut Vec<Damage>,
) -> Place {
    let (addr, cpu) = buffer;
    let by_rule = by_rule(kernel, channel, cpu);
    let Some(place) = from_dentry(kernel, dentry, trace_root, addr) else {
        return Place { trace: None, path: by_rule };
    };
    // Kernels of a while named flight recorders without their prefix.
    let plain =
        |path: &[Vec<u8>]| path.last().map(|file| file.strip_prefix(b"flight-").unwrap_or(file).to_vec());
    if plain(&place.path) != plain(&by_rule) {
        let name =
            |path: &[Vec<u8>]| path.last().map(|file| file.escape_ascii().to_string()).unwrap_or_default();
        let text = format!("named {}, not {} as its channel", name(&place.path), name(&by_rule));
        damage.push(Damage::new("file in debugfs", dentry.unwrap_or_default(), Cause::Implausible(text)));
    }
    place
}

fn from_dentry(
    kernel: &Kernel<'_>,
    dentry: Option<VirtAddr>,
    root: Option<VirtAddr>,
    buffer: VirtAddr,
) -> Option<Place> {
    let vfs = kernel.types.vfs.as_ref()?;
    let dentry = dentry?;
    // A file that was removed while it was open has lost its inode; one that has an inode names its buffer there.
    let inode = vfs.dentry.read(kernel.target, dentry).ok()?.maybe_pointer(Some(&vfs.dentry.inode));
    let private =
        inode.and_then(|inode| vfs.inode.read(kernel.target, inode).ok()?.pointer(&vfs.inode.private).ok());
    if private.is_some_and(|private| private != buffer) {
        return None;
    }
    let (names, met) = vfs.path(kernel.target, dentry, root).ok()?;
    let (trace, below) = if met {
        let directory = vfs.dentry.read(kernel.target, root?).ok()?;
        (vfs.name(kernel.target, &directory).ok(), names.as_slice())
    } else {
        // Without the trace's directory the path runs from the file system's root: tracer's directory, trace, then ours.
        (names.get(1).cloned(), names.get(2..)?)
    };
    let sound = !below.is_empty() && below.iter().all(|name| !name.is_empty());
    sound.then(|| Place { trace: trace.filter(|name| !name.is_empty()), path: below.to_vec() })
}

/// `[control/][flight-]<channel>_<cpu>`. Only eras with a fixed set of channels have the `control` directory, for all but `cpu`
/// and `compact`.
fn by_rule(kernel: &Kernel<'_>, channel: &ChannelInfo, cpu: u32) -> Vec<Vec<u8>> {
    let fixed_set = kernel.types.trace.channels.is_none() && matches!(kernel.types.era, Era::Z | Era::A);
    let high_rate = matches!(channel.name.as_slice(), b"cpu" | b"compact");
    let mut file = if channel.overwrite { b"flight-".to_vec() } else { Vec::new() };
    file.extend_from_slice(&channel.name);
    file.extend_from_slice(format!("_{cpu}").as_bytes());
    if fixed_set && !high_rate { vec![b"control".to_vec(), file] } else { vec![file] }
}
