//! Files that processes had open.

use std::collections::HashSet;

use crate::list;
use crate::memory;
use crate::mirror::{self, Image, Mirror, mirrors};
use crate::{Damage, Target, VirtAddr};

mirrors! {
    /// A process, as far as its files go.
    Task = "task_struct" { needs { tasks: "tasks", files: "files" } may {} }
    /// Open files of a process.
    FileTable = "files_struct" { needs { table: "fdt" } may {} }
    /// Table of open files.
    FdTable = "fdtable" { needs { count: "max_fds", files: "fd" } may {} }
    /// An open file.
    FileMirror = "file" {
        needs { fops: "f_op", dentry: "f_path.dentry" | "f_dentry" }
        may { private: "private_data" }
    }
}

/// Processes that a list may hold: the kernel's own limit of process numbers.
const MAX_TASKS: usize = 4 << 20;

/// Ways to the open files of one kernel.
#[derive(Debug)]
pub(crate) struct Files<'t> {
    target: &'t dyn Target,
    init: VirtAddr,
    task: Task,
    table: FileTable,
    fds: FdTable,
    pub(crate) file: FileMirror,
}

/// One open file of one process. A file that several processes share is met once for each.
#[derive(Debug)]
pub(crate) struct OpenFile {
    /// Address of the process' table of files: threads share one, processes do not.
    pub(crate) process: VirtAddr,
    /// Descriptor number.
    pub(crate) number: u64,
    /// The open file.
    pub(crate) image: Image,
}

impl<'t> Files<'t> {
    /// `None` where the debug information does not know processes and their files.
    pub(crate) fn new(target: &'t dyn Target) -> Option<Files<'t>> {
        let init = target.symbols("init_task").first().map(|symbol| VirtAddr(symbol.addr))?;
        Some(Files {
            target,
            init,
            task: mirror::find(target, &[]).ok()?,
            table: mirror::find(target, &[]).ok()?,
            fds: mirror::find(target, &[]).ok()?,
            file: mirror::find(target, &[]).ok()?,
        })
    }

    /// Shows every open file to `visit`, process by process, in the order of descriptors. What cannot be read is left out.
    pub(crate) fn visit(&self, damage: &mut Vec<Damage>, visit: &mut dyn FnMut(&OpenFile)) {
        let target = self.target;
        let nodes = list::walk(target, self.init.offset(self.task.tasks.offset), MAX_TASKS);
        damage.extend(nodes.broken.map(|(at, cause)| Damage::new("list of processes", at, cause)));
        let mut seen = HashSet::new();
        for node in nodes.addrs {
            let at = node.back(self.task.tasks.offset).offset(self.task.files.offset);
            let Ok(process) = memory::word(target, at).map(VirtAddr) else { continue };
            if process.is_null() || !seen.insert(process) {
                continue;
            }
            for (number, addr) in (0u64..).zip(self.open(process).unwrap_or_default()) {
                if addr != 0
                    && let Ok(image) = self.file.read(target, VirtAddr(addr))
                {
                    visit(&OpenFile { process, number, image });
                }
            }
        }
    }

    /// Addresses of a process' open files, by descriptor; 0 where there is none.
    fn open(&self, process: VirtAddr) -> Option<Vec<u64>> {
        let table = self.table.read(self.target, process).ok()?.maybe_pointer(Some(&self.table.table))?;
        let image = self.fds.read(self.target, table).ok()?;
        let count = image.uint(&self.fds.count).ok()?.min(memory::MAX_WORDS);
        memory::words(self.target, image.pointer(&self.fds.files).ok()?, count).ok()
    }
}
