//! Era Z: the kernel's own relay, its buffers mapped contiguously at `start`, with an array of their pages.

use super::Kernel;
use super::tables::{Container, Tables, cut, page_total, places};
use crate::memory;
use crate::{Cause, Damage, PageRef, VirtAddr};

/// By the kernel's page tables, or else by the array of pages: the former need no guess about the memory model.
pub(crate) fn tables(kernel: &Kernel<'_>, container: &Container<'_>, damage: &mut Vec<Damage>) -> Tables {
    let place = "mapped buffer";
    let Some((start, array)) =
        kernel.types.rchan_buf.as_ref().and_then(|buf| Some((buf.start.as_ref()?, buf.page_array.as_ref()?)))
    else {
        return cut(kernel, container, Vec::new());
    };
    let total = page_total(kernel, container.size());
    let page = kernel.target.page_size();
    let start = container.image.pointer(start).unwrap_or_default();
    let mapped = |i: u64| kernel.target.virt_to_phys(start.offset(i * page)).ok().map(PageRef::Phys);
    let mut pages: Vec<PageRef> = (0..total).map(|i| mapped(i).unwrap_or(PageRef::Missing)).collect();
    if pages.contains(&PageRef::Missing) {
        let array = container
            .image
            .pointer(array)
            .map_err(|cause| damage.push(Damage::new(place, container.addr, cause)));
        let array = array.unwrap_or_default();
        match memory::words(kernel.target, array, total) {
            Ok(words) => {
                let pointers: Vec<Option<VirtAddr>> =
                    words.into_iter().map(|word| Some(VirtAddr(word))).collect();
                let others = places(kernel, container, &pointers);
                for (page, other) in
                    pages.iter_mut().zip(others).filter(|(page, _)| **page == PageRef::Missing)
                {
                    *page = other;
                }
            }
            Err(error) => damage.push(Damage::new("array of pages", array, error)),
        }
    }
    let missing = pages.iter().filter(|page| **page == PageRef::Missing).count();
    if missing != 0 {
        let text = format!("{missing} of {total} pages have no known place");
        damage.push(Damage::new(place, start, Cause::Implausible(text)));
    }
    cut(kernel, container, pages)
}
