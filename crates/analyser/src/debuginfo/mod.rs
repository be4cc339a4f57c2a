//! Type information as the user names it: files, and folders to search for the kernel's and its modules' files.
//!
//! What a folder is searched for only the core can tell, step by step: its build-id and release choose the kernel's file, the kernel's
//! types lead to the modules that were loaded, and their build-ids choose the modules' files.

mod folder;
mod kernel;
mod modules;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use folder::Folder;

pub(crate) use kernel::{CoreIdentity, has_kernel};

use crate::error::{Error, Result};
use crate::input::readable;
use crate::modules::Module;

/// Content of a compressed file. Debug information of a kernel with everything built in stays below it.
const MAX_CONTENT: usize = if usize::BITS >= 64 { 4 << 30 } else { 1 << 30 };

/// Files that were named or found, and folders to find more in.
#[derive(Debug, Default)]
pub(crate) struct Debuginfo {
    files: Vec<kdebug::Input>,
    folders: Vec<Folder>,
}

/// What a search found, in the words of a report.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) inputs: Vec<kdebug::Input>,
    pub(crate) warnings: Vec<String>,
}

impl Debuginfo {
    /// Opens the files and lists the folders.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Debuginfo> {
        let mut debuginfo = Debuginfo::default();
        for path in paths {
            if path.is_dir() {
                debuginfo.folders.push(Folder::read(path)?);
            } else {
                debuginfo.files.push(input(path)?);
            }
        }
        Ok(debuginfo)
    }

    /// Files that are open already.
    pub(crate) fn of(files: Vec<kdebug::Input>) -> Debuginfo {
        Debuginfo { files, folders: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty()
    }

    /// Every input so far, the kernel's first if it was searched for.
    pub(crate) fn inputs(&self) -> &[kdebug::Input] {
        &self.files
    }

    /// Reads the types of all files; where none of them is the kernel's, that is searched for first.
    ///
    /// Errors: a file that cannot be understood; no kernel among the files, and none in the folders that matches.
    pub(crate) fn load(
        &mut self,
        core: &CoreIdentity,
        wanted: &kdebug::Wanted,
        force: bool,
        warnings: &mut Vec<String>,
    ) -> Result<kdebug::Types> {
        for folder in &self.folders {
            warnings.extend(folder.warnings.iter().cloned());
        }
        let types = kdebug::Types::load(self.files.clone(), wanted).map_err(Error::Types)?;
        if self.folders.is_empty() || kernel::has_kernel(&types, wanted) {
            return Ok(types);
        }
        let found = kernel::find(&self.folders, core, force)?;
        warnings.extend(found.warnings);
        self.files.splice(0..0, found.inputs);
        kdebug::Types::load(self.files.clone(), wanted).map_err(Error::Types)
    }

    /// Reads the types of all files, and of all that the folders have of one kernel, for want of a core that would tell what is needed.
    ///
    /// Errors: as [`Debuginfo::load`], but a kernel need not be there; several builds of one module.
    pub(crate) fn load_all(
        &mut self,
        wanted: &kdebug::Wanted,
        warnings: &mut Vec<String>,
    ) -> Result<kdebug::Types> {
        for folder in &self.folders {
            warnings.extend(folder.warnings.iter().cloned());
        }
        let mut types = kdebug::Types::load(self.files.clone(), wanted).map_err(Error::Types)?;
        let may_have_kernel = self.folders.iter().any(|folder| !folder.kernels.is_empty());
        if may_have_kernel && !kernel::has_kernel(&types, wanted) {
            let found = kernel::find(&self.folders, &CoreIdentity::default(), false)?;
            self.files.splice(0..0, found.inputs);
            types = kdebug::Types::load(self.files.clone(), wanted).map_err(Error::Types)?;
        }
        let modules = modules::all(&self.folders, &types)?;
        types.extend(&modules, &self.files, wanted).map_err(Error::Types)?;
        Ok(types)
    }

    /// Files of loaded modules, as far as the folders have them and no file was named for them.
    pub(crate) fn modules(&self, loaded: &[Module], types: &kdebug::Types, force: bool) -> Search {
        if self.folders.is_empty() {
            return Search::default();
        }
        modules::find(&self.folders, loaded, types, force)
    }
}

/// Opens one file, decompressed if it is compressed.
fn input(path: &Path) -> Result<kdebug::Input> {
    readable(path)?;
    let mapping = vmcore::bytes::Mapping::open(path)
        .map_err(|source| Error::Read { path: path.to_path_buf(), source })?;
    kdebug::Input::new(path, Arc::new(mapping)).decompressed(MAX_CONTENT).map_err(Error::Types)
}

/// As [`input`], for a file that was found: anything but a regular file would have to be waited for.
fn found(path: &Path) -> Option<kdebug::Input> {
    path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    input(path).ok()
}
