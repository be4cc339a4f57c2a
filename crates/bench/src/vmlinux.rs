//! A distribution's vmlinux with DWARF: given by path, or fetched from Debian.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// Packages that are taken, by the beginning and end of their names.
const PACKAGE: (&str, &str) = ("linux-image-6.1.0-", "-amd64-dbg");

/// A vmlinux fetched earlier, or now: 900 MB are downloaded with `apt-get`, of which one file of 600 MB is kept.
///
/// Errors: this machine's package sources have no such package, or one of `apt-get`, `dpkg-deb` and `tar` fails.
pub fn fetch(folder: &Path) -> Result<PathBuf> {
    if let Some(known) = find(folder) {
        return Ok(known);
    }
    std::fs::create_dir_all(folder)?;
    let package = newest()?;
    eprintln!("fetching {package} into {}", folder.display());
    run(Command::new("apt-get").args(["download", &package]).current_dir(folder))?;
    let archives = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let archive = archives
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .last()
        .context("apt-get left no package")?;
    let mut unpacked =
        Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&archive).stdout(Stdio::piped()).spawn()?;
    let tar = unpacked.stdout.take().context("dpkg-deb has no output")?;
    let wanted = ["--wildcards", "--strip-components=5", "./usr/lib/debug/boot/vmlinux-*"];
    run(Command::new("tar").arg("-xf").arg("-").args(wanted).current_dir(folder).stdin(tar))?;
    unpacked.wait()?;
    std::fs::remove_file(&archive)?;
    find(folder).context("the package has no vmlinux")
}

/// A vmlinux that was fetched earlier.
#[must_use]
pub fn find(folder: &Path) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    files
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinux")))
        .max()
}

fn newest() -> Result<String> {
    let output =
        Command::new("apt-cache").args(["pkgnames", PACKAGE.0]).output().context("starting apt-cache")?;
    let names = String::from_utf8_lossy(&output.stdout);
    // The plain flavour: what is between is the number of the ABI alone.
    let abi =
        |name: &str| -> Option<u32> { name.strip_prefix(PACKAGE.0)?.strip_suffix(PACKAGE.1)?.parse().ok() };
    let newest = names.lines().filter(|name| abi(name).is_some()).max_by_key(|name| abi(name));
    match newest {
        Some(name) => Ok(name.to_owned()),
        None => bail!("expected a package {}N{}, found none: give a vmlinux by path", PACKAGE.0, PACKAGE.1),
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {:?}", command.get_program()))?;
    ensure!(status.success(), "{:?} failed: {status}", command.get_program());
    Ok(())
}
