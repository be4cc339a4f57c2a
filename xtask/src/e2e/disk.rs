//! Files out of the guest's disks, without mounting them: that would need root, and the kernel's trust.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::command::{command, last_lines, output};
use super::place::{fresh_folder, remove};

/// A copy of a disk as it is now; holes stay holes.
pub(crate) fn copy(disk: &Path, to: &Path) -> Result<()> {
    output(command("cp", ["--sparse=always"]).args([disk, to]))?;
    Ok(())
}

/// Takes the folders of the tracer out of a disk, as the guest's next boot would find them. The disk is changed: its journal is
/// replayed first.
pub(crate) fn take_folders(disk: &Path, folder: &Path) -> Result<()> {
    let checked = command("/sbin/e2fsck", ["-fy"]).arg(disk).output().context("starting e2fsck")?;
    // 1 and 2: errors were corrected, which is what is left after a crash.
    if !matches!(checked.status.code(), Some(0..=2)) {
        bail!("e2fsck {}: {}", disk.display(), last_lines(&String::from_utf8_lossy(&checked.stdout), 3));
    }
    fresh_folder(folder)?;
    let list = output(command("/sbin/debugfs", ["-R", "ls -p /"]).arg(disk))?;
    for name in folders(&list) {
        output(command("/sbin/debugfs", ["-R", &format!("rdump /{name} {}", folder.display())]).arg(disk))?;
        if !folder.join(name).is_dir() {
            bail!("expected debugfs to copy /{name} out of {}, it did not", disk.display());
        }
    }
    Ok(())
}

/// Takes one file out of a disk, if it is there.
pub(crate) fn take_file(disk: &Path, name: &str, to: &Path) -> Result<()> {
    remove(to)?;
    output(command("/sbin/debugfs", ["-R", &format!("dump /{name} {}", to.display())]).arg(disk))?;
    let size = fs::metadata(to).map_or(0, |metadata| metadata.len());
    if size == 0 {
        bail!("expected a file /{name} in {}, found none", disk.display());
    }
    Ok(())
}

/// The folders in debugfs's list `/inode/mode/uid/gid/name/size/`.
fn folders(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter_map(|line| {
        let mut fields = line.split('/').skip(2);
        let (mode, name) = (fields.next()?, fields.nth(2)?);
        let ours = !matches!(name, "" | "." | ".." | "lost+found");
        (mode.starts_with("04") && ours).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn folders_of_the_tracer() {
        let list = "/2/040755/0/0/.//\n/2/040755/0/0/..//\n/11/040700/0/0/lost+found//\n\
                    /12/040770/0/0/disk//\n/13/100644/0/0/sessiond.log/4711/\n/0/000000/0/0//0/\n";
        assert_eq!(super::folders(list).collect::<Vec<_>>(), ["disk"]);
    }
}
