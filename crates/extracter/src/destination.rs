//! The output directory, before and after it exists.

use std::env;
use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::disk::Disk;
use crate::error::{Error, LOOKING, Result, while_doing};

/// A name under which a directory may be created: it is free, or an empty directory, and the folder above exists.
#[derive(Debug, Clone)]
pub struct Destination {
    /// As the user wrote it, for messages.
    shown: PathBuf,
    parent: PathBuf,
    path: PathBuf,
    /// The mode of the empty directory that will be replaced.
    replaces: Option<Permissions>,
}

impl Destination {
    /// Looks at the output, changes nothing. Cheap, so worth asking before a core is opened.
    ///
    /// Errors: something is there already, the folder above is missing, or the path does not end in a name.
    pub fn check(output: &Path) -> Result<Destination> {
        let shown = output.to_path_buf();
        if output.as_os_str().is_empty() {
            return Err(Error::OutputUnnamed { path: shown });
        }
        match fs::symlink_metadata(output) {
            Ok(_) => Destination::existing(shown),
            Err(error) if error.kind() == ErrorKind::NotFound => Destination::new(shown),
            Err(error) => Err(while_doing("looking at", output)(error)),
        }
    }

    fn new(shown: PathBuf) -> Result<Destination> {
        let Some(name) = shown.file_name() else { return Err(Error::OutputUnnamed { path: shown }) };
        let above = match shown.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let parent = fs::canonicalize(above).map_err(while_doing(LOOKING, above))?;
        if !parent.is_dir() {
            return Err(while_doing(LOOKING, above)(ErrorKind::NotADirectory.into()));
        }
        let path = parent.join(name);
        Ok(Destination { shown, parent, path, replaces: None })
    }

    fn existing(shown: PathBuf) -> Result<Destination> {
        // A link is followed to its end: the directory is replaced there, not the link.
        let Ok(path) = fs::canonicalize(&shown) else {
            return Err(Error::OutputExists { path: shown, found: "a dangling link" });
        };
        let metadata = fs::metadata(&path).map_err(while_doing("looking at", &shown))?;
        if !metadata.is_dir() {
            return Err(Error::OutputExists { path: shown, found: "a file" });
        }
        let mut entries = fs::read_dir(&path).map_err(while_doing("looking into", &shown))?;
        if entries.next().is_some() {
            return Err(Error::OutputExists { path: shown, found: "a folder that is not empty" });
        }
        // A shell that stands in it would go on to see the old, empty directory.
        if env::current_dir().and_then(fs::canonicalize).is_ok_and(|current| current == path) {
            return Err(Error::OutputIsCurrent { path: shown });
        }
        let Some(parent) = path.parent() else { return Err(Error::OutputUnnamed { path: shown }) };
        // The system would refuse it too, but only once everything is written.
        if fs::metadata(parent).is_ok_and(|above| above.dev() != metadata.dev()) {
            return Err(Error::OutputIsMount { path: shown });
        }
        Ok(Destination { parent: parent.to_path_buf(), replaces: Some(metadata.permissions()), shown, path })
    }

    /// The output as the user wrote it.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// Whether it lies in a directory, at any depth. The directory's path must be canonical.
    pub(crate) fn is_inside(&self, directory: &Path) -> bool {
        self.path.starts_with(directory)
    }

    /// An empty temporary directory beside the output, on the same file system.
    pub(crate) fn stage(&self) -> Result<Stage<'_>> {
        let mode = self.replaces.clone().unwrap_or_else(|| Permissions::from_mode(0o777));
        let directory = tempfile::Builder::new()
            .prefix(".ltt-kdump-")
            .suffix(".partial")
            .permissions(mode)
            .tempdir_in(&self.parent)
            // tempfile's own text names the temporary directory, which means nothing to the user.
            .map_err(|error| while_doing("creating a folder in", &self.parent)(error.kind().into()))?;
        Ok(Stage { destination: self, directory })
    }
}

/// The output while it is being written. Dropped before [`Stage::publish`], it takes everything with it.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    destination: &'a Destination,
    directory: TempDir,
}

impl Stage<'_> {
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Gives the directory its final name, in one step.
    pub(crate) fn publish(self, disk: &dyn Disk) -> Result<()> {
        let Destination { shown, parent, path, .. } = self.destination;
        disk.rename(self.directory.path(), path).map_err(|source| match source.kind() {
            // Somebody was faster since the check.
            ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => {
                Error::OutputExists { path: shown.clone(), found: "a folder that is not empty" }
            }
            ErrorKind::NotADirectory => Error::OutputExists { path: shown.clone(), found: "a file" },
            _ => while_doing("renaming the finished folder to", shown)(source),
        })?;
        let _ = self.directory.keep(); // it has left this name already; nothing is to be removed
        disk.sync_directory(parent)
            .map_err(while_doing("the output is complete, but syncing its name in", parent))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn refusal(path: &Path) -> String {
        Destination::check(path).unwrap_err().to_string()
    }

    #[test]
    fn free_names_and_empty_directories_are_taken() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("new");
        assert!(Destination::check(&path).unwrap().replaces.is_none());
        assert!(Destination::check(&scratch.path().join("new/")).is_ok());
        fs::create_dir(&path).unwrap();
        assert!(Destination::check(&path).unwrap().replaces.is_some());
        let link = scratch.path().join("link");
        symlink(&path, &link).unwrap();
        assert_eq!(Destination::check(&link).unwrap().path, fs::canonicalize(&path).unwrap());
    }

    #[test]
    fn everything_else_is_refused_in_one_line() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("file"), "x").unwrap();
        fs::create_dir(at("full")).unwrap();
        fs::write(at("full/x"), "x").unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        assert!(refusal(&at("file")).ends_with("found a file"));
        assert!(refusal(&at("full")).ends_with("found a folder that is not empty"));
        assert!(refusal(&at("dangling")).ends_with("found a dangling link"));
        assert!(refusal(&at("missing/new")).ends_with("missing"));
        assert!(refusal(Path::new("")).contains("expected the name of a folder"));
        assert!(refusal(Path::new("/")).contains("found a folder that is not empty"));
        assert!(Destination::check(&at("file/new")).is_err());
        let missing = Destination::check(&at("missing/new")).unwrap_err();
        assert_eq!(missing.hint().unwrap(), "create the folder above the output first");
    }

    #[test]
    fn a_stage_cleans_up_after_itself() {
        let scratch = tempfile::tempdir().unwrap();
        let destination = Destination::check(&scratch.path().join("out")).unwrap();
        let stage = destination.stage().unwrap();
        fs::write(stage.path().join("x"), "x").unwrap();
        drop(stage);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_late_rival_is_not_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("out");
        for (make, found) in [
            ((|out| fs::write(out, "x").unwrap()) as fn(&Path), "a file"),
            (|out| fs::create_dir_all(out.join("x")).unwrap(), "a folder that is not empty"),
        ] {
            let destination = Destination::check(&out).unwrap();
            let stage = destination.stage().unwrap();
            make(&out);
            let error = stage.publish(&crate::disk::Local).unwrap_err();
            assert!(error.to_string().ends_with(found), "{error}");
            assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "only what the rival made");
            let _ = fs::remove_file(&out);
        }
    }
}
