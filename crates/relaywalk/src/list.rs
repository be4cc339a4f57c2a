//! Linked lists of the kernel, with guards: no list can make a walk run for ever, and a node that cannot be read loses only
//! what lies behind it.

use std::collections::HashSet;

use crate::memory;
use crate::mirror::{self, mirrors};
use crate::{Cause, Target, VirtAddr};

mirrors! {
    /// `struct list_head`, a ring through a head.
    ListHead = "list_head" { needs { next: "next", prev: "prev" } may {} }
    /// `struct hlist_head`.
    HlistHead = "hlist_head" { needs { first: "first" } may {} }
    /// `struct hlist_node`.
    HlistNode = "hlist_node" { needs { next: "next" } may {} }
}

/// What a walk along a list gave.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Nodes {
    /// Addresses of the link members, in list order, the head left out.
    pub addrs: Vec<VirtAddr>,
    /// Where the list is broken and why; the nodes then are those reachable from either end.
    pub broken: Option<(VirtAddr, Cause)>,
}

/// Nodes of the circular list (`struct list_head`) whose head lies at `head`.
///
/// A list that is broken somewhere is walked from its other end too, so a single bad node loses nothing but itself.
#[must_use]
pub fn walk(target: &dyn Target, head: VirtAddr, limit: usize) -> Nodes {
    let (next, prev) = match mirror::find::<ListHead>(target, &[]) {
        Ok(list) => (list.next.offset, list.prev.offset),
        // The two words of a list head have never been anything else, and ISF files may leave the type out.
        Err(_) => (0, target.abi().word_bytes()),
    };
    let mut seen = HashSet::new();
    let (mut addrs, broken) = follow(target, head, head, next, limit, &mut seen);
    if let Some((_, cause)) = &broken
        && !matches!(cause, Cause::TooLong { .. })
    {
        let (back, _) = follow(target, head, head, prev, limit.saturating_sub(addrs.len()), &mut seen);
        addrs.extend(back.into_iter().rev());
    }
    Nodes { addrs, broken }
}

/// Nodes of the null-terminated list (`struct hlist_head`) whose head lies at `head`.
#[must_use]
pub fn walk_hlist(target: &dyn Target, head: VirtAddr, limit: usize) -> Nodes {
    let first = mirror::find::<HlistHead>(target, &[]).map_or(0, |head| head.first.offset);
    let next = mirror::find::<HlistNode>(target, &[]).map_or(0, |node| node.next.offset);
    let start = match memory::word(target, head.offset(first)) {
        Ok(0) => return Nodes::default(),
        Ok(start) => VirtAddr(start),
        Err(error) => return Nodes { addrs: Vec::new(), broken: Some((head, error.into())) },
    };
    let mut seen = HashSet::from([start]);
    let (rest, broken) = follow(target, start, VirtAddr::NULL, next, limit, &mut seen);
    // An unreadable first node is no node.
    let unreadable_start = broken.as_ref().is_some_and(|(at, _)| *at == start && rest.is_empty());
    let addrs = if unreadable_start { rest } else { std::iter::once(start).chain(rest).collect() };
    Nodes { addrs, broken }
}

/// Follows the link at `offset` of each node from `from` until `end`. A node counts once its own link was readable.
fn follow(
    target: &dyn Target,
    from: VirtAddr,
    end: VirtAddr,
    offset: u64,
    limit: usize,
    seen: &mut HashSet<VirtAddr>,
) -> (Vec<VirtAddr>, Option<(VirtAddr, Cause)>) {
    let mut nodes: Vec<VirtAddr> = Vec::new();
    let mut at = from;
    loop {
        let next = match memory::word(target, at.offset(offset)) {
            Ok(next) => VirtAddr(next),
            Err(error) => {
                if at != from {
                    nodes.pop();
                    seen.remove(&at);
                }
                return (nodes, Some((at, error.into())));
            }
        };
        if next == end {
            return (nodes, None);
        }
        if next.is_null() {
            return (nodes, Some((at, Cause::Implausible("list link is null".into()))));
        }
        if !seen.insert(next) {
            return (nodes, Some((next, Cause::Loop)));
        }
        if nodes.len() >= limit {
            return (nodes, Some((next, Cause::TooLong { limit })));
        }
        nodes.push(next);
        at = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::{Endian, WordSize};

    fn ring(count: usize) -> (Fake, VirtAddr, Vec<VirtAddr>) {
        let mut fake = Fake::new(WordSize::Bits64, Endian::Little);
        let head = fake.alloc(16);
        let nodes: Vec<VirtAddr> = (0..count).map(|_| fake.alloc(16)).collect();
        fake.link(head, &nodes);
        (fake, head, nodes)
    }

    #[test]
    fn whole_and_empty() {
        let (fake, head, nodes) = ring(5);
        assert_eq!(walk(&fake, head, 5), Nodes { addrs: nodes, broken: None });
        let (fake, head, _) = ring(0);
        assert_eq!(walk(&fake, head, 5), Nodes::default());
    }

    #[test]
    fn unreadable_node_loses_itself_only() {
        let (mut fake, head, nodes) = ring(5);
        fake.remove_page(nodes[2]);
        let found = walk(&fake, head, 100);
        assert_eq!(found.addrs, [nodes[0], nodes[1], nodes[3], nodes[4]]);
        assert!(matches!(found.broken, Some((at, Cause::Unreadable(_))) if at == nodes[2]));
    }

    #[test]
    fn circles_ends_and_lengths() {
        let (mut fake, head, nodes) = ring(5);
        fake.put_word(nodes[3], nodes[1].0);
        let found = walk(&fake, head, 100);
        assert_eq!(found.addrs, nodes);
        assert_eq!(found.broken, Some((nodes[1], Cause::Loop)));
        fake.put_word(nodes[3], nodes[3].0);
        assert_eq!(walk(&fake, head, 100).broken, Some((nodes[3], Cause::Loop)));
        fake.put_word(nodes[3], 0);
        assert!(matches!(walk(&fake, head, 100).broken, Some((_, Cause::Implausible(_)))));
        let (fake, head, nodes) = ring(5);
        let found = walk(&fake, head, 3);
        assert_eq!(
            (found.addrs.as_slice(), found.broken),
            (&nodes[..3], Some((nodes[3], Cause::TooLong { limit: 3 })))
        );
    }

    #[test]
    fn null_terminated() {
        let mut fake = Fake::new(WordSize::Bits32, Endian::Big);
        let (head, a, b) = (fake.alloc(4), fake.alloc(8), fake.alloc(8));
        assert_eq!(walk_hlist(&fake, head, 9), Nodes::default());
        fake.put_word(head, a.0);
        fake.put_word(a, b.0);
        assert_eq!(walk_hlist(&fake, head, 9), Nodes { addrs: vec![a, b], broken: None });
        fake.put_word(b, a.0);
        assert_eq!(walk_hlist(&fake, head, 9).broken, Some((a, Cause::Loop)));
        fake.remove_page(a);
        assert_eq!(walk_hlist(&fake, head, 9).addrs, []);
    }
}
