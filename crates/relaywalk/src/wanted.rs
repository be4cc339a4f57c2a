//! What all walkers together need to know of a kernel's types and symbols.

use std::collections::BTreeMap;

use crate::mirror::Declaration;
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
    /// Members of those structures of which no others are used, by dotted path and sorted by structure: large ones that are the
    /// kernel's own. Of the tracers' structures all members may be, for want of better knowledge.
    pub members: BTreeMap<&'static str, Vec<&'static str>>,
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
    let tracers = [ltt::STRUCTS, ltt::HEADER_STRUCTS, lttng::STRUCTS, relay::STRUCTS];
    let kernels = [
        debugfs::ROOT_STRUCTS,
        debugfs::RECOGNISE_STRUCTS,
        files::STRUCTS,
        list::STRUCTS,
        markers::STRUCTS,
        pages::STRUCTS,
        percpu::STRUCTS,
        vfs::STRUCTS,
    ];
    let tracers = || tracers.iter().flat_map(|module| module.iter());
    let kernels = || kernels.iter().flat_map(|module| module.iter());
    let mut members: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for Declaration { names, members: paths } in kernels() {
        for name in *names {
            members.entry(name).or_default().extend(*paths);
        }
    }
    for name in tracers().flat_map(|declaration| declaration.names) {
        members.remove(name);
    }
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
            tracers().chain(kernels()).flat_map(|declaration| declaration.names).copied().collect(),
        ),
        members,
        symbols: unique(symbols.iter().flat_map(|module| module.iter()).copied().collect()),
        enums: Vec::new(),
        modules: unique([ltt::MODULES, lttng::MODULES].concat()),
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test that cannot go on must fail")]
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
    fn members_of_large_structures_are_listed() {
        let wanted = wanted();
        assert!(
            wanted.members["task_struct"].contains(&"comm")
                || wanted.members["task_struct"].contains(&"files")
        );
        assert!(wanted.members["dentry"].contains(&"d_name.name"));
        assert!(!wanted.members.contains_key("ltt_chanbuf"), "all members of the tracer's own");
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
