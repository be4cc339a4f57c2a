//! `cargo xtask layers`: data runs one way, and the leaf crates do not know each other.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::metadata::{list, load, text};

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
    ("liblzma", &["codec"]),
    ("clap", &["ltt-kdump"]),
    ("indicatif", &["ltt-kdump"]),
    ("signal-hook", &["ltt-kdump"]),
    ("anyhow", &["ltt-kdump", "xtask"]),
];

pub(crate) fn check() -> Result<()> {
    let metadata = load()?;
    let members: BTreeSet<&str> = list(&metadata, "workspace_members").filter_map(|id| id.as_str()).collect();
    let local: Vec<_> =
        list(&metadata, "packages").filter(|package| members.contains(text(package, "id"))).collect();
    let names: BTreeSet<&str> = local.iter().map(|package| text(package, "name")).collect();

    let mut wrong = Vec::new();
    for package in &local {
        let name = text(package, "name");
        let at_run_time = |dependency: &&Value| dependency.get("kind").is_none_or(Value::is_null);
        for dependency in list(package, "dependencies").filter(at_run_time) {
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
