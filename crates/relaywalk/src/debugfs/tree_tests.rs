//! Trees of every generation of links between directory entries, and broken ones.

use super::{Entry, EntryKind, Tree, What};
use crate::fake::Fake;
use crate::{Cause, Endian, Kind, VirtAddr, WordSize};

const WORD: Kind = Kind::Int { signed: false };

/// How a directory holds its children.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Links {
    Union,
    Plain,
    Hlist,
}

struct Builder {
    fake: Fake,
    links: Links,
    root: VirtAddr,
}

impl Builder {
    fn new(links: Links) -> Builder {
        let mut fake = Fake::new(WordSize::Bits64, Endian::Little);
        fake.define_at("list_head", 16, &[("next", 0, 8), ("prev", 8, 8)]);
        fake.define_at("hlist_head", 8, &[("first", 0, 8)]);
        fake.define_at("hlist_node", 16, &[("next", 0, 8), ("pprev", 8, 8)]);
        fake.define_at("debugfs_fsdata", 16, &[("real_fops", 0, 8)]);
        let common = [
            ("d_inode", 8, WORD),
            ("d_parent", 8, WORD),
            ("d_name.len", 4, WORD),
            ("d_name.name", 8, WORD),
            ("d_fsdata", 8, WORD),
        ];
        let own: &[(&str, u64, Kind)] = match links {
            Links::Union => &[("d_u.d_child", 16, Kind::Struct), ("d_subdirs", 16, Kind::Struct)],
            Links::Plain => &[("d_child", 16, Kind::Struct), ("d_subdirs", 16, Kind::Struct)],
            Links::Hlist => &[("d_sib", 16, Kind::Struct), ("d_children", 8, Kind::Struct)],
        };
        fake.define("dentry", &[], &[&common[..], own].concat());
        fake.define(
            "inode",
            &[],
            &[("i_mode", 2, WORD), ("i_fop", 8, WORD), ("i_private", 8, WORD), ("i_size", 8, WORD)],
        );
        fake.define(
            "super_block",
            &[],
            &[("s_root", 8, WORD), ("s_type", 8, WORD), ("s_list", 16, Kind::Struct)],
        );
        fake.define("file_system_type", &[], &[("name", 8, WORD)]);
        // Found through the list of super blocks, past another file system.
        let head = fake.alloc(16);
        fake.symbol("super_blocks", head);
        let mut nodes = Vec::new();
        let mut sb = VirtAddr::NULL;
        for name in ["proc", "debugfs"] {
            sb = fake.object("super_block");
            let (kind, text) = (fake.object("file_system_type"), fake.text(name));
            fake.set(kind, "file_system_type", "name", text.0);
            fake.set(sb, "super_block", "s_type", kind.0);
            nodes.push(sb.offset(fake.offset_of("super_block", "s_list")));
        }
        fake.link(head, &nodes);
        let mut builder = Builder { fake, links, root: VirtAddr::NULL };
        let root = builder.entry("/", 0o040_755);
        builder.fake.set(root, "dentry", "d_parent", root.0);
        builder.fake.set(sb, "super_block", "s_root", root.0);
        builder.root = root;
        builder
    }

    fn entry(&mut self, name: &str, mode: u64) -> VirtAddr {
        let (dentry, inode, text) =
            (self.fake.object("dentry"), self.fake.object("inode"), self.fake.text(name));
        self.fake.set(inode, "inode", "i_mode", mode);
        for (member, value) in
            [("d_inode", inode.0), ("d_name.name", text.0), ("d_name.len", name.len() as u64)]
        {
            self.fake.set(dentry, "dentry", member, value);
        }
        if self.links != Links::Hlist {
            let head = dentry.offset(self.fake.offset_of("dentry", "d_subdirs"));
            self.fake.link(head, &[]);
        }
        dentry
    }

    fn inode(&self, dentry: VirtAddr) -> VirtAddr {
        VirtAddr(self.fake.get_word(dentry.offset(self.fake.offset_of("dentry", "d_inode"))))
    }

    fn adopt(&mut self, parent: VirtAddr, children: &[VirtAddr]) {
        let (head, link) = match self.links {
            Links::Union => ("d_subdirs", "d_u.d_child"),
            Links::Plain => ("d_subdirs", "d_child"),
            Links::Hlist => ("d_children", "d_sib"),
        };
        let (head, link) =
            (parent.offset(self.fake.offset_of("dentry", head)), self.fake.offset_of("dentry", link));
        let nodes: Vec<VirtAddr> = children.iter().map(|child| child.offset(link)).collect();
        if self.links == Links::Hlist {
            let mut at = head;
            for node in nodes {
                self.fake.put_word(at, node.0);
                at = node;
            }
        } else {
            self.fake.link(head, &nodes);
        }
        for child in children {
            self.fake.set(*child, "dentry", "d_parent", parent.0);
        }
    }

    fn walk(&self) -> (Vec<Entry>, Vec<crate::Damage>) {
        let tree = Tree::open(&self.fake).unwrap();
        let mut entries = tree.entries();
        let found = entries.by_ref().collect();
        (found, entries.damage().to_vec())
    }
}

#[test]
fn every_generation_of_links_and_proxies() {
    for links in [Links::Union, Links::Plain, Links::Hlist] {
        let mut b = Builder::new(links);
        let (dir, file, opened, link) = (
            b.entry("block", 0o040_755),
            b.entry("trace0", 0o100_400),
            b.entry("trace1", 0o100_400),
            b.entry("ln", 0o120_777),
        );
        let operations = b.fake.alloc(64);
        b.fake.symbol("relay_file_operations", operations);
        for (dentry, buffer) in [(file, 0x1000), (opened, 0x2000)] {
            let inode = b.inode(dentry);
            b.fake.set(inode, "inode", "i_private", buffer);
            b.fake.set(inode, "inode", "i_size", 42);
        }
        // Never opened: the operations themselves, marked. Opened: a structure that names them.
        b.fake.set(file, "dentry", "d_fsdata", operations.0 | 1);
        let data = b.fake.object("debugfs_fsdata");
        b.fake.set(data, "debugfs_fsdata", "real_fops", operations.0);
        b.fake.set(opened, "dentry", "d_fsdata", data.0);
        let root = b.root;
        b.adopt(root, &[link, dir]);
        b.adopt(dir, &[file, opened]);
        let (found, damage) = b.walk();
        assert!(damage.is_empty(), "{damage:?}");
        let seen: Vec<_> = found.iter().map(|e| (e.path.join(&b'/'), e.kind, e.size, e.what)).collect();
        assert_eq!(
            seen,
            [
                (b"ln".to_vec(), EntryKind::Symlink, 0, What::Plain),
                (b"block".to_vec(), EntryKind::Directory, 0, What::Plain),
                (
                    b"block/trace0".to_vec(),
                    EntryKind::File,
                    42,
                    What::RelayBuffer { buffer: VirtAddr(0x1000) }
                ),
                (
                    b"block/trace1".to_vec(),
                    EntryKind::File,
                    42,
                    What::RelayBuffer { buffer: VirtAddr(0x2000) }
                ),
            ],
            "{links:?}"
        );
    }
}

#[test]
fn broken_trees_end() {
    for links in [Links::Union, Links::Hlist] {
        let mut b = Builder::new(links);
        let (a, c, stranger) = (b.entry("a", 0o040_755), b.entry("c", 0o040_755), b.entry("x", 0o100_644));
        let root = b.root;
        b.adopt(root, &[a, stranger]);
        // A directory that contains its own grandparent, and an entry that belongs elsewhere.
        b.adopt(a, &[c]);
        b.adopt(c, &[a]);
        b.fake.set(a, "dentry", "d_parent", root.0);
        b.fake.set(stranger, "dentry", "d_parent", 0x77);
        let (found, damage) = b.walk();
        assert!(found.len() <= 2, "{found:?}");
        assert!(damage.iter().any(|damage| damage.address == Some(stranger)), "{damage:?}");
    }
}

#[test]
fn depth_is_bounded() {
    let mut b = Builder::new(Links::Plain);
    let mut parent = b.root;
    for _ in 0..80 {
        let child = b.entry("d", 0o040_755);
        b.adopt(parent, &[child]);
        parent = child;
    }
    let (found, damage) = b.walk();
    assert_eq!(found.len(), 64);
    assert!(matches!(damage[0].cause, Cause::TooLong { limit: 64 }));
}

#[test]
fn no_root_is_an_error() {
    let fake = Fake::new(WordSize::Bits64, Endian::Little);
    assert!(matches!(Tree::open(&fake).unwrap_err().cause, Cause::MissingType { .. }));
}
