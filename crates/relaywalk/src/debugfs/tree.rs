//! Walk over the tree, with guards against everything a broken tree can do.

use std::collections::HashSet;

use super::FileKinds;
use super::root;
use crate::list::{self, Nodes};
use crate::ltt;
use crate::mirror::{Image, Mirror};
use crate::relay;
use crate::vfs::Vfs;
use crate::{Cause, Damage, Target, VirtAddr};

/// Deepest directory below the root.
const MAX_DEPTH: usize = 64;
/// Entries visited at most.
const MAX_ENTRIES: usize = 4 << 20;

/// A debugfs whose root was found.
#[derive(Debug)]
pub struct Tree<'t> {
    target: &'t dyn Target,
    vfs: Vfs,
    kinds: FileKinds,
    root: VirtAddr,
    ltt: Option<ltt::Recogniser<'t>>,
    relay: Option<relay::Recogniser<'t>>,
}

/// One directory, file or symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Names from below the root down to this entry; raw bytes.
    pub path: Vec<Vec<u8>>,
    /// Address of its directory entry.
    pub dentry: VirtAddr,
    /// Address of its inode.
    pub inode: VirtAddr,
    /// What kind of entry it is.
    pub kind: EntryKind,
    /// Size in bytes as the inode has it; for buffers the kernel does not keep it.
    pub size: u64,
    /// What lies behind it.
    pub what: What,
}

/// Kind of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// Directory.
    Directory,
    /// Regular file.
    File,
    /// Symbolic link.
    Symlink,
}

/// What lies behind an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// Buffer of LTTng 0.x.
    LttBuffer {
        /// Address of its page container.
        buffer: VirtAddr,
    },
    /// Buffer of a classic relay channel.
    RelayBuffer {
        /// Address of its `rchan_buf`.
        buffer: VirtAddr,
    },
    /// Anything else.
    Plain,
}

impl<'t> Tree<'t> {
    /// Finds the root.
    ///
    /// Errors: when debug information lacks the file-system types or no pointer leads to the root.
    pub fn open(target: &'t dyn Target) -> Result<Tree<'t>, Damage> {
        let vfs = Vfs::new(target).map_err(|cause| Damage::general("debugfs", cause))?;
        let root = root::find(target, &vfs)?;
        let kinds = FileKinds::new(target);
        let (ltt, relay) = (ltt::Recogniser::new(target), relay::Recogniser::new(target));
        Ok(Tree { target, vfs, kinds, root, ltt, relay })
    }

    /// Every entry below the root, directories before their content.
    ///
    /// Cost: two memory reads an entry.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries {
            tree: self,
            todo: vec![Todo::Children { directory: self.root, path: Vec::new() }],
            seen: HashSet::from([self.root]),
            damage: Vec::new(),
        }
    }

    fn children(&self, directory: VirtAddr) -> (Vec<VirtAddr>, Option<(VirtAddr, Cause)>) {
        let shape = &self.vfs.dentry;
        let (nodes, link) = match (&shape.children, &shape.sibling, &shape.subdirs, &shape.child) {
            (Some(head), Some(link), _, _) => {
                (list::walk_hlist(self.target, directory.offset(head.offset), MAX_ENTRIES), link.offset)
            }
            (_, _, Some(head), Some(link)) => {
                (list::walk(self.target, directory.offset(head.offset), MAX_ENTRIES), link.offset)
            }
            _ => {
                return (
                    Vec::new(),
                    Some((directory, Cause::MissingType { name: "dentry.d_subdirs".into() })),
                );
            }
        };
        let Nodes { addrs, broken } = nodes;
        (addrs.into_iter().map(|node| node.back(link)).collect(), broken)
    }

    fn what(&self, path: &[Vec<u8>], dentry: &Image, inode: &Image) -> What {
        let Some(buffer) = inode.maybe_pointer(Some(&self.vfs.inode.private)) else { return What::Plain };
        let operations = self.kinds.operations(self.target, &self.vfs, dentry, inode);
        if operations.iter().any(|fops| self.kinds.is_ltt(*fops)) {
            return What::LttBuffer { buffer };
        }
        if operations.iter().any(|fops| self.kinds.is_relay(*fops)) {
            return What::RelayBuffer { buffer };
        }
        // A tracer built as a module may have no symbols, one of two transports may lack its own; their objects know each other by
        // pointers both ways.
        let is_tracers = path.first().is_some_and(|directory| directory.starts_with(b"ltt"));
        if (is_tracers || !self.kinds.knows_ltt())
            && self.ltt.as_ref().is_some_and(|ltt| ltt.is_buffer(buffer))
        {
            return What::LttBuffer { buffer };
        }
        if !self.kinds.knows_relay() && self.relay.as_ref().is_some_and(|relay| relay.is_buffer(buffer)) {
            return What::RelayBuffer { buffer };
        }
        What::Plain
    }
}

/// Work that is left.
#[derive(Debug)]
enum Todo {
    Entry { directory: VirtAddr, dentry: VirtAddr, path: Vec<Vec<u8>> },
    Children { directory: VirtAddr, path: Vec<Vec<u8>> },
}

/// Iterator over the entries of a [`Tree`].
#[derive(Debug)]
pub struct Entries<'a> {
    tree: &'a Tree<'a>,
    todo: Vec<Todo>,
    seen: HashSet<VirtAddr>,
    damage: Vec<Damage>,
}

impl Entries<'_> {
    /// What could not be followed so far.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Opens a directory: its entries are next.
    fn open(&mut self, directory: VirtAddr, path: &[Vec<u8>]) {
        if path.len() >= MAX_DEPTH {
            self.lose(path, directory, Cause::TooLong { limit: MAX_DEPTH });
            return;
        }
        let (children, broken) = self.tree.children(directory);
        if let Some((at, cause)) = broken {
            self.lose(path, at, cause);
        }
        for dentry in children.into_iter().rev() {
            if self.seen.len() >= MAX_ENTRIES {
                self.lose(path, dentry, Cause::TooLong { limit: MAX_ENTRIES });
                break;
            }
            if self.seen.insert(dentry) {
                self.todo.push(Todo::Entry { directory, dentry, path: path.to_vec() });
            }
        }
    }

    /// `None` for negative entries, which are no files.
    fn entry(&self, directory: VirtAddr, dentry: VirtAddr, path: &[Vec<u8>]) -> Result<Option<Entry>, Cause> {
        let vfs = &self.tree.vfs;
        let target = self.tree.target;
        let image = vfs.dentry.read(target, dentry)?;
        let inode_addr = image.pointer(&vfs.dentry.inode)?;
        if inode_addr.is_null() {
            return Ok(None);
        }
        let parent = image.pointer(&vfs.dentry.parent)?;
        if parent != directory {
            return Err(Cause::Implausible(format!(
                "entry says its directory is {parent:#x}, not {directory:#x}"
            )));
        }
        let mut path = path.to_vec();
        path.push(vfs.name(target, &image)?);
        let inode = vfs.inode.read(target, inode_addr)?;
        let kind = match inode.uint(&vfs.inode.mode)? & 0o170_000 {
            0o040_000 => EntryKind::Directory,
            0o120_000 => EntryKind::Symlink,
            0o100_000 => EntryKind::File,
            mode => return Err(Cause::Implausible(format!("file type {mode:#o} does not occur in debugfs"))),
        };
        let what = if kind == EntryKind::File { self.tree.what(&path, &image, &inode) } else { What::Plain };
        let size = inode.maybe(vfs.inode.size.as_ref()).unwrap_or(0);
        Ok(Some(Entry { path, dentry, inode: inode_addr, kind, size, what }))
    }

    fn lose(&mut self, path: &[Vec<u8>], at: VirtAddr, cause: Cause) {
        let names: Vec<String> = path.iter().map(|name| name.escape_ascii().to_string()).collect();
        self.damage.push(Damage::new(format!("debugfs /{}", names.join("/")), at, cause));
    }
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            match self.todo.pop()? {
                Todo::Children { directory, path } => self.open(directory, &path),
                Todo::Entry { directory, dentry, path } => match self.entry(directory, dentry, &path) {
                    Ok(Some(entry)) => {
                        if entry.kind == EntryKind::Directory {
                            self.todo.push(Todo::Children { directory: dentry, path: entry.path.clone() });
                        }
                        return Some(entry);
                    }
                    Ok(None) => {}
                    Err(cause) => self.lose(&path, dentry, cause),
                },
            }
        }
    }
}
