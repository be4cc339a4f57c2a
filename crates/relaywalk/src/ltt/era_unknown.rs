//! Buffers whose page container no source describes: it is looked for among the members of `rchan_buf`, and what is found must
//! show the magic number of a sub-buffer header. Nothing is guessed beyond that.

use super::Kernel;
use super::era_a;
use super::tables::{Container, Tables, cut, page_total, places};
use crate::memory;
use crate::mirror::Mirror;
use crate::{Cause, Damage, Kind, Member, VirtAddr};

/// By the first member that leads to pages of which the first shows a header.
pub(crate) fn tables(kernel: &Kernel<'_>, container: &Container<'_>, damage: &mut Vec<Damage>) -> Tables {
    let Some(buf) = kernel.types.rchan_buf.as_ref() else { return cut(kernel, container, Vec::new()) };
    let mut members: Vec<&Member> =
        buf.layout().members.values().filter(|member| member.bits.is_none()).collect();
    members.sort_by_key(|member| member.offset);
    for member in members {
        for pointers in candidates(kernel, container, member) {
            let tables = cut(kernel, container, places(kernel, container, &pointers));
            let shows_magic = |pages| {
                kernel
                    .types
                    .headers
                    .iter()
                    .any(|shape| matches!(shape.peek(kernel.target, pages), Ok(Some(_))))
            };
            if tables.writer.first().is_some_and(shows_magic) {
                return tables;
            }
        }
    }
    let text = "no member leads to pages that start with a sub-buffer header".to_string();
    damage.push(Damage::new("page container", container.addr, Cause::Implausible(text)));
    cut(kernel, container, Vec::new())
}

/// Lists of page pointers that a member may mean: an array of structures that hold one, an array of page pointers, a list.
fn candidates(kernel: &Kernel<'_>, container: &Container<'_>, member: &Member) -> Vec<Vec<Option<VirtAddr>>> {
    let total = page_total(kernel, container.size());
    match &member.kind {
        Kind::Pointer { to } => {
            let Ok(array) = container.image.pointer(member) else { return Vec::new() };
            let mut found = Vec::new();
            for layout in to.iter().flat_map(|name| kernel.target.layouts(name)) {
                let to_page = |m: &&Member| matches!(&m.kind, Kind::Pointer { to: Some(to) } if to == "page");
                if let Some(page) = layout.members.values().find(to_page) {
                    found.extend(strided(kernel, array, total, layout.size, page.offset));
                }
            }
            if to.as_deref().is_none_or(|to| to == "page") {
                let word = kernel.target.abi().word_bytes();
                found.extend(strided(kernel, array, total, word, 0));
            }
            found
        }
        Kind::Struct => era_a::pointers(kernel, container, member, &mut Vec::new()).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn strided(
    kernel: &Kernel<'_>,
    array: VirtAddr,
    count: u64,
    stride: u64,
    offset: u64,
) -> Option<Vec<Option<VirtAddr>>> {
    let bytes = memory::array(kernel.target, array, count, stride).ok()?;
    let word = |i: u64| kernel.target.abi().word(&bytes, i * stride + offset);
    Some((0..count).map(|i| word(i).map(VirtAddr).filter(|addr| !addr.is_null())).collect())
}
