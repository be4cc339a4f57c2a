//! Era A: a buffer is a list of pages, each of which knows its offset.

use super::Kernel;
use super::tables::{Container, Tables, cut, page_total, places};
use crate::list;
use crate::mirror::Mirror;
use crate::{Cause, Damage, Member, VirtAddr};

/// By the list of pages.
pub(crate) fn tables(kernel: &Kernel<'_>, container: &Container<'_>, damage: &mut Vec<Damage>) -> Tables {
    let list = kernel.types.rchan_buf.as_ref().and_then(|buf| buf.list.as_ref());
    let pointers = list.and_then(|list| pointers(kernel, container, list, damage)).unwrap_or_default();
    cut(kernel, container, places(kernel, container, &pointers))
}

/// Page pointers in buffer order, from the list whose head is `list`.
pub(crate) fn pointers(
    kernel: &Kernel<'_>,
    container: &Container<'_>,
    list: &Member,
    damage: &mut Vec<Damage>,
) -> Option<Vec<Option<VirtAddr>>> {
    let node = kernel.types.buf_page.as_ref()?;
    let total = page_total(kernel, container.size());
    let slots = usize::try_from(total).ok()?;
    let head = container.image.address_of(list);
    let nodes = list::walk(kernel.target, head, slots);
    if let Some((at, cause)) = nodes.broken {
        damage.push(Damage::new("list of buffer pages", at, cause));
    }
    let mut pointers: Vec<Option<VirtAddr>> = vec![None; slots];
    let mut strangers = 0usize;
    let mut disowned: Vec<usize> = Vec::new();
    for link in nodes.addrs {
        let addr = link.back(node.list.offset);
        let Ok(image) = node.read(kernel.target, addr) else {
            strangers += 1;
            continue;
        };
        let (page, owner, offset) =
            (image.pointer(&node.page), image.pointer(&node.buf), image.uint(&node.offset));
        let slot = offset.ok().filter(|offset| offset % kernel.target.page_size() == 0);
        let slot = slot.and_then(|offset| usize::try_from(offset / kernel.target.page_size()).ok());
        match (page, slot.and_then(|slot| Some((slot, pointers.get_mut(slot)?)))) {
            (Ok(page), Some((slot, place))) if owner == Ok(container.addr) && place.is_none() => {
                *place = Some(page);
                if kernel.pages.owner(page).is_some_and(|owner| owner != addr) {
                    disowned.push(slot);
                }
            }
            _ => strangers += 1,
        }
    }
    // A page names its node. Where nearly all do, one that does not is no page of this buffer; where most do not, it is the
    // check that is wrong.
    if disowned.len() * 2 < slots {
        for slot in &disowned {
            if let Some(place) = pointers.get_mut(*slot) {
                *place = None;
            }
        }
    }
    let missing = pointers.iter().filter(|pointer| pointer.is_none()).count();
    if missing != 0 || strangers != 0 {
        let text = format!(
            "{missing} of {total} pages are missing from the list, {strangers} nodes are not of this buffer"
        );
        damage.push(Damage::new("list of buffer pages", head, Cause::Implausible(text)));
    }
    Some(pointers)
}
