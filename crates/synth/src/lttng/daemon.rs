//! The daemon's process and the files that it has open.

use crate::space::Space;

/// A file to be opened.
pub(crate) enum Open {
    /// A file without a name in any directory: what it is, and the tracer's object.
    Anonymous(&'static str, u64),
    /// A trace file: name, bytes.
    Trace(String, u64),
}

/// Makes the list of processes, of which one is the daemon. Trace files lie in `lttng-s1/kernel`.
pub(crate) fn place(space: &mut Space, files: &[Open]) {
    let word = space.abi().word;
    let size = space.types.get("task_struct").size;
    let init = space.data("init_task", size, None);
    let list = space.member(init, "task_struct", "tasks");
    space.list_init(list);
    // A process without files, then the daemon.
    for (comm, number) in [("kthreadd", 2), ("lttng-consumerd", 160)] {
        let task = space.object("task_struct");
        space.set_text(task, "task_struct", "comm", comm.as_bytes());
        space.set(task, "task_struct", "pid", number);
        let node = space.member(task, "task_struct", "tasks");
        space.list_add_tail(node, list);
        if number == 2 {
            continue;
        }
        let table = space.object("files_struct");
        space.set(task, "task_struct", "files", table);
        let fdt = space.member(table, "files_struct", "fdtab");
        space.set(table, "files_struct", "fdt", fdt);
        // Descriptors begin behind others, with gaps.
        let count = files.len() as u64 * 2 + 4;
        let fds = space.kmalloc(count * word);
        space.set(fdt, "fdtable", "max_fds", count);
        space.set(fdt, "fdtable", "fd", fds);
        let root = dentry(space, 0, "/", 0o040_755, 0);
        let directory = dentry(space, root, "lttng-s1", 0o040_755, 0);
        let directory = dentry(space, directory, "kernel", 0o040_755, 0);
        for (i, open) in files.iter().enumerate() {
            let (name, private, size, parent) = match open {
                Open::Anonymous(name, private) => ((*name).to_owned(), *private, 0, 0),
                Open::Trace(name, size) => (name.clone(), 0, *size, directory),
            };
            let entry = dentry(space, parent, &name, 0o100_644, size);
            let file = space.object("file");
            space.set(file, "file", "f_path.dentry", entry);
            space.set(file, "file", "private_data", private);
            space.put_word(fds + (3 + 2 * i as u64) * word, file);
        }
    }
}

/// A directory entry with its inode; the root of a file system without a parent.
fn dentry(space: &mut Space, parent: u64, name: &str, mode: u64, size: u64) -> u64 {
    let entry = space.object("dentry");
    let inode = space.object("inode");
    space.set(inode, "inode", "i_mode", mode);
    space.set(inode, "inode", "i_size", size);
    let text = space.string(name.as_bytes());
    for (path, value) in [
        ("d_inode", inode),
        ("d_parent", if parent == 0 { entry } else { parent }),
        ("d_name.name", text),
        ("d_name.len", name.len() as u64),
    ] {
        space.set(entry, "dentry", path, value);
    }
    entry
}
