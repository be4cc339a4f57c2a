//! Where each stream goes: one path each, all different, none a directory on the way to another.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::name;

/// The names of one trace as the core has them.
#[derive(Debug)]
pub(crate) struct Names<'a> {
    pub(crate) trace: &'a [u8],
    /// Of each stream: the components below the trace's directory.
    pub(crate) streams: Vec<&'a [Vec<u8>]>,
}

/// The places of one trace, relative to the output.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) directory: String,
    /// In the order of the streams. A stream whose path was taken lies in another directory than `directory`.
    pub(crate) streams: Vec<PathBuf>,
}

/// Chooses the places. The first trace or stream with a name gets it; later ones go to `<trace>~2`, `<trace>~3` ….
///
/// A double must not lie in the same directory under another file name: viewers open every file they find there,
/// and one called `cpu_0~2` would replace `cpu_0` without a word.
pub(crate) fn arrange(traces: &[Names<'_>]) -> Vec<Places> {
    let mut directories = Directories::default();
    let firsts: Vec<_> = traces.iter().map(|names| directories.take(name::file_name(names.trace))).collect();
    let mut places = Vec::with_capacity(traces.len());
    for (names, first) in traces.iter().zip(firsts) {
        let directory = first.unwrap_or_else(|| directories.next(names.trace));
        let mut trees = vec![Tree::new(directory.clone())];
        let mut copies: HashMap<PathBuf, usize> = HashMap::new();
        let mut streams = Vec::with_capacity(names.streams.len());
        for path in &names.streams {
            let components = name::components(path);
            // The n-th stream of one path cannot fit before tree n: this keeps many doubles from costing the square.
            let copy = copies.entry(components.iter().collect()).or_default();
            let mut nth = *copy;
            let placed = loop {
                if nth >= trees.len() {
                    trees.push(Tree::new(directories.next(names.trace)));
                }
                if let Some(placed) = trees.get_mut(nth).and_then(|tree| tree.place(&components)) {
                    break placed;
                }
                nth += 1;
            };
            *copy = nth + 1;
            streams.push(placed);
        }
        places.push(Places { directory, streams });
    }
    places
}

/// Directories at the top of the output.
#[derive(Default)]
struct Directories {
    taken: HashSet<String>,
    last: HashMap<String, u64>,
}

impl Directories {
    fn take(&mut self, name: String) -> Option<String> {
        self.taken.insert(name.clone()).then_some(name)
    }

    /// The next free directory for a double of this trace.
    fn next(&mut self, trace: &[u8]) -> String {
        let stem = name::stem(trace);
        loop {
            let last = self.last.entry(stem.clone()).or_insert(1);
            *last += 1;
            let name = format!("{stem}~{last}");
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// What one directory holds so far.
struct Tree {
    root: PathBuf,
    files: HashSet<PathBuf>,
    directories: HashSet<PathBuf>,
}

impl Tree {
    fn new(root: String) -> Tree {
        Tree { root: root.into(), files: HashSet::new(), directories: HashSet::new() }
    }

    fn place(&mut self, components: &[String]) -> Option<PathBuf> {
        let path = self.root.join(components.iter().collect::<PathBuf>());
        let above = || path.ancestors().skip(1).take(components.len() - 1);
        if self.files.contains(&path)
            || self.directories.contains(&path)
            || above().any(|parent| self.files.contains(parent))
        {
            return None;
        }
        self.directories.extend(above().map(PathBuf::from));
        self.files.insert(path.clone());
        Some(path)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> Vec<Vec<u8>> {
        text.split('/').map(|component| component.as_bytes().to_vec()).collect()
    }

    fn arranged(traces: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        let paths: Vec<Vec<_>> =
            traces.iter().map(|(_, streams)| streams.iter().map(|s| path(s)).collect()).collect();
        let names: Vec<_> = traces
            .iter()
            .zip(&paths)
            .map(|((trace, _), paths)| Names {
                trace: trace.as_bytes(),
                streams: paths.iter().map(Vec::as_slice).collect(),
            })
            .collect();
        arrange(&names)
            .into_iter()
            .map(|places| {
                let streams = places.streams.iter().map(|path| path.display().to_string()).collect();
                (places.directory, streams)
            })
            .collect()
    }

    #[test]
    fn the_layout_of_the_daemon_is_kept() {
        assert_eq!(
            arranged(&[("k1", &["cpu_0", "control/metadata_0"]), ("k2", &["flight-cpu_0"])]),
            [
                ("k1".to_owned(), vec!["k1/cpu_0".to_owned(), "k1/control/metadata_0".to_owned()]),
                ("k2".to_owned(), vec!["k2/flight-cpu_0".to_owned()]),
            ]
        );
    }

    #[test]
    fn doubles_get_a_directory_of_their_own() {
        let places = arranged(&[("k", &["a", "a", "b", "a", "b"]), ("k~2", &["a"]), ("k", &["a", "a"])]);
        assert_eq!(places[0].1, ["k/a", "k~3/a", "k/b", "k~4/a", "k~3/b"]);
        assert_eq!(places[1].1, ["k~2/a"]);
        assert_eq!(places[2], ("k~5".to_owned(), vec!["k~5/a".to_owned(), "k~6/a".to_owned()]));
    }

    #[test]
    fn a_file_is_not_also_a_directory() {
        assert_eq!(arranged(&[("k", &["a", "a/b"])])[0].1, ["k/a", "k~2/a/b"]);
        assert_eq!(arranged(&[("k", &["a/b", "a"])])[0].1, ["k/a/b", "k~2/a"]);
    }

    #[test]
    fn ten_thousand_doubles_are_not_quadratic() {
        let streams = vec!["cpu_0"; 10_000];
        assert_eq!(arranged(&[("k", &streams)])[0].1.last().unwrap(), "k~10000/cpu_0");
    }

    proptest! {
        #[test]
        fn no_two_streams_share_a_path(traces in prop::collection::vec(
            ("[a./~2]{0,3}", prop::collection::vec("[ab./]{0,4}", 0..8)), 0..5,
        )) {
            let borrowed: Vec<(&str, Vec<&str>)> =
                traces.iter().map(|(name, streams)| (name.as_str(), streams.iter().map(String::as_str).collect())).collect();
            let slices: Vec<(&str, &[&str])> = borrowed.iter().map(|(name, streams)| (*name, streams.as_slice())).collect();
            let places = arranged(&slices);
            let all: Vec<&str> = places.iter().flat_map(|(_, streams)| streams.iter().map(String::as_str)).collect();
            prop_assert_eq!(all.len(), traces.iter().map(|(_, streams)| streams.len()).sum::<usize>());
            for (i, a) in all.iter().enumerate() {
                prop_assert!(all.iter().enumerate().all(|(j, b)| i == j || !Path::new(b).starts_with(a)));
            }
        }
    }
}
