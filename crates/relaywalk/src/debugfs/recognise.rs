//! What a file is, by its operations; by the shape of its object when their symbols are unknown.

use crate::memory;
use crate::mirror::{self, Image, mirrors};
use crate::vfs::Vfs;
use crate::{Symbol, Target, VirtAddr};

mirrors! {
    /// Debugfs' own data of a file that has been opened, in kernels that put a proxy in front of its operations.
    FsData = "debugfs_fsdata" { needs { fops: "real_fops" } may {} }
    /// Inode with debugfs' own data behind it, in the newest kernels.
    InodeInfo = "debugfs_inode_info" { needs { fops: "real_fops", inode: "vfs_inode" } may {} }
}

/// Symbols read by this module.
pub(crate) const SYMBOLS: &[&str] =
    &["ltt_file_operations", "ltt_relay_file_operations", "relay_file_operations"];

/// Addresses of file operations, by what they are for. Several transports may each have a symbol of the same name.
#[derive(Clone, Debug)]
pub(crate) struct FileKinds {
    ltt: Vec<u64>,
    relay: Vec<u64>,
    fsdata: Option<FsData>,
    inode_info: Option<InodeInfo>,
}

impl FileKinds {
    /// Collects the addresses.
    pub(crate) fn new(target: &dyn Target) -> FileKinds {
        let all = |name: &str| {
            target.symbols(name).into_iter().map(|Symbol { addr, .. }| addr).collect::<Vec<u64>>()
        };
        FileKinds {
            ltt: [all("ltt_file_operations"), all("ltt_relay_file_operations")].concat(),
            relay: all("relay_file_operations"),
            fsdata: mirror::find(target, &[]).ok(),
            inode_info: mirror::find(target, &[]).ok(),
        }
    }

    /// Whether these are operations of a buffer of LTTng.
    pub(crate) fn is_ltt(&self, fops: VirtAddr) -> bool {
        self.ltt.contains(&fops.0)
    }

    /// Whether these are operations of a classic relay buffer.
    pub(crate) fn is_relay(&self, fops: VirtAddr) -> bool {
        self.relay.contains(&fops.0)
    }

    /// Whether the symbols of LTTng's operations are known.
    pub(crate) fn knows_ltt(&self) -> bool {
        !self.ltt.is_empty()
    }

    /// Whether the symbol of classic relay operations is known.
    pub(crate) fn knows_relay(&self) -> bool {
        !self.relay.is_empty()
    }

    /// Every address at which a file's true operations may be named: in its inode, or behind debugfs' proxy.
    pub(crate) fn operations(
        &self,
        target: &dyn Target,
        vfs: &Vfs,
        dentry: &Image,
        inode: &Image,
    ) -> Vec<VirtAddr> {
        let mut found: Vec<VirtAddr> = inode.pointer(&vfs.inode.fop).into_iter().collect();
        if let Some(data) = dentry.maybe_pointer(vfs.dentry.fsdata.as_ref()) {
            // Bit 0 set: the operations themselves, never opened. Clear: either the operations or a structure that names them.
            found.push(VirtAddr(data.0 & !1));
            if let Some(shape) = self.fsdata.as_ref().filter(|_| data.0 & 1 == 0) {
                found.extend(memory::word(target, data.offset(shape.fops.offset)).ok().map(VirtAddr));
            }
        }
        if let Some(shape) = &self.inode_info {
            let info = inode.addr.back(shape.inode.offset);
            found.extend(memory::word(target, info.offset(shape.fops.offset)).ok().map(VirtAddr));
        }
        found
    }
}
