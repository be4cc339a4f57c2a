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
