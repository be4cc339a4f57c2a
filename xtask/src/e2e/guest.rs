//! The guest: its root file system, kernel and initial RAM disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::command::{command, output};
use super::modules;
use super::packages::{Kernel, files, unpack_package};
use super::place::{Place, fresh_folder, make_folder, remove};

const GUEST_SCRIPT: &str = include_str!("../../e2e/guest.sh");
const INITRD_SCRIPT: &str = include_str!("../../e2e/initrd-init.sh");
const STOP_SOURCE: &str = include_str!("../../e2e/stop-no-wait.c");

/// Modules of the kernel that the guest needs before it has a root file system, or (the last) to tell QEMU where VMCOREINFO is.
const DRIVERS: &[&str] = &["virtio_pci", "virtio_blk", "virtio_rng", "crc32c_generic", "ext4", "qemu_fw_cfg"];

/// Programs of the guest that are busybox.
const APPLETS: &[&str] = &[
    "cat", "cp", "cut", "date", "dd", "dmesg", "find", "grep", "hostname", "ifconfig", "insmod", "kill",
    "ls", "mkdir", "mount", "mv", "poweroff", "ps", "rm", "sed", "sh", "sleep", "stty", "sync", "time",
    "touch", "umount", "uname", "usleep",
];

/// What QEMU boots.
#[derive(Debug)]
pub(crate) struct Images {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    pub(crate) root: PathBuf,
}

impl Images {
    pub(crate) fn of(place: &Place) -> Images {
        let folder = place.path("images");
        Images {
            kernel: folder.join("vmlinuz"),
            initrd: folder.join("initrd.gz"),
            root: folder.join("root.ext4"),
        }
    }
}

/// Everything the images depend on.
pub(crate) fn key(kernel: &Kernel) -> String {
    [&kernel.packages, GUEST_SCRIPT, INITRD_SCRIPT, STOP_SOURCE, &DRIVERS.join(" "), &APPLETS.join(" ")]
        .join("\n")
}

/// Makes the guest of the unpacked packages.
pub(crate) fn make(place: &mut Place, kernel: &Kernel) -> Result<()> {
    place.step("make guest", &key(kernel), |place| {
        let root = place.path("guest");
        let images = Images::of(place);
        fresh_folder(&root)?;
        fresh_folder(&place.path("images"))?;
        for package in files(&place.path("debs/guest"))? {
            unpack_package(&package, &root)?;
        }
        for unused in ["doc", "man", "locale", "info", "lintian"] {
            remove(&root.join("usr/share").join(unused))?;
        }
        let installed = Kernel::root(place);
        copy(&installed.join(format!("boot/vmlinuz-{}", kernel.release)), &images.kernel)?;
        let drivers = add_modules(place, kernel, &root)?;
        add_programs(&root)?;
        make_initrd(
            place,
            &root,
            &installed.join("lib/modules").join(&kernel.release),
            &drivers,
            &images.initrd,
        )?;
        // The kernel that a panic starts is the same one.
        make_folder(&root.join("boot"))?;
        copy(&images.kernel, &root.join("boot/vmlinuz"))?;
        copy(&images.initrd, &root.join("boot/initrd.gz"))?;
        make_image(&root, &images.root)
    })
}

/// Installs drivers and the tracer's modules; returns the drivers in the order in which they must be loaded.
fn add_modules(place: &Place, kernel: &Kernel, root: &Path) -> Result<Vec<String>> {
    let installed = Kernel::root(place);
    output(command("/sbin/depmod", ["-b"]).arg(&installed).arg(&kernel.release))?;
    let from = installed.join("lib/modules").join(&kernel.release);
    let to = root.join("lib/modules").join(&kernel.release);
    make_folder(&to.join("extra"))?;
    for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
        copy(&from.join(list), &to.join(list))?;
    }
    let dependencies = from.join("modules.dep");
    let dependencies =
        fs::read_to_string(&dependencies).with_context(|| format!("reading {}", dependencies.display()))?;
    let drivers = load_order(&dependencies, DRIVERS);
    for driver in &drivers {
        let path = to.join(driver);
        make_folder(path.parent().unwrap_or(&to))?;
        copy(&from.join(driver), &path)?;
    }
    // Without debug information, as a distribution ships them; the build-id stays.
    let folder = modules::folder(place);
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let module = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        let name = module.file_name().unwrap_or_default();
        output(command("strip", ["--strip-debug", "-o"]).arg(to.join("extra").join(name)).arg(&module))?;
    }
    output(command("/sbin/depmod", ["-b"]).arg(root).arg(&kernel.release))?;
    Ok(drivers)
}

/// The files of `wanted` modules and of those they need, each after what it needs. Modules that are not listed are built in.
fn load_order(dependencies: &str, wanted: &[&str]) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    for module in wanted {
        let line = dependencies.lines().filter_map(|line| line.split_once(':')).find(|(path, _)| {
            let file = path.rsplit('/').next().unwrap_or(path);
            file.split(".ko").next().is_some_and(|name| name.replace('-', "_") == *module)
        });
        let Some((path, needs)) = line else { continue };
        // depmod lists what is needed last first.
        for file in needs.split_whitespace().rev().chain([path]) {
            if !order.iter().any(|known| known == file) {
                order.push(file.to_owned());
            }
        }
    }
    order
}

/// Adds the guest's own programs and the few files that programs expect.
fn add_programs(root: &Path) -> Result<()> {
    for folder in ["proc", "sys", "dev", "etc", "run", "tmp", "data", "dump", "root", "var"] {
        make_folder(&root.join(folder))?;
    }
    let source = root.join("tmp/stop-no-wait.c");
    write(&source, STOP_SOURCE)?;
    let library = root.join("usr/lib/x86_64-linux-gnu/liblttng-ctl.so.0");
    let mut compile = command("gcc-12", ["-O1", "-Wl,--allow-shlib-undefined", "-o"]);
    output(compile.arg(root.join("usr/bin/stop-no-wait")).args([&source, &library]))?;
    remove(&source)?;

    let script = root.join("sbin/guest.sh");
    write(&script, GUEST_SCRIPT)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).context("making guest.sh executable")?;
    for applet in APPLETS {
        let there =
            ["bin", "sbin", "usr/bin", "usr/sbin"].iter().any(|dir| root.join(dir).join(applet).exists());
        if !there || *applet == "sh" {
            let link = root.join("bin").join(applet);
            remove(&link)?;
            symlink("/bin/busybox", &link).with_context(|| format!("making {}", link.display()))?;
        }
    }
    remove(&root.join("var/run"))?;
    symlink("/run", root.join("var/run")).context("making var/run")?;
    write(&root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    write(&root.join("etc/group"), "root:x:0:\ntracing:x:120:\n")?;
    write(&root.join("etc/hosts"), "127.0.0.1 localhost\n")
}

/// Makes the initial RAM disk of busybox and the drivers.
fn make_initrd(place: &Place, root: &Path, modules: &Path, drivers: &[String], initrd: &Path) -> Result<()> {
    let folder = place.path("initrd");
    fresh_folder(&folder)?;
    for name in ["bin", "proc", "sys", "dev", "root", "modules"] {
        make_folder(&folder.join(name))?;
    }
    let busybox = root.join("bin/busybox");
    copy(&busybox, &folder.join("bin/busybox"))?;
    for (number, driver) in drivers.iter().enumerate() {
        // Loaded in the order of their names.
        let name = driver.rsplit('/').next().unwrap_or(driver);
        copy(&modules.join(driver), &folder.join("modules").join(format!("{number:02}-{name}")))?;
    }
    let init = folder.join("init");
    write(&init, INITRD_SCRIPT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755)).context("making init executable")?;
    // The busybox of the guest runs here as well: one package less to ask of the host.
    let script = "cd \"$1\" && find . | \"$2\" cpio -o -H newc | gzip -1 > \"$3\"";
    output(command("sh", ["-c", script, "sh"]).args([&folder, &busybox, initrd]))?;
    Ok(())
}

/// Makes a file system of the folder.
fn make_image(root: &Path, image: &Path) -> Result<()> {
    let size = output(command("du", ["-sm"]).arg(root))?;
    let megabytes: u64 =
        size.split_whitespace().next().and_then(|text| text.parse().ok()).context("reading du")?;
    let mut make = command("/sbin/mke2fs", ["-q", "-F", "-t", "ext4", "-d"]);
    output(make.arg(root).arg(image).arg(format!("{}M", megabytes + megabytes / 4 + 64)))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_come_after_what_they_need() {
        let dependencies = "kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko\n\
                            kernel/lib/crc16.ko:\n\
                            kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko\n\
                            kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio.ko\n\
                            kernel/drivers/char/hw_random/virtio-rng.ko: kernel/drivers/virtio/virtio.ko\n";
        let order = load_order(dependencies, &["virtio_blk", "virtio_rng", "crc32c_generic", "ext4"]);
        let names: Vec<&str> = order.iter().filter_map(|path| path.rsplit('/').next()).collect();
        let expected =
            ["virtio.ko", "virtio_blk.ko", "virtio-rng.ko", "jbd2.ko", "mbcache.ko", "crc16.ko", "ext4.ko"];
        assert_eq!(names, expected);
    }
}
