//! What this crate needs of a kernel's debug information, and nothing else: a small file that stands in for hundreds of megabytes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use crate::debuginfo::Debuginfo;
use crate::error::{Error, Result};
use crate::{modules, wanted};

/// The layouts and symbols that finding traces takes, of one kernel and its modules.
#[derive(Clone, Debug)]
pub struct Profile {
    text: String,
    summary: ProfileSummary,
}

/// What a profile holds, as plain data for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProfileSummary {
    /// Build-id of the kernel, in hex; `None` also when no kernel is in the profile.
    pub build_id: Option<String>,
    /// The kernel's banner, `Linux version …`.
    pub banner: Option<String>,
    /// Where it comes from, one line a file.
    pub types: Vec<String>,
    /// Modules whose types or symbols it has.
    pub modules: Vec<String>,
    /// Structures, each definition counted.
    pub structs: usize,
    /// Symbols.
    pub symbols: usize,
    /// What is odd about the files.
    pub warnings: Vec<String>,
}

impl Profile {
    /// Reads debug information: files as [`OpenOptions::debuginfo`](crate::OpenOptions::debuginfo) takes them, and folders, in which
    /// the kernel's file and those of the tracers' modules are taken.
    ///
    /// Errors: a file that cannot be read or understood; several files that may be the kernel's or one module's in the folders, as no
    /// core tells which; none with anything of use.
    ///
    /// Cost: one pass over the debug information.
    pub fn read(debuginfo: &[PathBuf]) -> Result<Profile> {
        let mut debuginfo = Debuginfo::open(debuginfo)?;
        if debuginfo.is_empty() {
            return Err(Error::NoDebuginfo);
        }
        let wanted = wanted::wanted();
        let mut warnings = Vec::new();
        let types = debuginfo.load_all(&wanted, &mut warnings)?;
        Profile::of(types, &wanted, warnings)
    }

    fn of(mut types: kdebug::Types, wanted: &kdebug::Wanted, mut warnings: Vec<String>) -> Result<Profile> {
        for (name, members) in partial() {
            types.keep_members(name, &members);
        }
        types.keep_constants(&["linux_banner"]);
        warnings.extend(types.warnings().iter().cloned());
        let structs = wanted.structs.iter().map(|name| types.structs(name).len()).sum();
        let found: Vec<&kdebug::Symbol> =
            wanted.symbols.iter().flat_map(|name| types.symbols(name)).collect();
        if structs == 0 && found.is_empty() {
            return Err(Error::EmptyProfile);
        }
        if found.iter().all(|symbol| symbol.module.is_some()) {
            let text = "no symbol of the kernel itself is among it: name the kernel's own with another -d when a core is opened";
            warnings.push(text.to_owned());
        }
        let of_sources = types.sources().iter().filter_map(|source| source.module.clone());
        let of_symbols = found.iter().filter_map(|symbol| symbol.module.clone());
        let modules: BTreeSet<String> = of_sources.chain(of_symbols).collect();
        let banner = types.constant("linux_banner").map(|banner| {
            let end = banner.iter().position(|byte| *byte == 0).unwrap_or(banner.len());
            String::from_utf8_lossy(banner.get(..end).unwrap_or(banner)).trim_end().to_owned()
        });
        let summary = ProfileSummary {
            build_id: types.build_id().map(crate::matching::hex),
            banner,
            types: types.sources().iter().map(crate::kernel::type_file).collect(),
            modules: modules.into_iter().collect(),
            structs,
            symbols: found.len(),
            warnings,
        };
        let mut text = kdebug::isf::write(&types);
        text.push('\n');
        Ok(Profile { text, summary })
    }

    /// The file's content: JSON in the format ISF of Volatility 3.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.text
    }

    /// What it holds.
    #[must_use]
    pub fn summary(&self) -> &ProfileSummary {
        &self.summary
    }
}

/// Structures of which only some members are looked at.
fn partial() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut members = relaywalk::wanted().members;
    // Of what this crate looks at itself all is kept, but for the largest.
    let mut own = kdebug::Wanted::default();
    wanted::want(&mut own);
    members.retain(|name, _| !own.structs.iter().any(|own| own == name));
    members.insert("module", modules::MEMBERS.to_vec());
    members
}
