//! The root directory of debugfs, by any of the pointers that lead to it.

use crate::list;
use crate::memory;
use crate::mirror::{self, Mirror, mirrors};
use crate::vfs::{MAX_DEPTH, Vfs};
use crate::{Cause, Damage, Symbol, Target, VirtAddr};

mirrors! {
    /// A mount.
    Mount = "vfsmount" { needs {} may { root: "mnt_root", sb: "mnt_sb" } }
    /// A mounted file system.
    SuperBlock = "super_block" {
        needs { root: "s_root" }
        may { list: "s_list", kind: "s_type", instances: "s_instances" }
    }
    /// A kind of file system.
    FsType = "file_system_type" { needs { name: "name" } may { supers: "fs_supers" } }
}

/// Symbols read by this module.
pub(crate) const SYMBOLS: &[&str] = &["debugfs_mount", "debug_fs_type", "super_blocks", "ltt_root_dentry"];

/// Mounted file systems that a kernel may have.
const MAX_SUPER_BLOCKS: usize = 65536;

/// Address of the root directory entry.
pub(super) fn find(target: &dyn Target, vfs: &Vfs) -> Result<VirtAddr, Damage> {
    let found = by_mount(target)
        .or_else(|| by_type(target))
        .or_else(|| by_super_blocks(target))
        .or_else(|| by_tracer(target, vfs));
    let text = "no root: none of debugfs_mount, debug_fs_type, super_blocks and ltt_root_dentry leads to it";
    let text = text.to_string();
    found.ok_or_else(|| Damage::general("debugfs", Cause::Implausible(text)))
}

fn symbol(target: &dyn Target, name: &str) -> Option<VirtAddr> {
    target.symbols(name).first().map(|symbol| VirtAddr(symbol.addr))
}

/// Null until something pins the file system; with a trace alive it is set.
fn by_mount(target: &dyn Target) -> Option<VirtAddr> {
    let shape = mirror::find::<Mount>(target, &[]).ok()?;
    let mount = memory::word(target, symbol(target, "debugfs_mount")?).ok().filter(|&mount| mount != 0)?;
    let image = shape.read(target, VirtAddr(mount)).ok()?;
    image
        .maybe_pointer(shape.root.as_ref())
        .or_else(|| root_of(target, image.maybe_pointer(shape.sb.as_ref())?))
}

fn root_of(target: &dyn Target, sb: VirtAddr) -> Option<VirtAddr> {
    let shape = mirror::find::<SuperBlock>(target, &[]).ok()?;
    shape.read(target, sb).ok()?.maybe_pointer(Some(&shape.root))
}

fn by_type(target: &dyn Target) -> Option<VirtAddr> {
    let kind = mirror::find::<FsType>(target, &[]).ok()?;
    let instances = mirror::find::<SuperBlock>(target, &[]).ok()?.instances?;
    let head = symbol(target, "debug_fs_type")?.offset(kind.supers?.offset);
    // A ring at first, later a null-terminated list; the head of the latter is one word, and either way it starts with the first.
    let nodes = if target.layouts("hlist_node").is_empty() || instances.size == 2 * target.abi().word_bytes()
    {
        let ring = list::walk(target, head, MAX_SUPER_BLOCKS);
        if ring.broken.is_none() {
            ring.addrs
        } else {
            list::walk_hlist(target, head, MAX_SUPER_BLOCKS).addrs
        }
    } else {
        list::walk_hlist(target, head, MAX_SUPER_BLOCKS).addrs
    };
    nodes.into_iter().find_map(|node| root_of(target, node.back(instances.offset)))
}

fn by_super_blocks(target: &dyn Target) -> Option<VirtAddr> {
    let shape = mirror::find::<SuperBlock>(target, &[]).ok()?;
    let kind = mirror::find::<FsType>(target, &[]).ok()?;
    let (link, type_member) = (shape.list.as_ref()?, shape.kind.as_ref()?);
    let is_debugfs = |at: VirtAddr| {
        let name = kind.read(target, at).ok()?.pointer(&kind.name).ok()?;
        Some(memory::cstr(target, name, 16).ok()? == b"debugfs")
    };
    list::walk(target, symbol(target, "super_blocks")?, MAX_SUPER_BLOCKS).addrs.into_iter().find_map(|node| {
        let image = shape.read(target, node.back(link.offset)).ok()?;
        let found = is_debugfs(image.maybe_pointer(Some(type_member))?)?;
        found.then(|| image.maybe_pointer(Some(&shape.root)))?
    })
}

/// Up from the directory of LTTng 0.x, which each of its transports remembers.
fn by_tracer(target: &dyn Target, vfs: &Vfs) -> Option<VirtAddr> {
    let top = |directory: VirtAddr| {
        let mut at = directory;
        for _ in 0..MAX_DEPTH {
            let parent = vfs.dentry.read(target, at).ok()?.maybe_pointer(Some(&vfs.dentry.parent))?;
            if parent == at {
                return Some(at);
            }
            at = parent;
        }
        None
    };
    let directory = |symbol: &Symbol| memory::word(target, VirtAddr(symbol.addr)).ok().map(VirtAddr);
    target.symbols("ltt_root_dentry").iter().filter_map(directory).find_map(top)
}
