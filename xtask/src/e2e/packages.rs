//! The Debian packages that the guest is made of. They are downloaded and unpacked, never installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::command::{command, output};
use super::place::{Place, fresh_folder, make_folder};

/// What runs in the guest; what they depend on comes along.
const GUEST: &[&str] = &["busybox-static", "kexec-tools", "kmod", "libc-bin", "lttng-tools", "makedumpfile"];

/// The tracer's kernel modules, as source.
const TRACER: &str = "lttng-modules-dkms";

/// Where packages are downloaded to and unpacked, and which kernel they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// For example `6.1.0-56-amd64`.
    pub(crate) release: String,
    /// The files of all packages, one a line: what everything made of them depends on.
    pub(crate) packages: String,
}

impl Kernel {
    /// Link-time kernel with DWARF.
    pub(crate) fn vmlinux(&self, place: &Place) -> PathBuf {
        place.path("debug/usr/lib/debug/boot").join(format!("vmlinux-{}", self.release))
    }

    /// The folder with what the kernel's packages and the tracer's source install.
    pub(crate) fn root(place: &Place) -> PathBuf {
        place.path("kernel")
    }
}

/// Downloads the packages; returns the kernel they are of. Later runs take the kernel of the first one.
pub(crate) fn fetch(place: &mut Place) -> Result<Kernel> {
    let record = place.path("release");
    let wanted = [GUEST.join(" ").as_str(), TRACER].join(" ");
    place.step("download packages", &wanted, |place| {
        // An old list names packages that the mirror has no more. Without root the list stays as it is.
        let _ = output(&mut command("apt-get", ["update"]));
        let release = choose()?;
        let depends = output(&mut command("apt-cache", ["depends", &format!("linux-headers-{release}")]))?;
        let folder = place.path("debs/kernel");
        fresh_folder(&folder)?;
        let mut names: Vec<String> =
            ["linux-image-", "linux-headers-"].map(|kind| format!("{kind}{release}")).into();
        names.push(format!("linux-image-{release}-dbg"));
        names.extend(build_dependencies(&depends));
        names.push(TRACER.to_owned());
        output(
            command("apt-get", ["download", "-o", "APT::Sandbox::User=root"])
                .args(&names)
                .current_dir(&folder),
        )?;
        fetch_guest(&place.path("debs"))?;
        fs::write(&record, &release).with_context(|| format!("writing {}", record.display()))
    })?;
    let release = fs::read_to_string(&record).with_context(|| format!("reading {}", record.display()))?;
    let mut packages = String::new();
    for package in [files(&place.path("debs/kernel"))?, files(&place.path("debs/guest"))?].concat() {
        packages.push_str(&package.file_name().unwrap_or_default().to_string_lossy());
        packages.push('\n');
    }
    Ok(Kernel { release, packages })
}

/// Downloads the guest's user space with all it depends on: apt believes that nothing at all is installed.
fn fetch_guest(folder: &Path) -> Result<()> {
    let archives = folder.join("guest");
    fresh_folder(&archives)?;
    make_folder(&archives.join("partial"))?;
    let nothing = folder.join("nothing-installed");
    fs::write(&nothing, "").with_context(|| format!("writing {}", nothing.display()))?;
    let mut apt = command("apt-get", ["install", "--yes", "--download-only", "--no-install-recommends"]);
    apt.arg("-o").arg(format!("Dir::State::status={}", nothing.display()));
    apt.arg("-o").arg(format!("Dir::Cache::archives={}", archives.display()));
    apt.args(["-o", "APT::Sandbox::User=root", "-o", "Debug::NoLocking=1"]).args(GUEST);
    output(&mut apt)?;
    Ok(())
}

/// The newest kernel of the release's own series that is there with debug information and headers.
fn choose() -> Result<String> {
    let default = output(&mut command("apt-cache", ["depends", "linux-image-amd64"]))?;
    let series =
        series(&default).context("expected linux-image-amd64 to depend on a kernel, as Debian's does")?;
    let pattern = format!("^linux-(image|headers)-{}.*-amd64", series.replace('.', "\\."));
    let names = output(&mut command("apt-cache", ["search", "--names-only", &pattern]))?;
    newest(&names, &series).with_context(|| {
        format!(
            "expected a kernel {series} with the packages linux-image-…, -dbg and linux-headers-…, found none"
        )
    })
}

/// The series, such as `6.1`, of the kernel that the release's meta-package depends on.
fn series(depends: &str) -> Option<String> {
    let kernel = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))?;
    let mut parts = kernel.split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    Some(format!("{major}.{minor}"))
}

/// The newest release of `series` with image, debug information and headers among `names`, one package a line.
fn newest(names: &str, series: &str) -> Option<String> {
    let names: Vec<&str> = names.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let is_of_series = |release: &&str| {
        let rest = release.strip_prefix(series).unwrap_or_default();
        let flavours = ["-cloud-", "-rt-"];
        rest.starts_with(['.', '-']) && !flavours.iter().any(|flavour| rest.contains(flavour))
    };
    names
        .iter()
        .filter_map(|name| name.strip_prefix("linux-image-"))
        .filter(|release| release.ends_with("-amd64"))
        .filter(is_of_series)
        .filter(|release| names.contains(&format!("linux-image-{release}-dbg").as_str()))
        .filter(|release| names.contains(&format!("linux-headers-{release}").as_str()))
        .max_by_key(|release| numbers(release))
        .map(str::to_owned)
}

/// The numbers in a version, in order.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// What the headers depend on and a module's build needs: the common headers and the build programs, not a compiler.
fn build_dependencies(depends: &str) -> Vec<String> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .filter(|name| name.starts_with("linux-headers-") || name.starts_with("linux-kbuild-"))
        .map(str::to_owned)
        .collect()
}

/// Unpacks kernel, headers, build programs and the tracer's source below `kernel/`, vmlinux below `debug/`.
pub(crate) fn unpack(place: &mut Place, kernel: &Kernel) -> Result<()> {
    place.step("unpack kernel", &kernel.packages, |place| {
        let root = Kernel::root(place);
        fresh_folder(&root)?;
        for package in files(&place.path("debs/kernel"))? {
            if package.to_string_lossy().contains("-dbg_") {
                unpack_vmlinux(&package, &place.path("debug"))?;
            } else {
                unpack_package(&package, &root)?;
            }
        }
        let vmlinux = kernel.vmlinux(place);
        if !vmlinux.exists() {
            bail!("expected {} in the kernel's debug package, found none", vmlinux.display());
        }
        Ok(())
    })
}

/// Unpacks a whole package.
pub(crate) fn unpack_package(package: &Path, root: &Path) -> Result<()> {
    output(command("dpkg-deb", ["--extract"]).args([package, root]))?;
    Ok(())
}

/// Unpacks only vmlinux: the debug information of all modules together is several gigabytes.
fn unpack_vmlinux(package: &Path, root: &Path) -> Result<()> {
    fresh_folder(root)?;
    let script =
        "dpkg-deb --fsys-tarfile \"$1\" | tar -x -C \"$2\" --wildcards './usr/lib/debug/boot/vmlinux-*'";
    output(command("sh", ["-c", script, "sh"]).args([package, root]))?;
    Ok(())
}

/// The packages in a folder, by name.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &str = "\
linux-headers-6.1.0-9-amd64 - Header files
linux-headers-6.1.0-56-amd64 - Header files
linux-headers-6.1.0-57-amd64 - Header files
linux-headers-6.12.100+deb12-amd64 - Header files
linux-image-6.1.0-9-amd64 - Linux 6.1 (signed)
linux-image-6.1.0-9-amd64-dbg - Debug symbols
linux-image-6.1.0-56-amd64 - Linux 6.1 (signed)
linux-image-6.1.0-56-amd64-dbg - Debug symbols
linux-image-6.1.0-56-rt-amd64 - Linux 6.1, PREEMPT_RT (signed)
linux-image-6.1.0-56-rt-amd64-dbg - Debug symbols
linux-image-6.1.0-57-amd64-dbg - Debug symbols
linux-image-6.1.0-58-amd64 - Linux 6.1 (signed)
linux-image-6.12.100+deb12-amd64 - Linux 6.12 (signed)
linux-image-6.12.100+deb12-amd64-dbg - Debug symbols
";

    #[test]
    fn the_newest_kernel_with_all_its_packages() {
        // 57 has no image yet, 58 no debug information; 9 is older than 56 although its text is greater.
        assert_eq!(newest(NAMES, "6.1").as_deref(), Some("6.1.0-56-amd64"));
        assert_eq!(newest(NAMES, "6.12").as_deref(), Some("6.12.100+deb12-amd64"));
        assert_eq!(newest(NAMES, "6"), newest(NAMES, "6.12"), "a series is whole numbers");
        assert_eq!(newest(NAMES, "5.10"), None);
    }

    #[test]
    fn the_series_of_the_release() {
        let depends = "linux-image-amd64\n  Depends: linux-image-6.1.0-56-amd64\n";
        assert_eq!(series(depends).as_deref(), Some("6.1"));
        assert_eq!(series("linux-image-amd64\n"), None);
    }

    #[test]
    fn no_compiler_comes_along() {
        let depends = "linux-headers-6.1.0-56-amd64\n  Depends: linux-headers-6.1.0-56-common\n  \
                       Depends: linux-kbuild-6.1\n  Depends: linux-compiler-gcc-12-x86\n";
        assert_eq!(build_dependencies(depends), ["linux-headers-6.1.0-56-common", "linux-kbuild-6.1"]);
    }
}
