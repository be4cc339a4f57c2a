//! A folder with debug files in it, however deep: `/usr/lib/debug`, `/lib/modules/RELEASE`, or just a pile of files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::matching::hex;

/// `/usr/lib/debug/lib/modules/RELEASE/kernel/drivers/…` is less than that.
const MAX_DEPTH: usize = 16;
/// Entries looked at; `/usr` of a large installation has about that many.
const MAX_ENTRIES: usize = 500_000;
/// What names of modules and kernels may end in, in any combination.
const SUFFIXES: [&str; 4] = [".debug", ".xz", ".zst", ".gz"];

/// Names of the files below a folder that may be of use.
///
/// Links to folders are not followed: they lead in circles and out of the folder. A link to a file counts as one, that is how packages
/// offer a file under a second name.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Files of modules by the name that the kernel has for them.
    modules: BTreeMap<String, Vec<PathBuf>>,
    /// Files named like the kernel's.
    pub(super) kernels: Vec<PathBuf>,
    /// Folders with files named by build-id.
    by_build_id: Vec<PathBuf>,
    pub(super) warnings: Vec<String>,
}

impl Folder {
    /// Lists the folder and all below it.
    ///
    /// Errors: the folder itself cannot be listed; nothing in it looks like a debug file. What below it cannot be is left out, with a warning.
    pub(super) fn read(path: &Path) -> Result<Folder> {
        let mut folder = Folder { path: path.to_path_buf(), ..Folder::default() };
        let error = |source| Error::Read { path: path.to_path_buf(), source };
        let mut waiting = vec![(path.to_path_buf(), 0)];
        fs::read_dir(path).map_err(error)?;
        let (mut left, mut unreadable, mut too_deep) = (MAX_ENTRIES, 0, 0);
        while let Some((at, depth)) = waiting.pop() {
            if at.file_name() == Some(OsStr::new(".build-id")) {
                folder.by_build_id.push(at);
                continue;
            }
            let Ok(entries) = fs::read_dir(&at) else {
                unreadable += 1;
                continue;
            };
            for entry in entries.take(left) {
                left -= 1;
                let Ok(entry) = entry else { continue };
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => waiting.push((entry.path(), depth + 1)),
                    Ok(kind) if kind.is_dir() => too_deep += 1,
                    Ok(_) => folder.add(&entry.path()),
                    Err(_) => {}
                }
            }
        }
        if folder.kernels.is_empty() && folder.modules.is_empty() && folder.by_build_id.is_empty() {
            return Err(Error::NoDebugFiles { path: path.to_path_buf() });
        }
        // The order of a file system is nobody's.
        folder.kernels.sort();
        folder.by_build_id.sort();
        folder.modules.values_mut().for_each(|files| files.sort());
        let shown = path.display();
        if left == 0 {
            folder
                .warnings
                .push(format!("{shown}: has more than {MAX_ENTRIES} entries, the rest was not searched"));
        }
        if unreadable + too_deep > 0 {
            let count = unreadable + too_deep;
            folder.warnings.push(format!("{shown}: {count} folders below it could not be searched"));
        }
        Ok(folder)
    }

    fn add(&mut self, path: &Path) {
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { return };
        if let Some(module) = module_name(name) {
            self.modules.entry(module).or_default().push(path.to_path_buf());
        } else if is_kernel(name) {
            self.kernels.push(path.to_path_buf());
        }
    }

    /// Files that may be this module's, those with debug information first as far as names tell.
    pub(super) fn module(&self, name: &str, build_id: Option<&[u8]>) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = build_id.into_iter().flat_map(|id| self.named_by(id)).collect();
        let by_name = self.modules.get(name).into_iter().flatten();
        let (debug, plain): (Vec<_>, Vec<_>) =
            by_name.cloned().partition(|path| path.to_string_lossy().contains(".debug"));
        files.extend(debug);
        files.extend(plain);
        files
    }

    /// Names of the modules that there are files of.
    pub(super) fn module_names(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// Files named by this build-id.
    pub(super) fn named_by(&self, build_id: &[u8]) -> Vec<PathBuf> {
        let Some((first, rest)) = build_id.split_first() else { return Vec::new() };
        let name = format!("{:02x}/{}.debug", first, hex(rest));
        self.by_build_id.iter().map(|folder| folder.join(&name)).filter(|path| path.is_file()).collect()
    }
}

/// Without the suffixes of compression and debug files.
pub(super) fn stem(mut name: &str) -> &str {
    while let Some(shorter) = SUFFIXES.iter().find_map(|suffix| name.strip_suffix(suffix)) {
        name = shorter;
    }
    name
}

/// `lttng-tracer.ko.xz` → `lttng_tracer`.
fn module_name(name: &str) -> Option<String> {
    let module = stem(name).strip_suffix(".ko")?;
    (!module.is_empty()).then(|| module.replace('-', "_"))
}

/// `vmlinux`, `vmlinux.debug`, `vmlinux-6.1.0.xz`; not `vmlinux.lds` and other by-products of building one.
fn is_kernel(name: &str) -> bool {
    stem(name).strip_prefix("vmlinux").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

    use super::*;

    #[test]
    fn names_tell_what_a_file_may_be() {
        for (name, module, kernel) in [
            ("lttng-tracer.ko", Some("lttng_tracer"), false),
            ("lttng-tracer.ko.debug", Some("lttng_tracer"), false),
            ("ltt_relay.ko.debug.xz", Some("ltt_relay"), false),
            ("a.ko.zst.debug", Some("a"), false),
            (".ko", None, false),
            ("a.ko.bak", None, false),
            ("a.kol", None, false),
            ("vmlinux", None, true),
            ("vmlinux.debug", None, true),
            ("vmlinux-6.1.0-56-amd64", None, true),
            ("vmlinux-6.1.0.debug.zst", None, true),
            ("vmlinux.lds", None, false),
            ("vmlinuz-6.1.0", None, false),
            ("vmlinux_old", None, false),
        ] {
            assert_eq!(module_name(name).as_deref(), module, "{name}");
            assert_eq!(is_kernel(name), kernel, "{name}");
        }
    }

    #[test]
    fn folders_are_searched_to_their_end_but_links_are_no_folders() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for folder in ["lib/modules/6.1/updates/dkms", ".build-id/ab", "elsewhere"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for file in [
            "lib/modules/6.1/updates/dkms/ltt-core.ko.xz",
            "ltt_core.ko.debug",
            "lib/vmlinux",
            ".build-id/ab/cd.debug",
        ] {
            fs::write(at(file), "").unwrap();
        }
        std::os::unix::fs::symlink(root.path(), at("lib/circle")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("elsewhere/ltt-core.ko")).unwrap();
        let folder = Folder::read(root.path()).unwrap();
        assert_eq!(folder.kernels, [at("lib/vmlinux")]);
        assert_eq!(folder.warnings, [] as [&str; 0]);
        let found = folder.module("ltt_core", Some(&[0xab, 0xcd]));
        let expected = [
            ".build-id/ab/cd.debug",
            "ltt_core.ko.debug",
            "elsewhere/ltt-core.ko",
            "lib/modules/6.1/updates/dkms/ltt-core.ko.xz",
        ];
        assert_eq!(found, expected.map(at));
        assert!(super::super::found(&at("elsewhere/ltt-core.ko")).is_none(), "leads nowhere");
        assert!(folder.named_by(&[0xab]).is_empty() && folder.named_by(&[]).is_empty());
        assert!(Folder::read(&at("missing")).is_err());
    }

    #[test]
    fn what_is_too_deep_is_said() {
        let root = tempfile::tempdir().unwrap();
        let deep = (0..MAX_DEPTH + 3).fold(root.path().to_path_buf(), |path, _| path.join("d"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("vmlinux"), "").unwrap();
        assert!(matches!(Folder::read(root.path()), Err(Error::NoDebugFiles { .. })));
        fs::write(root.path().join("a.ko"), "").unwrap();
        let folder = Folder::read(root.path()).unwrap();
        assert!(folder.kernels.is_empty());
        assert_eq!(folder.warnings.len(), 1, "{:?}", folder.warnings);
    }
}
