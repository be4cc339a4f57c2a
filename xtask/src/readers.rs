//! The programs of others that tests compare with: babeltrace 2.
//!
//! On Debian and its like a missing one is installed, or without the rights for that unpacked into `target/tools`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::run;

const PACKAGE: &str = "babeltrace2";

/// What it consists of besides.
const LIBRARY: &str = "libbabeltrace2-0";

/// Variables with which the programs are found.
pub(crate) type Environment = Vec<(&'static str, OsString)>;

/// As [`run::cargo`], for what starts the programs.
pub(crate) fn cargo(args: &[&str], environment: &Environment) -> Result<()> {
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
    run::cargo(args, &environment)
}

/// Finds babeltrace 2, or makes it available.
///
/// Errors: why that is not possible, on one line.
pub(crate) fn find() -> Result<Environment> {
    if runs(&Environment::new()) {
        return Ok(Environment::new());
    }
    let tools = run::workspace_root().join("target/tools");
    let unpacked = environment(&tools);
    if runs(&unpacked) {
        return Ok(unpacked);
    }
    if !succeeds(Command::new("apt-get").arg("--version")) {
        bail!("babeltrace2 is not installed, and there is no apt-get to install it");
    }
    if is_root() {
        install()?;
    } else {
        unpack(&tools)?;
    }
    let found = [Environment::new(), environment(&tools)].into_iter().find(runs);
    found.context("babeltrace2 was installed, but does not run")
}

fn runs(environment: &Environment) -> bool {
    // A search path that is set for the child is not where the standard library looks for the program.
    let mut command = Command::new("sh");
    command.args(["-c", "babeltrace2 --version"]).envs(environment.iter().cloned());
    succeeds(&mut command)
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether this process has root's rights.
pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn install() -> Result<()> {
    eprintln!("xtask: installing {PACKAGE}");
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "--no-install-recommends", PACKAGE])
        .env("DEBIAN_FRONTEND", "noninteractive");
    if succeeds(&mut install) {
        return Ok(());
    }
    // The lists of packages may be old, or not there at all.
    command(Command::new("apt-get").arg("update"))?;
    command(&mut install)
}

/// Unpacks the package and what it needs and the system does not have, with lists of packages of its own.
fn unpack(tools: &Path) -> Result<()> {
    eprintln!("xtask: unpacking {PACKAGE} into {}", tools.display());
    let apt = tools.join("apt");
    for folder in ["lists/partial", "cache/archives/partial"] {
        std::fs::create_dir_all(apt.join(folder)).with_context(|| format!("making {}", apt.display()))?;
    }
    let apt_get = || {
        let mut command = Command::new("apt-get");
        command.arg("-o").arg(format!("Dir::State::lists={}", apt.join("lists").display()));
        command.arg("-o").arg(format!("Dir::Cache={}", apt.join("cache").display()));
        command.args(["-o", "Debug::NoLocking=1"]).current_dir(&apt);
        command
    };
    command(apt_get().arg("update"))?;
    let plan = apt_get().args(["install", "--simulate", "--no-install-recommends", PACKAGE]).output()?;
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    // `Inst libbabeltrace2-0 (2.0.4-2 Debian:12/stable [amd64])`
    let mut packages: Vec<&str> =
        plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next()).collect();
    if packages.is_empty() {
        // Where other packages are broken no plan is made; what else it needs is on most machines.
        packages = vec![PACKAGE, LIBRARY];
    }
    command(apt_get().arg("download").args(packages))?;
    for file in std::fs::read_dir(&apt)? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            command(Command::new("dpkg").arg("-x").arg(&path).arg(tools))?;
        }
    }
    Ok(())
}

/// Runs a command that says nothing unless it fails.
fn command(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting {shown}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("{shown} failed: {}", error.lines().last().unwrap_or_default());
    }
    Ok(())
}

/// The variables for what is unpacked there.
fn environment(tools: &Path) -> Environment {
    let libraries: Vec<PathBuf> = ["usr/lib", "lib"]
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(tools.join(folder)).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .collect();
    let plugins =
        libraries.iter().map(|folder| folder.join("babeltrace2/plugins")).filter(|folder| folder.is_dir());
    vec![
        ("PATH", before("PATH", [tools.join("usr/bin")])),
        ("BABELTRACE_PLUGIN_PATH", before("BABELTRACE_PLUGIN_PATH", plugins)),
        ("LD_LIBRARY_PATH", before("LD_LIBRARY_PATH", libraries)),
    ]
}

/// Paths, and behind them those that the variable holds already.
fn before(variable: &str, paths: impl IntoIterator<Item = PathBuf>) -> OsString {
    let known = std::env::var_os(variable).unwrap_or_default();
    let known = std::env::split_paths(&known).filter(|path| !path.as_os_str().is_empty());
    std::env::join_paths(paths.into_iter().chain(known)).unwrap_or_default()
}
