//! The tracer's kernel modules, built from Debian's source with their debug information kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, bail};

use super::command::{command, last_lines, logged, output};
use super::packages::Kernel;
use super::place::{Place, fresh_folder};

/// The folder with the modules as built, DWARF included.
pub(crate) fn folder(place: &Place) -> PathBuf {
    place.path("modules")
}

/// Builds all modules but probes that do not know this kernel: a stable release now and then changes the prototype of a tracepoint
/// that the tracer's release is older than.
pub(crate) fn build(place: &mut Place, kernel: &Kernel) -> Result<()> {
    place.step("build lttng-modules", &kernel.packages, |place| {
        let root = Kernel::root(place);
        let sources = root.join("usr/src");
        let headers = sources.join(format!("linux-headers-{}", kernel.release));
        // As packaged, it names a folder of the running system.
        let common = find(&sources, |name| name.starts_with("linux-headers-") && name.ends_with("-common"))?;
        fs::write(headers.join("Makefile"), format!("include {}/Makefile\n", common.display()))
            .context("writing the Makefile of the headers")?;
        let build = place.path("lttng-modules");
        fresh_folder(&build)?;
        let source = find(&sources, |name| name.starts_with("lttng-modules-"))?;
        output(command("cp", ["-a"]).arg(source.join(".")).arg(&build))?;

        let log = place.path("lttng-modules.log");
        while !make(&headers, &build, &log)? {
            let text = fs::read_to_string(&log).with_context(|| format!("reading {}", log.display()))?;
            let failed = failed_probes(&text);
            if failed.is_empty() || !leave_out(&build.join("src/probes/Kbuild"), &failed)? {
                bail!("building the modules failed, see {}: {}", log.display(), last_lines(&text, 3));
            }
            eprintln!("e2e: left out, they do not know this kernel: {}", failed.join(", "));
        }
        let modules = folder(place);
        fresh_folder(&modules)?;
        let script = "find \"$1\" -name '*.ko' -exec cp {} \"$2\" \\;";
        output(command("sh", ["-c", script, "sh"]).args([&build, &modules]))?;
        if !modules.join("lttng-tracer.ko").exists() {
            bail!("expected lttng-tracer.ko among the modules, found none, see {}", log.display());
        }
        Ok(())
    })
}

fn make(headers: &Path, build: &Path, log: &Path) -> Result<bool> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    let mut make = command("make", ["--keep-going", &format!("--jobs={jobs}"), "-C"]);
    make.arg(headers).arg(format!("M={}", build.join("src").display()));
    make.args(["CONFIG_LTTNG=m", "CONFIG_LTTNG_CLOCK_PLUGIN_TEST=m", "modules"]);
    // Flags of an outer make or cargo are not for the kernel's.
    make.env_remove("MAKEFLAGS").env_remove("CARGO_MAKEFLAGS").env_remove("MFLAGS");
    logged(&mut make, log)
}

/// The object files of probes that did not compile.
fn failed_probes(log: &str) -> Vec<String> {
    let mut failed: Vec<String> = log
        .lines()
        .filter(|line| line.contains("***") && line.contains("Error "))
        .filter_map(|line| line.split_once("/probes/")?.1.split_once(".o]"))
        .map(|(name, _)| format!("{name}.o"))
        .collect();
    failed.sort();
    failed.dedup();
    failed
}

/// Removes the lines that name one of `objects`; returns whether there were any.
fn leave_out(kbuild: &Path, objects: &[String]) -> Result<bool> {
    let text = fs::read_to_string(kbuild).with_context(|| format!("reading {}", kbuild.display()))?;
    let named = |line: &&str| objects.iter().any(|object| line.split_whitespace().any(|word| word == object));
    let (out, kept): (Vec<&str>, Vec<&str>) = text.lines().partition(named);
    fs::write(kbuild, kept.join("\n") + "\n").with_context(|| format!("writing {}", kbuild.display()))?;
    Ok(!out.is_empty())
}

/// The one entry of a folder whose name fits.
fn find(folder: &Path, fits: impl Fn(&str) -> bool) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&fits))
        .with_context(|| format!("expected the headers and the tracer's source in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_that_failed() {
        let log = "  CC [M]  /b/src/probes/lttng-probe-sched.o\n\
                   make[2]: *** [/k/scripts/Makefile.build:255: /b/src/probes/lttng-probe-timer.o] Error 1\n\
                   make[1]: *** [/k/scripts/Makefile.build:508: /b/src/probes] Error 2\n";
        assert_eq!(failed_probes(log), ["lttng-probe-timer.o"]);
        assert!(failed_probes("make: *** [/b/src/lttng-events.o] Error 1\n").is_empty());
    }

    #[test]
    fn a_probe_is_left_out_once() {
        let file = std::env::temp_dir().join(format!("ltt-kdump-kbuild-{}", std::process::id()));
        fs::write(&file, "obj-m += a.o\nobj-m += lttng-probe-timer.o\nobj-m += b.o\n").unwrap();
        let objects = ["lttng-probe-timer.o".to_owned()];
        assert!(leave_out(&file, &objects).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "obj-m += a.o\nobj-m += b.o\n");
        assert!(!leave_out(&file, &objects).unwrap());
        fs::remove_file(&file).unwrap();
    }
}
