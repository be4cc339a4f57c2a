//! An output that is one file, before and after it exists.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::disk::{Disk, Local};
use crate::error::{Error, LOOKING, Result, while_doing};

/// A name under which a file may be created: it is free, and the folder above exists.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// As the user wrote it, for messages.
    shown: PathBuf,
    parent: PathBuf,
    path: PathBuf,
}

impl NewFile {
    /// Looks at the output, changes nothing. Cheap, so worth asking before long work.
    ///
    /// Errors: something is there already, the folder above is missing, or the path does not end in a name.
    pub fn check(output: &Path) -> Result<NewFile> {
        let shown = output.to_path_buf();
        // `Path` does not tell `x/` from `x`, but a file cannot be named so.
        let is_folder = output.as_os_str().as_encoded_bytes().ends_with(b"/");
        let Some(name) = output.file_name().filter(|_| !is_folder) else {
            return Err(Error::FileUnnamed { path: shown });
        };
        match fs::symlink_metadata(output) {
            Ok(found) => {
                let found = if found.is_dir() { "a folder" } else { "a file" };
                return Err(Error::FileExists { path: shown, found });
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(while_doing("looking at", output)(error)),
        }
        let above = match output.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let parent = fs::canonicalize(above).map_err(while_doing(LOOKING, above))?;
        let path = parent.join(name);
        Ok(NewFile { shown, parent, path })
    }

    /// The output as the user wrote it.
    pub(crate) fn shown(&self) -> &Path {
        &self.shown
    }

    /// Creates the file with this content: whole, or not at all.
    ///
    /// Errors: it cannot be written; something has come to be under the name since the check, and stays.
    pub fn write(self, content: &[u8]) -> Result<()> {
        let stage = self.stage()?;
        let mut file = stage.file();
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(while_doing("writing", stage.destination.shown()))?;
        stage.publish()
    }

    /// An empty temporary file beside the output.
    pub(crate) fn stage(self) -> Result<StagedFile> {
        let file = tempfile::Builder::new()
            .prefix(".ltt-kdump-")
            .suffix(".partial")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(&self.parent)
            // tempfile's own text names the temporary file, which means nothing to the user.
            .map_err(|error| while_doing("creating a file in", &self.parent)(error.kind().into()))?;
        Ok(StagedFile { destination: self, file })
    }
}

/// The output while it is being written. Dropped before [`StagedFile::publish`], it is removed.
#[derive(Debug)]
pub(crate) struct StagedFile {
    destination: NewFile,
    file: NamedTempFile,
}

impl StagedFile {
    pub(crate) fn file(&self) -> &File {
        self.file.as_file()
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives the file its final name, in one step.
    pub(crate) fn publish(self) -> Result<()> {
        let NewFile { shown, parent, path } = self.destination;
        self.file.persist_noclobber(path).map_err(|failed| match failed.error.kind() {
            // Somebody was faster since the check.
            ErrorKind::AlreadyExists => Error::FileExists { path: shown.clone(), found: "a file" },
            _ => while_doing("giving the finished file its name", &shown)(failed.error),
        })?;
        Local
            .sync_directory(&parent)
            .map_err(while_doing("the output is complete, but syncing its name in", parent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &Path) -> String {
        NewFile::check(path).unwrap_err().to_string()
    }

    #[test]
    fn only_free_names_are_taken() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        fs::write(path("there"), "x").unwrap();
        std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
        assert!(NewFile::check(&path("new")).is_ok());
        assert!(refusal(&path("there")).ends_with("found a file"));
        assert!(refusal(&path("link")).ends_with("found a file"));
        assert!(refusal(scratch.path()).ends_with("found a folder"));
        assert!(refusal(&path("new/")).contains("expected the name of a file"));
        assert!(refusal(Path::new("")).contains("expected the name of a file"));
        assert!(refusal(&path("no/new")).contains("looking for the folder"));
    }

    #[test]
    fn content_is_written_whole() {
        let scratch = tempfile::tempdir().unwrap();
        let output = scratch.path().join("out");
        NewFile::check(&output).unwrap().write(b"content").unwrap();
        assert_eq!(fs::read(&output).unwrap(), b"content");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_published_is_gone() {
        let scratch = tempfile::tempdir().unwrap();
        let output = scratch.path().join("out");
        let stage = NewFile::check(&output).unwrap().stage().unwrap();
        stage.file().write_all(b"half").unwrap();
        assert_eq!(fs::read(stage.path()).unwrap(), b"half");
        drop(stage);
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_late_rival_is_not_overwritten() {
        let scratch = tempfile::tempdir().unwrap();
        let output = scratch.path().join("out");
        let publish = || {
            let stage = NewFile::check(&output).unwrap().stage().unwrap();
            stage.file().write_all(b"ours").unwrap();
            (stage.path().to_path_buf(), stage)
        };
        let (_, stage) = publish();
        fs::write(&output, "theirs").unwrap();
        assert!(stage.publish().unwrap_err().to_string().ends_with("found a file"));
        assert_eq!(fs::read(&output).unwrap(), b"theirs");
        fs::remove_file(&output).unwrap();
        let (_, stage) = publish();
        stage.publish().unwrap();
        assert_eq!(fs::read(&output).unwrap(), b"ours");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
