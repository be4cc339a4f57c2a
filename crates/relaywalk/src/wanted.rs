//! What all walkers together need to know of a kernel's types and symbols.

use crate::{cpu, debugfs, files, list, ltt, lttng, markers, pages, percpu, relay, same_unit, vfs};

/// Names to look up in debug information.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Structures and unions; every definition of each.
    pub structs: Vec<&'static str>,
    /// Symbols; every one of each name.
    pub symbols: Vec<&'static str>,
    /// Enumerations.
    pub enums: Vec<&'static str>,
    /// What the names of the modules begin with that hold them, where the tracers are modules; written with `_`, never `-`.
    pub modules: Vec<&'static str>,
}

impl Wanted {
    /// Whether the module of this name may hold something that is wanted.
    #[must_use]
    pub fn has_module(&self, name: &str) -> bool {
        self.modules.iter().any(|begin| name.get(..begin.len()).is_some_and(|start| same_unit(start, begin)))
    }
}

/// Union of the declarations of all walkers. No kernel has all of it; what is missing a walker does without, or reports.
#[must_use]
pub fn wanted() -> Wanted {
    let structs = [
        ltt::STRUCTS,
        ltt::HEADER_STRUCTS,
        lttng::STRUCTS,
        relay::STRUCTS,
        debugfs::ROOT_STRUCTS,
        debugfs::RECOGNISE_STRUCTS,
        files::STRUCTS,
        list::STRUCTS,
        markers::STRUCTS,
        pages::STRUCTS,
        percpu::STRUCTS,
        vfs::STRUCTS,
    ];
    let symbols = [
        ltt::SYMBOLS,
        lttng::SYMBOLS,
        relay::SYMBOLS,
        debugfs::ROOT_SYMBOLS,
        debugfs::RECOGNISE_SYMBOLS,
        cpu::SYMBOLS,
        markers::SYMBOLS,
        pages::SYMBOLS,
        percpu::SYMBOLS,
    ];
    let unique = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names.dedup();
        names
    };
    Wanted {
        structs: unique(
            structs.iter().flat_map(|module| module.iter()).flat_map(|names| names.iter()).copied().collect(),
        ),
        symbols: unique(symbols.iter().flat_map(|module| module.iter()).copied().collect()),
        enums: Vec::new(),
        modules: unique([ltt::MODULES, lttng::MODULES].concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declares_every_era_once() {
        let wanted = wanted();
        for name in ["ltt_chanbuf", "ltt_channel_buf_struct", "rchan_buf", "buf_page", "x8664_pda", "dentry"]
        {
            assert_eq!(wanted.structs.iter().filter(|have| **have == name).count(), 1, "{name}");
        }
        assert_eq!(wanted.symbols.iter().filter(|name| **name == "relay_channels").count(), 1);
    }

    #[test]
    fn modules_of_probes_hold_nothing_that_is_wanted() {
        let wanted = wanted();
        for name in
            ["lttng_tracer", "lttng-ring-buffer-client-mmap-overwrite", "ltt_relay_alloc", "lttng_wrapper"]
        {
            assert!(wanted.has_module(name), "{name}");
        }
        for name in ["lttng_probe_sched", "ext4", "ltt", "", "lttng"] {
            assert!(!wanted.has_module(name), "{name}");
        }
    }
}
