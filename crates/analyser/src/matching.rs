//! Do core and type information come from the same kernel?
//!
//! Evidence, best first: the banner in memory, the build-id in memory, that in VMCOREINFO, the release in VMCOREINFO. Some kernels
//! write a garbage build-id into VMCOREINFO (6.11.3–9 and stable branches of that time), so it counts only when the kernel's own
//! notes are not in the core, and when no banner speaks for the pair: separate debug files have none.

use crate::error::{Error, Result};
use crate::modules::Module;

/// What the core says of its kernel.
#[derive(Debug, Default)]
pub(crate) struct CoreSide {
    pub(crate) build_id: Option<Vec<u8>>,
    pub(crate) release: Option<String>,
    /// Content of `linux_banner` in the core's memory, as long as the one in the type information.
    pub(crate) banner: Option<Vec<u8>>,
}

/// What the type information says of its kernel.
#[derive(Debug, Default)]
pub(crate) struct TypesSide {
    pub(crate) build_id: Option<Vec<u8>>,
    /// Content of `linux_banner`.
    pub(crate) banner: Option<Vec<u8>>,
}

/// Compares what both sides know; silence on one side is no contradiction.
pub(crate) fn check(core: &CoreSide, types: &TypesSide) -> Result<()> {
    if let (Some(ours), Some(theirs)) = (&core.banner, &types.banner) {
        if trimmed(ours) == trimmed(theirs) {
            return Ok(());
        }
        return Err(Error::Mismatch {
            what: "linux_banner",
            core: printable(ours),
            types: printable(theirs),
        });
    }
    if let (Some(ours), Some(theirs)) = (&core.build_id, &types.build_id)
        && ours != theirs
    {
        return Err(Error::Mismatch { what: "build-id", core: hex(ours), types: hex(theirs) });
    }
    check_release(core, types)
}

/// The part of [`check`] that can be done before the kernel was found in memory.
pub(crate) fn check_release(core: &CoreSide, types: &TypesSide) -> Result<()> {
    if let (Some(ours), Some(theirs)) = (&core.release, types.banner.as_deref().and_then(banner_release))
        && *ours != theirs
    {
        return Err(Error::Mismatch { what: "release", core: ours.clone(), types: theirs });
    }
    Ok(())
}

/// Modules whose type information is of another build than what was loaded, in one line; `None` if there is none. Their structures
/// may well be the same, so that this is no error.
pub(crate) fn check_modules(loaded: &[Module], types: &kdebug::Types) -> Option<String> {
    let mut names = Vec::new();
    let mut example = None;
    for (name, theirs) in types.module_build_ids() {
        let module = loaded.iter().find(|module| relaywalk::same_unit(&module.name, name));
        let Some(ours) = module.and_then(|module| module.build_id.as_deref()) else { continue };
        if ours != theirs {
            names.push(name);
            example.get_or_insert_with(|| {
                format!("build-id {} in the core, {} in the type information", hex(ours), hex(theirs))
            });
        }
    }
    Some(format!(
        "type information of modules is of another build than what was loaded: {} ({})",
        names.join(", "),
        example?
    ))
}

/// The release in `Linux version 2.6.27 (…`.
fn banner_release(banner: &[u8]) -> Option<String> {
    let rest = banner.strip_prefix(b"Linux version ")?;
    let release = rest.split(|byte| *byte == b' ').next()?;
    Some(String::from_utf8_lossy(release).into_owned())
}

fn trimmed(banner: &[u8]) -> &[u8] {
    let end = banner.iter().position(|byte| *byte == 0).unwrap_or(banner.len());
    banner.get(..end).unwrap_or(banner).trim_ascii_end()
}

fn printable(banner: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(trimmed(banner)))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BANNER: &[u8] = b"Linux version 2.6.27 (root@vm) #1 SMP\n\0";

    fn types() -> TypesSide {
        TypesSide { build_id: Some(vec![1, 2]), banner: Some(BANNER.to_vec()) }
    }

    #[test]
    fn the_banner_decides() {
        let core = CoreSide { banner: Some(BANNER.to_vec()), build_id: Some(vec![9]), release: None };
        assert!(check(&core, &types()).is_ok(), "garbage build-ids exist");
        let other = CoreSide { banner: Some(b"Linux version 2.6.28 (x)".to_vec()), ..core };
        assert!(matches!(check(&other, &types()), Err(Error::Mismatch { what: "linux_banner", .. })));
    }

    #[test]
    fn without_a_banner_in_memory() {
        let core = |id: u8, release: &str| CoreSide {
            banner: None,
            build_id: Some(vec![1, id]),
            release: Some(release.to_owned()),
        };
        assert!(check(&core(2, "2.6.27"), &types()).is_ok());
        assert!(matches!(check(&core(3, "2.6.27"), &types()), Err(Error::Mismatch { what: "build-id", .. })));
        assert!(matches!(check(&core(2, "2.6.28"), &types()), Err(Error::Mismatch { what: "release", .. })));
        assert!(check(&CoreSide::default(), &TypesSide::default()).is_ok());
    }
}
