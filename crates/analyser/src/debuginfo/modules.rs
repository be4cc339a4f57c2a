//! Which files are those of the modules that were loaded.

use std::collections::BTreeSet;
use std::path::Path;

use super::folder::Folder;
use super::{Search, found};
use crate::error::{Error, Result};
use crate::matching::hex;
use crate::modules::Module;

/// Files of the tracers' modules, at most one for each.
pub(super) fn find(folders: &[Folder], loaded: &[Module], types: &kdebug::Types, force: bool) -> Search {
    let holders = relaywalk::wanted();
    let mut search = Search::default();
    let mut refused: Vec<(&str, String)> = Vec::new();
    for module in loaded.iter().filter(|module| holders.has_module(&module.name)) {
        let is_named =
            types.sources().iter().any(|source| source.module.as_deref() == Some(module.name.as_str()));
        if is_named {
            continue;
        }
        let files = folders.iter().flat_map(|folder| folder.module(&module.name, module.build_id.as_deref()));
        let mut without_types = None;
        let mut other = None;
        let mut chosen = None;
        for path in files {
            let Some(input) = found(&path).map(|input| input.with_module(&module.name)) else { continue };
            let Ok(identity) = input.identity() else { continue };
            match contradiction(module, &identity, &path) {
                Some(text) if !force => {
                    other.get_or_insert(text);
                }
                contradiction if identity.has_types => {
                    other = contradiction;
                    chosen = Some(input);
                    break;
                }
                // The symbols are of use all the same.
                _ => without_types = without_types.or(Some(input)),
            }
        }
        let chosen = chosen.or(without_types);
        if let Some(text) = other.filter(|_| chosen.is_none() || force) {
            refused.push((&module.name, text));
        }
        search.inputs.extend(chosen);
    }
    if let Some((_, example)) = refused.first() {
        let names: Vec<&str> = refused.iter().map(|(name, _)| *name).collect();
        let what = if force { "taken although of another build" } else { "skipped, being of another build" };
        search.warnings.push(format!("files of modules {what}: {} ({example})", names.join(", ")));
    }
    search
}

/// Files of all the tracers' modules in the folders, one for each, those without type information left out.
///
/// Errors: several builds of one module.
pub(super) fn all(folders: &[Folder], types: &kdebug::Types) -> Result<Vec<kdebug::Input>> {
    let holders = relaywalk::wanted();
    let names: BTreeSet<&str> =
        folders.iter().flat_map(Folder::module_names).filter(|name| holders.has_module(name)).collect();
    let mut inputs = Vec::new();
    for name in names {
        if types.sources().iter().any(|source| source.module.as_deref() == Some(name)) {
            continue;
        }
        let mut chosen: Option<(kdebug::Input, kdebug::Identity)> = None;
        for path in folders.iter().flat_map(|folder| folder.module(name, None)) {
            let Some(input) = found(&path).map(|input| input.with_module(name)) else { continue };
            let Ok(identity) = input.identity() else { continue };
            if !identity.has_types {
                continue;
            }
            match &chosen {
                Some((first, known)) if known.build_id != identity.build_id => {
                    let (first, module) = (first.path.clone(), name.to_owned());
                    return Err(Error::SeveralBuilds { module, first, second: path });
                }
                Some(_) => {}
                None => chosen = Some((input, identity)),
            }
        }
        inputs.extend(chosen.map(|(input, _)| input));
    }
    Ok(inputs)
}

/// In which way a file cannot be that of the module; `None` also when one of both does not tell.
fn contradiction(module: &Module, identity: &kdebug::Identity, path: &Path) -> Option<String> {
    let (what, ours, theirs) = match (&module.build_id, &identity.build_id) {
        (Some(ours), Some(theirs)) => ("build-id", hex(ours), hex(theirs)),
        _ => ("source version", module.source_version.clone()?, identity.source_version.clone()?),
    };
    (ours != theirs).then(|| format!("{}: expected {what} {ours}, found {theirs}", path.display()))
}
