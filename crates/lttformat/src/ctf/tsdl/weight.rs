//! What a type costs: the guard against small texts that describe huge things.
//!
//! Aliases are shared, so ten lines can describe a structure of a million fields, or an array of a billion elements without
//! a bit in them. Four numbers, kept while types are put together, rule that out.

/// Deepest nesting of types: readers of values recurse.
pub(super) const MAX_DEPTH: u32 = 32;

/// Steps a value may take beyond one for each of its bits.
const FREE_STEPS: u64 = 256;

/// Most bits of a value that are always there: keeps all later sums far from overflow.
const MAX_BITS: u64 = 1 << 40;

/// The cost of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight {
    /// Levels of nesting.
    depth: u32,
    /// Nodes of its tree, shared ones counted as often as they are used.
    nodes: u64,
    /// Steps to read a value, without sequences.
    steps: u64,
    /// Bits of the smallest value, without padding.
    bits: u64,
    /// Whether some array or sequence repeats nothing.
    hollow: bool,
}

impl Weight {
    pub(super) fn leaf(bits: u64) -> Weight {
        Weight { depth: 1, nodes: 1, steps: 1, bits, hollow: false }
    }

    pub(super) fn structure(members: impl Iterator<Item = Weight>) -> Weight {
        members.fold(Weight::leaf(0), |sum, member| Weight {
            bits: sum.bits.saturating_add(member.bits),
            ..sum.around(member)
        })
    }

    pub(super) fn variant(options: impl Iterator<Item = Weight>) -> Weight {
        let smallest = Weight { bits: u64::MAX, ..Weight::leaf(0) };
        let all = options.fold(smallest, |all, option| Weight {
            bits: all.bits.min(option.bits),
            steps: all.steps.max(option.steps.saturating_add(1)),
            ..all.around(option)
        });
        Weight { bits: if all.bits == u64::MAX { 0 } else { all.bits }, ..all }
    }

    pub(super) fn array(element: Weight, length: u64) -> Weight {
        Weight {
            steps: element.steps.saturating_mul(length).saturating_add(1),
            bits: element.bits.saturating_mul(length),
            ..Weight::leaf(0).around(element)
        }
    }

    /// However long it is, every element must use up bits.
    pub(super) fn sequence(element: Weight) -> Weight {
        let sequence = Weight::leaf(0).around(element);
        Weight { steps: 1, bits: 0, hollow: sequence.hollow || element.bits == 0, ..sequence }
    }

    fn around(self, inner: Weight) -> Weight {
        Weight {
            depth: self.depth.max(inner.depth.saturating_add(1)),
            nodes: self.nodes.saturating_add(inner.nodes),
            steps: self.steps.saturating_add(inner.steps),
            hollow: self.hollow || inner.hollow,
            bits: self.bits,
        }
    }

    /// Nodes of the type's tree.
    pub(super) fn nodes(self) -> u64 {
        self.nodes
    }

    /// What is too big about the type, if anything.
    pub(super) fn excess(self) -> Option<&'static str> {
        if self.depth > MAX_DEPTH {
            return Some("deeper nesting than any tracer's");
        }
        if self.bits > MAX_BITS {
            return Some("a type larger than any packet");
        }
        if self.hollow || self.steps > self.bits.saturating_add(FREE_STEPS) {
            return Some("a type with more elements than bits");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_types_pass() {
        let byte = Weight::leaf(8);
        let comm = Weight::array(byte, 16);
        let fields = Weight::structure([comm, byte, Weight::sequence(byte), Weight::leaf(1)].into_iter());
        assert_eq!((fields.bits, fields.nodes(), fields.excess()), (137, 7, None));
        let header =
            Weight::variant([Weight::leaf(27), Weight::structure([byte; 2].into_iter())].into_iter());
        assert_eq!((header.bits, header.excess()), (16, None));
        assert_eq!(Weight::variant(std::iter::empty()).excess(), None);
    }

    #[test]
    fn hollow_and_bottomless_types_do_not() {
        let nothing = Weight::structure(std::iter::empty());
        assert!(Weight::array(nothing, 1 << 40).excess().is_some());
        assert!(Weight::sequence(nothing).excess().is_some());
        assert!(Weight::structure([Weight::sequence(nothing)].into_iter()).excess().is_some());
        assert!(Weight::array(Weight::leaf(64), u64::MAX).excess().is_some());
        let mut deep = Weight::leaf(1);
        let mut wide = nothing;
        for _ in 0..64 {
            deep = Weight::structure(std::iter::once(deep));
            wide = Weight::structure([wide; 2].into_iter());
        }
        assert!(deep.excess().is_some() && wide.excess().is_some());
        assert_eq!(wide.nodes(), u64::MAX);
    }
}
