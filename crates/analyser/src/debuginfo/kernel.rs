//! Which file is the crashed kernel's.

use std::path::{Path, PathBuf};

use super::folder::{Folder, stem};
use super::{Search, found};
use crate::error::{Error, Result};
use crate::matching::hex;

/// What the core says of its kernel before anything is known of it.
#[derive(Debug, Default)]
pub(crate) struct CoreIdentity {
    pub(crate) build_id: Option<Vec<u8>>,
    pub(crate) release: Option<String>,
}

/// Whether any of the sources is the kernel's own.
pub(crate) fn has_kernel(types: &kdebug::Types, wanted: &kdebug::Wanted) -> bool {
    let of_kernel = |symbol: &kdebug::Symbol| symbol.module.is_none();
    types.sources().iter().any(|source| source.module.is_none() && source.kind != kdebug::SourceKind::Isf)
        || wanted.symbols.iter().any(|name| types.symbols(name).iter().any(of_kernel))
}

/// The kernel's file: named by its build-id, or named `vmlinux` and of its build-id; where either is unknown, by its release, or the
/// only one there is. That it is the right one is verified once it was found in memory.
pub(super) fn find(folders: &[Folder], core: &CoreIdentity, force: bool) -> Result<Search> {
    let expected = core.build_id.as_deref();
    let named = expected.into_iter().flat_map(|id| folders.iter().flat_map(|folder| folder.named_by(id)));
    let of_release = |path: &PathBuf| {
        core.release.as_deref().is_some_and(|release| !release.is_empty() && names_release(path, release))
    };
    // The likeliest first: a compressed one has to be decompressed before it tells who it is.
    let by_name = folders.iter().flat_map(|folder| folder.kernels.iter().cloned());
    let (of_this, of_others): (Vec<PathBuf>, Vec<PathBuf>) = by_name.partition(&of_release);
    let paths = named.chain(of_this).chain(of_others);
    let mut others = Vec::new();
    let mut unknown: Vec<(PathBuf, kdebug::Input, Option<Vec<u8>>)> = Vec::new();
    for path in paths {
        let Some(input) = found(&path) else { continue };
        let Ok(identity) = input.identity() else { continue };
        if identity.module.is_some() || !identity.has_types {
            continue;
        }
        match (expected, &identity.build_id) {
            (Some(expected), Some(id)) if id == expected => {
                return Ok(Search { inputs: vec![input], warnings: Vec::new() });
            }
            (Some(_), Some(id)) => others.push((path, input, hex(id))),
            // Packages offer the same file under several names.
            (_, Some(id)) if unknown.iter().any(|(_, _, known)| known.as_ref() == Some(id)) => {}
            _ => unknown.push((path, input, identity.build_id)),
        }
    }
    let exact = unknown.iter().position(|(path, _, _)| of_release(path));
    match (exact, unknown.len()) {
        (Some(at), _) => return Ok(Search { inputs: vec![unknown.swap_remove(at).1], warnings: Vec::new() }),
        (None, 1) => return Ok(Search { inputs: vec![unknown.swap_remove(0).1], warnings: Vec::new() }),
        _ => {}
    }
    let at = others.iter().position(|(path, _, _)| of_release(path)).unwrap_or(0);
    if force && at < others.len() {
        let (path, input, id) = others.swap_remove(at);
        let warning = format!("{}: is of another build, {id}, than the core's kernel", path.display());
        return Ok(Search { inputs: vec![input], warnings: vec![warning] });
    }
    let folders: Vec<String> = folders.iter().map(|folder| folder.path.display().to_string()).collect();
    let found = match (others.first(), unknown.first()) {
        (_, Some((path, _, _))) => format!("{} that may be, such as {}", unknown.len(), path.display()),
        (Some((path, _, id)), None) => format!("{} of build-id {id}", path.display()),
        (None, None) => "none with type information".to_owned(),
    };
    let expected = match (&core.build_id, &core.release) {
        (Some(id), _) => format!("build-id {}", hex(id)),
        (None, Some(release)) => format!("release {release}"),
        (None, None) => "unknown build".to_owned(),
    };
    Err(Error::NoKernelFile { folders: folders.join(", "), expected, found })
}

/// Whether a file is named after the release, `vmlinux-6.1.0`, or lies in a folder of that name, `/lib/modules/6.1.0`.
fn names_release(path: &Path, release: &str) -> bool {
    let is_release = |name: &str| name == release || stem(name).strip_prefix("vmlinux-") == Some(release);
    path.iter().any(|component| component.to_str().is_some_and(is_release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_release_is_another() {
        for (path, expected) in [
            ("/usr/lib/debug/boot/vmlinux-6.1.0-5", true),
            ("/usr/lib/debug/boot/vmlinux-6.1.0-5.debug.xz", true),
            ("/lib/modules/6.1.0-5/build/vmlinux", true),
            ("/usr/lib/debug/boot/vmlinux-6.1.0-56", false),
            ("/srv/vmlinux", false),
        ] {
            assert_eq!(names_release(Path::new(path), "6.1.0-5"), expected, "{path}");
        }
    }
}
