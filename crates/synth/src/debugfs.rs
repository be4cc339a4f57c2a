//! The debugfs tree as the dentry cache holds it.

use crate::space::Space;

const UNIT: Option<&str> = Some("fs/debugfs/inode.c");

#[derive(Debug, Clone)]
pub(crate) struct Debugfs {
    pub(crate) root: u64,
    superblock: u64,
    dir_operations: u64,
    plain_operations: u64,
    next_inode: u64,
    /// Every path below the root; true = directory.
    pub(crate) paths: Vec<(String, bool)>,
    names: Vec<(u64, String)>,
}

impl Debugfs {
    pub(crate) fn new(space: &mut Space) -> Debugfs {
        let word = space.abi().word;
        let dir_operations = space.rodata("simple_dir_operations", &[0; 56], None);
        let plain_operations = space.rodata("debugfs_file_operations", &[0; 56], UNIT);
        let size = space.types.get("file_system_type").size;
        let fs_type = space.data("debug_fs_type", size, UNIT);
        let name = space.string(b"debugfs");
        space.set(fs_type, "file_system_type", "name", name);
        let supers = space.member(fs_type, "file_system_type", "fs_supers");
        space.list_init(supers);
        let superblock = space.object("super_block");
        space.set(superblock, "super_block", "s_type", fs_type);
        space.set_text(superblock, "super_block", "s_id", b"debugfs");
        let instance = space.member(superblock, "super_block", "s_instances");
        space.list_add_tail(instance, supers);
        let all = space.data("super_blocks", 2 * word, None);
        space.list_init(all);
        let list = space.member(superblock, "super_block", "s_list");
        space.list_add_tail(list, all);
        let mut fs = Debugfs {
            root: 0,
            superblock,
            dir_operations,
            plain_operations,
            next_inode: 1,
            paths: Vec::new(),
            names: Vec::new(),
        };
        fs.root = fs.entry(space, 0, b"/", 0o040_755, dir_operations, 0, 0);
        space.set(superblock, "super_block", "s_root", fs.root);
        let mount = space.object("vfsmount");
        space.set(mount, "vfsmount", "mnt_root", fs.root);
        space.set(mount, "vfsmount", "mnt_sb", superblock);
        let variable = space.data("debugfs_mount", word, UNIT);
        space.put_word(variable, mount);
        fs
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of one dentry and its inode")]
    fn entry(
        &mut self,
        space: &mut Space,
        parent: u64,
        name: &[u8],
        mode: u64,
        operations: u64,
        private: u64,
        size: u64,
    ) -> u64 {
        let dentry = space.object("dentry");
        let inode = space.object("inode");
        for (path, value) in [
            ("i_ino", self.next_inode),
            ("i_count", 1),
            ("i_nlink", 1),
            ("i_mode", mode),
            ("i_fop", operations),
            ("i_sb", self.superblock),
            ("i_private", private),
            ("i_size", size),
        ] {
            space.set(inode, "inode", path, value);
        }
        self.next_inode += 1;
        let inline = space.types.place("dentry", "d_iname").size;
        let text = if (name.len() as u64) < inline {
            space.set_text(dentry, "dentry", "d_iname", name);
            space.member(dentry, "dentry", "d_iname")
        } else {
            space.string(name)
        };
        for (path, value) in [
            ("d_count", 1),
            ("d_inode", inode),
            ("d_parent", if parent == 0 { dentry } else { parent }),
            ("d_sb", self.superblock),
            ("d_name.len", name.len() as u64),
            ("d_name.hash", 0x5eed ^ name.len() as u64),
            ("d_name.name", text),
        ] {
            space.set(dentry, "dentry", path, value);
        }
        let children = space.member(dentry, "dentry", "d_subdirs");
        space.list_init(children);
        let link = space.member(dentry, "dentry", "d_u.d_child");
        space.list_init(link);
        if parent != 0 {
            let siblings = space.member(parent, "dentry", "d_subdirs");
            space.list_add_tail(link, siblings);
        }
        let shown = String::from_utf8_lossy(name).into_owned();
        let path = match self.names.iter().find(|(d, _)| *d == parent) {
            Some((_, above)) if !above.is_empty() => format!("{above}/{shown}"),
            Some(_) => shown,
            None => String::new(),
        };
        if !path.is_empty() {
            self.paths.push((path.clone(), mode & 0o170_000 == 0o040_000));
        }
        self.names.push((dentry, path));
        dentry
    }

    pub(crate) fn dir(&mut self, space: &mut Space, parent: u64, name: &str) -> u64 {
        self.entry(space, parent, name.as_bytes(), 0o040_755, self.dir_operations, 0, 0)
    }

    /// A plain value file, which no walker may take for a buffer.
    pub(crate) fn plain(&mut self, space: &mut Space, parent: u64, name: &str) -> u64 {
        let value = space.kmalloc(8);
        self.entry(space, parent, name.as_bytes(), 0o100_644, self.plain_operations, value, 0)
    }

    /// A file whose inode points to a buffer.
    pub(crate) fn buffer(
        &mut self,
        space: &mut Space,
        parent: u64,
        name: &str,
        operations: u64,
        private: u64,
        size: u64,
    ) -> u64 {
        self.entry(space, parent, name.as_bytes(), 0o100_400, operations, private, size)
    }

    /// A name that was looked up and does not exist.
    pub(crate) fn negative(&mut self, space: &mut Space, parent: u64, name: &str) {
        let dentry = self.entry(space, parent, name.as_bytes(), 0, 0, 0, 0);
        space.set(dentry, "dentry", "d_inode", 0);
        self.paths.pop();
    }
}
