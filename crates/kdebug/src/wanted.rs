//! What the caller wants to know, so that nothing else is read.

use std::collections::BTreeSet;

/// The names to look up.
///
/// Kernels rename things, so a caller lists every alternative; what exists nowhere is reported by
/// [`Types::missing`](crate::Types::missing) and is no error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Names of structs, unions and of typedefs of structs; without any `@unit` suffix.
    /// Everything that they contain by value comes along.
    pub structs: Vec<String>,
    /// Names of enumeration types (all their enumerators are taken) or of single enumerators.
    pub enums: Vec<String>,
    /// Symbol names. `linux_banner` is always looked up.
    pub symbols: Vec<String>,
    /// Keep every symbol of the kernel images and modules instead of only [`symbols`](Self::symbols).
    /// Costs tens of milliseconds and of megabytes for a distribution kernel.
    pub all_symbols: bool,
    /// Take the first definition of each struct, in the order of the compile units, and stop reading
    /// as soon as each name has one. Several times faster than the complete pass over DWARF, but
    /// blind to homonyms: different structs of the same name in different compile units.
    pub first_definition_only: bool,
}

/// The content of this symbol proves that core and debug information belong together.
pub(crate) const BANNER: &str = "linux_banner";

impl Wanted {
    /// `wanted.structs` and the others as sets, to be asked per name.
    pub(crate) fn sets(&self) -> WantedSets<'_> {
        WantedSets {
            structs: self.structs.iter().map(String::as_str).collect(),
            enums: self.enums.iter().map(String::as_str).collect(),
            symbols: self.symbols.iter().map(String::as_str).chain([BANNER]).collect(),
            all_symbols: self.all_symbols,
            first_definition_only: self.first_definition_only,
        }
    }
}

/// [`Wanted`] as sorted sets.
#[derive(Debug)]
pub(crate) struct WantedSets<'w> {
    pub(crate) structs: BTreeSet<&'w str>,
    pub(crate) enums: BTreeSet<&'w str>,
    pub(crate) symbols: BTreeSet<&'w str>,
    pub(crate) all_symbols: bool,
    pub(crate) first_definition_only: bool,
}
