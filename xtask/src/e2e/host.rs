//! Programs that the host needs, from its own Debian packages.

use std::path::Path;

use anyhow::{Result, bail};

use super::command::{command, output};
use crate::readers::is_root;

/// Programs that are run (and a library that the kernel's build programs load), and the Debian package of each.
const PROGRAMS: &[(&str, &str)] = &[
    ("apt-get", "apt"),
    ("babeltrace2", "babeltrace2"),
    ("debugfs", "e2fsprogs"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
    ("e2fsck", "e2fsprogs"),
    ("gcc-12", "gcc-12"),
    ("libelf.so.1", "libelf1"),
    ("make", "make"),
    ("mke2fs", "e2fsprogs"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("strip", "binutils"),
    ("tar", "tar"),
];

/// Folders that hold them, also for users whose PATH lacks those of the administrator.
const FOLDERS: &[&str] = &[
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/lib/x86_64-linux-gnu",
];

/// Installs what is missing; needs root only if something is.
pub(crate) fn prepare() -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) || !Path::new("/etc/debian_version").exists() {
        bail!("expected a Debian system on x86_64: the guest is made of its packages");
    }
    let mut packages =
        missing(PROGRAMS, |program| FOLDERS.iter().any(|dir| Path::new(dir).join(program).exists()));
    if packages.is_empty() {
        return Ok(());
    }
    if packages.contains(&"qemu-system-x86") {
        // Recommended by it, not needed, and in some mirrors newer than the rest of QEMU, which then cannot be installed.
        packages.push("qemu-utils-");
    }
    if !is_root() {
        bail!(
            "packages are missing, and only root can install them: apt-get install --no-install-recommends {}",
            packages.join(" ")
        );
    }
    output(&mut command("apt-get", ["update"]))?;
    let options = ["install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=400"];
    output(command("apt-get", options).args(&packages).env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}

/// The packages of programs that are not there, each once.
fn missing<'a>(programs: &[(&str, &'a str)], is_there: impl Fn(&str) -> bool) -> Vec<&'a str> {
    let mut packages: Vec<&str> =
        programs.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_package_once() {
        let there = |program: &str| program == "make";
        let programs =
            [("debugfs", "e2fsprogs"), ("make", "make"), ("e2fsck", "e2fsprogs"), ("depmod", "kmod")];
        assert_eq!(missing(&programs, there), ["e2fsprogs", "kmod"]);
        assert_eq!(missing(&programs, |_| true), [""; 0]);
    }
}
