//! The folder everything lives in, and which steps are finished there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::run::workspace_root;

/// The folder `e2e` below cargo's target folder.
#[derive(Debug)]
pub(crate) struct Place {
    root: PathBuf,
    /// What was done in this run, and how long it took.
    pub(crate) stages: Vec<Stage>,
}

/// One step of a run.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) name: String,
    /// `None`: finished by an earlier run.
    pub(crate) took: Option<Duration>,
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace_root().join(dir),
        None => workspace_root().join("target"),
    }
}

impl Place {
    pub(crate) fn open() -> Result<Place> {
        let root = target().join("e2e");
        make_folder(&root.join("finished"))?;
        Ok(Place { root, stages: Vec::new() })
    }

    /// A file or folder in the place.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Does `work`, unless an earlier run finished the step with the same `key`: all that the step's result depends on.
    pub(crate) fn step(
        &mut self,
        name: &str,
        key: &str,
        work: impl FnOnce(&Place) -> Result<()>,
    ) -> Result<()> {
        let stamp = self.path("finished").join(name);
        if fs::read_to_string(&stamp).is_ok_and(|found| found == key) {
            self.stages.push(Stage { name: name.to_owned(), took: None });
            return Ok(());
        }
        remove(&stamp)?;
        self.timed(name, work)?;
        fs::write(&stamp, key).with_context(|| format!("writing {}", stamp.display()))
    }

    /// Does `work` and notes the time it takes.
    pub(crate) fn timed<T>(&mut self, name: &str, work: impl FnOnce(&Place) -> Result<T>) -> Result<T> {
        eprintln!("e2e: {name} …");
        let start = Instant::now();
        let result = work(self).with_context(|| format!("step {name:?}"))?;
        let took = start.elapsed();
        eprintln!("e2e: {name}: {:.1} s", took.as_secs_f64());
        self.stages.push(Stage { name: name.to_owned(), took: Some(took) });
        Ok(result)
    }

    /// Forgets that a step was finished.
    pub(crate) fn forget(&self, name: &str) -> Result<()> {
        remove(&self.path("finished").join(name))
    }
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("making the folder {}", path.display()))
}

/// Makes a folder that is empty, whatever was there before.
pub(crate) fn fresh_folder(path: &Path) -> Result<()> {
    remove(path)?;
    make_folder(path)
}

/// Removes a file or a folder with all that is in it, if it is there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let result = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_done_again_only_when_its_key_changes() {
        let root = std::env::temp_dir().join(format!("ltt-kdump-place-{}", std::process::id()));
        make_folder(&root.join("finished")).unwrap();
        let mut place = Place { root: root.clone(), stages: Vec::new() };
        let mut done = 0;
        for key in ["a", "a", "b"] {
            place
                .step("s", key, |_| {
                    done += 1;
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(done, 2);
        place.step("s", "c", |_| anyhow::bail!("no")).unwrap_err();
        place
            .step("s", "b", |_| {
                done += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(done, 3, "a failed step is not finished");
        remove(&root).unwrap();
    }
}
