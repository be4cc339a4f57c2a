//! `cargo xtask layers`: data runs one way, and the leaf crates do not know each other.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::metadata::{load, packages, text};

/// What each crate of the workspace may depend on at run time (see `DESIGN.md`).
const ALLOWED: &[(&str, &[&str])] = &[
    ("codec", &[]),
    ("vmcore", &["codec"]),
    ("kdebug", &["codec"]),
    ("relaywalk", &[]),
    ("lttformat", &[]),
    ("analyser", &["vmcore", "kdebug", "relaywalk", "lttformat"]),
    ("extracter", &["analyser", "lttformat"]),
    ("ltt-kdump", &["analyser", "extracter"]),
    ("synth", &[]),
];

/// Third-party crates that stay inside one part of the workspace.
const CONFINED: &[(&str, &[&str])] = &[
    ("gimli", &["kdebug", "synth"]),
    ("object", &["vmcore", "kdebug", "synth"]),
    ("memmap2", &["vmcore"]),
    ("libdeflater", &["codec", "synth"]),
    ("zstd-safe", &["codec", "synth"]),
    ("snap", &["codec", "synth"]),
    ("lzallright", &["codec", "synth"]),
    ("clap", &["ltt-kdump"]),
    ("indicatif", &["ltt-kdump"]),
    ("anyhow", &["ltt-kdump", "xtask"]),
];

pub(crate) fn check() -> Result<()> {
    let metadata = load()?;
    let members: BTreeSet<&str> =
        metadata["workspace_members"].as_array().into_iter().flatten().filter_map(|id| id.as_str()).collect();
    let local: Vec<_> = packages(&metadata).filter(|package| members.contains(text(package, "id"))).collect();
    let names: BTreeSet<&str> = local.iter().map(|package| text(package, "name")).collect();

    let mut wrong = Vec::new();
    for package in &local {
        let name = text(package, "name");
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        for dependency in dependencies.filter(|dependency| dependency["kind"].is_null()) {
            let wanted = text(dependency, "name");
            if let Some((_, allowed)) = ALLOWED.iter().find(|(owner, _)| *owner == name)
                && names.contains(wanted)
                && !allowed.contains(&wanted)
            {
                wrong.push(format!("{name} must not depend on {wanted}"));
            }
            if let Some((_, owners)) = CONFINED.iter().find(|(confined, _)| *confined == wanted)
                && !owners.contains(&name)
                && name != "bench"
            {
                wrong.push(format!("{wanted} belongs to {owners:?}, not to {name}"));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("layers: {}", wrong.join("; "));
    }
    Ok(())
}
