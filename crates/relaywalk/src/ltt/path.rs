//! Where a buffer's file belongs below its trace's directory.

use super::Kernel;
use super::channel::ChannelInfo;
use super::types::Era;
use crate::VirtAddr;

/// Path components of a buffer's file: from its entry in debugfs, which is the authority on prefix, directory and CPU number,
/// or by the tracer's naming rules when the entry cannot be followed.
pub(crate) fn of_buffer(
    kernel: &Kernel<'_>,
    dentry: Option<VirtAddr>,
    trace_root: Option<VirtAddr>,
    channel: &ChannelInfo,
    cpu: u32,
) -> Vec<Vec<u8>> {
    from_dentry(kernel, dentry, trace_root).unwrap_or_else(|| by_rule(kernel, channel, cpu))
}

fn from_dentry(
    kernel: &Kernel<'_>,
    dentry: Option<VirtAddr>,
    root: Option<VirtAddr>,
) -> Option<Vec<Vec<u8>>> {
    let (names, met) = kernel.types.vfs.as_ref()?.path(kernel.target, dentry?, root).ok()?;
    // Without the trace's directory the path runs from the file system's root: tracer's directory, trace, then ours.
    let below = if met { names.as_slice() } else { names.get(2..)? };
    let sound = !below.is_empty() && below.iter().all(|name| !name.is_empty());
    sound.then(|| below.to_vec())
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
