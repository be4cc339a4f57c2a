//! `cargo xtask licences`: every dependency must offer a permissive licence.

use anyhow::{Result, bail};

use crate::metadata::{list, load, text};

/// Licences that a binary of ours may be built from.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

pub(crate) fn check() -> Result<()> {
    let metadata = load()?;
    let wrong: Vec<String> = list(&metadata, "packages")
        .filter(|package| !permissive(text(package, "license")))
        .map(|package| format!("{} ({:?})", text(package, "name"), text(package, "license")))
        .collect();
    if !wrong.is_empty() {
        bail!("licences that are not permissive, or not understood: {}", wrong.join(", "));
    }
    Ok(())
}

/// Whether an SPDX expression can be met with permissive licences alone.
///
/// Handles what the registry's manifests hold: `A OR B`, the old `A/B`, `A AND B`, one level of parentheses.
fn permissive(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    expression.split(" AND ").all(|all| {
        all.split(" OR ")
            .any(|one| PERMISSIVE.contains(&one.trim_matches(|c: char| c == '(' || c == ')' || c == ' ')))
    })
}

#[cfg(test)]
mod tests {
    use super::permissive;

    #[test]
    fn expressions_of_the_registry() {
        for good in ["MIT", "MIT/Apache-2.0", "GPL-2.0 OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
            assert!(permissive(good), "{good}");
        }
        for bad in ["", "GPL-2.0", "GPL-3.0-or-later", "MIT AND GPL-2.0", "LGPL-2.1"] {
            assert!(!permissive(bad), "{bad}");
        }
    }
}
