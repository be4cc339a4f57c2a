//! Structs within structs, bounded.

use crate::types::Struct;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Kernel structs nest about a dozen deep.
const MAX_DEPTH: usize = 24;
/// Members of a struct counted through everything it contains; `task_struct` has some thousands.
const MAX_WEIGHT: usize = 1 << 16;

/// Builds structs that contain others by value, each once.
///
/// Shared definitions make a graph of few nodes that can expand to exponentially many members.
/// Hostile input would use that against everybody who walks the result, so what a struct contains is
/// counted expanded and cut at a limit; also depth, and structs that contain themselves.
#[derive(Debug)]
pub(crate) struct Assembly<K> {
    done: HashMap<K, (Arc<Struct>, usize)>,
    open: Vec<(K, usize)>,
}

/// Answer of [`Assembly::begin`].
#[derive(Debug)]
pub(crate) enum Begin {
    /// Already built.
    Done(Arc<Struct>),
    /// Build it now and call [`Assembly::finish`].
    Build,
    /// Beyond a limit: use an opaque type.
    Refused,
}

impl<K: Hash + Eq + Copy> Assembly<K> {
    pub(crate) fn new() -> Self {
        Assembly { done: HashMap::new(), open: Vec::new() }
    }

    /// Asks for the struct `key` as a part of the one being built.
    pub(crate) fn begin(&mut self, key: K) -> Begin {
        if let Some((done, weight)) = self.done.get(&key) {
            let (done, weight) = (Arc::clone(done), *weight);
            return if self.charge(weight) { Begin::Done(done) } else { Begin::Refused };
        }
        if self.open.len() >= MAX_DEPTH || self.open.iter().any(|(open, _)| *open == key) {
            return Begin::Refused;
        }
        self.open.push((key, 0));
        Begin::Build
    }

    /// Ends what the last unfinished [`begin`](Self::begin) began; `None` if the outer struct has no
    /// room for it.
    pub(crate) fn finish(&mut self, built: Struct) -> Option<Arc<Struct>> {
        let (key, nested) = self.open.pop()?;
        let weight = nested.saturating_add(built.members.len()).saturating_add(1);
        let built = Arc::new(built);
        self.done.insert(key, (Arc::clone(&built), weight));
        self.charge(weight).then_some(built)
    }

    fn charge(&mut self, weight: usize) -> bool {
        let Some((_, used)) = self.open.last_mut() else { return true };
        let total = used.saturating_add(weight);
        if total > MAX_WEIGHT {
            return false;
        }
        *used = total;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::StructKind;

    fn empty() -> Struct {
        Struct {
            name: String::new(),
            kind: StructKind::Struct,
            size: 0,
            units: Vec::new(),
            members: Vec::new(),
        }
    }

    #[test]
    fn a_struct_cannot_contain_itself() {
        let mut assembly = Assembly::new();
        assert!(matches!(assembly.begin(1), Begin::Build));
        assert!(matches!(assembly.begin(2), Begin::Build));
        assert!(matches!(assembly.begin(1), Begin::Refused));
        assert!(assembly.finish(empty()).is_some());
        assert!(assembly.finish(empty()).is_some());
        assert!(matches!(assembly.begin(1), Begin::Done(_)));
    }

    #[test]
    fn doubling_is_cut_off() {
        // Each level contains the level below twice: 2^30 members if expanded.
        let mut assembly = Assembly::new();
        assert!(matches!(assembly.begin(0), Begin::Build));
        assembly.finish(empty());
        let mut refused = 0;
        for level in 1..30 {
            assert!(matches!(assembly.begin(level), Begin::Build));
            for _ in 0..2 {
                refused += u32::from(matches!(assembly.begin(level - 1), Begin::Refused));
            }
            assembly.finish(empty());
        }
        assert!(refused > 0);
        assert!(assembly.done.values().all(|(_, weight)| *weight <= MAX_WEIGHT + 1));
    }

    #[test]
    fn depth_is_cut_off() {
        let mut assembly = Assembly::new();
        let built = (0..100).take_while(|key| matches!(assembly.begin(*key), Begin::Build)).count();
        assert_eq!(built, MAX_DEPTH);
    }
}
