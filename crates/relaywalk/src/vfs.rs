//! Directory entries, inodes and open files.

use crate::memory;
use crate::mirror::{self, Image, Mirror, mirrors};
use crate::{Cause, Target, VirtAddr};

mirrors! {
    /// Directory entry; three generations of links to its children.
    DentryMirror = "dentry" {
        needs { inode: "d_inode", parent: "d_parent", name: "d_name.name", name_len: "d_name.len" }
        may {
            subdirs: "d_subdirs", child: "d_child" | "d_u.d_child",
            children: "d_children", sibling: "d_sib",
            fsdata: "d_fsdata",
        }
    }
    /// Inode.
    InodeMirror = "inode" {
        needs { mode: "i_mode", private: "i_private" | "u.generic_ip", fop: "i_fop" }
        may { size: "i_size" }
    }
}

/// Longest name of a directory entry.
const NAME_MAX: usize = 255;
/// Deepest directory.
pub(crate) const MAX_DEPTH: usize = 64;

/// File-system types of one kernel.
#[derive(Clone, Debug)]
pub(crate) struct Vfs {
    pub(crate) dentry: DentryMirror,
    pub(crate) inode: InodeMirror,
}

impl Vfs {
    /// Resolves the types.
    pub(crate) fn new(target: &dyn Target) -> Result<Vfs, Cause> {
        Ok(Vfs { dentry: mirror::find(target, &[])?, inode: mirror::find(target, &[])? })
    }

    /// Name of an entry that has been read.
    pub(crate) fn name(&self, target: &dyn Target, dentry: &Image) -> Result<Vec<u8>, Cause> {
        let addr = dentry.pointer(&self.dentry.name)?;
        let len = usize::try_from(dentry.uint(&self.dentry.name_len)?).unwrap_or(NAME_MAX).min(NAME_MAX);
        Ok(memory::cstr(target, addr, len)?)
    }

    /// Names from below the entry `top` down to `dentry`, or from the root of its file system if `top` is not above it.
    /// The flag tells whether `top` was met.
    pub(crate) fn path(
        &self,
        target: &dyn Target,
        dentry: VirtAddr,
        top: Option<VirtAddr>,
    ) -> Result<(Vec<Vec<u8>>, bool), Cause> {
        let mut names = Vec::new();
        let mut at = dentry;
        let mut met = false;
        for _ in 0..MAX_DEPTH {
            if Some(at) == top {
                met = true;
                break;
            }
            let image = self.dentry.read(target, at)?;
            let parent = image.pointer(&self.dentry.parent)?;
            if parent == at || parent.is_null() {
                break;
            }
            names.push(self.name(target, &image)?);
            at = parent;
        }
        names.reverse();
        Ok((names, met))
    }
}
